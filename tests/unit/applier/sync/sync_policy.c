/* SPDX-License-Identifier: ISC */
/*
 * What a run of sync makes of the policy in force, and the owner's hooks.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "applier/station/hook.h"
#include "tests/support/people.h"

static void utc(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
}

TestSuite(sync_policy, .init = utc, .timeout = 120);

#define ANNA "anna@example.org"
#define HOUR 3600
#define DAY  86400

static const struct tree_key keys[] = {{"disk", 1, 0}};

static const char *account(void)
{
	return geteuid() == 0 ? "nobody" : own_account();
}

/* A new generation of the channel, whose beat arrives, but not its bundle. */
static void bundle_late(struct fixture *f)
{
	FIXTURE_RUN(f, "echo new > office/a");
	fixture_publish(f);
	FIXTURE_RUN(f, "mkdir -p late && mv depot/channels/office/*-2-*.bundle late/");
}

static void bundle_arrives(struct fixture *f)
{
	FIXTURE_RUN(f, "mv late/* depot/channels/office/");
}

static bool applied(struct fixture *f)
{
	return fixture_run(f, "grep -qx new ws/root/opt/office/a") == 0;
}

/* Of the newest receipt. */
static struct receipt_channel office(struct fixture *f)
{
	OWNED(receipt_clear) struct receipt r = {0};

	newest_receipt(f, &r);
	cr_assert_eq(r.channels, 1);
	return r.channel[0];
}

static size_t events(struct fixture *f, const char *kind)
{
	OWNED(receipt_clear) struct receipt r = {0};
	size_t n = 0;

	newest_receipt(f, &r);
	for (size_t i = 0; i < r.events; i++)
		n += strcmp(r.event[i].kind, kind) == 0;
	return n;
}

Test(sync_policy, past_the_expiry_nothing_is_applied_until_a_newer_beat_arrives)
{
	struct tree_files t;
	struct fixture f;

	tree_policy_synced(&f, &t, "expiry", "refuse");
	bundle_late(&f);
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	fixture_clock(FIXTURE_NOW + 400 * (int64_t)DAY);
	bundle_arrives(&f);
	cr_assert_eq(fixture_sync(&f), RC_EXPIRED, "%s", f.err.text);
	cr_assert_not(applied(&f));
	cr_assert_str_eq(office(&f).result, "refused");
	cr_assert_not_null(strstr(office(&f).reason, "expired: "), "%s", office(&f).reason);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	cr_assert(applied(&f));
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, without_that_policy_an_old_beat_is_told_and_what_it_names_is_applied)
{
	struct tree_files t;
	struct fixture f;

	tree_policy_synced(&f, &t, "expiry", "warn");
	bundle_late(&f);
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	fixture_clock(FIXTURE_NOW + 400 * (int64_t)DAY);
	bundle_arrives(&f);
	cr_assert_eq(fixture_sync(&f), RC_EXPIRED, "%s", f.err.text);
	cr_assert(applied(&f));
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, a_newer_beat_is_followed_once_however_old_it_is_when_it_comes)
{
	struct tree_files t;
	struct fixture f;

	tree_policy_synced(&f, &t, "expiry", "refuse");
	FIXTURE_RUN(&f, "echo new > office/a");
	fixture_publish(&f);
	/* Whoever carries it takes a year, or this machine's clock is wrong. */
	fixture_clock(FIXTURE_NOW + 400 * (int64_t)DAY);
	cr_assert_eq(fixture_sync(&f), RC_EXPIRED, "%s", f.err.text);
	cr_assert(applied(&f));
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, a_bundle_by_hand_is_refused_as_well)
{
	struct tree_files t;
	struct fixture f;
	struct station *s;
	int rc;

	tree_policy_synced(&f, &t, "expiry", "refuse");
	FIXTURE_RUN(&f, "cp -r depot stick && echo new > office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "mv $(ls -t depot/channels/office/*.bundle | head -n 1) by-hand.bundle; "
			"mv depot/channels/office/1.2-*.head . && rm -r depot && mv stick depot");
	fixture_clock(FIXTURE_NOW + 400 * (int64_t)DAY);
	s = fixture_station(&f);
	f.err = (struct err){0};
	rc = sync_file(s, fixture_path(&f, "by-hand.bundle"), 0, NULL, NULL, &f.err);
	station_free(s);
	cr_assert_eq(rc, RC_EXPIRED, "%s", f.err.text);
	cr_assert_not(applied(&f));
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, stale_hours_count_from_when_the_newest_beat_arrived)
{
	struct tree_files t;
	struct fixture f;

	tree_policy_synced(&f, &t, "stale-hours", "24");
	fixture_clock(FIXTURE_NOW + 24 * HOUR - 1);
	FIXTURE_SYNC(&f, 0);
	fixture_clock(FIXTURE_NOW + 24 * HOUR);
	cr_assert_eq(fixture_sync(&f), RC_EXPIRED, "%s", f.err.text);
	cr_assert_eq(events(&f, "stale"), 1);
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, outside_of_the_windows_channels_wait_and_the_private_channel_does_not)
{
	struct tree_files t;
	struct fixture f;

	tree_policy_synced(&f, &t, "sync-minutes", "5");
	/* FIXTURE_NOW is 08:00 UTC. */
	tree_clear(&t);
	tree_sub(&t, "office", "/opt/office", "keep");
	tree_setting(&t, "apply-windows", "[\"22:00-05:00\", \"12:00-12:30\"]");
	FIXTURE_RUN(&f, "echo new > office/a");
	fixture_publish(&f);
	tree_publish(&f, &t);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN, "%s", f.err.text);
	cr_assert_not(applied(&f));
	cr_assert_eq(fixture_said(&f, "")->rc, 0);
	cr_assert_gt(fixture_said(&f, "")->after, fixture_said(&f, "")->before);
	cr_assert_str_eq(office(&f).result, "waiting");
	cr_assert_not_null(strstr(office(&f).reason, "22:00-05:00, 12:00-12:30"), "%s",
			   office(&f).reason);
	fixture_clock(FIXTURE_NOW + 4 * HOUR);
	FIXTURE_SYNC(&f, 0);
	cr_assert(applied(&f));
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, a_person_who_says_now_goes_ahead)
{
	struct tree_files t = {0};
	struct fixture f;

	fixture_joined(&f);
	tree_sub(&t, "office", "/opt/office", "keep");
	tree_setting(&t, "apply-windows", "[\"22:00-05:00\"]");
	tree_publish(&f, &t);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN, "%s", f.err.text);
	FIXTURE_RUN(&f, "test ! -e ws/root/opt/office/a");
	cr_assert_eq(fixture_sync_with(&f, NULL, SYNC_NOW), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "test -e ws/root/opt/office/a");
	tree_clear(&t);
	fixture_end(&f);
}

static void changed_here(struct fixture *f)
{
	FIXTURE_RUN(f, "echo mine > ws/root/opt/office/a; echo new > office/a");
	fixture_publish(f);
}

Test(sync_policy, it_chooses_among_the_answers_to_local_changes_that_the_owner_allows)
{
	struct tree_files t;
	struct fixture f;

	tree_policy_synced(&f, &t, "local-changes", "keep");
	FIXTURE_RUN(&f, "echo 'local-changes-allowed: [keep]' >> ws/workstation.yaml");
	changed_here(&f);
	fixture_sync(&f);
	FIXTURE_RUN(&f, "grep -qx mine ws/root/opt/office/a");
	cr_assert_eq(office(&f).deviations, 1);
	cr_assert_eq(events(&f, "policy"), 1); /* from before the owner allowed it */
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, a_choice_that_the_owner_does_not_allow_is_told_and_not_followed)
{
	struct tree_files t;
	struct fixture f;

	tree_policy_synced(&f, &t, "local-changes", "keep");
	changed_here(&f);
	fixture_sync(&f);
	cr_assert(applied(&f));
	cr_assert_eq(events(&f, "policy"), 1);
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, when_the_server_is_silent_for_too_long_keys_are_withheld_and_given_back)
{
	OWNED(receipt_clear) struct receipt r = {0};
	struct tree_files t = {0};
	struct fixture f;

	fixture_joined(&f);
	tree_person(&t, ANNA, account(), keys, 1);
	tree_setting(&t, "disable-hours", "48");
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "mv depot away"); /* it is withheld without a depot as well */
	fixture_clock(FIXTURE_NOW + 48 * HOUR - 1);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN);
	FIXTURE_RUN(&f, "test -e ws/handout/*/keys/disk");
	fixture_clock(FIXTURE_NOW + 48 * HOUR);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN);
	FIXTURE_RUN(&f, "test ! -e ws/handout/*/keys && test -d ws/handout/*/");
	FIXTURE_RUN(&f, "mv away depot");
	fixture_sync(&f);
	newest_receipt(&f, &r);
	cr_assert_eq(r.users, 1);
	cr_assert_str_eq(r.user[0].result, "withheld");
	fixture_publish(&f);
	tree_publish(&f, &t);
	fixture_sync(&f);
	FIXTURE_RUN(&f, "test -e ws/handout/*/keys/disk");
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, a_policy_that_cannot_be_read_is_told_and_channels_go_on)
{
	struct tree_files t = {0};
	struct fixture f;

	fixture_joined(&f);
	tree_sub(&t, "office", "/opt/office", "keep");
	tree_text(&t, "policy.yaml", "satchel: effective/1\nfuture: 1\n");
	tree_publish(&f, &t);
	cr_assert_eq(fixture_sync(&f), RC_MALFORMED, "%s", f.err.text);
	FIXTURE_RUN(&f, "test -e ws/root/opt/office/a");
	cr_assert_eq(events(&f, "malformed"), 1);
	tree_clear(&t);
	fixture_end(&f);
}

/* hook NAME: a shell script in the hooks directory. */
static void hook_write(struct fixture *f, const char *name, const char *script)
{
	char command[2048];

	snprintf(command, sizeof(command),
		 "mkdir -p ws/hooks && printf '#!/bin/sh\\n%%s\\n' '%s' > ws/hooks/%s && "
		 "chmod 755 ws/hooks/%s",
		 script, name, name);
	FIXTURE_RUN(f, command);
}

Test(sync_policy, hooks_are_told_what_changed_once_and_when_it_changed)
{
	struct tree_files t = {0};
	char script[512];
	struct fixture f;

	fixture_joined(&f);
	snprintf(script, sizeof(script), "echo \"$SATCHEL_HOOK $SATCHEL_POLICY\" >> %s/told",
		 f.dir);
	hook_write(&f, "policy-changed", script);
	hook_write(&f, "keys-changed", script);
	tree_person(&t, ANNA, account(), keys, 1);
	tree_setting(&t, "sync-minutes", "5");
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(
	    &f,
	    "test $(wc -l < told) -eq 2 && grep -qx 'policy-changed '$(pwd -P)'/ws/handout/policy.yaml' told && "
	    "grep -q '^keys-changed ' told");
	tree_clear(&t);
	tree_person(&t, ANNA, account(), keys, 1);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "test $(grep -c ^policy-changed told) -eq 2 && "
			"test $(grep -c ^keys-changed told) -eq 1");
	tree_clear(&t);
	fixture_end(&f);
}

Test(sync_policy, a_hook_that_fails_is_an_event_and_not_a_failed_sync)
{
	struct tree_files t;
	struct fixture f;

	fixture_joined(&f);
	hook_write(&f, "policy-changed", "echo broken >&2; exit 3");
	memset(&t, 0, sizeof(t));
	tree_setting(&t, "sync-minutes", "5");
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(events(&f, "hook"), 1);
	tree_clear(&t);
	fixture_end(&f);
}

static int run_hook(struct fixture *f, const char *name, int seconds, struct buf *said)
{
	struct hook h = {.name = name, .seconds = seconds};
	struct station *s = fixture_station(f);
	int rc;

	f->err = (struct err){0};
	rc = hook_run(s, &h, said, &f->err);
	station_free(s);
	return rc;
}

Test(sync_policy, a_hook_gets_nothing_of_ours_and_what_it_says_is_bounded_and_harmless)
{
	OWNED(buf_clear) struct buf said = BUF_INIT, much = BUF_INIT;
	struct fixture f;

	fixture_joined(&f);
	setenv("SECRET_OF_OURS", "x", 1);
	hook_write(&f, "say",
		   "env | cut -d = -f 1 | sort | tr \"\\n\" \" \"; pwd; ls /proc/self/fd | wc -l; "
		   "read -r line || echo nothing; printf \"\\033[2J\"");
	cr_assert_eq(run_hook(&f, "say", 20, &said), 1, "%s", f.err.text);
	/* ls has the directory open that it lists; the hook, the one that it lies in. */
	cr_assert_str_eq(
	    (const char *)said.p,
	    "PATH PWD SATCHEL_HANDOUT SATCHEL_HOOK SATCHEL_POLICY / 5 nothing \\x1b[2J");
	hook_write(&f, "much", "head -c 1000000 /dev/zero | tr \"\\0\" y");
	cr_assert_eq(run_hook(&f, "much", 20, &much), 1, "%s", f.err.text);
	cr_assert_eq(much.n, HOOK_OUTPUT);
	fixture_end(&f);
}

/* Between the look at a hook and its start: somebody who may write the directory above. */
static bool exchanged;

int pipe2(int pair[2], int flags);
int pipe2(int pair[2], int flags)
{
	if (exchanged && system("mv ws/hooks ws/away && mv ws/other ws/hooks") != 0)
		abort();
	exchanged = false;
	return (int)syscall(SYS_pipe2, pair, flags);
}

Test(sync_policy, a_hook_is_run_from_the_directory_that_was_looked_at)
{
	OWNED(buf_clear) struct buf said = BUF_INIT;
	struct fixture f;

	fixture_joined(&f);
	cr_assert_eq(chdir(f.dir), 0);
	hook_write(&f, "say", "echo theirs");
	FIXTURE_RUN(&f, "mv ws/hooks ws/other");
	hook_write(&f, "say", "echo ours; cat \"${0%/*}/beside\"");
	FIXTURE_RUN(&f, "echo beside > ws/hooks/beside");
	exchanged = true;
	cr_assert_eq(run_hook(&f, "say", 20, &said), 1, "%s", f.err.text);
	cr_assert_str_eq((const char *)said.p, "ours beside");
	cr_assert_not(exchanged);
	fixture_end(&f);
}

Test(sync_policy, a_hook_that_does_not_end_is_killed_with_what_it_started)
{
	char script[512];
	struct fixture f;

	fixture_joined(&f);
	snprintf(script, sizeof(script),
		 "(sleep 2; touch %s/survived) & echo $! > %s/pid; sleep 60", f.dir, f.dir);
	hook_write(&f, "hang", script);
	cr_assert_eq(run_hook(&f, "hang", 1, NULL), RC_TIMEOUT, "%s", f.err.text);
	/* Gone, or not yet buried by whoever inherits it. */
	FIXTURE_RUN(&f, "p=$(cat pid); ! test -e /proc/$p || grep -q 'Z' /proc/$p/stat");
	FIXTURE_RUN(&f, "test ! -e survived");
	fixture_end(&f);
}

Test(sync_policy, a_hook_that_others_could_write_is_not_run)
{
	static const char *const harm[] = {
	    "chmod 775 ws/hooks/touch", "chmod 777 ws/hooks; chmod 755 ws/hooks/touch",
	    "chmod 755 ws/hooks; chmod 644 ws/hooks/touch",
	    "mv ws/hooks/touch real; chmod 755 real; ln -s ../../real ws/hooks/touch",
	    "rm ws/hooks/touch; mkdir ws/hooks/touch"};
	struct fixture f;
	char script[512];

	fixture_joined(&f);
	snprintf(script, sizeof(script), "touch %s/ran", f.dir);
	hook_write(&f, "touch", script);
	for (size_t i = 0; i < ARRAY_LEN(harm); i++) {
		FIXTURE_RUN(&f, harm[i]);
		cr_assert_lt(run_hook(&f, "touch", 20, NULL), 0, "%s", harm[i]);
	}
	cr_assert_lt(run_hook(&f, "../../real", 20, NULL), 0);
	FIXTURE_RUN(&f, "test ! -e ran");
	FIXTURE_RUN(&f, "rmdir ws/hooks/touch && cp real ws/hooks/touch");
	cr_assert_eq(run_hook(&f, "touch", 20, NULL), 1, "%s", f.err.text);
	FIXTURE_RUN(&f, "test -e ran");
	cr_assert_eq(run_hook(&f, "absent", 20, NULL), 0);
	fixture_end(&f);
}
