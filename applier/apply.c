/*
 * Apply: the order of things.
 *
 *   reader starts -> list of changes, digest compared -> lines checked -> tree digest proved ->
 *   plan -> space -> stage -> flush -> journal -> renames -> flush -> index, generation, end
 */
#include "applier/apply.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

#define SYNC_EACH 16 /* files: more are flushed with the file system as a whole */

int apply_held(struct station *s, const char *tree, uint64_t *ret_epoch, uint64_t *ret_generation,
	       struct digest *ret_tree, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct digest d = {{0}};
	int rc = db_query(s->db, "SELECT epoch, generation, digest FROM apply_held WHERE tree = ?",
			  &st, err);

	if (rc < 0 || (rc = db_bind(st, err, "t", tree)) < 0 || (rc = db_step(s->db, st, err)) < 0)
		return rc;
	if (rc > 0 && !db_digest(st, 2, &d))
		return err_set(err, RC_STATE, "what %s holds is damaged in the database", tree);
	*ret_epoch = rc > 0 ? (uint64_t)db_i64(st, 0) : 0;
	*ret_generation = rc > 0 ? (uint64_t)db_i64(st, 1) : 0;
	*ret_tree = d;
	return 0;
}

static int target_open(struct apply *a, struct err *err)
{
	a->targetfd = beneath_dir(a->t->rootfd, a->t->path[0] != '\0' ? a->t->path : ".", err);
	a->dirs.rootfd = a->targetfd;
	if (a->targetfd >= 0)
		return 0;
	return errno == ENOENT ? 1 : err_prefix(err, "target %s", target_name(a->t));
}

int apply_open(struct apply *a, struct station *s, const struct apply_target *t, struct err *err)
{
	int rc;

	a->s = s;
	a->t = t;
	a->targetfd = a->stage.fd = a->stage.holderfd = a->dirs.fd = -1;
	a->list = (struct changelist)CHANGELIST_INIT;
	rc = target_open(a, err);
	return rc < 0 ? rc : 0;
}

void apply_clear(struct apply *a)
{
	db_rollback(a->s->db);
	a->index = index_free(a->index);
	dirs_clear(&a->dirs);
	fd_closep(&a->stage.fd);
	fd_closep(&a->stage.holderfd);
	fd_closep(&a->targetfd);
	if (a->line != NULL)
		munmap(a->line, (a->list.lines + 1) * sizeof(*a->line));
	a->line = NULL;
	changelist_clear(&a->list);
}

int apply_lines(struct apply *a, struct err *err)
{
	void *p = mmap(NULL, (a->list.lines + 1) * sizeof(*a->line), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return err_memory(err);
	a->line = p;
	return 0;
}

/* Before anything is read: does the bundle follow what is held? */

static int held_check(const struct apply *a, struct err *err)
{
	const struct manifest *m = a->b->manifest;
	const char *tree = a->t->tree;
	uint64_t epoch, generation;
	struct digest held;

	if (apply_held(a->s, tree, &epoch, &generation, &held, err) < 0)
		return err->rc;
	if (m->epoch < epoch || (m->epoch == epoch && m->generation < generation))
		return err_set(err, RC_REPLAY,
			       "%s: generation %" PRIu64 " of epoch %" PRIu64
			       " is older than what is held, %" PRIu64 " of %" PRIu64,
			       tree, m->generation, m->epoch, generation, epoch);
	if (m->base == 0)
		return 0;
	if (m->epoch != epoch || m->base != generation)
		return err_set(err, RC_AGAIN,
			       "%s: this bundle leads from generation %" PRIu64 " of epoch %" PRIu64
			       ", but %" PRIu64 " of %" PRIu64
			       " is held: a bundle in between, or a full one, is missing",
			       tree, m->base, m->epoch, generation, epoch);
	if (!digest_equal(&held, &m->base_tree))
		return err_set(err, RC_FORK,
			       "%s: the generation %" PRIu64
			       " that is held is not the one that this bundle starts from; a full "
			       "bundle is needed",
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
	if (rc < 0 && a->fresh && err != NULL)
		*err = found;
	return a->fresh ? rc : 0;
}

/** The lines, checked against the manifest and against the tree that they should lead to. */
static int understand(struct apply *a, struct err *err)
{
	int rc;

	if (db_begin(a->s->db, err) < 0 || index_open(a->s->db, a->t->tree, &a->index, err) < 0 ||
	    fresh_check(a, err) < 0 || check_lines(a, err) < 0)
		return err->rc;
	if (a->b->manifest->base == 0 && !a->fresh && check_merge(a, err) < 0)
		return err->rc;
	rc = rows_verify(a, err);
	a->index = index_free(a->index);
	db_rollback(a->s->db);
	if (rc < 0 || changelist_mark(&a->list, err) < 0 ||
	    changelist_digest(&a->list, &a->run.changes, err) < 0)
		return err->rc;
	return apply_lines(a, err);
}

static int plan(struct apply *a, struct err *err)
{
	if (db_begin(a->s->db, err) < 0 || index_open(a->s->db, a->t->tree, &a->index, err) < 0 ||
	    journal_begin(a, err) < 0 || plan_run(a, err) < 0 || plan_space(a, err) < 0)
		return err->rc;
	a->sync_each = a->files <= SYNC_EACH && a->trees == 0;
	return 0;
}

static int target_make(struct apply *a, struct err *err)
{
	int rc;

	if (a->targetfd >= 0)
		return 0;
	if (beneath_mkdirs(a->t->rootfd, a->t->path, 0755, err) < 0)
		return err_prefix(err, "cannot make the target %s", target_name(a->t));
	a->made_target = true;
	rc = target_open(a, err);
	return rc == 0 ? 0 : err->rc;
}

/** Up to here nothing happened that anybody could see; on failure nothing is left of it. */
static int stage(struct apply *a, struct reader *r, struct err *err)
{
	bool sure = true;

	if (target_make(a, err) == 0 && stage_open(a, err) == 0 && stage_fill(a, r, err) == 0 &&
	    stage_flush(a, err) == 0 && journal_staged(a, err) == 0 &&
	    changelist_keep(&a->list, a->s->statefd, a->t->tree, err) == 0) {
		if (db_commit(a->s->db, err) == 0)
			return 0;
		sure = journal_void(a);
	}
	db_rollback(a->s->db);
	/* A commit that failed may still be on the disk: then the next run needs all of it. */
	if (sure) {
		stage_remove(a);
		changelist_drop(a->s->statefd, a->t->tree);
		if (a->made_target)
			unlinkat(a->t->rootfd, a->t->path, AT_REMOVEDIR);
	}
	return err->rc;
}

static int run(struct apply *a, struct reader *r, struct err *err)
{
	const struct manifest *m = a->b->manifest;

	a->run = (struct run){
	    .epoch = m->epoch, .generation = m->generation, .tree = m->tree, .local = a->t->local};
	if (held_check(a, err) < 0 || reader_start(a->b, r, err) < 0 ||
	    changelist_new(a->s->statefd, &a->list, err) < 0 ||
	    reader_changes(r, m, &a->list, err) < 0 || understand(a, err) < 0 || plan(a, err) < 0)
		return err->rc;
	if ((a->flags & APPLY_DRY_RUN) != 0)
		return 0;
	if (stage(a, r, err) < 0)
		return err->rc;
	reader_stop(r);
	return commit_finish(a, err);
}

int apply_bundle(struct station *s, const struct apply_bundle *b, const struct apply_target *t,
		 enum apply_flags flags, struct apply_preview *ret, struct err *err)
{
	OWNED(freep) struct apply *a = calloc(1, sizeof(*a));
	struct reader reader = READER_INIT;
	struct err quiet = {0};
	int rc;

	if (err == NULL)
		err = &quiet;
	if (a == NULL)
		return err_memory(err);
	rc = (flags & APPLY_DRY_RUN) != 0 ? journal_find(s, t->tree, &(struct run){0}, err)
					  : apply_recover(s, t, err);
	if (rc > 0 && (flags & APPLY_DRY_RUN) != 0)
		return err_set(err, RC_AGAIN, "%s: an update was cut off; apply finishes it first",
			       t->tree);
	if (rc < 0)
		return rc;
	a->b = b;
	a->flags = flags;
	rc = apply_open(a, s, t, err);
	if (rc == 0)
		rc = run(a, &reader, err);
	reader_stop(&reader);
	if (ret != NULL)
		*ret = a->preview;
	apply_clear(a);
	return rc;
}
