/* SPDX-License-Identifier: ISC */
/*
 * The one digest of satchel.  Everything that hashes calls this file, so the algorithm and its
 * length are chosen here alone.
 */
#include "core/base/digest.h"

#include <string.h>

struct digest digest_of(struct bytes in)
{
	struct digest d;

	crypto_generichash_blake2b(d.b, sizeof(d.b), in.p, in.n, NULL, 0);
	return d;
}

struct digest digest_keyed(const struct digest *key, const char *what, const struct digest *d)
{
	crypto_generichash_blake2b_state state;
	struct digest ret;

	crypto_generichash_blake2b_init(&state, key->b, sizeof(key->b), sizeof(ret.b));
	crypto_generichash_blake2b_update(&state, (const uint8_t *)what, strlen(what));
	crypto_generichash_blake2b_update(&state, d->b, sizeof(d->b));
	crypto_generichash_blake2b_final(&state, ret.b, sizeof(ret.b));
	sodium_memzero(&state, sizeof(state));
	return ret;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool digest_is_zero(const struct digest *d)
{
	return sodium_is_zero(d->b, sizeof(d->b));
}

void digest_hex(char dst[DIGEST_HEX + 1], const struct digest *d)
{
	hex_encode(dst, d->b, sizeof(d->b));
}

void digest_name(char dst[DIGEST_NAME + 1], const struct digest *d)
{
	hex_encode(dst, d->b, DIGEST_NAME / 2);
}

int digest_parse(const char *text, struct digest *ret, struct err *err)
{
	struct digest d = {{0}};
	int rc = hex_decode(d.b, sizeof(d.b), text, err);

	if (rc < 0)
		return rc;
	*ret = d;
	return 0;
}

void digest_start(struct digest_stream *s)
{
	crypto_generichash_blake2b_init(&s->state, NULL, 0, DIGEST_BYTES);
}

void digest_more(struct digest_stream *s, const void *p, size_t n)
{
	crypto_generichash_blake2b_update(&s->state, p, n);
}

struct digest digest_end(struct digest_stream *s)
{
	struct digest d;

	crypto_generichash_blake2b_final(&s->state, d.b, sizeof(d.b));
	return d;
}
