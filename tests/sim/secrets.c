/* SPDX-License-Identifier: ISC */
/*
 * What must never be in a depot: the server's keys, the contents of a sealed channel, what people
 * wrote on their machines.  Contents have a part that no compression changes, so that they would be
 * found.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/sim/life.h"

void secret_add(struct world *w, const uint8_t *p)
{
	struct secret s;
	struct err err;

	memcpy(s.b, p, SECRET);
	if (list_push(&w->secrets.secret, s, &err) < 0)
		abort();
}

static uint8_t *file_bytes(const char *path, size_t *ret_n)
{
	OWNED(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	off_t n = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
	uint8_t *p = malloc(n > 0 ? (size_t)n : 1);

	if (p == NULL)
		abort();
	*ret_n = n > 0 && pread(fd, p, (size_t)n, 0) == n ? (size_t)n : 0;
	return p;
}

void secret_file(struct world *w, const char *path)
{
	size_t n;
	OWNED(freep) uint8_t *p = file_bytes(path, &n);

	/* A line says which it is; then come random bytes, up to the middle. */
	if (n > 200)
		secret_add(w, p + 64);
}

static void file_check(struct world *w, const char *path)
{
	size_t n;
	OWNED(freep) uint8_t *p = file_bytes(path, &n);

	for (size_t i = 0; i < w->secrets.secret.n; i++)
		if (memmem(p, n, w->secrets.secret.items[i].b, SECRET) != NULL)
			world_fail(w, "a secret is in %s", path);
}

static void depot_check(struct world *w, const char *dir)
{
	struct strings names = {0};
	struct err err;

	tree_names(dir, &names);
	for (size_t i = 0; i < names.n; i++) {
		const char *last = strrchr(names.items[i], '/');
		char path[PATH_MAX];

		/* A name says what is in the file. */
		if (strings_insert(&w->secrets.seen, last != NULL ? last : names.items[i], &err) !=
		    1)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, names.items[i]);
		file_check(w, path);
	}
	strings_clear(&names);
}

void secrets_check(struct world *w)
{
	depot_check(w, w->depot);
	for (int i = 0; i < STICKS; i++)
		depot_check(w, w->stick[i]);
}

void secrets_clear(struct world *w)
{
	list_clear(&w->secrets.secret);
	strings_clear(&w->secrets.seen);
}
