/* SPDX-License-Identifier: ISC */
/*
 * A day of many workstations on one share, in simulated time: who looks when, what that costs the
 * file server, and whether every receipt arrives.  When comes from the watcher's own timer; the
 * clock is a number.
 *
 *   watchers [WORKSTATIONS [MINUTES [JITTER-PERCENT]]]
 *
 * The day: at 8:00 everybody switches on within five minutes, after a power cut at 10:00 all of
 * them within one minute, a fifth are laptops that sleep from 12:00 to 13:00 and wake together, the
 * share is away from 14:00 to 14:10, one receipt in ten does not get through at first, seven of ten
 * are switched off at 17:00.  The server syncs every hour; eight times a day it publishes something
 * for everybody and forty times something for one.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watcher/timer.h"
#include "watcher/watch.h"

#define SECOND 1000ll
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/*
 * Calls that name or read something on the share, counted with strace(1) at the helpers of a
 * workstation with one channel.  A file server sees fewer: clients answer some from their caches.
 */
enum { OPS_LOOK = 11, OPS_CHEAP = 44, OPS_SYNC = 59, OPS_NEWS = 93, OPS_APPLY = 131 };

enum event { POLL, TIMER, NEWS, AGAIN, ON, OFF, EVENTS };

struct station {
	uint64_t seed;
	bool on;
	int64_t at[EVENTS]; /* INT64_MAX: not planned */
	int64_t wait, again, last;
	uint64_t seen;            /* beats it knows */
	uint64_t news;            /* newest beat that brought something for it */
	uint64_t applied;         /* of those it has */
	uint64_t receipt, posted; /* sequences */
	uint64_t recorded;        /* by the server */
	int64_t receipt_at;       /* when the newest was written */
};

static struct station *all;
static size_t n;
static int64_t interval; /* milliseconds */
static unsigned jitter;

/* What the depot has. */
static uint64_t beats;

/* What it costs. */
static uint64_t by_minute[2 * 24 * 60], by_event[EVENTS];
static uint64_t total;

static void cost(int64_t now, enum event why, uint64_t ops)
{
	by_minute[now / MINUTE] += ops;
	by_event[why] += ops;
	total += ops;
}

static bool share_away(int64_t now)
{
	return now >= 14 * HOUR && now < 14 * HOUR + 10 * MINUTE;
}

static void poll_next(struct station *s, int64_t now, bool changed)
{
	s->at[POLL] = timer_poll(now, &s->wait, changed, watch_times.poll_least,
				 watch_times.poll_most, s->seed);
}

static void again_next(struct station *s, int64_t now)
{
	s->again = timer_back_off(s->again, false, watch_times.again_least, watch_times.again_most);
	s->at[AGAIN] = now + s->again + timer_spread(s->again / 4, s->seed, (uint64_t)now);
}

/* A whole sync: what is new is applied, and the receipt is posted when there is one. */
static void sync_run(struct station *s, int64_t now, enum event why)
{
	s->at[NEWS] = s->at[AGAIN] = INT64_MAX;
	if (share_away(now)) {
		if (s->receipt > s->posted)
			again_next(s, now);
	} else {
		bool news = s->news > s->applied;

		cost(now, why, news ? OPS_APPLY : s->seen < beats ? OPS_NEWS : OPS_SYNC);
		s->seen = beats;
		if (news)
			poll_next(s, now, true);
		if (news || s->receipt == 0 || now - s->receipt_at >= DAY) {
			s->applied = s->news;
			s->receipt++;
			s->receipt_at = now;
		}
		/* One in ten does not get through: a full share, a cut connection. */
		if (s->posted < s->receipt && timer_spread(10, s->seed ^ 7, (uint64_t)now) == 0) {
			again_next(s, now);
		} else if (s->posted < s->receipt) {
			s->posted = s->receipt;
			s->recorded = s->posted; /* the server sees its own depot and collects */
		}
		if (s->posted == s->receipt)
			s->again = 0;
	}
	s->last = now;
	s->at[TIMER] = timer_next(now, s->last, interval, jitter, s->seed);
}

static void look(struct station *s, int64_t now)
{
	bool changed = !share_away(now) && s->seen < beats;

	poll_next(s, now, false);
	if (share_away(now))
		return;
	cost(now, POLL, OPS_LOOK);
	if (!changed)
		return;
	/* The cheap half of a sync: is it for us? */
	cost(now, POLL, OPS_CHEAP);
	s->seen = beats;
	if (s->news > s->applied && s->at[NEWS] == INT64_MAX) {
		int64_t span = interval / 100 * jitter;

		span = span < watch_times.spread ? span : watch_times.spread;
		s->at[NEWS] = now + timer_spread(span, s->seed, (uint64_t)now);
	}
}

static void switch_on(struct station *s, int64_t now)
{
	s->on = true;
	poll_next(s, now, true);
	/* As the watcher begins: a run that is due is caught up, else a look is enough. */
	s->at[TIMER] = timer_next(now, s->last, interval, jitter, s->seed);
	look(s, now);
	if (!share_away(now))
		cost(now, ON, OPS_CHEAP);
}

static void switch_off(struct station *s)
{
	s->on = false;
	for (enum event e = POLL; e <= AGAIN; e++)
		s->at[e] = INT64_MAX;
}

static void happen(struct station *s, enum event e, int64_t now)
{
	s->at[e] = INT64_MAX;
	if (e == ON)
		switch_on(s, now);
	else if (e == OFF)
		switch_off(s);
	else if (!s->on)
		return;
	else if (e == POLL)
		look(s, now);
	else
		sync_run(s, now, e);
}

/* The server: its hour, and what it publishes in between. */
static void server(int64_t now)
{
	static const int64_t publications = 8, single = 40;

	if (share_away(now))
		return;
	if (now % HOUR == 0)
		beats++; /* what receipts brought is acknowledged */
	if (now % (DAY / publications) == 7 * MINUTE) {
		beats++;
		for (size_t i = 0; i < n; i++)
			all[i].news = beats;
	}
	if (now % (DAY / single) == 3 * MINUTE) {
		beats++;
		all[(size_t)timer_spread((int64_t)n, 99, (uint64_t)now)].news = beats;
	}
}

/* The day of one machine; what its owner does next is planned when it happens. */
static void day_plan(size_t i, int64_t now)
{
	struct station *s = &all[i];
	bool laptop = i % 5 == 0, leaves = i % 10 < 7;
	const struct {
		enum event e;
		int64_t at;
	} plan[] = {
	    {ON, 8 * HOUR + timer_spread(5 * MINUTE, s->seed, 1)},
	    {OFF, 10 * HOUR},
	    {ON, 10 * HOUR + timer_spread(MINUTE, s->seed, 2)},
	    {OFF, laptop ? 12 * HOUR : INT64_MAX},
	    {ON, laptop ? 13 * HOUR : INT64_MAX},
	    {OFF, leaves ? 17 * HOUR + timer_spread(30 * MINUTE, s->seed, 3) : INT64_MAX},
	};

	s->at[ON] = s->at[OFF] = INT64_MAX;
	for (size_t k = 0; k < sizeof(plan) / sizeof(plan[0]); k++)
		if (plan[k].at > now && plan[k].at < s->at[plan[k].e])
			s->at[plan[k].e] = plan[k].at;
}

/* Every second in turn: fine enough, and the same work however many machines there are. */
static void second_pass(int64_t now)
{
	server(now);
	for (size_t i = 0; i < n; i++)
		for (enum event e = POLL; e < EVENTS; e++)
			if (all[i].at[e] < now + SECOND) {
				happen(&all[i], e, now);
				if (e == ON || e == OFF)
					day_plan(i, now);
			}
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void report(void)
{
	static const char *const words[EVENTS] = {"looks", "timer",       "news",
						  "again", "switched on", ""};
	uint64_t hour = 0, worst_hour = 0, worst = 0, lost = 0, sorted[24 * 60];
	size_t when = 0;

	for (size_t m = 0; m < 24 * 60; m++) {
		hour += by_minute[m] - (m >= 60 ? by_minute[m - 60] : 0);
		worst_hour = hour > worst_hour ? hour : worst_hour;
		if (by_minute[m] > worst) {
			worst = by_minute[m];
			when = m;
		}
	}
	memcpy(sorted, by_minute, sizeof(sorted));
	qsort(sorted, 24 * 60, sizeof(*sorted), by_size);
	for (size_t i = 0; i < n; i++)
		lost += all[i].recorded != all[i].receipt;
	printf("%zu workstations, every %d minutes, jitter %u%%, %" PRIu64 " beats\n", n,
	       (int)(interval / MINUTE), jitter, beats);
	printf("operations       %" PRIu64 " in the day, %" PRIu64 " an hour, busiest hour %" PRIu64
	       "\n",
	       total, total / 24, worst_hour);
	printf("worst minute     %" PRIu64 " at %02zu:%02zu (%.1f a second); median %" PRIu64 "\n",
	       worst, when / 60, when % 60, (double)worst / 60, sorted[24 * 60 / 2]);
	for (enum event e = POLL; e <= ON; e++)
		printf("  %-14s %" PRIu64 "\n", words[e], by_event[e]);
	printf("receipts lost    %" PRIu64 "\n", lost);
	exit(lost > 0);
}

int main(int argc, char **argv)
{
	n = argc > 1 ? (size_t)atol(argv[1]) : 1000;
	interval = (argc > 2 ? atol(argv[2]) : 60) * MINUTE;
	jitter = argc > 3 ? (unsigned)atoi(argv[3]) : 10;
	all = calloc(n, sizeof(*all));
	if (n == 0 || all == NULL || interval <= 0 || jitter > 100)
		return 2;
	for (size_t i = 0; i < n; i++) {
		all[i].seed = i * 0x9e3779b97f4a7c15u + 1;
		all[i].last = -9 * HOUR; /* yesterday evening */
		switch_off(&all[i]);
		day_plan(i, 0);
	}
	for (int64_t now = 0; now < DAY; now += SECOND)
		second_pass(now);
	report();
}
