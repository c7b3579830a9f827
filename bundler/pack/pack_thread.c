/* SPDX-License-Identifier: ISC */
/*
 * Who does what: a few threads, each taking whichever step of whichever job can be taken.  No
 * thread waits for another while there is anything to do.
 *
 * A job goes FILLED, READ, DECIDED, PACKED, FREE.  Reading and compressing go on side by side, in
 * any order; deciding and writing are done by one thread at a time and in the order of tickets, so
 * a publish of the same tree makes the same bytes with any number of threads.
 */
#include <stdlib.h>

#include "bundler/pack/pack_internal.h"
#include "core/base/own.h"

/* One step forward, by whichever thread comes by.  Called and left with the lock held. */
void pack_state(struct pack *p, struct pack_job *j, enum pack_state state)
{
	j->state = state;
	workers_wake_all(&p->pool);
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

/*
 * A large file that changed is read again here, alone: its pieces have been written, and the file
 * is cut back to where they began.
 */
static int step_decide(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	struct pack *p = w->pack;
	int rc;

	p->deciding = true;
	workers_unlock(&p->pool);
	rc = j->redo ? pack_large_redo(w, j, err) : 0;
	if (rc == 0)
		rc = pack_job_decide(p, j, err);
	workers_lock(&p->pool);
	p->deciding = false;
	if (rc == 0 && !j->redo) {
		p->decide_at++;
		pack_state(p, j, JOB_DECIDED);
	}
	return rc;
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

static int step_write(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	struct pack *p = w->pack;
	int rc;

	p->writing = true;
	workers_unlock(&p->pool);
	rc = pack_job_write(p, j, err);
	workers_lock(&p->pool);
	p->writing = false;
	if (rc < 0)
		return rc;
	if (j->large != NULL && j->last)
		pack_large_drop(p, j->large);
	p->write_at++;
	pack_state(p, j, JOB_FREE);
	return 0;
}

static int step_read(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	struct pack *p = w->pack;
	int rc;

	j->state = JOB_READING;
	workers_unlock(&p->pool);
	rc = pack_job_read(w, j, err);
	workers_lock(&p->pool);
	if (rc < 0)
		return rc;
	p->done += job_content(j);
	pack_state(p, j, JOB_READ);
	return 0;
}

static int step_compress(struct pack_worker *w, struct pack_job *j, struct err *err)
{
	struct pack *p = w->pack;
	int rc;

	j->state = JOB_PACKING;
	workers_unlock(&p->pool);
	rc = pack_job_compress(w, j, err);
	workers_lock(&p->pool);
	if (rc == 0)
		pack_state(p, j, JOB_PACKED);
	return rc;
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

/* Later stages first: they free jobs. */
static int pack_step(void *arg, void *own, struct err *err)
{
	struct pack *p = arg;
	struct pack_worker *w = own;
	struct pack_job *j;
	int rc;

	if (p->closed && p->write_at == p->next)
		return WORKERS_DONE;
	if (can_write(p))
		rc = step_write(w, pack_job_at(p, p->write_at), err);
	else if (can_decide(p))
		rc = step_decide(w, pack_job_at(p, p->decide_at), err);
	else if ((j = job_in(p, JOB_DECIDED)) != NULL)
		rc = step_compress(w, j, err);
	else if ((j = job_in(p, JOB_FILLED)) != NULL)
		rc = step_read(w, j, err);
	else
		return WORKERS_WAIT;
	return rc < 0 ? rc : WORKERS_AGAIN;
}

static void worker_end(void *arg, void *own)
{
	struct pack_worker *w = own;

	(void)arg;
	ZSTD_freeCCtx(w->zstd);
	ZSTD_freeDCtx(w->unzstd);
	tar_writer_freep(&w->tar);
	buf_clear(&w->name);
	buf_clear(&w->packed);
	buf_clear(&w->frame);
	fd_closep(&w->dirfd);
	fd_closep(&w->packfd);
	free(w);
}

/*
 * For each thread a compressor, because a context is not for two threads and costs more to make
 * than a small file to pack.
 */
static int worker_begin(void *arg, void **ret_own, struct err *err)
{
	struct pack_worker *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return err_memory(err);
	*ret_own = w; /* worker_end clears up after a failure too */
	w->pack = arg;
	w->dirfd = w->packfd = -1;
	rc = pack_zstd_new(&w->zstd, err);
	return rc < 0 ? rc : tar_writer_new(&w->tar, err);
}

const struct workers_task pack_task = {pack_step, worker_begin, worker_end};
