/* SPDX-License-Identifier: ISC */
/*
 * A crash leaves inodes where they were; a tree that is written again has others.  The program
 * remembers numbers and ctimes, so what stat(2) says about such a tree is translated back.  Numbers
 * of tmpfs are not used twice, so what is new meanwhile keeps its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/seam/seam_internal.h"

#define NS 1000000000

int64_t time_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * NS + t.tv_nsec;
}

int seam_stat(int fd, const char *path, int flags, struct stat *ret)
{
	/* Some confined processes may use no other. */
	if (flags == AT_EMPTY_PATH && path[0] == '\0' && fd >= 0)
		return (int)syscall(SYS_fstat, fd, ret);
	return (int)syscall(SYS_newfstatat, fd, path, ret, flags);
}

void inodes_clear(void)
{
	memset(seam.shared->inode, 0, sizeof(seam.shared->inode));
	atomic_store(&seam.shared->inodes, false);
}

/* Its place, or the free one where it belongs. */
static struct inode_shown *place(uint64_t real)
{
	size_t i = real % INODES_MAX;

	while (seam.shared->inode[i].real != 0 && seam.shared->inode[i].real != real)
		i = (i + 1) % INODES_MAX;
	return &seam.shared->inode[i];
}

void inodes_add(const struct inode_shown *i)
{
	*place(i->real) = *i;
	atomic_store(&seam.shared->inodes, true);
}

static const struct inode_shown *shown(uint64_t real)
{
	const struct inode_shown *i;

	if (!seam.active || !atomic_load(&seam.shared->inodes))
		return NULL;
	i = place(real);
	return i->real != 0 ? i : NULL;
}

static int translated(int rc, struct stat *st)
{
	const struct inode_shown *i = rc == 0 ? shown(st->st_ino) : NULL;

	if (i == NULL)
		return rc;
	st->st_ino = i->shown;
	if (time_ns(st->st_ctim) == i->real_ctime) {
		st->st_ctim.tv_sec = i->shown_ctime / NS;
		st->st_ctim.tv_nsec = i->shown_ctime % NS;
	}
	return rc;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
int fstat64(int fd, struct stat64 *st)
{
	return translated(seam_stat(fd, "", AT_EMPTY_PATH, (struct stat *)st), (struct stat *)st);
}

int fstatat64(int fd, const char *path, struct stat64 *st, int flags)
{
	return translated(seam_stat(fd, path, flags, (struct stat *)st), (struct stat *)st);
}

int stat64(const char *path, struct stat64 *st)
{
	return fstatat64(AT_FDCWD, path, st, 0);
}

int lstat64(const char *path, struct stat64 *st)
{
	return fstatat64(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int statx(int fd, const char *path, int flags, unsigned mask, struct statx *st)
{
	int rc = (int)syscall(SYS_statx, fd, path, flags, mask, st);
	const struct inode_shown *i = rc == 0 ? shown(st->stx_ino) : NULL;

	if (i == NULL)
		return rc;
	st->stx_ino = i->shown;
	if (st->stx_ctime.tv_sec * NS + st->stx_ctime.tv_nsec == i->real_ctime) {
		st->stx_ctime.tv_sec = i->shown_ctime / NS;
		st->stx_ctime.tv_nsec = (unsigned)(i->shown_ctime % NS);
	}
	return rc;
}
#pragma GCC diagnostic pop
