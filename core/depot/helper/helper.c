/* SPDX-License-Identifier: ISC */
/*
 * The helper of a depot: the only process that touches it.  It holds one directory, is confined to
 * it once that is open, and dies with its parent; when the medium hangs it is the one that hangs.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/depot/helper/helper.h"
#include "core/os/beneath.h"
#include "core/os/confine.h"
#include "core/os/durable.h"

int helper_malformed(struct err *err)
{
	return err_set(err, RC_INTERNAL, "the helper was asked in a form that it does not know");
}

int helper_done(struct helper *h, const struct buf *body, struct err *err)
{
	return frame_send(h->fd, TELL_DONE, bytes_in(body), err);
}

int helper_alive(struct helper *h, enum phase phase, uint64_t done, struct err *err)
{
	uint8_t raw[16];

	put_u64(raw, phase);
	put_u64(raw + 8, done);
	return frame_send(h->fd, TELL_ALIVE, (struct bytes){raw, sizeof(raw)}, err);
}

static int tell_number(struct helper *h, uint64_t v, struct err *err)
{
	uint8_t raw[8];

	put_u64(raw, v);
	return frame_send(h->fd, TELL_DONE, (struct bytes){raw, sizeof(raw)}, err);
}

static int tell_nothing(struct helper *h, struct err *err)
{
	return frame_send(h->fd, TELL_DONE, (struct bytes){NULL, 0}, err);
}

static int tell_fail(int fd, int system, const struct err *failed)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err;
	int rc = pack_number(&b, (uint64_t)-failed->rc, &err);

	if (rc == 0)
		rc = pack_number(&b, (uint64_t)system, &err);
	if (rc == 0)
		rc = buf_text(&b, failed->text, &err);
	return rc < 0 ? rc : frame_send(fd, TELL_FAIL, bytes_in(&b), &err);
}

static int answer_read(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	char path[LIMIT_PATH + 1];
	uint64_t max;
	int rc;

	if (!field_number(&in, &max) || !field_text(&in, path))
		return helper_malformed(err);
	rc = file_read(h->root, path, (size_t)max, &b, err);
	return rc < 0 ? rc : helper_done(h, &b, err);
}

static int answer_size(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(fd_closep) int fd = -1;
	char path[LIMIT_PATH + 1];
	struct stat st;

	if (!field_text(&in, path))
		return helper_malformed(err);
	fd = beneath_file(h->root, path, &st, err);
	return fd < 0 ? fd : tell_number(h, (uint64_t)st.st_size, err);
}

/* A reader goes through a file from its start; a file that was put in its place is seen then. */
static int fetch_open(struct helper *h, const char *path, uint64_t offset, struct err *err)
{
	if (h->fetch_fd >= 0 && offset > 0 && strcmp(h->fetched, path) == 0)
		return 0;
	fd_closep(&h->fetch_fd);
	h->fetched[0] = '\0';
	h->fetch_fd = beneath_file(h->root, path, NULL, err);
	if (h->fetch_fd < 0)
		return h->fetch_fd;
	posix_fadvise(h->fetch_fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	strcpy(h->fetched, path);
	return 0;
}

static int answer_fetch(struct helper *h, struct bytes in, int passed, struct err *err)
{
	char path[LIMIT_PATH + 1];
	uint64_t offset, n;
	int rc;

	if (!field_number(&in, &offset) || !field_number(&in, &n) || !field_text(&in, path))
		return helper_malformed(err);
	rc = fetch_open(h, path, offset, err);
	while (rc == 0 && n > 0) {
		size_t some = n < BLOCK_BYTES ? (size_t)n : BLOCK_BYTES;

		rc = fd_pread(h->fetch_fd, h->chunk, some, offset, err);
		if (rc == 0)
			rc = frame_send(h->fd, TELL_DATA, (struct bytes){h->chunk, some}, err);
		offset += some;
		n -= some;
	}
	return rc < 0 ? err_prefix(err, "reading \"%s\"", path) : 0;
}

/*
 * The descriptor is opened for reading here and used by a confined reader, which cannot open
 * anything itself.
 */
static int answer_fd(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(fd_closep) int fd = -1;
	char path[LIMIT_PATH + 1];

	if (!field_text(&in, path))
		return helper_malformed(err);
	fd = beneath_file(h->root, path, NULL, err);
	return fd < 0 ? fd : frame_send_fd(h->fd, TELL_DONE, (struct bytes){NULL, 0}, fd, err);
}

static int answer_remove(struct helper *h, struct bytes in, int passed, struct err *err)
{
	OWNED(fd_closep) int dir = -1;
	char path[LIMIT_PATH + 1];
	const char *name;

	if (!field_text(&in, path))
		return helper_malformed(err);
	dir = beneath_parent(h->root, path, &name, err);
	if (dir < 0 && dir != RC_ABSENT)
		return dir;
	if (dir >= 0 && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove \"%s\"", path);
	return tell_nothing(h, err);
}

int helper_free_bytes(struct helper *h, uint64_t *ret, struct err *err)
{
	struct statvfs v;

	if (fstatvfs(h->root, &v) < 0)
		return err_sys(err, RC_IO, "cannot ask for the free space");
	*ret = space_free(&v);
	return 0;
}

static int answer_free(struct helper *h, struct bytes in, int passed, struct err *err)
{
	uint64_t bytes = 0;
	int rc = helper_free_bytes(h, &bytes, err);

	return rc < 0 ? rc : tell_number(h, bytes, err);
}

static int answer_where(struct helper *h, struct bytes in, int passed, struct err *err)
{
	char link[40], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", h->root);
	n = readlink(link, path, sizeof(path));
	if (n < 0 || (size_t)n == sizeof(path))
		return err_sys(err, RC_IO, "cannot find its path");
	return frame_send(h->fd, TELL_DONE, (struct bytes){(uint8_t *)path, (size_t)n}, err);
}

static helper_answer *const answers[ASK_COUNT] = {
    [ASK_LIST] = helper_list,     [ASK_NEXT] = helper_next, [ASK_STOP] = helper_stop,
    [ASK_BEGIN] = helper_begin,   [ASK_MORE] = helper_more, [ASK_COMMIT] = helper_commit,
    [ASK_ABORT] = helper_abort,   [ASK_READ] = answer_read, [ASK_SIZE] = answer_size,
    [ASK_FETCH] = answer_fetch,   [ASK_FD] = answer_fd,     [ASK_POST] = helper_post,
    [ASK_REMOVE] = answer_remove, [ASK_FREE] = answer_free, [ASK_WHERE] = answer_where,
    [ASK_PROBE] = helper_probe,   [ASK_TRY] = helper_try,   [ASK_ABOVE] = helper_above,
    [ASK_MARKER] = helper_marker,
};

/*
 * 1 when there may be another question, 0 when nobody asks any more.  Whatever goes wrong with one
 * question is told and the helper goes on; only a broken frame ends it, because nothing that
 * follows could be understood.
 */
static int answer_one(struct helper *h)
{
	OWNED(buf_clear) struct buf question = BUF_INIT;
	OWNED(fd_closep) int passed = -1;
	struct err err = {0};
	uint8_t type;
	size_t n;
	int rc = frame_head_fd(h->fd, ASK_MAX, -1, &type, &n, &passed, &err);

	if (rc <= 0)
		return 0;
	rc = buf_reserve(&question, n, &err);
	if (rc == 0)
		rc = frame_body(h->fd, question.p, n, -1, &err);
	if (rc < 0)
		return 0;
	errno = 0;
	rc = type < ASK_COUNT ? answers[type](h, (struct bytes){question.p, n}, passed, &err)
			      : helper_malformed(&err);
	return rc < 0 && tell_fail(h->fd, errno, &err) < 0 ? 0 : 1;
}

/* The directory that a depot was made in must remember it. */
static int root_make(const char *path, struct err *err)
{
	OWNED(freep) char *parent = strdup(path);
	OWNED(fd_closep) int fd = -1;
	size_t n = strlen(path);
	char *slash;

	if (mkdir(path, 0777) < 0)
		return errno == EEXIST ? 0 : err_sys(err, RC_IO, "cannot make the directory");
	if (parent == NULL)
		return err_memory(err);
	while (n > 1 && parent[n - 1] == '/')
		parent[--n] = '\0';
	slash = strrchr(parent, '/');
	if (slash != NULL)
		slash[slash == parent] = '\0';
	fd = os_open_dir(slash == NULL ? "." : parent, err);
	return fd < 0 ? fd : dir_sync(fd, err);
}

/*
 * A path on a medium may be a link to anywhere on this machine: whoever owns the medium would say
 * where we write.  So the very entry is looked at, and entered only when it is a directory.
 */
static int root_open(const struct helper_start *start, struct err *err)
{
	int rc = start->create ? root_make(start->path, err) : 0;
	OWNED(fd_closep) int fd = -1;
	struct stat st;

	if (rc < 0 || !start->no_link)
		return rc < 0 ? rc : os_open_dir(start->path, err);
	fd = open(start->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot open the directory");
	if (S_ISLNK(st.st_mode))
		return err_set(err, RC_PATH, "it is a symbolic link, which is not followed here");
	return beneath_dir(fd, ".", err);
}

/* The way to the directory is the caller's; what lies in it is a stranger's. */
static int root_confined(const struct helper_start *start, struct err *err)
{
	OWNED(fd_closep) int root = root_open(start, err);
	int rc = root < 0 ? root
			  : confine_self(start->write ? CONFINE_DEPOT_WRITER : CONFINE_DEPOT_READER,
					 root, err);

	return rc < 0 ? rc : TAKE_FD(root);
}

int helper_main(void *arg, int fd)
{
	struct helper h = {
	    .fd = fd, .root = -1, .fetch_fd = -1, .stream = {.dir = -1, .file = DURABLE_INIT}};
	struct err err = {0};

	h.chunk = malloc(BLOCK_BYTES);
	h.root = h.chunk == NULL ? err_memory(&err) : root_confined(arg, &err);
	if (h.root < 0)
		return tell_fail(fd, errno, &err) < 0 ? 1 : 0;
	if (tell_nothing(&h, &err) < 0)
		return 1;
	while (answer_one(&h) > 0)
		;
	durable_abort(&h.stream.file);
	return 0;
}
