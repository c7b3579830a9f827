#include "bundler/carried.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"

/* gone 0: the newest generation has the user; 1: epoch and generation are of the first that does
 * not. */
const char carried_schema_sql[] =
    "CREATE TABLE carried(id TEXT NOT NULL, email TEXT NOT NULL, gone INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, generation INTEGER NOT NULL, PRIMARY KEY(id, email)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX carried_email ON carried(email, id);";

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those that leave, each with its NUL. */
static int carried_leavers(struct db *db, const char *id, const char *const *email, size_t n,
			   struct buf *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(db, "SELECT email FROM carried WHERE id = ?1 AND gone = 0", &st, err);
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

int carried_record(struct db *db, const char *id, uint64_t epoch, uint64_t generation,
		   const char *const *email, size_t n, struct err *err)
{
	OWNED(buf_clear) struct buf gone = BUF_INIT;
	int rc = carried_leavers(db, id, email, n, &gone, err);

	for (size_t at = 0; rc == 0 && at < gone.n; at += strlen((char *)gone.p + at) + 1)
		rc = db_run(db, err,
			    "UPDATE carried SET gone = 1, epoch = ?3, generation = ?4"
			    " WHERE id = ?1 AND email = ?2",
			    "ttii", id, (char *)gone.p + at, (int64_t)epoch, (int64_t)generation);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = db_run(
		    db, err,
		    "INSERT INTO carried(id, email, gone, epoch, generation)"
		    " VALUES(?1, ?2, 0, ?3, ?4) ON CONFLICT(id, email) DO UPDATE SET gone = 0,"
		    " epoch = excluded.epoch, generation = excluded.generation WHERE gone = 1",
		    "ttii", id, email[i], (int64_t)epoch, (int64_t)generation);
	return rc;
}
