/* SPDX-License-Identifier: ISC */
/*
 * The loop, with work that only writes down that it was asked for.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "tests/support/scratch.h"
#include "watcher/control.h"
#include "watcher/watch.h"

/* Milliseconds that nothing here should need, on a machine that has much else to do. */
#define LONG 100000
/* What a test does not wait for does not come by itself. */
#define AGES 3600000

static pid_t watcher;
static struct watch_times times;

/* What the work does; the child of the watcher reads it from files, so that tests can change it. */
static bool told(const char *name)
{
	char path[2 * SCRATCH_PATH];

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return access(path, F_OK) == 0;
}

/* A run lasts until the test removes this. */
static void held_up(void)
{
	while (told("gate"))
		usleep(10000);
}

static void note(const char *before, const char *text, const char *after)
{
	char path[2 * SCRATCH_PATH];
	FILE *f;

	snprintf(path, sizeof(path), "%s/runs", scratch);
	f = fopen(path, "a");
	fprintf(f, "%s%s%s", before, text, after);
	fclose(f);
}

/* What the tree's file says now. */
static void tree_text(char ret[64])
{
	char path[2 * SCRATCH_PATH], word[32] = "nothing";
	FILE *f;

	snprintf(path, sizeof(path), "%s/tree/file", scratch);
	f = fopen(path, "r");
	if (f != NULL && fscanf(f, "%31s", word) != 1)
		word[0] = '\0';
	if (f != NULL)
		fclose(f);
	snprintf(ret, 64, " with %s", word);
}

static void work(void *arg, const struct run_order *o, struct reporter *reporter,
		 struct watch_plan *plan, struct buf *answer, struct run_result *ret)
{
	char path[2 * SCRATCH_PATH], why[256], text[64];

	(void)arg;
	plan->interval_ms = told("soon") ? 300 : AGES;
	snprintf(path, sizeof(path), "%s/depot", scratch);
	watch_plan_add(plan, PLACE_DEPOT, path, "", ERR_IGNORED);
	snprintf(path, sizeof(path), "%s/tree", scratch);
	watch_plan_add(plan, PLACE_SOURCE, path, "office", ERR_IGNORED);
	if (o->what == RUN_MESSAGES) {
		note("messages ", "are read", "\n");
		held_up();
		buf_printf(answer, ERR_IGNORED, told("whose") ? "for %u\n" : "no message\n",
			   (unsigned)o->uid);
	}
	if (o->what != RUN_SYNC)
		return;
	run_reasons(why, sizeof(why), o->reasons);
	for (size_t i = 0; i < o->channels; i++) {
		tree_text(text);
		note(o->channel[i], text, " ");
	}
	note(o->cheap ? "cheap " : "full ", why, "\n");
	if (told("hang"))
		pause();
	held_up();
	if (told("busy"))
		ret->rc = RC_BUSY;
	else if (told("fail"))
		ret->rc = RC_INCOMPLETE;
	reporter_info(reporter, "at work");
	snprintf(ret->text, sizeof(ret->text), "worked (%s)", why);
}

static void silent(struct reporter *reporter, enum reporter_level level, const char *text)
{
	char shown[1200];

	snprintf(shown, sizeof(shown), "%d %s", (int)level, text);
	note("said ", shown, "\n");
}

static void no_progress(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
			uint64_t items, uint64_t items_total)
{
}

static void start(void)
{
	struct reporter reporter = {silent, no_progress};
	struct watch_options o = {.work = {NULL, work},
				  .state = scratch,
				  .control = scratch,
				  .words = "a test",
				  .seed = 1,
				  .times = &times,
				  .reporter = &reporter};
	struct err err = {0};

	watcher = fork();
	cr_assert_geq(watcher, 0);
	if (watcher == 0)
		_exit(rc_class(watch_loop(&o, &err)));
}

static unsigned count(const char *pattern)
{
	char command[512];
	FILE *p;
	unsigned n = 0;

	snprintf(command, sizeof(command), "grep -c '%s' '%s/runs' 2> /dev/null", pattern, scratch);
	p = popen(command, "r");
	cr_assert_not_null(p);
	if (fscanf(p, "%u", &n) != 1)
		n = 0;
	pclose(p);
	return n;
}

static bool comes_to(const char *pattern, unsigned n)
{
	int64_t until = clock_monotonic_ms() + LONG;

	while (count(pattern) < n) {
		if (clock_monotonic_ms() > until)
			return false;
		usleep(20000);
	}
	return true;
}

/* Nothing more for a while: longer than anything that settles here. */
static unsigned at_rest(const char *pattern)
{
	unsigned n = count(pattern), again;

	for (int64_t until = clock_monotonic_ms() + LONG; clock_monotonic_ms() < until; n = again) {
		usleep(700000);
		again = count(pattern);
		if (again == n)
			return n;
	}
	cr_assert_fail("it never comes to rest");
	return n;
}

/* Short where something is to come of it, and so long that nothing can where it is not: a test
 * changes what it is about. */
static void setup(void)
{
	times = (struct watch_times){.settle = 100,
				     .settle_tree = 100,
				     .settle_most = AGES,
				     .answer = AGES,
				     .poll_least = 100,
				     .poll_most = 1000,
				     .silent_least = 200,
				     .silent_most = 1000,
				     .again_least = 200,
				     .again_most = 1000,
				     .silence = AGES,
				     .end = AGES,
				     .asked = 100,
				     .spread = 1000,
				     .pollers = AGES};
	scratch_setup();
	scratch_run(scratch,
		    "mkdir -p depot/beats depot/trust tree; echo x > depot/beats/1-a.beat");
}

static int ended(void)
{
	int status = -1;
	int64_t until = clock_monotonic_ms() + LONG;

	while (waitpid(watcher, &status, WNOHANG) == 0) {
		if (clock_monotonic_ms() > until)
			return -2;
		usleep(10000);
	}
	watcher = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void teardown(void)
{
	if (watcher > 0) {
		kill(watcher, SIGKILL);
		waitpid(watcher, NULL, 0);
	}
	scratch_teardown();
}

TestSuite(loop, .init = setup, .fini = teardown, .timeout = 400);

/* The time between two events of a burst is far from what counts as quiet. */
Test(loop, runs_once_at_the_start_and_once_for_a_burst)
{
	times.settle = 1000;
	start();
	cr_assert(comes_to("^full start", 1));
	cr_expect_eq(at_rest("^full\\|^cheap"), 1);
	scratch_run(scratch, "for i in 2 3 4 5 6 7 8 9; do echo x > depot/beats/$i-a.beat; done");
	cr_assert(comes_to("^cheap news in a depot", 1));
	cr_expect_eq(at_rest("^full\\|^cheap"), 2);
	scratch_run(scratch,
		    "rm depot/beats/2-a.beat; echo y > depot/beats/.half; mkdir depot/other");
	cr_expect_eq(at_rest("^full\\|^cheap"), 2,
		     "what went away, and what is not whole, is no news");
}

Test(loop, publishes_a_tree_when_it_is_quiet_and_only_then)
{
	times.settle_tree = 1500;
	start();
	cr_assert(comes_to("^full start", 1));
	scratch_run(scratch, "for i in 1 2 3 4 5 6 7 8; do echo $i > tree/file; sleep 0.05; done");
	cr_assert(comes_to("^office with 8 cheap a source changed", 1));
	cr_expect_eq(at_rest("^office"), 1);
}

Test(loop, publishes_a_tree_that_is_never_quiet_all_the_same)
{
	int64_t until = clock_monotonic_ms() + LONG;

	times.settle_tree = AGES;
	times.settle_most = 500;
	start();
	cr_assert(comes_to("^full start", 1));
	while (count("^office with") == 0) {
		cr_assert_lt(clock_monotonic_ms(), until);
		scratch_run(scratch, "echo $$ > tree/file");
	}
}

Test(loop, looks_again_when_a_burst_that_was_looked_at_is_over)
{
	times.settle_tree = 1500;
	times.settle_most = 1;
	start();
	cr_assert(comes_to("^full start", 1));
	scratch_run(scratch, "echo 1 > file && mv file tree");
	cr_expect(comes_to("^office with 1 cheap a source changed", 2));
}

Test(loop, what_comes_during_a_run_makes_one_more_afterwards)
{
	scratch_run(scratch, "touch gate");
	start();
	cr_assert(comes_to("^full start", 1));
	scratch_run(scratch, "for i in 2 3 4; do echo x > depot/beats/$i-a.beat; sleep 0.05; done");
	cr_expect_eq(at_rest("^full\\|^cheap"), 1);
	scratch_run(scratch, "rm gate");
	cr_assert(comes_to("^cheap news in a depot", 1));
	cr_expect_eq(at_rest("^full\\|^cheap"), 2);
}

Test(loop, ends_a_run_that_hangs_and_goes_on)
{
	times.silence = 1000;
	scratch_run(scratch, "touch hang");
	start();
	cr_assert(comes_to("said 1 the run made no progress", 1));
	scratch_run(scratch, "rm hang");
	cr_assert(comes_to("said 1 worked", 1), "it is tried again");
}

Test(loop, tries_again_what_failed_and_waits_for_another_command)
{
	scratch_run(scratch, "touch busy");
	start();
	cr_assert(comes_to("^full start", 2));
	cr_expect_eq(count("said 1 worked"), 0, "being busy is not told");
	scratch_run(scratch, "touch fail; rm busy");
	cr_assert(comes_to("^full again", 3));
	cr_expect_eq(count("said 1 worked (again)"), 1, "the same failure again is told no more");
	scratch_run(scratch, "rm fail");
	cr_assert(comes_to("said 1 worked (again)", 2), "that it works again is told");
	cr_expect_eq(at_rest("said 1 worked (again)"), 2);
}

Test(loop, has_a_timer_that_a_new_plan_changes_at_once)
{
	start();
	cr_assert(comes_to("^full start", 1));
	cr_expect_eq(at_rest("timer"), 0);
	scratch_run(scratch, "touch soon");
	kill(watcher, SIGHUP);
	cr_expect(comes_to("^full timer", 2));
}

/* Each wait is longer than the one before it, and load makes all of them longer only. */
Test(loop, whose_timer_rang_while_another_command_runs_does_not_ask_without_pause)
{
	int64_t began = clock_monotonic_ms();

	scratch_run(scratch, "touch busy soon");
	start();
	cr_assert(comes_to("^full", 4));
	cr_expect_geq(clock_monotonic_ms() - began, 1500);
}

Test(loop, answers_who_asks_with_what_came_of_it)
{
	OWNED(buf_clear) struct buf got = BUF_INIT, state = BUF_INIT, messages = BUF_INIT;
	struct err err = {0};

	start();
	cr_assert(comes_to("said 1 worked", 1));
	cr_expect_eq(control_ask(scratch, CONTROL_SYNC, LONG, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq((const char *)got.p, "0 worked (asked for)\n");
	cr_expect_eq(control_ask(scratch, CONTROL_STATUS, LONG, &state, &err), 0, "%s", err.text);
	cr_expect_not_null(strstr((const char *)state.p, "how: inotify"));
	cr_expect_eq(control_ask(scratch, CONTROL_MESSAGES, LONG, &messages, &err), 0, "%s",
		     err.text);
	cr_expect_str_eq((const char *)messages.p, "no message\n");
	kill(watcher, SIGUSR1);
	cr_expect(comes_to("said 1 worked (asked for)", 2));
}

/* A connection of this user's, which has asked; the kernel tells the watcher whose it is. */
static int asks_as(uid_t uid, const char *line)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	cr_assert_lt(
	    (size_t)snprintf(at.sun_path, sizeof(at.sun_path), "%.80s/%s", scratch, CONTROL_SOCKET),
	    sizeof(at.sun_path));
	cr_assert_eq(seteuid(uid), 0);
	rc = connect(fd, (struct sockaddr *)&at, sizeof(at));
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(rc, 0, "%m");
	send(fd, line, strlen(line), MSG_NOSIGNAL); /* one of many may be turned away */
	return fd;
}

Test(loop, messages_of_one_who_went_away_are_told_to_nobody_else)
{
	OWNED(buf_clear) struct buf state = BUF_INIT;
	struct err err = {0};
	char got[64] = "";
	int first, second;

	if (geteuid() != 0)
		cr_skip("only root can ask as others");
	scratch_run(scratch, "chmod 755 . && touch whose");
	start();
	cr_assert(comes_to("said 1 worked", 1));
	scratch_run(scratch, "touch gate");
	first = asks_as(65534, "messages\n");
	cr_assert(comes_to("^messages", 1));
	close(first);
	/* Whoever is answered came after the watcher saw that. */
	cr_assert_eq(control_ask(scratch, CONTROL_STATUS, LONG, &state, &err), 0, "%s", err.text);
	second = asks_as(65533, "messages\n");
	cr_assert_eq(control_ask(scratch, CONTROL_STATUS, LONG, &state, &err), 0, "%s", err.text);
	scratch_run(scratch, "rm gate");
	cr_assert_gt(read(second, got, sizeof(got) - 1), 0);
	cr_expect_str_eq(got, "for 65533\n");
	close(second);
}

/* Each look takes a while here, and before each has ended somebody asks again. */
Test(loop, whoever_asks_again_and_again_does_not_keep_the_sync_from_anybody)
{
	int64_t until = clock_monotonic_ms() + LONG;

	if (geteuid() != 0)
		cr_skip("only root can ask as others");
	scratch_run(scratch,
		    "chmod 755 . && cd depot/beats && touch $(seq -f %.0f-a.beat 2 30000)");
	start();
	cr_assert(comes_to("said 1 worked", 1));
	while (count("^full asked for") < 3) {
		cr_assert_lt(clock_monotonic_ms(), until);
		for (int i = 0; i < 200; i++) {
			close(asks_as(65534, "sync\n"));
			usleep(1000);
		}
	}
}

Test(loop, looks_again_at_a_depot_that_went_and_came_back)
{
	start();
	cr_assert(comes_to("^full start", 1));
	scratch_run(scratch, "mv depot away");
	cr_assert(comes_to("said 0 depot .* does not exist", 1));
	scratch_run(scratch, "mv away depot");
	cr_expect(comes_to("^full news in a depot", 1), "what waits can be left there again");
}

Test(loop, ends_when_told_to_and_gives_a_run_its_time)
{
	scratch_run(scratch, "touch gate");
	start();
	cr_assert(comes_to("^full start", 1));
	kill(watcher, SIGTERM);
	cr_assert(comes_to("said 1 stopping", 1));
	scratch_run(scratch, "rm gate");
	cr_expect_eq(ended(), 0);
	cr_expect_eq(count("said 1 worked"), 1, "it was let finish");
}

Test(loop, ends_a_run_that_does_not_end_when_it_is_told_to)
{
	times.end = 500;
	scratch_run(scratch, "touch hang");
	start();
	cr_assert(comes_to("^full start", 1));
	kill(watcher, SIGTERM);
	cr_expect_eq(ended(), 0);
}

Test(loop, a_second_one_is_refused)
{
	pid_t one;

	start();
	cr_assert(comes_to("^full start", 1));
	one = watcher;
	start();
	cr_expect_eq(ended(), 8);
	watcher = one;
}
