#include "core/os/wipe.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
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

/* 0: nothing to overwrite, or it cannot be: removing it is what is left. */
static int open_to_wipe(int dirfd, const char *name, struct stat *st)
{
	OWNED(fd_closep) int found = beneath_open(dirfd, name, O_PATH, 0, NULL);
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
		overwrite(fd, st.st_size, NULL);
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove \"%s\"", name);
	return 0;
}

static int content_wipe(int fd, unsigned int depth)
{
	OWNED(dir_closep) DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL) {
		close(fd);
		return -1;
	}
	while ((entry = readdir(dir)) != NULL && depth < LIMIT_DEPTH) {
		struct stat st;
		int below;

		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			wipe_file(fd, entry->d_name, NULL);
			continue;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		below = beneath_dir(fd, entry->d_name, NULL);
		if (below >= 0)
			content_wipe(below, depth + 1);
	}
	return 0;
}

int wipe_tree(int dirfd, const char *name, struct err *err)
{
	int fd = beneath_dir(dirfd, name, NULL);

	if (fd >= 0)
		content_wipe(fd, 0);
	return beneath_remove_tree(dirfd, name, err);
}
