/* SPDX-License-Identifier: ISC */
/*
 * Files that survive a power cut whole.  The order is the point: content is flushed before the
 * name points to it, and the directory after, so the name never leads to half a file.  Memory
 * sticks that lie about writes are caught by reading past the page cache.
 */
#include "core/os/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/random.h"

/* One read of a comparison, in whole units of what O_DIRECT wants its buffer aligned to. */
#define COPY_BYTES   (1u << 20)
#define DIRECT_ALIGN 4096u
/* Of a name, in its dot-name: dot, dash, 16 digits and NUL must fit as well. */
#define STEM_BYTES (LIMIT_NAME - 18)

/*
 * The last resort looks first and renames then.  Between the two somebody else may make the name
 * and lose it; on the file systems that need this (FAT over FUSE) every name of ours carries the
 * digest of its content, so that the loser had the same bytes.
 */
static int rename_after_stat(int dirfd, const char *from, const char *to)
{
	struct stat st;

	if (fstatat(dirfd, to, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return errno == ENOENT ? renameat(dirfd, from, dirfd, to) : -1;
}

int rename_new(int dirfd, const char *from, const char *to, struct err *err)
{
	int done = renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE);

	if (done < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
		done = linkat(dirfd, from, dirfd, to, 0);
		if (done == 0)
			unlinkat(dirfd, from, 0);
		else if (errno != EEXIST)
			done = rename_after_stat(dirfd, from, to);
	}
	if (done == 0)
		return 0;
	if (errno == EEXIST)
		return err_set(err, RC_CONFLICT, "\"%s\" exists already", to);
	return err_sys(err, RC_IO, "cannot name \"%s\"", to);
}

/* A random part, so that two writers of one name never write into one file. */
static int temporary_name(char *dst, size_t size, const char *name, struct err *err)
{
	char hex[RANDOM_HEX];

	if (random_hex(hex, 8, err) < 0)
		return err->rc;
	snprintf(dst, size, ".%.*s-%.16s", (int)STEM_BYTES, name, hex);
	return 0;
}

int durable_begin(int dirfd, const char *name, mode_t mode, struct durable *ret, struct err *err)
{
	struct durable d = {.dirfd = dirfd, .fd = -1};
	int rc;

	if (name[0] == '\0' || strchr(name, '/') != NULL || strlen(name) > LIMIT_NAME)
		return err_set(err, RC_PATH, "\"%s\" is not a file name", name);
	rc = temporary_name(d.temporary, sizeof(d.temporary), name, err);
	if (rc < 0)
		return rc;
	d.fd =
	    openat(dirfd, d.temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (d.fd < 0)
		return err_sys(err, RC_IO, "cannot make a file beside \"%s\"", name);
	*ret = d;
	return 0;
}

void durable_abort(struct durable *d)
{
	int saved = errno;

	if (d->fd < 0 && d->temporary[0] == '\0')
		return;
	fd_closep(&d->fd);
	unlinkat(d->dirfd, d->temporary, 0);
	*d = (struct durable)DURABLE_INIT;
	errno = saved;
}

/*
 * Close before rename: some network file systems report a failed write only then.  After the
 * rename the dot-name is gone, so a failure to flush the directory leaves nothing to remove.
 */
static int commit_steps(struct durable *d, const char *name, enum durable_flags flags,
			struct err *err)
{
	int rc = file_sync(d->fd, err);

	if (rc == 0)
		rc = fd_close(&d->fd, err);
	if (rc < 0)
		return rc;
	if ((flags & DURABLE_REPLACE) == 0)
		rc = rename_new(d->dirfd, d->temporary, name, err);
	else if (renameat(d->dirfd, d->temporary, d->dirfd, name) < 0)
		rc = err_sys(err, RC_IO, "cannot name \"%s\"", name);
	if (rc < 0)
		return rc;
	d->temporary[0] = '\0';
	return dir_sync(d->dirfd, err);
}

int durable_commit(struct durable *d, const char *name, enum durable_flags flags, struct err *err)
{
	int rc = commit_steps(d, name, flags, err);

	if (rc < 0 && d->temporary[0] != '\0')
		durable_abort(d);
	else
		*d = (struct durable)DURABLE_INIT;
	return rc < 0 ? rc : 0;
}

/* A source for content in memory. */
static int next_of_bytes(void *arg, uint8_t *dst, size_t n, size_t *ret_n, struct err *err)
{
	struct bytes *left = arg;

	*ret_n = n < left->n ? n : left->n;
	if (*ret_n > 0)
		memcpy(dst, left->p, *ret_n);
	left->p += *ret_n;
	left->n -= *ret_n;
	return 0;
}

static int verify(int dirfd, const char *name, struct bytes content, struct err *err)
{
	int rc = durable_compare(dirfd, name, next_of_bytes, &content, err);

	if (rc == 0)
		return err_set(err, RC_IO,
			       "\"%s\" reads back differently from what was written: the medium is "
			       "failing; use another one",
			       name);
	return rc < 0 ? rc : 0;
}

int durable_write(int dirfd, const char *name, struct bytes content, mode_t mode,
		  enum durable_flags flags, struct err *err)
{
	OWNED(durable_abort) struct durable d = DURABLE_INIT;
	int rc = durable_begin(dirfd, name, mode, &d, err);

	if (rc == 0)
		rc = fd_write(d.fd, content.p, content.n, err);
	if (rc == 0)
		rc = durable_commit(&d, name, flags, err);
	if (rc == 0 && (flags & DURABLE_VERIFY) != 0)
		rc = verify(dirfd, name, content, err);
	if (rc < 0)
		err_prefix(err, "writing \"%s\"", name);
	return rc;
}

/* O_DIRECT where it works; else the page cache is asked to forget, which it does for clean pages.
 */
static int open_past_cache(int dirfd, const char *name, struct err *err)
{
	int fd = beneath_open(dirfd, name, O_RDONLY | O_NONBLOCK | O_DIRECT, 0, err);

	if (fd >= 0 || (errno != EINVAL && errno != EOPNOTSUPP))
		return fd;
	fd = beneath_open(dirfd, name, O_RDONLY | O_NONBLOCK, 0, err);
	if (fd >= 0)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return fd;
}

/* Some file systems take O_DIRECT at open and refuse the first read. */
static int drop_direct(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_DIRECT) == 0 || fcntl(fd, F_SETFL, flags & ~O_DIRECT) < 0)
		return -1;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* As fd_read, where O_DIRECT may be refused only now. */
static int read_past_cache(int fd, uint8_t *dst, size_t n, size_t *ret_n, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t done = read(fd, dst + got, n - got);

		if (done == 0)
			break;
		if (done > 0)
			got += (size_t)done;
		/* A short read may have left us where O_DIRECT cannot go on. */
		else if (errno != EINTR && (errno != EINVAL || drop_direct(fd) < 0))
			return err_sys(err, RC_IO, "cannot read back");
	}
	*ret_n = got;
	return 0;
}

int durable_compare(int dirfd, const char *name, durable_source *next, void *arg, struct err *err)
{
	OWNED(fd_closep) int fd = open_past_cache(dirfd, name, err);
	OWNED(freep) uint8_t *there = NULL, *wanted = NULL;

	if (fd < 0)
		return fd;
	there = aligned_alloc(DIRECT_ALIGN, COPY_BYTES);
	wanted = malloc(COPY_BYTES);
	if (there == NULL || wanted == NULL)
		return err_memory(err);
	for (;;) {
		size_t got = 0, want = 0;
		int rc = next(arg, wanted, COPY_BYTES, &want, err);

		if (rc == 0)
			rc = read_past_cache(fd, there, COPY_BYTES, &got, err);
		if (rc < 0)
			return err_prefix(err, "reading \"%s\" back", name);
		if (got != want || memcmp(there, wanted, got) != 0)
			return 0;
		if (got < COPY_BYTES)
			return 1;
	}
}

int durable_digest(int dirfd, const char *name,
		   int (*each)(void *arg, uint64_t done, struct err *err), void *arg,
		   struct digest *ret, struct err *err)
{
	OWNED(fd_closep) int fd = open_past_cache(dirfd, name, err);
	OWNED(freep) uint8_t *there = NULL;
	struct digest_stream d;
	uint64_t done = 0;
	size_t got;

	if (fd < 0)
		return fd;
	there = aligned_alloc(DIRECT_ALIGN, COPY_BYTES);
	if (there == NULL)
		return err_memory(err);
	digest_start(&d);
	do {
		int rc = read_past_cache(fd, there, COPY_BYTES, &got, err);

		if (rc < 0)
			return err_prefix(err, "reading \"%s\" back", name);
		digest_more(&d, there, got);
		done += got;
		rc = each(arg, done, err);
		if (rc < 0)
			return rc;
	} while (got == COPY_BYTES);
	*ret = digest_end(&d);
	return 0;
}

/*
 * is_litter(entry, stem, suffix): ".STEM-" and 16 digits; ${stem} NULL: any that ends with
 * ${suffix}.  Exactly what temporary_name makes; a person's own dot-file is never taken for it.
 */
static bool is_litter(const char *entry, const char *stem, const char *suffix)
{
	size_t n = strlen(entry), end = strlen(suffix);

	if (n < 18 || entry[0] != '.' || entry[n - 17] != '-' ||
	    strspn(entry + n - 16, "0123456789abcdef") != 16)
		return false;
	if (stem != NULL)
		return strlen(stem) == n - 18 && memcmp(entry + 1, stem, n - 18) == 0;
	return end <= n - 18 && memcmp(entry + n - 17 - end, suffix, end) == 0;
}

struct sweep {
	const char *stem, *suffix; /* as for is_litter */
};

static int sweep_entry(void *arg, const struct dir_entry *entry, struct err *err)
{
	const struct sweep *s = arg;

	if (is_litter(entry->name, s->stem, s->suffix))
		unlinkat(entry->dirfd, entry->name, 0);
	return 0;
}

static int sweep(int dirfd, const char *stem, const char *suffix, struct err *err)
{
	return dir_each(dirfd, ".", 0, sweep_entry, &(struct sweep){stem, suffix}, err);
}

int durable_sweep(int dirfd, const char *name, struct err *err)
{
	char stem[LIMIT_NAME + 1];

	snprintf(stem, sizeof(stem), "%.*s", (int)STEM_BYTES, name);
	return sweep(dirfd, stem, "", err);
}

int durable_sweep_all(int dirfd, const char *suffix, struct err *err)
{
	return sweep(dirfd, NULL, suffix, err);
}
