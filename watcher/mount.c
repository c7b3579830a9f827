/* SPDX-License-Identifier: ISC */
/*
 * The list of mounts, read from the kernel's own text: which of them can be media that a person has
 * plugged in.
 */
#include "watcher/mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"

/* One field of a line: up to the next blank. */
static bool field_next(const char **at, const char *end, const char **ret, size_t *ret_n)
{
	const char *from = *at, *blank;

	if (from >= end)
		return false;
	blank = memchr(from, ' ', (size_t)(end - from));
	*ret = from;
	*ret_n = (size_t)((blank != NULL ? blank : end) - from);
	*at = blank != NULL ? blank + 1 : end;
	return true;
}

static bool octal(const char *p, size_t n, char *ret)
{
	unsigned v = 0;

	if (n < 4 || p[0] != '\\')
		return false;
	for (size_t i = 1; i < 4; i++) {
		if (p[i] < '0' || p[i] > '7')
			return false;
		v = v * 8 + (unsigned)(p[i] - '0');
	}
	*ret = (char)v;
	return v > 0 && v < 256;
}

/* An owned copy without the escapes; NULL without memory. */
static char *plain(const char *p, size_t n)
{
	char *copy = malloc(n + 1), *to = copy;

	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < n;) {
		if (octal(p + i, n - i, to)) {
			i += 4;
			to++;
		} else {
			*to++ = p[i++];
		}
	}
	*to = '\0';
	return copy;
}

static bool option_is(const char *p, size_t n, const char *text)
{
	return n >= strlen(text) && memcmp(p, text, strlen(text)) == 0;
}

/* Source: fs/fuse/inode.c, fuse_show_options and fuse_permission: without allow_other the kernel
 * lets in who mounted it, and nobody else. */
static bool closed_to_us(const char *p, const char *end)
{
	bool all = false, ours = true;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t n = (size_t)((comma != NULL ? comma : end) - p);
		uint64_t user;

		all = all || (n == 11 && option_is(p, n, "allow_other"));
		if (option_is(p, n, "user_id=") &&
		    number_u64(p + 8, n - 8, UINT32_MAX, &user, ERR_IGNORED) == 0)
			ours = user == geteuid();
		p += n + 1;
	}
	return !all && !ours;
}

/* id parent major:minor root POINT options [optional...] - TYPE SOURCE OPTIONS: 1 understood. */
static int line_parse(const char *at, const char *end, struct mount *ret, struct err *err)
{
	const char *id, *skip, *point, *type, *source;
	size_t id_n, skip_n, point_n, type_n, source_n;

	if (!field_next(&at, end, &id, &id_n) || !field_next(&at, end, &skip, &skip_n) ||
	    !field_next(&at, end, &skip, &skip_n) || !field_next(&at, end, &skip, &skip_n) ||
	    !field_next(&at, end, &point, &point_n) || !field_next(&at, end, &skip, &skip_n))
		return 0;
	do
		if (!field_next(&at, end, &skip, &skip_n))
			return 0;
	while (skip_n != 1 || skip[0] != '-');
	if (!field_next(&at, end, &type, &type_n) || !field_next(&at, end, &source, &source_n) ||
	    number_u64(id, id_n, INT64_MAX, &ret->id, ERR_IGNORED) < 0)
		return 0;
	ret->point = plain(point, point_n);
	ret->source = plain(source, source_n);
	if (ret->point == NULL || ret->source == NULL) {
		free(ret->point);
		free(ret->source);
		return err_memory(err);
	}
	snprintf(ret->type, sizeof(ret->type), "%.*s", (int)type_n, type);
	ret->closed = strncmp(ret->type, "fuse", 4) == 0 && closed_to_us(at, end);
	return 1;
}

void mounts_clear(struct mounts *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->mount[i].point);
		free(m->mount[i].source);
	}
	free(m->mount);
	*m = (struct mounts){NULL, 0};
}

static size_t lines_of(struct bytes text)
{
	size_t n = 1;

	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == '\n';
	return n;
}

int mounts_parse(struct bytes text, struct mounts *ret, struct err *err)
{
	OWNED(mounts_clear) struct mounts m = {NULL, 0};
	const char *at = (const char *)text.p, *end = at + text.n;
	size_t lines = lines_of(text);

	if (lines > MOUNTS_MAX)
		return err_set(err, RC_LIMIT, "more than %u mounts", MOUNTS_MAX);
	m.mount = calloc(lines, sizeof(*m.mount));
	if (m.mount == NULL)
		return err_memory(err);
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		int rc = line_parse(at, stop != NULL ? stop : end, &m.mount[m.n], err);

		if (rc < 0)
			return rc;
		m.n += (size_t)rc;
		at = stop != NULL ? stop + 1 : end;
	}
	*ret = m;
	m = (struct mounts){NULL, 0};
	return 0;
}

int mounts_open(struct err *err)
{
	int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, RC_IO, "cannot read the list of mounts") : fd;
}

int mounts_read(int fd, struct mounts *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	ssize_t n = 1;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(err, RC_IO, "cannot read the list of mounts");
	while (n > 0) {
		int rc = buf_reserve(&text, 65536, err);

		if (rc < 0)
			return rc;
		n = read(fd, text.p + text.n, 65536);
		if (n < 0)
			return err_sys(err, RC_IO, "cannot read the list of mounts");
		text.n += (size_t)n;
		if (text.n > MOUNTS_BYTES)
			return err_set(err, RC_LIMIT, "the list of mounts has more than %u bytes",
				       MOUNTS_BYTES);
	}
	return mounts_parse(bytes_in(&text), ret, err);
}

bool mounts_has(const struct mounts *m, uint64_t id, const char *point)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->mount[i].id == id && strcmp(m->mount[i].point, point) == 0)
			return true;
	return false;
}

static bool listed(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(text, list[i]) == 0)
			return true;
	return false;
}

bool mount_may_be_removable(const struct mount *m, bool early)
{
	static const char *const never[] = {
	    "autofs",      "binfmt_misc",     "bpf",      "cgroup",    "cgroup2",
	    "configfs",    "debugfs",         "devpts",   "devtmpfs",  "efivarfs",
	    "fuse.portal", "fuse.gvfsd-fuse", "fusectl",  "hugetlbfs", "mqueue",
	    "nsfs",        "overlay",         "proc",     "pstore",    "ramfs",
	    "rpc_pipefs",  "securityfs",      "squashfs", "sysfs",     "tracefs",
	};
	static const char *const above[] = {"/media/", "/run/media/", "/mnt/"};

	if (m->closed || listed(m->type, never, ARRAY_LEN(never)))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(above); i++)
		if (strncmp(m->point, above[i], strlen(above[i])) == 0)
			return true;
	if (strcmp(m->point, "/mnt") == 0)
		return true;
	return !early && (strncmp(m->source, "/dev/", 5) == 0 || strncmp(m->type, "fuse", 4) == 0);
}
