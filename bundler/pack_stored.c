/*
 * Contents that come from the store: a new full bundle is made of frames that exist.  A frame whose
 * members are all wanted, in the same order under the same names, is copied as it is.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/pack_internal.h"
#include "core/base/own.h"
#include "core/os/durable.h"

static int damaged(const struct pack_item *it, struct err *err)
{
	return err_set(err, RC_STATE,
		       "the content store is damaged: pack %" PRIu64
		       " does not hold %s at byte %" PRIu64,
		       it->from.where.pack, it->path, it->from.where.frame);
}

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

/* Neighbours mostly share a frame. */
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

int pack_stored_member(struct pack_worker *w, struct pack_job *j, size_t i, struct err *err)
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

int pack_stored_piece(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	const struct pack_item *it = &j->item[0];
	int rc = frame_load(w, it, err);

	if (rc < 0)
		return rc;
	if (it->from.where.skip > w->frame.n || j->length > w->frame.n - it->from.where.skip)
		return damaged(it, err);
	return buf_add(&j->tar, w->frame.p + it->from.where.skip, j->length, err);
}

int pack_stored_whole(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	if (w->frame_pack == 0 || j->tar.n == 0 || j->tar.n != w->frame.n ||
	    memcmp(j->tar.p, w->frame.p, j->tar.n) != 0)
		return 0;
	j->whole = j->tar.n;
	return buf_add(&j->out, w->packed.p, w->packed.n, err);
}
