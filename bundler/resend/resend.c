/* SPDX-License-Identifier: ISC */
/*
 * Rows of what is to be sent again, one for each workstation and channel.
 */
#include "bundler/resend/resend.h"

#include <string.h>

#include "core/base/own.h"

static const char resend_tables[] =
    "CREATE TABLE resend(id TEXT NOT NULL, channel TEXT NOT NULL, generation INTEGER NOT NULL,"
    " contents BLOB NOT NULL," /* digests, one behind the other */
    " sequence INTEGER NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(id, channel)) STRICT, WITHOUT ROWID;";
/* The first step of every room is what 0.1.0 had, and this one had nothing. */
static const char *const resend_steps[] = {"", resend_tables};
const struct db_schema resend_schema = DB_SCHEMA("resend", resend_steps);

static const char *const forget_workstation[] = {"DELETE FROM resend WHERE id = ?1", NULL};
static const char *const forget_user[] = {NULL};
const struct forget_sql resend_forget = {forget_workstation, forget_user};

int resend_put(struct db *db, const struct request *r, int64_t now, struct err *err)
{
	struct bytes contents = {r->content[0].b, r->contents * sizeof(r->content[0])};

	if (r->contents == 0)
		return 0;
	return db_run(db, err,
		      "INSERT INTO resend(id, channel, generation, contents, sequence, at)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(id, channel) DO UPDATE SET"
		      " generation = ?3, contents = ?4, sequence = ?5, at = ?6 WHERE sequence < ?5",
		      "ttibii", r->workstation, r->channel, (int64_t)r->generation, contents,
		      (int64_t)r->sequence, now);
}

int resend_settle(struct db *db, const struct receipt *r, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->channels; i++) {
		const struct receipt_channel *c = &r->channel[i];

		if (c->drift + c->deviations == 0)
			rc = db_run(db, err, "DELETE FROM resend WHERE id = ?1 AND channel = ?2",
				    "tt", r->workstation, c->name);
	}
	return rc;
}

int resend_each(struct db *db, const char *id, const char *channel,
		int (*each)(void *arg, const struct digest *content, struct err *err), void *arg,
		struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct digest content;
	struct bytes all;
	int rc =
	    db_query(db, "SELECT contents FROM resend WHERE id = ?1 AND channel = ?2", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tt", id, channel);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc <= 0)
		return rc;
	all = db_bytes(st, 0);
	rc = 0;
	for (size_t i = 0; rc == 0 && i + DIGEST_BYTES <= all.n; i += DIGEST_BYTES) {
		memcpy(content.b, all.p + i, DIGEST_BYTES);
		rc = each(arg, &content, err);
	}
	return rc;
}

int resend_waiting(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM resend", "");

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}
