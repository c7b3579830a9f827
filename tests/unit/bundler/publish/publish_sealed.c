/* SPDX-License-Identifier: ISC */
/* A sealed channel: what is posted, under which key, and what goes when the key changes. */
#include "tests/support/fault.h"

#include <sys/wait.h>

#include <criterion/criterion.h>
#include <string.h>

#include "bundler/outbox/bundle_seal.h"
#include "bundler/registry/registry.h"
#include "core/format/documents/trusted.h"
#include "tests/support/channel.h"

/* ${dir}/source under the name CHANNEL, for everybody; ${sealed}: for nobody else. */
static void channel_write(struct site *s, bool sealed)
{
	char source[SCRATCH_PATH + 16], target[] = "/srv/office", all[] = "all";
	char *audience[] = {all};
	struct site_channel c = {.name = CHANNEL,
				 .on_leave = "keep",
				 .keep = 2,
				 .source = source,
				 .target = target,
				 .audience = audience,
				 .audiences = 1,
				 .sealed = sealed,
				 .rekey_hours = 24};
	struct err err = {0};

	snprintf(source, sizeof(source), "%s/source", dir);
	must(site_channel_write(s, &c, &err));
}

static void sealed_channel_make(void)
{
	OWNED(site_freep) struct site *s = NULL;

	source_make();
	change("head -c 3000000 /dev/urandom > source/large");
	s = server_open(SITE_LOCK);
	channel_write(s, true);
}

TestSuite(publish_sealed, .init = sealed_channel_make, .fini = server_teardown, .timeout = 600);

static void ask(struct site *s)
{
	struct err err = {0};

	must(sealed_ask(s->db, CHANNEL, &err));
}

/* Every bundle in the depot, as "base-generation:key " in order. */
static void bundles(struct site *s, const char *expected)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};

	must(buf_text(&text, "", &err));
	must(db_query(s->db,
		      "SELECT base, generation, key, path FROM bundle ORDER BY generation, base",
		      &st, &err));
	while (db_step(s->db, st, &err) > 0) {
		cr_assert(depot_has(db_text(st, 3)), "%s is not in the depot", db_text(st, 3));
		must(buf_printf(&text, &err, "%d-%d:%d ", (int)db_i64(st, 0), (int)db_i64(st, 1),
				(int)db_i64(st, 2)));
	}
	cr_assert_str_eq((const char *)text.p, expected);
	cr_assert_eq(scratch_run(dir, "ls depot/channels/office/*.bundle | wc -l > n"), 0);
	published_check(s, CHANNEL);
}

static int64_t files(void)
{
	int64_t n = -1;
	FILE *f = NULL;
	char path[SCRATCH_PATH + 8];

	cr_assert_eq(scratch_run(dir, "ls depot/channels/office/*.bundle | wc -l > n"), 0);
	snprintf(path, sizeof(path), "%s/n", dir);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	cr_assert_eq(fscanf(f, "%" SCNd64, &n), 1);
	fclose(f);
	return n;
}

Test(publish_sealed, goes_out_sealed_and_stays_plain_in_the_store)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct manifest m;
	OWNED(buf_clear) struct buf changes = BUF_INIT;
	char path[DEPOT_NAME];

	run(s);
	bundles(s, "0-1:1 ");
	published_store_check(s, CHANNEL);
	published_path(s, "SELECT path FROM bundle", NULL, path);
	published_bundle(s, path, NULL, &m, &changes);
	cr_expect_eq(m.minimum, MANIFEST_NEWEST);
	cr_expect_neq(m.payload, (uint64_t)server_number(s, "SELECT size FROM pack"));
	cr_expect_eq(m.payload, bundle_sealed((uint64_t)server_number(s, "SELECT size FROM pack")));
	cr_expect_neq(scratch_run(dir, "grep -q three depot/channels/office/*.bundle"), 0);
}

Test(publish_sealed, is_posted_again_as_the_same_bytes)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change(
	    "sha256sum depot/channels/office/*.bundle > sums; rm depot/channels/office/*.bundle");
	run(s);
	change("sha256sum -c sums");
}

Test(publish_sealed, a_pack_that_was_changed_is_not_posted)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	run(s);
	change("rm depot/channels/office/*.bundle;"
	       "printf x | dd of=site.state/store/1.pack bs=1 seek=1500000 conv=notrunc 2> dd.log");
	cr_assert_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_STATE);
	cr_expect_not_null(strstr(err.text, "not any more what was signed"), "%s", err.text);
	cr_expect_neq(scratch_run(dir, "ls depot/channels/office/*.bundle 2> ls.log"), 0);
	cr_expect_eq(scratch_run(dir, "ls depot/channels/office/.satchel* 2> ls.log"), 512,
		     "nothing is left half done");
}

Test(publish_sealed, the_same_tree_has_another_digest_in_every_generation)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change("cp -a source kept; echo other > source/three");
	run(s);
	change("rm -r source; mv kept source");
	run(s);
	cr_expect_eq(server_number(s, "SELECT count(DISTINCT tree) FROM generation"), 3);
	cr_expect_eq(server_number(s, "SELECT count(DISTINCT salt) FROM generation"), 3);
}

Test(publish_sealed, another_key_keeps_generations_and_trees_and_seals_every_bundle_anew)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change("echo more > source/three");
	run(s);
	bundles(s, "0-1:1 1-2:1 ");
	change("ls depot/channels/office > old; cp -a site.state/store kept");
	ask(s);
	run(s);
	bundles(s, "0-1:2 1-2:2 ");
	cr_expect_eq(files(), 2, "those under the old key stay in the depot");
	change("ls depot/channels/office | sort - old | uniq -d | wc -l | grep -qx 0");
	change("diff -r kept site.state/store"); /* nothing was compressed again */
	cr_expect_eq(server_number(s, "SELECT count(*) FROM generation"), 2);
	cr_expect_eq(server_number(s, "SELECT count(*) FROM secret WHERE name = 'channel/office'"),
		     1, "the old key is kept");
	run(s);
	bundles(s, "0-1:2 1-2:2 ");
	cr_expect_eq(server_number(s, "SELECT count(*) FROM beat"), 8);
}

Test(publish_sealed, another_key_needs_no_source)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	run(s);
	change("mv source away");
	ask(s);
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	bundles(s, "0-1:2 ");
}

Test(publish_sealed, a_change_in_the_same_run_is_a_step_under_the_new_key)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change("echo more > source/three");
	ask(s);
	run(s);
	bundles(s, "0-1:2 1-2:2 ");
	cr_expect_eq(files(), 2);
}

/* Then it is made of what the source has, all of it. */
Test(publish_sealed, another_key_is_a_full_bundle_when_the_store_has_lost_what_that_takes)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change("echo more > source/three");
	run(s);
	ask(s);
	change("rm site.state/store/1.pack");
	run(s);
	bundles(s, "0-2:2 ");
	cr_expect_eq(files(), 1);
	ask(s);
	change("rm site.state/store/*.pack; echo again > source/three");
	run(s);
	bundles(s, "0-3:3 2-3:3 ");
}

Test(publish_sealed, a_channel_that_was_open_begins_with_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(buf_clear) struct buf file = BUF_INIT;
	OWNED(head_clear) struct head h = {0};
	OWNED(release_clear) struct release r = {0};
	struct published_generation g;
	struct signed_doc doc;
	struct err err = {0};

	channel_write(s, false);
	run(s);
	change("echo more > source/three");
	run(s);
	bundles(s, "0-1:0 1-2:0 ");
	channel_write(s, true);
	run(s);
	bundles(s, "0-3:1 ");
	cr_expect_eq(files(), 1, "what everybody could read is still in the depot");
	cr_assert_eq(published_latest(s->db, CHANNEL, &g, &err), 1);
	published_document(s, ROLE_PRIVATE, g.path, &file, &doc);
	must(trusted_head(&s->trust, &doc, "head", &h, &r, &err));
	cr_expect_eq(r.befores, 0, "the release names a tree by a digest that can be guessed");
}

Test(publish_sealed, and_back_again_begins_with_nothing_too)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	channel_write(s, false);
	run(s);
	bundles(s, "0-2:0 ");
	channel_write(s, true);
	run(s);
	bundles(s, "0-3:1 ");
}

/* Nobody who seals a channel means to take it from the workstations. */
Test(publish_sealed, to_begin_with_nothing_hides_no_loss)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	channel_write(s, false);
	run(s);
	channel_write(s, true);
	change("mv source/three kept; mkfifo source/three");
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_POLICY);
	cr_expect_not_null(strstr(err.text, "three was published, and now"), "%s", err.text);
	change("rm source/three; mv kept source/three; mv source kept; mkdir source");
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_POLICY);
	cr_expect_not_null(strstr(err.text, "is it mounted?"), "%s", err.text);
	bundles(s, "0-1:0 ");
	change("rmdir source; mv kept source");
	run(s);
	bundles(s, "0-2:1 ");
}

Test(publish_sealed, without_the_master_key_nothing_of_it_changes)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	run(s);
	change("mv site.state/keys/store.key away; echo more > source/three");
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	cr_expect_not_null(strstr(err.text, "master key"), "%s", err.text);
	cr_expect_eq(server_number(s, "SELECT max(generation) FROM generation"), 1);
	change("mv away site.state/keys/store.key");
	run(s);
	bundles(s, "0-1:1 1-2:1 ");
}

Test(publish_sealed, a_lost_pack_is_made_good_by_a_full_bundle)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change("rm depot/channels/office/*.bundle site.state/store/*.pack");
	run(s);
	bundles(s, "0-1:1 ");
}

Test(publish_sealed, a_refill_puts_right_what_was_damaged_in_the_depot)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	run(s);
	change("sha256sum depot/channels/office/*.bundle > sums;"
	       "for f in depot/channels/office/*.bundle; do"
	       " printf x | dd of=$f bs=1 seek=1500000 conv=notrunc 2> dd.log; done");
	must(publish_site(s, NULL, 0, PUBLISH_REFILL, NULL, NULL, &err));
	change("sha256sum -c sums");
}

/* A run that is cut off */

static void restore(void)
{
	change("rm -rf site site.state depot && cp -a was/site was/site.state was/depot .");
}

/* 128 + SIGKILL, 42 when there was no such call, 0 or 1 as publish ended. */
static int run_with_fault(long at, int error)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct err err = {0};
		struct site *s = NULL;
		int rc = site_open(site_dir, SITE_LOCK, NULL, &s, &err);

		if (rc < 0)
			_exit(99);
		fault_arm(at, error, at);
		rc = publish_site(s, NULL, 0, 0, NULL, NULL, &err);
		fault.pid = 0;
		_exit(rc < 0 ? 1 : atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What the registry has is under the old key, or all of it under the new one; whether it has the
 * new generation already is another question. */
static void check(long at)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	cr_assert_eq(server_number(s, "SELECT count(DISTINCT key) FROM bundle"), 1, "call %ld", at);
	cr_assert_eq(server_number(s, "SELECT number FROM channel_key"),
		     server_number(s, "SELECT max(key) FROM bundle"), "call %ld", at);
	run(s);
	/* When the bundles could not be read it is a full bundle. */
	published_check(s, CHANNEL);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM bundle WHERE key = 2"), 2, "call %ld",
		     at);
	cr_assert_eq(files(), 2, "call %ld leaves bundles under the old key", at);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM secret WHERE name = 'channel/office'"),
		     1, "call %ld", at);
}

static void every_call(int error)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	ask(s);
	site_freep(&s);
	change("mkdir was; cp -a site site.state depot was; echo more > source/three");
	for (long at = 1;; at += fault_stride()) {
		int status;

		restore();
		status = run_with_fault(at, error);
		cr_assert(status == 42 || status == 0 || status == 1 || status == 128 + SIGKILL,
			  "call %ld: status %d", at, status);
		check(at);
		if (status == 42)
			break;
		cr_assert_lt(at, 2000);
	}
}

Test(publish_sealed, killed_before_any_call_that_writes_has_all_under_the_old_key_or_under_the_new)
{
	every_call(0);
}

Test(publish_sealed, a_call_that_fails_leaves_all_under_the_old_key_or_under_the_new)
{
	every_call(ENOSPC);
}
