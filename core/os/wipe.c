/* SPDX-License-Identifier: ISC */
/*
 * Removing documents and keys so that their bytes are gone as well, as far as a file system lets
 * us.  Overwriting never fails a removal: a name that stays would be worse than bytes that stay.
 */
#include "core/os/wipe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

/*
 * Bytes that are overwritten: documents and keys, which is all that is wiped, have no more.  A file
 * may be somebody else's to blow up, and a hole of terabytes would fill the disk with zeros.
 */
#define WIPE_MOST ((off_t)LIMIT_DOCUMENT)

static int overwrite(int fd, off_t size, struct err *err)
{
	static const uint8_t zeros[4096];
	int rc = 0;

	if (size > WIPE_MOST)
		size = WIPE_MOST;

	for (off_t done = 0; rc == 0 && done < size; done += (off_t)sizeof(zeros)) {
		size_t n =
		    size - done < (off_t)sizeof(zeros) ? (size_t)(size - done) : sizeof(zeros);

		rc = fd_write(fd, zeros, n, err);
	}
	return rc < 0 ? rc : file_sync(fd, err);
}

/*
 * 0: nothing to overwrite, or it cannot be: removing it is what is left.  Looked at through O_PATH
 * first: a link's target, a device or a file with a second name must not be overwritten, for it is
 * somebody else's.
 */
static int open_to_wipe(int dirfd, const char *name, struct stat *st)
{
	OWNED(fd_closep) int found = beneath_open(dirfd, name, O_PATH, 0, ERR_IGNORED);
	char link[40];

	if (found < 0 || fstat(found, st) < 0 || !S_ISREG(st->st_mode) || st->st_nlink != 1)
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
	if ((st->st_mode & 0200) == 0 && geteuid() != 0)
		chmod(link, 0600);
	return open(link, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
}

int wipe_file(int dirfd, const char *name, struct err *err)
{
	struct stat st;
	OWNED(fd_closep) int fd = open_to_wipe(dirfd, name, &st);

	if (fd >= 0)
		overwrite(fd, st.st_size, ERR_IGNORED);
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove \"%s\"", name);
	return 0;
}

/* What cannot be wiped is still removed, so nothing ends the loop. */
static int wipe_entry(void *arg, const struct dir_entry *entry, struct err *err)
{
	unsigned int depth = *(const unsigned int *)arg + 1;
	struct stat st;

	if (fstatat(entry->dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		wipe_file(entry->dirfd, entry->name, ERR_IGNORED);
	else if (depth < LIMIT_DEPTH)
		dir_each(entry->dirfd, entry->name, 0, wipe_entry, &depth, ERR_IGNORED);
	return 0;
}

int wipe_tree(int dirfd, const char *name, struct err *err)
{
	unsigned int depth = 0;

	dir_each(dirfd, name, 0, wipe_entry, &depth, ERR_IGNORED);
	return beneath_remove_tree(dirfd, name, err);
}
