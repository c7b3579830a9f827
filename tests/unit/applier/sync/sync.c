/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "applier/report/event.h"
#include "applier/report/outbox.h"
#include "applier/station/station_config.h"
#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "tests/support/sync_fixture.h"

TestSuite(sync, .timeout = 120);

#define TREES_EQUAL(f) \
	FIXTURE_RUN(   \
	    f, "diff -r office ws/root/opt/office && test $(readlink ws/root/opt/office/l) = a")

Test(sync, the_first_brings_what_the_site_published)
{
	struct fixture f;

	fixture_joined(&f);
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	cr_assert_eq(fixture_said(&f, "office")->before, 0);
	cr_assert_eq(fixture_said(&f, "office")->after, 1);
	cr_assert_eq(fixture_said(&f, "")->after, 1);
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) = 1");
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.request 2>/dev/null | wc -l) = 0");
	cr_assert_eq(fixture_collect(&f).receipts, 1);
	fixture_end(&f);
}

Test(sync, again_with_nothing_new_changes_nothing_and_says_nothing)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "find ws/root depot -printf '%p %i %T@ %C@\\n' | sort > before");
	fixture_clock(FIXTURE_NOW + 3600);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(fixture_said(&f, "office")->before, 1);
	cr_assert_eq(fixture_said(&f, "office")->after, 1);
	FIXTURE_RUN(&f, "find ws/root depot -printf '%p %i %T@ %C@\\n' | sort | diff before -");
	fixture_end(&f);
}

Test(sync, once_a_day_a_receipt_says_that_the_machine_is_alive)
{
	struct fixture f;

	fixture_synced(&f);
	fixture_clock(FIXTURE_NOW + 86399);
	fixture_sync(&f);
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) = 1");
	fixture_clock(FIXTURE_NOW + 86400);
	fixture_sync(&f);
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) = 2");
	fixture_end(&f);
}

Test(sync, a_change_travels_as_a_small_bundle)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo more >> office/a; rm office/sub/b; mkdir office/new");
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	cr_assert_eq(fixture_said(&f, "office")->after, 2);
	cr_assert_eq(fixture_said(&f, "office")->preview.deletions, 1);
	fixture_end(&f);
}

Test(sync, several_generations_behind_it_catches_up)
{
	struct fixture f;

	fixture_synced(&f);
	for (int i = 0; i < 3; i++) {
		FIXTURE_RUN(&f, "date +%N >> office/a");
		fixture_publish(&f);
	}
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	cr_assert_eq(fixture_said(&f, "office")->after, 4);
	fixture_end(&f);
}

Test(sync, a_dry_run_previews_and_leaves_the_target_and_the_depot_alone)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo more >> office/a; rm office/sub/b");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "find ws/root depot -printf '%p %i %T@ %C@\\n' | sort > before");
	cr_assert_eq(fixture_sync_with(&f, NULL, SYNC_DRY_RUN), 0, "%s", f.err.text);
	cr_assert_eq(fixture_said(&f, "office")->after, 1);
	cr_assert_eq(fixture_said(&f, "office")->wanted, 2);
	cr_assert_eq(fixture_said(&f, "office")->preview.deletions, 1);
	FIXTURE_RUN(&f, "find ws/root depot -printf '%p %i %T@ %C@\\n' | sort | diff before -");
	fixture_end(&f);
}

Test(sync, before_approval_it_waits)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	fixture_init(&f);
	fixture_invite(&f, code);
	fixture_publish(&f);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	FIXTURE_SYNC(&f, RC_AGAIN);
	cr_assert_not_null(strstr(f.err.text, "not approved"), "%s", f.err.text);
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt 2>/dev/null | wc -l) = 0");
	fixture_end(&f);
}

Test(sync, without_any_depot_at_hand_it_says_so)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "mv depot away");
	FIXTURE_SYNC(&f, RC_AGAIN);
	cr_assert_not_null(strstr(f.err.text, "no depot is at hand"), "%s", f.err.text);
	FIXTURE_RUN(&f, "mkfifo depot"); /* as good as a share that answers with an error */
	FIXTURE_SYNC(&f, RC_IO);
	cr_assert_not_null(strstr(f.err.text, "Not a directory"), "%s", f.err.text);
	FIXTURE_RUN(&f, "rm depot");
	FIXTURE_RUN(&f, "test ! -e depot");
	fixture_end(&f);
}

/* Depots */

Test(sync, a_mount_point_without_its_share_is_no_depot)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "mv depot away; mkdir depot; touch depot/.hidden");
	FIXTURE_SYNC(&f, RC_AGAIN);
	cr_assert_eq(fixture_sync_with(&f, "depot", 0), RC_INCOMPLETE, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "has nothing of the site Acme"), "%s", f.err.text);
	FIXTURE_RUN(&f, "test \"$(ls -A depot)\" = .hidden");
	fixture_end(&f);
}

static void depot_configured(struct fixture *f, const char *name)
{
	struct station *s = fixture_station(f);

	cr_assert_eq(station_config_depot(s, fixture_path(f, name), &f->err), 0, "%s", f->err.text);
	station_free(s);
}

Test(sync, a_stale_stick_beside_a_fresh_share_raises_no_alarm)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "cp -r depot stick; echo more >> office/a");
	fixture_publish(&f);
	depot_configured(&f, "stick");
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	FIXTURE_SYNC(&f, 0);
	fixture_end(&f);
}

Test(sync, a_stale_stick_by_hand_is_a_replay)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "cp -r depot stick; echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(fixture_sync_with(&f, "stick", 0), RC_REPLAY, "%s", f.err.text);
	TREES_EQUAL(&f);
	cr_assert_eq(fixture_sync_with(&f, "depot", 0), 0, "%s", f.err.text);
	fixture_end(&f);
}

Test(sync, what_is_torn_in_one_depot_comes_from_another)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cp -r depot stick; for b in depot/channels/office/*-2-*.bundle; do "
			"truncate -s -600 $b; done");
	FIXTURE_SYNC(&f, RC_INCOMPLETE);
	FIXTURE_RUN(&f, "grep -qx one ws/root/opt/office/a");
	depot_configured(&f, "stick");
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

/* Whatever somebody made of one depot. */
Test(sync, a_channel_that_is_a_link_in_one_depot_comes_from_another)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cp -r depot stick; mv depot/channels/office elsewhere; "
			"ln -s ../../elsewhere depot/channels/office");
	depot_configured(&f, "stick");
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

Test(sync, a_missing_bundle_is_waited_for_and_heals)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "mkdir away; mv depot/channels/office/*.bundle away");
	FIXTURE_SYNC(&f, RC_INCOMPLETE);
	FIXTURE_RUN(
	    &f, "grep -qx one ws/root/opt/office/a && test $(wc -l < ws/root/opt/office/a) = 1");
	FIXTURE_RUN(&f, "mv away/*.bundle depot/channels/office/");
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

Test(sync, a_lost_step_of_the_chain_is_gone_round_by_way_of_the_full_bundle)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "head -c 300000 /dev/urandom > office/big");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "echo small > office/big");
	fixture_publish(&f);
	/* From 1 the cheapest way is through 2; a full bundle for 3 is made by hand here. */
	{
		struct site *s = fixture_site(&f);

		FIXTURE_RUN(&f, "echo x >> office/a");
		cr_assert_eq(publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &f.err), 0, "%s",
			     f.err.text);
		site_free(s);
	}
	FIXTURE_RUN(&f, "rm depot/channels/office/1.1-*.bundle");
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

Test(sync, every_flipped_byte_of_a_beat_is_only_incomplete)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "ls depot/beats | sort > old; echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f,
		    "for b in $(ls depot/beats | grep -vxFf old); do "
		    "printf X | dd of=depot/beats/$b bs=1 seek=200 conv=notrunc status=none; done");
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(fixture_said(&f, "office")->after, 1);
	cr_assert_eq(fixture_sync_with(&f, "depot", 0), 0, "%s", f.err.text);
	fixture_end(&f);
}

Test(sync, litter_in_a_depot_is_passed_by)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f,
		    "cd depot; touch beats/.x beats/._9-0 beats/99-zz.beat; mkfifo "
		    "beats/99-00000000000000000000000000000000.beat; "
		    "ln -s /etc/shadow beats/98-00000000000000000000000000000000.beat; "
		    "mkdir beats/97-00000000000000000000000000000000.beat; "
		    "mkfifo trust/2-00000000000000000000000000000000.trust; "
		    "head -c 2000000 /dev/zero > beats/96-00000000000000000000000000000000.beat");
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

/* Files of another site, or made by somebody with no key of ours. */
Test(sync, a_beat_of_another_site_is_refused_and_told)
{
	struct fixture f, other;

	fixture_synced(&f);
	fixture_init(&other);
	FIXTURE_RUN(&other, "mkdir office; touch office/x");
	fixture_channel(&other, "office", "/opt/office", "keep");
	for (int i = 0; i < 5; i++) {
		FIXTURE_RUN(&other, "date +%N > office/x");
		fixture_publish(&other);
	}
	{
		char command[512];

		snprintf(command, sizeof(command), "cp -r %s/depot/* depot/ 2>/dev/null; true",
			 other.dir);
		FIXTURE_RUN(&f, command);
	}
	FIXTURE_SYNC(&f, 0); /* the depot is up to date all the same */
	TREES_EQUAL(&f);
	fixture_end(&other);
	fixture_end(&f);
}

/* Policy */

static void config_replace(struct fixture *f, const char *rest)
{
	char path[512], root[512];
	FILE *to;

	snprintf(root, sizeof(root), "%s/ws/root", f->dir);
	snprintf(path, sizeof(path), "%s/ws/workstation.yaml", f->dir);
	to = fopen(path, "w");
	cr_assert_not_null(to);
	fprintf(to, "satchel: workstation-config/1\nroot: %s\ndepots:\n  - %s/depot\n%s", root,
		f->dir, rest);
	fclose(to);
}

Test(sync, one_channel_that_is_not_allowed_does_not_stop_the_others)
{
	struct fixture f;
	char allow[512];

	fixture_joined(&f);
	fixture_tools(&f, "/etc/tools");
	snprintf(allow, sizeof(allow), "allow:\n  - %s/ws/root/opt\n", f.dir);
	config_replace(&f, allow);
	FIXTURE_SYNC(&f, RC_POLICY);
	TREES_EQUAL(&f);
	cr_assert_eq(fixture_said(&f, "tools")->rc, RC_POLICY);
	cr_assert_eq(fixture_said(&f, "office")->rc, 0);
	FIXTURE_RUN(&f, "test ! -e ws/root/etc");
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) = 1");
	FIXTURE_SYNC(&f, RC_POLICY);
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) = 1");
	fixture_end(&f);
}

Test(sync, private_documents_changed_on_this_machine_are_put_right)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "sed -i 's,/opt/office,/opt/else,' ws/state/private/channels/office.yaml");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "grep -q /opt/office ws/state/private/channels/office.yaml; "
			"test ! -e ws/root/opt/else");
	TREES_EQUAL(&f);
	fixture_end(&f);
}

/* By hand */

static int by_hand(struct fixture *f, const char *glob, enum sync_flags flags)
{
	char command[512], path[512] = "";
	struct station *s;
	FILE *from;
	int rc;

	snprintf(command, sizeof(command), "ls -d %s/%s", f->dir, glob);
	from = popen(command, "r");
	cr_assert_not_null(from);
	cr_assert_not_null(fgets(path, sizeof(path), from));
	pclose(from);
	path[strcspn(path, "\n")] = '\0';
	s = fixture_station(f);
	f->err = (struct err){0};
	f->saids = 0;
	rc = sync_file(s, path, flags, fixture_each, f, &f->err);
	station_free(s);
	return rc;
}

Test(sync_file, applies_a_newer_bundle_and_the_receipt_says_that_freshness_is_unknown)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "cp -r depot old; echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "mkdir hand; mv depot/channels/office/1.1-2-*.bundle hand/x.bundle; "
			"mv depot/channels/office/1.2-*.head hand; "
			"rm -r depot; cp -r old depot");
	cr_assert_eq(by_hand(&f, "hand/x.bundle", SYNC_DRY_RUN), 0, "%s", f.err.text);
	cr_assert_eq(fixture_said(&f, "office")->after, 1);
	cr_assert_eq(by_hand(&f, "hand/x.bundle", 0), 0, "%s", f.err.text);
	cr_assert_eq(fixture_said(&f, "office")->after, 2);
	TREES_EQUAL(&f);
	cr_assert_eq(by_hand(&f, "hand/x.bundle", 0), 0, "%s", f.err.text);
	/* The depot does not know of it yet, and that is no replay. */
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

Test(sync_file, an_older_bundle_is_a_replay_and_changes_nothing)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "mkdir hand; cp depot/channels/office/1.0-1-*.bundle hand/x.bundle; "
			"cp depot/channels/office/1.1-*.head hand; "
			"echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(by_hand(&f, "hand/x.bundle", 0), RC_REPLAY, "%s", f.err.text);
	TREES_EQUAL(&f);
	FIXTURE_SYNC(&f, 0);
	fixture_end(&f);
}

Test(sync_file, a_tampered_bundle_is_refused_and_told)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo more >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f,
		    "mkdir hand; cp depot/channels/office/1.1-2-*.bundle hand/x.bundle; "
		    "printf 'not it' | dd of=hand/x.bundle bs=1 seek=800 conv=notrunc status=none");
	cr_assert_eq(rc_class(by_hand(&f, "hand/x.bundle", 0)), EXIT_CLASS_UNTRUSTED, "%s",
		     f.err.text);
	FIXTURE_RUN(&f, "test $(wc -l < ws/root/opt/office/a) = 1");
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) -ge 1");
	FIXTURE_RUN(&f, "printf Y >> depot/channels/office/x");
	fixture_end(&f);
}

Test(sync_file, needs_the_base_that_it_starts_from)
{
	struct fixture f;

	fixture_synced(&f);
	for (int i = 0; i < 2; i++) {
		FIXTURE_RUN(&f, "date +%N >> office/a");
		fixture_publish(&f);
	}
	cr_assert_eq(by_hand(&f, "depot/channels/office/1.2-3-*.bundle", 0), RC_AGAIN, "%s",
		     f.err.text);
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

/* Freshness */

Test(sync, a_beat_past_its_time_is_stale_and_what_it_names_still_counts)
{
	struct fixture f;

	fixture_joined(&f);
	fixture_clock(FIXTURE_NOW + 400 * 86400);
	FIXTURE_SYNC(&f, RC_EXPIRED);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

Test(sync, past_the_expiry_of_trust_nothing_new_is_applied_until_it_is_renewed)
{
	struct fixture f;
	struct site *s;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "cp -r ws/root/opt/office before; echo news > office/a");
	fixture_clock(FIXTURE_NOW + 3653ll * 86400);
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), RC_EXPIRED, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "satchel trust renew"), "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r before ws/root/opt/office");
	/* The remedy that is told works, without a visit. */
	s = fixture_site(&f);
	cr_assert_eq(trust_change_renew(s, 1000, NULL, &f.err), 1, "%s", f.err.text);
	site_free(s);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

Test(sync, a_clock_that_is_behind_locks_nobody_out)
{
	struct fixture f;

	fixture_joined(&f);
	fixture_clock(86400);
	FIXTURE_SYNC(&f, 0);
	TREES_EQUAL(&f);
	fixture_end(&f);
}

/* Reports */

Test(report, a_read_only_depot_leaves_the_receipt_queued)
{
	struct fixture f;
	struct station *s;
	uint64_t waiting = 9;

	if (geteuid() == 0)
		cr_skip_test("root writes everywhere");
	fixture_joined(&f);
	FIXTURE_RUN(&f, "chmod -R a-w depot");
	cr_assert_neq(fixture_sync(&f), 0);
	TREES_EQUAL(&f);
	s = fixture_station(&f);
	cr_assert_eq(outbox_waiting(s, &waiting, &f.err), 0);
	cr_assert_eq(waiting, 1);
	station_free(s);
	FIXTURE_RUN(&f, "chmod -R u+w depot");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) = 1");
	fixture_end(&f);
}

Test(report, own_receipts_beyond_the_last_eight_are_pruned)
{
	struct fixture f;

	fixture_synced(&f);
	FIXTURE_RUN(&f,
		    "cd depot/inbox/*/; id=$(ls *.receipt | head -1 | cut -d- -f1); "
		    "touch $id-999-00000000000000000000000000000000.receipt "
		    "00000000000000000000000000000000-1-00000000000000000000000000000000.receipt");
	for (int i = 1; i <= 10; i++) {
		fixture_clock(FIXTURE_NOW + i * 86400);
		fixture_sync(&f);
	}
	FIXTURE_RUN(&f, "test $(ls depot/inbox/*/*.receipt | wc -l) = 10");
	fixture_end(&f);
}

Test(report, events_are_sent_until_they_are_acknowledged_and_that_is_no_news)
{
	struct fixture f;
	struct station *s;
	uint64_t before, after;

	fixture_synced(&f);
	s = fixture_station(&f);
	cr_assert_eq(station_event(s, "untrusted", "something", &f.err), 0);
	station_free(s);
	FIXTURE_SYNC(&f, 0);
	fixture_collect(&f);
	fixture_publish(&f);
	s = fixture_station(&f);
	cr_assert_eq(station_next(s, COUNTER_RECEIPT, &before, &f.err), 0);
	station_free(s);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_SYNC(&f, 0);
	s = fixture_station(&f);
	cr_assert_eq(station_next(s, COUNTER_RECEIPT, &after, &f.err), 0);
	cr_assert_eq(after, before + 1, "no receipt in between");
	station_free(s);
	fixture_end(&f);
}

/* A file system that says how it is: the tests' own. */
static uint64_t blocks_free;

int fstatvfs(int fd, struct statvfs *ret)
{
	struct statfs real;

	if (fstatfs(fd, &real) < 0)
		return -1;
	*ret = (struct statvfs){.f_bsize = (unsigned long)real.f_bsize,
				.f_frsize = (unsigned long)real.f_bsize,
				.f_blocks = real.f_blocks,
				.f_bfree = real.f_bfree,
				.f_bavail = blocks_free > 0 ? blocks_free : real.f_bavail,
				.f_files = real.f_files,
				.f_ffree = real.f_ffree,
				.f_favail = real.f_ffree};
	return 0;
}

Test(report, more_free_space_than_a_document_can_say_is_no_fault)
{
	static const uint64_t blocks[] = {1ull << 42, UINT64_MAX / 2};
	struct fixture f;

	for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
		blocks_free = blocks[i];
		fixture_joined(&f);
		FIXTURE_SYNC(&f, 0);
		cr_assert_eq(fixture_collect(&f).receipts, 1);
		fixture_end(&f);
	}
}
