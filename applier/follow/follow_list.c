/* SPDX-License-Identifier: ISC */
/*
 * Names in a depot, sorted so that the best is tried first.  Millions of false names must cost
 * little: rows are small, and a search ends by count and by time.
 */
#include "applier/follow/follow_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/clock.h"
#include "core/depot/candidates.h"

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
	struct listing_row row;
	char path[DEPOT_NAME];
	struct name n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", run->dir, name) >= sizeof(path))
		return 0;
	if (name_parse(path, &n) == NAME_OTHER || !listing_wants(run->filter, &n))
		return 0;
	row.epoch = n.epoch;
	row.number = n.number;
	if (hex_decode(row.digest, sizeof(row.digest), n.digest, ERR_IGNORED) < 0)
		return 0;
	return list_push(run->ret, row, err);
}

static int listed_compare(const void *va, const void *vb)
{
	const struct listing_row *a = va, *b = vb;

	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? 1 : -1;
	if (a->number != b->number)
		return a->number < b->number ? 1 : -1;
	return memcmp(a->digest, b->digest, sizeof(a->digest));
}

/* Undone by the same once more. */
static void digests_mix(struct listing *l, const uint8_t salt[DIGEST_NAME / 2])
{
	for (size_t i = 0; i < l->n; i++)
		for (size_t b = 0; b < sizeof(l->items[i].digest); b++)
			l->items[i].digest[b] ^= salt[b];
}

int listing_read(struct depot *d, const char *dir, const struct listing_filter *f,
		 struct listing *ret, struct err *err)
{
	struct listing_run run = {f, dir, ret};
	uint8_t salt[DIGEST_NAME / 2];
	int rc = depot_list(d, dir, listing_each, &run, err);

	if (rc < 0)
		return rc;
	/* In an order of equal numbers that nobody who makes up names can foresee, and another one
	 * each time: what hides something from one run does not hide it from the next. */
	if (getrandom(salt, sizeof(salt), GRND_NONBLOCK) != sizeof(salt))
		memset(salt, 0, sizeof(salt));
	digests_mix(ret, salt);
	list_sort(ret, listed_compare);
	digests_mix(ret, salt);
	return 0;
}

void listing_clear(struct listing *l)
{
	list_clear(l);
}

struct digest listed_digest(const struct listing_row *row)
{
	struct digest d = {{0}};

	memcpy(d.b, row->digest, sizeof(row->digest));
	return d;
}

struct search search_begin(void)
{
	return (struct search){candidates_tries(SEARCH_TRIES), clock_monotonic_ms() + SEARCH_MS};
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
