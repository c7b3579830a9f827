/* SPDX-License-Identifier: ISC */
/*
 * When to look next.  All of it is arithmetic on numbers that the caller gives, so that a day of a
 * thousand machines can be played in a second; only alarm_* knows a clock.
 *
 * Times are milliseconds of CLOCK_BOOTTIME: a machine that slept has waited.  What differs from
 * machine to machine comes from a seed, so that each keeps its place in the crowd.
 */
#ifndef SATCHEL_WATCHER_TIMER_H
#define SATCHEL_WATCHER_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

/* A run that is later than this was slept through, and is caught up. */
#define TIMER_LATE_MS 30000
/* Machines that wake together (a classroom, a power cut) catch up within this time. */
#define TIMER_CATCH_UP_MS 60000

/** timer_earlier(a, b): the smaller of two times; INT64_MAX stands for never. */
int64_t timer_earlier(int64_t a, int64_t b);

/** timer_spread(span, seed, what): 0 to span - 1, another one for every ${seed} and ${what}. */
int64_t timer_spread(int64_t span, uint64_t seed, uint64_t what);

/**
 * timer_next(now, last, interval, jitter_percent, seed):
 * When the run after that of ${last} is due: an interval later, give or take ${jitter_percent} of
 * it, so that machines that began together drift apart.  One that should have been long ago is
 * caught up at once, spread over the smaller of that jitter and TIMER_CATCH_UP_MS.
 */
int64_t timer_next(int64_t now, int64_t last, int64_t interval, unsigned jitter_percent,
		   uint64_t seed);

/** timer_back_off(before, changed, least, most): the wait before the next look where nothing tells
 * of changes: ${least} after a change, then half as long again each time, up to ${most}. */
int64_t timer_back_off(int64_t before, bool changed, int64_t least, int64_t most);

/** timer_poll(now, wait, changed, least, most, seed): when to look again; ${*wait} backs off, and a
 * quarter of it more or less keeps machines apart. */
int64_t timer_poll(int64_t now, int64_t *wait, bool changed, int64_t least, int64_t most,
		   uint64_t seed);

/** alarm_open(err): a descriptor that is readable at the time that was set.  alarm_set(fd, at,
 * err): at ${at}, also when that is past; INT64_MAX: never. */
int alarm_open(struct err *err);
int alarm_set(int fd, int64_t at, struct err *err);

#endif
