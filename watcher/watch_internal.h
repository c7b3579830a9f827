/* SPDX-License-Identifier: ISC */
/*
 * What the files of the watcher share: its places, its media, its runs.
 */
#ifndef SATCHEL_WATCHER_WATCH_INTERNAL_H
#define SATCHEL_WATCHER_WATCH_INTERNAL_H

#include "watcher/control.h"
#include "watcher/mount.h"
#include "watcher/notify.h"
#include "watcher/poller.h"
#include "watcher/timer.h"
#include "watcher/watch.h"

#define NEVER INT64_MAX
/* Media at once; more are looked at when one of them goes. */
#define REMOVABLES_MAX 64

/*
 *   STARTING ─ready─▶ WATCHED ─gone─▶ ABSENT ─later─▶ STARTING
 *      │ └─blind, full─▶ POLLED (a depot) or TIMED (a tree: the timer finds what changed)
 *      └─no answer─▶ SILENT ─later─▶ STARTING
 */
enum point_how { HOW_STARTING, HOW_WATCHED, HOW_POLLED, HOW_TIMED, HOW_ABSENT, HOW_SILENT, HOWS };

/* One watched place. */
struct point {
	struct plan_place place; /* owned */
	enum point_how how;
	struct hint hint;                      /* owned */
	struct poller poller;                  /* owned */
	uint64_t type;                         /* of the file system, once it is known */
	int64_t hint_until, poller_until;      /* the helper must have answered by then */
	int64_t retry_at;                      /* ABSENT, SILENT: start again; POLLED: look */
	int64_t wait;                          /* between two of those */
	int64_t hinted, hinted_first;          /* NEVER: no hint waits */
	bool poller_wanted, changed, returned; /* a tree changed; it was away */
	struct poller_names seen;              /* owned */
	bool known;                            /* there was a look */
	enum point_how said;                   /* what people were told last */
};

enum removable_state {
	REMOVABLE_NEW,
	REMOVABLE_SEARCHED,
	REMOVABLE_OURS,
	REMOVABLE_SAFE,
	REMOVABLE_FAILED,
	REMOVABLE_OTHER
};

struct removable {
	uint64_t id;
	char *point; /* owned */
	char *depot; /* owned; once it is found */
	enum removable_state state;
};

/* What runs warn of, as hashes. */
#define HEARD_MAX 64
struct heard {
	struct reporter reporter; /* first: what a run sees */
	struct reporter *to;
	uint64_t now[HEARD_MAX], before[HEARD_MAX];
	size_t n, before_n;
};

struct watch {
	const struct watch_options *o;
	const struct watch_times *t;
	struct reporter *reporter;
	struct notify notify;
	struct control control;
	int statefd, lock, signals, alarm, mountfd; /* owned */
	struct watch_plan plan;                     /* owned */
	struct point *point;                        /* owned */
	size_t points;
	struct removable removable[REMOVABLES_MAX];
	size_t removables;
	uint64_t *early; /* owned; ids of the mounts that were there at the start */
	size_t early_n;

	/* The one run. */
	struct run_process run;
	struct heard heard;
	bool run_going, run_cheap;
	int64_t run_until;
	struct watch_plan run_plan; /* owned; what it brought */
	uint64_t run_removable;     /* bits: which are in it */
	unsigned wants;             /* reasons of the next one */
	bool want_full, polled;     /* at shares, before it */
	int64_t want_since, want_at;
	int64_t again, busy; /* waits that grow while runs fail */

	/* A question beside it, that takes no lock. */
	struct run_process side;
	enum run_what side_what;
	bool side_going, plan_wanted;
	int64_t side_until;
	size_t side_removable;              /* RUN_SEARCH */
	struct control_client *side_client; /* RUN_MESSAGES; whose place that was */
	uid_t side_uid;                     /* and who that was */
	struct buf side_answer;             /* owned */
	struct watch_plan side_plan;        /* owned */

	int64_t last_full, due; /* boot time; when the timer is due */
	int64_t last_end;       /* boot time of the last run's end */
	int64_t last;           /* clock; 0: none */
	unsigned last_reasons;
	struct run_result result; /* of the last run */
	int64_t started;
	int64_t watchdog_at;
	bool ending, dirty; /* the status file is to be written */
	int64_t end_at;
};

/* watch.c */
/** watch_want(w, reasons, at): a run for these reasons, not before ${at}. */
void watch_want(struct watch *w, unsigned reasons, int64_t at);
/** plan_use(w, fresh, now): what a run or a question brought, when it brought anything (taken); and
 * the timer, from the last run on. */
void plan_use(struct watch *w, struct watch_plan *fresh, int64_t now);

/* watch_point.c */
/** points_plan(w, err): take the places of the plan: those that are watched already go on, those
 * that it has no more end.  Errors: RC_MEMORY. */
int points_plan(struct watch *w, struct err *err);
/** points_clear(w): end all of them. */
void points_clear(struct watch *w);
/** points_tick(w, now): do what is due; returns when to come again. */
int64_t points_tick(struct watch *w, int64_t now);
/** point_hinted(w, s, now): its helper has something to say. */
void point_hinted(struct watch *w, struct point *s, int64_t now);
/** point_polled(w, s, now): its poll has ended. */
void point_polled(struct watch *w, struct point *s, int64_t now);
enum poller_which { POLLER_ALL, POLLER_SHARED };
/** points_poll(w, which): poll every depot, or those on shares, which may hang. */
void points_poll(struct watch *w, enum poller_which which);
/** points_retry(w, now): try those that were away. */
void points_retry(struct watch *w, int64_t now);
/** points_quicken(w): a run brought something: poll shares more often for a while. */
void points_quicken(struct watch *w);
/** points_polling(w): does a poll go on, or wait to begin? */
bool points_polling(const struct watch *w);
/** point_how_text(s, dst): how it is watched, in words. */
void point_how_text(const struct point *s, char dst[160]);

/* watch_removable.c */
/** removables_mounts(w, now): the list of mounts changed: which media came, which went. */
void removables_mounts(struct watch *w, int64_t now);
/** removables_found(w, i, r): the search of medium ${i} has ended so. */
void removables_found(struct watch *w, size_t i, const struct run_result *r);
/** removables_done(w, r): a run has ended: which of its media may be pulled. */
void removables_done(struct watch *w, const struct run_result *r);
/** removables_behind(w): a run that did not look at media has made something that they lack. */
void removables_behind(struct watch *w);
/** removables_clear(w): forget all of them. */
void removables_clear(struct watch *w);
/** removable_state_text(s): its state in words. */
const char *removable_state_text(const struct removable *s);

/* watch_run.c */
/** runs_tick(w, now): begin or end what is due; returns when to come again. */
int64_t runs_tick(struct watch *w, int64_t now);
/** run_heard(w, now), side_heard(w, now): the run, or the question beside it, has sent a frame. */
void run_heard(struct watch *w, int64_t now);
void side_heard(struct watch *w, int64_t now);
/** runs_stop(w): end both. */
void runs_stop(struct watch *w);

/* watch_status.c */

#endif
