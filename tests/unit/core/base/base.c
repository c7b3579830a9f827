/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/err.h"
#include "core/base/own.h"

Test(err, every_code_has_a_slug_that_leads_back_to_it)
{
#define X(code, class, slug, text)                       \
	cr_assert_eq(rc_from_slug(rc_slug(code)), code); \
	cr_assert_eq(rc_class(code), class);
	RC_TABLE(X)
#undef X
}

Test(err, every_class_has_a_code)
{
	for (int c = 0; c < EXIT_CLASSES; c++)
		cr_assert_eq((int)rc_class(rc_of_class((enum exit_class)c)), c);
	cr_assert_eq(rc_of_class(EXIT_CLASS_AGAIN), RC_AGAIN);
}

Test(err, escapes_what_could_move_a_cursor_or_hide_text_and_keeps_utf8)
{
	char out[64];

	err_escape(out, sizeof(out), "a\n\x1b[2J");
	cr_assert_str_eq(out, "a\\x0a\\x1b[2J");
	err_escape(out, sizeof(out), "Zo\xc3\xab");
	cr_assert_str_eq(out, "Zo\xc3\xab");
	err_escape(out, sizeof(out),
		   "\xe2\x80\xae"
		   "x");
	cr_assert_str_eq(out, "\\xe2\\x80\\xaex", "right-to-left override");
	err_escape(out, sizeof(out),
		   "\xc2\x9b"
		   "x\xff");
	cr_assert_str_eq(out, "\\xc2\\x9bx\\xff", "C1 control and a lone byte");
	err_escape(out, 4, "abcdef");
	cr_assert_str_eq(out, "abc");
}

Test(bytes, numbers_have_one_spelling)
{
	struct err err = {0};
	uint64_t v;
	int64_t s;

	cr_assert_eq(number_u64("0", 1, 9, &v, &err), 0);
	cr_assert_eq(number_u64("18446744073709551615", 20, UINT64_MAX, &v, &err), 0);
	cr_assert_eq(v, UINT64_MAX);
	cr_assert_lt(number_u64("18446744073709551616", 20, UINT64_MAX, &v, &err), 0);
	cr_assert_lt(number_u64("01", 2, 9, &v, &err), 0);
	cr_assert_lt(number_u64("", 0, 9, &v, &err), 0);
	cr_assert_lt(number_u64("+1", 2, 9, &v, &err), 0);
	cr_assert_lt(number_i64("-0", 2, &s, &err), 0);
	cr_assert_eq(number_i64("-7", 2, &s, &err), 0);
	cr_assert_eq(s, -7);
}

Test(bytes, utf8_takes_well_formed_characters_only)
{
	static const struct {
		const char *text;
		size_t n, length;
	} cases[] = {{"a", 1, 1},
		     {"\xc3\xab", 2, 2},
		     {"\xe2\x82\xac", 3, 3},
		     {"\xf4\x8f\xbf\xbf", 4, 4},
		     {"", 0, 0},
		     {"\xe2\x82\xac", 2, 0},     /* cut off */
		     {"\xc0\x80", 2, 0},         /* overlong */
		     {"\xed\xa0\x80", 3, 0},     /* a surrogate */
		     {"\xf4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
		     {"\x80", 1, 0},
		     {"\xc3(", 2, 0}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		cr_assert_eq(utf8_length((const uint8_t *)cases[i].text, cases[i].n),
			     cases[i].length, "%zu", i);
}

Test(bytes, base64_accepts_only_the_canonical_text)
{
	struct err err = {0};
	uint8_t out[8];
	size_t n;

	cr_assert_eq(base64_decode(out, sizeof(out), &n, "AA==", 4, &err), 0);
	cr_assert_eq(n, 1);
	cr_assert_lt(base64_decode(out, sizeof(out), &n, "AB==", 4, &err), 0, "trailing bits");
	cr_assert_lt(base64_decode(out, sizeof(out), &n, "AA", 2, &err), 0, "no padding");
	cr_assert_lt(base64_decode(out, sizeof(out), &n, "AA==\n", 5, &err), 0, "white space");
}

Test(bytes, base64_has_64_letters_and_no_byte_stands_for_another)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t out[3];
	size_t n;

	for (int c = 0; c < 256; c++) {
		char text[] = "AAAA";
		bool letter = c != 0 && strchr(letters, c) != NULL;

		text[1] = (char)c;
		cr_expect_eq(base64_decode(out, sizeof(out), &n, text, 4, ERR_IGNORED) == 0, letter,
			     "byte %02x", (unsigned)c);
	}
}

Test(bytes, a_secret_buffer_grows_like_another_and_stays_one_when_it_is_cleared)
{
	OWNED(buf_clear) struct buf b = BUF_SECRET;

	for (unsigned i = 0; i < 1000; i++)
		cr_assert_eq(buf_printf(&b, ERR_IGNORED, "%03u,", i), 0);
	cr_assert_eq(b.n, 4000);
	cr_assert_eq(memcmp(b.p, "000,001,", 8), 0);
	cr_assert_eq(memcmp(b.p + 3996, "999,", 5), 0);
	buf_reset(&b);
	for (size_t i = 0; i < b.cap; i++)
		cr_assert_eq(b.p[i], 0);
	buf_clear(&b);
	cr_assert_null(b.p);
	cr_assert(b.secret);
}

Test(clock, every_time_of_a_file_has_nanoseconds_that_fit)
{
	cr_expect_eq(clock_ns(0, 0), 0);
	cr_expect_eq(clock_ns(-1, 999999999), -1);
	cr_expect_eq(clock_ns(-9223372037, 145224193), -INT64_MAX);
	cr_expect_eq(clock_ns(9223372036, 854775807), INT64_MAX);
	cr_expect_eq(clock_ns(9223372036, 854775808), INT64_MAX);
	cr_expect_eq(clock_ns(INT64_MAX, 999999999), INT64_MAX);
	cr_expect_eq(clock_ns(INT64_MIN, 0), INT64_MIN);
}

Test(clock, the_kernel_gets_the_time_that_it_gave)
{
	static const int64_t times[] = {
	    0, 1, -1, -999999999, -1000000000, 1700000000123456789ll, INT64_MAX, INT64_MIN};

	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct timespec t = clock_timespec(times[i]);

		cr_expect(t.tv_nsec >= 0 && t.tv_nsec < 1000000000, "%ld", t.tv_nsec);
		cr_expect_eq(clock_ns(t.tv_sec, t.tv_nsec), times[i]);
	}
}

Test(clock, times_have_one_spelling_and_must_exist)
{
	struct err err = {0};
	char text[CLOCK_TEXT + 1];
	int64_t at;

	cr_assert_eq(clock_parse("2026-11-22T21:00:00Z", &at, &err), 0);
	clock_format(text, at);
	cr_assert_str_eq(text, "2026-11-22T21:00:00Z");
	cr_assert_lt(clock_parse("2026-02-30T00:00:00Z", &at, &err), 0);
	cr_assert_lt(clock_parse("2026-11-22 21:00:00Z", &at, &err), 0);
	cr_assert_lt(clock_parse("2026-11-22T21:00:60Z", &at, &err), 0);
	cr_assert_lt(clock_parse("2026-11-22T21:00:00", &at, &err), 0);
}

Test(digest, is_blake2b_256)
{
	char hex[DIGEST_HEX + 1];
	struct digest d = digest_of(bytes_of("abc"));

	digest_hex(hex, &d);
	cr_assert_str_eq(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}
