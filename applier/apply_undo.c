/*
 * The way back, and what happens to local changes that were taken out.
 *
 * Undo looks at which inode is where, as the commit does, and so may be cut off and run again.  An
 * old inode whose place somebody else has taken meanwhile goes where local changes are kept.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/wipe.h"

/* Kept */

static void kept_say(struct apply *a, const char *path, const char *parent, const char *name)
{
	const char *target = target_name(a->t);
	const char *slash = strrchr(target, '/');
	int holder = a->stage.inside ? (int)strlen(target)
		     : slash == NULL ? 0
				     : (int)(slash - target);

	say_warning(a->s->say, "%s was changed here; the local version is kept as %.*s%s%s/%s",
		    path, holder, target, holder > 0 ? "/" : "", parent, name);
}

/** Move ${slot} of the staging area to a name of its own below the kept directory. */
static int keep_slot(struct apply *a, const char *slot, const char *path, struct err *err)
{
	char parent[LIMIT_PATH + 256], name[LIMIT_NAME + 1];
	OWNED(fd_closep) int dirfd = -1;
	const char *slash = strrchr(path, '/');
	const char *last = slash == NULL ? path : slash + 1;

	snprintf(parent, sizeof(parent), KEPT_NAME "/%s/%llu%s%.*s", a->t->tree,
		 (unsigned long long)a->run.generation, slash == NULL ? "" : "/",
		 slash == NULL ? 0 : (int)(slash - path), path);
	if (beneath_mkdirs(a->stage.holderfd, parent, 0700, err) < 0)
		return err_prefix(err, "cannot keep a copy of %s", path);
	dirfd = beneath_dir(a->stage.holderfd, parent, err);
	if (dirfd < 0)
		return dirfd;
	snprintf(name, sizeof(name), "%s", last);
	for (unsigned i = 2; move_entry(a->stage.fd, slot, dirfd, name, RENAME_NOREPLACE) < 0;
	     i++) {
		if (errno == ENOENT)
			return 0; /* it went already, in a run that was cut off after it */
		if (errno != EEXIST && errno != ENOTEMPTY)
			return err_sys(err, RC_IO, "cannot keep a copy of %s", path);
		snprintf(name, sizeof(name), "%.*s~%u", LIMIT_NAME - 12, last, i);
	}
	if (fsync(dirfd) < 0)
		return err_sys(err, RC_IO, "cannot keep a copy of %s", path);
	kept_say(a, path, parent, name);
	return 0;
}

int apply_kept_wipe(int holderfd, const char *tree, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_dir(holderfd, KEPT_NAME, NULL);

	return fd < 0 ? 0 : wipe_tree(fd, tree, err);
}

/** An exchange left it under 'n', the two steps under 'o'.  What is staged there and was never
 * placed is not it. */
static int keep_op(struct apply *a, const struct op *op, struct err *err)
{
	char slot[16];
	struct seen s;
	int rc = 0;

	if (!op->keep)
		return 0;
	for (const char *letter = "no"; *letter != '\0'; letter++) {
		stage_slot(slot, *letter, op->n);
		rc = seen_at(a->stage.fd, slot, &s, err);
		if (rc < 0)
			return rc;
		if (rc > 0 && !(s.ino == op->now.ino && s.kind == op->now.kind) &&
		    keep_slot(a, slot, op->path, err) < 0)
			return err->rc;
	}
	return 0;
}

int commit_kept(struct apply *a, struct err *err)
{
	return journal_each(a, 1u << OP_OUT | 1u << OP_PLACE, false, keep_op, err);
}

/* Back */

/** ${slot} to its path again; where somebody else was faster, to the kept ones. */
static int put_back(struct apply *a, const struct op *op, int fd, const char *name,
		    const char *slot, struct err *err)
{
	if (fd < 0) /* its directory is gone */
		return keep_slot(a, slot, op->path, err);
	if (move_entry(a->stage.fd, slot, fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return keep_slot(a, slot, op->path, err);
	return err_sys(err, RC_IO, "%s: cannot put it back", op->path);
}

static int undo_place(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	char slot[16], aside[16], spare[16];
	struct seen there = {0}, staged, old;
	int fd = dirs_parent(&a->dirs, op->path, &name, err);

	stage_slot(slot, 'n', op->n);
	stage_slot(aside, 'o', op->n);
	stage_slot(spare, 'u', op->n);
	if ((fd >= 0 && seen_at(fd, name, &there, err) < 0) ||
	    seen_at(a->stage.fd, slot, &staged, err) < 0 ||
	    seen_at(a->stage.fd, aside, &old, err) < 0)
		return err->rc;
	if (there.kind != 0 && there.kind == op->now.kind && there.ino == op->now.ino) {
		const char *to = staged.kind == 0 ? slot : spare;

		if (staged.kind != 0 && !a->no_exchange) {
			if (move_entry(a->stage.fd, slot, fd, name, RENAME_EXCHANGE) == 0)
				return 0;
			a->no_exchange = true;
		}
		if (move_entry(fd, name, a->stage.fd, to, RENAME_NOREPLACE) < 0)
			return err_sys(err, RC_IO, "%s: cannot take it out again", op->path);
	}
	if (old.kind != 0)
		return put_back(a, op, fd, name, aside, err);
	if (staged.kind != 0 && !(staged.kind == op->now.kind && staged.ino == op->now.ino))
		return put_back(a, op, fd, name, slot, err);
	return 0;
}

static int undo_out(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	char slot[16];
	struct seen s;
	int fd = dirs_parent(&a->dirs, op->path, &name, err);
	int rc;

	stage_slot(slot, 'o', op->n);
	rc = seen_at(a->stage.fd, slot, &s, err);
	return rc <= 0 ? rc : put_back(a, op, fd, name, slot, err);
}

/** Metadata as it was: of what was only changed, and of directories that went and came back. */
static int undo_meta(struct apply *a, const struct op *op, struct err *err)
{
	const struct meta was = {
	    .mode = op->old.mode, .uid = op->old.uid, .gid = op->old.gid, .mtime = op->old.mtime};
	const char *name;
	struct seen s;
	int fd, rc;

	if (op->old.kind == 0 || (op->kind != OP_META && op->old.kind != ENTRY_DIRECTORY))
		return 0;
	fd = dirs_parent(&a->dirs, op->path, &name, err);
	rc = fd < 0 ? 0 : seen_at(fd, name, &s, err);
	if (rc <= 0 || s.kind != op->old.kind || s.ino != op->old.ino ||
	    (s.kind != ENTRY_DIRECTORY && s.mtime == was.mtime && s.mode == was.mode &&
	     s.uid == was.uid && s.gid == was.gid))
		return rc < 0 ? rc : 0;
	return meta_set(fd, name, &s, &was, err);
}

int commit_undo(struct apply *a, struct err *err)
{
	int rc;

	dirs_clear(&a->dirs);
	rc = journal_each(a, 1u << OP_PLACE, true, undo_place, err);
	if (rc == 0)
		rc = journal_each(a, 1u << OP_OUT, true, undo_out, err);
	if (rc == 0)
		rc = journal_each(a, 1u << OP_META | 1u << OP_OUT | 1u << OP_PLACE, false,
				  undo_meta, err);
	if (rc == 0)
		rc = commit_flush(a, err);
	return rc;
}
