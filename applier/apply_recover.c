/*
 * What a killed run left: the journal says what it wanted, the disk says how far it came.  Forward
 * if that can be; else everything is undone.
 */
#include <string.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"

static int end_run(struct apply *a, bool undone, struct err *err)
{
	if (db_begin(a->s->db, err) < 0 || (undone && rows_undone(a, err) < 0) ||
	    journal_end(a, true, err) < 0 || db_commit(a->s->db, err) < 0) {
		db_rollback(a->s->db);
		return err->rc;
	}
	stage_remove(a);
	changelist_drop(a->s->statefd, a->t->tree);
	return 0;
}

static int undo(struct apply *a, struct err *err)
{
	struct err why = *err;
	struct err failed = {0};

	db_rollback(a->s->db);
	if (commit_undo(a, &failed) < 0 || end_run(a, true, &failed) < 0) {
		*err = failed;
		return err_prefix(err,
				  "after \"%.200s\" the target could not be put back; the next run "
				  "tries again",
				  why.text);
	}
	*err = why;
	return err->rc;
}

int commit_finish(struct apply *a, struct err *err)
{
	struct db *db = a->s->db;

	if (db_begin(db, err) < 0)
		return undo(a, err);
	if (commit_forward(a, err) < 0 || commit_flush(a, err) < 0)
		return undo(a, err);
	a->index = index_free(a->index);
	if (index_open(db, a->t->tree, &a->index, err) < 0 || rows_finish(a, err) < 0 ||
	    db_run(db, err,
		   "INSERT OR REPLACE INTO apply_held (tree, epoch, generation, digest)"
		   " VALUES (?, ?, ?, ?)",
		   "tiid", a->t->tree, (int64_t)a->run.epoch, (int64_t)a->run.generation,
		   &a->run.tree) < 0 ||
	    journal_end(a, false, err) < 0)
		return undo(a, err);
	/* A commit that failed may still be on the disk, so nothing can be undone any more; if it
	 * is not, the journal is there, and the next run comes here again. */
	if (db_commit(db, err) < 0)
		return err_prefix(err, "everything is in place, but that could not be recorded; "
				       "the next run does");
	/* From here on it is done; what is left is tidying up, which the next run can do as well.
	 */
	if (a->run.state == RUN_KEEPING && (commit_kept(a, err) < 0 || end_run(a, false, err) < 0))
		return err->rc;
	stage_remove(a);
	changelist_drop(a->s->statefd, a->t->tree);
	return 0;
}

/** Local changes of a run that is done were not all moved to their place. */
static int recover_kept(struct apply *a, struct err *err)
{
	if (stage_find(a, err) < 0)
		return err->rc;
	return commit_kept(a, err) < 0 ? err->rc : end_run(a, false, err);
}

static int recover_run(struct apply *a, struct err *err)
{
	int64_t ops = 0;
	int rc;

	if (stage_find(a, err) < 0)
		return err->rc;
	rc = db_int(a->s->db, err, &ops, "SELECT count(*) FROM apply_op WHERE run = ?", "i",
		    a->run.id);
	if (rc < 0)
		return rc;
	a->ops = (uint32_t)ops;
	if (a->run.state == RUN_KEEPING)
		return recover_kept(a, err);
	if (changelist_reopen(a->s->statefd, a->t->tree, &a->run.changes, &a->list, err) < 0 ||
	    apply_lines(a, err) < 0 || journal_lines(a, err) < 0)
		return undo(a, err);
	return commit_finish(a, err);
}

int apply_recover(struct station *s, const struct apply_target *t, struct err *err)
{
	OWNED(freep) struct apply *a = calloc(1, sizeof(*a));
	struct err quiet = {0};
	int found, rc;

	if (err == NULL)
		err = &quiet;
	if (a == NULL)
		return err_memory(err);
	found = journal_find(s, t->tree, &a->run, err);
	rc = found < 0 ? found : apply_open(a, s, t, err);
	if (rc == 0 && found == 0)
		stage_sweep(a);
	if (rc == 0 && found > 0) {
		say_info(s->say, "an update of %s was cut off; it is finished or undone now",
			 t->tree);
		rc = recover_run(a, err);
	}
	apply_clear(a);
	if (found <= 0)
		return rc;
	/* Undone is as good as done: what comes next starts from a whole tree. */
	if (rc < 0) {
		rc = journal_find(s, t->tree, &(struct run){0}, &quiet);
		return rc == 0 ? 1 : err->rc;
	}
	return 1;
}
