/* SPDX-License-Identifier: ISC */
/*
 * What is waited for, and since when: a depot that is still being written looks the same as one
 * that somebody damaged, and only time tells them apart.
 */
#ifndef SATCHEL_APPLIER_FOLLOW_INCOMPLETE_H
#define SATCHEL_APPLIER_FOLLOW_INCOMPLETE_H

#include "applier/station/station.h"

extern const struct db_schema station_incomplete_schema;

/** incomplete_seen(s, what, ret_seconds, err): ${what}, a sentence, is not complete now; for how
 * many seconds that has been so, seen at least once a day. */
int incomplete_seen(struct station *s, const char *what, int64_t *ret_seconds, struct err *err);
/** incomplete_forget(s, err): every row, in the caller's transaction. */
int incomplete_forget(struct station *s, struct err *err);

#endif
