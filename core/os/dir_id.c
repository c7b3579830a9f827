/* SPDX-License-Identifier: ISC */
/*
 * From a directory up to the root by "..", which the kernel answers for the directory as it lies
 * now: no path is read, so none can lie.
 */
#include "core/os/dir_id.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "core/base/own.h"

/* Each level takes at least two bytes of a path. */
#define LEVELS (PATH_MAX / 2)

int dir_id_compare(const void *a, const void *b)
{
	const struct dir_id *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

int dir_id(int fd, struct dir_id *ret, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat a directory");
	*ret = (struct dir_id){(uint64_t)st.st_dev, (uint64_t)st.st_ino};
	return 0;
}

int dir_above_each(int fd, int (*each)(void *arg, int fd, const struct dir_id *id, struct err *err),
		   void *arg, struct err *err)
{
	OWNED(fd_closep) int held = -1;
	struct dir_id id, last;
	int rc = dir_id(fd, &id, err);

	for (int level = 0; rc == 0; level++) {
		int above;

		rc = each(arg, fd, &id, err);
		if (rc != 0)
			return rc;
		if (level == LEVELS)
			return err_set(err, RC_LIMIT, "more than %d directories above", LEVELS);
		above = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (above < 0)
			return err_sys(err, RC_IO, "cannot read the directory above");
		fd_closep(&held);
		fd = held = above;
		last = id;
		rc = dir_id(fd, &id, err);
		if (rc == 0 && dir_id_compare(&id, &last) == 0)
			return 0; /* the root is above itself */
	}
	return rc;
}

static int id_keep(void *arg, int fd, const struct dir_id *id, struct err *err)
{
	struct dir_ids *ids = arg;

	(void)fd;
	return list_push(ids, *id, err);
}

int dir_above(int fd, struct dir_ids *ret, struct err *err)
{
	return dir_above_each(fd, id_keep, ret, err);
}
