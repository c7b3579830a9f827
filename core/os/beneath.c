/* SPDX-License-Identifier: ISC */
/*
 * The only place that opens a path that somebody else may have a hand in.  Depots, targets and
 * payload directories are written by others while we look: a check on one name and an open of
 * another would be a race, so every step goes from a held descriptor to the next through
 * openat2(2).
 */
#include "core/os/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

/*
 * openat2 answers EAGAIN when a rename raced with the walk and it cannot prove that nothing was
 * escaped.  Somebody who renames without pause must not hold us for ever.
 */
#define OPEN_ATTEMPTS 128
/* Sweeps of one directory in beneath_remove_tree: a second one only finds what readdir skipped. */
#define REMOVE_SWEEPS 8

/* RC_IO with the text of errno, which is kept for the caller to look at. */
static int fail_sys(struct err *err, const char *doing, const char *path)
{
	int saved = errno;
	int rc;

	if (saved == ELOOP || saved == EXDEV)
		rc = err_set(err, RC_PATH,
			     "cannot %s \"%s\": the path leads through a link or a mount, or out "
			     "of the directory",
			     doing, path);
	else if (saved == ENOSYS)
		rc = err_set(err, RC_IO,
			     "cannot %s \"%s\": this kernel has no openat2; Linux 5.6 is needed",
			     doing, path);
	else
		rc = err_sys(err, RC_IO, "cannot %s \"%s\"", doing, path);
	errno = saved;
	return rc;
}

/* The same for what only looks: RC_ABSENT when nothing is there. */
static int fail_open(struct err *err, const char *doing, const char *path)
{
	int rc = fail_sys(err, doing, path);

	if (errno == ENOENT)
		rc = RC_ABSENT;
	err->rc = rc;
	return rc;
}

static int open_below(int dirfd, const char *path, int flags, mode_t mode)
{
	/* mode must be 0 unless a file can be made, else openat2 says EINVAL. */
	bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
	/*
	 * RESOLVE_NO_SYMLINKS alone says ELOOP for a link at the end; with O_NOFOLLOW a link is
	 * taken for the entry itself, which only O_PATH wants, and O_DIRECTORY would say ENOTDIR.
	 */
	int end = (flags & O_PATH) != 0 && (flags & O_DIRECTORY) == 0 ? O_NOFOLLOW : 0;
	struct open_how how = {
	    .flags = (uint64_t)(uint32_t)((flags & ~O_NOFOLLOW) | O_CLOEXEC | end),
	    .mode = makes ? mode : 0,
	    .resolve =
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	int fd = -1;

	for (int i = 0; i < OPEN_ATTEMPTS; i++) {
		fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			return fd;
	}
	return fd;
}

int beneath_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err)
{
	int fd = open_below(dirfd, path, flags, mode);

	return fd >= 0 ? fd : fail_open(err, "open", path);
}

int beneath_dir(int dirfd, const char *path, struct err *err)
{
	return beneath_open(dirfd, path, O_RDONLY | O_DIRECTORY, 0, err);
}

static const char *kind_text(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	default:
		return "something unknown";
	}
}

/*
 * Looked at through O_PATH first, because opening a FIFO can block and opening a device can act.
 * Reopening by /proc/self/fd gives the very entry that was looked at, whatever has its name now.
 */
int beneath_file(int dirfd, const char *path, struct stat *ret, struct err *err)
{
	OWNED(fd_closep) int found = open_below(dirfd, path, O_PATH, 0);
	char link[40];
	struct stat st;
	int fd;

	if (found < 0)
		return fail_open(err, "open", path);
	if (fstat(found, &st) < 0)
		return fail_sys(err, "stat", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, RC_TYPE, "\"%s\" is %s where a regular file is expected", path,
			       kind_text(st.st_mode));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
	fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail_open(err, "open", path);
	if (ret != NULL)
		*ret = st;
	return fd;
}

/* Split at the last slash; RC_PATH when what follows it is no name. */
static int path_split(const char *path, char *parent, size_t size, const char **ret_name,
		      struct err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	size_t n = slash == NULL ? 1 : (size_t)(slash - path);

	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || slash == path)
		return err_set(err, RC_PATH, "\"%s\" does not name an entry below a directory",
			       path);
	if (n >= size)
		return err_set(err, RC_PATH, "a path of more than %zu bytes", size - 1);
	memcpy(parent, slash == NULL ? "." : path, n);
	parent[n] = '\0';
	*ret_name = name;
	return 0;
}

int beneath_parent(int dirfd, const char *path, const char **ret_name, struct err *err)
{
	char parent[LIMIT_PATH + 1];
	const char *name = NULL;
	int rc = path_split(path, parent, sizeof(parent), &name, err);

	if (rc < 0)
		return rc;
	rc = beneath_dir(dirfd, parent, err);
	if (rc >= 0)
		*ret_name = name;
	return rc;
}

/*
 * One component after the other, each opened below the one before: a link that somebody puts in
 * the way meanwhile is refused by the next step.  EEXIST is as good: another process made it at
 * the same moment.
 */
static int make_all(int dirfd, const char *path, mode_t mode, bool flush, struct err *err)
{
	OWNED(fd_closep) int at = beneath_dir(dirfd, path, err);
	char rest[LIMIT_PATH + 1];
	char *next = rest;

	if (at >= 0)
		return 0;
	if (at != RC_ABSENT)
		return at;
	if (strlen(path) >= sizeof(rest))
		return err_set(err, RC_PATH, "a path of more than %zu bytes", sizeof(rest) - 1);
	strcpy(rest, path);
	at = beneath_dir(dirfd, ".", err);
	while (at >= 0 && next != NULL) {
		const char *name = strsep(&next, "/");
		bool made = mkdirat(at, name, mode) == 0;
		int below;

		if ((!made && errno != EEXIST) || (made && flush && dir_sync(at, err) < 0)) {
			int rc = fail_sys(err, "make the directory", path);

			close(at);
			return rc;
		}
		below = beneath_dir(at, name, err);
		close(at);
		at = below;
	}
	return at < 0 ? at : 0;
}

int beneath_mkdirs(int dirfd, const char *path, mode_t mode, struct err *err)
{
	return make_all(dirfd, path, mode, false, err);
}

int beneath_mkdirs_durable(int dirfd, const char *path, mode_t mode, struct err *err)
{
	return make_all(dirfd, path, mode, true, err);
}

int beneath_stat(int dirfd, const char *path, struct stat *ret, struct err *err)
{
	OWNED(fd_closep) int fd = open_below(dirfd, path, O_PATH, 0);

	if (fd < 0 || fstat(fd, ret) < 0)
		return fail_open(err, "stat", path);
	return 0;
}

/*
 * Without being root an own directory must be writable to be emptied, and payload may well have
 * sealed it (0555, 0000).  The mode is changed through the descriptor, so a link put in its place
 * meanwhile is refused and never followed.
 */
static int open_to_empty(int dirfd, const char *name, struct err *err)
{
	OWNED(fd_closep) int found = open_below(dirfd, name, O_PATH | O_DIRECTORY, 0);
	char link[40];
	struct stat st;

	if (found < 0 || fstat(found, &st) < 0)
		return fail_sys(err, "remove", name);
	if ((st.st_mode & 0700) != 0700 && geteuid() != 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
		if (chmod(link, 0700) < 0)
			return fail_sys(err, "remove", name);
	}
	return beneath_dir(found, ".", err);
}

static int remove_entry(int dirfd, const char *name, unsigned int depth, struct err *err);

static int remove_below(void *arg, const struct dir_entry *entry, struct err *err)
{
	const unsigned int *depth = arg;

	return remove_entry(entry->dirfd, entry->name, *depth + 1, err);
}

static int remove_content(int dirfd, const char *name, unsigned int depth, struct err *err)
{
	int fd = open_to_empty(dirfd, name, err);

	return fd < 0 ? fd : dir_each_fd(fd, remove_below, &depth, err);
}

/*
 * unlink first: a name that is no directory is gone with one call, and a link is never followed.
 * A directory that is not empty after a sweep was written to meanwhile; that is tried again, but
 * not for ever.
 */
static int remove_entry(int dirfd, const char *name, unsigned int depth, struct err *err)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return fail_sys(err, "remove", name);
	if (depth > LIMIT_DEPTH)
		return err_set(err, RC_LIMIT, "cannot remove \"%s\": deeper than %d directories",
			       name, LIMIT_DEPTH);
	for (int sweep = 0;; sweep++) {
		int rc = remove_content(dirfd, name, depth, err);

		if (rc < 0)
			return rc;
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY || sweep == REMOVE_SWEEPS)
			return fail_sys(err, "remove the directory", name);
	}
}

int beneath_remove_tree(int dirfd, const char *name, struct err *err)
{
	if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return err_set(err, RC_PATH, "\"%s\" is not the name of one entry", name);
	return remove_entry(dirfd, name, 0, err);
}

int os_open_dir(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 ? fd : fail_open(err, "open the directory", path);
}
