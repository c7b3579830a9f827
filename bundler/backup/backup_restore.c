/* SPDX-License-Identifier: ISC */
/*
 * Bringing a backup back.  What the file says of paths is taken for hostile, because whoever has a
 * public key can make a file for it: paths go nowhere but below the two new directories.
 *
 *   STATE.restoring, DIR.restoring    nothing refers to them: removed, and begun again
 *   STATE, and no DIR                 killed between the two names: the same again is refused, and
 *                                     the sentence says what to remove
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundler/backup/backup.h"
#include "core/base/own.h"
#include "core/format/bundle/path.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"
#include "core/trust/envelope.h"

/* One of the two directories that are made. */
struct target {
	char *path;     /* owned; absolute */
	int parentfd;   /* owned */
	char base[256]; /* its name in there */
	char building[256];
	int fd; /* owned; the one that is built */
};

static void target_clear(struct target *t)
{
	fd_closep(&t->fd);
	fd_closep(&t->parentfd);
	free(t->path);
}

struct restoring {
	struct envelope *e; /* owned */
	struct target documents, state;
	struct backup_counts *counts;
};

static void restoring_clear(struct restoring *r)
{
	envelope_freep(&r->e);
	target_clear(&r->documents);
	target_clear(&r->state);
}

static int target_begin(struct target *t, mode_t mode, struct err *err)
{
	OWNED(freep) char *parent = strdup(t->path);
	struct stat st;
	char *slash;
	int rc;

	if (parent == NULL)
		return err_memory(err);
	slash = strrchr(parent, '/');
	if ((size_t)snprintf(t->base, sizeof(t->base), "%s", slash + 1) >= sizeof(t->base) ||
	    (size_t)snprintf(t->building, sizeof(t->building), "%.240s.restoring", slash + 1) >=
		sizeof(t->building) ||
	    t->base[0] == '\0')
		return err_set(err, RC_USAGE, "%s cannot be made", t->path);
	slash[slash == parent ? 1 : 0] = '\0';
	t->parentfd = os_open_dir(parent, err);
	if (t->parentfd < 0)
		return t->parentfd;
	if (fstatat(t->parentfd, t->base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    unlinkat(t->parentfd, t->base, AT_REMOVEDIR) < 0)
		return err_set(err, RC_CONFLICT,
			       "%s is there, and not empty: move it away first, or name another "
			       "directory",
			       t->path);
	rc = beneath_remove_tree(t->parentfd, t->building, err);
	if (rc < 0)
		return rc;
	if (mkdirat(t->parentfd, t->building, mode) < 0)
		return err_sys(err, RC_IO, "cannot make %s.restoring", t->path);
	t->fd = beneath_dir(t->parentfd, t->building, err);
	return t->fd < 0 ? t->fd : 0;
}

static int target_commit(struct target *t, struct err *err)
{
	int rc = syncfs(t->fd) < 0 ? err_sys(err, RC_IO, "cannot flush %s", t->path) : 0;

	if (rc == 0)
		rc = rename_new(t->parentfd, t->building, t->base, err);
	return rc < 0 ? rc : dir_sync(t->parentfd, err);
}

static int line_get(struct restoring *r, char *dst, size_t size, struct err *err)
{
	for (size_t n = 0; n < size; n++) {
		int rc = envelope_get(r->e, &dst[n], 1, err);

		if (rc < 0)
			return rc;
		if (dst[n] != '\n')
			continue;
		dst[n] = '\0';
		return 0;
	}
	return err_set(err, RC_MALFORMED, "a line that is too long");
}

static int bytes_take(struct restoring *r, int fd, uint64_t size, struct err *err)
{
	OWNED(freep) uint8_t *piece = malloc(ENVELOPE_MESSAGE);
	int rc = piece == NULL ? err_memory(err) : 0;

	r->counts->bytes += size;
	while (rc == 0 && size > 0) {
		size_t n = size < ENVELOPE_MESSAGE ? (size_t)size : ENVELOPE_MESSAGE;

		rc = envelope_get(r->e, piece, n, err);
		if (rc == 0)
			rc = fd_write(fd, piece, n, err);
		size -= n;
	}
	return rc;
}

static int file_take(struct restoring *r, const struct target *t, const char *path, unsigned mode,
		     uint64_t size, struct err *err)
{
	OWNED(freep) char *dir = strdup(path);
	OWNED(fd_closep) int fd = -1;
	char *slash;
	int rc = path_check(path, err);

	if (dir == NULL)
		return err_memory(err);
	slash = strrchr(dir, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (rc == 0)
			rc = beneath_mkdirs(t->fd, dir, t == &r->state ? 0700 : 0755, err);
	}
	if (rc < 0)
		return rc;
	fd = beneath_open(t->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err);
	if (fd < 0)
		return fd;
	rc = bytes_take(r, fd, size, err);
	if (rc == 0 && fchmod(fd, mode & 0755) < 0)
		rc = err_sys(err, RC_IO, "%s", path);
	r->counts->files++;
	return rc;
}

/* 1: the end. */
static int member_take(struct restoring *r, struct err *err)
{
	char line[LIMIT_PATH + 64], path[LIMIT_PATH + 32];
	const char *rest;
	uint64_t size;
	unsigned mode;
	int at = 0, rc = line_get(r, line, sizeof(line), err);

	if (rc < 0)
		return rc;
	if (strcmp(line, "end 0 0 .") == 0)
		return 1;
	if (sscanf(line, "file %o %" SCNu64 " %n", &mode, &size, &at) != 2 || at == 0)
		return err_set(err, RC_MALFORMED, "a line that is none of a backup");
	snprintf(path, sizeof(path), "%s", line + at);
	if (strncmp(path, "state/", 6) == 0)
		rest = path + 6, rc = file_take(r, &r->state, rest, mode & 0700, size, err);
	else if (strncmp(path, "documents/", 10) == 0)
		rest = path + 10, rc = file_take(r, &r->documents, rest, mode, size, err);
	else
		rc = err_set(err, RC_MALFORMED, "a path that is none of a backup");
	return rc;
}

static int content_take(struct restoring *r, struct err *err)
{
	int rc;

	do
		rc = member_take(r, err);
	while (rc == 0);
	if (rc == 1 && mkdirat(r->state.fd, "store", 0700) < 0 && errno != EEXIST)
		rc = err_sys(err, RC_IO, "cannot make the content store");
	return rc < 0 ? rc : 0;
}

static int paths_set(struct restoring *r, const struct restore *in, struct err *err)
{
	int rc = dir_absolute(in->dir, &r->documents.path, err);

	if (rc == 0 && in->state != NULL)
		rc = dir_absolute(in->state, &r->state.path, err);
	else if (rc == 0 && asprintf(&r->state.path, "%s.state", r->documents.path) < 0) {
		r->state.path = NULL;
		rc = err_memory(err);
	}
	return rc;
}

static int run(struct restoring *r, struct err *err)
{
	int rc = target_begin(&r->state, 0700, err);

	if (rc == 0)
		rc = target_begin(&r->documents, 0755, err);
	if (rc == 0)
		rc = content_take(r, err);
	if (rc == 0)
		rc = target_commit(&r->state, err);
	return rc < 0 ? rc : target_commit(&r->documents, err);
}

int backup_restore(const struct restore *in, struct backup_counts *ret, struct err *err)
{
	OWNED(restoring_clear)
	struct restoring r = {.documents = {.parentfd = -1, .fd = -1},
			      .state = {.parentfd = -1, .fd = -1},
			      .counts = ret};
	OWNED(fd_closep) int fd = open(in->file, O_RDONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(err, RC_IO, "%s", in->file);
	rc = paths_set(&r, in, err);
	if (rc == 0)
		rc = envelope_open(fd, in->ask, in->key, &r.e, err);
	if (rc == 0)
		rc = run(&r, err);
	if (rc < 0) {
		beneath_remove_tree(r.state.parentfd, r.state.building, ERR_IGNORED);
		beneath_remove_tree(r.documents.parentfd, r.documents.building, ERR_IGNORED);
	}
	return rc < 0 ? err_prefix(err, "%s", in->file) : 0;
}
