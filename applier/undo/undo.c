/* SPDX-License-Identifier: ISC */
/*
 * Rows about what can be undone.  A step is written together with the generation that it led to, so
 * that there is none without it; whether the contents are still there is seen when they are read.
 */
#include "applier/undo/undo.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"

static const char undo_tables[] =
    "CREATE TABLE undo_step (id INTEGER PRIMARY KEY, tree TEXT NOT NULL,"
    " from_epoch INTEGER NOT NULL, from_generation INTEGER NOT NULL, from_tree BLOB NOT NULL,"
    " to_epoch INTEGER NOT NULL, to_generation INTEGER NOT NULL, to_tree BLOB NOT NULL,"
    " salt BLOB, staged TEXT NOT NULL, area TEXT NOT NULL, mark TEXT NOT NULL,"
    " inside INTEGER NOT NULL, rest INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL,"
    " at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX undo_step_tree ON undo_step (tree, id);"
    "CREATE TABLE undo_entry (step INTEGER NOT NULL REFERENCES undo_step (id) ON DELETE CASCADE,"
    " path BLOB NOT NULL, kind INTEGER NOT NULL," /* 0: there was nothing */
    " mode INTEGER, owner TEXT, size INTEGER, mtime INTEGER, digest BLOB, target BLOB,"
    " op INTEGER NOT NULL," /* that took its content out; 0: none did */
    " PRIMARY KEY (step, path)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX undo_entry_content ON undo_entry (digest) WHERE op > 0;"
    "CREATE INDEX undo_entry_op ON undo_entry (step, op) WHERE op > 0;"
    "CREATE TABLE undo_intent (tree TEXT PRIMARY KEY, intent INTEGER NOT NULL, step INTEGER NOT NULL,"
    " why TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE undo_floor (tree TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, digest BLOB NOT NULL, why TEXT NOT NULL,"
    " at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE undo_health (tree TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;";
/* The first step of every room is what 0.1.0 had, and this one had nothing. */
static const char *const undo_steps[] = {"", undo_tables};
const struct db_schema undo_schema = DB_SCHEMA("undo", undo_steps);

/* Steps */

int undo_add(struct station *s, const char *tree, struct undo_step *step, struct err *err)
{
	bool salted = !digest_is_zero(&step->salt);
	struct bytes salt = {salted ? step->salt.b : NULL, salted ? DIGEST_BYTES : 0};

	if (db_run(s->db, err,
		   "INSERT INTO undo_step (tree, from_epoch, from_generation, from_tree, to_epoch,"
		   " to_generation, to_tree, salt, staged, area, mark, inside, rest, bytes, at)"
		   " VALUES (?, ?, ?, ?, ?, ?, ?, nullif(?, x''), ?, ?, ?, ?, ?, 0, ?)",
		   "tiidiidbtttiii", tree, (int64_t)step->from.epoch,
		   (int64_t)step->from.generation, &step->from.tree, (int64_t)step->to.epoch,
		   (int64_t)step->to.generation, &step->to.tree, salt, step->staged, step->area,
		   step->mark, (int64_t)step->inside, (int64_t)step->rest, clock_now()) < 0)
		return err->rc;
	step->id = sqlite3_last_insert_rowid(db_handle(s->db));
	return 0;
}

int undo_bytes(struct station *s, int64_t id, uint64_t bytes, struct err *err)
{
	return db_run(s->db, err, "UPDATE undo_step SET bytes = ? WHERE id = ?", "ii",
		      (int64_t)bytes, id);
}

int undo_settled(struct station *s, int64_t id, struct err *err)
{
	return db_run(s->db, err, "UPDATE undo_step SET staged = '' WHERE id = ?", "i", id);
}

#define STEP_COLUMNS                                                                    \
	"id, from_epoch, from_generation, from_tree, to_epoch, to_generation, to_tree," \
	" salt, staged, area, mark, inside, bytes, at, gone, rest"

static int step_read(sqlite3_stmt *st, struct undo_step *ret, struct err *err)
{
	*ret = (struct undo_step){.id = db_i64(st, 0),
				  .from.epoch = (uint64_t)db_i64(st, 1),
				  .from.generation = (uint64_t)db_i64(st, 2),
				  .to.epoch = (uint64_t)db_i64(st, 4),
				  .to.generation = (uint64_t)db_i64(st, 5),
				  .inside = db_i64(st, 11) != 0,
				  .bytes = (uint64_t)db_i64(st, 12),
				  .at = db_i64(st, 13),
				  .gone = db_i64(st, 14) != 0,
				  .rest = db_i64(st, 15) != 0};
	if (!db_digest(st, 3, &ret->from.tree) || !db_digest(st, 6, &ret->to.tree))
		return err_set(err, RC_STATE, "what can be undone is damaged in the database");
	if (!db_digest(st, 7, &ret->salt))
		ret->salt = (struct digest){{0}};
	snprintf(ret->staged, sizeof(ret->staged), "%s", db_text(st, 8));
	snprintf(ret->area, sizeof(ret->area), "%s", db_text(st, 9));
	snprintf(ret->mark, sizeof(ret->mark), "%s", db_text(st, 10));
	return 1;
}

static int step_find(struct station *s, const char *sql, const char *tree, int64_t id,
		     struct undo_step *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", tree, id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	return rc <= 0 ? rc : step_read(st, ret, err);
}

int undo_newest(struct station *s, const char *tree, int64_t before, struct undo_step *ret,
		struct err *err)
{
	return step_find(s,
			 "SELECT " STEP_COLUMNS " FROM undo_step WHERE tree = ?1"
			 " AND (?2 = 0 OR id < ?2) AND gone = 0 ORDER BY id DESC LIMIT 1",
			 tree, before, ret, err);
}

int undo_waiting(struct station *s, const char *tree, struct undo_step *ret, struct err *err)
{
	return step_find(s,
			 "SELECT " STEP_COLUMNS " FROM undo_step WHERE tree = ?1 AND id > ?2"
			 " AND staged <> '' ORDER BY id DESC LIMIT 1",
			 tree, 0, ret, err);
}

int undo_drop(struct station *s, int64_t id, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM undo_step WHERE id = ?", "i", id);
}

int undo_over(struct station *s, const char *tree, int64_t id, struct err *err)
{
	return db_run(s->db, err, "UPDATE undo_step SET gone = 1 WHERE tree = ? AND id >= ?", "ti",
		      tree, id);
}

int undo_over_next(struct station *s, const char *tree, struct undo_step *ret, struct err *err)
{
	return step_find(s,
			 "SELECT " STEP_COLUMNS " FROM undo_step WHERE tree = ?1 AND id > ?2"
			 " AND gone = 1 AND staged = '' LIMIT 1",
			 tree, 0, ret, err);
}

/* Entries */

/* With NUL for '/', so that the order of bytes is that of paths (path_compare). */
static struct bytes path_key(char dst[LIMIT_PATH + 1], const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < n; i++)
		dst[i] = (char)(path[i] == '/' ? '\0' : path[i]);
	return (struct bytes){(const uint8_t *)dst, n};
}

int undo_add_entry(struct station *s, int64_t id, const char *path, const struct entry *e,
		   uint32_t op, struct err *err)
{
	char key[LIMIT_PATH + 1];
	struct bytes name = path_key(key, path);

	if (e == NULL)
		return db_run(s->db, err,
			      "INSERT INTO undo_entry (step, path, kind, op) VALUES (?, ?, 0, 0)",
			      "ib", id, name);
	return db_run(s->db, err,
		      "INSERT INTO undo_entry (step, path, kind, mode, owner, size, mtime, digest,"
		      " target, op) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		      "ibiitiidbi", id, name, (int64_t)e->kind, (int64_t)e->mode, e->owner,
		      (int64_t)e->size, e->mtime, &e->digest, bytes_of(e->target), (int64_t)op);
}

static int entry_read(sqlite3_stmt *st, char path[LIMIT_PATH + 1], struct entry *e, struct err *err)
{
	struct bytes name = db_bytes(st, 0), target = db_bytes(st, 7);

	if (name.n > LIMIT_PATH || target.n > LIMIT_LINK)
		return err_set(err, RC_STATE, "what can be undone is damaged in the database");
	for (size_t i = 0; i < name.n; i++)
		path[i] = (char)(name.p[i] == '\0' ? '/' : name.p[i]);
	path[name.n] = '\0';
	memset(e, 0, sizeof(*e));
	e->kind = (enum entry_kind)db_i64(st, 1);
	e->mode = (uint16_t)db_i64(st, 2);
	snprintf(e->owner, sizeof(e->owner), "%s", db_text(st, 3));
	e->size = (uint64_t)db_i64(st, 4);
	e->mtime = db_i64(st, 5);
	if (db_i64(st, 1) != 0 && !db_digest(st, 6, &e->digest))
		return err_set(err, RC_STATE, "what can be undone is damaged in the database");
	if (target.n > 0)
		memcpy(e->target, target.p, target.n);
	return 0;
}

int undo_each(struct station *s, const char *tree, int64_t id,
	      int (*each)(void *arg, const char *path, const struct entry *e, struct err *err),
	      void *arg, struct err *err)
{
	OWNED(freep) struct entry *e = malloc(sizeof(*e));
	OWNED(freep) char *path = malloc(LIMIT_PATH + 1);
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = e == NULL || path == NULL ? err_memory(err) : 0;

	/* The row of the oldest step: SQLite takes bare columns from where min() was found. */
	if (rc == 0)
		rc = db_query(s->db,
			      "SELECT path, kind, mode, owner, size, mtime, digest, target,"
			      " min(step) FROM undo_entry WHERE step IN (SELECT id FROM undo_step"
			      " WHERE tree = ? AND id >= ?) GROUP BY path ORDER BY path",
			      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ti", tree, id);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		rc = entry_read(st, path, e, err);
		if (rc == 0)
			rc = each(arg, path, (int)e->kind == 0 ? NULL : e, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

int undo_slots(struct station *s, int64_t id, uint32_t n, struct err *err)
{
	int64_t found = 0;
	int rc = db_int(s->db, err, &found,
			"SELECT count(*) FROM undo_entry WHERE step = ? AND op = ? AND op > 0",
			"ii", id, (int64_t)n);

	return rc < 0 ? rc : found > 0;
}

int undo_content(struct station *s, const char *tree, const struct digest *digest, unsigned n,
		 struct undo_step *ret, uint32_t *ret_op, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT " STEP_COLUMNS ", op FROM undo_entry JOIN undo_step ON id = step"
			  " WHERE digest = ? AND op > 0 AND tree = ? ORDER BY id DESC, path"
			  " LIMIT 1 OFFSET ?",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "dti", digest, tree, (int64_t)n);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	*ret_op = (uint32_t)db_i64(st, 16);
	return step_read(st, ret, err);
}

/* Ways */

int undo_intent_put(struct station *s, const char *tree, enum undo_intent intent, int64_t step,
		    const char *why, struct err *err)
{
	if (intent == UNDO_FORWARD)
		return db_run(s->db, err, "DELETE FROM undo_intent WHERE tree = ?", "t", tree);
	return db_run(
	    s->db, err,
	    "INSERT OR REPLACE INTO undo_intent (tree, intent, step, why) VALUES (?, ?, ?, ?)",
	    "tiit", tree, (int64_t)intent, step, why);
}

int undo_intent_load(struct station *s, const char *tree, int64_t *ret_step, char *why, size_t size,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(s->db, "SELECT intent, step, why FROM undo_intent WHERE tree = ?", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc < 0 ? rc : UNDO_FORWARD;
	*ret_step = db_i64(st, 1);
	snprintf(why, size, "%s", db_text(st, 2));
	return (int)db_i64(st, 0);
}

/* All of it */

int undo_forget(struct station *s, const char *tree, struct err *err)
{
	static const char *const sql[] = {
	    "DELETE FROM undo_step WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM undo_intent WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM undo_floor WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM undo_health WHERE ?1 IS NULL OR tree = ?1",
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sql); i++)
		rc = db_run(s->db, err, sql[i], "t", tree);
	return rc;
}
