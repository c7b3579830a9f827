#include "core/trust/code.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "core/base/own.h"

#define CODE_CHARS  40
#define CODE_GROUP  5
#define CODE_BYTES  25 /* 200 bits */
#define SITE_BITS   100
#define FLOOR_BITS  12
#define DAY_BITS    14
#define SECRET_BITS 60
#define CHECK_BITS  14
#define DAY_ZERO    18262 /* 2020-01-01, in days since 1970-01-01 */
#define DAY_SECONDS 86400

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* Bit ${at} of a string of bits, most significant first. */
static unsigned bit_get(const uint8_t *p, size_t at)
{
	return p[at / 8] >> (7 - at % 8) & 1u;
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

static uint64_t check_of(const uint8_t code[CODE_BYTES])
{
	static const char start[] = "satchel invitation 1\n";
	uint8_t bare[CODE_BYTES];
	struct digest_stream s;
	struct digest d;
	size_t at = CODE_BYTES * 8 - CHECK_BITS;

	memcpy(bare, code, sizeof(bare));
	bits_put(bare, &at, 0, CHECK_BITS);
	digest_start(&s);
	digest_more(&s, start, sizeof(start) - 1);
	digest_more(&s, bare, sizeof(bare));
	d = digest_end(&s);
	sodium_memzero(bare, sizeof(bare));
	at = 0;
	return bits_get(d.b, &at, CHECK_BITS);
}

int invite_make(const struct digest *site, uint64_t trust_version, int64_t good_until,
		struct invite *ret, struct err *err)
{
	const int64_t first = (int64_t)DAY_ZERO * DAY_SECONDS;
	const int64_t last = first + ((int64_t)DAY_SECONDS << DAY_BITS);
	const uint64_t floor_most = (1u << FLOOR_BITS) - 1;
	struct invite in = {0};

	if (good_until < first || good_until >= last)
		return err_set(err, RC_USAGE,
			       "an invitation can be good until a day from 2020-01-01 to "
			       "2064-11-08; is the clock right?");
	if (sodium_init() < 0)
		return err_set(err, RC_INTERNAL, "libsodium cannot start");
	memcpy(in.site, site->b, sizeof(in.site));
	in.site[12] &= 0xf0;
	in.trust_floor = (uint32_t)(trust_version < floor_most ? trust_version : floor_most);
	in.last_day = (good_until / DAY_SECONDS + 1) * DAY_SECONDS;
	randombytes_buf(&in.secret, sizeof(in.secret));
	in.secret >>= 64 - SECRET_BITS;
	*ret = in;
	return 0;
}

void invite_text(char dst[INVITE_TEXT + 1], const struct invite *in)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = SITE_BITS, used = 0;

	memcpy(code, in->site, sizeof(in->site));
	bits_put(code, &at, in->trust_floor, FLOOR_BITS);
	bits_put(code, &at, (uint64_t)(in->last_day / DAY_SECONDS - 1 - DAY_ZERO), DAY_BITS);
	bits_put(code, &at, in->secret, SECRET_BITS);
	bits_put(code, &at, check_of(code), CHECK_BITS);
	at = 0;
	for (size_t i = 0; i < CODE_CHARS; i++) {
		if (i > 0 && i % CODE_GROUP == 0)
			dst[used++] = '-';
		dst[used++] = alphabet[bits_get(code, &at, 5)];
	}
	dst[used] = '\0';
	sodium_memzero(code, sizeof(code));
}

/* 0 to 31, or -1.  Letters that look like digits are read as these. */
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

static int code_read(const char *text, uint8_t code[CODE_BYTES], struct err *err)
{
	size_t at = 0, chars = 0;

	for (const char *c = text; *c != '\0'; c++) {
		int v = char_value(*c);

		if (*c == '-' || *c == ' ' || *c == '\t')
			continue;
		if (v < 0)
			return err_set(err, RC_USAGE,
				       "character %zu of the code, \"%.*s\", does not occur in "
				       "codes; read it again",
				       chars + 1, ((unsigned char)*c & 0x80) != 0 ? 4 : 1, c);
		if (chars++ < CODE_CHARS)
			bits_put(code, &at, (uint64_t)v, 5);
	}
	if (chars != CODE_CHARS)
		return err_set(err, RC_USAGE, "the code has %zu characters, an invitation has %d",
			       chars, CODE_CHARS);
	return 0;
}

int invite_parse(const char *text, struct invite *ret, struct err *err)
{
	uint8_t code[CODE_BYTES] = {0};
	size_t at = SITE_BITS;
	struct invite in = {0};
	int rc = code_read(text, code, err);

	if (rc < 0)
		return rc;
	memcpy(in.site, code, sizeof(in.site));
	in.site[12] &= 0xf0;
	in.trust_floor = (uint32_t)bits_get(code, &at, FLOOR_BITS);
	in.last_day = ((int64_t)bits_get(code, &at, DAY_BITS) + DAY_ZERO + 1) * DAY_SECONDS;
	in.secret = bits_get(code, &at, SECRET_BITS);
	if (bits_get(code, &at, CHECK_BITS) != check_of(code))
		rc = err_set(err, RC_USAGE,
			     "the code is mistyped: its check characters do not fit; compare it "
			     "group by group");
	else
		*ret = in;
	sodium_memzero(code, sizeof(code));
	return rc;
}

bool invite_fits(const struct invite *in, const struct digest *site)
{
	return memcmp(in->site, site->b, 12) == 0 && (in->site[12] & 0xf0) == (site->b[12] & 0xf0);
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
