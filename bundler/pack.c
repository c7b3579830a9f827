#include "bundler/pack.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/pack_internal.h"
#include "core/base/own.h"

/* Input of one frame.  More cores mean more frames at a time, so each is smaller. */
#define JOB_BYTES_FEW  (4u << 20)
#define JOB_BYTES_MANY (2u << 20)
/* What a member takes beside its content and its name: two headers (pax) and padding. */
#define MEMBER_ROOM 1536u
/* A file from here on is cut into pieces. */
#define LARGE_BYTES(p) ((p)->job_bytes - (64u << 10))

static unsigned cores(void)
{
	cpu_set_t set;
	int n = 2;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n < 2 ? 2 : n > PACK_THREADS_MAX ? PACK_THREADS_MAX : (unsigned)n;
}

/* One step forward, by whichever thread comes by.  Called and left with the lock held. */
static void state_set(struct pack *p, struct pack_job *j, enum pack_state state)
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

static struct pack_job *job_at(struct pack *p, uint64_t ticket)
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
		state_set(p, j, JOB_DECIDED);
	}
}

/* A large file is done with when its last piece is written. */
static void large_drop(struct pack *p, struct pack_large *l)
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
		large_drop(p, j->large);
	p->write_at++;
	state_set(p, j, JOB_FREE);
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
	state_set(p, j, JOB_READ);
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
		state_set(p, j, JOB_PACKED);
}

/* The oldest job in a state; NULL when there is none. */
static struct pack_job *job_in(struct pack *p, enum pack_state state)
{
	for (uint64_t t = p->write_at; t < p->next; t++)
		if (job_at(p, t)->state == state)
			return job_at(p, t);
	return NULL;
}

/* May the next job be decided?  One to be read again waits until all before it is written. */
static bool can_decide(struct pack *p)
{
	struct pack_job *j = job_at(p, p->decide_at);

	return !p->deciding && p->decide_at < p->next && j->state == JOB_READ &&
	       (!j->redo || (p->write_at == p->decide_at && !p->writing));
}

static bool can_write(struct pack *p)
{
	return !p->writing && p->write_at < p->next && job_at(p, p->write_at)->state == JOB_PACKED;
}

/* Later stages first: they free jobs.  Returns false when there is nothing to do at the moment. */
static bool worker_step(struct pack_worker *w)
{
	struct pack *p = w->pack;
	struct pack_job *j;

	if (can_write(p))
		step_write(w, job_at(p, p->write_at));
	else if (can_decide(p))
		step_decide(w, job_at(p, p->decide_at));
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
	w->dirfd = -1;
	w->zstd = ZSTD_createCCtx();
	if (w->zstd == NULL ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, PACK_LEVEL)))
		return err_memory(err);
	return tar_writer_new(&w->tar, err);
}

/* Signals are the main thread's.  One thread is enough to get on; more are only faster. */
static int workers_start(struct pack *p, unsigned n, struct err *err)
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

static void workers_end(struct pack *p)
{
	for (unsigned i = 0; i < p->workers; i++)
		pthread_join(p->worker[i].thread, NULL);
	p->workers = 0;
}

static int jobs_prepare(struct pack *p, struct err *err)
{
	p->job = calloc(p->slots, sizeof(*p->job));
	if (p->job == NULL)
		return err_memory(err);
	for (size_t i = 0; i < p->slots; i++) {
		struct pack_job *j = &p->job[i];

		j->item = calloc(PACK_JOB_ITEMS, sizeof(*j->item));
		j->member = calloc(PACK_JOB_ITEMS, sizeof(*j->member));
		j->strings = malloc(PACK_JOB_STRINGS);
		if (j->item == NULL || j->member == NULL || j->strings == NULL)
			return err_memory(err);
	}
	return 0;
}

int pack_open(const struct pack_options *options, struct pack **ret, struct err *err)
{
	OWNED(pack_freep) struct pack *p = calloc(1, sizeof(*p));
	unsigned threads = options->threads != 0 ? options->threads : cores();
	int rc;

	if (p == NULL)
		return err_memory(err);
	p->o = *options;
	p->fd = -1;
	threads = threads > PACK_THREADS_MAX ? PACK_THREADS_MAX : threads;
	p->job_bytes = threads > 4 ? JOB_BYTES_MANY : JOB_BYTES_FEW;
	p->slots = threads + 2;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	digest_start(&p->lines_hash);
	p->change = calloc(1, sizeof(*p->change));
	rc = p->change == NULL ? err_memory(err) : jobs_prepare(p, err);
	if (rc == 0)
		rc = spool_new(p->o.spoolfd, &p->items, err);
	if (rc == 0)
		rc = spool_new(p->o.spoolfd, &p->lines, err);
	if (rc == 0)
		rc = spool_new(p->o.spoolfd, &p->contents, err);
	if (rc == 0)
		rc = pack_seen_new(p->o.files, &p->seen, err);
	p->seen_reader = (struct item_reader){.spool = p->items, .chunk = 1024};
	if (rc == 0)
		rc = workers_start(p, threads, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(p);
	return 0;
}

static void pack_stop(struct pack *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
	workers_end(p);
}

static void jobs_free(struct pack *p)
{
	for (size_t i = 0; p->job != NULL && i < p->slots; i++) {
		free(p->job[i].item);
		free(p->job[i].member);
		free(p->job[i].strings);
		buf_clear(&p->job[i].tar);
		buf_clear(&p->job[i].out);
	}
	free(p->job);
}

struct pack *pack_free(struct pack *p)
{
	if (p == NULL)
		return NULL;
	pack_stop(p);
	for (size_t i = 0; i < PACK_THREADS_MAX; i++) {
		ZSTD_freeCCtx(p->worker[i].zstd);
		tar_writer_freep(&p->worker[i].tar);
		buf_clear(&p->worker[i].name);
		if (p->worker[i].pack != NULL)
			fd_closep(&p->worker[i].dirfd);
	}
	while (p->large != NULL)
		large_drop(p, p->large);
	jobs_free(p);
	spool_freep(&p->items);
	spool_freep(&p->lines);
	spool_freep(&p->contents);
	buf_clear(&p->line);
	free(p->change);
	pack_seen_free(p->seen);
	item_reader_clear(&p->seen_reader);
	fd_closep(&p->fd);
	free(p->frame);
	pthread_cond_destroy(&p->moved);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

void pack_freep(struct pack **p)
{
	*p = pack_free(*p);
}

static void progress(struct pack *p, uint64_t done)
{
	say_progress(p->o.say, "packing", done, p->o.bytes, 0, 0);
}

/* Wait for the job that is to be filled next to be free. */
static int job_wait(struct pack *p, struct pack_job **ret, struct err *err)
{
	struct pack_job *j = job_at(p, p->next);
	uint64_t done;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->stop && j->state != JOB_FREE)
		pthread_cond_wait(&p->moved, &p->lock);
	if (p->stop)
		rc = err_set(err, p->err.rc, "%s", p->err.text);
	done = p->done;
	pthread_mutex_unlock(&p->lock);
	progress(p, done);
	*ret = j;
	return rc;
}

static void job_begin(struct pack *p, struct pack_job *j)
{
	j->ticket = p->next;
	j->items = 0;
	j->strings_n = 0;
	j->estimate = 0;
	j->large = NULL;
	j->offset = 0;
	j->length = 0;
	j->last = j->torn = j->redo = j->unwanted = j->written = false;
}

/* Hand the job that is being filled over. */
static void job_submit(struct pack *p, struct pack_job *j)
{
	pthread_mutex_lock(&p->lock);
	p->next++;
	p->filling = NULL;
	state_set(p, j, JOB_FILLED);
	pthread_mutex_unlock(&p->lock);
}

static const char *job_text(struct pack_job *j, const char *text)
{
	char *at = j->strings + j->strings_n;
	size_t n = strlen(text) + 1;

	memcpy(at, text, n);
	j->strings_n += n;
	return at;
}

static size_t item_strings(const struct pack_item *it)
{
	return strlen(it->path) + strlen(it->target) + strlen(it->now.owner) +
	       strlen(it->old.owner) + 4;
}

static void job_put(struct pack_job *j, const struct pack_item *it)
{
	struct pack_item *to = &j->item[j->items];

	*to = *it;
	j->member[j->items++] = (struct pack_member){0};
	to->path = job_text(j, it->path);
	to->target = job_text(j, it->target);
	to->now.owner = job_text(j, it->now.owner);
	to->old.owner = job_text(j, it->old.owner);
}

static int job_filling(struct pack *p, struct err *err)
{
	int rc = 0;

	if (p->filling == NULL) {
		rc = job_wait(p, &p->filling, err);
		if (rc < 0)
			p->filling = NULL;
		else
			job_begin(p, p->filling);
	}
	return rc;
}

static void job_flush(struct pack *p)
{
	if (p->filling != NULL && p->filling->items > 0)
		job_submit(p, p->filling);
}

static int add_large(struct pack *p, const struct pack_item *it, struct err *err)
{
	struct pack_large *l = NULL;
	uint64_t size, at = 0;
	int rc;

	job_flush(p);
	rc = pack_large_open(p, it, &l, err);
	if (rc < 0)
		return rc;
	size = (uint64_t)l->st.st_size;
	pthread_mutex_lock(&p->lock);
	l->next = p->large;
	p->large = l;
	pthread_mutex_unlock(&p->lock);
	do {
		struct pack_job *j;

		rc = job_filling(p, err);
		if (rc < 0)
			return rc;
		j = p->filling;
		job_put(j, it);
		j->large = l;
		j->offset = at;
		j->length = size - at < p->job_bytes ? (size_t)(size - at) : p->job_bytes;
		at += j->length;
		j->last = at == size;
		job_submit(p, j);
	} while (at < size);
	return 0;
}

int pack_add(struct pack *p, const struct pack_item *it, struct err *err)
{
	size_t room = 0, strings = item_strings(it);
	int rc;

	if (it->op == PACK_CONTENT && it->now.size >= LARGE_BYTES(p))
		return add_large(p, it, err);
	if (it->op == PACK_CONTENT)
		room = (size_t)it->now.size + 3 * strlen(it->path) + MEMBER_ROOM;
	if (p->filling != NULL && (p->filling->items == PACK_JOB_ITEMS ||
				   p->filling->strings_n + strings > PACK_JOB_STRINGS ||
				   p->filling->estimate + room > p->job_bytes))
		job_flush(p);
	rc = job_filling(p, err);
	if (rc < 0)
		return rc;
	job_put(p->filling, it);
	p->filling->estimate += room;
	return 0;
}

/* Wait until the last job is written, telling how far it is. */
static void pack_drain(struct pack *p)
{
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	pthread_cond_broadcast(&p->moved);
	while (!p->stop && p->write_at < p->next) {
		uint64_t done = p->done;

		pthread_mutex_unlock(&p->lock);
		progress(p, done);
		pthread_mutex_lock(&p->lock);
		if (!p->stop && p->write_at < p->next && p->done == done)
			pthread_cond_wait(&p->moved, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	workers_end(p);
}

int pack_finish(struct pack *p, struct pack_result *ret, struct err *err)
{
	job_flush(p);
	pack_drain(p);
	if (p->err.rc < 0)
		return err_set(err, p->err.rc, "%s", p->err.text);
	progress(p, p->done);
	*ret = (struct pack_result){
	    .content = p->content,
	    .read = p->done,
	    .changes_size = spool_size(p->lines),
	    .changes = digest_end(&p->lines_hash),
	    .members = p->at,
	};
	memcpy(ret->count, p->count, sizeof(ret->count));
	for (size_t i = 0; i < CHANGE_OPS; i++)
		ret->lines += p->count[i];
	return 0;
}

int pack_fd(const struct pack *p)
{
	return p->fd;
}

const struct spool *pack_items(const struct pack *p)
{
	return p->items;
}

const struct spool *pack_contents(const struct pack *p)
{
	return p->contents;
}

const struct pack_frame *pack_frames(const struct pack *p, size_t *ret_n)
{
	*ret_n = p->frames;
	return p->frame;
}
