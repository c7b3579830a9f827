/* SPDX-License-Identifier: ISC */
/*
 * Leaving a channel.  Not all-or-nothing, but repeatable: what was removed stays removed, and the
 * index, which says what may be removed, goes last.
 */
#include "applier/trees/tree.h"

#include "applier/apply/applied.h"
#include "applier/station/station.h"
#include "applier/trees/outcome.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/tree/index.h"

static int files_remove(struct station *s, struct tree_place *p, struct err *err)
{
	struct apply_target target;
	uint64_t kept = 0;
	int rc = tree_place_target(s, p, &target, err);

	if (rc == 0)
		rc = apply_leave(s, &target, &kept, err);
	if (rc == 0 && kept > 0)
		reporter_info(s->reporter, "%s: %llu %s changed here and stay%s", p->path,
			      (unsigned long long)kept, kept == 1 ? "file was" : "files were",
			      kept == 1 ? "s" : "");
	return rc;
}

/* Nothing when no receipt speaks of it. */
static int outcome_left(struct station *s, const char *tree, struct err *err)
{
	return db_run(s->db, err,
		      "UPDATE outcome SET result = 'left', reason = '', wanted = 0, "
		      "deviations = 0, adaptations = 0, drift = 0, at = ?, milliseconds = 0 "
		      "WHERE tree = ?",
		      "it", clock_now(), tree);
}

static int tree_rows_forget(struct station *s, const char *tree, struct err *err)
{
	int rc = index_drop(s->db, tree, err);

	if (rc == 0)
		rc = applied_forget(s, tree, err);
	if (rc == 0)
		rc = apply_forget(s, tree, err);
	if (rc == 0)
		rc = undo_forget(s, tree, err);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM target WHERE tree = ?", "t", tree);
	return rc < 0 ? rc : outcome_left(s, tree, err);
}

int tree_forget(struct station *s, const char *tree, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = tree_rows_forget(s, tree, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int tree_forget_all(struct station *s, struct err *err)
{
	int rc = index_drop_all(s->db, err);

	if (rc == 0)
		rc = applied_forget(s, NULL, err);
	if (rc == 0)
		rc = apply_forget(s, NULL, err);
	if (rc == 0)
		rc = undo_forget(s, NULL, err);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM target", "");
	return rc < 0 ? rc : db_run(s->db, err, "DELETE FROM outcome", "");
}

/* What an interrupted run took out is put back, or kept, before nobody knows of it any more. */
static int interrupted_end(struct station *s, struct tree_place *p, struct err *err)
{
	struct apply_target target;
	int rc = apply_interrupted(s, p->tree, err);

	if (rc <= 0)
		return rc;
	rc = tree_place_target(s, p, &target, err);
	return rc < 0 ? rc : apply_recover(s, &target, err);
}

int tree_past_clear(struct station *s, struct tree_place *p, struct err *err)
{
	struct apply_target target;
	int rc = tree_place_target(s, p, &target, err);

	return rc < 0 ? rc : apply_past_clear(s, &target, err);
}

int tree_leave(struct station *s, struct tree_place *p, struct err *err)
{
	int rc = interrupted_end(s, p, err);

	if (rc >= 0) /* what is not there cannot be removed, and nothing will look for it */
		tree_past_clear(s, p, ERR_IGNORED);
	if (rc >= 0 && p->remove)
		rc = files_remove(s, p, err);
	return rc < 0 ? rc : tree_forget(s, p->tree, err);
}

int tree_list_reported(struct station *s, struct strings *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT tree FROM target UNION SELECT tree FROM outcome "
			  "WHERE result <> 'left' AND tree <> '" TREE_PRIVATE "' ORDER BY tree",
			  &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = strings_add(ret, db_text(st, 0), err);
	return rc;
}
