/* SPDX-License-Identifier: ISC */
/* Trees of files in memory. */
#include "tests/crash/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/life.h"

#define NS 1000000000

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static struct node *node_of(const struct image *m, uint64_t ino)
{
	for (size_t i = m->node.n; i > 0; i--)
		if (m->node.items[i - 1].ino == ino)
			return &m->node.items[i - 1];
	return NULL;
}

static struct node *node_add(struct image *m, uint64_t ino, mode_t mode)
{
	struct err err;
	struct node *n = must(list_add(&m->node, &err));

	n->ino = ino;
	n->mode = mode;
	return n;
}

static void name_add(struct image *m, uint64_t dir, const char *name, uint64_t ino)
{
	struct err err;
	struct name *n = must(list_add(&m->name, &err));

	*n = (struct name){dir, ino, name};
}

/* Reading */

static void content_read(struct node *n, int dirfd, const char *name)
{
	OWNED(fd_closep) int fd = -1;

	n->cap = n->size + 1;
	n->data = must(calloc(1, n->cap));
	if (S_ISLNK(n->mode)) {
		if (readlinkat(dirfd, name, (char *)n->data, n->size) != (ssize_t)n->size)
			abort();
		return;
	}
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, n->data, n->size, 0) != (ssize_t)n->size)
		abort();
}

static uint64_t read_below(struct image *m, int parent, const char *name)
{
	struct stat st;
	struct node *n;
	OWNED(dir_closep) DIR *d = NULL;
	const struct dirent *e;
	uint64_t ino;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		abort();
	ino = st.st_ino;
	if (node_of(m, ino) != NULL)
		return ino;
	n = node_add(m, ino, st.st_mode);
	n->mtime = st.st_mtim.tv_sec * NS + st.st_mtim.tv_nsec;
	n->ctime = st.st_ctim.tv_sec * NS + st.st_ctim.tv_nsec;
	n->size = S_ISDIR(st.st_mode) ? 0 : (size_t)st.st_size;
	if (!S_ISDIR(st.st_mode)) {
		content_read(n, parent, name);
		return ino;
	}
	d = must(fdopendir(openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
	while ((e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			name_add(m, ino, must(strdup(e->d_name)),
				 read_below(m, dirfd(d), e->d_name));
	return ino;
}

void image_read(const char *dir, struct image *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->root = read_below(ret, AT_FDCWD, dir);
}

void image_copy(const struct image *from, struct image *ret)
{
	struct err err;

	memset(ret, 0, sizeof(*ret));
	ret->root = from->root;
	if (list_reserve(&ret->node, from->node.n, &err) < 0 ||
	    list_reserve(&ret->name, from->name.n, &err) < 0)
		abort();
	memcpy(ret->node.items, from->node.items, from->node.n * sizeof(struct node));
	memcpy(ret->name.items, from->name.items, from->name.n * sizeof(struct name));
	ret->node.n = from->node.n;
	ret->name.n = from->name.n;
	for (size_t i = 0; i < ret->node.n; i++)
		ret->node.items[i].cap = 0;
}

void image_clear(struct image *m)
{
	for (size_t i = 0; i < m->node.n; i++)
		if (m->node.items[i].cap > 0)
			free(m->node.items[i].data);
	list_clear(&m->node);
	list_clear(&m->name);
}

/* Calls */

/* Room for ${size} bytes of its own. */
static void content_own(struct node *n, size_t size)
{
	size_t cap = size > n->size ? size : n->size;
	uint8_t *p;

	if (n->cap >= cap && n->cap > 0)
		return;
	cap += cap / 2 + 4096;
	p = must(calloc(1, cap));
	if (n->size > 0)
		memcpy(p, n->data, n->size);
	if (n->cap > 0)
		free(n->data);
	n->data = p;
	n->cap = cap;
}

static void content_size(struct node *n, size_t size)
{
	content_own(n, size);
	if (size > n->size)
		memset(n->data + n->size, 0, size - n->size);
	n->size = size;
}

static void content_write_at(struct node *n, const struct record *r, enum fate fate)
{
	size_t half = r->data / 2, from = fate == FATE_TAIL ? half : 0;
	size_t to = fate == FATE_HALF ? half : r->data;

	if (n->size < r->at + to)
		content_size(n, r->at + to);
	content_own(n, n->size);
	if (fate == FATE_ZEROS)
		memset(n->data + r->at, 0, r->data);
	else
		memcpy(n->data + r->at + from, record_data(r) + from, to - from);
}

static void name_remove(struct image *m, uint64_t dir, const char *name)
{
	for (size_t i = 0; i < m->name.n; i++)
		if (m->name.items[i].dir == dir && strcmp(m->name.items[i].name, name) == 0) {
			m->name.items[i] = m->name.items[--m->name.n];
			return;
		}
}

static void name_set(struct image *m, uint64_t dir, const char *name, uint64_t ino)
{
	name_remove(m, dir, name);
	name_add(m, dir, name, ino);
}

static void stamp(struct node *n, int64_t mtime, int64_t ctime, uint64_t number)
{
	if (n == NULL)
		return;
	n->mtime = mtime;
	n->ctime = ctime;
	n->version = n->version * 1000003 + number + 1;
}

static void made(struct image *m, const struct record *r)
{
	struct node *n = node_of(m, r->ino);

	if (n == NULL)
		n = node_add(m, r->ino, r->mode);
	if (r->op == RECORD_SYMLINK) {
		content_size(n, r->data);
		memcpy(n->data, record_data(r), r->data);
	}
	name_set(m, r->dir, record_name(r), r->ino);
}

static void names_apply(struct image *m, const struct record *r)
{
	switch ((enum record_op)r->op) {
	case RECORD_UNLINK:
		name_remove(m, r->dir, record_name(r));
		break;
	case RECORD_SWAP:
		name_set(m, r->dir, record_name(r), r->ino2);
		name_set(m, r->dir2, record_to(r), r->ino);
		break;
	case RECORD_RENAME:
		name_remove(m, r->dir, record_name(r));
		name_set(m, r->dir2, record_to(r), r->ino);
		break;
	default:
		made(m, r);
	}
}

void image_apply(struct image *m, const struct record *r, enum fate fate, uint64_t number)
{
	struct node *n = node_of(m, r->ino);

	if (fate == FATE_LOST || r->op == RECORD_FLUSH || r->op == RECORD_FLUSH_ALL)
		return;
	if (r->op == RECORD_WRITE || r->op == RECORD_CUT || r->op == RECORD_META) {
		if (n == NULL)
			return; /* a file that has no name, or lies elsewhere */
		if (r->op == RECORD_WRITE)
			content_write_at(n, r, fate);
		else if (r->op == RECORD_CUT)
			content_size(n, r->at);
		n->mode = r->mode;
	} else {
		names_apply(m, r);
		n = node_of(m, r->ino);
		if (r->op == RECORD_SWAP)
			stamp(node_of(m, r->ino2), r->mtime2, r->ctime2, number);
		if (r->op == RECORD_UNLINK)
			return;
	}
	stamp(n, r->mtime, r->ctime, number * 8 + (uint64_t)fate);
}

bool image_knows(const struct image *m, const struct record *r)
{
	switch ((enum record_op)r->op) {
	case RECORD_WRITE:
	case RECORD_CUT:
	case RECORD_META:
	case RECORD_FLUSH:
		return node_of(m, r->ino) != NULL;
	case RECORD_FLUSH_ALL:
		return true;
	default:
		return node_of(m, r->dir) != NULL || node_of(m, r->dir2) != NULL;
	}
}

/* Sums: by path, so that names in lost directories do not count. */

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = (x->dir > y->dir) - (x->dir < y->dir);

	return order != 0 ? order : strcmp(x->name, y->name);
}

static void sum_below(const struct image *m, uint64_t dir, unsigned depth, struct digest_stream *s)
{
	for (size_t i = 0; i < m->name.n; i++) {
		const struct name *e = &m->name.items[i];
		const struct node *n = e->dir == dir ? node_of(m, e->ino) : NULL;

		if (n == NULL || depth > 32)
			continue;
		digest_more(s, e->name, strlen(e->name) + 1);
		digest_more(s, &n->ino, sizeof(n->ino));
		digest_more(s, &n->version, sizeof(n->version));
		if (S_ISDIR(n->mode))
			sum_below(m, e->ino, depth + 1, s);
		digest_more(s, "/", 1);
	}
}

struct digest image_sum(const struct image *m)
{
	struct image sorted = *m;
	struct digest_stream s;

	list_sort(&sorted.name, by_name);
	digest_start(&s);
	sum_below(&sorted, m->root, 0, &s);
	return digest_end(&s);
}

/* Writing */

static void times_set(int fd, const char *path, int64_t mtime)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {mtime / NS, mtime % NS}};

	utimensat(fd, path, t, AT_SYMLINK_NOFOLLOW);
}

/* After it looks as it did. */
static void show(int parent, const char *name, const struct node *n)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		inodes_add(
		    &(struct inode_shown){.real = st.st_ino,
					  .shown = n->ino,
					  .real_ctime = st.st_ctim.tv_sec * NS + st.st_ctim.tv_nsec,
					  .shown_ctime = n->ctime});
}

/* Where the first name of an inode was written, for the others. */
struct written {
	uint64_t ino;
	char path[PATH_MAX];
};
struct writing {
	const struct image *m;
	LIST(struct written) many;
};

static bool has_more_names(const struct image *m, uint64_t ino)
{
	size_t n = 0;

	for (size_t i = 0; i < m->name.n; i++)
		n += m->name.items[i].ino == ino;
	return n > 1;
}

static bool link_written(struct writing *w, const char *path, const struct node *n)
{
	struct err err;
	struct written *x;

	if (!has_more_names(w->m, n->ino))
		return false;
	for (size_t i = 0; i < w->many.n; i++)
		if (w->many.items[i].ino == n->ino)
			return linkat(AT_FDCWD, w->many.items[i].path, AT_FDCWD, path, 0) == 0;
	x = must(list_add(&w->many, &err));
	x->ino = n->ino;
	snprintf(x->path, sizeof(x->path), "%s", path);
	return false;
}

static void file_write(const char *path, const struct node *n)
{
	OWNED(fd_closep)
	int fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || (n->size > 0 && pwrite(fd, n->data, n->size, 0) != (ssize_t)n->size))
		abort();
	fchmod(fd, n->mode & 07777);
}

static void link_write(const char *path, const struct node *n)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%.*s", (int)n->size, (const char *)n->data);
	if (symlinkat(target, AT_FDCWD, path) < 0)
		abort();
}

static void write_below(struct writing *w, const char *dir, const struct node *at)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < w->m->name.n; i++) {
		const struct name *e = &w->m->name.items[i];
		const struct node *n = e->dir == at->ino ? node_of(w->m, e->ino) : NULL;

		if (n == NULL || strlen(dir) > PATH_MAX - 300)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->name);
		if (S_ISDIR(n->mode)) {
			if (mkdir(path, 0700) < 0)
				abort();
			write_below(w, path, n);
			chmod(path, n->mode & 07777);
		} else if (!link_written(w, path, n)) {
			if (S_ISLNK(n->mode))
				link_write(path, n);
			else
				file_write(path, n);
		}
		times_set(AT_FDCWD, path, n->mtime);
		show(AT_FDCWD, path, n);
	}
}

void image_write(const struct image *m, const char *dir)
{
	struct writing w = {.m = m};
	const struct node *root = node_of(m, m->root);

	tree_remove(dir);
	inodes_clear();
	if (root == NULL || mkdir(dir, 0700) < 0)
		abort();
	write_below(&w, dir, root);
	times_set(AT_FDCWD, dir, root->mtime);
	show(AT_FDCWD, dir, root);
	list_clear(&w.many);
}
