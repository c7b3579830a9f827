/* SPDX-License-Identifier: ISC */
/*
 * Digests: BLAKE2b-256 everywhere (RFC 7693, libsodium's generichash), whole or as a stream.
 * A file name in a depot carries the first 128 bits; documents carry all 256.
 */
#ifndef SATCHEL_CORE_BASE_DIGEST_H
#define SATCHEL_CORE_BASE_DIGEST_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

#define DIGEST_BYTES 32
#define DIGEST_HEX   64 /* digits, without the NUL */
#define DIGEST_NAME  32 /* digits of it that a file name carries */

struct digest {
	uint8_t b[DIGEST_BYTES];
};

struct digest_stream {
	crypto_generichash_blake2b_state state;
};

/** digest_of(in): BLAKE2b-256 of ${in}, which may be empty. */
struct digest digest_of(struct bytes in);
/**
 * digest_keyed(key, what, d): for who may see a digest without being able to try guesses on it:
 * BLAKE2b-256 keyed with ${key} of the text ${what}, which says what is digested, and of ${d}.
 */
struct digest digest_keyed(const struct digest *key, const char *what, const struct digest *d);
/** digest_equal(a, b): same digest?  Not in constant time: digests here are public. */
bool digest_equal(const struct digest *a, const struct digest *b);
/** digest_is_zero(d): all bytes zero, which stands for "no digest" (no content hashes to it). */
bool digest_is_zero(const struct digest *d);
/**
 * digest_hex(dst, d): 64 lower-case digits and NUL.  digest_name(dst, d): the first DIGEST_NAME of
 * them and NUL.
 */
void digest_hex(char dst[DIGEST_HEX + 1], const struct digest *d);
void digest_name(char dst[DIGEST_NAME + 1], const struct digest *d);
/** digest_parse(text, ret, err): exactly 64 lower-case digits.  Errors: RC_MALFORMED. */
int digest_parse(const char *text, struct digest *ret, struct err *err);

/**
 * digest_start(s): begin a stream.  digest_more(s, p, n): the next ${n} bytes.
 * digest_end(s): the digest of them all; ${s} must be started again before it is used again.
 */
void digest_start(struct digest_stream *s);
void digest_more(struct digest_stream *s, const void *p, size_t n);
struct digest digest_end(struct digest_stream *s);

#endif
