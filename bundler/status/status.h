/* SPDX-License-Identifier: ISC */
/*
 * Status: one honest colour for every workstation and user, from verified receipts only.  The rules
 * are one table (status_rules.c), first match wins, in its order of precedence.
 */
#ifndef SATCHEL_BUNDLER_STATUS_STATUS_H
#define SATCHEL_BUNDLER_STATUS_STATUS_H

#include "bundler/documents/site_model.h"
#include "bundler/status/status_rules.h"

struct status_channel {
	char name[CHANNEL_NAME];
	uint64_t held, wanted; /* generations */
	bool tree_equal;
};
/* What the newest receipt says of a user. */
struct status_handed {
	char email[EMAIL_NAME];
	char account[ACCOUNT_NAME];
	char result[16]; /* "handed-out", "failed", "withheld"; "": it does not speak of the user */
	char reason[512];
};
struct status_workstation {
	char name[WORKSTATION_NAME];
	char id[WORKSTATION_ID + 1]; /* "" before it enrolled */
	enum colour colour;
	char reason[REASON_TEXT];       /* why it is not green; "" when it is */
	char also[REASON_TEXT];         /* further reasons, "; " between them */
	const struct reasons *reasons;  /* all of them; valid during the call */
	struct status_channel *channel; /* owned by the callback's caller; valid during the call */
	size_t channels;
	const struct status_handed *user; /* likewise */
	size_t users;
	int64_t heard;    /* seconds since 1970, 0: never */
	uint64_t receipt; /* sequence */
	bool by_code;     /* it was read aloud: satchel confirm */
	char version[32];
};
/** status_workstations(s, each, arg, err): ascending by name. */
int status_workstations(struct site *s,
			int (*each)(void *arg, const struct status_workstation *w, struct err *err),
			void *arg, struct err *err);

/* Where a user is, was, or is to be active. */
struct status_place {
	const char *name, *id; /* of the workstation */
	const char *account;   /* there, as the workstation says; "": it said nothing */
	const char *state; /* "active"; "pending": not confirmed yet; "failed"; "leaving": to give
			      up what it may still hold; "gone": it has; "lost": it was revoked or
			      replaced, so nobody can say */
	bool to_be;        /* they are to be active there */
	uint64_t held, wanted; /* generations of its private channel */
	int64_t heard;
};
struct status_user {
	const char *email, *name, *group, *licence; /* "" for none; valid during the call */
	enum colour colour;
	char reason[REASON_TEXT]; /* why they are not green; "" when they are */
	char also[REASON_TEXT];
	const struct reasons *reasons;
	bool deleted; /* listed until every workstation has given up what was theirs */
	struct status_place *place; /* owned by the callback's caller */
	size_t places, active;      /* active: those that they are to be active on */
};
/** status_users(s, each, arg, err): ascending by e-mail address. */
int status_users(struct site *s,
		 int (*each)(void *arg, const struct status_user *u, struct err *err), void *arg,
		 struct err *err);

/* How far behind a place is: a group (who is directly in it, and where they are active), or a depot
 * (the home depot: everybody; one that was carried to: whom it is for). */
struct status_line {
	enum { STATUS_GROUP, STATUS_HOME, STATUS_DEPOT } kind;
	char name[LIMIT_PATH +
		  1];      /* "": who is in no group, and workstations that nobody is active on */
	char parent[1024]; /* group: the one above; depot: for whom, "" for everybody */
	uint64_t users[COLOURS], workstations[COLOURS];
	uint64_t enrolled; /* of the workstations */
	int64_t
	    oldest; /* the oldest of their newest confirmations; 0: there is none of oldest_name */
	char oldest_name[WORKSTATION_NAME]; /* "" when none is enrolled */
	int64_t carried;                    /* depot: when it was carried to */
};
/** status_summary(s, each, arg, err): groups by name, who is in none, the home depot, others. */
int status_summary(struct site *s,
		   int (*each)(void *arg, const struct status_line *l, struct err *err), void *arg,
		   struct err *err);

struct status_site {
	char name[256];
	struct digest id;
	uint64_t trust, beat;
	int64_t beat_issued, beat_expires;
	uint64_t channels, pending_requests, events, unposted;
	uint64_t releases; /* generations that wait for signatures of publish keys */
};
/** status_site(s, ret, err): the site by itself.  ${ret} is untouched on failure. */
int status_site(struct site *s, struct status_site *ret, struct err *err);

struct status_event {
	int64_t at; /* when the server recorded it, seconds since 1970 UTC */
	const char *kind, *about, *text;
	const char *claim; /* what the server found in a document that it refused, in the words of
			      whoever wrote that; or "" */
	bool reported;     /* kind and text are what the workstation ${about} says */
};
/** status_events(s, max, each, arg, err): newest first. */
int status_events(struct site *s, unsigned max,
		  int (*each)(void *arg, const struct status_event *e, struct err *err), void *arg,
		  struct err *err);

#endif
