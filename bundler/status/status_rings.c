/* SPDX-License-Identifier: ISC */
/*
 * What a workstation is to have of a channel with rings: the latest that it is offered, which need
 * not be the latest that there is.  While a ring is stalled, those that wait for it are told so.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/registry/registry.h"
#include "bundler/status/status_internal.h"
#include "core/base/own.h"

void status_rings_clear(struct status_rings *r)
{
	for (size_t i = 0; i < r->rollouts.n; i++) {
		list_clear(&r->channel[i].offers);
		list_clear(&r->channel[i].held);
		free(r->channel[i].wanted);
	}
	free(r->channel);
	publish_rollouts_free(&r->rollouts);
	*r = (struct status_rings){.channel = NULL};
}

/* Of the rings before ${ring} (0: of all), the first that somebody has to look at. */
static const char *stalled(const struct publish_rollout *r, uint64_t ring)
{
	for (size_t i = 0; i < r->ring.n && (ring == 0 || i + 1 < ring); i++)
		if (r->ring.items[i].goes_on && r->ring.items[i].stalled)
			return r->ring.items[i].why;
	return NULL;
}

static int offer_wanted(struct site *s, const struct published_offer *o, int64_t beat_posted,
			struct wanted_generation *ret, struct err *err)
{
	int64_t posted;
	int rc = registry_posted_at(s->db, o->path, &posted, err);

	if (rc < 0)
		return rc;
	ret->epoch = o->epoch;
	ret->generation = o->generation;
	ret->tree = o->tree;
	ret->posted = status_posted(beat_posted, posted);
	return 0;
}

static int channel_load(struct site *s, const char *name, int64_t beat_posted,
			struct status_ringed *c, struct err *err)
{
	int rc = published_offers(s->db, name, &c->offers, err);

	if (rc == 0)
		rc = receipts_held(s->db, name, &c->held, err);
	if (rc == 0 && (c->wanted = calloc(c->offers.n + 1, sizeof(*c->wanted))) == NULL)
		rc = err_memory(err);
	for (size_t i = 0; rc == 0 && i < c->offers.n; i++)
		rc = offer_wanted(s, &c->offers.items[i], beat_posted, &c->wanted[i], err);
	return rc;
}

int status_rings_load(struct site *s, int64_t beat_posted, struct wanted_generation *latest,
		      struct status_rings *ret, struct err *err)
{
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < s->channels; i++)
		any = any || s->channel[i].rings > 0;
	if (!any)
		return 0;
	rc = publish_rollouts(s, &ret->rollouts, err);
	if (rc == 0 && (ret->channel = calloc(s->channels + 1, sizeof(*ret->channel))) == NULL)
		rc = err_memory(err);
	for (size_t i = 0; rc == 0 && i < s->channels; i++) {
		if (s->channel[i].rings == 0)
			continue;
		rc = channel_load(s, s->channel[i].name, beat_posted, &ret->channel[i], err);
		latest[i].stalled = stalled(&ret->rollouts.item[i], 0);
		for (size_t k = 0; rc == 0 && k < ret->channel[i].offers.n; k++)
			ret->channel[i].wanted[k].stalled =
			    stalled(&ret->rollouts.item[i], ret->channel[i].offers.items[k].ring);
	}
	return rc;
}

const struct wanted_generation *status_rings_wanted(const struct site *s,
						    const struct status_rings *r, size_t channel,
						    const char *id,
						    const struct site_workstation *w,
						    const struct site_user *const *who, size_t n,
						    const struct wanted_generation *latest)
{
	const struct status_ringed *c = r->channel != NULL ? &r->channel[channel] : NULL;
	const struct receipts_held *h;
	const struct published_offer *o;

	if (c == NULL || s->channel[channel].rings == 0)
		return latest;
	h = receipts_held_find(&c->held, id);
	if (h == NULL || h->formats < FORMAT_CEILING)
		return latest;
	o = published_offer_of(&c->offers, site_ring(s, &s->channel[channel], w, who, n), h->epoch,
			       h->generation, &r->rollouts.item[channel].released);
	return o == NULL ? latest : &c->wanted[o - c->offers.items];
}
