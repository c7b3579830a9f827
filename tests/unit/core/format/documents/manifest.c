/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(manifest, manifest, (void)v)

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

static struct manifest sealed_example(void)
{
	struct manifest m = manifest_example(false);

	m.key = 7;
	m.minimum = MANIFEST_NEWEST;
	memset(m.sealed_salt, 0xa5, sizeof(m.sealed_salt));
	memset(m.stream_header, 0x5a, sizeof(m.stream_header));
	return m;
}

Test(manifest, of_a_sealed_channel_is_of_a_format_that_older_readers_refuse)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct manifest m = sealed_example(), got;
	struct err err = {0};

	cr_assert_eq(manifest_encode(&m, &text, &err), 0, "%s", err.text);
	starts(&text, "satchel: manifest/2\n");
	cr_expect(manifest_type(bytes_in(&text)));
	cr_assert_eq(manifest_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect(manifest_sealed(&got));
	cr_expect_eq(got.key, 7);
	cr_expect_eq(got.minimum, 2);
	cr_expect_str_eq(got.channel, "office");
	cr_expect_str_eq(got.recipient, "");
	cr_expect_arr_eq(got.sealed_salt, m.sealed_salt, sizeof(m.sealed_salt));
	cr_expect_arr_eq(got.stream_header, m.stream_header, sizeof(m.stream_header));
	refuses_unknown_and_missing(manifest_read, &text);
}

Test(manifest, of_a_sealed_channel_names_a_key_a_header_and_a_salt)
{
	static const struct change_row rows[] = {
	    {"key-number: 7", "key-number: 0", "whole number"},
	    {"  key-number: 7\n", "", "`key-number` is missing"},
	    {"salt: paWl", "salt: aWl", "sealed salt"},
	    {"minimum: 2", "minimum: 3", "install a newer satchel"},
	    {"channel: office\n", "", "`channel` is missing"},
	    {"key-number: 7", "recipient: \"00112233445566778899aabbccddeeff\"", "not known here"},
	    {"satchel: manifest/2", "satchel: manifest/3", "another kind of document"},
	};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct manifest m = sealed_example();

	cr_assert_eq(manifest_encode(&m, &text, ERR_IGNORED), 0);
	refuses(manifest_read, &text, rows, ARRAY_LEN(rows));
	memcpy(m.recipient, "00112233445566778899aabbccddeeff", WORKSTATION_ID + 1);
	cr_expect_eq(manifest_encode(&m, &text, ERR_IGNORED), RC_INTERNAL, "sealed in two ways");
}
