/* SPDX-License-Identifier: ISC */
/*
 * One loop over a directory, so that the rules of readdir (errno is the only sign of a failure, "."
 * and ".." may or may not come) are kept in one place.
 */
#include "core/os/dir.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "core/base/own.h"
#include "core/os/beneath.h"

int dir_each_fd(int fd, dir_visit *visit, void *arg, struct err *err)
{
	OWNED(dir_closep) DIR *dir = fdopendir(fd);
	const struct dirent *e;
	int rc = 0;

	if (dir == NULL) {
		rc = err_sys(err, RC_IO, "cannot read the directory");
		close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, (e = readdir(dir)) != NULL))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = visit(arg, &(struct dir_entry){fd, e->d_name, e->d_type}, err);
	if (rc != 0)
		return rc;
	return errno == 0 ? 0 : err_sys(err, RC_IO, "cannot read the directory");
}

int dir_each(int dirfd, const char *path, enum dir_flags flags, dir_visit *visit, void *arg,
	     struct err *err)
{
	int fd = beneath_dir(dirfd, path, err);

	if (fd < 0)
		return fd == RC_ABSENT && (flags & DIR_MAY_BE_ABSENT) != 0 ? 0 : fd;
	return dir_each_fd(fd, visit, arg, err);
}

static int stop_at_first(void *arg, const struct dir_entry *entry, struct err *err)
{
	return 1;
}

int dir_empty(int dirfd, const char *path, struct err *err)
{
	int rc = dir_each(dirfd, path, 0, stop_at_first, NULL, err);

	return rc < 0 ? rc : rc == 0;
}
