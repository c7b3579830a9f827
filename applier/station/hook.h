/* SPDX-License-Identifier: ISC */
/*
 * Hooks: programs that the owner of this machine has put into its hooks directory
 * (/etc/satchel/hooks, DIR/hooks), run when something happened.  What they say is bounded, how long
 * they take as well, and what they do is the owner's own business.
 */
#ifndef SATCHEL_APPLIER_STATION_HOOK_H
#define SATCHEL_APPLIER_STATION_HOOK_H

#include "applier/station/station.h"

/* Seconds that a hook may take: enough to restart a service, short of a stuck one. */
#define HOOK_SECONDS 60
/* Bytes of what it says that are kept. */
#define HOOK_OUTPUT 2048

struct hook {
	const char *name;       /* "policy-changed", "command-NAME" */
	const char *const *env; /* "NAME=value", NULL-ended; or NULL: besides PATH and what every
				   hook is told */
	int seconds;
};

/**
 * hook_run(s, h, ret_output, err):
 * 1: it ended with 0; 0: the owner has put no such hook there.  ${ret_output} (may be NULL) gets
 * what it said, on one line, escaped.  The program starts in "/", with SATCHEL_HOOK,
 * SATCHEL_HANDOUT and SATCHEL_POLICY in its environment and nothing of ours, reads nothing, and is
 * killed with its whole process group when its time is over.  Errors: RC_POLICY (somebody else than
 * root or this user could write it, or its directory), RC_TYPE, RC_TIMEOUT, RC_CONFLICT (it ended
 * with another status; the sentence says which, and what it said last).
 */
int hook_run(struct station *s, const struct hook *h, struct buf *ret_output, struct err *err);

#endif
