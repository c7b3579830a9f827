/*
 * A spool: bytes that are written once in order and read back, kept in memory while they are few
 * and in a nameless file of the state directory when they are many, so that a tree of any size is
 * published in the same memory.  Not for several threads at once.
 */
#ifndef SATCHEL_BUNDLER_PACK_SPOOL_H
#define SATCHEL_BUNDLER_PACK_SPOOL_H

#include "core/base/bytes.h"

struct spool; /* owned */

/** spool_new(dirfd, ret, err): ${dirfd} is borrowed and must outlive it. */
int spool_new(int dirfd, struct spool **ret, struct err *err);
struct spool *spool_free(struct spool *s);
void spool_freep(struct spool **s);

int spool_add(struct spool *s, const void *p, size_t n, struct err *err);
uint64_t spool_size(const struct spool *s);
/** spool_read(s, offset, dst, n, err): exactly ${n} bytes; RC_INTERNAL beyond the end. */
int spool_read(const struct spool *s, uint64_t offset, void *dst, size_t n, struct err *err);
/** spool_cut(s, size, err): forget what was added after ${size} bytes. */
int spool_cut(struct spool *s, uint64_t size, struct err *err);

#endif
