/* SPDX-License-Identifier: ISC */
/*
 * What a tree once accepted, beside what it holds: after a step back these are two numbers, and
 * whoever offers the higher one again offers what was found to be no good here.
 */
#include <stdio.h>
#include <string.h>

#include "applier/undo/undo.h"
#include "core/base/clock.h"
#include "core/base/own.h"

int undo_floor_load(struct station *s, const char *tree, struct undo_floor *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct undo_floor f = {.at = 0};
	int rc = db_query(s->db,
			  "SELECT epoch, generation, digest, why, at FROM undo_floor"
			  " WHERE tree = ?",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	f.accepted.epoch = (uint64_t)db_i64(st, 0);
	f.accepted.generation = (uint64_t)db_i64(st, 1);
	if (!db_digest(st, 2, &f.accepted.tree))
		return err_set(err, RC_STATE, "what was accepted of %s is damaged in the database",
			       tree);
	snprintf(f.why, sizeof(f.why), "%s", db_text(st, 3));
	f.at = db_i64(st, 4);
	*ret = f;
	return 1;
}

int undo_floor_put(struct station *s, const char *tree, const struct undo_floor *f, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO undo_floor (tree, epoch, generation, digest, why, at)"
		      " VALUES (?, ?, ?, ?, ?, ?)",
		      "tiidti", tree, (int64_t)f->accepted.epoch, (int64_t)f->accepted.generation,
		      &f->accepted.tree, f->why, clock_now());
}

int undo_floor_drop(struct station *s, const char *tree, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM undo_floor WHERE tree = ?", "t", tree);
}

int undo_health_put(struct station *s, const char *tree, const struct undo_generation *from,
		    struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR IGNORE INTO undo_health (tree, epoch, generation, digest)"
		      " VALUES (?, ?, ?, ?)",
		      "tiid", tree, (int64_t)from->epoch, (int64_t)from->generation, &from->tree);
}

int undo_health_load(struct station *s, const char *tree, struct undo_generation *ret,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT epoch, generation, digest FROM undo_health WHERE tree = ?",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	ret->epoch = (uint64_t)db_i64(st, 0);
	ret->generation = (uint64_t)db_i64(st, 1);
	return db_digest(st, 2, &ret->tree)
		   ? 1
		   : err_set(err, RC_STATE, "what is known of the health of %s is damaged", tree);
}

int undo_health_drop(struct station *s, const char *tree, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM undo_health WHERE tree = ?", "t", tree);
}
