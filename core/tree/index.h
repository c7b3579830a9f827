/* SPDX-License-Identifier: ISC */
/*
 * The index: what a channel's tree holds, as rows of the own database, on either side.  Rows are
 * keyed by (tree, directory, name), so that a directory's children lie together: reading one
 * directory, and updating the Merkle digest after a change, cost what the directory costs.
 * Source of the digest: docs/FORMAT.md section 7.
 */
#ifndef SATCHEL_CORE_TREE_INDEX_H
#define SATCHEL_CORE_TREE_INDEX_H

#include "core/format/bundle/changes.h"
#include "core/os/db.h"

/* SQL that makes the tables; part of the migrations of both databases. */
extern const struct db_schema index_schema;

struct entry {
	enum entry_kind kind;
	uint16_t mode;
	char owner[OWNER_MAX]; /* "-" or "user:group" */
	uint64_t size;         /* files: bytes; links: length of the target */
	int64_t mtime;         /* nanoseconds, as published */
	struct digest digest;  /* content; target bytes; directory digest (kept by index_seal) */
	char target[LIMIT_LINK + 1]; /* links */
	/* What stat said when the content was hashed or placed; all zero when not known. */
	uint64_t dev, ino;
	int64_t disk_mtime, ctime; /* nanoseconds */
};

/*
 * Owned: one tree of one database, with a cache of directory numbers.  Open one at a time for a
 * tree, before db_free; after a rollback free it, for what it remembers may not be there any more.
 */
struct index;

/** index_open(db, tree, ret, err): the tree called ${tree}, made empty when it is not there. */
int index_open(struct db *db, const char *tree, struct index **ret, struct err *err);
/**
 * index_free(x), index_freep(x): forget the cache; the rows stay.  NULL is fine; index_free
 * returns NULL.
 */
struct index *index_free(struct index *x);
void index_freep(struct index **x);

/** index_get(x, path, ret, err): 1 found, 0 not there, negative. */
int index_get(struct index *x, const char *path, struct entry *ret, struct err *err);
/** index_put(x, path, e, err): insert or replace; the parent must be there as a directory
 * (RC_STATE). Marks the way up as changed. A directory that replaces a directory keeps its
 * children; anything else that replaces a directory needs it empty. */
int index_put(struct index *x, const char *path, const struct entry *e, struct err *err);
/** index_remove(x, path, err): the entry; a directory must be empty. */
int index_remove(struct index *x, const char *path, struct err *err);
/** index_clear(x, err): back to the empty tree.  index_drop(db, tree, err): the tree and its name.
 */
int index_clear(struct index *x, struct err *err);
int index_drop(struct db *db, const char *tree, struct err *err);
/** index_drop_all(db, err): every tree, in the caller's transaction; no index is open. */
int index_drop_all(struct db *db, struct err *err);

/** index_seal(x, ret, err): recompute the digests of the directories that changed, bottom-up; the
 * tree's digest, keyed with its salt when it has one.  Cost: the rows of these directories. */
int index_seal(struct index *x, struct digest *ret, struct err *err);
/** index_salt(x, salt, err): what keys the digest of the tree from now on; all zero: nothing.  A
 * tree that is made or cleared has none. */
int index_salt(struct index *x, const struct digest *salt, struct err *err);
/** index_salted(x, ret, err): what keys it; all zero: nothing. */
int index_salted(struct index *x, struct digest *ret, struct err *err);

/** index_children(x, dir, each, arg, err): in byte order of name; ${dir} "" is the root. The index
 * must not change meanwhile. */
int index_children(struct index *x, const char *dir,
		   int (*each)(void *arg, const char *name, const struct entry *e, struct err *err),
		   void *arg, struct err *err);
/** index_walk(x, each, arg, err): every entry, ascending path, directories before what they hold.
 */
int index_walk(struct index *x,
	       int (*each)(void *arg, const char *path, const struct entry *e, struct err *err),
	       void *arg, struct err *err);
/** index_find(x, digest, dst, err): a path of a file with this content: 1 found, 0 none.  The first
 * one asked of a tree makes the list of contents, which is kept up to date from then on. */
int index_find(struct index *x, const struct digest *digest, char dst[LIMIT_PATH + 1],
	       struct err *err);
/** index_find_next(x, digest, n, dst, err): the ${n}-th such path, from 0. */
int index_find_next(struct index *x, const struct digest *digest, unsigned n,
		    char dst[LIMIT_PATH + 1], struct err *err);
/** index_counts(x, ret_entries, ret_bytes, err): all entries; bytes of files.  At no cost after
 * index_seal, else a walk. */
int index_counts(struct index *x, uint64_t *ret_entries, uint64_t *ret_bytes, struct err *err);

#endif
