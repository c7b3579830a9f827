/* SPDX-License-Identifier: ISC */
/*
 * Renames, on file systems that have not all of them.
 *
 *   no RENAME_NOREPLACE     looked first, renamed then
 *   a directory of a lower layer (overlayfs) cannot be renamed: another one is made in its place,
 *   what is in it is moved, and it is removed.  That takes many steps, so whoever was killed
 * between them finds both, and moves the rest.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"

/** Directories that their owner may not write are opened up; their metadata is set again at the end
 * (the parents) or when they are back (what was moved). */
static void open_up(int dirfd, const char *name)
{
	OWNED(fd_closep) int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode) || (st.st_mode & 0700) == 0700 ||
	    st.st_uid != geteuid())
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	chmod(self, (st.st_mode & 07777) | 0700);
}

/** A file system without RENAME_NOREPLACE: look first.  Only we write in the staging area, so only
 * somebody who races with us for a name in the target can lose what they put there. */
static int rename_plain(int fromfd, const char *from, int tofd, const char *to)
{
	struct stat st;

	if (fstatat(tofd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(fromfd, from, tofd, to);
}

/* A directory that cannot be renamed */

static bool is_directory(int dirfd, const char *name, uint64_t ino)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       (ino == 0 || st.st_ino == ino);
}

struct moving {
	int tofd; /* borrowed */
	int why;  /* errno */
};

static int move_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct moving *m = arg;
	int rc = move_entry(entry->dirfd, entry->name, m->tofd, entry->name, RENAME_NOREPLACE);

	/* Another one was begun, and was cut off. */
	if (rc < 0 && errno == EEXIST && is_directory(entry->dirfd, entry->name, 0) &&
	    is_directory(m->tofd, entry->name, 0))
		rc = move_rest(entry->dirfd, entry->name, m->tofd, entry->name);
	if (rc == 0)
		return 0;
	m->why = errno;
	return err_sys(err, RC_IO, "cannot move %s", entry->name);
}

/** Owner, mode and time of one directory for another; who is not root has its own. */
static void dress_as(int fd, const struct stat *st)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};

	if (fchown(fd, st->st_uid, st->st_gid) == 0 || geteuid() != 0)
		fchmod(fd, st->st_mode & 07777);
	futimens(fd, times);
}

int move_rest(int fromfd, const char *from, int tofd, const char *to)
{
	OWNED(fd_closep) int in = beneath_dir(fromfd, from, ERR_IGNORED);
	OWNED(fd_closep) int out = beneath_dir(tofd, to, ERR_IGNORED);
	struct moving m = {.tofd = out, .why = EIO};
	struct stat st;

	if (in < 0 || out < 0 || fstat(in, &st) < 0 ||
	    dir_each(in, ".", 0, move_each, &m, ERR_IGNORED) < 0) {
		errno = m.why;
		return -1;
	}
	dress_as(out, &st);
	return unlinkat(fromfd, from, AT_REMOVEDIR);
}

static int move_across(int fromfd, const char *from, int tofd, const char *to)
{
	if (!is_directory(fromfd, from, 0)) {
		errno = EXDEV;
		return -1;
	}
	return mkdirat(tofd, to, 0700) < 0 ? -1 : move_rest(fromfd, from, tofd, to);
}

/*
 * A directory that its owner may not write forbids renames in it even to us when we are not root;
 * it is opened once, and the metadata that it should have is set at the end anyway.
 */
int move_entry(int fromfd, const char *from, int tofd, const char *to, unsigned flags)
{
	for (int attempt = 0;; attempt++) {
		int rc = renameat2(fromfd, from, tofd, to, flags);

		if (rc < 0 && (errno == EINVAL || errno == ENOSYS) && flags == RENAME_NOREPLACE)
			rc = rename_plain(fromfd, from, tofd, to);
		if (rc < 0 && errno == EXDEV && flags == RENAME_NOREPLACE)
			return move_across(fromfd, from, tofd, to);
		if (rc == 0 || (errno != EACCES && errno != EPERM) || attempt > 0)
			return rc;
		open_up(fromfd, ".");
		open_up(tofd, ".");
		open_up(fromfd, from);
		if (flags == RENAME_EXCHANGE)
			open_up(tofd, to);
	}
}

int move_out_rest(const struct op *op, int fd, const char *name, int tofd, const char *slot)
{
	if (op->old.kind != ENTRY_DIRECTORY || !is_directory(fd, name, op->old.ino) ||
	    !is_directory(tofd, slot, 0))
		return 0;
	return move_rest(fd, name, tofd, slot);
}

int move_out(const struct op *op, int fd, const char *name, int tofd, const char *slot)
{
	int rc = move_entry(fd, name, tofd, slot, RENAME_NOREPLACE);

	if (rc < 0 && errno == EEXIST && op->old.kind == ENTRY_DIRECTORY &&
	    is_directory(fd, name, op->old.ino) && is_directory(tofd, slot, 0))
		rc = move_rest(fd, name, tofd, slot);
	return rc;
}

int move_back(const struct op *op, int fromfd, const char *slot, int fd, const char *name)
{
	int rc = move_entry(fromfd, slot, fd, name, RENAME_NOREPLACE);

	if (rc < 0 && errno == EEXIST && op->old.kind == ENTRY_DIRECTORY &&
	    is_directory(fd, name, op->old.ino) && is_directory(fromfd, slot, 0))
		rc = move_rest(fromfd, slot, fd, name);
	return rc;
}
