/*
 * Who the private channels carry.  Written with every private generation that is made, so that
 * status knows since when a workstation that confirms one has given up what a user had there.
 */
#ifndef SATCHEL_BUNDLER_CARRIED_H
#define SATCHEL_BUNDLER_CARRIED_H

#include "core/os/db.h"

extern const char carried_schema_sql[];

/**
 * carried_record(db, id, epoch, generation, email, n, err):
 * This generation of the private channel of workstation ${id} has the users ${email} (ascending)
 * and no others.  In the transaction that makes the generation.
 */
int carried_record(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
		   const char *const *email, size_t n, struct err *err);

#endif
