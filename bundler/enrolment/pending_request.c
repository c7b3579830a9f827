/* SPDX-License-Identifier: ISC */
/*
 * Rows of requests that wait for a person.
 */
#include "bundler/enrolment/pending_request.h"

#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

#define ROW                                                                \
	"SELECT id, name, sign, sign_number, seal, seal_number, at, codes" \
	" FROM pending_request"

int pending_request_put(struct db *db, const struct pending_request *p, const char *why,
			struct err *err)
{
	struct bytes codes = {p->codes.b, key_absent(&p->codes) ? 0 : KEY_PUBLIC_BYTES};

	if (codes.n == 0)
		codes.p = NULL;
	return db_run(db, err,
		      "INSERT INTO pending_request(id, name, sign, sign_number, seal, seal_number,"
		      " at, why, codes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(id)"
		      " DO UPDATE SET name = excluded.name, seal = excluded.seal,"
		      " seal_number = excluded.seal_number, why = excluded.why,"
		      " codes = excluded.codes WHERE seal <> excluded.seal OR name <> excluded.name"
		      " OR codes IS NOT excluded.codes",
		      "ttbibiitb", p->id, p->name, (struct bytes){p->sign.b, KEY_PUBLIC_BYTES},
		      (int64_t)p->sign.number, (struct bytes){p->seal.b, KEY_PUBLIC_BYTES},
		      (int64_t)p->seal.number, p->at, why, codes);
}

static int pending_read(sqlite3_stmt *st, struct pending_request *ret, struct err *err)
{
	struct bytes sign = db_bytes(st, 2), seal = db_bytes(st, 4), codes = db_bytes(st, 7);

	if (sign.n != KEY_PUBLIC_BYTES || seal.n != KEY_PUBLIC_BYTES ||
	    (codes.n != 0 && codes.n != KEY_PUBLIC_BYTES))
		return err_set(err, RC_STATE, "the registry is damaged: the request of machine %s",
			       db_text(st, 0));
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 1));
	ret->sign = (struct key_public){.kind = KEY_SIGN, .number = (uint64_t)db_i64(st, 3)};
	ret->seal = (struct key_public){.kind = KEY_SEAL, .number = (uint64_t)db_i64(st, 5)};
	memcpy(ret->sign.b, sign.p, KEY_PUBLIC_BYTES);
	memcpy(ret->seal.b, seal.p, KEY_PUBLIC_BYTES);
	if (codes.n > 0) {
		ret->codes.kind = KEY_SEAL;
		memcpy(ret->codes.b, codes.p, KEY_PUBLIC_BYTES);
	}
	ret->at = db_i64(st, 6);
	return 0;
}

int pending_request_find(struct db *db, const char *begin, struct pending_request *ret,
			 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc, found = 0;

	/* 'g' stands above all hexadecimal digits. */
	rc = db_query(db, ROW " WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2", &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", begin);
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		rc = pending_read(st, ret, err);
		found++;
	}
	return rc < 0 ? rc : found;
}

int pending_request_drop(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "DELETE FROM pending_request WHERE id = ?1", "t", id);
}

int pending_requests_drop(struct db *db, struct err *err)
{
	return db_exec(db, "DELETE FROM pending_request", err);
}

int pending_requests_count(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM pending_request", "");

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

int pending_requests_named(struct db *db, const char *name, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc =
	    db_int(db, err, &n, "SELECT count(*) FROM pending_request WHERE name = ?1", "t", name);

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

int pending_requests(struct db *db,
		     int (*each)(void *arg, const struct pending_request *p, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, ROW " ORDER BY at, id", &st, err);

	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		struct pending_request p;

		rc = pending_read(st, &p, err);
		if (rc == 0)
			rc = each(arg, &p, err);
	}
	return rc;
}
