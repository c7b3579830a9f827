/* SPDX-License-Identifier: ISC */
/*
 * The table of invitations: codes that were given out for a name, open until one machine has
 * enrolled with it.  The secret of a code lies in the registry and nowhere else.
 */
#ifndef SATCHEL_BUNDLER_ENROLMENT_INVITATION_H
#define SATCHEL_BUNDLER_ENROLMENT_INVITATION_H

#include "bundler/documents/site_model.h"

struct invitation {
	char id[17]; /* 16 digits, which requests name */
	char name[WORKSTATION_NAME];
	uint64_t secret;
	int64_t created, expires; /* expires: the first second at which it is not good any more */
	char used_by[WORKSTATION_ID + 1]; /* "" while it is open */
};

/** invitation_put(db, in, err): a new one, which is open. */
int invitation_put(struct db *db, const struct invitation *in, struct err *err);
/** invitation_find(db, id, ret, err): 1 when there is one, or 0. */
int invitation_find(struct db *db, const char *id, struct invitation *ret, struct err *err);
/** invitation_spend(db, in, by, now, err): the workstation ${by} enrolled with it.  Open ones for
 * the same name that are not newer are void: somebody who found one could replace this machine. */
int invitation_spend(struct db *db, const struct invitation *in, const char *by, int64_t now,
		     struct err *err);
/** invitations_void(db, name, err): those that are open; how many there were, or negative. */
int invitations_void(struct db *db, const char *name, struct err *err);
/** invitations_named(db, name, ret, err): how many were ever made for this name. */
int invitations_named(struct db *db, const char *name, uint64_t *ret, struct err *err);

#endif
