/*
 * A file that is being written into the staging area: hashed as it goes in, compared at the end,
 * and given its owner, mode and time before it has any name that matters.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/durable.h"

#define HOLE_BYTES  (64u << 10) /* shorter runs of zeros are written */
#define CLONE_BYTES (64u << 10) /* smaller ones are copied */
#define START_BYTES (16u << 20) /* a large file goes to the disk in steps, not all at the end */

int sink_open(struct sink *k, int dirfd, const char *name, const struct want *w, struct err *err)
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

int sink_write(struct sink *k, struct bytes piece, struct err *err)
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

int sink_clone(struct sink *k, int in, const struct want *w, uint8_t *buffer, size_t n,
	       struct err *err)
{
	if (w->size < CLONE_BYTES || ioctl(k->fd, FICLONE, in) < 0)
		return 0;
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

bool sink_fits(const struct sink *k, const struct want *w)
{
	struct digest_stream hash = k->hash;
	struct digest is = digest_end(&hash);

	return k->at == w->size && digest_equal(&is, &w->digest);
}

int sink_end(struct sink *k, const char *path, const struct want *w, bool sync, struct err *err)
{
	struct stat st;

	if (!sink_fits(k, w))
		return err_set(err, RC_MALFORMED, "%s: its content is not the one that was signed",
			       path);
	if (k->holes && ftruncate(k->fd, (off_t)k->at) < 0)
		return err_sys(err, RC_IO, "cannot write to the staging area");
	if (fstat(k->fd, &st) < 0)
		return err_sys(err, RC_IO, "%s: cannot look at it", path);
	if (meta_set_new(k->fd, &st, &w->meta, err) < 0)
		return err_prefix(err, "%s", path);
	if (sync && fsync(k->fd) < 0)
		return err_sys(err, RC_IO, "%s: cannot flush it", path);
	w->line->ino = st.st_ino;
	return fd_close(&k->fd, err);
}

void sink_clear(struct sink *k)
{
	fd_closep(&k->fd);
}
