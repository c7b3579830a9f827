/* SPDX-License-Identifier: ISC */
/*
 * Buffers that never overflow silently, and the strict readers of hexadecimal, base64 and numbers.
 * Every reader here accepts one written form of a value only: signed documents are compared and
 * named by their bytes, so a second form of the same value would be a second document.
 */
#include "core/base/bytes.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/base/secret.h"

/* Secrets take whole pages anyway. */
#define SECRET_LEAST 4096u

struct bytes bytes_of(const char *text)
{
	return (struct bytes){(const uint8_t *)text, strlen(text)};
}

struct bytes bytes_in(const struct buf *b)
{
	return (struct bytes){b->p, b->n};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_start(struct bytes a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && memcmp(a.p, prefix, n) == 0;
}

/* As realloc(3), in memory for secrets. */
static uint8_t *secret_grow(struct buf *b, size_t cap)
{
	uint8_t *p = secret_new(cap);

	if (p != NULL && b->n > 0)
		memcpy(p, b->p, b->n);
	if (p != NULL)
		secret_free(b->p);
	return p;
}

int buf_reserve(struct buf *b, size_t more, struct err *err)
{
	size_t need, cap, least = b->secret ? SECRET_LEAST : 64;
	uint8_t *p;

	if (__builtin_add_overflow(b->n, more, &need) || __builtin_add_overflow(need, 1, &need))
		return err_set(err, RC_LIMIT, "a buffer of more bytes than memory has");
	if (need <= b->cap)
		return 0;
	cap = b->cap < least ? least : b->cap;
	while (cap < need)
		if (__builtin_mul_overflow(cap, 2, &cap))
			cap = need;
	p = b->secret ? secret_grow(b, cap) : realloc(b->p, cap);
	if (p == NULL)
		return err_memory(err);
	b->p = p;
	b->cap = cap;
	b->p[b->n] = '\0';
	return 0;
}

int buf_add(struct buf *b, const void *p, size_t n, struct err *err)
{
	int rc = buf_reserve(b, n, err);

	if (rc < 0)
		return rc;
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';
	return 0;
}

int buf_text(struct buf *b, const char *text, struct err *err)
{
	return buf_add(b, text, strlen(text), err);
}

int buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
{
	va_list ap;
	int n, rc;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return err_set(err, RC_INTERNAL, "text could not be formatted");
	rc = buf_reserve(b, (size_t)n, err);
	if (rc < 0)
		return rc;
	va_start(ap, fmt);
	vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return 0;
}

/* The rest of the memory is wiped as well: what was longer before would stay behind the NUL. */
void buf_reset(struct buf *b)
{
	if (b->secret && b->p != NULL)
		sodium_memzero(b->p, b->cap);
	b->n = 0;
	if (b->p != NULL)
		b->p[0] = '\0';
}

void buf_clear(struct buf *b)
{
	if (b->secret)
		secret_free(b->p);
	else
		free(b->p);
	*b = (struct buf){.secret = b->secret};
}

void buf_wipe(struct buf *b)
{
	if (b->p != NULL)
		sodium_memzero(b->p, b->cap);
	buf_clear(b);
}

void hex_encode(char *dst, const void *p, size_t n)
{
	sodium_bin2hex(dst, 2 * n + 1, p, n);
}

int hex_decode(void *dst, size_t n, const char *text, struct err *err)
{
	size_t got;
	const char *end;

	if (strspn(text, "0123456789abcdef") != 2 * n || text[2 * n] != '\0' ||
	    sodium_hex2bin(dst, n, text, 2 * n, NULL, &got, &end) != 0 || got != n)
		return err_set(err, RC_MALFORMED,
			       "\"%.80s\" is not %zu lower-case hexadecimal digits", text, 2 * n);
	return 0;
}

void base64_encode(char *dst, size_t size, const void *p, size_t n)
{
	sodium_bin2base64(dst, size, p, n, sodium_base64_VARIANT_ORIGINAL);
}

int base64_decode(void *dst, size_t max, size_t *ret_n, const char *text, size_t len,
		  struct err *err)
{
	const char *end = NULL;
	size_t got = 0;

	/* libsodium 1.0.18 takes bytes above 0x7F for letters where char is signed. */
	for (size_t i = 0; i < len; i++)
		if ((text[i] & 0x80) != 0)
			return err_set(err, RC_MALFORMED, "base64 with bytes outside its alphabet");
	/* It refuses trailing bits that are not zero, so equal bytes have one text. */
	if (sodium_base642bin(dst, max, text, len, NULL, &got, &end,
			      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    end != text + len || len != BASE64_LEN(got))
		return err_set(err, RC_MALFORMED, "not canonical base64 of at most %zu bytes", max);
	*ret_n = got;
	return 0;
}

void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void put_u32(uint8_t *p, uint32_t v)
{
	put_u16(p, (uint16_t)v);
	put_u16(p + 2, (uint16_t)(v >> 16));
}

void put_u64(uint8_t *p, uint64_t v)
{
	put_u32(p, (uint32_t)v);
	put_u32(p + 4, (uint32_t)(v >> 32));
}

uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t get_u32(const uint8_t *p)
{
	return get_u16(p) | (uint32_t)get_u16(p + 2) << 16;
}

uint64_t get_u64(const uint8_t *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

int number_u64(const char *text, size_t len, uint64_t max, uint64_t *ret, struct err *err)
{
	uint64_t v = 0;

	if (len == 0 || (len > 1 && text[0] == '0'))
		return err_set(err, RC_MALFORMED,
			       "a whole number without leading zeros is expected");
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return err_set(err, RC_MALFORMED, "a whole number is expected");
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v) || v > max)
			return err_set(err, RC_LIMIT, "a number larger than %llu",
				       (unsigned long long)max);
	}
	*ret = v;
	return 0;
}

int number_i64(const char *text, size_t len, int64_t *ret, struct err *err)
{
	bool minus = len > 0 && text[0] == '-';
	uint64_t v;
	int rc = number_u64(text + minus, len - minus, (uint64_t)INT64_MAX, &v, err);

	if (rc < 0)
		return rc;
	if (minus && v == 0)
		return err_set(err, RC_MALFORMED, "\"-0\" is not a number here");
	*ret = minus ? -(int64_t)v : (int64_t)v;
	return 0;
}

size_t utf8_length(const uint8_t *p, size_t n)
{
	uint32_t c;
	size_t len;

	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	len = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : p[0] >= 0xe0 && p[0] <= 0xef ? 3 : 4;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
		return 0;
	c = p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
	    (len == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	return len;
}

/* Three digits are kept: "needs 12.4 GB, has 12.1 GB" must not read as a contradiction.  What would
 * be rounded up to 1000 takes the next unit. */
void size_text(char dst[SIZE_TEXT], uint64_t n)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB", "EB"};
	double v = (double)n;
	size_t unit = 0;

	while (v >= 999.5 && unit + 1 < ARRAY_LEN(units)) {
		v /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(dst, SIZE_TEXT, n == 1 ? "1 byte" : "%u bytes", (unsigned)n);
	else
		snprintf(dst, SIZE_TEXT, v < 99.95 ? "%.1f %s" : "%.0f %s", v, units[unit]);
}
