/* SPDX-License-Identifier: ISC */
/*
 * Which users are in the private channel of which workstation, and since which generation they are
 * not.  A key counts as given up only when a receipt confirms a generation without its user.
 */
#include "bundler/private/private_users.h"

#include <stdlib.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "core/base/own.h"

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those that leave, each with its NUL. */
static int private_users_leavers(struct db *db, const char *id, const char *const *email, size_t n,
				 struct buf *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(db, "SELECT email FROM private_users WHERE id = ?1 AND gone = 0", &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		const char *one = db_text(st, 0);

		rc = 0;
		if (n > 0 && bsearch(&one, email, n, sizeof(*email), by_text) != NULL)
			continue;
		rc = buf_add(ret, one, strlen(one) + 1, err);
	}
	return rc;
}

int private_users_record(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
			 const char *const *email, size_t n, struct err *err)
{
	OWNED(buf_clear) struct buf gone = BUF_INIT;
	int rc = private_users_leavers(db, id, email, n, &gone, err);

	for (size_t at = 0; rc == 0 && at < gone.n; at += strlen((char *)gone.p + at) + 1)
		rc = db_run(db, err,
			    "UPDATE private_users SET gone = 1, epoch = ?3, generation = ?4"
			    " WHERE id = ?1 AND email = ?2",
			    "ttii", id, (char *)gone.p + at, (int64_t)epoch, (int64_t)generation);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = db_run(
		    db, err,
		    "INSERT INTO private_users(id, email, gone, epoch, generation)"
		    " VALUES(?1, ?2, 0, ?3, ?4) ON CONFLICT(id, email) DO UPDATE SET gone = 0,"
		    " epoch = excluded.epoch, generation = excluded.generation WHERE gone = 1",
		    "ttii", id, email[i], (int64_t)epoch, (int64_t)generation);
	return rc;
}

int private_users_sweep(struct site *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT u.id, u.email FROM private_users u JOIN workstation_known w"
		      " ON w.id = u.id LEFT JOIN receipt_newest r ON r.id = u.id"
		      " WHERE NOT w.member OR (u.gone = 1 AND (r.private_epoch,"
		      " r.private_generation) >= (u.epoch, u.generation) AND NOT EXISTS"
		      " (SELECT 1 FROM receipt_newest_user h WHERE h.id = u.id"
		      " AND h.email = u.email))",
		      &st, err);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		rc = 0;
		if (site_user(s, db_text(st, 1)) == NULL)
			rc = db_run(s->db, err,
				    "DELETE FROM private_users WHERE id = ?1 AND email = ?2", "tt",
				    db_text(st, 0), db_text(st, 1));
	}
	return rc;
}
