/* SPDX-License-Identifier: ISC */
/*
 * The keys of a site: keys/ROLE.key from the beginning, keys/ROLE-VERSION.key for one that came
 * with a later trust document, and the public key beside each.  Which of them is in force is said
 * by the trust document alone, so that a rotation has one moment at which it happens: the commit of
 * the next version.  A file that no trust document names was left by an interrupted rotation.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundler/trust/site_keys.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

#define KEY_FILE_MAX 1024 /* a public key file: comment and one line */

/* key_file_order(name, role, ret): is this a secret key file of ${role}, and of which version? */
static bool key_file_order(const char *name, enum role role, uint64_t *ret)
{
	size_t role_n = strlen(role_names[role]), n = strlen(name);
	const char *rest = name + role_n;

	if (strncmp(name, role_names[role], role_n) != 0 || n < role_n + 4 ||
	    strcmp(name + n - 4, ".key") != 0)
		return false;
	*ret = 0;
	if (strcmp(rest, ".key") == 0)
		return true;
	return *rest == '-' &&
	       number_u64(rest + 1, n - role_n - 5, LIMIT_NUMBER, ret, ERR_IGNORED) == 0;
}

struct role_files {
	enum role role;
	uint64_t version[LIMIT_KEYS * 4];
	size_t n;
};

static int key_file_take(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct role_files *f = arg;
	uint64_t version;
	size_t i;

	if (!key_file_order(entry->name, f->role, &version))
		return 0;
	/* The newest ones count: a role has one current key, or few. */
	if (f->n == ARRAY_LEN(f->version)) {
		if (version < f->version[0])
			return 0;
		memmove(f->version, f->version + 1, --f->n * sizeof(f->version[0]));
	}
	for (i = f->n++; i > 0 && f->version[i - 1] > version; i--)
		f->version[i] = f->version[i - 1];
	f->version[i] = version;
	return 0;
}

int site_keys_each(int keysfd, enum role role,
		   int (*each)(void *arg, const char *name, struct err *err), void *arg,
		   struct err *err)
{
	struct role_files files = {.role = role};
	char name[64];
	int rc;

	rc = dir_each(keysfd, ".", 0, key_file_take, &files, err);
	for (size_t i = 0; rc == 0 && i < files.n; i++) {
		if (files.version[i] == 0)
			snprintf(name, sizeof(name), "%s.key", role_names[role]);
		else
			snprintf(name, sizeof(name), "%s-%" PRIu64 ".key", role_names[role],
				 files.version[i]);
		rc = each(arg, name, err);
	}
	return rc;
}

static void public_name(char dst[64], const char *name)
{
	snprintf(dst, 64, "%.*s.pub", (int)(strlen(name) - strlen(".key")), name);
}

struct key_wanted {
	const struct trust *trust;
	enum role role;
	int keysfd;
	char name[64]; /* of the file found; the newest match wins */
};

/* key_wanted_is(w, k): does the trust document name this key as current in the role? */
static bool key_wanted_is(const struct key_wanted *w, const struct key_public *k)
{
	for (size_t i = 0; i < w->trust->keys; i++) {
		const struct trust_key *t = &w->trust->key[i];

		if (t->state == KEY_CURRENT && (t->roles & (1u << w->role)) != 0 &&
		    key_same(&t->key, k))
			return true;
	}
	return false;
}

int site_key_public(int keysfd, const char *name, struct key_public *ret, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	char pub[64];
	int rc;

	public_name(pub, name);
	rc = file_read(keysfd, pub, KEY_FILE_MAX, &text, err);
	if (rc == RC_ABSENT) {
		memset(ret, 0, sizeof(*ret));
		return 0;
	}
	if (rc < 0 || key_public_parse(bytes_in(&text), ret, err) < 0)
		return err_prefix(err, "keys/%s", pub);
	return 0;
}

/*
 * The newest file wins when two hold the same key: a rotation that was interrupted goes on with
 * its own.
 */
static int key_match(void *arg, const char *name, struct err *err)
{
	struct key_wanted *w = arg;
	struct key_public k;
	int rc = site_key_public(w->keysfd, name, &k, err);

	if (rc == 0 && key_wanted_is(w, &k))
		snprintf(w->name, sizeof(w->name), "%s", name);
	return rc;
}

int site_key(struct site *s, enum role role, struct key_secret **ret, struct err *err)
{
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	OWNED(key_freep) struct key_secret *k = NULL;
	struct key_wanted w = {.trust = &s->trust, .keysfd = keysfd};
	struct key_public pub;
	int rc;

	w.role = role = trust_acting(&s->trust, role);
	if (keysfd < 0)
		return err_prefix(err, "keys of the site");
	rc = site_keys_each(keysfd, role, key_match, &w, err);
	if (rc < 0)
		return rc;
	if (w.name[0] == '\0')
		return err_set(err, RC_STATE,
			       "%s/%s holds no %s key that trust version %" PRIu64
			       " names as current: put it back from your backup",
			       s->state, SITE_KEYS, role_names[role], s->trust.version);
	rc = key_read(keysfd, w.name, NULL, &k, err);
	if (rc < 0)
		return rc;
	pub = key_public_of(k);
	if (!key_wanted_is(&w, &pub))
		return err_set(err, RC_STATE, "keys/%s is not the key that the file beside it says",
			       w.name);
	*ret = TAKE(k);
	return 0;
}

struct root_search {
	struct key_wanted w;
	bool found;
};

static int root_open(void *arg, const char *name, struct err *err)
{
	struct root_search *r = arg;
	struct key_public k;
	bool locked = true;
	int rc = site_key_public(r->w.keysfd, name, &k, err);

	if (rc == 0 && !r->found && key_wanted_is(&r->w, &k))
		rc = key_locked(r->w.keysfd, name, &locked, err);
	if (rc < 0 || locked)
		return rc;
	r->found = true;
	snprintf(r->w.name, sizeof(r->w.name), "%s", name);
	return 0;
}

int site_keys_root(struct site *s, char ret[64], struct err *err)
{
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	struct root_search r = {.w = {.trust = &s->trust, .role = ROLE_ROOT, .keysfd = keysfd}};
	int rc;

	if (keysfd < 0)
		return err_prefix(err, "keys of the site");
	rc = site_keys_each(keysfd, ROLE_ROOT, root_open, &r, err);
	snprintf(ret, 64, "%s", r.w.name);
	return rc < 0 ? rc : r.found;
}

struct release_signing {
	struct site *s;
	const char *channel;
	struct buf *doc;
	uint64_t *layers;
	int keysfd;
};

static const struct trust_key *publish_key(const struct release_signing *g,
					   const struct key_public *k)
{
	for (size_t i = 0; i < g->s->trust.keys; i++) {
		const struct trust_key *t = &g->s->trust.key[i];

		if (t->state == KEY_CURRENT && (t->roles & 1u << ROLE_PUBLISH) != 0 &&
		    key_same(&t->key, k) && trust_only(t->only, g->channel))
			return t;
	}
	return NULL;
}

static bool signed_already(const struct release_signing *g, const struct key_public *k)
{
	struct signed_doc doc;

	return *g->layers > 0 &&
	       signed_split(bytes_in(g->doc), LIMIT_LAYERS, &doc, ERR_IGNORED) == 0 &&
	       signed_by(&doc, k);
}

static int release_layer(void *arg, const char *name, struct err *err)
{
	struct release_signing *g = arg;
	OWNED(key_freep) struct key_secret *k = NULL;
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct key_public pub;
	bool locked = false;
	int rc = site_key_public(g->keysfd, name, &pub, err);

	if (rc < 0 || publish_key(g, &pub) == NULL || signed_already(g, &pub) ||
	    *g->layers == LIMIT_LAYERS)
		return rc;
	/* With a passphrase it is for `trust sign`, as one that lies elsewhere. */
	rc = key_locked(g->keysfd, name, &locked, err);
	if (rc < 0 || locked)
		return rc;
	rc = key_read(g->keysfd, name, NULL, &k, err);
	if (rc == 0)
		rc = signed_make(k, bytes_in(g->doc), &raw, err);
	if (rc < 0)
		return rc;
	buf_clear(g->doc);
	*g->doc = raw;
	raw = (struct buf)BUF_INIT;
	++*g->layers;
	return 0;
}

int site_keys_release(struct site *s, const char *channel, struct buf *doc, uint64_t *layers,
		      struct err *err)
{
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	struct release_signing g = {s, channel, doc, layers, keysfd};

	if (keysfd < 0)
		return err_prefix(err, "keys of the site");
	return site_keys_each(keysfd, ROLE_PUBLISH, release_layer, &g, err);
}

struct keys_here {
	struct key_wanted w;
	uint32_t n;
};

static int key_here(void *arg, const char *name, struct err *err)
{
	struct keys_here *h = arg;
	struct key_public k;
	int rc = site_key_public(h->w.keysfd, name, &k, err);

	h->n += rc == 0 && key_wanted_is(&h->w, &k);
	return rc;
}

int site_keys_elsewhere(struct site *s, enum role role, struct err *err)
{
	OWNED(fd_closep) int keysfd = beneath_dir(s->statefd, SITE_KEYS, err);
	struct keys_here h = {.w = {.trust = &s->trust, .role = role, .keysfd = keysfd}};
	uint32_t all = 0;
	int rc;

	if (keysfd < 0)
		return err_prefix(err, "keys of the site");
	for (size_t i = 0; i < s->trust.keys; i++)
		all += s->trust.key[i].state == KEY_CURRENT &&
		       (s->trust.key[i].roles & 1u << role) != 0;
	rc = site_keys_each(keysfd, role, key_here, &h, err);
	return rc < 0 ? rc : h.n < all;
}

/* key_new(keysfd, name, kind, ret, err): generate, write, and close it to everybody else. */
static int key_new(int keysfd, const char *name, enum key_kind kind, struct key_secret **ret,
		   struct err *err)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	int rc;

	rc = key_generate(kind, &k, err);
	if (rc == 0)
		rc = key_write(keysfd, name, k, err);
	if (rc < 0)
		return rc;
	if (fchmodat(keysfd, name, 0400, 0) < 0)
		return err_sys(err, RC_IO, "cannot make it read-only");
	*ret = TAKE(k);
	return 0;
}

static int public_write(int keysfd, const char *name, const struct key_secret *k, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct key_public pub = key_public_of(k);
	char pub_name[64];
	int rc = key_public_text(&pub, &text, err);

	public_name(pub_name, name);
	if (rc == 0)
		rc = durable_write(keysfd, pub_name, bytes_in(&text), 0444, DURABLE_REPLACE, err);
	return rc < 0 ? err_prefix(err, "keys/%s", pub_name) : 0;
}

int site_key_publish(int keysfd, const char *name, struct key_ask *ask, struct err *err)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	int rc = key_read(keysfd, name, ask, &k, err);

	return rc < 0 ? rc : public_write(keysfd, name, k, err);
}

int site_key_make(int keysfd, const char *name, enum key_kind kind, struct key_secret **ret,
		  struct err *err)
{
	OWNED(key_freep) struct key_secret *k = NULL;
	struct stat st;
	int rc;

	if (fstatat(keysfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		rc = key_read(keysfd, name, NULL, &k, err);
	else
		rc = key_new(keysfd, name, kind, &k, err);
	if (rc < 0)
		return rc;
	rc = public_write(keysfd, name, k, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(k);
	return 0;
}
