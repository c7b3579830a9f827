/* SPDX-License-Identifier: ISC */
/*
 * Rows of invitations.
 */
#include "bundler/enrolment/invitation.h"

#include <stdio.h>

#include "core/base/own.h"

int invitation_put(struct db *db, const struct invitation *in, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO invitation(id, name, secret, created, expires)"
		      " VALUES(?1, ?2, ?3, ?4, ?5)",
		      "ttiii", in->id, in->name, (int64_t)in->secret, in->created, in->expires);
}

int invitation_find(struct db *db, const char *id, struct invitation *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(db,
		      "SELECT id, name, secret, created, expires, used_by FROM invitation"
		      " WHERE id = ?1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc != 1)
		return rc;
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 1));
	ret->secret = (uint64_t)db_i64(st, 2);
	ret->created = db_i64(st, 3);
	ret->expires = db_i64(st, 4);
	snprintf(ret->used_by, sizeof(ret->used_by), "%s", db_text(st, 5));
	return 1;
}

int invitation_spend(struct db *db, const struct invitation *in, const char *by, int64_t now,
		     struct err *err)
{
	int rc = db_run(db, err, "UPDATE invitation SET used_by = ?1, used = ?2 WHERE id = ?3",
			"tit", by, now, in->id);

	return rc < 0 ? rc
		      : db_run(db, err,
			       "DELETE FROM invitation WHERE name = ?1 AND used_by IS NULL"
			       " AND created <= ?2",
			       "ti", in->name, in->created);
}

int invitations_void(struct db *db, const char *name, struct err *err)
{
	int rc = db_run(db, err, "DELETE FROM invitation WHERE name = ?1 AND used_by IS NULL", "t",
			name);

	return rc < 0 ? rc : sqlite3_changes(db_handle(db));
}

int invitations_named(struct db *db, const char *name, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM invitation WHERE name = ?1", "t", name);

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}
