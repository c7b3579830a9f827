/* SPDX-License-Identifier: ISC */
/*
 * The one loop of all our threads: take a step, or wait until there is one.  Who owns the pool
 * decides in step() what comes first; here is only what is easy to get wrong: the signal mask, the
 * first failure, a stop while others wait, and a start that gets fewer threads than it asked for.
 */
#include "core/os/workers.h"

#include <sched.h>
#include <signal.h>

void workers_init(struct workers *w, const struct workers_task *task, void *arg)
{
	*w = (struct workers){.task = task, .arg = arg};
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->progress, NULL);
}

void workers_clear(struct workers *w)
{
	struct err ignored;

	workers_stop(w);
	workers_join(w, &ignored);
	pthread_cond_destroy(&w->progress);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
}

unsigned workers_cores(void)
{
	cpu_set_t set;
	int n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n < 1 ? 1 : (unsigned)n;
}

static void fail(struct workers *w, const struct err *err)
{
	if (w->err.rc == 0)
		w->err = *err;
	w->stop = true;
	workers_wake_all(w);
}

/* With the lock: steps until there will be none. */
static void steps_take(struct workers *w, void *own)
{
	struct err err = {0};

	while (!w->stop) {
		int next = w->task->step(w->arg, own, &err);

		if (next < 0)
			fail(w, &err);
		if (next < 0 || next == WORKERS_DONE)
			break;
		if (next == WORKERS_AGAIN) {
			pthread_cond_broadcast(&w->progress);
			continue;
		}
		w->idle++;
		pthread_cond_wait(&w->work, &w->lock);
		w->idle--;
	}
	pthread_cond_broadcast(&w->progress);
}

void workers_help(struct workers *w)
{
	struct err err = {0};
	void *own = NULL;
	int rc = w->task->begin == NULL ? 0 : w->task->begin(w->arg, &own, &err);

	workers_lock(w);
	if (rc < 0)
		fail(w, &err);
	else
		steps_take(w, own);
	workers_unlock(w);
	if (own != NULL)
		w->task->end(w->arg, own);
}

static void *thread_main(void *arg)
{
	workers_help(arg);
	return NULL;
}

int workers_start(struct workers *w, unsigned n, struct err *err)
{
	sigset_t all, old;

	/* A thread inherits the mask: a signal is for the threads that were there before. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < n && w->threads < WORKERS_MAX; i++) {
		if (pthread_create(&w->thread[w->threads], NULL, thread_main, w) != 0)
			break;
		w->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w->threads > 0 || n == 0 ? 0 : err_set(err, RC_MEMORY, "cannot start a thread");
}

void workers_stop(struct workers *w)
{
	workers_lock(w);
	w->stop = true;
	workers_wake_all(w);
	workers_unlock(w);
}

int workers_join(struct workers *w, struct err *err)
{
	for (unsigned i = 0; i < w->threads; i++)
		pthread_join(w->thread[i], NULL);
	w->threads = 0;
	return workers_failed(w, err);
}

void workers_lock(struct workers *w)
{
	pthread_mutex_lock(&w->lock);
}

void workers_unlock(struct workers *w)
{
	pthread_mutex_unlock(&w->lock);
}

void workers_wake(struct workers *w, unsigned n)
{
	for (unsigned i = 0; i < n && i < w->idle; i++)
		pthread_cond_signal(&w->work);
}

void workers_wake_all(struct workers *w)
{
	pthread_cond_broadcast(&w->work);
	pthread_cond_broadcast(&w->progress);
}

void workers_wait(struct workers *w)
{
	pthread_cond_wait(&w->progress, &w->lock);
}

int workers_failed(const struct workers *w, struct err *err)
{
	if (w->err.rc < 0)
		*err = w->err;
	return w->err.rc;
}
