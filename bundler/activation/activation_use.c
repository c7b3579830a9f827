/* SPDX-License-Identifier: ISC */
/*
 * What a request to make a user active asks of the tables, and what it leaves there when it is
 * granted.  Whether it is, bundler/enrolment decides.
 */
#include <stdio.h>

#include "bundler/activation/activation.h"
#include "core/base/own.h"

int activation_used(struct db *db, const char *code, const char *id, char ret_account[ACCOUNT_NAME],
		    struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, "SELECT account FROM activation_use WHERE code = ?1 AND id = ?2", &st,
			  err);

	if (rc == 0)
		rc = db_bind(st, err, "tt", code, id);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc == 1)
		snprintf(ret_account, ACCOUNT_NAME, "%s", db_text(st, 0));
	return rc;
}

int activation_others(struct db *db, const char *id, const char *email, const char *account,
		      struct activation_others *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(db,
		      "SELECT ifnull(sum(state = 'active' AND email <> ?2), 0),"
		      " ifnull(sum(state = 'active' AND email <> ?2 AND account = ?3), 0),"
		      " ifnull(sum(state = 'deactivated' AND email = ?2), 0)"
		      " FROM activation WHERE id = ?1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ttt", id, email, account);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc < 0)
		return rc;
	ret->active = (uint64_t)db_i64(st, 0);
	ret->taken = db_i64(st, 1) > 0;
	ret->deactivated = db_i64(st, 2) > 0;
	return 0;
}

int activation_grant(struct db *db, const char *id, const char *email, const char *account,
		     const char *code, int64_t now, struct err *err)
{
	int rc;

	rc = db_run(db, err,
		    "INSERT INTO activation(id, email, account, state, at, code)"
		    " VALUES(?1, ?2, ?3, 'active', ?4, ?5) ON CONFLICT(id, email) DO UPDATE SET"
		    " account = excluded.account, at = excluded.at, code = excluded.code",
		    "tttit", id, email, account, now, code);
	if (rc == 0)
		rc = db_run(db, err,
			    "INSERT INTO activation_use(code, id, account, at)"
			    " VALUES(?1, ?2, ?3, ?4)",
			    "ttti", code, id, account, now);
	return rc < 0 ? rc
		      : db_run(db, err, "UPDATE activation_code SET used = used + 1 WHERE id = ?1",
			       "t", code);
}
