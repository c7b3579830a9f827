/* SPDX-License-Identifier: ISC */
/*
 * Items as records of a spool.  A publish of ten million files cannot hold them as structs in
 * memory, and no other process reads them, so a record is the struct itself with its strings
 * behind it.
 */
#include "bundler/pack/pack_item.h"

#include <string.h>

#include "core/base/clock.h"
#include "core/tree/index.h"

/*
 * One record: LE 32-bit length of the whole, the struct as it is (its pointers mean nothing), and
 * the four strings with their NUL.  Only this process reads it.
 */
#define ITEM_STRINGS 4
#define ITEM_MAX     (4 + sizeof(struct pack_item) + LIMIT_PATH + LIMIT_LINK + 2 * OWNER_MAX + 8)
#define ITEM_READ    (64u << 10) /* bytes read at once; more than ITEM_MAX */

_Static_assert(ITEM_MAX < ITEM_READ, "one read holds at least one item");

int item_add(struct spool *s, const struct pack_item *it, uint64_t *ret_offset, struct err *err)
{
	const char *text[ITEM_STRINGS] = {it->path, it->target, it->now.owner, it->old.owner};
	uint8_t record[ITEM_MAX];
	size_t n = 4 + sizeof(*it);

	memcpy(record + 4, it, sizeof(*it));
	for (size_t i = 0; i < ITEM_STRINGS; i++) {
		const char *t = text[i] != NULL ? text[i] : "";
		size_t len = strlen(t) + 1;

		if (len > sizeof(record) - n)
			return err_set(err, RC_LIMIT, "a path or link that is longer than %u bytes",
				       LIMIT_PATH);
		memcpy(record + n, t, len);
		n += len;
	}
	put_u32(record, (uint32_t)n);
	if (ret_offset != NULL)
		*ret_offset = spool_size(s);
	return spool_add(s, record, n, err);
}

static void item_point(struct pack_item *it, const uint8_t *p)
{
	const char *text = (const char *)p + 4 + sizeof(*it);

	memcpy(it, p + 4, sizeof(*it));
	it->path = text;
	text += strlen(text) + 1;
	it->target = text;
	text += strlen(text) + 1;
	it->now.owner = text;
	text += strlen(text) + 1;
	it->old.owner = text;
}

/* Make the buffer hold what begins at ${at}, as much as one read of ${chunk} brings. */
static int item_fill(struct item_reader *r, uint64_t at, size_t chunk, struct err *err)
{
	uint64_t left = spool_size(r->spool) - at;
	size_t n = left < chunk ? (size_t)left : chunk;
	int rc;

	buf_reset(&r->buf);
	rc = buf_reserve(&r->buf, n, err);
	if (rc < 0)
		return rc;
	rc = spool_read(r->spool, at, r->buf.p, n, err);
	if (rc < 0)
		return rc;
	r->buf.n = n;
	r->buf_at = at;
	return 0;
}

static bool item_held(const struct item_reader *r, uint64_t at)
{
	uint64_t from = at - r->buf_at;

	return r->buf.p != NULL && at >= r->buf_at && from + 4 <= r->buf.n &&
	       from + get_u32(r->buf.p + from) <= r->buf.n;
}

int item_at(struct item_reader *r, uint64_t offset, struct pack_item *ret, struct err *err)
{
	if (!item_held(r, offset)) {
		int rc = item_fill(r, offset, r->chunk != 0 ? r->chunk : ITEM_READ, err);

		if (rc == 0 && !item_held(r, offset))
			rc = item_fill(r, offset, ITEM_READ, err);
		if (rc < 0)
			return rc;
		if (!item_held(r, offset))
			return err_set(err, RC_INTERNAL, "no item begins at byte %llu of a spool",
				       (unsigned long long)offset);
	}
	item_point(ret, r->buf.p + (offset - r->buf_at));
	return 0;
}

int item_next(struct item_reader *r, struct pack_item *ret, struct err *err)
{
	int rc;

	if (r->at >= spool_size(r->spool))
		return 0;
	rc = item_at(r, r->at, ret, err);
	if (rc < 0)
		return rc;
	r->at += get_u32(r->buf.p + (r->at - r->buf_at));
	return 1;
}

void item_reader_clear(struct item_reader *r)
{
	buf_clear(&r->buf);
}

int64_t item_ns(struct timespec t)
{
	return clock_ns(t.tv_sec, t.tv_nsec);
}

void item_stat(struct pack_item *it, const struct stat *st, uint16_t mask)
{
	it->now.mode = (uint16_t)(st->st_mode & mask);
	it->now.size = (uint64_t)st->st_size;
	it->now.mtime = item_ns(st->st_mtim);
	it->dev = (uint64_t)st->st_dev;
	it->ino = (uint64_t)st->st_ino;
	it->ctime = item_ns(st->st_ctim);
}

bool item_same_meta(const struct pack_item *it)
{
	return it->now.mode == it->old.mode && it->now.mtime == it->old.mtime &&
	       strcmp(it->now.owner, it->old.owner) == 0;
}

void item_entry(const struct pack_item *it, struct entry *ret)
{
	*ret = (struct entry){
	    .kind = it->now.kind,
	    .mode = it->now.mode,
	    .size = it->now.size,
	    .mtime = it->now.mtime,
	    .digest = it->now.digest,
	    .dev = it->dev,
	    .ino = it->ino,
	    .disk_mtime = it->now.mtime,
	    .ctime = it->ctime,
	};
	memcpy(ret->owner, it->now.owner, strlen(it->now.owner) + 1);
	memcpy(ret->target, it->target, strlen(it->target) + 1);
}
