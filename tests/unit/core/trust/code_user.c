/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/documents/confirm.h"
#include "core/trust/code.h"
#include "core/trust/key_internal.h"

/* The examples of docs/FORMAT.md section 9, computed without any code of ours. */
#define ACTIVATION   "c4yvr-y97ah-4d2pf-2dbsq-qzh6b"
#define SECRET       0x123456789abcdefull
#define CONFIRMATION "n0jf0-2bqsb-gefwe-5hv9z"
#define STATION      "a824f33c9616730bd381abddc6a1da5b"

static struct digest example_site(void)
{
	return digest_of(bytes_of("satchel: trust/1\n"));
}

/* The X25519 key whose secret bytes count up from ${from}. */
static struct key_secret *sealing_key(uint8_t from)
{
	struct key_secret *k = NULL;

	cr_assert_eq(key_secret_new(&k, ERR_IGNORED), 0);
	k->kind = KEY_SEAL;
	for (uint8_t i = 0; i < 32; i++)
		k->b[i] = (uint8_t)(from + i);
	cr_assert_eq(crypto_scalarmult_base(k->b + 32, k->b), 0);
	cr_assert_eq(key_secret_check(k, ERR_IGNORED), 0);
	return k;
}

static struct receipt_channel example_channel(const char *name, uint64_t generation,
					      const char *result)
{
	struct receipt_channel c = {
	    .epoch = 1, .generation = generation, .tree = digest_of(bytes_of(name))};

	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(c.result, sizeof(c.result), "%s", result);
	return c;
}

static struct receipt example_receipt(struct receipt_channel *channel, size_t n)
{
	struct receipt r = {.site = example_site(),
			    .workstation = STATION,
			    .sequence = 4105,
			    .private_epoch = 1,
			    .private_generation = 3,
			    .private_tree = digest_of(bytes_of("private")),
			    .channel = channel,
			    .channels = n};

	return r;
}

static struct confirm make(const struct key_secret *own, const struct key_secret *station,
			   const struct key_secret *collect, const struct receipt *r)
{
	OWNED(buf_clear) struct buf statement = BUF_INIT;
	struct key_public one = key_public_of(station), other = key_public_of(collect);
	struct confirm c;
	struct err err = {0};

	cr_assert_eq(confirm_statement(r, &statement, &err), 0);
	cr_assert_eq(confirm_make(own, &one, &other, r->workstation, r->sequence,
				  bytes_in(&statement), &c, &err),
		     0, "%s", err.text);
	return c;
}

Test(code_user, the_example_of_an_activation_code)
{
	struct digest site = example_site(), proof, other;
	struct key_public sign = {.kind = KEY_SIGN};
	struct activation in;
	char text[ACTIVATION_TEXT + 1], id[17], hex[DIGEST_HEX + 1];
	struct err err = {0};
	int64_t day;

	cr_assert_eq(clock_parse("2026-11-23T00:00:00Z", &day, ERR_IGNORED), 0);
	cr_assert_eq(activation_parse(ACTIVATION, &in, &err), 0, "%s", err.text);
	cr_expect(activation_fits(&in, &site));
	cr_expect_eq(in.last_day, day);
	cr_expect_eq(in.secret, SECRET);
	activation_text(text, &in);
	cr_expect_str_eq(text, ACTIVATION);
	activation_id(id, SECRET);
	cr_expect_str_eq(id, "63448bab0cf42ca4");
	for (uint8_t i = 0; i < 32; i++)
		sign.b[i] = i;
	proof = activation_proof(SECRET, &site, &sign, "anna");
	digest_hex(hex, &proof);
	cr_expect_str_eq(hex, "6deec1fefd1e8c63be79de567fb4a21deaf293d263d61af66ef2f6d96421bcca");
	other = activation_proof(SECRET, &site, &sign, "ben");
	cr_expect_not(digest_equal(&proof, &other), "the account counts");
}

Test(code_user, an_activation_code_comes_back_and_fits_only_its_site)
{
	struct digest site = example_site();
	struct activation in, back;
	char text[ACTIVATION_TEXT + 1];

	for (int i = 0; i < 64; i++) {
		cr_assert_eq(activation_make(&site, 1900000000, &in, ERR_IGNORED), 0);
		activation_text(text, &in);
		cr_assert_eq(activation_parse(text, &back, ERR_IGNORED), 0);
		cr_expect_eq(in.secret, back.secret);
		cr_expect_eq(in.last_day, back.last_day);
		cr_expect(activation_fits(&back, &site));
	}
	for (size_t bit = 0; bit < 256; bit++) {
		struct digest other = site;

		other.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		cr_expect_eq(activation_fits(&in, &other), bit >= 32, "bit %zu", bit);
	}
}

Test(code_user, no_kind_of_code_passes_for_another)
{
	struct activation a = {.secret = 42};
	struct confirm c = {.mac = 42};
	struct invite i = {.secret = 42};
	struct err err = {0};

	cr_expect_eq(activation_parse(CONFIRMATION, &a, &err), RC_USAGE);
	cr_expect(strstr(err.text, "20 characters, an activation code has 25") != NULL, "%s",
		  err.text);
	cr_expect_eq(confirm_parse(ACTIVATION, &c, &err), RC_USAGE);
	cr_expect_eq(invite_parse(ACTIVATION, &i, &err), RC_USAGE);
	cr_expect_eq(activation_parse("c4yvr-y97ah-4d2pf-2dbsq-qzh6c", &a, &err), RC_USAGE);
	cr_expect(strstr(err.text, "mistyped") != NULL, "%s", err.text);
	cr_expect(a.secret == 42 && c.mac == 42 && i.secret == 42, "untouched");
}

Test(code_user, the_example_of_a_confirmation_code_is_the_same_from_both_ends)
{
	OWNED(key_freep) struct key_secret *station = sealing_key(1);
	OWNED(key_freep) struct key_secret *collect = sealing_key(101);
	struct receipt_channel office = example_channel("office", 41, "current");
	struct receipt r = example_receipt(&office, 1);
	struct confirm here = make(station, station, collect, &r), back;
	struct confirm there = make(collect, station, collect, &r);
	char text[CONFIRM_TEXT + 1];

	confirm_text(text, &here);
	cr_expect_str_eq(text, CONFIRMATION);
	confirm_text(text, &there);
	cr_expect_str_eq(text, CONFIRMATION);
	cr_assert_eq(confirm_parse("NOJFO 2BQSB GEFWE 5HV9Z", &back, ERR_IGNORED), 0);
	cr_expect_eq(back.mac, here.mac);
	cr_expect_eq(back.receipt, 9);
	cr_expect_eq(back.workstation, here.workstation);
}

Test(code_user, a_confirmation_code_changes_with_all_that_is_held_and_with_nothing_else)
{
	OWNED(key_freep) struct key_secret *station = sealing_key(1);
	OWNED(key_freep) struct key_secret *collect = sealing_key(101);
	OWNED(key_freep) struct key_secret *stranger = sealing_key(201);
	struct receipt_channel channel[2] = {example_channel("office", 41, "current"),
					     example_channel("cad", 7, "applied")};
	struct receipt_channel swapped[2] = {channel[1], channel[0]};
	struct receipt_channel left[3] = {channel[0], channel[1],
					  example_channel("old", 3, "left")};
	struct receipt r = example_receipt(channel, 2), other = r;
	uint64_t mac = make(station, station, collect, &r).mac;

	other.written = 5;
	other.channel = swapped;
	cr_expect_eq(make(station, station, collect, &other).mac, mac, "order and times");
	other.channel = left;
	other.channels = 3;
	cr_expect_eq(make(station, station, collect, &other).mac, mac, "what was left");
	cr_expect_neq(make(stranger, stranger, collect, &r).mac, mac, "another workstation's key");
	other = r;
	other.sequence++;
	cr_expect_neq(make(station, station, collect, &other).mac, mac, "the receipt's number");
	other = r;
	other.private_generation++;
	cr_expect_neq(make(station, station, collect, &other).mac, mac, "the private generation");
	other = r;
	other.channels = 1;
	cr_expect_neq(make(station, station, collect, &other).mac, mac, "a channel");
	channel[0].generation++;
	cr_expect_neq(make(station, station, collect, &r).mac, mac, "a generation");
	channel[0].generation--;
	channel[1].tree.b[31] ^= 1;
	cr_expect_neq(make(station, station, collect, &r).mac, mac, "a tree");
}

Test(code_user, no_code_is_shown_for_what_is_not_good)
{
	struct receipt_channel c = example_channel("office", 41, "current");
	struct receipt_user u = {.result = "handed-out"};
	struct receipt r = example_receipt(&c, 1);

	r.user = &u;
	r.users = 1;
	cr_expect(confirm_good(&r));
	c.drift = 1;
	cr_expect_not(confirm_good(&r), "drift");
	c.drift = 0;
	c.deviations = 1;
	cr_expect_not(confirm_good(&r), "a deviation");
	c.deviations = 0;
	snprintf(c.result, sizeof(c.result), "refused");
	cr_expect_not(confirm_good(&r), "refused");
	snprintf(c.result, sizeof(c.result), "applied");
	snprintf(u.result, sizeof(u.result), "failed");
	cr_expect_not(confirm_good(&r), "a user who has not what is theirs");
	r.users = 0;
	r.private_generation = 0;
	cr_expect_not(confirm_good(&r), "nothing was ever sent");
}

Test(code_user, an_agreement_needs_one_of_its_two_keys)
{
	OWNED(key_freep) struct key_secret *station = sealing_key(1);
	OWNED(key_freep) struct key_secret *collect = sealing_key(101);
	OWNED(key_freep) struct key_secret *stranger = sealing_key(201);
	struct key_public one = key_public_of(station), other = key_public_of(collect);
	struct digest mac = {{7}};
	struct err err = {0};

	cr_expect_eq(key_agree_mac(stranger, &one, &other, bytes_of("x"), &mac, &err), RC_INTERNAL);
	cr_expect_eq(mac.b[0], 7, "untouched");
}
