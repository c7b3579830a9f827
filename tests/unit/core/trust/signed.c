/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/trust/signed.h"

#define COMMENT "untrusted comment: satchel signed document\n"
#define INNER   "satchel: trust/1\nname: Acme\n"
#define HEAD    (sizeof(COMMENT) - 1 + 100 + 1)

static struct key_secret *make_key(enum key_kind kind)
{
	struct key_secret *k = NULL;

	cr_assert_eq(key_generate(kind, &k, ERR_IGNORED), 0);
	return k;
}

/* ${n} layers, the innermost signed by k[0]. */
static void wrap(struct key_secret *const *k, size_t n, struct buf *ret)
{
	cr_assert_eq(buf_text(ret, INNER, ERR_IGNORED), 0);
	for (size_t i = 0; i < n; i++) {
		struct buf more = BUF_INIT;

		cr_assert_eq(signed_make(k[i], bytes_in(ret), &more, ERR_IGNORED), 0);
		buf_clear(ret);
		*ret = more;
	}
}

Test(signed, a_document_has_one_form_and_comes_apart_again)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *other = make_key(KEY_SIGN);
	struct key_public public = key_public_of(k), public_other = key_public_of(other);
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(buf_clear) struct buf again = BUF_INIT;
	struct digest inner = digest_of(bytes_of(INNER));
	struct signed_doc d;
	struct err err = {0};

	wrap(&k, 1, &doc);
	wrap(&k, 1, &again);
	cr_expect(bytes_equal(bytes_in(&doc), bytes_in(&again)), "signing is deterministic");
	cr_expect_eq(doc.n, HEAD + strlen(INNER));
	cr_assert_eq(signed_split(bytes_in(&doc), 1, &d, &err), 0, "%s", err.text);
	cr_expect_eq(d.layers, 1);
	cr_expect_eq(d.layer[0].number, public.number);
	cr_expect(bytes_equal(d.inner, bytes_of(INNER)));
	cr_expect(digest_equal(&d.identity, &inner));
	cr_expect(signed_by(&d, &public));
	cr_expect_not(signed_by(&d, &public_other));
	public.number++;
	cr_expect_not(signed_by(&d, &public), "the key number must fit, as signify wants it");
}

Test(signed, every_byte_counts)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	struct key_public public = key_public_of(k);
	OWNED(buf_clear) struct buf doc = BUF_INIT;

	wrap(&k, 1, &doc);
	for (size_t i = 0; i < doc.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct signed_doc d;
			struct err err = {0};
			int rc;

			doc.p[i] ^= (uint8_t)(1 << bit);
			rc = signed_split(bytes_in(&doc), 1, &d, &err);
			cr_expect(rc < 0 || !signed_by(&d, &public), "bit %d of byte %zu", bit, i);
			cr_expect(rc == 0 || rc == RC_MALFORMED);
			doc.p[i] ^= (uint8_t)(1 << bit);
		}
}

Test(signed, a_document_cut_short_anywhere_is_refused)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	struct key_public public = key_public_of(k);
	OWNED(buf_clear) struct buf doc = BUF_INIT;

	wrap(&k, 1, &doc);
	for (size_t n = 0; n < doc.n; n++) {
		/* Its own memory, so that a sanitizer sees any look past the end. */
		uint8_t *cut = malloc(n + 1);
		struct signed_doc d;
		int rc;

		memcpy(cut, doc.p, n);
		cut = realloc(cut, n > 0 ? n : 1);
		rc = signed_split((struct bytes){cut, n}, 1, &d, ERR_IGNORED);
		cr_expect_eq(rc, n < HEAD ? RC_MALFORMED : 0, "%zu bytes", n);
		cr_expect(rc < 0 || !signed_by(&d, &public), "%zu bytes", n);
		free(cut);
	}
}

Test(signed, every_other_encoding_is_refused)
{
	static const struct {
		const char *descr, *comment, *algorithm, *after;
	} cases[] = {
	    {"blank in the comment", "untrusted comment: satchel  signed document\n", "RW", "\n"},
	    {"signify's comment", "untrusted comment: verify with key.pub\n", "RW", "\n"},
	    {"minisign's comment", "untrusted comment: signature from minisign secret key\n", "RW",
	     "\n"},
	    {"upper case", "untrusted comment: Satchel signed document\n", "RW", "\n"},
	    {"CR after the comment", "untrusted comment: satchel signed document\r\n", "RW", "\n"},
	    {"CR after the signature", COMMENT, "RW", "\r\n"},
	    {"blank after the signature", COMMENT, "RW", " \n"},
	    {"no line end after the signature", COMMENT, "RW", ""},
	    {"byte order mark", "\xef\xbb\xbf" COMMENT, "RW", "\n"},
	    {"prehashed signature", COMMENT, "RU", "\n"},
	    {"another algorithm", COMMENT, "AA", "\n"},
	};
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	const char *line;

	wrap(&k, 1, &doc);
	line = (const char *)doc.p + sizeof(COMMENT) - 1;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		OWNED(buf_clear) struct buf b = BUF_INIT;
		struct signed_doc d;
		struct err err = {0};

		cr_assert_eq(buf_printf(&b, ERR_IGNORED, "%s%s%.98s%s" INNER, cases[i].comment,
					cases[i].algorithm, line + 2, cases[i].after),
			     0);
		cr_expect_eq(signed_split(bytes_in(&b), 8, &d, &err), RC_MALFORMED, "%s",
			     cases[i].descr);
		cr_expect(err.text[0] != '\0');
	}
}

Test(signed, bits_that_base64_leaves_over_must_be_zero)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct signed_doc d;
	char *last;

	wrap(&k, 1, &doc);
	last = (char *)doc.p + HEAD - 3; /* before "=\n" */
	cr_assert_eq(last[1], '=');
	for (const char *c = "BCDFGHJKLNOPRSTVWXZabdefhijlmnpqrtuvxyz123567+/"; *c != '\0'; c++) {
		char was = *last;

		*last = *c;
		cr_expect_eq(signed_split(bytes_in(&doc), 1, &d, ERR_IGNORED), RC_MALFORMED, "%c",
			     *c);
		*last = was;
	}
}

Test(signed, layers_cover_what_is_inside_and_end_at_the_limit)
{
	struct key_secret *k[9];
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(buf_clear) struct buf more = BUF_INIT;
	struct digest inner = digest_of(bytes_of(INNER));
	struct signed_doc d;
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(k); i++)
		k[i] = make_key(KEY_SIGN);
	wrap(k, 8, &doc);
	cr_assert_eq(signed_split(bytes_in(&doc), 8, &d, &err), 0, "%s", err.text);
	cr_expect_eq(d.layers, 8);
	cr_expect(digest_equal(&d.identity, &inner));
	for (size_t i = 0; i < 8; i++) {
		struct key_public public = key_public_of(k[i]);

		cr_expect(signed_by(&d, &public), "layer %zu", i);
		cr_expect_eq(d.layer[7 - i].number, public.number);
	}
	cr_expect_eq(signed_split(bytes_in(&doc), 7, &d, &err), RC_LIMIT);
	cr_expect(strstr(err.text, "7 signatures") != NULL, "%s", err.text);
	cr_expect_eq(signed_split(bytes_in(&doc), 1, &d, &err), RC_LIMIT);
	cr_expect_eq(signed_split(bytes_in(&doc), 0, &d, &err), RC_LIMIT);
	cr_expect_eq(signed_make(k[8], bytes_in(&doc), &more, &err), RC_LIMIT);
	cr_expect_eq(more.n, 0, "nothing that no reader takes is made");
	for (size_t i = 0; i < ARRAY_LEN(k); i++)
		key_free(k[i]);
}

Test(signed, more_layers_than_a_reader_has_room_for_are_refused)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(buf_clear) struct buf one = BUF_INIT;
	OWNED(buf_clear) struct buf many = BUF_INIT;
	struct signed_doc d;

	wrap(&k, 1, &one);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(buf_add(&many, one.p, HEAD, ERR_IGNORED), 0);
	cr_assert_eq(buf_text(&many, INNER, ERR_IGNORED), 0);
	cr_expect_eq(signed_split(bytes_in(&many), SIZE_MAX, &d, ERR_IGNORED), RC_LIMIT);
}

/* Flip a bit in the signature of the layer that begins at ${layer}; a second call flips it back. */
static void alter(uint8_t *layer)
{
	static const char letters[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *letter = (char *)layer + sizeof(COMMENT) - 1 + 50;

	*letter = letters[(strchr(letters, *letter) - letters) ^ 1];
}

Test(signed, a_bad_layer_spoils_only_itself)
{
	struct key_secret *k[3] = {make_key(KEY_SIGN), make_key(KEY_SIGN), make_key(KEY_SIGN)};
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct signed_doc d;
	struct key_public public[3];

	wrap(k, 3, &doc);
	for (size_t i = 0; i < 3; i++)
	public[i] = key_public_of(k[i]);
	alter(doc.p); /* the outermost signature */
	cr_assert_eq(signed_split(bytes_in(&doc), 8, &d, ERR_IGNORED), 0);
	cr_expect_not(signed_by(&d, &public[2]));
	cr_expect(signed_by(&d, &public[1]));
	cr_expect(signed_by(&d, &public[0]));
	alter(doc.p);
	alter(doc.p + HEAD); /* the middle one: the outer covers it */
	cr_assert_eq(signed_split(bytes_in(&doc), 8, &d, ERR_IGNORED), 0);
	cr_expect_not(signed_by(&d, &public[2]));
	cr_expect_not(signed_by(&d, &public[1]));
	cr_expect(signed_by(&d, &public[0]));
	for (size_t i = 0; i < 3; i++)
		key_free(k[i]);
}

Test(signed, the_first_line_is_the_whole_type)
{
	cr_expect(signed_type(bytes_of("satchel: head/1\n"), "head/1"));
	cr_expect(signed_type(bytes_of("satchel: head/1\nx"), "head/1"));
	cr_expect_not(signed_type(bytes_of("satchel: head/1"), "head/1"), "no line end");
	cr_expect_not(signed_type(bytes_of("satchel: head/10\n"), "head/1"));
	cr_expect_not(signed_type(bytes_of("satchel: head/1 \n"), "head/1"));
	cr_expect_not(signed_type(bytes_of("satchel: head/1\r\n"), "head/1"));
	cr_expect_not(signed_type(bytes_of("satchel:  head/1\n"), "head/1"));
	cr_expect_not(signed_type(bytes_of("satchel: beat/1\n"), "head/1"));
	cr_expect_not(signed_type(bytes_of("satchel: "), "head/1"));
	cr_expect_not(signed_type(bytes_of(""), "head/1"));
}

Test(signed, a_signature_of_another_text_or_key_is_not_imported)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SIGN);
	OWNED(key_freep) struct key_secret *other = make_key(KEY_SIGN);
	struct key_public public = key_public_of(k), public_other = key_public_of(other);
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(buf_clear) struct buf ret = BUF_INIT;
	struct err err = {0};
	struct bytes minisig;

	wrap(&k, 1, &doc);
	minisig = (struct bytes){doc.p, HEAD}; /* the first two lines are a signature file */
	cr_expect_eq(signed_import(bytes_of(INNER "x"), minisig, &public, &ret, &err),
		     RC_UNTRUSTED);
	cr_expect(strstr(err.text, "another file") != NULL, "%s", err.text);
	cr_expect_eq(signed_import(bytes_of(INNER), minisig, &public_other, &ret, &err),
		     RC_UNTRUSTED);
	cr_expect(strstr(err.text, ", not by key ") != NULL, "%s", err.text);
	public_other.number = public.number;
	cr_expect_eq(signed_import(bytes_of(INNER), minisig, &public_other, &ret, &err),
		     RC_UNTRUSTED, "a number proves nothing");
	for (size_t n = 0; n < HEAD; n++)
		cr_expect_eq(
		    signed_import(bytes_of(INNER), (struct bytes){doc.p, n}, &public, &ret, &err),
		    RC_MALFORMED, "%zu bytes", n);
	cr_expect_eq(ret.n, 0);
	cr_assert_eq(signed_import(bytes_of(INNER), minisig, &public, &ret, &err), 0);
	cr_expect(bytes_equal(bytes_in(&ret), bytes_in(&doc)), "the same as signing here");
}

Test(signed, sealed_documents_name_their_recipient_and_open_for_it_only)
{
	OWNED(key_freep) struct key_secret *k = make_key(KEY_SEAL);
	OWNED(key_freep) struct key_secret *other = make_key(KEY_SEAL);
	struct key_public public = key_public_of(k);
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	OWNED(buf_clear) struct buf open = BUF_INIT;
	char id[17], expected[17];
	struct err err = {0};

	key_seal_id(expected, &public);
	cr_assert_eq(sealed_make(&public, bytes_of("doc"), &sealed, &err), 0);
	cr_expect(bytes_start(bytes_in(&sealed), "satchel-sealed/1 "));
	cr_expect(sealed_recipient(bytes_in(&sealed), id));
	cr_expect_str_eq(id, expected);
	cr_expect_eq(sealed_open(other, bytes_in(&sealed), &open, &err), RC_ADDRESSEE);
	cr_expect(strstr(err.text, expected) != NULL, "%s", err.text);
	for (size_t i = 0; i < sealed.n; i++) {
		sealed.p[i] ^= 1;
		cr_expect_lt(sealed_open(k, bytes_in(&sealed), &open, &err), 0, "byte %zu", i);
		sealed.p[i] ^= 1;
	}
	for (size_t n = 0; n < sealed.n; n++)
		cr_expect_lt(sealed_open(k, (struct bytes){sealed.p, n}, &open, &err), 0);
	cr_expect_eq(open.n, 0);
	cr_assert_eq(sealed_open(k, bytes_in(&sealed), &open, &err), 0);
	cr_expect_str_eq((char *)open.p, "doc");
}

Test(signed, a_first_line_of_a_sealed_document_has_one_form)
{
	char id[17];

	cr_expect(sealed_recipient(bytes_of("satchel-sealed/1 0123456789abcdef\n"), id));
	cr_expect_str_eq(id, "0123456789abcdef");
	cr_expect_not(sealed_recipient(bytes_of("satchel-sealed/1 0123456789abcdef"), id));
	cr_expect_not(sealed_recipient(bytes_of("satchel-sealed/1 0123456789ABCDEF\n"), id));
	cr_expect_not(sealed_recipient(bytes_of("satchel-sealed/1 0123456789abcdefg\n"), id));
	cr_expect_not(sealed_recipient(bytes_of("satchel-sealed/1 0123456789abcde\n"), id));
	cr_expect_not(sealed_recipient(bytes_of("satchel-sealed/2 0123456789abcdef\n"), id));
	cr_expect_not(sealed_recipient(bytes_of("satchel-sealed/1 0123456789abcdef\r\n"), id));
	cr_expect_not(sealed_recipient(bytes_of(""), id));
}
