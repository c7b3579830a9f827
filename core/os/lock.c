/* SPDX-License-Identifier: ISC */
/*
 * One run at a time, by an open-file-description lock (fcntl(2)): the kernel gives it back when
 * the process ends, however it ends, so that a file left behind never blocks anybody.
 */
#include "core/os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

/* The lock is the truth; the number in the file is only for the sentence.  0: it holds none. */
static uint64_t pid_read(int fd)
{
	char text[24];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	uint64_t pid;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	return n > 0 && number_u64(text, (size_t)n, INT32_MAX, &pid, ERR_IGNORED) == 0 ? pid : 0;
}

/*
 * The number may be of a process that is gone by now, or missing; it only makes the sentence
 * better.
 */
static int busy(int fd, const char *what, struct err *err)
{
	uint64_t pid = pid_read(fd);

	if (pid == 0)
		return err_set(err, RC_BUSY, "another %s is running; try again when it is done",
			       what);
	return err_set(err, RC_BUSY,
		       "another %s is running (process %llu); try again when it is done", what,
		       (unsigned long long)pid);
}

int lock_take(int dirfd, const char *name, const char *what, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	OWNED(fd_closep)
	int fd = beneath_open(dirfd, name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, err);
	char text[24];
	int n;

	if (fd < 0)
		return fd;
	while (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return busy(fd, what, err);
		if (errno != EINTR)
			return err_sys(err, RC_IO, "cannot lock \"%s\"", name);
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	/* A full disk must not keep anybody from running; the sentence gets shorter then. */
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		errno = 0;
	return TAKE_FD(fd);
}

int lock_wait(int dirfd, const char *name, const char *what, struct err *err)
{
	int64_t until = clock_monotonic_ms() + LOCK_PATIENCE;
	struct timespec pause = {.tv_nsec = 20000000};
	int fd;

	while ((fd = lock_take(dirfd, name, what, err)) == RC_BUSY && clock_monotonic_ms() < until)
		nanosleep(&pause, NULL);
	return fd;
}

int lock_holder(int dirfd, const char *name, struct lock_holder *ret, struct err *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	OWNED(fd_closep) int fd = beneath_open(dirfd, name, O_RDWR | O_NONBLOCK, 0, err);
	struct stat st;

	if (fd < 0)
		return fd == RC_ABSENT ? 0 : fd;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat the lock \"%s\"", name);
	if (lock.l_type == F_UNLCK)
		return 0;
	ret->pid = (int)pid_read(fd);
	ret->since = st.st_mtime;
	return 1;
}
