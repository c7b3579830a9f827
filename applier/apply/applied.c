/* SPDX-License-Identifier: ISC */
/*
 * Rows about what is applied.  The index has the entries of each tree; these say which generation
 * they are, and are written in the transaction that changes the entries.
 */
#include "applier/apply/applied.h"

#include <string.h>

#include "core/base/own.h"

static const char applied_tables[] =
    "CREATE TABLE applied (tree TEXT PRIMARY KEY, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, digest BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE apply_deviation (tree TEXT NOT NULL, path TEXT NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY (tree, path)) WITHOUT ROWID;"
    "CREATE TABLE apply_adaptation (tree TEXT NOT NULL, what TEXT NOT NULL,"
    " PRIMARY KEY (tree, what)) WITHOUT ROWID;";
/* What was in the way of an update that was refused, and what a person answered (conflict.h). */
static const char applied_conflicts[] =
    "CREATE TABLE apply_conflict (tree TEXT NOT NULL, path TEXT NOT NULL, why TEXT NOT NULL,"
    " answer TEXT NOT NULL, PRIMARY KEY (tree, path)) STRICT, WITHOUT ROWID;";
static const char *const applied_steps[] = {applied_tables, applied_conflicts};
const struct db_schema station_applied_schema = DB_SCHEMA("applied", applied_steps);

int applied_load(struct station *s, const char *tree, struct applied *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct applied a = {0};
	int rc = db_query(s->db, "SELECT epoch, generation, digest FROM applied WHERE tree = ?",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		a.epoch = (uint64_t)db_i64(st, 0);
		a.generation = (uint64_t)db_i64(st, 1);
		if (!db_digest(st, 2, &a.tree))
			return err_set(err, RC_STATE,
				       "what is applied of %s is damaged in the database", tree);
	}
	*ret = a;
	return 0;
}

int applied_put(struct station *s, const char *tree, const struct applied *a, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO applied (tree, epoch, generation, digest) "
		      "VALUES (?, ?, ?, ?)",
		      "tiid", tree, (int64_t)a->epoch, (int64_t)a->generation, &a->tree);
}

bool applied_later(const struct applied *a, const struct applied *b)
{
	return a->epoch > b->epoch || (a->epoch == b->epoch && a->generation > b->generation);
}

void applied_pack(uint8_t dst[APPLIED_BYTES], const struct applied *a)
{
	put_u64(dst, a->epoch);
	put_u64(dst + 8, a->generation);
	memcpy(dst + 16, a->tree.b, DIGEST_BYTES);
}

bool applied_unpack(struct bytes b, struct applied *ret)
{
	if (b.n != APPLIED_BYTES)
		return false;
	ret->epoch = get_u64(b.p);
	ret->generation = get_u64(b.p + 8);
	memcpy(ret->tree.b, b.p + 16, DIGEST_BYTES);
	return true;
}

int deviation_put(struct station *s, const char *tree, const char *path, const char *why,
		  struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO apply_deviation (tree, path, why) VALUES (?, ?, ?)",
		      "ttt", tree, path, why);
}

int deviation_drop(struct station *s, const char *tree, const char *path, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM apply_deviation WHERE tree = ? AND path = ?", "tt",
		      tree, path);
}

int deviation_count(struct station *s, const char *tree, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(s->db, err, &n, "SELECT count(*) FROM apply_deviation WHERE tree = ?", "t",
			tree);

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

int deviation_each(struct station *s, const char *tree,
		   int (*each)(void *arg, const char *path, struct err *err), void *arg,
		   struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT path FROM apply_deviation WHERE tree = ? ORDER BY path",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		rc = each(arg, db_text(st, 0), err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

int adaptation_put(struct station *s, const char *tree, const char *what, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR IGNORE INTO apply_adaptation (tree, what) VALUES (?, ?)", "tt",
		      tree, what);
}

int applied_drop(struct station *s, const char *tree, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM applied WHERE tree = ?", "t", tree);
}

int applied_forget(struct station *s, const char *tree, struct err *err)
{
	static const char *const sql[] = {
	    "DELETE FROM applied WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM apply_deviation WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM apply_adaptation WHERE ?1 IS NULL OR tree = ?1",
	    "DELETE FROM apply_conflict WHERE ?1 IS NULL OR tree = ?1",
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sql); i++)
		rc = db_run(s->db, err, sql[i], "t", tree);
	return rc;
}
