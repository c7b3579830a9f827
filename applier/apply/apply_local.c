/* SPDX-License-Identifier: ISC */
/*
 * A list of changes that no bundle brought: made here, from what the database says that was held,
 * or is to be held.  It goes the way of a bundle from its plan on, so that it can be cut off as
 * well, judges local changes in the same way, and ends at a tree whose digest is known.  Its
 * contents are copies of what lies on this machine, each hashed while it is copied.
 */
#include <string.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"

#define LIST_PIECE (1u << 16)

/** The list while it is made. */
struct listing {
	struct apply *a;
	struct manifest *m; /* borrowed: the bundle that it would be */
	struct buf out;     /* owned */
};

static int list_add_line(void *to, const struct change *c, struct err *err)
{
	struct listing *l = to;

	l->m->count[c->op]++;
	if (c->op == CHANGE_COPY)
		l->m->content += c->size;
	if (change_format(c, &l->out, err) < 0)
		return err->rc;
	if (l->out.n < LIST_PIECE)
		return 0;
	if (changelist_add(&l->a->list, bytes_in(&l->out), err) < 0)
		return err->rc;
	buf_reset(&l->out);
	return 0;
}

static int list_make(struct apply *a, struct manifest *m, struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	struct listing l = {.a = a, .m = m, .out = BUF_INIT};
	int rc = changelist_new(a->s->statefd, &a->list, err);

	if (rc == 0)
		rc = index_open(a->s->db, a->t->tree, &x, err);
	if (rc == 0)
		rc = a->local->lines(a->local->arg, x, list_add_line, &l, err);
	if (rc == 0 && l.out.n > 0)
		rc = changelist_add(&a->list, bytes_in(&l.out), err);
	buf_clear(&l.out);
	return rc;
}

/** The bundle that would bring it: what is signed of a bundle is counted here. */
static int manifest_begin(struct apply *a, struct manifest *m, struct err *err)
{
	struct applied now;

	if (applied_load(a->s, a->t->tree, &now, err) < 0)
		return err->rc;
	if (now.generation == 0)
		return err_set(err, RC_ABSENT, "nothing of %s is applied here", a->t->tree);
	m->epoch = a->local->epoch;
	m->base = now.generation;
	m->base_tree = now.tree;
	m->generation = a->local->generation;
	m->tree = a->local->tree;
	a->run = (struct run){.epoch = m->epoch,
			      .generation = m->generation,
			      .tree = m->tree,
			      .salt = a->local->salt,
			      .local = a->t->local};
	return 0;
}

static int local_run(struct apply *a, struct err *err)
{
	OWNED(freep) struct manifest *m = calloc(1, sizeof(*m));
	struct apply_bundle b = {.manifest = m};
	int rc;

	if (m == NULL)
		return err_memory(err);
	a->b = &b;
	rc = manifest_begin(a, m, err);
	if (rc == 0)
		rc = list_make(a, m, err);
	if (rc == 0)
		rc = apply_list(a, err);
	a->b = NULL;
	return rc;
}

int apply_local(struct station *s, const struct apply_local *l, const struct apply_target *t,
		struct apply_preview *ret, struct err *err)
{
	OWNED(freep) struct apply *a = calloc(1, sizeof(*a));
	int rc = a == NULL ? err_memory(err) : apply_recover(s, t, err);

	if (rc < 0)
		return rc;
	a->local = l;
	rc = apply_open(a, s, t, err);
	if (rc == 0)
		rc = area_mark(a, true, err);
	if (rc == 0)
		rc = local_run(a, err);
	if (ret != NULL)
		*ret = a->preview;
	apply_clear(a);
	return rc;
}
