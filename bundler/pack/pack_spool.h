/* SPDX-License-Identifier: ISC */
/*
 * A spool: bytes that are written once in order and read back, kept in memory while they are few
 * and in a nameless file of the state directory when they are many, so that a tree of any size is
 * published in the same memory.  Not for several threads at once.
 */
#ifndef SATCHEL_BUNDLER_PACK_PACK_SPOOL_H
#define SATCHEL_BUNDLER_PACK_PACK_SPOOL_H

#include "core/base/bytes.h"

struct spool; /* owned */

/** spool_new(dirfd, ret, err): ${dirfd} is borrowed and must outlive it. */
int spool_new(int dirfd, struct spool **ret, struct err *err);
/** spool_freep(s): release it; the file vanishes with it.  NULL is fine. */
void spool_freep(struct spool **s);

/**
 * spool_add(s, p, n, err): append ${n} bytes.  Errors: RC_MEMORY, RC_IO, RC_SPACE: the state
 * directory's file system is full.
 * spool_size(s): bytes that it holds.
 */
int spool_add(struct spool *s, const void *p, size_t n, struct err *err);
uint64_t spool_size(const struct spool *s);
/** spool_read(s, offset, dst, n, err): exactly ${n} bytes; RC_INTERNAL beyond the end. */
int spool_read(const struct spool *s, uint64_t offset, void *dst, size_t n, struct err *err);

#endif
