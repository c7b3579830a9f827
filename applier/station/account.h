/* SPDX-License-Identifier: ISC */
/*
 * Accounts: the Unix accounts of this machine that users are tied to.
 */
#ifndef SATCHEL_APPLIER_STATION_ACCOUNT_H
#define SATCHEL_APPLIER_STATION_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/format/documents/documents.h"

struct account {
	char name[ACCOUNT_NAME];
	uid_t uid;
	gid_t gid; /* its first group */
};

/** account_find(name, ret, err): RC_PATH when it is no name of an account (it becomes the name of a
 * directory), RC_STATE when this machine has none of that name. */
int account_find(const char *name, struct account *ret, struct err *err);

/** account_mine(a): may this process hand anything to that account?  Root may to every one, others
 * to their own alone. */
bool account_mine(const struct account *a);

/** account_caller(ret, err): who called: behind sudo the account that ran it, else that of this
 * process.  RC_STATE when it has no name. */
int account_caller(struct account *ret, struct err *err);

/**
 * account_user(name, ret, err), account_group(name, ret, err): the number of a user or a group whom
 * something belongs to; any name that the machine may know.  1, 0 there is none of that name.
 * RC_IO: nobody can tell at the moment, which is not the same.
 */
int account_user(const char *name, uint32_t *ret, struct err *err);
int account_group(const char *name, uint32_t *ret, struct err *err);

#endif
