/* SPDX-License-Identifier: ISC */
/*
 * Filling the staging area: what apply_fill.c (contents of the bundle, metadata of directories) and
 * apply_copy.c (contents from elsewhere) share.
 */
#ifndef SATCHEL_APPLIER_APPLY_APPLY_FILL_H
#define SATCHEL_APPLIER_APPLY_APPLY_FILL_H

#include "applier/apply/apply_internal.h"

struct fill {
	struct apply *a;                /* borrowed */
	struct reader *r;               /* borrowed */
	struct pool *pool;              /* owned */
	struct arena *arena;            /* owned: the stream's present one */
	size_t from, to;                /* bytes of the stream in it that were not used yet */
	struct line_reader line_reader; /* owned */
	struct change *c;               /* owned; of the present line */
	uint64_t line;                  /* its number */
	struct dirs dirs;               /* of the staging area */
	uint32_t root_op;               /* the new directory that lines are below: its operation */
	char root[LIMIT_PATH + 1];      /* and path */
	uint64_t files, bytes;          /* done */
	unsigned round;                 /* of the copies */
	uint64_t tried;                 /* in it: lines that had no content yet */
	struct seals *seals;            /* owned; directories that wait for their metadata */
};

/** fill_each(f, words, each, err): lines that begin with one of ${words}; NULL: all of them. */
int fill_each(struct fill *f, const char *const *words,
	      int (*each)(struct fill *f, struct err *err), struct err *err);
/** fill_root(f, l, err): the new directory that line ${l} is staged in, into root. */
int fill_root(struct fill *f, const struct line *l, struct err *err);
/** fill_want(f, ret, err): what the present line's file should be. */
int fill_want(struct fill *f, struct file_spec *ret, struct err *err);
/** fill_place(f, staged, ret_name, err): directory and name where the present line is staged; the
 * directory is made when no line does. */
int fill_place(struct fill *f, char staged[LIMIT_PATH + 32], const char **ret_name,
	       struct err *err);
/** base_of(f, err): size, digest and target of the present line's path as the base has them, into
 * the line; for one that only changes metadata. */
int base_of(struct fill *f, struct err *err);
/**
 * The stream of a bundle: fill_header(f, err): of the member that belongs to the present line, a
 * put; then fill_content(f, err): its content, to where the present line is staged, or nowhere when
 * nobody asked for it; or fill_skip(f, err): past it.  fill_end(f, err): nothing comes after it,
 * and all of it was good.
 */
int fill_header(struct fill *f, struct err *err);
int fill_content(struct fill *f, struct err *err);
int fill_skip(struct fill *f, struct err *err);
int fill_end(struct fill *f, struct err *err);
/** fill_done(f, bytes): one more file. */
void fill_done(struct fill *f, uint64_t bytes);

/** join_fill(f, err): the contents of all of several bundles, each by a reader of its own. */
int join_fill(struct fill *f, struct err *err);

/** copies_fill(f, err): after all contents of the bundle have come. */
int copies_fill(struct fill *f, struct err *err);

#endif
