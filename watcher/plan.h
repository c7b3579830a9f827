/* SPDX-License-Identifier: ISC */
/*
 * A plan: what is to be watched, and how often to look in any case.  The site or the workstation
 * says it; each run reads it again, so that a new interval takes effect at once.
 */
#ifndef SATCHEL_WATCHER_PLAN_H
#define SATCHEL_WATCHER_PLAN_H

#include "core/base/bytes.h"
#include "watcher/hint.h"

#define PLAN_MINUTES 60
#define PLAN_JITTER  10 /* percent */
/* Depots, channels and their sources. */
#define PLAN_PLACES 4096u

enum place_kind {
	PLACE_DEPOT,     /* a workstation's: beats arrive there */
	PLACE_INBOX,     /* the server's home depot: receipts and requests arrive there */
	PLACE_SOURCE,    /* the tree of a channel; its name stands beside it */
	PLACE_DOCUMENTS, /* the site's documents */
	PLACE_KINDS
};
extern const char *const place_kinds[PLACE_KINDS]; /* words for people and the status file */

struct plan_place {
	enum place_kind kind;
	char *path; /* owned; absolute */
	char *name; /* owned; of the channel, or "" */
};

struct watch_plan {
	int64_t interval_ms;
	int64_t poll_ms; /* longest time between looks where inotify sees nothing; 0: a minute */
	unsigned jitter; /* percent */
	bool sticks;     /* media that are plugged in are looked at */
	struct plan_place *place; /* owned */
	size_t places, places_room;
};

/** watch_plan_add(p, kind, path, name, err): one more place; a second one of the same kind, path
 * and name is left out.  RC_LIMIT. */
int watch_plan_add(struct watch_plan *p, enum place_kind kind, const char *path, const char *name,
		   struct err *err);
/** watch_plan_clear(p): release its places, and make it an empty one. */
void watch_plan_clear(struct watch_plan *p);
/** place_equal(a, b): the same kind, path and name. */
bool place_equal(const struct plan_place *a, const struct plan_place *b);
/** place_scope(kind): what of it is watched. */
enum hint_scope place_scope(enum place_kind kind);

/** watch_plan_pack(p, ret, err), watch_plan_unpack(in, ret, err): the bytes in which a child sends
 * a plan to the watcher.  Errors: RC_MALFORMED (unpack), RC_MEMORY. */
int watch_plan_pack(const struct watch_plan *p, struct buf *ret, struct err *err);
int watch_plan_unpack(struct bytes in, struct watch_plan *ret, struct err *err);

#endif
