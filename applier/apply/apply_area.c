/* SPDX-License-Identifier: ISC */
/*
 * Directories of our own in places that others may write to: the staging area, and where local
 * changes are kept.  Who may write to the directory that holds them can rename somebody's directory
 * to any name that we use, put a link there, or rename ours away, and what is cleared is cleared as
 * root.  So a name proves nothing.  Ours is:
 *
 *   belongs to us, nobody else may enter, and holds the mark
 *
 * The mark is a directory whose name is a random number that the state database knew before and
 * nobody else ever sees.  Or it is empty: then nothing is lost.  Everything else is left alone, and
 * another name is taken.  The mark is better proof than an inode, whose number is given again to
 * what is made next.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"
#include "core/os/random.h"
#include "core/os/wipe.h"

#define NAMES 8 /* tries: the first is the plain name, the others are random */

int area_mark(struct apply *a, bool make, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(a->s->db, "SELECT mark FROM apply_mark WHERE tree = ?", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", a->t->tree);
	if (rc == 0)
		rc = db_step(a->s->db, st, err);
	if (rc > 0)
		snprintf(a->mark, sizeof(a->mark), "%s", db_text(st, 0));
	return rc != 0 || !make ? (rc < 0 ? rc : 0) : area_mark_renew(a, err);
}

int area_mark_renew(struct apply *a, struct err *err)
{
	char hex[RANDOM_HEX];

	if (random_hex(hex, 16, err) < 0)
		return err->rc;
	snprintf(a->mark, sizeof(a->mark), PATH_RESERVED "%s", hex);
	return db_run(a->s->db, err, "INSERT OR REPLACE INTO apply_mark (tree, mark) VALUES (?, ?)",
		      "tt", a->t->tree, a->mark);
}

/* Whose it is */

/** Belongs to us, and nobody else may enter; where no modes are held, nobody could be kept out. */
static bool is_private(struct apply *a, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       ((st.st_mode & 0077) == 0 || !disk_holds(a, HOLDS_MODES));
}

static bool is_marked(const struct apply *a, int fd)
{
	struct stat st;

	return a->mark[0] != '\0' && fstatat(fd, a->mark, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static bool is_ours(struct apply *a, int fd)
{
	return is_private(a, fd) && (is_marked(a, fd) || dir_empty(fd, ".", ERR_IGNORED) == 1);
}

/* Made and found */

static void report_foreign(struct apply *a, const char *name)
{
	reporter_warning(a->s->reporter,
			 "%s beside or in %s is not satchel's, and is left alone; another name is "
			 "used. Move it away when nobody needs it",
			 name, target_name(a->t));
}

static int name_of(char dst[AREA_NAME], const char *base, int attempt, struct err *err)
{
	char hex[RANDOM_HEX] = "";

	if (attempt > 0 && random_hex(hex, 4, err) < 0)
		return err->rc;
	snprintf(dst, AREA_NAME, "%s%s%.8s", base, attempt > 0 ? "-" : "", hex);
	return 0;
}

static void report_uncleared(struct apply *a, const char *name, const struct err *why)
{
	reporter_warning(a->s->reporter,
			 "%s beside or in %s is satchel's, but could not be cleared (%.300s); "
			 "another name is used",
			 name, target_name(a->t), why->text);
}

/** What was just made is somebody else's: because another took its name, or because the file system
 * gives whatever is made to somebody else. */
static int not_held(struct apply *a, int fd, struct err *err)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid == geteuid() || disk_holds(a, HOLDS_OWNERS))
		return -1;
	return err_set(
	    err, RC_POLICY,
	    "what user %u makes there belongs to user %u at once, so nobody could be kept "
	    "out of an update that is being made: mount that file system so that files "
	    "belong to user %u (vfat: uid=%u, NFS: no_root_squash), or let user %u run "
	    "satchel",
	    geteuid(), st.st_uid, geteuid(), geteuid(), st.st_uid);
}

/** A directory of ours called ${name}: that which is there, or a new one.  -1: it is not ours. */
static int private_dir(struct apply *a, int holderfd, const char *name, struct err *err)
{
	OWNED(fd_closep) int fd = -1;
	bool made = mkdirat(holderfd, name, 0700) == 0;
	int rc;

	if (!made && errno != EEXIST)
		return err_sys(err, RC_IO, "cannot make the directory %s", name);
	fd = beneath_dir(holderfd, name, ERR_IGNORED);
	if (fd >= 0 && is_private(a, fd))
		return TAKE_FD(fd);
	if (!made)
		return -1;
	rc = not_held(a, fd, err);
	unlinkat(holderfd, name, AT_REMOVEDIR);
	return rc;
}

static int mark_put(const struct apply *a, int fd, struct err *err)
{
	if (mkdirat(fd, a->mark, 0700) < 0 && errno != EEXIST)
		return err_sys(err, RC_IO, "cannot mark it");
	/* What is staged without its mark would be nobody's after a power cut. */
	return dir_sync(fd, err);
}

int area_make(struct apply *a, int holderfd, const char *base, char ret_name[AREA_NAME],
	      struct err *err)
{
	for (int attempt = 0; attempt < NAMES; attempt++) {
		OWNED(fd_closep) int fd = -1;
		struct err why = {0};

		if (name_of(ret_name, base, attempt, err) < 0)
			return err->rc;
		fd = private_dir(a, holderfd, ret_name, err);
		if (fd < -1)
			return err->rc;
		if (fd >= 0 && is_ours(a, fd)) {
			if (area_clear(a, fd, &why) == 0 && mark_put(a, fd, &why) == 0)
				return TAKE_FD(fd);
			if (attempt == 0)
				report_uncleared(a, ret_name, &why);
		} else if (attempt == 0) {
			report_foreign(a, ret_name);
		}
	}
	return err_set(
	    err, RC_POLICY,
	    "%s is in the way, somebody takes every other name as well, and satchel made "
	    "none of them: move them away",
	    base);
}

int kept_open(struct apply *a, struct err *err)
{
	for (int attempt = 0; a->keptfd < 0 && attempt < NAMES; attempt++) {
		if (name_of(a->kept, KEPT_NAME, attempt, err) < 0)
			return err->rc;
		a->keptfd = private_dir(a, a->stage.holderfd, a->kept, err);
		if (a->keptfd < -1)
			return err->rc;
		if (a->keptfd < 0 && attempt == 0)
			report_foreign(a, a->kept);
	}
	return a->keptfd >= 0 ? 0
			      : err_set(err, RC_POLICY,
					KEPT_NAME " beside or in %s is in the way, and satchel did "
						  "not make it: move it away",
					target_name(a->t));
}

struct area_searching {
	struct apply *a;
	int (*each)(struct apply *a, int holderfd, const char *name);
};

static int search_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct area_searching *s = arg;
	OWNED(fd_closep) int fd = -1;

	(void)err;
	if (entry->type != DT_DIR && entry->type != DT_UNKNOWN)
		return 0;
	fd = beneath_dir(entry->dirfd, entry->name, ERR_IGNORED);
	return fd >= 0 && is_private(s->a, fd) && is_marked(s->a, fd)
		   ? s->each(s->a, entry->dirfd, entry->name)
		   : 0;
}

int area_search(struct apply *a, int holderfd,
		int (*each)(struct apply *a, int holderfd, const char *name), struct err *err)
{
	return dir_each(holderfd, ".", 0, search_each, &(struct area_searching){a, each}, err);
}

int area_open(struct apply *a, int holderfd, const char *name, bool marked)
{
	OWNED(fd_closep) int fd = beneath_dir(holderfd, name, ERR_IGNORED);

	if (fd < 0)
		return fd == RC_ABSENT ? -1 : -2;
	return (marked ? is_private(a, fd) && is_marked(a, fd) : is_ours(a, fd)) ? TAKE_FD(fd) : -2;
}

int area_open_old(struct apply *a, int holderfd, const char *name)
{
	OWNED(fd_closep) int fd = beneath_dir(holderfd, name, ERR_IGNORED);

	return fd >= 0 && is_private(a, fd) ? TAKE_FD(fd) : -1;
}

/* Cleared */

/* What is taken out of the private channel, keys that were withdrawn among it, is wiped. */
static bool is_secret(const struct apply *a)
{
	return strcmp(a->t->tree, TREE_PRIVATE) == 0;
}

/**
 * A directory that only we ever entered is removed with all that is in it.  Others were people's:
 * they were empty when they were taken out, but who still has one open may have put something into
 * it since, somebody else's directory even, so they are only removed while they are empty.
 */
static int clear_dir(struct apply *a, int dirfd, const char *name, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_dir(dirfd, name, ERR_IGNORED);

	if (fd >= 0 && is_private(a, fd))
		return is_secret(a) ? wipe_tree(dirfd, name, err)
				    : beneath_remove_tree(dirfd, name, err);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_sys(err, RC_IO, "cannot remove the directory %s", name);
	return keep_slot(a, name, NULL, err);
}

int area_clear_entry(struct apply *a, const struct dir_entry *entry, struct err *err)
{
	struct stat st;

	if (strcmp(entry->name, a->mark) == 0 ||
	    fstatat(entry->dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return clear_dir(a, entry->dirfd, entry->name, err);
	if (is_secret(a))
		return wipe_file(entry->dirfd, entry->name, err);
	if (unlinkat(entry->dirfd, entry->name, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove %s", entry->name);
	return 0;
}

static int clear_entry(void *arg, const struct dir_entry *entry, struct err *err)
{
	return area_clear_entry(arg, entry, err);
}

int area_clear(struct apply *a, int fd, struct err *err)
{
	return dir_each(fd, ".", 0, clear_entry, a, err);
}

int area_remove(struct apply *a, int holderfd, const char *name, int fd, struct err *err)
{
	struct stat own, there;

	/* What came back after a power cut, without the mark, would be nobody's. */
	if (area_clear(a, fd, err) < 0 || dir_sync(fd, err) < 0)
		return err->rc;
	if (unlinkat(fd, a->mark, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot clear %s", name);
	/* Its name may be another directory's by now.  That would have to be empty. */
	if (fstat(fd, &own) < 0 || fstatat(holderfd, name, &there, AT_SYMLINK_NOFOLLOW) < 0 ||
	    own.st_ino != there.st_ino)
		return 0;
	if (unlinkat(holderfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot remove %s", name);
	return 0;
}
