/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(beat, beat, (void)v)

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
