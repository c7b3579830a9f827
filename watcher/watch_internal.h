/*
 * What the files of the watcher share: its places, its media, its runs.
 */
#ifndef SATCHEL_WATCHER_INTERNAL_H
#define SATCHEL_WATCHER_INTERNAL_H

#include "watcher/control.h"
#include "watcher/look.h"
#include "watcher/mount.h"
#include "watcher/notify.h"
#include "watcher/timer.h"
#include "watcher/watch.h"

#define NEVER INT64_MAX
/* Media at once; more are looked at when one of them goes. */
#define STICKS_MAX 64

/*
 *   STARTING ─ready─▶ WATCHED ─gone─▶ ABSENT ─later─▶ STARTING
 *      │ └─blind, full─▶ POLLED (a depot) or TIMED (a tree: the timer finds what changed)
 *      └─no answer─▶ SILENT ─later─▶ STARTING
 */
enum spot_how { HOW_STARTING, HOW_WATCHED, HOW_POLLED, HOW_TIMED, HOW_ABSENT, HOW_SILENT, HOWS };

/* One watched place. */
struct spot {
	struct place place; /* owned */
	enum spot_how how;
	struct hint hint;                    /* owned */
	struct look look;                    /* owned */
	uint64_t type;                       /* of the file system, once it is known */
	int64_t hint_until, look_until;      /* the helper must have answered by then */
	int64_t retry_at;                    /* ABSENT, SILENT: start again; POLLED: look */
	int64_t wait;                        /* between two of those */
	int64_t hinted, hinted_first;        /* NEVER: no hint waits */
	bool look_wanted, changed, returned; /* a tree changed; it was away */
	struct seen seen;                    /* owned */
	bool known;                          /* there was a look */
	enum spot_how said;                  /* what people were told last */
};

enum stick_state { STICK_NEW, STICK_SEARCHED, STICK_OURS, STICK_SAFE, STICK_FAILED, STICK_OTHER };

struct stick {
	uint64_t id;
	char *point; /* owned */
	char *depot; /* owned; once it is found */
	enum stick_state state;
};

/* What runs warn of, as hashes. */
#define HEARD_MAX 64
struct heard {
	struct say say; /* first: what a run sees */
	struct say *to;
	uint64_t now[HEARD_MAX], before[HEARD_MAX];
	size_t n, before_n;
};

struct watch {
	const struct watch_options *o;
	const struct watch_times *t;
	struct say *say;
	struct notify notify;
	struct control control;
	int statefd, lock, signals, alarm, mountfd; /* owned */
	struct plan plan;                           /* owned */
	struct spot *spot;                          /* owned */
	size_t spots;
	struct stick stick[STICKS_MAX];
	size_t sticks;
	uint64_t *early; /* owned; ids of the mounts that were there at the start */
	size_t early_n;

	/* The one run. */
	struct run run;
	struct heard heard;
	bool run_going, run_cheap;
	int64_t run_until;
	struct plan run_plan;   /* owned; what it brought */
	uint64_t run_sticks;    /* bits: which are in it */
	unsigned wants;         /* reasons of the next one */
	bool want_full, looked; /* at shares, before it */
	int64_t want_since, want_at;
	int64_t again, busy; /* waits that grow while runs fail */

	/* A question beside it, that takes no lock. */
	struct run side;
	enum run_what side_what;
	bool side_going, plan_wanted;
	int64_t side_until;
	size_t side_stick;                  /* RUN_SEARCH */
	struct control_client *side_client; /* RUN_MESSAGES; whose place that was */
	uid_t side_uid;                     /* and who that was */
	struct buf side_answer;             /* owned */
	struct plan side_plan;              /* owned */

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
void plan_use(struct watch *w, struct plan *fresh, int64_t now);

/* watch_spot.c */
int spots_plan(struct watch *w, struct err *err);
void spots_clear(struct watch *w);
/** spots_tick(w, now): what is due; returns when to come again. */
int64_t spots_tick(struct watch *w, int64_t now);
void spot_hinted(struct watch *w, struct spot *s, int64_t now);
void spot_looked(struct watch *w, struct spot *s, int64_t now);
/** spots_look(w, which): at every depot, or at those on shares, which may hang.  spots_retry(w,
 * now): those that were away. */
enum look_which { LOOK_ALL, LOOK_SHARED };
void spots_look(struct watch *w, enum look_which which);
void spots_retry(struct watch *w, int64_t now);
/** spots_quicken(w): a run brought something: look at shares more often for a while. */
void spots_quicken(struct watch *w);
bool spots_looking(const struct watch *w);
void spot_how_text(const struct spot *s, char dst[160]);

/* watch_stick.c */
void sticks_mounts(struct watch *w, int64_t now);
void sticks_found(struct watch *w, size_t i, const struct run_result *r);
/** sticks_done(w, r): of those that were in the run. */
void sticks_done(struct watch *w, const struct run_result *r);
void sticks_clear(struct watch *w);
const char *stick_state_text(const struct stick *s);

/* watch_run.c */
int64_t runs_tick(struct watch *w, int64_t now);
void run_heard(struct watch *w, int64_t now);
void side_heard(struct watch *w, int64_t now);
void runs_stop(struct watch *w);

/* watch_status.c */
void status_write(struct watch *w);
int status_text(struct watch *w, struct buf *ret, struct err *err);
/** status_last(w): when the watcher before this one ran last; 0 when that is not known. */
int64_t status_last(struct watch *w);

#endif
