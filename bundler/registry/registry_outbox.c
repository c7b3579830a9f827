/* SPDX-License-Identifier: ISC */
/*
 * The outbox: signed documents on their way to the home depot.  What was posted stays, so that it
 * can be posted again when the depot lost it.
 */
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

int registry_document(struct db *db, const char *path, struct bytes content, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO outbox(path, content, posted, size) VALUES(?1, ?2, 0, ?3)"
		      " ON CONFLICT(path) DO UPDATE SET content = excluded.content, posted = 0,"
		      " size = excluded.size WHERE content IS NOT excluded.content",
		      "tBi", path, content, (int64_t)content.n);
}

int registry_document_drop(struct db *db, const char *path, struct err *err)
{
	return db_run(db, err, "DELETE FROM outbox WHERE path = ?1", "t", path);
}

static int documents_hand(struct db *db, const char *sql, const char *glob,
			  registry_document_each each, void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", glob);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), db_bytes(st, 1), err);
	return rc;
}

int registry_documents(struct db *db, const char *glob, registry_document_each each, void *arg,
		       struct err *err)
{
	return documents_hand(db,
			      "SELECT path, content FROM outbox WHERE path GLOB ?1 ORDER BY path",
			      glob, each, arg, err);
}

int registry_unposted(struct db *db, const char *glob, registry_document_each each, void *arg,
		      struct err *err)
{
	return documents_hand(db,
			      "SELECT path, content FROM outbox WHERE posted = 0 AND path GLOB ?1"
			      " ORDER BY path",
			      glob, each, arg, err);
}

int registry_document_get(struct db *db, const char *path, struct buf *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	struct bytes content;
	int rc = db_query(db, "SELECT content FROM outbox WHERE path = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", path);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc <= 0)
		return rc;
	content = db_bytes(st, 0);
	rc = buf_add(ret, content.p, content.n, err);
	return rc < 0 ? rc : 1;
}

int registry_posted(struct db *db, const char *path, struct err *err)
{
	return db_run(db, err, "UPDATE outbox SET posted = ?1 WHERE path = ?2", "it", clock_now(),
		      path);
}

int registry_posted_all(struct db *db, struct err *err)
{
	return db_run(db, err, "UPDATE outbox SET posted = ?1 WHERE posted = 0", "i", clock_now());
}

int registry_post_again(struct db *db, const char *path, struct err *err)
{
	return db_run(db, err, "UPDATE outbox SET posted = 0 WHERE path = ?1", "t", path);
}

int registry_post_all_again(struct db *db, struct err *err)
{
	return db_exec(db, "UPDATE outbox SET posted = 0 WHERE posted > 0 AND content IS NOT NULL",
		       err);
}

int registry_posted_at(struct db *db, const char *path, int64_t *ret, struct err *err)
{
	*ret = 0;
	return db_int(db, err, ret, "SELECT posted FROM outbox WHERE path = ?1", "t", path);
}

int registry_unposted_count(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM outbox WHERE posted = 0", "");

	if (rc < 0)
		return rc;
	*ret = (uint64_t)n;
	return 0;
}
