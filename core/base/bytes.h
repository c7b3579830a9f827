/*
 * Bytes: a borrowed view (struct bytes), an owned growing buffer (struct buf), hexadecimal, base64
 * and little-endian numbers.
 */
#ifndef SATCHEL_BASE_BYTES_H
#define SATCHEL_BASE_BYTES_H

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
	bool secret; /* the memory is wiped before it is given back, also when the content moves */
};

#define BUF_INIT                  \
	{                         \
		NULL, 0, 0, false \
	}
#define BUF_SECRET               \
	{                        \
		NULL, 0, 0, true \
	}

/** bytes_of(text): a view of a C string without its NUL.  bytes_in(buf): a view of a buffer. */
struct bytes bytes_of(const char *text);
struct bytes bytes_in(const struct buf *b);
bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_start(struct bytes a, const char *prefix);

/**
 * buf_reserve(b, more, err): room for ${more} bytes after the content.
 * buf_add, buf_text, buf_printf: append.  buf_reset: empty it, keep the memory.  buf_clear:
 * release. Errors: RC_MEMORY, RC_LIMIT when the size overflows.
 */
int buf_reserve(struct buf *b, size_t more, struct err *err);
int buf_add(struct buf *b, const void *p, size_t n, struct err *err);
int buf_text(struct buf *b, const char *text, struct err *err);
int buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void buf_reset(struct buf *b);
void buf_clear(struct buf *b);
/** buf_wipe(b): as buf_clear, for content that was secret.  What grew on the way is wiped only in a
 * BUF_SECRET. */
void buf_wipe(struct buf *b);

/** hex_encode(dst, p, n): ${dst} takes 2n+1 bytes, lower case.  hex_decode: strict, lower case,
 * exact length. */
void hex_encode(char *dst, const void *p, size_t n);
int hex_decode(void *dst, size_t n, const char *text, struct err *err);

/**
 * base64_encode(dst, size, p, n): standard alphabet with padding; ${dst} takes BASE64_LEN(n)+1.
 * base64_decode(dst, max, ret_n, text, len, err): strict: no white space, exact padding, and
 * encoding the result again must give the same text (one canonical form).  Errors: RC_MALFORMED.
 */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)
void base64_encode(char *dst, size_t size, const void *p, size_t n);
int base64_decode(void *dst, size_t max, size_t *ret_n, const char *text, size_t len,
		  struct err *err);

/** put_u16/u32/u64, get_u16/u32/u64: little-endian. */
void put_u16(uint8_t *p, uint16_t v);
void put_u32(uint8_t *p, uint32_t v);
void put_u64(uint8_t *p, uint64_t v);
uint16_t get_u16(const uint8_t *p);
uint32_t get_u32(const uint8_t *p);
uint64_t get_u64(const uint8_t *p);

/**
 * number_u64(text, len, max, ret, err): decimal digits only, no sign, no leading zero, at most
 * ${max}.  number_i64: the same with an optional '-' (not "-0").  Errors: RC_MALFORMED, RC_LIMIT.
 */
int number_u64(const char *text, size_t len, uint64_t max, uint64_t *ret, struct err *err);
int number_i64(const char *text, size_t len, int64_t *ret, struct err *err);

#endif
