/* SPDX-License-Identifier: ISC */
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
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/workers.h"
#include "core/tree/exclude.h"
#include "core/tree/scan_internal.h"

/* More than there are cores: a cold disk answers many at once. */
#define THREADS 8
/* Folders that the walk reads itself before it thinks that threads are worth their start. */
#define ALONE 8
/* Entries read and not walked yet, at which the threads stop, and at which they go on. */
#define STORE_FULL  16384
#define STORE_AGAIN 8192
/* Directory entries that are read at a time. */
#define READ_BYTES 32768

struct prefetch {
	int rootfd; /* borrowed */
	const struct scan_options *options;
	struct folder *root; /* owned */

	struct workers workers;
	struct folder *order; /* owned; head of a ring of the folders that are WAITING or BUSY */
	size_t stored;        /* entries of READY folders */
	bool full;
	size_t alone; /* folders that the walk read before threads were started */
};

/* One directory as the disk has it.  Names are sorted here, since the order of readdir(3) is the
 * file system's own. */

static void scan_listing_clear(struct scan_listing *l)
{
	buf_clear(&l->text);
	free(l->names);
	*l = (struct scan_listing){.text = BUF_INIT};
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Point at the ${count} names of the text, and sort them. */
static int listing_sort(struct scan_listing *l, size_t count, struct err *err)
{
	const char *p = (const char *)l->text.p;

	l->names = reallocarray(NULL, count + 1, sizeof(*l->names));
	if (l->names == NULL)
		return err_memory(err);
	for (l->n = 0; l->n < count; l->n++) {
		l->names[l->n] = p;
		p += strlen(p) + 1;
	}
	qsort(l->names, count, sizeof(*l->names), name_compare);
	return 0;
}

static int scan_listing_read(struct scan_listing *l, int fd, struct err *err)
{
	_Alignas(struct dirent64) char piece[READ_BYTES];
	size_t count = 0;
	ssize_t got;

	while ((got = getdents64(fd, piece, sizeof(piece))) > 0)
		for (ssize_t at = 0; at < got;) {
			const struct dirent64 *d = (const void *)(piece + at);
			int rc;

			at += d->d_reclen;
			if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
				continue;
			rc = buf_add(&l->text, d->d_name, strlen(d->d_name) + 1, err);
			if (rc < 0)
				return rc;
			count++;
		}
	if (got < 0)
		return err_sys(err, RC_IO, "cannot read the directory");
	return listing_sort(l, count, err);
}

static int64_t time_of(struct statx_timestamp t)
{
	return clock_ns(t.tv_sec, t.tv_nsec);
}

static int disk_stat(int fd, const char *name, struct scan_seen *ret, struct err *err)
{
	struct statx x;

	*ret = (struct scan_seen){.what = SEEN_ABSENT};
	if (statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x) < 0)
		return errno == ENOENT ? 0 : err_sys(err, RC_IO, "cannot stat \"%s\"", name);
	/* Not by device number: a bind mount has the same, and a btrfs subvolume has another. */
	ret->what = x.stx_attributes & STATX_ATTR_MOUNT_ROOT ? SEEN_MOUNT : SEEN_THERE;
	ret->mode = x.stx_mode;
	ret->uid = x.stx_uid;
	ret->gid = x.stx_gid;
	ret->dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	ret->ino = x.stx_ino;
	ret->size = x.stx_size;
	ret->mtime = time_of(x.stx_mtime);
	ret->ctime = time_of(x.stx_ctime);
	return 0;
}

/* Folders */

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
	for (size_t i = 0; i < f->seen_n; i++)
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
static struct folder *order_first(struct prefetch *a)
{
	struct folder *f = a->order->next;

	while (f != a->order && f->state != FOLDER_WAITING)
		f = f->next;
	return f == a->order ? NULL : f;
}

/* Reading */

/*
 * By its path from the root each time: a descriptor for each folder that waits would use them up.
 * A directory that was replaced by a link meanwhile is not followed, and shows as a change.
 */
static int folder_open(struct prefetch *a, const struct folder *f, struct err *err)
{
	int fd = beneath_dir(a->rootfd, f->path_n == 0 ? "." : f->path, err);

	if (fd == RC_ABSENT || (fd < 0 && (errno == ENOTDIR || errno == ELOOP || errno == EXDEV)))
		return err_set(err, RC_AGAIN, "\"%s\" changed while it was scanned; try again",
			       f->path);
	return fd;
}

int prefetch_fd(struct prefetch *a, struct folder *f, struct err *err)
{
	if (f->fd < 0)
		f->fd = folder_open(a, f, err);
	return f->fd;
}

static enum exclude_fit excluded(const struct prefetch *a, const struct folder *f, const char *name,
				 size_t n)
{
	char path[LIMIT_PATH + 1];
	size_t at = f->path_n == 0 ? 0 : f->path_n + 1;

	if (a->options->excludes == 0 || at + n > LIMIT_PATH)
		return EXCLUDE_NO;
	memcpy(path, f->path, f->path_n);
	if (at > 0)
		path[at - 1] = '/';
	memcpy(path + at, name, n + 1);
	return exclude_fits(a->options->exclude, a->options->excludes, path);
}

/* Look at entry ${name}; a directory that is to be entered gets a folder. */
static int entry_examine(struct prefetch *a, const struct folder *f, int fd, const char *name,
			 struct scan_seen *ret, struct err *err)
{
	size_t n = strlen(name), path_n = f->path_n + (f->path_n > 0) + n;
	enum exclude_fit fit = excluded(a, f, name, n);
	int rc;

	*ret = (struct scan_seen){.what = SEEN_ABSENT};
	if (fit == EXCLUDE_YES)
		return 0;
	rc = disk_stat(fd, name, ret, err);
	if (rc == 0 && fit == EXCLUDE_DIRECTORY && S_ISDIR(ret->mode))
		ret->what = SEEN_ABSENT;
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

static int folder_stat(struct prefetch *a, struct folder *f, int fd, struct err *err)
{
	size_t n;
	const struct scan_guard *guard = a->options->guard;
	int rc = scan_listing_read(&f->list, fd, err);

	if (rc == 0 && guard != NULL)
		rc = guard->folder(guard->arg, f->path, fd, f->list.names, f->list.n, err);
	if (rc < 0)
		return rc;
	n = f->list.n < FOLDER_PREFETCHED ? f->list.n : FOLDER_PREFETCHED;
	f->seen = reallocarray(NULL, n + 1, sizeof(*f->seen));
	if (f->seen == NULL)
		return err_memory(err);
	while (rc == 0 && f->seen_n < n) {
		rc = entry_examine(a, f, fd, f->list.names[f->seen_n], &f->seen[f->seen_n], err);
		f->seen_n++;
	}
	return rc;
}

/* Read a folder that was made BUSY; a failure is kept in it. */
static void folder_read(struct prefetch *a, struct folder *f)
{
	struct err err = {0};
	OWNED(fd_closep) int fd = folder_open(a, f, &err);

	f->rc = fd;
	if (fd >= 0) {
		f->rc = folder_stat(a, f, fd, &err);
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
static void folder_ready(struct prefetch *a, struct folder *f)
{
	size_t found = 0;

	for (size_t i = 0; i < f->seen_n; i++)
		if (f->seen[i].below != NULL) {
			order_insert(f, f->seen[i].below);
			found++;
		}
	order_remove(f);
	f->state = FOLDER_READY;
	a->stored += f->seen_n + 1;
	a->full = a->full || a->stored >= STORE_FULL;
	if (!a->full)
		workers_wake(&a->workers, (unsigned)found);
}

/* A step of a thread: the next folder. */
static int prefetch_step(void *arg, void *own, struct err *err)
{
	struct prefetch *a = arg;
	struct folder *f = a->full ? NULL : order_first(a);

	if (f == NULL)
		return WORKERS_WAIT;
	f->state = FOLDER_BUSY;
	workers_unlock(&a->workers);
	folder_read(a, f);
	workers_lock(&a->workers);
	folder_ready(a, f);
	return WORKERS_AGAIN;
}

static const struct workers_task prefetch_task = {.step = prefetch_step};

/* The walk's side */

int prefetch_new(int rootfd, const struct scan_options *options, struct prefetch **ret,
		 struct err *err)
{
	struct prefetch *a = calloc(1, sizeof(*a));

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
	workers_init(&a->workers, &prefetch_task, a);
	*ret = a;
	return 0;
}

void prefetch_freep(struct prefetch **at)
{
	struct prefetch *a = *at;

	*at = NULL;
	if (a == NULL)
		return;
	workers_clear(&a->workers);
	folder_free(a->root);
	folder_free(a->order);
	free(a);
}

struct folder *prefetch_root(struct prefetch *a)
{
	return a->root;
}

int prefetch_take(struct prefetch *a, struct folder *f, struct err *err)
{
	workers_lock(&a->workers);
	/*
	 * No thread may ever come to it: they stop while the store is full, and only the walk
	 * empties it.
	 */
	if (f->state == FOLDER_WAITING) {
		f->state = FOLDER_BUSY;
		workers_unlock(&a->workers);
		folder_read(a, f);
		/* Without threads the walk reads on by itself. */
		if (++a->alone == ALONE)
			workers_start(&a->workers, THREADS, &(struct err){0});
		workers_lock(&a->workers);
		folder_ready(a, f);
	}
	while (f->state == FOLDER_BUSY)
		workers_wait(&a->workers);
	workers_unlock(&a->workers);
	if (f->rc >= 0)
		return 0;
	return f->err != NULL ? err_set(err, f->rc, "%s", f->err->text) : err_memory(err);
}

void prefetch_done(struct prefetch *a, struct folder *f)
{
	workers_lock(&a->workers);
	a->stored -= f->seen_n + 1;
	if (a->full && a->stored < STORE_AGAIN) {
		a->full = false;
		workers_wake_all(&a->workers);
	}
	workers_unlock(&a->workers);
	*f->owner = NULL;
	folder_free(f);
}

int prefetch_more(struct prefetch *a, struct folder *f, size_t i, struct scan_seen *ret,
		  struct err *err)
{
	int fd = prefetch_fd(a, f, err);
	int rc = fd < 0 ? fd : entry_examine(a, f, fd, f->list.names[i], ret, err);

	if (rc == 0 && ret->below != NULL) {
		f->more = ret->below;
		f->more->owner = &f->more;
		workers_lock(&a->workers);
		order_insert(a->order->next, f->more);
		workers_unlock(&a->workers);
	}
	return rc;
}
