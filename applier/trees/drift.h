/* SPDX-License-Identifier: ISC */
/*
 * Drift: where the disk differs from the index, and no bundle made it so.  A person
 * asks for it, and sync while a tree is known to differ: it looks at every entry, though it reads
 * only files whose stat has changed.
 */
#ifndef SATCHEL_APPLIER_TREES_DRIFT_H
#define SATCHEL_APPLIER_TREES_DRIFT_H

#include "applier/station/station.h"

struct drift_item {
	const char *channel;
	const char *path; /* below the channel's target */
	const char *what; /* "missing", "changed", "replaced", "metadata", "unreadable" */
};

/**
 * station_drift(s, each, arg, ret, err): compare every channel's target with its index; ${ret}
 * counts the differences, ${each} (may be NULL) is told them.  The counts go into the next
 * receipt.  A channel that cannot be looked at is an error, after the others.  Needs STATION_LOCK.
 */
int station_drift(struct station *s,
		  int (*each)(void *arg, const struct drift_item *item, struct err *err), void *arg,
		  uint64_t *ret, struct err *err);

/** drift_tree(s, tree, each, arg, ret, err): the same for one tree. */
int drift_tree(struct station *s, const char *tree,
	       int (*each)(void *arg, const struct drift_item *item, struct err *err), void *arg,
	       uint64_t *ret, struct err *err);

/** drift_again(s, tree, err): the same, untold, for one tree that is known to differ, so that what
 * was put right is known as well; nothing for one that is not. */
int drift_again(struct station *s, const char *tree, struct err *err);
/** drift_check(s, tree, ret, err): the same for any tree: how many entries differ. */
int drift_check(struct station *s, const char *tree, uint64_t *ret, struct err *err);

#endif
