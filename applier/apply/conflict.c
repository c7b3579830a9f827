/* SPDX-License-Identifier: ISC */
/* Rows about conflicts; see conflict.h. */
#include "applier/apply/conflict.h"

#include <string.h>

#include "core/base/own.h"

int conflict_answer_put(struct station *s, const char *tree, const char *path,
			enum conflict_answer answer, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int64_t n = 0;
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = db_int(s->db, err, &n,
			    "SELECT count(*) FROM apply_conflict WHERE tree = ?1 "
			    "AND (?2 IS NULL OR path = ?2)",
			    "tt", tree, path);
	if (rc >= 0)
		rc = db_run(s->db, err,
			    "UPDATE apply_conflict SET answer = ?3 WHERE tree = ?1 "
			    "AND (?2 IS NULL OR path = ?2)",
			    "ttt", tree, path, answer == CONFLICT_MINE ? "mine" : "theirs");
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	return rc < 0 ? rc : (int)n;
}

int conflict_each(struct station *s, const char *tree,
		  int (*each)(void *arg, const struct conflict *c, struct err *err), void *arg,
		  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT path, why, answer FROM apply_conflict WHERE tree = ? "
			  "ORDER BY path",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		const struct conflict c = {db_text(st, 0), db_text(st, 1), db_text(st, 2)};

		rc = each(arg, &c, err);
		if (rc != 0)
			return rc;
	}
	return rc;
}

struct answered {
	struct strings *mine, *theirs;
};

static int answered_each(void *arg, const struct conflict *c, struct err *err)
{
	struct answered *a = arg;

	if (strcmp(c->answer, "mine") == 0)
		return strings_add(a->mine, c->path, err);
	return strcmp(c->answer, "theirs") == 0 ? strings_add(a->theirs, c->path, err) : 0;
}

int conflicts_answered(struct station *s, const char *tree, struct strings *ret_mine,
		       struct strings *ret_theirs, struct err *err)
{
	int rc =
	    conflict_each(s, tree, answered_each, &(struct answered){ret_mine, ret_theirs}, err);

	strings_sort(ret_mine);
	strings_sort(ret_theirs);
	return rc;
}

int conflicts_put(struct station *s, const char *tree, const struct strings *path,
		  const struct strings *why, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM apply_conflict WHERE tree = ? AND answer = ''",
			    "t", tree);
	for (size_t i = 0; rc == 0 && i < path->n; i++)
		rc = db_run(s->db, err,
			    "INSERT OR IGNORE INTO apply_conflict (tree, path, why, answer) "
			    "VALUES (?, ?, ?, '')",
			    "ttt", tree, path->items[i], why->items[i]);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int conflicts_forget(struct station *s, const char *tree, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM apply_conflict WHERE ?1 IS NULL OR tree = ?1", "t",
		      tree);
}
