/* SPDX-License-Identifier: ISC */
/*
 * A look: the names in those directories of a depot that one side waits for, with size and time of
 * what may still be on its way.  They say only that there is something new to verify; they are kept
 * as hashes, compared with those of the last look.
 * The look runs in a child that is given up when the medium hangs.
 */
#ifndef SATCHEL_WATCHER_POLLER_H
#define SATCHEL_WATCHER_POLLER_H

#include "core/os/child.h"
#include "watcher/hint.h"

/* Names of one look.  A larger inbox is seen as one thing that changed or did not. */
#define POLLER_NAMES 65536u
/* Files of an inbox that are asked for size and time. */
#define POLLER_STATS 8192u
/* Entries read in one directory, whatever their names. */
#define POLLER_ENTRIES 200000u

struct poller_names {
	uint64_t *name; /* owned; hashes, ascending */
	size_t n;
	bool there; /* the depot's directory could be opened */
};

struct poller {
	struct child child;
};

#define POLLER_INIT        \
	{                  \
		CHILD_INIT \
	}

/** poller_start(path, scope, ret, err): HINT_BEATS: beats and trust; HINT_INBOX: the inbox.  Forks.
 */
int poller_start(const char *path, enum hint_scope scope, struct poller *ret, struct err *err);
/** poller_read(l, ret, err): when its descriptor is readable.  RC_IO when it found nothing out. */
int poller_read(struct poller *l, struct poller_names *ret, struct err *err);
/** poller_stop(l): end it; one that has ended is fine. */
void poller_stop(struct poller *l);

/** poller_names_news(now, before): is there a name in ${now} that was not there ${before}?  What
 * went away is no news. */
bool poller_names_news(const struct poller_names *now, const struct poller_names *before);
/** poller_names_clear(s): release them. */
void poller_names_clear(struct poller_names *s);

#endif
