/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(receipt, receipt, receipt_clear(&v))

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

/* Below `more`, where an older server passes over them. */
Test(receipt, tells_keys_and_ignores_what_is_none)
{
	OWNED(buf_clear) struct buf text = BUF_INIT, other = BUF_INIT;
	OWNED(receipt_clear) struct receipt got = {0}, odd = {0};
	OWNED(key_freep) struct key_secret *seal = NULL, *codes = NULL;
	struct receipt r = receipt_example(NULL, 0, NULL, 0);
	struct err err = {0};
	bool quoted;

	cr_assert_eq(key_generate(KEY_SEAL, &seal, &err), 0);
	cr_assert_eq(key_generate(KEY_SEAL, &codes, &err), 0);
	r.seal = key_public_of(seal);
	r.codes = key_public_of(codes);
	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	cr_expect_eq(text.n, 1024, "%zu", text.n);
	cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect(key_same(&got.seal, &r.seal));
	cr_expect(key_same(&got.codes, &r.codes));
	cr_expect_eq(receipt_exact(&got, bytes_in(&text), &err), 1);
	replace(&other, &text, "seal:", "sail:");
	cr_assert_eq(receipt_decode(bytes_in(&other), &odd, &err), 0, "%s", err.text);
	cr_expect(key_absent(&odd.seal));
	cr_expect(key_same(&odd.codes, &r.codes));
	cr_expect_eq(receipt_exact(&odd, bytes_in(&other), &err), 0);
	/* Quoted or not, as the digits are. */
	quoted = strstr((char *)text.p, "seal: \"") != NULL;
	replace(&other, &text, quoted ? "seal: \"" : "seal: ", quoted ? "seal: \"x" : "seal: x");
	receipt_clear(&odd);
	cr_assert_eq(receipt_decode(bytes_in(&other), &odd, &err), 0, "%s", err.text);
	cr_expect(key_absent(&odd.seal), "one character more is no key");
}

/* The server tells two copies of a workstation apart by it. */
Test(receipt, tells_which_copy_of_a_workstation_writes_and_what_it_wrote_before)
{
	OWNED(buf_clear) struct buf text = BUF_INIT, other = BUF_INIT;
	OWNED(receipt_clear) struct receipt got = {0}, odd = {0};
	struct receipt r = receipt_example(NULL, 0, NULL, 0);
	struct err err = {0};

	snprintf(r.instance, sizeof(r.instance), "a0112233445566778899aabbccddeeff");
	memset(r.previous.b, 0xab, DIGEST_BYTES);
	r.set_back = 12;
	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	cr_expect_eq(text.n, 1024, "%zu", text.n);
	cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got.instance, r.instance);
	cr_expect(digest_equal(&got.previous, &r.previous));
	cr_expect_eq(got.set_back, 12);
	cr_expect_eq(receipt_exact(&got, bytes_in(&text), &err), 1);
	replace(&other, &text, "8899aabbccddeeff\n", "8899aabbccddeefx\n");
	cr_assert_eq(receipt_decode(bytes_in(&other), &odd, &err), 0, "%s", err.text);
	cr_expect_str_eq(odd.instance, "", "what is no number of an instance is passed over");
	cr_expect_eq(odd.set_back, 12);
	receipt_clear(&odd);
	replace(&other, &text, "set-back: 12", "set-back: ab");
	cr_assert_eq(receipt_decode(bytes_in(&other), &odd, &err), 0, "%s", err.text);
	cr_expect_eq(odd.set_back, 0);
}

Test(receipt, tells_what_a_target_cannot_hold_and_what_is_in_the_way)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(receipt_clear) struct receipt got = {0};
	struct receipt_channel channels[2];
	struct receipt r = receipt_example(channels, 2, NULL, 0);
	struct err err = {0};

	strcpy(channels[0].file_system, "exfat");
	strcpy(channels[0].lacks, "modes case links");
	strcpy(channels[0].conflicts, "a, dir/b: \"c\"");
	cr_assert_eq(receipt_encode(&r, NULL, &text, &err), 0, "%s", err.text);
	cr_assert_eq(receipt_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_assert_eq(got.channels, 2);
	cr_expect_str_eq(got.channel[0].file_system, "exfat");
	cr_expect_str_eq(got.channel[0].lacks, "modes case links");
	cr_expect_str_eq(got.channel[0].conflicts, "a, dir/b: \"c\"");
	cr_expect_str_eq(got.channel[1].lacks, "");
	cr_expect_eq(receipt_exact(&got, bytes_in(&text), &err), 1);
}
