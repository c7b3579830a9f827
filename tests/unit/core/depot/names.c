/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/depot.h"

#define D  "bddd813c634239723171ef3fee98579b" /* of "abc" */
#define ID "00112233445566778899aabbccddeeff"

static struct digest abc(void)
{
	return digest_of(bytes_of("abc"));
}

/* What <xx> of ID must be, worked out without names.c. */
static void spread_of_id(char dst[3])
{
	char hex[DIGEST_HEX + 1];
	struct digest d = digest_of(bytes_of(ID));

	digest_hex(hex, &d);
	memcpy(dst, hex, 2);
	dst[2] = '\0';
}

Test(names, are_written_as_the_format_says)
{
	char got[DEPOT_NAME], want[DEPOT_NAME], xx[3];
	struct digest d = abc();

	spread_of_id(xx);
	name_trust(got, 1, &d);
	cr_assert_str_eq(got, "trust/1-" D ".trust");
	name_beat(got, 9007199254740991, &d);
	cr_assert_str_eq(got, "beats/9007199254740991-" D ".beat");
	name_shard(got, 0x0a, &d);
	cr_assert_str_eq(got, "shards/0a-" D ".shard");
	name_head(got, "base", 1, 7, &d);
	cr_assert_str_eq(got, "channels/base/1.7-" D ".head");
	name_bundle(got, "base", 1, 6, 7, &d);
	cr_assert_str_eq(got, "channels/base/1.6-7-" D ".bundle");
	name_private(got, ID, 2, 3, &d);
	snprintf(want, sizeof(want), "workstations/%s/%s.2.3-%s.bundle", xx, ID, D);
	cr_assert_str_eq(got, want);
	name_inbox(got, ID, 4, &d, "receipt");
	snprintf(want, sizeof(want), "inbox/%s/%s-4-%s.receipt", xx, ID, D);
	cr_assert_str_eq(got, want);
}

Test(names, are_read_back_as_they_were_written)
{
	char text[DEPOT_NAME];
	struct digest d = abc();
	struct name n;

	name_bundle(text, "a-b_9", 3, 10, 11, &d);
	cr_assert_eq(name_parse(text, &n), NAME_BUNDLE);
	cr_assert_str_eq(n.channel, "a-b_9");
	cr_assert(n.epoch == 3 && n.base == 10 && n.number == 11);
	cr_assert_str_eq(n.digest, D);
	name_head(text, "a", 0, 0, &d);
	cr_assert_eq(name_parse(text, &n), NAME_HEAD);
	cr_assert(n.epoch == 0 && n.number == 0);
	name_private(text, ID, 2, 5, &d);
	cr_assert_eq(name_parse(text, &n), NAME_PRIVATE);
	cr_assert_str_eq(n.id, ID);
	cr_assert(n.epoch == 2 && n.number == 5);
	name_shard(text, 0xfe, &d);
	cr_assert_eq(name_parse(text, &n), NAME_SHARD);
	cr_assert_eq(n.xx, 0xfe);
	name_trust(text, 12, &d);
	cr_assert_eq(name_parse(text, &n), NAME_TRUST);
	cr_assert_eq(n.number, 12);
	name_beat(text, 13, &d);
	cr_assert_eq(name_parse(text, &n), NAME_BEAT);
	name_inbox(text, ID, 14, &d, "receipt");
	cr_assert_eq(name_parse(text, &n), NAME_RECEIPT);
	name_inbox(text, ID, 15, &d, "request");
	cr_assert_eq(name_parse(text, &n), NAME_REQUEST);
	cr_assert_eq(n.number, 15);
	cr_assert_str_eq(n.id, ID);
}

Test(names, of_others_are_other)
{
	static const char *const other[] = {
	    "",
	    "trust",
	    "trust/",
	    "satchel.yaml",
	    "trust/01-" D ".trust",
	    "trust/-" D ".trust",
	    "trust/+1-" D ".trust",
	    "trust/9007199254740992-" D ".trust",
	    "trust/1-" D ".trust2",
	    "trust/1-" D ".trus",
	    "trust/1-" D ".beat",
	    "trust/1-" D "0.trust",
	    "trust/1-bddd813c634239723171ef3fee98579.trust",
	    "trust/1-BDDD813C634239723171EF3FEE98579B.trust",
	    "trust/x/1-" D ".trust",
	    "Trust/1-" D ".trust",
	    "./trust/1-" D ".trust",
	    "trust//1-" D ".trust",
	    "trust/1-" D ".trust.tmp",
	    "shards/0g-" D ".shard",
	    "shards/000-" D ".shard",
	    "channels/-x/1.7-" D ".head",
	    "channels//1.7-" D ".head",
	    "channels/../1.7-" D ".head",
	    "channels/X/1.7-" D ".head",
	    "channels/x/1.7-" D ".bundle",
	    "channels/x/1.6-7-" D ".head",
	    "channels/x/7-" D ".head",
	    "inbox/zz/" ID "-4-" D ".receipt",
	    "inbox/" ID "-4-" D ".receipt",
	    "channels/"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/1.7-" D ".head",
	};
	struct name n;

	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		cr_assert_eq(name_parse(other[i], &n), NAME_OTHER, "%s", other[i]);
}

Test(names, of_parts_say_how_they_were_cut)
{
	static const char *const other[] = {
	    "channels/x/1.6-7-" D ".bundle.1-4",    "channels/x/1.6-7-" D ".bundle.0001-4",
	    "channels/x/1.6-7-" D ".bundle.000-4",  "channels/x/1.6-7-" D ".bundle.001-0",
	    "channels/x/1.6-7-" D ".bundle.001-04", "channels/x/1.6-7-" D ".bundle.001",
	    "channels/x/1.6-7-" D ".bundle.001-",   "channels/x/1.6-7-" D ".bundle.001-1048577",
	    "channels/x/1.6-7-" D ".bundle.-001-4", "channels/x/1.7-" D ".head.001-4",
	    "channels/x/1.6-7-" D ".bundle.001-4.", "channels/x/1.6-7-" D ".bundle.001-4-5",
	};
	char bundle[DEPOT_NAME], text[DEPOT_NAME];
	struct digest d = abc();
	struct name n;

	name_bundle(bundle, "office", 3, 6, 7, &d);
	name_part(text, bundle, 12, 3800);
	cr_assert_eq(name_parse(text, &n), NAME_PART, "%s", text);
	cr_assert_str_eq(n.channel, "office");
	cr_assert(n.epoch == 3 && n.base == 6 && n.number == 7 && n.part == 12 && n.blocks == 3800);
	cr_assert_str_eq(n.digest, D);
	name_part(text, bundle, 1048576, 1);
	cr_assert_eq(name_parse(text, &n), NAME_PART, "%s", text);
	cr_assert_eq(n.part, 1048576);
	name_volume(text, 2, 3, &d);
	cr_assert_eq(name_parse(text, &n), NAME_VOLUME);
	cr_assert(n.base == 2 && n.number == 3);
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		cr_assert_eq(name_parse(other[i], &n), NAME_OTHER, "%s", other[i]);
}

Test(names, of_a_workstation_lie_where_its_id_says)
{
	char text[DEPOT_NAME];
	struct digest d = abc();
	struct name n;

	name_inbox(text, ID, 1, &d, "receipt");
	text[6] = text[6] == '0' ? '1' : '0';
	cr_assert_eq(name_parse(text, &n), NAME_OTHER);
}

Test(names, fit_only_their_own_bytes)
{
	char text[DEPOT_NAME];
	struct digest d = abc();
	struct name n;

	name_beat(text, 13, &d);
	cr_assert_eq(name_parse(text, &n), NAME_BEAT);
	cr_assert(name_fits(&n, bytes_of("abc")));
	cr_assert_not(name_fits(&n, bytes_of("abd")));
	cr_assert_not(name_fits(&n, bytes_of("")));
	name_parse("trust/x", &n);
	cr_assert_not(name_fits(&n, bytes_of("abc")), "a name without a digest fits nothing");
}
