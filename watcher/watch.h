/* SPDX-License-Identifier: ISC */
/*
 * The watcher: decides when, never what.  One thread, one poll: signals, an alarm, the mounts, the
 * control socket, hints from places that inotify sees, looks at those that it does not see, and one
 * run at a time in a child process.  Nothing here opens a depot, a database or a document.
 */
#ifndef SATCHEL_WATCHER_WATCH_H
#define SATCHEL_WATCHER_WATCH_H

#include "watcher/run.h"

/* How long things take; milliseconds.  Tests shorten them. */
struct watch_times {
	int64_t settle;                /* a depot is quiet for so long before it is looked at */
	int64_t settle_tree;           /* a source or document, before it is published */
	int64_t settle_most;           /* a tree that is never quiet is published all the same */
	int64_t answer;                /* a helper or a look, before a place counts as silent */
	int64_t poll_least, poll_most; /* between looks at places that inotify does not see */
	int64_t silent_least, silent_most; /* before one that does not answer is asked again */
	int64_t again_least, again_most;   /* before what failed is tried again */
	int64_t silence; /* of a run, before it is ended: it tells of its progress */
	int64_t end;     /* a run gets this long when the watcher is told to end */
	int64_t asked;   /* between two runs that users ask for */
	int64_t spread;  /* what is new on a share may wait so long, for many look at it */
	int64_t pollers; /* a run waits so long for looks, to be compared with the right ones */
};
extern const struct watch_times watch_times;

struct watch_options {
	struct watch_work work;
	const char *state;   /* directory of the status file and the watcher's lock */
	const char *control; /* directory of the control socket */
	const char *words; /* "site Acme", "workstation abcd-...": for the status of the service */
	int64_t every_ms;  /* instead of the plan's interval; 0: that */
	uint64_t seed;     /* another one on every machine */
	const struct watch_times *times;
	struct reporter *reporter;
};

/** watch_loop(o, err): until SIGTERM or SIGINT (0), or it cannot go on.  RC_BUSY: another watcher
 * has this state.  SIGHUP reads the plan again, SIGUSR1 asks for a run. */
int watch_loop(const struct watch_options *o, struct err *err);

#endif
