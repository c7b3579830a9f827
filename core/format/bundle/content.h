/* SPDX-License-Identifier: ISC */
/*
 * The content key of one sealed bundle: libsodium's secretstream (XChaCha20-Poly1305) over the
 * payload, its key sealed to one workstation.  Source: docs/FORMAT.md section 4; libsodium's
 * crypto_secretstream.
 */
#ifndef SATCHEL_CORE_FORMAT_BUNDLE_CONTENT_H
#define SATCHEL_CORE_FORMAT_BUNDLE_CONTENT_H

#include "core/format/documents/documents.h"

#define CONTENT_KEY_BYTES 32u /* of a channel */
/* Bytes that sealing adds to a message, and the most that one message holds. */
#define CONTENT_ADDS  17u
#define CONTENT_BYTES (BLOCK_BYTES - CONTENT_ADDS)

struct content_key; /* owned, wiped when freed; it serves one payload, from its first block on */

/** content_key_new(to, m, ret, err): a new random key; fills sealed_key and stream_header of ${m}.
 */
int content_key_new(const struct key_public *to, struct manifest *m, struct content_key **ret,
		    struct err *err);
/** content_key_open(k, m, ret, err): RC_UNTRUSTED when it is not sealed to ${k}. */
int content_key_open(const struct key_secret *k, const struct manifest *m, struct content_key **ret,
		     struct err *err);
/**
 * The same for a channel whose content key ${secret}, CONTENT_KEY_BYTES, all who are to read it
 * have. content_channel_new(secret, salt, m, ret, err): another stream under it; fills
 * stream_header and sealed_salt of ${m}; ${salt} is that of the digests.
 * content_channel_again(secret, m, ret, err): the stream of ${m} once more, for the same payload
 * and for no other, since two payloads in one stream give each other away.
 * content_channel_open(secret, m, ret, err): RC_UNTRUSTED when it is not sealed with ${secret}.
 */
int content_channel_new(struct bytes secret, const struct digest *salt, struct manifest *m,
			struct content_key **ret, struct err *err);
int content_channel_again(struct bytes secret, const struct manifest *m, struct content_key **ret,
			  struct err *err);
int content_channel_open(struct bytes secret, const struct manifest *m, struct content_key **ret,
			 struct err *err);
/** content_key_salt(k): the salt of the digests, of one that content_channel_open gave; else all
 * zero, also of NULL. */
const struct digest *content_key_salt(const struct content_key *k);
/**
 * content_changes(salt, plain): the digest of a list of changes as the manifest has it; ${salt} all
 * zero: it is not sealed.
 */
struct digest content_changes(const struct digest *salt, const struct digest *plain);
/**
 * A process that is forked does not have the key; it is told.
 * content_key_bytes(k): what to tell it, as long as ${k} lives.
 * content_key_take(in, ret, err): there: the key.  RC_MEMORY, RC_INTERNAL: not such bytes.
 */
struct bytes content_key_bytes(const struct content_key *k);
int content_key_take(struct bytes in, struct content_key **ret, struct err *err);
/**
 * content_key_free(k), content_key_freep(k): wipe and release.  NULL is fine; content_key_free
 * returns NULL.
 */
struct content_key *content_key_free(struct content_key *k);
void content_key_freep(struct content_key **k);

/**
 * content_seal(k, plain, last, ret, err): append the block of one message: CONTENT_BYTES, fewer
 * only when it is the last.  content_open(k, block, last, ret, err): the way back; RC_UNTRUSTED
 * when it is altered, out of order, after the end, or last where another should follow (or the
 * reverse).
 */
int content_seal(struct content_key *k, struct bytes plain, bool last, struct buf *ret,
		 struct err *err);
int content_open(struct content_key *k, struct bytes block, bool last, struct buf *ret,
		 struct err *err);

#endif
