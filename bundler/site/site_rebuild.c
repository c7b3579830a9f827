/* SPDX-License-Identifier: ISC */
/*
 * A new state for a site of which only the documents are left: site.yaml says which site it is, and
 * the depot has its first trust document.  What else was published is taken over by recover, and
 * the keys that are gone are replaced with a root key.
 *
 *   STATE/registry.db is there    there is nothing to rebuild
 *   STATE/.rebuild.db             left by a run that was killed: removed, and begun again
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundler/documents/documents.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "bundler/site/site_internal.h"
#include "bundler/trust/site_trust.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/format/documents/trustchain.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

#define REBUILDING ".rebuild.db"
/* 2020-01-01, before there was satchel. */
#define KEYS_SINCE 1577836800
/* Well-named files that are read before it is given up. */
#define TRIES 256

struct first {
	const struct site *s;
	struct depot *d;
	struct trust *trust;  /* owned */
	struct buf raw;       /* owned */
	struct strings names; /* owned */
};

static void first_clear(struct first *f)
{
	free(f->trust);
	buf_clear(&f->raw);
	strings_clear(&f->names);
}

static int first_name(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct first *f = arg;
	char path[DEPOT_NAME];
	struct name n;

	(void)size;
	if ((size_t)snprintf(path, sizeof(path), "trust/%s", file) >= sizeof(path) ||
	    name_parse(path, &n) != NAME_TRUST || n.number != 1 || f->names.n == TRIES)
		return 0;
	return strings_add(&f->names, path, err);
}

/* Version 1, whose digest the id of the site is. */
static int first_find(struct first *f, struct err *err)
{
	int rc = depot_list(f->d, "trust", first_name, f, err);

	f->trust = calloc(1, sizeof(*f->trust));
	if (f->trust == NULL)
		return err_memory(err);
	for (size_t i = 0; rc == 0 && i < f->names.n; i++) {
		buf_reset(&f->raw);
		if (depot_read(f->d, f->names.items[i], LIMIT_DOCUMENT, &f->raw, ERR_IGNORED) ==
			0 &&
		    trustchain_first(bytes_in(&f->raw), &f->s->id, f->trust, ERR_IGNORED) == 0)
			return 0;
	}
	return rc < 0 ? rc
		      : err_set(err, RC_STATE,
				"the depot %s has no trust document of this site: bring one that "
				"has (a stick, or the share), and name it as depot: in site.yaml",
				depot_path(f->d));
}

static int registry_build(struct site *s, const struct first *f, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	OWNED(db_freep) struct db *db = NULL;
	OWNED(freep) char *path = NULL;
	int rc;

	if (asprintf(&path, "%s/" REBUILDING, s->state) < 0) {
		path = NULL;
		return err_memory(err);
	}
	unlinkat(s->statefd, REBUILDING, 0);
	unlinkat(s->statefd, REBUILDING "-wal", 0);
	unlinkat(s->statefd, REBUILDING "-shm", 0);
	rc = registry_open(path, &db, err);
	if (rc == 0)
		rc = db_tx_begin(&tx, db, err);
	if (rc == 0)
		rc = site_trust_add(db, f->trust, bytes_in(&f->raw), err);
	/* Nobody knows how often keys were rotated, but it was less than once a second. */
	if (rc == 0)
		rc = registry_counter_set(db, "key-floor", clock_now() - KEYS_SINCE, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc < 0)
		return rc;
	db_freep(&db);
	rc = rename_new(s->statefd, REBUILDING, SITE_REGISTRY, err);
	return rc < 0 ? rc : dir_sync(s->statefd, err);
}

static int directories_make(struct site *s, struct err *err)
{
	if (mkdir(s->state, 0700) < 0 && errno != EEXIST)
		return err_sys(err, RC_IO, "cannot make %s", s->state);
	s->statefd = os_open_dir(s->state, err);
	if (s->statefd < 0)
		return s->statefd;
	if ((mkdirat(s->statefd, SITE_KEYS, 0700) < 0 && errno != EEXIST) ||
	    (mkdirat(s->statefd, "store", 0700) < 0 && errno != EEXIST))
		return err_sys(err, RC_IO, "cannot make %s/" SITE_KEYS, s->state);
	return 0;
}

/* The root key as it is, with its passphrase if it has one. */
static int root_copy(struct site *s, const char *root, struct key_ask *ask, struct err *err)
{
	OWNED(buf_wipe) struct buf text = BUF_SECRET;
	OWNED(freep) char *dir = strdup(root);
	OWNED(fd_closep) int keysfd = -1, rootfd = -1;
	const char *name;
	char *slash;
	int rc;

	if (dir == NULL)
		return err_memory(err);
	slash = strrchr(dir, '/');
	name = slash == NULL ? root : root + (slash - dir) + 1;
	if (slash != NULL)
		slash[slash == dir ? 1 : 0] = '\0';
	rootfd = os_open_dir(slash == NULL ? "." : dir, err);
	if (rootfd < 0)
		return rootfd;
	keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	if (keysfd < 0)
		return keysfd;
	rc = file_read(rootfd, name, 4096, &text, err);
	if (rc < 0)
		return err_prefix(err, "root key %s", root);
	rc = durable_write(keysfd, "root.key", bytes_in(&text), 0400, DURABLE_REPLACE, err);
	return rc < 0 ? rc : site_key_publish(keysfd, "root.key", ask, err);
}

int site_rebuild(const char *dir, const char *root, struct key_ask *ask, struct err *err)
{
	OWNED(site_freep) struct site *s = calloc(1, sizeof(*s));
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(first_clear) struct first f = {.raw = BUF_INIT};
	struct stat st;
	int rc;

	if (s == NULL)
		return err_memory(err);
	rc = site_begin(s, dir, err);
	if (rc == 0)
		rc = directories_make(s, err);
	if (rc < 0)
		return rc;
	if (root != NULL && (rc = root_copy(s, root, ask, err)) < 0)
		return rc;
	if (fstatat(s->statefd, SITE_REGISTRY, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	rc = depot_open(s->depot, 0, LIMIT_DEPOT_SILENCE, &d, err);
	f.s = s;
	f.d = d;
	if (rc == 0)
		rc = first_find(&f, err);
	return rc < 0 ? rc : registry_build(s, &f, err);
}
