/* SPDX-License-Identifier: ISC */
/*
 * Bytes: a borrowed view (struct bytes), an owned growing buffer (struct buf), hexadecimal, base64
 * and little-endian numbers.
 */
#ifndef SATCHEL_CORE_BASE_BYTES_H
#define SATCHEL_CORE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct bytes {
	const uint8_t *p; /* borrowed */
	size_t n;         /* bytes */
};

struct buf {
	uint8_t *p;  /* owned; one NUL byte follows the content, so that text can be read as text */
	size_t n;    /* bytes used */
	size_t cap;  /* bytes allocated */
	bool secret; /* in secret memory (secret.h); said before the first byte goes in */
};

#define BUF_INIT                  \
	{                         \
		NULL, 0, 0, false \
	}
#define BUF_SECRET               \
	{                        \
		NULL, 0, 0, true \
	}

/** bytes_of(text): a view of a C string without its NUL; it holds as long as ${text} does. */
struct bytes bytes_of(const char *text);
/**
 * bytes_in(b): a view of what ${b} holds; it ends with the next change of ${b}, which may move it.
 */
struct bytes bytes_in(const struct buf *b);
/** bytes_equal(a, b): same length and bytes.  Not in constant time: for public bytes only. */
bool bytes_equal(struct bytes a, struct bytes b);
/** bytes_start(a, prefix): does ${a} begin with the C string ${prefix}? */
bool bytes_start(struct bytes a, const char *prefix);

/**
 * buf_reserve(b, more, err): room for ${more} bytes after the content, and for a NUL; the buffer
 * grows by doubling.
 * buf_add(b, p, n, err), buf_text(b, text, err), buf_printf(b, err, fmt, ...): append bytes, a C
 * string, formatted text, and keep the NUL behind them.
 * Views and pointers into ${b} end.  ${b} is as it was on failure.
 * Errors: RC_MEMORY; RC_LIMIT: the size overflows; buf_printf also RC_INTERNAL: vsnprintf(3)
 * fails.
 */
int buf_reserve(struct buf *b, size_t more, struct err *err);
int buf_add(struct buf *b, const void *p, size_t n, struct err *err);
int buf_text(struct buf *b, const char *text, struct err *err);
int buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** buf_reset(b): empty it and keep the memory, which is wiped in a BUF_SECRET. */
void buf_reset(struct buf *b);
/**
 * buf_clear(b): release the memory, wiped in a BUF_SECRET; ${b} is empty and may be used again.
 */
void buf_clear(struct buf *b);
/** buf_wipe(b): as buf_clear, for content that was secret.  What grew on the way is wiped only in a
 * BUF_SECRET. */
void buf_wipe(struct buf *b);

/** hex_encode(dst, p, n): ${n} bytes in lower case; ${dst} takes 2n+1. */
void hex_encode(char *dst, const void *p, size_t n);
/**
 * hex_decode(dst, n, text, err): exactly 2n lower-case digits into ${n} bytes.  Errors:
 * RC_MALFORMED: another length, upper case or any other character.
 */
int hex_decode(void *dst, size_t n, const char *text, struct err *err);

/**
 * base64_encode(dst, size, p, n): standard alphabet with padding (RFC 4648, section 4); ${dst} of
 * ${size} bytes takes BASE64_LEN(n)+1.
 * base64_decode(dst, max, ret_n, text, len, err): at most ${max} bytes from ${len} characters,
 * strict: no white space, exact padding, and encoding the result again must give the same text
 * (one canonical form).  Errors: RC_MALFORMED.
 */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
void base64_encode(char *dst, size_t size, const void *p, size_t n);
int base64_decode(void *dst, size_t max, size_t *ret_n, const char *text, size_t len,
		  struct err *err);

/**
 * put_u16(p, v), put_u32(p, v), put_u64(p, v): ${v} as 2, 4 or 8 bytes at ${p}, little-endian.
 * get_u16(p), get_u32(p), get_u64(p): the same read back.  ${p} needs no alignment.
 */
void put_u16(uint8_t *p, uint16_t v);
void put_u32(uint8_t *p, uint32_t v);
void put_u64(uint8_t *p, uint64_t v);
uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);

/**
 * number_u64(text, len, max, ret, err): ${len} decimal digits, no sign, no leading zero, at most
 * ${max}.
 * number_i64(text, len, ret, err): the same with an optional '-', but not "-0"; the size is at
 * most INT64_MAX.
 * Errors: RC_MALFORMED: anything but digits; RC_LIMIT: too large.
 */
int number_u64(const char *text, size_t len, uint64_t max, uint64_t *ret, struct err *err);
int number_i64(const char *text, size_t len, int64_t *ret, struct err *err);

/**
 * utf8_length(p, n): bytes of the character at ${p}, of ${n} bytes that are there: 1 to 4, or 0
 * when it is not well-formed (overlong, a surrogate, above U+10FFFF, cut off).  Source: RFC 3629.
 */
size_t utf8_length(const uint8_t *p, size_t n);

#define SIZE_TEXT 32
/** size_text(dst, n): "1.2 GB", powers of ten, as people are told how large something is. */
void size_text(char dst[SIZE_TEXT], uint64_t n);

#endif
