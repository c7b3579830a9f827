/* SPDX-License-Identifier: ISC */
/*
 * Durable files: a dot-name in the same directory, fsync, rename, fsync of the directory.  After a
 * power cut the name holds the old content or the new one.
 */
#ifndef SATCHEL_CORE_OS_DURABLE_H
#define SATCHEL_CORE_OS_DURABLE_H

#include <stdint.h>
#include <sys/types.h>

#include "core/base/bytes.h"
#include "core/base/digest.h"
#include "core/base/limits.h"

enum durable_flags {
	DURABLE_REPLACE = 1 << 0, /* an existing file is replaced; else it is RC_CONFLICT */
	DURABLE_VERIFY = 1 << 1,  /* read back past the page cache and compare (removable media) */
};

/** durable_write(dirfd, name, content, mode, flags, err): ${name} is one component. */
int durable_write(int dirfd, const char *name, struct bytes content, mode_t mode,
		  enum durable_flags flags, struct err *err);

/** durable_write_many(dirfd, list, n, mode, err): several files of one directory, replacing what is
 * there; after a power cut each holds its old content or the new one.  A flush is shared by many,
 * so that a hundred thousand files cost seconds, not minutes. */
struct durable_file {
	const char *name;
	struct bytes content;
};
int durable_write_many(int dirfd, const struct durable_file *list, size_t n, mode_t mode,
		       struct err *err);

/**
 * The same in three steps, for content that does not fit into memory: durable_begin makes the
 * dot-name and opens it, the caller writes to ${d->fd} (fd_write), durable_commit gives it
 * its name.  durable_abort removes what was begun; fine on an empty or a committed one.
 * durable_commit does not verify: use durable_compare.
 */
struct durable {
	int dirfd; /* borrowed */
	int fd;    /* owned; -1 when there is nothing to commit */
	char temporary[LIMIT_NAME + 1];
};

#define DURABLE_INIT       \
	{                  \
		-1, -1, "" \
	}

/**
 * durable_begin(dirfd, name, mode, ret, err): make ".NAME-random" in ${dirfd} (borrowed until
 * commit or abort) with ${mode} less the umask, open for writing.  Errors: RC_PATH: ${name} is not
 * one component; RC_IO, RC_SPACE.
 * durable_commit(d, name, flags, err): flush, close, rename to ${name}, flush the directory.  ${d}
 * is empty afterwards, also on failure.  Errors: RC_CONFLICT: ${name} exists and DURABLE_REPLACE
 * is not set; RC_IO, RC_SPACE.
 * durable_abort(d): close and remove the dot-name; errno stays.  For OWNED.
 */
int durable_begin(int dirfd, const char *name, mode_t mode, struct durable *ret, struct err *err);
int durable_commit(struct durable *d, const char *name, enum durable_flags flags, struct err *err);
void durable_abort(struct durable *d);

/**
 * durable_compare(dirfd, name, next, arg, err):
 * Does the file, as the medium has it (read past the page cache where the file system allows that),
 * hold exactly the bytes that ${next} yields?  ${next} fills ${n} bytes and sets ${*ret_n} to less
 * only at its end.  Returns 1 or 0, or a negative code (that of ${next}, RC_IO, RC_PATH).
 */
typedef int durable_source(void *arg, uint8_t *dst, size_t n, size_t *ret_n, struct err *err);
int durable_compare(int dirfd, const char *name, durable_source *next, void *arg, struct err *err);

/** durable_digest(dirfd, name, each, arg, ret, err): the digest of the file as the medium has it,
 * likewise past the page cache; ${each} is told how many bytes were read so far. */
int durable_digest(int dirfd, const char *name,
		   int (*each)(void *arg, uint64_t done, struct err *err), void *arg,
		   struct digest *ret, struct err *err);

/** durable_sweep(dirfd, name, err): remove the dot-names that writers of ${name} left when they
 * were killed.  One that is being written meanwhile fails, and may be tried again. */
int durable_sweep(int dirfd, const char *name, struct err *err);
/** durable_sweep_all(dirfd, suffix, err): those of all names that end with ${suffix}. */
int durable_sweep_all(int dirfd, const char *suffix, struct err *err);

/**
 * rename_new(dirfd, from, to, err): rename within one directory without replacing anything; when
 * ${to} exists RC_CONFLICT.  Where the file system has no RENAME_NOREPLACE (FUSE, FAT) by a hard
 * link, and where it has none either by looking first.
 */
int rename_new(int dirfd, const char *from, const char *to, struct err *err);

/** dir_sync(fd, err): flush a directory; a file system that cannot (EINVAL) is fine. */
int dir_sync(int fd, struct err *err);
/** file_sync(fd, err): flush a file, content and metadata. */
int file_sync(int fd, struct err *err);

/** file_read(dirfd, path, max, ret, err): a regular file of at most ${max} bytes, whole, beneath
 * ${dirfd}, opened O_NOFOLLOW | O_NONBLOCK.  Errors: RC_TYPE, RC_LIMIT, RC_PATH, RC_IO (errno
 * kept). */
int file_read(int dirfd, const char *path, size_t max, struct buf *ret, struct err *err);

/** fd_write(fd, p, n, err), fd_read(fd, p, n, ret_n, err): all of it, EINTR and short counts
 * handled; fd_read stops early only at the end of the file. */
int fd_write(int fd, const void *p, size_t n, struct err *err);
int fd_read(int fd, void *p, size_t n, size_t *ret_n, struct err *err);
/** fd_pread(fd, p, n, offset, err): exactly n bytes, else RC_INCOMPLETE. */
int fd_pread(int fd, void *p, size_t n, uint64_t offset, struct err *err);
/** space_free(v): bytes for us, as ${v} says; UINT64_MAX on file systems that do not know (rclone,
 * 9p: there is no limit that we could see) or that have more. */
struct statvfs;
uint64_t space_free(const struct statvfs *v);
/** inodes_free(v): files that can be made; UINT64_MAX where none are counted (btrfs, FAT) or what
 * is said means nothing (rclone: a thousand million, of which none is free). */
uint64_t inodes_free(const struct statvfs *v);
/** fd_close(fd, err): close and report; ${*fd} becomes -1. */
int fd_close(int *fd, struct err *err);

#endif
