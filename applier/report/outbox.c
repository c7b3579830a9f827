/* SPDX-License-Identifier: ISC */
/*
 * Documents on their way to the server, in the database until they are of no use, so that what they
 * report and what they are numbered with is committed together with them.
 */
#include "applier/report/outbox.h"

#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

static const char outbox_tables[] =
    "CREATE TABLE outbox ("
    " path TEXT PRIMARY KEY," /* in every depot */
    " kind TEXT NOT NULL,"    /* kinds[].name */
    " sequence INTEGER NOT NULL,"
    " content BLOB NOT NULL,"
    " posted INTEGER NOT NULL DEFAULT 0) STRICT;"; /* 1: at least one depot has it */
static const char *const outbox_steps[] = {outbox_tables};
const struct db_schema station_outbox_schema = DB_SCHEMA("outbox", outbox_steps);

static const struct {
	const char *name;      /* of the kind */
	const char *extension; /* of its files */
	size_t max;            /* bytes of one */
	bool many;             /* they stand beside each other */
} kinds[] = {
    [OUTBOX_RECEIPT] = {"receipt", "receipt", LIMIT_RECEIPT, false},
    [OUTBOX_REQUEST] = {"request", "request", LIMIT_REQUEST, false},
    [OUTBOX_LAST] = {"last", "receipt", LIMIT_RECEIPT, true},
    [OUTBOX_RESEND] = {"resend", "request", LIMIT_REQUEST, true},
    [OUTBOX_ACTIVATION] = {"activation", "request", LIMIT_REQUEST, true},
};

int outbox_drop(struct station *s, enum outbox_kind kind, struct err *err)
{
	return db_run(s->db, err,
		      "DELETE FROM outbox WHERE kind = ? AND (kind <> 'last' OR posted = 1)", "t",
		      kinds[kind].name);
}

int outbox_put(struct station *s, enum outbox_kind kind, uint64_t sequence, struct bytes inner,
	       const struct key_secret *sign, const char *id, const struct key_public *collect,
	       struct err *err)
{
	OWNED(buf_clear) struct buf doc = BUF_INIT, sealed = BUF_INIT;
	struct digest digest;
	char path[DEPOT_NAME];
	int rc = signed_make(sign, inner, &doc, err);

	if (rc == 0)
		rc = sealed_make(collect, bytes_in(&doc), &sealed, err);
	if (rc < 0)
		return rc;
	if (sealed.n > kinds[kind].max)
		return err_set(err, RC_LIMIT, "a %s of %zu bytes is larger than the %zu allowed",
			       kinds[kind].name, sealed.n, kinds[kind].max);
	digest = digest_of(bytes_in(&sealed));
	name_inbox(path, id, sequence, &digest, kinds[kind].extension);
	rc = kinds[kind].many ? 0 : outbox_drop(s, kind, err);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT INTO outbox (path, kind, sequence, content) "
			    "VALUES (?, ?, ?, ?)",
			    "ttib", path, kinds[kind].name, (int64_t)sequence, bytes_in(&sealed));
	return rc;
}

int outbox_path(struct station *s, enum outbox_kind kind, uint64_t sequence, char ret[DEPOT_NAME],
		struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(s->db, "SELECT path FROM outbox WHERE kind = ? AND sequence = ?", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", kinds[kind].name, (int64_t)sequence);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc == 1)
		snprintf(ret, DEPOT_NAME, "%s", db_text(st, 0));
	return rc;
}

int outbox_remove(struct station *s, const char *path, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM outbox WHERE path = ?", "t", path);
}

int outbox_has(struct station *s, const char *path, bool *ret_posted, struct err *err)
{
	int64_t posted = 0;
	int rc = db_int(s->db, err, &posted, "SELECT posted FROM outbox WHERE path = ?", "t", path);

	if (ret_posted != NULL)
		*ret_posted = posted != 0;
	return rc;
}

struct outbox_row {
	char *path; /* owned */
	struct buf content;
};

static void row_clear(struct outbox_row *row)
{
	free(row->path);
	buf_clear(&row->content);
}

/* Copied out of the statement, so that none is open while a slow depot is written. */
static int row_next(struct station *s, const char *after, struct outbox_row *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes content;
	int rc =
	    db_query(s->db, "SELECT path, content FROM outbox WHERE path > ? ORDER BY path LIMIT 1",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", after);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	ret->path = strdup(db_text(st, 0));
	if (ret->path == NULL)
		return err_memory(err);
	content = db_bytes(st, 1);
	rc = buf_add(&ret->content, content.p, content.n, err);
	return rc < 0 ? rc : 1;
}

/* Anybody may put something into the place of one document; the others are posted all the same. */
static bool of_one(int rc)
{
	return rc == RC_TYPE || rc == RC_PATH;
}

int outbox_post(struct station *s, struct depot *depot, struct err *err)
{
	char after[DEPOT_NAME] = "";
	struct err first = {0};
	int posted = 0;

	for (;;) {
		OWNED(row_clear) struct outbox_row row = {0};
		struct err bad = {0};
		int rc = row_next(s, after, &row, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		rc = depot_post(depot, row.path, bytes_in(&row.content), &bad);
		if (rc < 0 && !of_one(rc))
			return err_set(err, rc, "%s", bad.text);
		if (rc < 0 && first.rc == 0)
			first = bad;
		if (rc == 0)
			rc = db_run(s->db, err, "UPDATE outbox SET posted = 1 WHERE path = ?", "t",
				    row.path);
		if (rc < 0 && !of_one(rc))
			return rc;
		snprintf(after, sizeof(after), "%s", row.path);
		posted += rc == 0;
	}
	return first.rc < 0 ? err_set(err, first.rc, "%s", first.text) : posted;
}

int outbox_acknowledge(struct station *s, uint64_t sequence, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM outbox WHERE kind = 'receipt' AND sequence <= ?",
		      "i", (int64_t)sequence);
}

int outbox_forget(struct station *s, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM outbox WHERE kind <> 'last'", "");
}

int outbox_count(struct station *s, enum outbox_kind kind, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(s->db, err, &n, "SELECT count(*) FROM outbox WHERE kind = ?", "t",
			kinds[kind].name);

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

int outbox_waiting(struct station *s, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(s->db, err, &n, "SELECT count(*) FROM outbox WHERE posted = 0", "");

	if (rc < 0)
		return rc;
	*ret = (uint64_t)n;
	return 0;
}
