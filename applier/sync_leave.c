/*
 * Leaving a channel.  Not all-or-nothing, but repeatable: what was removed stays removed, and the
 * index, which says what may be removed, goes last.
 */
#include "applier/sync_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/station_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/tree/index.h"

struct removal {
	int dirfd;  /* borrowed; the target */
	char **dir; /* owned; directories, parents first */
	size_t dirs;
	uint64_t kept; /* files that somebody changed */
};

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Untouched since it was placed there: the very inode, with nothing changed about it. */
static bool untouched(const struct stat *st, const struct entry *e)
{
	return e->ino != 0 && st->st_ino == e->ino && (uint64_t)st->st_size == e->size &&
	       nanoseconds(st->st_mtim) == e->disk_mtime && nanoseconds(st->st_ctim) == e->ctime &&
	       S_ISLNK(st->st_mode) == (e->kind == ENTRY_LINK);
}

static int removal_each(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct removal *r = arg;
	OWNED(fd_closep) int parent = -1;
	const char *name;
	struct stat st;

	if (e->kind == ENTRY_DIRECTORY)
		return station_list_add(&r->dir, &r->dirs, path, err);
	parent = beneath_parent(r->dirfd, path, &name, err);
	if (parent < 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* gone, or no longer where we put it */
	if (!untouched(&st, e)) {
		r->kept++;
		return 0;
	}
	if (unlinkat(parent, name, 0) < 0)
		return err_sys(err, RC_IO, "cannot remove %s", path);
	return 0;
}

/* Children first; one that holds something else stays. */
static int removal_dirs(struct removal *r, struct err *err)
{
	for (size_t i = r->dirs; i-- > 0;) {
		const char *name;
		OWNED(fd_closep) int parent = beneath_parent(r->dirfd, r->dir[i], &name, err);

		if (parent >= 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
		    errno != EEXIST && errno != ENOENT && errno != ENOTDIR)
			return err_sys(err, RC_IO, "cannot remove the directory %s", r->dir[i]);
	}
	return 0;
}

static int files_remove(struct station *s, struct sync_place *p, struct err *err)
{
	OWNED(index_freep) struct index *x = NULL;
	OWNED(fd_closep) int dir = -1;
	struct apply_target target;
	struct removal r = {0};
	int rc = sync_place_target(s, p, &target, err);

	if (rc < 0)
		return rc;
	r.dirfd = dir = beneath_dir(target.rootfd, *target.path == '\0' ? "." : target.path, err);
	if (dir < 0)
		return errno == ENOENT ? 0 : dir;
	rc = index_open(s->db, p->tree, &x, err);
	if (rc == 0)
		rc = index_walk(x, removal_each, &r, err);
	if (rc == 0)
		rc = removal_dirs(&r, err);
	station_list_free(&r.dir, &r.dirs);
	if (rc == 0 && syncfs(dir) < 0)
		rc = err_sys(err, RC_IO, "cannot flush %s", p->path);
	if (rc == 0 && r.kept > 0)
		say_info(s->say, "%s: %llu files that were changed here stay", p->path,
			 (unsigned long long)r.kept);
	return rc;
}

/* The rows of apply_schema_sql that speak of a tree; no run of it is open after recovery. */
static int held_forget(struct station *s, const char *tree, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM apply_held WHERE tree = ?", "t", tree);

	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM apply_deviation WHERE tree = ?", "t", tree);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM apply_adaptation WHERE tree = ?", "t", tree);
	return rc;
}

int sync_forget(struct station *s, const char *tree, struct err *err)
{
	int rc = db_begin(s->db, err);

	if (rc == 0)
		rc = index_drop(s->db, tree, err);
	if (rc == 0)
		rc = held_forget(s, tree, err);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM target WHERE tree = ?", "t", tree);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "UPDATE outcome SET result = 'left', reason = '', wanted = 0, "
			    "deviations = 0, adaptations = 0, drift = 0, at = ?, milliseconds = 0 "
			    "WHERE tree = ?",
			    "it", clock_now(), tree);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

int sync_leave(struct station *s, struct sync_place *p, struct err *err)
{
	int rc = strcmp(p->on_leave, "remove") == 0 ? files_remove(s, p, err) : 0;

	return rc < 0 ? rc : sync_forget(s, p->tree, err);
}

static bool subscribed(const struct sync_policy *p, const char *tree)
{
	for (size_t i = 0; i < p->subs; i++)
		if (strcmp(p->sub[i].name, tree) == 0)
			return true;
	return false;
}

static int leave_one(struct sync *y, const char *tree, struct err *err)
{
	OWNED(sync_place_clear) struct sync_place p = {.rootfd = -1};
	struct err bad = {0};
	int rc = sync_place_load(y->s, tree, &p, err);

	if (rc < 0)
		return rc;
	if (rc == 0) /* nothing of it was ever applied */
		return y->flags & SYNC_DRY_RUN ? 0 : sync_forget(y->s, tree, err);
	say_info(y->s->say, "channel %s is not for this workstation any more: its files in %s %s",
		 tree, p.path, strcmp(p.on_leave, "remove") == 0 ? "are removed" : "stay");
	if ((y->flags & SYNC_DRY_RUN) || sync_leave(y->s, &p, &bad) == 0)
		return 0;
	err_prefix(&bad, "leaving channel %s", tree);
	return sync_event(y, &bad, err);
}

/* Every channel that has a place, or that a receipt still speaks of. */
static int held_trees(struct station *s, char ***ret, size_t *ret_n, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT tree FROM target UNION SELECT tree FROM outcome "
			  "WHERE result <> 'left' AND tree <> '" TREE_PRIVATE "' ORDER BY tree",
			  &st, err);

	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = station_list_add(ret, ret_n, db_text(st, 0), err);
	return rc;
}

int sync_leave_others(struct sync *y, const struct sync_policy *p, struct err *err)
{
	char **tree = NULL;
	size_t trees = 0;
	int rc = held_trees(y->s, &tree, &trees, err);

	for (size_t i = 0; rc == 0 && i < trees; i++)
		if (!subscribed(p, tree[i]))
			rc = leave_one(y, tree[i], err);
	station_list_free(&tree, &trees);
	return rc;
}
