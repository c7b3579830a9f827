/* SPDX-License-Identifier: ISC */
/*
 * Runs in children, plans, and the status file.
 */
#include "watcher/run.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "tests/support/scratch.h"
#include "watcher/watchfile.h"

struct heard {
	struct reporter reporter; /* first */
	unsigned lines, warnings, progress;
	char last[256];
};

static void line(struct reporter *reporter, enum reporter_level level, const char *text)
{
	struct heard *h = (struct heard *)reporter;

	h->lines++;
	h->warnings += level == REPORTER_WARNING;
	snprintf(h->last, sizeof(h->last), "%s", text);
}

static void progress(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
		     uint64_t items, uint64_t items_total)
{
	struct heard *h = (struct heard *)reporter;

	h->progress += strcmp(phase, "packing") == 0 && done == 3 && total == 7 && items == 1 &&
		       items_total == 2;
}

static void work(void *arg, const struct run_order *order, struct reporter *reporter,
		 struct watch_plan *plan, struct buf *answer, struct run_result *ret)
{
	const char *how = arg;

	if (strcmp(how, "dies") == 0)
		raise(SIGKILL);
	if (strcmp(how, "hangs") == 0)
		pause();
	reporter_warning(reporter, "a warning of %zu media", order->removables);
	reporter_progress(reporter, "packing", 3, 7, 1, 2);
	plan->interval_ms = 5 * 60000;
	plan->jitter = 20;
	watch_plan_add(plan, PLACE_DEPOT, "/a depot", "", ERR_IGNORED);
	watch_plan_add(plan, PLACE_SOURCE, "/a source", "office", ERR_IGNORED);
	buf_text(answer, "an answer", ERR_IGNORED);
	ret->rc = RC_SPACE;
	ret->later = true;
	ret->safe = 5;
	snprintf(ret->text, sizeof(ret->text), "%s, because of %u", how, order->reasons);
}

static int run_to_end(const char *how, struct heard *h, struct watch_plan *plan, struct buf *answer,
		      struct run_result *ret, int stop_after_ms)
{
	char name[32];
	struct watch_work w = {name, work};
	const char *media[] = {"/one", "/two"};
	struct run_order order = {
	    .what = RUN_SYNC, .reasons = RUN_TIMER, .removable = media, .removables = 2};
	struct run_process r = RUN_INIT;
	struct err err = {0};
	int done = 0;

	snprintf(name, sizeof(name), "%s", how);
	h->reporter = (struct reporter){line, progress};
	cr_assert_eq(run_start(&w, &order, &r, &err), 0, "%s", err.text);
	while (done == 0) {
		struct pollfd p = {r.child.fd, POLLIN, 0};

		if (poll(&p, 1, stop_after_ms) == 0) {
			run_stop(&r);
			return -1;
		}
		done = run_read(&r, &h->reporter, plan, answer, ret);
	}
	cr_expect_eq(r.child.pid, 0, "nothing is left");
	return done;
}

Test(run, brings_back_what_it_said_its_plan_its_answer_and_its_result)
{
	OWNED(watch_plan_clear) struct watch_plan plan = {0};
	OWNED(buf_clear) struct buf answer = BUF_INIT;
	struct run_result r = {0};
	struct heard h = {0};

	cr_assert_eq(run_to_end("works", &h, &plan, &answer, &r, 100000), 1);
	cr_expect_eq(h.warnings, 1);
	cr_expect_str_eq(h.last, "a warning of 2 media");
	cr_expect_eq(h.progress, 1);
	cr_expect_eq(plan.interval_ms, 300000);
	cr_expect_eq(plan.jitter, 20);
	cr_assert_eq(plan.places, 2);
	cr_expect_str_eq(plan.place[1].path, "/a source");
	cr_expect_str_eq(plan.place[1].name, "office");
	cr_expect_str_eq((const char *)answer.p, "an answer");
	cr_expect_eq(r.rc, RC_SPACE);
	cr_expect(r.later);
	cr_expect_eq(r.safe, 5);
	cr_expect_str_eq(r.text, "works, because of 2");
}

Test(run, that_dies_is_a_result_too)
{
	struct run_result r = {0};
	struct heard h = {0};

	cr_assert_eq(run_to_end("dies", &h, NULL, NULL, &r, 100000), 1);
	cr_expect_eq(r.rc, RC_INTERNAL);
	cr_expect_not_null(strstr(r.text, "137"), "%s", r.text);
}

Test(run, that_hangs_can_be_stopped)
{
	struct run_result r = {0};
	struct heard h = {0};

	cr_expect_eq(run_to_end("hangs", &h, NULL, NULL, &r, 100), -1);
}

Test(reasons, are_words)
{
	char text[256], small[8];

	run_reasons(text, sizeof(text), RUN_START | RUN_REMOVABLE);
	cr_expect_str_eq(text, "start, a stick");
	run_reasons(text, sizeof(text), 0);
	cr_expect_str_eq(text, "");
	run_reasons(text, sizeof(text), RUN_DEPOT | RUN_NEWS);
	cr_expect_str_eq(text, "news in a depot");
	run_reasons(small, sizeof(small), 0x1ff);
	cr_expect_lt(strlen(small), sizeof(small));
}

Test(plan, has_each_place_once)
{
	OWNED(watch_plan_clear) struct watch_plan p = {0};
	struct err err = {0};

	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(watch_plan_add(&p, PLACE_DEPOT, "/x", "", &err), 0);
	cr_assert_eq(watch_plan_add(&p, PLACE_SOURCE, "/x", "a", &err), 0);
	cr_assert_eq(watch_plan_add(&p, PLACE_SOURCE, "/x", "b", &err), 0);
	cr_expect_eq(p.places, 3);
}

Test(plan, that_is_cut_or_odd_is_refused)
{
	OWNED(watch_plan_clear)
	struct watch_plan p = {.interval_ms = 60000, .poll_ms = 20000}, got = {0};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(watch_plan_add(&p, PLACE_INBOX, "/x", "", &err), 0);
	cr_assert_eq(watch_plan_pack(&p, &b, &err), 0);
	cr_assert_eq(watch_plan_unpack(bytes_in(&b), &got, &err), 0);
	cr_expect_eq(got.poll_ms, 20000);
	for (size_t n = 0; n < b.n; n++) {
		struct watch_plan none = {0};

		if (n == 32) /* a plan without places */
			continue;
		cr_expect_eq(watch_plan_unpack((struct bytes){b.p, n}, &none, &err), RC_MALFORMED,
			     "%zu", n);
		cr_expect_null(none.place);
	}
	b.p[32] = 99; /* a kind that there is not */
	cr_expect_eq(watch_plan_unpack(bytes_in(&b), &got, &err), RC_MALFORMED);
}

/* The status file */

static struct watchfile full(void)
{
	struct watchfile f = {.process = (uint64_t)getpid(),
			      .started = 1000000000,
			      .interval = 3600,
			      .jitter = 10,
			      .last = 1000000100,
			      .next = 1000003700};

	strcpy(f.reason, "timer");
	strcpy(f.result, "done");
	strcpy(f.text, "office: generation 1 -> 2; a reason with \x1b[2J and \"quotes\"");
	watchfile_add(&f.place, "depot", "/a\nb \xff", "", "inotify", ERR_IGNORED);
	watchfile_add(&f.removable, "", "/media/ä - b", "", "safe to remove", ERR_IGNORED);
	return f;
}

Test(watchfile, is_read_as_it_was_written_with_foreign_bytes_escaped)
{
	char dir[SCRATCH_PATH];
	OWNED(watchfile_clear) struct watchfile f = full(), got = {0};
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(fd_closep) int fd = -1;
	struct err err = {0};

	scratch_make(dir);
	fd = os_open_dir(dir, &err);
	cr_expect_eq(watchfile_read(fd, &got, &err), 0, "there is none yet");
	cr_assert_eq(watchfile_encode(&f, &text, &err), 0, "%s", err.text);
	cr_expect_null(memchr(text.p, 0x1b, text.n));
	cr_assert_eq(watchfile_write(fd, bytes_in(&text), &err), 0, "%s", err.text);
	cr_assert_eq(watchfile_write(fd, bytes_in(&text), &err), 0, "again: %s", err.text);
	cr_assert_eq(watchfile_read(fd, &got, &err), 1, "%s", err.text);
	cr_expect_eq(got.last, f.last);
	cr_expect_eq(got.next, f.next);
	cr_expect_eq(got.interval, 3600);
	cr_expect_str_eq(got.reason, "timer");
	cr_expect_not_null(strstr(got.text, "\"quotes\""));
	cr_expect_not_null(strstr(got.text, "x1b[2J"));
	cr_assert_eq(got.place.n, 1);
	cr_expect_str_eq(got.place.items[0].how, "inotify");
	cr_assert_eq(got.removable.n, 1);
	cr_expect_str_eq(got.removable.items[0].path, "/media/ä - b");
	cr_expect_str_eq(got.removable.items[0].how, "safe to remove");
	cr_expect(watchfile_runs(&got));
	got.process = 0;
	cr_expect_not(watchfile_runs(&got));
	scratch_remove(dir);
}

Test(watchfile, that_is_damaged_is_an_error_and_no_crash)
{
	OWNED(watchfile_clear) struct watchfile f = full();
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(watchfile_encode(&f, &text, &err), 0);
	for (size_t n = 0; n < text.n; n += 7) {
		OWNED(watchfile_clear) struct watchfile got = {0};

		watchfile_decode((struct bytes){text.p, n}, &got, &err);
	}
	cr_expect_lt(watchfile_decode(bytes_of("satchel: watch/2\n"), &f, &err), 0);
}
