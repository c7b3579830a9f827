/*
 * Activation: asking the site to make a user active here, tied to a Unix account of this machine.
 * Requests wait in the outbox, beside each other, until the private channel answers them: with the
 * person, or with a refusal.
 */
#ifndef SATCHEL_APPLIER_ACTIVATE_H
#define SATCHEL_APPLIER_ACTIVATE_H

#include "applier/private.h"

/* Requests that wait at once: more people than would type a code on one machine before it is synced
 * again, and fewer than would fill a depot. */
#define ACTIVATIONS_WAITING 64

struct activated {
	char account[ACCOUNT_NAME];
	bool again;     /* it waits already: the same bytes were posted once more */
	size_t depots;  /* that have the request now */
	struct err why; /* of the last depot that could not take it; rc 0: none */
};

/**
 * station_activate(s, code, account, ret, err):
 * ${account} NULL: the caller's (behind sudo the one who called), but never root's.  The same code
 * again for the same account sends the same bytes; for another account it takes the place of what
 * waits.  Errors: RC_USAGE (mistyped, no account said), RC_ADDRESSEE (another site's), RC_EXPIRED
 * (past its day by a clock that can be right; a clock in doubt is left to the server), RC_STATE
 * (not enrolled, no such account), RC_POLICY (without root: another account than one's own),
 * RC_LIMIT.  That no depot is at hand is no error: the request waits.
 */
int station_activate(struct station *s, const char *code, const char *account,
		     struct activated *ret, struct err *err);

/** activations_answered(s, people, err): forget those that ${people} answers, and those that no
 * server would take any more; in the caller's transaction or none. */
int activations_answered(struct station *s, const struct people *people, struct err *err);

/* One that waits. */
struct activation_waiting {
	char id[17];
	char account[ACCOUNT_NAME];
	bool posted; /* some depot has it */
};
int station_activations(struct station *s,
			int (*each)(void *arg, const struct activation_waiting *a, struct err *err),
			void *arg, struct err *err);

#endif
