/* SPDX-License-Identifier: ISC */
/*
 * A rollout in words and in JSON.
 */
#include "cli/status/rollout.h"

#include "cli/frame/show.h"

bool rollout_active(const struct publish_rollout *r)
{
	for (size_t i = 0; i < r->ring.n; i++)
		if (r->ring.items[i].goes_on)
			return true;
	return false;
}

static void ring_json(struct json *j, const struct publish_rollout *r, const struct publish_ring *g)
{
	json_open(j, NULL, '{');
	json_u64(j, "ring", g->offer.ring);
	json_open(j, "to", '[');
	for (size_t i = 0; i < g->ring->tos; i++)
		json_text(j, NULL, r->channel->ring_to[g->ring->to + i]);
	json_close(j, ']');
	json_u64(j, "needed", g->ring->healthy);
	json_u64(j, "hours", g->ring->hours);
	json_u64(j, "generation", g->offer.generation);
	json_time(j, "since", g->offer.since);
	json_u64(j, "members", g->members);
	json_u64(j, "heard", g->heard);
	json_u64(j, "healthy", g->healthy);
	json_u64(j, "proved", g->proved);
	json_u64(j, "failed", g->failed);
	json_bool(j, "goes_on", g->goes_on);
	json_bool(j, "stalled", g->goes_on && g->stalled);
	json_word(j, "why", g->why);
	json_close(j, '}');
}

void rollout_json(struct json *j, const struct publish_rollout *r)
{
	json_u64(j, "released", r->released.generation);
	json_open(j, "rollout", '[');
	for (size_t i = 0; i < r->ring.n; i++)
		ring_json(j, r, &r->ring.items[i]);
	json_close(j, ']');
}

void rollout_text(const struct publish_rollout *r, const char *indent)
{
	for (size_t i = 0; i < r->ring.n; i++) {
		const struct publish_ring *g = &r->ring.items[i];

		printf("%sring %zu    generation %llu for", indent, i + 1,
		       (unsigned long long)g->offer.generation);
		for (size_t k = 0; k < g->ring->tos; k++)
			printf(" %s", r->channel->ring_to[g->ring->to + k]);
		printf("%s%s%s\n", g->goes_on ? (g->stalled ? "; stalled: " : "; ") : "",
		       g->goes_on && g->ready ? "it goes on at the next publish" : g->why, "");
	}
	if (r->ring.n > 0)
		printf("%srest      generation %llu\n", indent,
		       (unsigned long long)r->released.generation);
}
