/* SPDX-License-Identifier: ISC */
/*
 * Hints and looks: what of a directory is told, and what is found there.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "tests/support/scratch.h"
#include "watcher/poller.h"

/* Milliseconds that nothing here should need, on a machine that has much else to do. */
#define LONG 100000

static void setup(void)
{
	scratch_setup();
	scratch_run(scratch, "mkdir -p depot/beats depot/trust depot/inbox/00 tree/deep .git");
}

static const char *path(const char *below)
{
	static char text[2 * SCRATCH_PATH];

	snprintf(text, sizeof(text), "%s/%s", scratch, below);
	return text;
}

static struct hint started(const char *below, enum hint_scope scope)
{
	struct hint h = HINT_INIT;
	struct err err = {0};

	cr_assert_eq(hint_start(path(below), scope, &h, &err), 0, "%s", err.text);
	return h;
}

/* The next thing that is told, or -1 when nothing is within ${ms}. */
static int told(struct hint *h, int ms)
{
	struct pollfd p = {h->child.fd, POLLIN, 0};
	uint64_t type;

	return poll(&p, 1, ms) <= 0 ? -1 : (int)hint_read(h, &type);
}

/* Whatever else is told before: ${want} within the time. */
static bool tells(struct hint *h, enum hint_what want)
{
	int64_t until = clock_monotonic_ms() + LONG;
	int got = -1;

	while (got != (int)want && clock_monotonic_ms() < until && got != HINT_NONE)
		got = told(h, LONG);
	return got == (int)want;
}

static void quiet(struct hint *h)
{
	while (told(h, 150) >= 0)
		;
}

/* A line of /proc/PID/status; "" when it has none. */
static void status_line(pid_t pid, const char *what, char dst[80])
{
	char file[40];
	FILE *f;

	snprintf(file, sizeof(file), "/proc/%d/status", (int)pid);
	f = fopen(file, "r");
	cr_assert_not_null(f);
	while (fgets(dst, 80, f) != NULL && strncmp(dst, what, strlen(what)) != 0)
		*dst = '\0';
	fclose(f);
}

TestSuite(hints, .init = setup, .fini = scratch_teardown);

Test(hints, tell_of_a_new_beat_and_not_of_what_a_workstation_does_not_wait_for)
{
	struct hint h = started("depot", HINT_BEATS);

	cr_assert(tells(&h, HINT_READY));
	scratch_run(scratch, "echo x > depot/inbox/00/receipt; echo x > tree/file");
	cr_expect_eq(told(&h, 200), -1);
	scratch_run(scratch,
		    "echo x > depot/beats/.new && mv depot/beats/.new depot/beats/1-a.beat");
	cr_expect(tells(&h, HINT_CHANGED));
	hint_stop(&h);
}

Test(hints, tell_of_directories_that_are_made_later)
{
	struct hint h;

	scratch_run(scratch, "rmdir depot/beats depot/inbox/00");
	h = started("depot", HINT_BEATS);
	cr_assert(tells(&h, HINT_READY));
	scratch_run(scratch, "mkdir depot/beats");
	cr_expect(tells(&h, HINT_CHANGED));
	quiet(&h);
	scratch_run(scratch, "echo x > depot/beats/1-a.beat");
	cr_expect(tells(&h, HINT_CHANGED));
	hint_stop(&h);
	h = started("depot", HINT_INBOX);
	cr_assert(tells(&h, HINT_READY));
	scratch_run(scratch, "mkdir depot/inbox/7f");
	cr_expect(tells(&h, HINT_CHANGED));
	quiet(&h);
	scratch_run(scratch, "echo x > depot/inbox/7f/a-1-b.receipt");
	cr_expect(tells(&h, HINT_CHANGED));
	hint_stop(&h);
}

Test(hints, of_a_tree_see_every_change_below_and_in_new_directories)
{
	static const char *const changes[] = {
	    "echo x > tree/deep/file", "chmod 600 tree/deep/file",
	    "mkdir -p tree/a/b/c",     "echo x > tree/a/b/c/file",
	    "mv tree/a tree/deep/a",   "echo y >> tree/deep/a/b/c/file",
	    "rm -r tree/deep/a",
	};
	struct hint h = started("tree", HINT_TREE);

	cr_assert(tells(&h, HINT_READY));
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		scratch_run(scratch, changes[i]);
		cr_expect(tells(&h, HINT_CHANGED), "%s", changes[i]);
		quiet(&h);
	}
	hint_stop(&h);
}

Test(hints, of_documents_leave_out_state_and_history)
{
	struct hint h;

	scratch_run(scratch, "mkdir -p site/channels site/.git site/state");
	h = started("site", HINT_DOCUMENTS);
	cr_assert(tells(&h, HINT_READY));
	scratch_run(scratch, "echo x > site/.git/index; echo x > site/state/registry.db");
	cr_expect_eq(told(&h, 200), -1);
	scratch_run(scratch, "echo x > site/channels/a.yaml");
	cr_expect(tells(&h, HINT_CHANGED));
	quiet(&h);
	scratch_run(scratch, "rm site/channels/a.yaml");
	cr_expect(tells(&h, HINT_CHANGED));
	hint_stop(&h);
}

Test(hints, say_what_is_not_there_and_what_goes_away)
{
	struct hint h = started("nowhere", HINT_BEATS);

	cr_expect(tells(&h, HINT_ABSENT));
	hint_stop(&h);
	scratch_run(scratch, "echo x > file");
	h = started("file", HINT_TREE);
	cr_expect(tells(&h, HINT_ABSENT));
	hint_stop(&h);
	h = started("depot", HINT_INBOX);
	cr_assert(tells(&h, HINT_READY));
	scratch_run(scratch, "mv depot elsewhere");
	cr_expect(tells(&h, HINT_GONE));
	hint_stop(&h);
	h = started("tree", HINT_TREE);
	cr_assert(tells(&h, HINT_READY));
	scratch_run(scratch, "rm -r tree");
	cr_expect(tells(&h, HINT_GONE));
	hint_stop(&h);
}

/* The kernel drops what nobody reads: the helper is held, and more happens than the queue holds. */
Test(hints, that_were_dropped_are_told_as_lost, .timeout = 400)
{
	struct hint h = started("tree", HINT_TREE);
	char most[32] = "";
	FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");

	if (limit == NULL || fgets(most, sizeof(most), limit) == NULL || atoi(most) > 40000)
		cr_skip("the queue is too long to be filled");
	fclose(limit);
	cr_assert(tells(&h, HINT_READY));
	kill(h.child.pid, SIGSTOP);
	for (int i = 0; i < atoi(most); i++) {
		char name[2 * SCRATCH_PATH];

		snprintf(name, sizeof(name), "%s/tree/%d", scratch, i % 1000);
		if (i % 2000 < 1000)
			fclose(fopen(name, "w"));
		else
			unlink(name);
	}
	kill(h.child.pid, SIGCONT);
	cr_expect(tells(&h, HINT_LOST));
	quiet(&h);
	scratch_run(scratch, "echo x > tree/deep/after");
	cr_expect(tells(&h, HINT_CHANGED), "it goes on");
	hint_stop(&h);
}

Test(hints, a_helper_that_dies_is_told_as_nothing)
{
	struct hint h = started("tree", HINT_TREE);

	cr_assert(tells(&h, HINT_READY));
	kill(h.child.pid, SIGKILL);
	cr_expect(tells(&h, HINT_NONE));
	hint_stop(&h);
}

Test(file_systems, that_others_write_unseen_are_known_and_local_ones_are_not_among_them)
{
	static const uint64_t seen[] = {0xef53,     0x58465342, 0x9123683e, 0x01021994,
					0x794c7630, 0x4d44,     0x2011bab0, 0x5346544e};
	static const uint64_t polled[] = {0x6969, 0xff534d42, 0xfe534d42, 0x65735546, 0x01021997};

	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		cr_expect_null(hint_polled(seen[i]), "%llx", (unsigned long long)seen[i]);
	for (size_t i = 0; i < ARRAY_LEN(polled); i++)
		cr_expect_not_null(hint_polled(polled[i]), "%llx", (unsigned long long)polled[i]);
	/* As a signed long of 32 bits has it. */
	cr_expect_not_null(hint_polled(0xffffffffff534d42u));
}

/* Looks */

static struct poller_names looked(const char *below, enum hint_scope scope)
{
	struct poller l = POLLER_INIT;
	struct poller_names s = {NULL, 0, false};
	struct err err = {0};
	struct pollfd p;

	cr_assert_eq(poller_start(path(below), scope, &l, &err), 0, "%s", err.text);
	p = (struct pollfd){l.child.fd, POLLIN, 0};
	cr_assert_eq(poll(&p, 1, LONG), 1);
	cr_assert_eq(poller_read(&l, &s, &err), 0, "%s", err.text);
	poller_stop(&l);
	return s;
}

TestSuite(pollers, .init = setup, .fini = scratch_teardown);

Test(pollers, find_what_is_new_and_do_not_mind_what_is_gone)
{
	OWNED(poller_names_clear) struct poller_names none = looked("depot", HINT_BEATS);
	OWNED(poller_names_clear)
	struct poller_names one = {NULL, 0, false}, two = {NULL, 0, false};

	cr_expect(none.there);
	cr_expect_eq(none.n, 0);
	scratch_run(scratch, "touch depot/beats/1-a.beat depot/beats/.half depot/inbox/00/x");
	one = looked("depot", HINT_BEATS);
	cr_expect_eq(one.n, 2, "its name, and its size and time");
	cr_expect(poller_names_news(&one, &none));
	cr_expect_not(poller_names_news(&one, &one));
	cr_expect_not(poller_names_news(&none, &one));
	scratch_run(scratch, "rm depot/beats/1-a.beat; touch depot/beats/2-b.beat");
	two = looked("depot", HINT_BEATS);
	cr_expect(poller_names_news(&two, &one));
	cr_expect(poller_names_news(&one, &two));
}

Test(pollers, see_that_a_copy_went_on_under_its_name)
{
	OWNED(poller_names_clear)
	struct poller_names half = {NULL, 0, false}, whole = {NULL, 0, false};

	scratch_run(scratch, "touch depot/beats/9-a.beat; echo half > depot/beats/10-b.beat");
	half = looked("depot", HINT_BEATS);
	scratch_run(scratch, "echo half >> depot/beats/10-b.beat");
	whole = looked("depot", HINT_BEATS);
	cr_expect(poller_names_news(&whole, &half));
	cr_expect_eq(whole.n, 3);
}

Test(pollers, of_a_server_are_at_its_inbox)
{
	OWNED(poller_names_clear) struct poller_names before = looked("depot", HINT_INBOX);
	OWNED(poller_names_clear)
	struct poller_names after = {NULL, 0, false}, other = {NULL, 0, false};

	scratch_run(scratch, "touch depot/inbox/00/a depot/beats/1-a.beat");
	after = looked("depot", HINT_INBOX);
	cr_expect_eq(after.n, 2);
	cr_expect(poller_names_news(&after, &before));
	scratch_run(scratch, "mkdir depot/inbox/01 && mv depot/inbox/00/a depot/inbox/01/a");
	other = looked("depot", HINT_INBOX);
	cr_expect(poller_names_news(&other, &after), "the same name elsewhere is another file");
}

Test(pollers, follow_no_link_and_see_when_nothing_is_there)
{
	OWNED(poller_names_clear)
	struct poller_names s = {NULL, 0, false}, none = looked("nowhere", HINT_BEATS);

	cr_expect_not(none.there);
	scratch_run(scratch, "rmdir depot/beats; ln -s /etc depot/beats");
	s = looked("depot", HINT_BEATS);
	cr_expect(s.there);
	cr_expect_eq(s.n, 0);
}

Test(pollers, at_a_flooded_inbox_are_bounded_and_still_see_changes, .timeout = 400)
{
	OWNED(poller_names_clear)
	struct poller_names one = {NULL, 0, false}, two = {NULL, 0, false};

	scratch_run(scratch, "cd depot/inbox/00 && seq 70000 | xargs touch");
	one = looked("depot", HINT_INBOX);
	cr_expect_eq(one.n, 1, "as one thing");
	cr_expect_not(poller_names_news(&one, &one));
	scratch_run(scratch, "touch depot/inbox/00/another");
	two = looked("depot", HINT_INBOX);
	cr_expect(poller_names_news(&two, &one));
}

/* tests/unit/core/os/os_confine_depot.c says what that keeps it from. */
Test(hints, are_made_by_a_confined_process_which_holds_no_directory)
{
	struct hint h = started("depot", HINT_BEATS);
	char line[80], command[120];

	cr_assert(tells(&h, HINT_READY));
	status_line(h.child.pid, "Seccomp:", line);
	cr_expect_str_eq(line, "Seccomp:\t2\n");
	status_line(h.child.pid, "NoNewPrivs:", line);
	cr_expect_str_eq(line, "NoNewPrivs:\t1\n");
	snprintf(command, sizeof(command), "! ls -l /proc/%d/fd | grep -q depot", (int)h.child.pid);
	cr_expect_eq(scratch_run(scratch, command), 0,
		     "it would keep a medium from being unmounted");
	hint_stop(&h);
}

/* So many names that it waits until they are taken. */
Test(hints, looks_are_by_a_confined_process)
{
	struct poller l = POLLER_INIT;
	struct poller_names names = {NULL, 0, false};
	struct err err = {0};
	struct pollfd p;
	char line[80];

	scratch_run(scratch, "cd depot/inbox/00 && seq -f %030g 40000 | xargs touch");
	cr_assert_eq(poller_start(path("depot"), HINT_INBOX, &l, &err), 0, "%s", err.text);
	p = (struct pollfd){l.child.fd, POLLIN, 0};
	cr_assert_eq(poll(&p, 1, LONG), 1);
	status_line(l.child.pid, "Seccomp:", line);
	cr_expect_str_eq(line, "Seccomp:\t2\n");
	cr_assert_eq(poller_read(&l, &names, &err), 0, "%s", err.text);
	cr_expect_gt(names.n, 40000);
	poller_names_clear(&names);
	poller_stop(&l);
}
