/* SPDX-License-Identifier: ISC */
/*
 * Memory first, a nameless file later.  Small publishes, which are nearly all, never touch the
 * disk here; the file has no name, so that a killed run leaves nothing behind.
 */
#include "bundler/pack/pack_spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/os/durable.h"

#define SPOOL_MEMORY (512u << 10) /* bytes kept in memory before they go to the file */

struct spool {
	int dirfd;        /* borrowed */
	int fd;           /* owned; -1 while everything fits into memory */
	uint64_t flushed; /* bytes in the file */
	uint8_t *tail;    /* owned; what follows them */
	size_t tail_n, tail_cap;
};

int spool_new(int dirfd, struct spool **ret, struct err *err)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_memory(err);
	s->dirfd = dirfd;
	s->fd = -1;
	*ret = s;
	return 0;
}

void spool_freep(struct spool **s)
{
	if (*s == NULL)
		return;
	fd_closep(&(*s)->fd);
	free((*s)->tail);
	free(*s);
	*s = NULL;
}

/* A file without a name: nothing is left behind, whatever kills us. */
static int spool_file(struct spool *s, struct err *err)
{
	static const char name[] = ".spool";

	if (s->fd >= 0)
		return 0;
	s->fd = openat(s->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return 0;
	/* File systems without O_TMPFILE; the lock of the site makes us the only user of the name.
	 */
	unlinkat(s->dirfd, name, 0);
	s->fd = openat(s->dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0)
		return err_sys(err, RC_IO, "cannot make a temporary file in the state directory");
	unlinkat(s->dirfd, name, 0);
	return 0;
}

static int spool_write(struct spool *s, const void *p, size_t n, struct err *err)
{
	int rc = spool_file(s, err);

	if (rc < 0)
		return rc;
	for (size_t done = 0; done < n;) {
		ssize_t got =
		    pwrite(s->fd, (const uint8_t *)p + done, n - done, (off_t)(s->flushed + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, RC_IO,
				       "cannot write a temporary file in the state directory");
		done += (size_t)got;
	}
	s->flushed += n;
	return 0;
}

static int spool_flush(struct spool *s, struct err *err)
{
	int rc = spool_write(s, s->tail, s->tail_n, err);

	if (rc == 0)
		s->tail_n = 0;
	return rc;
}

static int spool_room(struct spool *s, size_t n, struct err *err)
{
	size_t cap = s->tail_cap == 0 ? 4096 : s->tail_cap;
	uint8_t *p;

	while (cap < s->tail_n + n)
		cap *= 2;
	if (cap == s->tail_cap)
		return 0;
	p = realloc(s->tail, cap);
	if (p == NULL)
		return err_memory(err);
	s->tail = p;
	s->tail_cap = cap;
	return 0;
}

int spool_add(struct spool *s, const void *p, size_t n, struct err *err)
{
	int rc;

	if (n == 0)
		return 0;
	if (s->tail_n + n > SPOOL_MEMORY) {
		rc = spool_flush(s, err);
		if (rc < 0)
			return rc;
	}
	if (n > SPOOL_MEMORY)
		return spool_write(s, p, n, err);
	rc = spool_room(s, n, err);
	if (rc < 0)
		return rc;
	memcpy(s->tail + s->tail_n, p, n);
	s->tail_n += n;
	return 0;
}

uint64_t spool_size(const struct spool *s)
{
	return s->flushed + s->tail_n;
}

/* A read may begin in the file and end in memory; both together look like one run of bytes. */
int spool_read(const struct spool *s, uint64_t offset, void *dst, size_t n, struct err *err)
{
	size_t from_file = 0;
	int rc;

	if (offset > spool_size(s) || n > spool_size(s) - offset)
		return err_set(err, RC_INTERNAL, "read beyond the end of a spool");
	if (offset < s->flushed)
		from_file = n < s->flushed - offset ? n : (size_t)(s->flushed - offset);
	if (from_file > 0) {
		rc = fd_pread(s->fd, dst, from_file, offset, err);
		if (rc < 0)
			return rc;
	}
	if (n > from_file)
		memcpy((uint8_t *)dst + from_file, s->tail + (offset + from_file - s->flushed),
		       n - from_file);
	return 0;
}
