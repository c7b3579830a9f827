/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

#include "bundler/site/site.h"
#include "bundler/trust/site_keys.h"
#include "bundler/trust/trust_change.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "tests/support/server.h"

TestSuite(trustops, .init = server_make, .fini = server_teardown);

static size_t keys_in(const struct trust *t, enum role role, enum key_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < t->keys; i++)
		n += t->key[i].state == state && (t->key[i].roles & 1u << role) != 0;
	return n;
}

/* reopened(s): what another process sees. */
static struct site *reopened(struct site *s)
{
	site_free(s);
	return server_open(0);
}

Test(trustops, rotates_an_online_key_and_everybody_can_follow)
{
	struct site *s OWNED(site_freep) = server_open(0);
	OWNED(key_freep) struct key_secret *was = NULL, *is = NULL;
	struct key_public a, b;
	struct err err = {0};

	must(site_key(s, ROLE_PUBLISH, &was, &err));
	cr_assert_eq(trust_change_rotate(s, ROLE_PUBLISH, KEY_RETIRED, NULL, &err), 1, "%s",
		     err.text);
	s = reopened(s);
	cr_assert_eq(s->trust.version, 2);
	cr_assert(digest_equal(&s->trust.site, &s->id));
	cr_assert_eq(keys_in(&s->trust, ROLE_PUBLISH, KEY_CURRENT), 1);
	cr_assert_eq(keys_in(&s->trust, ROLE_PUBLISH, KEY_RETIRED), 1);
	must(site_key(s, ROLE_PUBLISH, &is, &err));
	a = key_public_of(was);
	b = key_public_of(is);
	cr_assert_not(key_same(&a, &b));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM outbox WHERE posted = 0 AND path GLOB"
				      " 'trust/2-*'"),
		     1);
	cr_assert_eq(trust_change_rotate(s, ROLE_PUBLISH, KEY_REVOKED, NULL, &err), 1, "%s",
		     err.text);
	cr_assert_eq(keys_in(&s->trust, ROLE_PUBLISH, KEY_REVOKED), 1);
	cr_assert_eq(keys_in(&s->trust, ROLE_PUBLISH, KEY_CURRENT), 1);
}

Test(trustops, rotates_collect_and_root_keys)
{
	struct site *s OWNED(site_freep) = server_open(0);
	OWNED(key_freep) struct key_secret *k = NULL;
	struct key_public pub;
	struct err err = {0};

	cr_assert_eq(trust_change_rotate(s, ROLE_COLLECT, KEY_RETIRED, NULL, &err), 1, "%s",
		     err.text);
	must(site_key(s, ROLE_COLLECT, &k, &err));
	pub = key_public_of(k);
	cr_assert(key_same(&pub, trust_collect(&s->trust)));
	cr_assert_eq(trust_change_rotate(s, ROLE_ROOT, KEY_REVOKED, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_renew(s, 30, NULL, &err), 1, "the new root key signs: %s",
		     err.text);
	s = reopened(s);
	cr_assert_eq(s->trust.version, 4);
	cr_assert_eq(s->trust.expires, SERVER_NOW + 30 * 86400);
}

Test(trustops, raises_an_epoch_of_what_counts_and_of_nothing_else)
{
	struct site *s OWNED(site_freep) = server_open(0);
	struct err err = {0};

	cr_assert_eq(trust_change_epoch(s, ROLE_BEAT, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(s->trust.epoch[ROLE_BEAT], 2);
	cr_assert_eq(s->trust.epoch[ROLE_PUBLISH], 1);
	cr_assert_eq(trust_change_epoch(s, ROLE_ROOT, NULL, &err), RC_USAGE);
	cr_assert_eq(s->trust.version, 2);
}

Test(trustops, refuses_thresholds_that_nobody_could_reach)
{
	struct site *s OWNED(site_freep) = server_open(0);
	struct err err = {0};

	cr_assert_lt(trust_change_threshold(s, ROLE_PUBLISH, 2, NULL, &err), 0);
	cr_assert_lt(trust_change_threshold(s, ROLE_PUBLISH, 0, NULL, &err), 0);
	cr_assert_eq(s->trust.version, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM trust_pending"), 0);
}

Test(trustops, retires_one_key_by_its_number)
{
	struct site *s OWNED(site_freep) = server_open(0);
	char number[KEY_NUMBER_TEXT + 1];
	struct err err = {0};

	key_number_text(number, &s->trust.key[ROLE_BEAT].key);
	cr_assert_eq(trust_change_end(s, "0000000000000000", KEY_REVOKED, NULL, &err), RC_USAGE);
	cr_assert_lt(trust_change_end(s, number, KEY_REVOKED, NULL, &err), 0,
		     "the role would be left without a key");
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_RETIRED, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_end(s, number, KEY_REVOKED, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(keys_in(&s->trust, ROLE_BEAT, KEY_REVOKED), 1);
}

/* minisign prints a number without its leading zeros: one of sixteen keys has such a number. */
Test(trustops, retires_a_key_by_its_number_as_minisign_prints_it)
{
	struct site *s OWNED(site_freep) = server_open(0);
	char number[KEY_NUMBER_TEXT + 1] = "0";
	struct err err = {0};

	for (unsigned i = 0; number[0] != '0' || number[1] == '\0'; i++) {
		cr_assert_lt(i, 400U, "no key number began with zero");
		cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_REVOKED, NULL, &err), 1, "%s",
			     err.text);
		key_number_text(number, &s->trust.key[s->trust.keys - 1].key);
	}
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_RETIRED, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_end(s, number + strspn(number, "0"), KEY_REVOKED, NULL, &err), 1,
		     "%s", err.text);
}

Test(trustops, rotates_no_publish_key_onto_the_server_in_the_place_of_those_elsewhere)
{
	struct site *s OWNED(site_freep) = server_open(0);
	OWNED(key_freep) struct key_secret *k = NULL;
	struct key_public pub;
	struct err err = {0};

	must(key_generate(KEY_SIGN, &k, &err));
	pub = key_public_of(k);
	cr_assert_eq(trust_change_publish(s, &pub, "lab-*", NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_rotate(s, ROLE_PUBLISH, KEY_RETIRED, NULL, &err), RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "trust add-publish"), "%s", err.text);
	cr_assert_eq(s->trust.version, 2);
	cr_assert_eq(scratch_run(dir, "test ! -e site.state/keys/publish-3.key"), 0);
	cr_assert_eq(trust_change_rotate(s, ROLE_PRIVATE, KEY_RETIRED, NULL, &err), 1, "%s",
		     err.text);
}

Test(trustops, makes_no_revoked_key_a_retired_one)
{
	struct site *s OWNED(site_freep) = server_open(0);
	char number[KEY_NUMBER_TEXT + 1];
	struct err err = {0};

	key_number_text(number, &s->trust.key[ROLE_BEAT].key);
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_REVOKED, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_end(s, number, KEY_RETIRED, NULL, &err), RC_CONFLICT);
	cr_assert_not_null(strstr(err.text, "revoked already"), "%s", err.text);
	cr_assert_eq(trust_change_end(s, number, KEY_REVOKED, NULL, &err), RC_CONFLICT);
	cr_assert_eq(s->trust.version, 2);
}

Test(trustops, takes_a_key_that_an_interrupted_rotation_left)
{
	struct site *s OWNED(site_freep) = server_open(0);
	struct err err = {0};

	/* What is on the disk when the run dies before its commit. */
	cr_assert_eq(scratch_run(dir, "cp -a site.state before"), 0);
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_RETIRED, NULL, &err), 1, "%s", err.text);
	s = site_free(s);
	cr_assert_eq(scratch_run(dir, "cp -a site.state/keys/beat-2.key before/keys/; cp "
				      "before/keys/beat-2.key key; rm -rf site.state; mv before "
				      "site.state"),
		     0);
	s = server_open(0);
	cr_assert_eq(s->trust.version, 1);
	cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_RETIRED, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(scratch_run(dir, "cmp key site.state/keys/beat-2.key"), 0);
}

Test(trustops, a_key_that_an_interrupted_rotation_left_hinders_nobody)
{
	struct site *s OWNED(site_freep) = server_open(0);
	OWNED(key_freep) struct key_secret *k = NULL;
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "cd site.state/keys && cp beat.key beat-2.key && cp "
				      "root.key root-2.key && cp publish.key publish-2.key"),
		     0);
	cr_assert_eq(site_key(s, ROLE_BEAT, &k, &err), 0, "%s", err.text);
	cr_assert_eq(site_keys_elsewhere(s, ROLE_PUBLISH, &err), 0, "%s", err.text);
	cr_assert_eq(trust_change_rotate(s, ROLE_COLLECT, KEY_RETIRED, NULL, &err), 1, "%s",
		     err.text);
}

Test(trustops, never_runs_out_of_room_for_keys)
{
	struct site *s OWNED(site_freep) = server_open(0);
	struct err err = {0};

	for (int i = 0; i < 70; i++)
		cr_assert_eq(trust_change_rotate(s, ROLE_BEAT, KEY_RETIRED, NULL, &err), 1,
			     "%d: %s", i, err.text);
	s = reopened(s);
	cr_assert_eq(s->trust.version, 71);
	cr_assert_leq(s->trust.keys, LIMIT_KEYS);
}

/* sign_by(name, k, pending, ret): what minisign -S -l would hand over, made with our own primitive:
 * the interoperability of signed_import with the real program is tested with signed documents. */
static void minisig_of(const struct key_secret *k, struct bytes message, struct buf *ret)
{
	uint8_t line[74], global[64], sig[64];
	char text[BASE64_LEN(74) + 1];
	struct key_public pub = key_public_of(k);
	OWNED(buf_clear) struct buf both = BUF_INIT;
	struct err err = {0};

	must(key_sign(k, message, sig, &err));
	memcpy(line, "Ed", 2);
	put_u64(line + 2, pub.number);
	memcpy(line + 10, sig, 64);
	base64_encode(text, sizeof(text), line, sizeof(line));
	must(buf_printf(ret, &err, "untrusted comment: x\n%s\ntrusted comment: y\n", text));
	must(buf_add(&both, sig, 64, &err));
	must(buf_text(&both, "y", &err));
	must(key_sign(k, bytes_in(&both), global, &err));
	base64_encode(text, sizeof(text), global, sizeof(global));
	must(buf_printf(ret, &err, "%s\n", text));
}

static void import(struct site *s, const struct key_secret *k, int expected)
{
	OWNED(buf_clear) struct buf pending = BUF_INIT;
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	struct key_public pub = key_public_of(k);
	struct err err = {0};
	int rc;

	cr_assert_eq(trust_change_pending(s, &pending, &err), 1);
	minisig_of(k, bytes_in(&pending), &sig);
	rc = trust_change_import(s, bytes_in(&sig), &pub, &err);
	cr_assert_eq(rc, expected, "%d, expected %d: %s", rc, expected, err.text);
}

Test(trustops, waits_for_root_keys_that_are_kept_elsewhere)
{
	struct site *s OWNED(site_freep) = server_open(0);
	OWNED(key_freep) struct key_secret *root = NULL, *second = NULL, *stranger = NULL;
	OWNED(buf_clear) struct buf pending = BUF_INIT;
	struct key_public pub;
	struct err err = {0};

	must(site_key(s, ROLE_ROOT, &root, &err));
	must(key_generate(KEY_SIGN, &second, &err));
	must(key_generate(KEY_SIGN, &stranger, &err));
	pub = key_public_of(second);
	cr_assert_eq(trust_change_root(s, &pub, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(scratch_run(dir, "mkdir vault; mv site.state/keys/root.* vault"), 0);
	cr_assert_eq(trust_change_pending(s, &pending, &err), 0);
	cr_assert_eq(trust_change_threshold(s, ROLE_ROOT, 2, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(s->trust.version, 2, "nothing is in force yet");
	s = reopened(s);
	cr_assert_eq(s->trust.version, 2);
	cr_assert_eq(trust_change_epoch(s, ROLE_BEAT, NULL, &err), RC_CONFLICT, "one at a time");
	import(s, stranger, RC_UNTRUSTED);
	import(s, second, 0);
	import(s, second, 0);
	cr_assert_eq(s->trust.version, 2, "one key twice is one key");
	import(s, root, 1);
	s = reopened(s);
	cr_assert_eq(s->trust.version, 3);
	cr_assert_eq(s->trust.threshold[ROLE_ROOT], 2);
	cr_assert_eq(trust_change_pending(s, &pending, &err), 0);
}

Test(trustops, forgets_a_version_that_waits)
{
	struct site *s OWNED(site_freep) = server_open(0);
	OWNED(buf_clear) struct buf pending = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "mkdir vault; mv site.state/keys/root.* vault"), 0);
	cr_assert_eq(trust_change_epoch(s, ROLE_BEAT, NULL, &err), 0);
	cr_assert_eq(trust_change_drop(s, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_drop(s, &err), 0, "nothing waits any more");
	cr_assert_eq(trust_change_pending(s, &pending, &err), 0);
	cr_assert_eq(scratch_run(dir, "mv vault/root.* site.state/keys"), 0);
	cr_assert_eq(trust_change_epoch(s, ROLE_PUBLISH, NULL, &err), 1, "%s", err.text);
	cr_assert_eq(s->trust.epoch[ROLE_BEAT], 1);
}
