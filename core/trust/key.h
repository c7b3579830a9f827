/* SPDX-License-Identifier: ISC */
/*
 * Keys: the only module that sees secret bytes.  Ed25519 signing keys in minisign's files, X25519
 * sealing keys in the same shape.  Secrets live in secret memory (core/base/secret.h) and are
 * wiped on every path; a forked process does not have them. Source: minisign(1) and its "Global
 * Format"; docs/FORMAT.md section 1.
 */
#ifndef SATCHEL_CORE_TRUST_KEY_H
#define SATCHEL_CORE_TRUST_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"
#include "core/base/digest.h"

#define KEY_PUBLIC_BYTES 32
#define KEY_NUMBER_TEXT  16 /* digits of a key number */

enum key_kind { KEY_SIGN, KEY_SEAL };

struct key_public {
	enum key_kind kind;
	uint64_t number;             /* minisign's key number; a hint, never trusted */
	uint8_t b[KEY_PUBLIC_BYTES]; /* Ed25519 or X25519 */
};

struct key_secret; /* owned; wiped when freed */

/**
 * key_generate(kind, ret, err): a new random key with a random number; ${*ret} is owned by the
 * caller (key_free), in memory that is read-only from now on.  Errors: RC_MEMORY, RC_INTERNAL:
 * libsodium cannot start.
 */
int key_generate(enum key_kind kind, struct key_secret **ret, struct err *err);
/** key_free(k), key_freep(k): wipe and release.  NULL is fine; key_free returns NULL. */
struct key_secret *key_free(struct key_secret *k);
void key_freep(struct key_secret **k);
/** key_public_of(k): its public half, with kind and number. */
struct key_public key_public_of(const struct key_secret *k);
/** key_same(a, b): the same kind and bytes, whatever the numbers say. */
bool key_same(const struct key_public *a, const struct key_public *b); /* by key, not by number */
/** key_absent(k): is it all zero, as a member that nobody filled in? */
bool key_absent(const struct key_public *k);
/** key_number_text(dst, k): 16 upper-case hexadecimal digits; minisign leaves leading zeros out. */
void key_number_text(char dst[KEY_NUMBER_TEXT + 1], const struct key_public *k);
/**
 * key_number_parse(text, ret): a key's number as a person writes it: 1 to 16 hexadecimal digits of
 * either case, with or without leading zeros.  Returns whether it was one.
 */
bool key_number_parse(const char *text, uint64_t *ret);

/**
 * Public keys: minisign's file (two lines) or its second line alone.  Sealing keys have "Ex" in
 * the place of "Ed".
 * key_public_parse(text, ret, err): Errors: RC_MALFORMED: anything after the key, CR, blanks,
 * another algorithm, identity or small-order keys.
 * key_public_text(k, ret, err): the file of two lines, appended to ${ret}.
 */
int key_public_parse(struct bytes text, struct key_public *ret, struct err *err);
int key_public_text(const struct key_public *k, struct buf *ret, struct err *err);
/** key_public_line(dst, k): the second line alone, as documents hold it. */
#define KEY_PUBLIC_LINE 56
void key_public_line(char dst[KEY_PUBLIC_LINE + 1], const struct key_public *k);

/**
 * key_write(dirfd, name, k, err): minisign's secret key file without passphrase, 0600, O_EXCL,
 * durable; and ${name}.pub beside it is the caller's.
 * key_read(dirfd, name, passphrase, ret, err): refuses a link (RC_PATH), what is no regular file
 * (RC_TYPE), what others may read or write or somebody else than we or root owns (RC_POLICY), more
 * than one key or anything after it (RC_MALFORMED).  ${passphrase} asks, ${what} being the file's
 * name (NULL: a key with one is RC_UNTRUSTED, as is the wrong one).
 */
int key_write(int dirfd, const char *name, const struct key_secret *k, struct err *err);
/** key_locked(dirfd, name, ret, err): has the file a passphrase?  Errors: as key_read, whose checks
 * of the file it makes. */
int key_locked(int dirfd, const char *name, bool *ret, struct err *err);
struct key_ask {
	int (*ask)(struct key_ask *ask, const char *what, char *dst, size_t size, struct err *err);
};
int key_read(int dirfd, const char *name, struct key_ask *passphrase, struct key_secret **ret,
	     struct err *err);

/** key_sign(k, message, ret, err): 64 bytes of pure Ed25519, verified before they are handed out.
 */
int key_sign(const struct key_secret *k, struct bytes message, uint8_t ret[64], struct err *err);
/**
 * key_verify(k, message, sig): is ${sig} by ${k} over exactly these bytes?  A sealing key verifies
 * nothing.
 */
bool key_verify(const struct key_public *k, struct bytes message, const uint8_t sig[64]);

/**
 * Sealed boxes (crypto_box_seal of libsodium): anonymous sender, X25519 recipient; 48 bytes longer
 * than what they hold.
 * key_seal(to, plain, ret, err): appended to ${ret}.  Errors: RC_INTERNAL: a signing key;
 * RC_MALFORMED: a key that nothing can be sealed to; RC_LIMIT.
 * key_unseal(k, sealed, ret, err): the content appended to ${ret}, which should be BUF_SECRET when
 * it is secret.  Errors: RC_UNTRUSTED: not for us, or altered; RC_INTERNAL: a signing key.
 */
int key_seal(const struct key_public *to, struct bytes plain, struct buf *ret, struct err *err);
int key_unseal(const struct key_secret *k, struct bytes sealed, struct buf *ret, struct err *err);

/**
 * key_agree_mac(own, one, other, statement, ret, err):
 * A MAC that the holders of two sealing keys share and nobody else can make: BLAKE2b over
 * ${statement}, keyed with the digest of what X25519 agrees on and both public keys.  ${own} is the
 * secret half of ${one} or of ${other}.  RC_INTERNAL when it is of neither; RC_MALFORMED.
 */
int key_agree_mac(const struct key_secret *own, const struct key_public *one,
		  const struct key_public *other, struct bytes statement, struct digest *ret,
		  struct err *err);

/**
 * key_seal_id(dst, k): what the first line of a sealed document names: 16 digits of the digest of
 * the key.
 */
#define KEY_SEAL_ID 16
void key_seal_id(char dst[KEY_SEAL_ID + 1], const struct key_public *k);

/** workstation_id(dst, sign): 32 digits, the first half of the digest of the key. */
#define WORKSTATION_ID 32
void workstation_id(char dst[WORKSTATION_ID + 1], const struct key_public *sign);

#endif
