/* SPDX-License-Identifier: ISC */
/*
 * Activations: asking the site to make a user active here, tied to a Unix account of this machine.
 * Requests wait in the outbox, beside each other, until the private channel answers them: with the
 * person, or with a refusal.
 */
#ifndef SATCHEL_APPLIER_ACTIVATION_ACTIVATION_H
#define SATCHEL_APPLIER_ACTIVATION_ACTIVATION_H

#include "applier/private/private.h"

extern const struct db_schema station_activation_schema;

/* Requests that wait at once: more people than would type a code on one machine before it is synced
 * again, and fewer than would fill a depot. */
#define ACTIVATIONS_WAITING 64

/**
 * activation_ask(s, code, account, ret_account, err):
 * Make the request and queue it.  ${account} NULL: the caller's (behind sudo the one who called),
 * but never root's; ${ret_account} gets its name.  The same code again for the same account sends
 * the same bytes; for another account it takes the place of what waits.  Returns 1 when the very
 * request waited already, else 0.  Errors: RC_USAGE (mistyped, no account said), RC_ADDRESSEE
 * (another site's), RC_EXPIRED (past its day by a clock that can be right; a clock in doubt is left
 * to the server), RC_STATE (not enrolled, no such account), RC_POLICY (without root: another
 * account than one's own), RC_LIMIT.
 */
int activation_ask(struct station *s, const char *code, const char *account,
		   char ret_account[ACCOUNT_NAME], struct err *err);

/** activations_answered(s, people, err): forget those that ${people} answers, and those that no
 * server would take any more; in the caller's transaction or none. */
int activations_answered(struct station *s, const struct private_people *people, struct err *err);

/* One that waits. */
struct activation_waiting {
	char id[17];
	char account[ACCOUNT_NAME];
	bool posted; /* some depot has it */
};
/** station_activations(s, each, arg, err): in the order in which they were asked for.  A value
 * other than 0 ends the walk and is returned. */
int station_activations(struct station *s,
			int (*each)(void *arg, const struct activation_waiting *a, struct err *err),
			void *arg, struct err *err);

/** activations_forget(s, err): all of them, with their requests in the outbox, in the caller's
 * transaction. */
int activations_forget(struct station *s, struct err *err);

#endif
