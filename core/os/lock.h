/* SPDX-License-Identifier: ISC */
/*
 * One run at a time: an open-file-description lock on a file of the own state directory (never on a
 * depot).  The lock ends with the process, so that none is ever stale.
 */
#ifndef SATCHEL_CORE_OS_LOCK_H
#define SATCHEL_CORE_OS_LOCK_H

#include <stdint.h>

#include "core/base/err.h"

/** lock_take(dirfd, name, what, err): returns a descriptor to hold, or RC_BUSY: "another WHAT is
 * running (process N)". */
int lock_take(int dirfd, const char *name, const char *what, struct err *err);

/**
 * lock_wait(dirfd, name, what, err): as lock_take, but a run that is about to end is waited for,
 * LOCK_PATIENCE at the most: a person who types a command beside a watcher at work wants it done,
 * not told to type it again.
 */
#define LOCK_PATIENCE 5000 /* milliseconds */
int lock_wait(int dirfd, const char *name, const char *what, struct err *err);

/** lock_holder(dirfd, name, ret, err): who holds it: 1, or 0 when nobody does.  Takes nothing,
 * makes nothing. */
struct lock_holder {
	int pid;       /* 0: it did not say */
	int64_t since; /* seconds since 1970 */
};
int lock_holder(int dirfd, const char *name, struct lock_holder *ret, struct err *err);

#endif
