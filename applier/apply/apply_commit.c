/* SPDX-License-Identifier: ISC */
/*
 * The commit: renames in phases, from wherever the disk is to where the journal wants it.
 *
 *   1. OUT    moved aside, children before their directories
 *   2. PLACE  put in place: exchanged with what is there, which so becomes the undo copy
 *   3. META   metadata, children before their directories
 *
 * Each step looks at which inode is where and does what is missing, so the same function begins a
 * commit and continues one that was cut off.  What was taken out is judged when it is out: nobody
 * can write to it by name any more, and if it is not what the plan saw, a person was faster.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"

bool op_placed(struct apply *a, const struct op *op, const struct seen *s)
{
	char slot[16];
	struct seen staged;

	if (s->kind != op->now.kind)
		return false;
	if (disk_holds(a, HOLDS_INODES))
		return s->ino == op->now.ino;
	/* Numbers of inodes do not last: then nothing is exchanged, and a slot that is empty says
	 * it.  What is in it was never placed. */
	stage_slot(slot, 'n', op->n);
	return a->stage.fd >= 0 && seen_at(a->stage.fd, slot, &staged, ERR_IGNORED) == 0;
}

/*
 * The expected old one, as far as stat tells.  By inode, size and time: the content was hashed
 * when the plan was made, and reading everything again would hold the target open for writers much
 * longer.
 */
static bool is_old(struct apply *a, const struct op *op, const struct seen *s)
{
	struct seen same = *s;

	if (!disk_holds(a, HOLDS_INODES))
		same.ino = op->old.ino;
	return op->old.kind != 0 && seen_same(&op->old, &same);
}

/* What was taken out */

int out_expected(struct apply *a, const struct op *op, const char *slot, struct seen *out,
		 bool doubt, struct err *err)
{
	if (out->kind == ENTRY_DIRECTORY && op->old.kind == ENTRY_DIRECTORY)
		return dir_empty(a->stage.fd, slot, err);
	if (is_old(a, op, out) && !doubt)
		return 1;
	if (out->kind != ENTRY_FILE || op->old.kind != ENTRY_FILE || !op->old.known ||
	    out->size != op->old.size)
		return 0;
	return seen_digest(a, a->stage.fd, slot, out) > 0 &&
	       digest_equal(&out->digest, &op->old.digest);
}

enum verdict { VERDICT_GOOD, VERDICT_BACK };

/*
 * Judge what lies in ${slot} of the staging area now; a local change is kept, put back, or ends
 * the run.  Judged only now, because until it was taken out somebody could still write to it by
 * its name.
 */
static int judge_out(struct apply *a, const struct op *op, const char *slot, bool doubt,
		     enum verdict *ret, struct err *err)
{
	struct seen out;
	int rc;

	*ret = VERDICT_GOOD;
	if (op->keep)
		return 0;
	rc = seen_at(a->stage.fd, slot, &out, err);
	if (rc > 0)
		rc = out_expected(a, op, slot, &out, doubt, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (a->run.local == LOCAL_FAIL)
		return err_set(err, RC_CONFLICT,
			       "%s: it was changed here while the update was applied; everything "
			       "was put back",
			       op->path);
	if (a->run.local == LOCAL_REPLACE)
		return journal_keep(a, op->n, err);
	*ret = VERDICT_BACK;
	return 0;
}

/* Out */

/** After a directory that could not be opened: because it went out itself, and perhaps a file or a
 * link took its place? */
static bool parent_gone(int fd)
{
	return fd == RC_ABSENT || (fd < 0 && (errno == ENOTDIR || errno == ELOOP));
}

/** Where the directory called ${path} went: a descriptor of ${rest} below it there, or negative. */
static int moved_to(struct apply *a, const char *path, const char *rest)
{
	char staged[LIMIT_PATH + 32];
	uint32_t n = 0;
	int fd = -1;

	if (journal_moved(a, path, &n, ERR_IGNORED) <= 0)
		return -1;
	for (const char *letter = "on"; fd < 0 && *letter != '\0'; letter++) {
		snprintf(staged, sizeof(staged), "%c%u%s", *letter, n, rest);
		fd = beneath_dir(a->stage.fd, staged, ERR_IGNORED);
	}
	return fd;
}

/**
 * A power cut keeps what it likes of the renames: a directory may have gone to the staging area
 * without those that went before it, so that this entry is still in it there.  A descriptor of the
 * directory that the entry is in, or negative.
 */
static int moved_parent(struct apply *a, const char *path)
{
	const char *last = strrchr(path, '/');
	OWNED(freep) char *parent = last == NULL ? NULL : strndup(path, (size_t)(last - path));
	OWNED(freep) char *above = parent == NULL ? NULL : strdup(parent);
	int fd = -1;

	while (above != NULL && fd < 0) {
		char *slash = strrchr(above, '/');

		fd = moved_to(a, above, parent + strlen(above));
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	return fd;
}

static int step_out(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	char slot[16];
	enum verdict verdict;
	struct seen there, gone;
	OWNED(fd_closep) int moved = -1;
	bool doubt = false;
	int fd = dirs_parent(&a->dirs, op->path, &name, err);
	int rc;

	if (fd < 0 && !parent_gone(fd))
		return fd;
	stage_slot(slot, 'o', op->n);
	rc = seen_at(a->stage.fd, slot, &gone, err);
	if (rc == 0 && fd < 0)
		fd = moved = moved_parent(a, op->path);
	if (rc == 0 && fd >= 0) {
		rc = seen_at(fd, name, &there, err);
		if (rc > 0) /* what answers to its name may be a new one of ours */
			rc = name_spelled(a, fd, name, NULL, err);
		if (rc <= 0)
			return rc; /* somebody else removed it: that is what we wanted */
		doubt = there.ctime != op->old.ctime;
		if (move_out(op, fd, name, a->stage.fd, slot) < 0)
			return errno == ENOENT
				   ? 0
				   : err_sys(err, RC_IO, "%s: cannot move it aside", op->path);
	} else if (rc > 0 && fd >= 0 && move_out_rest(op, fd, name, a->stage.fd, slot) < 0) {
		return err_sys(err, RC_IO, "%s: cannot move it aside", op->path);
	}
	if (rc <= 0)
		return rc;
	rc = judge_out(a, op, slot, doubt, &verdict, err);
	if (rc < 0 || verdict == VERDICT_GOOD)
		return rc;
	if (fd < 0 || moved >= 0)
		return journal_keep(a, op->n, err); /* there is nothing to put it back into */
	if (move_entry(a->stage.fd, slot, fd, name, RENAME_NOREPLACE) < 0)
		return err_sys(err, RC_IO, "%s: cannot put it back", op->path);
	return 0;
}

/* Place */

/** Take what is at the path into the staging area and put the new one there: in one step where the
 * file system can, else in two.  ${*ret_slot}: where the old one is now.  1: it is gone. */
static int swap(struct apply *a, const struct op *op, int fd, const char *name, char ret_slot[16],
		struct err *err)
{
	char slot[16];

	stage_slot(slot, 'n', op->n);
	if (!a->no_exchange && disk_holds(a, HOLDS_INODES) && disk_holds(a, HOLDS_CASE)) {
		if (move_entry(a->stage.fd, slot, fd, name, RENAME_EXCHANGE) == 0) {
			memcpy(ret_slot, slot, 16);
			return 0;
		}
		if (errno == ENOENT)
			return 1;
		if (errno != EINVAL && errno != ENOSYS && errno != EXDEV)
			return err_sys(err, RC_IO, "%s: cannot exchange it", op->path);
		a->no_exchange = errno != EXDEV; /* else of this directory alone */
	}
	stage_slot(ret_slot, 'o', op->n);
	if (move_out(op, fd, name, a->stage.fd, ret_slot) < 0)
		return errno == ENOENT
			   ? 1
			   : err_sys(err, RC_IO, "%s: cannot move the old one aside", op->path);
	if (move_entry(a->stage.fd, slot, fd, name, RENAME_NOREPLACE) < 0)
		return err_sys(err, RC_CONFLICT, "%s: cannot put the new one in place", op->path);
	return 0;
}

/** The new one leaves the path again, for the local change that was taken out to come back. */
static int swap_back(struct apply *a, const struct op *op, int fd, const char *name,
		     const char *old_slot, struct err *err)
{
	char slot[16];

	stage_slot(slot, 'n', op->n);
	if (old_slot[0] == 'n') {
		if (move_entry(a->stage.fd, slot, fd, name, RENAME_EXCHANGE) < 0)
			return err_sys(err, RC_IO, "%s: cannot put it back", op->path);
		return 0;
	}
	if (move_entry(fd, name, a->stage.fd, slot, RENAME_NOREPLACE) < 0 ||
	    move_entry(a->stage.fd, old_slot, fd, name, RENAME_NOREPLACE) < 0)
		return err_sys(err, RC_IO, "%s: cannot put it back", op->path);
	return 0;
}

/** It is in place, perhaps by an earlier run: where is what it took the place of, if anything? */
static int placed_before(struct apply *a, const struct op *op, int fd, const char *name,
			 struct err *err)
{
	enum verdict verdict;
	char slot[16];
	struct seen s;
	int rc = 0;

	for (const char *letter = "no"; rc == 0 && *letter != '\0'; letter++) {
		stage_slot(slot, *letter, op->n);
		rc = seen_at(a->stage.fd, slot, &s, err);
	}
	if (rc <= 0)
		return rc;
	if (judge_out(a, op, slot, false, &verdict, err) < 0)
		return err->rc;
	return verdict == VERDICT_BACK ? swap_back(a, op, fd, name, slot, err) : 0;
}

/*
 * A name may be made and removed while we look; a person does that once or twice, and after eight
 * times it is a program that does not end.
 */
static int step_place(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	char slot[16], old_slot[16];
	enum verdict verdict;
	struct seen there;
	int fd = dirs_parent(&a->dirs, op->path, &name, err);
	int rc;

	if (fd < 0)
		return fd;
	stage_slot(slot, 'n', op->n);
	for (int attempt = 0; attempt < 8; attempt++) {
		rc = seen_at(fd, name, &there, err);
		if (rc < 0)
			return rc;
		if (rc > 0 && op_placed(a, op, &there))
			return placed_before(a, op, fd, name, err);
		if (rc == 0) {
			if (move_entry(a->stage.fd, slot, fd, name, RENAME_NOREPLACE) == 0)
				return placed_before(a, op, fd, name, err);
			if (errno == EEXIST)
				continue; /* somebody just put something there */
			return err_sys(err, RC_IO, "%s: cannot put it in place", op->path);
		}
		rc = swap(a, op, fd, name, old_slot, err);
		if (rc > 0)
			continue; /* somebody just removed it */
		if (rc < 0)
			return rc;
		rc = judge_out(a, op, old_slot, there.ctime != op->old.ctime, &verdict, err);
		if (rc < 0 || verdict == VERDICT_GOOD)
			return rc;
		return swap_back(a, op, fd, name, old_slot, err);
	}
	return err_set(err, RC_CONFLICT, "%s: somebody keeps changing it", op->path);
}

/* Metadata */

/** Could it be reached?  What is in the way of a path now is a local change like any other. */
static bool path_blocked(int fd, const struct err *err)
{
	return fd == RC_ABSENT || fd == RC_PATH || fd == RC_POLICY || parent_gone(fd) ||
	       err->rc == RC_PATH;
}

/**
 * A directory that this run made.  By its name alone it could be anybody's by now, so it is reached
 * from the one that was placed, whose inode is known and which nobody else can enter yet.
 */
static int meta_of_new(struct apply *a, const struct op *op, struct err *err)
{
	OWNED(freep) char *root = malloc(LIMIT_PATH + 1);
	OWNED(fd_closep) int fd = -1;
	OWNED(fd_closep) int below = -1;
	struct seen was = {.mode = 0700, .uid = geteuid(), .gid = op->want.gid};
	struct stat st;
	uint64_t ino;
	size_t n;

	if (root == NULL)
		return err_memory(err);
	if (journal_path(a, (uint32_t)op->now.size, root, &ino, err) < 0)
		return err->rc;
	n = strlen(root);
	fd = beneath_open(a->targetfd, root, O_PATH | O_DIRECTORY, 0, ERR_IGNORED);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != ino)
		return 0;
	if (op->path[n] == '/') {
		below = beneath_open(fd, op->path + n + 1, O_PATH | O_DIRECTORY, 0, ERR_IGNORED);
		if (below < 0 || fstat(below, &st) < 0)
			return 0;
	}
	was.ino = st.st_ino;
	was.gid = st.st_gid; /* that of the directory above it, if that is set-gid */
	return meta_set_dir(a, below >= 0 ? below : fd, &was, &op->want, err);
}

/** What is not there any more, or not what it was, is left alone: it is told when the lines are
 * looked at. */
static int step_meta(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	int fd, rc;

	if (op->old.kind == 0 && op->now.size > 0) {
		rc = meta_of_new(a, op, err);
		return rc < 0 ? rc : 0;
	}
	fd = dirs_parent(&a->dirs, op->path, &name, err);
	if (fd < 0)
		return path_blocked(fd, err) ? 0 : fd;
	if (op->old.kind == ENTRY_DIRECTORY) {
		OWNED(fd_closep)
		int own = beneath_open(fd, name, O_PATH | O_DIRECTORY, 0, ERR_IGNORED);

		rc = own < 0 ? 0 : meta_set_dir(a, own, &op->old, &op->want, err);
	} else {
		rc = meta_set(a, fd, name, &op->old, &op->want, err);
	}
	return rc < 0 ? err_prefix(err, "%s", op->path) : 0;
}

/*
 * In this order nothing is ever below a directory that is not there yet, and no directory goes
 * while something is still in it.
 */
int commit_forward(struct apply *a, struct err *err)
{
	int rc = journal_each(a, 1u << OP_OUT, false, step_out, err);

	if (rc == 0)
		rc = journal_each(a, 1u << OP_PLACE, false, step_place, err);
	if (rc == 0)
		rc = journal_each(a, 1u << OP_META, false, step_meta, err);
	return rc;
}

/* Flush */

#define FLUSH_EACH 16 /* more operations than this: the file system as a whole */

static int flush_one(struct apply *a, const struct op *op, struct err *err)
{
	const char *name;
	int fd = dirs_parent(&a->dirs, op->path, &name, err);

	if (fd < 0)
		return parent_gone(fd) ? 0 : fd;
	if (fsync(fd) < 0)
		return err_sys(err, RC_IO, "%s: cannot flush its directory", op->path);
	if (op->kind == OP_META) {
		OWNED(fd_closep)
		int own = beneath_open(fd, name, O_RDONLY | O_NONBLOCK, 0, ERR_IGNORED);

		/* A link, or a file that may not be read: no other way than all.  What failed once
		 * is not believed when it succeeds the next time: the error is told once only. */
		if ((own < 0 ? syncfs(fd) : fsync(own)) < 0)
			return err_sys(err, RC_IO, "%s: cannot flush it", op->path);
	}
	return 0;
}

/*
 * For few operations each directory is flushed: syncfs(2) would wait for whatever else is being
 * written to that disk.
 */
int commit_flush(struct apply *a, struct err *err)
{
	if (a->ops > 0 && a->ops <= FLUSH_EACH)
		return journal_each(a, 1u << OP_OUT | 1u << OP_PLACE | 1u << OP_META, false,
				    flush_one, err);
	if (a->targetfd >= 0 && syncfs(a->targetfd) < 0)
		return err_sys(err, RC_IO, "cannot flush %s", a->t->path);
	return 0;
}
