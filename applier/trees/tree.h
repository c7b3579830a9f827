/* SPDX-License-Identifier: ISC */
/*
 * Trees: where each of them lies on this machine, how it came out, where the disk drifted from it,
 * and how it is left.
 */
#ifndef SATCHEL_APPLIER_TREES_TREE_H
#define SATCHEL_APPLIER_TREES_TREE_H

#include "applier/apply/apply.h"
#include "applier/station/station.h"

extern const struct db_schema station_tree_schema;

/* Where a tree lies. */
struct tree_place {
	char *path; /* owned; on this machine */
	int rootfd; /* owned; -1 until tree_place_target */
	bool owners, special_modes;
	bool remove;        /* its files go when it is left */
	struct digest head; /* of the generation that is applied; zero when not known */
	const char *tree;   /* borrowed */
};
#define TREE_PLACE_INIT      \
	{                    \
		.rootfd = -1 \
	}
/** tree_place_load(s, tree, ret, err): 1 known, 0 not; ${ret} is cleared by the caller and borrows
 * ${tree}. */
int tree_place_load(struct station *s, const char *tree, struct tree_place *ret, struct err *err);
/** tree_place_put(s, p, err): so that recovery and leaving find it. */
int tree_place_put(struct station *s, const struct tree_place *p, struct err *err);
/** tree_place_clear(p): fine for one that was cleared before. */
void tree_place_clear(struct tree_place *p);
/** tree_place_target(s, p, ret, err): opens the root; ${ret} borrows from ${p}.  RC_IO. */
int tree_place_target(struct station *s, struct tree_place *p, struct apply_target *ret,
		      struct err *err);
/** tree_private_target(s): where the private channel lies; it has no place of its own. */
struct apply_target tree_private_target(const struct station *s);

/** tree_recover(s, tree, err): finish or undo what a killed run left in one tree; 1 when there was
 * something. */
int tree_recover(struct station *s, const char *tree, struct err *err);

/** tree_leave(s, p, err): the tree at ${p} is not ours any more: its files stay or, with ${p}'s
 * remove, go unless somebody changed them; the index is dropped in both cases. */
int tree_leave(struct station *s, struct tree_place *p, struct err *err);
/** tree_past_clear(s, p, err): nothing is kept of its earlier generations any more. */
int tree_past_clear(struct station *s, struct tree_place *p, struct err *err);
/** tree_forget(s, tree, err): drop the index and all that is known of a tree, in one transaction.
 * That it was left is told by receipts. */
int tree_forget(struct station *s, const char *tree, struct err *err);
/** tree_forget_all(s, err): every tree, and that there ever was one, in the caller's transaction.
 * Files stay. */
int tree_forget_all(struct station *s, struct err *err);

/** tree_list(s, ret, err): the names of the trees that have a place, appended to ${ret}. */
int tree_list(struct station *s, struct strings *ret, struct err *err);
/** tree_list_reported(s, ret, err): every channel that has a place, or that a receipt still speaks
 * of. */
int tree_list_reported(struct station *s, struct strings *ret, struct err *err);

#endif
