/*
 * Who does what: a few threads, each taking whichever step of whichever job can be taken.  No
 * thread waits for another while there is anything to do.
 */
#include <signal.h>
#include <stdlib.h>

#include "bundler/pack_internal.h"
#include "core/base/own.h"

/* One step forward, by whichever thread comes by.  Called and left with the lock held. */
void pack_state(struct pack *p, struct pack_job *j, enum pack_state state)
{
	j->state = state;
	pthread_cond_broadcast(&p->moved);
}

static void pack_fail(struct pack *p, const struct err *err)
{
	if (!p->stop)
		p->err = *err;
	p->stop = true;
	pthread_cond_broadcast(&p->moved);
}

struct pack_job *pack_job_at(struct pack *p, uint64_t ticket)
{
	return &p->job[ticket % p->slots];
}

static uint64_t job_content(const struct pack_job *j)
{
	uint64_t n = 0;

	if (j->large != NULL)
		return j->length;
	for (size_t i = 0; i < j->items; i++)
		if (j->item[i].op == PACK_CONTENT)
			n += j->item[i].now.size;
	return n;
}

static void step_decide(struct pack_worker *w, struct pack_job *j)
{
	struct pack *p = w->pack;
	struct err err = {0};
	int rc;

	p->deciding = true;
	pthread_mutex_unlock(&p->lock);
	rc = j->redo ? pack_large_redo(w, j, &err) : 0;
	if (rc == 0)
		rc = pack_job_decide(p, j, &err);
	pthread_mutex_lock(&p->lock);
	p->deciding = false;
	if (rc < 0) {
		pack_fail(p, &err);
	} else if (!j->redo) {
		p->decide_at++;
		pack_state(p, j, JOB_DECIDED);
	}
}

/* A large file is done with when its last piece is written. */
void pack_large_drop(struct pack *p, struct pack_large *l)
{
	struct pack_large **at = &p->large;

	while (*at != NULL && *at != l)
		at = &(*at)->next;
	if (*at == l)
		*at = l->next;
	pack_large_free(l);
}

static void step_write(struct pack_worker *w, struct pack_job *j)
{
	struct pack *p = w->pack;
	struct err err = {0};
	int rc;

	p->writing = true;
	pthread_mutex_unlock(&p->lock);
	rc = pack_job_write(p, j, &err);
	pthread_mutex_lock(&p->lock);
	p->writing = false;
	if (rc < 0) {
		pack_fail(p, &err);
		return;
	}
	if (j->large != NULL && j->last)
		pack_large_drop(p, j->large);
	p->write_at++;
	pack_state(p, j, JOB_FREE);
}

static void step_read(struct pack_worker *w, struct pack_job *j)
{
	struct pack *p = w->pack;
	struct err err = {0};
	int rc;

	j->state = JOB_READING;
	pthread_mutex_unlock(&p->lock);
	rc = pack_job_read(w, j, &err);
	pthread_mutex_lock(&p->lock);
	if (rc < 0) {
		pack_fail(p, &err);
		return;
	}
	p->done += job_content(j);
	pack_state(p, j, JOB_READ);
}

static void step_compress(struct pack_worker *w, struct pack_job *j)
{
	struct pack *p = w->pack;
	struct err err = {0};
	int rc;

	j->state = JOB_PACKING;
	pthread_mutex_unlock(&p->lock);
	rc = pack_job_compress(w, j, &err);
	pthread_mutex_lock(&p->lock);
	if (rc < 0)
		pack_fail(p, &err);
	else
		pack_state(p, j, JOB_PACKED);
}

/* The oldest job in a state; NULL when there is none. */
static struct pack_job *job_in(struct pack *p, enum pack_state state)
{
	for (uint64_t t = p->write_at; t < p->next; t++)
		if (pack_job_at(p, t)->state == state)
			return pack_job_at(p, t);
	return NULL;
}

/* May the next job be decided?  One to be read again waits until all before it is written. */
static bool can_decide(struct pack *p)
{
	struct pack_job *j = pack_job_at(p, p->decide_at);

	return !p->deciding && p->decide_at < p->next && j->state == JOB_READ &&
	       (!j->redo || (p->write_at == p->decide_at && !p->writing));
}

static bool can_write(struct pack *p)
{
	return !p->writing && p->write_at < p->next &&
	       pack_job_at(p, p->write_at)->state == JOB_PACKED;
}

/* Later stages first: they free jobs.  Returns false when there is nothing to do at the moment. */
static bool worker_step(struct pack_worker *w)
{
	struct pack *p = w->pack;
	struct pack_job *j;

	if (can_write(p))
		step_write(w, pack_job_at(p, p->write_at));
	else if (can_decide(p))
		step_decide(w, pack_job_at(p, p->decide_at));
	else if ((j = job_in(p, JOB_DECIDED)) != NULL)
		step_compress(w, j);
	else if ((j = job_in(p, JOB_FILLED)) != NULL)
		step_read(w, j);
	else
		return false;
	return true;
}

static void *worker_main(void *arg)
{
	struct pack_worker *w = arg;
	struct pack *p = w->pack;

	pthread_mutex_lock(&p->lock);
	while (!p->stop && !(p->closed && p->write_at == p->next))
		if (!worker_step(w))
			pthread_cond_wait(&p->moved, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int worker_prepare(struct pack_worker *w, struct pack *p, struct err *err)
{
	w->pack = p;
	w->dirfd = w->packfd = -1;
	if (pack_zstd_new(&w->zstd, err) < 0)
		return err->rc;
	return tar_writer_new(&w->tar, err);
}

/* Signals are the main thread's.  One thread is enough to get on; more are only faster. */
int pack_threads_start(struct pack *p, unsigned n, struct err *err)
{
	sigset_t all, old;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (p->workers < n && rc == 0) {
		rc = worker_prepare(&p->worker[p->workers], p, err);
		if (rc == 0 && pthread_create(&p->worker[p->workers].thread, NULL, worker_main,
					      &p->worker[p->workers]) != 0)
			rc = err_set(err, RC_MEMORY, "cannot start a thread");
		if (rc == 0)
			p->workers++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return p->workers > 0 ? 0 : rc;
}

void pack_threads_end(struct pack *p)
{
	for (unsigned i = 0; i < p->workers; i++)
		pthread_join(p->worker[i].thread, NULL);
	p->workers = 0;
}
