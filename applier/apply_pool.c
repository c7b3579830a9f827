/*
 * Threads that hash and write.  The main thread reads the stream into arenas and hands out small
 * files in batches (each lies whole in one arena) and large ones in pieces; pieces of one file are
 * taken in order by one thread at a time.  Arenas are few, so the memory is known beforehand, and a
 * slow disk slows the reader down.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

#define THREADS      2
#define ARENAS       8
#define BATCH_FILES  256
#define BATCH_COPIES 32

struct item {
	struct want want;
	struct bytes content; /* inside the arena */
	char *path;           /* owned */
	char *from;           /* owned; a copy: its source, below ${fromfd} */
	int fromfd;           /* borrowed */
};

struct batch {
	struct batch *next;
	struct arena *arena; /* NULL for copies */
	struct large *large; /* pieces of it; NULL: small files */
	size_t n;
	struct item item[]; /* BATCH_FILES, or 1 for a piece */
};

/** What a thread has of its own. */
struct hand {
	struct pool *p;
	struct dirs dirs; /* of the staging area */
	uint8_t *buffer;  /* owned; for copies */
};

/** A large file: one thread at a time works on it. */
struct large {
	struct sink sink;
	struct want want;
	char *path;                 /* owned */
	struct batch *first, *last; /* pieces that wait */
	bool taken, complete;
};

struct pool {
	int stagefd; /* borrowed */
	bool sync_each;
	pthread_t thread[THREADS];
	size_t threads;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct batch *first, *last;
	size_t running;
	bool stop;
	struct err err; /* the first one */
	struct arena *spare;
	size_t arenas;
	/* of the main thread alone */
	struct batch *gather;
	struct large *large;
	uint64_t large_left;
};

/* Working on it */

/** The first error of any thread. */
static int pool_error(struct pool *p, struct err *err)
{
	if (p->err.rc != 0 && err != NULL)
		*err = p->err;
	return p->err.rc;
}

static void arena_release(struct pool *p, struct arena *a)
{
	if (a == NULL || --a->refs > 0)
		return;
	a->next = p->spare;
	p->spare = a;
	pthread_cond_broadcast(&p->idle);
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

static int parent_of(struct hand *h, char *staged, const char **ret_name, struct err *err)
{
	char *slash = strrchr(staged, '/');

	if (slash == NULL) {
		*ret_name = staged;
		return h->p->stagefd;
	}
	*ret_name = slash + 1;
	return dirs_open(&h->dirs, staged, (size_t)(slash - staged), err);
}

static int write_small(struct hand *h, const struct item *i, struct err *err)
{
	OWNED(sink_clear) struct sink k = {.fd = -1};
	char staged[LIMIT_PATH + 32];
	const char *name;
	int dirfd;

	stage_path(staged, i->want.op, i->path, i->want.skip);
	dirfd = parent_of(h, staged, &name, err);
	if (dirfd < 0 || sink_open(&k, dirfd, name, &i->want, err) < 0 ||
	    (i->content.n > 0 && sink_write(&k, i->content, err) < 0) ||
	    sink_end(&k, i->path, &i->want, h->p->sync_each, err) < 0)
		return err->rc;
	return 0;
}

/** Copy the source into the sink: its blocks where the file system shares them, else its bytes. */
static int copy_bytes(struct hand *h, struct sink *k, int in, const struct want *w, struct err *err)
{
	size_t n;

	if (h->buffer == NULL && (h->buffer = malloc(ARENA_BYTES)) == NULL)
		return err_memory(err);
	if (sink_clone(k, in, w, h->buffer, ARENA_BYTES, err) != 0)
		return err->rc;
	do {
		if (fd_read(in, h->buffer, ARENA_BYTES, &n, err) < 0 ||
		    (n > 0 && sink_write(k, (struct bytes){h->buffer, n}, err) < 0))
			return err->rc;
	} while (n == ARENA_BYTES && k->at <= w->size);
	return 0;
}

/** A copy whose source is another content by now is no error: its line stays without inode. */
static int write_copy(struct hand *h, const struct item *i, struct err *err)
{
	OWNED(fd_closep)
	int in = beneath_open(i->fromfd, i->from, O_RDONLY | O_NONBLOCK, 0, NULL);
	OWNED(sink_clear) struct sink k = {.fd = -1};
	char staged[LIMIT_PATH + 32];
	const char *name;
	struct stat st;
	int dirfd;

	if (in < 0 || fstat(in, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != i->want.size)
		return 0;
	stage_path(staged, i->want.op, i->path, i->want.skip);
	dirfd = parent_of(h, staged, &name, err);
	if (dirfd < 0 || sink_open(&k, dirfd, name, &i->want, err) < 0 ||
	    copy_bytes(h, &k, in, &i->want, err) < 0)
		return err->rc;
	if (sink_fits(&k, &i->want))
		return sink_end(&k, i->path, &i->want, h->p->sync_each, err);
	if (unlinkat(dirfd, name, 0) < 0)
		return err_sys(err, RC_IO, "cannot remove a file in the staging area");
	return 0;
}

static int write_batch(struct hand *h, struct batch *b, struct err *err)
{
	for (size_t i = 0; i < b->n; i++) {
		int rc = b->item[i].from != NULL ? write_copy(h, &b->item[i], err)
						 : write_small(h, &b->item[i], err);

		if (rc < 0)
			return rc;
	}
	return 0;
}

static int write_piece(struct hand *h, struct large *l, struct bytes piece, struct err *err)
{
	char staged[LIMIT_PATH + 32];
	const char *name;
	int dirfd;

	if (l->sink.fd < 0) {
		stage_path(staged, l->want.op, l->path, l->want.skip);
		dirfd = parent_of(h, staged, &name, err);
		if (dirfd < 0 || sink_open(&l->sink, dirfd, name, &l->want, err) < 0)
			return err->rc;
	}
	if (sink_write(&l->sink, piece, err) < 0)
		return err->rc;
	return l->sink.at < l->want.size
		   ? 0
		   : sink_end(&l->sink, l->path, &l->want, h->p->sync_each, err);
}

static void large_free(struct large *l)
{
	sink_clear(&l->sink);
	free(l->path);
	free(l);
}

/** Take the pieces of a large file until none waits.  Called and left with the lock held. */
static int work_large(struct hand *h, struct large *l, struct err *err)
{
	struct pool *p = h->p;
	int rc = 0;

	while (l->first != NULL) {
		struct batch *b = l->first;
		bool skip = rc < 0 || p->err.rc != 0;

		l->first = b->next;
		if (l->first == NULL)
			l->last = NULL;
		pthread_mutex_unlock(&p->lock);
		if (!skip)
			rc = write_piece(h, l, b->item[0].content, err);
		pthread_mutex_lock(&p->lock);
		batch_free(p, b);
	}
	l->taken = false;
	if (l->complete)
		large_free(l);
	return rc;
}

static void work_one(struct hand *h, struct batch *b)
{
	struct pool *p = h->p;
	struct err err = {0};
	int rc = 0;

	if (b->large != NULL) {
		struct large *l = b->large;

		free(b);
		rc = work_large(h, l, &err);
	} else {
		bool skip = p->err.rc != 0;

		pthread_mutex_unlock(&p->lock);
		rc = skip ? 0 : write_batch(h, b, &err);
		pthread_mutex_lock(&p->lock);
		batch_free(p, b);
	}
	if (rc < 0 && p->err.rc == 0)
		p->err = err;
}

static void work_all(struct hand *h)
{
	struct pool *p = h->p;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct batch *b = p->first;

		if (b == NULL && p->stop)
			break;
		if (b == NULL) {
			pthread_cond_wait(&p->work, &p->lock);
			continue;
		}
		p->first = b->next;
		if (p->first == NULL)
			p->last = NULL;
		p->running++;
		work_one(h, b);
		p->running--;
		pthread_cond_broadcast(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
}

static void *work(void *arg)
{
	struct pool *p = arg;
	struct hand *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		pthread_mutex_lock(&p->lock);
		if (p->err.rc == 0)
			err_memory(&p->err);
		pthread_cond_broadcast(&p->idle);
		pthread_mutex_unlock(&p->lock);
		return NULL;
	}
	h->p = p;
	h->dirs.rootfd = p->stagefd;
	h->dirs.fd = -1;
	work_all(h);
	dirs_clear(&h->dirs);
	if (h->buffer != NULL)
		sodium_memzero(h->buffer, ARENA_BYTES);
	free(h->buffer);
	free(h);
	return NULL;
}

/* Handing it out */

int pool_new(int stagefd, bool sync_each, struct pool **ret, struct err *err)
{
	OWNED(pool_freep) struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_memory(err);
	p->stagefd = stagefd;
	p->sync_each = sync_each;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->idle, NULL);
	for (; p->threads < THREADS; p->threads++) {
		errno = pthread_create(&p->thread[p->threads], NULL, work, p);
		if (errno != 0)
			return err_sys(err, RC_IO, "cannot start a thread");
	}
	*ret = TAKE(p);
	return 0;
}

static void batch_put(struct batch **first, struct batch **last, struct batch *b)
{
	b->next = NULL;
	if (*last != NULL)
		(*last)->next = b;
	else
		*first = b;
	*last = b;
}

struct pool *pool_free(struct pool *p)
{
	if (p == NULL)
		return NULL;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	if (p->err.rc == 0)
		p->err.rc = RC_INTERNAL; /* whatever is queued is dropped */
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->threads; i++)
		pthread_join(p->thread[i], NULL);
	if (p->gather != NULL)
		batch_free(p, p->gather);
	if (p->large != NULL)
		large_free(p->large);
	while (p->spare != NULL) {
		struct arena *a = p->spare;

		p->spare = a->next;
		sodium_memzero(a->p, a->cap); /* of a private channel: keys */
		free(a->p);
		free(a);
	}
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->idle);
	free(p);
	return NULL;
}

void pool_freep(struct pool **p)
{
	*p = pool_free(*p);
}

struct arena *pool_arena(struct pool *p, struct err *err)
{
	struct arena *a;

	pthread_mutex_lock(&p->lock);
	while (p->spare == NULL && p->arenas == ARENAS && p->err.rc == 0)
		pthread_cond_wait(&p->idle, &p->lock);
	if (pool_error(p, err) < 0) {
		pthread_mutex_unlock(&p->lock);
		return NULL;
	}
	a = p->spare;
	if (a != NULL)
		p->spare = a->next;
	else
		p->arenas++;
	pthread_mutex_unlock(&p->lock);
	if (a == NULL) {
		a = calloc(1, sizeof(*a));
		if (a != NULL)
			a->p = malloc(ARENA_BYTES);
		if (a == NULL || a->p == NULL) {
			free(a);
			err_memory(err);
			return NULL;
		}
		a->cap = ARENA_BYTES;
	}
	a->refs = 1;
	return a;
}

void pool_arena_put(struct pool *p, struct arena *a)
{
	pthread_mutex_lock(&p->lock);
	arena_release(p, a);
	pthread_mutex_unlock(&p->lock);
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
		pthread_mutex_lock(&p->lock);
		a->refs++;
		pthread_mutex_unlock(&p->lock);
	}
	return b;
}

int pool_flush(struct pool *p, struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	if (p->gather != NULL) {
		batch_put(&p->first, &p->last, p->gather);
		p->gather = NULL;
		pthread_cond_signal(&p->work);
	}
	rc = pool_error(p, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/** One more place in the batch that is being gathered. */
static int gather(struct pool *p, struct arena *a, size_t max, const struct want *w,
		  const char *path, struct item **ret, struct err *err)
{
	struct item *i;

	if (p->gather != NULL && (p->gather->arena != a || p->gather->n == max) &&
	    pool_flush(p, err) < 0)
		return err->rc;
	if (p->gather == NULL && (p->gather = batch_new(p, a, max, err)) == NULL)
		return err->rc;
	i = &p->gather->item[p->gather->n];
	*i = (struct item){.want = *w, .path = strdup(path)};
	if (i->path == NULL)
		return err_memory(err);
	p->gather->n++;
	*ret = i;
	return 0;
}

int pool_small(struct pool *p, struct arena *a, struct bytes content, const char *path,
	       const struct want *w, struct err *err)
{
	struct item *i;

	if (gather(p, a, BATCH_FILES, w, path, &i, err) < 0)
		return err->rc;
	i->content = content;
	return 0;
}

int pool_copy(struct pool *p, int fromfd, const char *from, const char *path, const struct want *w,
	      struct err *err)
{
	struct item *i;

	if (gather(p, NULL, BATCH_COPIES, w, path, &i, err) < 0)
		return err->rc;
	i->fromfd = fromfd;
	i->from = strdup(from);
	return i->from == NULL ? err_memory(err) : 0;
}

int pool_large(struct pool *p, const char *path, const struct want *w, struct err *err)
{
	p->large = calloc(1, sizeof(*p->large));
	if (p->large == NULL)
		return err_memory(err);
	p->large->sink.fd = -1;
	p->large->want = *w;
	p->large_left = w->size;
	p->large->path = strdup(path);
	return p->large->path == NULL ? err_memory(err) : 0;
}

int pool_piece(struct pool *p, struct arena *a, struct bytes piece, struct err *err)
{
	struct batch *b = batch_new(p, a, 1, err);
	struct batch *turn = calloc(1, sizeof(*turn));
	struct large *l = p->large;
	int rc;

	if (b == NULL || turn == NULL) {
		if (b != NULL)
			batch_free(p, b);
		free(turn);
		return err_memory(err);
	}
	b->n = 1;
	b->item[0].content = piece;
	turn->large = l;
	p->large_left -= piece.n;
	pthread_mutex_lock(&p->lock);
	batch_put(&l->first, &l->last, b);
	if (p->large_left == 0) {
		l->complete = true;
		p->large = NULL;
	}
	if (!l->taken) {
		l->taken = true;
		batch_put(&p->first, &p->last, turn);
		turn = NULL;
		pthread_cond_signal(&p->work);
	}
	rc = pool_error(p, err);
	pthread_mutex_unlock(&p->lock);
	free(turn);
	return rc;
}

int pool_wait(struct pool *p, struct err *err)
{
	int rc = pool_flush(p, err);

	pthread_mutex_lock(&p->lock);
	while (p->err.rc == 0 && (p->first != NULL || p->running > 0))
		pthread_cond_wait(&p->idle, &p->lock);
	rc = pool_error(p, err);
	pthread_mutex_unlock(&p->lock);
	return rc;
}
