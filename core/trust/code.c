/* SPDX-License-Identifier: ISC */
/*
 * Codes that people read aloud and type.  A typing mistake must be found on the spot, before
 * anything is tried with it, so each kind of code ends with check characters of its own; a code of
 * one kind never passes for another.  Bits go most significant first, five to a character.
 */
#include "core/trust/code.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "core/base/own.h"

#define CODE_GROUP  5
#define CODE_BYTES  25 /* of the longest code, 200 bits */
#define PIN_BITS    100
#define TRUST_BITS  12
#define DAY_BITS    14
#define SECRET_BITS 60
#define DAY_ZERO    18262 /* 2020-01-01, in days since 1970-01-01 */
#define DAY_SECONDS 86400

#define ACTIVATION_SITE_BITS 32
#define CONFIRM_RECEIPT_BITS 12

/* What tells the kinds of codes apart: how long they are, and how their check begins. */
struct code_shape {
	const char *what; /* for sentences: "an invitation" */
	const char *start;
	size_t chars;
	unsigned check_bits; /* the last ones */
};
static const struct code_shape invite_shape = {"an invitation", "satchel invitation 2\n", 40, 14};
static const struct code_shape invite_shape_0_1 = {"an invitation", "satchel invitation 1\n", 40,
						   14};
static const struct code_shape activation_shape = {"an activation code", "satchel activation 1\n",
						   25, 19};
static const struct code_shape confirm_shape = {"a confirmation code", "satchel confirmation 1\n",
						20, 14};

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Bit ${at} of a string of bits, most significant first. */
static unsigned bit_get(const uint8_t *p, size_t at)
{
	return (unsigned)p[at / 8] >> (7 - at % 8) & 1u;
}

static void bits_put(uint8_t *p, size_t *at, uint64_t v, unsigned n)
{
	while (n-- > 0) {
		uint8_t bit = (uint8_t)(1u << (7 - *at % 8));

		if (v >> n & 1)
			p[*at / 8] |= bit;
		else
			p[*at / 8] &= (uint8_t)~bit;
		(*at)++;
	}
}

static uint64_t bits_get(const uint8_t *p, size_t *at, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 1 | bit_get(p, (*at)++);
	return v;
}

/*
 * The check: the first bits of the digest of a start and the code's bytes with zeros in its place.
 * The start names the kind of code, so the characters of one kind never check out as another.
 */
static uint64_t check_of(const struct code_shape *shape, const uint8_t code[CODE_BYTES])
{
	uint8_t bare[CODE_BYTES];
	struct digest_stream s;
	struct digest d;
	size_t at = shape->chars * 5 - shape->check_bits;

	memcpy(bare, code, sizeof(bare));
	bits_put(bare, &at, 0, shape->check_bits);
	digest_start(&s);
	digest_more(&s, shape->start, strlen(shape->start));
	digest_more(&s, bare, (shape->chars * 5 + 7) / 8);
	d = digest_end(&s);
	sodium_memzero(bare, sizeof(bare));
	at = 0;
	return bits_get(d.b, &at, shape->check_bits);
}

/* code_write(shape, code, dst): puts the check behind what is in ${code}; groups of five. */
static void code_write(const struct code_shape *shape, uint8_t code[CODE_BYTES], char *dst)
{
	size_t at = shape->chars * 5 - shape->check_bits, used = 0;

	bits_put(code, &at, check_of(shape, code), shape->check_bits);
	at = 0;
	for (size_t i = 0; i < shape->chars; i++) {
		if (i > 0 && i % CODE_GROUP == 0)
			dst[used++] = '-';
		dst[used++] = alphabet[bits_get(code, &at, 5)];
	}
	dst[used] = '\0';
}

/* 0 to 31, or -1.  Letters that look like digits are read as these, as Crockford has it. */
static int char_value(char c)
{
	const char *at;

	if (c >= 'A' && c <= 'Z')
		c = (char)(c - 'A' + 'a');
	if (c == 'o')
		c = '0';
	if (c == 'i' || c == 'l')
		c = '1';
	at = c != '\0' ? strchr(alphabet, c) : NULL;
	return at != NULL ? (int)(at - alphabet) : -1;
}

static int chars_read(const struct code_shape *shape, const char *text, uint8_t code[CODE_BYTES],
		      struct err *err)
{
	size_t at = 0, chars = 0;

	for (const char *c = text; *c != '\0'; c++) {
		int v = char_value(*c);

		if (*c == '-' || *c == ' ' || *c == '\t')
			continue;
		if (v < 0)
			return err_set(err, RC_USAGE,
				       "character %zu of the code, \"%.*s\", is never used in "
				       "codes; read it again",
				       chars + 1, ((unsigned char)*c & 0x80) != 0 ? 4 : 1, c);
		if (chars++ < shape->chars)
			bits_put(code, &at, (uint64_t)v, 5);
	}
	if (chars != shape->chars)
		return err_set(err, RC_USAGE, "the code has %zu %s, %s has %zu", chars,
			       chars == 1 ? "character" : "characters", shape->what, shape->chars);
	return 0;
}

/* code_read(shape, text, code, err): the bits of a code whose check fits. */
static int code_read(const struct code_shape *shape, const char *text, uint8_t code[CODE_BYTES],
		     struct err *err)
{
	size_t at = shape->chars * 5 - shape->check_bits;
	int rc = chars_read(shape, text, code, err);

	if (rc < 0)
		return rc;
	if (bits_get(code, &at, shape->check_bits) != check_of(shape, code))
		return err_set(err, RC_USAGE,
			       "the code is mistyped: its check characters do not match; compare "
			       "it "
			       "group by group");
	return 0;
}

/*
 * day_check(good_until, what, err): within what the bits of a day can say.  A day outside of these
 * bits would wrap around and make a code that is good for years.
 */
static int day_check(int64_t good_until, const char *what, struct err *err)
{
	const int64_t first = (int64_t)DAY_ZERO * DAY_SECONDS;
	const int64_t last = first + ((int64_t)DAY_SECONDS << DAY_BITS);

	if (good_until < first || good_until >= last)
		return err_set(err, RC_USAGE,
			       "%s can be good until a day from 2020-01-01 to "
			       "2064-11-08; is the clock right?",
			       what);
	if (sodium_init() < 0)
		return err_set(err, RC_INTERNAL, "libsodium cannot start");
	return 0;
}

static void day_put(uint8_t code[CODE_BYTES], size_t *at, int64_t last_day)
{
	bits_put(code, at, (uint64_t)(last_day / DAY_SECONDS - 1 - DAY_ZERO), DAY_BITS);
}

static int64_t day_get(const uint8_t code[CODE_BYTES], size_t *at)
{
	return ((int64_t)bits_get(code, at, DAY_BITS) + DAY_ZERO + 1) * DAY_SECONDS;
}

static uint64_t secret_make(void)
{
	uint64_t secret;

	randombytes_buf(&secret, sizeof(secret));
	return secret >> (64 - SECRET_BITS);
}

/* digest("satchel invitation WHAT 1\n" + secret, big-endian) */
static struct digest secret_digest(const char *start, uint64_t secret)
{
	struct digest_stream s;
	struct digest d;
	uint8_t raw[8] = {0};
	size_t at = 0;

	bits_put(raw, &at, secret, 64);
	digest_start(&s);
	digest_more(&s, start, strlen(start));
	digest_more(&s, raw, sizeof(raw));
	d = digest_end(&s);
	sodium_memzero(raw, sizeof(raw));
	sodium_memzero(&s, sizeof(s));
	return d;
}

/* Invitations */

/*
 * The code pins the trust document that was current, not version 1: a root key that was revoked
 * before then can sign another chain from version 1, but not one that goes through this document,
 * which names its predecessors by digest.  Keyed with the secret, so that nobody who sees a depot
 * can look for a second document that fits a code before the code is used.
 */
static void pin_of(const struct digest *trust, uint64_t secret, uint8_t dst[13])
{
	static const char start[] = "satchel invitation trust 1\n";
	struct digest key = secret_digest("satchel invitation pin 1\n", secret);
	crypto_generichash_blake2b_state s;
	struct digest pin;

	crypto_generichash_blake2b_init(&s, key.b, sizeof(key.b), sizeof(pin.b));
	crypto_generichash_blake2b_update(&s, (const uint8_t *)start, sizeof(start) - 1);
	crypto_generichash_blake2b_update(&s, trust->b, sizeof(trust->b));
	crypto_generichash_blake2b_final(&s, pin.b, sizeof(pin.b));
	memcpy(dst, pin.b, 13);
	dst[12] &= 0xf0;
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
}

int invite_make(const struct digest *trust, uint64_t trust_version, int64_t good_until,
		struct invite *ret, struct err *err)
{
	struct invite in = {0};
	int rc = day_check(good_until, invite_shape.what, err);

	if (rc < 0)
		return rc;
	in.trust_version =
	    (uint32_t)(trust_version < INVITE_TRUST_MOST ? trust_version : INVITE_TRUST_MOST);
	in.last_day = (good_until / DAY_SECONDS + 1) * DAY_SECONDS;
	in.secret = secret_make();
	pin_of(trust, in.secret, in.pin);
	*ret = in;
	return 0;
}

void invite_text(char dst[INVITE_TEXT + 1], const struct invite *in)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = PIN_BITS;

	memcpy(code, in->pin, sizeof(in->pin));
	bits_put(code, &at, in->trust_version, TRUST_BITS);
	day_put(code, &at, in->last_day);
	bits_put(code, &at, in->secret, SECRET_BITS);
	code_write(&invite_shape, code, dst);
	sodium_memzero(code, sizeof(code));
}

int invite_parse(const char *text, struct invite *ret, struct err *err)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = PIN_BITS;
	struct invite in = {0};
	int rc = code_read(&invite_shape, text, code, err);

	if (rc < 0 && code_read(&invite_shape_0_1, text, code, ERR_IGNORED) == 0)
		rc =
		    err_set(err, RC_USAGE,
			    "this code was made by satchel 0.1, which pinned too little: ask for a "
			    "new one (satchel invite)");
	if (rc == 0) {
		memcpy(in.pin, code, sizeof(in.pin));
		in.pin[12] &= 0xf0;
		in.trust_version = (uint32_t)bits_get(code, &at, TRUST_BITS);
		in.last_day = day_get(code, &at);
		in.secret = bits_get(code, &at, SECRET_BITS);
		*ret = in;
	}
	sodium_memzero(code, sizeof(code));
	return rc;
}

bool invite_pins(const struct invite *in, const struct digest *trust)
{
	uint8_t pin[13];

	pin_of(trust, in->secret, pin);
	return sodium_memcmp(pin, in->pin, sizeof(pin)) == 0;
}

void invite_id(char dst[17], uint64_t secret)
{
	struct digest d = secret_digest("satchel invitation id 1\n", secret);

	hex_encode(dst, d.b, 8);
}

struct digest invite_proof(uint64_t secret, const struct digest *site,
			   const struct key_public *sign, const struct key_public *seal)
{
	static const char start[] = "satchel enrol 1\n";
	struct digest key = secret_digest("satchel invitation key 1\n", secret);
	crypto_generichash_blake2b_state s;
	struct digest proof;

	crypto_generichash_blake2b_init(&s, key.b, sizeof(key.b), sizeof(proof.b));
	crypto_generichash_blake2b_update(&s, (const uint8_t *)start, sizeof(start) - 1);
	crypto_generichash_blake2b_update(&s, site->b, sizeof(site->b));
	crypto_generichash_blake2b_update(&s, sign->b, sizeof(sign->b));
	crypto_generichash_blake2b_update(&s, seal->b, sizeof(seal->b));
	crypto_generichash_blake2b_final(&s, proof.b, sizeof(proof.b));
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return proof;
}

/* Activation codes */

int activation_make(const struct digest *site, int64_t good_until, struct activation *ret,
		    struct err *err)
{
	size_t at = 0;
	int rc = day_check(good_until, activation_shape.what, err);

	if (rc < 0)
		return rc;
	ret->site = (uint32_t)bits_get(site->b, &at, ACTIVATION_SITE_BITS);
	ret->last_day = (good_until / DAY_SECONDS + 1) * DAY_SECONDS;
	ret->secret = secret_make();
	return 0;
}

void activation_text(char dst[ACTIVATION_TEXT + 1], const struct activation *in)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = 0;

	bits_put(code, &at, in->site, ACTIVATION_SITE_BITS);
	day_put(code, &at, in->last_day);
	bits_put(code, &at, in->secret, SECRET_BITS);
	code_write(&activation_shape, code, dst);
	sodium_memzero(code, sizeof(code));
}

int activation_parse(const char *text, struct activation *ret, struct err *err)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = 0;
	int rc = code_read(&activation_shape, text, code, err);

	if (rc == 0) {
		ret->site = (uint32_t)bits_get(code, &at, ACTIVATION_SITE_BITS);
		ret->last_day = day_get(code, &at);
		ret->secret = bits_get(code, &at, SECRET_BITS);
	}
	sodium_memzero(code, sizeof(code));
	return rc;
}

bool activation_fits(const struct activation *in, const struct digest *site)
{
	size_t at = 0;

	return in->site == bits_get(site->b, &at, ACTIVATION_SITE_BITS);
}

void activation_id(char dst[17], uint64_t secret)
{
	struct digest d = secret_digest("satchel activation id 1\n", secret);

	hex_encode(dst, d.b, 8);
}

struct digest activation_proof(uint64_t secret, const struct digest *site,
			       const struct key_public *sign, const char *account)
{
	static const char start[] = "satchel activate 1\n";
	struct digest key = secret_digest("satchel activation key 1\n", secret);
	crypto_generichash_blake2b_state s;
	struct digest proof;

	crypto_generichash_blake2b_init(&s, key.b, sizeof(key.b), sizeof(proof.b));
	crypto_generichash_blake2b_update(&s, (const uint8_t *)start, sizeof(start) - 1);
	crypto_generichash_blake2b_update(&s, site->b, sizeof(site->b));
	crypto_generichash_blake2b_update(&s, sign->b, sizeof(sign->b));
	crypto_generichash_blake2b_update(&s, (const uint8_t *)account, strlen(account));
	crypto_generichash_blake2b_final(&s, proof.b, sizeof(proof.b));
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(&s, sizeof(s));
	return proof;
}

/* Confirmation codes */

void confirm_text(char dst[CONFIRM_TEXT + 1], const struct confirm *in)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = 0;

	bits_put(code, &at, in->workstation, CONFIRM_WORKSTATION_BITS);
	bits_put(code, &at, in->receipt, CONFIRM_RECEIPT_BITS);
	bits_put(code, &at, in->mac, CONFIRM_MAC_BITS);
	code_write(&confirm_shape, code, dst);
}

int confirm_parse(const char *text, struct confirm *ret, struct err *err)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = 0;
	int rc = code_read(&confirm_shape, text, code, err);

	if (rc < 0)
		return rc;
	ret->workstation = (uint32_t)bits_get(code, &at, CONFIRM_WORKSTATION_BITS);
	ret->receipt = (uint32_t)bits_get(code, &at, CONFIRM_RECEIPT_BITS);
	ret->mac = bits_get(code, &at, CONFIRM_MAC_BITS);
	return 0;
}

/* workstation_bits(id): the first bits of the hexadecimal digits. */
static uint32_t workstation_bits(const char *id)
{
	uint8_t raw[WORKSTATION_ID / 2] = {0};
	size_t at = 0;

	hex_decode(raw, sizeof(raw), id, ERR_IGNORED);
	return (uint32_t)bits_get(raw, &at, CONFIRM_WORKSTATION_BITS);
}

int confirm_make(const struct key_secret *own, const struct key_public *station,
		 const struct key_public *collect, const char *id, uint64_t receipt,
		 struct bytes statement, struct confirm *ret, struct err *err)
{
	struct digest mac;
	size_t at = 0;
	int rc = key_agree_mac(own, station, collect, statement, &mac, err);

	if (rc < 0)
		return rc;
	ret->workstation = workstation_bits(id);
	ret->receipt = (uint32_t)(receipt % CONFIRM_RECEIPTS);
	ret->mac = bits_get(mac.b, &at, CONFIRM_MAC_BITS);
	return 0;
}
