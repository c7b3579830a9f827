/* SPDX-License-Identifier: ISC */
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

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/wipe.h"

/* Kept */

static void kept_report(struct apply *a, const char *path, const char *parent, const char *name)
{
	const char *what = path != NULL ? path : "a directory that was taken out";
	const char *target = target_name(a->t);
	const char *slash = strrchr(target, '/');
	int holder = a->stage.inside ? (int)strlen(target)
		     : slash == NULL ? 0
				     : (int)(slash - target);

	reporter_warning(a->s->reporter, "%s: what was here is kept as %.*s%s%s/%s/%s", what,
			 holder, target, holder > 0 ? "/" : "", a->kept, parent, name);
}

int keep_slot(struct apply *a, const char *slot, const char *shown, struct err *err)
{
	const char *path = shown != NULL ? shown : slot;
	char parent[LIMIT_PATH + 256], name[LIMIT_NAME + 1];
	OWNED(fd_closep) int dirfd = -1;
	const char *slash = strrchr(path, '/');
	const char *last = slash == NULL ? path : slash + 1;

	snprintf(parent, sizeof(parent), "%s/%llu%s%.*s", a->t->tree,
		 (unsigned long long)a->run.generation, slash == NULL ? "" : "/",
		 slash == NULL ? 0 : (int)(slash - path), path);
	if (kept_open(a, err) < 0 || beneath_mkdirs_durable(a->keptfd, parent, 0700, err) < 0)
		return err_prefix(err, "cannot keep a copy of %s", path);
	dirfd = beneath_dir(a->keptfd, parent, err);
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
	/* What a person wrote must not be lost with the name of a directory above it. */
	if (fsync(dirfd) < 0 || fsync(a->stage.holderfd) < 0)
		return err_sys(err, RC_IO, "cannot keep a copy of %s", path);
	kept_report(a, shown, parent, name);
	return 0;
}

int apply_kept_wipe(int holderfd, const char *tree, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_dir(holderfd, KEPT_NAME, ERR_IGNORED);

	return fd < 0 ? 0 : wipe_tree(fd, tree, err);
}

/** Is it what was made to be placed?  Where numbers of inodes do not last nothing is exchanged, so
 * that nothing else is ever under 'n'. */
static bool slot_staged(struct apply *a, const struct op *op, char letter, const struct seen *s)
{
	if (!disk_holds(a, HOLDS_INODES))
		return letter == 'n';
	return s->ino == op->now.ino && s->kind == op->now.kind;
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
		if (rc > 0 && !slot_staged(a, op, *letter, &s) &&
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

/** The directory that ${slot} came from is gone.  What was published can be had again, and goes
 * with the staging area. */
static int no_place(struct apply *a, const struct op *op, const char *slot, struct err *err)
{
	struct seen out;
	int rc = op->keep ? 0 : seen_at(a->stage.fd, slot, &out, err);

	if (rc > 0)
		rc = out_expected(a, op, slot, &out, out.kind == ENTRY_FILE, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return keep_slot(a, slot, op->path, err);
}

/** ${slot} to its path again; where somebody else was faster, to the kept ones. */
static int put_back(struct apply *a, const struct op *op, int fd, const char *name,
		    const char *slot, struct err *err)
{
	if (fd < 0)
		return no_place(a, op, slot, err);
	if (move_back(op, a->stage.fd, slot, fd, name) == 0)
		return 0;
	if (errno == EEXIST || errno == ENOTEMPTY)
		return keep_slot(a, slot, op->path, err);
	return err_sys(err, RC_IO, "%s: cannot put it back", op->path);
}

/** A directory of ours that people may have entered is closed again, so that it can be cleared. */
static void shut(struct apply *a, int dirfd, const char *name, const struct op *op)
{
	OWNED(fd_closep)
	int fd = beneath_open(dirfd, name, O_PATH | O_DIRECTORY, 0, ERR_IGNORED);
	struct stat st;
	char self[40];

	if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & 0077) == 0 ||
	    (st.st_ino != op->now.ino && disk_holds(a, HOLDS_INODES)))
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* When it cannot be taken back it is not ours, and clearing leaves it where it is. */
	if (chmod(self, 0700) == 0 && st.st_uid != geteuid() &&
	    fchownat(fd, "", geteuid(), getegid(), AT_EMPTY_PATH) < 0)
		return;
}

/** What we placed is in ${slot} again.  Who wrote into it meanwhile gets that back. */
static int keep_written(struct apply *a, const struct op *op, struct seen *s, const char *slot,
			struct err *err)
{
	if (s->kind != ENTRY_FILE || (s->size == op->now.size && s->mtime == op->now.mtime))
		return 0;
	if (seen_digest(a, a->stage.fd, slot, s) > 0 && digest_equal(&s->digest, &op->now.digest))
		return 0;
	return keep_slot(a, slot, op->path, err);
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
	if (there.kind != 0 && op_placed(a, op, &there)) {
		const char *to = staged.kind == 0 ? slot : spare;

		if (there.kind == ENTRY_DIRECTORY)
			shut(a, fd, name, op);
		if (staged.kind != 0 && !a->no_exchange && disk_holds(a, HOLDS_CASE)) {
			if (move_entry(a->stage.fd, slot, fd, name, RENAME_EXCHANGE) == 0)
				return keep_written(a, op, &there, slot, err);
			a->no_exchange = true;
		}
		if (move_entry(fd, name, a->stage.fd, to, RENAME_NOREPLACE) < 0)
			return err_sys(err, RC_IO, "%s: cannot take it out again", op->path);
		if (keep_written(a, op, &there, to, err) < 0)
			return err->rc;
	}
	if (old.kind != 0)
		return put_back(a, op, fd, name, aside, err);
	if (staged.kind != 0 && !slot_staged(a, op, 'n', &staged))
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
	struct seen now = op->old; /* what the commit made of it, or was about to */
	const char *name;
	struct seen s;
	int fd, rc;

	if (op->old.kind == 0 || (op->kind != OP_META && op->old.kind != ENTRY_DIRECTORY))
		return 0;
	fd = dirs_parent(&a->dirs, op->path, &name, err);
	rc = fd < 0 ? 0 : seen_at(fd, name, &s, err);
	if (rc <= 0 || s.kind != op->old.kind || s.ino != op->old.ino ||
	    (s.kind != ENTRY_DIRECTORY && s.mtime == was.mtime && s.mode == was.mode))
		return rc < 0 ? rc : 0;
	if (s.kind == ENTRY_DIRECTORY) {
		OWNED(fd_closep)
		int own = beneath_open(fd, name, O_PATH | O_DIRECTORY, 0, ERR_IGNORED);

		if (op->kind == OP_META)
			now.mode = op->want.mode, now.uid = op->want.uid, now.gid = op->want.gid;
		rc = own < 0 ? 0 : meta_set_dir(a, own, &now, &was, err);
	} else {
		rc = meta_set(a, fd, name, &op->old, &was, err);
	}
	return rc < 0 ? rc : 0;
}

/*
 * Backwards: what was placed last leaves first, so directories are empty when their turn comes.
 * Metadata last, because each rename changes the times of the directories.
 */
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

/** Is what the operation found at its path there again, or something that a person put there since?
 * RC_ABSENT: neither. */
static int undone_op(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	struct seen s = {0};
	int fd = dirs_parent(&a->dirs, op->path, &name, err);

	if (fd < 0 && fd != RC_ABSENT)
		return 0; /* what somebody put in the place of its directory */
	if (fd >= 0 && seen_at(fd, name, &s, err) < 0)
		return err->rc;
	if (s.kind == 0 ? op->old.kind == 0 : !op_placed(a, op, &s))
		return 0;
	return err_set(err, RC_ABSENT, "%s is not there again", op->path);
}

int commit_undone(struct apply *a, struct err *err)
{
	int rc = journal_each(a, 1u << OP_OUT | 1u << OP_PLACE, false, undone_op, err);

	return rc == RC_ABSENT ? 0 : rc < 0 ? rc : 1;
}
