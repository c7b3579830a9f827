/* SPDX-License-Identifier: ISC */
/*
 * The calls that write, defined once more: each may fail as the order says, and goes into the log
 * when that is asked for.  Flushes do nothing to the disk, which makes thousands of runs bearable;
 * what they promise is in the log.
 *
 * Only regular files, directories and links count: pipes and sockets between processes are no
 * state.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/seam/seam_internal.h"

static int stat_fd(int fd, struct stat *st)
{
	return seam_stat(fd, "", AT_EMPTY_PATH, st);
}

static int stat_at(int fd, const char *path, struct stat *st)
{
	return seam_stat(fd, path, AT_SYMLINK_NOFOLLOW, st);
}

/* What an inode looks like after a call. */
static void stamp(struct record *r, const struct stat *st)
{
	r->mode = st->st_mode;
	r->mtime = time_ns(st->st_mtim);
	r->ctime = time_ns(st->st_ctim);
}

static bool recording(void)
{
	return seam.active && seam.order.record;
}

/* Where a name lies: the inode of its directory, and its last component. */
struct place {
	uint64_t dir;
	const char *name;
};

static struct place place_of(int fd, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	struct stat st = {0};

	if (slash == NULL) {
		if (fd == AT_FDCWD)
			stat_at(fd, ".", &st);
		else
			stat_fd(fd, &st);
		return (struct place){st.st_ino, path};
	}
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	seam_stat(fd, dir, 0, &st);
	return (struct place){st.st_ino, slash + 1};
}

static uint64_t inode_at(int fd, const char *path)
{
	struct stat st;
	int saved = errno;
	uint64_t ino = stat_at(fd, path, &st) == 0 ? st.st_ino : 0;

	errno = saved;
	return ino;
}

/* The state of an inode's metadata after a call. */
static void record_meta(const struct stat *st)
{
	struct record r = {.op = RECORD_META, .ino = st->st_ino};

	stamp(&r, st);
	record_add(&r, NULL, NULL, NULL);
}

static void meta_after(int fd, const char *path, int flags, int rc)
{
	struct stat st;
	int saved = errno;

	if (recording() && rc == 0 &&
	    (path == NULL ? stat_fd(fd, &st) : seam_stat(fd, path, flags, &st)) == 0)
		record_meta(&st);
	errno = saved;
}

/* Bytes */

static ssize_t bytes_write(int fd, const void *p, size_t n, off_t at, bool seeks)
{
	return seeks ? syscall(SYS_write, fd, p, n) : syscall(SYS_pwrite64, fd, p, n, at);
}

static ssize_t bytes_written(int fd, const void *p, size_t n, off_t at, bool seeks)
{
	struct stat st;
	ssize_t rc;

	if (!seam.active || stat_fd(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return bytes_write(fd, p, n, at, seeks);
	if (seam_meets(SEAM_ALLOCATE))
		return -1;
	if (n > 1 && seam_meets(SEAM_SHORT))
		n /= 2;
	if (!recording())
		return bytes_write(fd, p, n, at, seeks);
	seam_lock();
	rc = bytes_write(fd, p, n, at, seeks);
	if (rc > 0) {
		struct record r = {.op = RECORD_WRITE, .ino = st.st_ino, .data = (uint64_t)rc};

		stat_fd(fd, &st);
		stamp(&r, &st);
		r.at = (uint64_t)(seeks ? lseek(fd, 0, SEEK_CUR) - rc : at);
		record_add(&r, NULL, NULL, p);
	}
	seam_unlock();
	return rc;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
ssize_t write(int fd, const void *p, size_t n)
{
	return bytes_written(fd, p, n, 0, true);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return bytes_written(fd, p, n, at, false);
}

int ftruncate64(int fd, off_t n)
{
	struct stat st;
	int rc;

	if (seam_meets(SEAM_CHANGE))
		return -1;
	seam_lock();
	rc = (int)syscall(SYS_ftruncate, fd, n);
	if (rc == 0 && recording() && stat_fd(fd, &st) == 0) {
		struct record r = {.op = RECORD_CUT, .ino = st.st_ino, .at = (uint64_t)n};

		stamp(&r, &st);
		record_add(&r, NULL, NULL, NULL);
	}
	seam_unlock();
	return rc;
}

/* A clone of blocks is not offered: what falls back to copying is seen as writes. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *argument;

	va_start(ap, request);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (seam.active && request == 0x40049409) { /* FICLONE */
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

/* Names */

static void made(enum record_op op, int fd, const char *path, const char *target)
{
	struct place at = place_of(fd, path);
	struct stat st;

	if (stat_at(fd, path, &st) == 0) {
		struct record r = {.op = op,
				   .dir = at.dir,
				   .ino = st.st_ino,
				   .data = target != NULL ? strlen(target) : 0};

		stamp(&r, &st);
		record_add(&r, at.name, NULL, target);
	}
}

static int open_seen(int fd, const char *path, int flags, int (*call)(const void *), const void *a)
{
	bool temporary = (flags & O_TMPFILE) == O_TMPFILE;
	bool makes = (flags & O_CREAT) != 0 || temporary;
	struct stat st;
	bool was;
	int rc;

	if (!seam.active || (!makes && (flags & O_TRUNC) == 0))
		return call(a);
	was = temporary || stat_at(fd, path, &st) == 0;
	if ((!was || temporary) && seam_meets(SEAM_ALLOCATE))
		return -1;
	if (!recording())
		return call(a);
	seam_lock();
	rc = call(a);
	if (rc >= 0 && !was)
		made(RECORD_CREATE, fd, path, NULL);
	if (rc >= 0 && was && (flags & O_TRUNC) != 0 && stat_fd(rc, &st) == 0) {
		struct record r = {.op = RECORD_CUT, .ino = st.st_ino};

		stamp(&r, &st);
		record_add(&r, NULL, NULL, NULL);
	}
	seam_unlock();
	return rc;
}

struct open_call {
	int fd;
	const char *path;
	int flags;
	mode_t mode;
	const struct open_how *how;
};

static int open_plain(const void *arg)
{
	const struct open_call *c = arg;

	return (int)syscall(SYS_openat, c->fd, c->path, c->flags, c->mode);
}

static int open_beneath(const void *arg)
{
	const struct open_call *c = arg;

	return (int)syscall(SYS_openat2, c->fd, c->path, c->how, sizeof(*c->how));
}

static int open_va(int fd, const char *path, int flags, va_list ap)
{
	bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_call c = {fd, path, flags, makes ? va_arg(ap, mode_t) : 0, NULL};

	return open_seen(fd, path, flags, open_plain, &c);
}

int openat64(int fd, const char *path, int flags, ...)
{
	va_list ap;
	int rc;

	va_start(ap, flags);
	rc = open_va(fd, path, flags, ap);
	va_end(ap);
	return rc;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	int rc;

	va_start(ap, flags);
	rc = open_va(AT_FDCWD, path, flags, ap);
	va_end(ap);
	return rc;
}

/* The program reaches openat2 by syscall(2); beneath.c is compiled with the name below. */
long seam_syscall(long number, ...);
long seam_syscall(long number, ...)
{
	va_list ap;
	struct open_call c = {0};
	size_t size;

	va_start(ap, number);
	c.fd = va_arg(ap, int);
	c.path = va_arg(ap, const char *);
	c.how = va_arg(ap, const struct open_how *);
	size = va_arg(ap, size_t);
	va_end(ap);
	if (number != SYS_openat2 || size != sizeof(*c.how)) {
		errno = ENOSYS;
		return -1;
	}
	return open_seen(c.fd, c.path, (int)c.how->flags, open_beneath, &c);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
	int rc;

	if (seam_meets(SEAM_ALLOCATE))
		return -1;
	seam_lock();
	rc = (int)syscall(SYS_mkdirat, fd, path, mode);
	if (rc == 0 && recording())
		made(RECORD_MKDIR, fd, path, NULL);
	seam_unlock();
	return rc;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int symlinkat(const char *target, int fd, const char *path)
{
	int rc;

	if (seam_meets(SEAM_ALLOCATE))
		return -1;
	seam_lock();
	rc = (int)syscall(SYS_symlinkat, target, fd, path);
	if (rc == 0 && recording())
		made(RECORD_SYMLINK, fd, path, target);
	seam_unlock();
	return rc;
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
	int rc;

	if (seam_meets(SEAM_ALLOCATE))
		return -1;
	seam_lock();
	rc = (int)syscall(SYS_linkat, a, from, b, to, flags);
	if (rc == 0 && recording())
		made(RECORD_LINK, b, to, NULL);
	seam_unlock();
	return rc;
}

int unlinkat(int fd, const char *path, int flags)
{
	uint64_t ino;
	int rc;

	if (seam_meets(SEAM_CHANGE))
		return -1;
	seam_lock();
	ino = recording() ? inode_at(fd, path) : 0;
	rc = (int)syscall(SYS_unlinkat, fd, path, flags);
	if (rc == 0 && recording()) {
		struct place at = place_of(fd, path);
		struct record r = {.op = RECORD_UNLINK, .dir = at.dir, .ino = ino};

		record_add(&r, at.name, NULL, NULL);
	}
	seam_unlock();
	return rc;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	uint64_t ino = 0, ino2 = 0;
	int rc;

	if (seam_meets(SEAM_CHANGE))
		return -1;
	seam_lock();
	if (recording()) {
		ino = inode_at(a, from);
		ino2 = inode_at(b, to);
	}
	rc = (int)syscall(SYS_renameat2, a, from, b, to, flags);
	if (rc == 0 && recording()) {
		struct place x = place_of(a, from), y = place_of(b, to);
		struct record r = {.op = flags == 2 ? RECORD_SWAP : RECORD_RENAME,
				   .dir = x.dir,
				   .dir2 = y.dir,
				   .ino = ino,
				   .ino2 = ino2};
		struct stat st;

		if (flags == 2 && stat_at(a, from, &st) == 0) {
			stamp(&r, &st);
			r.mtime2 = r.mtime;
			r.ctime2 = r.ctime;
		}
		if (stat_at(b, to, &st) == 0)
			stamp(&r, &st);
		record_add(&r, x.name, y.name, NULL);
	}
	seam_unlock();
	return rc;
}

int renameat(int a, const char *from, int b, const char *to)
{
	return renameat2(a, from, b, to, 0);
}

/* Metadata */

#define META(name, parameters, fd, path, flags, ...)       \
	int name parameters                                \
	{                                                  \
		int rc = seam_meets(SEAM_CHANGE) ? -1 : 0; \
                                                           \
		if (rc == 0) {                             \
			seam_lock();                       \
			rc = (int)syscall(__VA_ARGS__);    \
			meta_after(fd, path, flags, rc);   \
			seam_unlock();                     \
		}                                          \
		return rc;                                 \
	}

META(fchmod, (int fd, mode_t mode), fd, NULL, 0, SYS_fchmod, fd, mode)
META(chmod, (const char *path, mode_t mode), AT_FDCWD, path, 0, SYS_chmod, path, mode)
META(fchmodat, (int fd, const char *path, mode_t mode, int flags), fd, path, flags, SYS_fchmodat,
     fd, path, mode)
META(fchown, (int fd, uid_t u, gid_t g), fd, NULL, 0, SYS_fchown, fd, u, g)
META(fchownat, (int fd, const char *path, uid_t u, gid_t g, int flags), fd, path, flags,
     SYS_fchownat, fd, path, u, g, flags)
META(utimensat, (int fd, const char *path, const struct timespec t[2], int flags), fd, path, flags,
     SYS_utimensat, fd, path, t, flags)
META(futimens, (int fd, const struct timespec t[2]), fd, NULL, 0, SYS_utimensat, fd, NULL, t, 0)

/* Flushes */

static int flushed(int fd, enum record_op op)
{
	struct stat st;

	if (seam_meets(SEAM_FLUSH))
		return -1;
	if (recording() && stat_fd(fd, &st) == 0) {
		struct record r = {.op = op, .ino = st.st_ino};

		seam_lock();
		record_add(&r, NULL, NULL, NULL);
		seam_unlock();
	}
	return 0;
}

int fsync(int fd)
{
	return flushed(fd, RECORD_FLUSH);
}

int fdatasync(int fd)
{
	return flushed(fd, RECORD_FLUSH);
}

int syncfs(int fd)
{
	return flushed(fd, RECORD_FLUSH_ALL);
}

int sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	return 0;
}
#pragma GCC diagnostic pop
