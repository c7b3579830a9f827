/* SPDX-License-Identifier: ISC */
/*
 * What can be undone: rows that say, for each generation that was applied, what every path held
 * before it, and in which directory of ours the old contents lie.  Apply writes them in the
 * transaction that ends a run, and reads them to go back or to repair (applier/apply/apply_past.c).
 *
 *   undo_step    one row for each generation that can be left again: where it came from, and where
 *                what it took out lies
 *   undo_entry   what a path was before that step
 *   undo_intent     what an unfinished run of a tree is: a step back, or a repair
 *   undo_floor   trees that hold less than the highest generation that they ever accepted
 */
#ifndef SATCHEL_APPLIER_UNDO_UNDO_H
#define SATCHEL_APPLIER_UNDO_UNDO_H

#include "applier/station/station.h"
#include "core/tree/index.h"

extern const struct db_schema undo_schema;

/* A generation of a tree: in rows that have nothing to do with what is applied. */
struct undo_generation {
	uint64_t epoch, generation;
	struct digest tree;
};

#define UNDO_AREA 128 /* bytes of the name of a directory of ours, with NUL */

struct undo_step {
	int64_t id;
	struct undo_generation from; /* what was held before */
	struct undo_generation to;   /* what it led to */
	struct digest salt;          /* keys the digest of from; all zero: nothing */
	char staged[UNDO_AREA]; /* name of the area while it waits for its own; "": it has it */
	char area[UNDO_AREA];   /* name of the area */
	char mark[64];          /* what tells that it is ours */
	bool inside;            /* the target; else beside it */
	bool rest;              /* from was the end of a way, not one on it */
	bool gone;              /* it was gone back over: only its area is left, to be removed */
	uint64_t bytes;         /* of the contents in it */
	int64_t at;             /* seconds since 1970 */
};

/**
 * undo_add(s, tree, step, err): a step; step->id is set.  undo_add_entry(s, id, path, e, op, err):
 * ${path} was ${e} before it (NULL: nothing), and its content was taken out by operation ${op} (0:
 * it was not).  Both in the caller's transaction.
 * undo_bytes(s, id, bytes, err): what its contents amount to.
 */
int undo_add(struct station *s, const char *tree, struct undo_step *step, struct err *err);
int undo_add_entry(struct station *s, int64_t id, const char *path, const struct entry *e,
		   uint32_t op, struct err *err);
int undo_bytes(struct station *s, int64_t id, uint64_t bytes, struct err *err);
/** undo_settled(s, id, err): its area has its own name. */
int undo_settled(struct station *s, int64_t id, struct err *err);
/** undo_newest(s, tree, before, ret, err): the newest step of ${tree} whose id is below ${before}
 * (0: of all) and that was not gone back over: 1, or 0 when there is none. */
int undo_newest(struct station *s, const char *tree, int64_t before, struct undo_step *ret,
		struct err *err);
/** undo_waiting(s, tree, ret, err): a step whose area has no name of its own yet: 1, or 0. */
int undo_waiting(struct station *s, const char *tree, struct undo_step *ret, struct err *err);
/** undo_drop(s, id, err): a step with its entries; its area was removed before.  undo_over(s, tree,
 * id, err): all from ${id} on were gone back over, and all up to it when ${id} is 0.
 * undo_over_next(s, tree, ret, err): one that was: 1, or 0 when there is none. */
int undo_drop(struct station *s, int64_t id, struct err *err);
int undo_over(struct station *s, const char *tree, int64_t id, struct err *err);
int undo_over_next(struct station *s, const char *tree, struct undo_step *ret, struct err *err);

/** undo_each(s, tree, id, each, arg, err): what every path was before step ${id}, ascending: of a
 * path that several steps changed, what it was before the oldest of them.  ${e} NULL: nothing.
 * The operation is that which took its content out.  Anything but 0 ends it and is returned. */
int undo_each(struct station *s, const char *tree, int64_t id,
	      int (*each)(void *arg, const char *path, const struct entry *e, struct err *err),
	      void *arg, struct err *err);
/** undo_slots(s, id, n, err): did operation ${n} of step ${id} take out a content?  1, 0. */
int undo_slots(struct station *s, int64_t id, uint32_t n, struct err *err);
/** undo_content(s, tree, digest, n, ret, ret_op, err): the ${n}-th place, from 0, where this
 * content may lie: 1 with the step and the operation, 0 when there is none. */
int undo_content(struct station *s, const char *tree, const struct digest *digest, unsigned n,
		 struct undo_step *ret, uint32_t *ret_op, struct err *err);

/* What an unfinished run is, besides a bundle that is applied. */
enum undo_intent { UNDO_FORWARD, UNDO_BACK, UNDO_REPAIR };
/** undo_intent_put(s, tree, intent, step, why, err): in the transaction that begins the run;
 * UNDO_FORWARD ends it.  ${step}: back to before it. undo_intent_load(s, tree, ret_step, why, size,
 * err): its way. */
int undo_intent_put(struct station *s, const char *tree, enum undo_intent intent, int64_t step,
		    const char *why, struct err *err);
int undo_intent_load(struct station *s, const char *tree, int64_t *ret_step, char *why, size_t size,
		     struct err *err);

/* The floor against replay: the highest generation that was ever accepted of a tree that holds an
 * older one now.  Only something later is applied to it. */
struct undo_floor {
	struct undo_generation accepted;
	char why[512]; /* that was left again; "": it may be applied again */
	int64_t at;    /* seconds since 1970 */
};
/** undo_floor_load(s, tree, ret, err): 1 there is one, 0: what is held is the highest.
 * undo_floor_put(s, tree, f, err), undo_floor_drop(s, tree, err): in the caller's transaction. */
int undo_floor_load(struct station *s, const char *tree, struct undo_floor *ret, struct err *err);
int undo_floor_put(struct station *s, const char *tree, const struct undo_floor *f,
		   struct err *err);
int undo_floor_drop(struct station *s, const char *tree, struct err *err);

/* A generation whose health is not known yet: ${from} is where to go back to. */
/** undo_health_put(s, tree, from, err): before the first bundle of a way is applied.
 * undo_health_load(s, tree, ret, err): 1, 0.  undo_health_drop(s, tree, err): it is known. */
int undo_health_put(struct station *s, const char *tree, const struct undo_generation *from,
		    struct err *err);
int undo_health_load(struct station *s, const char *tree, struct undo_generation *ret,
		     struct err *err);
int undo_health_drop(struct station *s, const char *tree, struct err *err);

/** undo_forget(s, tree, err): all of it; NULL: of every tree.  In the caller's transaction. */
int undo_forget(struct station *s, const char *tree, struct err *err);

#endif
