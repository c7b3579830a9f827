/* SPDX-License-Identifier: ISC */
/*
 * Shared by index.c (rows), index_read.c (cursor, walk, find) and index_seal.c (digests), and by
 * the scan, which merges a cursor with a directory on disk.
 *
 *   tree            one row for each tree; its id is the `tree` of all other rows
 *   tree_entry      one row for each entry, the children of a directory side by side in byte order;
 *                   `number` is a directory's own number, the root's is 0; `sealed` is what a seal
 *                   found below it
 *   tree_content    one row for each file: the first bytes of its digest, and where it is
 *   tree_directory  one row for each directory but the root: the way up, and whether what was
 *                   sealed is out of date.  A dirty directory has only dirty ones above it; the
 * root is dirty while tree.sealed is NULL.
 */
#ifndef SATCHEL_CORE_TREE_INDEX_INTERNAL_H
#define SATCHEL_CORE_TREE_INDEX_INTERNAL_H

#include "core/tree/index.h"

#define INDEX_ROOT 0

/* A directory on the way from the root to the one that was used last. */
struct index_level {
	int64_t number; /* of the directory */
	size_t end;     /* length of its path */
	bool dirty;     /* known to be marked dirty, and so is everything above */
};

struct index {
	struct db *db; /* borrowed */
	int64_t tree;
	bool content; /* tree_content is kept up to date */
	size_t depth; /* of the cached directory; level[0] is the root */
	struct index_level level[LIMIT_DEPTH + 1];
	char path[LIMIT_PATH + 1]; /* of the cached directory */
};

/** index_directory(x, path, n, ret, err): number of the directory of these ${n} bytes: 1 found, 0
 * none. */
int index_directory(struct index *x, const char *path, size_t n, int64_t *ret, struct err *err);

/* Where a digest begins in a packed entry, and how much of it tree_content keeps. */
#define ENTRY_DIGEST_AT 20
#define CONTENT_KEY     8
#define ENTRY_CONTENT   "substr(entry, 21, 8)" /* the same in SQL, which counts from 1 */

/* What a seal found below a directory. */
struct sealed {
	struct digest digest;
	uint64_t entries, bytes; /* below it; bytes of files */
};
#define SEALED_BYTES (DIGEST_BYTES + 16)
/** sealed_pack(p, s): digest, then both numbers as LE 64-bit, as the column `sealed` has it. */
void sealed_pack(uint8_t p[SEALED_BYTES], const struct sealed *s);
/** sealed_unpack(b, ret): false, and zeros, when it was not sealed yet. */
bool sealed_unpack(struct bytes b, struct sealed *ret);

/* Columns of every query that reads entries. */
#define ENTRY_COLUMNS "name, entry, number, sealed"

/** row_read(st, ret, ret_number, ret_sealed, err): the current row without its name.  The last two
 * are a directory's (INDEX_ROOT for other entries). */
int row_read(sqlite3_stmt *st, struct entry *ret, int64_t *ret_number, struct sealed *ret_sealed,
	     struct err *err);

/** sealed_root(x, ret, err): what the last seal found: 1, or 0 when it is out of date. */
int sealed_root(struct index *x, struct sealed *ret, struct err *err);

/**
 * A cursor over the children of one directory after another.  It can leave a directory and come
 * back to the place after a name, so that a walk needs one statement however deep it goes.  One
 * cursor of a database is open at a time.
 */
struct cursor {
	struct index *x;      /* borrowed */
	sqlite3_stmt *st;     /* owned; a statement of the database's cache */
	sqlite3_stmt *held;   /* owned; keeps the database open for reading */
	bool row;             /* there is a current row */
	struct entry e;       /* of it */
	int64_t number;       /* its directory number, or INDEX_ROOT when it is none */
	struct sealed sealed; /* of a directory */
	size_t name_n;
	char name[LIMIT_NAME + 1];
};

/**
 * cursor_open(c, x, err): ${c} is of the caller, on no directory yet (cursor_seek).  Errors: those
 * of db_query.  cursor_close is due after a failure as well.
 * cursor_close(c): give both statements back; for OWNED.
 */
int cursor_open(struct cursor *c, struct index *x, struct err *err);
void cursor_close(struct cursor *c);
/** cursor_seek(c, dir, after, err): the first child of directory ${dir} whose name is above
 * ${after} ("" for the first); cursor_next(c, err): the one after.  c->row tells whether there is
 * one. */
int cursor_seek(struct cursor *c, int64_t dir, const char *after, struct err *err);
int cursor_next(struct cursor *c, struct err *err);

#endif
