/*
 * A look: the names in those directories of a depot that one side waits for, with size and time of
 * what may still be on its way.  They say only that there is something new to verify; they are kept
 * as hashes, compared with those of the last look.
 * The look runs in a child that is given up when the medium hangs.
 */
#ifndef SATCHEL_WATCHER_LOOK_H
#define SATCHEL_WATCHER_LOOK_H

#include "core/os/child.h"
#include "watcher/hint.h"

/* Names of one look.  A larger inbox is seen as one thing that changed or did not. */
#define LOOK_NAMES 65536u
/* Files of an inbox that are asked for size and time. */
#define LOOK_STATS 8192u
/* Entries read in one directory, whatever their names. */
#define LOOK_ENTRIES 200000u

struct seen {
	uint64_t *name; /* owned; hashes, ascending */
	size_t n;
	bool there; /* the depot's directory could be opened */
};

struct look {
	struct child child;
};

#define LOOK_INIT          \
	{                  \
		CHILD_INIT \
	}

/** look_start(path, scope, ret, err): HINT_BEATS: beats and trust; HINT_INBOX: the inbox.  Forks.
 */
int look_start(const char *path, enum hint_scope scope, struct look *ret, struct err *err);
/** look_read(l, ret, err): when its descriptor is readable.  RC_IO when it found nothing out. */
int look_read(struct look *l, struct seen *ret, struct err *err);
void look_stop(struct look *l);

/** seen_news(now, before): is there a name in ${now} that was not there ${before}?  What went away
 * is no news. */
bool seen_news(const struct seen *now, const struct seen *before);
void seen_clear(struct seen *s);

#endif
