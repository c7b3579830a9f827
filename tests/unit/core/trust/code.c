/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/trust/code.h"

/* The example of docs/FORMAT.md section 9, computed without any code of ours. */
#define EXAMPLE        "0sx8b-khexc-qk18v-zf1mc-01s7a-h4d2p-f2dbs-qqxep"
#define EXAMPLE_SECRET 0x123456789abcdefull
#define DAY            86400

static struct digest example_site(void)
{
	return digest_of(bytes_of("satchel: trust/1\n"));
}

static int64_t at(const char *time)
{
	int64_t t = 0;

	cr_assert_eq(clock_parse(time, &t, ERR_IGNORED), 0);
	return t;
}

Test(code, the_example_of_the_format_is_read_and_written)
{
	struct digest site = example_site();
	struct err err = {0};
	struct invite in;
	char text[INVITE_TEXT + 1];

	cr_assert_eq(invite_parse(EXAMPLE, &in, &err), 0, "%s", err.text);
	cr_expect(invite_pins(&in, &site));
	cr_expect_eq(in.trust_version, 7);
	cr_expect_eq(in.last_day, at("2026-11-23T00:00:00Z"));
	cr_expect_eq(in.secret, EXAMPLE_SECRET);
	invite_text(text, &in);
	cr_expect_str_eq(text, EXAMPLE);
	cr_expect_eq(strlen(text), INVITE_TEXT);
}

Test(code, the_example_of_id_and_proof)
{
	struct digest site = example_site(), proof;
	struct key_public sign = {.kind = KEY_SIGN}, seal = {.kind = KEY_SEAL};
	char id[17], hex[DIGEST_HEX + 1];

	for (uint8_t i = 0; i < 32; i++) {
		sign.b[i] = i;
		seal.b[i] = (uint8_t)(32 + i);
	}
	invite_id(id, EXAMPLE_SECRET);
	cr_expect_str_eq(id, "5a543bf534ec11c7");
	proof = invite_proof(EXAMPLE_SECRET, &site, &sign, &seal);
	digest_hex(hex, &proof);
	cr_expect_str_eq(hex, "71e9384b526f3331f4b900eea2d956b584602dda5d3d170dccb3ef27f3cc65ab");
	for (int part = 0; part < 4; part++) {
		struct digest other_site = site, other;
		struct key_public other_sign = sign, other_seal = seal;

		other_site.b[31] ^= part == 1;
		other_sign.b[31] ^= part == 2;
		other_seal.b[31] ^= part == 3;
		other = invite_proof(EXAMPLE_SECRET ^ (part == 0), &other_site, &other_sign,
				     &other_seal);
		cr_expect_not(digest_equal(&proof, &other), "part %d counts", part);
	}
}

Test(code, people_may_type_it_in_their_way)
{
	static const char *const same[] = {
	    "0SX8B-KHEXC-QK18V-ZF1MC-01S7A-H4D2P-F2DBS-QQXEP",
	    "0sx8bkhexcqk18vzf1mc01s7ah4d2pf2dbsqqxep",
	    "  0sx8b khexc\tqk18v zf1mc 01s7a h4d2p f2dbs qqxep ",
	    "Osx8b-khexc-qkL8v-zf1mc-OIs7a-h4d2p-f2dbs-qqxep",
	    "osx8b-khexc-qk18v-zflmc-ols7a-h4d2p-f2dbs-qqxep",
	    "-0-s-x-8-b-khexc--qk18v-zf1mc-01s7a-h4d2p-f2dbs-qqxep-",
	};
	struct invite in;

	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		char text[INVITE_TEXT + 1];
		struct err err = {0};

		cr_assert_eq(invite_parse(same[i], &in, &err), 0, "%s: %s", same[i], err.text);
		invite_text(text, &in);
		cr_expect_str_eq(text, EXAMPLE);
	}
}

static void expect_refused(const char *text, const char *says)
{
	struct invite in = {.secret = 42};
	struct err err = {0};

	cr_expect_eq(invite_parse(text, &in, &err), RC_USAGE, "%s", text);
	cr_expect(strstr(err.text, says) != NULL, "%s: %s", text, err.text);
	cr_expect_eq(in.secret, 42, "untouched");
}

Test(code, what_is_wrong_with_a_code_is_said)
{
	expect_refused("", "0 characters, an invitation has 40");
	expect_refused("c4yvr", "5 characters");
	expect_refused("0sx8b-khexc-qk18v-zf1mc-01s7a-h4d2p-f2dbs-qqxe", "39 characters");
	expect_refused(EXAMPLE "0", "41 characters");
	expect_refused(EXAMPLE EXAMPLE EXAMPLE, "120 characters");
	expect_refused("usx8b-khexc-qk18v-zf1mc-01s7a-h4d2p-f2dbs-qqxep",
		       "character 1 of the code, \"u\"");
	expect_refused("0sx8b-khexc-qk18v-zf1mc-01s7a-h4d2p-f2dbs-qqxe!", "character 40");
	expect_refused("c4yvr_yb7nz", "\"_\"");
	expect_refused("c4yvr\xe2\x80\x93yb7nz", "character 6");
	expect_refused("0sx8b-khexc-qk18v-zf1mc-01s7a-h4d2p-f2dbs-qqxe\n", "character 40");
}

Test(code, a_wrong_character_or_two_exchanged_are_noticed)
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	char text[] = EXAMPLE;

	for (size_t i = 0; i < INVITE_TEXT; i++) {
		char was = text[i];

		if (was == '-')
			continue;
		for (const char *c = letters; *c != '\0'; c++) {
			text[i] = *c;
			if (*c != was)
				expect_refused(text, "mistyped");
		}
		text[i] = was;
		for (size_t j = i + 1; j < INVITE_TEXT && j <= i + 2; j++) {
			if (text[j] == '-' || text[j] == was)
				continue;
			text[i] = text[j];
			text[j] = was;
			expect_refused(text, "mistyped");
			text[j] = text[i];
			text[i] = was;
		}
	}
}

Test(code, what_is_made_comes_back)
{
	struct digest site = example_site();
	uint64_t secrets = 0;

	for (int i = 0; i < 64; i++) {
		struct invite in, back;
		char text[INVITE_TEXT + 1];
		struct err err = {0};

		site.b[12] = (uint8_t)(i * 37);
		cr_assert_eq(invite_make(&site, (uint64_t)i * 100, 1900000000, &in, &err), 0);
		invite_text(text, &in);
		cr_assert_eq(invite_parse(text, &back, &err), 0, "%s: %s", text, err.text);
		cr_expect_eq(memcmp(in.pin, back.pin, sizeof(in.pin)), 0);
		cr_expect_eq(back.trust_version, i * 100 < 4095 ? (uint32_t)i * 100 : 4095u);
		cr_expect_eq(in.trust_version, back.trust_version);
		cr_expect_eq(in.last_day, back.last_day);
		cr_expect_eq(in.secret, back.secret);
		cr_expect_eq(in.secret >> 60, 0);
		cr_expect(invite_pins(&back, &site));
		secrets |= in.secret;
	}
	cr_expect_eq(secrets, (1ull << 60) - 1, "every bit of the secret is random");
}

Test(code, it_pins_one_trust_document_and_no_other)
{
	struct digest trust = example_site();
	struct invite in;

	cr_assert_eq(invite_make(&trust, 1, 1900000000, &in, ERR_IGNORED), 0);
	cr_expect(invite_pins(&in, &trust));
	for (size_t bit = 0; bit < 256; bit++) {
		struct digest other = trust;

		other.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		cr_expect_not(invite_pins(&in, &other), "bit %zu", bit);
	}
	for (size_t bit = 0; bit < 100; bit++) {
		struct invite other = in;

		other.pin[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		cr_expect_not(invite_pins(&other, &trust), "a hundred bits count, also %zu", bit);
	}
	in.secret ^= 1;
	cr_expect_not(invite_pins(&in, &trust), "the pin is keyed with the code's secret");
}

Test(code, one_of_satchel_0_1_is_told_from_a_mistyped_one)
{
	expect_refused("c4yvr-yb7nz-8c987-5m3sc-01s7a-h4d2p-f2dbs-qqz1r", "made by satchel 0.1");
}

Test(code, the_last_day_is_good_until_its_end)
{
	struct digest site = example_site();
	struct invite in;

	cr_assert_eq(invite_make(&site, 1, at("2026-11-22T00:00:00Z"), &in, ERR_IGNORED), 0);
	cr_expect_eq(in.last_day, at("2026-11-23T00:00:00Z"));
	cr_assert_eq(invite_make(&site, 1, at("2026-11-22T23:59:59Z"), &in, ERR_IGNORED), 0);
	cr_expect_eq(in.last_day, at("2026-11-23T00:00:00Z"));
	cr_assert_eq(invite_make(&site, 1, at("2020-01-01T00:00:00Z"), &in, ERR_IGNORED), 0);
	cr_expect_eq(in.last_day, at("2020-01-02T00:00:00Z"));
	cr_expect_eq(invite_make(&site, 1, at("2019-12-31T23:59:59Z"), &in, ERR_IGNORED), RC_USAGE);
	cr_assert_eq(invite_make(&site, 1, at("2064-11-09T00:00:00Z") - 1, &in, ERR_IGNORED), 0);
	cr_expect_eq(invite_make(&site, 1, at("2064-11-09T00:00:00Z"), &in, ERR_IGNORED), RC_USAGE);
	cr_expect_eq(invite_make(&site, 1, INT64_MIN, &in, ERR_IGNORED), RC_USAGE);
	cr_expect_eq(invite_make(&site, 1, INT64_MAX, &in, ERR_IGNORED), RC_USAGE);
}
