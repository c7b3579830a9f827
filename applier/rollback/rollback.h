/* SPDX-License-Identifier: ISC */
/*
 * Rollback: a channel of this machine goes back to a generation that it held before, without a
 * depot.  What it left stays the floor: only something later is applied from then on.
 */
#ifndef SATCHEL_APPLIER_ROLLBACK_ROLLBACK_H
#define SATCHEL_APPLIER_ROLLBACK_ROLLBACK_H

#include "applier/apply/apply.h"

struct rollback_result {
	uint64_t from, to; /* generations */
};

/**
 * rollback_tree(s, tree, generation, why, ret, err): back to ${generation}; 0: the one before what
 * is held.  ${why} is a sentence for people and receipts.  Needs STATION_LOCK.  Errors: RC_USAGE:
 * no such channel here; RC_ABSENT: that generation was not kept, or a content of it is gone;
 * RC_POLICY: a private channel; and those of apply_local.
 */
int rollback_tree(struct station *s, const char *tree, uint64_t generation, const char *why,
		  struct rollback_result *ret, struct err *err);
/** rollback_where(s, tree, generation, ret, err): where that would go; errors as rollback_tree. */
int rollback_where(struct station *s, const char *tree, uint64_t generation,
		   struct undo_generation *ret, struct err *err);
/** rollback_again(s, tree, err): what was left may be applied again by the next sync: its owner has
 * corrected what was wrong here.  RC_USAGE: nothing was left. */
int rollback_again(struct station *s, const char *tree, struct err *err);
/** rollback_kept(s, tree, each, arg, err): the generations that can come back, newest first;
 * anything but 0 ends it and is returned. */
int rollback_kept(struct station *s, const char *tree,
		  int (*each)(void *arg, const struct undo_step *step, struct err *err), void *arg,
		  struct err *err);

#endif
