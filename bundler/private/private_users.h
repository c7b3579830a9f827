/* SPDX-License-Identifier: ISC */
/*
 * Who the private channels carry.  Written with every private generation that is made, so that
 * status knows since when a workstation that confirms one has given up what a user had there.
 */
#ifndef SATCHEL_BUNDLER_PRIVATE_PRIVATE_USERS_H
#define SATCHEL_BUNDLER_PRIVATE_PRIVATE_USERS_H

#include "bundler/documents/site_model.h"

/**
 * private_users_record(db, id, epoch, generation, email, n, err):
 * This generation of the private channel of workstation ${id} has the users ${email} (ascending)
 * and no others.  In the transaction that makes the generation.
 */
int private_users_record(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
			 const char *const *email, size_t n, struct err *err);

/**
 * private_users_sweep(s, err):
 * Users who were deleted are forgotten where nothing is left to confirm: their workstation says
 * that it holds a generation without them and names them no more, or it is a member no more.
 */
int private_users_sweep(struct site *s, struct err *err);

#endif
