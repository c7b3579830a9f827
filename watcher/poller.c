/* SPDX-License-Identifier: ISC */
/*
 * Where inotify does not see what other machines do, names are listed and compared instead.  The
 * child that lists them sends hashes, so the watcher keeps little and parses nothing of a
 * stranger's.
 */
#include "watcher/poller.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/confine.h"
#include "core/os/dir.h"

/* What a child sends: the hashes, or nothing at all when there is no depot. */
enum { POLLER_FOUND, POLLER_NOTHING };

struct polling {
	const char *path;
	enum hint_scope scope;
	struct poller_names seen; /* owned */
	struct digest_stream all;
	bool many; /* more than fit */
};

static void name_add(struct polling *l, const char *dir, const char *name)
{
	struct digest_stream hash;
	struct digest d;

	digest_more(&l->all, name, strlen(name) + 1);
	digest_start(&hash);
	digest_more(&hash, dir, strlen(dir) + 1);
	digest_more(&hash, name, strlen(name));
	d = digest_end(&hash);
	if (l->seen.n < POLLER_NAMES)
		l->seen.name[l->seen.n++] = get_u64(d.b);
	else
		l->many = true;
}

/*
 * A copy that is on its way has its name before it is whole, so size and time count as well: of
 * every file of an inbox, and of the newest of what a workstation waits for, which is all that
 * matters there.  They decide nothing but whether to look closer.
 */
static void file_add(struct polling *l, int dir, const char *path, const char *name)
{
	char text[NAME_MAX + 64];
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	snprintf(text, sizeof(text), "%s/%jd/%jd.%ld", name, (intmax_t)st.st_size,
		 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	name_add(l, path, text);
}

struct poll_dir {
	struct polling *l;
	const char *dir;
	unsigned entries;
	char newest[NAME_MAX + 1]; /* the entry with the largest number in front */
};

static int entry_poll(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct poll_dir *p = arg;

	if (p->entries++ == POLLER_ENTRIES)
		return 1;
	if (entry->name[0] == '.')
		return 0;
	name_add(p->l, p->dir, entry->name);
	if (p->l->scope == HINT_INBOX && p->l->seen.n < POLLER_STATS)
		file_add(p->l, entry->dirfd, p->dir, entry->name);
	else if (p->l->scope == HINT_BEATS &&
		 strtoull(entry->name, NULL, 10) >= strtoull(p->newest, NULL, 10))
		snprintf(p->newest, sizeof(p->newest), "%s", entry->name);
	return 0;
}

/* Absent directories are empty ones: a depot grows them when it needs them. */
static void directory_poll(struct polling *l, int root, const char *dir)
{
	OWNED(fd_closep) int fd = beneath_dir(root, dir, ERR_IGNORED);
	struct poll_dir p = {.l = l, .dir = dir};

	if (fd < 0)
		return;
	dir_each(fd, ".", 0, entry_poll, &p, ERR_IGNORED);
	if (p.newest[0] != '\0')
		file_add(l, fd, dir, p.newest);
}

static int hash_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int poller_main(void *arg, int fd)
{
	struct polling *l = arg;
	OWNED(fd_closep) int root = os_open_dir(l->path, ERR_IGNORED);
	struct bytes none = {NULL, 0};
	struct err err;

	if (root < 0)
		return frame_send(fd, POLLER_NOTHING, none, &err) < 0;
	if (confine_self(CONFINE_POLLER, root, &err) < 0)
		return 1;
	l->seen.name = calloc(POLLER_NAMES, sizeof(*l->seen.name));
	if (l->seen.name == NULL)
		return 1;
	digest_start(&l->all);
	if (l->scope == HINT_BEATS) {
		directory_poll(l, root, "beats");
		directory_poll(l, root, "trust");
	}
	for (unsigned xx = 0; l->scope == HINT_INBOX && xx < 256; xx++) {
		char dir[16];

		snprintf(dir, sizeof(dir), "inbox/%02x", xx);
		directory_poll(l, root, dir);
	}
	if (l->many) {
		struct digest d = digest_end(&l->all);

		l->seen.name[0] = get_u64(d.b);
		l->seen.n = 1;
	}
	qsort(l->seen.name, l->seen.n, sizeof(*l->seen.name), hash_compare);
	return frame_send(fd, POLLER_FOUND,
			  (struct bytes){(uint8_t *)l->seen.name, l->seen.n * sizeof(uint64_t)},
			  &err) < 0;
}

int poller_start(const char *path, enum hint_scope scope, struct poller *ret, struct err *err)
{
	struct polling l = {.path = path, .scope = scope};

	return child_start(poller_main, &l, NULL, 0, &ret->child, err);
}

int poller_read(struct poller *l, struct poller_names *ret, struct err *err)
{
	OWNED(buf_clear) struct buf body = BUF_INIT;
	uint8_t type;
	int rc =
	    frame_receive(l->child.fd, POLLER_NAMES * sizeof(uint64_t), 1000, &type, &body, err);

	if (rc == 0)
		return err_set(err, RC_IO, "the poll ended without an answer");
	if (rc < 0)
		return rc;
	*ret = (struct poller_names){(uint64_t *)(void *)body.p, body.n / sizeof(uint64_t),
				     type == POLLER_FOUND};
	body = (struct buf)BUF_INIT;
	return 0;
}

void poller_stop(struct poller *l)
{
	child_kill(&l->child);
}

bool poller_names_news(const struct poller_names *now, const struct poller_names *before)
{
	size_t b = 0;

	for (size_t i = 0; i < now->n; i++) {
		while (b < before->n && before->name[b] < now->name[i])
			b++;
		if (b == before->n || before->name[b] != now->name[i])
			return true;
	}
	return false;
}

void poller_names_clear(struct poller_names *s)
{
	free(s->name);
	*s = (struct poller_names){NULL, 0, false};
}
