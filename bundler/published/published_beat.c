/* SPDX-License-Identifier: ISC */
/*
 * Shards and beats as rows: what each was made from, so that it is signed again only when that
 * changed.
 */
#include <stdio.h>

#include "bundler/published/published.h"
#include "core/base/own.h"

int published_shard(struct db *db, uint8_t xx, struct published_shard *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct published_shard shard;
	int rc = db_query(db, "SELECT input, identity, path FROM shard WHERE xx = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)xx);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc <= 0)
		return rc;
	/*
	 * A damaged row counts as none: the shard is signed again, and nobody has to repair
	 * anything.
	 */
	if (!db_digest(st, 0, &shard.input) || !db_digest(st, 1, &shard.identity))
		return 0;
	snprintf(shard.path, sizeof(shard.path), "%s", db_text(st, 2));
	*ret = shard;
	return 1;
}

int published_shard_set(struct db *db, uint8_t xx, const struct published_shard *shard,
			struct err *err)
{
	return db_run(db, err,
		      "INSERT OR REPLACE INTO shard(xx, input, identity, path)"
		      " VALUES(?1, ?2, ?3, ?4)",
		      "iddt", (int64_t)xx, &shard->input, &shard->identity, shard->path);
}

int published_shard_drop(struct db *db, uint8_t xx, struct err *err)
{
	return db_run(db, err, "DELETE FROM shard WHERE xx = ?1", "i", (int64_t)xx);
}

int published_beat(struct db *db, struct published_beat *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct published_beat beat;
	int rc = db_query(
	    db,
	    "SELECT sequence, input, issued, expires, path FROM beat ORDER BY sequence DESC LIMIT 1",
	    &st, err);

	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc <= 0)
		return rc;
	beat.sequence = (uint64_t)db_i64(st, 0);
	if (!db_digest(st, 1, &beat.input))
		beat.input = (struct digest){{0}};
	beat.issued = db_i64(st, 2);
	beat.expires = db_i64(st, 3);
	snprintf(beat.path, sizeof(beat.path), "%s", db_text(st, 4));
	*ret = beat;
	return 1;
}

int published_beat_add(struct db *db, const struct published_beat *beat, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO beat(sequence, input, issued, expires, path)"
		      " VALUES(?1, ?2, ?3, ?4, ?5)",
		      "idiit", (int64_t)beat->sequence, &beat->input, beat->issued, beat->expires,
		      beat->path);
}

int published_beat_oldest(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t oldest = 0;
	int rc = db_int(db, err, &oldest, "SELECT coalesce(min(sequence), 0) FROM beat", "");

	if (rc < 0)
		return rc;
	*ret = (uint64_t)oldest;
	return 0;
}

/*
 * When the newest beat that was posted went out; one that waits in the outbox has reached nobody.
 */
int published_beat_posted(struct db *db, int64_t *ret, struct err *err)
{
	int rc = db_int(db, err, ret,
			"SELECT ifnull(max(o.posted), 0) FROM beat b"
			" JOIN outbox_posted o ON o.path = b.path",
			"");

	return rc < 0 ? rc : 0;
}

/* The rows last: what ${each} retires must still be known if it fails. */
int published_beats_take(struct db *db, uint64_t last,
			 int (*each)(void *arg, const char *path, uint64_t sequence,
				     struct err *err),
			 void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, "SELECT path, sequence FROM beat WHERE sequence <= ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)last);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), (uint64_t)db_i64(st, 1), err);
	db_done(&st);
	return rc < 0
		   ? rc
		   : db_run(db, err, "DELETE FROM beat WHERE sequence <= ?1", "i", (int64_t)last);
}
