/* SPDX-License-Identifier: ISC */
/*
 * A run: one sync, or one question, in a child process that can be ended at any time.  What the
 * child says on the way, its plan and its result come back as frames; what it does is the caller's
 * (struct watch_work).
 */
#ifndef SATCHEL_WATCHER_RUN_H
#define SATCHEL_WATCHER_RUN_H

#include "core/base/reporter.h"
#include "core/os/child.h"
#include "watcher/plan.h"

/* Why; several at once are several bits. */
enum run_reason {
	RUN_START = 1 << 0,     /* the watcher began */
	RUN_TIMER = 1 << 1,     /* the interval is over */
	RUN_ASKED = 1 << 2,     /* over the control socket, or by a signal */
	RUN_DEPOT = 1 << 3,     /* a depot has names that are new */
	RUN_SOURCE = 1 << 4,    /* the tree of a channel changed */
	RUN_DOCUMENTS = 1 << 5, /* the site's documents changed */
	RUN_REMOVABLE = 1 << 6, /* a stick was plugged in */
	RUN_AGAIN = 1 << 7,     /* the last run could not do everything */
	RUN_NEWS = 1 << 8       /* what a cheap look found, after its wait */
};
/** run_reasons(dst, size, reasons): in words, "asked for, a depot has news". */
void run_reasons(char *dst, size_t size, unsigned reasons);

enum run_what { RUN_SYNC, RUN_PLAN, RUN_SEARCH, RUN_MESSAGES };

/* What the callback gets. */
struct run_order {
	enum run_what what;
	unsigned reasons; /* RUN_SYNC: enum run_reason */
	bool cheap;       /* RUN_SYNC: first look whether there is anything for us: RC_AGAIN is not
			     wanted then, see run_result.later */
	bool spread;      /* RUN_SYNC with cheap: what is found may wait (many look at the same
			     share) */
	const char *const *removable; /* RUN_SYNC: depots on media; RUN_SEARCH: the mount */
	size_t removables;
	const char *const *dead; /* RUN_SYNC: depots that do not answer */
	size_t deads;
	const char *const *channel; /* RUN_SYNC: whose sources changed */
	size_t channels;
	uint32_t uid; /* RUN_MESSAGES: of who asks */
};

/* What it gives back. */
struct run_result {
	int rc;          /* enum rc */
	bool later;      /* there is news, and it can wait for its turn */
	bool nothing;    /* nothing was new: not worth a line */
	uint64_t safe;   /* RUN_SYNC: bits of those media of the order that may be pulled */
	char text[1024]; /* one sentence; RUN_SEARCH: path of the depot found, or why none */
};

/**
 * What a watcher calls; each runs in a child of the watcher, with nothing open, and may use any
 * library.  ${plan} (RUN_SYNC and RUN_PLAN) comes zeroed and is filled by watch_plan_add; without
 * an interval it is not looked at.  ${answer} is the text of RUN_MESSAGES.
 */
struct watch_work {
	void *arg;
	void (*run)(void *arg, const struct run_order *order, struct reporter *reporter,
		    struct watch_plan *plan, struct buf *answer, struct run_result *ret);
};

struct run_process {
	struct child child;
	unsigned reasons;
};

#define RUN_INIT              \
	{                     \
		CHILD_INIT, 0 \
	}

/** run_start(w, order, ret, err): forks; ${order} is not needed afterwards. */
int run_start(const struct watch_work *w, const struct run_order *order, struct run_process *ret,
	      struct err *err);
/**
 * run_read(r, reporter, plan, answer, ret): one frame, when the descriptor is readable.  0: go on;
 * 1: it has ended, and ${ret} is the result (of a child that died: RC_INTERNAL).  ${plan} and
 * ${answer} may be NULL; ${plan} is replaced when one came.
 */
int run_read(struct run_process *r, struct reporter *reporter, struct watch_plan *plan,
	     struct buf *answer, struct run_result *ret);
/** run_stop(r): end it where it is; one that has ended is fine. */
void run_stop(struct run_process *r);

#endif
