/* SPDX-License-Identifier: ISC */
/*
 * The tables of what was published, and the generations of channels: each is a row that stays, so
 * that numbers never go back, while its head leaves the depot when the next one is there.
 */
#include "bundler/published/published.h"

#include <inttypes.h>
#include <stdio.h>

#include "bundler/registry/registry.h"
#include "core/base/own.h"

static const char published_tables[] =
    /* head: identity of its document; path: of that in the depot; beat: the first that names it */
    "CREATE TABLE generation(channel TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, tree BLOB NOT NULL, created INTEGER NOT NULL,"
    " entries INTEGER NOT NULL, head BLOB, path TEXT, beat INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(channel, epoch, generation)) STRICT, WITHOUT ROWID;"
    /* prefix_digest: of prefix; manifest: its identity; pieces: LE 64-bit offset and length in the
     * pack, three times */
    "CREATE TABLE bundle(channel TEXT NOT NULL, epoch INTEGER NOT NULL, base INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, pack INTEGER NOT NULL, pieces BLOB NOT NULL,"
    " prefix BLOB NOT NULL, prefix_digest BLOB NOT NULL, manifest BLOB NOT NULL,"
    " payload INTEGER NOT NULL, size INTEGER NOT NULL, path TEXT NOT NULL,"
    " posted INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(channel, epoch, base, generation)) STRICT;"
    /* input: digest of what it was made from and of the key that signed it */
    "CREATE TABLE shard(xx INTEGER PRIMARY KEY, input BLOB NOT NULL, identity BLOB NOT NULL,"
    " path TEXT NOT NULL) STRICT;"
    "CREATE TABLE beat(sequence INTEGER PRIMARY KEY, input BLOB NOT NULL, issued INTEGER NOT NULL,"
    " expires INTEGER NOT NULL, path TEXT NOT NULL) STRICT;";
/* A release that waits for signatures, and those that it has: layers; 0: content is unsigned. */
static const char published_releases_table[] =
    "CREATE TABLE release(channel TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, content BLOB NOT NULL, layers INTEGER NOT NULL) STRICT;";
static const char published_views[] =
    /* packs that a bundle still reads */
    "CREATE VIEW bundle_pack AS SELECT pack FROM bundle;"
    /* bundles that were posted, with what they are made of */
    "CREATE VIEW bundle_out AS SELECT channel, epoch, base, generation, pack, path, size"
    " FROM bundle WHERE posted > 0;"
    /* bundles that were posted */
    "CREATE VIEW bundle_sent AS SELECT path, size FROM bundle INDEXED BY bundle_size"
    " WHERE posted > 0;";
/* A row holds a prefix, which may be large: what is asked at every publish is in indices.  SQLite
 * reads the row for a column that only their condition names, so that is in them too. */
static const char published_indices[] =
    "CREATE INDEX bundle_path ON bundle(path);"
    "CREATE INDEX bundle_size ON bundle(path, size, posted) WHERE posted > 0;"
    "CREATE INDEX bundle_unposted ON bundle(channel, path, posted) WHERE posted = 0;";
/* Sealed channels.  salt: what keys the digest of the tree, NULL: it is not keyed; key: number of
 * the content key, 0: not sealed. */
static const char published_sealed[] =
    "ALTER TABLE generation ADD COLUMN salt BLOB;"
    "ALTER TABLE bundle ADD COLUMN key INTEGER NOT NULL DEFAULT 0;";
/* Channels that could not be published. */
static const char published_blocked_table[] =
    "CREATE TABLE blocked(channel TEXT PRIMARY KEY, since INTEGER NOT NULL, why TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID;";
/* Files that alone were held back; 0: nothing was published. */
static const char published_held[] =
    "ALTER TABLE blocked ADD COLUMN held INTEGER NOT NULL DEFAULT 0;";
/* What rings are offered: behind: since when the next ring has less; health: workstations that have
 * been healthy with what they are offered since then. */
static const char published_rings[] =
    "CREATE TABLE offer(channel TEXT NOT NULL, ring INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, since INTEGER NOT NULL, behind INTEGER NOT NULL,"
    " stopped INTEGER NOT NULL, why TEXT NOT NULL, PRIMARY KEY(channel, ring)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE TABLE health(channel TEXT NOT NULL, id TEXT NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, since INTEGER NOT NULL, PRIMARY KEY(channel, id)) STRICT,"
    " WITHOUT ROWID;";
static const char *const published_steps[] = {
    published_tables,        published_indices, published_releases_table, published_sealed,
    published_blocked_table, published_held,    published_rings,          ""};
const struct db_schema published_schema =
    DB_SCHEMA_VIEWS("published", published_steps, published_views);

#define GENERATION                                                           \
	"SELECT epoch, generation, tree, created, entries, head, path, salt" \
	" FROM generation"

static int generation_take(sqlite3_stmt *st, const char *channel, struct published_generation *ret,
			   struct err *err)
{
	struct published_generation g = {.epoch = (uint64_t)db_i64(st, 0),
					 .generation = (uint64_t)db_i64(st, 1),
					 .created = db_i64(st, 3),
					 .entries = (uint64_t)db_i64(st, 4)};

	if (!db_digest(st, 7, &g.salt))
		g.salt = (struct digest){{0}};
	g.has_head = db_digest(st, 5, &g.head);
	snprintf(g.path, sizeof(g.path), "%s", db_text(st, 6));
	if (!db_digest(st, 2, &g.tree))
		return err_set(err, RC_STATE,
			       "the registry is damaged: generation %" PRIu64
			       " of channel %s has no tree digest",
			       g.generation, channel);
	*ret = g;
	return 1;
}

/* generation_find(db, sql, channel, number, ret, err): ${number} only where the SQL asks for it. */
static int generation_find(struct db *db, const char *sql, const char *channel, int64_t number,
			   struct published_generation *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, sqlite3_bind_parameter_count(st) > 1 ? "ti" : "t", channel,
			     number);
	if (rc == 0)
		rc = db_step(db, st, err);
	return rc <= 0 ? rc : generation_take(st, channel, ret, err);
}

int published_latest(struct db *db, const char *channel, struct published_generation *ret,
		     struct err *err)
{
	return generation_find(db,
			       GENERATION " WHERE channel = ?1 AND head IS NOT NULL"
					  " ORDER BY epoch DESC, generation DESC LIMIT 1",
			       channel, 0, ret, err);
}

/* A generation that no shard names: it is offered to rings, or was before a later one came. */
#define BEAT_NEVER INT64_MAX

int published_released(struct db *db, const char *channel, struct published_generation *ret,
		       struct err *err)
{
	return generation_find(db,
			       GENERATION " WHERE channel = ?1 AND head IS NOT NULL AND beat < ?2"
					  " ORDER BY epoch DESC, generation DESC LIMIT 1",
			       channel, BEAT_NEVER, ret, err);
}

int published_release_all(struct db *db, const char *channel, const struct published_generation *g,
			  struct err *err)
{
	uint64_t beat;
	int rc = registry_last(db, "beat", &beat, err);

	if (rc < 0)
		return rc;
	return db_run(db, err,
		      "UPDATE generation SET beat = ?1 WHERE channel = ?2 AND epoch = ?3"
		      " AND generation = ?4 AND beat = ?5",
		      "itiii", (int64_t)beat + 1, channel, (int64_t)g->epoch,
		      (int64_t)g->generation, BEAT_NEVER);
}

int published_latest_in(struct db *db, const char *channel, uint64_t epoch,
			struct published_generation *ret, struct err *err)
{
	return generation_find(db,
			       GENERATION " WHERE channel = ?1 AND epoch = ?2"
					  " ORDER BY generation DESC LIMIT 1",
			       channel, (int64_t)epoch, ret, err);
}

int published_at_beat(struct db *db, const char *channel, uint64_t beat,
		      struct published_generation *ret, struct err *err)
{
	return generation_find(db,
			       GENERATION " WHERE channel = ?1 AND beat <= ?2 AND head IS NOT NULL"
					  " ORDER BY epoch DESC, generation DESC LIMIT 1",
			       channel, (int64_t)beat, ret, err);
}

int published_generation_add(struct db *db, const char *channel,
			     const struct published_generation *g, struct err *err)
{
	bool salted = !digest_is_zero(&g->salt);
	uint64_t beat;
	int rc = registry_last(db, "beat", &beat, err);

	if (rc < 0)
		return rc;
	return db_run(db, err,
		      "INSERT INTO generation(channel, epoch, generation, tree, created, entries,"
		      " beat, salt) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, x''))",
		      "tiidiiib", channel, (int64_t)g->epoch, (int64_t)g->generation, &g->tree,
		      g->created, (int64_t)g->entries, (int64_t)beat + 1,
		      (struct bytes){salted ? g->salt.b : NULL, salted ? DIGEST_BYTES : 0});
}

int published_generation_adopt(struct db *db, const char *channel,
			       const struct published_generation *g, struct err *err)
{
	int rc = db_run(
	    db, err, "DELETE FROM generation WHERE channel = ?1 AND epoch = ?2 AND generation = ?3",
	    "tii", channel, (int64_t)g->epoch, (int64_t)g->generation);

	if (rc == 0)
		rc = published_generation_add(db, channel, g, err);
	return rc < 0 ? rc : published_head_set(db, channel, g, false, err);
}

int published_head_set(struct db *db, const char *channel, const struct published_generation *g,
		       bool rings, struct err *err)
{
	uint64_t beat;
	int rc = registry_last(db, "beat", &beat, err);

	if (rc < 0)
		return rc;
	return db_run(db, err,
		      "UPDATE generation SET head = ?1, path = ?2,"
		      " beat = CASE WHEN head IS NULL THEN ?6 ELSE beat END WHERE channel = ?3"
		      " AND epoch = ?4 AND generation = ?5",
		      "dttiii", &g->head, g->path, channel, (int64_t)g->epoch,
		      (int64_t)g->generation, rings ? BEAT_NEVER : (int64_t)beat + 1);
}

int published_tree(struct db *db, const char *channel, uint64_t epoch, uint64_t generation,
		   struct published_tree *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT tree, head IS NOT NULL, salt FROM generation WHERE channel = ?1"
			  " AND epoch = ?2 AND generation = ?3",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tii", channel, (int64_t)epoch, (int64_t)generation);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc > 0 && !db_digest(st, 0, &ret->tree))
		return err_set(err, RC_STATE, "the registry is damaged: a generation has no tree");
	if (rc > 0) {
		ret->released = db_i64(st, 1) != 0;
		if (!db_digest(st, 2, &ret->salt))
			ret->salt = (struct digest){{0}};
	}
	return rc;
}

/* Releases that wait */

int published_release_set(struct db *db, const struct published_release *r, struct err *err)
{
	return db_run(db, err,
		      "INSERT OR REPLACE INTO release(channel, epoch, generation, content, layers)"
		      " VALUES(?1, ?2, ?3, ?4, ?5)",
		      "tiiBi", r->channel, (int64_t)r->epoch, (int64_t)r->generation,
		      bytes_in(&r->content), (int64_t)r->layers);
}

int published_releases(struct db *db,
		       int (*each)(void *arg, const struct published_release *r, struct err *err),
		       void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT channel, epoch, generation, layers, content FROM release"
			  " ORDER BY channel",
			  &st, err);

	while (rc == 0 && (rc = db_step(db, st, err)) > 0) {
		struct bytes content = db_bytes(st, 4);
		struct published_release r = {.epoch = (uint64_t)db_i64(st, 1),
					      .generation = (uint64_t)db_i64(st, 2),
					      .layers = (uint64_t)db_i64(st, 3)};

		snprintf(r.channel, sizeof(r.channel), "%s", db_text(st, 0));
		rc = buf_add(&r.content, content.p, content.n, err);
		if (rc == 0)
			rc = each(arg, &r, err);
		buf_clear(&r.content);
	}
	return rc;
}

int published_release_drop(struct db *db, const char *channel, struct err *err)
{
	return db_run(db, err, "DELETE FROM release WHERE channel = ?1", "t", channel);
}

int published_generations_prune(struct db *db, const char *channel, unsigned keep, struct err *err)
{
	return db_run(db, err,
		      "DELETE FROM generation WHERE channel = ?1 AND path IS NULL"
		      " AND (epoch, generation) < (SELECT epoch, generation FROM generation"
		      "  WHERE channel = ?1 ORDER BY epoch DESC, generation DESC LIMIT 1 OFFSET ?2)"
		      " AND generation < (SELECT max(n.generation) FROM generation n"
		      "  WHERE n.channel = ?1 AND n.epoch = generation.epoch)"
		      " AND (epoch, generation) <> (SELECT n.epoch, n.generation FROM generation n"
		      "  WHERE n.channel = ?1 AND n.head IS NOT NULL AND n.beat < ?3"
		      "  ORDER BY n.epoch DESC, n.generation DESC LIMIT 1)"
		      " AND NOT EXISTS (SELECT 1 FROM bundle b WHERE b.channel = ?1"
		      "  AND b.epoch = generation.epoch"
		      "  AND generation.generation IN (b.base, b.generation))"
		      " AND NOT EXISTS (SELECT 1 FROM offer o WHERE o.channel = ?1"
		      "  AND o.epoch = generation.epoch AND o.generation = generation.generation)"
		      " AND NOT EXISTS (SELECT 1 FROM receipt_newest_channel r WHERE r.channel = ?1"
		      "  AND r.epoch = generation.epoch AND r.generation = generation.generation)",
		      "tii", channel, (int64_t)keep, BEAT_NEVER);
}

int published_beats(struct db *db, const char *channel, uint64_t after, uint64_t before,
		    unsigned max, int (*each)(void *arg, uint64_t beat, struct err *err), void *arg,
		    struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT beat FROM generation WHERE channel = ?1 AND beat > ?2"
			  " AND beat < ?3 ORDER BY epoch DESC, generation DESC LIMIT ?4",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tiii", channel, (int64_t)after, (int64_t)before,
			     (int64_t)max);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, (uint64_t)db_i64(st, 0), err);
	return rc;
}

/* With rings there are several heads in force. */
#define NOT_OFFERED                                                                   \
	" AND NOT EXISTS (SELECT 1 FROM offer o WHERE o.channel = generation.channel" \
	" AND o.epoch = generation.epoch AND (o.generation = generation.generation"   \
	" OR generation.generation = (SELECT max(g.generation) FROM generation g"     \
	" WHERE g.channel = generation.channel AND g.epoch = generation.epoch"        \
	" AND g.head IS NOT NULL AND g.beat < 9223372036854775807)))"

static const char heads_select[] = "SELECT path FROM generation WHERE channel = ?1"
				   " AND epoch BETWEEN ?2 AND ?3 AND path IS NOT NULL" NOT_OFFERED;
static const char heads_update[] = "UPDATE generation SET path = NULL WHERE channel = ?1"
				   " AND epoch BETWEEN ?2 AND ?3 AND path IS NOT NULL" NOT_OFFERED;
#define NOT_NEWEST                                                             \
	" AND generation < (SELECT max(n.generation) FROM generation n"        \
	" WHERE n.channel = generation.channel AND n.epoch = generation.epoch" \
	" AND n.head IS NOT NULL)"
static const char idle_select[] =
    "SELECT path FROM generation WHERE channel = ?1"
    " AND epoch BETWEEN ?2 AND ?3 AND path IS NOT NULL" NOT_OFFERED NOT_NEWEST;
static const char idle_update[] =
    "UPDATE generation SET path = NULL WHERE channel = ?1"
    " AND epoch BETWEEN ?2 AND ?3 AND path IS NOT NULL" NOT_OFFERED NOT_NEWEST;

static int paths_take(struct db *db, const char *select, const char *update, const char *channel,
		      struct published_epochs epochs, published_path_each each, void *arg,
		      struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, select, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tii", channel, (int64_t)epochs.first, (int64_t)epochs.last);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), err);
	db_done(&st);
	if (rc < 0)
		return rc;
	return db_run(db, err, update, "tii", channel, (int64_t)epochs.first, (int64_t)epochs.last);
}

int published_heads_take(struct db *db, const char *channel, struct published_epochs epochs,
			 published_path_each each, void *arg, struct err *err)
{
	return paths_take(db, heads_select, heads_update, channel, epochs, each, arg, err);
}

int published_heads_idle_take(struct db *db, const char *channel, uint64_t epoch,
			      published_path_each each, void *arg, struct err *err)
{
	return paths_take(db, idle_select, idle_update, channel, EPOCH_ONLY(epoch), each, arg, err);
}

int published_heads_each(struct db *db, const char *channel, uint64_t epoch,
			 int (*each)(void *arg, const struct published_generation *g,
				     struct err *err),
			 void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  GENERATION " WHERE channel = ?1 AND epoch = ?2 AND path IS NOT NULL"
				     " AND head IS NOT NULL ORDER BY generation",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", channel, (int64_t)epoch);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0) {
		struct published_generation g;

		rc = generation_take(st, channel, &g, err);
		if (rc > 0)
			rc = each(arg, &g, err);
	}
	return rc;
}
