/*
 * One run at a time: an open-file-description lock on a file of the own state directory (never on a
 * depot).  The lock ends with the process, so that none is ever stale.
 */
#ifndef SATCHEL_OS_LOCK_H
#define SATCHEL_OS_LOCK_H

#include <stdint.h>

#include "core/base/err.h"

/** lock_take(dirfd, name, what, err): returns a descriptor to hold, or RC_BUSY: "another WHAT is
 * running (process N)". */
int lock_take(int dirfd, const char *name, const char *what, struct err *err);

/** lock_holder(dirfd, name, ret, err): who holds it: 1, or 0 when nobody does.  Takes nothing,
 * makes nothing. */
struct lock_holder {
	int pid;       /* 0: it did not say */
	int64_t since; /* seconds since 1970 */
};
int lock_holder(int dirfd, const char *name, struct lock_holder *ret, struct err *err);

#endif
