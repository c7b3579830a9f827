#include "core/os/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

/* The lock is the truth; the number in the file is only for the sentence. */
static int busy(int fd, const char *what, struct err *err)
{
	char text[24];
	ssize_t n = pread(fd, text, sizeof(text), 0);
	uint64_t pid;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	if (n <= 0 || number_u64(text, (size_t)n, INT32_MAX, &pid, NULL) < 0)
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
