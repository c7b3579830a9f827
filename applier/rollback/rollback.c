/* SPDX-License-Identifier: ISC */
/*
 * The way back: what the database says of every path, step by step, becomes one list of changes,
 * and apply does the rest.  The tree that comes out must have the digest that it had when its
 * bundle was verified, and every content is hashed on its way, so nothing comes back on trust.
 */
#include "applier/rollback/rollback.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "applier/apply/applied.h"
#include "applier/trees/outcome.h"
#include "applier/trees/tree.h"
#include "core/base/own.h"

/* The way from what is held, as far as it hangs together. */
struct back {
	struct station *s;
	const char *tree;
	struct applied held;
	struct undo_step step; /* back to before it */
};

static bool leads_to(const struct undo_step *step, const struct undo_generation *held)
{
	return step->to.epoch == held->epoch && step->to.generation == held->generation &&
	       digest_equal(&step->to.tree, &held->tree);
}

int rollback_kept(struct station *s, const char *tree,
		  int (*each)(void *arg, const struct undo_step *step, struct err *err), void *arg,
		  struct err *err)
{
	struct undo_generation held;
	struct undo_step step;
	struct applied now;
	int64_t before = 0;
	int rc = applied_load(s, tree, &now, err);

	held = (struct undo_generation){now.epoch, now.generation, now.tree};
	while (rc == 0 && (rc = undo_newest(s, tree, before, &step, err)) > 0) {
		if (!leads_to(&step, &held))
			return 0;
		rc = each(arg, &step, err);
		before = step.id;
		held = step.from;
	}
	return rc;
}

/* The list of changes */

struct difference {
	struct index *now; /* borrowed */
	int (*add)(void *to, const struct change *c, struct err *err);
	void *to;
	struct entry is; /* what the index has */
	struct change c;
};

static bool same_content(const struct entry *a, const struct entry *b)
{
	return a->kind == b->kind &&
	       (a->kind == ENTRY_DIRECTORY ||
		(a->kind == ENTRY_LINK
		     ? strcmp(a->target, b->target) == 0
		     : a->size == b->size && digest_equal(&a->digest, &b->digest)));
}

static bool same_meta(const struct entry *a, const struct entry *b)
{
	return (a->kind == ENTRY_LINK || a->mode == b->mode) && a->mtime == b->mtime &&
	       strcmp(a->owner, b->owner) == 0;
}

static void change_of(struct change *c, const char *path, const struct entry *e)
{
	static const enum change_op ops[] = {
	    ['f'] = CHANGE_COPY, ['l'] = CHANGE_LINK, ['d'] = CHANGE_DIRECTORY};

	memset(c, 0, sizeof(*c));
	c->op = ops[e->kind];
	c->kind = e->kind;
	c->mode = e->mode;
	snprintf(c->owner, sizeof(c->owner), "%s", e->owner);
	c->mtime = e->mtime;
	c->size = e->kind == ENTRY_FILE ? e->size : 0;
	c->digest = e->digest;
	snprintf(c->target, sizeof(c->target), "%s", e->kind == ENTRY_LINK ? e->target : "");
	snprintf(c->path, sizeof(c->path), "%s", path);
	if (c->op == CHANGE_COPY)
		snprintf(c->source, sizeof(c->source), "%s", path);
}

static int difference_each(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct difference *d = arg;
	int rc = index_get(d->now, path, &d->is, err);

	if (rc < 0 || (rc == 0 && e == NULL))
		return rc;
	if (e == NULL) {
		change_of(&d->c, path, &d->is);
		d->c.op = CHANGE_DELETE;
	} else {
		change_of(&d->c, path, e);
		if (rc > 0 && same_content(&d->is, e)) {
			if (same_meta(&d->is, e))
				return 0;
			d->c.op = CHANGE_META;
		}
	}
	return d->add(d->to, &d->c, err);
}

static int back_lines(void *arg, struct index *now,
		      int (*add)(void *to, const struct change *c, struct err *err), void *to,
		      struct err *err)
{
	const struct back *b = arg;
	OWNED(freep) struct difference *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_memory(err);
	d->now = now;
	d->add = add;
	d->to = to;
	return undo_each(b->s, b->tree, b->step.id, difference_each, d, err);
}

/* Which step */

struct wanted {
	uint64_t generation; /* 0: the first that comes */
	struct back *back;
	char kept[256]; /* those that there are, for people */
};

static int step_each(void *arg, const struct undo_step *step, struct err *err)
{
	struct wanted *w = arg;
	size_t n = strlen(w->kept);

	(void)err;
	if (step->rest)
		snprintf(w->kept + n, sizeof(w->kept) - n, "%s%" PRIu64, n > 0 ? ", " : "",
			 step->from.generation);
	if (w->generation != 0 ? step->from.generation != w->generation : !step->rest)
		return 0;
	w->back->step = *step;
	return 1;
}

static int back_check(struct back *b, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place place = TREE_PLACE_INIT;
	int rc;

	if (b->tree[0] == '@')
		return err_set(err, RC_POLICY, "a private channel never goes back");
	rc = tree_place_load(b->s, b->tree, &place, err);
	if (rc == 0)
		rc = err_set(err, RC_USAGE,
			     "there is no channel %s on this workstation; satchel status shows "
			     "which there are",
			     b->tree);
	return rc < 0 ? rc : applied_load(b->s, b->tree, &b->held, err);
}

static int step_find(struct back *b, uint64_t generation, struct err *err)
{
	struct wanted w = {.generation = generation, .back = b};
	int rc = rollback_kept(b->s, b->tree, step_each, &w, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (w.kept[0] == '\0')
		return err_set(err, RC_ABSENT,
			       "nothing is kept of an earlier generation of %s; publish a new one "
			       "on the server",
			       b->tree);
	return err_set(err, RC_ABSENT,
		       "generation %" PRIu64 " of %s is not kept here; these are: %s", generation,
		       b->tree, w.kept);
}

int rollback_where(struct station *s, const char *tree, uint64_t generation,
		   struct undo_generation *ret, struct err *err)
{
	struct back b = {.s = s, .tree = tree};
	int rc = back_check(&b, err);

	if (rc == 0)
		rc = step_find(&b, generation, err);
	if (rc == 0)
		*ret = b.step.from;
	return rc;
}

static int back_apply(struct back *b, const char *why, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place place = TREE_PLACE_INIT;
	struct apply_target target = {.rootfd = -1};
	struct apply_local l = {.epoch = b->step.from.epoch,
				.generation = b->step.from.generation,
				.tree = b->step.from.tree,
				.salt = b->step.salt,
				.intent = UNDO_BACK,
				.step = b->step.id,
				.why = why,
				.lines = back_lines,
				.arg = b,
				.contentfd = -1};
	int rc = tree_place_load(b->s, b->tree, &place, err);

	if (rc > 0)
		rc = tree_place_target(b->s, &place, &target, err);
	else if (rc == 0)
		rc = err_set(err, RC_ABSENT, "%s was never applied here", b->tree);
	if (rc < 0)
		return rc;
	/* To put nothing back because somebody changed a file would leave what does not work. */
	if (target.local == LOCAL_FAIL)
		target.local = LOCAL_REPLACE;
	return apply_local(b->s, &l, &target, NULL, err);
}

static int outcome_back(const struct back *b, const char *why, struct err *err)
{
	struct outcome o = {.result = TREE_FAILED, .wanted = b->held.generation};
	char text[768];

	snprintf(text, sizeof(text), "%s: %s", rc_slug(RC_ROLLED_BACK), why);
	err_escape(o.reason, sizeof(o.reason), text);
	return outcome_put(b->s, b->tree, &o, err);
}

int rollback_tree(struct station *s, const char *tree, uint64_t generation, const char *why,
		  struct rollback_result *ret, struct err *err)
{
	struct back b = {.s = s, .tree = tree};
	int rc;

	rc = tree_recover(s, tree, err);
	if (rc >= 0)
		rc = back_check(&b, err);
	if (rc == 0)
		rc = step_find(&b, generation, err);
	if (rc == 0)
		rc = back_apply(&b, why, err);
	if (rc == 0)
		rc = outcome_back(&b, why, err);
	if (rc < 0)
		return err_prefix(err, "channel %s stays at generation %" PRIu64, tree,
				  b.held.generation);
	*ret = (struct rollback_result){b.held.generation, b.step.from.generation};
	return 0;
}

int rollback_again(struct station *s, const char *tree, struct err *err)
{
	struct undo_floor floor;
	int rc = undo_floor_load(s, tree, &floor, err);

	if (rc == 0)
		return err_set(err, RC_USAGE,
			       "channel %s was not rolled back here: satchel apply applies what is "
			       "new",
			       tree);
	if (rc < 0)
		return rc;
	floor.why[0] = '\0';
	return undo_floor_put(s, tree, &floor, err);
}
