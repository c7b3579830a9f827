/* SPDX-License-Identifier: ISC */
/*
 * The last stages: compress what was decided to one frame, and write the frames in order; then the
 * list of changes and the end mark.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/pack/pack_internal.h"
#include "core/base/own.h"
#include "core/os/durable.h"

/* Close the gaps of members that are not packed. */
static void job_compact(struct pack_job *j)
{
	size_t at = 0;

	for (size_t i = 0; i < j->items; i++) {
		struct pack_member *m = &j->member[i];

		if (!m->put)
			continue;
		if (m->at != at)
			memmove(j->tar.p + at, j->tar.p + m->at, m->length);
		m->at = at;
		at += m->length;
	}
	j->tar.n = at;
}

int pack_job_compress(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	if (j->large == NULL)
		job_compact(j);
	else if (j->unwanted || j->written)
		buf_reset(&j->tar);
	if (j->whole > 0 && j->whole == j->tar.n)
		return 0; /* the frame was copied from the store */
	buf_reset(&j->out);
	return j->tar.n == 0 ? 0 : pack_compress(w->zstd, j->tar.p, j->tar.n, &j->out, err);
}

/* The file comes into being with its first byte: a run that finds nothing to write leaves nothing.
 */
static int file_start(struct pack *p, struct err *err)
{
	if (p->fd >= 0)
		return 0;
	p->fd =
	    openat(p->o.dirfd, p->o.name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	return p->fd >= 0 ? 0
			  : err_sys(err, RC_IO, "cannot make %s in the content store", p->o.name);
}

static int frame_note(struct pack *p, size_t length, size_t unpacked, struct err *err)
{
	return list_push(&p->frame, ((struct pack_frame){p->at, length, unpacked}), err);
}

/* Frames are written in order by one thread at a time, so the position is known without asking. */
static int frame_write(struct pack *p, const struct buf *out, size_t unpacked, struct err *err)
{
	int rc = file_start(p, err);

	if (rc == 0)
		rc = fd_write(p->fd, out->p, out->n, err);
	if (rc < 0)
		return err_prefix(err, "%s of the content store", p->o.name);
	/* Let the disk begin: the flush at the end is short then.  Only speed, so it may fail. */
	sync_file_range(p->fd, (off_t)p->at, (off_t)out->n, SYNC_FILE_RANGE_WRITE);
	p->at += out->n;
	p->unpacked += unpacked;
	return 0;
}

static int member_write(struct pack *p, const struct buf *out, size_t unpacked, struct err *err)
{
	int rc = frame_note(p, out->n, unpacked, err);

	return rc < 0 ? rc : frame_write(p, out, unpacked, err);
}

static int content_note(struct pack *p, const struct digest *digest, uint64_t frame, uint64_t skip,
			uint64_t size, struct err *err)
{
	struct pack_content c;

	memset(&c, 0, sizeof(c));
	c.digest = *digest;
	c.frame = frame;
	c.skip = skip;
	c.size = size;
	return spool_add(p->contents, &c, sizeof(c), err);
}

static void large_start(struct pack *p, struct pack_large *l)
{
	if (l->started)
		return;
	l->started = true;
	l->frame = p->at;
	l->unpacked = p->unpacked;
	l->frames = p->frame.n;
}

/*
 * Take a large file's frames back.  Only the tail can be taken back, which is why a large file
 * begins at a frame of its own.
 */
static int large_cut(struct pack *p, const struct pack_large *l, struct err *err)
{
	p->at = l->frame;
	p->unpacked = l->unpacked;
	p->frame.n = l->frames;
	if (p->fd >= 0 &&
	    (ftruncate(p->fd, (off_t)p->at) < 0 || lseek(p->fd, (off_t)p->at, SEEK_SET) < 0))
		return err_sys(err, RC_IO, "cannot shorten %s of the content store", p->o.name);
	return 0;
}

/* The whole file once more, by this thread alone; 1 when it changed again. */
static int large_again(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	struct pack *p = w->pack;
	struct pack_large *l = j->large;
	const char *path = j->item[0].path;
	uint64_t size = (uint64_t)l->st.st_size, at = 0;
	struct stat now;
	int rc;

	do {
		size_t n = size - at < p->job_bytes ? (size_t)(size - at) : p->job_bytes;

		buf_reset(&j->tar);
		rc = at == 0 ? pack_member_header(w, path, size, &j->tar, err) : 0;
		if (at == 0)
			l->header = j->tar.n;
		if (rc == 0)
			rc = pack_large_piece(l, at, n, &j->tar, &l->incomplete, err);
		if (rc < 0)
			return rc;
		digest_more(&l->hash, j->tar.p + j->tar.n - n, n);
		at += n;
		if (at == size)
			rc = tar_zeros(tar_padding(size), &j->tar, err);
		if (rc == 0)
			rc = pack_compress(w->zstd, j->tar.p, j->tar.n, &j->out, err);
		if (rc == 0)
			rc = member_write(p, &j->out, j->tar.n, err);
		if (rc < 0)
			return rc;
	} while (at < size);
	rc = pack_large_changed(p, l, path, &now, err);
	return rc < 0 ? rc : rc > 0 || l->incomplete;
}

int pack_large_redo(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	struct pack_large *l = j->large;
	const char *path = j->item[0].path;

	large_start(w->pack, l);
	for (unsigned n = 1; n < PACK_TRIES; n++) {
		struct stat now;
		int rc = pack_large_changed(w->pack, l, path, &now, err);

		if (rc < 0)
			return rc;
		pack_large_reset(l, &now);
		rc = large_cut(w->pack, l, err);
		if (rc == 0)
			rc = large_again(w, j, err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			l->digest = digest_end(&l->hash);
			j->written = true;
			j->redo = false;
			return 0;
		}
	}
	if (!pack_hold(w->pack, &j->item[0], RC_AGAIN))
		return pack_changed_error(w->pack, path, err);
	/* Its frames are cut off when its turn to be written comes. */
	j->written = true;
	j->redo = false;
	return 0;
}

static int large_write(struct pack *p, struct pack_job *j, struct err *err)
{
	struct pack_large *l = j->large;
	int rc = 0;

	large_start(p, l);
	if (j->out.n > 0)
		rc = member_write(p, &j->out, j->tar.n, err);
	if (rc < 0 || !j->last)
		return rc;
	if (j->unwanted)
		return large_cut(p, l, err);
	return content_note(p, &l->digest, l->frame, l->header, (uint64_t)l->st.st_size, err);
}

int pack_job_write(struct pack *p, struct pack_job *j, struct err *err)
{
	uint64_t frame = p->at;
	int rc;

	if (j->large != NULL)
		return large_write(p, j, err);
	if (j->out.n == 0)
		return 0;
	rc = member_write(p, &j->out, j->tar.n, err);
	for (size_t i = 0; rc == 0 && i < j->items; i++) {
		const struct pack_member *m = &j->member[i];

		if (m->put)
			rc = content_note(p, &j->item[i].now.digest, frame, m->at + m->header,
					  j->item[i].now.size, err);
	}
	return rc;
}

/* The member `changes`, cut into frames: its header before the first piece, padding after the last.
 */
static int changes_write(struct pack *p, ZSTD_CCtx *zstd, struct buf *in, struct buf *out,
			 struct err *err)
{
	uint64_t size = spool_size(p->lines), at = 0;
	int rc;

	do {
		size_t n = size - at < p->job_bytes ? (size_t)(size - at) : p->job_bytes;

		buf_reset(in);
		rc = at == 0 ? tar_header("changes", size, in, err) : 0;
		if (rc == 0)
			rc = buf_reserve(in, n, err);
		if (rc == 0)
			rc = spool_read(p->lines, at, in->p + in->n, n, err);
		if (rc < 0)
			return rc;
		in->n += n;
		at += n;
		if (at == size)
			rc = tar_zeros(tar_padding(size), in, err);
		if (rc == 0)
			rc = pack_compress(zstd, in->p, in->n, out, err);
		if (rc == 0)
			rc = frame_write(p, out, in->n, err);
		if (rc < 0)
			return rc;
	} while (at < size);
	return 0;
}

/*
 * The list of changes comes last in the file and first in the payload: it is complete only now,
 * and the bundle names the pieces of the file in another order.
 */
int pack_seal(struct pack *p, struct pack_result *ret, struct err *err)
{
	static const uint8_t end[TAR_END];
	ZSTD_CCtx *zstd = NULL; /* those of the threads ended with them */
	struct buf *in = &p->job[0].tar, *out = &p->job[0].out;
	int rc = pack_zstd_new(&zstd, err);

	if (rc == 0)
		rc = changes_write(p, zstd, in, out, err);
	ret->changes_end = p->at;
	if (rc == 0)
		rc = pack_compress(zstd, end, sizeof(end), out, err);
	if (rc == 0)
		rc = frame_write(p, out, sizeof(end), err);
	ZSTD_freeCCtx(zstd);
	if (rc < 0)
		return rc;
	ret->size = p->at;
	ret->unpacked = p->unpacked;
	if (fdatasync(p->fd) < 0 || fsync(p->o.dirfd) < 0)
		return err_sys(err, RC_IO, "cannot flush %s of the content store", p->o.name);
	return 0;
}
