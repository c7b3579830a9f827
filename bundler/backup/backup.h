/* SPDX-License-Identifier: ISC */
/*
 * The backup of a site in one closed file: its documents and its state, as they were at one moment
 * of the registry.  What the content store holds can be read from the sources again, so it is left
 * out unless somebody wants it.
 */
#ifndef SATCHEL_BUNDLER_BACKUP_BACKUP_H
#define SATCHEL_BUNDLER_BACKUP_BACKUP_H

#include "bundler/documents/site_model.h"

enum backup_flags { BACKUP_CONTENT = 1 << 0 /* the content store as well */ };
struct backup_counts {
	uint64_t files, bytes;
};
/**
 * backup_make(s, path, ask, to, flags, ret, err):
 * A new file ${path}, 0600, closed as envelope_make says; needs no lock, and the site may be at
 * work.  The mark that the doctor looks for is renewed.  Errors: RC_CONFLICT: ${path} is there;
 * those of envelope_make.
 */
int backup_make(struct site *s, const char *path, struct key_ask *ask, const struct key_public *to,
		enum backup_flags flags, struct backup_counts *ret, struct err *err);

struct restore {
	const char *file;             /* the backup */
	const char *dir;              /* where the documents come to: must not be there, or empty */
	const char *state;            /* likewise; NULL: DIR.state */
	struct key_ask *ask;          /* borrowed; for a passphrase */
	const struct key_secret *key; /* borrowed; NULL: none is at hand */
};
/**
 * backup_restore(in, ret, err): everything under temporary names first, then renamed, the state
 * before the documents.  Killed anywhere, it can be called again.  Errors: RC_CONFLICT: there is
 * something; RC_UNTRUSTED, RC_INCOMPLETE, RC_MALFORMED: nothing was made.
 */
int backup_restore(const struct restore *in, struct backup_counts *ret, struct err *err);

#endif
