/* SPDX-License-Identifier: ISC */
/* A workstation at the second of two generations, which keeps what it was before. */
#ifndef SATCHEL_TESTS_SUPPORT_APPLY_KEPT_H
#define SATCHEL_TESTS_SUPPORT_APPLY_KEPT_H

#include "applier/rollback/rollback.h"
#include "tests/support/apply_pair.h"

/** A workstation that keeps what it was, at generation 2. */
static inline void kept_make(struct world *w, const struct pair *p)
{
	struct tree_place place = {.tree = "office", .rootfd = -1};
	char root[SCRATCH_PATH + 16], path[SCRATCH_PATH + 32];

	station_make(w, p);
	snprintf(root, sizeof(root), "%s/root", w->dir);
	snprintf(path, sizeof(path), "%s/root/srv/office", w->dir);
	w->s.root = strdup(root);
	w->s.undo_keep = 2;
	w->s.undo_bytes = UNDO_BYTES;
	place.path = path;
	OK(w, tree_place_put(&w->s, &place, &w->err));
	OK(w, world_try(w, &p->b[0], 0));
	OK(w, world_try(w, &p->b[1], 0));
}

static inline void kept_clear(struct world *w)
{
	free(w->s.root);
	w->s.root = NULL;
	world_clear(w);
}

static inline int kept_back(struct world *w)
{
	struct rollback_result r;

	w->err = (struct err){0};
	return rollback_tree(&w->s, "office", 0, "it was tried", &r, &w->err);
}

/** The tree is that of the generation that is held, and above an older one is the floor. */
static inline void kept_check(struct world *w, const struct pair *p)
{
	struct undo_floor floor;
	int rc = undo_floor_load(&w->s, "office", &floor, &w->err);

	station_check(w, p);
	cr_assert_eq(rc, w->generation == 1, "%s", w->err.text);
	if (rc == 1)
		cr_assert_eq(floor.accepted.generation, 2);
}

#endif
