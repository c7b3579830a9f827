/* SPDX-License-Identifier: ISC */
/*
 * The list of changes, the only metadata of a bundle: one line each, strictly ascending by path.
 * Source: docs/FORMAT.md section 6; schemas/changes.abnf.
 */
#ifndef SATCHEL_CORE_FORMAT_BUNDLE_CHANGES_H
#define SATCHEL_CORE_FORMAT_BUNDLE_CHANGES_H

#include "core/base/digest.h"
#include "core/format/bundle/path.h"

enum change_op {
	CHANGE_PUT,
	CHANGE_PATCH,
	CHANGE_COPY,
	CHANGE_LINK,
	CHANGE_DIRECTORY,
	CHANGE_META,
	CHANGE_DELETE,
	CHANGE_OPS
};
enum entry_kind { ENTRY_FILE = 'f', ENTRY_LINK = 'l', ENTRY_DIRECTORY = 'd' };

extern const char *const change_names[CHANGE_OPS]; /* "put", "patch", ... */

#define OWNER_MAX 130 /* "user:group", two names of at most 64 bytes, NUL */

struct change {
	enum change_op op;
	enum entry_kind kind;        /* of the path afterwards; for delete, before */
	uint16_t mode;               /* permission bits */
	char owner[OWNER_MAX];       /* "-" or "user:group", decoded */
	uint64_t size;               /* put, patch, copy: bytes */
	int64_t mtime;               /* nanoseconds since 1970 UTC */
	struct digest digest;        /* put, patch, copy: of the new content */
	struct digest old;           /* patch: of the old content */
	uint64_t patch;              /* patch: its number, from 1 */
	bool source_new;             /* copy: the source is in this bundle, not in the base */
	char source[LIMIT_PATH + 1]; /* copy: decoded path */
	char target[LIMIT_LINK + 1]; /* link: decoded target */
	char path[LIMIT_PATH + 1];   /* decoded, passed path_check */
};

/** change_format(c, ret, err): append its line, with the newline. */
int change_format(const struct change *c, struct buf *ret, struct err *err);
/** change_parse(line, ret, err): one line without its newline; everything canonical.  RC_MALFORMED,
 * RC_PATH, RC_LIMIT. */
int change_parse(struct bytes line, struct change *ret, struct err *err);

/**
 * A reader over the whole list, fed in pieces of any size, in constant memory: order, duplicates,
 * line length, numbers of patches and the last newline are checked.
 * changes_reader_new(each, arg, ret, err): ${each} is called for every complete line; the change
 * is borrowed for the call.
 * changes_add_bytes(r, in, err): the next piece.  A refusal, also a negative result of ${each}, is
 * final.
 * changes_end(r, err): after the last piece; RC_MALFORMED when a line is not complete.
 * changes_reader_freep(r): release ${*r}, which becomes NULL; NULL is fine.
 * Errors: those of change_parse, with the number of the line.
 */
struct changes_reader;
int changes_reader_new(int (*each)(void *arg, const struct change *c, struct err *err), void *arg,
		       struct changes_reader **ret, struct err *err);
int changes_add_bytes(struct changes_reader *r, struct bytes in, struct err *err);
int changes_end(struct changes_reader *r, struct err *err);
void changes_reader_freep(struct changes_reader **r);

#endif
