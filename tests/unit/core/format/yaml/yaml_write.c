/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/format/yaml/yaml.h"

static struct yaml_writer *start(void)
{
	struct yaml_writer *w = NULL;

	cr_assert_eq(yaml_writer_new(&w, ERR_IGNORED), 0);
	yaml_text(w, "satchel", "channel/1");
	yaml_text(w, "source", "/srv");
	yaml_text(w, "target", "/opt");
	return w;
}

Test(yaml_write, writes_block_style_with_the_type_in_the_first_line)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct yaml_writer *w = start();
	struct digest d = {{0xab}};

	yaml_list(w, "exclude");
	yaml_text(w, NULL, "*.o");
	yaml_map(w, NULL);
	yaml_bool(w, "a", true);
	yaml_bool(w, "b", false);
	yaml_close(w);
	yaml_close(w);
	yaml_u64(w, "keep", LIMIT_NUMBER);
	yaml_digest(w, "digest", &d);
	yaml_time(w, "at", 1700000000);
	cr_assert_eq(yaml_writer_end(w, &b, ERR_IGNORED), 0);
	cr_assert_str_eq(
	    (char *)b.p,
	    "satchel: channel/1\n"
	    "source: /srv\n"
	    "target: /opt\n"
	    "exclude:\n"
	    "- \"*.o\"\n"
	    "- a: true\n"
	    "  b: false\n"
	    "keep: 9007199254740991\n"
	    "digest: \"ab00000000000000000000000000000000000000000000000000000000000000\"\n"
	    "at: \"2023-11-14T22:13:20Z\"\n");
}

/* What some reader of YAML takes for something else, or for two things. */
static const char *const texts[] = {
    "",
    " ",
    "a",
    "no",
    "on",
    "y",
    "~",
    "null",
    "12",
    "0x1F",
    "1e3",
    "2026-11-22",
    "12:30",
    "-",
    "- a",
    "?",
    ": a",
    "a: b",
    "a #b",
    "#",
    "[",
    "]",
    "{a: b}",
    "&a",
    "*a",
    "!a",
    "|",
    ">",
    "%a",
    "@",
    "`",
    "'",
    "\"",
    "it's",
    "\\",
    "\\n",
    "a\nb",
    "\t",
    "a ",
    " a",
    "\x1b[2J",
    "\x7f",
    "\xc3\xab",
    "\xc2\x85",
    "\xe2\x80\xa8",
    "\xef\xbb\xbf",
    "\xf0\x9f\x98\x80",
    "---",
    "...",
    "=",
    "<<",
    "label:x",
    "a/b.c-d_e",
    ".5",
    "0123456789abcdef",
    "12e4567",
    "true",
    "a,b",
    "a]b",
};

Test(yaml_write, every_text_and_key_comes_back_as_it_was)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct yaml_writer *w = start();
	struct err err = {0};
	const struct node *more;

	yaml_map(w, "more");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		yaml_text(w, texts[i], texts[i]);
	yaml_list(w, "list");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		yaml_text(w, NULL, texts[i]);
	yaml_close(w);
	yaml_close(w);
	cr_assert_eq(yaml_writer_end(w, &b, &err), 0, "%s", err.text);
	cr_assert_eq(
	    yaml_decode(bytes_in(&b), LIMIT_DOCUMENT, schema_find("channel/1"), "c", &y, &err), 0,
	    "%s\n%s", err.text, (char *)b.p);
	more = node_get(yaml_root(y), "more");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		cr_expect_str_eq(node_key(more, i), texts[i]);
		cr_expect_str_eq(node_text(node_at(more, i), "-"), texts[i]);
		cr_expect_str_eq(node_text(node_at(node_get(more, "list"), i), "-"), texts[i]);
	}
}

Test(yaml_write, long_text_stays_on_one_line)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct yaml_writer *w = start();
	char text[4001];

	for (size_t i = 0; i < 4000; i++)
		text[i] = i % 7 == 0 ? ' ' : 'x';
	text[4000] = '\0';
	yaml_text(w, "name", text);
	cr_assert_eq(yaml_writer_end(w, &b, ERR_IGNORED), 0);
	cr_assert_not_null(strstr((char *)b.p, text));
}

Test(yaml_write, leaves_out_what_stays_empty)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct yaml_writer *w = start();

	yaml_map(w, "more");
	yaml_list(w, "list");
	yaml_close(w);
	yaml_map(w, "map");
	yaml_close(w);
	yaml_close(w);
	cr_assert_eq(yaml_writer_end(w, &b, ERR_IGNORED), 0);
	cr_assert_str_eq((char *)b.p, "satchel: channel/1\nsource: /srv\ntarget: /opt\n");
}

static void misused(struct yaml_writer *w, int rc, const char *says)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	yaml_text(w, "after", "the first error stays");
	cr_expect_eq(yaml_writer_end(w, &b, &err), rc, "%s", err.text);
	cr_expect_not_null(strstr(err.text, says), "%s", err.text);
	cr_expect_eq(b.n, 0);
}

Test(yaml_write, reports_the_first_misuse_and_writes_nothing)
{
	struct yaml_writer *w = start();

	yaml_text(w, NULL, "x");
	misused(w, RC_INTERNAL, "wrong place");
	w = start();
	yaml_list(w, "a");
	yaml_text(w, "key", "x");
	misused(w, RC_INTERNAL, "wrong place: key");
	w = start();
	yaml_close(w);
	misused(w, RC_INTERNAL, "not open");
	w = start();
	yaml_list(w, "a");
	yaml_map(w, NULL);
	yaml_close(w);
	misused(w, RC_INTERNAL, "empty");
	w = start();
	yaml_map(w, "open");
	misused(w, RC_INTERNAL, "too early");
	w = start();
	yaml_u64(w, "n", LIMIT_NUMBER + 1);
	misused(w, RC_LIMIT, "field `n`");
	w = start();
	yaml_text(w, "foreign", "a\xff");
	misused(w, RC_MALFORMED, "field `foreign`");
	w = start();
	for (int i = 1; i < LIMIT_YAML_DEPTH; i++)
		yaml_map(w, "a");
	yaml_map(w, "a");
	misused(w, RC_LIMIT, "deeper");
	cr_assert_eq(yaml_writer_new(&w, ERR_IGNORED), 0);
	cr_expect_eq(yaml_writer_end(w, NULL, ERR_IGNORED), RC_INTERNAL,
		     "a document without a field");
}

Test(yaml_write, a_value_of_another_document_is_written_as_it_was_read)
{
	static const char text[] = "satchel: policy/1\n"
				   "values:\n"
				   "  a:\n"
				   "  - 1\n"
				   "  - true\n"
				   "  - \"true\"\n"
				   "  - 1.5\n"
				   "  - []\n"
				   "  - x: {}\n"
				   "    z: -3\n"
				   "  b: no\n";
	OWNED(yaml_freep) struct yaml *y = NULL, *back = NULL;
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct yaml_writer *w = NULL;
	const struct node *values, *again;
	struct err err = {0};

	cr_assert_eq(yaml_decode(bytes_of(text), 4096, schema_find("policy/1"), "x", &y, &err), 0,
		     "%s", err.text);
	values = node_get(yaml_root(y), "values");
	cr_assert_eq(yaml_writer_new(&w, ERR_IGNORED), 0);
	yaml_text(w, "satchel", "policy/1");
	yaml_node(w, "values", values);
	cr_assert_eq(yaml_writer_end(w, &b, ERR_IGNORED), 0);
	cr_assert_str_eq((char *)b.p, text);
	cr_assert_eq(
	    yaml_decode(bytes_in(&b), 4096, schema_find("policy/1"), "y", &back, ERR_IGNORED), 0);
	again = node_get(yaml_root(back), "values");
	cr_assert(node_equal(values, again));
	cr_assert_not(node_equal(values, node_get(again, "a")));
	cr_assert_not(node_equal(node_get(values, "a"), node_get(values, "b")));
}
