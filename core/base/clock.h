/* SPDX-License-Identifier: ISC */
/*
 * Time: seconds since 1970 UTC for documents, written "2026-11-22T21:00:00Z" (RFC 3339, whole
 * seconds, always Z).  Sequence numbers decide order; time decides only staleness.
 */
#ifndef SATCHEL_CORE_BASE_CLOCK_H
#define SATCHEL_CORE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "core/base/err.h"

#define CLOCK_TEXT 20 /* characters of a written time, without the NUL */

/**
 * clock_now(): seconds since 1970 UTC.  SATCHEL_CLOCK=SECONDS in the environment replaces it, for
 * drills and tests: whoever sets the environment of this process could set its clock as well.
 */
int64_t clock_now(void);

/** clock_monotonic_ms(): for deadlines and rates; counts time asleep (CLOCK_BOOTTIME). */
int64_t clock_monotonic_ms(void);

/** clock_ns(seconds, nanoseconds): a time of a file in nanoseconds since 1970; one that does not
 * fit (before 1677, after 2262) is the first or the last that does. */
int64_t clock_ns(int64_t seconds, int64_t nanoseconds);
/** clock_far(ns): is it that first or last one, which stands for all that do not fit? */
bool clock_far(int64_t ns);
/** clock_timespec(ns): the same time as the kernel takes it; before 1970 the nanoseconds count
 * forwards as well. */
struct timespec clock_timespec(int64_t ns);

/**
 * clock_format(dst, seconds): the written form, always CLOCK_TEXT characters and a NUL; a time
 * outside of the years 1970 to 9999 is written as the beginning of 1970, so ${dst} is always a
 * valid time.
 */
void clock_format(char dst[CLOCK_TEXT + 1], int64_t seconds);
/** clock_parse(text, ret, err): the written form only, years 1970 to 9999.  Errors: RC_MALFORMED.
 */
int clock_parse(const char *text, int64_t *ret, struct err *err);

#endif
