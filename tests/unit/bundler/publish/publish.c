/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/time.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "core/base/clock.h"
#include "tests/support/machine.h"
#include "tests/support/published.h"

#define CHANNEL "office"

/* A site with one channel over ${dir}/source, and a few files in it. */
static void source_make(void)
{
	struct err err = {0};
	struct site_channel c = {.name = CHANNEL, .on_leave = "keep", .keep = 2};
	OWNED(site_freep) struct site *s = NULL;
	char source[SCRATCH_PATH + 16];
	char *audience[] = {(char[]){"all"}};

	server_make();
	s = server_open(SITE_LOCK);
	snprintf(source, sizeof(source), "%s/source", dir);
	c.source = source;
	c.target = (char[]){"/srv/office"};
	c.audience = audience;
	c.audiences = 1;
	must(site_channel_write(s, &c, &err));
	cr_assert_eq(
	    scratch_run(dir, "mkdir -p source/a/b source/empty; echo one > source/a/one;"
			     "echo two > source/a/b/two; echo three > source/three;"
			     "ln -s three source/link; head -c 20000 /dev/urandom > source/noise"),
	    0);
}

TestSuite(publish, .init = source_make, .fini = server_teardown);
TestSuite(beat, .init = source_make, .fini = server_teardown);
TestSuite(private_channel, .init = server_make, .fini = server_teardown);

static void change(const char *command)
{
	cr_assert_eq(scratch_run(dir, command), 0, "%s", command);
}

/* Everything in the source is older than the last scan, whatever the clock's steps are. */
static void settle(struct site *s)
{
	struct err err = {0};

	must(db_exec(s->db, "UPDATE scanned SET hashed = 9000000000000000000", &err));
}

static int publish(struct site *s, enum publish_flags flags, struct publish_counts *c,
		   struct err *err)
{
	*err = (struct err){0};
	return publish_channel(s, site_channel(s, CHANNEL), flags, c, err);
}

static void publish_good(struct site *s, enum publish_flags flags, struct publish_counts *c)
{
	struct err err;

	must(publish(s, flags, c, &err));
}

static void run(struct site *s)
{
	struct err err = {0};

	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

static int64_t writes(struct site *s)
{
	return sqlite3_total_changes64(db_handle(s->db));
}

Test(publish, the_first_time_makes_generation_1_from_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct head h = {0};

	publish_good(s, 0, &c);
	cr_assert(c.made);
	cr_assert_eq(c.generation, 1);
	cr_assert_eq(c.added, 8);
	cr_assert_eq(c.entries, 8);
	cr_assert_eq(c.changed + c.deleted + c.renamed + c.metadata, 0);
	cr_assert_eq(c.content, 4 + 4 + 6 + 20000);
	cr_assert_eq(scratch_run(dir, "test ! -d depot/channels"), 0,
		     "publish_channel posts nothing");
	run(s);
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.generation, 1);
	cr_assert_eq(h.bundles, 1);
	cr_assert_eq(h.bundle[0].base, 0);
	cr_assert_eq(h.bundle[0].size, c.bundle);
	cr_assert_eq(h.created, SERVER_NOW);
	head_clear(&h);
	published_check(s, CHANNEL);
	published_store_check(s, CHANNEL);
}

Test(publish, an_empty_source_has_a_generation_as_well)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct head h = {0};

	change("rm -r source; mkdir source");
	run(s);
	published_check(s, CHANNEL);
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.generation, 1);
	head_clear(&h);
	settle(s);
	publish_good(s, 0, &c);
	cr_assert(!c.made);
}

Test(publish, writes_nothing_and_reads_nothing_when_nothing_changed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	int64_t before;

	run(s);
	settle(s);
	change(
	    "find depot site.state -type f ! -name 'registry.db*' | sort | xargs sha256sum > before");
	before = writes(s);
	publish_good(s, 0, &c);
	cr_assert(!c.made);
	cr_assert_eq(c.generation, 1);
	cr_assert_eq(c.content, 0);
	cr_assert_eq(writes(s), before);
	run(s);
	change(
	    "find depot site.state -type f ! -name 'registry.db*' | sort | xargs sha256sum > after;"
	    "cmp before after");
}

Test(publish, reads_again_what_may_have_changed_unseen_and_makes_no_generation_of_it)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err = {0};

	run(s);
	must(db_exec(s->db, "UPDATE scanned SET hashed = 0", &err));
	publish_good(s, 0, &c);
	cr_assert(!c.made);
	cr_assert_eq(c.content, 4 + 4 + 6 + 20000);
	cr_assert_gt(server_number(s, "SELECT hashed FROM scanned"), 0,
		     "and the next run need not");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM pack"), 1);
	change("test $(ls site.state/store | wc -l) = 1");
	settle(s);
	publish_good(s, PUBLISH_REREAD, &c);
	cr_assert_eq(c.content, 4 + 4 + 6 + 20000);
}

/* The lines of the step to the newest generation, in a file for ${command} to look at. */
static void newest_lines(struct site *s, const char *command)
{
	struct head h = {0};
	struct manifest m;
	OWNED(buf_clear) struct buf changes = BUF_INIT;
	char path[DEPOT_NAME], file[SCRATCH_PATH + 16];
	FILE *f;

	run(s);
	published_head(s, CHANNEL, &h);
	for (size_t i = 0; i < h.bundles; i++)
		if (h.bundle[i].base + 1 == h.generation)
			name_bundle(path, CHANNEL, h.epoch, h.bundle[i].base, h.generation,
				    &h.bundle[i].prefix);
	head_clear(&h);
	published_bundle(s, path, NULL, &m, &changes);
	snprintf(file, sizeof(file), "%s/lines", dir);
	f = fopen(file, "w");
	cr_assert_not_null(f);
	fwrite(changes.p, 1, changes.n, f);
	fclose(f);
	cr_assert_eq(scratch_run(dir, command), 0, "%s", (char *)changes.p);
}

Test(publish, tells_each_kind_of_change_from_the_others)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;

	run(s);
	change(
	    "cd source; echo 1 > a/one; mv noise a/moved; chmod 600 three; rm a/b/two; rmdir a/b;"
	    "ln -sfn elsewhere link; echo new > z; mkdir new; cp z new/same");
	publish_good(s, 0, &c);
	cr_assert(c.made);
	cr_assert_eq(c.generation, 2);
	cr_assert_eq(c.added, 3, "z, new, new/same");
	cr_assert_eq(c.changed, 2, "a/one, link");
	cr_assert_eq(c.renamed, 1);
	cr_assert_eq(c.deleted, 2, "a/b, a/b/two");
	cr_assert_eq(c.metadata, 2, "three, a");
	cr_assert_lt(c.bundle, 10000, "what was renamed does not travel again");
	newest_lines(
	    s,
	    "grep -q '^copy .* old noise a/moved$' lines && grep -q '^delete file noise$' lines"
	    " && grep -q '^delete directory a/b$' lines && grep -q '^meta file 0600 .* three$' lines"
	    " && grep -q '^link .* elsewhere link$' lines && grep -q '^put .* new/same$' lines"
	    " && grep -q '^copy .* new new/same z$' lines && grep -q '^meta directory .* a$' lines");
	published_check(s, CHANNEL);
	published_store_check(s, CHANNEL);
}

Test(publish, a_change_of_kind_replaces_and_deletes_what_was_below)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change(
	    "cd source; rm -r a; echo file > a; rm three; mkdir three; echo in > three/in; rm link;"
	    "echo link > link");
	newest_lines(
	    s, "grep -q '^put .* a$' lines && grep -q '^delete directory a/b$' lines"
	       " && grep -q '^delete file a/b/two$' lines && grep -q '^delete file a/one$' lines"
	       " && grep -q '^directory .* three$' lines && grep -q '^put .* three/in$' lines"
	       " && grep -q '^put .* link$' lines");
	published_check(s, CHANNEL);
	change("cd source; rm a; mkdir a; rm -r three; ln -s link three");
	run(s);
	published_check(s, CHANNEL);
}

Test(publish, modes_are_plain_unless_the_channel_says_else)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;

	change("chmod 4755 source/three");
	run(s);
	settle(s);
	publish_good(s, 0, &c);
	cr_assert(!c.made);
	cr_assert_eq(c.content, 0, "the set-id bit is no difference");
	site_channel(s, CHANNEL)->special_modes = true;
	newest_lines(s, "grep -q '^meta file 4755 - .* three$' lines");
	settle(s);
	publish_good(s, 0, &c);
	cr_assert(!c.made);
}

Test(publish, owners_travel_as_names_when_the_channel_wants_them)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err;

	site_channel(s, CHANNEL)->owners = true;
	run(s);
	newest_lines(s, "grep -q \"^put .... $(id -un):$(id -gn) .* three$\" lines");
	settle(s);
	publish_good(s, 0, &c);
	cr_assert(!c.made);
	if (geteuid() != 0)
		return;
	change("chown 54321:54321 source/three");
	cr_assert_eq(publish(s, 0, &c, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "three of channel office belongs to user 54321"));
}

Test(publish, refuses_a_source_that_is_empty_by_surprise)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err;
	int64_t before;

	run(s);
	change("mv source gone; mkdir source");
	before = writes(s);
	cr_assert_eq(publish(s, 0, &c, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "is empty but generation 1 holds 8 entries"), "%s",
			   err.text);
	cr_assert_not_null(strstr(err.text, "--allow-empty"));
	cr_assert_eq(writes(s), before);
	cr_assert_eq(publish(s, PUBLISH_DRY_RUN, &c, &err), RC_POLICY);
	publish_good(s, PUBLISH_ALLOW_EMPTY, &c);
	cr_assert_eq(c.generation, 2);
	cr_assert_eq(c.deleted, 8);
	run(s);
	published_check(s, CHANNEL);
}

Test(publish, refuses_a_source_that_lost_more_than_half_of_many_entries)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err;

	change("rm -r source; mkdir source; cd source; seq 20 | xargs touch");
	publish_good(s, 0, &c);
	change("cd source; seq 11 | xargs rm");
	cr_assert_eq(publish(s, 0, &c, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "holds 9 entries but generation 1 holds 20"), "%s",
			   err.text);
	change("touch source/1");
	publish_good(s, 0, &c);
	cr_assert_eq(c.deleted, 10, "half of them may go");
	change("cd source; ls | tail -n +2 | xargs rm");
	publish_good(s, 0, &c);
	cr_assert_eq(c.entries, 1, "and of a few any number, but not all");
}

Test(publish, refuses_a_source_that_is_not_there_or_is_no_directory)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err;

	change("rm -r source");
	cr_assert_lt(publish(s, 0, &c, &err), 0);
	cr_assert_not_null(strstr(err.text, "source of channel office"), "%s", err.text);
	change("echo file > source");
	cr_assert_lt(publish(s, 0, &c, &err), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM generation"), 0);
}

Test(publish, refuses_a_source_that_holds_the_keys_or_is_the_depot)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err;

	free(site_channel(s, CHANNEL)->source);
	site_channel(s, CHANNEL)->source = strdup(dir);
	cr_assert_eq(publish(s, 0, &c, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "holds the state of the site"), "%s", err.text);
	free(site_channel(s, CHANNEL)->source);
	site_channel(s, CHANNEL)->source = strdup(depot_dir);
	cr_assert_eq(publish(s, 0, &c, &err), RC_POLICY);
	cr_assert_not_null(strstr(err.text, "is the depot"), "%s", err.text);
}

Test(publish, a_dry_run_counts_and_writes_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts dry, wet;

	run(s);
	change(
	    "cd source; mv noise moved; echo ONE > a/one; touch three; rm a/b/two; echo new > new;"
	    "ln -s x y");
	change(
	    "find depot site.state -type f ! -name 'registry.db*' | sort | xargs sha256sum > before");
	settle(s);
	publish_good(s, PUBLISH_DRY_RUN, &dry);
	cr_assert(!dry.made);
	cr_assert_eq(dry.generation, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM generation"), 1);
	change(
	    "find depot site.state -type f ! -name 'registry.db*' | sort | xargs sha256sum > after;"
	    "cmp before after");
	publish_good(s, 0, &wet);
	cr_assert_eq(dry.added, wet.added);
	cr_assert_eq(dry.changed, wet.changed);
	cr_assert_eq(dry.renamed, wet.renamed);
	cr_assert_eq(wet.renamed, 1);
	cr_assert_eq(dry.deleted, wet.deleted);
	cr_assert_eq(dry.metadata, wet.metadata);
	cr_assert_eq(dry.entries, wet.entries);
}

Test(publish, makes_a_new_full_bundle_when_the_steps_cost_half_of_the_last)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct head h = {0};
	uint64_t full = 0;

	run(s);
	for (int i = 2; i < 12; i++) {
		char command[96];

		snprintf(command, sizeof(command), "head -c 4000 /dev/urandom > source/n%d", i);
		change(command);
		run(s);
		published_check(s, CHANNEL);
		published_head(s, CHANNEL, &h);
		cr_assert_eq(h.generation, (uint64_t)i);
		for (size_t k = 0; k < h.bundles; k++)
			if (h.bundle[k].base == 0)
				full = h.bundle[k].generation;
		head_clear(&h);
		cr_assert_eq(full,
			     i < 4   ? 1u
			     : i < 8 ? 4u
				     : 8u,
			     "generation %d has full %llu", i, (unsigned long long)full);
	}
	published_store_check(s, CHANNEL);
}

Test(publish, a_full_bundle_comes_from_the_store_whatever_the_source_has_meanwhile)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	struct head h = {0};

	change("head -c 9000000 /dev/urandom > source/big; for i in $(seq 300); do"
	       " head -c 30000 /dev/urandom > source/f$i; done");
	run(s);
	change("echo more >> source/f7; mv source/f8 source/g8; rm source/f9");
	run(s);
	settle(s);
	must(publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &err));
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.generation, 2);
	cr_assert_eq(h.bundles, 1 + 1, "0-2, and 1-2 for who holds 1");
	head_clear(&h);
	published_check(s, CHANNEL);
	published_store_check(s, CHANNEL);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM content a JOIN content b USING(digest)"
				      " WHERE a.pack = 1 AND b.pack = 3"),
		     server_number(s, "SELECT count(*) FROM content WHERE pack = 3") - 1,
		     "f7 alone is new since pack 1");
}

Test(publish, a_damaged_store_stops_a_full_bundle_but_not_a_generation)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err;

	run(s);
	change("printf X | dd of=site.state/store/1.pack bs=1 seek=200 conv=notrunc status=none");
	change("head -c 100000 /dev/urandom > source/new");
	cr_assert_eq(publish(s, PUBLISH_FULL, &c, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "content store is damaged"), "%s", err.text);
	cr_assert_eq(server_number(s, "SELECT max(generation) FROM generation"), 1);
	change("test $(ls site.state/store) = 1.pack");
	publish_good(s, 0, &c);
	cr_assert_eq(c.generation, 2);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM bundle WHERE base = 0"), 1);
	change("test $(ls site.state/store | wc -l) = 2");
}

/* The depot has everything still, so nothing shows the loss before the store is asked. */
Test(publish, a_full_bundle_comes_from_the_source_when_the_store_has_lost_its_packs)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;

	run(s);
	change("rm site.state/store/*; head -c 100000 /dev/urandom > source/new");
	publish_good(s, PUBLISH_FULL, &c);
	cr_assert_eq(c.generation, 2);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM bundle WHERE base = 0 AND generation = 2"), 1);
	run(s);
	published_check(s, CHANNEL);
	published_store_check(s, CHANNEL);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM content WHERE pack NOT IN"
				      " (SELECT number FROM pack)"),
		     0);
}

/* The same when nobody asked for it: the steps cost half of the last full bundle. */
Test(publish, a_full_bundle_whose_time_has_come_needs_no_pack_that_is_lost)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	run(s);
	change("rm site.state/store/*; head -c 100000 /dev/urandom > source/new");
	run(s);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM bundle WHERE base = 0 AND generation = 2"), 1);
	published_check(s, CHANNEL);
}

Test(publish, keeps_the_steps_that_receipts_ask_for)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	struct publish_counts c;
	struct head h = {0};

	change("head -c 900000 /dev/urandom > source/large");
	run(s);
	for (int i = 2; i <= 6; i++) {
		char command[64];

		snprintf(command, sizeof(command), "echo %d > source/three", i);
		change(command);
		run(s);
	}
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.bundles, 6, "all steps complete the path");
	head_clear(&h);
	must(db_exec(
	    s->db,
	    "INSERT INTO workstation(id, name, sign, sign_number, seal, seal_number, state,"
	    " enrolled) VALUES('ab', 'x', zeroblob(32), 1, zeroblob(32), 2, 'enrolled', 1);"
	    "INSERT INTO receipt_channel(id, channel, epoch, generation, tree, result, reason,"
	    " wanted, deviations, adaptations, drift, at, milliseconds)"
	    " VALUES('ab', 'office', 1, 5, x'00', 'applied', '', 0, 0, 0, 0, 1, 1)",
	    &err));
	change("echo 7 > source/three");
	publish_good(s, PUBLISH_FULL, &c);
	must(site_post(s, &err));
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.bundles, 3, "0-7, 5-6, 6-7");
	cr_assert_eq(h.bundle[0].base + h.bundle[1].base + h.bundle[2].base, 0 + 5 + 6);
	head_clear(&h);
	published_check(s, CHANNEL);
}

Test(publish, a_channel_that_comes_back_goes_on_above_its_numbers)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	struct head h = {0};

	run(s);
	change("echo 2 > source/three");
	run(s);
	change("mkdir kept; mv site/channels/office.yaml kept");
	site_freep(&s);
	s = server_open(SITE_LOCK);
	run(s);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM bundle"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM pack"), 0);
	change("test $(ls site.state/store | wc -l) = 0; mv kept/office.yaml site/channels");
	site_freep(&s);
	s = server_open(SITE_LOCK);
	run(s);
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.generation, 3);
	cr_assert_eq(h.bundles, 1);
	cr_assert_eq(h.bundle[0].base, 0);
	head_clear(&h);
	published_check(s, CHANNEL);
	cr_assert_eq(err.rc, 0);
}

Test(publish, a_new_epoch_begins_with_generation_1_of_the_whole_tree)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct head h = {0};

	run(s);
	change("echo 2 > source/three");
	run(s);
	s->trust.epoch[ROLE_PUBLISH] = 2;
	run(s);
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.epoch, 2);
	cr_assert_eq(h.generation, 1);
	cr_assert_eq(h.bundles, 1);
	head_clear(&h);
	published_check(s, CHANNEL);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM bundle"), 1);
}

Test(publish, an_index_that_does_not_fit_the_last_generation_is_no_base)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct publish_counts c;
	struct err err = {0};

	run(s);
	must(db_exec(s->db, "UPDATE generation SET tree = zeroblob(32)", &err));
	publish_good(s, 0, &c);
	cr_assert_eq(c.generation, 2);
	run(s);
	published_check(s, CHANNEL);
	cr_assert_eq(server_number(s, "SELECT base FROM bundle WHERE generation = 2"), 0);
}

Test(publish, one_channel_that_fails_does_not_stop_the_others)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct site_channel c = {.name = "broken", .on_leave = "keep", .keep = 2};
	struct err err = {0};
	char *audience[] = {(char[]){"all"}};

	c.source = (char[]){"/nowhere/at/all"};
	c.target = (char[]){"/srv/broken"};
	c.audience = audience;
	c.audiences = 1;
	must(site_channel_write(s, &c, &err));
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	cr_assert_not_null(strstr(err.text, "channel broken"), "%s", err.text);
	published_check(s, CHANNEL);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM bundle WHERE posted = 0"), 0);
	cr_assert_eq(publish_site(s, (const char *const[]){"absent"}, 1, 0, NULL, NULL, &err),
		     RC_USAGE);
}

Test(publish, leftovers_of_a_killed_run_are_removed_by_the_next)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	change(
	    "mkdir -p site.state/store; echo x > site.state/store/1.pack; echo x > site.state/store/9.pack;"
	    "echo mine > site.state/store/notes");
	run(s);
	change("test \"$(echo $(ls site.state/store))\" = '1.pack notes'");
	published_store_check(s, CHANNEL);
}

Test(publish, what_could_not_be_posted_is_posted_by_the_next_run)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	change("mv depot elsewhere");
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	cr_assert_not_null(strstr(err.text, "depot "), "%s", err.text);
	cr_assert_gt(server_number(s, "SELECT count(*) FROM bundle WHERE posted = 0"), 0);
	change("mv elsewhere depot");
	run(s);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM bundle WHERE posted = 0"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM outbox WHERE posted = 0"), 0);
	published_check(s, CHANNEL);
}

Test(publish, old_heads_stay_as_long_as_a_kept_beat_leads_to_them)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char command[96];

	for (int i = 1; i <= 12; i++) {
		snprintf(command, sizeof(command), "echo %d > source/three", i);
		change(command);
		run(s);
	}
	change("test $(ls depot/beats | wc -l) = 8");
	change("test $(ls depot/channels/office/*.head | wc -l) = 8");
	change("test $(ls depot/shards | wc -l) = 8");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM outbox WHERE path GLOB 'beats/*'"), 8);
}

/* The store */

static int stored(struct site *s, const char *text)
{
	struct digest d = digest_of(bytes_of(text));
	struct store_where where;
	struct err err = {0};
	int rc = store_find(s->db, &d, &where, &err);

	must(rc);
	return rc;
}

Test(publish, the_store_keeps_the_generations_that_the_channel_wants_and_no_more)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	/* Every generation replaces most of the tree, so that each has a full bundle. */
	change("rm source/noise");
	for (int i = 1; i <= 5; i++) {
		struct err err = {0};
		char command[96];

		snprintf(command, sizeof(command), "echo three%d > source/three", i);
		change(command);
		must(publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &err));
		published_check(s, CHANNEL);
		published_store_check(s, CHANNEL);
	}
	cr_assert_eq(stored(s, "three5\n"), 1);
	cr_assert_eq(stored(s, "three4\n"), 1, "keep is 2");
	cr_assert_eq(stored(s, "three1\n"), 0);
	cr_assert_eq(stored(s, "one\n"), 1, "unchanged since generation 1");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM frame WHERE pack NOT IN"
				      " (SELECT number FROM pack)"),
		     0);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM pack WHERE base = 0 AND generation < 4"), 0);
}

static int refuse(void *arg, struct bytes piece, struct err *err)
{
	return err_set(err, RC_POLICY, "not this");
}

Test(publish, the_store_hands_out_only_what_fits_its_digest)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct digest one = digest_of(bytes_of("one\n")), none = digest_of(bytes_of("none"));
	struct err err = {0};

	run(s);
	must(store_read(s, &one, published_stored, NULL, &err));
	cr_assert_eq(store_read(s, &one, refuse, NULL, &err), RC_POLICY);
	cr_assert_eq(store_read(s, &none, published_stored, NULL, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "is not in the content store"));
	must(db_exec(s->db, "UPDATE content SET skip = skip + 1", &err));
	cr_assert_eq(store_read(s, &one, published_stored, NULL, &err), RC_STATE);
	must(db_exec(s->db, "UPDATE content SET skip = 100000000", &err));
	cr_assert_eq(store_read(s, &one, published_stored, NULL, &err), RC_STATE);
	must(db_exec(s->db, "UPDATE frame SET unpacked = 1 << 40", &err));
	cr_assert_eq(store_read(s, &one, published_stored, NULL, &err), RC_STATE);
	change("rm site.state/store/1.pack");
	cr_assert_lt(store_read(s, &one, published_stored, NULL, &err), 0);
}

/* Beats */

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
}

/* Private channels */

static void private_make(struct site *s, const struct machine *m, const struct private_file *f,
			 size_t n)
{
	struct key_public sign = key_public_of(m->sign), seal = key_public_of(m->seal);
	struct err err = {0};

	must(private_publish(s, &sign, &seal, &(struct private_content){.file = f, .files = n},
			     &err));
}

Test(private_channel, is_one_full_bundle_that_only_its_workstation_opens)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(machine_clear) struct machine other = machine_new();
	OWNED(content_key_freep) struct content_key *key = NULL;
	OWNED(buf_clear) struct buf changes = BUF_INIT;
	const struct private_file f[] = {{"channels/a.yaml", bytes_of("secret policy")},
					 {"channels/b.yaml", bytes_of("secret policy")},
					 {"channels.yaml", bytes_of("x")},
					 {"workstation.yaml", bytes_of("salt")}};
	struct manifest mf;
	struct err err = {0};
	char path[DEPOT_NAME];

	private_make(s, &m, f, ARRAY_LEN(f));
	must(site_post(s, &err));
	published_path(s, "SELECT path FROM private", NULL, path);
	published_bundle(s, path, m.seal, &mf, &changes);
	cr_assert(mf.private_channel);
	cr_assert_str_eq(mf.recipient, m.id);
	cr_assert_str_eq(mf.channel, "");
	cr_assert_eq(mf.base, 0);
	cr_assert_eq(mf.generation, 1);
	cr_assert_eq(mf.count[CHANGE_PUT], 4, "the padding is one");
	cr_assert_eq(mf.count[CHANGE_COPY], 1);
	cr_assert_eq(mf.count[CHANGE_DIRECTORY], 1);
	cr_assert_not_null(strstr((char *)changes.p, " new channels/a.yaml channels/b.yaml\n"));
	cr_assert_eq(content_key_open(other.seal, &mf, &key, &err), RC_UNTRUSTED);
	cr_assert_eq(scratch_run(dir, "! grep -rq 'secret\\|channels' depot/workstations"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM tree_entry"), 0,
		     "no copy stays behind");
}

Test(private_channel, the_next_generation_takes_the_place_of_the_last)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf changes = BUF_INIT;
	const struct private_file f[] = {{"workstation.yaml", bytes_of("salt")}};
	struct manifest mf;
	struct err err = {0};
	char path[DEPOT_NAME];

	private_make(s, &m, f, 1);
	must(site_post(s, &err));
	private_make(s, &m, f, 1);
	must(site_post(s, &err));
	cr_assert_eq(server_number(s, "SELECT generation FROM private"), 2);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM outbox WHERE path GLOB 'workstations/*'"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM retired"), 1);
	published_path(s, "SELECT path FROM private", NULL, path);
	published_bundle(s, path, m.seal, &mf, &changes);
	cr_assert_eq(mf.generation, 2);
}

static bool is_step(uint64_t n, uint64_t least)
{
	return n >= least && (n <= 1 << 20 ? (n & (n - 1)) == 0 : n % (1 << 19) == 0);
}

/* What anybody can see of it: the length packed, and in the manifest that unpacked. */
Test(private_channel, has_one_of_few_lengths)
{
	static char text[1500000];
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct err err = {0};

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * i % 23);
	for (size_t n = 0; n < sizeof(text); n = n * 2 + 37) {
		struct private_file f[] = {{"secret", {(const uint8_t *)text, n}},
					   {"workstation.yaml", bytes_of("salt")}};
		OWNED(buf_clear) struct buf changes = BUF_INIT;
		char path[DEPOT_NAME];
		struct manifest mf;
		uint64_t sealing;

		if (n % 2 == 1) /* also what cannot be packed */
			randombytes_buf(text, n);
		private_make(s, &m, f, 2);
		must(site_post(s, &err));
		published_path(s, "SELECT path FROM private", NULL, path);
		published_bundle(s, path, m.seal, &mf, &changes);
		cr_expect(is_step(mf.unpacked, 8192), "%zu: %ju unpacked", n,
			  (uintmax_t)mf.unpacked);
		sealing = 17 * ((mf.payload + (1 << 20) - 1) >> 20);
		cr_expect(is_step(mf.payload - sealing, 1024), "%zu: %ju packed", n,
			  (uintmax_t)(mf.payload - sealing));
	}
}

Test(private_channel, refuses_files_out_of_order_and_commits_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct key_public sign = key_public_of(m.sign), seal = key_public_of(m.seal);
	const struct private_file f[] = {{"b", bytes_of("1")}, {"a", bytes_of("2")}};
	const struct private_file g[] = {{"../a", bytes_of("2")}};
	const struct private_content order = {.file = f, .files = 2},
				     path = {.file = g, .files = 1};
	struct err err = {0};

	cr_assert_eq(private_publish(s, &sign, &seal, &order, &err), RC_INTERNAL);
	cr_assert_eq(private_publish(s, &sign, &seal, &path, &err), RC_PATH);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM private"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM tree_entry"), 0);
}
