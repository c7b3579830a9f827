/* SPDX-License-Identifier: ISC */
/* Files by descriptor: all of it or an error, whatever signals and short counts do. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* One read or write of a copy. */
#define READ_BYTES (1u << 20)

int dir_sync(int fd, struct err *err)
{
	while (fsync(fd) < 0) {
		if (errno == EINTR)
			continue;
		/* FUSE, FAT and SMB have no such thing; they order their metadata themselves. */
		if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
			return 0;
		return err_sys(err, RC_IO, "cannot flush a directory to its medium");
	}
	return 0;
}

int file_sync(int fd, struct err *err)
{
	while (fsync(fd) < 0)
		if (errno != EINTR)
			return err_sys(err, RC_IO, "cannot flush a file to its medium");
	return 0;
}

int file_read(int dirfd, const char *path, size_t max, struct buf *ret, struct err *err)
{
	struct stat st;
	OWNED(fd_closep) int fd = beneath_file(dirfd, path, &st, err);
	OWNED(buf_clear) struct buf b = {.secret = ret->secret};
	int rc;

	if (fd < 0)
		return fd;
	/* One byte more than stat said, so that a file that grows is noticed. */
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return err_set(err, RC_LIMIT, "\"%s\" has %lld bytes; at most %zu are allowed",
			       path, (long long)st.st_size, max);
	for (;;) {
		size_t room = b.n == 0 ? (size_t)st.st_size + 1 : READ_BYTES;
		size_t got;

		rc = buf_reserve(&b, room, err);
		if (rc == 0)
			rc = fd_read(fd, b.p + b.n, room, &got, err);
		if (rc < 0)
			return err_prefix(err, "reading \"%s\"", path);
		b.n += got;
		if (b.n > max)
			return err_set(err, RC_LIMIT, "\"%s\" has more than %zu bytes", path, max);
		b.p[b.n] = '\0';
		if (got < room)
			break;
	}
	buf_clear(ret);
	*ret = b;
	b = (struct buf)BUF_INIT;
	return 0;
}

int fd_write(int fd, const void *p, size_t n, struct err *err)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t done = write(fd, at, n);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, RC_IO, "cannot write");
		}
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int fd_read(int fd, void *p, size_t n, size_t *ret_n, struct err *err)
{
	uint8_t *at = p;
	size_t got = 0;

	while (got < n) {
		ssize_t done = read(fd, at + got, n - got);

		if (done == 0)
			break;
		if (done < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, RC_IO, "cannot read");
		}
		got += (size_t)done;
	}
	*ret_n = got;
	return 0;
}

int fd_pread(int fd, void *p, size_t n, uint64_t offset, struct err *err)
{
	uint8_t *at = p;

	if (offset > INT64_MAX || n > (uint64_t)INT64_MAX - offset)
		return err_set(err, RC_LIMIT, "an offset beyond what files can have");
	while (n > 0) {
		ssize_t done = pread(fd, at, n, (off_t)offset);

		if (done == 0)
			return err_set(err, RC_INCOMPLETE, "the file ends at %llu, %zu bytes early",
				       (unsigned long long)offset, n);
		if (done < 0) {
			if (errno == EINTR)
				continue;
			return err_sys(err, RC_IO, "cannot read");
		}
		at += done;
		offset += (uint64_t)done;
		n -= (size_t)done;
	}
	return 0;
}

/* What every mount of rclone says that it has. */
#define RCLONE_FILES 1000000000ull

uint64_t space_free(const struct statvfs *v)
{
	uint64_t bytes;

	if (v->f_blocks == 0 ||
	    __builtin_mul_overflow((uint64_t)v->f_bavail, (uint64_t)v->f_frsize, &bytes))
		return UINT64_MAX;
	return bytes;
}

uint64_t inodes_free(const struct statvfs *v)
{
	if (v->f_files == 0 || (v->f_files == RCLONE_FILES && v->f_ffree == 0))
		return UINT64_MAX;
	return v->f_favail;
}

int fd_close(int *fd, struct err *err)
{
	int done = *fd >= 0 ? close(*fd) : 0;

	*fd = -1;
	/* Linux has closed it whatever close says; EINTR tells nothing about the content. */
	if (done < 0 && errno != EINTR)
		return err_sys(err, RC_IO, "cannot finish writing a file");
	return 0;
}
