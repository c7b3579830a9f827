/*
 * The bundle file: its outer tar, its prefix, and its payload.  Bytes in, structs out, no files.
 * Nothing that is not authenticated reaches a parser: see docs/FORMAT.md section 5.
 */
#ifndef SATCHEL_FORMAT_BUNDLE_H
#define SATCHEL_FORMAT_BUNDLE_H

#include "core/format/changes.h"
#include "core/format/documents.h"

/** tar_header(name, size, ret, err): append the fixed header of a member (libarchive's
 * pax-restricted writer). */
int tar_header(const char *name, uint64_t size, struct buf *ret, struct err *err);
/** tar_padding(size): zero bytes that follow ${size} bytes of content.  TAR_END: zero bytes at the
 * end. */
size_t tar_padding(uint64_t size);
#define TAR_END 1024

/**
 * bundle_prefix_make(manifest_doc, blocks, payload, ret, err): everything before the payload's
 * first byte.
 * ${manifest_doc} is the signed document, ${blocks} the list of digests, ${payload} its length.
 */
int bundle_prefix_make(struct bytes manifest_doc, struct bytes blocks, uint64_t payload,
		       struct buf *ret, struct err *err);
/** bundle_tail(payload): bytes of padding and end mark after the payload, all zero. bundle_size: of
 * the whole file. */
size_t bundle_tail(uint64_t payload);
uint64_t bundle_size(size_t prefix, uint64_t payload);

/**
 * Reading a prefix, step by step, each step naming how many bytes the next one needs:
 *   first 512 bytes -> bundle_manifest_size: size of the manifest (bounded by LIMIT_MANIFEST)
 *   512 + padded manifest -> the signed document (the caller verifies it, then decodes it)
 *   with the manifest's payload length -> bundle_prefix_size
 *   whole prefix -> bundle_prefix_check: every header recomputed and compared, blocks against its
 * digest
 */
int bundle_manifest_size(const uint8_t first[512], size_t *ret, struct err *err);
int bundle_prefix_size(size_t manifest_doc, uint64_t payload, size_t *ret, struct err *err);
int bundle_prefix_check(struct bytes prefix, size_t manifest_doc, const struct manifest *m,
			struct bytes *ret_blocks, struct err *err);

/** Sealing of a payload: whole messages of BLOCK_BYTES - 17 in, blocks of BLOCK_BYTES out. */
struct content_key; /* owned, wiped when freed */
int content_key_new(const struct key_public *to, struct manifest *m, struct content_key **ret,
		    struct err *err); /* fills sealed_key, stream_header */
int content_key_open(const struct key_secret *k, const struct manifest *m, struct content_key **ret,
		     struct err *err);
struct content_key *content_key_free(struct content_key *k);
void content_key_freep(struct content_key **k);
int content_seal(struct content_key *k, struct bytes plain, bool last, struct buf *ret,
		 struct err *err);
int content_open(struct content_key *k, struct bytes block, bool last, struct buf *ret,
		 struct err *err);

/**
 * The payload as a stream of events.  ${block} delivers block i of the file into ${dst} (exactly
 * ${n} bytes); the reader verifies it before anything sees it.  Then in this order: changes
 * (pieces), end of changes (NULL piece), and for each member: member(), data() pieces.  Returns 0
 * after the last byte was checked. Errors: RC_MALFORMED, RC_INCOMPLETE (block i is not what was
 * signed: the copy is torn or altered), RC_LIMIT (more than was signed), and what the callbacks
 * return.
 */
struct payload_events {
	void *arg;
	int (*block)(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err);
	int (*changes)(void *arg, struct bytes piece, struct err *err); /* piece.p NULL: the end */
	int (*member)(void *arg, const char *name, uint64_t size, struct err *err);
	int (*data)(void *arg, struct bytes piece, struct err *err);
};
int payload_read(const struct manifest *m, struct bytes blocks,
		 struct content_key *key /* NULL: not sealed */, const struct payload_events *ev,
		 struct err *err);

#endif
