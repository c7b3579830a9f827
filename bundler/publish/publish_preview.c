/* SPDX-License-Identifier: ISC */
/*
 * What a publish would do, without writing anything.  Only two kinds of files are read: those whose
 * size is what it was (touched, or changed?), and new ones as large as one that is gone (renamed?).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish/publish_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

#define PIECE     (1u << 20) /* bytes read at a time */
#define SIZE_BITS 16         /* of the table of sizes that are gone */

struct preview {
	struct publishing *p;
	uint8_t *gone;  /* owned: a bit for each hash of a size */
	uint8_t *piece; /* owned */
};

static uint32_t size_bit(uint64_t size)
{
	return (uint32_t)((size * 0x9e3779b97f4a7c15ull) >> (64 - SIZE_BITS));
}

static int gone_note(struct preview *v, struct err *err)
{
	struct item_reader reader = {.spool = v->p->diff};
	struct pack_item it;
	int rc;

	while ((rc = item_next(&reader, &it, err)) > 0) {
		uint32_t bit = size_bit(it.old.size);

		if (it.op == CHANGE_DELETE && it.old.kind == ENTRY_FILE)
			v->gone[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
	item_reader_clear(&reader);
	return rc;
}

static int file_digest(struct preview *v, const char *path, struct digest *ret, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_open(v->p->rootfd, path, O_RDONLY | O_NONBLOCK, 0, err);
	struct digest_stream hash;
	size_t n = PIECE;

	if (fd < 0)
		return err_prefix(err, "channel %s", v->p->c->name);
	digest_start(&hash);
	while (n == PIECE) {
		int rc = fd_read(fd, v->piece, PIECE, &n, err);

		if (rc < 0)
			return err_prefix(err, "%s of channel %s", path, v->p->c->name);
		digest_more(&hash, v->piece, n);
	}
	*ret = digest_end(&hash);
	return 0;
}

static bool worth_reading(const struct preview *v, const struct pack_item *it)
{
	uint32_t bit = size_bit(it->now.size);

	if (it->old.kind == ENTRY_FILE)
		return it->now.size == it->old.size;
	return v->p->delta.base > 0 && it->old.kind == 0 && (v->gone[bit / 8] >> bit % 8 & 1) != 0;
}

/* A file: is its content new, the old one, or that of a file which is gone? */
static int file_count(struct preview *v, const struct pack_item *it, struct err *err)
{
	struct publish_counts *c = v->p->counts;
	struct digest digest = {{0}};
	char source[LIMIT_PATH + 1];
	struct err ignored = {0};
	struct stat st;
	int rc = worth_reading(v, it) ? file_digest(v, it->path, &digest, err) : 0;

	if (rc < 0)
		return rc;
	if (it->old.kind == ENTRY_FILE && digest_equal(&digest, &it->old.digest)) {
		c->metadata += !item_same_meta(it);
		return 0;
	}
	if (it->old.kind != 0)
		c->changed++;
	else
		c->added++;
	rc = digest_is_zero(&digest) ? 0 : index_find(v->p->index, &digest, source, err);
	if (rc == 0)
		c->content += it->now.size;
	else if (rc > 0 && beneath_stat(v->p->rootfd, source, &st, &ignored) < 0)
		v->p->renamed++;
	return rc < 0 ? rc : 0;
}

static int item_count(struct preview *v, const struct pack_item *it, struct err *err)
{
	struct publish_counts *c = v->p->counts;

	switch (it->op) {
	case PACK_CONTENT:
		return file_count(v, it, err);
	case CHANGE_DELETE:
		c->deleted++;
		break;
	case CHANGE_META:
		c->metadata++;
		break;
	case PACK_ROW:
		break;
	default:
		if (it->old.kind == 0)
			c->added++;
		else
			c->changed++;
	}
	return 0;
}

static int items_count(struct preview *v, struct err *err)
{
	struct item_reader reader = {.spool = v->p->diff};
	struct pack_item it;
	int rc;

	while ((rc = item_next(&reader, &it, err)) > 0) {
		rc = item_count(v, &it, err);
		if (rc < 0)
			break;
	}
	item_reader_clear(&reader);
	return rc;
}

int publish_preview(struct publishing *p, struct err *err)
{
	OWNED(freep) uint8_t *gone = calloc(1, (1u << SIZE_BITS) / 8);
	OWNED(freep) uint8_t *piece = malloc(PIECE);
	struct preview v = {p, gone, piece};
	int rc;

	if (gone == NULL || piece == NULL)
		return err_memory(err);
	rc = gone_note(&v, err);
	return rc < 0 ? rc : items_count(&v, err);
}
