/*
 * What is current in the whole site: 256 shards, signed again only when something in them changed,
 * and the beat that names them, which is signed again when they changed or when it grows old.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/decommission.h"
#include "bundler/publish_internal.h"
#include "bundler/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define BEATS_KEPT 8

struct beating {
	struct site *s;
	struct shard_channel *channel; /* owned; by shard, then name */
	size_t channels;
	struct shard_workstation *workstation; /* owned; by shard, then id */
	size_t workstations, workstations_cap;
	size_t channel_at, workstation_at; /* first entries of the shard in hand */
	struct beat beat;
	bool changed; /* some shard */
};

static void beating_free(struct beating **at)
{
	struct beating *b = *at;

	if (b == NULL)
		return;
	free(b->channel);
	free(b->workstation);
	free(b);
	*at = NULL;
}

/* The newest head of a channel; a channel that was never published is in no shard. */
static int channel_load(struct beating *b, const char *name, struct err *err)
{
	struct shard_channel *c = &b->channel[b->channels];
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(b->s->db,
			  "SELECT epoch, generation, head FROM generation WHERE channel = ?1"
			  " ORDER BY epoch DESC, generation DESC LIMIT 1",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", name);
	if (rc == 0)
		rc = db_step(b->s->db, st, err);
	if (rc <= 0)
		return rc;
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->epoch = (uint64_t)db_i64(st, 0);
	c->generation = (uint64_t)db_i64(st, 1);
	if (!db_digest(st, 2, &c->head))
		return err_set(err, RC_STATE,
			       "the registry is damaged: generation %" PRIu64
			       " of channel %s has no head",
			       c->generation, name);
	b->channels++;
	return 0;
}

static int channel_compare(const void *a, const void *b)
{
	const struct shard_channel *x = a, *y = b;
	int xx = shard_of(x->name), yy = shard_of(y->name);

	return xx != yy ? xx - yy : strcmp(x->name, y->name);
}

static int channels_load(struct beating *b, struct err *err)
{
	b->channel = calloc(b->s->channels + 1, sizeof(*b->channel));
	if (b->channel == NULL)
		return err_memory(err);
	for (size_t i = 0; i < b->s->channels; i++) {
		int rc = channel_load(b, b->s->channel[i].name, err);

		if (rc < 0)
			return rc;
	}
	qsort(b->channel, b->channels, sizeof(*b->channel), channel_compare);
	return 0;
}

static int workstation_add(struct beating *b, sqlite3_stmt *st, struct err *err)
{
	struct shard_workstation *w;

	if (b->workstations == b->workstations_cap) {
		size_t cap = b->workstations_cap == 0 ? 64 : 2 * b->workstations_cap;

		w = reallocarray(b->workstation, cap, sizeof(*w));
		if (w == NULL)
			return err_memory(err);
		b->workstation = w;
		b->workstations_cap = cap;
	}
	w = &b->workstation[b->workstations++];
	memset(w, 0, sizeof(*w));
	snprintf(w->id, sizeof(w->id), "%s", db_text(st, 0));
	w->epoch = (uint64_t)db_i64(st, 1);
	w->generation = (uint64_t)db_i64(st, 2);
	if (w->generation > 0 && !db_digest(st, 3, &w->manifest))
		return err_set(err, RC_STATE, "the registry is damaged: the private channel of %s",
			       w->id);
	w->receipt = (uint64_t)db_i64(st, 4);
	return 0;
}

/* From ascending ids to shards with ascending ids: each id is hashed once, for there may be many.
 */
static int workstations_sort(struct beating *b, struct err *err)
{
	OWNED(freep) uint8_t *xx = malloc(b->workstations + 1);
	struct shard_workstation *sorted = calloc(b->workstations + 1, sizeof(*sorted));
	size_t from[257] = {0};

	if (xx == NULL || sorted == NULL) {
		free(sorted);
		return err_memory(err);
	}
	for (size_t i = 0; i < b->workstations; i++) {
		xx[i] = shard_of(b->workstation[i].id);
		from[xx[i] + 1]++;
	}
	for (size_t i = 0; i < 256; i++)
		from[i + 1] += from[i];
	for (size_t i = 0; i < b->workstations; i++)
		sorted[from[xx[i]]++] = b->workstation[i];
	free(b->workstation);
	b->workstation = sorted;
	return 0;
}

static int workstations_load(struct beating *b, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(b->s->db,
			  "SELECT w.id, p.epoch, p.generation, p.manifest, r.sequence"
			  " FROM workstation w LEFT JOIN private p ON p.id = w.id"
			  " LEFT JOIN receipt r ON r.id = w.id"
			  " WHERE w.state IN ('enrolled', 'leaving')"
			  " OR (w.state = 'decommissioned' AND r.recorded > ?1) ORDER BY w.id",
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
	ret->workstation = b->workstation + b->workstation_at;
	while (b->workstation_at < b->workstations &&
	       shard_of(b->workstation[b->workstation_at].id) == xx)
		b->workstation_at++, ret->workstations++;
}

/* What decides whether a shard is what it was: its entries, and the keys that may sign. */
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

/* The row of a shard: 1 and what it was, or 0. */
static int shard_row(struct beating *b, uint8_t xx, struct digest *ret_input,
		     struct digest *ret_identity, char path[DEPOT_NAME], struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc =
	    db_query(b->s->db, "SELECT input, identity, path FROM shard WHERE xx = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)xx);
	if (rc == 0)
		rc = db_step(b->s->db, st, err);
	if (rc <= 0)
		return rc;
	if (!db_digest(st, 0, ret_input) || !db_digest(st, 1, ret_identity))
		return 0;
	snprintf(path, DEPOT_NAME, "%s", db_text(st, 2));
	return 1;
}

static int shard_sign(struct beating *b, const struct shard *sh, const struct digest *input,
		      struct digest *ret_identity, struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct digest file;
	char path[DEPOT_NAME], what[32];
	int rc = shard_encode(sh, &inner, err);

	snprintf(what, sizeof(what), "shard %02x", sh->xx);
	if (rc == 0)
		rc = publish_sign(b->s, ROLE_BEAT, bytes_in(&inner), what, &doc, ret_identity, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&doc));
	name_shard(path, sh->xx, &file);
	rc = publish_document(b->s, path, bytes_in(&doc), err);
	if (rc < 0)
		return rc;
	return db_run(b->s->db, err,
		      "INSERT OR REPLACE INTO shard(xx, input, identity, path)"
		      " VALUES(?1, ?2, ?3, ?4)",
		      "iddt", (int64_t)sh->xx, input, ret_identity, path);
}

static int shard_drop(struct beating *b, uint8_t xx, const char *path, struct err *err)
{
	int rc = publish_retire(b->s, path, err);

	b->changed = true;
	return rc < 0 ? rc
		      : db_run(b->s->db, err, "DELETE FROM shard WHERE xx = ?1", "i", (int64_t)xx);
}

static int shard_update(struct beating *b, uint8_t xx, struct err *err)
{
	struct beat_shard *to = &b->beat.shard[b->beat.shards];
	struct digest was, input, identity = {{0}};
	char path[DEPOT_NAME];
	struct shard sh;
	int rc = shard_row(b, xx, &was, &identity, path, err);

	if (rc < 0)
		return rc;
	shard_take(b, xx, &sh);
	input = shard_input(b, &sh);
	if (sh.channels + sh.workstations == 0)
		return rc > 0 ? shard_drop(b, xx, path, err) : 0;
	if (rc == 0 || !digest_equal(&was, &input)) {
		if (rc > 0)
			rc = publish_retire(b->s, path, err);
		if (rc >= 0)
			rc = shard_sign(b, &sh, &input, &identity, err);
		if (rc < 0)
			return rc;
		b->changed = true;
	}
	to->xx = xx;
	to->digest = identity;
	b->beat.shards++;
	return 0;
}

static struct digest beat_input(const struct beating *b)
{
	const uint64_t number[] = {b->beat.epoch, b->beat.trust, b->s->beat_hours, b->beat.shards};
	struct digest_stream hash;

	digest_start(&hash);
	digest_more(&hash, number, sizeof(number));
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
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int64_t now = b->beat.issued;
	struct digest was;
	int rc = db_query(b->s->db,
			  "SELECT input, issued, expires FROM beat ORDER BY sequence DESC LIMIT 1",
			  &st, err);

	if (rc == 0)
		rc = db_step(b->s->db, st, err);
	if (rc <= 0)
		return rc;
	return db_digest(st, 0, &was) && digest_equal(&was, input) && now >= db_i64(st, 1) &&
	       now - db_i64(st, 1) < (db_i64(st, 2) - db_i64(st, 1)) / 2;
}

/* The newest are kept: a stick that is a little behind still leads somewhere. */
static int beats_prune(struct beating *b, struct err *err)
{
	int64_t last = (int64_t)b->beat.sequence - BEATS_KEPT;
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc =
	    db_query(b->s->db, "SELECT path, sequence FROM beat WHERE sequence <= ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", last);
	while (rc == 0 && (rc = db_step(b->s->db, st, err)) > 0) {
		rc = db_run(b->s->db, err, "DELETE FROM outbox WHERE path = ?1", "t",
			    db_text(st, 0));
		if (rc == 0)
			rc = db_run(b->s->db, err,
				    "INSERT OR REPLACE INTO retired(path, beat) VALUES(?1, ?2)",
				    "ti", db_text(st, 0), db_i64(st, 1));
	}
	db_done(&st);
	return rc < 0 ? rc
		      : db_run(b->s->db, err, "DELETE FROM beat WHERE sequence <= ?1", "i", last);
}

static int beat_sign(struct beating *b, const struct digest *input, struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct digest identity, file;
	char path[DEPOT_NAME], what[48];
	int rc = registry_next(b->s->db, "beat", &b->beat.sequence, err);

	if (rc == 0)
		rc = publish_knocks(b->s, &b->beat, err);
	if (rc == 0)
		rc = beat_encode(&b->beat, &inner, err);
	snprintf(what, sizeof(what), "beat %" PRIu64, b->beat.sequence);
	if (rc == 0)
		rc = publish_sign(b->s, ROLE_BEAT, bytes_in(&inner), what, &doc, &identity, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&doc));
	name_beat(path, b->beat.sequence, &file);
	rc = publish_document(b->s, path, bytes_in(&doc), err);
	if (rc == 0)
		rc = db_run(b->s->db, err,
			    "INSERT INTO beat(sequence, input, issued, expires, path)"
			    " VALUES(?1, ?2, ?3, ?4, ?5)",
			    "idiit", (int64_t)b->beat.sequence, input, b->beat.issued,
			    b->beat.expires, path);
	return rc < 0 ? rc : beats_prune(b, err);
}

int publish_beat(struct site *s, enum beat_flags flags, struct err *err)
{
	OWNED(beating_free) struct beating *b = calloc(1, sizeof(*b));
	struct digest input;
	int rc;

	if (b == NULL)
		return err_memory(err);
	b->s = s;
	b->beat.site = s->id;
	b->beat.epoch = s->trust.epoch[ROLE_BEAT];
	b->beat.trust = s->trust.version;
	b->beat.issued = clock_now();
	b->beat.expires = b->beat.issued + (int64_t)s->beat_hours * 3600;
	rc = channels_load(b, err);
	if (rc == 0)
		rc = workstations_load(b, err);
	for (unsigned xx = 0; xx < 256 && rc == 0; xx++)
		rc = shard_update(b, (uint8_t)xx, err);
	if (rc < 0)
		return rc;
	input = beat_input(b);
	rc = flags & BEAT_ANYWAY ? 0 : beat_good(b, &input, err);
	return rc != 0 ? (rc < 0 ? rc : 0) : beat_sign(b, &input, err);
}
