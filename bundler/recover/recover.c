/* SPDX-License-Identifier: ISC */
/*
 * Going on above what was published, when the registry is older than that.
 *
 * Only what is signed is taken over: the chain of trust, the newest beat, the shards that it names,
 * and what they name.  What a workstation says in a receipt raises the count of beats by a bounded
 * step.  Private channels that are newer than the registry are taken over as they are, closed, and
 * their workstations are held apart: keys of users may have been rotated, and users become active,
 * of which the registry knows nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/keystore/keystore.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "bundler/published/published.h"
#include "bundler/recover/recover_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/trust/site_keys.h"
#include "bundler/trust/site_trust.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct recovering {
	struct site *s;
	struct depot **depot; /* borrowed */
	size_t depots;
	struct recover_report *report;
	struct beat beat; /* the newest that was found */
	bool found;
	struct strings listed; /* owned: ids of workstations in its shards, sorted */
};

static void recovering_clear(struct recovering *r)
{
	strings_clear(&r->listed);
}

void recover_report_clear(struct recover_report *r)
{
	strings_clear(&r->channel);
	strings_clear(&r->apart);
	strings_clear(&r->revoked);
	strings_clear(&r->missing);
}

/* A document that somebody posted for this site is one of ours from now on, and is there. */
static int document_take(struct recovering *r, const struct found_document *f, struct err *err)
{
	int rc = site_post_document(r->s, f->path, bytes_in(&f->raw), err);

	return rc < 0 ? rc : registry_posted(r->s->db, f->path, err);
}

/* Trust */

static int trust_take(struct recovering *r, struct err *err)
{
	int rc = 1;

	while (rc == 1) {
		rc = 0;
		for (size_t i = 0; rc == 0 && i < r->depots; i++) {
			OWNED(found_version_clear) struct found_version v = {NULL, BUF_INIT};

			rc = found_trust(r->depot[i], &r->s->trust, &v, err);
			if (rc != 1)
				continue;
			rc = site_trust_add(r->s->db, v.trust, bytes_in(&v.raw), err);
			if (rc == 0)
				r->s->trust = *v.trust;
			rc = rc < 0 ? rc : 1;
		}
	}
	r->report->trust = r->s->trust.version;
	return rc;
}

/* The beat */

static int beat_find(struct recovering *r, struct found_document *ret, struct err *err)
{
	uint64_t above = r->report->beat_was;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < r->depots; i++) {
		struct found_document doc = {.raw = BUF_INIT};
		struct beat beat;

		rc = found_beat(r->depot[i], &r->s->trust, above, &beat, &doc, err);
		if (rc == 1) {
			found_document_clear(ret);
			*ret = doc;
			r->beat = beat;
			r->found = true;
			above = beat.sequence;
		} else {
			found_document_clear(&doc);
		}
	}
	return rc < 0 ? rc : 0;
}

static int beat_add(struct recovering *r, const struct found_document *doc, struct err *err)
{
	struct published_beat row = {
	    .sequence = r->beat.sequence, .issued = r->beat.issued, .expires = r->beat.expires};
	int rc = document_take(r, doc, err);

	snprintf(row.path, sizeof(row.path), "%s", doc->path);
	return rc < 0 ? rc : published_beat_add(r->s->db, &row, err);
}

/* As if it had been made here; the next one is above it.  Of two with one number the other one
 * leaves the depot with ours. */
static int beat_row(struct recovering *r, const struct found_document *doc, struct err *err)
{
	if (r->beat.sequence == r->report->beat_was)
		return site_post_retire_after(r->s, doc->path, r->beat.sequence, err);
	return beat_add(r, doc, err);
}

/* Another beat under the number of ours: two servers published, each without seeing the other. */
static int forked_find(struct recovering *r, struct found_document *ret, struct err *err)
{
	struct published_beat ours;
	int rc = published_beat(r->s->db, &ours, err);

	if (rc <= 0 || ours.sequence != r->report->beat_was)
		return rc < 0 ? rc : 0;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < r->depots; i++)
		rc = found_other_beat(r->depot[i], &r->s->trust, ours.path, ours.sequence, &r->beat,
				      ret, err);
	r->report->forked = r->found = rc == 1;
	return rc < 0 ? rc : 0;
}

/* Channels */

static int channel_row(struct recovering *r, const struct shard_channel *c, const struct head *h,
		       const char *path, struct err *err)
{
	struct published_generation g = {.epoch = c->epoch,
					 .generation = c->generation,
					 .tree = h->tree,
					 .created = h->created,
					 .head = c->head};
	int rc;

	snprintf(g.path, sizeof(g.path), "%s", path);
	rc = published_generation_adopt(r->s->db, c->name, &g, err);
	return rc < 0 ? rc : strings_add(&r->report->channel, c->name, err);
}

/* Is what this registry has the same, or newer? */
static bool channel_newer(const struct published_generation *last, const struct shard_channel *c)
{
	if (last->epoch != c->epoch)
		return last->epoch > c->epoch;
	if (last->generation != c->generation)
		return last->generation > c->generation;
	return digest_equal(&last->head, &c->head);
}

/* The tree of a head that is nowhere is not known; the number is, and the next generation begins
 * with nothing. */
static int channel_take(struct recovering *r, const struct shard_channel *c, struct err *err)
{
	OWNED(found_document_clear) struct found_document doc = {.raw = BUF_INIT};
	OWNED(head_clear) struct head h = {.generation = 0};
	struct published_generation last = {.generation = 0};
	int rc = published_latest(r->s->db, c->name, &last, err);

	if (rc < 0)
		return rc;
	if (rc == 1 && channel_newer(&last, c))
		return 0;
	rc = 0;
	for (size_t i = 0; rc == 0 && i < r->depots; i++)
		rc = found_head(r->depot[i], &r->s->trust, c, &h, &doc, err);
	if (rc == 1)
		rc = document_take(r, &doc, err);
	return rc < 0 ? rc : channel_row(r, c, &h, doc.path, err);
}

/* Private channels */

static int private_take(struct recovering *r, const struct shard_workstation *w, const char *name,
			struct err *err)
{
	OWNED(found_document_clear) struct found_document doc = {.raw = BUF_INIT};
	struct manifest m = {.generation = 0};
	struct private_adopted a = {.id = w->id,
				    .epoch = w->epoch,
				    .generation = w->generation,
				    .manifest = w->manifest,
				    .path = doc.path,
				    .since = clock_now()};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->depots; i++)
		rc = found_private(r->depot[i], w, &m, &doc, err);
	if (rc == 1)
		rc = document_take(r, &doc, err);
	a.tree = m.tree;
	if (rc == 0)
		rc = private_adopt(r->s->db, &a, err);
	return rc < 0 || name == NULL ? rc : strings_add(&r->report->apart, name, err);
}

/* 1: the private channel of the registry is the one that the shard names, or a newer one. */
static int private_known(struct recovering *r, const struct shard_workstation *w, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct digest manifest;
	uint64_t epoch, generation;
	int rc = db_query(r->s->db,
			  "SELECT epoch, generation, manifest FROM private_newest WHERE id = ?1",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", w->id);
	if (rc == 0)
		rc = db_step(r->s->db, st, err);
	if (rc <= 0)
		return rc < 0 ? rc : w->generation == 0;
	epoch = (uint64_t)db_i64(st, 0);
	generation = (uint64_t)db_i64(st, 1);
	if (epoch != w->epoch)
		return epoch > w->epoch;
	if (generation != w->generation)
		return generation > w->generation;
	return db_digest(st, 2, &manifest) && digest_equal(&manifest, &w->manifest);
}

static int workstation_take(struct recovering *r, const struct shard_workstation *w,
			    struct err *err)
{
	struct workstation row;
	bool known;
	int rc = strings_add(&r->listed, w->id, err);

	if (rc == 0)
		rc = workstation_by_id(r->s->db, w->id, &row, err);
	if (rc < 0)
		return rc;
	known = rc == 1;
	if (!known)
		r->report->unknown++;
	rc = private_known(r, w, err);
	/* One that is not known asks to be enrolled again, and what it has must be above this. */
	return rc != 0 ? (rc < 0 ? rc : 0) : private_take(r, w, known ? row.name : NULL, err);
}

static int shard_take(struct recovering *r, const struct beat_shard *which, struct err *err)
{
	OWNED(found_document_clear) struct found_document doc = {.raw = BUF_INIT};
	OWNED(shard_clear) struct shard sh = {.xx = 0};
	struct published_shard row = {.input = {{0}}};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->depots; i++)
		rc = found_shard(r->depot[i], &r->s->trust, which, &sh, &doc, err);
	if (rc == 0)
		r->report->shards_lost++;
	if (rc <= 0)
		return rc;
	rc = document_take(r, &doc, err);
	row.identity = doc.identity;
	memcpy(row.path, doc.path, sizeof(row.path));
	if (rc == 0)
		rc = published_shard_set(r->s->db, sh.xx, &row, err);
	for (size_t i = 0; rc == 0 && i < sh.channels; i++)
		rc = channel_take(r, &sh.channel[i], err);
	for (size_t i = 0; rc == 0 && i < sh.workstations; i++)
		rc = workstation_take(r, &sh.workstation[i], err);
	return rc;
}

static int shards_take(struct recovering *r, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->beat.shards; i++)
		rc = shard_take(r, &r->beat.shard[i], err);
	strings_sort(&r->listed);
	return rc;
}

/* Members whom the newest beat does not list were revoked, or ended, after the backup. */
static int unlisted_each(void *arg, const struct workstation *w, struct err *err)
{
	struct recovering *r = arg;

	if (strings_has_sorted(&r->listed, w->id))
		return 0;
	return strings_add(&r->report->revoked, w->name, err);
}

static int unlisted_revoke(struct recovering *r, struct err *err)
{
	int rc = 0;

	if (r->report->shards_lost > 0)
		return 0;
	rc = workstations_each(r->s->db, unlisted_each, r, err);
	for (size_t i = 0; rc == 0 && i < r->report->revoked.n; i++) {
		struct workstation w;

		rc = workstation_member_by_name(r->s->db, r->report->revoked.items[i], &w, err);
		if (rc == 1)
			rc = workstation_state_set(r->s->db, w.id, WORKSTATION_REVOKED, err);
	}
	return rc < 0 ? rc : 0;
}

/* Keys that were made after the backup are not in the state. */
static int keys_check(struct recovering *r, struct err *err)
{
	static const enum role online[] = {ROLE_PRIVATE, ROLE_BEAT, ROLE_COLLECT, ROLE_PUBLISH};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(online); i++) {
		OWNED(key_freep) struct key_secret *k = NULL;

		if (trust_acting(&r->s->trust, online[i]) == online[i] &&
		    site_key(r->s, online[i], &k, ERR_IGNORED) < 0)
			rc = strings_add(&r->report->missing, role_names[online[i]], err);
	}
	return rc;
}

static int beats_take(struct recovering *r, struct err *err)
{
	OWNED(found_document_clear) struct found_document doc = {.raw = BUF_INIT};
	int rc = registry_last(r->s->db, "beat", &r->report->beat_was, err);

	r->report->beat = r->report->beat_was;
	if (rc == 0)
		rc = forked_find(r, &doc, err);
	if (rc == 0)
		rc = beat_find(r, &doc, err);
	if (rc == 0 && r->found) {
		r->report->beat = r->beat.sequence;
		rc = beat_row(r, &doc, err);
	}
	/* The next one is above both, and that is seen in the numbers. */
	if (rc == 0 && r->report->beat == r->report->beat_was)
		r->report->beat += r->report->forked;
	if (rc == 0 && r->found)
		rc = shards_take(r, err);
	if (rc == 0)
		rc = recover_claims(r->s, r->report, err);
	if (rc == 0 && r->report->beat > r->report->beat_was)
		rc = registry_counter_set(r->s->db, "beat", (int64_t)r->report->beat, err);
	if (rc == 0 && r->found)
		rc = unlisted_revoke(r, err);
	if (rc == 0 && r->found)
		rc = recover_litter(r->s, r->depot[0], r->beat.sequence, err);
	return rc;
}

static int tell(struct recovering *r, struct err *err)
{
	const struct recover_report *p = r->report;

	return registry_eventf(
	    r->s->db, err, "recovered", "",
	    "the registry was older than what it had published: it goes on above "
	    "beat %" PRIu64 " (it had made %" PRIu64 ") with trust version "
	    "%" PRIu64 "; held apart: %zu, revoked since: %zu, not known: %" PRIu64,
	    p->beat, p->beat_was, p->trust, p->apart.n, p->revoked.n, p->unknown);
}

/* 1: there was something. */
static int recover_run(struct recovering *r, struct err *err)
{
	struct recover_report *p = r->report;
	int rc;

	p->trust_was = r->s->trust.version;
	rc = trust_take(r, err);
	if (rc == 0)
		rc = beats_take(r, err);
	if (rc == 0)
		rc = keys_check(r, err);
	if (rc < 0)
		return rc;
	strings_sort(&p->channel);
	strings_sort(&p->apart);
	strings_sort(&p->revoked);
	if (p->trust == p->trust_was && p->beat == p->beat_was && !p->forked)
		return 0;
	rc = keystore_lose(r->s, err);
	if (rc == 0)
		rc = tell(r, err);
	return rc < 0 ? rc : 1;
}

static int recover_with(struct site *s, struct depot **depot, size_t n, enum recover_flags flags,
			struct recover_report *ret, struct err *err)
{
	OWNED(recovering_clear)
	struct recovering r = {.s = s, .depot = depot, .depots = n, .report = ret};
	OWNED(db_tx_end) struct db_tx tx = {0};
	const struct trust was = s->trust;
	int rc = db_tx_begin(&tx, s->db, err), found;

	if (rc < 0)
		return rc;
	found = recover_run(&r, err);
	rc = found == 1 && !(flags & RECOVER_DRY_RUN) ? db_tx_commit(&tx, err) : 0;
	if (found < 1 || rc < 0 || (flags & RECOVER_DRY_RUN))
		s->trust = was;
	return rc < 0 ? rc : found;
}

#define DEPOTS_MOST 8

int recover_site(struct site *s, const char *const *depots, size_t n, enum recover_flags flags,
		 struct recover_report *ret, struct err *err)
{
	struct depot *depot[DEPOTS_MOST + 1] = {NULL};
	size_t open = 0;
	int rc = n > DEPOTS_MOST ? err_set(err, RC_LIMIT, "at most %u depots at once", DEPOTS_MOST)
				 : site_depot_open(s, &depot[0], err);

	if (rc >= 0)
		open = 1;
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		rc = depot_open(depots[i], 0, LIMIT_DEPOT_SILENCE, &depot[open], err);
		open += rc == 0;
	}
	if (rc >= 0)
		rc = recover_with(s, depot, open, flags, ret, err);
	for (size_t i = 0; i < open; i++)
		depot_free(depot[i]);
	return rc;
}
