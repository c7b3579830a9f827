/* SPDX-License-Identifier: ISC */
/*
 * Faults at the n-th call that writes: the program dies (SIGKILL), or the call fails.  The calls of
 * the C library are defined here once more, so that the program's own and SQLite's come by; what a
 * flush would do to the disk is left out, which makes thousands of runs bearable.
 */
#ifndef SATCHEL_TESTS_SUPPORT_FAULT_H
#define SATCHEL_TESTS_SUPPORT_FAULT_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/base/sanitized.h"

/*
 * How many calls further the next kill or error falls.  Under a sanitizer each run costs three
 * times as much, and what an error path does to memory, some calls show.  SATCHEL_FAULT_STRIDE says
 * another number: 1 is every call (make faults), make check takes every fourth.
 */
#define FAULT_STRIDE_DEFAULT (SANITIZED ? 40 : 4)

static inline long fault_stride(void)
{
	const char *text = getenv("SATCHEL_FAULT_STRIDE");
	long n = text != NULL ? atol(text) : 0;

	return n > 0 ? n : FAULT_STRIDE_DEFAULT;
}

static struct {
	atomic_long calls; /* that write, since it was armed */
	long at;           /* the one that does not come back; 0: none */
	long until;        /* errors: the last one that fails */
	int error;         /* errno, or 0: die */
	pid_t pid;         /* the process that it is armed for */
	bool no_exchange;  /* the file system cannot exchange */
	void (*before)(const char *from, const char *to); /* each renameat2 */
} fault;

static inline void fault_arm(long at, int error, long until)
{
	fault.at = at;
	fault.error = error;
	fault.until = until;
	fault.pid = getpid();
	atomic_store(&fault.calls, 0);
}

/** Does this call fail?  It may not come back. */
static inline bool fault_now(void)
{
	long n;

	if (fault.pid != getpid())
		return false;
	n = atomic_fetch_add(&fault.calls, 1) + 1;
	if (fault.at == 0 || n < fault.at)
		return false;
	if (fault.error == 0) {
		kill(getpid(), SIGKILL);
		pause();
	}
	if (n > fault.until)
		return false;
	errno = fault.error;
	return true;
}

#define FAULT(type, name, parameters, number, ...)                            \
	type name parameters;                                                 \
	type name parameters                                                  \
	{                                                                     \
		return fault_now() ? -1 : (type)syscall(number, __VA_ARGS__); \
	}
#define FAULT_FLUSH(name, number)            \
	int name(int fd);                    \
	int name(int fd)                     \
	{                                    \
		return fault_now() ? -1 : 0; \
	}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
FAULT(ssize_t, write, (int fd, const void *p, size_t n), SYS_write, fd, p, n)
FAULT(ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at), SYS_pwrite64, fd, p, n, at)
FAULT(int, ftruncate64, (int fd, off_t n), SYS_ftruncate, fd, n)
FAULT(int, mkdirat, (int fd, const char *path, mode_t mode), SYS_mkdirat, fd, path, mode)
FAULT(int, symlinkat, (const char *to, int fd, const char *path), SYS_symlinkat, to, fd, path)
FAULT(int, linkat, (int a, const char *from, int b, const char *to, int flags), SYS_linkat, a, from,
      b, to, flags)
FAULT(int, unlinkat, (int fd, const char *path, int flags), SYS_unlinkat, fd, path, flags)
FAULT(int, unlink, (const char *path), SYS_unlink, path)
FAULT(int, renameat, (int a, const char *from, int b, const char *to), SYS_renameat, a, from, b, to)
FAULT(int, fchmod, (int fd, mode_t mode), SYS_fchmod, fd, mode)
FAULT(int, chmod, (const char *path, mode_t mode), SYS_chmod, path, mode)
FAULT(int, fchmodat, (int fd, const char *path, mode_t mode, int flags), SYS_fchmodat, fd, path,
      mode)
FAULT(int, fchownat, (int fd, const char *path, uid_t u, gid_t g, int flags), SYS_fchownat, fd,
      path, u, g, flags)
FAULT(int, utimensat, (int fd, const char *path, const struct timespec t[2], int flags),
      SYS_utimensat, fd, path, t, flags)
FAULT(int, futimens, (int fd, const struct timespec t[2]), SYS_utimensat, fd, NULL, t, 0)
FAULT_FLUSH(fsync, SYS_fsync)
FAULT_FLUSH(fdatasync, SYS_fdatasync)
FAULT_FLUSH(syncfs, SYS_syncfs)

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
	if (fault.before != NULL)
		fault.before(from, to);
	if (fault.no_exchange && flags == RENAME_EXCHANGE) {
		errno = EINVAL;
		return -1;
	}
	return fault_now() ? -1 : (int)syscall(SYS_renameat2, a, from, b, to, flags);
}

static inline int fault_open(int fd, const char *path, int flags, va_list ap)
{
	bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
	mode_t mode = makes ? va_arg(ap, mode_t) : 0;

	return makes && fault_now() ? -1 : (int)syscall(SYS_openat, fd, path, flags, mode);
}

int openat64(int fd, const char *path, int flags, ...)
{
	va_list ap;
	int rc;

	va_start(ap, flags);
	rc = fault_open(fd, path, flags, ap);
	va_end(ap);
	return rc;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;
	int rc;

	va_start(ap, flags);
	rc = fault_open(AT_FDCWD, path, flags, ap);
	va_end(ap);
	return rc;
}
#pragma GCC diagnostic pop

#endif
