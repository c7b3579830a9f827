/* SPDX-License-Identifier: ISC */
/*
 * Making a backup.  The registry is copied by SQLite, which gives one moment of it while others
 * write; then the files beside it, which are written once and never changed.  Keys that are made
 * meanwhile are too many, never too few.
 *
 * The content of the envelope: for each file a line "file MODE BYTES PATH\n" and its bytes, PATH
 * being documents/... or state/...; then "end 0 0 .\n".
 */
#include "bundler/backup/backup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundler/site/site_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"
#include "core/trust/envelope.h"

/* The copy of the registry, in the state directory while it is read. */
#define COPY ".backup.db"
#define MARK "backed-up"
/* Nobody nests documents deeper; a loop of mounts would. */
#define DEPTH_MOST 8

struct making {
	struct site *s;
	struct envelope *e; /* owned */
	enum backup_flags flags;
	struct backup_counts *counts;
	const char *prefix;        /* "documents" or "state" */
	char path[LIMIT_PATH + 1]; /* of the directory in hand, below that */
	unsigned depth;
};

static int file_put(struct making *m, int fd, const char *path, struct err *err)
{
	OWNED(freep) uint8_t *piece = malloc(ENVELOPE_MESSAGE);
	char line[LIMIT_PATH + 64];
	struct stat st;
	int rc;

	if (piece == NULL)
		return err_memory(err);
	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "%s", path);
	snprintf(line, sizeof(line), "file %o %" PRIu64 " %s/%s\n", (unsigned)st.st_mode & 0777,
		 (uint64_t)st.st_size, m->prefix, path);
	rc = envelope_put(m->e, bytes_of(line), err);
	for (uint64_t left = (uint64_t)st.st_size; rc == 0 && left > 0;) {
		size_t want = left < ENVELOPE_MESSAGE ? (size_t)left : ENVELOPE_MESSAGE;
		ssize_t n = read(fd, piece, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_sys(err, RC_IO, "%s", path)
				     : err_set(err, RC_AGAIN,
					       "%s was cut while it was read: try "
					       "again",
					       path);
		rc = envelope_put(m->e, (struct bytes){piece, (size_t)n}, err);
		left -= (uint64_t)n;
	}
	m->counts->files++;
	m->counts->bytes += (uint64_t)st.st_size;
	return rc;
}

/* Of the state: its databases are copied, and locks, marks and what is made anew are left out. */
static bool left_out(const struct making *m, const char *name)
{
	static const char *const never[] = {SITE_REGISTRY, SITE_REGISTRY "-wal",
					    SITE_REGISTRY "-shm", "lock", MARK};

	if (name[0] == '.' || strchr(name, '\n') != NULL)
		return name[0] != '.' || strcmp(m->prefix, "state") == 0 ||
		       strcmp(name, ".git") == 0;
	if (strcmp(m->prefix, "state") != 0 || m->depth > 0)
		return false;
	if (strcmp(name, "store") == 0)
		return (m->flags & BACKUP_CONTENT) == 0;
	for (size_t i = 0; i < ARRAY_LEN(never); i++)
		if (strcmp(name, never[i]) == 0)
			return true;
	return false;
}

static int entry_put(void *arg, const struct dir_entry *entry, struct err *err);

static int directory_put(struct making *m, int dirfd, const char *name, size_t was, struct err *err)
{
	int rc;

	if (m->depth == DEPTH_MOST)
		return err_set(err, RC_LIMIT, "%s: directories inside each other, too many",
			       m->path);
	m->depth++;
	rc = dir_each(dirfd, name, 0, entry_put, m, err);
	m->depth--;
	m->path[was] = '\0';
	return rc;
}

static int entry_put(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct making *m = arg;
	size_t was = strlen(m->path);
	OWNED(fd_closep) int fd = -1;
	struct stat st;
	int n, rc;

	if (left_out(m, entry->name) ||
	    fstatat(entry->dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	n = snprintf(m->path + was, sizeof(m->path) - was, "%s%s", was > 0 ? "/" : "", entry->name);
	if (n < 0 || (size_t)n >= sizeof(m->path) - was)
		return err_set(err, RC_PATH, "%s: a path that is too long", entry->name);
	if (S_ISDIR(st.st_mode))
		return directory_put(m, entry->dirfd, entry->name, was, err);
	rc = 0;
	if (S_ISREG(st.st_mode)) {
		fd = openat(entry->dirfd, entry->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		rc = fd < 0 ? err_sys(err, RC_IO, "%s", m->path) : file_put(m, fd, m->path, err);
	}
	m->path[was] = '\0';
	return rc;
}

static int tree_put(struct making *m, int dirfd, const char *prefix, struct err *err)
{
	m->prefix = prefix;
	m->path[0] = '\0';
	m->depth = 0;
	return dir_each(dirfd, ".", 0, entry_put, m, err);
}

/* One moment of the registry, whatever is written meanwhile. */
static int registry_put(struct making *m, struct err *err)
{
	OWNED(freep) char *path = NULL;
	OWNED(fd_closep) int fd = -1;
	int rc;

	if (asprintf(&path, "%s/" COPY, m->s->state) < 0) {
		path = NULL;
		return err_memory(err);
	}
	unlinkat(m->s->statefd, COPY, 0);
	rc = db_run(m->s->db, err, "VACUUM INTO ?1", "t", path);
	if (rc == 0) {
		m->prefix = "state";
		fd = openat(m->s->statefd, COPY, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		rc = fd < 0 || fchmod(fd, 0600) < 0 ? err_sys(err, RC_IO, "%s", path)
						    : file_put(m, fd, SITE_REGISTRY, err);
	}
	unlinkat(m->s->statefd, COPY, 0);
	return rc;
}

static int content_put(struct making *m, struct err *err)
{
	int rc = registry_put(m, err);

	if (rc == 0)
		rc = tree_put(m, m->s->statefd, "state", err);
	if (rc == 0)
		rc = tree_put(m, m->s->dirfd, "documents", err);
	if (rc == 0)
		rc = envelope_put(m->e, bytes_of("end 0 0 .\n"), err);
	return rc < 0 ? rc : envelope_end(m->e, err);
}

int backup_make(struct site *s, const char *path, struct key_ask *ask, const struct key_public *to,
		enum backup_flags flags, struct backup_counts *ret, struct err *err)
{
	OWNED(freep) char *for_dir = strdup(path);
	OWNED(freep) char *for_base = strdup(path);
	OWNED(fd_closep) int dirfd = -1;
	OWNED(durable_abort) struct durable d = DURABLE_INIT;
	struct making m = {.s = s, .flags = flags, .counts = ret};
	const char *name;
	struct stat st;
	int rc;

	if (for_dir == NULL || for_base == NULL)
		return err_memory(err);
	name = basename(for_base);
	dirfd = os_open_dir(dirname(for_dir), err);
	if (dirfd < 0)
		return dirfd;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, RC_CONFLICT, "%s is there already: name another file", path);
	rc = durable_begin(dirfd, name, 0600, &d, err);
	if (rc == 0)
		rc = envelope_make(d.fd, ask, to, &m.e, err);
	if (rc == 0)
		rc = content_put(&m, err);
	envelope_freep(&m.e);
	if (rc == 0)
		rc = durable_commit(&d, name, 0, err);
	if (rc == 0)
		rc = durable_write(s->statefd, MARK, bytes_of(""), 0600, DURABLE_REPLACE, err);
	return rc < 0 ? err_prefix(err, "backup %s", path) : 0;
}
