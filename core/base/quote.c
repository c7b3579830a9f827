/* SPDX-License-Identifier: ISC */
/*
 * Quoting by a list of what is harmless.  Ranges of letters are enough for names and for what
 * people write; a mark that is missing here costs a question mark in a listing, while one that is
 * let through lets a stranger's sentence end before its end.
 */
#include "core/base/quote.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/own.h"

/* Letters and nothing else, ascending. */
static const struct {
	uint32_t first, last;
} letters[] = {
    {0x00c0, 0x00d6},                                     /* Latin */
    {0x00d8, 0x00f6}, {0x00f8, 0x02af}, {0x0386, 0x0386}, /* Greek */
    {0x0388, 0x03ff}, {0x0400, 0x0481},                   /* Cyrillic */
    {0x048a, 0x052f}, {0x0531, 0x0556},                   /* Armenian */
    {0x0561, 0x0587}, {0x05d0, 0x05ea},                   /* Hebrew */
    {0x0620, 0x064a},                                     /* Arabic */
    {0x0904, 0x0939},                                     /* Devanagari */
    {0x0e01, 0x0e30},                                     /* Thai */
    {0x10d0, 0x10fa},                                     /* Georgian */
    {0x1e00, 0x1eff},                                     /* Latin with accents */
    {0x3041, 0x3096},                                     /* Hiragana, Katakana */
    {0x30a1, 0x30fa}, {0x4e00, 0x9fff},                   /* Han */
    {0xac00, 0xd7a3},                                     /* Hangul */
};

/* The number of the character in these ${n} bytes, two to four, which are well-formed. */
static uint32_t character(const uint8_t *p, size_t n)
{
	uint32_t c = p[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	return c;
}

static bool is_letter(const uint8_t *p, size_t n)
{
	uint32_t c = character(p, n);

	for (size_t i = 0; i < ARRAY_LEN(letters); i++)
		if (c <= letters[i].last)
			return c >= letters[i].first;
	return false;
}

void quote_text(char *dst, size_t size, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t n = 0, left = strlen(text), take, put;

	dst[n++] = '"';
	for (; left > 0; at += take, left -= take, n += put) {
		bool kept;

		take = utf8_length(at, left);
		take = take == 0 ? 1 : take;
		kept = take == 1 || is_letter(at, take);
		put = kept ? take : 1;
		if (n + put + 2 > size)
			break;
		memcpy(dst + n, at, put);
		if (!kept)
			dst[n] = '?';
		else if (*at == '"')
			dst[n] = '\'';
	}
	dst[n++] = '"';
	dst[n] = '\0';
}
