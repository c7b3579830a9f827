/* SPDX-License-Identifier: ISC */
/*
 * The one tar dialect that satchel writes: the headers of libarchive's pax-restricted writer for
 * regular files, with all metadata fixed.  Source: docs/FORMAT.md section 5; tar(5); pax(1).
 */
#ifndef SATCHEL_CORE_FORMAT_BUNDLE_TAR_H
#define SATCHEL_CORE_FORMAT_BUNDLE_TAR_H

#include "core/base/bytes.h"

#define TAR_RECORD 512
/* Zero bytes that end an archive. */
#define TAR_END 1024

/**
 * A writer of headers, for callers that need many of them: libarchive is asked once, and again
 * only for names and sizes that a plain header cannot hold.  Used by one thread at a time.
 * tar_writer_new(ret, err): Errors: RC_MEMORY; RC_INTERNAL: libarchive makes another header than
 * expected.
 * tar_writer_freep(w): release ${*w}, which becomes NULL; NULL is fine.
 */
struct tar_writer; /* owned */
int tar_writer_new(struct tar_writer **ret, struct err *err);
void tar_writer_freep(struct tar_writer **w);

/**
 * tar_writer_header(w, name, size, ret, err): append the fixed header of a member: 512 bytes, more
 * when the name or the size needs a pax header.  ${name} is ASCII.
 * tar_writer_member(w, name, content, ret, err): append header, content and padding.
 */
int tar_writer_header(struct tar_writer *w, const char *name, uint64_t size, struct buf *ret,
		      struct err *err);
int tar_writer_member(struct tar_writer *w, const char *name, struct bytes content, struct buf *ret,
		      struct err *err);

/** tar_header(name, size, ret, err): as tar_writer_header, for a single one. */
int tar_header(const char *name, uint64_t size, struct buf *ret, struct err *err);

/** tar_padding(size): zero bytes that follow ${size} bytes of content. */
size_t tar_padding(uint64_t size);
/** tar_zeros(n, ret, err): append ${n} zero bytes. */
int tar_zeros(size_t n, struct buf *ret, struct err *err);

#endif
