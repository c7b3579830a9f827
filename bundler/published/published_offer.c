/* SPDX-License-Identifier: ISC */
/*
 * What the rings of a channel are offered.  The first ring is offered the newest generation, each
 * other one what those before it have proved; whoever is in none gets what shards name.  So an
 * offer is a ceiling, and the depot must hold a way to each of them.
 */
#include <stdio.h>

#include "bundler/published/published.h"
#include "core/base/own.h"

static int offer_take(struct published_offers *l, sqlite3_stmt *st, struct err *err)
{
	struct published_offer *o = list_add(l, err);

	if (o == NULL)
		return err->rc;
	o->ring = (uint64_t)db_i64(st, 0);
	o->epoch = (uint64_t)db_i64(st, 1);
	o->generation = (uint64_t)db_i64(st, 2);
	o->since = db_i64(st, 3);
	o->behind = db_i64(st, 4);
	o->stopped = (uint64_t)db_i64(st, 5);
	snprintf(o->why, sizeof(o->why), "%s", db_text(st, 6));
	snprintf(o->path, sizeof(o->path), "%s", db_text(st, 7));
	if (!db_digest(st, 8, &o->head) || !db_digest(st, 9, &o->tree))
		return err_set(err, RC_STATE,
			       "the registry is damaged: what a ring is offered has no digest");
	return 0;
}

int published_offers(struct db *db, const char *channel, struct published_offers *ret,
		     struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc =
	    db_query(db,
		     "SELECT o.ring, o.epoch, o.generation, o.since, o.behind, o.stopped, o.why,"
		     " g.path, g.head, g.tree FROM offer o JOIN generation g"
		     " ON g.channel = o.channel AND g.epoch = o.epoch"
		     " AND g.generation = o.generation"
		     " WHERE o.channel = ?1 AND g.path IS NOT NULL ORDER BY o.ring",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", channel);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = offer_take(ret, st, err);
	return rc;
}

int published_offer_set(struct db *db, const char *channel, const struct published_offer *o,
			struct err *err)
{
	return db_run(
	    db, err,
	    "INSERT OR REPLACE INTO offer(channel, ring, epoch, generation, since, behind,"
	    " stopped, why) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	    "tiiiiiit", channel, (int64_t)o->ring, (int64_t)o->epoch, (int64_t)o->generation,
	    o->since, o->behind, (int64_t)o->stopped, o->why);
}

int published_offers_drop(struct db *db, const char *channel, uint64_t rings, struct err *err)
{
	int rc = db_run(db, err, "DELETE FROM offer WHERE channel = ?1 AND ring > ?2", "ti",
			channel, (int64_t)rings);

	return rc < 0 || rings > 0
		   ? rc
		   : db_run(db, err, "DELETE FROM health WHERE channel = ?1", "t", channel);
}

int published_offers_names(struct db *db, published_path_each each, void *arg, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, "SELECT DISTINCT channel FROM offer ORDER BY channel", &st, err);

	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = strings_add(&names, db_text(st, 0), err);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = each(arg, names.items[i], err);
	return rc;
}

/* The last of the rings that is offered as much as it has: a workstation that left its ring keeps
 * what it got there, and goes on from it. */
static const struct published_offer *offer_above(const struct published_offers *l, uint64_t epoch,
						 uint64_t held)
{
	const struct published_offer *last = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].epoch == epoch && l->items[i].generation >= held)
			last = &l->items[i];
	return last;
}

const struct published_offer *published_offer_of(const struct published_offers *l, uint64_t ring,
						 uint64_t epoch, uint64_t held,
						 const struct published_generation *released)
{
	const struct published_offer *o = NULL;

	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].ring == ring)
			o = &l->items[i];
	if (o == NULL || (o->epoch == epoch && held > o->generation))
		if (epoch != released->epoch || held > released->generation)
			o = offer_above(l, epoch, held) != NULL ? offer_above(l, epoch, held) : o;
	return o != NULL && o->epoch == released->epoch && o->generation <= released->generation
		   ? NULL
		   : o;
}

int published_health_set(struct db *db, const char *channel, const char *id, uint64_t epoch,
			 uint64_t generation, int64_t at, int64_t *ret_since, struct err *err)
{
	int rc = db_run(db, err,
			"INSERT INTO health(channel, id, epoch, generation, since)"
			" VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(channel, id) DO UPDATE"
			" SET epoch = excluded.epoch, generation = excluded.generation,"
			" since = excluded.since WHERE epoch != excluded.epoch"
			" OR generation != excluded.generation OR since > excluded.since",
			"ttiii", channel, id, (int64_t)epoch, (int64_t)generation, at);

	if (rc == 0)
		rc = db_int(db, err, ret_since,
			    "SELECT since FROM health WHERE channel = ?1 AND id = ?2", "tt",
			    channel, id);
	return rc < 0 ? rc : 0;
}

int published_health(struct db *db, const char *channel, const char *id, uint64_t epoch,
		     uint64_t generation, int64_t *ret_since, struct err *err)
{
	return db_int(db, err, ret_since,
		      "SELECT since FROM health WHERE channel = ?1 AND id = ?2 AND epoch = ?3"
		      " AND generation = ?4",
		      "ttii", channel, id, (int64_t)epoch, (int64_t)generation);
}

int published_health_drop(struct db *db, const char *channel, const char *id, struct err *err)
{
	return db_run(db, err, "DELETE FROM health WHERE channel = ?1 AND id = ?2", "tt", channel,
		      id);
}

int published_health_forget(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "DELETE FROM health WHERE id = ?1", "t", id);
}
