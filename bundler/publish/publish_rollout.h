/* SPDX-License-Identifier: ISC */
/*
 * Rings as people see them: what each is offered, what its workstations have proved, and whether it
 * goes on.
 */
#ifndef SATCHEL_BUNDLER_PUBLISH_PUBLISH_ROLLOUT_H
#define SATCHEL_BUNDLER_PUBLISH_PUBLISH_ROLLOUT_H

#include "bundler/documents/site_model.h"
#include "bundler/published/published.h"

struct publish_ring {
	const struct site_ring *ring; /* borrowed from the site */
	struct published_offer offer;
	uint64_t members; /* workstations that count in it: they read ceilings, and were heard */
	uint64_t heard;   /* of these, that hold what is offered */
	uint64_t healthy; /* of these, that are healthy now */
	uint64_t proved;  /* of these, for as long as it takes */
	uint64_t failed;  /* that could not take it, or are not healthy with it */
	char failed_first[WORKSTATION_NAME];
	bool goes_on;  /* the next ring is offered less */
	bool ready;    /* and it would go on at the next publish */
	bool stalled;  /* or somebody has to look: ${why} */
	char why[512]; /* why it does not go on yet; "" when there is nothing to go on */
};

struct publish_rollout {
	const struct site_channel *channel;   /* borrowed */
	struct published_generation released; /* to everybody; generation 0: none */
	struct published_generation newest;   /* generation 0: none */
	LIST(struct publish_ring) ring;       /* owned; the first one first */
};
/** publish_rollout_clear(r): release its rings. */
void publish_rollout_clear(struct publish_rollout *r);

struct publish_rollouts {
	struct publish_rollout *item; /* owned; parallel to s->channel */
	size_t n;
};
/** publish_rollouts(s, ret, err): of every channel, as receipts say it now; the caller's
 * (publish_rollouts_free).
 * publish_rollouts_free(l): release them. */
int publish_rollouts(struct site *s, struct publish_rollouts *ret, struct err *err);
void publish_rollouts_free(struct publish_rollouts *l);

/** publish_rollout_set(s, channel, stop, err): ${stop}: what is on its way stays in its rings until
 * a later generation comes; else it goes on by one ring now.  RC_USAGE: nothing is on its way. */
int publish_rollout_set(struct site *s, const char *channel, bool stop, struct err *err);

#endif
