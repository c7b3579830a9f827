/* SPDX-License-Identifier: ISC */
/*
 * What was packed becomes rows: of the index, in one pass over the items in path order, and of the
 * store, sorted by digest so that a million of them fill the table from left to right.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/publish/publish_internal.h"
#include "core/base/list.h"
#include "core/base/own.h"

/*
 * A directory must be empty before it is removed or replaced, and what is below it follows it in
 * path order.  So it waits here until the pass leaves it; at most one for each level.
 */
struct waiting_parent {
	char *path; /* owned */
	bool replace;
	struct entry entry;
};

struct pass {
	struct publishing *p;
	LIST(struct waiting_parent) stack;
	struct entry entry; /* scratch */
};

static int waiting_push(struct pass *a, const struct pack_item *it, struct err *err)
{
	struct waiting_parent *w = list_add(&a->stack, err);

	if (w == NULL)
		return err->rc;
	w->path = strdup(it->path);
	if (w->path == NULL)
		return err_memory(err);
	w->replace = it->op != CHANGE_DELETE;
	if (w->replace)
		item_entry(it, &w->entry);
	return 0;
}

/* Do what waits for directories that do not hold ${path}; NULL: all. */
static int waiting_pop(struct pass *a, const char *path, struct err *err)
{
	while (a->stack.n > 0) {
		struct waiting_parent *w = &a->stack.items[a->stack.n - 1];
		int rc;

		if (path != NULL && path_below(path, w->path))
			return 0;
		rc = w->replace ? index_put(a->p->index, w->path, &w->entry, err)
				: index_remove(a->p->index, w->path, err);
		free(w->path);
		a->stack.n--;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static void counts_add(struct publish_counts *c, const struct pack_item *it)
{
	if (it->op == CHANGE_DELETE)
		c->deleted++;
	else if (it->op == CHANGE_META)
		c->metadata++;
	else if (it->op != PACK_ROW && it->old.kind == 0)
		c->added++;
	else if (it->op != PACK_ROW)
		c->changed++;
}

static int item_apply(struct pass *a, const struct pack_item *it, struct err *err)
{
	int rc = waiting_pop(a, it->path, err);

	if (rc < 0)
		return rc;
	counts_add(a->p->counts, it);
	if (it->old.kind == ENTRY_DIRECTORY &&
	    (it->op == CHANGE_DELETE || it->now.kind != ENTRY_DIRECTORY))
		return waiting_push(a, it, err);
	if (it->op == CHANGE_DELETE)
		return index_remove(a->p->index, it->path, err);
	item_entry(it, &a->entry);
	return index_put(a->p->index, it->path, &a->entry, err);
}

int publish_index_update_item(void *arg, const struct pack_item *it, struct err *err)
{
	struct publishing *p = arg;
	struct entry e;

	counts_add(p->counts, it);
	item_entry(it, &e);
	return index_put(p->index, it->path, &e, err);
}

int publish_index_update(struct publishing *p, struct err *err)
{
	struct item_reader reader = {.spool = pack_items(p->delta.pack)};
	struct pass *a = calloc(1, sizeof(*a));
	struct pack_item it;
	int rc;

	if (a == NULL)
		return err_memory(err);
	a->p = p;
	while ((rc = item_next(&reader, &it, err)) > 0) {
		rc = item_apply(a, &it, err);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		rc = waiting_pop(a, NULL, err);
	while (a->stack.n > 0)
		free(a->stack.items[--a->stack.n].path);
	list_clear(&a->stack);
	free(a);
	item_reader_clear(&reader);
	return rc < 0 ? err_prefix(err, "index of channel %s", p->c->name) : 0;
}
