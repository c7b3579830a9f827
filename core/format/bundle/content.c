/* SPDX-License-Identifier: ISC */
/*
 * A payload for one workstation only, or for all that have the content key of a channel.  Each
 * block is one message of a secretstream, so a block that is swapped, repeated, left out or cut off
 * at the end does not open, and blocks open one by one.
 *
 * The content key of a channel seals many bundles, so it is no key of a stream itself: one key is
 * derived from it for streams, one for salts, and each bundle has a random header of its own, 192
 * bits, which the stream mixes into its key and which is the nonce of the salt.
 */
#include "core/format/bundle/content.h"

#include <sodium.h>
#include <string.h>

#include "core/base/own.h"
#include "core/base/secret.h"

_Static_assert(CONTENT_ADDS == crypto_secretstream_xchacha20poly1305_ABYTES,
	       "a sealed message grows by 17 bytes");

enum content_direction { CONTENT_SEAL, CONTENT_OPEN, CONTENT_ENDED };

struct content_key {
	crypto_secretstream_xchacha20poly1305_state state;
	enum content_direction direction;
	struct digest salt; /* of the digests of a sealed channel; all zero: there is none */
};

_Static_assert(sizeof(((struct manifest *)0)->sealed_key) ==
		   crypto_secretstream_xchacha20poly1305_KEYBYTES + crypto_box_SEALBYTES,
	       "the manifest holds one sealed key");
_Static_assert(sizeof(((struct manifest *)0)->stream_header) ==
		   crypto_secretstream_xchacha20poly1305_HEADERBYTES,
	       "the manifest holds one stream header");

static int content_key_alloc(enum content_direction direction, struct content_key **ret,
			     struct err *err)
{
	struct content_key *k = sodium_init() < 0 ? NULL : secret_new(sizeof(*k));

	if (k == NULL)
		return err_memory(err);
	k->direction = direction;
	*ret = k;
	return 0;
}

int content_key_new(const struct key_public *to, struct manifest *m, struct content_key **ret,
		    struct err *err)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	uint8_t secret[crypto_secretstream_xchacha20poly1305_KEYBYTES];
	int rc = content_key_alloc(CONTENT_SEAL, &k, err);

	if (rc < 0)
		return rc;
	crypto_secretstream_xchacha20poly1305_keygen(secret);
	rc = key_seal(to, (struct bytes){secret, sizeof(secret)}, &sealed, err);
	if (rc == 0 && sealed.n != sizeof(m->sealed_key))
		rc = err_set(err, RC_INTERNAL, "a sealed content key of %zu bytes", sealed.n);
	if (rc == 0) {
		memcpy(m->sealed_key, sealed.p, sealed.n);
		crypto_secretstream_xchacha20poly1305_init_push(&k->state, m->stream_header,
								secret);
		*ret = TAKE(k);
	}
	sodium_memzero(secret, sizeof(secret));
	return rc;
}

int content_key_open(const struct key_secret *k, const struct manifest *m, struct content_key **ret,
		     struct err *err)
{
	OWNED(content_key_freep) struct content_key *c = NULL;
	OWNED(buf_clear) struct buf secret = BUF_SECRET;
	int rc = content_key_alloc(CONTENT_OPEN, &c, err);

	if (rc < 0)
		return rc;
	rc = key_unseal(k, (struct bytes){m->sealed_key, sizeof(m->sealed_key)}, &secret, err);
	if (rc < 0)
		return rc;
	if (secret.n != crypto_secretstream_xchacha20poly1305_KEYBYTES ||
	    crypto_secretstream_xchacha20poly1305_init_pull(&c->state, m->stream_header,
							    secret.p) != 0)
		return err_set(err, RC_MALFORMED, "the bundle's content key is not a key");
	*ret = TAKE(c);
	return 0;
}

_Static_assert(CONTENT_KEY_BYTES == crypto_secretstream_xchacha20poly1305_KEYBYTES &&
		   CONTENT_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES &&
		   sizeof(((struct manifest *)0)->stream_header) ==
		       crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
		   sizeof(((struct manifest *)0)->sealed_salt) ==
		       DIGEST_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES,
	       "the manifest holds one sealed salt");

#define CHANNEL_STREAM "satchel channel content 1\n"
#define CHANNEL_SALT   "satchel channel salt 1\n"

static int channel_key(struct bytes secret, const char *what, uint8_t ret[CONTENT_KEY_BYTES],
		       struct err *err)
{
	if (secret.n != CONTENT_KEY_BYTES)
		return err_set(err, RC_MALFORMED, "a content key of %zu bytes", secret.n);
	crypto_generichash_blake2b(ret, CONTENT_KEY_BYTES, (const uint8_t *)what, strlen(what),
				   secret.p, secret.n);
	return 0;
}

/* What libsodium's init_push makes of a header, init_pull makes of it as well. */
static int channel_stream(struct bytes secret, const struct manifest *m,
			  enum content_direction direction, struct content_key **ret,
			  struct err *err)
{
	OWNED(content_key_freep) struct content_key *k = NULL;
	uint8_t key[CONTENT_KEY_BYTES];
	int rc = channel_key(secret, CHANNEL_STREAM, key, err);

	if (rc == 0)
		rc = content_key_alloc(direction, &k, err);
	if (rc == 0) {
		crypto_secretstream_xchacha20poly1305_init_pull(&k->state, m->stream_header, key);
		*ret = TAKE(k);
	}
	sodium_memzero(key, sizeof(key));
	return rc;
}

int content_channel_new(struct bytes secret, const struct digest *salt, struct manifest *m,
			struct content_key **ret, struct err *err)
{
	uint8_t key[CONTENT_KEY_BYTES];
	int rc = channel_key(secret, CHANNEL_SALT, key, err);

	if (rc < 0)
		return rc;
	randombytes_buf(m->stream_header, sizeof(m->stream_header));
	crypto_aead_xchacha20poly1305_ietf_encrypt(m->sealed_salt, NULL, salt->b, sizeof(salt->b),
						   NULL, 0, NULL, m->stream_header, key);
	sodium_memzero(key, sizeof(key));
	return channel_stream(secret, m, CONTENT_SEAL, ret, err);
}

int content_channel_again(struct bytes secret, const struct manifest *m, struct content_key **ret,
			  struct err *err)
{
	return channel_stream(secret, m, CONTENT_SEAL, ret, err);
}

int content_channel_open(struct bytes secret, const struct manifest *m, struct content_key **ret,
			 struct err *err)
{
	uint8_t key[CONTENT_KEY_BYTES];
	struct digest salt;
	int bad, rc = channel_key(secret, CHANNEL_SALT, key, err);

	if (rc < 0)
		return rc;
	bad = crypto_aead_xchacha20poly1305_ietf_decrypt(salt.b, NULL, NULL, m->sealed_salt,
							 sizeof(m->sealed_salt), NULL, 0,
							 m->stream_header, key);
	sodium_memzero(key, sizeof(key));
	/* All zero means that there is none. */
	if (bad != 0 || digest_is_zero(&salt))
		return err_set(err, RC_UNTRUSTED,
			       "the bundle was not sealed with this content key");
	rc = channel_stream(secret, m, CONTENT_OPEN, ret, err);
	if (rc == 0)
		(*ret)->salt = salt;
	return rc;
}

const struct digest *content_key_salt(const struct content_key *k)
{
	static const struct digest none;

	return k != NULL ? &k->salt : &none;
}

struct digest content_changes(const struct digest *salt, const struct digest *plain)
{
	return digest_is_zero(salt) ? *plain
				    : digest_keyed(salt, "satchel sealed changes 1\n", plain);
}

struct bytes content_key_bytes(const struct content_key *k)
{
	return (struct bytes){(const uint8_t *)k, sizeof(*k)};
}

int content_key_take(struct bytes in, struct content_key **ret, struct err *err)
{
	struct content_key *k = NULL;
	int rc;

	if (in.n != sizeof(*k))
		return err_set(err, RC_INTERNAL, "a content key of %zu bytes was handed over",
			       in.n);
	rc = content_key_alloc(CONTENT_OPEN, &k, err);
	if (rc < 0)
		return rc;
	memcpy(k, in.p, sizeof(*k));
	*ret = k;
	return 0;
}

struct content_key *content_key_free(struct content_key *k)
{
	secret_free(k);
	return NULL;
}

void content_key_freep(struct content_key **k)
{
	*k = content_key_free(*k);
}

int content_seal(struct content_key *k, struct bytes plain, bool last, struct buf *ret,
		 struct err *err)
{
	uint8_t tag = last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
			   : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
	int rc;

	if (k->direction != CONTENT_SEAL || plain.n > CONTENT_BYTES ||
	    (!last && plain.n != CONTENT_BYTES))
		return err_set(err, RC_INTERNAL, "a message of %zu bytes cannot be sealed here",
			       plain.n);
	rc = buf_reserve(ret, plain.n + CONTENT_ADDS, err);
	if (rc < 0)
		return rc;
	if (crypto_secretstream_xchacha20poly1305_push(&k->state, ret->p + ret->n, NULL, plain.p,
						       plain.n, NULL, 0, tag) != 0)
		return err_set(err, RC_INTERNAL, "sealing failed");
	ret->n += plain.n + CONTENT_ADDS;
	ret->p[ret->n] = '\0';
	if (last)
		k->direction = CONTENT_ENDED;
	return 0;
}

int content_open(struct content_key *k, struct bytes block, bool last, struct buf *ret,
		 struct err *err)
{
	unsigned char tag;
	int rc;

	if (k->direction != CONTENT_OPEN)
		return err_set(err, RC_UNTRUSTED, "a sealed payload goes on after its end");
	if (block.n < CONTENT_ADDS || block.n > BLOCK_BYTES)
		return err_set(err, RC_UNTRUSTED, "a sealed block of %zu bytes", block.n);
	rc = buf_reserve(ret, block.n - CONTENT_ADDS, err);
	if (rc < 0)
		return rc;
	if (crypto_secretstream_xchacha20poly1305_pull(&k->state, ret->p + ret->n, NULL, &tag,
						       block.p, block.n, NULL, 0) != 0)
		return err_set(err, RC_UNTRUSTED,
			       "a sealed block is altered or was not sealed with this key");
	if (tag != (last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
			 : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE))
		return err_set(err, RC_UNTRUSTED, "a sealed payload ends where it should not");
	ret->n += block.n - CONTENT_ADDS;
	ret->p[ret->n] = '\0';
	if (last)
		k->direction = CONTENT_ENDED;
	return 0;
}
