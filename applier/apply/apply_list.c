/* SPDX-License-Identifier: ISC */
/*
 * The list of changes lies in a file, because a million lines do not belong in memory.  It has no
 * name until its run is about to commit: a run that ends before leaves nothing behind.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/durable.h"

#define CHANGELIST_BUFFER (128u << 10) /* more than four of the longest lines */
#define CHANGELIST_STEP   4096u        /* where only a line or two are wanted */
_Static_assert(CHANGELIST_BUFFER > 4 * LIMIT_CHANGE_LINE, "a line must fit the buffer");

static void changelist_name(char dst[128], const char *tree, const char *suffix)
{
	snprintf(dst, 128, ".changes-%s%s", tree, suffix);
}

int changelist_new(int statefd, struct changelist *ret, struct err *err)
{
	int fd = openat(statefd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(err, RC_IO, "cannot make a temporary file in the state directory");
	*ret = (struct changelist)CHANGELIST_INIT;
	ret->fd = fd;
	return 0;
}

void changelist_clear(struct changelist *s)
{
	fd_closep(&s->fd);
	free(s->mark);
	*s = (struct changelist)CHANGELIST_INIT;
}

int changelist_add(struct changelist *s, struct bytes piece, struct err *err)
{
	if (fd_write(s->fd, piece.p, piece.n, err) < 0)
		return err_prefix(err, "cannot keep the list of changes");
	s->size += piece.n;
	return 0;
}

int changelist_digest(const struct changelist *s, struct digest *ret, struct err *err)
{
	OWNED(freep) uint8_t *p = malloc(CHANGELIST_BUFFER);
	struct digest_stream hash;
	uint64_t at = 0;

	if (p == NULL)
		return err_memory(err);
	digest_start(&hash);
	while (at < s->size) {
		size_t n =
		    s->size - at < CHANGELIST_BUFFER ? (size_t)(s->size - at) : CHANGELIST_BUFFER;

		if (fd_pread(s->fd, p, n, at, err) < 0)
			return err->rc;
		digest_more(&hash, p, n);
		at += n;
	}
	*ret = digest_end(&hash);
	return 0;
}

int changelist_mark(struct changelist *s, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader c = {0};
	size_t cap = 0;

	if (line_reader_open(s, &c, err) < 0)
		return err->rc;
	free(TAKE(s->mark));
	s->lines = s->marks = 0;
	for (;;) {
		uint64_t start = c.offset - (c.to - c.from);
		struct bytes raw;
		int rc = line_reader_raw(&c, &raw, err);

		if (rc <= 0)
			return rc;
		if (s->lines % CHANGELIST_MARK == 0) {
			if (s->marks == cap) {
				size_t more = cap > 0 ? cap * 2 : 256;
				uint64_t *grown = realloc(s->mark, more * sizeof(*grown));

				if (grown == NULL)
					return err_memory(err);
				s->mark = grown;
				cap = more;
			}
			s->mark[s->marks++] = start;
		}
		s->lines++;
	}
}

int changelist_keep(struct changelist *s, int statefd, const char *tree, struct err *err)
{
	char self[64], name[128];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", s->fd);
	changelist_name(name, tree, "");
	if (fsync(s->fd) < 0)
		return err_sys(err, RC_IO, "cannot flush the list of changes");
	if (unlinkat(statefd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove %s in the state directory", name);
	if (linkat(AT_FDCWD, self, statefd, name, AT_SYMLINK_FOLLOW) < 0)
		return err_sys(err, RC_IO, "cannot name the list of changes %s", name);
	if (fsync(statefd) < 0)
		return err_sys(err, RC_IO, "cannot flush the state directory");
	return 0;
}

int changelist_reopen(int statefd, const char *tree, const struct digest *digest,
		      struct changelist *ret, struct err *err)
{
	OWNED(changelist_clear) struct changelist s = CHANGELIST_INIT;
	struct digest is;
	struct stat st;
	char name[128];

	changelist_name(name, tree, "");
	s.fd = openat(statefd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (s.fd < 0 || fstat(s.fd, &st) < 0)
		return err_sys(err, RC_STATE, "the list of changes of the interrupted run is gone");
	s.size = (uint64_t)st.st_size;
	if (changelist_digest(&s, &is, err) < 0)
		return err->rc;
	if (!digest_equal(&is, digest))
		return err_set(err, RC_STATE,
			       "the list of changes of the interrupted run is damaged");
	if (changelist_mark(&s, err) < 0)
		return err->rc;
	*ret = s;
	s = (struct changelist)CHANGELIST_INIT;
	return 0;
}

void changelist_drop(int statefd, const char *tree)
{
	char name[128];

	changelist_name(name, tree, "");
	unlinkat(statefd, name, 0);
}

int line_reader_open(const struct changelist *s, struct line_reader *ret, struct err *err)
{
	*ret = (struct line_reader){.list = s, .step = CHANGELIST_BUFFER};
	ret->p = malloc(CHANGELIST_BUFFER);
	return ret->p == NULL ? err_memory(err) : 0;
}

void line_reader_clear(struct line_reader *c)
{
	free(c->p);
	c->p = NULL;
}

/** More bytes behind those that are there; 0 when there are no more. */
static int line_reader_fill(struct line_reader *c, struct err *err)
{
	uint64_t left = c->list->size - c->offset;
	size_t n = c->step;

	memmove(c->p, c->p + c->from, c->to - c->from);
	c->to -= c->from;
	c->from = 0;
	if (n > CHANGELIST_BUFFER - c->to)
		n = CHANGELIST_BUFFER - c->to;
	if (n > left)
		n = (size_t)left;
	if (n > 0 && fd_pread(c->list->fd, c->p + c->to, n, c->offset, err) < 0)
		return err->rc;
	c->offset += n;
	c->to += n;
	return n > 0;
}

int line_reader_raw(struct line_reader *c, struct bytes *ret, struct err *err)
{
	uint8_t *end;

	while ((end = memchr(c->p + c->from, '\n', c->to - c->from)) == NULL) {
		int rc = line_reader_fill(c, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
	}
	if (end == NULL && c->to == c->from)
		return 0;
	if (end == NULL)
		return err_set(err, RC_MALFORMED, "line %llu of the list of changes has no end",
			       (unsigned long long)c->line + 1);
	*ret = (struct bytes){c->p + c->from, (size_t)(end - c->p) - c->from};
	c->from = (size_t)(end - c->p) + 1;
	c->line++;
	return 1;
}

int line_reader_next(struct line_reader *c, struct change *ret, struct err *err)
{
	struct bytes raw;
	int rc = line_reader_raw(c, &raw, err);

	if (rc <= 0)
		return rc;
	if (change_parse(raw, ret, err) < 0)
		return err_prefix(err, "line %llu of the list of changes",
				  (unsigned long long)c->line);
	return 1;
}

int line_reader_next_of(struct line_reader *c, const char *const *words, struct change *ret,
			struct err *err)
{
	for (;;) {
		struct bytes raw;
		int rc = line_reader_raw(c, &raw, err);

		if (rc <= 0)
			return rc;
		for (const char *const *word = words; *word != NULL; word++)
			if (bytes_start(raw, *word))
				return change_parse(raw, ret, err) < 0 ? err->rc : 1;
	}
}

/** The path of a line, which is its last field. */
static int raw_path(struct bytes raw, char dst[LIMIT_PATH + 1], struct err *err)
{
	const uint8_t *space = memrchr(raw.p, ' ', raw.n);
	size_t skip = space == NULL ? 0 : (size_t)(space - raw.p) + 1;

	return text_decode((struct bytes){raw.p + skip, raw.n - skip}, dst, LIMIT_PATH + 1, err);
}

/** The last mark whose line is not after ${path}. */
static int find_mark(const struct changelist *s, struct line_reader *c, const char *path,
		     size_t *ret, struct err *err)
{
	size_t low = 0, high = s->marks;
	char is[LIMIT_PATH + 1];

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		struct bytes raw;
		int rc;

		c->offset = s->mark[middle];
		c->from = c->to = 0;
		rc = line_reader_raw(c, &raw, err);
		if (rc < 0 || raw_path(raw, is, err) < 0)
			return err->rc;
		if (path_compare(is, path) <= 0)
			low = middle;
		else
			high = middle;
	}
	*ret = low;
	return 0;
}

int changelist_find(const struct changelist *s, const char *path, struct change *ret,
		    uint64_t *ret_line, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader c = {0};
	char is[LIMIT_PATH + 1];
	size_t at = 0;

	if (s->marks == 0)
		return 0;
	if (line_reader_open(s, &c, err) < 0)
		return err->rc;
	c.step = CHANGELIST_STEP;
	if (find_mark(s, &c, path, &at, err) < 0)
		return err->rc;
	c.offset = s->mark[at];
	c.from = c.to = 0;
	for (uint64_t i = 0; i < CHANGELIST_MARK; i++) {
		struct bytes raw;
		int order, rc = line_reader_raw(&c, &raw, err);

		if (rc <= 0)
			return rc;
		if (raw_path(raw, is, err) < 0)
			return err->rc;
		order = path_compare(is, path);
		if (order > 0)
			return 0;
		if (order == 0) {
			*ret_line = at * CHANGELIST_MARK + i;
			return change_parse(raw, ret, err) < 0 ? err->rc : 1;
		}
	}
	return 0;
}
