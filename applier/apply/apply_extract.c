/* SPDX-License-Identifier: ISC */
/*
 * Single contents out of a bundle, for a repair: the bundle is read and verified as for an apply,
 * but only what was asked for by its digest is written, under that digest, into a directory of
 * ours.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

#define EXTRACT_PIECE (256u << 10)
#define EXTRACT_PART  "part" /* name of one that is not whole yet */

struct extract {
	struct reader *r;
	const struct digest *wanted; /* borrowed; ascending */
	size_t n;
	bool *have; /* borrowed; of each */
	int dirfd;  /* borrowed */
	uint8_t *p; /* owned; EXTRACT_PIECE bytes */
	size_t found;
};

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

/** Exactly ${n} bytes of the stream. */
static int take(struct extract *x, size_t n, struct err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t more = reader_read(x->r, x->p + got, n - got, err);

		if (more < 0)
			return (int)more;
		if (more == 0) {
			int rc = reader_end(x->r, err);

			return rc < 0 ? rc
				      : err_set(err, RC_MALFORMED,
						"the bundle ends before its list of changes does");
		}
		got += (size_t)more;
	}
	return 0;
}

static int header(struct extract *x, const struct change *c, struct err *err)
{
	uint32_t n;

	if (take(x, MEMBER_HEADER, err) < 0)
		return err->rc;
	n = get_u32(x->p);
	if (n > MEMBER_NAME || get_u64(x->p + 4) != c->size)
		return err_set(err, RC_MALFORMED, "%s: the payload has another member in its place",
			       c->path);
	return take(x, n, err);
}

/** The next content of the stream: to ${fd}, when it is not -1, and always hashed. */
static int content(struct extract *x, const struct change *c, int fd, struct digest *ret,
		   struct err *err)
{
	struct digest_stream hash;
	uint64_t left = c->size;

	digest_start(&hash);
	while (left > 0) {
		size_t n = left < EXTRACT_PIECE ? (size_t)left : EXTRACT_PIECE;

		if (take(x, n, err) < 0 || (fd >= 0 && fd_write(fd, x->p, n, err) < 0))
			return err->rc;
		digest_more(&hash, x->p, n);
		left -= n;
	}
	*ret = digest_end(&hash);
	return 0;
}

static int content_keep(struct extract *x, const struct change *c, struct err *err)
{
	OWNED(fd_closep) int fd = -1;
	char name[DIGEST_HEX + 1];
	struct digest is;

	if (unlinkat(x->dirfd, EXTRACT_PART, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove what was fetched before");
	fd = beneath_open(x->dirfd, EXTRACT_PART, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	if (fd < 0 || content(x, c, fd, &is, err) < 0)
		return err->rc;
	if (!digest_equal(&is, &c->digest))
		return err_set(err, RC_MALFORMED, "%s: its content is not the one that was signed",
			       c->path);
	digest_hex(name, &is);
	if (fd_close(&fd, err) < 0)
		return err->rc;
	return renameat(x->dirfd, EXTRACT_PART, x->dirfd, name) == 0
		   ? 0
		   : err_sys(err, RC_IO, "cannot keep what was fetched");
}

static int extract_line(struct extract *x, const struct change *c, struct err *err)
{
	const struct digest *at = bsearch(&c->digest, x->wanted, x->n, sizeof(*at), by_bytes);
	struct digest is;

	if (header(x, c, err) < 0)
		return err->rc;
	if (at == NULL || x->have[at - x->wanted])
		return content(x, c, -1, &is, err);
	if (content_keep(x, c, err) < 0)
		return err->rc;
	x->have[at - x->wanted] = true;
	x->found++;
	return 0;
}

/** Is it in the list at all?  A bundle that has nothing of it is not read any further. */
static int list_has(struct extract *x, const struct changelist *list, size_t *ret, struct err *err)
{
	static const char *const words[] = {"put ", NULL};
	OWNED(line_reader_clear) struct line_reader lines = {0};
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	int rc = c == NULL ? err_memory(err) : line_reader_open(list, &lines, err);

	*ret = 0;
	while (rc >= 0 && (rc = line_reader_next_of(&lines, words, c, err)) > 0) {
		const struct digest *at =
		    bsearch(&c->digest, x->wanted, x->n, sizeof(*at), by_bytes);

		*ret += at != NULL && !x->have[at - x->wanted];
	}
	return rc;
}

static int extract_all(struct extract *x, const struct changelist *list, struct err *err)
{
	static const char *const words[] = {"put ", NULL};
	OWNED(line_reader_clear) struct line_reader lines = {0};
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	size_t left = 0;
	int rc = c == NULL ? err_memory(err) : list_has(x, list, &left, err);

	if (rc < 0 || left == 0)
		return rc;
	rc = line_reader_open(list, &lines, err);
	while (rc >= 0 && x->found < left && (rc = line_reader_next_of(&lines, words, c, err)) > 0)
		rc = extract_line(x, c, err);
	return rc < 0 ? rc : 0;
}

int apply_extract(struct station *s, const struct apply_bundle *b, const struct digest *wanted,
		  size_t n, bool *have, int dirfd, struct err *err)
{
	struct reader reader = READER_INIT;
	struct changelist list = CHANGELIST_INIT;
	struct extract x = {.r = &reader, .wanted = wanted, .n = n, .have = have, .dirfd = dirfd};
	int rc;

	x.p = malloc(EXTRACT_PIECE);
	rc = x.p == NULL ? err_memory(err) : reader_start(b, &reader, err);
	if (rc == 0)
		rc = changelist_new(s->statefd, &list, err);
	if (rc == 0)
		rc = reader_changes(&reader, b, &list, err);
	if (rc == 0)
		rc = extract_all(&x, &list, err);
	reader_stop(&reader);
	changelist_clear(&list);
	free(x.p);
	return rc < 0 ? rc : (int)(x.found > 0);
}
