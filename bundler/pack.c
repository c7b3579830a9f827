#include "bundler/pack.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/pack_internal.h"
#include "core/base/own.h"

/* Input of one frame.  More cores mean more frames at a time, so each is smaller. */
#define JOB_BYTES_FEW  (4u << 20)
#define JOB_BYTES_MANY (2u << 20)

static unsigned cores(void)
{
	cpu_set_t set;
	int n = 2;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n < 2 ? 2 : n > PACK_THREADS_MAX ? PACK_THREADS_MAX : (unsigned)n;
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
	snprintf(p->name, sizeof(p->name), "%s", options->name);
	p->o.name = p->name;
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
		rc = pack_threads_start(p, threads, err);
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
	pack_threads_end(p);
}

static void job_clear(struct pack_job *j)
{
	free(j->item);
	free(j->member);
	free(j->strings);
	buf_clear(&j->tar);
	buf_clear(&j->out);
	memset(j, 0, sizeof(*j));
}

static void jobs_free(struct pack *p)
{
	for (size_t i = 0; p->job != NULL && i < p->slots; i++)
		job_clear(&p->job[i]);
	free(p->job);
}

struct pack *pack_free(struct pack *p)
{
	if (p == NULL)
		return NULL;
	pack_stop(p);
	for (size_t i = 0; i < PACK_THREADS_MAX; i++) {
		struct pack_worker *w = &p->worker[i];

		ZSTD_freeCCtx(w->zstd);
		ZSTD_freeDCtx(w->unzstd);
		tar_writer_freep(&w->tar);
		buf_clear(&w->name);
		buf_clear(&w->packed);
		buf_clear(&w->frame);
		if (w->pack != NULL) {
			fd_closep(&w->dirfd);
			fd_closep(&w->packfd);
		}
	}
	while (p->large != NULL)
		pack_large_drop(p, p->large);
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

/* Wait until the last job is written, telling how far it is. */
static void pack_drain(struct pack *p)
{
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	pthread_cond_broadcast(&p->moved);
	while (!p->stop && p->write_at < p->next) {
		uint64_t done = p->done;

		pthread_mutex_unlock(&p->lock);
		pack_progress(p, done);
		pthread_mutex_lock(&p->lock);
		if (!p->stop && p->write_at < p->next && p->done == done)
			pthread_cond_wait(&p->moved, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	pack_threads_end(p);
}

int pack_finish(struct pack *p, struct pack_result *ret, struct err *err)
{
	pack_flush(p);
	pack_drain(p);
	if (p->err.rc < 0)
		return err_set(err, p->err.rc, "%s", p->err.text);
	pack_progress(p, p->done);
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
	/* What follows needs memory for other things. */
	p->seen = pack_seen_free(p->seen);
	for (size_t i = 1; i < p->slots; i++)
		job_clear(&p->job[i]);
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
