/* SPDX-License-Identifier: ISC */
/*
 * What one account is to have, and whether it has exactly that.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/handout/handout_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

void handout_dir_clear(struct handout_dir *d)
{
	list_clear(&d->file);
}

/* The digest is that of the private tree's index, so that nothing secret is read to compare. */
static int file_add(struct handout_run *r, struct handout_dir *d, const char *name,
		    const char *from, bool secret, struct err *err)
{
	struct handout_file f = {.secret = secret};
	int rc = private_digest(r->t, from, &f.digest, err);

	if (rc == 0)
		return err_set(err, RC_STATE, "the private channel has no %s", from);
	if (rc < 0)
		return rc;
	snprintf(f.name, sizeof(f.name), "%s", name);
	snprintf(f.from, sizeof(f.from), "%s", from);
	return list_push(&d->file, f, err);
}

static int version_add(struct handout_run *r, struct handout_dir *d, const char *key,
		       uint64_t version, struct err *err)
{
	char name[HANDOUT_FILE], from[WORD_NAME + 40];

	snprintf(name, sizeof(name), "keys/%s.%" PRIu64, key, version);
	snprintf(from, sizeof(from), "secrets/%s.%" PRIu64, key, version);
	return file_add(r, d, name, from, true, err);
}

static int key_add(struct handout_run *r, struct handout_dir *d, const struct person_key *k,
		   struct err *err)
{
	char name[HANDOUT_FILE], from[WORD_NAME + 40];
	int rc;

	snprintf(name, sizeof(name), "keys/%s", k->name);
	snprintf(from, sizeof(from), "secrets/%s.%" PRIu64, k->name, k->current);
	rc = file_add(r, d, name, from, true, err);
	for (size_t i = 0; rc == 0 && i < k->olders; i++)
		rc = version_add(r, d, k->name, k->older[i], err);
	return rc < 0 ? rc : version_add(r, d, k->name, k->current, err);
}

static int by_name(const void *a, const void *b)
{
	const struct handout_file *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int handout_dir_fill(struct handout_run *r, const struct person *p, bool withhold,
		     struct handout_dir *ret, struct err *err)
{
	char id[17], from[64];
	struct digest digest;
	int rc;

	person_id(id, p->email);
	snprintf(from, sizeof(from), "people/%s.policy.yaml", id);
	rc = private_digest(r->t, from, &digest, err);
	if (rc == 1)
		rc = file_add(r, ret, HANDOUT_POLICY, from, false, err);
	for (size_t i = 0; rc == 0 && i < p->keys && !withhold; i++)
		rc = key_add(r, ret, &p->key[i], err);
	list_sort(&ret->file, by_name);
	return rc;
}

/* Anything but what was made is a difference. */
static bool stat_same(const struct stat *st, mode_t mode, uid_t uid, gid_t gid)
{
	if (geteuid() != 0) {
		uid = geteuid();
		gid = st->st_gid;
	}
	return st->st_mode == mode && st->st_uid == uid && st->st_gid == gid;
}

static int file_same(int dirfd, const struct handout_file *f, const struct account *a,
		     struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_SECRET;
	struct digest is;
	struct stat st;
	int rc = beneath_stat(dirfd, f->name, &st, err);

	if (rc < 0) /* a link or a file in the place of "keys" is a difference like any other */
		return rc == RC_ABSENT || errno == ENOTDIR || rc == RC_PATH ? 0 : rc;
	if (!stat_same(&st, S_IFREG | 0400, a->uid, a->gid))
		return 0;
	rc = file_read(dirfd, f->name, f->secret ? HANDOUT_SECRET : LIMIT_DOCUMENT, &text, err);
	/* Its owner may hold a lease on it, and must not keep what is in their way by that. */
	if (rc < 0)
		return rc == RC_LIMIT || errno == EWOULDBLOCK ? 0 : rc;
	is = digest_of(bytes_in(&text));
	return digest_equal(&is, &f->digest);
}

static int count_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	(void)entry;
	(void)err;
	(*(size_t *)arg)++;
	return 0;
}

/* Nothing besides: every file that is to be there is, so the number says it. */
static int nothing_else(int fd, const struct handout_dir *d, struct err *err)
{
	size_t keys = 0, n = 0;
	int rc = dir_each(fd, ".", 0, count_each, &n, err);

	for (size_t i = 0; i < d->file.n; i++)
		keys += d->file.items[i].secret;
	if (rc < 0 || n != d->file.n - keys + (keys > 0))
		return rc;
	n = 0;
	rc = keys > 0 ? dir_each(fd, "keys", 0, count_each, &n, err) : 0;
	return rc < 0 ? rc : n == keys;
}

int handout_same(struct handout_run *r, const struct handout_dir *d, struct err *err)
{
	const struct account *a = &d->account;
	struct stat st;
	int rc = beneath_stat(r->fd, a->name, &st, err);
	OWNED(fd_closep) int fd = -1;

	if (rc < 0)
		return rc == RC_ABSENT ? 0 : rc;
	if (!stat_same(&st, S_IFDIR | 0750, 0, a->gid))
		return 0;
	fd = beneath_dir(r->fd, a->name, err);
	if (fd < 0)
		return fd;
	for (size_t i = 0; i < d->file.n; i++) {
		rc = file_same(fd, &d->file.items[i], a, err);
		if (rc <= 0)
			return rc;
	}
	if (d->file.n > 0 && d->file.items[0].secret &&
	    (beneath_stat(fd, "keys", &st, err) < 0 || !stat_same(&st, S_IFDIR | 0750, 0, a->gid)))
		return 0;
	return nothing_else(fd, d, err);
}
