/* SPDX-License-Identifier: ISC */
/*
 * A pool of threads that take steps.  The pool's owner keeps what is to be done in a struct of its
 * own, guarded by one lock; every thread asks again and again for a step that can be taken now.
 *
 *	step() --WORKERS_AGAIN--> step()        something was done; ask again
 *	       --WORKERS_WAIT---> workers_wake  nothing to do at the moment
 *	       --WORKERS_DONE---> the thread ends
 *	       --negative-------> the failure is kept, if it is the first, and the pool stops
 *
 * A step begins and ends with the lock held, and gives it up (workers_unlock, workers_lock) while
 * it works on what belongs to it alone.  After a failure or workers_stop no step begins.
 */
#ifndef SATCHEL_CORE_OS_WORKERS_H
#define SATCHEL_CORE_OS_WORKERS_H

#include <pthread.h>
#include <stdbool.h>

#include "core/base/err.h"

/* Threads of one pool; far above what pays off on the machines that we know. */
#define WORKERS_MAX 64

enum workers_next { WORKERS_WAIT, WORKERS_AGAIN, WORKERS_DONE };

/* What a pool does.  ${arg} is the owner's struct, ${own} what a thread has for itself. */
struct workers_task {
	/* One step, with the lock held: enum workers_next or a negative code. */
	int (*step)(void *arg, void *own, struct err *err);
	/* At the start of a thread, without the lock; may be NULL, and ${own} is NULL then. */
	int (*begin)(void *arg, void **ret_own, struct err *err);
	/* At its end, without the lock, when begin gave it something. */
	void (*end)(void *arg, void *own);
};

struct workers {
	const struct workers_task *task; /* borrowed */
	void *arg;                       /* borrowed */
	pthread_mutex_t lock;
	pthread_cond_t work;     /* for the threads: there may be a step to take */
	pthread_cond_t progress; /* for the owner: a step was taken */
	unsigned threads, idle;  /* started; of them waiting for work */
	bool stop;               /* under the lock: no step begins any more */
	struct err err;          /* under the lock: the first failure */
	pthread_t thread[WORKERS_MAX];
};

/** workers_init(w, task, arg): a pool without threads; workers_clear() undoes it. */
void workers_init(struct workers *w, const struct workers_task *task, void *arg);
/** workers_clear(w): stop, wait for the threads, release.  What is still to be done is the owner's
 * to free, after this. */
void workers_clear(struct workers *w);

/** workers_cores(): cores that this process may use, at least 1.  Source: sched_getaffinity(2). */
unsigned workers_cores(void);
/**
 * workers_start(w, n, err):
 * Start ${n} threads (WORKERS_MAX at most); signals stay with the threads that are there.  Fewer
 * than asked for are fine, because they only make it faster.  Errors: RC_MEMORY (not even one).
 */
int workers_start(struct workers *w, unsigned n, struct err *err);
/** workers_help(w): the calling thread takes steps as one of the pool, until it is done. */
void workers_help(struct workers *w);
/** workers_stop(w): no step begins after this; those that run end as usual. */
void workers_stop(struct workers *w);
/** workers_join(w, err): wait until all threads are done.  Returns 0 or the first failure. */
int workers_join(struct workers *w, struct err *err);

/**
 * workers_lock(w), workers_unlock(w): the pool's lock, which guards the owner's struct; not
 * recursive.
 */
void workers_lock(struct workers *w);
void workers_unlock(struct workers *w);

/* With the lock held: */

/** workers_wake(w, n): there are ${n} more steps to take; as many threads that wait look again. */
void workers_wake(struct workers *w, unsigned n);
/** workers_wake_all(w): something changed, and everybody looks again, the owner as well. */
void workers_wake_all(struct workers *w);
/** workers_wait(w): the owner waits until a step was taken or a thread failed; it asks for what it
 * waits for in a loop, and for ${w->stop}. */
void workers_wait(struct workers *w);
/** workers_failed(w, err): 0, or the first failure. */
int workers_failed(const struct workers *w, struct err *err);

#endif
