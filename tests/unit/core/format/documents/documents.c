/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/documents/documents.h"
#include "core/format/yaml/yaml.h"

static struct digest digest_number(uint8_t n)
{
	return digest_of((struct bytes){&n, 1});
}

/* One decoder behind one signature, so that refusals are rows of tables. */
#define KIND(name, type, clear, ...)                             \
	static int name##_read(struct bytes in, struct err *err) \
	{                                                        \
		struct type v = {0};                             \
		int rc = name##_decode(in __VA_ARGS__, &v, err); \
                                                                 \
		clear;                                           \
		return rc;                                       \
	}
KIND(trustdoc, trust, (void)v)
KIND(beat, beat, (void)v)
KIND(shard, shard, shard_clear(&v))
KIND(head, head, head_clear(&v))
KIND(manifest, manifest, (void)v)
KIND(receipt, receipt, receipt_clear(&v))
KIND(request, request, (void)v)
KIND(subscription, subscription, (void)v, , NULL)
KIND(membership, membership, (void)v, , "workstation.yaml")

/* Replace the first ${from} of ${text} by ${to}. */
static void replace(struct buf *ret, const struct buf *text, const char *from, const char *to)
{
	const char *at = strstr((char *)text->p, from);

	cr_assert_not_null(at, "\"%s\" is not in\n%s", from, (char *)text->p);
	buf_reset(ret);
	buf_add(ret, text->p, (size_t)((const uint8_t *)at - text->p), ERR_IGNORED);
	buf_text(ret, to, ERR_IGNORED);
	buf_text(ret, at + strlen(from), ERR_IGNORED);
}

struct change_row {
	const char *from, *to, *says; /* says NULL: still good */
};

static void refuses(int (*read)(struct bytes in, struct err *err), const struct buf *text,
		    const struct change_row *rows, size_t n)
{
	OWNED(buf_clear) struct buf other = BUF_INIT;

	for (size_t i = 0; i < n; i++) {
		struct err err = {0};
		int rc;

		replace(&other, text, rows[i].from, rows[i].to);
		rc = read(bytes_in(&other), &err);
		cr_expect_eq(rc, rows[i].says == NULL ? 0 : RC_MALFORMED, "%s -> %s: %d %s",
			     rows[i].from, rows[i].to, rc, err.text);
		if (rows[i].says != NULL)
			cr_expect_not_null(strstr(err.text, rows[i].says), "%s -> %s: %s",
					   rows[i].from, rows[i].to, err.text);
	}
}

/* Every line is needed, or is meant to be left out; nothing may stand twice or be added. */
static void refuses_unknown_and_missing(int (*read)(struct bytes in, struct err *err),
					const struct buf *text)
{
	OWNED(buf_clear) struct buf other = BUF_INIT;
	struct err err = {0};

	buf_add(&other, text->p, text->n, ERR_IGNORED);
	buf_text(&other, "surprise: 1\n", ERR_IGNORED);
	cr_expect_eq(read(bytes_in(&other), &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "field `surprise`: not known here"), "%s", err.text);
	buf_reset(&other);
	buf_add(&other, text->p, text->n, ERR_IGNORED);
	if (memmem(text->p, text->n, "\nmore:\n", 7) == NULL)
		buf_text(&other, "more:\n", ERR_IGNORED);
	buf_text(&other, "  surprise: 1\n", ERR_IGNORED);
	cr_expect_eq(read(bytes_in(&other), &err), 0, "%s", err.text);
	for (size_t n = 0; n < text->n; n++)
		if (n == 0 || text->p[n - 1] == '\n' || text->p[n] == ':')
			(void)read((struct bytes){text->p, n}, &err);
	cr_expect_eq(read((struct bytes){text->p, 15}, &err), RC_MALFORMED);
}

static void starts(const struct buf *text, const char *line)
{
	cr_expect(bytes_start(bytes_in(text), line), "%.40s", (char *)text->p);
}

static struct beat beat_example(void)
{
	struct beat b = {.site = digest_number(1),
			 .epoch = 1,
			 .sequence = 7,
			 .issued = 1700000000,
			 .expires = 1700600000,
			 .trust = 3,
			 .shards = 3};

	b.shard[0] = (struct beat_shard){0x00, digest_number(2)};
	b.shard[1] = (struct beat_shard){0x10, digest_number(3)};
	b.shard[2] = (struct beat_shard){0xff, digest_number(4)};
	return b;
}

Test(beat, comes_back_as_it_was)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(buf_clear) struct buf again = BUF_INIT;
	struct beat b = beat_example(), got;
	struct err err = {0};

	cr_assert_eq(beat_encode(&b, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: beat/1\n");
	cr_assert_eq(beat_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_assert_eq(beat_encode(&got, &again, &err), 0);
	cr_expect(bytes_equal(bytes_in(&text), bytes_in(&again)));
	cr_expect(digest_equal(&got.site, &b.site));
	cr_expect_eq(got.epoch, 1);
	cr_expect_eq(got.sequence, 7);
	cr_expect_eq(got.issued, 1700000000);
	cr_expect_eq(got.expires, 1700600000);
	cr_expect_eq(got.trust, 3);
	cr_expect_eq(got.shards, 3);
	cr_expect_eq(got.shard[1].xx, 0x10);
	cr_expect(digest_equal(&got.shard[2].digest, &b.shard[2].digest));
	refuses_unknown_and_missing(beat_read, &text);
}

Test(beat, rings_at_those_it_names_and_passes_over_what_it_does_not_understand)
{
	static const char id[] = "0123456789abcdef0123456789abcdef";
	OWNED(buf_clear) struct buf text = BUF_INIT, odd = BUF_INIT;
	struct beat b = beat_example(), got;
	struct err err = {0};

	strcpy(b.knock[b.knocks++], id);
	cr_assert_eq(beat_encode(&b, &text, &err), 0, "%s", err.text);
	cr_assert_eq(beat_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_assert_eq(got.knocks, 1);
	cr_expect_str_eq(got.knock[0], id);
	cr_expect_not(got.knock_all);
	/* Whatever else later versions write there. */
	cr_assert_eq(buf_add(&odd, text.p, text.n, &err), 0);
	cr_assert_eq(buf_printf(&odd, &err,
				"  - \"0123\"\n  - what: map\n  - \"%s\"\n  - all\n  other: 1\n",
				id),
		     0);
	cr_assert_eq(beat_decode(bytes_in(&odd), &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.knocks, 2);
	cr_expect(got.knock_all);
	/* More than are read mean everybody. */
	buf_reset(&odd);
	cr_assert_eq(buf_add(&odd, text.p, text.n, &err), 0);
	for (unsigned i = 0; i < BEAT_KNOCKS; i++)
		cr_assert_eq(buf_printf(&odd, &err, "  - \"%s\"\n", id), 0);
	cr_assert_eq(beat_decode(bytes_in(&odd), &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.knocks, BEAT_KNOCKS);
	cr_expect(got.knock_all);
}

Test(beat, of_an_empty_and_of_a_full_site)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct beat b = beat_example(), got;
	struct err err = {0};

	b.shards = 0;
	cr_assert_eq(beat_encode(&b, &text, &err), 0, "%s", err.text);
	cr_assert_eq(beat_decode(bytes_in(&text), &got, &err), 0);
	cr_expect_eq(got.shards, 0);
	for (unsigned i = 0; i < 256; i++)
		b.shard[i] = (struct beat_shard){(uint8_t)i, digest_number((uint8_t)i)};
	b.shards = 256;
	buf_reset(&text);
	cr_assert_eq(beat_encode(&b, &text, &err), 0, "%s", err.text);
	cr_assert_eq(beat_decode(bytes_in(&text), &got, &err), 0);
	cr_expect_eq(got.shards, 256);
	cr_expect_eq(got.shard[255].xx, 255);
}

Test(beat, refuses_what_is_not_in_order)
{
	static const struct change_row rows[] = {
	    {"\"10\":", "\"00\":", "appears twice"},
	    {"\"10\":", "\"ff\":", "appears twice"},
	    {"\"00\":", "\"fe\":", "ascending"},
	    {"\"00\":", "00:", "must be in quotes"},
	    {"\"00\":", "\"000\":", "two hexadecimal digits"},
	    {"\"00\":", "\"0G\":", "two hexadecimal digits"},
	    {"sequence: 7", "sequence: 0", "field `sequence`"},
	    {"sequence: 7", "sequence: 9007199254740991", NULL},
	    {"sequence: 7", "sequence: 9007199254740992", "field `sequence`"},
	    {"sequence: 7\n", "", "field `sequence` is missing"},
	    {"2023-11-21", "2023-11-13", "expires before"},
	    {"2023-11-21", "2023-11-31", "field `expires`"},
	    {"2023-11-21", "2023-1-21", "field `expires`"},
	    {"2023-11-21", "1969-11-21", "field `expires`"},
	    {"beat/1", "beat/2", "another version"},
	    {"beat/1", "head/1", "another kind"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct beat b = beat_example();
	struct err err = {0};

	cr_assert_eq(beat_encode(&b, &text, ERR_IGNORED), 0);
	refuses(beat_read, &text, rows, ARRAY_LEN(rows));
	b.shard[0].xx = 0x20;
	buf_reset(&text);
	cr_expect_eq(beat_encode(&b, &text, &err), RC_MALFORMED, "and does not write it either");
	cr_expect_eq(text.n, 0);
}

/* Names that hash to shard 0x00, ascending. */
static size_t names_of_shard(char names[][CHANNEL_NAME], size_t max, uint8_t xx)
{
	size_t n = 0;

	for (unsigned i = 0; n < max && i < 100000; i++) {
		snprintf(names[n], CHANNEL_NAME, "c%06u", i);
		n += shard_of(names[n]) == xx;
	}
	return n;
}

static size_t ids_of_shard(char ids[][WORKSTATION_ID + 1], size_t max, uint8_t xx)
{
	size_t n = 0;

	for (unsigned i = 0; n < max && i < 100000; i++) {
		snprintf(ids[n], WORKSTATION_ID + 1, "%032x", i);
		n += shard_of(ids[n]) == xx;
	}
	return n;
}

static void shard_example(struct shard *s, struct buf *text)
{
	static char names[3][CHANNEL_NAME], ids[2][WORKSTATION_ID + 1];
	static struct shard_channel c[2];
	static struct shard_workstation w[2];
	struct err err = {0};

	cr_assert_eq(names_of_shard(names, 2, 0x2a), 2);
	cr_assert_eq(ids_of_shard(ids, 2, 0x2a), 2);
	for (size_t i = 0; i < 2; i++) {
		c[i] = (struct shard_channel){
		    .epoch = 1, .generation = 40 + i, .head = digest_number((uint8_t)i)};
		memcpy(c[i].name, names[i], sizeof(c[i].name));
		w[i] = (struct shard_workstation){.generation = i, .receipt = 5};
		memcpy(w[i].id, ids[i], sizeof(w[i].id));
	}
	w[1].manifest = digest_number(9);
	*s = (struct shard){.site = digest_number(1),
			    .xx = 0x2a,
			    .channel = c,
			    .channels = 2,
			    .workstation = w,
			    .workstations = 2};
	cr_assert_eq(shard_encode(s, text, &err), 0, "%s", err.text);
}

Test(shard, comes_back_as_it_was)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(shard_clear) struct shard got = {0};
	struct shard s;
	struct err err = {0};

	shard_example(&s, &text);
	starts(&text, "satchel: shard/1\n");
	cr_assert_eq(shard_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.xx, 0x2a);
	cr_assert_eq(got.channels, 2);
	cr_assert_eq(got.workstations, 2);
	cr_expect_str_eq(got.channel[1].name, s.channel[1].name);
	cr_expect_eq(got.channel[1].epoch, 1);
	cr_expect_eq(got.channel[1].generation, 41);
	cr_expect(digest_equal(&got.channel[1].head, &s.channel[1].head));
	cr_expect_str_eq(got.workstation[1].id, s.workstation[1].id);
	cr_expect_eq(got.workstation[1].receipt, 5);
	cr_expect(digest_equal(&got.workstation[1].manifest, &s.workstation[1].manifest));
	cr_expect_eq(got.workstation[0].generation, 0);
	cr_expect(digest_is_zero(&got.workstation[0].manifest));
	refuses_unknown_and_missing(shard_read, &text);
}

Test(shard, refuses_strangers_and_disorder)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char later[CHANNEL_NAME + 4];
	struct shard s;
	struct shard_channel swap;
	struct err err = {0};
	struct change_row rows[] = {
	    {"shard: \"2a\"", "shard: \"2b\"", "belongs to shard 2a"},
	    {"", "", NULL}, /* a channel of another shard, set below */
	    {"generation: 40", "generation: 0", "field `channels."},
	    {"manifest: ", "receipt: 5\n    x: ", "appears twice"},
	    {"generation: 0", "generation: 2", "a manifest is given exactly"},
	    {"    generation: 1\n", "    generation: 0\n", "a manifest is given exactly"},
	};

	shard_example(&s, &text);
	snprintf(later, sizeof(later), "%s:", s.channel[0].name);
	rows[1] = (struct change_row){later, "c999999:", "belongs to shard"};
	refuses(shard_read, &text, rows, ARRAY_LEN(rows));

	swap = s.channel[0];
	s.channel[0] = s.channel[1];
	s.channel[1] = swap;
	buf_reset(&text);
	cr_expect_eq(shard_encode(&s, &text, &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "ascending"), "%s", err.text);
}

Test(shard, of_names_that_yaml_takes_for_something_else)
{
	static const char *const names[] = {"0", "007", "1e3", "no", "null", "y"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		OWNED(shard_clear) struct shard got = {0};
		struct shard_channel c = {.generation = 1};
		struct shard s = {.xx = shard_of(names[i]), .channel = &c, .channels = 1};
		struct err err = {0};

		snprintf(c.name, sizeof(c.name), "%s", names[i]);
		cr_assert_eq(shard_encode(&s, &text, &err), 0, "%s", err.text);
		cr_assert_eq(shard_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
		cr_expect_str_eq(got.channel[0].name, names[i]);
	}
}

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

static struct manifest manifest_example(bool private_channel)
{
	struct manifest m = {.site = digest_number(1),
			     .private_channel = private_channel,
			     .epoch = 2,
			     .base = private_channel ? 0 : 41,
			     .generation = 42,
			     .base_tree = digest_number(2),
			     .tree = digest_number(3),
			     .created = 1700000000,
			     .minimum = 1,
			     .count = {1, 2, 3, 4, 5, 6, 7},
			     .content = 1000,
			     .unpacked = 10240,
			     .payload = 5000,
			     .blocks = digest_number(4),
			     .changes = digest_number(5),
			     .changes_size = 900};

	if (private_channel) {
		memcpy(m.recipient, "00112233445566778899aabbccddeeff", WORKSTATION_ID + 1);
		memset(m.sealed_key, 0xa5, sizeof(m.sealed_key));
		memset(m.stream_header, 0x5a, sizeof(m.stream_header));
	} else {
		memcpy(m.channel, "office", 7);
	}
	return m;
}

Test(manifest, comes_back_as_it_was)
{
	for (int private_channel = 0; private_channel < 2; private_channel++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		struct manifest m = manifest_example(private_channel), got;
		struct err err = {0};

		cr_assert_eq(manifest_encode(&m, &text, &err), 0, "%s", err.text);
		starts(&text, "satchel: manifest/1\n");
		cr_assert_eq(manifest_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
		cr_expect_eq(got.private_channel, m.private_channel);
		cr_expect_str_eq(got.channel, m.channel);
		cr_expect_str_eq(got.recipient, m.recipient);
		cr_expect_eq(got.base, m.base);
		cr_expect_eq(got.generation, 42);
		cr_expect_arr_eq(got.count, m.count, sizeof(m.count));
		cr_expect_eq(got.content, 1000);
		cr_expect_eq(got.unpacked, 10240);
		cr_expect_eq(got.payload, 5000);
		cr_expect_eq(got.changes_size, 900);
		cr_expect(digest_equal(&got.blocks, &m.blocks));
		cr_expect(digest_equal(&got.changes, &m.changes));
		cr_expect(digest_equal(&got.base_tree, &m.base_tree));
		cr_expect(digest_equal(&got.tree, &m.tree));
		cr_expect_arr_eq(got.sealed_key, m.sealed_key, sizeof(m.sealed_key));
		cr_expect_arr_eq(got.stream_header, m.stream_header, sizeof(m.stream_header));
		refuses_unknown_and_missing(manifest_read, &text);
	}
}

Test(manifest, refuses_what_does_not_fit_together)
{
	static const struct change_row rows[] = {
	    {"base: 41", "base: 42", "below the generation"},
	    {"base: 41", "base: 43", "below the generation"},
	    {"minimum: 1", "minimum: 2", "install a newer satchel"},
	    {"channel: office\n", "", "neither a channel nor a sealing"},
	    {"size: 900", "size: 10241", "larger than what holds it"},
	    {"size: 5000", "size: 0", "1 TiB"},
	    {"size: 5000", "size: 1099511627776", NULL},
	    {"size: 5000", "size: 1099511627777", "1 TiB"},
	    {"block-size: 1048576", "block-size: 65536", "1048576"},
	    {"  put: 1\n", "", "field `count`: field `put` is missing"},
	    {"put: 1\n", "put: 1\n  chmod: 1\n", "not known here"},
	};
	static const struct change_row sealed[] = {
	    {"base: 0", "base: 41", "starts from 0"},
	    {"paWlpaWlpaWl", "paWlpaWlpaW", "sealed key"},
	    {"recipient: \"00", "recipient: \"0", "workstation's id"},
	    {"satchel: manifest/1\n", "satchel: manifest/1\nchannel: office\n", NULL},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct manifest m = manifest_example(false);

	cr_assert_eq(manifest_encode(&m, &text, ERR_IGNORED), 0);
	refuses(manifest_read, &text, rows, ARRAY_LEN(rows));
	m = manifest_example(true);
	buf_reset(&text);
	cr_assert_eq(manifest_encode(&m, &text, ERR_IGNORED), 0);
	refuses(manifest_read, &text, sealed, ARRAY_LEN(sealed));
	memcpy(m.channel, "office", 7);
	cr_expect_eq(manifest_encode(&m, &text, ERR_IGNORED), RC_INTERNAL, "private and named");
}

static struct receipt receipt_example(struct receipt_channel *c, size_t channels,
				      struct receipt_event *e, size_t events)
{
	for (size_t i = 0; i < channels; i++) {
		c[i] = (struct receipt_channel){.epoch = 1,
						.generation = 40 + i,
						.tree = digest_number((uint8_t)i),
						.result = "applied",
						.at = 1700000000,
						.milliseconds = 12};
		snprintf(c[i].name, sizeof(c[i].name), "c%04zu", i);
	}
	for (size_t i = 0; i < events; i++) {
		e[i] = (struct receipt_event){.number = i + 1, .at = 1700000000, .kind = "clock"};
		snprintf(e[i].text, sizeof(e[i].text), "event %zu: \x1b[2J \xff", i + 1);
	}
	return (struct receipt){.site = digest_number(1),
				.workstation = "00112233445566778899aabbccddeeff",
				.sequence = 9,
				.written = 1700000001,
				.beat_epoch = 1,
				.beat = 4,
				.trust = 2,
				.private_epoch = 1,
				.private_generation = 3,
				.private_tree = digest_number(7),
				.channel = c,
				.channels = channels,
				.event = e,
				.events = events,
				.free_bytes = 123456789,
				.version = "0.1.0",
				.formats = 1};
}

Test(receipt, comes_back_with_foreign_bytes_made_visible)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(receipt_clear) struct receipt got = {0};
	struct receipt_channel c[2];
	struct receipt_event e[2];
	struct receipt r = receipt_example(c, 2, e, 2);
	struct err err = {0};

	memcpy(c[0].name, "on", 3);
	memcpy(c[0].result, "refused", 8);
	snprintf(c[0].reason, sizeof(c[0].reason), "path: \"a\nb\xff\" [[[[[[[[[[[[[[[[");
	c[0].wanted = 41;
	c[0].drift = 2;
	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: receipt/1\n");
	cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.sequence, 9);
	cr_expect_eq(got.beat, 4);
	cr_expect_eq(got.private_generation, 3);
	cr_expect(digest_equal(&got.private_tree, &r.private_tree));
	cr_expect_eq(got.free_bytes, 123456789);
	cr_expect_str_eq(got.version, "0.1.0");
	cr_assert_eq(got.channels, 2);
	cr_expect_str_eq(got.channel[0].name, "c0001");
	cr_expect_str_eq(got.channel[1].name, "on", "in ascending order");
	cr_expect_str_eq(got.channel[1].reason, "path: \"a\\x0ab\\xff\" [[[[[[[[[[[[[[[[");
	cr_expect_str_eq(got.channel[1].result, "refused");
	cr_expect_eq(got.channel[1].wanted, 41);
	cr_expect_eq(got.channel[1].drift, 2);
	cr_expect_eq(got.channel[1].deviations, 0);
	cr_expect_eq(got.channel[0].milliseconds, 12);
	cr_assert_eq(got.events, 2);
	cr_expect_eq(got.event[1].number, 2);
	cr_expect_str_eq(got.event[1].text, "event 2: \\x1b[2J \\xff");
	refuses_unknown_and_missing(receipt_read, &text);
}

Test(receipt, of_a_workstation_that_holds_nothing_yet)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(receipt_clear) struct receipt got = {0};
	struct receipt r = receipt_example(NULL, 0, NULL, 0);
	struct err err = {0};

	r.beat_epoch = r.beat = r.private_epoch = r.private_generation = 0;
	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.beat, 0);
	cr_expect_eq(got.private_generation, 0);
	cr_expect_eq(got.channels, 0);
	cr_expect_eq(got.events, 0);
	cr_expect_null(strstr((char *)text.p, "beat:"));
	cr_expect_null(strstr((char *)text.p, "private:"));
}

Test(receipt, drops_the_oldest_events_and_then_the_ends_of_reasons_to_stay_readable)
{
	static struct receipt_channel c[200];
	static struct receipt_event e[1200];
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(receipt_clear) struct receipt got = {0};
	struct receipt r = receipt_example(c, 100, e, ARRAY_LEN(e));
	struct err err = {0};

	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	cr_expect_leq(text.n, LIMIT_RECEIPT - 512);
	cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0);
	cr_expect_eq(got.channels, 100);
	cr_assert_gt(got.events, 100);
	cr_expect_eq(got.event[got.events - 1].number, ARRAY_LEN(e), "the newest are kept");
	receipt_clear(&got);

	r = receipt_example(c, ARRAY_LEN(c), e, ARRAY_LEN(e));
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		memset(c[i].reason, 'x', sizeof(c[i].reason) - 1);
	buf_reset(&text);
	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0);
	cr_expect_eq(got.channels, ARRAY_LEN(c));
	cr_expect_eq(got.events, 0);
	cr_expect_gt(strlen(got.channel[0].reason), 30);
}

/* Whatever it tells, its length is one of few, and what pads it is not read. */
Test(receipt, has_one_of_few_lengths)
{
	static struct receipt_channel c[100];
	size_t lengths = 0, last = 0;

	for (size_t n = 0; n <= ARRAY_LEN(c); n++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		OWNED(receipt_clear) struct receipt got = {0};
		struct receipt r = receipt_example(c, n, NULL, 0);
		struct err err = {0};

		for (size_t i = 0; i < n; i++)
			memset(c[i].reason, 'y', i * 7 % 512);
		cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
		cr_expect((text.n >= 1024 && (text.n & (text.n - 1)) == 0) ||
			      text.n == LIMIT_RECEIPT - 512,
			  "%zu channels: %zu bytes", n, text.n);
		cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
		cr_expect_eq(got.channels, n);
		lengths += text.n != last;
		last = text.n;
	}
	cr_expect_eq(lengths, 7, "from 1 KiB to 64 KiB");
}

Test(receipt, always_leaves_room_for_what_signs_and_seals_it)
{
	static struct receipt_channel c[150];
	struct receipt r = receipt_example(c, ARRAY_LEN(c), NULL, 0);

	for (size_t n = 0; n < sizeof(c[0].reason); n += 3) {
		OWNED(buf_clear) struct buf text = BUF_INIT;

		for (size_t i = 0; i < ARRAY_LEN(c); i++) {
			memset(c[i].reason, 'x', n);
			c[i].reason[n] = '\0';
		}
		cr_assert_eq(receipt_encode(&r, NULL, &text, ERR_IGNORED), 0);
		cr_assert_leq(text.n, LIMIT_RECEIPT - 512, "reasons of %zu bytes", n);
	}
}

Test(receipt, refuses_what_is_not_in_order)
{
	static const struct change_row rows[] = {
	    {"c0000:", "c0002:", "ascending"},
	    {"c0000:", "c0001:", "appears twice"},
	    {"number: 2", "number: 1", "ascending"},
	    {"result: applied", "result: done", "applied or current or refused"},
	    {"kind: clock", "kind: Clock", "field `events[0].kind`"},
	    {"version: \"0.1.0\"", "version: 0.1.0", "found 0.1.0 without quotes"},
	    {"version: \"0.1.0\"", "version: \"0.1\\e\"", "a version of satchel"},
	    {"text: \"event 1", "text: \"\\eevent 1", "field `events[0].text`"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct receipt_channel c[2];
	struct receipt_event e[2];
	struct receipt r = receipt_example(c, 2, e, 2);
	struct err err = {0};

	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	refuses(receipt_read, &text, rows, ARRAY_LEN(rows));
}

static struct key_public key_new(enum key_kind kind)
{
	OWNED(key_freep) struct key_secret *k = NULL;

	cr_assert_eq(key_generate(kind, &k, ERR_IGNORED), 0);
	return key_public_of(k);
}

static struct request request_example(void)
{
	struct request r = {.site = digest_number(1),
			    .kind = "enrol",
			    .sequence = 1,
			    .written = 1700000000,
			    .name = "Zo\xc3\xab's pc \x1b",
			    .sign = key_new(KEY_SIGN),
			    .seal = key_new(KEY_SEAL),
			    .invitation = "0123456789abcdef",
			    .proof = digest_number(8)};

	workstation_id(r.workstation, &r.sign);
	return r;
}

Test(request, to_enrol_comes_back_as_it_was)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct request r = request_example(), got;
	struct err err = {0};

	cr_assert_eq(request_encode(&r, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: request/1\n");
	cr_assert_eq(request_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.kind, "enrol");
	cr_expect_str_eq(got.workstation, r.workstation);
	cr_expect_str_eq(got.name, "Zo\xc3\xab's pc \\x1b");
	cr_expect(key_same(&got.sign, &r.sign));
	cr_expect(key_same(&got.seal, &r.seal));
	cr_expect_eq(got.sign.number, r.sign.number);
	cr_expect_str_eq(got.invitation, r.invitation);
	cr_expect(digest_equal(&got.proof, &r.proof));
	refuses_unknown_and_missing(request_read, &text);
	r.invitation[0] = '\0';
	r.proof = (struct digest){0};
	buf_reset(&text);
	cr_assert_eq(request_encode(&r, &text, &err), 0, "uninvited: %s", err.text);
}

Test(request, refuses_what_does_not_fit_together)
{
	static const struct change_row rows[] = {
	    {"seal: ", "proof: ", "appears twice"},
	    {"kind: enrol", "kind: resend", "`channel` is missing"},
	    {"kind: enrol", "kind: dance", "enrol or resend"},
	    {"invitation: \"0123456789abcdef\"\n", "", "given together"},
	    {"invitation: \"0123456789abcdef\"", "invitation: 0123456789abcdef", "quotes"},
	    {"invitation: \"0123456789abcdef\"", "channel: office", "does not belong"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(buf_clear) struct buf large = BUF_INIT;
	struct request r = request_example();
	struct err err = {0};

	cr_assert_eq(request_encode(&r, &text, &err), 0, "%s", err.text);
	refuses(request_read, &text, rows, ARRAY_LEN(rows));

	buf_add(&large, text.p, text.n, ERR_IGNORED);
	buf_text(&large, "more:\n", ERR_IGNORED);
	while (large.n < LIMIT_REQUEST)
		buf_text(&large, "#\n", ERR_IGNORED);
	cr_expect_eq(request_read(bytes_in(&large), &err), RC_LIMIT);

	buf_reset(&text);
	r.workstation[0] = r.workstation[0] == '0' ? '1' : '0';
	cr_expect_eq(request_encode(&r, &text, &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "is not the id of its key"), "%s", err.text);
	r = request_example();
	buf_reset(&text);
	r.proof = (struct digest){0};
	cr_expect_eq(request_encode(&r, &text, &err), RC_MALFORMED, "a proof of zeros is none");
	r = request_example();
	r.seal = r.sign;
	cr_expect_eq(request_encode(&r, &text, &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "field `seal`: is a key for signing"), "%s", err.text);
}

Test(request, to_send_again_names_a_channel)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct request got, r = {.site = digest_number(1),
				 .kind = "resend",
				 .workstation = "00112233445566778899aabbccddeeff",
				 .sequence = 4,
				 .written = 1700000000,
				 .channel = "office",
				 .generation = 3};
	static const struct change_row rows[] = {{"channel: office\n", "", "`channel` is missing"}};
	struct err err = {0};

	cr_assert_eq(request_encode(&r, &text, &err), 0, "%s", err.text);
	cr_assert_eq(request_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.channel, "office");
	cr_expect_eq(got.generation, 3);
	refuses(request_read, &text, rows, ARRAY_LEN(rows));
}

static struct trust trust_example(void)
{
	struct trust t = {.name = "Acme Z\xc3\xbcrich: north",
			  .version = 2,
			  .created = 1700000000,
			  .expires = 1800000000,
			  .previous = digest_number(3),
			  .keys = 3,
			  .threshold = {1, 1, 1, 1},
			  .epoch = {0, 1, 2, 3}};

	t.key[0] = (struct trust_key){
	    .key = key_new(KEY_SIGN), .state = KEY_CURRENT, .roles = 1u << ROLE_ROOT};
	t.key[1] = (struct trust_key){.key = key_new(KEY_SIGN),
				      .state = KEY_CURRENT,
				      .roles = 1u << ROLE_PUBLISH | 1u << ROLE_BEAT};
	t.key[2] = (struct trust_key){
	    .key = key_new(KEY_SEAL), .state = KEY_CURRENT, .roles = 1u << ROLE_COLLECT};
	return t;
}

Test(trustdoc, comes_back_as_it_was)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct trust t = trust_example(), got;
	struct digest identity;
	struct err err = {0};

	cr_assert_eq(trustdoc_encode(&t, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: trust/1\n");
	cr_assert_eq(trustdoc_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	identity = digest_of(bytes_in(&text));
	cr_expect(digest_equal(&got.identity, &identity));
	cr_expect_str_eq(got.name, t.name);
	cr_expect_eq(got.version, 2);
	cr_expect(digest_equal(&got.previous, &t.previous));
	cr_assert_eq(got.keys, 3);
	for (size_t i = 0; i < 3; i++) {
		cr_expect(key_same(&got.key[i].key, &t.key[i].key));
		cr_expect_eq(got.key[i].state, t.key[i].state);
		cr_expect_eq(got.key[i].roles, t.key[i].roles);
	}
	for (int i = 0; i < ROLE_COUNT; i++) {
		cr_expect_eq(got.threshold[i], t.threshold[i]);
		cr_expect_eq(got.epoch[i], t.epoch[i]);
	}
	refuses_unknown_and_missing(trustdoc_read, &text);
}

Test(trustdoc, refuses_what_does_not_fit_together)
{
	static const struct change_row rows[] = {
	    {"version: 2", "version: 1", "is named exactly from version 2 on"},
	    {"  - publish\n", "  - beat\n", "a role appears twice"},
	    {"  - publish\n", "  - admin\n", "root or publish or beat or collect"},
	    {"state: current", "state: good", "current or retired or revoked"},
	    {"threshold: 1", "threshold: 0", "from 1 to 64"},
	    {"threshold: 1", "threshold: 65", "from 1 to 64"},
	    {"  collect:\n    threshold: 1\n    epoch: 3\n", "", "field `collect` is missing"},
	    {"key: ", "key: x", "a public key"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct trust t = trust_example();
	struct err err = {0};

	cr_assert_eq(trustdoc_encode(&t, &text, &err), 0, "%s", err.text);
	refuses(trustdoc_read, &text, rows, ARRAY_LEN(rows));
	t.key[1].key = t.key[0].key;
	buf_reset(&text);
	cr_expect_eq(trustdoc_encode(&t, &text, &err), RC_MALFORMED, "the same key twice");
	t = trust_example();
	t.threshold[ROLE_ROOT] = 2;
	cr_expect_eq(trustdoc_encode(&t, &text, &err), RC_MALFORMED, "more than there are keys");
	t = trust_example();
	t.name[0] = '\n';
	cr_expect_eq(trustdoc_encode(&t, &text, &err), RC_MALFORMED, "a name of two lines");
	cr_expect_eq(text.n, 0);
}

/* Two hands */

static struct trust two_hands_example(void)
{
	struct trust t = trust_example();

	t.format = 2;
	t.key[t.keys++] = (struct trust_key){
	    .key = key_new(KEY_SIGN), .state = KEY_CURRENT, .roles = 1u << ROLE_PRIVATE};
	t.key[t.keys++] = (struct trust_key){.key = key_new(KEY_SIGN),
					     .state = KEY_CURRENT,
					     .roles = 1u << ROLE_PUBLISH,
					     .only = "lab-*"};
	t.threshold[ROLE_PUBLISH] = 2;
	t.threshold[ROLE_PRIVATE] = 1;
	t.epoch[ROLE_PRIVATE] = 4;
	return t;
}

Test(trustdoc, of_two_hands_comes_back)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct trust t = two_hands_example(), got;
	struct err err = {0};

	cr_assert_eq(trustdoc_encode(&t, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: trust/2\n");
	cr_assert_eq(trustdoc_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.format, 2);
	cr_expect_eq(got.threshold[ROLE_PUBLISH], 2);
	cr_expect_eq(got.epoch[ROLE_PRIVATE], 4);
	cr_expect_str_eq(got.key[4].only, "lab-*");
	cr_expect_eq(got.key[3].roles, 1u << ROLE_PRIVATE);
}

Test(trustdoc, of_one_hand_knows_nothing_of_two)
{
	static const struct change_row rows[] = {
	    {"  - publish\n", "  - private\n", "root or publish or beat or collect"},
	    {"  state: current\n", "  state: current\n  only: office\n", "only"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct trust t = trust_example();
	struct err err = {0};

	cr_assert_eq(trustdoc_encode(&t, &text, &err), 0, "%s", err.text);
	refuses(trustdoc_read, &text, rows, ARRAY_LEN(rows));
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

/* The struct has room for so many and no more. */
Test(trustdoc, holds_sixty_four_keys_and_refuses_one_more)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(buf_clear) struct buf other = BUF_INIT;
	struct trust t = trust_example(), got;
	struct err err = {0};

	for (t.keys = 3; t.keys < LIMIT_KEYS; t.keys++)
		t.key[t.keys] = (struct trust_key){
		    .key = key_new(KEY_SIGN), .state = KEY_CURRENT, .roles = 1u << ROLE_ROOT};
	cr_assert_eq(trustdoc_encode(&t, &text, &err), 0, "%s", err.text);
	cr_assert_eq(trustdoc_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_eq(got.keys, LIMIT_KEYS);
	replace(&other, &text, "keys:\n",
		"keys:\n- key: RWQLMmTQWQzbsjsd3k1up+hBtAUUcBhX0urW0lJAoVxLuCWZhV87ApTs\n"
		"  state: current\n  roles:\n  - root\n");
	cr_expect_eq(trustdoc_read(bytes_in(&other), &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "has 65 entries, expected at most 64"), "%s", err.text);
}

Test(trustdoc, bounds_a_name_in_bytes_and_not_only_in_characters)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(buf_clear) struct buf other = BUF_INIT;
	struct trust t = trust_example();
	char longer[600] = "name: \"";
	struct err err = {0};

	memset(t.name, 'x', 255);
	t.name[255] = '\0';
	cr_assert_eq(trustdoc_encode(&t, &text, &err), 0, "%s", err.text);
	t = trust_example();
	memcpy(t.name, "Acme", 5);
	buf_reset(&text);
	cr_assert_eq(trustdoc_encode(&t, &text, &err), 0, "%s", err.text);
	for (int i = 0; i < 200; i++)
		strcat(longer, "\xc3\xab");
	strcat(longer, "\"");
	replace(&other, &text, "name: Acme", longer);
	cr_expect_eq(trustdoc_read(bytes_in(&other), &err), RC_MALFORMED);
	cr_expect_not_null(strstr(err.text, "more than 255 bytes"), "%s", err.text);
}

Test(subscription, comes_back_as_it_was)
{
	static const struct change_row rows[] = {
	    {"target: /opt/office", "target: /opt/../office", "an absolute path"},
	    {"target: /opt/office", "target: opt", "an absolute path"},
	    {"on-leave: remove", "on-leave: ask", "keep or remove"},
	    {"owners: true", "owners: yes", "true or false"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct subscription got,
	    s = {.name = "office", .target = "/opt/office", .owners = true, .on_leave = "remove"};
	struct err err = {0};

	cr_assert_eq(subscription_encode(&s, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: subscription/1\n");
	cr_assert_eq(subscription_decode(bytes_in(&text), NULL, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.name, "office");
	cr_expect_str_eq(got.target, "/opt/office");
	cr_expect(got.owners);
	cr_expect_not(got.special_modes);
	cr_expect_str_eq(got.on_leave, "remove");
	refuses_unknown_and_missing(subscription_read, &text);
	refuses(subscription_read, &text, rows, ARRAY_LEN(rows));
}

Test(membership, comes_back_as_it_was)
{
	static const struct change_row rows[] = {
	    {"name: pc-7", "name: \"../pc\"", "workstation.yaml:4: field `name`"},
	    {"salt: ab", "salt: a", "64 lower-case"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct membership got, m = {.site = digest_number(1),
				    .id = "00112233445566778899aabbccddeeff",
				    .name = "pc-7"};
	struct err err = {0};

	memset(m.salt, 0xab, sizeof(m.salt));
	cr_assert_eq(membership_encode(&m, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: membership/1\n");
	cr_assert_eq(membership_decode(bytes_in(&text), "w", &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.id, m.id);
	cr_expect_str_eq(got.name, "pc-7");
	cr_expect_arr_eq(got.salt, m.salt, sizeof(m.salt));
	refuses_unknown_and_missing(membership_read, &text);
	refuses(membership_read, &text, rows, ARRAY_LEN(rows));
}
