/* SPDX-License-Identifier: ISC */
/* Beats, and the shards that they name. */

#include <criterion/criterion.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/publish/publish.h"
#include "bundler/site/site.h"
#include "tests/support/channel.h"
#include "tests/support/machine.h"

TestSuite(beat, .init = source_make, .fini = server_teardown);

static int64_t beats(struct site *s)
{
	return server_number(s, "SELECT count(*) FROM outbox WHERE path GLOB 'beats/*'");
}

static void beat_load(struct site *s, struct beat *ret)
{
	OWNED(buf_clear) struct buf file = BUF_INIT;
	struct err err = {0};
	struct signed_doc doc;
	char path[DEPOT_NAME];

	published_path(s, "SELECT path FROM beat ORDER BY sequence DESC LIMIT 1", NULL, path);
	published_document(s, ROLE_BEAT, path, &file, &doc);
	must(beat_decode(doc.inner, ret, &err));
}

Test(beat, is_renewed_by_half_of_its_life_and_when_the_clock_was_set_back)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	int64_t half = (int64_t)s->beat_hours * 3600 / 2;
	struct beat b;

	run(s);
	cr_assert_eq(beats(s), 1);
	clock_set(SERVER_NOW + half - 1);
	run(s);
	cr_assert_eq(beats(s), 1);
	clock_set(SERVER_NOW + half);
	run(s);
	cr_assert_eq(beats(s), 2);
	beat_load(s, &b);
	cr_assert_eq(b.sequence, 2);
	cr_assert_eq(b.issued, SERVER_NOW + half);
	cr_assert_eq(b.expires, SERVER_NOW + half + 2 * half);
	clock_set(SERVER_NOW);
	run(s);
	cr_assert_eq(beats(s), 3);
	beat_load(s, &b);
	cr_assert_eq(b.issued, SERVER_NOW);
}

Test(beat, goes_on_while_a_mistake_in_a_document_keeps_what_is_new_back)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(site_freep) struct site *wrong = NULL;
	struct err err = {0};

	run(s);
	change("echo new > source/three; mkdir -p site/groups;"
	       " printf 'satchel: group/1\\nparent: nobody\\n' > site/groups/lab.yaml");
	s = site_free(s);
	wrong = server_open(SITE_LOCK);
	clock_set(SERVER_NOW + (int64_t)wrong->beat_hours * 3600);
	cr_expect_eq(publish_site(wrong, NULL, 0, 0, NULL, NULL, &err), RC_POLICY);
	cr_expect(strstr(err.text, "groups/lab.yaml") != NULL, "%s", err.text);
	cr_expect_eq(beats(wrong), 2, "what is current is still believed");
	cr_expect_eq(server_number(wrong, "SELECT max(generation) FROM generation"), 1);
	cr_expect_eq(server_number(wrong, "SELECT count(*) FROM outbox WHERE posted = 0"), 0);
}

/* Not a wrong name in one, but one that is no document at all. */
Test(beat, goes_on_with_what_was_published_while_a_document_cannot_be_read)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(site_freep) struct site *wrong = NULL;
	OWNED(site_freep) struct site *again = NULL;
	struct err err = {0};
	int64_t now;

	run(s);
	now = SERVER_NOW + (int64_t)s->beat_hours * 3600;
	change(
	    "echo new > source/three; cp -r site kept; echo 'fro: [all]' >> site/channels/" CHANNEL
	    ".yaml");
	s = site_free(s);
	cr_expect_eq(site_open(site_dir, SITE_LOCK, NULL, &wrong, &err), RC_MALFORMED);
	must(site_open(site_dir, SITE_LOCK | SITE_UNREAD, NULL, &wrong, &err));
	clock_set(now);
	cr_expect_eq(publish_site(wrong, NULL, 0, 0, NULL, NULL, &err), RC_MALFORMED);
	cr_expect(strstr(err.text, "field `fro`") != NULL, "%s", err.text);
	cr_expect_eq(beats(wrong), 2, "what is current is still believed");
	cr_expect_eq(
	    server_number(wrong, "SELECT count(*) FROM retired WHERE path GLOB 'shards/*'"), 0,
	    "and the same");
	cr_expect_eq(server_number(wrong, "SELECT max(generation) FROM generation"), 1);
	cr_expect_eq(server_number(wrong, "SELECT count(*) FROM outbox WHERE posted = 0"), 0);
	cr_expect_eq(server_number(wrong, "SELECT count(*) FROM bundle"), 1);
	wrong = site_free(wrong);
	change("rm -r site; mv kept site");
	again = server_open(SITE_LOCK);
	must(publish_site(again, NULL, 0, 0, NULL, NULL, &err));
	cr_expect_eq(server_number(again, "SELECT max(generation) FROM generation"), 2);
}

Test(beat, names_the_shards_that_name_the_heads)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(buf_clear) struct buf file = BUF_INIT;
	struct err err = {0};
	struct signed_doc doc;
	struct shard shard = {0};
	struct beat b;
	char path[DEPOT_NAME];

	run(s);
	beat_load(s, &b);
	cr_assert_eq(b.shards, 1);
	cr_assert_eq(b.shard[0].xx, shard_of(CHANNEL));
	published_path(s, "SELECT path FROM shard", NULL, path);
	published_document(s, ROLE_BEAT, path, &file, &doc);
	cr_assert(digest_equal(&doc.identity, &b.shard[0].digest));
	must(shard_decode(doc.inner, &shard, &err));
	cr_assert_eq(shard.channels, 1);
	cr_assert_eq(shard.channel[0].generation, 1);
	shard_clear(&shard);
	buf_reset(&file);
	published_path(s, "SELECT path FROM generation", NULL, path);
	published_document(s, ROLE_PRIVATE, path, &file, &doc);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM generation g JOIN shard"), 1);
}

Test(beat, a_shard_is_signed_again_only_when_something_in_it_changed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	struct beat b;
	int64_t n;

	for (int i = 0; i < 40; i++) {
		char sql[256];

		snprintf(
		    sql, sizeof(sql),
		    "INSERT INTO workstation(id, name, sign, sign_number, seal, seal_number, state,"
		    " enrolled) VALUES('%032x', 'w%d', zeroblob(32), %d, zeroblob(32), %d,"
		    " 'enrolled', 1)",
		    i, i, i, i);
		must(db_exec(s->db, sql, &err));
	}
	must(db_begin(s->db, &err));
	must(publish_beat(s, 0, &err));
	must(db_commit(s->db, &err));
	n = server_number(s, "SELECT count(*) FROM outbox WHERE path GLOB 'shards/*'");
	cr_assert_gt(n, 20);
	must(db_exec(s->db,
		     "INSERT INTO private(id, epoch, generation, tree, manifest, path) VALUES("
		     "'00000000000000000000000000000007', 1, 1, zeroblob(32), randomblob(32), 'p')",
		     &err));
	must(db_begin(s->db, &err));
	must(publish_beat(s, 0, &err));
	must(db_commit(s->db, &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM outbox WHERE path GLOB 'shards/*'"), n,
		     "one more, one retired");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM retired"), 1);
	cr_assert_eq(beats(s), 2);
	must(db_exec(s->db, "UPDATE workstation SET state = 'revoked'", &err));
	must(db_begin(s->db, &err));
	must(publish_beat(s, 0, &err));
	must(db_commit(s->db, &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM shard"), 0);
	cr_assert_eq(beats(s), 3);
	must(site_post(s, &err));
	beat_load(s, &b);
	cr_assert_eq(b.shards, 0);
}

static void beat_make(struct site *s, enum beat_flags flags)
{
	struct err err = {0};

	must(db_begin(s->db, &err));
	must(publish_beat(s, flags, &err));
	must(db_commit(s->db, &err));
	must(site_post(s, &err));
}

Test(beat, knocks_at_once_and_for_a_while)
{
	static const char *const names[] = {"w"}, *const nobody[] = {"w", "x"};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	struct beat b;

	must(
	    db_exec(s->db,
		    "INSERT INTO workstation(id, name, sign, sign_number, seal, seal_number, state,"
		    " enrolled) VALUES('0123456789abcdef0123456789abcdef', 'w', zeroblob(32), 1,"
		    " zeroblob(32), 1, 'enrolled', 1)",
		    &err));
	beat_make(s, 0);
	beat_load(s, &b);
	cr_assert_eq(b.knocks, 0);
	must(publish_knock(s, names, 1, &err));
	beat_load(s, &b);
	cr_assert_eq(b.sequence, 2, "though nothing changed");
	cr_assert_eq(b.knocks, 1);
	cr_assert_str_eq(b.knock[0], "0123456789abcdef0123456789abcdef");
	cr_assert_eq(publish_knock(s, nobody, 2, &err), RC_USAGE);
	cr_assert_eq(beats(s), 2, "all or none");
	beat_make(s, BEAT_ANYWAY);
	beat_load(s, &b);
	cr_assert_eq(b.knocks, 1, "repeated, for those who look a little later");
	clock_set(SERVER_NOW + 3600);
	beat_make(s, 0);
	cr_assert_eq(beats(s), 3, "that it is over makes no beat");
	beat_make(s, BEAT_ANYWAY);
	beat_load(s, &b);
	cr_assert_eq(b.knocks, 0);
	clock_set(3155760000); /* in 2070, by mistake */
	must(publish_knock(s, names, 1, &err));
	clock_set(SERVER_NOW);
	beat_make(s, BEAT_ANYWAY);
	beat_load(s, &b);
	cr_assert_eq(b.knocks, 0, "not for decades");
}
