/* SPDX-License-Identifier: ISC */
/*
 * One account's directory: made aside, exchanged by one rename, and what it replaces taken away.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/handout/handout_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"
#include "core/os/random.h"
#include "core/os/wipe.h"

#define NEW  ".new-"
#define OLD  ".old-"
#define KEPT ".kept-"
#define SIDE (ACCOUNT_NAME + 32) /* bytes of such a name */

/* Owners and modes are what keeps people apart: where they do not hold, nothing secret is written.
 */
static int owned_by(int fd, uid_t uid, gid_t gid, mode_t mode, struct err *err)
{
	struct stat st;

	if (geteuid() == 0 && fchown(fd, uid, gid) < 0)
		return err_sys(err, RC_IO, "cannot set an owner");
	if (fchmod(fd, mode) < 0 || fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot set a mode");
	if ((st.st_mode & 07777) != mode ||
	    (geteuid() == 0 && (st.st_uid != uid || st.st_gid != gid)))
		return err_set(err, RC_POLICY,
			       "its file system keeps neither owners nor modes, so everybody could "
			       "read it: choose another one with hand-out:");
	return 0;
}

static int file_make(struct handout_run *r, int dirfd, const struct handout_file *f,
		     const struct account *a, struct err *err)
{
	OWNED(buf_clear) struct buf content = BUF_SECRET;
	OWNED(fd_closep) int parent = -1;
	OWNED(fd_closep) int fd = -1;
	const char *name;
	int rc = private_read(r->t, f->from, &content, err);

	if (rc < 0)
		return rc;
	parent = beneath_parent(dirfd, f->name, &name, err);
	if (parent < 0)
		return parent;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	if (fd < 0)
		return err_sys(err, RC_IO, "cannot make \"%s\"", f->name);
	rc = owned_by(fd, a->uid, a->gid, 0400, err);
	if (rc == 0)
		rc = fd_write(fd, content.p, content.n, err);
	if (rc == 0)
		rc = file_sync(fd, err);
	return rc < 0 ? err_prefix(err, "%s", f->name) : fd_close(&fd, err);
}

static int keys_make(int dirfd, struct err *err)
{
	if (mkdirat(dirfd, "keys", 0700) < 0)
		return err_sys(err, RC_IO, "cannot make \"keys\"");
	return 0;
}

static int keys_end(int dirfd, const struct account *a, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_dir(dirfd, "keys", err);
	int rc = fd < 0 ? fd : owned_by(fd, 0, a->gid, 0750, err);

	return rc < 0 ? rc : dir_sync(fd, err);
}

/* Until all of it is there, root alone can enter. */
static int dir_make(struct handout_run *r, const char *side, const struct handout_dir *d,
		    struct err *err)
{
	bool keys =
	    d->file.n > 0 && d->file.items[0].secret; /* "keys/..." sorts before "policy.yaml" */
	OWNED(fd_closep) int fd = -1;
	int rc = 0;

	if (mkdirat(r->fd, side, 0700) < 0)
		return err_sys(err, RC_IO, "cannot make \"%s\"", side);
	fd = beneath_dir(r->fd, side, err);
	if (fd < 0)
		return fd;
	if (keys)
		rc = keys_make(fd, err);
	for (size_t i = 0; rc == 0 && i < d->file.n; i++)
		rc = file_make(r, fd, &d->file.items[i], &d->account, err);
	if (rc == 0 && keys)
		rc = keys_end(fd, &d->account, err);
	if (rc == 0)
		rc = owned_by(fd, 0, d->account.gid, 0750, err);
	return rc < 0 ? rc : dir_sync(fd, err);
}

/* Only root, or whose all of it is, can put anything into such a directory, and would not make it
 * the account's, or readable to nobody else and no larger than ours. */
static bool ours(int dirfd, const char *name, off_t size)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (((st.st_mode & 07777) == 0400 && st.st_size <= size) ||
		(geteuid() == 0 && st.st_uid != 0));
}

static bool key_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");

	return n > 0 && n < WORD_NAME &&
	       (name[n] == '\0' || (name[n] == '.' && name[n + 1] != '\0' &&
				    name[n + 1 + strspn(name + n + 1, "0123456789")] == '\0'));
}

static int keys_wipe_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	(void)arg;
	return key_name(entry->name) && ours(entry->dirfd, entry->name, HANDOUT_SECRET)
		   ? wipe_file(entry->dirfd, entry->name, err)
		   : 0;
}

static int keys_wipe(int dirfd, struct err *err)
{
	int fd = beneath_dir(dirfd, "keys", err), rc;

	if (fd < 0)
		return 0; /* none, or something else that is not ours */
	rc = dir_each_fd(fd, keys_wipe_each, NULL, err);
	if (rc == 0 && unlinkat(dirfd, "keys", AT_REMOVEDIR) < 0 && errno != ENOTEMPTY &&
	    errno != EEXIST && errno != ENOENT)
		rc = err_sys(err, RC_IO, "cannot remove \"keys\"");
	return rc;
}

/* What a person put there gets a name of its own, and stays. */
static int foreign_keep(struct handout_run *r, const char *side, const char *name, struct err *err)
{
	char kept[SIDE + 16], hex[RANDOM_HEX];

	if (random_hex(hex, 4, err) < 0)
		return err->rc;
	snprintf(kept, sizeof(kept), KEPT "%s-%.8s", name, hex);
	if (renameat(r->fd, side, r->fd, kept) < 0)
		return err_sys(err, RC_IO, "cannot put \"%s\" aside", side);
	reporter_warning(r->s->reporter,
			 "%s/%s had something that satchel did not put there: it is in %s/%s now",
			 r->s->handout, name, r->s->handout, kept);
	return 0;
}

/* The directory ${side} that was ${name}'s goes, but for what is not ours. */
static int side_clear(struct handout_run *r, const char *side, const char *name, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_dir(r->fd, side, err);
	int rc;

	if (fd < 0)
		return fd == RC_ABSENT ? 0 : fd;
	rc = keys_wipe(fd, err);
	if (rc == 0 && ours(fd, HANDOUT_POLICY, LIMIT_DOCUMENT))
		rc = wipe_file(fd, HANDOUT_POLICY, err);
	if (rc < 0)
		return rc;
	if (unlinkat(r->fd, side, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_sys(err, RC_IO, "cannot remove \"%s\"", side);
	return foreign_keep(r, side, name, err);
}

/* 1: something has that name, and it is a directory; 0: nothing has. */
static int there(struct handout_run *r, const char *name, struct err *err)
{
	struct stat st;

	if (fstatat(r->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			   ? 0
			   : err_sys(err, RC_IO, "cannot stat %s/%s", r->s->handout, name);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, RC_CONFLICT,
			       "%s/%s is in the way, and satchel did not make it: move it away",
			       r->s->handout, name);
	return 1;
}

/* Without an exchange the old one steps aside first; a run that is killed in between puts it back.
 */
static int exchange(struct handout_run *r, const char *side, const char *name, struct err *err)
{
	char old[SIDE];

	if (renameat2(r->fd, side, r->fd, name, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return err_sys(err, RC_IO, "cannot exchange %s/%s", r->s->handout, name);
	snprintf(old, sizeof(old), OLD "%s", name);
	if (renameat(r->fd, name, r->fd, old) < 0 || renameat(r->fd, side, r->fd, name) < 0)
		return err_sys(err, RC_IO, "cannot exchange %s/%s", r->s->handout, name);
	return 0;
}

int handout_place(struct handout_run *r, const struct handout_dir *d, struct err *err)
{
	const char *name = d->account.name;
	char side[SIDE], old[SIDE];
	int was = there(r, name, err), rc;

	if (was < 0)
		return was;
	snprintf(side, sizeof(side), NEW "%s", name);
	snprintf(old, sizeof(old), OLD "%s", name);
	rc = dir_make(r, side, d, err);
	if (rc == 0)
		rc = was == 1 ? exchange(r, side, name, err) : rename_new(r->fd, side, name, err);
	if (rc < 0) {
		wipe_tree(r->fd, side, ERR_IGNORED);
		return rc;
	}
	rc = dir_sync(r->fd, err);
	if (rc == 0)
		rc = side_clear(r, side, name, err);
	return rc < 0 ? rc : side_clear(r, old, name, err);
}

int handout_remove(struct handout_run *r, const char *name, struct err *err)
{
	char old[SIDE];
	int rc;

	snprintf(old, sizeof(old), OLD "%s", name);
	if (renameat(r->fd, name, r->fd, old) < 0)
		return err_sys(err, RC_IO, "cannot take %s/%s away", r->s->handout, name);
	rc = side_clear(r, old, name, err);
	return rc < 0 ? rc : dir_sync(r->fd, err);
}

static int sweep_one(struct handout_run *r, const char *side, struct err *err)
{
	bool old = strncmp(side, OLD, strlen(OLD)) == 0;
	const char *name = side + strlen(old ? OLD : NEW);
	struct stat st;

	if (old && fstatat(r->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return rename_new(r->fd, side, name, err);
	return side_clear(r, side, name, err);
}

static int sweep_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	return strncmp(entry->name, NEW, strlen(NEW)) == 0 ||
		       strncmp(entry->name, OLD, strlen(OLD)) == 0
		   ? sweep_one(arg, entry->name, err)
		   : 0;
}

int handout_sweep(struct handout_run *r, struct err *err)
{
	int rc = dir_each(r->fd, ".", 0, sweep_each, r, err);

	return rc < 0 ? rc : durable_sweep(r->fd, HANDOUT_POLICY, err);
}
