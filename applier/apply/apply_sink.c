/* SPDX-License-Identifier: ISC */
/*
 * A file that is being written into the staging area: hashed as it goes in, compared at the end,
 * and given its owner, mode and time before it has any name that matters.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <sodium.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

#define HOLE_BYTES  (64u << 10) /* shorter runs of zeros are written */
#define CLONE_BYTES (64u << 10) /* smaller ones are copied */
#define START_BYTES (16u << 20) /* a large file goes to the disk in steps, not all at the end */

/* O_EXCL: numbers are used once, so a name that is there was put there by somebody else. */
static int sink_open(struct sink *k, int dirfd, const char *name, const struct file_spec *w,
		     struct err *err)
{
	*k = (struct sink){.holes = w->size > SMALL_FILE};
	k->fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		       w->meta.mode & 0777);
	if (k->fd < 0)
		return err_sys(err, RC_IO, "cannot make a file in the staging area");
	digest_start(&k->hash);
	return 0;
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/** Bytes from ${p} up to the next hole, or of the hole that begins there. */
static size_t run_length(const struct sink *k, const uint8_t *p, size_t n, bool *ret_hole)
{
	size_t i = 0, step = HOLE_BYTES - k->at % HOLE_BYTES;

	*ret_hole = false;
	if (!k->holes)
		return n;
	for (; i < n; i += step, step = HOLE_BYTES) {
		bool hole = step == HOLE_BYTES && n - i >= HOLE_BYTES && is_zero(p + i, HOLE_BYTES);

		if (i == 0)
			*ret_hole = hole;
		else if (hole != *ret_hole)
			return i;
	}
	return n;
}

static int sink_write(struct sink *k, struct bytes piece, struct err *err)
{
	digest_more(&k->hash, piece.p, piece.n);
	while (piece.n > 0) {
		bool hole;
		size_t n = run_length(k, piece.p, piece.n, &hole);

		if (hole ? lseek(k->fd, (off_t)n, SEEK_CUR) < 0
			 : fd_write(k->fd, piece.p, n, err) < 0)
			return hole ? err_sys(err, RC_IO, "cannot write to the staging area")
				    : err_prefix(err, "cannot write to the staging area");
		if (k->at / START_BYTES != (k->at + n) / START_BYTES)
			sync_file_range(k->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
		k->at += n;
		piece = (struct bytes){piece.p + n, piece.n - n};
	}
	return 0;
}

static int sink_clone(struct sink *k, int in, const struct file_spec *w, uint8_t *buffer, size_t n,
		      struct err *err)
{
	if (w->size < CLONE_BYTES || ioctl(k->fd, FICLONE, in) < 0)
		return 0;
	/* Its owner may have written more since it was looked at: nobody hashes that. */
	if (ftruncate(k->fd, (off_t)w->size) < 0)
		return err_sys(err, RC_IO, "cannot write to the staging area");
	/* What is shared now is what counts, so it is that which is hashed. */
	while (k->at < w->size) {
		size_t piece = w->size - k->at < n ? (size_t)(w->size - k->at) : n;

		if (fd_pread(k->fd, buffer, piece, k->at, err) < 0)
			return err->rc;
		digest_more(&k->hash, buffer, piece);
		k->at += piece;
	}
	return 1;
}

static bool sink_fits(const struct sink *k, const struct file_spec *w)
{
	struct digest_stream hash = k->hash;
	struct digest is = digest_end(&hash);

	return k->at == w->size && digest_equal(&is, &w->digest);
}

/*
 * The digest is compared before the file gets its owner and mode: set-id bits never stand on
 * content that nobody signed.
 */
static int sink_end(struct sink *k, const char *path, const struct file_spec *w, bool sync,
		    struct err *err)
{
	struct stat st;

	if (!sink_fits(k, w))
		return err_set(err, RC_MALFORMED, "%s: its content is not the one that was signed",
			       path);
	if (k->holes && ftruncate(k->fd, (off_t)k->at) < 0)
		return err_sys(err, RC_IO, "cannot write to the staging area");
	if (fstat(k->fd, &st) < 0)
		return err_sys(err, RC_IO, "%s: cannot stat it", path);
	if ((uint64_t)st.st_size != w->size)
		return err_set(err, RC_MALFORMED, "%s: it is longer than the one that was signed",
			       path);
	if (meta_set_new(k->fd, &st, &w->meta, err) < 0)
		return err_prefix(err, "%s", path);
	if (sync && fsync(k->fd) < 0)
		return err_sys(err, RC_IO, "%s: cannot flush it", path);
	w->line->ino = st.st_ino;
	return fd_close(&k->fd, err);
}

void sink_clear(struct sink *k)
{
	sodium_memzero(&k->hash, sizeof(k->hash)); /* it holds the last bytes */
	fd_closep(&k->fd);
}

/* What a thread writes */

static int parent_of(struct writer *f, char *staged, const char **ret_name, struct err *err)
{
	char *slash = strrchr(staged, '/');

	if (slash == NULL) {
		*ret_name = staged;
		return f->dirs.rootfd;
	}
	*ret_name = slash + 1;
	return dirs_open(&f->dirs, staged, (size_t)(slash - staged), err);
}

int sink_small(struct writer *f, const struct staged *i, struct err *err)
{
	OWNED(sink_clear) struct sink k = {.fd = -1};
	char staged[LIMIT_PATH + 32];
	const char *name;
	int dirfd;

	stage_path(staged, i->want.op, i->path, i->want.skip);
	dirfd = parent_of(f, staged, &name, err);
	if (dirfd < 0 || sink_open(&k, dirfd, name, &i->want, err) < 0 ||
	    (i->content.n > 0 && sink_write(&k, i->content, err) < 0) ||
	    sink_end(&k, i->path, &i->want, f->sync_each, err) < 0)
		return err->rc;
	return 0;
}

/** Copy the source into the sink: its blocks where the file system shares them, else its bytes. */
static int copy_bytes(struct writer *f, struct sink *k, int in, const struct file_spec *w,
		      struct err *err)
{
	size_t n;

	if (f->buffer == NULL && (f->buffer = malloc(ARENA_BYTES)) == NULL)
		return err_memory(err);
	if (sink_clone(k, in, w, f->buffer, ARENA_BYTES, err) != 0)
		return err->rc;
	do {
		if (fd_read(in, f->buffer, ARENA_BYTES, &n, err) < 0 ||
		    (n > 0 && sink_write(k, (struct bytes){f->buffer, n}, err) < 0))
			return err->rc;
	} while (n == ARENA_BYTES && k->at <= w->size);
	return 0;
}

/** A copy whose source is another content by now is no error: its line stays without inode. */
int sink_copy(struct writer *f, const struct staged *i, struct err *err)
{
	OWNED(fd_closep)
	int in = beneath_open(i->fromfd, i->from, O_RDONLY | O_NONBLOCK, 0, ERR_IGNORED);
	OWNED(sink_clear) struct sink k = {.fd = -1};
	char staged[LIMIT_PATH + 32];
	const char *name;
	struct stat st;
	int dirfd;

	if (in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != i->want.size)
		return 0;
	stage_path(staged, i->want.op, i->path, i->want.skip);
	dirfd = parent_of(f, staged, &name, err);
	if (dirfd < 0 || sink_open(&k, dirfd, name, &i->want, err) < 0 ||
	    copy_bytes(f, &k, in, &i->want, err) < 0)
		return err->rc;
	if (sink_fits(&k, &i->want))
		return sink_end(&k, i->path, &i->want, f->sync_each, err);
	if (unlinkat(dirfd, name, 0) < 0)
		return err_sys(err, RC_IO, "cannot remove a file in the staging area");
	return 0;
}

int sink_piece(struct writer *f, struct sink *k, const char *path, const struct file_spec *w,
	       struct bytes piece, struct err *err)
{
	char staged[LIMIT_PATH + 32];
	const char *name;
	int dirfd;

	if (k->fd < 0) {
		stage_path(staged, w->op, path, w->skip);
		dirfd = parent_of(f, staged, &name, err);
		if (dirfd < 0 || sink_open(k, dirfd, name, w, err) < 0)
			return err->rc;
	}
	if (sink_write(k, piece, err) < 0)
		return err->rc;
	return k->at < w->size ? 0 : sink_end(k, path, w, f->sync_each, err);
}
