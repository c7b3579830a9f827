/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"

#define CHANNEL "satchel: channel/1\nsource: /srv/office\ntarget: /opt/office\n"

static int channel(const char *text, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;

	return yaml_decode(bytes_of(text), LIMIT_DOCUMENT, schema_find("channel/1"),
			   "channels/office.yaml", &y, err);
}

static void refused(const char *text, int rc, const char *says)
{
	struct err err = {0};
	int got = channel(text, &err);

	cr_expect_eq(got, rc, "%s: %d instead of %d: %s", says, got, rc, err.text);
	cr_expect(got == 0 || strstr(err.text, says) != NULL, "\"%s\" does not say \"%s\"",
		  err.text, says);
}

/* A channel that has ${line} as its fourth line. */
static void line_refused(const char *line, int rc, const char *says)
{
	char text[512];

	snprintf(text, sizeof(text), CHANNEL "%s\n", line);
	refused(text, rc, says);
}

static void line_read(const char *line)
{
	struct err err = {0};
	char text[512];

	snprintf(text, sizeof(text), CHANNEL "%s\n", line);
	cr_expect_eq(channel(text, &err), 0, "%s: %s", line, err.text);
}

Test(yaml, reads_what_a_person_wrote)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct err err = {0};
	const struct node *root, *list;
	int rc = yaml_decode(bytes_of("---\n"
				      "# our office\n"
				      "satchel: channel/1   # kind\n"
				      "source: /srv/office\n"
				      "target: \"/opt/office\"\n"
				      "for: [all, 'label:north',\n"
				      "      \"pc-7\"]\n"
				      "exclude:\n"
				      "- '*.o'\n"
				      "- it's [a-z]\n"
				      "owners: true\n"
				      "keep: 12\n"
				      "more: {later: {a: [1, 2.5, ~]}}\n"),
			     LIMIT_DOCUMENT, schema_find("channel/1"), "office.yaml", &y, &err);

	cr_assert_eq(rc, 0, "%s", err.text);
	root = yaml_root(y);
	cr_expect_str_eq(node_text(node_get(root, "source"), ""), "/srv/office");
	cr_expect_eq(node_line(node_get(root, "source")), 4);
	list = node_get(root, "for");
	cr_assert_eq(node_count(list), 3);
	cr_expect_str_eq(node_text(node_at(list, 0), ""), "all");
	cr_expect_str_eq(node_text(node_at(list, 1), ""), "label:north");
	cr_expect_str_eq(node_text(node_at(list, 2), ""), "pc-7");
	cr_expect_null(node_at(list, 3));
	cr_expect_str_eq(node_text(node_at(node_get(root, "exclude"), 1), ""), "it's [a-z]");
	cr_expect(node_bool(node_get(root, "owners"), false));
	cr_expect_eq(node_u64(node_get(root, "keep"), 0), 12);
	cr_expect_eq(node_u64(node_get(root, "absent"), 7), 7);
	cr_expect(node_bool(node_get(root, "special-modes"), true));
	cr_expect_str_eq(node_text(NULL, "else"), "else");
	cr_expect_eq(node_count(NULL), 0);
	cr_expect_null(node_get(NULL, "a"));
	cr_expect_str_eq(node_key(root, 1), "source");
	cr_expect_null(node_key(root, 99));
}

Test(yaml, says_file_line_field_and_what_was_expected)
{
	struct err err = {0};

	channel("satchel: channel/1\ntarget: /a\n\nsource: [a]\n", &err);
	cr_expect_str_eq(err.text, "channels/office.yaml:4: field `source`: expected a path, "
				   "found a list");
	channel(CHANNEL "keep: many\n", &err);
	cr_expect_str_eq(err.text, "channels/office.yaml:4: field `keep`: expected a number of "
				   "generations from 1 to 1000000, found \"many\"");
	channel(CHANNEL "on-leave: burn\n", &err);
	cr_expect_str_eq(err.text, "channels/office.yaml:4: field `on-leave`: expected keep or "
				   "remove, found \"burn\"");
	channel("satchel: channel/1\nsource: /a\n", &err);
	cr_expect_str_eq(err.text, "channels/office.yaml:1: field `target` is missing, expected an "
				   "absolute path without \".\", \"..\" or a slash at its end");
	channel(CHANNEL "for:\n- all\n- 'x y'\n", &err);
	cr_expect(strstr(err.text, ":6: field `for[1]`: expected \"all\"") != NULL, "%s", err.text);
	line_refused("sorce: x", RC_MALFORMED, "field `sorce`: not known here; known are satchel");
	line_refused("source:", RC_MALFORMED, "field `source` appears twice");
	line_refused("keep:", RC_MALFORMED, "found nothing");
	line_refused("owners: \"true\"", RC_MALFORMED, "expected true or false, found \"true\"");
	line_refused("more: text", RC_MALFORMED, "expected a map of additions, found \"text\"");
}

Test(yaml, refuses_what_its_dialect_does_not_have)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
	    {"exclude: &a [x]", "anchors"},
	    {"exclude: [*a]", "aliases"},
	    {"exclude:\n- *.o", "aliases"},
	    {"exclude: !!seq [x]", "tags"},
	    {"exclude: [!x y]", "tags"},
	    {"? exclude\n: &a x", "anchors"},
	    {"exclude:\n- |\n  text", "block scalars"},
	    {"exclude:\n- >\n  text", "block scalars"},
	    {"%YAML 1.1", "directives"},
	    {"exclude:\n- @x", "quotes"},
	    {"exclude:\n- `x", "quotes"},
	    {"exclude:\n- \"a\n  b\"", "must end on the line"},
	    {"exclude:\n- 'a\n  b'", "must end on the line"},
	    {"exclude:\n- a\n  b", "must end on the line"},
	    {"exclude: [a\n  b]", "must end on the line"},
	    {"exclude:\n- \"a\\0b\"", "NUL"},
	    {"---", "a second document begins"},
	    {"---\nsatchel: channel/1", "a second document begins"},
	    {"...", "remove"},
	    {"... # x", "remove"},
	    {"--- x", "remove"},
	    {"exclude:\n\t- x", "tab"},
	    {"  \texclude: x", "tab"},
	    {"exclude: [x]\r", "carriage return"},
	    {"exclude:\n- a\x7f", "control character"},
	    {"exclude:\n- \x1b[2J", "control character"},
	    {"exclude:\n- a\xc2\x85", "control character"},
	    {"exclude:\n- a\xe2\x80\xa8", "control character"},
	    {"exclude:\n- a\xe2\x80\xa9", "control character"},
	    {"exclude:\n- a\xef\xbb\xbf", "control character"},
	    {"exclude:\n- a\xef\xbf\xbf", "control character"},
	    {"exclude:\n- a\xff", "UTF-8"},
	    {"exclude:\n- a\xc0\xaf", "UTF-8"},
	    {"exclude:\n- a\xed\xa0\x80", "UTF-8"},
	    {"exclude:\n- a\xf4\x90\x80\x80", "UTF-8"},
	    {"exclude:\n- a\xe2\x82", "UTF-8"},
	    {"more: {a: 1, a: 2}", "appears twice"},
	    {"more: {b: 1, c: {d: 1, \"d\": 2}}", "field `d` appears twice"},
	    {"more: {no: 1}", "must be in quotes"},
	    {"more: {1: 1}", "must be in quotes"},
	    {"more: {<<: 1}", "must be in quotes"},
	    {"more: {[a]: 1}", "a key must be one word of text"},
	    {"more: {? : 1}", "must be in quotes"},
	    {"exclude: [x", "not YAML"},
	    {"exclude: x]\n - y", "must end on the line"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		line_refused(rows[i].line, RC_MALFORMED, rows[i].says);
	refused("", RC_MALFORMED, "is empty");
	refused("# nothing\n", RC_MALFORMED, "does not begin with \"satchel: channel/1\"");
	refused("- satchel\n", RC_MALFORMED, "does not begin with");
	refused("source: /a\nsatchel: channel/1\n", RC_MALFORMED, "does not begin with");
	refused("satchel: head/1\n", RC_MALFORMED, "another kind of document");
	refused("satchel: channel/2\nsource: 1\n", RC_MALFORMED, "another version");
	refused("satchel: [channel/1]\n", RC_MALFORMED, "another kind");
	refused("\xef\xbb\xbf" CHANNEL, RC_MALFORMED, "control character");
	cr_expect_eq(
	    channel(CHANNEL "exclude:\n- a\xc3\xab\xe2\x82\xac\xf0\x9f\x98\x80\n", ERR_IGNORED), 0);
}

Test(yaml, refuses_a_nul_byte_wherever_it_stands)
{
	char text[] = CHANNEL "owners: true\n";
	size_t n = sizeof(text) - 1;

	for (size_t i = 0; i < n; i++) {
		OWNED(yaml_freep) struct yaml *y = NULL;
		struct err err = {0};
		char was = text[i];

		text[i] = '\0';
		cr_expect_eq(yaml_decode((struct bytes){(uint8_t *)text, n}, n,
					 schema_find("channel/1"), "c", &y, &err),
			     RC_MALFORMED);
		text[i] = was;
	}
}

Test(yaml, takes_as_text_only_what_every_reader_takes_as_text)
{
	static const char *const words[] = {
	    "no",
	    "No",
	    "yes",
	    "on",
	    "OFF",
	    "y",
	    "N",
	    "~",
	    "null",
	    "Null",
	    "true",
	    "TRUE",
	    "false",
	    "12:30",
	    "010",
	    "1e3",
	    ".5",
	    "0x1F",
	    "0o17",
	    "0b1",
	    "1_000",
	    "2026-11-22",
	    "1.5",
	    "+7",
	    "-7",
	    "+.inf",
	    ".nan",
	    "=",
	    "<<",
	    "12",
	    "0",
	    "1.",
	    "-.5",
	    "1.2.3.4",
	    "190:20:30",
	    "2026-11-22T21:00:00Z",
	    "2026-11-22 21:00:00",
	};
	static const char *const texts[] = {
	    "nothing", "yesterday", "office", "a12", "7zip",  "v1.2",    "x:y", "-x",
	    "/",       "a b",       "...x",   "e3",  "nulls", ".config", "3rd",
	};
	char line[128];

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		snprintf(line, sizeof(line), "exclude:\n- %s", words[i]);
		line_refused(line, RC_MALFORMED, "expected a pattern of file names, found");
		snprintf(line, sizeof(line), "exclude:\n- \"%s\"\n- '%s'", words[i], words[i]);
		line_read(line);
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		snprintf(line, sizeof(line), "exclude:\n- %s", texts[i]);
		line_read(line);
	}
}

Test(yaml, takes_as_a_number_only_plain_digits_within_bounds)
{
	static const char *const bad[] = {"0",   "1000001", "+1",   "01",
					  "0x1", "1.0",     "1e1",  "'1'",
					  "-1",  "1_0",     "true", "18446744073709551617"};
	char line[64];

	line_read("keep: 1");
	line_read("keep: 1000000");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(line, sizeof(line), "keep: %s", bad[i]);
		line_refused(line, RC_MALFORMED, "expected a number of generations");
	}
}

Test(yaml, counts_characters_and_not_bytes)
{
	for (int n = 4094; n <= 4096; n++) {
		OWNED(buf_clear) struct buf b = BUF_INIT;

		buf_text(&b, CHANNEL "exclude:\n- ", ERR_IGNORED);
		for (int i = 0; i < n; i++)
			buf_text(&b, "\xc3\xab", ERR_IGNORED);
		buf_text(&b, "\n", ERR_IGNORED);
		cr_expect_eq(channel((char *)b.p, ERR_IGNORED), n <= 4095 ? 0 : RC_MALFORMED, "%d",
			     n);
	}
}

Test(yaml, knows_absolute_paths)
{
	static const char *const good[] = {"/",    "/a",   "/a/b", "/a b",     "/.a",
					   "/..a", "/a..", "/...", "/\xc3\xab"};
	static const char *const bad[] = {"a",   "/a/",  "//",    "//a",   "/a//b", "/.",
					  "/..", "/a/.", "/a/..", "/../a", "/./a",  "./a"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char text[128];

		snprintf(text, sizeof(text), "satchel: channel/1\nsource: a\ntarget: \"%s\"\n",
			 good[i]);
		cr_expect_eq(channel(text, ERR_IGNORED), 0, "%s", good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char text[128];

		snprintf(text, sizeof(text), "satchel: channel/1\nsource: a\ntarget: \"%s\"\n",
			 bad[i]);
		refused(text, RC_MALFORMED, "field `target`: expected an absolute path");
	}
	refused("satchel: channel/1\nsource: a\ntarget: \"/a\\nb\"\n", RC_MALFORMED,
		"field `target`");
}

/* A channel whose additions are lists to ${depth} levels in all. */
static void nested(struct buf *b, const char *open, const char *close, unsigned depth)
{
	buf_reset(b);
	buf_text(b, CHANNEL "more:\n  a: ", ERR_IGNORED);
	for (unsigned i = 2; i < depth; i++)
		buf_text(b, open, ERR_IGNORED);
	buf_text(b, "x", ERR_IGNORED);
	for (unsigned i = 2; i < depth; i++)
		buf_text(b, close, ERR_IGNORED);
	buf_text(b, "\n", ERR_IGNORED);
}

Test(yaml, bounds_nesting_by_brackets_and_by_dashes)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	nested(&b, "[", "]", LIMIT_YAML_DEPTH);
	cr_expect_eq(channel((char *)b.p, &err), 0, "%s", err.text);
	nested(&b, "[", "]", LIMIT_YAML_DEPTH + 1);
	refused((char *)b.p, RC_LIMIT, "nested deeper than 12 levels");
	nested(&b, "{a: ", "}", LIMIT_YAML_DEPTH);
	cr_expect_eq(channel((char *)b.p, &err), 0, "%s", err.text);
	nested(&b, "{a: ", "}", LIMIT_YAML_DEPTH + 1);
	refused((char *)b.p, RC_LIMIT, "nested deeper than 12 levels");
}

static void nested_block(struct buf *b, unsigned depth)
{
	buf_reset(b);
	buf_text(b, CHANNEL "more:\n", ERR_IGNORED);
	for (unsigned i = 1; i < depth; i++)
		buf_printf(b, ERR_IGNORED, "%*sa:\n", (int)i, "");
	buf_printf(b, ERR_IGNORED, "%*sx\n", (int)depth, "");
}

Test(yaml, bounds_nesting_by_indentation)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	nested_block(&b, LIMIT_YAML_DEPTH);
	cr_expect_eq(channel((char *)b.p, &err), 0, "%s", err.text);
	nested_block(&b, LIMIT_YAML_DEPTH + 1);
	refused((char *)b.p, RC_LIMIT, "nested deeper than 12 levels");
	nested_block(&b, 700);
	refused((char *)b.p, RC_LIMIT, "nested deeper than 12 levels");
}

/* libyaml alone takes half a minute for the first of these, and a quarter of an hour for others. */
Test(yaml, refuses_a_megabyte_of_nesting_before_libyaml_sees_it)
{
	static const char *const pieces[] = {"[",      "{a: ",     "[[\n",    "- ",
					     "? ",     "- [",      "{? [",    "\"a\": [",
					     "a: [\n", "'x [': [", "it's: [", "[- \"]\": "};

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		OWNED(buf_clear) struct buf b = BUF_INIT;
		struct err err = {0};

		buf_text(&b, CHANNEL "more:\n", ERR_IGNORED);
		while (b.n < LIMIT_YAML_SCALAR - 16)
			buf_text(&b, b.p[b.n - 1] == '\n' ? "  " : pieces[i], ERR_IGNORED);
		cr_expect_eq(yaml_scan(bytes_in(&b), LIMIT_DOCUMENT, false, "c", &err), RC_LIMIT,
			     "%s: %s", pieces[i], err.text);
		cr_expect_not_null(strstr(err.text, "nested deeper"), "%s", err.text);
		refused((char *)b.p, RC_LIMIT, "nested deeper");
		while (b.n < LIMIT_DOCUMENT - 16)
			buf_text(&b, b.p[b.n - 1] == '\n' ? "  " : pieces[i], ERR_IGNORED);
		refused((char *)b.p, RC_LIMIT, "");
	}
}

/* The scan may not count brackets that are none. */
Test(yaml, brackets_in_text_and_comments_nest_nothing)
{
	line_read("exclude:\n- \"[[[[[[[[[[[[[[[[[[[[[[[[[\"\n- '{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{'");
	line_read("exclude:\n- a[[[[[[[[[[[[[[[[[[[[[[[[[{{{{{{{{{{{{{{{{{ # [[[[[[[[[[[[[[[[[[[[");
	line_read(
	    "exclude: [\"[[[[[[[[[[[[[[[[[[[[\", '[[[[[''[[[[[[[[[[', \"\\\"[[[[[[[[[[[[[[[\"]");
	line_read("# [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
	line_read("more: {a: [[], [], [[]], {}, [], [], [], [], [], [], [], [], [], []]}");
}

Test(yaml, bounds_size_lines_and_values)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct err err = {0};
	size_t n = strlen(CHANNEL);

	cr_expect_eq(yaml_decode(bytes_of(CHANNEL), n, schema_find("channel/1"), "c", &y, &err), 0);
	yaml_freep(&y);
	cr_expect_eq(yaml_decode(bytes_of(CHANNEL), n - 1, schema_find("channel/1"), "c", &y, &err),
		     RC_LIMIT);

	buf_text(&b, CHANNEL "more:\n  a: ", ERR_IGNORED);
	for (size_t i = 5; i < LIMIT_YAML_SCALAR; i++)
		buf_text(&b, "x", ERR_IGNORED);
	cr_expect_eq(channel((char *)b.p, &err), 0, "%s", err.text);
	buf_text(&b, "x", ERR_IGNORED);
	refused((char *)b.p, RC_LIMIT, "a line of more than 65536 bytes");

	buf_reset(&b);
	buf_text(&b, CHANNEL, ERR_IGNORED);
	for (size_t i = 4; i < LIMIT_YAML_NODES; i++)
		buf_text(&b, "\n", ERR_IGNORED);
	cr_expect_eq(channel((char *)b.p, &err), 0, "%s", err.text);
	buf_text(&b, "\n", ERR_IGNORED);
	refused((char *)b.p, RC_LIMIT, "more than 200000 lines");
}

static void values(struct buf *b, size_t n)
{
	buf_reset(b);
	buf_text(b, CHANNEL "more:\n  a: [\n", ERR_IGNORED);
	for (size_t i = 0; i < n; i++)
		buf_text(b, i % 1000 == 999 ? "1,\n" : "1,", ERR_IGNORED);
	buf_text(b, "]\n", ERR_IGNORED);
}

Test(yaml, bounds_the_number_of_values)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	size_t others = 6; /* document, satchel, source, target, more, a */

	values(&b, LIMIT_YAML_NODES - others);
	cr_expect_eq(channel((char *)b.p, &err), 0, "%s", err.text);
	values(&b, LIMIT_YAML_NODES - others + 1);
	refused((char *)b.p, RC_LIMIT, "more than 200000 values");
}

Test(yaml, finds_duplicates_among_sixty_thousand_keys)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	buf_text(&b, CHANNEL "more:\n", ERR_IGNORED);
	for (unsigned i = 0; i < 60000; i++)
		buf_printf(&b, ERR_IGNORED, "  k%u: 1\n", i);
	cr_expect_eq(channel((char *)b.p, &err), 0, "%s", err.text);
	buf_text(&b, "  k17: 1\n", ERR_IGNORED);
	refused((char *)b.p, RC_MALFORMED, ":60005: field `k17` appears twice");
}

Test(yaml, reads_machine_made_documents_in_block_style_only)
{
	static const struct {
		const char *text;
		int rc;
		const char *says;
	} rows[] = {
	    {"satchel: depot/1\nformat: 1\nsite: \"%s\"\n", 0, ""},
	    {"satchel: depot/1\nformat: 1\nsite: %s\n", 0, ""},
	    {"satchel: depot/1\n# hint\nformat: 1\nsite: \"%s\"\n", 0, ""},
	    {"satchel: depot/1\nformat: 1\nsite: \"%s\"\nmore:\n  a: x[1]\n", 0, ""},
	    {"satchel: depot/1\nformat: 1\nsite: \"%s\"\nmore: {}\n", RC_MALFORMED, "machine-made"},
	    {"satchel: depot/1\nformat: 1\nsite: \"%s\"\nmore:\n  a: []\n", RC_MALFORMED,
	     "machine-made"},
	    {"{satchel: depot/1, format: 1, site: \"%s\"}\n", RC_MALFORMED, "machine-made"},
	    {"---\nsatchel: depot/1\nformat: 1\nsite: \"%s\"\n", RC_MALFORMED, "remove"},
	    {"# hint\nsatchel: depot/1\nformat: 1\nsite: \"%s\"\n", RC_MALFORMED, "first line"},
	    {"\"satchel\": depot/1\nformat: 1\nsite: \"%s\"\n", RC_MALFORMED, "first line"},
	    {"satchel: \"depot/1\"\nformat: 1\nsite: \"%s\"\n", RC_MALFORMED, "first line"},
	    {"satchel:  depot/1\nformat: 1\nsite: \"%s\"\n", RC_MALFORMED, "first line"},
	    {"satchel: depot/1 \nformat: 1\nsite: \"%s\"\n", RC_MALFORMED, "first line"},
	    {" satchel: depot/1\n format: 1\n site: \"%s\"\n", RC_MALFORMED, "first line"},
	};
	static const char site[] =
	    "a123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		OWNED(yaml_freep) struct yaml *y = NULL;
		const char *hole = strstr(rows[i].text, "%s");
		struct err err = {0};
		char text[512];
		int rc;

		snprintf(text, sizeof(text), "%.*s%s%s", (int)(hole - rows[i].text), rows[i].text,
			 site, hole + 2);
		rc = yaml_decode(bytes_of(text), 512, schema_find("depot/1"), "d", &y, &err);
		cr_expect_eq(rc, rows[i].rc, "%s: %s", text, err.text);
		cr_expect(strstr(err.text, rows[i].says) != NULL, "%s", err.text);
	}
}

Test(yaml, has_a_schema_for_every_document_and_for_nothing_else)
{
	static const char *const types[] = {
	    "trust/1",       "beat/1",
	    "shard/1",       "head/1",
	    "manifest/1",    "receipt/1",
	    "request/1",     "subscription/1",
	    "membership/1",  "depot/1",
	    "site/1",        "channel/1",
	    "workstation/1", "workstation-config/1",
	    "server/1",
	};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		cr_expect_not_null(schema_find(types[i]), "%s", types[i]);
	cr_expect_null(schema_find("channel/2"));
	cr_expect_null(schema_find("channel"));
	cr_expect_null(schema_find(""));
	cr_expect_eq(yaml_decode(bytes_of(CHANNEL), 100, NULL, "c", NULL, ERR_IGNORED),
		     RC_INTERNAL);
}

Test(yaml, typed_values_name_where_they_stand)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct err err = {0};
	const struct node *n;
	char small[4], fits[5];
	uint8_t raw[3];
	struct digest d;
	int64_t at;

	cr_assert_eq(yaml_decode(bytes_of(CHANNEL "more:\n  a: [text]\n"), 200,
				 schema_find("channel/1"), "c", &y, &err),
		     0);
	n = node_at(node_get(node_get(yaml_root(y), "more"), "a"), 0);
	cr_expect_eq(node_copy(n, fits, sizeof(fits), &err), 0);
	cr_expect_str_eq(fits, "text");
	cr_expect_eq(node_copy(n, small, sizeof(small), &err), RC_MALFORMED);
	cr_expect_str_eq(err.text, "c:5: field `more.a[0]`: a text of more than 3 bytes");
	cr_expect_eq(node_digest(n, &d, &err), RC_MALFORMED);
	cr_expect(strstr(err.text, "c:5: field `more.a[0]`: ") == err.text);
	cr_expect_eq(node_time(n, &at, &err), RC_MALFORMED);
	cr_expect_eq(node_base64(n, raw, sizeof(raw), &err), 0);
	cr_expect_eq(node_base64(n, raw, 2, &err), RC_MALFORMED);
	cr_expect_eq(node_digest(NULL, &d, &err), 0);
	cr_expect(digest_is_zero(&d));
	cr_expect_eq(node_time(NULL, &at, &err), 0);
	cr_expect_eq(at, 0);
	cr_expect_eq(node_copy(NULL, small, sizeof(small), &err), 0);
	cr_expect_str_eq(small, "");
}
