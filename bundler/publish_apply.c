/*
 * What was packed becomes rows: of the index, in one pass over the items in path order, and of the
 * store, sorted by digest so that a million of them fill the table from left to right.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"
#include "core/base/own.h"

/* Contents sorted at a time: 14 MiB. */
#define SORTED_CONTENTS 262144u

/*
 * A directory must be empty before it is removed or replaced, and what is below it follows it in
 * path order.  So it waits here until the pass leaves it; at most one for each level.
 */
struct waiting {
	char *path; /* owned */
	bool replace;
	struct entry entry;
};

struct pass {
	struct publishing *p;
	struct waiting *stack; /* owned */
	size_t n, cap;
	struct entry entry; /* scratch */
};

static int waiting_push(struct pass *a, const struct pack_item *it, struct err *err)
{
	struct waiting *w;

	if (a->n == a->cap) {
		size_t cap = a->cap == 0 ? 4 : 2 * a->cap;

		w = reallocarray(a->stack, cap, sizeof(*w));
		if (w == NULL)
			return err_memory(err);
		a->stack = w;
		a->cap = cap;
	}
	w = &a->stack[a->n];
	w->path = strdup(it->path);
	if (w->path == NULL)
		return err_memory(err);
	w->replace = it->op != CHANGE_DELETE;
	if (w->replace)
		item_entry(it, &w->entry);
	a->n++;
	return 0;
}

/* Do what waits for directories that do not hold ${path}; NULL: all. */
static int waiting_pop(struct pass *a, const char *path, struct err *err)
{
	while (a->n > 0) {
		struct waiting *w = &a->stack[a->n - 1];
		int rc;

		if (path != NULL && path_below(path, w->path))
			return 0;
		rc = w->replace ? index_put(a->p->index, w->path, &w->entry, err)
				: index_remove(a->p->index, w->path, err);
		free(w->path);
		a->n--;
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

int publish_apply_item(void *arg, const struct pack_item *it, struct err *err)
{
	struct publishing *p = arg;
	struct entry e;

	counts_add(p->counts, it);
	item_entry(it, &e);
	return index_put(p->index, it->path, &e, err);
}

int publish_apply(struct publishing *p, struct err *err)
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
	while (a->n > 0)
		free(a->stack[--a->n].path);
	free(a->stack);
	free(a);
	item_reader_clear(&reader);
	return rc < 0 ? err_prefix(err, "index of channel %s", p->c->name) : 0;
}

static int content_compare(const void *a, const void *b)
{
	return memcmp(((const struct pack_content *)a)->digest.b,
		      ((const struct pack_content *)b)->digest.b, DIGEST_BYTES);
}

static int contents_insert(struct db *db, uint64_t pack, const struct pack_content *c, size_t n,
			   struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		int rc = db_run(db, err,
				"INSERT OR REPLACE INTO content(digest, pack, frame, skip, size)"
				" VALUES(?1, ?2, ?3, ?4, ?5)",
				"diiii", &c[i].digest, (int64_t)pack, (int64_t)c[i].frame,
				(int64_t)c[i].skip, (int64_t)c[i].size);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int contents_store(struct db *db, const struct packing *k, struct err *err)
{
	const struct spool *from = pack_contents(k->pack);
	uint64_t left = spool_size(from) / sizeof(struct pack_content), at = 0;
	size_t room = left < SORTED_CONTENTS ? (size_t)left : SORTED_CONTENTS;
	OWNED(freep) struct pack_content *c = reallocarray(NULL, room + 1, sizeof(*c));

	if (c == NULL)
		return err_memory(err);
	while (left > 0) {
		size_t n = left < room ? (size_t)left : room;
		int rc = spool_read(from, at, c, n * sizeof(*c), err);

		if (rc < 0)
			return rc;
		qsort(c, n, sizeof(*c), content_compare);
		rc = contents_insert(db, k->number, c, n, err);
		if (rc < 0)
			return rc;
		at += n * sizeof(*c);
		left -= n;
	}
	return 0;
}

int publish_store(struct publishing *p, const struct packing *k, struct err *err)
{
	struct db *db = p->s->db;
	size_t n;
	const struct pack_frame *f = pack_frames(k->pack, &n);
	int rc = db_run(db, err,
			"INSERT INTO pack(number, channel, epoch, base, generation, size)"
			" VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			"itiiii", (int64_t)k->number, p->c->name, (int64_t)p->epoch,
			(int64_t)k->base, (int64_t)p->generation, (int64_t)k->packed.size);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = db_run(db, err,
			    "INSERT INTO frame(pack, at, length, unpacked) VALUES(?1, ?2, ?3, ?4)",
			    "iiii", (int64_t)k->number, (int64_t)f[i].at, (int64_t)f[i].length,
			    (int64_t)f[i].unpacked);
	return rc < 0 ? rc : contents_store(db, k, err);
}
