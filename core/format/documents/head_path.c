/* SPDX-License-Identifier: ISC */
/*
 * The cheapest way through the bundles of a head.  Bundles only lead upwards, so settling
 * generations in ascending order of cost (Dijkstra) ends after at most 257 of them.
 */
#include <inttypes.h>

#include "core/format/documents/documents.h"

#define NOWHERE SIZE_MAX

struct head_walk {
	uint64_t
	    cost[LIMIT_HEAD_BUNDLES];    /* to the end of bundle i, bytes; UINT64_MAX: not known */
	size_t from[LIMIT_HEAD_BUNDLES]; /* the bundle before it, NOWHERE for the first */
	bool settled[LIMIT_HEAD_BUNDLES];
};

/* Reaching the base of other bundles at ${cost} over bundle ${via}. */
static void walk_on(const struct head *h, struct head_walk *w, uint64_t generation, uint64_t cost,
		    size_t via)
{
	for (size_t i = 0; i < h->bundles; i++) {
		uint64_t total;

		if (h->bundle[i].base != generation || h->bundle[i].generation <= generation)
			continue;
		/* A lie about sizes may cost a detour, never the way. */
		if (__builtin_add_overflow(cost, h->bundle[i].size, &total) || total == UINT64_MAX)
			total = UINT64_MAX - 1;
		if (total < w->cost[i]) {
			w->cost[i] = total;
			w->from[i] = via;
		}
	}
}

static size_t walk_cheapest(const struct head *h, const struct head_walk *w)
{
	size_t best = NOWHERE;

	for (size_t i = 0; i < h->bundles; i++)
		if (!w->settled[i] && w->cost[i] != UINT64_MAX &&
		    (best == NOWHERE || w->cost[i] < w->cost[best]))
			best = i;
	return best;
}

static size_t walk_back(const struct head_walk *w, size_t last, size_t ret[LIMIT_HEAD_BUNDLES])
{
	size_t n = 0;

	for (size_t i = last; i != NOWHERE; i = w->from[i])
		n++;
	for (size_t i = last, at = n; i != NOWHERE; i = w->from[i])
		ret[--at] = i;
	return n;
}

int head_path(const struct head *h, uint64_t from, size_t ret[LIMIT_HEAD_BUNDLES], size_t *ret_n,
	      struct err *err)
{
	struct head_walk w;

	if (from == h->generation) {
		*ret_n = 0;
		return 0;
	}
	if (h->bundles > LIMIT_HEAD_BUNDLES)
		return err_set(err, RC_LIMIT, "a head of more than %u bundles", LIMIT_HEAD_BUNDLES);
	for (size_t i = 0; i < h->bundles; i++) {
		w.cost[i] = UINT64_MAX;
		w.from[i] = NOWHERE;
		w.settled[i] = false;
	}
	walk_on(h, &w, from, 0, NOWHERE);
	for (;;) {
		size_t i = walk_cheapest(h, &w);

		if (i == NOWHERE)
			return err_set(err, RC_INCOMPLETE,
				       "no bundles of channel %s lead from generation %" PRIu64
				       " to %" PRIu64,
				       h->channel, from, h->generation);
		if (h->bundle[i].generation == h->generation) {
			*ret_n = walk_back(&w, i, ret);
			return 0;
		}
		w.settled[i] = true;
		walk_on(h, &w, h->bundle[i].generation, w.cost[i], i);
	}
}
