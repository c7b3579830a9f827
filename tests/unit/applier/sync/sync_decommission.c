/* SPDX-License-Identifier: ISC */
/*
 * The end of a workstation: what is wiped, what is said, and that it is finished however often it
 * is killed.
 */
#include <ftw.h>
#include <sys/wait.h>

#include "applier/enrol/enrol.h"
#include "applier/open/open.h"
#include "tests/support/fault.h"
#include "tests/support/people.h"

TestSuite(station_end, .timeout = 600);

#define ANNA "anna@example.org"

static const struct tree_key keys[] = {{"disk", 2, 1}};

static const char *account(void)
{
	return geteuid() == 0 ? "nobody" : own_account();
}

static uint8_t sought[32];

/* nftw: 1 when the file holds it. */
static int holds(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	uint8_t *room = malloc((size_t)st->st_size + 1);
	FILE *f = kind == FTW_F ? fopen(path, "r") : NULL;
	size_t n = f != NULL && room != NULL ? fread(room, 1, (size_t)st->st_size, f) : 0;
	bool found = n >= sizeof(sought) && memmem(room, n, sought, sizeof(sought)) != NULL;

	(void)at;
	if (f != NULL)
		fclose(f);
	free(room);
	return found;
}

/* A workstation that holds a channel, a user and keys. */
static void holding(struct fixture *f, struct tree_files *t)
{
	fixture_joined(f);
	tree_sub(t, "office", "/opt/office", "remove");
	tree_person(t, ANNA, account(), keys, 1);
	tree_text(t, "policy.yaml", "satchel: effective/1\n");
	tree_publish(f, t);
	FIXTURE_SYNC(f, 0);
	FIXTURE_RUN(f, "test -e ws/root/opt/office/a && test -e ws/handout/*/keys/disk");
	secret_of(sought, "disk", 1);
	cr_assert_eq(nftw(fixture_path(f, "ws"), holds, 16, FTW_PHYS), 1);
	fixture_collect(f);
	t->decommission = true;
}

/* No file below the workstation holds a version of the key. */
static void no_secret(struct fixture *f)
{
	for (uint64_t v = 1; v <= 2; v++) {
		secret_of(sought, "disk", v);
		cr_assert_eq(nftw(fixture_path(f, "ws"), holds, 16, FTW_PHYS), 0, "version %llu",
			     (unsigned long long)v);
	}
}

static void is_wiped(struct fixture *f)
{
	FIXTURE_RUN(f, "test ! -e ws/state/private && test ! -e ws/state/keys && "
		       "test \"$(ls -A ws/handout)\" = .satchel");
	no_secret(f);
}

/* Files that were copied are not those that were placed there, and stay. */
static void is_left(struct fixture *f)
{
	FIXTURE_RUN(f, "test -z \"$(ls -A ws/root/opt/office)\"");
}

static void last_is_wiped(struct fixture *f, const char *id)
{
	OWNED(receipt_clear) struct receipt r = {0};

	newest_receipt(f, &r);
	cr_assert(r.wiped);
	cr_assert_str_eq(r.workstation, id);
	cr_assert_eq(r.users, 0);
	cr_assert_gt(r.private_generation, 1);
	cr_assert_eq(r.channels, 1);
	cr_assert_str_eq(r.channel[0].result, "left");
}

static void id_of(struct fixture *f, char id[WORKSTATION_ID + 1])
{
	struct station *s = fixture_station(f);

	memcpy(id, s->id, WORKSTATION_ID + 1);
	station_free(s);
}

Test(station_end, everything_entrusted_is_wiped_and_the_last_receipt_says_so)
{
	struct tree_files t = {0};
	char id[WORKSTATION_ID + 1];
	struct fixture f;

	holding(&f, &t);
	id_of(&f, id);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	is_wiped(&f);
	is_left(&f);
	last_is_wiped(&f, id);
	/* Whatever comes later is not applied; what is said stays said. */
	t.decommission = false;
	FIXTURE_RUN(&f, "ls depot/inbox/* > before");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "ls depot/inbox/* | diff before -; test ! -e ws/state/private");
	FIXTURE_RUN(&f, "rm depot/inbox/*/*.receipt"); /* the stick was lost */
	FIXTURE_SYNC(&f, 0);
	last_is_wiped(&f, id);
	tree_clear(&t);
	fixture_end(&f);
}

Test(station_end, a_secret_that_was_changed_here_and_kept_is_wiped_as_well)
{
	struct tree_files t = {0};
	struct fixture f;

	holding(&f, &t);
	FIXTURE_RUN(&f, "echo x >> ws/state/private/secrets/disk.1");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "find ws/state/.satchel-kept -name disk.1 | grep -q .");
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	is_wiped(&f);
	tree_clear(&t);
	fixture_end(&f);
}

Test(station_end, without_a_depot_the_last_receipt_waits)
{
	struct tree_files t = {0};
	char id[WORKSTATION_ID + 1];
	struct fixture f;
	struct station *s;

	holding(&f, &t);
	id_of(&f, id);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "rm depot/inbox/*/*.receipt; mv depot away");
	s = fixture_station(&f);
	cr_assert_eq(db_run(s->db, &f.err, "UPDATE outbox SET posted = 0", ""), 0);
	station_free(s);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN, "%s", f.err.text);
	FIXTURE_RUN(&f, "mv away depot");
	FIXTURE_SYNC(&f, 0);
	last_is_wiped(&f, id);
	tree_clear(&t);
	fixture_end(&f);
}

Test(station_end, a_channel_that_cannot_be_left_now_is_tried_again_before_the_last_word)
{
	OWNED(receipt_clear) struct receipt r = {0};
	struct tree_files t = {0};
	struct fixture f;

	holding(&f, &t);
	/* Something else is in the place of a directory above it. */
	FIXTURE_RUN(&f, "mv ws/root/opt aside && ln -s /nowhere ws/root/opt");
	tree_publish(&f, &t);
	cr_assert_lt(fixture_sync(&f), 0);
	FIXTURE_RUN(&f, "test ! -e ws/state/private && test -e ws/state/keys/sign.key");
	no_secret(&f);
	newest_receipt(&f, &r);
	cr_assert_not(r.wiped);
	FIXTURE_RUN(&f, "rm ws/root/opt && mv aside ws/root/opt");
	FIXTURE_SYNC(&f, 0);
	is_wiped(&f);
	is_left(&f);
	tree_clear(&t);
	fixture_end(&f);
}

Test(station_end, with_a_new_invitation_it_begins_anew_with_other_keys)
{
	struct tree_files t = {0};
	char id[WORKSTATION_ID + 1], again[WORKSTATION_ID + 1], code[INVITE_TEXT + 1];
	struct fixture f;

	holding(&f, &t);
	id_of(&f, id);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	fixture_invite(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	id_of(&f, again);
	cr_assert_str_neq(id, again);
	fixture_collect(&f);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	tree_clear(&t);
	fixture_end(&f);
}

Test(station_end, it_may_begin_anew_at_another_site)
{
	struct tree_files t = {0};
	char code[INVITE_TEXT + 1];
	struct fixture f, other;
	struct station *s = NULL;
	char depot[SCRATCH_PATH + 16];

	holding(&f, &t);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	fixture_init(&other);
	fixture_invite(&other, code);
	fixture_publish(&other);
	snprintf(depot, sizeof(depot), "%s/depot", other.dir);
	s = fixture_station(&f);
	cr_assert_eq(station_enrol(s, code, depot, "alpha", &f.err), 0, "%s", f.err.text);
	station_free(s);
	s = fixture_station(&f); /* opens again: the floors are the new site's */
	cr_assert_eq(s->end, STATION_STAYS);
	station_free(s);
	cr_assert_eq(fixture_collect(&other).enrolled, 1);
	fixture_publish(&other);
	FIXTURE_SYNC(&f, 0);
	fixture_end(&other);
	tree_clear(&t);
	fixture_end(&f);
}

/* In a child: one sync that is killed at a call. */
static int killed_at(struct fixture *f, long at)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct station *s = NULL;
		struct err err = {0};

		if (station_open(fixture_path(f, "ws"), STATION_LOCK, NULL, &s, &err) < 0)
			_exit(99);
		fault_arm(at, 0, at);
		sync_station(s, NULL, 0, NULL, NULL, &err);
		fault.pid = 0;
		_exit(atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Test(station_end, killed_anywhere_the_next_runs_finish_it)
{
	struct tree_files t = {0};
	char id[WORKSTATION_ID + 1];
	struct fixture f;
	int status = 0;
	long at, kills = 0;

	holding(&f, &t);
	id_of(&f, id);
	tree_publish(&f, &t);
	FIXTURE_RUN(&f, "cp -a ws ws.before && cp -a depot depot.before");
	for (at = 1; status != 42; at += 7) {
		status = killed_at(&f, at);
		cr_assert(status == 42 || status == 128 + SIGKILL, "call %ld: %d", at, status);
		kills++;
		FIXTURE_SYNC(&f, 0);
		is_wiped(&f);
		last_is_wiped(&f, id);
		FIXTURE_RUN(&f,
			    "rm -rf ws depot && cp -a ws.before ws && cp -a depot.before depot");
	}
	cr_assert_gt(kills, 20);
	tree_clear(&t);
	fixture_end(&f);
}
