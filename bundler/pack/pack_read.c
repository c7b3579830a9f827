/* SPDX-License-Identifier: ISC */
/*
 * The first stage: read the files of a job into the layout that their tar members will have, so
 * that nothing is copied when they are packed, and hash them.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/pack/pack_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

static bool stat_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       item_ns(a->st_mtim) == item_ns(b->st_mtim) &&
	       item_ns(a->st_ctim) == item_ns(b->st_ctim);
}

int pack_changed_error(const struct pack *p, const char *path, struct err *err)
{
	return err_set(
	    err, RC_AGAIN,
	    "%s of channel %s changed while it was read: publish again when it is at rest", path,
	    p->o.channel);
}

/* Content that was known beforehand is wanted as it was: another way to it has to be found. */
bool pack_hold(const struct pack *p, struct pack_item *it, int rc)
{
	it->held = rc == RC_AGAIN && p->o.held != NULL && !it->known;
	return it->held;
}

static int open_error(const struct pack *p, const char *path, struct err *err)
{
	if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
		return err_set(err, RC_AGAIN,
			       "%s of channel %s is no longer a regular file: publish again", path,
			       p->o.channel);
	return err_sys(err, RC_IO, "cannot read %s of channel %s", path, p->o.channel);
}

/* What was opened must be a file still, on the file system that was scanned. */
static int file_stat(const struct pack *p, int fd, const char *path, struct stat *ret,
		     struct err *err)
{
	if (fstat(fd, ret) < 0)
		return err_sys(err, RC_IO, "cannot read %s of channel %s", path, p->o.channel);
	if (!S_ISREG(ret->st_mode))
		return pack_changed_error(p, path, err);
	if ((uint64_t)ret->st_size >= LIMIT_PAYLOAD)
		return err_set(err, RC_LIMIT, "%s of channel %s is larger than a bundle can be",
			       path, p->o.channel);
	return 0;
}

/* The directory of ${path}, which its neighbours share; ${*ret_name} is the rest. */
static int worker_dir(struct pack_worker *w, const char *path, const char **ret_name,
		      struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	*ret_name = slash != NULL ? slash + 1 : path;
	if (n == 0)
		return w->pack->o.rootfd;
	if (w->dirfd >= 0 && strncmp(w->dir, path, n) == 0 && w->dir[n] == '\0')
		return w->dirfd;
	fd_closep(&w->dirfd);
	memcpy(w->dir, path, n);
	w->dir[n] = '\0';
	w->dirfd = beneath_dir(w->pack->o.rootfd, w->dir, err);
	return w->dirfd >= 0 ? w->dirfd : open_error(w->pack, path, err);
}

/*
 * O_NONBLOCK: somebody may have put a fifo in the place of the file since the scan.  The name is
 * the last part of its path, so O_NOFOLLOW is enough; what is above it was opened beneath the root.
 */
static int file_open(struct pack_worker *w, const char *path, struct err *err)
{
	const char *name;
	int dirfd = worker_dir(w, path, &name, err);
	int fd;

	if (dirfd < 0)
		return dirfd;
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd >= 0 ? fd : open_error(w->pack, path, err);
}

int pack_member_header(struct pack_worker *w, const char *path, uint64_t size, struct buf *ret,
		       struct err *err)
{
	int rc;

	buf_reset(&w->name);
	rc = buf_text(&w->name, "files/", err);
	if (rc == 0)
		rc = text_encode(path, &w->name, err);
	if (rc == 0)
		rc = tar_writer_header(w->tar, (const char *)w->name.p, size, ret, err);
	return rc;
}

/*
 * Content of the store: a new full bundle is made of frames that exist.  A frame whose members are
 * all wanted, in the same order under the same names, is copied as it is.
 */

static int damaged(const struct pack_item *it, struct err *err)
{
	return err_set(err, RC_STATE,
		       "the content store is damaged: pack %" PRIu64
		       " does not hold %s at byte %" PRIu64,
		       it->from.where.pack, it->path, it->from.where.frame);
}

/* Neighbours lie in the same pack and mostly in the same frame: each thread keeps its last one of
 * each. */
static int pack_fd_of(struct pack_worker *w, uint64_t number, struct err *err)
{
	char name[STORE_NAME];

	if (w->packfd >= 0 && w->packfd_number == number)
		return w->packfd;
	fd_closep(&w->packfd);
	store_name(name, number);
	w->packfd = openat(w->pack->o.dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	w->packfd_number = number;
	if (w->packfd < 0)
		return err_sys(err, RC_STATE, "cannot read %s of the content store", name);
	return w->packfd;
}

static int frame_unpack(struct pack_worker *w, const struct pack_item *it, struct err *err)
{
	size_t length = (size_t)it->from.length, unpacked = (size_t)it->from.unpacked;
	int fd = pack_fd_of(w, it->from.where.pack, err);
	int rc = fd < 0 ? fd : 0;

	if (it->from.unpacked > LIMIT_FRAME || it->from.length > ZSTD_compressBound(LIMIT_FRAME))
		return damaged(it, err);
	if (w->unzstd == NULL && (w->unzstd = ZSTD_createDCtx()) == NULL)
		return err_memory(err);
	buf_reset(&w->packed);
	buf_reset(&w->frame);
	if (rc == 0)
		rc = buf_reserve(&w->packed, length, err);
	if (rc == 0)
		rc = buf_reserve(&w->frame, unpacked, err);
	if (rc == 0)
		rc = fd_pread(fd, w->packed.p, length, it->from.where.frame, err);
	if (rc < 0)
		return rc;
	w->packed.n = length;
	if (ZSTD_decompressDCtx(w->unzstd, w->frame.p, unpacked, w->packed.p, length) != unpacked)
		return damaged(it, err);
	w->frame.n = unpacked;
	return 0;
}

static int frame_load(struct pack_worker *w, const struct pack_item *it, struct err *err)
{
	int rc;

	if (w->frame_pack == it->from.where.pack && w->frame_at == it->from.where.frame)
		return 0;
	w->frame_pack = 0;
	rc = frame_unpack(w, it, err);
	if (rc < 0)
		return rc;
	w->frame_pack = it->from.where.pack;
	w->frame_at = it->from.where.frame;
	return 0;
}

/*
 * The store may be damaged, and what is taken from it is signed anew: so each content is hashed
 * again.
 */
static int stored_member(struct pack_worker *w, struct pack_job *j, size_t i, struct err *err)
{
	struct pack_item *it = &j->item[i];
	struct pack_member *m = &j->member[i];
	uint64_t skip = it->from.where.skip, size = it->now.size;
	struct digest d;
	int rc = frame_load(w, it, err);

	if (rc < 0)
		return rc;
	if (skip > w->frame.n || size > w->frame.n - skip)
		return damaged(it, err);
	d = digest_of((struct bytes){w->frame.p + skip, (size_t)size});
	if (!digest_equal(&d, &it->now.digest))
		return damaged(it, err);
	m->at = j->tar.n;
	rc = pack_member_header(w, it->path, size, &j->tar, err);
	m->header = j->tar.n - m->at;
	if (rc == 0)
		rc = buf_add(&j->tar, w->frame.p + skip, (size_t)size, err);
	if (rc == 0)
		rc = tar_zeros(tar_padding(size), &j->tar, err);
	m->length = j->tar.n - m->at;
	return rc;
}

static int stored_piece(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	const struct pack_item *it = &j->item[0];
	int rc = frame_load(w, it, err);

	if (rc < 0)
		return rc;
	if (it->from.where.skip > w->frame.n || j->length > w->frame.n - it->from.where.skip)
		return damaged(it, err);
	return buf_add(&j->tar, w->frame.p + it->from.where.skip, j->length, err);
}

static int stored_whole(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	if (w->frame_pack == 0 || j->tar.n == 0 || j->tar.n != w->frame.n ||
	    memcmp(j->tar.p, w->frame.p, j->tar.n) != 0)
		return 0;
	j->whole = j->tar.n;
	return buf_add(&j->out, w->packed.p, w->packed.n, err);
}

/* Content of the source */

/* What was read.  Content that was known beforehand must be what it was. */
static int content_note(struct pack_item *it, const struct pack *p, const struct stat *st,
			struct digest digest, struct err *err)
{
	if (it->known)
		return digest_equal(&it->now.digest, &digest)
			   ? 0
			   : pack_changed_error(p, it->path, err);
	it->now.digest = digest;
	item_stat(it, st, p->o.mode_mask);
	it->now.kind = ENTRY_FILE;
	return 0;
}

/* Whoever guards the source sees what was read of an opened file before it is used. */
static int reading_ask(const struct pack *p, const char *path, const struct stat *st,
		       struct bytes head, struct err *err)
{
	return p->o.reading == NULL ? 0 : p->o.reading(p->o.arg, path, st, head, err);
}

/*
 * Header, content and padding behind what the job's tar holds; 1 when the file changed meanwhile.
 * The stat before and after must agree: a file that a program writes to meanwhile would be
 * published as a mix of two states that never existed.  One that grew out of its job ends the
 * publish, to be run again when the file is at rest.
 */
static int member_read(struct pack_worker *w, struct pack_job *j, size_t i, int fd, struct err *err)
{
	struct pack_item *it = &j->item[i];
	struct pack_member *m = &j->member[i];
	struct stat before, after;
	size_t size, got;
	int rc = file_stat(w->pack, fd, it->path, &before, err);

	if (rc < 0)
		return rc;
	if ((uint64_t)before.st_size > LIMIT_FRAME / 2 ||
	    j->tar.n + (size_t)before.st_size > LIMIT_FRAME - LIMIT_CHANGE_LINE)
		return pack_changed_error(w->pack, it->path,
					  err); /* it was small when it was scanned */
	size = (size_t)before.st_size;
	m->at = j->tar.n;
	rc = pack_member_header(w, it->path, size, &j->tar, err);
	if (rc < 0)
		return rc;
	m->header = j->tar.n - m->at;
	rc = buf_reserve(&j->tar, size, err);
	if (rc == 0)
		rc = fd_read(fd, j->tar.p + j->tar.n, size, &got, err);
	if (rc < 0)
		return err_prefix(err, "%s of channel %s", it->path, w->pack->o.channel);
	if (fstat(fd, &after) < 0)
		return err_sys(err, RC_IO, "cannot read %s of channel %s", it->path,
			       w->pack->o.channel);
	if (got != size || !stat_same(&before, &after))
		return 1;
	rc =
	    reading_ask(w->pack, it->path, &before, (struct bytes){j->tar.p + j->tar.n, size}, err);
	if (rc < 0)
		return err_prefix(err, "%s of channel %s", it->path, w->pack->o.channel);
	rc = content_note(it, w->pack, &before,
			  digest_of((struct bytes){j->tar.p + j->tar.n, size}), err);
	if (rc < 0)
		return rc;
	j->tar.n += size;
	rc = tar_zeros(tar_padding(size), &j->tar, err);
	m->length = j->tar.n - m->at;
	return rc;
}

static int item_read(struct pack_worker *w, struct pack_job *j, size_t i, struct err *err)
{
	size_t at = j->tar.n;

	if (j->item[i].from.where.pack != 0)
		return stored_member(w, j, i, err);
	for (unsigned n = 0; n < PACK_TRIES; n++) {
		OWNED(fd_closep) int fd = file_open(w, j->item[i].path, err);
		int rc = fd < 0 ? fd : member_read(w, j, i, fd, err);

		if (rc <= 0)
			return rc;
		j->tar.n = at;
	}
	return pack_changed_error(w->pack, j->item[i].path, err);
}

/* What was read of one that is held back is no part of the job. */
static int item_read_or_hold(struct pack_worker *w, struct pack_job *j, size_t i, struct err *err)
{
	struct err why = {0};
	size_t at = j->tar.n;
	int rc = item_read(w, j, i, &why);

	if (rc == 0)
		return 0;
	if (!pack_hold(w->pack, &j->item[i], rc)) {
		*err = why;
		return rc;
	}
	j->tar.n = at;
	j->member[i] = (struct pack_member){0};
	return 0;
}

int pack_large_open(struct pack *p, const struct pack_item *it, struct pack_large **ret,
		    struct err *err)
{
	struct pack_large *l = calloc(1, sizeof(*l));
	struct err why = {0};
	struct stat st;
	int rc;

	if (l == NULL)
		return err_memory(err);
	l->fd = beneath_open(p->o.rootfd, it->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &why);
	rc = l->fd < 0 ? open_error(p, it->path, err) : file_stat(p, l->fd, it->path, &st, err);
	if (rc < 0) {
		pack_large_free(l);
		return rc;
	}
	pack_large_reset(l, &st);
	*ret = l;
	return 0;
}

struct pack_large *pack_large_free(struct pack_large *l)
{
	if (l != NULL)
		fd_closep(&l->fd);
	free(l);
	return NULL;
}

void pack_large_reset(struct pack_large *l, const struct stat *st)
{
	l->st = *st;
	l->sparse = (uint64_t)st->st_blocks * 512 < (uint64_t)st->st_size;
	l->incomplete = false;
	digest_start(&l->hash);
}

int pack_large_changed(struct pack *p, struct pack_large *l, const char *path, struct stat *ret,
		       struct err *err)
{
	int rc;

	if (l->fd < 0)
		return 0;
	rc = file_stat(p, l->fd, path, ret, err);

	return rc < 0 ? rc : !stat_same(&l->st, ret);
}

int pack_large_item(struct pack *p, const struct pack_large *l, struct pack_item *it,
		    struct err *err)
{
	return content_note(it, p, &l->st, l->digest, err);
}

/* Is there nothing but a hole from ${offset} to ${end}?  The position that lseek moves is not used.
 */
static bool large_hole(const struct pack_large *l, uint64_t offset, uint64_t end)
{
	off_t data;

	if (!l->sparse)
		return false;
	data = lseek(l->fd, (off_t)offset, SEEK_DATA);
	return data < 0 ? errno == ENXIO : (uint64_t)data >= end;
}

/*
 * A hole is not read: a sparse image of terabytes costs only its data.  What a shrinking file
 * lacks is filled with zeros, so that the piece keeps its length; the whole file is read again
 * anyway.
 */
int pack_large_piece(struct pack_large *l, uint64_t offset, size_t n, struct buf *ret,
		     bool *ret_incomplete, struct err *err)
{
	int rc = buf_reserve(ret, n, err);
	size_t done = 0;

	if (rc < 0)
		return rc;
	if (large_hole(l, offset, offset + n)) {
		memset(ret->p + ret->n, 0, n);
		done = n;
	}
	while (done < n) {
		ssize_t got =
		    pread(l->fd, ret->p + ret->n + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, RC_IO, "cannot read it");
		if (got == 0)
			break;
		done += (size_t)got;
	}
	if (done < n) {
		memset(ret->p + ret->n + done, 0, n - done);
		*ret_incomplete = true;
	}
	ret->n += n;
	return 0;
}

/* The next piece from the source; of the first the beginning is shown. */
static int large_piece(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	size_t at = j->tar.n;
	int rc = pack_large_piece(j->large, j->offset, j->length, &j->tar, &j->incomplete, err);

	if (rc < 0 || j->offset > 0)
		return rc;
	return reading_ask(w->pack, j->item[0].path, &j->large->st,
			   (struct bytes){j->tar.p + at, j->length}, err);
}

/* One piece: the header before the first, the padding after the last. */
static int large_read(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	struct pack_item *it = &j->item[0];
	int rc = 0;

	if (j->offset == 0) {
		rc = pack_member_header(w, it->path, (uint64_t)j->large->st.st_size, &j->tar, err);
		j->member[0].header = j->tar.n;
	}
	if (rc == 0 && it->from.where.pack != 0)
		rc = stored_piece(w, j, err);
	else if (rc == 0)
		rc = large_piece(w, j, err);
	if (rc == 0 && j->last)
		rc = tar_zeros(tar_padding((uint64_t)j->large->st.st_size), &j->tar, err);
	return rc < 0 ? err_prefix(err, "%s of channel %s", it->path, w->pack->o.channel) : 0;
}

static int small_read(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	for (size_t i = 0; i < j->items; i++) {
		int rc = 0;

		j->member[i] = (struct pack_member){0};
		if (j->item[i].op == PACK_CONTENT && !j->item[i].held)
			rc = item_read_or_hold(w, j, i, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int pack_job_read(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	int rc;

	buf_reset(&j->tar);
	buf_reset(&j->out);
	j->whole = 0;
	rc = j->large != NULL ? large_read(w, j, err) : small_read(w, j, err);
	return rc < 0 ? rc : stored_whole(w, j, err);
}
