/* SPDX-License-Identifier: ISC */
/*
 * A pack: the zstd frames of a bundle's payload, made by all cores from items in path order.
 *
 *   pack_add ─▶ jobs of some MiB ─▶ read and hash ─▶ decide, in order ─▶ compress ─▶ write, in
 * order
 *
 * The result does not depend on the number of threads: what is a duplicate of what is decided in
 * path order, and frames are written in that order.  A file that is larger than a job begins at a
 * frame of its own, so that it can be taken back when its last byte shows that its content is not
 * needed.  Layout of the file: bundler/pack/store.h.
 */
#ifndef SATCHEL_BUNDLER_PACK_PACK_H
#define SATCHEL_BUNDLER_PACK_PACK_H

#include "bundler/pack/pack_item.h"
#include "core/base/reporter.h"

struct pack; /* owned */

struct pack_options {
	int dirfd; /* directory that the pack file is made in (when there is anything to write) */
	const char *name;    /* its name; "7.pack" */
	int spoolfd;         /* directory for temporary files */
	int rootfd;          /* the source; contents are read beneath it */
	uint16_t mode_mask;  /* bits of st_mode that are part of the tree */
	unsigned threads;    /* 0: as many as there are cores, 2 to 8 */
	uint64_t files;      /* items whose content may be new: sizes the table of duplicates */
	uint64_t bytes;      /* of content to be read, for progress */
	const char *channel; /* for messages and progress */
	struct reporter *reporter; /* borrowed */
	void *arg;
	/* Does the base tree hold this content, and where?  1, 0, negative.  NULL: an empty base.
	 * Called from one thread at a time, in path order. */
	int (*find_old)(void *arg, const struct digest *digest, char dst[LIMIT_PATH + 1],
			struct err *err);
	/* An item as it was decided (op is an enum change_op or PACK_ROW); NULL: nobody asks.  As
	 * find_old, from one thread at a time in path order. */
	int (*decided)(void *arg, const struct pack_item *it, struct err *err);
	/* What is read from the source, before it goes any further: the stat of the opened file,
	 * and how it begins, SECRET_SIGN_BYTES or all of it.  NULL: nobody asks.  From several
	 * threads. */
	int (*reading)(void *arg, const char *path, const struct stat *st, struct bytes head,
		       struct err *err);
	/* A file changed each time that it was read.  It is left as the base tree has it, and the
	 * rest is packed.  NULL: that is an error.  As find_old, from one thread in path order. */
	int (*held)(void *arg, const struct pack_item *it, struct err *err);
	/* Contents from the store: ${dirfd} holds the packs; this tells the length of the frame at
	 * an offset, packed and unpacked: 1, 0, negative.  Called within pack_add. */
	int (*find_frame)(void *arg, uint64_t pack, uint64_t at, uint64_t *ret_length,
			  uint64_t *ret_unpacked, struct err *err);
};

struct pack_result {
	uint64_t count[CHANGE_OPS]; /* lines of `changes` */
	uint64_t lines;             /* their sum */
	uint64_t content;           /* bytes of put, patch and copy lines */
	uint64_t read;              /* bytes of content that were read */
	uint64_t changes_size;      /* bytes of the member `changes` */
	struct digest changes;      /* its digest */
	uint64_t unpacked;          /* length of the payload's tar */
	/* The file: [0, members) member frames, [members, changes_end) the frames of `changes`,
	 * [changes_end, size) the end mark. */
	uint64_t members, changes_end, size;
};

/* One frame of member content: what store_read needs to find its way. */
struct pack_frame {
	uint64_t at, length; /* in the file, compressed */
	uint64_t unpacked;   /* bytes */
};
/* One content that the pack holds. */
struct pack_content {
	struct digest digest;
	uint64_t frame, skip, size; /* see struct store_where */
};

/**
 * pack_open(options, ret, err): start the threads; ${options} is copied, what it points to is
 * borrowed until pack_freep (the name apart).  ${*ret} is owned by the caller.  No file is made
 * yet.  Errors: RC_MEMORY.
 */
int pack_open(const struct pack_options *options, struct pack **ret, struct err *err);
/** pack_freep(at): stop the threads and release; what was written stays.  NULL is fine. */
void pack_freep(struct pack **at);

/** pack_add(p, it, err): the next item in path order; waits while the threads are busy. */
int pack_add(struct pack *p, const struct pack_item *it, struct err *err);

/**
 * pack_finish(p, ret, err): wait until every item is done, end the threads.  With no lines there is
 * nothing to publish, and no file was made.
 * Errors: RC_AGAIN naming the file that kept changing while it was read, when there is no
 * options.held, or its content was known beforehand; RC_IO, RC_SPACE.
 */
int pack_finish(struct pack *p, struct pack_result *ret, struct err *err);
/** pack_seal(p, ret, err): then write `changes` and the end mark, and flush the file to the disk.
 */
int pack_seal(struct pack *p, struct pack_result *ret, struct err *err);
/** pack_fd(p): the file, borrowed; -1 while nothing was written. */
int pack_fd(const struct pack *p); /* borrowed */

/** pack_items(p): after pack_finish, borrowed until pack_freep: the items as they were decided (op
 * is an enum change_op or PACK_ROW), in path order. */
const struct spool *pack_items(const struct pack *p);

#endif
