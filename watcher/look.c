#include "watcher/look.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/digest.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

/* What a child sends: the hashes, or nothing at all when there is no depot. */
enum { LOOK_FOUND, LOOK_NOTHING };

struct looking {
	const char *path;
	enum hint_scope scope;
	struct seen seen; /* owned */
	struct digest_stream all;
	bool many; /* more than fit */
};

static void name_add(struct looking *l, const char *dir, const char *name)
{
	struct digest_stream hash;
	struct digest d;

	digest_more(&l->all, name, strlen(name) + 1);
	digest_start(&hash);
	digest_more(&hash, dir, strlen(dir) + 1);
	digest_more(&hash, name, strlen(name));
	d = digest_end(&hash);
	if (l->seen.n < LOOK_NAMES)
		l->seen.name[l->seen.n++] = get_u64(d.b);
	else
		l->many = true;
}

/*
 * A copy that is on its way has its name before it is whole, so size and time count as well: of
 * every file of an inbox, and of the newest of what a workstation waits for, which is all that
 * matters there.  They decide nothing but whether to look closer.
 */
static void file_add(struct looking *l, int dir, const char *path, const char *name)
{
	char text[NAME_MAX + 64];
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	snprintf(text, sizeof(text), "%s/%jd/%jd.%ld", name, (intmax_t)st.st_size,
		 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	name_add(l, path, text);
}

/* Absent directories are empty ones: a depot grows them when it needs them. */
static void directory_look(struct looking *l, int root, const char *dir)
{
	OWNED(dir_closep) DIR *d = NULL;
	int fd = beneath_dir(root, dir, NULL);
	char newest[NAME_MAX + 1] = "";
	struct dirent *e;

	if (fd < 0)
		return;
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return;
	}
	for (unsigned i = 0; i < LOOK_ENTRIES && (e = readdir(d)) != NULL; i++) {
		if (e->d_name[0] == '.')
			continue;
		name_add(l, dir, e->d_name);
		if (l->scope == HINT_INBOX && l->seen.n < LOOK_STATS)
			file_add(l, fd, dir, e->d_name);
		else if (l->scope == HINT_BEATS &&
			 strtoull(e->d_name, NULL, 10) >= strtoull(newest, NULL, 10))
			snprintf(newest, sizeof(newest), "%s", e->d_name);
	}
	if (newest[0] != '\0')
		file_add(l, fd, dir, newest);
}

static int hash_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int look_main(void *arg, int fd)
{
	struct looking *l = arg;
	OWNED(fd_closep) int root = os_open_dir(l->path, NULL);
	struct bytes none = {NULL, 0};
	struct err err;

	if (root < 0)
		return frame_send(fd, LOOK_NOTHING, none, &err) < 0;
	l->seen.name = calloc(LOOK_NAMES, sizeof(*l->seen.name));
	if (l->seen.name == NULL)
		return 1;
	digest_start(&l->all);
	if (l->scope == HINT_BEATS) {
		directory_look(l, root, "beats");
		directory_look(l, root, "trust");
	}
	for (unsigned xx = 0; l->scope == HINT_INBOX && xx < 256; xx++) {
		char dir[16];

		snprintf(dir, sizeof(dir), "inbox/%02x", xx);
		directory_look(l, root, dir);
	}
	if (l->many) {
		struct digest d = digest_end(&l->all);

		l->seen.name[0] = get_u64(d.b);
		l->seen.n = 1;
	}
	qsort(l->seen.name, l->seen.n, sizeof(*l->seen.name), hash_compare);
	return frame_send(fd, LOOK_FOUND,
			  (struct bytes){(uint8_t *)l->seen.name, l->seen.n * sizeof(uint64_t)},
			  &err) < 0;
}

int look_start(const char *path, enum hint_scope scope, struct look *ret, struct err *err)
{
	struct looking l = {.path = path, .scope = scope};

	return child_start(look_main, &l, NULL, 0, &ret->child, err);
}

int look_read(struct look *l, struct seen *ret, struct err *err)
{
	OWNED(buf_clear) struct buf body = BUF_INIT;
	uint8_t type;
	int rc = frame_receive(l->child.fd, LOOK_NAMES * sizeof(uint64_t), 1000, &type, &body, err);

	if (rc == 0)
		return err_set(err, RC_IO, "a look found nothing out");
	if (rc < 0)
		return rc;
	*ret = (struct seen){(uint64_t *)(void *)body.p, body.n / sizeof(uint64_t),
			     type == LOOK_FOUND};
	body = (struct buf)BUF_INIT;
	return 0;
}

void look_stop(struct look *l)
{
	child_kill(&l->child);
}

bool seen_news(const struct seen *now, const struct seen *before)
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

void seen_clear(struct seen *s)
{
	free(s->name);
	*s = (struct seen){NULL, 0, false};
}
