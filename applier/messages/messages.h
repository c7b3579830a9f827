/* SPDX-License-Identifier: ISC */
/*
 * Messages on the workstation: what the server wrote, shown to whom it is for, and what is said
 * back.  What people say travels as events of receipts, each until a receipt that carried it is
 * acknowledged; commands are carried out once.
 */
#ifndef SATCHEL_APPLIER_MESSAGES_MESSAGES_H
#define SATCHEL_APPLIER_MESSAGES_MESSAGES_H

#include "applier/private/private.h"

extern const struct db_schema station_messages_schema;

/* Who reads: root sees everything; anybody else what is for the workstation or for them. */
struct message_reader {
	bool all;
	char account[ACCOUNT_NAME];
	char email[EMAIL_NAME]; /* who is active here with that account; "" for nobody */
};

struct message_item {
	const struct message *message; /* valid during the call */
	int64_t read, answered, done;  /* when, or 0; done: a command */
};

/**
 * messages_open(s, ret, ret_reader, err): what the private channel says, and who is asking (behind
 * sudo the one who called).  None before the first private generation.  The caller's
 * (people_clear).
 */
int messages_open(struct station *s, struct private_people *ret, struct message_reader *ret_reader,
		  struct err *err);

/** messages_each(s, people, reader, each, arg, err): newest first, those that ${reader} may see. */
int messages_each(struct station *s, const struct private_people *people,
		  const struct message_reader *reader,
		  int (*each)(void *arg, const struct message_item *m, struct err *err), void *arg,
		  struct err *err);

/** messages_find(people, reader, which, ret, err): the one whose id begins with ${which} (at least
 * 4 digits).  RC_USAGE: none, or several. */
int messages_find(const struct private_people *people, const struct message_reader *reader,
		  const char *which, const struct message **ret, struct err *err);

/** message_read(s, m, reader, err): mark it read, once, when ${reader} is whom it is for; the
 * server is told. */
int message_read(struct station *s, const struct message *m, const struct message_reader *reader,
		 struct err *err);

/** message_answer(s, m, reader, text, err): RC_USAGE when the text is longer than a line of 511
 * bytes, RC_AGAIN when too much waits for the server.  message_report(s, reader, text, err): said
 * without being asked. */
int message_answer(struct station *s, const struct message *m, const struct message_reader *reader,
		   const char *text, struct err *err);
int message_report(struct station *s, const struct message_reader *reader, const char *text,
		   struct err *err);

/** messages_sweep(s, people, err): forget what became of messages that are gone. */
int messages_sweep(struct station *s, const struct private_people *people, struct err *err);
/** messages_forget(s, err): of all messages, in the caller's transaction. */
int messages_forget(struct station *s, struct err *err);

/**
 * messages_commands(s, people, err): carry out what the server asks for: a description of the
 * machine, a look at drift, a hook command-NAME that the owner has put there; else it is refused.
 * Each once, and answered: one that was interrupted is not begun again.
 */
int messages_commands(struct station *s, const struct private_people *people, struct err *err);

/** messages_unread(s, people, ret, err): notices and refusals that nobody has read. */
int messages_unread(struct station *s, const struct private_people *people, size_t *ret,
		    struct err *err);

#endif
