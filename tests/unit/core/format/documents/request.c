/* SPDX-License-Identifier: ISC */
#include "tests/support/document_text.h"

KIND(request, request, (void)v)

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
	cr_expect(key_absent(&got.codes));
	refuses_unknown_and_missing(request_read, &text);
	r.codes = key_new(KEY_SEAL);
	buf_reset(&text);
	cr_assert_eq(request_encode(&r, &text, &err), 0, "%s", err.text);
	cr_assert_eq(request_decode(bytes_in(&text), &got, &err), 0, "%s", err.text);
	cr_expect(key_same(&got.codes, &r.codes));
	cr_expect_eq(request_exact(&got, bytes_in(&text), &err), 1);
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
