/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(trustdoc, trust, (void)v)

static struct key_public key_new(enum key_kind kind)
{
	OWNED(key_freep) struct key_secret *k = NULL;

	cr_assert_eq(key_generate(kind, &k, ERR_IGNORED), 0);
	return key_public_of(k);
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
