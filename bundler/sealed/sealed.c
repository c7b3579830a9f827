/* SPDX-License-Identifier: ISC */
/*
 * The rows behind sealed channels.  Whoever was sent a key can read what is sealed with it for
 * ever, so a key is not taken back but replaced: a row of channel_reader that nobody of the
 * audience stands behind any more starts the clock (left), and so many hours later the next publish
 * changes the key. Changes are gathered that way: ten machines that leave in a day cost one.
 */
#include "bundler/sealed/sealed.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/own.h"

static const char sealed_tables[] =
    /* left: seconds; since when somebody who has the newest key is known to have left, 0: nobody;
     * unsettled: beats that are kept lead to bundles under another key */
    "CREATE TABLE channel_key(channel TEXT PRIMARY KEY, number INTEGER NOT NULL,"
    " left INTEGER NOT NULL DEFAULT 0, asked INTEGER NOT NULL DEFAULT 0,"
    " unsettled INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
    /* who was sent the newest key */
    "CREATE TABLE channel_reader(channel TEXT NOT NULL, id TEXT NOT NULL,"
    " PRIMARY KEY(channel, id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX channel_reader_id ON channel_reader(id);";
/* A registry of 0.1.0 counts as one that has taken the first step of every room, also of this one,
 * which it does not know. */
static const char *const sealed_steps[] = {"", sealed_tables};
const struct db_schema sealed_schema = DB_SCHEMA("sealed", sealed_steps);

static const char *const forget_workstation[] = {
    "UPDATE channel_key SET left = CAST(strftime('%s', 'now') AS INTEGER) WHERE left = 0"
    " AND channel IN (SELECT channel FROM channel_reader WHERE id = ?1)",
    "DELETE FROM channel_reader WHERE id = ?1",
    NULL,
};
const struct forget_sql sealed_forget = {forget_workstation, NULL};

/* No key of a user has a name like this. */
static void key_name(char dst[KEY_NAME], const char *channel)
{
	snprintf(dst, KEY_NAME, "channel/%s", channel);
}

int sealed_describe(struct db *db, const char *channel, struct sealed_state *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db,
			  "SELECT number, left, asked, (SELECT count(*) FROM channel_reader r"
			  " WHERE r.channel = k.channel) FROM channel_key k WHERE channel = ?1",
			  &st, err);

	*ret = (struct sealed_state){.number = 0};
	if (rc == 0)
		rc = db_bind(st, err, "t", channel);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc > 0)
		*ret = (struct sealed_state){.number = (uint64_t)db_i64(st, 0),
					     .left = db_i64(st, 1),
					     .asked = db_i64(st, 2) != 0,
					     .readers = (uint64_t)db_i64(st, 3)};
	return rc < 0 ? rc : 0;
}

/* A clock that was ahead when somebody left must not put the change off until then. */
bool sealed_due(const struct site_channel *c, const struct sealed_state *state, int64_t now)
{
	return state->asked ||
	       (state->left > 0 &&
		(state->left > now || state->left + (int64_t)c->rekey_hours * 3600 <= now));
}

static int key_changed(struct db *db, const char *channel, uint64_t number, struct err *err)
{
	int rc = db_run(db, err,
			"INSERT INTO channel_key(channel, number) VALUES(?1, ?2)"
			" ON CONFLICT(channel) DO UPDATE SET number = excluded.number, left = 0,"
			" asked = 0",
			"ti", channel, (int64_t)number);

	return rc < 0
		   ? rc
		   : db_run(db, err, "DELETE FROM channel_reader WHERE channel = ?1", "t", channel);
}

int sealed_key(struct keystore *k, const struct site_channel *c, uint64_t *ret, struct err *err)
{
	struct db *db = keystore_db(k);
	struct sealed_state state;
	char name[KEY_NAME];
	int rc = sealed_describe(db, c->name, &state, err);

	if (rc < 0)
		return rc;
	key_name(name, c->name);
	*ret = state.number;
	if (state.number > 0 && !sealed_due(c, &state, clock_now()))
		return 0;
	rc = keystore_rotate(k, name, ret, err);
	return rc < 0 ? rc : key_changed(db, c->name, *ret, err);
}

int sealed_secret(struct keystore *k, const char *channel, uint64_t number, struct bytes *ret,
		  struct err *err)
{
	char name[KEY_NAME];

	key_name(name, channel);
	return keystore_secret(k, name, number, ret, err);
}

int sealed_ask(struct db *db, const char *channel, struct err *err)
{
	struct sealed_state state;
	int rc = sealed_describe(db, channel, &state, err);

	if (rc == 0 && state.number == 0)
		return err_set(err, RC_USAGE,
			       "channel %s has no content key yet: publish makes the first",
			       channel);
	return rc < 0 ? rc
		      : db_run(db, err, "UPDATE channel_key SET asked = 1 WHERE channel = ?1", "t",
			       channel);
}

int sealed_unsettle(struct db *db, const char *channel, struct err *err)
{
	return db_run(db, err, "UPDATE channel_key SET unsettled = 1 WHERE channel = ?1", "t",
		      channel);
}

int sealed_settle(struct db *db, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM channel_key WHERE unsettled = 1", "");

	if (rc < 0 || n == 0)
		return rc < 0 ? rc : 0;
	rc = db_run(db, err, "UPDATE channel_key SET unsettled = 0", "");
	return rc < 0 ? rc : 1;
}

int sealed_drop(struct db *db, const char *channel, uint64_t below, struct err *err)
{
	char name[KEY_NAME];

	key_name(name, channel);
	return keystore_drop(db, name, below, err);
}

int sealed_sent(struct db *db, const char *id, const char *channel, uint64_t number,
		struct err *err)
{
	return db_run(db, err,
		      "INSERT OR IGNORE INTO channel_reader(channel, id) SELECT channel, ?2"
		      " FROM channel_key WHERE channel = ?1 AND number = ?3",
		      "tti", channel, id, (int64_t)number);
}

int sealed_readers(struct db *db,
		   int (*each)(void *arg, const char *channel, const char *id, struct err *err),
		   void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(db, "SELECT channel, id FROM channel_reader ORDER BY channel, id", &st, err);

	while (rc == 0 && (rc = db_step(db, st, err)) == 1)
		rc = each(arg, db_text(st, 0), db_text(st, 1), err);
	return rc;
}

/* Also when they come back soon: what they copied meanwhile is theirs. */
int sealed_left(struct db *db, const char *channel, const char *id, struct err *err)
{
	int rc = db_run(db, err, "UPDATE channel_key SET left = ?2 WHERE channel = ?1 AND left = 0",
			"ti", channel, clock_now());

	return rc < 0 ? rc
		      : db_run(db, err, "DELETE FROM channel_reader WHERE channel = ?1 AND id = ?2",
			       "tt", channel, id);
}
