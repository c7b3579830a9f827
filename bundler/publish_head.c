/*
 * The head: which bundles lead to the newest generation.  A path from 0 is always complete; beside
 * it stand the steps that machines which hold an older generation can use.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"
#include "core/base/own.h"

/* Steps that are kept while no receipt says what is needed. */
#define STEPS_KEPT 16

struct listing {
	struct publishing *p;
	uint64_t generation;
	struct head head; /* bundle: owned; ascending by generation, then base */
	size_t cap;
};

static int bundle_add(struct listing *l, sqlite3_stmt *st, struct err *err)
{
	struct head_bundle *b;

	if (l->head.bundles == l->cap) {
		size_t cap = l->cap == 0 ? 32 : 2 * l->cap;

		b = reallocarray(l->head.bundle, cap, sizeof(*b));
		if (b == NULL)
			return err_memory(err);
		l->head.bundle = b;
		l->cap = cap;
	}
	b = &l->head.bundle[l->head.bundles];
	b->base = (uint64_t)db_i64(st, 0);
	b->generation = (uint64_t)db_i64(st, 1);
	b->size = (uint64_t)db_i64(st, 2);
	if (!db_digest(st, 3, &b->prefix) || !db_digest(st, 4, &b->manifest))
		return err_set(err, RC_STATE,
			       "the registry is damaged: bundle %" PRIu64 "-%" PRIu64
			       " of channel %s has no digest",
			       b->base, b->generation, l->p->c->name);
	l->head.bundles++;
	return 0;
}

static int bundles_load(struct listing *l, struct err *err)
{
	struct db *db = l->p->s->db;
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT base, generation, size, prefix_digest, manifest FROM bundle"
			  " WHERE channel = ?1 AND epoch = ?2 ORDER BY generation, base",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", l->p->c->name, (int64_t)l->p->epoch);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = bundle_add(l, st, err);
	return rc;
}

/* The oldest generation that a workstation is known to hold, or that one may well hold. */
static int floor_find(struct listing *l, uint64_t *ret, struct err *err)
{
	int64_t oldest = 0;
	int rc =
	    db_int(l->p->s->db, err, &oldest,
		   "SELECT coalesce(min(r.generation), 0) FROM receipt_channel r JOIN workstation w"
		   " ON w.id = r.id WHERE w.state = 'enrolled' AND r.channel = ?1 AND r.epoch = ?2"
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

static const struct head_bundle *step_from(const struct listing *l, uint64_t base)
{
	for (size_t i = 0; i < l->head.bundles; i++)
		if (l->head.bundle[i].base == base && l->head.bundle[i].generation == base + 1)
			return &l->head.bundle[i];
	return NULL;
}

static const struct head_bundle *newest_full(const struct listing *l)
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
static int steps_from(struct listing *l, const struct head_bundle *full, uint64_t *ret,
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

static int bundle_drop(struct listing *l, const struct head_bundle *b, struct err *err)
{
	char path[DEPOT_NAME];
	int rc;

	name_bundle(path, l->p->c->name, l->p->epoch, b->base, b->generation, &b->prefix);
	rc = publish_retire(l->p->s, path, err);
	if (rc < 0)
		return rc;
	return db_run(l->p->s->db, err,
		      "DELETE FROM bundle WHERE channel = ?1 AND epoch = ?2 AND base = ?3"
		      " AND generation = ?4",
		      "tiii", l->p->c->name, (int64_t)l->p->epoch, (int64_t)b->base,
		      (int64_t)b->generation);
}

/* Leave what is needed, drop the rest. */
static int bundles_choose(struct listing *l, struct err *err)
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
		else
			rc = bundle_drop(l, b, err);
	}
	l->head.bundles = n;
	return rc;
}

/* Earlier epochs: their heads and bundles are of no use to anybody. */
static int epochs_drop(struct publishing *p, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(p->s->db,
			  "SELECT path FROM bundle WHERE channel = ?1 AND epoch < ?2 UNION ALL"
			  " SELECT path FROM generation WHERE channel = ?1 AND epoch < ?2"
			  " AND path IS NOT NULL",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", p->c->name, (int64_t)p->epoch);
	while (rc == 0 && (rc = db_step(p->s->db, st, err)) > 0)
		rc = publish_retire(p->s, db_text(st, 0), err);
	if (rc == 0)
		rc = db_run(p->s->db, err, "DELETE FROM bundle WHERE channel = ?1 AND epoch < ?2",
			    "ti", p->c->name, (int64_t)p->epoch);
	return rc;
}

/* The heads before this one, once no kept beat names them.  (Also one of the same generation.) */
static int heads_retire(struct publishing *p, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(p->s->db,
			  "SELECT path FROM generation WHERE channel = ?1 AND epoch = ?2"
			  " AND path IS NOT NULL",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", p->c->name, (int64_t)p->epoch);
	while (rc == 0 && (rc = db_step(p->s->db, st, err)) > 0)
		rc = publish_retire(p->s, db_text(st, 0), err);
	if (rc == 0)
		rc = db_run(p->s->db, err,
			    "UPDATE generation SET path = NULL WHERE channel = ?1 AND epoch = ?2",
			    "ti", p->c->name, (int64_t)p->epoch);
	return rc;
}

static int head_sign(struct listing *l, struct err *err)
{
	struct publishing *p = l->p;
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct digest identity, file;
	char path[DEPOT_NAME], what[128];
	int rc = head_encode(&l->head, &inner, err);

	snprintf(what, sizeof(what), "head %" PRIu64 " of channel %s", l->generation, p->c->name);
	if (rc == 0)
		rc = publish_sign(p->s, ROLE_PUBLISH, bytes_in(&inner), what, &doc, &identity, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&doc));
	name_head(path, p->c->name, p->epoch, l->generation, &file);
	rc = publish_document(p->s, path, bytes_in(&doc), err);
	if (rc == 0)
		rc = db_run(p->s->db, err,
			    "UPDATE generation SET head = ?1, path = ?2 WHERE channel = ?3"
			    " AND epoch = ?4 AND generation = ?5",
			    "dttii", &identity, path, p->c->name, (int64_t)p->epoch,
			    (int64_t)l->generation);
	return rc;
}

int publish_head(struct publishing *p, struct err *err)
{
	struct listing l = {.p = p, .generation = p->generation};
	int rc;

	l.head.site = p->s->id;
	memcpy(l.head.channel, p->c->name, sizeof(l.head.channel));
	l.head.epoch = p->epoch;
	l.head.generation = p->generation;
	l.head.tree = p->tree;
	l.head.created = p->created;
	rc = bundles_load(&l, err);
	if (rc == 0)
		rc = bundles_choose(&l, err);
	if (rc == 0)
		rc = epochs_drop(p, err);
	if (rc == 0)
		rc = heads_retire(p, err);
	if (rc == 0)
		rc = head_sign(&l, err);
	head_clear(&l.head);
	return rc;
}
