/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(shard, shard, shard_clear(&v))

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
