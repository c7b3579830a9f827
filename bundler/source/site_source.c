/* SPDX-License-Identifier: ISC */
/*
 * Judging a source: what it is and lies in, by walking up from what was opened; what it holds, by
 * whether it is one of those that the walk up from our own directories met; and what nobody could
 * know beforehand, while the scan enters it and the packer reads it.
 */
#include "bundler/source/site_source.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bundler/source/site_source_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/trust/secret_sign.h"

/* There are some dozen places at most. */
static const struct site_source_place *place_of(const struct site_source_guard *g,
						const struct dir_id *id)
{
	for (size_t i = 0; i < g->place.n; i++)
		if (dir_id_compare(id, &g->place.items[i].id) == 0)
			return &g->place.items[i];
	return NULL;
}

/* The first place that lies below this directory. */
static const struct site_source_place *held_place(const struct site_source_guard *g,
						  const struct dir_id *id)
{
	for (size_t i = 0; i < g->above.n; i++)
		if (dir_id_compare(id, &g->above.items[i].id) == 0)
			return &g->place.items[g->above.items[i].place];
	return NULL;
}

static int overlap(const struct site_source_place *p, const char *verb, struct err *err)
{
	return err_set(err, RC_POLICY, "it %s %s (%s)", verb, p->what, p->path);
}

/* Where a descriptor leads, for a sentence. */
static void where_text(int fd, char *dst, size_t size)
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, dst, size - 1);
	dst[n < 0 ? 0 : n] = '\0';
}

static const struct site_source_secret *secret_of(const struct site_source_guard *g, uint64_t dev,
						  uint64_t ino)
{
	const struct dir_id id = {dev, ino};

	return list_find(&g->secret, &id, dir_id_compare);
}

static int secret_check(const struct site_source_guard *g, const char *path, uint64_t dev,
			uint64_t ino, struct err *err)
{
	const struct site_source_secret *f = secret_of(g, dev, ino);

	if (f == NULL)
		return 0;
	return err_set(
	    err, RC_POLICY,
	    "%s is a hard link to %s of the site, which must not be published: remove it", path,
	    f->path);
}

int site_source_file(void *arg, const char *path, uint64_t dev, uint64_t ino, struct err *err)
{
	return secret_check(arg, path, dev, ino, err);
}

/* Known by its identity before its name has it opened: closing our own registry would drop the
 * locks that this process has on it. */
static int databases_check(const struct site_source_guard *g, int fd, struct err *err)
{
	struct stat st;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(site_source_databases); i++)
		if (fstatat(fd, site_source_databases[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			rc = secret_check(g, site_source_databases[i], (uint64_t)st.st_dev,
					  (uint64_t)st.st_ino, err);
	return rc;
}

struct judging {
	const struct site_source_guard *g;
	struct dir_ids above; /* so far */
};

/* One directory on the way up; the first is the source itself. */
static int level_judge(void *arg, int fd, const struct dir_id *id, struct err *err)
{
	struct judging *j = arg;
	const struct site_source_place *p = place_of(j->g, id);
	size_t n = j->above.n;
	char sign[SOURCE_SIGN], where[LIMIT_PATH];

	if (p != NULL && n == 0)
		return overlap(p, "is", err);
	if (p != NULL && p->inside)
		return overlap(p, "lies in", err);
	if (databases_check(j->g, fd, err) < 0)
		return err->rc;
	if (site_source_sign_above(fd, n == 0 ? NULL : &j->above.items[n - 1], sign)) {
		where_text(fd, where, sizeof(where));
		return n == 0 ? err_set(err, RC_POLICY, "%s", sign)
			      : err_set(err, RC_POLICY, "it lies in %.300s: %s", where, sign);
	}
	return list_push(&j->above, *id, err);
}

static int judge(const struct site_source_guard *g, int fd, struct err *err)
{
	struct judging j = {.g = g};
	const struct site_source_place *held;
	int rc = dir_above_each(fd, level_judge, &j, err);

	if (rc == 0) {
		held = held_place(g, &j.above.items[0]);
		if (held != NULL)
			rc = overlap(held, "holds", err);
	}
	if (rc == 0)
		rc = site_source_roots_check(&g->roots, &j.above, err);
	list_clear(&j.above);
	return rc;
}

int site_source_open(struct site *s, const struct site_channel *c, struct err *err)
{
	struct site_source_guard *g;
	OWNED(fd_closep) int fd = -1;
	struct err why = {0};
	int rc = site_source_guard(s, &g, err);

	if (rc < 0)
		return rc;
	/* A relative one is below the documents. */
	fd = openat(s->dirfd, c->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, RC_IO, "the source %s of channel %s cannot be read", c->source,
			       c->name);
	rc = judge(g, fd, &why);
	if (rc == RC_POLICY)
		return err_set(err, rc,
			       "the source %s of channel %s is refused: %.512s; choose another "
			       "(satchel channel set %s --source DIR)",
			       c->source, c->name, why.text, c->name);
	if (rc < 0)
		return err_set(err, rc, "the source %s of channel %s: %.512s", c->source, c->name,
			       why.text);
	return TAKE_FD(fd);
}

int site_source_check(struct site *s, const struct site_channel *c, struct err *err)
{
	OWNED(fd_closep) int fd = -1;

	if (faccessat(s->dirfd, c->source, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	fd = site_source_open(s, c, err);
	return fd < 0 ? fd : 0;
}

/* Below a source */

int site_source_folder(void *arg, const char *path, int fd, const char *const *names, size_t n,
		       struct err *err)
{
	const struct site_source_guard *g = arg;
	const struct site_source_place *p;
	char sign[SOURCE_SIGN];
	struct dir_id id;
	int rc = dir_id(fd, &id, err);

	if (rc < 0)
		return rc;
	p = place_of(g, &id);
	if (p != NULL)
		return overlap(p, "is", err);
	rc = databases_check(g, fd, err);
	if (rc < 0)
		return rc;
	if (site_source_sign_names(fd, names, n, sign))
		return err_set(err, RC_POLICY,
			       "%s, which must not be published: move it out of the source%s", sign,
			       path[0] == '\0' ? ", or choose another" : "");
	return 0;
}

/* A copy under another name: nobody means to publish one of our keys. */
static const struct site_source_secret *copy_of(const struct site_source_guard *g,
						struct bytes head)
{
	struct digest d;
	bool hashed = false;

	for (size_t i = 0; i < g->secret.n; i++) {
		const struct site_source_secret *f = &g->secret.items[i];

		if (!f->has_digest || f->size != head.n)
			continue;
		if (!hashed)
			d = digest_of(head);
		hashed = true;
		if (digest_equal(&d, &f->digest))
			return f;
	}
	return NULL;
}

int site_source_reading(void *arg, const char *path, const struct stat *st, struct bytes head,
			struct err *err)
{
	const struct site_source_secret *f;
	const char *what = secret_sign(head);
	int rc = site_source_file(arg, path, (uint64_t)st->st_dev, (uint64_t)st->st_ino, err);

	if (rc < 0)
		return rc;
	if (what != NULL)
		return err_set(err, RC_POLICY,
			       "it is %s, which must not be published: move it out of the source",
			       what);
	f = (uint64_t)st->st_size == head.n ? copy_of(arg, head) : NULL;
	if (f == NULL)
		return 0;
	return err_set(err, RC_POLICY,
		       "it is a copy of %s, which must not be published: move it out of the source",
		       f->path);
}
