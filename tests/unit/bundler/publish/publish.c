/* SPDX-License-Identifier: ISC */

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/outbox/site_post.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "core/base/clock.h"
#include "tests/support/channel.h"

TestSuite(publish, .init = source_make, .fini = server_teardown);

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
	change(
	    "printf 'not it' | dd of=site.state/store/1.pack bs=1 seek=200 conv=notrunc status=none");
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

static int64_t blocked(struct site *s, struct published_blocked *ret)
{
	struct err err = {0};
	int rc = published_blocked(s->db, CHANNEL, ret, &err);

	cr_assert_geq(rc, 0);
	return rc;
}

Test(publish, a_channel_that_cannot_be_published_is_remembered_until_it_can)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct published_blocked b = {0};
	struct err err = {0};

	run(s);
	cr_assert_eq(blocked(s, &b), 0);
	change("mv source away");
	cr_assert_lt(publish_site(s, NULL, 0, PUBLISH_DRY_RUN, NULL, NULL, &err), 0);
	cr_assert_eq(blocked(s, &b), 0, "a dry run tells only");
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	cr_assert_eq(blocked(s, &b), 1);
	cr_assert_eq(b.since, SERVER_NOW);
	cr_assert_not_null(strstr(b.why, "cannot be read"), "%s", b.why);
	clock_set(SERVER_NOW + 3600);
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	cr_assert_eq(server_events(s, "blocked"), 1, "the same again is no news");
	change("mkdir source");
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	cr_assert_eq(blocked(s, &b), 1);
	cr_assert_eq(b.since, SERVER_NOW);
	cr_assert_not_null(strstr(b.why, "is empty"), "%s", b.why);
	cr_assert_eq(server_events(s, "blocked"), 2, "another reason is");
	change("rmdir source; mv away source");
	run(s);
	cr_assert_eq(blocked(s, &b), 0);
}

static int restless_end(pid_t pid)
{
	int status = 0;

	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid;
}

/* A process that writes to it without a pause, from before this returns. */
static pid_t restless_begin(const char *name)
{
	char path[SCRATCH_PATH + 32];
	struct stat st;
	off_t was;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/source/%s", dir, name);
	cr_assert_eq(stat(path, &st), 0);
	was = st.st_size;
	pid = fork();
	if (pid == 0)
		for (int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);;)
			if (write(fd, "x", 1) != 1)
				_exit(1);
	while (stat(path, &st) == 0 && st.st_size == was)
		sched_yield();
	return pid;
}

/* Large, so that reading takes longer than the writer waits for its turn. */
Test(publish, a_file_that_keeps_changing_is_held_back_and_the_rest_is_published)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct published_blocked b = {0};
	struct head h = {0};
	pid_t writer;

	change("head -c 30000000 /dev/zero | tr '\\0' a > source/log");
	run(s);
	change("echo more >> source/log; cp source/log source/new; echo 3 > source/three");
	writer = restless_begin("log");
	run(s);
	cr_assert(restless_end(writer));
	cr_assert_eq(blocked(s, &b), 1);
	cr_assert_eq(b.held, 1);
	cr_assert_not_null(strstr(b.why, "log changed each time"), "%s", b.why);
	published_head(s, CHANNEL, &h);
	cr_assert_eq(h.generation, 2, "what is at rest is published");
	head_clear(&h);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM content WHERE size = 30000000"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM content WHERE size = 30000005"), 1,
		     "only of the copy at rest");
	cr_assert_eq(server_events(s, "blocked"), 1);
	run(s);
	cr_assert_eq(blocked(s, &b), 0, "it came to rest");
	published_check(s, CHANNEL);
}

Test(publish, nothing_stays_of_a_blocked_channel_that_is_removed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	change("mv source away");
	cr_assert_lt(publish_site(s, NULL, 0, 0, NULL, NULL, &err), 0);
	must(site_document_remove(s, SITE_DOCUMENT_CHANNEL, CHANNEL, &err));
	run(s);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM blocked"), 0);
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
