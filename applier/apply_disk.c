/*
 * What lies at a path of the target, and whether it is what the index says.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

#define NS 1000000000ll

/* Directories */

int dirs_open(struct dirs *d, const char *path, size_t len, struct err *err)
{
	int fd;

	if (d->fd >= 0 && strncmp(d->path, path, len) == 0 && d->path[len] == '\0')
		return d->fd;
	dirs_clear(d);
	memcpy(d->path, path, len);
	d->path[len] = '\0';
	fd = beneath_dir(d->rootfd, len > 0 ? d->path : ".", err);
	if (fd < 0) {
		if (fd == RC_PATH)
			err_set(
			    err, RC_POLICY,
			    "%s: a link or another file system lies where a directory is expected",
			    d->path);
		return err != NULL ? err->rc : fd;
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

int dir_empty(int dirfd, const char *name, struct err *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	OWNED(dir_closep) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (dir == NULL)
		return err_sys(err, RC_IO, "%s: cannot read the directory", name);
	while (errno = 0, (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return 0;
	return errno != 0 ? err_sys(err, RC_IO, "%s: cannot read the directory", name) : 1;
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
		return errno == ENOENT ? 0 : err_sys(err, RC_IO, "%s: cannot look at it", name);
	if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return err_set(err, RC_POLICY,
			       "%s: another file system is mounted there, below the target", name);
	*ret = (struct seen){.kind = kind_of(st.stx_mode),
			     .mode = st.stx_mode & 07777,
			     .uid = st.stx_uid,
			     .gid = st.stx_gid,
			     .ino = st.stx_ino,
			     .size = st.stx_size,
			     .mtime = st.stx_mtime.tv_sec * NS + st.stx_mtime.tv_nsec,
			     .ctime = st.stx_ctime.tv_sec * NS + st.stx_ctime.tv_nsec};
	return 1;
}

bool seen_same(const struct seen *a, const struct seen *b)
{
	return a->kind == b->kind && a->ino == b->ino &&
	       (a->kind == ENTRY_DIRECTORY || (a->size == b->size && a->mtime == b->mtime));
}

int seen_digest(int dirfd, const char *name, struct seen *s, struct err *err)
{
	OWNED(fd_closep) int fd = -1;
	OWNED(freep) uint8_t *p = NULL;
	struct digest_stream hash;
	struct stat st;

	if (s->known)
		return 0;
	fd = beneath_open(dirfd, name, O_RDONLY | O_NONBLOCK, 0, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "%s: cannot look at it", name);
	if (!S_ISREG(st.st_mode) || st.st_ino != s->ino)
		return err_set(err, RC_AGAIN, "%s: it changed while it was looked at", name);
	p = malloc(ARENA_BYTES);
	if (p == NULL)
		return err_memory(err);
	digest_start(&hash);
	for (;;) {
		size_t n;

		if (fd_read(fd, p, ARENA_BYTES, &n, err) < 0)
			return err_prefix(err, "%s", name);
		digest_more(&hash, p, n);
		if (n < ARENA_BYTES)
			break;
	}
	s->digest = digest_end(&hash);
	s->known = true;
	return 0;
}

static int judge_file(const struct change *c, const struct entry *e, int dirfd, const char *name,
		      struct seen *s, enum found *ret, struct err *err)
{
	bool content = c->op == CHANGE_PUT || c->op == CHANGE_PATCH || c->op == CHANGE_COPY;
	bool base = e != NULL && e->kind == ENTRY_FILE;

	*ret = FOUND_LOCAL;
	if (base && e->ino != 0 && e->ino == s->ino && e->size == s->size &&
	    e->disk_mtime == s->mtime && e->ctime == s->ctime) {
		s->digest = e->digest;
		s->known = true;
	} else if ((base && e->size == s->size) || (content && c->size == s->size)) {
		if (seen_digest(dirfd, name, s, err) < 0)
			return err->rc;
	}
	if (s->known && content && digest_equal(&s->digest, &c->digest))
		*ret = FOUND_WANTED;
	else if (s->known && base && digest_equal(&s->digest, &e->digest))
		*ret = FOUND_BASE;
	return 0;
}

static int judge_link(const struct change *c, const struct entry *e, int dirfd, const char *name,
		      enum found *ret, struct err *err)
{
	char target[LIMIT_LINK + 1];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	if (n < 0 || n > LIMIT_LINK)
		return err_sys(err, RC_IO, "%s: cannot read the link", name);
	target[n] = '\0';
	*ret = FOUND_LOCAL;
	if (c->op == CHANGE_LINK && strcmp(target, c->target) == 0)
		*ret = FOUND_WANTED;
	else if (e != NULL && e->kind == ENTRY_LINK && strcmp(target, e->target) == 0)
		*ret = FOUND_BASE;
	return 0;
}

int disk_judge(const struct change *c, const struct entry *e, int dirfd, const char *name,
	       struct seen *s, enum found *ret, struct err *err)
{
	if (s->kind == ENTRY_FILE)
		return judge_file(c, e, dirfd, name, s, ret, err);
	if (s->kind == ENTRY_LINK)
		return judge_link(c, e, dirfd, name, ret, err);
	*ret = FOUND_LOCAL;
	if (s->kind == ENTRY_DIRECTORY && c->op == CHANGE_DIRECTORY)
		*ret = FOUND_WANTED;
	else if (s->kind == ENTRY_DIRECTORY && e != NULL && e->kind == ENTRY_DIRECTORY)
		*ret = FOUND_BASE;
	return 0;
}
