/* SPDX-License-Identifier: ISC */
/*
 * Apply: the order of things.
 *
 *   reader starts -> list of changes, digest compared -> lines checked -> tree digest proved ->
 *   plan -> space -> stage -> flush -> journal -> renames -> flush -> index, generation, end
 *
 * The journal divides it.  Before it is committed nothing can be seen, and a run that dies leaves
 * only litter, which the next one sweeps.  After it a run that dies is finished by the next one:
 * the journal says what it wanted, the disk says how far it came.
 *
 *   none --journal--> RUN_COMMITTING --index recorded--> none
 *                          |                  `-- local changes to keep --> RUN_KEEPING --> none
 *                          `-- cannot go forward: everything is put back --> none
 *
 * A run ends even when its target or its staging area was taken away from it.  What lies there then
 * counts as no generation, and the next bundle is one from nothing.
 */
#include "applier/apply/apply.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/format/bundle/content.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"

#define SYNC_EACH 16 /* files: more are flushed with the file system as a whole */

static int target_open(struct apply *a, struct err *err)
{
	a->targetfd = beneath_dir(a->t->rootfd, a->t->path[0] != '\0' ? a->t->path : ".", err);
	a->dirs.rootfd = a->targetfd;
	if (a->targetfd >= 0)
		return 0;
	return a->targetfd == RC_ABSENT ? 1 : err_prefix(err, "target %s", target_name(a->t));
}

int apply_open(struct apply *a, struct station *s, const struct apply_target *t, struct err *err)
{
	int rc;

	a->s = s;
	a->t = t;
	a->patience = PATIENCE;
	a->targetfd = a->stage.fd = a->stage.holderfd = a->dirs.fd = a->keptfd = -1;
	a->list = (struct changelist)CHANGELIST_INIT;
	rc = target_open(a, err);
	return rc < 0 ? rc : 0;
}

void apply_clear(struct apply *a)
{
	db_tx_end(&a->tx);
	a->index = index_free(a->index);
	dirs_clear(&a->dirs);
	fd_closep(&a->stage.fd);
	fd_closep(&a->stage.holderfd);
	fd_closep(&a->keptfd);
	fd_closep(&a->targetfd);
	past_clear(a);
	if (a->line != NULL)
		munmap(a->line, (a->list.lines + 1) * sizeof(*a->line));
	a->line = NULL;
	changelist_clear(&a->list);
	join_free(TAKE(a->join));
	strings_clear(&a->conflict);
	strings_clear(&a->conflict_why);
	secret_stack_wipe(); /* what hashing left there: of a private channel, keys */
}

static int apply_lines(struct apply *a, struct err *err)
{
	void *p = mmap(NULL, (a->list.lines + 1) * sizeof(*a->line), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return err_memory(err);
	a->line = p;
	return 0;
}

/* Forward, or back: also for a run that was killed */

/** Nothing lies there any more, so nothing is known of it. */
static int target_forget(struct apply *a, struct err *err)
{
	reporter_warning(a->s->reporter, "%s is gone: everything is applied again from nothing",
			 target_name(a->t));
	a->index = index_free(a->index);
	if (index_drop(a->s->db, a->t->tree, err) < 0)
		return err->rc;
	return applied_forget(a->s, a->t->tree, err);
}

/** The index says what lies there now.  Which generation that is, only when all of it came back. */
static int run_undone(struct apply *a, struct err *err)
{
	int whole;

	if (a->targetfd < 0)
		return target_forget(a, err);
	if (rows_undone(a, err) < 0)
		return err->rc;
	whole = commit_undone(a, err);
	if (whole != 0)
		return whole < 0 ? whole : 0;
	reporter_warning(a->s->reporter,
			 "%s: not everything that the update took out is there again: everything "
			 "is applied again from nothing",
			 target_name(a->t));
	return applied_drop(a->s, a->t->tree, err);
}

static int end_run(struct apply *a, bool undone, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};

	if (db_tx_begin(&tx, a->s->db, err) < 0 || (undone && run_undone(a, err) < 0) ||
	    undo_intent_put(a->s, a->t->tree, UNDO_FORWARD, 0, "", err) < 0 ||
	    journal_end(a, true, err) < 0 || db_tx_commit(&tx, err) < 0)
		return err->rc;
	if (undone)
		stage_remove(a);
	else
		past_settle(a);
	changelist_drop(a->s->statefd, a->t->tree);
	return 0;
}

/*
 * The first failure is what people are told; a second one, while things are put back, only when
 * that fails too.
 */
static int undo(struct apply *a, struct err *err)
{
	struct err why = *err;
	struct err failed = {0};

	db_tx_end(&a->tx);
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

/*
 * One transaction holds index, generation and the end of the journal: after a crash either the
 * journal is there and this function runs again, or everything is recorded.
 */
static int commit_all(struct apply *a, struct err *err)
{
	const struct applied now = {a->run.epoch, a->run.generation, a->run.tree};
	struct db *db = a->s->db;
	struct applied before;

	if (db_tx_begin(&a->tx, db, err) < 0)
		return undo(a, err);
	if (commit_forward(a, err) < 0 || commit_flush(a, err) < 0)
		return undo(a, err);
	a->index = index_free(a->index);
	if (index_open(db, a->t->tree, &a->index, err) < 0 ||
	    applied_load(a->s, a->t->tree, &before, err) < 0 || past_record(a, err) < 0 ||
	    rows_finish(a, err) < 0 || applied_put(a->s, a->t->tree, &now, err) < 0 ||
	    past_commit(a, &before, &now, err) < 0 || conflicts_forget(a->s, a->t->tree, err) < 0 ||
	    journal_end(a, false, err) < 0)
		return undo(a, err);
	/* A commit that failed may still be on the disk, so nothing can be undone any more; if it
	 * is not, the journal is there, and the next run comes here again. */
	if (db_tx_commit(&a->tx, err) < 0)
		return err_prefix(err, "everything is in place, but that could not be recorded; "
				       "the next run records it");
	/* From here on it is done; what is left is tidying up, which the next run can do as well.
	 */
	if (a->run.state == RUN_KEEPING && (commit_kept(a, err) < 0 || end_run(a, false, err) < 0))
		return err->rc;
	past_settle(a);
	changelist_drop(a->s->statefd, a->t->tree);
	return 0;
}

/** Who is told to end does so when the tree is not mixed any more: in moments, or never begun. */
static int commit_finish(struct apply *a, struct err *err)
{
	sigset_t held, was;
	int rc;

	sigemptyset(&held);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &held, &was);
	rc = commit_all(a, err);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	return rc;
}

/** Local changes of a run that is done were not all moved to their place. */
static int recover_kept(struct apply *a, struct err *err)
{
	if (a->stage.fd >= 0 && commit_kept(a, err) < 0)
		return err->rc;
	return end_run(a, false, err);
}

static int ours_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	(void)arg;
	(void)err;
	return strncmp(entry->name, PATH_RESERVED, strlen(PATH_RESERVED)) != 0;
}

/** An empty directory may be where a file system is mounted that is absent now, with the staging
 * area; so a person decides. */
static int target_filled(struct apply *a, struct err *err)
{
	struct applied now;
	int rc = applied_load(a->s, a->t->tree, &now, err);

	if (rc == 0 && now.generation > 0 && a->targetfd >= 0)
		rc = dir_each(a->targetfd, ".", 0, ours_each, NULL, err);
	else if (rc == 0)
		rc = 1;
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return err_set(err, RC_IO,
		       "%s is empty, but an update of it was cut off: mount what belongs there, or "
		       "remove the empty directory (on a new disk: put a file into it) to have "
		       "everything applied again",
		       target_name(a->t));
}

/**
 * The staging area is gone, and with it what the run had staged and taken out.  The run goes on
 * with an empty one: what is in place already counts, everything else is undone.  The one that is
 * gone may hold what people wrote, so should it come back, its mark is no longer ours.
 */
static int stage_lost(struct apply *a, struct err *err)
{
	if (target_filled(a, err) < 0)
		return err->rc;
	reporter_warning(
	    a->s->reporter,
	    "the staging area %s of an update of %s that was cut off is gone, and with "
	    "it what the update had taken out",
	    a->stage.name, target_name(a->t));
	if (area_mark_renew(a, err) < 0)
		return err->rc;
	if (a->targetfd < 0)
		return 0;
	return stage_open(a, err) < 0 || journal_area(a, err) < 0 ? err->rc : 0;
}

/*
 * Without its list of changes a run cannot go forward, but the journal alone is enough to go back.
 */
static int recover_run(struct apply *a, struct err *err)
{
	int found = stage_find(a, err);

	if (found < 0 || journal_count(a, &a->ops, err) < 0 ||
	    (found == 0 && stage_lost(a, err) < 0))
		return err->rc;
	if (a->run.state == RUN_KEEPING)
		return recover_kept(a, err);
	if (a->targetfd < 0 && a->stage.fd < 0)
		return end_run(a, true, err);
	if (a->targetfd < 0) {
		err_set(err, RC_ABSENT, "%s is gone", target_name(a->t));
		return undo(a, err);
	}
	if (changelist_reopen(a->s->statefd, a->t->tree, &a->run.changes, &a->list, err) < 0 ||
	    apply_lines(a, err) < 0 || journal_lines(a, err) < 0)
		return undo(a, err);
	return commit_finish(a, err);
}

int apply_recover(struct station *s, const struct apply_target *t, struct err *err)
{
	OWNED(freep) struct apply *a = calloc(1, sizeof(*a));
	int found, rc;

	if (a == NULL)
		return err_memory(err);
	rc = apply_open(a, s, t, err);
	found = rc < 0 ? rc : journal_find(s, t->tree, &a->run, err);
	if (found < 0)
		rc = found;
	if (rc == 0)
		rc = area_mark(a, false, err);
	if (rc == 0 && found == 0)
		rc = past_recover(a, err);
	if (rc == 0 && found == 0)
		stage_sweep(a);
	if (rc == 0 && found > 0)
		rc = holds_try(a, err);
	if (rc == 0 && found > 0) {
		reporter_info(s->reporter,
			      "an update of %s was interrupted; it is finished or undone now",
			      t->tree);
		rc = recover_run(a, err);
	}
	apply_clear(a);
	if (found <= 0)
		return rc;
	/* Undone is as good as done: what comes next starts from a whole tree. */
	if (rc < 0) {
		rc = journal_find(s, t->tree, &(struct run){0}, ERR_IGNORED);
		return rc == 0 ? 1 : err->rc;
	}
	return 1;
}

/* A new one */

/* Before anything is read: does the bundle follow what is applied? */
static int base_check(const struct apply *a, struct err *err)
{
	const struct manifest *m = a->b->manifest;
	const char *tree = a->t->tree;
	const struct applied offered = {.epoch = m->epoch, .generation = m->generation};
	struct applied now;

	if (past_floor(a, &offered, err) < 0)
		return err->rc;
	if (applied_load(a->s, tree, &now, err) < 0)
		return err->rc;
	if (applied_later(&now, &offered))
		return err_set(err, RC_REPLAY,
			       "%s: generation %" PRIu64 " of epoch %" PRIu64
			       " is older than what is applied, %" PRIu64 " of %" PRIu64,
			       tree, m->generation, m->epoch, now.generation, now.epoch);
	if (m->base == 0)
		return 0;
	if (m->epoch != now.epoch || m->base != now.generation)
		return err_set(err, RC_AGAIN,
			       "%s: this bundle leads from generation %" PRIu64 " of epoch %" PRIu64
			       ", but %" PRIu64 " of %" PRIu64
			       " is applied: a bundle in between, or a full one, is missing",
			       tree, m->base, m->epoch, now.generation, now.epoch);
	if (!digest_equal(&now.tree, &m->base_tree))
		return err_set(err, RC_FORK,
			       "%s: the generation %" PRIu64
			       " that is applied is not the one that this bundle starts from; a "
			       "full bundle is needed",
			       tree, m->base);
	return 0;
}

static int not_empty(void *arg, const char *name, const struct entry *e, struct err *err)
{
	*(bool *)arg = false;
	return err_set(err, RC_CONFLICT, "the index is not empty");
}

static int fresh_check(struct apply *a, struct err *err)
{
	struct err found = {0};
	int rc;

	a->fresh = true;
	rc = index_children(a->index, "", not_empty, &a->fresh, &found);
	if (rc < 0 && a->fresh)
		*err = found;
	return a->fresh ? rc : 0;
}

/** The lines, checked against the manifest and against the tree that they should lead to. */
static int bundle_verify(struct apply *a, struct err *err)
{
	int rc;

	if (db_tx_begin(&a->tx, a->s->db, err) < 0 ||
	    index_open(a->s->db, a->t->tree, &a->index, err) < 0 || fresh_check(a, err) < 0 ||
	    (a->join != NULL ? join_lists(a, err) : check_lines(a, err)) < 0)
		return err->rc;
	if (a->b->manifest->base == 0 && !a->fresh && check_merge(a, err) < 0)
		return err->rc;
	rc = rows_verify(a, err);
	a->index = index_free(a->index);
	db_tx_end(&a->tx);
	if (rc < 0 || changelist_mark(&a->list, err) < 0 ||
	    changelist_digest(&a->list, &a->run.changes, err) < 0)
		return err->rc;
	return apply_lines(a, err);
}

static int plan(struct apply *a, struct err *err)
{
	if (holds_try(a, err) < 0 || db_tx_begin(&a->tx, a->s->db, err) < 0 ||
	    index_open(a->s->db, a->t->tree, &a->index, err) < 0 || journal_begin(a, err) < 0 ||
	    plan_run(a, err) < 0 || plan_space(a, err) < 0)
		return err->rc;
	a->sync_each = a->files <= SYNC_EACH && a->trees == 0;
	return 0;
}

static int target_make(struct apply *a, struct err *err)
{
	int rc;

	if (a->targetfd >= 0)
		return 0;
	if (beneath_mkdirs_durable(a->t->rootfd, a->t->path, 0755, err) < 0)
		return err_prefix(err, "cannot make the target %s", target_name(a->t));
	a->made_target = true;
	rc = target_open(a, err);
	return rc == 0 ? 0 : err->rc;
}

/** If it is empty, and still where it was made. */
static void target_unmake(struct apply *a)
{
	const char *name;
	OWNED(fd_closep)
	int fd = beneath_parent(a->t->rootfd, a->t->path, &name, ERR_IGNORED);

	if (fd >= 0)
		unlinkat(fd, name, AT_REMOVEDIR);
}

/** Up to here nothing happened that anybody could see; on failure nothing is left of it. */
static int stage(struct apply *a, struct reader *r, struct err *err)
{
	bool sure = true;

	if (target_make(a, err) == 0 && holds_try(a, err) == 0 && stage_open(a, err) == 0 &&
	    names_check(a, err) == 0 && stage_fill(a, r, err) == 0 && stage_flush(a, err) == 0 &&
	    (a->keeps == 0 || kept_open(a, err) == 0) && journal_staged(a, err) == 0 &&
	    changelist_keep(&a->list, a->s->statefd, a->t->tree, err) == 0) {
		if (db_tx_commit(&a->tx, err) == 0)
			return 0;
		sure = journal_void(a);
	}
	db_tx_end(&a->tx);
	/* A commit that failed may still be on the disk: then the next run needs all of it. */
	if (sure) {
		if (a->keptfd >= 0) /* if it is empty */
			unlinkat(a->stage.holderfd, a->kept, AT_REMOVEDIR);
		stage_remove(a);
		changelist_drop(a->s->statefd, a->t->tree);
		if (a->made_target)
			target_unmake(a);
	}
	return err->rc;
}

/** The list of changes; nothing of it is checked but its digest. */
static int list_read(struct apply *a, struct reader *r, struct err *err)
{
	if (a->join != NULL)
		return join_read(a, err);
	return reader_start(a->b, r, err) < 0 || changelist_new(a->s->statefd, &a->list, err) < 0
		   ? err->rc
		   : reader_changes(r, a->b, &a->list, err);
}

int apply_list(struct apply *a, struct err *err)
{
	if (bundle_verify(a, err) < 0 || plan(a, err) < 0 ||
	    undo_intent_put(a->s, a->t->tree, a->local->intent, a->local->step, a->local->why,
			    err) < 0 ||
	    stage(a, NULL, err) < 0)
		return err->rc;
	return commit_finish(a, err);
}

static int run(struct apply *a, struct reader *r, struct err *err)
{
	const struct manifest *m = a->b->manifest;

	a->run = (struct run){.epoch = m->epoch,
			      .generation = m->generation,
			      .tree = m->tree,
			      .salt = *content_key_salt(a->b->key),
			      .local = a->t->local};
	if (base_check(a, err) < 0 || list_read(a, r, err) < 0 || bundle_verify(a, err) < 0 ||
	    plan(a, err) < 0)
		return err->rc;
	if ((a->flags & APPLY_DRY_RUN) != 0)
		return 0;
	if (stage(a, r, err) < 0)
		return err->rc;
	reader_stop(r);
	return commit_finish(a, err);
}

/** What was in the way, for who resolves it; without it everything can be done again as well. */
static void conflicts_keep(struct apply *a)
{
	struct err bad = {0};

	db_tx_end(&a->tx);
	if (a->conflict.n > 0 &&
	    conflicts_put(a->s, a->t->tree, &a->conflict, &a->conflict_why, &bad) < 0)
		reporter_warning(a->s->reporter, "%s: what is in the way cannot be listed: %s",
				 a->t->tree, bad.text);
}

int apply_bundles(struct station *s, const struct apply_bundle *b, size_t n,
		  const struct apply_target *t, enum apply_flags flags, struct apply_preview *ret,
		  struct err *err)
{
	OWNED(freep) struct apply *a = calloc(1, sizeof(*a));
	struct reader reader = READER_INIT;
	int rc;

	if (a == NULL)
		return err_memory(err);
	rc = (flags & APPLY_DRY_RUN) != 0 ? journal_find(s, t->tree, &(struct run){0}, err)
					  : apply_recover(s, t, err);
	if (rc > 0 && (flags & APPLY_DRY_RUN) != 0)
		return err_set(err, RC_AGAIN,
			       "%s: an update was interrupted; apply finishes it "
			       "first",
			       t->tree);
	if (rc < 0)
		return rc;
	a->b = b;
	a->flags = flags;
	rc = apply_open(a, s, t, err);
	if (rc == 0 && (flags & APPLY_DRY_RUN) == 0)
		rc = area_mark(a, true, err);
	if (rc == 0 && n > 1)
		rc = join_new(a, b, n, err);
	if (rc == 0)
		rc = run(a, &reader, err);
	reader_stop(&reader);
	if (rc == RC_CONFLICT && (a->flags & APPLY_ATTEMPT) == 0)
		conflicts_keep(a);
	if (ret != NULL)
		*ret = a->preview;
	apply_clear(a);
	return rc;
}

int apply_bundle(struct station *s, const struct apply_bundle *b, const struct apply_target *t,
		 enum apply_flags flags, struct apply_preview *ret, struct err *err)
{
	return apply_bundles(s, b, 1, t, flags, ret, err);
}
