/* SPDX-License-Identifier: ISC */
/*
 * Threads that hash and write.  The main thread reads the stream into arenas and hands out small
 * files in batches (each lies whole in one arena) and large ones in pieces.  Arenas are few, so the
 * memory is known beforehand, and a slow disk slows the reader down.
 *
 * A large file has one turn, which is in the queue, or with a thread, or put away while no piece
 * waits: so its pieces are written in order, by one thread at a time.
 *
 *	put away --a piece comes--> queue --taken--> one piece written --more wait--> queue
 *	                                                                --none-------> put away
 */
#include <sodium.h>
#include <string.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/base/secret.h"
#include "core/os/workers.h"

#define THREADS      2
#define ARENAS       8
#define BATCH_FILES  256
#define BATCH_COPIES 32

struct batch {
	struct batch *next;
	struct arena *arena; /* NULL for copies and turns */
	struct large *large; /* a turn of it; NULL: files, or a piece */
	size_t n;
	struct staged item[]; /* BATCH_FILES, 1 for a piece, none for a turn */
};

/** First in, first out. */
struct queue {
	struct batch *first, *last;
};

/** A large file: who has its turn works on it. */
struct large {
	struct sink sink;
	struct file_spec want;
	char *path;         /* owned */
	struct batch *turn; /* owned */
	struct queue piece; /* that wait */
	bool away;          /* its turn is in no queue and with no thread */
	bool complete;      /* the last piece has come */
};

struct pool {
	struct workers workers;
	int stagefd; /* borrowed */
	bool sync_each;
	struct queue queue;
	size_t running;
	struct arena *spare;
	size_t arenas;
	/* of the main thread alone */
	struct batch *gather;
	struct large *large;
	uint64_t large_left;
};

static void queue_put(struct queue *q, struct batch *b)
{
	b->next = NULL;
	if (q->last != NULL)
		q->last->next = b;
	else
		q->first = b;
	q->last = b;
}

static struct batch *queue_take(struct queue *q)
{
	struct batch *b = q->first;

	if (b == NULL)
		return NULL;
	q->first = b->next;
	if (q->first == NULL)
		q->last = NULL;
	return b;
}

/* Working on it */

static void arena_release(struct pool *p, struct arena *a)
{
	if (a == NULL || --a->refs > 0)
		return;
	a->next = p->spare;
	p->spare = a;
}

static void batch_free(struct pool *p, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->item[i].path);
		free(b->item[i].from);
	}
	arena_release(p, b->arena);
	free(b);
}

static int batch_write(struct writer *w, struct batch *b, struct err *err)
{
	for (size_t i = 0; i < b->n; i++) {
		int rc = b->item[i].from != NULL ? sink_copy(w, &b->item[i], err)
						 : sink_small(w, &b->item[i], err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static void large_free(struct pool *p, struct large *l)
{
	struct batch *b;

	while ((b = queue_take(&l->piece)) != NULL)
		batch_free(p, b);
	sink_clear(&l->sink);
	free(l->turn);
	free(l->path);
	free(l);
}

/** One piece of a large file, whose turn the thread has. */
static int step_large(struct pool *p, struct writer *w, struct large *l, struct err *err)
{
	struct batch *b = queue_take(&l->piece);
	int rc;

	workers_unlock(&p->workers);
	rc = sink_piece(w, &l->sink, l->path, &l->want, b->item[0].content, err);
	workers_lock(&p->workers);
	batch_free(p, b);
	if (l->piece.first != NULL)
		queue_put(&p->queue, l->turn);
	else if (l->complete)
		large_free(p, l);
	else
		l->away = true;
	return rc;
}

static int step_files(struct pool *p, struct writer *w, struct batch *b, struct err *err)
{
	int rc;

	workers_unlock(&p->workers);
	rc = batch_write(w, b, err);
	workers_lock(&p->workers);
	batch_free(p, b);
	return rc;
}

static int pool_step(void *arg, void *own, struct err *err)
{
	struct pool *p = arg;
	struct batch *b = queue_take(&p->queue);
	int rc;

	if (b == NULL)
		return WORKERS_WAIT;
	p->running++;
	rc = b->large != NULL ? step_large(p, own, b->large, err) : step_files(p, own, b, err);
	p->running--;
	return rc < 0 ? rc : WORKERS_AGAIN;
}

static int pool_begin(void *arg, void **ret_own, struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));
	struct pool *p = arg;

	if (w == NULL)
		return err_memory(err);
	w->sync_each = p->sync_each;
	w->dirs.rootfd = p->stagefd;
	w->dirs.fd = -1;
	*ret_own = w;
	return 0;
}

static void pool_end(void *arg, void *own)
{
	struct writer *w = own;

	(void)arg;
	dirs_clear(&w->dirs);
	if (w->buffer != NULL)
		sodium_memzero(w->buffer, ARENA_BYTES);
	free(w->buffer);
	free(w);
	secret_stack_wipe(); /* the thread's, which is kept for another thread */
}

static const struct workers_task pool_task = {pool_step, pool_begin, pool_end};

/* Handing it out */

int pool_new(int stagefd, bool sync_each, struct pool **ret, struct err *err)
{
	OWNED(pool_freep) struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_memory(err);
	p->stagefd = stagefd;
	p->sync_each = sync_each;
	workers_init(&p->workers, &pool_task, p);
	if (workers_start(&p->workers, THREADS, err) < 0)
		return err->rc;
	*ret = TAKE(p);
	return 0;
}

/** What a pool that stopped had still to do.  The main thread's large file is not in the way: its
 * turn may wait in the queue, but it is freed once. */
static void queue_drop(struct pool *p)
{
	struct batch *b;

	while ((b = queue_take(&p->queue)) != NULL)
		if (b->large == NULL)
			batch_free(p, b);
		else if (b->large != p->large)
			large_free(p, b->large);
	if (p->large != NULL)
		large_free(p, p->large);
	if (p->gather != NULL)
		batch_free(p, p->gather);
}

void pool_freep(struct pool **at)
{
	struct pool *p = *at;

	*at = NULL;
	if (p == NULL)
		return;
	workers_clear(&p->workers);
	queue_drop(p);
	while (p->spare != NULL) {
		struct arena *a = p->spare;

		p->spare = a->next;
		sodium_memzero(a->p, a->cap); /* of a private channel: keys */
		free(a->p);
		free(a);
	}
	free(p);
}

static struct arena *arena_new(struct err *err)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->p = malloc(ARENA_BYTES);
	if (a == NULL || a->p == NULL) {
		free(a);
		err_memory(err);
		return NULL;
	}
	a->cap = ARENA_BYTES;
	return a;
}

struct arena *pool_arena(struct pool *p, struct err *err)
{
	struct arena *a;

	workers_lock(&p->workers);
	while (p->spare == NULL && p->arenas == ARENAS && !p->workers.stop)
		workers_wait(&p->workers);
	if (workers_failed(&p->workers, err) < 0) {
		workers_unlock(&p->workers);
		return NULL;
	}
	a = p->spare;
	if (a != NULL)
		p->spare = a->next;
	else
		p->arenas++;
	workers_unlock(&p->workers);
	if (a == NULL)
		a = arena_new(err);
	if (a != NULL)
		a->refs = 1;
	return a;
}

void pool_arena_put(struct pool *p, struct arena *a)
{
	workers_lock(&p->workers);
	arena_release(p, a);
	workers_unlock(&p->workers);
}

static struct batch *batch_new(struct pool *p, struct arena *a, size_t max, struct err *err)
{
	struct batch *b = calloc(1, sizeof(*b) + max * sizeof(b->item[0]));

	if (b == NULL) {
		err_memory(err);
		return NULL;
	}
	b->arena = a;
	if (a != NULL) {
		workers_lock(&p->workers);
		a->refs++;
		workers_unlock(&p->workers);
	}
	return b;
}

int pool_flush(struct pool *p, struct err *err)
{
	int rc;

	workers_lock(&p->workers);
	if (p->gather != NULL) {
		queue_put(&p->queue, p->gather);
		p->gather = NULL;
		workers_wake(&p->workers, 1);
	}
	rc = workers_failed(&p->workers, err);
	workers_unlock(&p->workers);
	return rc;
}

/** One more place in the batch that is being gathered. */
static int gather(struct pool *p, struct arena *a, size_t max, const struct file_spec *w,
		  const char *path, struct staged **ret, struct err *err)
{
	struct staged *i;

	if (p->gather != NULL && (p->gather->arena != a || p->gather->n == max) &&
	    pool_flush(p, err) < 0)
		return err->rc;
	if (p->gather == NULL && (p->gather = batch_new(p, a, max, err)) == NULL)
		return err->rc;
	i = &p->gather->item[p->gather->n];
	*i = (struct staged){.want = *w, .path = strdup(path)};
	if (i->path == NULL)
		return err_memory(err);
	p->gather->n++;
	*ret = i;
	return 0;
}

int pool_small(struct pool *p, struct arena *a, struct bytes content, const char *path,
	       const struct file_spec *w, struct err *err)
{
	struct staged *i;

	if (gather(p, a, BATCH_FILES, w, path, &i, err) < 0)
		return err->rc;
	i->content = content;
	return 0;
}

int pool_copy(struct pool *p, int fromfd, const char *from, const char *path,
	      const struct file_spec *w, struct err *err)
{
	struct staged *i;

	if (gather(p, NULL, BATCH_COPIES, w, path, &i, err) < 0)
		return err->rc;
	i->fromfd = fromfd;
	i->from = strdup(from);
	return i->from == NULL ? err_memory(err) : 0;
}

int pool_large(struct pool *p, const char *path, const struct file_spec *w, struct err *err)
{
	struct large *l = p->large = calloc(1, sizeof(*l));

	if (l == NULL)
		return err_memory(err);
	l->sink.fd = -1;
	l->want = *w;
	l->away = true;
	p->large_left = w->size;
	l->path = strdup(path);
	l->turn = calloc(1, sizeof(*l->turn));
	if (l->path == NULL || l->turn == NULL)
		return err_memory(err);
	l->turn->large = l;
	return 0;
}

int pool_piece(struct pool *p, struct arena *a, struct bytes piece, struct err *err)
{
	struct batch *b = batch_new(p, a, 1, err);
	struct large *l = p->large;
	int rc;

	if (b == NULL)
		return err->rc;
	b->n = 1;
	b->item[0].content = piece;
	p->large_left -= piece.n;
	workers_lock(&p->workers);
	queue_put(&l->piece, b);
	if (p->large_left == 0) {
		l->complete = true;
		p->large = NULL; /* whoever writes the last piece frees it */
	}
	if (l->away) {
		l->away = false;
		queue_put(&p->queue, l->turn);
		workers_wake(&p->workers, 1);
	}
	rc = workers_failed(&p->workers, err);
	workers_unlock(&p->workers);
	return rc;
}

int pool_wait(struct pool *p, struct err *err)
{
	int rc = pool_flush(p, err);

	workers_lock(&p->workers);
	while (!p->workers.stop && (p->queue.first != NULL || p->running > 0))
		workers_wait(&p->workers);
	rc = workers_failed(&p->workers, err);
	workers_unlock(&p->workers);
	return rc;
}
