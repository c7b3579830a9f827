/* SPDX-License-Identifier: ISC */
/*
 * A new site.  The order makes every half-made state one of these, and init goes on from each:
 *
 *   STATE.new exists          nothing refers to it: it is removed and begun again
 *   STATE exists, no site.yaml   keys and trust version 1 are made: documents and depot follow
 *   site.yaml exists          there is a site; init refuses
 *
 * STATE is built under another name and renamed when it is complete, so a STATE is never half.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "bundler/documents/documents.h"
#include "bundler/outbox/site_depot.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "bundler/site/site_internal.h"
#include "bundler/trust/site_keys.h"
#include "bundler/trust/site_trust.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/format/documents/trustchain.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

#define TRUST_DAYS 3652 /* ten years */

static const struct {
	enum role role;
	enum key_kind kind;
	uint64_t epoch;
} first_keys[] = {
    {ROLE_ROOT, KEY_SIGN, 0},    {ROLE_PUBLISH, KEY_SIGN, 1}, {ROLE_BEAT, KEY_SIGN, 1},
    {ROLE_COLLECT, KEY_SEAL, 0}, {ROLE_PRIVATE, KEY_SIGN, 1},
};

struct init_plan {
	const struct site_init *in;
	struct reporter *reporter;
	char *dir;                   /* owned; absolute */
	char *state, *parent;        /* owned; absolute; the directory that holds it */
	const char *base;            /* in state: its last component */
	char building[NAME_MAX + 1]; /* the name under which it is built */
	char *depot;                 /* owned; absolute */
	struct digest id;
};

static void plan_clear(struct init_plan *p)
{
	free(p->dir);
	free(p->state);
	free(p->parent);
	free(p->depot);
}

static int plan_make(const struct site_init *in, struct init_plan *p, struct err *err)
{
	char *slash;
	int rc;

	rc = dir_absolute(in->dir, &p->dir, err);
	if (rc == 0)
		rc = dir_absolute(in->depot, &p->depot, err);
	if (rc < 0)
		return rc;
	if (in->state != NULL)
		rc = dir_absolute(in->state, &p->state, err);
	else if (asprintf(&p->state, "%s.state", p->dir) < 0)
		rc = err_memory(err);
	if (rc < 0) {
		p->state = in->state == NULL ? NULL : p->state;
		return rc;
	}
	p->parent = strdup(p->state);
	if (p->parent == NULL)
		return err_memory(err);
	slash = strrchr(p->parent, '/');
	p->base = p->state + (slash - p->parent) + 1;
	slash[slash == p->parent ? 1 : 0] = '\0';
	if (p->base[0] == '\0' || (size_t)snprintf(p->building, sizeof(p->building), "%s.new",
						   p->base) >= sizeof(p->building))
		return err_set(err, RC_USAGE, "%s cannot be a state directory", p->state);
	return 0;
}

/* directory_make(path, mode, err): it and its parents. */
static int directory_make(const char *path, mode_t mode, struct err *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return err_set(err, RC_PATH, "%s: longer than a path can be", path);
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		/* Only the last one gets the mode; what is above it may be shared. */
		if (mkdir(part, i == n ? mode : 0755) < 0 && errno != EEXIST)
			return err_sys(err, RC_IO, "cannot make %s", part);
	}
	return 0;
}

/* On a stick, say, so that it has never been on the server's disk. */
static int root_elsewhere(const struct init_plan *p, struct key_secret **ret, struct err *err)
{
	const char *path = p->in->root;
	OWNED(freep) char *for_dir = strdup(path);
	OWNED(freep) char *for_base = strdup(path);
	OWNED(fd_closep) int dirfd = -1;
	const char *name;
	struct stat st;
	size_t n;

	if (for_dir == NULL || for_base == NULL)
		return err_memory(err);
	name = basename(for_base);
	n = strlen(name);
	if (n < 5 || n > 60 || strcmp(name + n - 4, ".key") != 0)
		return err_set(err, RC_USAGE, "%s: the name of a key file ends in .key", path);
	dirfd = os_open_dir(dirname(for_dir), err);
	if (dirfd < 0)
		return dirfd;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, RC_CONFLICT,
			       "%s exists: name another file, or remove it if an interrupted init "
			       "left it",
			       path);
	if (site_key_make(dirfd, name, KEY_SIGN, ret, err) < 0)
		return err->rc;
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & 077) != 0)
		reporter_warning(
		    p->reporter,
		    "others on this machine may read %s, because its file system keeps no "
		    "modes: mount it with umask=077",
		    path);
	return 0;
}

/* trust_make(p, keysfd, ret, ret_raw, err): a key for each role, and version 1 signed by the root
 * key. */
static int trust_make(const struct init_plan *p, int keysfd, struct trust *ret, struct buf *ret_raw,
		      struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(key_freep) struct key_secret *root = NULL;
	struct signed_doc doc;
	struct trust t = {.format = 2, .version = 1, .created = clock_now()};
	int rc;

	snprintf(t.name, sizeof(t.name), "%s", p->in->name);
	t.expires = t.created + (int64_t)TRUST_DAYS * 86400;
	for (size_t i = 0; i < ARRAY_LEN(first_keys); i++) {
		OWNED(key_freep) struct key_secret *k = NULL;
		enum role role = first_keys[i].role;
		char name[32];

		snprintf(name, sizeof(name), "%s.key", role_names[role]);
		rc = role == ROLE_ROOT && p->in->root != NULL
			 ? root_elsewhere(p, &k, err)
			 : site_key_make(keysfd, name, first_keys[i].kind, &k, err);
		if (rc < 0)
			return rc;
		t.key[t.keys++] = (struct trust_key){
		    .key = key_public_of(k), .state = KEY_CURRENT, .roles = 1u << role};
		t.threshold[role] = 1;
		t.epoch[role] = first_keys[i].epoch;
		if (role == ROLE_ROOT)
			root = TAKE(k);
	}
	rc = trust_check(&t, err);
	if (rc == 0)
		rc = trustdoc_encode(&t, &inner, err);
	if (rc == 0)
		rc = signed_make(root, bytes_in(&inner), ret_raw, err);
	if (rc == 0)
		rc = signed_split(bytes_in(ret_raw), LIMIT_LAYERS, &doc, err);
	if (rc == 0) /* what we hand out is what everybody else will accept */
		rc = trustchain_first(bytes_in(ret_raw), &doc.identity, ret, err);
	return rc;
}

static int registry_make(const struct init_plan *p, const struct trust *t, struct bytes raw,
			 struct err *err)
{
	OWNED(db_freep) struct db *db = NULL;
	OWNED(db_tx_end) struct db_tx tx = {0};
	OWNED(freep) char *path = NULL;
	int rc;

	if (asprintf(&path, "%s/%s/" SITE_REGISTRY, p->parent, p->building) < 0) {
		path = NULL;
		return err_memory(err);
	}
	rc = registry_open(path, &db, err);
	if (rc == 0)
		rc = db_tx_begin(&tx, db, err);
	if (rc == 0)
		rc = site_trust_add(db, t, raw, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

/* state_build(p, parentfd, err): everything of STATE, under its building name, then renamed. */
static int state_build(struct init_plan *p, int parentfd, struct err *err)
{
	OWNED(fd_closep) int statefd = -1;
	OWNED(fd_closep) int keysfd = -1;
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct trust t;
	int rc;

	rc = beneath_remove_tree(parentfd, p->building, err);
	if (rc < 0)
		return rc;
	if (mkdirat(parentfd, p->building, 0700) < 0)
		return err_sys(err, RC_IO, "cannot make %s/%s", p->parent, p->building);
	statefd = beneath_dir(parentfd, p->building, err);
	if (statefd < 0)
		return statefd;
	if (mkdirat(statefd, SITE_KEYS, 0700) < 0 || mkdirat(statefd, "store", 0700) < 0)
		return err_sys(err, RC_IO, "cannot make %s/%s/" SITE_KEYS, p->parent, p->building);
	keysfd = beneath_dir(statefd, SITE_KEYS, err);
	if (keysfd < 0)
		return keysfd;
	rc = trust_make(p, keysfd, &t, &raw, err);
	if (rc == 0)
		rc = registry_make(p, &t, bytes_in(&raw), err);
	if (rc == 0)
		rc = dir_sync(statefd, err);
	if (rc == 0)
		rc = rename_new(parentfd, p->building, p->base, err);
	if (rc == 0)
		rc = dir_sync(parentfd, err);
	p->id = t.identity;
	return rc;
}

/*
 * state_resume(p, err): a STATE that an interrupted init left.  Going on under another name would
 * sign that name with the old root key's site, so the name must be the same.
 */
static int state_resume(struct init_plan *p, struct err *err)
{
	OWNED(freep) char *path = NULL;
	OWNED(db_freep) struct db *db = NULL;
	struct trust t;
	int rc;

	rc = site_registry_path(p->state, &path, err);
	if (rc < 0)
		return rc;
	if (access(path, F_OK) < 0)
		return err_set(
		    err, RC_CONFLICT,
		    "%s exists and is not the state of a site: choose another --state, or "
		    "move it away",
		    p->state);
	rc = registry_open(path, &db, err);
	if (rc == 0)
		rc = site_trust_load(db, NULL, &t, err);
	if (rc < 0)
		return rc;
	if (strcmp(t.name, p->in->name) != 0 || t.version != 1)
		return err_set(
		    err, RC_CONFLICT,
		    "%s is the state of the site \"%s\", whose documents are not in %s: put "
		    "them back, or remove %s if that site is not wanted",
		    p->state, t.name, p->dir, p->state);
	reporter_info(p->reporter, "going on with the site that an interrupted init began in %s",
		      p->state);
	p->id = t.site;
	return 0;
}

static int state_make(struct init_plan *p, struct err *err)
{
	OWNED(fd_closep) int parentfd = -1;
	struct stat st;
	int rc;

	rc = directory_make(p->parent, 0755, err);
	if (rc < 0)
		return rc;
	parentfd = os_open_dir(p->parent, err);
	if (parentfd < 0)
		return parentfd;
	if (fstatat(parentfd, p->base, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return state_resume(p, err);
	return state_build(p, parentfd, err);
}

static int document_post(void *arg, const char *path, struct bytes content, struct err *err)
{
	return depot_post(arg, path, content, err);
}

/* depot_begin(p, err): the marker, and trust version 1 out of the outbox; also when an interrupted
 * run has posted it, because this run may have been given another depot. */
static int depot_begin(struct init_plan *p, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(freep) char *above = strdup(p->depot);
	OWNED(freep) char *path = NULL;
	OWNED(db_freep) struct db *db = NULL;
	int rc;

	if (above == NULL)
		return err_memory(err);
	*strrchr(above, '/') = '\0';
	rc = directory_make(above, 0755, err);
	if (rc == 0)
		rc = depot_open(p->depot, DEPOT_WRITE | DEPOT_CREATE, LIMIT_DEPOT_SILENCE, &d, err);
	if (rc == 0)
		rc = site_marker_post(d, &p->id, err);
	if (rc == 0)
		rc = site_registry_path(p->state, &path, err);
	if (rc == 0)
		rc = registry_open(path, &db, err);
	if (rc == 0)
		rc = registry_documents(db, "*", document_post, d, err);
	return rc < 0 ? rc : registry_posted_all(db, err);
}

/*
 * site.yaml is last of all, because it is what makes the directory a site: from then on init
 * refuses.
 */
static int documents_make(const struct init_plan *p, int dirfd, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct yaml_writer *w;
	int rc;

	rc = beneath_mkdirs_durable(dirfd, SITE_CHANNELS, 0755, err);
	if (rc == 0)
		rc = beneath_mkdirs_durable(dirfd, SITE_WORKSTATIONS, 0755, err);
	if (rc == 0)
		rc = yaml_writer_new(&w, err);
	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "site/1");
	yaml_text(w, "name", p->in->name);
	yaml_text(w, "depot", p->depot);
	if (p->in->state != NULL)
		yaml_text(w, "state", p->state);
	yaml_u64(w, "beat-hours", SITE_BEAT_HOURS);
	yaml_digest(w, "id", &p->id);
	rc = yaml_writer_end(w, &text, err);
	if (rc < 0)
		return rc;
	return durable_write(dirfd, SITE_FILE, bytes_in(&text), 0644, 0, err);
}

int site_init(const struct site_init *in, struct reporter *reporter, struct err *err)
{
	OWNED(plan_clear) struct init_plan p = {.in = in, .reporter = reporter};
	OWNED(fd_closep) int dirfd = -1;
	struct stat st;
	int rc;

	if (in->name == NULL || in->name[0] == '\0' ||
	    strlen(in->name) >= sizeof(((struct trust *)0)->name))
		return err_set(err, RC_USAGE, "a site needs a name of at most 255 bytes");
	rc = plan_make(in, &p, err);
	if (rc == 0)
		rc = directory_make(p.dir, 0755, err);
	if (rc < 0)
		return rc;
	dirfd = os_open_dir(p.dir, err);
	if (dirfd < 0)
		return dirfd;
	/* Locked is the directory itself: there is no state yet to put a lock into. */
	if (flock(dirfd, LOCK_EX | LOCK_NB) < 0)
		return err_set(err, RC_BUSY, "another satchel init is running in %s", p.dir);
	if (fstatat(dirfd, SITE_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, RC_CONFLICT, "%s has a site already", p.dir);
	rc = state_make(&p, err);
	if (rc == 0)
		rc = depot_begin(&p, err);
	if (rc == 0)
		rc = documents_make(&p, dirfd, err);
	return rc;
}
