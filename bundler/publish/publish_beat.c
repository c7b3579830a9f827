/* SPDX-License-Identifier: ISC */
/*
 * What is current in the whole site: 256 shards, signed again only when something in them changed,
 * and the beat that names them, which is signed again when they changed or when it grows old.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/enrolment/decommission.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/sealed/sealed.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"

#define BEATS_KEPT 8

struct beating {
	struct site *s;
	struct shard_channel *channel; /* owned; by shard, then name */
	size_t channels;
	LIST(struct shard_workstation) workstation; /* owned; by shard, then id */
	size_t channel_at, workstation_at;          /* first entries of the shard in hand */
	struct beat beat;
};

static void beating_free(struct beating **at)
{
	struct beating *b = *at;

	if (b == NULL)
		return;
	free(b->channel);
	list_clear(&b->workstation);
	free(b);
	*at = NULL;
}

/* The newest head that is for everybody; a channel without one is in no shard. */
static int channel_load(struct beating *b, const char *name, struct err *err)
{
	struct shard_channel *c = &b->channel[b->channels];
	struct published_generation g;
	int rc = published_released(b->s->db, name, &g, err);

	if (rc <= 0)
		return rc;
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->epoch = g.epoch;
	c->generation = g.generation;
	c->head = g.head;
	b->channels++;
	return 0;
}

static int channel_compare(const void *a, const void *b)
{
	const struct shard_channel *x = a, *y = b;
	int xx = shard_of(x->name), yy = shard_of(y->name);

	return xx != yy ? xx - yy : strcmp(x->name, y->name);
}

static int name_keep(void *arg, const char *name, struct err *err)
{
	return strings_add(arg, name, err);
}

/* While documents cannot be read, what was published is what there is. */
static int names_load(const struct site *s, struct strings *ret, struct err *err)
{
	int rc = 0;

	if (s->unread.rc < 0)
		return published_channels(s->db, name_keep, ret, err);
	for (size_t i = 0; rc == 0 && i < s->channels; i++)
		rc = strings_add(ret, s->channel[i].name, err);
	return rc;
}

static int channels_load(struct beating *b, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	int rc = names_load(b->s, &names, err);

	if (rc == 0 && (b->channel = calloc(names.n + 1, sizeof(*b->channel))) == NULL)
		rc = err_memory(err);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = channel_load(b, names.items[i], err);
	if (rc < 0)
		return rc;
	qsort(b->channel, b->channels, sizeof(*b->channel), channel_compare);
	return 0;
}

static int workstation_add(struct beating *b, sqlite3_stmt *st, struct err *err)
{
	struct shard_workstation *w = list_add(&b->workstation, err);

	if (w == NULL)
		return err->rc;
	snprintf(w->id, sizeof(w->id), "%s", db_text(st, 0));
	w->epoch = (uint64_t)db_i64(st, 1);
	w->generation = (uint64_t)db_i64(st, 2);
	if (w->generation > 0 && !db_digest(st, 3, &w->manifest))
		return err_set(err, RC_STATE, "the registry is damaged: the private channel of %s",
			       w->id);
	if (digest_is_zero(&w->manifest)) /* it is only known that there was one */
		w->epoch = w->generation = 0;
	w->receipt = (uint64_t)db_i64(st, 4);
	return 0;
}

/* From ascending ids to shards with ascending ids: each id is hashed once, for there may be many.
 */
static int workstations_sort(struct beating *b, struct err *err)
{
	OWNED(freep) uint8_t *xx = malloc(b->workstation.n + 1);
	struct shard_workstation *sorted = calloc(b->workstation.n + 1, sizeof(*sorted));
	size_t from[257] = {0};

	if (xx == NULL || sorted == NULL) {
		free(sorted);
		return err_memory(err);
	}
	for (size_t i = 0; i < b->workstation.n; i++) {
		xx[i] = shard_of(b->workstation.items[i].id);
		from[xx[i] + 1]++;
	}
	for (size_t i = 0; i < 256; i++)
		from[i + 1] += from[i];
	for (size_t i = 0; i < b->workstation.n; i++)
		sorted[from[xx[i]]++] = b->workstation.items[i];
	free(b->workstation.items);
	b->workstation.items = sorted;
	return 0;
}

/*
 * One that has wiped itself stays listed for a while: it looks into the beat to learn that its
 * last receipt arrived.
 */
static int workstations_load(struct beating *b, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(b->s->db,
			  "SELECT w.id, p.epoch, p.generation, p.manifest, r.sequence"
			  " FROM workstation_known w LEFT JOIN private_newest p ON p.id = w.id"
			  " LEFT JOIN receipt_newest r ON r.id = w.id"
			  " WHERE w.member OR (w.wiped AND r.recorded > ?1) ORDER BY w.id",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i",
			     b->beat.issued - (int64_t)DECOMMISSION_LISTED_DAYS * 86400);
	while (rc == 0 && (rc = db_step(b->s->db, st, err)) > 0)
		rc = workstation_add(b, st, err);
	return rc < 0 ? rc : workstations_sort(b, err);
}

/* The entries of shard ${xx}, which come next in both lists. */
static void shard_take(struct beating *b, uint8_t xx, struct shard *ret)
{
	*ret = (struct shard){.site = b->s->id, .xx = xx};
	ret->channel = b->channel + b->channel_at;
	while (b->channel_at < b->channels && shard_of(b->channel[b->channel_at].name) == xx)
		b->channel_at++, ret->channels++;
	ret->workstation = b->workstation.items + b->workstation_at;
	while (b->workstation_at < b->workstation.n &&
	       shard_of(b->workstation.items[b->workstation_at].id) == xx)
		b->workstation_at++, ret->workstations++;
}

/*
 * What decides whether a shard is what it was: its entries, and the keys that may sign.  Signing
 * anew what is the same would make every workstation fetch it again, and each depot grow with
 * every beat.
 */
static struct digest shard_input(const struct beating *b, const struct shard *sh)
{
	struct digest_stream hash;

	digest_start(&hash);
	digest_more(&hash, &b->s->trust.version, sizeof(b->s->trust.version));
	digest_more(&hash, &sh->channels, sizeof(sh->channels));
	for (size_t i = 0; i < sh->channels; i++) {
		const struct shard_channel *c = &sh->channel[i];

		digest_more(&hash, c->name, strlen(c->name) + 1);
		digest_more(&hash, &c->epoch, sizeof(c->epoch));
		digest_more(&hash, &c->generation, sizeof(c->generation));
		digest_more(&hash, &c->head, sizeof(c->head));
	}
	for (size_t i = 0; i < sh->workstations; i++) {
		const struct shard_workstation *w = &sh->workstation[i];

		digest_more(&hash, w->id, sizeof(w->id));
		digest_more(&hash, &w->epoch, sizeof(w->epoch));
		digest_more(&hash, &w->generation, sizeof(w->generation));
		digest_more(&hash, &w->manifest, sizeof(w->manifest));
		digest_more(&hash, &w->receipt, sizeof(w->receipt));
	}
	return digest_end(&hash);
}

/* shard_sign(b, sh, row, err): into the outbox; row->input is given. */
static int shard_sign(struct beating *b, const struct shard *sh, struct published_shard *row,
		      struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct digest file;
	char what[32];
	int rc = shard_encode(sh, &inner, err);

	snprintf(what, sizeof(what), "shard %02x", sh->xx);
	if (rc == 0)
		rc = document_sign(b->s, ROLE_BEAT, bytes_in(&inner), what, &doc, &row->identity,
				   err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&doc));
	name_shard(row->path, sh->xx, &file);
	rc = site_post_document(b->s, row->path, bytes_in(&doc), err);
	return rc < 0 ? rc : published_shard_set(b->s->db, sh->xx, row, err);
}

static int shard_drop(struct beating *b, uint8_t xx, const char *path, struct err *err)
{
	int rc = site_post_retire(b->s, path, err);

	return rc < 0 ? rc : published_shard_drop(b->s->db, xx, err);
}

static int shard_update(struct beating *b, uint8_t xx, struct err *err)
{
	struct beat_shard *to = &b->beat.shard[b->beat.shards];
	struct published_shard row;
	struct digest input;
	struct shard sh;
	bool there;
	int rc = published_shard(b->s->db, xx, &row, err);

	if (rc < 0)
		return rc;
	there = rc > 0;
	shard_take(b, xx, &sh);
	input = shard_input(b, &sh);
	if (sh.channels + sh.workstations == 0)
		return there ? shard_drop(b, xx, row.path, err) : 0;
	if (!there || !digest_equal(&row.input, &input)) {
		rc = there ? site_post_retire(b->s, row.path, err) : 0;
		row.input = input;
		if (rc == 0)
			rc = shard_sign(b, &sh, &row, err);
		if (rc < 0)
			return rc;
	}
	to->xx = xx;
	to->digest = row.identity;
	b->beat.shards++;
	return 0;
}

static struct digest beat_input(const struct beating *b)
{
	const uint64_t number[] = {b->beat.epoch, b->beat.trust, b->s->beat_hours, b->beat.shards,
				   b->beat.recovered};
	/* As before there were servers that recovered, so that nothing is signed anew. */
	const size_t numbers = b->beat.recovered > 0 ? 5 : 4;
	struct digest_stream hash;

	digest_start(&hash);
	digest_more(&hash, number, numbers * sizeof(number[0]));
	for (size_t i = 0; i < b->beat.shards; i++) {
		digest_more(&hash, &b->beat.shard[i].xx, 1);
		digest_more(&hash, &b->beat.shard[i].digest, sizeof(struct digest));
	}
	return digest_end(&hash);
}

/* Does the last beat say the same, and is it young enough?  A clock that was set back makes a new
 * one, so that nobody is held by the time it had before. */
static int beat_good(struct beating *b, const struct digest *input, struct err *err)
{
	int64_t now = b->beat.issued;
	struct published_beat last;
	int rc = published_beat(b->s->db, &last, err);

	if (rc <= 0)
		return rc;
	return digest_equal(&last.input, input) && now >= last.issued &&
	       now - last.issued < (last.expires - last.issued) / 2;
}

static int beat_retire(void *arg, const char *path, uint64_t sequence, struct err *err)
{
	return site_post_retire_after(arg, path, sequence, err);
}

/* The newest are kept: a stick that is a little behind still leads somewhere. */
static int beats_prune(struct beating *b, struct err *err)
{
	if (b->beat.sequence <= BEATS_KEPT)
		return 0;
	return published_beats_take(b->s->db, b->beat.sequence - BEATS_KEPT, beat_retire, b->s,
				    err);
}

/*
 * Knocking: workstations whose timer is an hour look within seconds, because the newest beat, which
 * they see, names them.  Kept as counters "knock:ID" whose value is until when beats repeat it.
 */

/* Whoever sees the depot by polling looks at least once a minute. */
#define KNOCK_SECONDS 600
#define KNOCK_ALL     "knock:all"
#define KNOCK_GLOB    "knock:*"
#define KNOCK_PREFIX  6 /* "knock:" */

static int knock_take(void *arg, const char *name, int64_t until, struct err *err)
{
	struct beat *b = arg;

	if (strcmp(name, KNOCK_ALL) == 0 || b->knocks == BEAT_KNOCKS)
		b->knock_all = true;
	else
		snprintf(b->knock[b->knocks++], sizeof(b->knock[0]), "%s", name + KNOCK_PREFIX);
	return 0;
}

static int knocks_take(struct site *s, struct beat *b, struct err *err)
{
	int rc =
	    registry_counters_drop(s->db, KNOCK_GLOB, b->issued, b->issued + KNOCK_SECONDS, err);

	if (rc == 0)
		rc = registry_counters(s->db, KNOCK_GLOB, knock_take, b, err);
	if (b->knock_all)
		b->knocks = 0;
	return rc;
}

/*
 * In the caller's transaction, number included: a beat that was signed and not recorded could be
 * signed again with other content, which workstations would report as a fork.
 */
static int beat_sign(struct beating *b, const struct digest *input, struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct published_beat row = {
	    .input = *input, .issued = b->beat.issued, .expires = b->beat.expires};
	struct digest identity, file;
	char what[48];
	int rc = registry_next(b->s->db, "beat", &b->beat.sequence, err);

	if (rc == 0)
		rc = knocks_take(b->s, &b->beat, err);
	if (rc == 0)
		rc = beat_encode(&b->beat, &inner, err);
	snprintf(what, sizeof(what), "beat %" PRIu64, b->beat.sequence);
	if (rc == 0)
		rc = document_sign(b->s, ROLE_BEAT, bytes_in(&inner), what, &doc, &identity, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&doc));
	row.sequence = b->beat.sequence;
	name_beat(row.path, row.sequence, &file);
	rc = site_post_document(b->s, row.path, bytes_in(&doc), err);
	if (rc == 0)
		rc = published_beat_add(b->s->db, &row, err);
	return rc < 0 ? rc : beats_prune(b, err);
}

/*
 * When the content key of a channel has changed, no beat that is kept may lead to what was sealed
 * with the one before, or not at all: those files leave the depot with the beats, and carry brings
 * back from no stick what only older beats name.
 */
static int beats_renew(struct beating *b, const struct digest *input, struct err *err)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < BEATS_KEPT; i++)
		rc = beat_sign(b, input, err);
	return rc;
}

int publish_beat(struct site *s, enum beat_flags flags, struct err *err)
{
	OWNED(beating_free) struct beating *b = calloc(1, sizeof(*b));
	struct digest input;
	int64_t apart = 0;
	int again, rc;

	if (b == NULL)
		return err_memory(err);
	b->s = s;
	b->beat.site = s->id;
	b->beat.epoch = s->trust.epoch[ROLE_BEAT];
	b->beat.trust = s->trust.version;
	b->beat.issued = clock_now();
	b->beat.expires = b->beat.issued + (int64_t)s->beat_hours * 3600;
	rc = private_apart_any(s->db, &apart, err);
	b->beat.recovered = rc == 1 ? (uint64_t)apart : 0;
	if (rc >= 0)
		rc = channels_load(b, err);
	if (rc == 0)
		rc = workstations_load(b, err);
	for (unsigned xx = 0; xx < 256 && rc == 0; xx++)
		rc = shard_update(b, (uint8_t)xx, err);
	if (rc < 0)
		return rc;
	input = beat_input(b);
	again = sealed_settle(s->db, err);
	if (again > 0 || (again == 0 && (flags & BEAT_ALL_NEW)))
		return beats_renew(b, &input, err);
	rc = again < 0 || flags & BEAT_ANYWAY ? again : beat_good(b, &input, err);
	return rc != 0 ? (rc < 0 ? rc : 0) : beat_sign(b, &input, err);
}

/* The counter of one workstation, by the name that people know. */
static int knock_keep(struct site *s, const char *name, struct err *err)
{
	char counter[KNOCK_PREFIX + WORKSTATION_ID + 1] = KNOCK_ALL;
	struct workstation w;
	int rc;

	if (strcmp(name, "all") != 0) {
		rc = workstation_member_by_name(s->db, name, &w, err);
		if (rc == 0)
			return err_set(err, RC_USAGE,
				       "there is no enrolled workstation %s; satchel workstation "
				       "list shows them",
				       name);
		if (rc < 0)
			return rc;
		snprintf(counter, sizeof(counter), "knock:%s", w.id);
	}
	return registry_counter_set(s->db, counter, clock_now() + KNOCK_SECONDS, err);
}

int publish_knock(struct site *s, const char *const *names, size_t n, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct err e = {0};
	int rc;

	/* A beat of a new trust version must not stand over heads of an old key. */
	if (publish_resign(s, &e) < 0)
		reporter_warning(s->reporter, "%s", e.text);
	rc = db_tx_begin(&tx, s->db, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = knock_keep(s, names[i], err);
	if (rc == 0)
		rc = publish_beat(s, BEAT_ANYWAY, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	return rc < 0 ? rc : site_post(s, err);
}
