/* SPDX-License-Identifier: ISC */
/*
 * What the kept beats lead to.  A server prunes what no kept beat needs; carry does not bring it
 * back.  The newest beat that verifies says what is older than it; what cannot be judged, because
 * its shard or its signature is not at hand, is carried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"

void known_clear(struct carry_known *k)
{
	free(k->shard);
	free(k->channel);
	free(k->workstation);
	k->shard = NULL;
	k->channel = NULL;
	k->workstation = NULL;
}

static int rows_add(struct carry_known *k, const struct shard *s, bool newest, struct err *err)
{
	int rc = items_reserve(k->channel, k->channels, k->channels_room, s->channels, err);

	if (rc == 0)
		rc = items_reserve(k->workstation, k->workstations, k->workstations_room,
				   s->workstations, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s->channels; i++) {
		const struct shard_channel *from = &s->channel[i];
		struct known_channel *c = &k->channel[k->channels++];

		*c = (struct known_channel){.epoch = from->epoch,
					    .generation = from->generation,
					    .head = from->head,
					    .newest = newest};
		memcpy(c->name, from->name, sizeof(c->name));
	}
	for (size_t i = 0; i < s->workstations; i++) {
		const struct shard_workstation *from = &s->workstation[i];
		struct known_workstation *w = &k->workstation[k->workstations++];

		*w = (struct known_workstation){.epoch = from->epoch,
						.generation = from->generation,
						.receipt = from->receipt,
						.newest = newest};
		memcpy(w->id, from->id, sizeof(w->id));
	}
	return 0;
}

static struct known_shard *shard_named(struct carry_known *k, uint8_t xx,
				       const struct digest *identity)
{
	for (size_t i = 0; i < k->shards; i++)
		if (k->shard[i].xx == xx && digest_equal(&k->shard[i].identity, identity))
			return &k->shard[i];
	return NULL;
}

/* A named one that cannot be parsed here (a newer format) is carried and says nothing. */
static int shard_learn(struct carry_run *r, const struct document *d, struct known_shard *named,
		       struct err *err)
{
	struct shard s;
	int rc;

	if (named->found)
		return 0;
	named->found = true;
	if (shard_decode(d->doc.inner, &s, ERR_IGNORED) < 0)
		return 0;
	rc = rows_add(&r->known, &s, named->newest, err);
	shard_clear(&s);
	if (rc == 0 && named->newest)
		r->known.seen[named->xx] = true;
	return rc;
}

/*
 * A shard that is signed but that no kept beat names is an old one; what nobody signed is refused,
 * and without a beat nothing can be judged and everything is carried.
 */
static int shard_row(struct carry_run *r, const char *path, const struct listed *row,
		     struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	struct known_shard *named;
	struct err bad = {0};
	int rc = carry_document(r, path, row, LIMIT_DOCUMENT, &d, err);

	if (rc <= 0)
		return rc; /* whether it is missed is known when all were looked at */
	if (!r->known.beat)
		return carry_plan_document(r, &d, err);
	rc = carry_signed(r, &d, "shard", ROLE_BEAT, &bad);
	named = rc < 0 ? NULL : shard_named(&r->known, d.name.xx, &d.doc.identity);
	if (rc == RC_REPLAY || (rc == 0 && named == NULL))
		return carry_plan_stale(r, path, &d.name, row, err);
	if (rc < 0)
		return carry_refuse(r, &bad, err);
	rc = shard_learn(r, &d, named, err);
	return rc < 0 ? rc : carry_plan_document(r, &d, err);
}

static int channel_compare(const void *va, const void *vb)
{
	const struct known_channel *a = va, *b = vb;

	return strcmp(a->name, b->name);
}

static int workstation_compare(const void *va, const void *vb)
{
	const struct known_workstation *a = va, *b = vb;

	return strcmp(a->id, b->id);
}

int carry_known_shards(struct carry_run *r, struct err *err)
{
	OWNED(merged_listing_clear) struct merged_listing l = {0};
	OWNED(freep) uint32_t *order = NULL;
	struct carry_known *k = &r->known;
	int rc;

	r->tries = candidates_tries(CARRY_TRIES);
	r->floor = FLOOR_SHARDS;
	rc = carry_list(r, "shards", &l, err);
	if (rc == 0)
		rc = candidates_order(l.rows, &order, err);
	for (size_t i = 0; rc == 0 && i < l.rows && !carry_enough(r, "shards"); i++, r->tries--) {
		const struct listed *row = &l.row[order[i]];
		char path[DEPOT_NAME];

		snprintf(path, sizeof(path), "shards/%.200s", listed_name(&l, row));
		rc = shard_row(r, path, row, err);
	}
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < k->shards; i++)
		if (k->shard[i].newest && !k->shard[i].found)
			carry_lack(r, "shard %02x of the newest beat is not whole", k->shard[i].xx);
	if (k->channels > 0)
		qsort(k->channel, k->channels, sizeof(*k->channel), channel_compare);
	if (k->workstations > 0)
		qsort(k->workstation, k->workstations, sizeof(*k->workstation),
		      workstation_compare);
	return 0;
}

static int channel_named(const void *name, const void *channel)
{
	return strcmp(name, ((const struct known_channel *)channel)->name);
}

/* The first row of a name, or where it would be. */
static size_t channel_first(const struct carry_known *k, const char *name)
{
	return search_sorted(name, k->channel, k->channels, sizeof(*k->channel), channel_named,
			     NULL);
}

const struct known_channel *known_newest(const struct carry_known *k, const char *channel)
{
	for (size_t i = channel_first(k, channel);
	     i < k->channels && strcmp(k->channel[i].name, channel) == 0; i++)
		if (k->channel[i].newest)
			return &k->channel[i];
	return NULL;
}

static bool later(uint64_t epoch, uint64_t number, uint64_t than_epoch, uint64_t than_number)
{
	return epoch != than_epoch ? epoch > than_epoch : number > than_number;
}

enum verdict verdict_head(const struct carry_run *r, const struct name *n,
			  const struct digest *identity)
{
	const struct carry_known *k = &r->known;
	const struct known_channel *newest;

	if (!k->beat || !k->seen[shard_of(n->channel)])
		return VERDICT_CARRY;
	for (size_t i = channel_first(k, n->channel);
	     i < k->channels && strcmp(k->channel[i].name, n->channel) == 0; i++)
		if (k->channel[i].epoch == n->epoch && k->channel[i].generation == n->number &&
		    (identity == NULL || digest_equal(&k->channel[i].head, identity)))
			return VERDICT_CARRY;
	newest = known_newest(k, n->channel);
	return newest != NULL && later(n->epoch, n->number, newest->epoch, newest->generation)
		   ? VERDICT_CARRY
		   : VERDICT_STALE;
}

static int workstation_named(const void *id, const void *workstation)
{
	return strcmp(id, ((const struct known_workstation *)workstation)->id);
}

static size_t workstation_first(const struct carry_known *k, const char *id)
{
	return search_sorted(id, k->workstation, k->workstations, sizeof(*k->workstation),
			     workstation_named, NULL);
}

bool workstation_listed(const struct carry_run *r, const char *id)
{
	const struct carry_known *k = &r->known;
	size_t i;

	if (!k->beat || !k->seen[shard_of(id)])
		return true;
	i = workstation_first(k, id);
	return i < k->workstations && strcmp(k->workstation[i].id, id) == 0;
}

enum verdict verdict_private(const struct carry_run *r, const struct name *n)
{
	const struct carry_known *k = &r->known;
	enum verdict v = VERDICT_STALE;

	if (!k->beat || !k->seen[shard_of(n->id)])
		return VERDICT_CARRY;
	for (size_t i = workstation_first(k, n->id);
	     i < k->workstations && strcmp(k->workstation[i].id, n->id) == 0; i++) {
		const struct known_workstation *w = &k->workstation[i];

		if ((w->epoch == n->epoch && w->generation == n->number) ||
		    (w->newest && later(n->epoch, n->number, w->epoch, w->generation)))
			v = VERDICT_CARRY;
	}
	return v;
}

enum verdict verdict_inbox(const struct carry_run *r, const struct name *n)
{
	const struct carry_known *k = &r->known;

	if (!k->beat || n->kind != NAME_RECEIPT)
		return VERDICT_CARRY;
	for (size_t i = workstation_first(k, n->id);
	     i < k->workstations && strcmp(k->workstation[i].id, n->id) == 0; i++)
		if (k->workstation[i].newest && n->number <= k->workstation[i].receipt)
			return VERDICT_STALE;
	return VERDICT_CARRY;
}
