/* SPDX-License-Identifier: ISC */
/*
 * A pack from beginning to end: set up jobs and threads, wait for them, hand out what they made.
 * All memory of jobs is set aside at the start, so a publish of any size has one ceiling.
 *
 * The dispatcher (whoever calls pack_add) and the threads share a ring of jobs:
 *
 *   pack_add       fills the job with ticket `next`; waits until the ring has a free one
 *   threads        read, decide, compress, write (pack_thread.c says who does what)
 *   pack_finish    no more jobs come; waits until the last one is written
 *   pack_seal      the list of changes and the end, by the caller alone
 */
#include "bundler/pack/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/pack/pack_internal.h"
#include "core/base/own.h"

/* Input of one frame.  More cores mean more frames at a time, so each is smaller. */
#define JOB_BYTES_FEW  (4u << 20)
#define JOB_BYTES_MANY (2u << 20)

/* What a member takes beside its content and its name: two headers (pax) and padding. */
#define MEMBER_ROOM 1536u
/* A file from here on is cut into pieces. */
#define LARGE_BYTES(p) ((p)->job_bytes - (64u << 10))

/* Even on one core two threads pay off: one reads while the other compresses. */
static unsigned threads_of(const struct pack_options *o)
{
	unsigned n = workers_cores();

	if (o->threads != 0)
		n = o->threads;
	else if (n < 2)
		n = 2;
	return n > PACK_THREADS_MAX ? PACK_THREADS_MAX : n;
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
	unsigned threads = threads_of(options);
	int rc;

	if (p == NULL)
		return err_memory(err);
	p->o = *options;
	snprintf(p->name, sizeof(p->name), "%s", options->name);
	p->o.name = p->name;
	p->fd = -1;
	p->job_bytes = threads > 4 ? JOB_BYTES_MANY : JOB_BYTES_FEW;
	p->slots = threads + 2;
	workers_init(&p->pool, &pack_task, p);
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
		rc = workers_start(&p->pool, threads, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(p);
	return 0;
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

void pack_freep(struct pack **at)
{
	struct pack *p = *at;

	if (p == NULL)
		return;
	workers_clear(&p->pool); /* before what the threads use */
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
	list_clear(&p->frame);
	free(p);
	*at = NULL;
}

/* Adding: items are gathered to jobs, large files cut into pieces */

static void pack_progress(struct pack *p, uint64_t done)
{
	reporter_progress(p->o.reporter, "packing", done, p->o.bytes, 0, 0);
}

/*
 * Wait for the job that is to be filled next to be free.  Waiting here is what bounds memory:
 * there are only as many jobs as slots, whatever the scan finds.
 */
static int job_wait(struct pack *p, struct pack_job **ret, struct err *err)
{
	struct pack_job *j = pack_job_at(p, p->next);
	uint64_t done;
	int rc;

	workers_lock(&p->pool);
	while (!p->pool.stop && j->state != JOB_FREE)
		workers_wait(&p->pool);
	rc = workers_failed(&p->pool, err);
	done = p->done;
	workers_unlock(&p->pool);
	pack_progress(p, done);
	*ret = j;
	return rc;
}

/* Buffers and tables stay from the job before: nothing is allocated while files are packed. */
static void job_begin(struct pack *p, struct pack_job *j)
{
	j->ticket = p->next;
	j->items = 0;
	j->strings_n = 0;
	j->estimate = 0;
	j->large = NULL;
	j->offset = 0;
	j->length = 0;
	j->last = j->incomplete = j->redo = j->unwanted = j->written = false;
}

/* Hand the job that is being filled over. */
static void job_submit(struct pack *p, struct pack_job *j)
{
	workers_lock(&p->pool);
	p->next++;
	p->filling = NULL;
	pack_state(p, j, JOB_FILLED);
	workers_unlock(&p->pool);
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

/* Copied into the job, because the caller uses its item again for the next one. */
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

static void pack_flush(struct pack *p)
{
	if (p->filling != NULL && p->filling->items > 0)
		job_submit(p, p->filling);
}

/* One piece of a large file: a job of its own. */
static int piece_add(struct pack *p, const struct pack_item *it, struct pack_large *l, uint64_t at,
		     size_t n, struct err *err)
{
	struct pack_job *j;
	int rc = job_filling(p, err);

	if (rc < 0)
		return rc;
	j = p->filling;
	job_put(j, it);
	j->large = l;
	j->offset = at;
	j->length = n;
	j->last = at + n == (uint64_t)l->st.st_size;
	job_submit(p, j);
	return 0;
}

/* Threads read the list when they drop one, hence the lock. */
static void large_own(struct pack *p, struct pack_large *l)
{
	workers_lock(&p->pool);
	l->next = p->large;
	p->large = l;
	workers_unlock(&p->pool);
}

/* Whole frames of the store stay whole only when a job begins where they begin. */
static bool frame_ends(const struct pack *p, const struct pack_item *it)
{
	const struct pack_job *j = p->filling;

	return it->from.where.pack != 0 && j->estimate > p->job_bytes / 2 &&
	       (j->from.pack != it->from.where.pack || j->from.frame != it->from.where.frame);
}

/* One of many of a job; ${room}: bytes that its member will take there. */
static int add_small(struct pack *p, const struct pack_item *it, size_t room, struct err *err)
{
	size_t strings = item_strings(it);
	int rc;

	if (p->filling != NULL && (p->filling->items == PACK_JOB_ITEMS ||
				   p->filling->strings_n + strings > PACK_JOB_STRINGS ||
				   p->filling->estimate + room > p->job_bytes || frame_ends(p, it)))
		pack_flush(p);
	rc = job_filling(p, err);
	if (rc < 0)
		return rc;
	job_put(p->filling, it);
	p->filling->estimate += room;
	if (it->op == PACK_CONTENT)
		p->filling->from = it->from.where;
	return 0;
}

static int add_large(struct pack *p, const struct pack_item *it, struct err *err)
{
	struct pack_large *l = NULL;
	struct pack_item held = *it;
	uint64_t size, at = 0;
	struct err why = {0};
	int rc = pack_large_open(p, it, &l, &why);

	if (rc < 0 && pack_hold(p, &held, rc))
		return add_small(p, &held, 0, err);
	if (rc < 0) {
		*err = why;
		return rc;
	}
	large_own(p, l);
	size = (uint64_t)l->st.st_size; /* ${l} may be gone when its last piece was handed over */
	do {
		size_t n = size - at < p->job_bytes ? (size_t)(size - at) : p->job_bytes;

		rc = piece_add(p, it, l, at, n, err);
		at += n;
	} while (rc == 0 && at < size);
	return rc;
}

static struct pack_large *large_stored(uint64_t size)
{
	struct pack_large *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->fd = -1;
	l->st.st_size = (off_t)size;
	digest_start(&l->hash);
	return l;
}

/* A content of the store that spans several frames: each of them is a piece. */
static int add_stored(struct pack *p, const struct pack_item *it, struct err *err)
{
	struct pack_item piece = *it;
	struct pack_large *l = large_stored(it->now.size);
	uint64_t size = it->now.size, at = 0;
	int rc = 1;

	if (l == NULL)
		return err_memory(err);
	large_own(p, l);
	while (rc > 0) {
		struct pack_from *from = &piece.from;
		uint64_t n = from->unpacked - from->where.skip;

		if (from->where.skip >= from->unpacked)
			break;
		n = n < size - at ? n : size - at;
		rc = piece_add(p, &piece, l, at, (size_t)n, err);
		at += n;
		if (rc < 0 || at == size)
			return rc;
		from->where.frame += from->length;
		from->where.skip = 0;
		rc = p->o.find_frame(p->o.arg, from->where.pack, from->where.frame, &from->length,
				     &from->unpacked, err);
	}
	return rc < 0 ? rc
		      : err_set(err, RC_STATE,
				"the content store is damaged: %s of channel %s ends early",
				it->path, p->o.channel);
}

/*
 * Is it cut into pieces?  From the store: exactly when it was when it was packed.  Content of the
 * store is cut where it was cut before: its frames are then copied instead of compressed again.
 */
static bool is_large(const struct pack *p, const struct pack_item *it)
{
	if (it->from.where.pack != 0)
		return it->now.size > it->from.unpacked ||
		       it->from.where.skip > it->from.unpacked - it->now.size;
	return it->now.size >= LARGE_BYTES(p);
}

int pack_add(struct pack *p, const struct pack_item *it, struct err *err)
{
	size_t room = 0;

	if (it->op == PACK_CONTENT && is_large(p, it)) {
		pack_flush(p);
		return it->from.where.pack != 0 ? add_stored(p, it, err) : add_large(p, it, err);
	}
	if (it->op == PACK_CONTENT)
		room = (size_t)it->now.size + 3 * strlen(it->path) + MEMBER_ROOM;
	return add_small(p, it, room, err);
}

/* Wait until the last job is written, telling how far it is. */
static int pack_drain(struct pack *p, struct err *err)
{
	workers_lock(&p->pool);
	p->closed = true;
	workers_wake_all(&p->pool);
	while (!p->pool.stop && p->write_at < p->next) {
		uint64_t done = p->done;

		workers_unlock(&p->pool);
		pack_progress(p, done);
		workers_lock(&p->pool);
		if (!p->pool.stop && p->write_at < p->next && p->done == done)
			workers_wait(&p->pool);
	}
	workers_unlock(&p->pool);
	return workers_join(&p->pool, err);
}

int pack_finish(struct pack *p, struct pack_result *ret, struct err *err)
{
	int rc;

	pack_flush(p);
	rc = pack_drain(p, err);
	if (rc < 0)
		return rc;
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
