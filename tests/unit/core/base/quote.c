/* SPDX-License-Identifier: ISC */
/*
 * Quoting what strangers say.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/own.h"
#include "core/base/quote.h"

static void reads(const char *text, const char *quoted)
{
	char dst[128];

	quote_text(dst, sizeof(dst), text);
	cr_assert_str_eq(dst, quoted);
}

Test(quote, nothing_that_looks_like_a_quotation_mark_ends_it)
{
	static const char *const marks[] = {
	    "\u00ab", "\u00bb", "\u02ba", "\u02dd", "\u02ee", "\u05f4", "\u030b", "\u1cd3",
	    "\u201c", "\u201d", "\u201e", "\u201f", "\u2033", "\u2036", "\u2057", "\u2760",
	    "\u275d", "\u275e", "\u276e", "\u3003", "\u300d", "\u301d", "\u301e", "\u301f",
	    "\uff02", "\u2018", "\u2019", "\u202e", "\u200b",
	};
	char dst[64], text[32];

	reads("x\"; clone suspected", "\"x'; clone suspected\"");
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		snprintf(text, sizeof(text), "a%sb", marks[i]);
		quote_text(dst, sizeof(dst), text);
		cr_assert_null(strstr(dst, marks[i]), "mark %zu", i);
		cr_assert_eq(strchr(dst + 1, '"') + 1, dst + strlen(dst), "mark %zu", i);
	}
}

Test(quote, what_people_are_called_stays_readable)
{
	reads("", "\"\"");
	reads("lab-1 (it's old) 100%", "\"lab-1 (it's old) 100%\"");
	reads("Zo\u00eb Gr\u00fc\u00df \u0141\u00f3d\u017a", "\"Zo\u00eb Gr\u00fc\u00df "
							     "\u0141\u00f3d\u017a\"");
	reads("\u0416 \u03a9 \u6771\u4eac \ud55c \u05d0 \u0645",
	      "\"\u0416 \u03a9 \u6771\u4eac \ud55c \u05d0 \u0645\"");
	reads("2 \u00d7 3 \u2013 \U0001f600", "\"2 ? 3 ? ?\"");
}

/* They are escaped where they are printed, which shows them better than a question mark. */
Test(quote, bytes_that_are_no_text_are_left_to_whoever_prints_them)
{
	reads("\x1b[2J\x80\xc3", "\"\x1b[2J\x80\xc3\"");
}

Test(quote, is_cut_between_characters)
{
	char dst[8];

	quote_text(dst, 7, "abc\u00fcd");
	cr_assert_str_eq(dst, "\"abc\"");
	quote_text(dst, 8, "abc\u00fcd");
	cr_assert_str_eq(dst, "\"abc\u00fc\"");
	quote_text(dst, 3, "abc");
	cr_assert_str_eq(dst, "\"\"");
}
