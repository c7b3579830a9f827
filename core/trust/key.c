/* SPDX-License-Identifier: ISC */
/*
 * All use of secret keys.  Secret bytes never leave this room: callers hold a pointer to locked
 * memory and ask for signatures, unsealed text and MACs.  Public keys are checked for soundness
 * when they are read, because with a small-order key everybody's signature or secret would fit.
 */
#include "core/trust/key.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/trust/key_internal.h"

_Static_assert(KEY_PUBLIC_BYTES == crypto_sign_PUBLICKEYBYTES, "Ed25519");
_Static_assert(KEY_PUBLIC_BYTES == crypto_box_PUBLICKEYBYTES, "X25519");
_Static_assert(KEY_SECRET_BYTES == crypto_sign_SECRETKEYBYTES, "Ed25519");

#define COMMENT_START "untrusted comment: "

const char *key_algorithm(enum key_kind kind)
{
	return kind == KEY_SIGN ? "Ed" : "Ex";
}

int key_secret_new(struct key_secret **ret, struct err *err)
{
	struct key_secret *k;

	if (sodium_init() < 0)
		return err_set(err, RC_INTERNAL, "libsodium cannot start");
	k = secret_new(sizeof(*k));
	if (k == NULL)
		return err_memory(err);
	*ret = k;
	return 0;
}

struct key_secret *key_free(struct key_secret *k)
{
	secret_free(k);
	return NULL;
}

void key_freep(struct key_secret **k)
{
	*k = key_free(*k);
}

/*
 * From the seed the public half can be computed, so a file in which they do not belong together is
 * damaged, or made to trick a signature out of us that reveals the key (the "double public key"
 * attack on Ed25519).
 */
int key_secret_check(struct key_secret *k, struct err *err)
{
	uint8_t public[KEY_PUBLIC_BYTES], whole[KEY_SECRET_BYTES];
	bool fits;

	if (k->kind == KEY_SIGN)
		crypto_sign_seed_keypair(public, whole, k->b);
	else
		crypto_scalarmult_base(public, k->b);
	sodium_memzero(whole, sizeof(whole));
	fits = memcmp(public, k->b + 32, sizeof(public)) == 0;
	if (!fits)
		return err_set(err, RC_MALFORMED, "its secret and its public half do not match");
	secret_readonly(k);
	return 0;
}

int key_generate(enum key_kind kind, struct key_secret **ret, struct err *err)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	uint8_t public[KEY_PUBLIC_BYTES];
	int rc = key_secret_new(&k, err);

	if (rc < 0)
		return rc;
	k->kind = kind;
	randombytes_buf(&k->number, sizeof(k->number));
	if (kind == KEY_SIGN) {
		crypto_sign_keypair(public, k->b);
	} else {
		crypto_box_keypair(public, k->b);
		memcpy(k->b + 32, public, sizeof(public));
	}
	rc = key_secret_check(k, err);
	if (rc == 0)
		*ret = TAKE(k);
	return rc;
}

struct key_public key_public_of(const struct key_secret *k)
{
	struct key_public public = {.kind = k->kind, .number = k->number};

	memcpy(public.b, k->b + 32, sizeof(public.b));
	return public;
}

bool key_same(const struct key_public *a, const struct key_public *b)
{
	return a->kind == b->kind && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool key_absent(const struct key_public *k)
{
	static const uint8_t none[KEY_PUBLIC_BYTES];

	return memcmp(k->b, none, sizeof(none)) == 0;
}

void key_number_text(char dst[KEY_NUMBER_TEXT + 1], const struct key_public *k)
{
	snprintf(dst, KEY_NUMBER_TEXT + 1, "%016" PRIX64, k->number);
}

bool key_number_parse(const char *text, uint64_t *ret)
{
	size_t n = strspn(text, "0123456789ABCDEFabcdef");

	if (n == 0 || n > KEY_NUMBER_TEXT || text[n] != '\0')
		return false;
	*ret = strtoull(text, NULL, 16);
	return true;
}

/* Public keys as text */

/*
 * The comment is the only part of a key file that nobody checks: control bytes in it could repaint
 * a terminal.
 */
static int comment_skip(struct bytes *text, struct err *err)
{
	const uint8_t *end = memchr(text->p, '\n', text->n);
	size_t n = end != NULL ? (size_t)(end - text->p) : text->n;

	if (end == NULL)
		return err_set(err, RC_MALFORMED, "it ends after its comment line");
	if (n > KEY_COMMENT_MAX)
		return err_set(err, RC_MALFORMED, "its comment line is longer than %d bytes",
			       KEY_COMMENT_MAX);
	for (size_t i = 0; i < n; i++)
		if (text->p[i] < 0x20)
			return err_set(err, RC_MALFORMED, "its comment line holds control bytes");
	text->p += n + 1;
	text->n -= n + 1;
	return 0;
}

int key_payload(struct bytes text, size_t chars, enum key_comment comment, const char **ret,
		struct err *err)
{
	bool commented = bytes_start(text, COMMENT_START);
	int rc;

	if (text.n == 0)
		return err_set(err, RC_MALFORMED, "it is empty");
	if (memchr(text.p, '\r', text.n) != NULL)
		return err_set(err, RC_MALFORMED,
			       "its lines end in CR LF; write it with plain newlines");
	if (!commented && comment == KEY_COMMENT_NEEDED)
		return err_set(err, RC_MALFORMED, "it does not begin with \"%s\"", COMMENT_START);
	if (commented && (rc = comment_skip(&text, err)) < 0)
		return rc;
	if (text.n < chars || (text.n > chars && text.p[chars] != '\n'))
		return err_set(err, RC_MALFORMED,
			       "its key line does not have the %zu characters of minisign's form",
			       chars);
	if (text.n > chars + 1)
		return err_set(err, RC_MALFORMED, "something follows after its key");
	*ret = (const char *)text.p;
	return 0;
}

/*
 * Ed25519: on the curve, canonical, in the main subgroup; identity and small order are not. X25519:
 * canonical, so that one key has one text, and not one of the points that give every sender the
 * same shared secret.
 */
static bool is_sound(const struct key_public *k)
{
	static const uint8_t scalar[crypto_scalarmult_SCALARBYTES] = {8};
	uint8_t shared[crypto_scalarmult_BYTES];
	bool below_prime = false;

	if (k->kind == KEY_SIGN)
		return crypto_core_ed25519_is_valid_point(k->b) == 1;
	for (size_t i = 1; i < 31; i++)
		below_prime |= k->b[i] != 0xff;
	below_prime |= k->b[31] != 0x7f || k->b[0] < 0xed;
	return k->b[31] < 0x80 && below_prime && crypto_scalarmult(shared, scalar, k->b) == 0;
}

int key_public_parse(struct bytes text, struct key_public *ret, struct err *err)
{
	uint8_t raw[2 + KEY_NUMBER_BYTES + KEY_PUBLIC_BYTES];
	struct key_public k = {0};
	const char *line;
	size_t n;
	int rc = key_payload(text, KEY_PUBLIC_LINE, KEY_COMMENT_OPTIONAL, &line, err);

	if (rc < 0 || (rc = base64_decode(raw, sizeof(raw), &n, line, KEY_PUBLIC_LINE, err)) < 0)
		return err_prefix(err, "public key");
	if (n != sizeof(raw))
		return err_set(err, RC_MALFORMED, "public key: it does not have %zu bytes",
			       sizeof(raw));
	if (memcmp(raw, key_algorithm(KEY_SIGN), 2) == 0)
		k.kind = KEY_SIGN;
	else if (memcmp(raw, key_algorithm(KEY_SEAL), 2) == 0)
		k.kind = KEY_SEAL;
	else
		return err_set(err, RC_MALFORMED,
			       "public key: it is for another algorithm than Ed25519 or X25519");
	k.number = get_u64(raw + 2);
	memcpy(k.b, raw + 2 + KEY_NUMBER_BYTES, sizeof(k.b));
	if (!is_sound(&k))
		return err_set(err, RC_MALFORMED,
			       "public key %016" PRIX64 " is not a sound key; anybody could use it",
			       k.number);
	*ret = k;
	return 0;
}

void key_public_line(char dst[KEY_PUBLIC_LINE + 1], const struct key_public *k)
{
	uint8_t raw[2 + KEY_NUMBER_BYTES + KEY_PUBLIC_BYTES];

	memcpy(raw, key_algorithm(k->kind), 2);
	put_u64(raw + 2, k->number);
	memcpy(raw + 2 + KEY_NUMBER_BYTES, k->b, sizeof(k->b));
	base64_encode(dst, KEY_PUBLIC_LINE + 1, raw, sizeof(raw));
}

int key_public_text(const struct key_public *k, struct buf *ret, struct err *err)
{
	char line[KEY_PUBLIC_LINE + 1];

	key_public_line(line, k);
	return buf_printf(ret, err, COMMENT_START "satchel public %s key %016" PRIX64 "\n%s\n",
			  k->kind == KEY_SIGN ? "signing" : "sealing", k->number, line);
}

/* Use */

int key_sign(const struct key_secret *k, struct bytes message, uint8_t ret[64], struct err *err)
{
	struct key_public public = key_public_of(k);
	uint8_t sig[crypto_sign_BYTES];

	if (k->kind != KEY_SIGN)
		return err_set(err, RC_INTERNAL, "a sealing key cannot sign");
	crypto_sign_detached(sig, NULL, message.p, message.n, k->b);
	/* A fault in the machine while signing can give the key away: nothing bad leaves here. */
	if (!key_verify(&public, message, sig))
		return err_set(err, RC_INTERNAL,
			       "a signature just made does not verify: the memory or the processor "
			       "of this machine is not sound");
	memcpy(ret, sig, sizeof(sig));
	return 0;
}

bool key_verify(const struct key_public *k, struct bytes message, const uint8_t sig[64])
{
	return k->kind == KEY_SIGN &&
	       crypto_sign_verify_detached(sig, message.p, message.n, k->b) == 0;
}

int key_seal(const struct key_public *to, struct bytes plain, struct buf *ret, struct err *err)
{
	int rc;

	if (to->kind != KEY_SEAL)
		return err_set(err, RC_INTERNAL, "a signing key cannot be sealed to");
	if (sodium_init() < 0)
		return err_set(err, RC_INTERNAL, "libsodium cannot start");
	if (plain.n > SIZE_MAX - crypto_box_SEALBYTES)
		return err_set(err, RC_LIMIT, "too much to seal at once");
	rc = buf_reserve(ret, plain.n + crypto_box_SEALBYTES, err);
	if (rc < 0)
		return rc;
	if (crypto_box_seal(ret->p + ret->n, plain.p, plain.n, to->b) != 0)
		return err_set(err, RC_MALFORMED, "public key %016" PRIX64 " cannot be sealed to",
			       to->number);
	ret->n += plain.n + crypto_box_SEALBYTES;
	ret->p[ret->n] = '\0';
	return 0;
}

int key_unseal(const struct key_secret *k, struct bytes sealed, struct buf *ret, struct err *err)
{
	int rc;

	if (k->kind != KEY_SEAL)
		return err_set(err, RC_INTERNAL, "a signing key cannot unseal");
	if (sealed.n < crypto_box_SEALBYTES)
		return err_set(err, RC_UNTRUSTED, "too short to be sealed");
	rc = buf_reserve(ret, sealed.n - crypto_box_SEALBYTES, err);
	if (rc < 0)
		return rc;
	if (crypto_box_seal_open(ret->p + ret->n, sealed.p, sealed.n, k->b + 32, k->b) != 0) {
		ret->p[ret->n] = '\0';
		return err_set(err, RC_UNTRUSTED,
			       "it is not sealed to key %016" PRIX64 ", or was altered", k->number);
	}
	ret->n += sealed.n - crypto_box_SEALBYTES;
	ret->p[ret->n] = '\0';
	return 0;
}

int key_agree_mac(const struct key_secret *own, const struct key_public *one,
		  const struct key_public *other, struct bytes statement, struct digest *ret,
		  struct err *err)
{
	static const char start[] = "satchel agreed key 1\n";
	const struct key_public mine = key_public_of(own);
	const struct key_public *theirs = key_same(&mine, one) ? other : one;
	uint8_t shared[crypto_scalarmult_BYTES];
	struct digest_stream s;
	struct digest key;
	int rc = 0;

	if (own->kind != KEY_SEAL || (!key_same(&mine, one) && !key_same(&mine, other)))
		return err_set(err, RC_INTERNAL, "neither key of an agreement is ours");
	if (crypto_scalarmult(shared, own->b, theirs->b) != 0)
		rc = err_set(err, RC_MALFORMED, "public key %016" PRIX64 " agrees on nothing",
			     theirs->number);
	digest_start(&s);
	digest_more(&s, start, sizeof(start) - 1);
	digest_more(&s, shared, sizeof(shared));
	digest_more(&s, one->b, sizeof(one->b));
	digest_more(&s, other->b, sizeof(other->b));
	key = digest_end(&s);
	if (rc == 0)
		crypto_generichash_blake2b(ret->b, sizeof(ret->b), statement.p, statement.n, key.b,
					   sizeof(key.b));
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return rc;
}

void key_seal_id(char dst[KEY_SEAL_ID + 1], const struct key_public *k)
{
	struct digest d = digest_of((struct bytes){k->b, sizeof(k->b)});

	hex_encode(dst, d.b, 8);
}

void workstation_id(char dst[WORKSTATION_ID + 1], const struct key_public *sign)
{
	struct digest d = digest_of((struct bytes){sign->b, sizeof(sign->b)});

	hex_encode(dst, d.b, WORKSTATION_ID / 2);
}
