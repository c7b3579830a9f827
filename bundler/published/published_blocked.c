/* SPDX-License-Identifier: ISC */
/*
 * Channels that cannot be published, or not all of them.  What workstations hold is then the newest
 * that there is, and nothing else would tell that it is not what the source says.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/published/published.h"
#include "core/base/list.h"
#include "core/base/own.h"

int published_blocked_set(struct db *db, const char *channel, const struct published_blocked *b,
			  struct err *err)
{
	struct published_blocked was;
	int rc = published_blocked(db, channel, &was, err);

	if (rc < 0 || (rc > 0 && strcmp(was.why, b->why) == 0))
		return rc < 0 ? rc : 0;
	rc = db_run(db, err,
		    "INSERT INTO blocked(channel, since, why, held) VALUES(?1, ?2, ?3, ?4)"
		    " ON CONFLICT(channel) DO UPDATE SET why = excluded.why, held = excluded.held",
		    "titi", channel, b->since, b->why, (int64_t)b->held);
	return rc < 0 ? rc : 1;
}

int published_blocked_clear(struct db *db, const char *channel, struct err *err)
{
	return db_run(db, err, "DELETE FROM blocked WHERE channel = ?1", "t", channel);
}

int published_blocked(struct db *db, const char *channel, struct published_blocked *ret,
		      struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, "SELECT since, why, held FROM blocked WHERE channel = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", channel);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc <= 0)
		return rc;
	ret->since = db_i64(st, 0);
	ret->held = (uint64_t)db_i64(st, 2);
	snprintf(ret->why, sizeof(ret->why), "%s", db_text(st, 1));
	return 1;
}

int published_blocked_each(struct db *db, published_path_each each, void *arg, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, "SELECT channel FROM blocked ORDER BY channel", &st, err);

	while (rc == 0 && (rc = db_step(db, st, err)) == 1)
		rc = strings_add(&names, db_text(st, 0), err);
	for (size_t i = 0; rc == 0 && i < names.n; i++)
		rc = each(arg, names.items[i], err);
	return rc;
}
