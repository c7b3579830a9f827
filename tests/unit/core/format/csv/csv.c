/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/csv/csv.h"

/* "1[a|b]3[c]": the line and the fields of every row; or the message. */
static const char *read_all(struct bytes in)
{
	static char text[4096];
	OWNED(csv_row_clear) struct csv_row row = {0};
	struct err err = {0};
	struct csv c;
	size_t used = 0;
	int rc;

	csv_init(&c, in);
	text[0] = '\0';
	while ((rc = csv_next(&c, &row, &err)) == 1) {
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%u[", row.line);
		for (size_t i = 0; i < row.fields; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
						 i > 0 ? "|" : "", row.field[i]);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "]");
	}
	if (rc < 0)
		snprintf(text + used, sizeof(text) - used, "%s: %s", rc_slug(rc), err.text);
	return text;
}

static void reads(const char *in, const char *want)
{
	cr_expect_str_eq(read_all(bytes_of(in)), want);
}

Test(csv, reads_rows_of_fields_with_the_line_on_which_they_begin)
{
	reads("", "");
	reads("a", "1[a]");
	reads("a,b\nc,d\n", "1[a|b]2[c|d]");
	reads("a,b\r\nc,d\r\n", "1[a|b]2[c|d]");
	reads("a,,\n,\n", "1[a||]2[|]");
	reads(" a , b\t\n", "1[ a | b\t]");
	reads("\n\r\na\n\n\nb\n\n", "3[a]6[b]");
	reads("\xef\xbb\xbf"
	      "a,b\n",
	      "1[a|b]");
	reads("Zo\xc3\xab,x\n", "1[Zo\xc3\xab|x]");
}

Test(csv, reads_commas_quotes_and_ends_of_lines_inside_quotes)
{
	reads("\"a,b\",\"c\"\"d\",\"\"\n", "1[a,b|c\"d|]");
	reads("\"a\nb\",c\nd\n", "1[a\nb|c]3[d]");
	reads("\"a\r\nb\"\r\nd\r\n", "1[a\r\nb]3[d]");
	reads("\"\"\"\"", "1[\"]");
	reads("\"a\"", "1[a]");
}

Test(csv, refuses_what_readers_take_for_different_things)
{
	reads("a,b\"c\n", "malformed: line 1: a quote inside a field: the whole field must be in "
			  "quotes then, and quotes in it doubled");
	reads("a\n\"b\"c\n",
	      "1[a]malformed: line 2: something follows the closing quote of a field");
	reads("a\nb,\"c\nd\n",
	      "1[a]malformed: line 2: a quote that is opened here is never closed");
	reads("a\"", "malformed: line 1: a quote inside a field: the whole field must be in quotes "
		     "then, and quotes in it doubled");
	reads("a\rb\n", "malformed: line 1: a carriage return by itself, outside of quotes");
	reads("a,\xff\n", "malformed: line 1: text that is not UTF-8: save the file as UTF-8");
	reads("\"\"\"", "malformed: line 1: a quote that is opened here is never closed");
	cr_expect_str_eq(read_all((struct bytes){(const uint8_t *)"a\0b", 3}),
			 "malformed: line 1: a NUL in the text");
}

Test(csv, bounds_fields_and_rows)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;

	for (unsigned i = 0; i < CSV_FIELDS - 1; i++)
		cr_assert_eq(buf_add(&b, ",", 1, ERR_IGNORED), 0);
	cr_assert_not_null(strstr(read_all(bytes_in(&b)), "1["));
	cr_assert_eq(buf_add(&b, ",", 1, ERR_IGNORED), 0);
	cr_assert_str_eq(read_all(bytes_in(&b)), "limit: line 1: more than 64 fields");
	buf_reset(&b);
	cr_assert_eq(buf_reserve(&b, CSV_ROW + 2, ERR_IGNORED), 0);
	memset(b.p, 'x', CSV_ROW + 1);
	b.n = CSV_ROW + 1;
	cr_assert_not_null(strstr(read_all(bytes_in(&b)), "limit: line 1: a row of more than"));
}
