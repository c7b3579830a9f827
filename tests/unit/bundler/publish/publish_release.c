/* SPDX-License-Identifier: ISC */

#include <criterion/criterion.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/site/site.h"
#include "bundler/trust/trust_change.h"
#include "core/format/documents/trusted.h"
#include "tests/support/published.h"

#define CHANNEL "office"

static struct key_secret *off; /* a publish key that is not on the server */
static struct key_public off_public;

static void sh(const char *command)
{
	cr_assert_eq(scratch_run(dir, command), 0, "%s", command);
}

static void published(struct site *s)
{
	struct err err = {0};

	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

/* A site with one channel of two generations, and a key elsewhere that it does not know yet. */
static void setup(void)
{
	struct err err = {0};
	OWNED(site_freep) struct site *s = NULL;

	server_make();
	s = server_open(SITE_LOCK);
	server_channel(s, CHANNEL, 2);
	sh("mkdir source; echo one > source/a");
	published(s);
	sh("echo two > source/a");
	published(s);
	must(key_generate(KEY_SIGN, &off, &err));
	off_public = key_public_of(off);
}

static void teardown(void)
{
	off = key_free(off);
	server_teardown();
}

TestSuite(release, .init = setup, .fini = teardown, .timeout = 120);

/* The number of the publish key that the site was made with. */
static void first_number(const struct site *s, char dst[KEY_NUMBER_TEXT + 1])
{
	for (size_t i = 0; i < s->trust.keys; i++)
		if (s->trust.key[i].roles == 1u << ROLE_PUBLISH &&
		    !key_same(&s->trust.key[i].key, &off_public))
			key_number_text(dst, &s->trust.key[i].key);
}

/* From now on only ${off} signs. */
static void key_leaves(struct site *s)
{
	char number[KEY_NUMBER_TEXT + 1] = "";
	struct err err = {0};

	cr_assert_eq(trust_change_publish(s, &off_public, "", NULL, &err), 1, "%s", err.text);
	first_number(s, number);
	cr_assert_eq(trust_change_end(s, number, KEY_RETIRED, NULL, &err), 1, "%s", err.text);
	sh("rm site.state/keys/publish.*");
}

/* The head that is in force is believed, with the trust of today; its generation. */
static uint64_t in_force(struct site *s)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	OWNED(release_clear) struct release r = {0};
	OWNED(head_clear) struct head h = {0};
	struct published_generation g;
	struct signed_doc doc;
	struct err err = {0};

	cr_assert_eq(published_latest(s->db, CHANNEL, &g, &err), 1);
	published_document(s, ROLE_PRIVATE, g.path, &file, &doc);
	return trusted_head(&s->trust, &doc, "head", &h, &r, &err) == 0 ? h.generation : 0;
}

static int waiting_take(void *arg, const struct published_release *r, struct err *err)
{
	return buf_add(arg, r->content.p, r->content.n, err);
}

static int imported(struct site *s, const struct key_secret *k, const struct key_public *pub,
		    struct release_state *ret, struct err *ret_err)
{
	OWNED(buf_clear) struct buf waits = BUF_INIT;
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	struct err err = {0};

	must(published_releases(s->db, waiting_take, &waits, &err));
	must(signed_apart(k, bytes_in(&waits), &sig, &err));
	return release_import(s, bytes_in(&sig), pub, ret, ret_err);
}

Test(release, names_the_trees_that_bundles_go_through)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(buf_clear) struct buf file = BUF_INIT;
	OWNED(release_clear) struct release r = {0};
	OWNED(head_clear) struct head h = {0};
	struct published_generation g;
	struct signed_doc doc;
	struct err err = {0};
	struct published_tree first;

	cr_assert_eq(published_latest(s->db, CHANNEL, &g, &err), 1);
	published_document(s, ROLE_PRIVATE, g.path, &file, &doc);
	must(trusted_head(&s->trust, &doc, "head", &h, &r, &err));
	cr_assert_eq(h.bundles, 2);
	cr_assert_eq(published_tree(s->db, CHANNEL, g.epoch, 1, &first, &err), 1);
	cr_expect(first.released);
	cr_expect(digest_equal(release_tree(&r, 2), &g.tree));
	cr_assert_not_null(release_tree(&r, 1));
	cr_expect(digest_equal(release_tree(&r, 1), &first.tree));
}

Test(release, a_new_publish_key_on_the_server_signs_anew_at_once)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(trust_change_rotate(s, ROLE_PUBLISH, KEY_RETIRED, NULL, &err), 1, "%s",
		     err.text);
	cr_assert_eq(in_force(s), 0, "a retired key vouches for nothing");
	published(s);
	cr_assert_eq(in_force(s), 2);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM release"), 0);
}

Test(release, without_the_key_a_generation_waits_and_the_one_before_stays)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct release_state state;
	struct err err = {0};

	key_leaves(s);
	published(s);
	cr_assert_eq(imported(s, off, &off_public, &state, &err), 0, "%s", err.text);
	cr_assert(state.released);
	cr_assert_eq(state.generation, 2);
	published(s);
	cr_assert_eq(in_force(s), 2);
	sh("echo three > source/a");
	published(s);
	cr_assert_eq(in_force(s), 2);
	published(s); /* and once more, with nothing new */
	cr_assert_eq(in_force(s), 2);
	sh("echo four > source/a");
	published(s);
	cr_assert_eq(imported(s, off, &off_public, &state, &err), 0, "%s", err.text);
	cr_assert_eq(state.generation, 4, "the newer one took the place");
	published(s);
	cr_assert_eq(in_force(s), 4);
	published_check(s, CHANNEL);
}

Test(release, takes_no_signature_that_does_not_count)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(key_freep) struct key_secret *other = NULL;
	OWNED(buf_clear) struct buf sig = BUF_INIT;
	struct key_public other_public;
	struct release_state state;
	struct err err = {0};

	must(key_generate(KEY_SIGN, &other, &err));
	other_public = key_public_of(other);
	must(signed_apart(off, bytes_of("satchel: release/1\n"), &sig, &err));
	cr_expect_eq(release_import(s, bytes_in(&sig), &off_public, &state, &err), RC_USAGE);
	cr_expect(strstr(err.text, "no release waits") != NULL, "%s", err.text);
	key_leaves(s);
	sh("echo three > source/a");
	published(s);
	cr_expect_eq(release_import(s, bytes_in(&sig), &off_public, &state, &err), RC_UNTRUSTED,
		     "over another text");
	cr_expect_eq(imported(s, other, &other_public, &state, &err), RC_UNTRUSTED);
	cr_expect(strstr(err.text, "not a current publish key") != NULL, "%s", err.text);
	cr_expect_eq(server_number(s, "SELECT layers FROM release"), 0);
	cr_expect_neq(in_force(s), 3);
}

Test(release, one_signature_of_two_waits_for_the_other_and_twice_the_same_is_one)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct release_state state;
	struct err err = {0};

	cr_assert_eq(trust_change_publish(s, &off_public, "", NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_threshold(s, ROLE_PUBLISH, 2, NULL, &err), 1, "%s", err.text);
	sh("echo three > source/a");
	published(s);
	cr_assert_eq(server_number(s, "SELECT layers FROM release"), 1,
		     "that of the key on the server");
	cr_assert_neq(in_force(s), 3);
	cr_assert_eq(imported(s, off, &off_public, &state, &err), 0, "%s", err.text);
	cr_assert(state.released);
	published(s);
	cr_assert_eq(in_force(s), 3);
	cr_assert_eq(trust_change_threshold(s, ROLE_PUBLISH, 3, NULL, &err), RC_MALFORMED);
}

Test(release, what_waits_is_released_by_a_lower_threshold)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(trust_change_publish(s, &off_public, "", NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_threshold(s, ROLE_PUBLISH, 2, NULL, &err), 1, "%s", err.text);
	sh("echo three > source/a");
	published(s);
	cr_assert_neq(in_force(s), 3);
	cr_assert_eq(trust_change_threshold(s, ROLE_PUBLISH, 1, NULL, &err), 1, "%s", err.text);
	published(s);
	cr_assert_eq(in_force(s), 3);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM release"), 0);
}

Test(release, a_key_for_other_channels_does_not_count)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char number[KEY_NUMBER_TEXT + 1] = "";
	struct release_state state;
	struct err err = {0};

	cr_assert_eq(trust_change_publish(s, &off_public, "lab-*", NULL, &err), 1, "%s", err.text);
	first_number(s, number);
	cr_assert_eq(trust_change_end(s, number, KEY_RETIRED, NULL, &err), 1, "%s", err.text);
	sh("echo three > source/a");
	published(s);
	cr_expect_eq(imported(s, off, &off_public, &state, &err), RC_UNTRUSTED);
	cr_expect(strstr(err.text, "may sign for lab-* only") != NULL, "%s", err.text);
	cr_expect_eq(server_number(s, "SELECT layers FROM release"), 0);
}

Test(release, content_stays_on_the_server_until_it_is_released)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct release_state state;
	struct err err = {0};

	key_leaves(s);
	sh("echo three > source/a");
	published(s);
	sh("test -z \"$(find depot -name '*-3-*.bundle')\"");
	cr_assert_eq(imported(s, off, &off_public, &state, &err), 0, "%s", err.text);
	published(s);
	sh("test -n \"$(find depot -name '*.2-3-*.bundle')\"");
}

Test(release, signatures_stay_when_the_same_generation_is_published_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(trust_change_publish(s, &off_public, "", NULL, &err), 1, "%s", err.text);
	cr_assert_eq(trust_change_threshold(s, ROLE_PUBLISH, 2, NULL, &err), 1, "%s", err.text);
	sh("echo three > source/a");
	published(s);
	cr_assert_eq(server_number(s, "SELECT layers FROM release"), 1);
	must(publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &err));
	cr_assert_eq(server_number(s, "SELECT layers FROM release"), 1);
	cr_assert_eq(server_number(s, "SELECT generation FROM release"), 3);
}

Test(release, a_key_with_a_passphrase_is_for_people_to_sign_with)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	/* Only the algorithm of the passphrase is looked at. */
	sh("f=site.state/keys/publish.key; chmod 600 $f; "
	   "{ head -n 1 $f; tail -n 1 $f | base64 -d | { head -c 2; printf Sc; tail -c +3; } | base64 -w 0; echo; }"
	   " > locked && chmod 400 locked && mv locked $f");
	sh("echo three > source/a");
	published(s);
	cr_assert_eq(in_force(s), 2);
	cr_assert_eq(server_number(s, "SELECT layers FROM release"), 0);
}

Test(release, what_waits_in_an_epoch_that_is_over_is_forgotten)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	key_leaves(s);
	sh("echo three > source/a");
	published(s);
	sh("mv source away");
	cr_assert_eq(trust_change_epoch(s, ROLE_PUBLISH, NULL, &err), 1, "%s", err.text);
	publish_site(s, NULL, 0, 0, NULL, NULL, &err);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM release"), 0);
}

Test(release, what_is_discarded_leaves_no_way_through_it)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct release_state state;
	uint64_t generation;
	struct err err = {0};

	key_leaves(s);
	published(s);
	cr_assert_eq(imported(s, off, &off_public, &state, &err), 0, "%s", err.text);
	sh("echo refused > source/a");
	published(s);
	must(release_discard(s, CHANNEL, &generation, &err));
	cr_assert_eq(generation, 3);
	cr_assert_eq(in_force(s), 2);
	cr_assert_eq(release_discard(s, CHANNEL, &generation, &err), RC_USAGE);
	sh("echo good > source/a");
	published(s);
	cr_assert_eq(imported(s, off, &off_public, &state, &err), 0, "%s", err.text);
	cr_assert_eq(state.generation, 4);
	published(s);
	cr_assert_eq(in_force(s), 4);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM bundle WHERE base = 3 OR generation = 3"), 0);
	published_check(s, CHANNEL);
}
