/* SPDX-License-Identifier: ISC */
/* Two generations of a tree, and workstations that are at one of them. */
#ifndef SATCHEL_TESTS_SUPPORT_APPLY_PAIR_H
#define SATCHEL_TESTS_SUPPORT_APPLY_PAIR_H

#include "tests/support/apply_tree.h"

/** The two bundles, made once, and what the tree is after each. */
struct pair {
	struct world made;
	struct made_bundle b[2];
	struct digest tree[2];
	struct db *model[2];
};

static inline void pair_make(struct pair *p)
{
	static const struct db_schema *const rooms[] = {&index_schema};
	static const struct db_layout model = {.application_id = 1, .room = rooms, .rooms = 1};
	struct maker m = {0};
	char path[SCRATCH_PATH + 32];

	world_make(&p->made);
	make_first(&m);
	bundle_make(&p->made, &m, 0, 1, &p->b[0]);
	p->tree[0] = p->made.tree;
	OK(&p->made, db_exec(p->made.model, "PRAGMA wal_checkpoint(TRUNCATE)", &p->made.err));
	cr_assert_eq(scratch_run(p->made.dir, "cp model.db model1.db"), 0);
	snprintf(path, sizeof(path), "%s/model1.db", p->made.dir);
	OK(&p->made, db_open(path, &model, &p->model[0], &p->made.err));
	make_second(&m);
	bundle_make(&p->made, &m, 1, 2, &p->b[1]);
	p->tree[1] = p->made.tree;
	p->model[1] = p->made.model;
}

static inline void pair_clear(struct pair *p)
{
	db_free(p->model[0]);
	buf_clear(&p->b[0].blocks);
	buf_clear(&p->b[1].blocks);
	world_clear(&p->made);
}

/** A workstation of its own, with the bundles of the pair. */
static inline void station_make(struct world *w, const struct pair *p)
{
	char from[2 * SCRATCH_PATH], to[2 * SCRATCH_PATH];

	world_make(w);
	for (size_t i = 0; i < ARRAY_LEN(p->b); i++) {
		snprintf(from, sizeof(from), "%s/depot/%s", p->made.dir, p->b[i].path);
		snprintf(to, sizeof(to), "%s/depot/%s", w->dir, p->b[i].path);
		cr_assert_eq(link(from, to), 0);
	}
}

/** Look with the model of the generation that is applied. */
static inline void station_check(struct world *w, const struct pair *p)
{
	struct db *own = w->model;
	struct applied now;

	OK(w, applied_load(&w->s, "office", &now, &w->err));
	cr_assert(now.generation == 1 || now.generation == 2);
	w->generation = now.generation;
	w->tree = p->tree[now.generation - 1];
	w->model = p->model[now.generation - 1];
	world_check(w);
	w->model = own;
}

/** Reopen the database of a station whose run was in a child. */
static inline int station_reopen(struct world *w)
{
	char path[SCRATCH_PATH + 32];

	snprintf(path, sizeof(path), "%s/state/state.db", w->dir);
	return db_open(path, world_layout(), &w->s.db, &w->err);
}

static inline void station_open_again(struct world *w)
{
	OK(w, station_reopen(w));
}

#endif
