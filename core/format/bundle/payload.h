/* SPDX-License-Identifier: ISC */
/*
 * The payload of a bundle as a stream of events: each block is verified, opened when it is sealed,
 * unpacked frame by frame and taken apart as tar.  Memory is constant: at most about 20 MiB.
 * Source: docs/FORMAT.md section 5.
 */
#ifndef SATCHEL_CORE_FORMAT_BUNDLE_PAYLOAD_H
#define SATCHEL_CORE_FORMAT_BUNDLE_PAYLOAD_H

#include "core/format/bundle/content.h"
#include "core/format/documents/documents.h"

/**
 * ${block} delivers block i of the payload into ${dst} (exactly ${n} bytes); the reader verifies it
 * before anything sees it.  Then in this order: changes (pieces), end of changes (NULL piece), and
 * for each member: member(), data() pieces of any size, together exactly ${size} bytes.  Names are
 * "files/…" or "patches/…"; that they are the expected ones, in the expected order, is the
 * caller's to check.  Pieces are valid only during the call.
 */
struct payload_events {
	void *arg;
	int (*block)(void *arg, uint64_t i, uint8_t *dst, size_t n, struct err *err);
	int (*changes)(void *arg, struct bytes piece, struct err *err); /* piece.p NULL: the end */
	int (*member)(void *arg, const char *name, uint64_t size, struct err *err);
	int (*data)(void *arg, struct bytes piece, struct err *err);
};

/**
 * payload_read(m, blocks, key, events, err): ${key} is NULL for a payload that is not sealed.
 * Returns 0 after the last byte was checked: nothing stands after the end.  Errors: RC_MALFORMED,
 * RC_INCOMPLETE (block i is not what was signed: the copy is damaged or altered), RC_UNTRUSTED (a
 * seal that does not open), RC_LIMIT (more than was signed), and what the callbacks return.
 */
int payload_read(const struct manifest *m, struct bytes blocks, struct content_key *key,
		 const struct payload_events *events, struct err *err);

#endif
