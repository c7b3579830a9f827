/*
 * What the kept beats lead to.  A server prunes what no kept beat needs; carry does not bring it
 * back.  The newest beat that verifies says what is older than it; what cannot be judged, because
 * its shard or its signature is not at hand, is carried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry_internal.h"

void known_clear(struct known *k)
{
	free(k->shard);
	free(k->channel);
	free(k->workstation);
	k->shard = NULL;
	k->channel = NULL;
	k->workstation = NULL;
}

static int rows_room(void **row, size_t n, size_t more, size_t *room, size_t size, struct err *err)
{
	size_t wanted = *room == 0 ? 64 : *room;
	void *grown;

	while (wanted < n + more)
		wanted *= 2;
	if (wanted == *room)
		return 0;
	grown = reallocarray(*row, wanted, size);
	if (grown == NULL)
		return err_memory(err);
	*row = grown;
	*room = wanted;
	return 0;
}

static int rows_add(struct known *k, const struct shard *s, bool newest, struct err *err)
{
	int rc = rows_room((void **)&k->channel, k->channels, s->channels, &k->channels_room,
			   sizeof(*k->channel), err);

	if (rc == 0)
		rc = rows_room((void **)&k->workstation, k->workstations, s->workstations,
			       &k->workstations_room, sizeof(*k->workstation), err);
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

static struct known_shard *shard_named(struct known *k, uint8_t xx, const struct digest *identity)
{
	for (size_t i = 0; i < k->shards; i++)
		if (k->shard[i].xx == xx && digest_equal(&k->shard[i].identity, identity))
			return &k->shard[i];
	return NULL;
}

/* A named one that cannot be parsed here (a newer format) is carried and says nothing. */
static int shard_learn(struct run *r, const struct document *d, struct known_shard *named,
		       struct err *err)
{
	struct shard s;
	int rc;

	if (named->found)
		return 0;
	named->found = true;
	if (shard_decode(d->doc.inner, &s, NULL) < 0)
		return 0;
	rc = rows_add(&r->known, &s, named->newest, err);
	shard_clear(&s);
	if (rc == 0 && named->newest)
		r->known.seen[named->xx] = true;
	return rc;
}

static int shard_row(struct run *r, const char *path, const struct listed *row, struct err *err)
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
	if (rc < 0) {
		carry_refuse(r, &bad);
		return 0;
	}
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

int carry_known_shards(struct run *r, struct err *err)
{
	OWNED(both_clear) struct both l = {0};
	struct known *k = &r->known;
	int rc = carry_list(r, "shards", &l, err);

	r->tries = CARRY_TRIES;
	for (size_t i = 0; rc == 0 && i < l.rows && r->tries > 0; i++, r->tries--) {
		char path[DEPOT_NAME];

		snprintf(path, sizeof(path), "shards/%.200s", listed_name(&l, &l.row[i]));
		rc = shard_row(r, path, &l.row[i], err);
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

/* The first row of a name, or where it would stand. */
static size_t channel_first(const struct known *k, const char *name)
{
	size_t low = 0, high = k->channels;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(k->channel[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct known_channel *known_newest(const struct known *k, const char *channel)
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

enum verdict verdict_head(const struct run *r, const struct name *n, const struct digest *identity)
{
	const struct known *k = &r->known;
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

static size_t workstation_first(const struct known *k, const char *id)
{
	size_t low = 0, high = k->workstations;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(k->workstation[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum verdict verdict_private(const struct run *r, const struct name *n)
{
	const struct known *k = &r->known;
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

enum verdict verdict_inbox(const struct run *r, const struct name *n)
{
	const struct known *k = &r->known;

	if (!k->beat || n->kind != NAME_RECEIPT)
		return VERDICT_CARRY;
	for (size_t i = workstation_first(k, n->id);
	     i < k->workstations && strcmp(k->workstation[i].id, n->id) == 0; i++)
		if (k->workstation[i].newest && n->number <= k->workstation[i].receipt)
			return VERDICT_STALE;
	return VERDICT_CARRY;
}
