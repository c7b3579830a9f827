/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(head, head, head_clear(&v))

static struct head_bundle bundle(uint64_t base, uint64_t generation, uint64_t size)
{
	return (struct head_bundle){.base = base,
				    .generation = generation,
				    .size = size,
				    .prefix = digest_number((uint8_t)size),
				    .manifest = digest_number((uint8_t)generation)};
}

static struct head head_example(struct head_bundle *b, size_t n)
{
	return (struct head){.site = digest_number(1),
			     .channel = "office",
			     .epoch = 0,
			     .generation = 5,
			     .tree = digest_number(5),
			     .created = 1700000000,
			     .bundle = b,
			     .bundles = n};
}

Test(head, comes_back_with_its_bundles_in_order)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(head_clear) struct head got = {0};
	struct head_bundle b[] = {bundle(3, 5, 20), bundle(0, 5, 900), bundle(0, 3, 100)};
	struct head h = head_example(b, ARRAY_LEN(b));
	struct err err = {0};

	cr_assert_eq(head_encode(&h, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: head/1\n");
	cr_assert_eq(head_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.channel, "office");
	cr_expect_eq(got.generation, 5);
	cr_expect(digest_equal(&got.tree, &h.tree));
	cr_assert_eq(got.bundles, 3);
	cr_expect_eq(got.bundle[0].generation, 3);
	cr_expect_eq(got.bundle[1].size, 900);
	cr_expect_eq(got.bundle[2].base, 3);
	cr_expect(digest_equal(&got.bundle[2].prefix, &b[0].prefix));
	cr_expect(digest_equal(&got.bundle[2].manifest, &b[0].manifest));
	refuses_unknown_and_missing(head_read, &text);
}

Test(head, holds_256_bundles_and_refuses_one_more)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct head_bundle b[LIMIT_HEAD_BUNDLES];
	struct head h = head_example(b, ARRAY_LEN(b));
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(b); i++)
		b[i] = bundle(i, i + 1, 1);
	h.generation = ARRAY_LEN(b);
	cr_assert_eq(head_encode(&h, &text, &err), 0, "%s", err.text);
	cr_expect_eq(head_read(bytes_in(&text), &err), 0, "%s", err.text);
	buf_printf(&text, ERR_IGNORED,
		   "- base: 255\n  generation: 256\n  size: 1\n  prefix: \"%064d\"\n"
		   "  manifest: \"%064d\"\n",
		   1, 1);
	cr_expect_eq(head_read(bytes_in(&text), &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "has 257 entries"), "%s", err.text);
}

Test(head, refuses_bundles_that_do_not_lead_there)
{
	static const struct change_row rows[] = {
	    {"base: 3", "base: 5", "does not lead upwards"},
	    {"base: 3", "base: 6", "does not lead upwards"},
	    {"base: 3\n  generation: 5", "base: 3\n  generation: 6", "above the head's"},
	    {"base: 3\n  generation: 5", "base: 3\n  generation: 4", "no bundles lead"},
	    {"base: 3\n  generation: 5", "base: 4\n  generation: 5", "no bundles lead"},
	    {"base: 0\n  generation: 3", "base: 1\n  generation: 3", "no bundles lead"},
	    {"base: 3\n  generation: 5", "base: 0\n  generation: 3", "ascending"},
	    {"base: 3\n  generation: 5", "base: 0\n  generation: 2", "ascending"},
	    {"channel: office", "channel: ../office", "a channel's name"},
	    {"channel: office", "channel: Office", "a channel's name"},
	    {"channel: office", "channel: -office", "a channel's name"},
	    {"channel: office", "channel: \"\"", "a channel's name"},
	    {"size: 20", "size: 0", "field `bundles[1].size`"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct head_bundle b[] = {bundle(0, 3, 100), bundle(3, 5, 20)};
	struct head h = head_example(b, ARRAY_LEN(b));
	struct err err = {0};

	cr_assert_eq(head_encode(&h, &text, &err), 0, "%s", err.text);
	refuses(head_read, &text, rows, ARRAY_LEN(rows));
	h.bundles = 1;
	buf_reset(&text);
	cr_expect_eq(head_encode(&h, &text, &err), RC_INCOMPLETE);
	cr_expect_eq(text.n, 0);
}

static void path_is(const struct head *h, uint64_t from, const size_t *want, size_t n)
{
	size_t got[LIMIT_HEAD_BUNDLES], got_n = 99;
	struct err err = {0};

	cr_assert_eq(head_path(h, from, got, &got_n, &err), 0, "%s", err.text);
	cr_assert_eq(got_n, n, "from %" PRIu64 ": %zu steps", from, got_n);
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(got[i], want[i], "from %" PRIu64 ", step %zu", from, i);
}

Test(head_path, takes_the_fewest_bytes_and_not_the_fewest_steps)
{
	struct head_bundle b[] = {bundle(0, 5, 100), bundle(0, 1, 10), bundle(1, 2, 10),
				  bundle(2, 5, 79),  bundle(1, 5, 90), bundle(4, 5, 1)};
	struct head h = head_example(b, ARRAY_LEN(b));

	path_is(&h, 0, (const size_t[]){1, 2, 3}, 3);
	path_is(&h, 1, (const size_t[]){2, 3}, 2);
	path_is(&h, 2, (const size_t[]){3}, 1);
	path_is(&h, 4, (const size_t[]){5}, 1);
	path_is(&h, 5, NULL, 0);
	b[3].size = 81;
	path_is(&h, 1, (const size_t[]){4}, 1);
	b[0].size = 99;
	path_is(&h, 0, (const size_t[]){0}, 1);
}

Test(head_path, says_when_there_is_no_way)
{
	struct head_bundle b[] = {bundle(0, 5, 100), bundle(2, 3, 1)};
	struct head h = head_example(b, ARRAY_LEN(b));
	size_t got[LIMIT_HEAD_BUNDLES], n = 77;
	struct err err = {0};

	cr_expect_eq(head_path(&h, 2, got, &n, &err), RC_INCOMPLETE);
	cr_expect_eq(head_path(&h, 9, got, &n, &err), RC_INCOMPLETE);
	cr_expect_eq(n, 77);
	cr_expect_not_null(strstr(err.text, "from generation 9 to 5"), "%s", err.text);
}

Test(head_path, survives_the_longest_chain_and_the_largest_sizes)
{
	struct head_bundle b[LIMIT_HEAD_BUNDLES];
	struct head h = head_example(b, ARRAY_LEN(b));
	size_t got[LIMIT_HEAD_BUNDLES], n;

	for (size_t i = 0; i < ARRAY_LEN(b); i++)
		b[i] = bundle(i, i + 1, UINT64_MAX);
	h.generation = ARRAY_LEN(b);
	cr_assert_eq(head_path(&h, 0, got, &n, ERR_IGNORED), 0);
	cr_assert_eq(n, ARRAY_LEN(b));
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(got[i], i);
}

static struct release release_example(struct release_tree *before, size_t n)
{
	return (struct release){.site = digest_number(1),
				.channel = "office",
				.epoch = 1,
				.generation = 5,
				.tree = digest_number(5),
				.created = 1700000000,
				.before = before,
				.befores = n};
}

static int release_read(struct bytes in, struct err *err)
{
	OWNED(release_clear) struct release r = {0};

	return release_decode(in, &r, err);
}

Test(release, comes_back_with_the_trees_of_earlier_generations)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(release_clear) struct release got = {0};
	struct release_tree before[] = {{2, digest_number(2)}, {4, digest_number(4)}};
	struct release r = release_example(before, 2);
	struct err err = {0};

	cr_assert_eq(release_encode(&r, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: release/1\n");
	cr_assert_eq(release_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect(digest_equal(release_tree(&got, 5), &r.tree));
	cr_expect(digest_equal(release_tree(&got, 4), &before[1].tree));
	cr_expect_null(release_tree(&got, 3));
	cr_expect_null(release_tree(&got, 0));
	refuses_unknown_and_missing(release_read, &text);
}

Test(release, refuses_generations_out_of_order)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct release_tree before[] = {{4, digest_number(4)}, {2, digest_number(2)}};
	struct release r = release_example(before, 2);
	struct err err = {0};

	cr_expect_eq(release_encode(&r, &text, &err), RC_MALFORMED);
	before[0].generation = before[1].generation;
	cr_expect_eq(release_encode(&r, &text, &err), RC_MALFORMED, "twice");
	before[0].generation = 5;
	r.befores = 1;
	cr_expect_eq(release_encode(&r, &text, &err), RC_MALFORMED, "not before this one");
	cr_expect_eq(text.n, 0);
}

Test(head, of_two_hands_contains_its_release)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(head_clear) struct head got = {0};
	struct head_bundle b[] = {bundle(0, 5, 900)};
	struct head h = head_example(b, ARRAY_LEN(b));
	struct err err = {0};

	buf_text(&h.release, "what the publish keys signed", ERR_IGNORED);
	cr_assert_eq(head_encode(&h, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: head/2\n");
	cr_assert_eq(head_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect(bytes_equal(bytes_in(&got.release), bytes_in(&h.release)));
	cr_expect_eq(got.bundles, 1);
	refuses_unknown_and_missing(head_read, &text);
	buf_clear(&h.release);
}
