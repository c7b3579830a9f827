/* SPDX-License-Identifier: ISC */
/*
 * One loop over a directory, so that the rules of readdir (errno is the only sign of a failure, "."
 * and ".." may or may not come) are kept in one place; and the path of one as it is written down.
 */
#include "core/os/dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* "link/.." is above what the link leads to, and not where the link is. */
static char *above_link(const char *path, const char *folded)
{
	OWNED(freep) char *real = realpath(path, NULL), *other = realpath(folded, NULL);

	return real != NULL && (other == NULL || strcmp(real, other) != 0) ? TAKE(real) : NULL;
}

int dir_absolute(const char *path, char **ret, struct err *err)
{
	OWNED(freep) char *cwd = path[0] == '/' ? strdup("") : getcwd(NULL, 0);
	OWNED(freep) char *text = NULL, *out = NULL;
	char *part, *save = NULL, *real;

	if (cwd == NULL)
		return err_sys(err, RC_IO, "the working directory");
	if (path[0] == '\0')
		return err_set(err, RC_USAGE, "an empty path");
	if (asprintf(&text, "%s/%s", cwd, path) < 0) {
		text = NULL;
		return err_memory(err);
	}
	out = calloc(1, strlen(text) + 2);
	if (out == NULL)
		return err_memory(err);
	for (part = strtok_r(text, "/", &save); part != NULL; part = strtok_r(NULL, "/", &save)) {
		char *slash = strrchr(out, '/');

		if (strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") != 0)
			sprintf(out + strlen(out), "/%s", part);
		else if (slash != NULL)
			*slash = '\0';
	}
	if (out[0] == '\0')
		out[0] = '/';
	real = strstr(path, "..") != NULL ? above_link(path, out) : NULL;
	*ret = real != NULL ? real : TAKE(out);
	return 0;
}
