/* SPDX-License-Identifier: ISC */
/*
 * The head: which bundles lead to the newest generation.  A path from 0 is always complete; beside
 * it stand the steps that machines which hold an older generation can use.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_post.h"
#include "bundler/publish/publish_internal.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"

/* Steps that are kept while no receipt says what is needed. */
#define STEPS_KEPT 16

static void offers_clear(struct published_offers *l)
{
	list_clear(l);
}

struct head_making {
	struct publishing *p;
	uint64_t generation;
	struct head head; /* bundle: owned; ascending by generation, then base */
	size_t cap;
};

/* The document of the channel may be away, and ${p->c} a name alone. */
static size_t rings_of(const struct publishing *p)
{
	const struct site_channel *c = site_channel(p->s, p->c->name);

	return c == NULL ? 0 : c->rings;
}

/* The first ring is offered what is newest, from its first moment on: so the heads that the others
 * are offered stay. */
static int first_ring_offer(struct publishing *p, struct err *err)
{
	OWNED(offers_clear) struct published_offers l = {0};
	struct published_offer o = {.ring = 1, .since = clock_now()};
	int rc = rings_of(p) == 0 ? 0 : published_offers(p->s->db, p->c->name, &l, err);

	if (rc < 0 || rings_of(p) == 0)
		return rc;
	if (l.n > 0 && l.items[0].ring == 1) {
		o.behind = l.items[0].behind;
		o.stopped = l.items[0].stopped;
		if (l.items[0].generation == p->generation)
			o.since = l.items[0].since;
	}
	o.epoch = p->epoch;
	o.generation = p->generation;
	return published_offer_set(p->s->db, p->c->name, &o, err);
}

static int bundle_add(void *arg, const struct published_bundle *from, struct err *err)
{
	struct head_making *l = arg;
	int rc;

	if (from->generation > l->generation)
		return 0; /* of a generation that waits for signatures */
	rc = items_reserve(l->head.bundle, l->head.bundles, l->cap, 1, err);
	if (rc < 0)
		return rc;
	l->head.bundle[l->head.bundles++] = (struct head_bundle){
	    .base = from->base,
	    .generation = from->generation,
	    .size = from->size,
	    .prefix = from->prefix_digest,
	    .manifest = from->manifest,
	};
	return 0;
}

/* The oldest generation that a workstation is known to hold, or that one may well hold. */
static int floor_find(struct head_making *l, uint64_t *ret, struct err *err)
{
	int64_t oldest = 0;
	int rc = db_int(
	    l->p->s->db, err, &oldest,
	    "SELECT coalesce(min(r.generation), 0) FROM receipt_newest_channel r"
	    " JOIN workstation_member w ON w.id = r.id WHERE w.leaving = 0 AND r.channel = ?1 AND r.epoch = ?2"
	    " AND r.generation > 0",
	    "ti", l->p->c->name, (int64_t)l->p->epoch);

	if (rc < 0)
		return rc;
	if (oldest > 0)
		*ret = (uint64_t)oldest;
	else
		*ret = l->generation > STEPS_KEPT ? l->generation - STEPS_KEPT : 1;
	return 0;
}

static const struct head_bundle *step_from(const struct head_making *l, uint64_t base)
{
	for (size_t i = 0; i < l->head.bundles; i++)
		if (l->head.bundle[i].base == base && l->head.bundle[i].generation == base + 1)
			return &l->head.bundle[i];
	return NULL;
}

static const struct head_bundle *newest_full(const struct head_making *l)
{
	const struct head_bundle *full = NULL;

	for (size_t i = 0; i < l->head.bundles; i++)
		if (l->head.bundle[i].base == 0)
			full = &l->head.bundle[i];
	return full;
}

/*
 * The first generation whose steps stay: those after the full bundle complete the path from 0;
 * older ones serve a machine only while they cost less than the full bundle, and only if a machine
 * is there.
 */
static int steps_from(struct head_making *l, const struct head_bundle *full, uint64_t *ret,
		      struct err *err)
{
	uint64_t least, chain = 0, count = 1;
	uint64_t g = l->generation;
	int rc = floor_find(l, &least, err);

	if (rc < 0)
		return rc;
	for (; g > full->generation; g--, count++) {
		const struct head_bundle *b = step_from(l, g - 1);

		if (b == NULL)
			return err_set(err, RC_STATE,
				       "the registry has no bundle %" PRIu64 "-%" PRIu64
				       " of channel %s: publish --full makes a new path",
				       g - 1, g, l->p->c->name);
		chain += b->size;
	}
	for (; g > least && g > 1 && count < LIMIT_HEAD_BUNDLES - 1; g--, count++) {
		const struct head_bundle *b = step_from(l, g - 1);

		if (b == NULL || __builtin_add_overflow(chain, b->size, &chain) ||
		    chain > full->size)
			break;
	}
	*ret = g;
	return 0;
}

static int bundle_drop(struct head_making *l, const struct head_bundle *b, struct err *err)
{
	const struct published_bundle row = {.channel = l->p->c->name,
					     .epoch = l->p->epoch,
					     .base = b->base,
					     .generation = b->generation};
	char path[DEPOT_NAME];
	int rc;

	name_bundle(path, row.channel, row.epoch, row.base, row.generation, &b->prefix);
	rc = site_post_retire(l->p->s, path, err);
	return rc < 0 ? rc : published_bundle_drop(l->p->s->db, &row, err);
}

/*
 * Leave what is needed, drop the rest.  The full bundle that is kept is the newest one: two would
 * double what a depot holds, and an older one leads nowhere that this one does not.
 */
static int bundles_choose(struct head_making *l, struct err *err)
{
	const struct head_bundle *full = newest_full(l);
	struct head_bundle keep_full;
	uint64_t from = 0;
	size_t n = 0;
	int rc;

	if (full == NULL)
		return err_set(err, RC_STATE, "the registry has no full bundle of channel %s",
			       l->p->c->name);
	keep_full = *full;
	rc = steps_from(l, &keep_full, &from, err);
	for (size_t i = 0; i < l->head.bundles && rc == 0; i++) {
		struct head_bundle *b = &l->head.bundle[i];

		if (b->base >= from || (b->base == 0 && b->generation == keep_full.generation))
			l->head.bundle[n++] = *b;
		else if (rings_of(l->p) == 0) /* else one of several heads may need it */
			rc = bundle_drop(l, b, err);
	}
	l->head.bundles = n;
	return rc;
}

int publish_path_retire(void *arg, const char *path, struct err *err)
{
	return site_post_retire(arg, path, err);
}

/* Earlier epochs: their heads and bundles are of no use to anybody. */
static int epochs_drop(struct publishing *p, struct err *err)
{
	struct published_epochs before = EPOCHS_BEFORE(p->epoch);
	int rc =
	    published_bundles_take(p->s->db, p->c->name, before, publish_path_retire, p->s, err);

	return rc < 0 ? rc
		      : published_heads_take(p->s->db, p->c->name, before, publish_path_retire,
					     p->s, err);
}

/* The heads before this one, once no kept beat names them.  (Also one of the same generation.) */
static int heads_retire(struct publishing *p, struct err *err)
{
	return published_heads_take(p->s->db, p->c->name, EPOCH_ONLY(p->epoch), publish_path_retire,
				    p->s, err);
}

static int head_sign(struct head_making *l, struct err *err)
{
	struct publishing *p = l->p;
	struct published_generation g = {.epoch = p->epoch, .generation = l->generation};
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct digest file;
	char what[128];
	int rc = head_encode(&l->head, &inner, err);

	snprintf(what, sizeof(what), "head %" PRIu64 " of channel %s", l->generation, p->c->name);
	if (rc == 0)
		rc = document_sign(p->s, ROLE_PRIVATE, bytes_in(&inner), what, &doc, &g.head, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&doc));
	name_head(g.path, p->c->name, p->epoch, l->generation, &file);
	rc = site_post_document(p->s, g.path, bytes_in(&doc), err);
	if (rc == 0)
		rc = published_head_set(p->s->db, p->c->name, &g, rings_of(p) > 0, err);
	/* What is needed by no head that is in force leaves the depot. */
	return rc < 0 || rings_of(p) == 0 ? rc : publish_heads_sweep(p->s, p->c->name, err);
}

int publish_head(struct publishing *p, struct err *err)
{
	OWNED(buf_clear) struct buf release = BUF_INIT;
	int rc;

	if (p->s->trust.format < 2)
		return publish_head_signed(p, (struct bytes){NULL, 0}, err);
	rc = publish_release(p, &release, err);
	if (rc > 0)
		return publish_head_signed(p, bytes_in(&release), err);
	p->counts->waits = rc == 0;
	return rc;
}

int publish_head_signed(struct publishing *p, struct bytes release, struct err *err)
{
	struct head_making l = {.p = p, .generation = p->generation};
	int rc;

	l.head.site = p->s->id;
	memcpy(l.head.channel, p->c->name, sizeof(l.head.channel));
	l.head.epoch = p->epoch;
	l.head.generation = p->generation;
	l.head.tree = p->tree;
	l.head.created = p->created;
	rc = buf_add(&l.head.release, release.p, release.n, err);
	if (rc == 0)
		rc = publish_head_keys(p, err);
	if (rc == 0)
		rc = published_bundles(p->s->db, p->c->name, EPOCH_ONLY(p->epoch), bundle_add, &l,
				       err);
	if (rc == 0)
		rc = bundles_choose(&l, err);
	if (rc == 0)
		rc = epochs_drop(p, err);
	if (rc == 0)
		rc = first_ring_offer(p, err);
	if (rc == 0)
		rc = heads_retire(p, err);
	if (rc == 0)
		rc = head_sign(&l, err);
	head_clear(&l.head);
	return rc;
}
