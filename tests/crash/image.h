/* SPDX-License-Identifier: ISC */
/*
 * A tree of files in memory: as it lay on disk before a run, and as a crash may have left it.  By
 * inode, because that is how file systems lose things: a name without its content, a content
 * without its name.
 */
#ifndef SATCHEL_TESTS_CRASH_IMAGE_H
#define SATCHEL_TESTS_CRASH_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/digest.h"
#include "core/base/list.h"
#include "tests/seam/record.h"

struct node {
	uint64_t ino;
	mode_t mode;          /* with its kind */
	int64_t mtime, ctime; /* nanoseconds */
	uint8_t *data;        /* content, or a link's target */
	size_t size, cap;     /* cap 0: borrowed from another image */
	uint64_t version;     /* says which calls made it what it is */
};

struct name {
	uint64_t dir, ino;
	const char *name; /* borrowed: from the first image, or from the log */
};

struct image {
	uint64_t root;
	LIST(struct node) node;
	LIST(struct name) name;
};

/* How a call reached the disk. */
enum fate {
	FATE_WHOLE,
	FATE_LOST,
	FATE_HALF,  /* of a write: its first half */
	FATE_TAIL,  /* its second half */
	FATE_ZEROS, /* its length, but zeros */
};

/** image_read(dir, ret): everything below ${dir}; lives as long as the process. */
void image_read(const char *dir, struct image *ret);
/** image_copy(from, ret): borrows names and contents.  image_clear(m) releases what a copy owns. */
void image_copy(const struct image *from, struct image *ret);
void image_clear(struct image *m);
/** image_apply(m, r, fate, number): what the call did, if it did. */
void image_apply(struct image *m, const struct record *r, enum fate fate, uint64_t number);
/** image_knows(m, r): is it about something in this tree? */
bool image_knows(const struct image *m, const struct record *r);
/** image_sum(m): equal for equal trees. */
struct digest image_sum(const struct image *m);
/** image_write(m, dir): the tree at ${dir}, which is removed first; its inodes are shown to
 * commands as they were. */
void image_write(const struct image *m, const char *dir);

#endif
