/* SPDX-License-Identifier: ISC */
/*
 * The real signify-openbsd and minisign against ours, in both directions.  A machine that lacks one
 * of them skips these tests and says so.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/durable.h"
#include "core/trust/signed.h"
#include "tests/support/scratch.h"

#define INNER "satchel: trust/1\nname: Acme\n"

TestSuite(signify, .init = scratch_setup, .fini = scratch_teardown);
TestSuite(minisign, .init = scratch_setup, .fini = scratch_teardown);

static void need(const char *program)
{
	char text[128];

	snprintf(text, sizeof(text), "command -v %s > /dev/null", program);
	if (scratch_run(scratch, text) != 0)
		cr_skip_test("%s is not installed", program);
}

static int run(const char *command)
{
	char text[1024];

	snprintf(text, sizeof(text), "{ %s ;} > log 2>&1 < /dev/null", command);
	return scratch_run(scratch, text);
}

static struct key_secret *make_key(void)
{
	struct key_secret *k = NULL;

	cr_assert_eq(key_generate(KEY_SIGN, &k, ERR_IGNORED), 0);
	return k;
}

static void put(const char *name, struct bytes content)
{
	struct err err;

	cr_assert_eq(durable_write(scratch_fd, name, content, 0600, DURABLE_REPLACE, &err), 0, "%s",
		     err.text);
}

static void get(const char *name, struct buf *ret)
{
	struct err err;

	cr_assert_eq(file_read(scratch_fd, name, 1 << 20, ret, &err), 0, "%s", err.text);
}

static void put_public(const char *name, const struct key_secret *k)
{
	struct key_public public = key_public_of(k);
	OWNED(buf_clear) struct buf text = BUF_INIT;

	cr_assert_eq(key_public_text(&public, &text, ERR_IGNORED), 0);
	put(name, bytes_in(&text));
}

static struct key_public get_public(const char *name)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct key_public public;
	struct err err;

	get(name, &text);
	cr_assert_eq(key_public_parse(bytes_in(&text), &public, &err), 0, "%s", err.text);
	return public;
}

/* signify's secret key file without passphrase: "Ed", "BK", no rounds, salt, SHA-512, number, key.
 */
static void put_signify_secret(const char *name, struct key_secret *k)
{
	OWNED(buf_wipe) struct buf text = BUF_INIT;
	uint8_t minisign[158], raw[104] = {'E', 'd', 'B', 'K'}, sum[64];
	char line[141];
	size_t n;

	cr_assert_eq(key_write(scratch_fd, "as-minisign.key", k, ERR_IGNORED), 0);
	get("as-minisign.key", &text);
	cr_assert_eq(base64_decode(minisign, sizeof(minisign), &n, strchr((char *)text.p, '\n') + 1,
				   212, ERR_IGNORED),
		     0);
	memcpy(raw + 32, minisign + 54, 8 + 64);
	crypto_hash_sha512(sum, raw + 40, 64);
	memcpy(raw + 24, sum, 8);
	base64_encode(line, sizeof(line), raw, sizeof(raw));
	buf_reset(&text);
	cr_assert_eq(buf_printf(&text, ERR_IGNORED, "untrusted comment: ours\n%s\n", line), 0);
	put(name, bytes_in(&text));
}

Test(signify, verifies_our_documents_and_refuses_altered_ones)
{
	OWNED(key_freep) struct key_secret *k = make_key();
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(buf_clear) struct buf out = BUF_INIT;

	need("signify-openbsd");
	cr_assert_eq(signed_make(k, bytes_of(INNER), &doc, ERR_IGNORED), 0);
	put("doc", bytes_in(&doc));
	put_public("ours.pub", k);
	cr_expect_eq(run("signify-openbsd -V -e -p ours.pub -x doc -m out"), 0);
	get("out", &out);
	cr_expect(bytes_equal(bytes_in(&out), bytes_of(INNER)));
	doc.p[doc.n - 2] ^= 1;
	put("doc", bytes_in(&doc));
	cr_expect_neq(run("signify-openbsd -V -e -p ours.pub -x doc -m out2"), 0);
}

Test(signify, takes_layers_off_one_by_one)
{
	OWNED(key_freep) struct key_secret *k = make_key();
	OWNED(key_freep) struct key_secret *l = make_key();
	OWNED(buf_clear) struct buf inside = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(buf_clear) struct buf out = BUF_INIT;

	need("signify-openbsd");
	cr_assert_eq(signed_make(k, bytes_of(INNER), &inside, ERR_IGNORED), 0);
	cr_assert_eq(signed_make(l, bytes_in(&inside), &doc, ERR_IGNORED), 0);
	put("doc", bytes_in(&doc));
	put_public("k.pub", k);
	put_public("l.pub", l);
	cr_expect_eq(run("signify-openbsd -V -e -p l.pub -x doc -m out &&"
			 "signify-openbsd -V -e -p k.pub -x out -m inner"),
		     0);
	get("inner", &out);
	cr_expect(bytes_equal(bytes_in(&out), bytes_of(INNER)));
}

Test(signify, signs_with_our_key_what_we_would_sign_but_for_its_comment)
{
	OWNED(key_freep) struct key_secret *k = make_key();
	OWNED(buf_clear) struct buf ours = BUF_INIT;
	OWNED(buf_clear) struct buf theirs = BUF_INIT;
	struct signed_doc d;
	const char *rest, *rest_ours;

	need("signify-openbsd");
	put_signify_secret("ours.sec", k);
	put("doc", bytes_of(INNER));
	cr_assert_eq(run("signify-openbsd -S -e -s ours.sec -m doc -x doc.sig"), 0);
	get("doc.sig", &theirs);
	cr_assert_eq(signed_make(k, bytes_of(INNER), &ours, ERR_IGNORED), 0);
	rest = strchr((char *)theirs.p, '\n');
	rest_ours = strchr((char *)ours.p, '\n');
	cr_expect_str_eq(rest, rest_ours);
	cr_expect_eq(signed_split(bytes_in(&theirs), 1, &d, ERR_IGNORED), RC_MALFORMED,
		     "its comment is another encoding");
}

Test(signify, its_public_keys_and_detached_signatures_are_taken)
{
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct key_public public;
	struct signed_doc d;
	struct err err = {0};

	need("signify-openbsd");
	put("doc", bytes_of(INNER));
	cr_assert_eq(run("signify-openbsd -G -n -p s.pub -s s.sec &&"
			 "signify-openbsd -S -s s.sec -m doc -x doc.sig"),
		     0);
	public = get_public("s.pub");
	get("doc.sig", &sig);
	cr_assert_eq(signed_import(bytes_of(INNER), bytes_in(&sig), &public, &doc, &err), 0, "%s",
		     err.text);
	cr_assert_eq(signed_split(bytes_in(&doc), 1, &d, &err), 0, "%s", err.text);
	cr_expect(signed_by(&d, &public));
	put("imported", bytes_in(&doc));
	cr_expect_eq(run("signify-openbsd -V -e -p s.pub -x imported -m out"), 0);
}

Test(signify, verifies_signatures_that_we_put_into_a_file_of_their_own)
{
	OWNED(key_freep) struct key_secret *k = make_key();
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct key_public public = key_public_of(k);
	struct err err = {0};

	need("signify-openbsd");
	cr_assert_eq(signed_apart(k, bytes_of(INNER), &sig, &err), 0, "%s", err.text);
	put("sig", bytes_in(&sig));
	put("doc", bytes_of(INNER));
	put_public("ours.pub", k);
	cr_expect_eq(run("signify-openbsd -V -p ours.pub -x sig -m doc"), 0);
	cr_expect_eq(signed_import(bytes_of(INNER), bytes_in(&sig), &public, &doc, &err), 0, "%s",
		     err.text);
	put("doc", bytes_of(INNER "x"));
	cr_expect_neq(run("signify-openbsd -V -p ours.pub -x sig -m doc"), 0);
}

Test(signify, its_secret_keys_are_refused_with_a_reason)
{
	struct key_secret *k = NULL;
	struct err err = {0};

	need("signify-openbsd");
	cr_assert_eq(run("signify-openbsd -G -n -p s.pub -s s.sec && chmod 600 s.sec"), 0);
	cr_expect_eq(key_read(scratch_fd, "s.sec", NULL, &k, &err), RC_MALFORMED);
	cr_expect(strstr(err.text, "minisign") != NULL, "%s", err.text);
}

Test(minisign, its_keys_without_passphrase_are_ours)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	struct key_public public, file;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char number[KEY_NUMBER_TEXT + 1];
	struct err err = {0};

	need("minisign");
	cr_assert_eq(run("minisign -G -W -p m.pub -s m.key && chmod 600 m.key"), 0);
	cr_assert_eq(key_read(scratch_fd, "m.key", NULL, &k, &err), 0, "%s", err.text);
	public = key_public_of(k);
	file = get_public("m.pub");
	cr_expect(key_same(&public, &file));
	cr_expect_eq(public.number, file.number);
	/* minisign writes the number without leading zeros. */
	key_number_text(number, &public);
	get("m.pub", &text);
	cr_expect(strstr((char *)text.p, number + strspn(number, "0")) != NULL, "%s", text.p);
}

Test(minisign, signs_with_our_secret_key_and_the_signature_is_imported)
{
	OWNED(key_freep) struct key_secret *k = make_key();
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	OWNED(buf_clear) struct buf ours = BUF_INIT;
	struct key_public public = key_public_of(k);
	struct err err = {0};

	need("minisign");
	cr_assert_eq(key_write(scratch_fd, "ours.key", k, &err), 0, "%s", err.text);
	put_public("ours.pub", k);
	put("doc", bytes_of(INNER));
	cr_assert_eq(run("minisign -S -l -W -s ours.key -m doc -x doc.minisig"), 0);
	cr_expect_eq(run("minisign -V -p ours.pub -m doc -x doc.minisig"), 0);
	get("doc.minisig", &sig);
	cr_assert_eq(signed_import(bytes_of(INNER), bytes_in(&sig), &public, &doc, &err), 0, "%s",
		     err.text);
	cr_assert_eq(signed_make(k, bytes_of(INNER), &ours, ERR_IGNORED), 0);
	cr_expect(bytes_equal(bytes_in(&doc), bytes_in(&ours)));
}

Test(minisign, prehashed_signatures_are_refused_with_the_remedy)
{
	OWNED(key_freep) struct key_secret *k = make_key();
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	OWNED(buf_clear) struct buf doc = BUF_INIT;
	struct key_public public = key_public_of(k);
	struct err err = {0};

	need("minisign");
	cr_assert_eq(key_write(scratch_fd, "ours.key", k, &err), 0);
	put("doc", bytes_of(INNER));
	cr_assert_eq(run("minisign -S -H -W -s ours.key -m doc -x doc.minisig"), 0);
	get("doc.minisig", &sig);
	cr_expect_eq(signed_import(bytes_of(INNER), bytes_in(&sig), &public, &doc, &err),
		     RC_MALFORMED);
	cr_expect(strstr(err.text, "minisign -S -l") != NULL, "%s", err.text);
}

struct asker {
	struct key_ask ask;
	const char *passphrase;
};

static int answer(struct key_ask *ask, const char *what, char *dst, size_t size, struct err *err)
{
	snprintf(dst, size, "%s", ((struct asker *)ask)->passphrase);
	return strcmp(what, "m.key") == 0 ? 0 : err_set(err, RC_INTERNAL, "asked for %s", what);
}

/* scrypt takes 1 GiB, in minisign and in ours. */
static bool memory_is_short(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned long long kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib < 3ull << 19;
}

Test(minisign, its_keys_with_passphrase_open_for_who_knows_it)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	struct asker right = {{answer}, "p\xc3\xa4ss word"};
	struct key_public public, file;
	struct err err = {0};

	need("minisign");
	if (memory_is_short())
		cr_skip_test("scrypt needs 1 GiB of memory, which are not free");
	cr_assert_eq(scratch_run(scratch,
				 "printf 'p\\303\\244ss word\\np\\303\\244ss word\\n' |"
				 "minisign -G -p m.pub -s m.key > log 2>&1; chmod 600 m.key"),
		     0);
	cr_assert_eq(key_read(scratch_fd, "m.key", &right.ask, &k, &err), 0, "%s", err.text);
	public = key_public_of(k);
	file = get_public("m.pub");
	cr_expect(key_same(&public, &file));
	cr_expect_eq(public.number, file.number);
	k = key_free(k);
	cr_expect_eq(key_read(scratch_fd, "m.key", NULL, &k, &err), RC_UNTRUSTED);
}
