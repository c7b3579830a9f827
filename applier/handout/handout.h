/* SPDX-License-Identifier: ISC */
/*
 * Hand-out: what people on this machine may read of the private channel, put where they can, each
 * account's in a directory of its own (docs/MODEL.md, "On the workstation").
 *
 *   .satchel            marks the directory as ours: nothing is handed out into another's
 *   policy.yaml         the workstation's effective policy
 *   ACCOUNT/            made aside as .new-ACCOUNT and exchanged by one rename
 *   .old-ACCOUNT        what was taken away, on its way out
 *   .kept-ACCOUNT-HEX   what somebody put into such a directory: nothing of theirs is removed
 *
 * It is made again whenever it differs from what is applied, so a copy that somebody edited does
 * not stay; files beside it that are not ours are left alone.
 */
#ifndef SATCHEL_APPLIER_HANDOUT_HANDOUT_H
#define SATCHEL_APPLIER_HANDOUT_HANDOUT_H

#include "applier/private/private.h"

extern const struct db_schema station_handout_schema;

enum handout_flags {
	HANDOUT_WITHHOLD =
	    1 << 0, /* policies, but no keys: the server has been silent for too long */
	HANDOUT_NOTHING = 1 << 1, /* take everything away */
};

struct handout_counts {
	size_t handed, failed, withheld; /* users */
	struct digest policy;            /* of policy.yaml as it lies there; zero: none */
	struct digest keys;              /* of who can read which keys; zero: nobody any */
};

/**
 * handout(s, t, people, flags, ret, err):
 * Hand out what ${people} say, from the private tree ${t} (may be NULL with HANDOUT_NOTHING, as may
 * ${people}).  How it came out for each user is remembered for the receipt; a user for whom it
 * fails (no such account, something foreign in the way) does not stop the others.  After a kill at
 * any instruction each account has the old directory or the new one; where the file system cannot
 * exchange, perhaps none until the next run.  Errors: RC_POLICY (the directory is not ours, or open
 * to others), RC_IO, RC_SPACE, RC_STATE.
 */
int handout(struct station *s, struct private_tree *t, const struct private_people *people,
	    enum handout_flags flags, struct handout_counts *ret, struct err *err);

/** handout_users(s, each, arg, err): how the last one came out, ascending by e-mail.  A value other
 * than 0 ends the walk and is returned. */
int handout_users(struct station *s,
		  int (*each)(void *arg, const struct receipt_user *u, struct err *err), void *arg,
		  struct err *err);

/** handout_forget(s, err): how it came out for anybody, in the caller's transaction. */
int handout_forget(struct station *s, struct err *err);

#endif
