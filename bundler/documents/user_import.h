/* SPDX-License-Identifier: ISC */
/*
 * Users from a table of comma-separated values: what would change is told row by row, and all of it
 * is done or nothing.
 *
 * The first row names the columns: email, and any of name, group, licence, extra-keys,
 * withheld-keys, state, in any order.  A column that is not there leaves what a user has; an empty
 * cell of one that is there is empty.  Lists of keys have blanks between.
 */
#ifndef SATCHEL_BUNDLER_DOCUMENTS_USER_IMPORT_H
#define SATCHEL_BUNDLER_DOCUMENTS_USER_IMPORT_H
#include "bundler/documents/site_model.h"

enum import_what { IMPORT_ADDED, IMPORT_CHANGED, IMPORT_SAME, IMPORT_REFUSED };

struct import_change {
	const char *field;     /* as in the document */
	const char *old, *now; /* borrowed; "" for none */
};

/* What one row says. */
struct import_row {
	unsigned line;     /* of the file, from 1 */
	const char *email; /* borrowed */
	enum import_what what;
	const struct import_change *change; /* borrowed; of an added user: what it gets */
	size_t changes;
	const char *why; /* borrowed; of a refused one */
};

struct import_counts {
	uint64_t added, changed, same, refused;
};

enum import_flags {
	IMPORT_UPDATE = 1 << 0, /* rows may change users that are there */
	IMPORT_DRY_RUN = 1 << 1,
};

/**
 * user_import(s, in, flags, each, arg, ret, err): ${each} is called for every row, in order, before
 * anything is written; ${ret} is filled in also when it fails.  Errors: RC_MALFORMED (the file,
 * with the line), RC_POLICY when a row is refused, or all rows together are (too few seats).
 */
int user_import(struct site *s, struct bytes in, enum import_flags flags,
		void (*each)(void *arg, const struct import_row *row), void *arg,
		struct import_counts *ret, struct err *err);

#endif
