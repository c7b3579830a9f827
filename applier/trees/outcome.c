/* SPDX-License-Identifier: ISC */
/*
 * Rows about how trees came out, and those rows beside what is applied, as a receipt says it.
 */
#include "applier/trees/outcome.h"

#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"

static const char outcome_tables[] = "CREATE TABLE outcome ("
				     " tree TEXT PRIMARY KEY,"
				     " result TEXT NOT NULL," /* tree_result_text */
				     " reason TEXT NOT NULL,"
				     " wanted INTEGER NOT NULL,"
				     " deviations INTEGER NOT NULL,"
				     " adaptations INTEGER NOT NULL,"
				     " drift INTEGER NOT NULL,"
				     " at INTEGER NOT NULL," /* seconds since 1970 */
				     " milliseconds INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const outcome_steps[] = {outcome_tables};
const struct db_schema station_outcome_schema = DB_SCHEMA("outcome", outcome_steps);

static const char *const words[] = {
    [TREE_UNTRIED] = "",        [TREE_APPLIED] = "applied", [TREE_CURRENT] = "current",
    [TREE_WAITING] = "waiting", [TREE_REFUSED] = "refused", [TREE_FAILED] = "failed",
    [TREE_LEFT] = "left",
};

const char *tree_result_text(enum tree_result result)
{
	return words[result];
}

static enum tree_result result_of(const char *word)
{
	size_t i = ARRAY_LEN(words);

	while (--i > TREE_UNTRIED && strcmp(words[i], word) != 0)
		;
	return (enum tree_result)i;
}

/* A row that says the same as ${o}: 1, else 0. */
static int outcome_same(struct station *s, const char *tree, const struct outcome *o,
			struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	enum tree_result is, was;
	int rc;

	if (o->result == TREE_APPLIED)
		return 0;
	rc = db_query(s->db, "SELECT result, reason, wanted FROM outcome WHERE tree = ?", &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	was = result_of(db_text(st, 0));
	is = o->result == TREE_CURRENT && was == TREE_APPLIED ? TREE_APPLIED : o->result;
	return is == was && strcmp(o->reason, db_text(st, 1)) == 0 &&
	       o->wanted == (uint64_t)db_i64(st, 2);
}

int outcome_put(struct station *s, const char *tree, const struct outcome *o, struct err *err)
{
	int rc = outcome_same(s, tree, o, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	return db_run(s->db, err,
		      "INSERT INTO outcome (tree, result, reason, wanted, deviations, adaptations, "
		      "drift, at, milliseconds) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8) "
		      "ON CONFLICT (tree) DO UPDATE SET result = ?2, reason = ?3, wanted = ?4, "
		      "deviations = iif(?9, ?5, deviations), "
		      "adaptations = iif(?9, ?6, adaptations), "
		      "at = ?7, milliseconds = ?8",
		      "tttiiiiii", tree, words[o->result], o->reason, (int64_t)o->wanted,
		      (int64_t)o->deviations, (int64_t)o->adaptations, clock_now(),
		      (int64_t)o->milliseconds, (int64_t)(o->result == TREE_APPLIED));
}

int outcome_at(struct station *s, const char *tree, int64_t *ret, struct err *err)
{
	int64_t at = 0;
	int rc = db_int(s->db, err, &at, "SELECT at FROM outcome WHERE tree = ?", "t", tree);

	if (rc > 0)
		*ret = at;
	return rc < 0 ? rc : 0;
}

int outcome_left_forget(struct station *s, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM outcome WHERE result = 'left'", "");
}

static int channel_row(struct station *s, sqlite3_stmt *st, struct station_channel *ret,
		       struct err *err)
{
	const char *tree = db_text(st, 0);

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", strcmp(tree, TREE_PRIVATE) == 0 ? "" : tree);
	if (ret->name[0] != '\0')
		snprintf(ret->target, sizeof(ret->target), "%s", db_text(st, 1));
	ret->result = result_of(db_text(st, 2));
	snprintf(ret->reason, sizeof(ret->reason), "%s", db_text(st, 3));
	ret->wanted = (uint64_t)db_i64(st, 4);
	ret->deviations = (uint64_t)db_i64(st, 5);
	ret->adaptations = (uint64_t)db_i64(st, 6);
	ret->drift = (uint64_t)db_i64(st, 7);
	ret->at = db_i64(st, 8);
	ret->milliseconds = (uint64_t)db_i64(st, 9);
	return applied_load(s, tree, &ret->applied, err);
}

int station_channels(struct station *s,
		     int (*each)(void *arg, const struct station_channel *c, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(freep) struct station_channel *c = malloc(sizeof(*c));
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = c == NULL ? err_memory(err) : 0;

	if (rc == 0) /* '@' sorts below every channel's name */
		rc = db_query(s->db,
			      "SELECT tree, path, result, reason, wanted, deviations, "
			      "adaptations, drift, at, milliseconds "
			      "FROM outcome LEFT JOIN target USING (tree) ORDER BY tree",
			      &st, err);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		rc = channel_row(s, st, c, err);
		if (rc == 0)
			rc = each(arg, c, err);
	}
	return rc;
}
