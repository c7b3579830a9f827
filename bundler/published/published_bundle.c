/* SPDX-License-Identifier: ISC */
/*
 * Bundles as rows: the file itself is made when it is posted, from the prefix that stands here and
 * from pieces of a pack.
 *
 * A bundle would be stored twice if the depot's file were kept as well: its payload lies in the
 * pack, and only the signed prefix is kept here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/published/published.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/own.h"

#define PIECE_BYTES 16 /* of a piece in the table: offset and length, LE 64 bits each */

int published_bundle_add(struct db *db, const struct published_bundle *b, struct err *err)
{
	uint8_t pieces[BUNDLE_PIECES * PIECE_BYTES];
	char path[DEPOT_NAME];

	for (size_t i = 0; i < BUNDLE_PIECES; i++) {
		put_u64(pieces + PIECE_BYTES * i, b->piece[i].offset);
		put_u64(pieces + PIECE_BYTES * i + 8, b->piece[i].length);
	}
	name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	return db_run(db, err,
		      "INSERT INTO bundle(channel, epoch, base, generation, pack, pieces, prefix,"
		      " prefix_digest, manifest, payload, size, path, key)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
		      "tiiiibbddiiti", b->channel, (int64_t)b->epoch, (int64_t)b->base,
		      (int64_t)b->generation, (int64_t)b->pack,
		      (struct bytes){pieces, sizeof(pieces)}, bytes_in(&b->prefix),
		      &b->prefix_digest, &b->manifest, (int64_t)b->payload, (int64_t)b->size, path,
		      (int64_t)b->key);
}

/* bundle_take(st, channel, ret, err): without its prefix and its pieces. */
static int bundle_take(sqlite3_stmt *st, const char *channel, struct published_bundle *ret,
		       struct err *err)
{
	*ret = (struct published_bundle){.channel = channel,
					 .epoch = (uint64_t)db_i64(st, 0),
					 .base = (uint64_t)db_i64(st, 1),
					 .generation = (uint64_t)db_i64(st, 2),
					 .pack = (uint64_t)db_i64(st, 3),
					 .payload = (uint64_t)db_i64(st, 6),
					 .size = (uint64_t)db_i64(st, 7),
					 .key = (uint64_t)db_i64(st, 8)};
	if (db_digest(st, 4, &ret->prefix_digest) && db_digest(st, 5, &ret->manifest))
		return 0;
	return err_set(err, RC_STATE,
		       "the registry is damaged: bundle %" PRIu64 "-%" PRIu64
		       " of channel %s has no digest",
		       ret->base, ret->generation, channel);
}

int published_bundles(struct db *db, const char *channel, struct published_epochs epochs,
		      int (*each)(void *arg, const struct published_bundle *b, struct err *err),
		      void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct published_bundle b;
	int rc = db_query(db,
			  "SELECT epoch, base, generation, pack, prefix_digest, manifest, payload,"
			  " size, key FROM bundle WHERE channel = ?1 AND epoch BETWEEN ?2 AND ?3"
			  " ORDER BY epoch, generation, base",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tii", channel, (int64_t)epochs.first, (int64_t)epochs.last);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0) {
		rc = bundle_take(st, channel, &b, err);
		if (rc == 0)
			rc = each(arg, &b, err);
	}
	return rc;
}

int published_bundle_prefix(struct db *db, const struct published_bundle *b, struct buf *ret,
			    struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct bytes prefix;
	int rc = db_query(db,
			  "SELECT prefix FROM bundle WHERE channel = ?1 AND epoch = ?2"
			  " AND base = ?3 AND generation = ?4",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tiii", b->channel, (int64_t)b->epoch, (int64_t)b->base,
			     (int64_t)b->generation);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc == 0)
		return err_set(err, RC_STATE,
			       "the registry is damaged: a bundle of channel %s is missing",
			       b->channel);
	if (rc < 0)
		return rc;
	prefix = db_bytes(st, 0);
	return buf_add(ret, prefix.p, prefix.n, err);
}

int published_bundle_resign(struct db *db, const struct published_bundle *b, struct bytes prefix,
			    struct err *err)
{
	char path[DEPOT_NAME];

	name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	return db_run(db, err,
		      "UPDATE bundle SET prefix = ?1, prefix_digest = ?2, size = ?3, path = ?4,"
		      " manifest = ?9, key = ?10, posted = 0"
		      " WHERE channel = ?5 AND epoch = ?6 AND base = ?7 AND generation = ?8",
		      "bdittiiidi", prefix, &b->prefix_digest, (int64_t)b->size, path, b->channel,
		      (int64_t)b->epoch, (int64_t)b->base, (int64_t)b->generation, &b->manifest,
		      (int64_t)b->key);
}

/* The content stays as long as the store keeps the generation. */
int published_bundle_drop(struct db *db, const struct published_bundle *b, struct err *err)
{
	return db_run(db, err,
		      "DELETE FROM bundle WHERE channel = ?1 AND epoch = ?2 AND base = ?3"
		      " AND generation = ?4",
		      "tiii", b->channel, (int64_t)b->epoch, (int64_t)b->base,
		      (int64_t)b->generation);
}

/*
 * Paths first, rows afterwards, in the transaction of the caller: either both are gone or neither.
 */
int published_bundles_take(struct db *db, const char *channel, struct published_epochs epochs,
			   published_path_each each, void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(
	    db, "SELECT path FROM bundle WHERE channel = ?1 AND epoch BETWEEN ?2 AND ?3", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tii", channel, (int64_t)epochs.first, (int64_t)epochs.last);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), err);
	db_done(&st);
	if (rc < 0)
		return rc;
	return db_run(db, err, "DELETE FROM bundle WHERE channel = ?1 AND epoch BETWEEN ?2 AND ?3",
		      "tii", channel, (int64_t)epochs.first, (int64_t)epochs.last);
}

int published_keys(struct db *db, const char *channel, uint64_t epoch,
		   int (*each)(void *arg, uint64_t key, struct err *err), void *arg,
		   struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT DISTINCT key FROM bundle WHERE channel = ?1 AND epoch = ?2"
			  " ORDER BY key",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", channel, (int64_t)epoch);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, (uint64_t)db_i64(st, 0), err);
	return rc;
}

int published_channels(struct db *db, int (*each)(void *arg, const char *channel, struct err *err),
		       void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, "SELECT DISTINCT channel FROM bundle", &st, err);

	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), err);
	return rc;
}

/*
 * The newest full bundle of an epoch, and what the steps from there on cost together.  publish
 * weighs one against the other.
 */
int published_chain(struct db *db, const char *channel, uint64_t epoch, struct published_chain *ret,
		    struct err *err)
{
	int64_t full = 0, payload = 0, steps = 0;
	int rc = db_int(db, err, &full,
			"SELECT coalesce(max(generation), 0) FROM bundle WHERE channel = ?1"
			" AND epoch = ?2 AND base = 0",
			"ti", channel, (int64_t)epoch);

	if (rc >= 0)
		rc = db_int(db, err, &payload,
			    "SELECT coalesce(max(payload), 0) FROM bundle WHERE channel = ?1"
			    " AND epoch = ?2 AND base = 0 AND generation = ?3",
			    "tii", channel, (int64_t)epoch, full);
	if (rc >= 0)
		rc = db_int(db, err, &steps,
			    "SELECT coalesce(sum(payload), 0) FROM bundle WHERE channel = ?1"
			    " AND epoch = ?2 AND base >= ?3 AND base > 0",
			    "tii", channel, (int64_t)epoch, full);
	if (rc < 0)
		return rc;
	*ret = (struct published_chain){(uint64_t)full, (uint64_t)payload, (uint64_t)steps};
	return 0;
}

static bool pieces_take(struct bytes from, struct depot_piece ret[BUNDLE_PIECES])
{
	if (from.n != BUNDLE_PIECES * PIECE_BYTES)
		return false;
	for (size_t i = 0; i < BUNDLE_PIECES; i++)
		ret[i] = (struct depot_piece){
		    get_u64(from.p + PIECE_BYTES * i),
		    get_u64(from.p + PIECE_BYTES * i + 8),
		};
	return true;
}

int published_bundle_pieces(struct db *db, const struct published_bundle *b,
			    struct depot_piece ret[BUNDLE_PIECES], struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT pieces FROM bundle WHERE channel = ?1 AND epoch = ?2"
			  " AND base = ?3 AND generation = ?4",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tiii", b->channel, (int64_t)b->epoch, (int64_t)b->base,
			     (int64_t)b->generation);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || !pieces_take(db_bytes(st, 0), ret))
		return err_set(err, RC_STATE,
			       "the registry is damaged: a bundle of channel %s has no pieces",
			       b->channel);
	return 0;
}

/* Rows of path, pack, pieces, prefix and key. */
static int files_hand(struct db *db, sqlite3_stmt *st, published_file_each each, void *arg,
		      struct err *err)
{
	int rc = 0;

	while (rc == 0 && (rc = db_step(db, st, err)) > 0) {
		struct published_file file = {.path = db_text(st, 0),
					      .pack = (uint64_t)db_i64(st, 1),
					      .prefix = db_bytes(st, 3),
					      .key = (uint64_t)db_i64(st, 4)};
		if (!pieces_take(db_bytes(st, 2), file.piece))
			return err_set(err, RC_STATE, "the registry is damaged: %s has no pieces",
				       file.path);
		rc = each(arg, &file, err);
	}
	return rc;
}

/* A generation that waits for signatures may be refused, so its content stays here. */
#define RELEASED                                                                   \
	" AND EXISTS (SELECT 1 FROM generation g WHERE g.channel = bundle.channel" \
	" AND g.epoch = bundle.epoch AND g.generation >= bundle.generation AND g.head IS NOT NULL)"

int published_unposted(struct db *db, published_file_each each, void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc =
	    db_query(db,
		     "SELECT path, pack, pieces, prefix, key FROM bundle INDEXED BY bundle_unposted"
		     " WHERE posted = 0" RELEASED " ORDER BY channel, path",
		     &st, err);

	return rc < 0 ? rc : files_hand(db, st, each, arg, err);
}

int published_unposted_in(struct db *db, const char *channel, uint64_t epoch,
			  published_file_each each, void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc =
	    db_query(db,
		     "SELECT path, pack, pieces, x'', key FROM bundle INDEXED BY bundle_unposted"
		     " WHERE posted = 0 AND channel = ?1 AND epoch = ?2 ORDER BY path",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", channel, (int64_t)epoch);
	return rc < 0 ? rc : files_hand(db, st, each, arg, err);
}

int published_sent(struct db *db, published_file_each each, void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT path, pack, pieces, x'', key FROM bundle WHERE posted > 0"
			  " ORDER BY path",
			  &st, err);

	return rc < 0 ? rc : files_hand(db, st, each, arg, err);
}

int published_sent_before(struct db *db, int64_t before, published_file_each each, void *arg,
			  struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT path, pack, pieces, x'', key FROM bundle WHERE posted > 0"
			  " AND posted < ?1 ORDER BY posted, path",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", before);
	return rc < 0 ? rc : files_hand(db, st, each, arg, err);
}

int published_posted(struct db *db, const char *path, struct err *err)
{
	return db_run(db, err, "UPDATE bundle SET posted = ?1 WHERE path = ?2", "it", clock_now(),
		      path);
}

int published_post_again(struct db *db, const char *path, struct err *err)
{
	return db_run(db, err, "UPDATE bundle SET posted = 0 WHERE path = ?1", "t", path);
}

int published_unposted_count(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM bundle WHERE posted = 0" RELEASED, "");

	if (rc < 0)
		return rc;
	*ret = (uint64_t)n;
	return 0;
}

int published_bundle_known(struct db *db, const char *path, struct err *err)
{
	int64_t one;

	return db_int(db, err, &one, "SELECT 1 FROM bundle WHERE path = ?1", "t", path);
}
