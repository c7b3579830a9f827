/* SPDX-License-Identifier: ISC */
/*
 * When to look next: arithmetic, without a clock.
 */
#include <criterion/criterion.h>
#include <poll.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/timer.h"

#define MINUTE 60000ll
#define HOUR   (60 * MINUTE)

Test(timer, is_an_interval_later_give_or_take_the_jitter)
{
	int64_t least = INT64_MAX, most = 0;

	for (uint64_t seed = 0; seed < 2000; seed++) {
		int64_t due = timer_next(1000, 1000, HOUR, 10, seed);

		least = due < least ? due : least;
		most = due > most ? due : most;
	}
	cr_expect_geq(least, 1000 + 54 * MINUTE);
	cr_expect_leq(least, 1000 + 55 * MINUTE, "the earliest of 2000 is near the edge");
	cr_expect_leq(most, 1000 + 66 * MINUTE);
	cr_expect_geq(most, 1000 + 65 * MINUTE);
}

Test(timer, without_jitter_is_exact)
{
	cr_expect_eq(timer_next(0, 5, HOUR, 0, 42), 5 + HOUR);
}

Test(timer, is_the_same_for_the_same_machine_and_another_one_the_next_time)
{
	cr_expect_eq(timer_next(7, 7, HOUR, 10, 42), timer_next(7, 7, HOUR, 10, 42));
	cr_expect_neq(timer_next(7, 7, HOUR, 10, 42) - 7, timer_next(8, 8, HOUR, 10, 42) - 8);
	cr_expect_neq(timer_next(7, 7, HOUR, 10, 42), timer_next(7, 7, HOUR, 10, 43));
}

Test(timer, that_was_slept_through_is_caught_up_within_a_minute_and_spread)
{
	int64_t now = 100 * HOUR, least = INT64_MAX, most = 0;

	for (uint64_t seed = 0; seed < 1000; seed++) {
		int64_t due = timer_next(now, 0, HOUR, 10, seed);

		cr_assert_geq(due, now);
		cr_assert_lt(due, now + TIMER_CATCH_UP_MS);
		least = due < least ? due : least;
		most = due > most ? due : most;
	}
	cr_expect_gt(most - least, TIMER_CATCH_UP_MS * 9 / 10);
}

Test(timer, that_is_a_little_late_is_not_put_off)
{
	int64_t due = timer_next(0, 0, HOUR, 0, 1);

	cr_expect_eq(timer_next(due + 1000, 0, HOUR, 0, 1), due);
}

Test(timer, a_new_interval_counts_from_the_last_run)
{
	cr_expect_eq(timer_next(2 * MINUTE, 0, 5 * MINUTE, 0, 1), 5 * MINUTE);
	cr_expect_eq(timer_next(30 * MINUTE, 0, 5 * MINUTE, 0, 1), 30 * MINUTE);
}

Test(back_off, grows_by_half_up_to_its_most_and_starts_again_after_a_change)
{
	int64_t wait = timer_back_off(0, false, 5000, 60000), before;
	unsigned steps = 0;

	cr_expect_eq(wait, 5000);
	while (wait < 60000 && steps++ < 100) {
		before = wait;
		wait = timer_back_off(wait, false, 5000, 60000);
		cr_assert_gt(wait, before);
	}
	cr_expect_eq(wait, 60000);
	cr_expect_leq(steps, 8);
	cr_expect_eq(timer_back_off(wait, false, 5000, 60000), 60000);
	cr_expect_eq(timer_back_off(wait, true, 5000, 60000), 5000);
}

Test(spread, is_even)
{
	unsigned bin[10] = {0};

	for (uint64_t seed = 0; seed < 10000; seed++)
		bin[timer_spread(1000, seed, 7) / 100]++;
	for (size_t i = 0; i < 10; i++)
		cr_expect(bin[i] > 850 && bin[i] < 1150, "a tenth has %u of 10000", bin[i]);
	cr_expect_eq(timer_spread(0, 1, 1), 0);
	cr_expect_eq(timer_spread(-5, 1, 1), 0);
}

Test(alarm, rings_at_its_time_also_when_that_is_past_and_never_when_told_so)
{
	struct err err = {0};
	OWNED(fd_closep) int fd = alarm_open(&err);
	struct pollfd p = {fd, POLLIN, 0};

	cr_assert_geq(fd, 0);
	alarm_set(fd, clock_monotonic_ms() + HOUR, &err);
	cr_expect_eq(poll(&p, 1, 0), 0);
	alarm_set(fd, clock_monotonic_ms() + 30, &err);
	cr_expect_eq(poll(&p, 1, MINUTE), 1);
	alarm_set(fd, 0, &err);
	cr_expect_eq(poll(&p, 1, MINUTE), 1);
	alarm_set(fd, INT64_MAX, &err);
	cr_expect_eq(poll(&p, 1, 50), 0);
}
