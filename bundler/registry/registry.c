/* SPDX-License-Identifier: ISC */
/*
 * The tables of the registry that serve every room, and the numbers that only grow.
 */
#include "bundler/registry/registry.h"

#include <inttypes.h>

#include "core/base/limits.h"
#include "core/base/own.h"

static const char registry_tables[] =
    "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    /* posted: seconds since 1970 UTC, 0 while it was not */
    "CREATE TABLE outbox(path TEXT PRIMARY KEY, content BLOB, posted INTEGER NOT NULL DEFAULT 0)"
    " STRICT;"
    "CREATE INDEX outbox_unposted ON outbox(path) WHERE posted = 0;"
    "CREATE TABLE event(number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
    " first INTEGER NOT NULL, kind TEXT NOT NULL, about TEXT NOT NULL, text TEXT NOT NULL,"
    " count INTEGER NOT NULL) STRICT;"
    "CREATE INDEX event_at ON event(at);"
    "CREATE INDEX event_same ON event(kind, about, number);";
/* size: of the content.  In an index of its own, so that what was posted is compared with a depot
 * without reading the contents. */
static const char registry_sizes[] = "ALTER TABLE outbox ADD COLUMN size INTEGER;"
				     "UPDATE outbox SET size = length(content);"
				     "CREATE INDEX outbox_size ON outbox(path, posted, size);";
/* claim: foreign words.  Before they had a place of their own they were a part of the text. */
static const char registry_claims[] =
    "ALTER TABLE event ADD COLUMN claim TEXT NOT NULL DEFAULT '';"
    "UPDATE event SET claim = text, text = 'a document that was refused'"
    " WHERE kind = 'malformed';";
static const char *const registry_steps[] = {registry_tables, registry_sizes, registry_claims};
static const char registry_views[] =
    /* outbox_posted: when a document was posted, 0 while it was not, to join with sorted lists */
    "CREATE VIEW outbox_posted AS SELECT path, posted FROM outbox;"
    /* outbox_sent: the documents that were posted, with their sizes; -1: not known */
    "CREATE VIEW outbox_sent AS SELECT path, ifnull(size, -1) AS size"
    " FROM outbox INDEXED BY outbox_size WHERE posted > 0;"
    /* event_list: an event as a person reads it */
    "CREATE VIEW event_list AS SELECT number, at, kind, about,"
    " CASE count WHEN 1 THEN text ELSE text || ' (' || count || ' times)' END AS text, claim FROM event;";
const struct db_schema registry_schema =
    DB_SCHEMA_VIEWS("registry", registry_steps, registry_views);

static const char *const forget_workstation[] = {
    "DELETE FROM counter WHERE name GLOB '*:' || ?1",
    NULL,
};
const struct forget_sql registry_forget = {forget_workstation, NULL};

int registry_last(struct db *db, const char *counter, uint64_t *ret, struct err *err)
{
	int64_t value = 0;
	int rc;

	rc = db_int(db, err, &value, "SELECT value FROM counter WHERE name = ?1", "t", counter);
	if (rc < 0)
		return rc;
	*ret = (uint64_t)value;
	return 0;
}

int registry_next(struct db *db, const char *counter, uint64_t *ret, struct err *err)
{
	uint64_t last = 0;
	int rc;

	rc = registry_last(db, counter, &last, err);
	if (rc < 0)
		return rc;
	if (last >= LIMIT_NUMBER)
		return err_set(
		    err, RC_LIMIT,
		    "the count %s has reached its end: raise the epoch of the role, which "
		    "starts it again",
		    counter);
	rc = registry_counter_set(db, counter, (int64_t)(last + 1), err);
	if (rc < 0)
		return rc;
	*ret = last + 1;
	return 0;
}

int registry_counter_set(struct db *db, const char *counter, int64_t value, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO counter(name, value) VALUES(?1, ?2) ON CONFLICT(name)"
		      " DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
		      "ti", counter, value);
}

int registry_counters_drop(struct db *db, const char *glob, int64_t above, int64_t most,
			   struct err *err)
{
	return db_run(db, err,
		      "DELETE FROM counter WHERE name GLOB ?1 AND NOT value BETWEEN ?2 + 1 AND ?3",
		      "tii", glob, above, most);
}

int registry_counters(struct db *db, const char *glob,
		      int (*each)(void *arg, const char *name, int64_t value, struct err *err),
		      void *arg, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db, "SELECT name, value FROM counter WHERE name GLOB ?1 ORDER BY name",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", glob);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), db_i64(st, 1), err);
	return rc;
}
