/* SPDX-License-Identifier: ISC */
/*
 * Users' encryption keys at rest.  A stolen database or backup must not give them away, so each is
 * sealed under a master key that lies elsewhere.  A proof sealed with it tells a wrong passphrase
 * or file at once; without it the first key opened would look damaged.
 */
#include "core/trust/vault.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/os/durable.h"
#include "core/trust/key_internal.h"

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG   crypto_aead_xchacha20poly1305_ietf_ABYTES

_Static_assert(VAULT_SECRET_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "XChaCha20");
_Static_assert(VAULT_SEALED_BYTES == NONCE + VAULT_SECRET_BYTES + TAG, "nonce, secret, tag");
_Static_assert(VAULT_SALT_BYTES == crypto_pwhash_SALTBYTES, "Argon2id");

struct vault {
	uint8_t b[VAULT_SECRET_BYTES];
};

struct vault_secret {
	uint8_t b[VAULT_SECRET_BYTES];
};

/* The proof is sealed as version 0, which no key has. */
#define PROOF_NAME    ""
#define PROOF_VERSION 0

void vault_freep(struct vault **v)
{
	secret_free(*v);
	*v = NULL;
}

void vault_secret_freep(struct vault_secret **s)
{
	secret_free(*s);
	*s = NULL;
}

/* Secrets of one key version */

int vault_secret_new(struct vault_secret **ret, struct err *err)
{
	struct vault_secret *s = NULL;
	int rc = secret_make(sizeof(*s), &s, err);

	if (rc < 0)
		return rc;
	randombytes_buf(s->b, sizeof(s->b));
	secret_readonly(s);
	*ret = s;
	return 0;
}

int vault_secret_of(struct bytes from, struct vault_secret **ret, struct err *err)
{
	struct vault_secret *s = NULL;
	int rc = from.n == sizeof(s->b)
		     ? secret_make(sizeof(*s), &s, err)
		     : err_set(err, RC_MALFORMED, "a secret of %zu bytes", from.n);

	if (rc < 0)
		return rc;
	memcpy(s->b, from.p, sizeof(s->b));
	secret_readonly(s);
	*ret = s;
	return 0;
}

struct bytes vault_secret_bytes(const struct vault_secret *s)
{
	return (struct bytes){s->b, sizeof(s->b)};
}

/*
 * Name and version go into the seal, so that a row that somebody moves to another key opens
 * nothing.
 */
static int authenticated(const char *name, uint64_t version, struct buf *ret, struct err *err)
{
	return buf_printf(ret, err, "satchel key 1\n%s\n%" PRIu64 "\n", name, version);
}

static int seal(const struct vault *v, const char *name, uint64_t version,
		const uint8_t secret[VAULT_SECRET_BYTES], uint8_t ret[VAULT_SEALED_BYTES],
		struct err *err)
{
	OWNED(buf_clear) struct buf with = BUF_INIT;
	int rc = authenticated(name, version, &with, err);

	if (rc < 0)
		return rc;
	randombytes_buf(ret, NONCE);
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(ret + NONCE, NULL, secret,
						       VAULT_SECRET_BYTES, with.p, with.n, NULL,
						       ret, v->b) != 0)
		return err_set(err, RC_INTERNAL, "sealing failed");
	return 0;
}

int vault_seal(const struct vault *v, const char *name, uint64_t version,
	       const struct vault_secret *s, uint8_t ret[VAULT_SEALED_BYTES], struct err *err)
{
	return seal(v, name, version, s->b, ret, err);
}

int vault_open(const struct vault *v, const char *name, uint64_t version, struct bytes sealed,
	       struct vault_secret **ret, struct err *err)
{
	OWNED(vault_secret_freep) struct vault_secret *s = NULL;
	OWNED(buf_clear) struct buf with = BUF_INIT;
	int rc = authenticated(name, version, &with, err);

	if (rc == 0)
		rc = secret_make(sizeof(*s), &s, err);
	if (rc < 0)
		return rc;
	if (sealed.n != VAULT_SEALED_BYTES ||
	    crypto_aead_xchacha20poly1305_ietf_decrypt(s->b, NULL, NULL, sealed.p + NONCE,
						       sealed.n - NONCE, with.p, with.n, sealed.p,
						       v->b) != 0)
		return err_set(err, RC_UNTRUSTED,
			       "version %" PRIu64
			       " of key %s was altered, or sealed under another master key",
			       version, name);
	secret_readonly(s);
	*ret = TAKE(s);
	return 0;
}

/* The master key */

static int master_new(struct vault **ret, struct err *err)
{
	return secret_make(sizeof(**ret), ret, err);
}

static int proof_make(const struct vault *v, struct vault_lock *lock, struct err *err)
{
	static const uint8_t nothing[VAULT_SECRET_BYTES];

	return seal(v, PROOF_NAME, PROOF_VERSION, nothing, lock->proof, err);
}

static int proof_check(const struct vault *v, const struct vault_lock *lock, const char *wrong,
		       struct err *err)
{
	OWNED(vault_secret_freep) struct vault_secret *nothing = NULL;
	struct bytes proof = {lock->proof, sizeof(lock->proof)};
	int rc = vault_open(v, PROOF_NAME, PROOF_VERSION, proof, &nothing, err);

	return rc == RC_UNTRUSTED ? err_set(err, rc, "%s", wrong) : rc;
}

int vault_make_file(int dirfd, const char *name, struct vault_lock *ret_lock, struct vault **ret,
		    struct err *err)
{
	OWNED(vault_freep) struct vault *v = NULL;
	struct vault_lock lock = {.kind = VAULT_FILE};
	int rc = master_new(&v, err);

	if (rc < 0)
		return rc;
	randombytes_buf(v->b, sizeof(v->b));
	rc = proof_make(v, &lock, err);
	if (rc == 0)
		rc = durable_write(dirfd, name, (struct bytes){v->b, sizeof(v->b)}, 0400, 0, err);
	if (rc < 0)
		return rc;
	*ret_lock = lock;
	*ret = TAKE(v);
	return 0;
}

static int master_read(int dirfd, const char *name, struct vault *v, struct err *err)
{
	size_t n = 0;
	int rc = key_file_bytes(dirfd, name, v->b, sizeof(v->b), &n, err);

	if (rc == RC_LIMIT || (rc == 0 && n != sizeof(v->b)))
		return err_set(err, RC_MALFORMED, "it is not a master key, which has %zu bytes",
			       sizeof(v->b));
	return rc;
}

int vault_take_file(int dirfd, const char *name, struct vault_lock *ret_lock, struct vault **ret,
		    struct err *err)
{
	OWNED(vault_freep) struct vault *v = NULL;
	struct vault_lock lock = {.kind = VAULT_FILE};
	int rc = master_new(&v, err);

	if (rc == 0)
		rc = master_read(dirfd, name, v, err);
	if (rc == 0)
		rc = proof_make(v, &lock, err);
	if (rc < 0)
		return rc;
	*ret_lock = lock;
	*ret = TAKE(v);
	return 0;
}

int vault_open_file(int dirfd, const char *name, const struct vault_lock *lock, struct vault **ret,
		    struct err *err)
{
	OWNED(vault_freep) struct vault *v = NULL;
	int rc = master_new(&v, err);

	if (rc == 0)
		rc = master_read(dirfd, name, v, err);
	if (rc == 0)
		rc = proof_check(v, lock, "it is not the master key of this key store", err);
	if (rc < 0)
		return rc;
	*ret = TAKE(v);
	return 0;
}

/*
 * The lock comes from the registry, which may be restored or altered: the work that it asks for is
 * bounded before any memory is set aside.
 */
static int master_derive(struct key_ask *ask, const struct vault_lock *lock, unsigned least,
			 struct vault *v, struct err *err)
{
	OWNED(secret_freep) char *text = NULL;
	size_t n;
	int rc;

	if (ask == NULL)
		return err_set(err, RC_UNTRUSTED,
			       "the key store has a passphrase, and there is no terminal to ask "
			       "for it");
	if (lock->passes > VAULT_PASSES_MOST || lock->memory > VAULT_MEMORY_MOST)
		return err_set(err, RC_LIMIT,
			       "the passphrase of the key store asks for more work than is ever "
			       "set here");
	rc = secret_make(VAULT_PASSPHRASE_MOST, &text, err);
	if (rc == 0)
		rc = ask->ask(ask, "the key store", text, VAULT_PASSPHRASE_MOST, err);
	if (rc < 0)
		return rc;
	n = strnlen(text, VAULT_PASSPHRASE_MOST);
	if (n < least)
		return err_set(err, RC_POLICY,
			       "a passphrase of the key store has at least %u characters", least);
	if (crypto_pwhash(v->b, sizeof(v->b), text, n, lock->salt, lock->passes,
			  (size_t)lock->memory, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(err, RC_MEMORY,
			       "the passphrase of the key store needs %" PRIu64
			       " MiB of memory to check, which are not free",
			       lock->memory >> 20);
	return 0;
}

int vault_make_passphrase(struct key_ask *ask, struct vault_lock *ret_lock, struct vault **ret,
			  struct err *err)
{
	OWNED(vault_freep) struct vault *v = NULL;
	struct vault_lock lock = {
	    .kind = VAULT_PASSPHRASE, .passes = VAULT_PASSES, .memory = VAULT_MEMORY};
	int rc = master_new(&v, err);

	if (rc < 0)
		return rc;
	randombytes_buf(lock.salt, sizeof(lock.salt));
	rc = master_derive(ask, &lock, VAULT_PASSPHRASE_LEAST, v, err);
	if (rc == 0)
		rc = proof_make(v, &lock, err);
	if (rc < 0)
		return rc;
	*ret_lock = lock;
	*ret = TAKE(v);
	return 0;
}

int vault_open_passphrase(struct key_ask *ask, const struct vault_lock *lock, struct vault **ret,
			  struct err *err)
{
	OWNED(vault_freep) struct vault *v = NULL;
	int rc = master_new(&v, err);

	if (rc == 0)
		rc = master_derive(ask, lock, 0, v, err);
	if (rc == 0)
		rc = proof_check(v, lock, "the passphrase of the key store is wrong", err);
	if (rc < 0)
		return rc;
	*ret = TAKE(v);
	return 0;
}
