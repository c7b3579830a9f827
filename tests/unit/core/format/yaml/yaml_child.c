/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/yaml/yaml_child.h"
#include "core/format/yaml/yaml_internal.h"
#include "tests/support/scratch.h"

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define ID     "00112233445566778899aabbccddeeff"
static const char receipt[] = "satchel: receipt/1\n"
			      "site: \"" DIGEST "\"\n"
			      "workstation: \"" ID "\"\n"
			      "sequence: 7\n"
			      "written: \"2026-11-22T21:00:00Z\"\n"
			      "trust: 1\n"
			      "channels:\n"
			      "  office:\n"
			      "    epoch: 1\n"
			      "    generation: 4\n"
			      "    tree: \"" DIGEST "\"\n"
			      "    result: current\n"
			      "    at: \"2026-11-22T21:00:00Z\"\n"
			      "events:\n"
			      "  - number: 1\n"
			      "    at: \"2026-11-22T21:00:00Z\"\n"
			      "    kind: clock\n"
			      "    text: it went back\n"
			      "  - number: 2\n"
			      "    at: \"2026-11-22T21:00:00Z\"\n"
			      "    kind: read\n"
			      "    text: \"\"\n"
			      "wiped: true\n"
			      "version: \"0.2.0\"\n"
			      "formats: 1\n";

static struct yaml *decoded(const char *text)
{
	struct yaml *y = NULL;
	struct err err = {0};

	cr_assert_eq(
	    yaml_decode(bytes_of(text), 65536, schema_find("receipt/1"), "receipt/1", &y, &err), 0,
	    "%s", err.text);
	return y;
}

static void packed(const char *text, struct buf *ret)
{
	OWNED(yaml_freep) struct yaml *y = decoded(text);
	struct err err = {0};

	cr_assert_eq(yaml_pack(y, ret, &err), 0);
	cr_assert_leq(ret->n, yaml_layout_most(strlen(text)));
}

static int unpacked(const struct buf *layout, struct yaml **ret, struct err *err)
{
	return yaml_unpack(bytes_in(layout), bytes_of(receipt), schema_find("receipt/1"),
			   "receipt/1", ret, err);
}

Test(yaml_child, reads_what_this_process_would_read)
{
	OWNED(yaml_freep) struct yaml *here = decoded(receipt), *there = NULL;
	struct yaml_child c = YAML_CHILD_INIT;
	struct err why = {0}, err = {0};

	cr_assert_eq(
	    yaml_child_decode(&c, bytes_of(receipt), 65536, "receipt/1", &there, &why, &err), 1,
	    "%s%s", why.text, err.text);
	cr_assert(node_equal(yaml_root(here), yaml_root(there)));
	cr_assert_eq(node_line(node_get(yaml_root(there), "events")), 15);
	cr_assert_eq(c.answered, 1);
	yaml_child_end(&c);
}

Test(yaml_child, refuses_with_the_words_that_this_process_would_have)
{
	static const char *const bad[] = {
	    "",
	    "satchel: beat/1\n",
	    "satchel: receipt/1\nsite: [\n",
	    "satchel: receipt/1\nsite: &a b\n",
	    "satchel: receipt/1\nunknown: 1\n",
	    "satchel: receipt/1\ntrust: 1\ntrust: 1\n",
	};
	struct yaml_child c = YAML_CHILD_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		OWNED(yaml_freep) struct yaml *y = NULL;
		struct err here = {0}, there = {0}, err = {0};

		yaml_decode(bytes_of(bad[i]), 65536, schema_find("receipt/1"), "receipt/1", &y,
			    &here);
		cr_assert_eq(
		    yaml_child_decode(&c, bytes_of(bad[i]), 65536, "receipt/1", &y, &there, &err),
		    0);
		cr_expect_eq(there.rc, here.rc);
		cr_expect_str_eq(there.text, here.text);
	}
	cr_assert_eq(c.deaths, 0);
	yaml_child_end(&c);
}

Test(yaml_child, parses_where_nothing_else_can_be_done)
{
	struct yaml_child c = YAML_CHILD_INIT;
	char dir[SCRATCH_PATH], command[256];
	struct err err = {0};

	scratch_make(dir);
	cr_assert_eq(yaml_child_start(&c, &err), 0, "%s", err.text);
	snprintf(
	    command, sizeof(command),
	    "grep -q 'NoNewPrivs:.1' /proc/%d/status && grep -q 'Seccomp:.2' /proc/%d/status &&"
	    " test $(ls /proc/%d/fd | wc -l) -le 4",
	    c.child.pid, c.child.pid, c.child.pid);
	cr_assert_eq(scratch_run(dir, command), 0, "not confined, or with more than its socket");
	yaml_child_end(&c);
	scratch_remove(dir);
}

Test(yaml_child, is_started_again_and_a_document_that_ends_it_is_refused)
{
	static char deadly[LIMIT_DOCUMENT + 2]; /* more than it takes: it ends */
	OWNED(yaml_freep) struct yaml *y = NULL, *next = NULL;
	struct yaml_child c = YAML_CHILD_INIT;
	struct err why = {0}, err = {0};

	memset(deadly, 'x', sizeof(deadly) - 1);
	cr_assert_eq(yaml_child_start(&c, &err), 0);
	kill(c.child.pid, SIGKILL);
	cr_assert_eq(yaml_child_decode(&c, bytes_of(receipt), 65536, "receipt/1", &y, &why, &err),
		     1);
	cr_assert_eq(
	    yaml_child_decode(&c, bytes_of(deadly), sizeof(deadly), "receipt/1", &next, &why, &err),
	    0);
	cr_assert_eq(why.rc, RC_MALFORMED, "%s", why.text);
	cr_assert_eq(c.deaths, 3);
	cr_assert_eq(
	    yaml_child_decode(&c, bytes_of(receipt), 65536, "receipt/1", &next, &why, &err), 1);
	yaml_child_end(&c);
}

/* Everything that the tree leads to, as a decoder would go. */
static size_t walk(const struct node *n)
{
	size_t seen = 1 + strlen(node_text(n, ""));

	for (size_t i = 0; i < node_count(n); i++)
		seen += walk(node_at(n, i)) + (node_key(n, i) != NULL ? strlen(node_key(n, i)) : 0);
	return seen;
}

/* As far as memory goes: under the sanitizers a wrong step would end this. */
Test(yaml_layout, survives_any_change_of_a_byte)
{
	static const uint8_t flips[] = {1, 2, 4, 0x80, 0xff};
	OWNED(buf_clear) struct buf layout = BUF_INIT;
	size_t taken = 0, refused = 0;

	packed(receipt, &layout);
	for (size_t at = 0; at < layout.n; at++)
		for (size_t i = 0; i < ARRAY_LEN(flips); i++) {
			OWNED(yaml_freep) struct yaml *y = NULL;
			struct err err = {0};
			int rc;

			layout.p[at] ^= flips[i];
			rc = unpacked(&layout, &y, &err);
			layout.p[at] ^= flips[i];
			taken += rc == 0;
			refused += rc == RC_MALFORMED;
			cr_assert(rc == 0 || rc == RC_MALFORMED, "%zu: %s", at, err.text);
			cr_assert(rc < 0 || walk(yaml_root(y)) > 0);
		}
	cr_assert_gt(taken, 0, "another line or digit is as good");
	cr_assert_gt(refused, layout.n);
}

Test(yaml_layout, is_refused_at_any_other_length)
{
	OWNED(buf_clear) struct buf layout = BUF_INIT;
	size_t whole;

	packed(receipt, &layout);
	whole = layout.n;
	for (layout.n = 0; layout.n < whole; layout.n++) {
		OWNED(yaml_freep) struct yaml *y = NULL;
		struct err err = {0};

		cr_assert_eq(unpacked(&layout, &y, &err), RC_MALFORMED);
	}
}

struct change {
	const char *what;
	size_t row, column; /* 0 kind, 1 line, 2 parent, 3 key, 4 text */
	uint32_t value;
};

Test(yaml_layout, that_does_not_hold_together_is_refused)
{
	static const struct change changes[] = {
	    {"a root that has a parent", 0, 2, 0},
	    {"a root that is text", 0, 0, NODE_TEXT},
	    {"a second root", 1, 2, UINT32_MAX},
	    {"a parent of itself", 5, 2, 5},
	    {"a parent that comes later", 5, 2, 6},
	    {"a parent that is text", 5, 2, 1},
	    {"a kind that there is not", 5, 0, 6},
	    {"an entry of a map without a key", 5, 3, UINT32_MAX},
	    {"a text beyond the end", 5, 4, 1u << 20},
	    {"a key beyond the end", 5, 3, 1u << 20},
	    {"a scalar without a text", 5, 4, UINT32_MAX},
	    {"a map that is a number", 7, 0, NODE_INTEGER},
	    {"a key twice", 5, 3, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		OWNED(buf_clear) struct buf layout = BUF_INIT;
		OWNED(yaml_freep) struct yaml *y = NULL;
		struct err err = {0};

		packed(receipt, &layout);
		put_u32(layout.p + 8 + changes[i].row * 20 + changes[i].column * 4,
			changes[i].value);
		cr_expect_eq(unpacked(&layout, &y, &err), RC_MALFORMED, "%s", changes[i].what);
	}
}

/* The schema lets anything stand below `more`, so nothing else bounds it. */
Test(yaml_layout, is_no_deeper_than_a_text_may_be)
{
	for (uint32_t depth = LIMIT_YAML_DEPTH - 2; depth < LIMIT_YAML_DEPTH + 3; depth++) {
		OWNED(buf_clear) struct buf layout = BUF_INIT, deep = BUF_INIT;
		OWNED(yaml_freep) struct yaml *y = NULL;
		struct err err = {0};
		uint8_t row[20];
		uint32_t rows, texts;
		int rc;

		packed(receipt, &layout);
		rows = get_u32(layout.p);
		texts = get_u32(layout.p + 4);
		put_u32(layout.p, rows + depth - 1);
		put_u32(layout.p + 4, texts + 5);
		rc = buf_add(&deep, layout.p, 8 + (size_t)rows * 20, &err);
		for (uint32_t i = 0; rc == 0 && i < depth - 1; i++) {
			put_u32(row, NODE_MAP);
			put_u32(row + 4, 1);
			put_u32(row + 8, i == 0 ? 0 : rows + i - 1);
			put_u32(row + 12, texts);
			put_u32(row + 16, UINT32_MAX);
			rc = buf_add(&deep, row, sizeof(row), &err);
		}
		if (rc == 0)
			rc = buf_add(&deep, layout.p + 8 + (size_t)rows * 20, texts, &err);
		if (rc == 0)
			rc = buf_add(&deep, "more", 5, &err);
		cr_assert_eq(rc, 0);
		rc = unpacked(&deep, &y, &err);
		cr_expect_eq(rc, depth <= LIMIT_YAML_DEPTH ? 0 : RC_MALFORMED, "%u: %s", depth,
			     err.text);
	}
}
