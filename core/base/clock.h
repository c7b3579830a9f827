/*
 * Time: seconds since 1970 UTC for documents, written "2026-11-22T21:00:00Z" (RFC 3339, whole
 * seconds, always Z).  Sequence numbers decide order; time decides only staleness.
 */
#ifndef SATCHEL_BASE_CLOCK_H
#define SATCHEL_BASE_CLOCK_H

#include <stdint.h>

#include "core/base/err.h"

#define CLOCK_TEXT 20 /* characters of a written time, without the NUL */

/**
 * clock_now(): seconds since 1970 UTC.  SATCHEL_CLOCK=SECONDS in the environment replaces it, for
 * drills and tests: whoever sets the environment of this process could set its clock as well.
 */
int64_t clock_now(void);

/** clock_monotonic_ms(): for deadlines and rates; counts time asleep (CLOCK_BOOTTIME). */
int64_t clock_monotonic_ms(void);

void clock_format(char dst[CLOCK_TEXT + 1], int64_t seconds);
/** clock_parse(text, ret, err): the written form only, years 1970 to 9999.  Errors: RC_MALFORMED.
 */
int clock_parse(const char *text, int64_t *ret, struct err *err);

#endif
