/*
 * Keys: the only module that sees secret bytes.  Ed25519 signing keys in minisign's files, X25519
 * sealing keys in the same shape.  Secrets live in sodium_malloc memory and are wiped on every
 * path. Source: minisign(1) and its "Global Format"; docs/FORMAT.md section 1.
 */
#ifndef SATCHEL_TRUST_KEY_H
#define SATCHEL_TRUST_KEY_H

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

int key_generate(enum key_kind kind, struct key_secret **ret, struct err *err);
struct key_secret *key_free(struct key_secret *k);
void key_freep(struct key_secret **k);
struct key_public key_public_of(const struct key_secret *k);
bool key_same(const struct key_public *a, const struct key_public *b); /* by key, not by number */
void key_number_text(char dst[KEY_NUMBER_TEXT + 1], const struct key_public *k);

/**
 * Public keys: minisign's file (two lines) or its second line alone.
 * Refused: anything after, CR, blanks, another algorithm, identity or small-order keys
 * (RC_MALFORMED). Sealing keys have "Ex" in the place of "Ed".
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
struct key_ask {
	int (*ask)(struct key_ask *ask, const char *what, char *dst, size_t size, struct err *err);
};
int key_read(int dirfd, const char *name, struct key_ask *passphrase, struct key_secret **ret,
	     struct err *err);

/** key_sign(k, message, ret, err): 64 bytes of pure Ed25519, verified before they are handed out.
 */
int key_sign(const struct key_secret *k, struct bytes message, uint8_t ret[64], struct err *err);
bool key_verify(const struct key_public *k, struct bytes message, const uint8_t sig[64]);

/** Sealed boxes (crypto_box_seal): anonymous sender, X25519 recipient. key_unseal: RC_UNTRUSTED
 * when it is not for us or altered. */
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

/** key_seal_id(k): what the first line of a sealed document names. */
void key_seal_id(char dst[17], const struct key_public *k);

/** workstation_id(dst, sign): 32 digits, the first half of the digest of the key. */
#define WORKSTATION_ID 32
void workstation_id(char dst[WORKSTATION_ID + 1], const struct key_public *sign);

#endif
