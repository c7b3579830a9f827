/* SPDX-License-Identifier: ISC */
/*
 * Items: one difference each, on its way from the scan through the pack to the index.  They are
 * written to a spool between the stages, so that memory does not grow with the tree.
 */
#ifndef SATCHEL_BUNDLER_PACK_PACK_ITEM_H
#define SATCHEL_BUNDLER_PACK_PACK_ITEM_H

#include <sys/stat.h>

#include "bundler/pack/pack_spool.h"
#include "bundler/pack/store.h"
#include "core/format/bundle/changes.h"

/* What becomes of an item, beside enum change_op. */
enum pack_op {
	PACK_CONTENT = CHANGE_OPS, /* a file that must be read before its change is known */
	PACK_ROW                   /* no change; only what stat says moved on */
};

struct pack_side {
	enum entry_kind kind; /* 0: nothing is there */
	uint16_t mode;
	uint64_t size;        /* bytes */
	int64_t mtime;        /* nanoseconds */
	struct digest digest; /* files: of the content (on the new side once it is known) */
	const char *owner;    /* borrowed; "-" or "user:group" */
};

/* Content that comes from the store instead of the source. */
struct pack_from {
	struct store_where where; /* pack 0: from the source */
	uint64_t length;          /* of its first frame, compressed */
	uint64_t unpacked;        /* bytes of that frame */
};

struct pack_item {
	unsigned op; /* enum change_op or enum pack_op */
	bool known;  /* the new digest is known before the content is read, and must come out */
	bool held;   /* its content could not be read as one state: what was published stays */
	struct pack_side now, old;
	uint64_t dev, ino;
	int64_t ctime; /* nanoseconds */
	struct pack_from from;
	const char *path;   /* borrowed */
	const char *target; /* borrowed; links, else "" */
};

/** item_add(s, it, ret_offset, err): append to a spool; ${ret_offset} may be NULL. */
int item_add(struct spool *s, const struct pack_item *it, uint64_t *ret_offset, struct err *err);

/**
 * A reader; strings of the item are borrowed until the next call.
 * item_next(r, ret, err): in order: 1 an item, 0 the end.
 * item_at(r, offset, ret, err): the item at one offset that item_add gave.  Errors: RC_INTERNAL:
 * none begins there; RC_IO.
 * item_reader_clear(r): release its buffer; the spool stays.  For OWNED.
 */
struct item_reader {
	const struct spool *spool; /* borrowed */
	uint64_t at;               /* of the next item */
	size_t chunk;              /* bytes to read at once; 0: many */
	struct buf buf;            /* owned: item_reader_clear */
	uint64_t buf_at;           /* offset of the first byte of buf */
};
int item_next(struct item_reader *r, struct pack_item *ret, struct err *err);
int item_at(struct item_reader *r, uint64_t offset, struct pack_item *ret, struct err *err);
void item_reader_clear(struct item_reader *r);

/** item_stat(it, st, mask): mode (of ${mask}), size, times, inode of what is there now; owner,
 * kind, target and digest are the caller's.  item_ns(t): nanoseconds since 1970. */
void item_stat(struct pack_item *it, const struct stat *st, uint16_t mask);
int64_t item_ns(struct timespec t);

/** item_same_meta(it): mode, time and owner are what they were. */
bool item_same_meta(const struct pack_item *it);

/** item_entry(it, ret): the index row of what is there now. */
struct entry;
void item_entry(const struct pack_item *it, struct entry *ret);

#endif
