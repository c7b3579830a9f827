/* SPDX-License-Identifier: ISC */
/* What the depot has lost: found by listing, posted again, and told. */
#include "bundler/outbox/site_missing.h"

#include <string.h>

#include "bundler/doctor/doctor.h"
#include "bundler/documents/documents.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/outbox/site_post.h"
#include "bundler/publish/publish.h"
#include "bundler/published/published.h"
#include "bundler/registry/registry.h"
#include "core/base/finding.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/depot/depot_internal.h"
#include "tests/support/machine.h"

static void published_make(void)
{
	OWNED(site_freep) struct site *s = NULL;
	struct machine m = machine_new();
	struct err err = {0};

	server_make();
	cr_assert_eq(
	    scratch_run(dir,
			"mkdir -p payload site/channels; echo one > payload/a; printf "
			"'satchel: channel/1\nsource: ../payload\ntarget: /srv/x\nfor: [all]\n' > "
			"site/channels/office.yaml"),
	    0);
	s = server_open(SITE_LOCK);
	machine_enrol(s, &m, "lab-1");
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	machine_clear(&m);
	cr_assert_eq(scratch_run(dir, "cd depot; find . -type f -exec sha256sum {} + | sort > "
				      "../wanted"),
		     0);
}

TestSuite(site_missing, .init = published_make, .fini = server_teardown);

static uint64_t missing(struct site *s, bool mark)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(strings_clear) struct strings paths = {0};
	struct err err = {0};
	uint64_t n = 99;

	must(depot_open(depot_dir, 0, 0, &d, &err));
	if (!mark) {
		must(site_missing(s, d, &n, &err));
		return n;
	}
	must(site_missing_mark(s, d, &paths, &err));
	return paths.n;
}

static uint64_t unposted(struct site *s)
{
	struct err err = {0};
	uint64_t n = 99;

	must(site_unposted(s, &n, &err));
	return n;
}

static void in_depot(const char *command)
{
	char text[512];

	snprintf(text, sizeof(text), "cd depot; %s", command);
	cr_assert_eq(scratch_run(dir, text), 0, "%s", command);
}

static bool whole(void)
{
	return scratch_run(dir, "cd depot; find . -type f -exec sha256sum {} + | sort | cmp - "
				"../wanted") == 0;
}

Test(site_missing, nothing_is_missing_from_a_depot_that_nobody_touched)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	cr_expect_eq(missing(s, true), 0);
	cr_expect_eq(unposted(s), 0);
	in_depot("echo junk > trust/junk; echo junk > .junk; mkdir channels/other");
	cr_expect_eq(missing(s, true), 0);
}

Test(site_missing, every_kind_of_file_is_missed_and_comes_back_as_it_was)
{
	static const struct {
		const char *command;
		uint64_t n;
	} row[] = {
	    {"rm trust/*", 1},
	    {"rm beats/*", 1},
	    {"rm shards/*", 0}, /* as many as there are */
	    {"rm channels/office/*.head", 1},
	    {"rm channels/office/*.bundle", 1},
	    {"rm -r workstations", 1},
	    {"for f in channels/office/*.bundle; do truncate -s -1 $f; done", 1},
	    {"for f in workstations/*/*; do : > $f; done", 1},
	    {"for f in beats/*; do echo x >> $f; done", 1},
	    {"f=$(echo trust/*); rm $f; mkdir $f; rmdir $f; ln -s /etc/passwd $f", 1},
	    {"rm -r channels; echo junk > channels; rm channels", 2},
	    {"rm -r channels trust beats shards workstations", 0},
	};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		uint64_t n;

		in_depot(row[i].command);
		cr_expect_eq(unposted(s), 0, "%s", row[i].command);
		n = missing(s, false);
		cr_expect(row[i].n > 0 ? n == row[i].n : n > 0, "%s: %llu", row[i].command,
			  (unsigned long long)n);
		cr_expect_eq(unposted(s), 0, "%s: looking marked something", row[i].command);
		must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
		cr_expect(whole(), "%s", row[i].command);
		cr_expect_eq(missing(s, false), 0, "%s", row[i].command);
	}
	cr_expect_geq(server_events(s, "depot-lost"), (int64_t)ARRAY_LEN(row) - 1);
}

Test(site_missing, a_dry_run_marks_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	in_depot("rm channels/office/*.head");
	must(publish_site(s, NULL, 0, PUBLISH_DRY_RUN, NULL, NULL, &err));
	cr_expect_eq(unposted(s), 0);
	cr_expect_eq(missing(s, false), 1);
}

Test(site_missing, a_depot_that_is_not_there_is_told_and_nothing_counts_as_posted)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "mv depot away; echo two > payload/a"), 0);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_ABSENT, "%s", err.text);
	cr_expect_gt(unposted(s), 0);
	cr_expect_eq(server_number(s, "SELECT count(*) FROM generation"), 2);
	cr_assert_eq(scratch_run(dir, "mkdir depot"), 0);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_AGAIN, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "--refill"), "%s", err.text);
	cr_expect_eq(scratch_run(dir, "[ -z \"$(ls -A depot)\" ] && rmdir depot && mv away depot"),
		     0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect_eq(unposted(s), 0);
	cr_expect_eq(missing(s, false), 0);
}

Test(site_missing, the_same_directory_is_filled_again_and_another_one_only_when_somebody_says_so)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	in_depot("rm -r *");
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect(whole());
	cr_assert_eq(scratch_run(dir, "mv depot away; mkdir depot"), 0);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_AGAIN, "%s", err.text);
	must(publish_site(s, NULL, 0, PUBLISH_REFILL, NULL, NULL, &err));
	cr_expect(whole());
	cr_assert_eq(scratch_run(dir, "rm -r depot; cp -r away depot; rm depot/satchel.yaml"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err)); /* a trust document of ours is in it */
	cr_expect(whole());
}

/* What only the content store had is gone too. */
Test(site_missing, a_bundle_whose_bytes_are_gone_is_replaced_by_a_full_one)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "echo two > payload/b; touch -d 2001-01-01 payload/a"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_assert_eq(scratch_run(dir, "rm site.state/store/* depot/channels/office/*.bundle"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect_eq(server_number(s, "SELECT max(generation) FROM generation"), 2);
	cr_expect_eq(server_number(s, "SELECT count(*) FROM bundle"), 1);
	cr_expect_eq(
	    server_number(s, "SELECT count(*) FROM bundle WHERE base = 0 AND generation = 2"), 1);
	cr_expect_eq(missing(s, false), 0);
	cr_expect_eq(unposted(s), 0);
	/* Made of the same files it has the name of the one that was lost. */
	cr_expect_eq(server_number(s, "SELECT count(*) FROM retired WHERE path IN"
				      " (SELECT path FROM bundle)"),
		     0);
}

Test(site_missing, what_is_lost_for_good_keeps_nothing_else_back)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(scratch_run(dir,
				 "rm site.state/store/* depot/channels/office/*.bundle; "
				 "rm depot/beats/* depot/channels/office/*.head; mv payload x"),
		     0);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_IO, "%s", err.text);
	cr_expect_eq(missing(s, false), 0, "the rest is there");
	cr_expect_eq(unposted(s), 1, "and what is lost does not count as posted");
	cr_expect_eq(server_number(s, "SELECT count(*) FROM bundle"), 1);
	err = (struct err){0};
	cr_expect_eq(site_post(s, &err), RC_STATE, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "neither in the depot nor in the content store"));
}

/* As with a disk that has bad sectors. */
Test(site_missing, a_pack_that_cannot_be_opened_keeps_nothing_else_back)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "for p in site.state/store/*.pack; do "
				      "mv $p $p.kept; ln -s loop $p; done; "
				      "rm depot/channels/office/*.bundle depot/beats/*"),
		     0);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_PATH, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "content store"), "%s", err.text);
	in_depot("ls beats/*.beat");
	err = (struct err){0};
	must(site_post_again(s, &err));
	cr_assert_eq(scratch_run(dir, "for p in site.state/store/*.pack; do mv $p.kept $p; done"),
		     0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect(whole());
}

/* A publish that ends like that. */
static void publish_fails(struct site *s, int rc, const char *word, const char *remedy)
{
	struct err err = {0};

	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), rc, "%s: %s", rc_slug(rc),
		     err.text);
	cr_expect_not_null(strstr(err.text, word), "%s", err.text);
	cr_expect_not_null(strstr(err.text, remedy), "%s", err.text);
}

Test(site_missing, a_directory_that_cannot_be_listed_hides_nothing_of_the_others)
{
	static const char *const in_the_way[] = {"ln -s ../../office channels/office",
						 "echo junk > channels/office"};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(in_the_way); i++) {
		OWNED(depot_freep) struct depot *d = NULL;
		uint64_t n = 99;

		in_depot("rm beats/*; mv channels/office ..");
		in_depot(in_the_way[i]);
		must(depot_open(depot_dir, 0, 0, &d, &err));
		cr_expect_lt(site_missing(s, d, &n, &err), 0);
		cr_expect_eq(n, 1, "the beat");
		publish_fails(s, i == 0 ? RC_PATH : RC_TYPE, "channels/office",
			      "remove what lies in its place");
		in_depot("ls beats/*.beat");
		in_depot("rm channels/office");
		must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
		cr_expect(whole(), "%s", in_the_way[i]);
		cr_assert_eq(scratch_run(dir, "rm -r office"), 0);
	}
}

Test(site_missing, a_directory_in_the_place_of_a_file_keeps_no_other_file_back)
{
	static const char *const path[] = {"trust/*",
					   "beats/*",
					   "$(ls shards/* | head -n 1)",
					   "channels/office/*.head",
					   "channels/office/*.bundle",
					   "workstations/*/*"};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(path); i++) {
		char command[256];

		/* All the rest is gone as well. */
		snprintf(
		    command, sizeof(command),
		    "f=$(echo %s); rm -r trust beats shards channels workstations; mkdir -p $f/x; "
		    "echo $f > ../way",
		    path[i]);
		in_depot(command);
		publish_fails(s, RC_TYPE, "is a directory", "remove it from the depot");
		cr_expect_eq(unposted(s), 1, "%s", path[i]);
		in_depot("[ $(find . -type f | wc -l) -eq $(($(wc -l < ../wanted) - 1)) ]");
		publish_fails(s, RC_TYPE, "is a directory", "remove it from the depot");
		in_depot("rm -r $(cat ../way)");
		must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
		cr_expect(whole(), "%s", path[i]);
		cr_expect_eq(unposted(s), 0);
	}
}

Test(site_missing, a_retired_file_that_cannot_be_removed_keeps_no_other_one_there)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	must(site_post_retire_after(s, "trust/old", 0, &err));
	must(site_post_retire_after(s, "trust/older", 0, &err));
	in_depot("mkdir trust/old; touch trust/older");
	publish_fails(s, RC_IO, "trust/old", "remove it from the depot");
	in_depot("[ ! -e trust/older ]");
	cr_expect_eq(server_number(s, "SELECT count(*) FROM retired WHERE path GLOB 'trust/*'"), 1);
	in_depot("rmdir trust/old");
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect_eq(server_number(s, "SELECT count(*) FROM retired WHERE path GLOB 'trust/*'"), 0);
}

Test(site_missing, junk_in_a_directory_hides_nothing_and_uses_up_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	in_depot(
	    "for d in trust beats channels/office workstations/*; do (cd $d; seq -f junk-%g 2000 | "
	    "xargs touch); done");
	cr_expect_eq(missing(s, false), 0);
	in_depot("rm beats/*.beat; truncate -s -1 channels/office/*.bundle");
	cr_expect_eq(missing(s, false), 2);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect_eq(missing(s, false), 0);
	in_depot("find . -name 'junk-*' -delete");
	cr_expect(whole());
}

/* What comparing costs of the depot's budget is the junk, once. */
Test(site_missing, each_directory_is_listed_once_and_what_is_whole_costs_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};
	uint64_t n = 99, junk;

	in_depot("cd channels/office; seq -f junk-%g 500 | xargs touch");
	must(depot_open(depot_dir, 0, 0, &d, &err));
	must(site_missing(s, d, &n, &err));
	cr_expect_eq(n, 0);
	junk = LIMIT_DEPOT_ENTRIES - d->budget.entries;
	cr_expect(junk > 400 && junk <= 500, "%llu", (unsigned long long)junk);
}

Test(site_missing, an_event_alone_lists_nothing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	in_depot("rm beats/*");
	must(publish_site(s, NULL, 0, PUBLISH_NO_COMPARE, NULL, NULL, &err));
	cr_expect_eq(missing(s, false), 1);
	cr_expect_eq(server_events(s, "depot-lost"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect(whole());
}

Test(site_missing, what_was_lost_is_an_event_whatever_becomes_of_the_posting)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	in_depot("f=$(echo beats/*); rm trust/* $f; mkdir $f");
	publish_fails(s, RC_TYPE, "is a directory", "remove it from the depot");
	cr_expect_eq(server_events(s, "depot-lost"), 1);
	cr_expect_eq(server_number(s, "SELECT count(*) FROM event WHERE kind = 'depot-lost' AND"
				      " text LIKE '2 files were missing from the depot%'"),
		     1);
}

Test(site_missing, what_has_another_bundle_in_its_place_is_not_counted_as_posted_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(strings_clear) struct strings paths = {0};
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};
	uint64_t back = 99, there = 0;

	cr_assert_eq(scratch_run(dir, "echo two > payload/b; touch -d 2001-01-01 payload/a"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_assert_eq(scratch_run(dir, "rm site.state/store/* depot/channels/office/*.bundle "
				      "depot/beats/*"),
		     0);
	must(depot_open(depot_dir, 0, 0, &d, &err));
	must(site_missing_mark(s, d, &paths, &err));
	cr_expect_geq(paths.n, 3);
	must(site_missing_back(s, &paths, &back, &err));
	cr_expect_eq(back, 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	must(site_missing_back(s, &paths, &back, &err));
	for (size_t i = 0; i < paths.n; i++) {
		char command[512];

		snprintf(command, sizeof(command), "[ -e depot/%s ]", paths.items[i]);
		there += scratch_run(dir, command) == 0;
	}
	cr_expect_eq(back, there);
	cr_expect_lt(back, paths.n, "the full bundle is there in the place of a step");
}

struct said {
	struct reporter reporter;
	int n;
	char text[ERR_TEXT_MAX];
};

static void lost_said(struct reporter *reporter, enum reporter_level level, const char *text)
{
	struct said *to = (struct said *)reporter;

	(void)level;
	if (strstr(text, "bundles of channel") == NULL)
		return;
	to->n++;
	snprintf(to->text, sizeof(to->text), "%s", text);
}

Test(site_missing, that_another_bundle_was_made_is_said_once_and_only_when_it_was)
{
	struct said said = {.reporter = {.line = lost_said}};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	s->reporter = &said.reporter;
	cr_assert_eq(scratch_run(dir, "echo two > payload/b; touch -d 2001-01-01 payload/a"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_assert_eq(scratch_run(dir, "rm site.state/store/* depot/channels/office/*.bundle; "
				      "mv payload away"),
		     0);
	publish_fails(s, RC_IO, "payload", "");
	cr_expect_eq(said.n, 0, "%s", said.text);
	cr_assert_eq(scratch_run(dir, "mv away payload"), 0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect_eq(said.n, 1);
	cr_expect_str_eq(said.text, "2 bundles of channel office were neither in the depot nor in "
				    "the content store: a new full bundle was made");
	s->reporter = NULL;
}

/* The marker: whoever may write the depot may put anything there. */
Test(site_missing, whatever_lies_under_the_name_of_the_marker_is_replaced_in_our_own_depot)
{
	static const char *const junk[] = {
	    "ln -sf /etc/passwd satchel.yaml",
	    "rm satchel.yaml; mkfifo satchel.yaml",
	    "sed -i 's/^site: \"..../site: \"0000/' satchel.yaml",
	};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(junk); i++)
		for (int refill = 0; refill < 2; refill++) {
			in_depot(junk[i]);
			must(publish_site(s, NULL, 0, refill ? PUBLISH_REFILL : 0, NULL, NULL,
					  &err));
			cr_expect(whole(), "%s", junk[i]);
		}
	for (int refill = 0; refill < 2; refill++) {
		char want[SCRATCH_PATH + 96];

		in_depot("rm satchel.yaml beats/*; mkdir -p satchel.yaml/x");
		snprintf(want, sizeof(want),
			 "remove satchel.yaml from the depot %s: a file belongs there", depot_dir);
		err = (struct err){0};
		cr_expect_eq(
		    publish_site(s, NULL, 0, refill ? PUBLISH_REFILL : 0, NULL, NULL, &err),
		    RC_TYPE, "%s", err.text);
		cr_expect_str_eq(err.text, want);
		in_depot("ls beats/*.beat"); /* it keeps nothing back */
		in_depot("rm -r satchel.yaml");
		must(publish_site(s, NULL, 0, refill ? PUBLISH_REFILL : 0, NULL, NULL, &err));
		cr_expect(whole());
	}
}

/* Only readers find out, and one byte keeps all of them from the channel. */
Test(site_missing, bytes_that_were_changed_are_put_right_when_somebody_says_so)
{
	static const char *const files[] = {"channels/office/*.bundle", "channels/office/*.head",
					    "trust/*", "shards/*", "beats/*"};
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char command[160];

		snprintf(
		    command, sizeof(command),
		    "f=$(ls %s | head -n 1) && printf 'not it' | dd of=$f bs=1 seek=150 conv=notrunc "
		    "2>/dev/null",
		    files[i]);
		in_depot(command);
		cr_expect_not(whole());
	}
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect_not(whole(), "nobody has looked");
	must(publish_site(s, NULL, 0, PUBLISH_REFILL, NULL, NULL, &err));
	cr_expect(whole());
	cr_expect_eq(unposted(s), 0);
}

Test(site_missing, what_only_the_depot_has_still_is_not_taken_away_by_comparing)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "rm site.state/store/*; mv payload away"), 0);
	cr_expect_eq(publish_site(s, NULL, 0, PUBLISH_REFILL, NULL, NULL, &err), RC_IO, "%s",
		     err.text);
	cr_expect_not_null(strstr(err.text, "payload"), "%s", err.text);
	cr_expect_eq(unposted(s), 0);
	cr_expect(whole());
}

/* Another directory was put there, and in it one under the marker's name. */
Test(site_missing, a_depot_is_filled_although_a_directory_has_the_name_of_the_marker)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(scratch_run(dir, "mv depot away; mkdir -p depot/satchel.yaml/x"), 0);
	cr_expect_eq(publish_site(s, NULL, 0, PUBLISH_REFILL, NULL, NULL, &err), RC_TYPE, "%s",
		     err.text);
	cr_expect_not_null(strstr(err.text, "remove satchel.yaml from the depot"), "%s", err.text);
	in_depot("ls beats/*.beat channels/office/*.bundle; test -d satchel.yaml/x");
	in_depot("rm -r satchel.yaml");
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_expect(whole());
}

Test(site_missing, another_sites_marker_in_a_directory_that_is_not_ours_stays)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(scratch_run(dir,
				 "mv depot away; mkdir depot; sed 's/^site: \"..../site: \"0000/' "
				 "away/satchel.yaml > depot/satchel.yaml; cp -r depot theirs"),
		     0);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_CONFLICT, "%s", err.text);
	cr_expect_eq(publish_site(s, NULL, 0, PUBLISH_REFILL, NULL, NULL, &err), RC_CONFLICT, "%s",
		     err.text);
	cr_expect_eq(scratch_run(dir, "diff -r depot theirs"), 0);
	/* Nor in the very directory of ours, when nothing else of ours is there: of two sticks each
	 * may be the same device and inode. */
	cr_assert_eq(
	    scratch_run(dir, "rm -r depot; mv away depot; rm -r depot/*; cp theirs/* depot"), 0);
	cr_expect_eq(publish_site(s, NULL, 0, 0, NULL, NULL, &err), RC_CONFLICT, "%s", err.text);
	cr_expect_not_null(strstr(err.text, "remove satchel.yaml"), "%s", err.text);
	cr_expect_eq(scratch_run(dir, "diff -r depot theirs"), 0);
}

static void store_found(void *arg, const struct finding *one)
{
	struct finding *to = arg;

	if (strcmp(one->check, "store") == 0)
		*to = *one;
}

static struct finding store_examined(void)
{
	struct finding found = {.level = FINDING_LEVELS};
	struct findings f = {.each = store_found, .arg = &found};

	site_examine(site_dir, NULL, &f);
	return found;
}

Test(site_missing, the_doctor_misses_packs_and_its_remedy_fills_the_store_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_expect_eq(store_examined().level, FINDING_OK);
	cr_assert_eq(scratch_run(dir, "rm -r site.state/store"), 0);
	cr_expect_eq(store_examined().level, FINDING_WARNING);
	cr_expect_not_null(strstr(store_examined().remedy, "satchel publish --full"));
	cr_expect_eq(scratch_run(dir, "[ ! -e site.state/store ]"), 0, "looking made something");
	must(publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &err));
	cr_expect_eq(store_examined().level, FINDING_OK);
	cr_expect_eq(scratch_run(dir, "ls site.state/store/*.pack"), 0);
	cr_expect_eq(missing(s, false), 0);
	/* What the depot loses now is posted again without the source. */
	cr_assert_eq(scratch_run(dir, "mv payload away; rm depot/channels/office/*.bundle"), 0);
	publish_fails(s, RC_IO, "payload", "");
	cr_expect_eq(missing(s, false), 0);
	cr_expect_eq(unposted(s), 0);
}
