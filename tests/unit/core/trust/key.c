/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/durable.h"
#include "core/trust/key.h"
#include "tests/support/scratch.h"

static struct key_secret *make_key(enum key_kind kind)
{
	struct key_secret *k = NULL;

	cr_assert_eq(key_generate(kind, &k, ERR_IGNORED), 0);
	return k;
}

/* Text of a public key with any content. */
static void public_line(char dst[57], const char *algorithm, uint64_t number, const uint8_t b[32])
{
	uint8_t raw[42];

	memcpy(raw, algorithm, 2);
	put_u64(raw + 2, number);
	memcpy(raw + 10, b, 32);
	base64_encode(dst, 57, raw, sizeof(raw));
}

Test(key, a_signature_fits_its_message_and_its_key_only)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *other = make_key(KEY_SIGN);
	struct key_public public = key_public_of(k), public_other = key_public_of(other);
	uint8_t sig[64], message[] = "satchel: head/1\n";
	struct bytes in = {message, sizeof(message) - 1};

	cr_assert_eq(key_sign(k, in, sig, ERR_IGNORED), 0);
	cr_expect(key_verify(&public, in, sig));
	cr_expect_not(key_verify(&public_other, in, sig));
	for (size_t i = 0; i < sizeof(sig); i++) {
		sig[i] ^= 1;
		cr_expect_not(key_verify(&public, in, sig), "byte %zu of the signature", i);
		sig[i] ^= 1;
	}
	for (size_t i = 0; i < in.n; i++) {
		message[i] ^= 0x80;
		cr_expect_not(key_verify(&public, in, sig), "byte %zu of the message", i);
		message[i] ^= 0x80;
	}
	cr_expect_not(key_verify(&public, (struct bytes){message, in.n - 1}, sig));
	cr_expect_eq(key_sign(k, (struct bytes){NULL, 0}, sig, ERR_IGNORED), 0);
	cr_expect(key_verify(&public, (struct bytes){NULL, 0}, sig), "nothing can be signed too");
}

Test(key, a_second_signature_made_by_adding_the_order_is_refused)
{
	/* L, little-endian: S + L verifies in readers that do not check its range. */
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a,       0x63,
					  0x12, 0x58, 0xd6, 0x9c, 0xf7,       0xa2,
					  0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	struct key_public public = key_public_of(k);
	struct bytes in = bytes_of("x");
	unsigned carry = 0;
	uint8_t sig[64];

	cr_assert_eq(key_sign(k, in, sig, ERR_IGNORED), 0);
	for (size_t i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	cr_expect_not(key_verify(&public, in, sig));
}

Test(key, kinds_are_not_used_for_each_other)
{
	OWNED(key_freep) struct key_secret *sign = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *seal = make_key(KEY_SEAL);
	struct key_public public_sign = key_public_of(sign), public_seal = key_public_of(seal);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t sig[64] = {0};

	cr_expect_eq(key_sign(seal, bytes_of("x"), sig, &err), RC_INTERNAL);
	cr_expect_not(key_verify(&public_seal, bytes_of("x"), sig));
	cr_expect_eq(key_seal(&public_sign, bytes_of("x"), &b, &err), RC_INTERNAL);
	cr_expect_eq(key_unseal(sign, bytes_of("x"), &b, &err), RC_INTERNAL);
	memcpy(public_seal.b, public_sign.b, 32);
	cr_expect_not(key_same(&public_seal, &public_sign));
	public_seal.kind = KEY_SIGN;
	public_seal.number++;
	cr_expect(key_same(&public_seal, &public_sign), "by key, not by number");
	public_seal.b[31] ^= 1;
	cr_expect_not(key_same(&public_seal, &public_sign));
}

Test(key, what_is_sealed_opens_for_its_recipient_only)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SEAL);
	OWNED(key_freep) struct key_secret *other = make_key(KEY_SEAL);
	struct key_public public = key_public_of(k);
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	OWNED(buf_clear) struct buf open = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(buf_text(&open, "before ", ERR_IGNORED), 0);
	cr_assert_eq(key_seal(&public, bytes_of("secret"), &sealed, &err), 0);
	cr_expect_eq(key_unseal(other, bytes_in(&sealed), &open, &err), RC_UNTRUSTED);
	for (size_t i = 0; i < sealed.n; i++) {
		sealed.p[i] ^= 1;
		cr_expect_eq(key_unseal(k, bytes_in(&sealed), &open, &err), RC_UNTRUSTED);
		sealed.p[i] ^= 1;
	}
	for (size_t n = 0; n < sealed.n; n++)
		cr_expect_eq(key_unseal(k, (struct bytes){sealed.p, n}, &open, &err), RC_UNTRUSTED);
	cr_expect_str_eq((char *)open.p, "before ");
	cr_expect_eq(key_unseal(k, bytes_in(&sealed), &open, &err), 0);
	cr_expect_str_eq((char *)open.p, "before secret");
}

Test(key, public_keys_come_back_from_both_of_their_texts)
{
	for (int kind = KEY_SIGN; kind <= KEY_SEAL; kind++) {
		OWNED(key_freep) struct key_secret *k = make_key((enum key_kind)kind);
		struct key_public public = key_public_of(k), back;
		OWNED(buf_clear) struct buf text = BUF_INIT;
		char line[KEY_PUBLIC_LINE + 1], number[KEY_NUMBER_TEXT + 1];
		struct err err = {0};

		key_public_line(line, &public);
		cr_expect_eq(strlen(line), KEY_PUBLIC_LINE);
		cr_assert_eq(key_public_parse(bytes_of(line), &back, &err), 0, "%s", err.text);
		cr_expect(key_same(&public, &back));
		cr_expect_eq(public.number, back.number);
		cr_assert_eq(key_public_text(&public, &text, &err), 0);
		cr_assert_eq(key_public_parse(bytes_in(&text), &back, &err), 0, "%s", err.text);
		cr_expect(key_same(&public, &back));
		text.n--;
		cr_expect_eq(key_public_parse(bytes_in(&text), &back, &err), 0, "no last newline");
		key_number_text(number, &public);
		cr_expect(strstr((char *)text.p, number) != NULL);
	}
}

Test(key, a_number_is_read_with_and_without_its_leading_zeros)
{
	uint64_t number = 1;

	cr_expect(key_number_parse("00AB3456789CDEF0", &number) && number == 0xab3456789cdef0);
	number = 1;
	cr_expect(key_number_parse("AB3456789CDEF0", &number) && number == 0xab3456789cdef0);
	cr_expect(key_number_parse("ab3456789cdef0", &number) && number == 0xab3456789cdef0);
	cr_expect(key_number_parse("FFFFFFFFFFFFFFFF", &number) && number == UINT64_MAX);
	number = 1;
	cr_expect_not(key_number_parse("", &number));
	cr_expect_not(key_number_parse("0x12", &number));
	cr_expect_not(key_number_parse("-1", &number));
	cr_expect_not(key_number_parse(" 1", &number));
	cr_expect_not(key_number_parse("1 ", &number));
	cr_expect_not(key_number_parse("00000000000000000", &number));
	cr_expect_eq(number, 1);
}

Test(key, a_number_is_shown_with_all_its_digits)
{
	struct key_public k = {.number = 0x00ab3456789cdef0};
	char text[KEY_NUMBER_TEXT + 1];

	key_number_text(text, &k);
	cr_expect_str_eq(text, "00AB3456789CDEF0");
}

#define GOOD "RWS2TYfXLw0yY3JFoZm0Jyb/G8Dyw2LLXNoles6CEgCSO+pPz1ckg8y0"
#define C    "untrusted comment: minisign public key 63320D2FD7874DB6\n"

Test(key, other_forms_of_a_public_key_are_refused)
{
	static const char *const bad[] = {
	    "",
	    "\n",
	    GOOD "=",
	    GOOD "\n\n",
	    GOOD "\n ",
	    GOOD " ",
	    " " GOOD,
	    GOOD "\r\n",
	    C GOOD "\r\n",
	    "untrusted comment: x\r\n" GOOD "\n",
	    "untrusted comment: \x1b[2J\n" GOOD "\n",
	    C,
	    C "\n" GOOD "\n",
	    C GOOD "\n" GOOD "\n",
	    C GOOD "\n" C GOOD "\n",
	    "comment: x\n" GOOD "\n",
	    "untrusted comment:x\n" GOOD "\n",
	    "RWS2TYfXLw0yY3JFoZm0Jyb/G8Dyw2LLXNoles6CEgCSO+pPz1ckg8y",
	    "RWS2TYfXLw0yY3JFoZm0Jyb_G8Dyw2LLXNoles6CEgCSO-pPz1ckg8y0",
	    "RUS2TYfXLw0yY3JFoZm0Jyb/G8Dyw2LLXNoles6CEgCSO+pPz1ckg8y0", /* "ED" */
	};
	struct key_public k;

	cr_assert_eq(key_public_parse(bytes_of(C GOOD "\n"), &k, ERR_IGNORED), 0);
	cr_expect_eq(k.number, 0x63320D2FD7874DB6);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = {0};

		cr_expect_eq(key_public_parse(bytes_of(bad[i]), &k, &err), RC_MALFORMED, "%s",
			     bad[i]);
		cr_expect(err.text[0] != '\0');
		cr_expect_eq(key_public_parse(bytes_of(bad[i]), &k, ERR_IGNORED), RC_MALFORMED);
	}
}

static const struct weak {
	const char *algorithm;
	const char *hex;
} weak[] = {
    /* Ed25519: identity, orders 2, 4, 8, 8, and encodings that are not canonical or no point */
    {"Ed", "0100000000000000000000000000000000000000000000000000000000000000"},
    {"Ed", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Ed", "0000000000000000000000000000000000000000000000000000000000000000"},
    {"Ed", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"},
    {"Ed", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"},
    {"Ed", "0100000000000000000000000000000000000000000000000000000000000080"},
    {"Ed", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Ed", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
    {"Ed", "0200000000000000000000000000000000000000000000000000000000000000"},
    /* X25519: points of small order, and second encodings of 9 and of 2^255-20 */
    {"Ex", "0000000000000000000000000000000000000000000000000000000000000000"},
    {"Ex", "0100000000000000000000000000000000000000000000000000000000000000"},
    {"Ex", "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"},
    {"Ex", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"},
    {"Ex", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Ex", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Ex", "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"Ex", "0900000000000000000000000000000000000000000000000000000000000080"},
};

Test(key, weak_and_second_encodings_of_keys_are_refused_at_parse)
{
	for (size_t i = 0; i < ARRAY_LEN(weak); i++) {
		uint8_t b[32];
		char line[57];
		struct key_public k;
		struct err err = {0};

		cr_assert_eq(hex_decode(b, 32, weak[i].hex, ERR_IGNORED), 0);
		public_line(line, weak[i].algorithm, 1, b);
		cr_expect_eq(key_public_parse(bytes_of(line), &k, &err), RC_MALFORMED, "%s %s",
			     weak[i].algorithm, weak[i].hex);
		cr_expect(strstr(err.text, "not a sound key") != NULL, "%s", err.text);
	}
}

Test(key, a_key_outside_the_main_group_is_refused)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	struct key_public public = key_public_of(k);
	uint8_t small[32], mixed[32];
	char line[57];

	cr_assert_eq(hex_decode(small, 32, weak[4].hex, ERR_IGNORED), 0);
	cr_assert_eq(crypto_core_ed25519_add(mixed, public.b, small), 0);
	public_line(line, "Ed", 1, mixed);
	cr_expect_eq(key_public_parse(bytes_of(line), &public, ERR_IGNORED), RC_MALFORMED);
}

Test(key, ids_are_digests_of_the_key)
{
	struct key_public k = {.kind = KEY_SIGN};
	struct digest d = digest_of((struct bytes){k.b, 32});
	char hex[DIGEST_HEX + 1], id[WORKSTATION_ID + 1], seal[17];

	digest_hex(hex, &d);
	workstation_id(id, &k);
	key_seal_id(seal, &k);
	cr_expect_eq(strncmp(id, hex, 32), 0);
	cr_expect_eq(strlen(id), 32);
	cr_expect_eq(strncmp(seal, hex, 16), 0);
	cr_expect_eq(strlen(seal), 16);
}

/* Files */

TestSuite(key_file, .init = scratch_setup, .fini = scratch_teardown);

Test(key_file, a_secret_key_comes_back_and_is_closed_to_others)
{
	for (int kind = KEY_SIGN; kind <= KEY_SEAL; kind++) {
		OWNED(key_freep) struct key_secret *k = make_key((enum key_kind)kind);
		OWNED(key_freep) struct key_secret *back = NULL;
		struct key_public a = key_public_of(k), b;
		const char *name = kind == KEY_SIGN ? "sign.key" : "seal.key";
		struct err err = {0};
		struct stat st;

		umask(0);
		cr_assert_eq(key_write(scratch_fd, name, k, &err), 0, "%s", err.text);
		cr_assert_eq(fstatat(scratch_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
		cr_expect_eq(st.st_mode, S_IFREG | 0600);
		cr_assert_eq(key_read(scratch_fd, name, NULL, &back, &err), 0, "%s", err.text);
		b = key_public_of(back);
		cr_expect(key_same(&a, &b));
		cr_expect_eq(a.number, b.number);
	}
}

Test(key_file, an_existing_file_is_never_replaced)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *other = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *back = NULL;
	struct key_public a = key_public_of(k), b;
	struct err err = {0};

	cr_assert_eq(key_write(scratch_fd, "k", k, &err), 0);
	cr_expect_eq(key_write(scratch_fd, "k", other, &err), RC_CONFLICT);
	cr_assert_eq(key_read(scratch_fd, "k", NULL, &back, &err), 0);
	b = key_public_of(back);
	cr_expect(key_same(&a, &b));
}

static void expect_refused(const char *name, int rc, const char *says)
{
	struct key_secret *back = NULL;
	struct err err = {0};

	cr_expect_eq(key_read(scratch_fd, name, NULL, &back, &err), rc, "%s", err.text);
	cr_expect(strstr(err.text, says) != NULL, "%s", err.text);
	cr_expect(strstr(err.text, name) != NULL, "names the file: %s", err.text);
	cr_expect_null(back);
}

Test(key_file, files_that_others_may_read_or_write_are_refused)
{
	static const mode_t bad[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666, 0777, 0440, 0404};
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *back = NULL;
	struct err err = {0};

	cr_assert_eq(key_write(scratch_fd, "k", k, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cr_assert_eq(fchmodat(scratch_fd, "k", bad[i], 0), 0);
		expect_refused("k", RC_POLICY, "chmod 600");
	}
	cr_assert_eq(fchmodat(scratch_fd, "k", 0400, 0), 0);
	cr_expect_eq(key_read(scratch_fd, "k", NULL, &back, &err), 0, "%s", err.text);
}

Test(key_file, files_of_another_user_are_refused)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);

	if (geteuid() != 0)
		cr_skip_test("only root can give a file to another user");
	cr_assert_eq(key_write(scratch_fd, "k", k, ERR_IGNORED), 0);
	cr_assert_eq(fchownat(scratch_fd, "k", 12345, 12345, 0), 0);
	expect_refused("k", RC_POLICY, "uid 12345");
}

Test(key_file, only_regular_files_are_read_and_nothing_hangs)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);

	cr_assert_eq(key_write(scratch_fd, "real", k, ERR_IGNORED), 0);
	cr_assert_eq(symlinkat("real", scratch_fd, "link"), 0);
	cr_assert_eq(mkfifoat(scratch_fd, "fifo", 0600), 0);
	cr_assert_eq(mkdirat(scratch_fd, "dir", 0700), 0);
	expect_refused("link", RC_PATH, "link");
	expect_refused("fifo", RC_TYPE, "not a regular file");
	expect_refused("dir", RC_TYPE, "not a regular file");
	expect_refused("absent", RC_ABSENT, "No such file");
}

/* The key in "k" with its text changed by ${edit} in the file ${name}. */
static void variant(const char *name, int (*edit)(const char *text, struct buf *ret))
{
	OWNED(buf_wipe) struct buf text = BUF_INIT;
	OWNED(buf_wipe) struct buf changed = BUF_INIT;

	cr_assert_eq(file_read(scratch_fd, "k", 4096, &text, ERR_IGNORED), 0);
	cr_assert_eq(edit((const char *)text.p, &changed), 0);
	cr_assert_eq(durable_write(scratch_fd, name, bytes_in(&changed), 0600, 0, ERR_IGNORED), 0);
}

static int edit_crlf(const char *text, struct buf *ret)
{
	const char *end = strchr(text, '\n');

	return buf_printf(ret, ERR_IGNORED, "%.*s\r\n%.*s\r\n", (int)(end - text), text,
			  (int)strlen(end + 1) - 1, end + 1);
}

static int edit_newline(const char *text, struct buf *ret)
{
	return buf_printf(ret, ERR_IGNORED, "%s\n", text);
}

static int edit_blank(const char *text, struct buf *ret)
{
	return buf_printf(ret, ERR_IGNORED, "%.*s \n", (int)strlen(text) - 1, text);
}

static int edit_twice(const char *text, struct buf *ret)
{
	return buf_printf(ret, ERR_IGNORED, "%s%s", text, text);
}

static int edit_long(const char *text, struct buf *ret)
{
	return buf_printf(ret, ERR_IGNORED, "%s%2000s", text, "");
}

static int edit_short(const char *text, struct buf *ret)
{
	return buf_printf(ret, ERR_IGNORED, "%.*s\n", (int)strlen(text) - 5, text);
}

static int edit_comment(const char *text, struct buf *ret)
{
	return buf_printf(ret, ERR_IGNORED, "untrusted comment: another%s", strchr(text, '\n'));
}

static int edit_no_comment(const char *text, struct buf *ret)
{
	return buf_printf(ret, ERR_IGNORED, "%s", strchr(text, '\n') + 1);
}

static int edit_nothing(const char *text, struct buf *ret)
{
	return 0;
}

Test(key_file, anything_but_one_key_is_refused)
{
	static const struct {
		const char *name;
		int (*edit)(const char *text, struct buf *ret);
		int rc;
		const char *says;
	} cases[] = {
	    {"crlf", edit_crlf, RC_MALFORMED, "CR LF"},
	    {"newline", edit_newline, RC_MALFORMED, "follows"},
	    {"blank", edit_blank, RC_MALFORMED, "characters"},
	    {"twice", edit_twice, RC_MALFORMED, "follows"},
	    {"long", edit_long, RC_LIMIT, "longer"},
	    {"short", edit_short, RC_MALFORMED, "characters"},
	    {"no-comment", edit_no_comment, RC_MALFORMED, "begin with"},
	    {"empty", edit_nothing, RC_MALFORMED, "empty"},
	};
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *back = NULL;

	cr_assert_eq(key_write(scratch_fd, "k", k, ERR_IGNORED), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		variant(cases[i].name, cases[i].edit);
		expect_refused(cases[i].name, cases[i].rc, cases[i].says);
	}
	variant("comment", edit_comment);
	cr_expect_eq(key_read(scratch_fd, "comment", NULL, &back, ERR_IGNORED), 0,
		     "the comment decides nothing");
}

Test(key_file, a_flipped_bit_of_the_key_is_noticed)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(buf_wipe) struct buf text = BUF_INIT;
	uint8_t raw[158];
	size_t n, start;

	cr_assert_eq(key_write(scratch_fd, "k", k, ERR_IGNORED), 0);
	cr_assert_eq(file_read(scratch_fd, "k", 4096, &text, ERR_IGNORED), 0);
	start = (size_t)(strchr((char *)text.p, '\n') - (char *)text.p) + 1;
	cr_assert_eq(base64_decode(raw, sizeof(raw), &n, (char *)text.p + start, 212, ERR_IGNORED),
		     0);
	for (size_t i = 0; i < sizeof(raw); i++) {
		OWNED(key_freep) struct key_secret *back = NULL;
		struct err err = {0};
		char name[16];
		int rc;

		if (i >= 6 && i < 54)
			continue; /* salt and limits: without a passphrase they mean nothing */
		raw[i] ^= 0x10;
		base64_encode((char *)text.p + start, 213, raw, sizeof(raw));
		raw[i] ^= 0x10;
		text.p[text.n - 1] = '\n';
		snprintf(name, sizeof(name), "k%zu", i);
		cr_assert_eq(durable_write(scratch_fd, name, bytes_in(&text), 0600, 0, ERR_IGNORED),
			     0);
		rc = key_read(scratch_fd, name, NULL, &back, &err);
		cr_expect_eq(rc, RC_MALFORMED, "byte %zu: %s", i, err.text);
	}
}

/* A file whose parts are well formed, with its checksum made anew. */
static void forge(const char *name, const char *algorithm, const char *kdf, uint64_t ops,
		  uint64_t mem, const uint8_t secret[64])
{
	uint8_t raw[158] = {0}, sum[74];
	char line[213], text[300];
	struct digest d;

	memcpy(raw, algorithm, 2);
	memcpy(raw + 2, kdf, 2);
	memcpy(raw + 4, "B2", 2);
	put_u64(raw + 38, ops);
	put_u64(raw + 46, mem);
	memcpy(raw + 62, secret, 64);
	memcpy(sum, raw, 2);
	memcpy(sum + 2, raw + 54, 72);
	d = digest_of((struct bytes){sum, sizeof(sum)});
	memcpy(raw + 126, d.b, 32);
	base64_encode(line, sizeof(line), raw, sizeof(raw));
	snprintf(text, sizeof(text), "untrusted comment: x\n%s\n", line);
	cr_assert_eq(durable_write(scratch_fd, name, bytes_of(text), 0600, 0, ERR_IGNORED), 0);
}

Test(key_file, halves_that_do_not_fit_are_refused)
{
	uint8_t public[32], secret[64];

	crypto_sign_keypair(public, secret);
	secret[40] ^= 1;
	forge("sign", "Ed", "\0\0", 0, 0, secret);
	expect_refused("sign", RC_MALFORMED, "do not match");
	crypto_box_keypair(public, secret);
	memset(secret + 32, 7, 32);
	forge("seal", "Ex", "\0\0", 0, 0, secret);
	expect_refused("seal", RC_MALFORMED, "do not match");
	crypto_sign_keypair(public, secret);
	forge("other", "EX", "\0\0", 0, 0, secret);
	expect_refused("other", RC_MALFORMED, "another algorithm");
	forge("kdf", "Ed", "BK", 0, 0, secret);
	expect_refused("kdf", RC_MALFORMED, "minisign");
}

static int ask(struct key_ask *self, const char *what, char *dst, size_t size, struct err *err)
{
	snprintf(dst, size, "x");
	return 0;
}

static int ask_nobody(struct key_ask *self, const char *what, char *dst, size_t size,
		      struct err *err)
{
	return err_set(err, RC_TIMEOUT, "nobody answers about %s", what);
}

Test(key_file, a_passphrase_needs_somebody_to_ask_and_is_never_more_work_than_minisigns)
{
	struct key_ask somebody = {ask}, nobody = {ask_nobody};
	struct key_secret *back = NULL;
	uint8_t public[32], secret[64];
	struct err err = {0};

	crypto_sign_keypair(public, secret);
	forge("k", "Ed", "Sc", 32768, 16777216, secret);
	forge("ops", "Ed", "Sc", 33554433, 16777216, secret);
	forge("mem", "Ed", "Sc", 32768, 1073741825, secret);
	expect_refused("k", RC_UNTRUSTED, "passphrase");
	cr_expect_eq(key_read(scratch_fd, "k", &nobody, &back, &err), RC_TIMEOUT);
	cr_expect(strstr(err.text, "nobody answers about k") != NULL, "%s", err.text);
	cr_expect_eq(key_read(scratch_fd, "ops", &somebody, &back, &err), RC_LIMIT, "%s", err.text);
	cr_expect_eq(key_read(scratch_fd, "mem", &somebody, &back, &err), RC_LIMIT, "%s", err.text);
	cr_expect_eq(key_read(scratch_fd, "k", &somebody, &back, &err), RC_UNTRUSTED);
	cr_expect(strstr(err.text, "passphrase is wrong") != NULL, "%s", err.text);
	cr_expect_null(back);
}
