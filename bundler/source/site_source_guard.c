/* SPDX-License-Identifier: ISC */
/*
 * What no source may touch: every directory of the state, since a bind mount may show any of them
 * elsewhere; the documents; the depot; the workstation of this machine.  And each secret file,
 * since a hard link takes it out of its directory; the master key of the key store lies where its
 * owner chose.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents_internal.h"
#include "bundler/keystore/keystore.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/source/site_source_internal.h"
#include "bundler/trust/site_keys.h"
#include "core/base/own.h"
#include "core/base/places.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

/* Where the workstation of the machine keeps its secrets. */
static const char *const station_dirs[] = {PLACE_STATION, PLACE_HANDOUT};
/* Deeper than the state ever is. */
#define STATE_DEPTH 8
/* Files that are at most this long are known by their content as well: keys, not databases. */
#define SECRET_SMALL 4096

static int place_push(struct site_source_guard *g, const struct dir_id *id, const char *what,
		      const char *path, bool inside, struct err *err)
{
	struct site_source_place *p = list_add(&g->place, err);

	if (p == NULL)
		return err->rc;
	*p = (struct site_source_place){*id, what, strdup(path), inside};
	return p->path == NULL ? err_memory(err) : 0;
}

/* ids: of the place and of what lies above it. */
static int place_add(struct site_source_guard *g, const struct dir_ids *ids, const char *what,
		     const char *path, bool inside, struct err *err)
{
	int rc = place_push(g, &ids->items[0], what, path, inside, err);

	for (size_t i = 1; rc == 0 && i < ids->n; i++)
		rc = list_push(&g->above,
			       ((struct site_source_above){ids->items[i], g->place.n - 1}), err);
	return rc;
}

static int place_open(struct site_source_guard *g, int fd, const char *what, const char *path,
		      bool inside, struct err *err)
{
	struct dir_ids ids = {0};
	int rc = dir_above(fd, &ids, err);

	/* Of what belongs to somebody else not even the way up may be walked; it is known itself.
	 */
	if (rc < 0 && ids.n > 0 && inside)
		rc = 0;
	if (rc == 0)
		rc = place_add(g, &ids, what, path, inside, err);
	list_clear(&ids);
	return rc;
}

/* The state */

struct state_walk {
	struct site_source_guard *g;
	const char *what;
	const char *path;
	int depth;
	bool secrets; /* files here are secret */
};

/* The digest is of what may be a key: the bytes are wiped, and what is kept tells nothing. */
static void digest_take(int dirfd, const char *name, struct site_source_secret *f)
{
	OWNED(fd_closep) int fd = beneath_file(dirfd, name, NULL, ERR_IGNORED);
	uint8_t b[SECRET_SMALL];

	if (fd < 0 || f->size == 0 || f->size > sizeof(b))
		return;
	f->has_digest = fd_pread(fd, b, (size_t)f->size, 0, ERR_IGNORED) == 0;
	if (f->has_digest)
		f->digest = digest_of((struct bytes){b, (size_t)f->size});
	sodium_memzero(b, sizeof(b));
}

/* Only keys are opened: to close a database that is in use elsewhere in this process would drop its
 * locks. */
enum secret_known { SECRET_BY_IDENTITY, SECRET_BY_CONTENT /* as well */ };

static int secret_add(struct site_source_guard *g, int dirfd, const char *name, const char *path,
		      enum secret_known known, struct err *err)
{
	struct site_source_secret *f;
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	f = list_add(&g->secret, err);
	if (f == NULL)
		return err->rc;
	f->id = (struct dir_id){(uint64_t)st.st_dev, (uint64_t)st.st_ino};
	f->size = (uint64_t)st.st_size;
	if (known == SECRET_BY_CONTENT)
		digest_take(dirfd, name, f);
	f->path = strdup(path);
	return f->path == NULL ? err_memory(err) : 0;
}

static int state_entry(void *arg, const struct dir_entry *e, struct err *err)
{
	const struct state_walk *w = arg;
	struct state_walk below = {w->g, w->what, NULL, w->depth + 1, w->secrets};
	OWNED(freep) char *path = NULL;
	OWNED(fd_closep) int fd = -1;
	struct dir_id id;
	int rc;

	if (asprintf(&path, "%s/%s", w->path, e->name) < 0) {
		path = NULL;
		return err_memory(err);
	}
	fd = beneath_dir(e->dirfd, e->name, ERR_IGNORED);
	if (fd < 0)
		return w->secrets ? secret_add(w->g, e->dirfd, e->name, path,
					       site_source_key_name(e->name) ? SECRET_BY_CONTENT
									     : SECRET_BY_IDENTITY,
					       err)
				  : 0;
	if (w->depth == 0 && strcmp(e->name, SITE_KEYS) == 0)
		below.what = "the keys of the site";
	if (w->depth == 0 && strcmp(e->name, "store") == 0) {
		below.what = "the content store of the site";
		below.secrets = false; /* what lies in it was published */
	}
	below.path = path;
	rc = dir_id(fd, &id, err);
	if (rc == 0)
		rc = place_push(w->g, &id, below.what, path, true, err);
	if (rc < 0 || w->depth == STATE_DEPTH)
		return rc;
	return dir_each(fd, ".", 0, state_entry, &below, err);
}

static int state_add(struct site_source_guard *g, struct site *s, struct err *err)
{
	struct state_walk w = {g, "the state of the site", s->state, 0, true};
	int rc = place_open(g, s->statefd, w.what, s->state, true, err);

	return rc < 0 ? rc : dir_each(s->statefd, ".", 0, state_entry, &w, err);
}

/* A master key outside of the state, where `key store` was told to put it.  A medium that is not
 * plugged in holds nothing that could be published now; anything else that hides the file could. */
static int master_add(struct site_source_guard *g, struct site *s, struct err *err)
{
	OWNED(fd_closep) int dirfd = -1;
	char path[KEYSTORE_PATH], dir[KEYSTORE_PATH];
	char *slash;
	int rc = keystore_lock_path(s, path, err);

	if (rc <= 0)
		return rc;
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	slash[slash == dir ? 1 : 0] = '\0';
	dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return errno == ENOENT
			   ? 0
			   : err_sys(err, RC_IO, "the master key of the key store, %s", path);
	return secret_add(g, dirfd, strrchr(path, '/') + 1, path, SECRET_BY_CONTENT, err);
}

/* The documents */

static int document_dir_add(struct site_source_guard *g, struct site *s, const char *name,
			    struct err *err)
{
	OWNED(fd_closep) int fd = openat(s->dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWNED(freep) char *path = NULL;

	if (fd < 0)
		return 0;
	if (asprintf(&path, "%s/%s", s->dir, name) < 0) {
		path = NULL;
		return err_memory(err);
	}
	return place_open(g, fd, "documents of the site", path, true, err);
}

/* People do keep payload beside their documents; the documents themselves name users, and their
 * history is in .git. */
static int documents_add(struct site_source_guard *g, struct site *s, struct err *err)
{
	int rc = place_open(g, s->dirfd, "the documents of the site", s->dir, false, err);

	for (size_t i = 0; rc == 0 && site_kinds(i) != NULL; i++)
		rc = document_dir_add(g, s, site_kinds(i)->directory, err);
	return rc < 0 ? rc : document_dir_add(g, s, ".git", err);
}

/* The depot, and the workstation of this machine */

static int depot_add(struct site_source_guard *g, struct site *s, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct dir_ids ids = {0};
	int rc = 0;

	if (depot_open(s->depot, 0, s->silence_s, &d, ERR_IGNORED) == 0 &&
	    depot_above(d, &ids, ERR_IGNORED) == 0 && ids.n > 0)
		rc = place_add(g, &ids, "the depot", s->depot, true, err);
	list_clear(&ids);
	return rc;
}

static int station_add(struct site_source_guard *g, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(station_dirs); i++) {
		OWNED(fd_closep) int fd = open(station_dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			rc = place_open(g, fd, "the workstation of this machine", station_dirs[i],
					true, err);
	}
	return rc;
}

static int guard_fill(struct site_source_guard *g, struct site *s, struct err *err)
{
	int rc = state_add(g, s, err);

	if (rc == 0)
		rc = master_add(g, s, err);
	if (rc == 0)
		rc = documents_add(g, s, err);
	if (rc == 0)
		rc = depot_add(g, s, err);
	if (rc == 0)
		rc = station_add(g, err);
	list_sort(&g->secret, dir_id_compare);
	return rc < 0 ? rc : site_source_roots_load(s, &g->roots, err);
}

int site_source_guard(struct site *s, struct site_source_guard **ret, struct err *err)
{
	OWNED(site_source_guard_freep) struct site_source_guard *g = NULL;
	int rc;

	if (s->guard_fault.rc < 0)
		return err_set(err, s->guard_fault.rc, "%s", s->guard_fault.text);
	if (s->guard == NULL) {
		g = calloc(1, sizeof(*g));
		rc = g == NULL ? err_memory(err) : guard_fill(g, s, err);
		if (rc < 0) {
			s->guard_fault = *err;
			return rc;
		}
		s->guard = TAKE(g);
	}
	*ret = s->guard;
	return 0;
}

void site_source_guard_freep(struct site_source_guard **at)
{
	struct site_source_guard *g = *at;

	if (g == NULL)
		return;
	for (size_t i = 0; i < g->place.n; i++)
		free(g->place.items[i].path);
	for (size_t i = 0; i < g->secret.n; i++)
		free(g->secret.items[i].path);
	list_clear(&g->place);
	list_clear(&g->above);
	list_clear(&g->secret);
	site_source_roots_clear(&g->roots);
	free(g);
	*at = NULL;
}
