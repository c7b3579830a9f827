/* SPDX-License-Identifier: ISC */
/*
 * When things are due, as arithmetic; and the one timer of the kernel behind it.
 */
#include "watcher/timer.h"

#include <sys/timerfd.h>

#include "core/base/own.h"

/* Source: splitmix64 (Steele, Lea, Flood 2014): neighbouring inputs give unrelated numbers. */
static uint64_t mixed(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

int64_t timer_earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t timer_spread(int64_t span, uint64_t seed, uint64_t what)
{
	return span <= 0 ? 0 : (int64_t)(mixed(seed ^ mixed(what)) % (uint64_t)span);
}

int64_t timer_next(int64_t now, int64_t last, int64_t interval, unsigned jitter_percent,
		   uint64_t seed)
{
	int64_t jitter = interval / 100 * jitter_percent;
	int64_t due = last + interval - jitter + timer_spread(2 * jitter + 1, seed, (uint64_t)last);

	if (due > now - TIMER_LATE_MS)
		return due;
	if (jitter > TIMER_CATCH_UP_MS)
		jitter = TIMER_CATCH_UP_MS;
	return now + timer_spread(jitter, seed, (uint64_t)now);
}

int64_t timer_back_off(int64_t before, bool changed, int64_t least, int64_t most)
{
	int64_t next = before + before / 2;

	if (changed || before < least)
		return least;
	return next < most ? next : most;
}

int64_t timer_poll(int64_t now, int64_t *wait, bool changed, int64_t least, int64_t most,
		   uint64_t seed)
{
	*wait = timer_back_off(*wait, changed, least, most);
	return now + *wait - *wait / 4 + timer_spread(*wait / 2 + 1, seed, (uint64_t)now);
}

int alarm_open(struct err *err)
{
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	return fd < 0 ? err_sys(err, RC_INTERNAL, "cannot make a timer") : fd;
}

int alarm_set(int fd, int64_t at, struct err *err)
{
	struct itimerspec t = {{0, 0}, {at / 1000, at % 1000 * 1000000}};

	if (at == INT64_MAX)
		t.it_value = (struct timespec){0, 0}; /* disarmed */
	else if (at <= 0)
		t.it_value = (struct timespec){0, 1};
	if (timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL) < 0)
		return err_sys(err, RC_INTERNAL, "cannot set a timer");
	return 0;
}
