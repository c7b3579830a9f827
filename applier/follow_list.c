#include "applier/follow_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"

struct listing_run {
	const struct listing_filter *filter;
	const char *dir;
	struct listing *ret;
};

static bool listing_wants(const struct listing_filter *f, const struct name *n)
{
	if (n->kind != f->kind)
		return false;
	if (f->kind == NAME_SHARD)
		return n->xx == f->xx;
	if (f->kind == NAME_PRIVATE && strcmp(n->id, f->id) != 0)
		return false;
	if ((f->kind == NAME_PRIVATE || f->kind == NAME_HEAD) && n->epoch != f->epoch)
		return false;
	return n->number > f->above && n->number <= f->until;
}

static int listing_each(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct listing_run *run = arg;
	struct listing *l = run->ret;
	char path[DEPOT_NAME];
	struct name n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", run->dir, name) >= sizeof(path))
		return 0;
	if (name_parse(path, &n) == NAME_OTHER || !listing_wants(run->filter, &n))
		return 0;
	if (l->rows == l->room) {
		size_t room = l->room == 0 ? 64 : 2 * l->room;
		struct listed *grown = reallocarray(l->row, room, sizeof(*grown));

		if (grown == NULL)
			return err_memory(err);
		l->row = grown;
		l->room = room;
	}
	l->row[l->rows].epoch = n.epoch;
	l->row[l->rows].number = n.number;
	if (hex_decode(l->row[l->rows].digest, sizeof(l->row->digest), n.digest, NULL) < 0)
		return 0;
	l->rows++;
	return 0;
}

static int listed_compare(const void *va, const void *vb)
{
	const struct listed *a = va, *b = vb;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? 1 : -1;
	if (a->number != b->number)
		return a->number < b->number ? 1 : -1;
	return memcmp(a->digest, b->digest, sizeof(a->digest));
}

int listing_read(struct depot *d, const char *dir, const struct listing_filter *f,
		 struct listing *ret, struct err *err)
{
	struct listing_run run = {f, dir, ret};
	int rc = depot_list(d, dir, listing_each, &run, err);

	if (rc < 0)
		return rc;
	if (ret->rows > 1)
		qsort(ret->row, ret->rows, sizeof(*ret->row), listed_compare);
	return 0;
}

void listing_clear(struct listing *l)
{
	free(l->row);
	memset(l, 0, sizeof(*l));
}

struct digest listed_digest(const struct listed *row)
{
	struct digest d = {{0}};

	memcpy(d.b, row->digest, sizeof(row->digest));
	return d;
}

struct search search_begin(void)
{
	return (struct search){SEARCH_TRIES, clock_monotonic_ms() + SEARCH_MS};
}

bool search_try(struct search *s)
{
	if (s->tries == 0 || clock_monotonic_ms() > s->until)
		return false;
	s->tries--;
	return true;
}

bool follow_fatal(int rc)
{
	return rc == RC_TIMEOUT || rc == RC_MEMORY || rc == RC_INTERNAL || rc == RC_STATE ||
	       rc == RC_SPACE || rc == RC_BUSY;
}
