/* SPDX-License-Identifier: ISC */
/*
 * The loop: it waits for signals, the alarm, mounts, clients, hints and runs, and hands each on.
 * What is to happen, and when, is decided in the other files of the watcher.
 */
#include "watcher/watch.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/lock.h"
#include "watcher/watch_internal.h"
#include "watcher/watchfile.h"

const struct watch_times watch_times = {
    .settle = 200,
    .settle_tree = 2000,
    .settle_most = 30000,
    .answer = 10000,
    .poll_least = 5000,
    .poll_most = 60000,
    .silent_least = 60000,
    .silent_most = 600000,
    .again_least = 5000,
    .again_most = 300000,
    .silence = 600000,
    .end = 5000,
    .asked = 2000,
    .spread = 30000,
    .pollers = 2000,
};

/* What people can ask for later */

static int places_fill(const struct watch *w, struct watchfile *f, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->points; i++) {
		const struct point *s = &w->point[i];
		char how[160];

		point_how_text(s, how);
		rc = watchfile_add(&f->place, place_kinds[s->place.kind], s->place.path,
				   s->place.name, how, err);
	}
	for (size_t i = 0; rc == 0 && i < w->removables; i++)
		if (w->removable[i].depot != NULL)
			rc = watchfile_add(&f->removable, "", w->removable[i].point, "",
					   removable_state_text(&w->removable[i]), err);
	return rc;
}

static int status_text(struct watch *w, struct buf *ret, struct err *err)
{
	OWNED(watchfile_clear) struct watchfile f = {0};
	int64_t now = clock_monotonic_ms();
	int rc;

	f.process = w->ending && !w->run_going ? 0 : (uint64_t)getpid();
	f.started = w->started;
	f.interval = (uint64_t)(w->plan.interval_ms / 1000);
	f.jitter = w->plan.jitter;
	if (w->run_going)
		run_reasons(f.running, sizeof(f.running), w->run.reasons);
	f.last = w->last;
	if (w->last_reasons != 0) {
		run_reasons(f.reason, sizeof(f.reason), w->last_reasons);
		snprintf(f.result, sizeof(f.result), "%s",
			 w->result.rc == 0 ? "done" : rc_slug(w->result.rc));
		snprintf(f.text, sizeof(f.text), "%s", w->result.text);
	}
	if (w->due != NEVER)
		f.next = clock_now() + (w->due > now ? (w->due - now) / 1000 : 0);
	rc = places_fill(w, &f, err);
	return rc < 0 ? rc : watchfile_encode(&f, ret, err);
}

static void status_write(struct watch *w)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};

	w->dirty = false;
	if (status_text(w, &text, &err) < 0 ||
	    watchfile_write(w->statefd, bytes_in(&text), &err) < 0)
		reporter_debug(w->reporter, "cannot write the status file: %s", err.text);
}

static int64_t status_last(struct watch *w)
{
	OWNED(watchfile_clear) struct watchfile f = {0};
	struct err err;

	return watchfile_read(w->statefd, &f, &err) == 1 ? f.last : 0;
}

/* What is wanted, and when */

void watch_want(struct watch *w, unsigned reasons, int64_t at)
{
	if (w->wants == 0 || at < w->want_at)
		w->want_at = at;
	if (w->wants == 0)
		w->want_since = clock_monotonic_ms();
	w->wants |= reasons;
}

/* Nothing told of these, so the depots are looked at first: what the run sees is not news later. */
static void want_unasked(struct watch *w, unsigned reasons, int64_t at)
{
	watch_want(w, reasons, at);
	w->want_since = clock_monotonic_ms();
	points_poll(w, POLLER_ALL);
}

static void timer_set(struct watch *w, int64_t now)
{
	w->due = timer_next(now, w->last_full, w->plan.interval_ms, w->plan.jitter, w->o->seed);
	w->dirty = true;
}

void plan_use(struct watch *w, struct watch_plan *fresh, int64_t now)
{
	struct err err = {0};

	if (fresh->interval_ms > 0) {
		watch_plan_clear(&w->plan);
		w->plan = *fresh;
		memset(fresh, 0, sizeof(*fresh));
		if (w->o->every_ms > 0)
			w->plan.interval_ms = w->o->every_ms;
		if (points_plan(w, &err) < 0)
			reporter_warning(w->reporter, "%s", err.text);
		removables_mounts(w, now);
	}
	/* One that rang and still waits for its run is set when that has ended. */
	if (w->plan.interval_ms > 0 && !(w->wants & RUN_TIMER))
		timer_set(w, now);
}

/* The timer.  One that was slept through is spread: others woke as well. */
static int64_t timer_tick(struct watch *w, int64_t now)
{
	if (w->due > now || w->plan.interval_ms == 0 || w->ending)
		return w->due;
	if (now - w->due > TIMER_LATE_MS) {
		w->due =
		    timer_next(now, w->last_full, w->plan.interval_ms, w->plan.jitter, w->o->seed);
		if (w->due > now)
			return w->due;
	}
	w->due = NEVER; /* set again when the run has ended */
	want_unasked(w, RUN_TIMER, now);
	return NEVER;
}

static int64_t watchdog_tick(struct watch *w, int64_t now)
{
	if (w->notify.watchdog_ms == 0)
		return NEVER;
	if (w->watchdog_at <= now) {
		notify_send(&w->notify, "WATCHDOG=1");
		w->watchdog_at = now + w->notify.watchdog_ms;
	}
	return w->watchdog_at;
}

/* Signals */

static int signals_open(struct err *err)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(err, RC_INTERNAL, "cannot wait for signals") : fd;
}

static void end_begin(struct watch *w, int64_t now)
{
	if (w->ending) { /* told twice */
		w->end_at = now;
		return;
	}
	w->ending = true;
	w->end_at = now + w->t->end;
	notify_send(&w->notify, "STOPPING=1");
	if (w->run_going)
		reporter_info(w->reporter, "stopping; the current run has %lld seconds to finish",
			      (long long)(w->t->end / 1000));
}

static void signal_heard(struct watch *w, int64_t now)
{
	struct signalfd_siginfo s;

	while (read(w->signals, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo == SIGHUP) {
			reporter_info(w->reporter,
				      "reloading: reading again what is to be watched");
			notify_reloading(&w->notify);
			w->plan_wanted = true;
			points_retry(w, now);
		} else if (s.ssi_signo == SIGUSR1) {
			want_unasked(w, RUN_ASKED, now);
		} else {
			end_begin(w, now);
		}
	}
}

/* The control socket */

static void client_heard(struct watch *w, struct control_client *k, int64_t now)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err;
	int64_t at = now;

	if (control_hear(k) == 0)
		return;
	if (k->verb == CONTROL_STATUS) {
		if (status_text(w, &text, &err) == 0)
			control_answer(k, bytes_in(&text));
		fd_closep(&k->fd);
	}
	if (k->verb != CONTROL_SYNC)
		return;
	if (k->uid != 0 && k->uid != geteuid() && w->last_end + w->t->asked > now)
		at = w->last_end + w->t->asked;
	/* Each new look puts the run off: somebody who asks without pause would keep it from all.
	 */
	if (!(w->wants & RUN_ASKED) || at < w->want_at)
		want_unasked(w, RUN_ASKED, at);
}

/* One poll */

enum { FD_SIGNALS, FD_ALARM, FD_MOUNTS, FD_CONTROL, FD_RUN, FD_SIDE, FD_FIXED };

static size_t descriptors(const struct watch *w, struct pollfd *p)
{
	const int fixed[FD_FIXED] = {
	    [FD_SIGNALS] = w->signals,
	    [FD_ALARM] = w->alarm,
	    [FD_MOUNTS] = w->mountfd,
	    [FD_CONTROL] = w->control.fd,
	    [FD_RUN] = w->run_going ? w->run.child.fd : -1,
	    [FD_SIDE] = w->side_going ? w->side.child.fd : -1,
	};
	size_t n = 0;

	for (; n < FD_FIXED; n++)
		p[n] = (struct pollfd){fixed[n], n == FD_MOUNTS ? POLLPRI : POLLIN, 0};
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		p[n++] = (struct pollfd){w->control.client[i].fd, POLLIN, 0};
	for (size_t i = 0; i < w->points; i++) {
		p[n++] = (struct pollfd){w->point[i].hint.child.fd, POLLIN, 0};
		p[n++] = (struct pollfd){w->point[i].poller.child.fd, POLLIN, 0};
	}
	return n;
}

/* Places before runs: a run that ends may change which places there are. */
static void dispatch(struct watch *w, const struct pollfd *p, int64_t now)
{
	const struct pollfd *at = p + FD_FIXED + CONTROL_CLIENTS;
	uint64_t times;

	for (size_t i = 0; i < w->points; i++, at += 2) {
		if (at[0].revents != 0)
			point_hinted(w, &w->point[i], now);
		if (at[1].revents != 0 && w->point[i].poller.child.fd == at[1].fd)
			point_polled(w, &w->point[i], now);
	}
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (p[FD_FIXED + i].revents != 0)
			client_heard(w, &w->control.client[i], now);
	if (p[FD_ALARM].revents != 0)
		(void)!read(w->alarm, &times, sizeof(times));
	if (p[FD_MOUNTS].revents != 0)
		removables_mounts(w, now);
	if (p[FD_CONTROL].revents != 0)
		control_accept(&w->control, now);
	if (p[FD_SIDE].revents != 0)
		side_heard(w, now);
	if (p[FD_RUN].revents != 0)
		run_heard(w, now);
	if (p[FD_SIGNALS].revents != 0)
		signal_heard(w, now);
}

static int64_t tick(struct watch *w, int64_t now)
{
	int64_t next = timer_tick(w, now);

	next = timer_earlier(next, watchdog_tick(w, now));
	if (!w->ending)
		next = timer_earlier(next, points_tick(w, now));
	next = timer_earlier(next, runs_tick(w, now));
	next = timer_earlier(next, control_expire(&w->control, now));
	if (w->dirty)
		status_write(w);
	return w->ending ? timer_earlier(next, w->end_at) : next;
}

static int watch_turn(struct watch *w, struct err *err)
{
	OWNED(freep) struct pollfd *p = NULL;
	int64_t now = clock_monotonic_ms();
	int rc = alarm_set(w->alarm, tick(w, now), err);

	if (rc < 0)
		return rc;
	p = calloc(FD_FIXED + CONTROL_CLIENTS + 2 * w->points, sizeof(*p));
	if (p == NULL)
		return err_memory(err);
	if (poll(p, (nfds_t)descriptors(w, p), -1) < 0 && errno != EINTR)
		return err_sys(err, RC_INTERNAL, "cannot wait");
	dispatch(w, p, clock_monotonic_ms());
	return 0;
}

/* A run that should have been while no watcher ran is caught up; else it is enough to look. */
static void watch_begin(struct watch *w)
{
	int64_t now = clock_monotonic_ms(), wall = clock_now(), last = status_last(w);

	w->started = wall;
	w->last = last;
	w->want_full = last == 0 || last > wall;
	w->last_full = w->want_full ? now : now - (wall - last) * 1000;
	w->due = NEVER;
	w->last_end = now - w->t->asked;
	w->plan_wanted = true;
	watch_want(w, RUN_START, now);
}

static int watch_open(struct watch *w, struct err *err)
{
	w->statefd = os_open_dir(w->o->state, err);
	if (w->statefd < 0)
		return w->statefd;
	w->lock = lock_take(w->statefd, "watch.lock", "satchel watch", err);
	if (w->lock < 0)
		return w->lock;
	w->signals = signals_open(err);
	if (w->signals < 0)
		return w->signals;
	w->alarm = alarm_open(err);
	if (w->alarm < 0)
		return w->alarm;
	w->mountfd = mounts_open(err);
	if (w->mountfd < 0)
		return w->mountfd;
	return w->o->control == NULL ? 0 : control_open(w->o->control, &w->control, err);
}

static void watch_free(struct watch **at)
{
	struct watch *w = *at;

	if (w == NULL)
		return;
	runs_stop(w);
	points_clear(w);
	removables_clear(w);
	control_close(&w->control);
	notify_close(&w->notify);
	watch_plan_clear(&w->plan);
	watch_plan_clear(&w->run_plan);
	watch_plan_clear(&w->side_plan);
	buf_clear(&w->side_answer);
	fd_closep(&w->mountfd);
	fd_closep(&w->alarm);
	fd_closep(&w->signals);
	fd_closep(&w->lock);
	fd_closep(&w->statefd);
	free(w);
	*at = NULL;
}

int watch_loop(const struct watch_options *o, struct err *err)
{
	OWNED(watch_free) struct watch *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return err_memory(err);
	w->o = o;
	w->t = o->times != NULL ? o->times : &watch_times;
	w->reporter = o->reporter;
	w->statefd = w->lock = w->signals = w->alarm = w->mountfd = -1;
	w->run = w->side = (struct run_process)RUN_INIT;
	control_init(&w->control);
	notify_open(&w->notify);
	rc = watch_open(w, err);
	if (rc < 0)
		return rc;
	watch_begin(w);
	reporter_info(w->reporter, "watching for %s", o->words);
	while (rc == 0 && !(w->ending && (!w->run_going || clock_monotonic_ms() >= w->end_at)))
		rc = watch_turn(w, err);
	if (w->run_going)
		reporter_info(w->reporter,
			      "the run was stopped; the next one continues from there");
	runs_stop(w);
	status_write(w);
	reporter_info(w->reporter, "watching has ended");
	return rc;
}
