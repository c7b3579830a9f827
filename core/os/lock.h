/*
 * One run at a time: an open-file-description lock on a file of the own state directory (never on a
 * depot).  The lock ends with the process, so that none is ever stale.
 */
#ifndef SATCHEL_OS_LOCK_H
#define SATCHEL_OS_LOCK_H

#include "core/base/err.h"

/** lock_take(dirfd, name, what, err): returns a descriptor to hold, or RC_BUSY: "another WHAT is
 * running (process N)". */
int lock_take(int dirfd, const char *name, const char *what, struct err *err);

#endif
