/* SPDX-License-Identifier: ISC */
/*
 * The only place that reads the clock and knows how a time is written.  Everything else passes
 * seconds around, so a test that sets SATCHEL_CLOCK moves the whole program.
 */
#include "core/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/bytes.h"

int64_t clock_now(void)
{
	const char *set = secure_getenv("SATCHEL_CLOCK");
	int64_t at;

	if (set != NULL && number_i64(set, strlen(set), &at, ERR_IGNORED) == 0)
		return at;
	return (int64_t)time(NULL);
}

int64_t clock_monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_ns(int64_t seconds, int64_t nanoseconds)
{
	/* The product alone can be too large where the sum is not: times before 1970 count forwards
	 * from a whole second. */
	__int128 ns = (__int128)seconds * 1000000000 + nanoseconds;

	return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

bool clock_far(int64_t ns)
{
	return ns == INT64_MAX || ns == INT64_MIN;
}

struct timespec clock_timespec(int64_t ns)
{
	int64_t s = ns / 1000000000, rest = ns % 1000000000;

	if (rest < 0) {
		rest += 1000000000;
		s--;
	}
	return (struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)rest};
}

void clock_format(char dst[CLOCK_TEXT + 1], int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < 70 || tm.tm_year > 8099 ||
	    strftime(dst, CLOCK_TEXT + 1, "%Y-%m-%dT%H:%M:%SZ", &tm) != CLOCK_TEXT)
		memcpy(dst, "1970-01-01T00:00:00Z", CLOCK_TEXT + 1);
}

int clock_parse(const char *text, int64_t *ret, struct err *err)
{
	struct tm tm = {0};
	char again[CLOCK_TEXT + 1];
	int64_t at;
	int end = 0;

	if (strlen(text) != CLOCK_TEXT ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6 ||
	    end != CLOCK_TEXT)
		return err_set(err, RC_MALFORMED,
			       "\"%.40s\" is not a time like 2026-11-22T21:00:00Z", text);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	at = (int64_t)timegm(&tm);
	/* Written again it must be the same text: no 31 February, no second 61, no signs. */
	clock_format(again, at);
	if (strcmp(again, text) != 0)
		return err_set(err, RC_MALFORMED, "\"%.40s\" is not a time that exists", text);
	*ret = at;
	return 0;
}
