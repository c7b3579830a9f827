/* SPDX-License-Identifier: ISC */
/*
 * What lies at a path of the target, and whether it is what the index says.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "applier/apply/apply_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/os/random.h"

/* Directories */

/* Lines come in order of path, so the directory is mostly the one of the line before. */
int dirs_open(struct dirs *d, const char *path, size_t len, struct err *err)
{
	int fd;

	if (d->fd >= 0 && strncmp(d->path, path, len) == 0 && d->path[len] == '\0')
		return d->fd;
	dirs_clear(d);
	if (d->rootfd < 0)
		return err_set(err, RC_ABSENT, "the directory that it lies in is gone");
	memcpy(d->path, path, len);
	d->path[len] = '\0';
	fd = beneath_dir(d->rootfd, len > 0 ? d->path : ".", err);
	if (fd < 0) {
		if (fd == RC_PATH)
			err_set(
			    err, RC_POLICY,
			    "%s: a link or another file system lies where a directory is expected",
			    d->path);
		return err->rc;
	}
	d->fd = fd;
	return fd;
}

int dirs_parent(struct dirs *d, const char *path, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');

	*ret_name = slash == NULL ? path : slash + 1;
	return dirs_open(d, path, slash == NULL ? 0 : (size_t)(slash - path), err);
}

void dirs_clear(struct dirs *d)
{
	fd_closep(&d->fd);
	d->path[0] = '\0';
}

/* What is there */

static uint8_t kind_of(unsigned mode)
{
	return S_ISREG(mode)
		   ? ENTRY_FILE
		   : (S_ISLNK(mode) ? ENTRY_LINK : (S_ISDIR(mode) ? ENTRY_DIRECTORY : '?'));
}

int seen_at(int dirfd, const char *name, struct seen *ret, struct err *err)
{
	struct statx st;

	*ret = (struct seen){0};
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, RC_IO, "%s: cannot stat it", name);
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return err_set(err, RC_POLICY,
			       "%s: another file system is mounted there, below the target", name);
	*ret = (struct seen){
	    .kind = kind_of(st.stx_mode),
	    .fixed = (st.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0,
	    .mode = st.stx_mode & 07777,
	    .links = st.stx_nlink,
	    .uid = st.stx_uid,
	    .gid = st.stx_gid,
	    .ino = st.stx_ino,
	    .size = st.stx_size,
	    .mtime = clock_ns(st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec),
	    .ctime = clock_ns(st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec)};
	return 1;
}

bool seen_same(const struct seen *a, const struct seen *b)
{
	return a->kind == b->kind && a->ino == b->ino &&
	       (a->kind == ENTRY_DIRECTORY || (a->size == b->size && a->mtime == b->mtime));
}

/*
 * A file of a user's may be one that they hold a lease on, and an open waits until they let go, or
 * for as long as they like when they take it again at once.  Honest holders (file servers) let go
 * within moments, so all files of a run together are waited for a little, and then it goes on
 * without: what cannot be read is judged as a local change.
 */
#define PATIENCE_STEP  50 /* milliseconds */
#define PROGRESS_BYTES (16u << 20)

bool patience_step(struct apply *a)
{
	if (a->patience < PATIENCE_STEP)
		return false;
	a->patience -= PATIENCE_STEP;
	nanosleep(&(struct timespec){.tv_nsec = PATIENCE_STEP * 1000000l}, NULL);
	return true;
}

/** By the descriptor that was looked at, whatever has its name now. */
static int open_patient(struct apply *a, int fd)
{
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	for (;;) {
		int in = open(self, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

		if (in >= 0 || errno != EWOULDBLOCK || !patience_step(a))
			return in;
	}
}

/** A sign of life for whoever waits for this run, from time to time. */
static void compared(struct apply *a, size_t n)
{
	uint64_t was = a->compared;

	a->compared += n;
	if (was / PROGRESS_BYTES != a->compared / PROGRESS_BYTES)
		reporter_progress(a->s->reporter, "comparing", a->compared, 0, 0, 0);
}

/*
 * Whose file it is can make it as long as they like between the look and the reading: root reads
 * no more of it than was seen.
 */
static int hash_exactly(struct apply *a, int in, uint8_t *p, uint64_t size, struct digest *ret)
{
	struct digest_stream hash;
	uint64_t at = 0;
	size_t n = 0;
	int rc;

	digest_start(&hash);
	do {
		rc = fd_read(in, p, ARENA_BYTES, &n, ERR_IGNORED);
		if (rc < 0)
			break;
		digest_more(&hash, p, n);
		compared(a, n);
		at += n;
	} while (n == ARENA_BYTES && at <= size);
	*ret = digest_end(&hash);
	return rc < 0 ? rc : at == size;
}

int fd_digest(struct apply *a, int fd, uint64_t size, struct digest *ret)
{
	OWNED(fd_closep) int in = open_patient(a, fd);
	uint8_t *p = in < 0 ? NULL : malloc(ARENA_BYTES);
	int rc;

	if (p == NULL)
		return in < 0 ? RC_IO : RC_MEMORY;
	/* A page that somebody has mapped and written to can be written again without a trace in
	 * any time of the file, until it was written out. */
	sync_file_range(in, 0, 0,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			    SYNC_FILE_RANGE_WAIT_AFTER);
	rc = hash_exactly(a, in, p, size, ret);
	sodium_memzero(p, ARENA_BYTES); /* of a private channel: keys */
	free(p);
	return rc;
}

int seen_digest(struct apply *a, int dirfd, const char *name, struct seen *s)
{
	OWNED(fd_closep) int fd = -1;
	struct stat st;

	if (s->known)
		return 1;
	fd = beneath_open(dirfd, name, O_PATH, 0, ERR_IGNORED);
	s->known = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == s->ino &&
		   fd_digest(a, fd, s->size, &s->digest) > 0;
	return s->known;
}

bool seen_holds(struct apply *a, int dirfd, const char *name, struct seen *s,
		const struct digest *want)
{
	return seen_digest(a, dirfd, name, s) > 0 && digest_equal(&s->digest, want);
}

struct seen seen_of(const struct stat *st)
{
	return (struct seen){.kind = kind_of(st->st_mode),
			     .mode = st->st_mode & 07777,
			     .links = (uint32_t)st->st_nlink,
			     .uid = st->st_uid,
			     .gid = st->st_gid,
			     .ino = st->st_ino,
			     .size = (uint64_t)st->st_size,
			     .mtime = clock_ns(st->st_mtim.tv_sec, st->st_mtim.tv_nsec),
			     .ctime = clock_ns(st->st_ctim.tv_sec, st->st_ctim.tv_nsec)};
}

bool seen_exposed(const struct seen *s)
{
	return s->kind == ENTRY_FILE &&
	       (s->uid != geteuid() || (s->mode & (S_IWGRP | S_IWOTH)) != 0);
}

bool row_certain(const struct entry *e, const struct seen *s)
{
	return e->ino != 0 && e->ino == s->ino && e->kind == s->kind && e->size == s->size &&
	       e->disk_mtime == s->mtime && e->ctime == s->ctime;
}

/*
 * Cheap first: an entry that stat calls unchanged needs no reading; only when a size fits is the
 * content hashed.
 */
static enum found judge_file(struct apply *a, const struct change *c, const struct entry *e,
			     int dirfd, const char *name, struct seen *s)
{
	bool content = c->op == CHANGE_PUT || c->op == CHANGE_PATCH || c->op == CHANGE_COPY;
	bool base = e != NULL && e->kind == ENTRY_FILE;

	if (base && row_certain(e, s)) {
		s->digest = e->digest;
		s->known = true;
	} else if ((base && e->size == s->size) || (content && c->size == s->size)) {
		seen_digest(a, dirfd, name, s);
	}
	if (s->known && content && digest_equal(&s->digest, &c->digest))
		return FOUND_WANTED;
	return s->known && base && digest_equal(&s->digest, &e->digest) ? FOUND_BASE : FOUND_LOCAL;
}

static enum found judge_link(const struct change *c, const struct entry *e, int dirfd,
			     const char *name)
{
	char target[LIMIT_LINK + 1];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0 || n > LIMIT_LINK)
		return FOUND_LOCAL;
	target[n] = '\0';
	if (c->op == CHANGE_LINK && strcmp(target, c->target) == 0)
		return FOUND_WANTED;
	return e != NULL && e->kind == ENTRY_LINK && strcmp(target, e->target) == 0 ? FOUND_BASE
										    : FOUND_LOCAL;
}

enum found disk_judge(struct apply *a, const struct change *c, const struct entry *e, int dirfd,
		      const char *name, struct seen *s)
{
	if (s->kind == ENTRY_FILE)
		return judge_file(a, c, e, dirfd, name, s);
	if (s->kind == ENTRY_LINK)
		return judge_link(c, e, dirfd, name);
	if (s->kind == ENTRY_DIRECTORY && c->op == CHANGE_DIRECTORY)
		return FOUND_WANTED;
	return s->kind == ENTRY_DIRECTORY && e != NULL && e->kind == ENTRY_DIRECTORY ? FOUND_BASE
										     : FOUND_LOCAL;
}
