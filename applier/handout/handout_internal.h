/* SPDX-License-Identifier: ISC */
/*
 * One run of hand-out: what its files share.
 */
#ifndef SATCHEL_APPLIER_HANDOUT_HANDOUT_INTERNAL_H
#define SATCHEL_APPLIER_HANDOUT_HANDOUT_INTERNAL_H

#include "applier/handout/handout.h"
#include "applier/station/account.h"
#include "core/base/list.h"

#define HANDOUT_MARK   ".satchel"
#define HANDOUT_POLICY "policy.yaml"
#define HANDOUT_SECRET 32 /* bytes of a version of a key */

/* Names of one user's files: for each key its name, its current version and 100 older ones. */
#define HANDOUT_FILE (5 + WORD_NAME + 21) /* "keys/NAME.VERSION" */

struct handout_file {
	char name[HANDOUT_FILE];   /* below the account's directory */
	char from[WORD_NAME + 40]; /* path in the private tree */
	bool secret;
	struct digest digest; /* of the content */
};

/* What lies, or is to lie, in one account's directory. */
struct handout_dir {
	struct account account;
	LIST(struct handout_file) file; /* ascending by name */
};

struct handout_run {
	struct station *s;      /* borrowed */
	struct private_tree *t; /* borrowed; NULL: nothing is handed out */
	int fd;                 /* owned; the hand-out directory; -1: there is none */
};

/** handout_dir_fill(r, p, withhold, ret, err): what the user ${p} is to have. */
int handout_dir_fill(struct handout_run *r, const struct person *p, bool withhold,
		     struct handout_dir *ret, struct err *err);
/** handout_dir_clear(d). */
void handout_dir_clear(struct handout_dir *d);

/** handout_same(r, d, err): 1 when exactly that lies there, with its owners and modes; 0. */
int handout_same(struct handout_run *r, const struct handout_dir *d, struct err *err);
/** handout_place(r, d, err): make it aside, and exchange.  RC_CONFLICT: something that is no
 * directory has that name. */
int handout_place(struct handout_run *r, const struct handout_dir *d, struct err *err);
/** handout_remove(r, name, err): take an account's directory away. */
int handout_remove(struct handout_run *r, const char *name, struct err *err);
/** handout_sweep(r, err): finish what a killed run left. */
int handout_sweep(struct handout_run *r, struct err *err);

#endif
