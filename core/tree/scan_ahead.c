/*
 * Reading ahead.  Threads take the folders in the order in which the walk will come to them, so
 * that what is read is needed soon; they stop while enough is read.  When the disk is slow they
 * wait for it together; when it is not, the cores share the work.
 *
 *   WAITING --a thread, or the walk itself--> BUSY --> READY --the walk--> freed
 *
 * One lock guards states, the order and the store; a BUSY folder belongs to who reads it, a READY
 * one to the walk.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/tree/scan_internal.h"

/* More than there are cores: a cold disk answers many at once. */
#define THREADS 8
/* Folders that the walk reads itself before it thinks that threads are worth their start. */
#define ALONE 8
/* Entries read and not walked yet, at which the threads stop, and at which they go on. */
#define STORE_FULL  16384
#define STORE_AGAIN 8192

struct ahead {
	int rootfd; /* borrowed */
	const struct scan_options *options;
	struct folder *root; /* owned */

	pthread_mutex_t lock;
	pthread_cond_t work;  /* for the threads: a folder waits, or the store has room, or stop */
	pthread_cond_t ready; /* for the walk: a folder became READY */
	struct folder *order; /* owned; head of a ring of the folders that are WAITING or BUSY */
	size_t idle;          /* threads that wait for work */
	size_t stored;        /* entries of READY folders */
	bool full, stop;
	size_t alone; /* folders that the walk read before threads were started */
	size_t threads;
	pthread_t thread[THREADS];
};

static struct folder *folder_new(const struct folder *above, const char *name, struct err *err)
{
	size_t at = above == NULL || above->path_n == 0 ? 0 : above->path_n + 1;
	size_t n = strlen(name);
	struct folder *f = calloc(1, sizeof(*f) + at + n + 1);

	if (f == NULL) {
		err_memory(err);
		return NULL;
	}
	if (at > 0) {
		memcpy(f->path, above->path, above->path_n);
		f->path[at - 1] = '/';
	}
	memcpy(f->path + at, name, n);
	f->path_n = at + n;
	f->depth = above == NULL ? 0 : above->depth + 1;
	f->next = f->previous = f;
	f->fd = -1;
	return f;
}

/* It and all below, which nobody is at work on. */
static void folder_free(struct folder *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->looked; i++)
		folder_free(f->seen[i].below);
	folder_free(f->more);
	fd_closep(&f->fd);
	scan_listing_clear(&f->list);
	free(f->seen);
	free(f->err);
	free(f);
}

/* The order */

static void order_insert(struct folder *before, struct folder *f)
{
	f->next = before;
	f->previous = before->previous;
	f->next->previous = f->previous->next = f;
}

static void order_remove(struct folder *f)
{
	f->next->previous = f->previous;
	f->previous->next = f->next;
	f->next = f->previous = f;
}

/* The first folder that nobody reads yet, or NULL. */
static struct folder *order_first(struct ahead *a)
{
	struct folder *f = a->order->next;

	while (f != a->order && f->state != FOLDER_WAITING)
		f = f->next;
	return f == a->order ? NULL : f;
}

/* Reading */

static int folder_open(struct ahead *a, const struct folder *f, struct err *err)
{
	int fd = beneath_dir(a->rootfd, f->path_n == 0 ? "." : f->path, err);

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV))
		return err_set(err, RC_AGAIN, "\"%s\" changed while it was looked at; try again",
			       f->path);
	return fd;
}

int ahead_fd(struct ahead *a, struct folder *f, struct err *err)
{
	if (f->fd < 0)
		f->fd = folder_open(a, f, err);
	return f->fd;
}

static bool excluded(const struct ahead *a, const struct folder *f, const char *name, size_t n)
{
	char path[LIMIT_PATH + 1];
	size_t at = f->path_n == 0 ? 0 : f->path_n + 1;

	if (a->options->excludes == 0 || at + n > LIMIT_PATH)
		return false;
	memcpy(path, f->path, f->path_n);
	if (at > 0)
		path[at - 1] = '/';
	memcpy(path + at, name, n + 1);
	return glob_fits(a->options->exclude, a->options->excludes, path);
}

/* Look at entry ${name}; a directory that is to be entered gets a folder. */
static int entry_look(struct ahead *a, const struct folder *f, int fd, const char *name,
		      struct seen *ret, struct err *err)
{
	size_t n = strlen(name), path_n = f->path_n + (f->path_n > 0) + n;
	int rc;

	*ret = (struct seen){.what = SEEN_ABSENT};
	if (excluded(a, f, name, n))
		return 0;
	rc = disk_look(fd, name, ret, err);
	if (rc < 0 || ret->what != SEEN_THERE)
		return rc;
	/* A directory must have room for a name in it, else it cannot be opened by its path. */
	if (n > LIMIT_NAME || f->depth >= LIMIT_DEPTH ||
	    path_n + (S_ISDIR(ret->mode) ? 2 : 0) > LIMIT_PATH)
		ret->what = SEEN_TOO_LONG;
	else if (S_ISDIR(ret->mode)) {
		ret->below = folder_new(f, name, err);
		if (ret->below == NULL)
			return RC_MEMORY;
		ret->below->owner = &ret->below;
	}
	return 0;
}

static int folder_look(struct ahead *a, struct folder *f, int fd, struct err *err)
{
	size_t n;
	int rc = scan_listing_read(&f->list, fd, err);

	if (rc < 0)
		return rc;
	n = f->list.n < FOLDER_AHEAD ? f->list.n : FOLDER_AHEAD;
	f->seen = reallocarray(NULL, n + 1, sizeof(*f->seen));
	if (f->seen == NULL)
		return err_memory(err);
	while (rc == 0 && f->looked < n) {
		rc = entry_look(a, f, fd, f->list.names[f->looked], &f->seen[f->looked], err);
		f->looked++;
	}
	return rc;
}

/* Read a folder that was made BUSY; a failure is kept in it. */
static void folder_read(struct ahead *a, struct folder *f)
{
	struct err err = {0};
	OWNED(fd_closep) int fd = folder_open(a, f, &err);

	f->rc = fd;
	if (fd >= 0) {
		f->rc = folder_look(a, f, fd, &err);
		if (f->rc < 0 && f->path_n > 0)
			err_prefix(&err, "\"%s\"", f->path);
	}
	if (f->rc >= 0)
		return;
	f->err = malloc(sizeof(err));
	if (f->err != NULL)
		*f->err = err;
}

/* With the lock: a folder was read, those below it take its place in the order. */
static void folder_ready(struct ahead *a, struct folder *f)
{
	size_t found = 0;

	for (size_t i = 0; i < f->looked; i++)
		if (f->seen[i].below != NULL) {
			order_insert(f, f->seen[i].below);
			found++;
		}
	order_remove(f);
	f->state = FOLDER_READY;
	a->stored += f->looked + 1;
	a->full = a->full || a->stored >= STORE_FULL;
	if (a->full)
		found = 0;
	for (size_t i = 0; i < found && i < a->idle; i++)
		pthread_cond_signal(&a->work);
}

static void *ahead_thread(void *arg)
{
	struct ahead *a = arg;
	struct folder *f;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		f = a->full ? NULL : order_first(a);
		if (f == NULL) {
			a->idle++;
			pthread_cond_wait(&a->work, &a->lock);
			a->idle--;
			continue;
		}
		f->state = FOLDER_BUSY;
		pthread_mutex_unlock(&a->lock);
		folder_read(a, f);
		pthread_mutex_lock(&a->lock);
		folder_ready(a, f);
		pthread_cond_signal(&a->ready);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* The walk's side */

int ahead_new(int rootfd, const struct scan_options *options, struct ahead **ret, struct err *err)
{
	struct ahead *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return err_memory(err);
	a->root = folder_new(NULL, "", err);
	a->order = folder_new(NULL, "", err);
	if (a->root == NULL || a->order == NULL) {
		folder_free(a->root);
		folder_free(a->order);
		free(a);
		return RC_MEMORY;
	}
	a->root->owner = &a->root;
	a->rootfd = rootfd;
	a->options = options;
	order_insert(a->order, a->root);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->work, NULL);
	pthread_cond_init(&a->ready, NULL);
	*ret = a;
	return 0;
}

static void threads_start(struct ahead *a)
{
	sigset_t all, old;

	/* Signals are the main thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (a->threads < THREADS &&
	       pthread_create(&a->thread[a->threads], NULL, ahead_thread, a) == 0)
		a->threads++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

struct ahead *ahead_free(struct ahead *a)
{
	if (a == NULL)
		return NULL;
	pthread_mutex_lock(&a->lock);
	a->stop = true;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	for (size_t i = 0; i < a->threads; i++)
		pthread_join(a->thread[i], NULL);
	folder_free(a->root);
	folder_free(a->order);
	pthread_cond_destroy(&a->ready);
	pthread_cond_destroy(&a->work);
	pthread_mutex_destroy(&a->lock);
	free(a);
	return NULL;
}

void ahead_freep(struct ahead **a)
{
	*a = ahead_free(*a);
}

struct folder *ahead_root(struct ahead *a)
{
	return a->root;
}

int ahead_take(struct ahead *a, struct folder *f, struct err *err)
{
	pthread_mutex_lock(&a->lock);
	if (f->state == FOLDER_WAITING) {
		f->state = FOLDER_BUSY;
		pthread_mutex_unlock(&a->lock);
		folder_read(a, f);
		if (++a->alone == ALONE)
			threads_start(a);
		pthread_mutex_lock(&a->lock);
		folder_ready(a, f);
	}
	while (f->state == FOLDER_BUSY)
		pthread_cond_wait(&a->ready, &a->lock);
	pthread_mutex_unlock(&a->lock);
	if (f->rc >= 0)
		return 0;
	return f->err != NULL ? err_set(err, f->rc, "%s", f->err->text) : err_memory(err);
}

void ahead_done(struct ahead *a, struct folder *f)
{
	pthread_mutex_lock(&a->lock);
	a->stored -= f->looked + 1;
	if (a->full && a->stored < STORE_AGAIN) {
		a->full = false;
		pthread_cond_broadcast(&a->work);
	}
	pthread_mutex_unlock(&a->lock);
	*f->owner = NULL;
	folder_free(f);
}

int ahead_more(struct ahead *a, struct folder *f, size_t i, struct seen *ret, struct err *err)
{
	int fd = ahead_fd(a, f, err);
	int rc = fd < 0 ? fd : entry_look(a, f, fd, f->list.names[i], ret, err);

	if (rc == 0 && ret->below != NULL) {
		f->more = ret->below;
		f->more->owner = &f->more;
		pthread_mutex_lock(&a->lock);
		order_insert(a->order->next, f->more);
		pthread_mutex_unlock(&a->lock);
	}
	return rc;
}
