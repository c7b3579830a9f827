/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/os/workers.h"

/* Squares of numbers, made one a step. */
struct squares {
	struct workers workers;
	unsigned next, end, done, made, freed;
	bool closed, masked;
	unsigned fails_at; /* the number whose square cannot be made; 0: none */
	unsigned long long square[1000];
};

static int square_begin(void *arg, void **ret_own, struct err *err)
{
	struct squares *q = arg;

	*ret_own = calloc(1, sizeof(unsigned long long));
	workers_lock(&q->workers);
	q->made++;
	workers_unlock(&q->workers);
	return *ret_own == NULL ? err_memory(err) : 0;
}

static void square_end(void *arg, void *own)
{
	struct squares *q = arg;

	workers_lock(&q->workers);
	q->freed++;
	workers_unlock(&q->workers);
	free(own);
}

static int square_step(void *arg, void *own, struct err *err)
{
	struct squares *q = arg;
	unsigned long long *product = own;
	unsigned n;

	if (q->next == q->end)
		return q->closed ? WORKERS_DONE : WORKERS_WAIT;
	n = q->next++;
	workers_unlock(&q->workers);
	*product = (unsigned long long)n * n;
	workers_lock(&q->workers);
	if (n != 0 && n == q->fails_at)
		return err_set(err, RC_LIMIT, "the square of %u", n);
	q->square[n] = *product;
	q->done++;
	return WORKERS_AGAIN;
}

static const struct workers_task square_task = {square_step, square_begin, square_end};

Test(workers, take_all_steps_and_give_back_what_they_had)
{
	static struct squares q = {.end = 1000, .closed = true};
	struct err err = {0};

	workers_init(&q.workers, &square_task, &q);
	cr_assert_eq(workers_start(&q.workers, 3, &err), 0);
	workers_help(&q.workers);
	cr_assert_eq(workers_join(&q.workers, &err), 0);
	for (unsigned i = 0; i < 1000; i++)
		cr_assert_eq(q.square[i], (unsigned long long)i * i);
	cr_assert_eq(q.done, 1000);
	cr_assert_eq(q.made, 4);
	cr_assert_eq(q.freed, 4);
	workers_clear(&q.workers);
}

Test(workers, wait_for_what_the_owner_adds, .timeout = 60)
{
	static struct squares q;
	struct err err = {0};

	workers_init(&q.workers, &square_task, &q);
	cr_assert_eq(workers_start(&q.workers, 2, &err), 0);
	workers_lock(&q.workers);
	for (unsigned i = 1; i <= 100; i++) {
		q.end = 10 * i;
		workers_wake(&q.workers, 10);
		while (q.done < q.end && !q.workers.stop)
			workers_wait(&q.workers);
		cr_assert_eq(q.done, 10 * i);
	}
	q.closed = true;
	workers_wake_all(&q.workers);
	workers_unlock(&q.workers);
	cr_assert_eq(workers_join(&q.workers, &err), 0);
	workers_clear(&q.workers);
}

Test(workers, keep_the_first_failure_and_stop, .timeout = 60)
{
	static struct squares q = {.end = 1000, .fails_at = 20};
	struct err err = {0};

	workers_init(&q.workers, &square_task, &q);
	cr_assert_eq(workers_start(&q.workers, 4, &err), 0);
	workers_lock(&q.workers);
	while (!q.workers.stop)
		workers_wait(&q.workers);
	cr_assert_eq(workers_failed(&q.workers, &err), RC_LIMIT);
	workers_unlock(&q.workers);
	cr_assert_eq(workers_join(&q.workers, &err), RC_LIMIT);
	cr_assert_str_eq(err.text, "the square of 20");
	cr_assert_eq(q.freed, q.made);
	workers_clear(&q.workers);
}

Test(workers, end_at_once_when_they_are_cleared, .timeout = 60)
{
	static struct squares q;
	struct err err = {0};

	workers_init(&q.workers, &square_task, &q);
	cr_assert_eq(workers_start(&q.workers, WORKERS_MAX + 1, &err), 0);
	cr_assert_eq(q.workers.threads, WORKERS_MAX);
	workers_clear(&q.workers);
	cr_assert_eq(q.done, 0);
	cr_assert_eq(q.freed, q.made);
	cr_assert_geq(workers_cores(), 1);
}

static int mask_step(void *arg, void *own, struct err *err)
{
	struct squares *q = arg;
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	q->masked = sigismember(&mask, SIGTERM) == 1;
	return WORKERS_DONE;
}

Test(workers, leave_signals_to_who_started_them)
{
	static const struct workers_task task = {.step = mask_step};
	static struct squares q;
	struct err err = {0};
	sigset_t mask;

	workers_init(&q.workers, &task, &q);
	cr_assert_eq(workers_start(&q.workers, 1, &err), 0);
	cr_assert_eq(workers_join(&q.workers, &err), 0);
	cr_assert(q.masked);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	cr_assert_eq(sigismember(&mask, SIGTERM), 0);
	workers_clear(&q.workers);
}
