/* SPDX-License-Identifier: ISC */
/*
 * The walls behind confine.h, each in a file of its own: confine_filter.c (seccomp) and
 * confine_landlock.c.  confine.c has the table and the order.
 */
#ifndef SATCHEL_CORE_OS_CONFINE_INTERNAL_H
#define SATCHEL_CORE_OS_CONFINE_INTERNAL_H

#include <stdbool.h>

#include "core/base/err.h"
#include "core/base/sanitized.h"

/* What a profile may do beyond computing with the descriptors that it holds. */
enum confine_may {
	MAY_READ = 1 << 0,   /* open for reading, list, stat: below its directory */
	MAY_CHANGE = 1 << 1, /* make, write, name, remove: below its directory */
	MAY_PASS = 1 << 2,   /* take and hand over descriptors on the socket that it has */
	MAY_LIST = 1 << 3,   /* open directories, list, stat: below its directory; no file */
	MAY_NOTIFY = 1 << 4, /* inotify; of what, Landlock does not bind */
};

/** landlock_self(may, dirfd): false when the kernel has none, or cannot bind to this directory. */
bool landlock_self(unsigned may, int dirfd);
/** filter_self(may, err): the seccomp filter.  RC_POLICY. */
int filter_self(unsigned may, struct err *err);

#endif
