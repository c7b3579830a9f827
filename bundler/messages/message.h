/* SPDX-License-Identifier: ISC */
/*
 * Messages: notices, commands and refusals to workstations and the users on them, and what they say
 * back.  A message is written once and addressed when it is sent: each workstation (and each user
 * there) gets a copy in its private channel, and each copy is followed for itself.
 */
#ifndef SATCHEL_BUNDLER_MESSAGES_MESSAGE_H
#define SATCHEL_BUNDLER_MESSAGES_MESSAGE_H
#include "bundler/documents/site_model.h"

extern const struct db_schema message_schema;

#define MESSAGE_DAYS     30   /* a message is shown so long, unless it says else */
#define MESSAGE_DAYS_MAX 3650 /* ten years */
/* Days that a message stays on a workstation after it was read or answered there. */
#define MESSAGE_DAYS_READ 7
/* Copies in one private channel, the newest ones: half of what a workstation takes. */
#define MESSAGES_CARRIED 500
/* What workstations said, that is kept of each: an outsider decides how much they say. */
#define MESSAGES_IN_KEPT 200
/* Refusals on their way to one workstation: it decides how often it asks. */
#define MESSAGE_REFUSALS 16

struct message_draft {
	const char *who;      /* a workstation, an e-mail address, "group:NAME" or "all" */
	const char *subject;  /* one line */
	const char *text;     /* lines with "\n" between them, or NULL */
	const char *command;  /* "report", "drift", "hook"; NULL: a notice */
	const char *argument; /* hook: its name */
	uint64_t days;        /* that it is good for */
};
/**
 * message_send(s, draft, ret_id, ret_to, err): to everybody whom ${who} names now: a workstation
 * (enrolled, by its name), a user on every workstation where they are active, the users of a group
 * and of the groups inside it, or every workstation.  Commands are for workstations: of users and
 * groups, for those where they are active.  Publish carries it.  RC_USAGE: nobody of that name, or
 * nobody to get it, or a text that no message can hold.
 */
int message_send(struct site *s, const struct message_draft *draft, char ret_id[MESSAGE_ID + 1],
		 uint64_t *ret_to, struct err *err);
/** message_withdraw(s, which, ret_id, err): taken out of the private channels at the next publish;
 * who has read it has read it.  ${which}: at least 4 digits of its id.  RC_USAGE. */
int message_withdraw(struct site *s, const char *which, char ret_id[MESSAGE_ID + 1],
		     struct err *err);
/** message_refuse(s, id, name, activation, text, err): tell a workstation why its request was
 * turned down, once.  In the caller's transaction. */
int message_refuse(struct site *s, const char *id, const char *name, const char *activation,
		   const char *text, struct err *err);
/** message_notice(s, id, name, subject, err): what the site itself has to say to a workstation, in
 * one line.  In the caller's transaction. */
int message_notice(struct site *s, const char *id, const char *name, const char *subject,
		   struct err *err);

/**
 * message_receive(s, id, e, err): an event of a receipt of the workstation ${id}: 1 when somebody
 * said something that is in the list now, 0 when it says that a message was read, or is about
 * something else, RC_ADDRESSEE when it is about a message that this workstation (or that user on
 * it) never got.  In the caller's transaction.
 */
int message_receive(struct site *s, const char *id, const struct receipt_event *e, struct err *err);

/**
 * For private channels.
 * message_sweep(s, each, arg, err): decide which copies are to leave: they expired, were
 * withdrawn, or were read or answered more than MESSAGE_DAYS_READ ago; ${each} gets the id of each
 * workstation of which some left (it may be told twice).  In the caller's transaction, before
 * private channels are compiled.
 * message_each(s, id, each, arg, err): what is to be in the private channel of ${id}, ascending by
 * m->id, which is the name of the document there; ${m} is borrowed for the call.
 * message_carried(s, id, epoch, generation, err): this private generation holds all of these.
 */
int message_sweep(struct site *s, int (*each)(void *arg, const char *id, struct err *err),
		  void *arg, struct err *err);
int message_each(struct site *s, const char *id,
		 int (*each)(void *arg, const struct message *m, struct err *err), void *arg,
		 struct err *err);
int message_carried(struct site *s, const char *id, uint64_t epoch, uint64_t generation,
		    struct err *err);

/* What was sent to a workstation and what it said.  The messages stay, because others got them too.
 */
extern const struct forget_sql message_forget;

/* The list: both directions, newest first. */
struct message_row {
	bool incoming;
	char id[24];       /* 16 digits, or "r12": the twelfth that was received */
	int64_t at;        /* outgoing: when it was sent; incoming: when it was recorded */
	char kind[16];     /* "notice", "command", "refusal"; "answer", "report", "refusal" */
	char subject[512]; /* incoming: what was said */
	const char *text;  /* valid during the call; incoming: "" */
	char command[16], argument[WORD_NAME];
	char who[WORKSTATION_NAME]; /* outgoing: as addressed; incoming: the workstation's name */
	char email[EMAIL_NAME];     /* incoming: who said it, or "" */
	char about[MESSAGE_ID + 1]; /* incoming: the message that it is about, or "" */
	int64_t said;               /* incoming: when, by the clock of the workstation */
	int64_t seen;               /* incoming: when it was first shown in full here, or 0 */
	int64_t expires, withdrawn; /* outgoing */
	uint64_t to, delivered, read, answered; /* outgoing: copies, and how many got so far */
};
/** message_list(s, which, max, each, arg, err): the newest ${max}; ${which} NULL, or what a row's
 * id begins with (at least 4 digits, or "r12"): that one alone.  RC_USAGE: none, or several. */
int message_list(struct site *s, const char *which, unsigned max,
		 int (*each)(void *arg, const struct message_row *row, struct err *err), void *arg,
		 struct err *err);
/** message_seen(s, id, err): an incoming one was shown to a person. */
int message_seen(struct site *s, const char *id, struct err *err);

struct message_copy {
	char workstation[WORKSTATION_NAME];
	char email[EMAIL_NAME]; /* "" for the workstation */
	bool published;         /* in a private generation */
	bool delivered;         /* and the workstation has confirmed that */
	int64_t read, answered; /* when that became known here, or 0 */
	char answer_kind[16];   /* "answer", "report", "refusal" */
	const char *answer;     /* valid during the call */
};
/** message_copies(s, id, max, each, arg, err): of an outgoing one, ascending by workstation. */
int message_copies(struct site *s, const char *id, unsigned max,
		   int (*each)(void *arg, const struct message_copy *copy, struct err *err),
		   void *arg, struct err *err);

#endif
