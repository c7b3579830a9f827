/* SPDX-License-Identifier: ISC */
/*
 * Rings: a generation goes to the first of them, and from each to the next when enough of its
 * workstations have taken it and were healthy for long enough.  Only receipts count, by the time at
 * which they were collected: a workstation that says nothing proves nothing.  One that failed holds
 * the generation back until it is healthy, or a person decides, or another generation comes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/private/compile.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/publish/publish_rollout.h"
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Seconds beyond twice its hours after which a ring that proves nothing is stalled: machines that
 * are visited twice a week have had their chance. */
#define STALLED_AFTER (3 * 86400)

static void offers_clear(struct published_offers *l)
{
	list_clear(l);
}

void publish_rollout_clear(struct publish_rollout *r)
{
	list_clear(&r->ring);
	*r = (struct publish_rollout){.channel = NULL};
}

/* What each ring is offered; one that was never offered anything has what everybody has. */
static int rings_load(struct site *s, const struct site_channel *c, struct publish_rollout *r,
		      struct err *err)
{
	OWNED(offers_clear) struct published_offers l = {0};
	int rc = published_released(s->db, c->name, &r->released, err);

	if (rc == 0)
		r->released = (struct published_generation){.generation = 0};
	if (rc >= 0)
		rc = published_latest(s->db, c->name, &r->newest, err);
	if (rc >= 0)
		rc = published_offers(s->db, c->name, &l, err);
	r->channel = c;
	for (size_t i = 0; rc == 0 && i < c->rings; i++) {
		struct publish_ring ring = {.ring = &c->ring[i],
					    .offer = {.ring = i + 1,
						      .epoch = r->released.epoch,
						      .generation = r->released.generation}};

		for (size_t k = 0; k < l.n; k++)
			if (l.items[k].ring == i + 1 && l.items[k].epoch == r->newest.epoch)
				ring.offer = l.items[k];
		rc = list_push(&r->ring, ring, err);
	}
	return rc;
}

/* Counting */

struct counting {
	struct site *s;
	struct publish_rollout *rollout; /* of every channel, in the order of s->channel */
	bool record;
};

static void failed_note(struct publish_ring *r, const char *name)
{
	if (r->failed++ == 0)
		snprintf(r->failed_first, sizeof(r->failed_first), "%s", name);
}

static int health_count(struct counting *c, const struct compile_ringed *m, struct publish_ring *r,
			struct err *err)
{
	const struct published_offer *o = &r->offer;
	const struct receipts_held *h = m->held;
	bool here = h->epoch == o->epoch && h->generation == o->generation && o->generation > 0;
	int64_t since = h->recorded;
	int rc = 0;

	r->heard += here;
	/* It may have failed before it knew what it was to take. */
	if (h->bad &&
	    (here || h->wanted == o->generation || (h->wanted == 0 && h->recorded >= o->since)))
		failed_note(r, m->name);
	if (!here || h->bad || h->drift > 0 || !digest_equal(&h->tree, &o->tree))
		return c->record ? published_health_drop(c->s->db, m->channel->name, m->id, err)
				 : 0;
	rc = c->record ? published_health_set(c->s->db, m->channel->name, m->id, o->epoch,
					      o->generation, h->recorded, &since, err)
		       : published_health(c->s->db, m->channel->name, m->id, o->epoch,
					  o->generation, &since, err);
	r->healthy++;
	r->proved += h->recorded - since >= (int64_t)r->ring->hours * 3600;
	return rc < 0 ? rc : 0;
}

static int ringed_count(void *arg, const struct compile_ringed *m, struct err *err)
{
	struct counting *c = arg;
	struct publish_rollout *r = &c->rollout[m->channel - c->s->channel];

	if (m->ring == 0 || m->ring > r->ring.n || m->held == NULL)
		return 0;
	r->ring.items[m->ring - 1].members++;
	return health_count(c, m, &r->ring.items[m->ring - 1], err);
}

static uint64_t next_of(const struct publish_rollout *r, size_t i)
{
	const struct published_offer *next = i + 1 < r->ring.n ? &r->ring.items[i + 1].offer : NULL;

	if (next != NULL)
		return next->epoch == r->ring.items[i].offer.epoch ? next->generation : 0;
	return r->released.epoch == r->ring.items[i].offer.epoch ? r->released.generation : 0;
}

/* Why it does not go on yet, in words; and whether somebody has to look. */
static void ring_judge(struct publish_rollout *r, size_t i)
{
	struct publish_ring *g = &r->ring.items[i];
	const struct published_offer *o = &g->offer;
	const char *name = r->channel->name;
	int64_t patience = 2 * (int64_t)g->ring->hours * 3600 + STALLED_AFTER;

	g->goes_on = o->generation > next_of(r, i);
	if (!g->goes_on)
		return;
	g->ready = o->stopped < o->generation && g->failed == 0 && g->proved >= g->ring->healthy;
	g->stalled = o->stopped >= o->generation || g->failed > 0 ||
		     (!g->ready && o->behind > 0 && clock_now() - o->behind > patience);
	if (o->stopped >= o->generation)
		snprintf(g->why, sizeof(g->why),
			 "generation %" PRIu64 " was stopped in ring %" PRIu64, o->generation,
			 o->ring);
	else if (g->failed > 0)
		snprintf(g->why, sizeof(g->why),
			 "generation %" PRIu64 " is held in ring %" PRIu64
			 ": %s%s failed with it or is not healthy",
			 o->generation, o->ring, g->failed_first,
			 g->failed > 1 ? " and others" : "");
	else
		snprintf(g->why, sizeof(g->why),
			 "generation %" PRIu64 " is in ring %" PRIu64 ": %" PRIu64 " of %" PRIu64
			 " %s been healthy with it for %" PRIu64 " hours",
			 o->generation, o->ring, g->proved, g->ring->healthy,
			 g->ring->healthy == 1 ? "workstation has" : "workstations have",
			 g->ring->hours);
	(void)name;
}

static bool any_rings(const struct site *s)
{
	for (size_t i = 0; i < s->channels; i++)
		if (s->channel[i].rings > 0)
			return true;
	return false;
}

void publish_rollouts_free(struct publish_rollouts *l)
{
	for (size_t i = 0; i < l->n; i++)
		publish_rollout_clear(&l->item[i]);
	free(l->item);
	*l = (struct publish_rollouts){NULL, 0};
}

static int rollouts_read(struct site *s, bool record, struct publish_rollouts *ret, struct err *err)
{
	struct counting c = {.s = s, .record = record};
	int rc = 0;

	ret->item = calloc(s->channels + 1, sizeof(*ret->item));
	if (ret->item == NULL)
		return err_memory(err);
	c.rollout = ret->item;
	for (; rc == 0 && ret->n < s->channels; ret->n++)
		rc = rings_load(s, &s->channel[ret->n], &ret->item[ret->n], err);
	if (rc == 0 && any_rings(s))
		rc = compile_ringed(s, ringed_count, &c, err);
	for (size_t i = 0; rc == 0 && i < ret->n; i++)
		for (size_t k = 0; k < ret->item[i].ring.n; k++)
			ring_judge(&ret->item[i], k);
	return rc;
}

int publish_rollouts(struct site *s, struct publish_rollouts *ret, struct err *err)
{
	struct publish_rollouts l = {NULL, 0};
	int rc = rollouts_read(s, false, &l, err);

	if (rc < 0) {
		publish_rollouts_free(&l);
		return rc;
	}
	*ret = l;
	return 0;
}

/* Going on */

static int ring_put(struct site *s, const struct publish_rollout *r, size_t i, struct err *err)
{
	return published_offer_set(s->db, r->channel->name, &r->ring.items[i].offer, err);
}

/* What a ring is offered becomes what the next one is, or everybody. */
static int ring_go_on(struct site *s, struct publish_rollout *r, size_t i, struct err *err)
{
	const struct published_offer *o = &r->ring.items[i].offer;
	struct published_generation g = {.epoch = o->epoch, .generation = o->generation};

	reporter_info(s->reporter,
		      "channel %s: generation %" PRIu64 " goes on from ring %" PRIu64 " to %s",
		      r->channel->name, o->generation, o->ring,
		      i + 1 < r->ring.n ? "the next one" : "all others");
	if (i + 1 == r->ring.n) {
		r->released = g;
		return published_release_all(s->db, r->channel->name, &g, err);
	}
	r->ring.items[i + 1].offer.epoch = o->epoch;
	r->ring.items[i + 1].offer.generation = o->generation;
	r->ring.items[i + 1].offer.since = clock_now();
	return 0;
}

/* The last ring first, so that one generation goes on by one ring in a run. */
static int rings_go_on(struct site *s, struct publish_rollout *r, bool all, struct err *err)
{
	int rc = 0;

	for (size_t i = r->ring.n; rc == 0 && i-- > 0;) {
		struct publish_ring *g = &r->ring.items[i];

		if (g->goes_on && (g->ready || all))
			rc = ring_go_on(s, r, i, err);
	}
	for (size_t i = 0; rc == 0 && i < r->ring.n; i++) {
		struct published_offer *o = &r->ring.items[i].offer;

		if (o->generation <= next_of(r, i))
			o->behind = 0;
		else if (o->behind == 0)
			o->behind = clock_now();
		if (o->generation > 0)
			rc = ring_put(s, r, i, err);
	}
	return rc;
}

/* Without rings, and in an epoch that is new, what is newest is for everybody. */
static int release_newest(struct site *s, struct publish_rollout *r, struct err *err)
{
	int rc = published_release_all(s->db, r->channel->name, &r->newest, err);

	return rc < 0 ? rc : published_offers_drop(s->db, r->channel->name, 0, err);
}

static int channel_step(struct site *s, struct publish_rollout *r, struct err *err)
{
	bool anew = r->released.generation > 0 && r->released.epoch != r->newest.epoch;
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc;

	if (r->newest.generation == 0)
		return 0;
	rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = r->ring.n == 0 || anew
			 ? release_newest(s, r, err)
			 : published_offers_drop(s->db, r->channel->name, r->ring.n, err);
	if (rc == 0 && r->ring.n > 0 && !anew)
		rc = rings_go_on(s, r, false, err);
	if (rc == 0)
		rc = publish_heads_sweep(s, r->channel->name, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

static int gone_drop(void *arg, const char *name, struct err *err)
{
	struct site *s = arg;

	return site_channel(s, name) != NULL ? 0 : published_offers_drop(s->db, name, 0, err);
}

/* A channel that has rings, or had some. */
static int had_rings(void *arg, const char *name, struct err *err)
{
	bool *any = arg;

	(void)name;
	(void)err;
	*any = true;
	return 0;
}

int publish_rollout(struct site *s, struct err *err)
{
	struct publish_rollouts l = {NULL, 0};
	struct err first = {0};
	bool any = any_rings(s);
	int rc = published_offers_names(s->db, had_rings, &any, err);

	if (rc < 0 || !any)
		return rc;
	rc = rollouts_read(s, true, &l, err);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		struct err e = {0};

		if (channel_step(s, &l.item[i], &e) < 0 && first.rc == 0)
			first = e;
	}
	publish_rollouts_free(&l);
	if (rc == 0)
		rc = published_offers_names(s->db, gone_drop, s, err);
	return rc < 0 || first.rc == 0 ? rc : err_set(err, first.rc, "%s", first.text);
}

/* By hand */

static struct publish_rollout *rollout_find(struct publish_rollouts *l, const char *channel)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->item[i].channel->name, channel) == 0)
			return &l->item[i];
	return NULL;
}

/* 1: something waits in a ring; else the sentence that says what there is. */
static int rollout_waits(const struct publish_rollout *r, struct err *err)
{
	if (r->ring.n == 0)
		return err_set(
		    err, RC_USAGE,
		    "channel %s has no rings: satchel channel set %s --rollout WHO makes "
		    "one",
		    r->channel->name, r->channel->name);
	for (size_t i = 0; i < r->ring.n; i++)
		if (r->ring.items[i].goes_on)
			return 1;
	return err_set(err, RC_USAGE,
		       "channel %s has nothing on its way: generation %" PRIu64 " is for everybody",
		       r->channel->name, r->released.generation);
}

static int rollout_act(struct site *s, struct publish_rollout *r, bool stop, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = rollout_waits(r, err);

	if (rc > 0)
		rc = db_tx_begin(&tx, s->db, err);
	for (size_t i = 0; rc == 0 && i < r->ring.n; i++) {
		struct published_offer *o = &r->ring.items[i].offer;

		o->stopped = stop && r->ring.items[i].goes_on ? o->generation : 0;
	}
	if (rc == 0 && stop)
		for (size_t i = 0; rc == 0 && i < r->ring.n; i++)
			rc = ring_put(s, r, i, err);
	else if (rc == 0)
		rc = rings_go_on(s, r, true, err);
	if (rc == 0)
		rc = registry_eventf(s->db, err, "rollout", r->channel->name, "%s by hand",
				     stop ? "stopped" : "continued");
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int publish_rollout_set(struct site *s, const char *channel, bool stop, struct err *err)
{
	struct publish_rollouts l = {NULL, 0};
	int rc = rollouts_read(s, false, &l, err);
	struct publish_rollout *r = rc < 0 ? NULL : rollout_find(&l, channel);

	if (rc == 0)
		rc = r == NULL ? err_set(err, RC_USAGE, "there is no channel %s", channel)
			       : rollout_act(s, r, stop, err);
	publish_rollouts_free(&l);
	return rc;
}
