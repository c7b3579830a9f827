/* SPDX-License-Identifier: ISC */
/* A workstation by itself, without a site. */
#ifndef SATCHEL_TESTS_SUPPORT_STATION_H
#define SATCHEL_TESTS_SUPPORT_STATION_H

#include "applier/open/open.h"
#include "tests/support/scratch.h"

/** station_at(path): the workstation in that directory, made when it is missing, and locked. */
static inline struct station *station_at(const char *path)
{
	struct station *s = NULL;
	struct err err = {0};

	cr_assert_eq(station_open(path, STATION_LOCK | STATION_CREATE, NULL, &s, &err), 0, "%s",
		     err.text);
	return s;
}

/** station_clock(now): the time that satchel believes it is. */
static inline void station_clock(int64_t now)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)now);
	setenv("SATCHEL_CLOCK", text, 1);
}

#endif
