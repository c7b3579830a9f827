/* SPDX-License-Identifier: ISC */
/*
 * The bundle file: its outer tar and its prefix.  Bytes in, structs out, no files.  Nothing that is
 * not authenticated reaches a parser.  The payload is read by payload.h, sealed by content.h.
 * Source: docs/FORMAT.md section 5.
 */
#ifndef SATCHEL_CORE_FORMAT_BUNDLE_BUNDLE_H
#define SATCHEL_CORE_FORMAT_BUNDLE_BUNDLE_H

#include "core/format/bundle/changes.h"
#include "core/format/bundle/content.h"
#include "core/format/bundle/payload.h"
#include "core/format/bundle/tar.h"
#include "core/format/documents/documents.h"

/** bundle_blocks(payload): blocks of a payload of so many bytes. */
uint64_t bundle_blocks(uint64_t payload);

/**
 * bundle_prefix_make(manifest_doc, blocks, payload, ret, err): append everything before the
 * payload's first byte.
 * ${manifest_doc} is the signed document, ${blocks} the list of digests, ${payload} its length.
 */
int bundle_prefix_make(struct bytes manifest_doc, struct bytes blocks, uint64_t payload,
		       struct buf *ret, struct err *err);
/**
 * bundle_tail(payload): bytes of padding and end mark after the payload, all zero.
 * bundle_size(prefix, payload): bytes of the whole file.
 */
size_t bundle_tail(uint64_t payload);
uint64_t bundle_size(size_t prefix, uint64_t payload);

/**
 * Reading a prefix, step by step, each step naming how many bytes the next one needs:
 * 1. the first 512 bytes: bundle_manifest_size(first, ret, err) gives the size of the manifest, at
 * most LIMIT_MANIFEST;
 * 2. 512 and that many: the signed document, which the caller verifies and then decodes;
 * 3. with its payload length: bundle_prefix_size(manifest_doc, payload, ret, err);
 * 4. the whole prefix: bundle_prefix_check(prefix, manifest_doc, m, ret_blocks, err) compares the
 * list of blocks with the signed digest, makes every header again and compares it.  ${*ret_blocks}
 * borrows from ${prefix}.
 * Errors: RC_MALFORMED; RC_LIMIT; RC_INCOMPLETE: shorter than it should be, or a list of blocks
 * that is not the signed one.
 */
int bundle_manifest_size(const uint8_t first[512], size_t *ret, struct err *err);
int bundle_prefix_size(size_t manifest_doc, uint64_t payload, size_t *ret, struct err *err);
int bundle_prefix_check(struct bytes prefix, size_t manifest_doc, const struct manifest *m,
			struct bytes *ret_blocks, struct err *err);

/**
 * bundle_form(in, ret_need, ret, err): the form of a prefix, for who cannot verify its manifest and
 * knows the digest that it must have.  1 when ${in} holds a whole one, of ${*ret_need} bytes; 0
 * when ${*ret_need} bytes are needed to go on.  Views borrow from ${in}; nothing in the manifest is
 * looked at.  Errors: RC_MALFORMED, RC_LIMIT.
 */
struct bundle_form {
	struct bytes manifest, blocks;
	uint64_t payload; /* bytes */
};
int bundle_form(struct bytes in, size_t *ret_need, struct bundle_form *ret, struct err *err);

#endif
