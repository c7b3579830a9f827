/* SPDX-License-Identifier: ISC */
/* Trees on disk, as the oracle compares them: read by code that shares nothing with the program's
 * own scan but the digest. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/life.h"

static struct digest file_digest(const char *path)
{
	OWNED(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct digest_stream s;
	uint8_t buffer[65536];
	ssize_t n;

	digest_start(&s);
	while (fd >= 0 && (n = read(fd, buffer, sizeof(buffer))) > 0)
		digest_more(&s, buffer, (size_t)n);
	return digest_end(&s);
}

static struct digest link_digest(const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target));

	return digest_of((struct bytes){(const uint8_t *)target, n < 0 ? 0 : (size_t)n});
}

static void entry_add(struct tree *t, const char *path, const char *relative, const struct stat *st)
{
	struct err err;
	struct entry *e = list_add(t, &err);

	if (e == NULL)
		abort();
	e->path = strdup(relative);
	e->kind = S_ISDIR(st->st_mode) ? 'd' : S_ISLNK(st->st_mode) ? 'l' : 'f';
	e->mode = e->kind == 'l' ? 0 : st->st_mode & 07777;
	if (e->kind == 'f') {
		e->mtime = st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
		e->digest = file_digest(path);
	} else if (e->kind == 'l') {
		e->digest = link_digest(path);
	}
}

static void below(const char *dir, const char *prefix, bool all, struct tree *t)
{
	OWNED(dir_closep) DIR *d = opendir(dir);
	char path[PATH_MAX], relative[PATH_MAX];
	const struct dirent *e;
	struct stat st;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    (!all && strncmp(e->d_name, ".satchel-", 9) == 0))
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		snprintf(relative, sizeof(relative), "%s%s", prefix, e->d_name);
		if (lstat(path, &st) < 0)
			continue;
		entry_add(t, path, relative, &st);
		if (S_ISDIR(st.st_mode)) {
			strcat(relative, "/");
			below(path, relative, all, t);
		}
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static void read_sorted(const char *dir, bool all, struct tree *ret)
{
	memset(ret, 0, sizeof(*ret));
	below(dir, "", all, ret);
	list_sort(ret, by_path);
}

void tree_read(const char *dir, struct tree *ret)
{
	read_sorted(dir, false, ret);
}

void tree_read_all(const char *dir, struct tree *ret)
{
	read_sorted(dir, true, ret);
}

static void names_below(const char *dir, const char *prefix, struct strings *ret)
{
	OWNED(dir_closep) DIR *d = opendir(dir);
	char path[PATH_MAX], relative[PATH_MAX];
	const struct dirent *e;
	struct err err;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		snprintf(relative, sizeof(relative), "%s%s%s", prefix, e->d_name,
			 e->d_type == DT_DIR ? "/" : "");
		if (e->d_type == DT_DIR)
			names_below(path, relative, ret);
		else if (strings_add(ret, relative, &err) < 0)
			abort();
	}
}

void tree_names(const char *dir, struct strings *ret)
{
	names_below(dir, "", ret);
}

void tree_clear(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->items[i].path);
	list_clear(t);
}

static int to_path(const void *key, const void *item)
{
	return strcmp(key, ((const struct entry *)item)->path);
}

const struct entry *tree_find(const struct tree *t, const char *path)
{
	return list_find(t, path, to_path);
}

bool entry_same(const struct entry *a, const struct entry *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->kind == b->kind && a->mode == b->mode && a->mtime == b->mtime &&
	       digest_equal(&a->digest, &b->digest);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	return remove(path);
}

void tree_remove(const char *dir)
{
	nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static void copy_file(const char *from, const char *to, const struct stat *st)
{
	OWNED(fd_closep) int in = open(from, O_RDONLY | O_CLOEXEC);
	OWNED(fd_closep) int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t buffer[65536];
	ssize_t n;

	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(out, buffer, (size_t)n) != n)
			abort();
	fchmod(out, st->st_mode & 07777);
	futimens(out, (struct timespec[2]){st->st_atim, st->st_mtim});
}

static void copy_any(const char *from, const char *to)
{
	OWNED(dir_closep) DIR *d = NULL;
	char a[PATH_MAX], b[PATH_MAX];
	const struct dirent *e;
	struct stat st;
	ssize_t n;

	if (lstat(from, &st) < 0)
		return;
	if (S_ISREG(st.st_mode)) {
		copy_file(from, to, &st);
		return;
	}
	if (S_ISLNK(st.st_mode)) {
		n = readlink(from, a, sizeof(a) - 1);
		a[n < 0 ? 0 : n] = '\0';
		if (symlink(a, to) == 0)
			utimensat(AT_FDCWD, to, (struct timespec[2]){st.st_atim, st.st_mtim},
				  AT_SYMLINK_NOFOLLOW);
		return;
	}
	mkdir(to, 0700);
	d = opendir(from);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(a, sizeof(a), "%s/%s", from, e->d_name);
		snprintf(b, sizeof(b), "%s/%s", to, e->d_name);
		copy_any(a, b);
	}
	chmod(to, st.st_mode & 07777);
	utimensat(AT_FDCWD, to, (struct timespec[2]){st.st_atim, st.st_mtim}, 0);
}

void tree_copy(const char *from, const char *to)
{
	copy_any(from, to);
}
