/* SPDX-License-Identifier: ISC */
/*
 * Secrets at rest: the encryption keys that users are entrusted with, each version sealed under one
 * master key, which lies in a file of its own or comes out of a passphrase.  Secret bytes lie in
 * secret memory (core/base/secret.h) and are wiped on every path.
 *
 * What is sealed is XChaCha20-Poly1305 with a random nonce; the key's name and version are
 * authenticated with it, so that a row that is moved to another name opens nothing.
 * Source: libsodium's crypto_aead_xchacha20poly1305_ietf and crypto_pwhash (Argon2id).
 */
#ifndef SATCHEL_CORE_TRUST_VAULT_H
#define SATCHEL_CORE_TRUST_VAULT_H

#include "core/trust/key.h"

#define VAULT_SECRET_BYTES 32
#define VAULT_SEALED_BYTES (24 + VAULT_SECRET_BYTES + 16) /* nonce, secret, tag */
#define VAULT_SALT_BYTES   16

/*
 * What Argon2id is asked for when a passphrase is set: passes, and bytes of memory.  Less than a
 * second on a server of today, and 256 MiB for each guess of a thief.  More than the most is not
 * done for any registry: it could ask for all memory.
 */
#define VAULT_PASSES      3u
#define VAULT_PASSES_MOST 10u
#define VAULT_MEMORY      (256u << 20)
#define VAULT_MEMORY_MOST (1u << 30)
/* Bytes of a passphrase that is set: below, it is guessed whatever Argon2id costs. */
#define VAULT_PASSPHRASE_LEAST 12u
#define VAULT_PASSPHRASE_MOST  1024u

struct vault;        /* owned: the master key */
struct vault_secret; /* owned: 32 bytes */

enum vault_kind { VAULT_FILE, VAULT_PASSPHRASE };

/* How the master key is come by and recognised.  Not secret; kept beside what it sealed. */
struct vault_lock {
	enum vault_kind kind;
	uint8_t salt[VAULT_SALT_BYTES]; /* of a passphrase, as the next two */
	uint64_t passes, memory;
	uint8_t proof[VAULT_SEALED_BYTES]; /* nothing, sealed: opens under the right master key */
};

/**
 * vault_make_file(dirfd, name, ret_lock, ret, err): a new master key, 32 random bytes, in a new
 * file 0400.  Errors: RC_CONFLICT: there is one.
 * vault_take_file(dirfd, name, ret_lock, ret, err): the file that an interrupted run made.
 * Errors: as vault_open_file, without RC_UNTRUSTED.
 * vault_make_passphrase(ask, ret_lock, ret, err): out of a new passphrase, which ${ask} is asked
 * for.  Errors: RC_POLICY: too short; RC_UNTRUSTED: ${ask} is NULL; RC_MEMORY: Argon2id finds no
 * memory.
 * ${*ret} is owned by the caller (vault_freep); ${*ret_lock} is to be kept beside what will be
 * sealed.
 */
int vault_make_file(int dirfd, const char *name, struct vault_lock *ret_lock, struct vault **ret,
		    struct err *err);
int vault_take_file(int dirfd, const char *name, struct vault_lock *ret_lock, struct vault **ret,
		    struct err *err);
int vault_make_passphrase(struct key_ask *ask, struct vault_lock *ret_lock, struct vault **ret,
			  struct err *err);
/**
 * vault_open_file(dirfd, name, lock, ret, err), vault_open_passphrase(ask, lock, ret, err): the
 * master key of ${lock}.  RC_UNTRUSTED: another one.  A file as key_read wants it (RC_PATH,
 * RC_TYPE, RC_POLICY), of exactly 32 bytes (RC_MALFORMED); RC_IO, errno kept: it is not there.
 */
int vault_open_file(int dirfd, const char *name, const struct vault_lock *lock, struct vault **ret,
		    struct err *err);
int vault_open_passphrase(struct key_ask *ask, const struct vault_lock *lock, struct vault **ret,
			  struct err *err);
/** vault_freep(v): wipe the master key and release it.  NULL is fine. */
void vault_freep(struct vault **v);

/**
 * vault_secret_new(ret, err): 32 random bytes in memory that is read-only from now on; owned by
 * the caller.
 */
int vault_secret_new(struct vault_secret **ret, struct err *err); /* random */
/** vault_secret_of(from, ret, err): those 32 bytes, likewise; the caller wipes its own.
 * RC_MALFORMED: it is not as many. */
int vault_secret_of(struct bytes from, struct vault_secret **ret, struct err *err);
/** vault_secret_freep(s): wipe and release.  NULL is fine. */
void vault_secret_freep(struct vault_secret **s);
/** vault_secret_bytes(s): lives as long as ${s}.  Whoever copies it wipes the copy. */
struct bytes vault_secret_bytes(const struct vault_secret *s);

/** vault_seal(v, name, version, s, ret, err), vault_open(v, name, version, sealed, ret, err):
 * RC_UNTRUSTED when it was not sealed under this master key for this name and version. */
int vault_seal(const struct vault *v, const char *name, uint64_t version,
	       const struct vault_secret *s, uint8_t ret[VAULT_SEALED_BYTES], struct err *err);
int vault_open(const struct vault *v, const char *name, uint64_t version, struct bytes sealed,
	       struct vault_secret **ret, struct err *err);

#endif
