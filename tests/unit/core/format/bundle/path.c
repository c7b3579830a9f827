/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/format/bundle/path.h"

/* ${n} times ${unit}, in memory of the test. */
static char *repeat(const char *unit, size_t n)
{
	size_t len = strlen(unit);
	char *s = malloc(n * len + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(s + i * len, unit, len);
	s[n * len] = '\0';
	return s;
}

static void expect_refused(const char *path)
{
	struct err err = {0};

	cr_expect_eq(path_check(path, &err), RC_PATH, "\"%.60s\" passed", path);
	cr_expect(err.text[0] != '\0');
	cr_expect_eq(path_check(path, ERR_IGNORED), RC_PATH);
}

Test(path, names_that_lead_elsewhere_or_nowhere_are_refused)
{
	static const char *const bad[] = {"",     ".",     "..",     "/",   "/a",
					  "a/",   "a//b",  "./a",    "a/.", "../a",
					  "a/..", "a/./b", "a/../b", "//",  "a/../../x"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_refused(bad[i]);
}

Test(path, any_other_bytes_are_names)
{
	static const char *const good[] = {"a",    "...",    "..a", ".a",   "a.",
					   "a/b",  "a b",    "\n",  "\x1b", "\xff",
					   "a\\b", "CON/:*", "-",   "%41",  ".../.x"};
	struct err err = {0};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_expect_eq(path_check(good[i], &err), 0, "%s", err.text);
}

Test(path, a_name_has_at_most_255_bytes)
{
	char *name = repeat("n", 256);

	expect_refused(name);
	name[255] = '\0';
	cr_expect_eq(path_check(name, ERR_IGNORED), 0);
	free(name);
}

Test(path, a_path_has_at_most_4096_bytes_and_256_names)
{
	char *names = repeat("a/", 257), *bytes = repeat("0123456789abcde/", 257);

	names[2 * 256 - 1] = '\0';
	cr_expect_eq(path_check(names, ERR_IGNORED), 0, "256 names");
	names[2 * 256 - 1] = '/';
	names[2 * 257 - 1] = '\0';
	expect_refused(names);
	bytes[4096] = '\0';
	bytes[4095] = 'x';
	cr_expect_eq(path_check(bytes, ERR_IGNORED), 0, "4096 bytes");
	bytes[4096] = 'x';
	bytes[4097] = '\0';
	expect_refused(bytes);
	free(names);
	free(bytes);
}

Test(path, every_byte_has_one_encoding_and_comes_back)
{
	for (int c = 1; c < 256; c++) {
		struct buf b = BUF_INIT;
		char text[] = "abcdefgh?ijklmnopq", back[24], other[4];
		bool plain = c >= 0x21 && c <= 0x7e && c != '%';

		text[8] = (char)c;
		cr_assert_eq(text_encode(text, &b, ERR_IGNORED), 0);
		cr_expect_eq(b.n, plain ? 18u : 20u);
		cr_expect_eq(text_decode(bytes_in(&b), back, sizeof(back), ERR_IGNORED), 0);
		cr_expect_str_eq(back, text);
		snprintf(other, sizeof(other), "%%%02X", (unsigned)c);
		cr_expect_eq(text_decode(bytes_of(other), back, sizeof(back), ERR_IGNORED),
			     plain ? RC_MALFORMED : 0, "%s", other);
		other[0] = (char)c;
		other[1] = '\0';
		cr_expect_eq(text_decode(bytes_of(other), back, sizeof(back), ERR_IGNORED),
			     plain ? 0 : RC_MALFORMED, "%d", c);
		buf_clear(&b);
	}
}

Test(path, other_spellings_of_an_encoding_are_refused)
{
	static const char *const bad[] = {"%",         "%2",    "%2f", "%0a",  "%0",
					  "%00",       "a%0A%", "%zz", "% 0A", "%25%41",
					  "12345678%", "%A",    "%Aa", "%+1"};
	struct err err = {0};
	char back[16];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(text_decode(bytes_of(bad[i]), back, sizeof(back), &err), RC_MALFORMED,
			     "%s", bad[i]);
	cr_expect_eq(text_decode((struct bytes){(const uint8_t *)"a\0b", 3}, back, 16, &err),
		     RC_MALFORMED, "a NUL byte");
}

Test(path, decoding_never_writes_past_its_room)
{
	char back[9] = "########";
	struct err err = {0};

	cr_expect_eq(text_decode(bytes_of("1234567"), back, 8, &err), 0);
	cr_expect_eq(text_decode(bytes_of("12345678"), back, 8, &err), RC_PATH);
	cr_expect_eq(text_decode(bytes_of("1234567%0A"), back, 8, &err), RC_PATH);
	cr_expect_eq(text_decode(bytes_of("123456%0A"), back, 8, &err), 0);
	cr_expect_eq(back[8], '\0', "the byte after it");
	cr_expect_eq(text_decode(bytes_of(""), back, 1, &err), 0);
	cr_expect_eq(text_decode(bytes_of(""), back, 0, &err), RC_INTERNAL);
}

Test(path, order_goes_component_by_component)
{
	static const char *const ascending[] = {"a",     "a/b", "a/b/c", "a/b!", "a/c", "a\n",
						"a ",    "a!",  "a-",    "a.",   "a0",  "aa",
						"aa/zz", "b",   "\x7f",  "\x80", "\xff"};
	size_t n = sizeof(ascending) / sizeof(ascending[0]);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			int c = path_compare(ascending[i], ascending[j]);

			cr_expect_eq((c > 0) - (c < 0), (i > j) - (i < j), "%s %s", ascending[i],
				     ascending[j]);
		}
}

Test(path, below_means_itself_or_inside_and_not_a_longer_name)
{
	cr_expect(path_below("a/b", "a/b"));
	cr_expect(path_below("a/b/c", "a/b"));
	cr_expect_not(path_below("a/bc", "a/b"));
	cr_expect_not(path_below("a", "a/b"));
}
