/*
 * From the registry to the home depot: everything that is committed and not posted yet, in an order
 * in which nothing is named before it is there.  Posting again is harmless, so marks are committed
 * after a class of files, not after each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"
#include "bundler/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct post {
	struct site *s;
	struct depot *depot; /* owned */
	uint64_t posted;
};

static int mark_documents(struct post *p, const char *glob, struct err *err)
{
	return db_run(p->s->db, err,
		      "UPDATE outbox SET posted = ?1 WHERE posted = 0 AND path GLOB ?2", "it",
		      clock_now(), glob);
}

/* Documents of one class; small, so they are posted from the table. */
static int documents_post(struct post *p, const char *glob, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	uint64_t before = p->posted;
	int rc = db_query(p->s->db,
			  "SELECT path, content FROM outbox WHERE posted = 0 AND path GLOB ?1"
			  " ORDER BY path",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", glob);
	while (rc == 0 && (rc = db_step(p->s->db, st, err)) > 0) {
		rc = depot_post(p->depot, db_text(st, 0), db_bytes(st, 1), err);
		p->posted++;
		say_progress(p->s->say, "posting", 0, 0, p->posted, 0);
	}
	db_done(&st);
	if (rc == 0 && p->posted > before)
		rc = mark_documents(p, glob, err);
	return rc;
}

static int bundle_post(struct post *p, sqlite3_stmt *st, struct err *err)
{
	struct bytes pieces = db_bytes(st, 2);
	struct depot_piece piece[PUBLISH_PIECES];
	uint64_t payload = 0;
	OWNED(fd_closep) int fd = -1;

	if (pieces.n != PUBLISH_PIECES * 16)
		return err_set(err, RC_STATE, "the registry is damaged: %s has no pieces",
			       db_text(st, 0));
	for (size_t i = 0; i < PUBLISH_PIECES; i++) {
		piece[i].offset = get_u64(pieces.p + 16 * i);
		piece[i].length = get_u64(pieces.p + 16 * i + 8);
		payload += piece[i].length;
	}
	fd = store_open(p->s, (uint64_t)db_i64(st, 1), err);
	if (fd < 0)
		return fd;
	return depot_post_file(p->depot, db_text(st, 0), db_bytes(st, 3), fd, piece, PUBLISH_PIECES,
			       bundle_tail(payload), p->s->say, err);
}

static int bundles_post(struct post *p, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	uint64_t before = p->posted;
	int rc =
	    db_query(p->s->db,
		     "SELECT path, pack, pieces, prefix FROM bundle WHERE posted = 0 ORDER BY path",
		     &st, err);

	while (rc == 0 && (rc = db_step(p->s->db, st, err)) > 0) {
		rc = bundle_post(p, st, err);
		p->posted++;
	}
	db_done(&st);
	if (rc == 0 && p->posted > before)
		rc = db_run(p->s->db, err, "UPDATE bundle SET posted = ?1 WHERE posted = 0", "i",
			    clock_now());
	return rc;
}

int publish_retire(struct site *s, const char *path, struct err *err)
{
	uint64_t last;
	int rc = registry_last(s->db, "beat", &last, err);

	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM outbox WHERE path = ?1", "t", path);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT INTO retired(path, beat) VALUES(?1, ?2)"
			    " ON CONFLICT(path) DO UPDATE SET beat = excluded.beat",
			    "ti", path, (int64_t)last);
	return rc;
}

int publish_document(struct site *s, const char *path, struct bytes content, struct err *err)
{
	int rc = registry_document(s->db, path, content, err);

	return rc < 0 ? rc : db_run(s->db, err, "DELETE FROM retired WHERE path = ?1", "t", path);
}

/* Files that only beats which are gone from the depot led to. */
static int retired_remove(struct post *p, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int64_t oldest = 0;
	bool any = false;
	int rc = db_int(p->s->db, err, &oldest, "SELECT coalesce(min(sequence), 0) FROM beat", "");

	if (rc >= 0)
		rc = db_query(p->s->db, "SELECT path FROM retired WHERE beat < ?1 ORDER BY path",
			      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "i", oldest);
	while (rc == 0 && (rc = db_step(p->s->db, st, err)) > 0) {
		rc = depot_remove(p->depot, db_text(st, 0), err);
		any = true;
	}
	db_done(&st);
	if (rc == 0 && any)
		rc = db_run(p->s->db, err, "DELETE FROM retired WHERE beat < ?1", "i", oldest);
	return rc;
}

/* Is there anything to do at all?  If not, the depot is not even opened. */
static int post_needed(struct site *s, struct err *err)
{
	int64_t oldest = 0, n = 0;
	int rc = db_int(s->db, err, &oldest, "SELECT coalesce(min(sequence), 0) FROM beat", "");

	if (rc >= 0)
		rc = db_int(s->db, err, &n,
			    "SELECT (SELECT count(*) FROM outbox WHERE posted = 0)"
			    " + (SELECT count(*) FROM bundle WHERE posted = 0)"
			    " + (SELECT count(*) FROM retired WHERE beat < ?1)",
			    "i", oldest);
	return rc < 0 ? rc : n > 0;
}

int publish_post(struct site *s, struct err *err)
{
	/* Nothing is named before it is there: the beat is last. */
	static const char *const before[] = {"satchel.yaml", "trust/*", "workstations/*"};
	static const char *const after[] = {"channels/*", "shards/*", "beats/*"};
	OWNED(depot_freep) struct depot *depot = NULL;
	struct post p = {.s = s};
	int rc = post_needed(s, err);

	if (rc <= 0)
		return rc;
	rc = site_depot_open(s, &depot, err);
	if (rc < 0)
		return rc;
	p.depot = depot;
	for (size_t i = 0; i < ARRAY_LEN(before) && rc == 0; i++)
		rc = documents_post(&p, before[i], err);
	if (rc == 0)
		rc = bundles_post(&p, err);
	for (size_t i = 0; i < ARRAY_LEN(after) && rc == 0; i++)
		rc = documents_post(&p, after[i], err);
	if (rc == 0)
		rc = retired_remove(&p, err);
	return rc < 0 ? rc : 0;
}
