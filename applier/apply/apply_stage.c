/* SPDX-License-Identifier: ISC */
/*
 * The staging area: a directory on the target's file system, private to us, in which everything new
 * is made under numbers.
 *
 *   n<k>   what operation k places; after an exchange what it took out
 *   o<k>   what operation k moved aside
 *
 * and the mark that tells that it is ours (apply_area.c).
 *
 * It lies beside the target, or inside it when that is another mount, a quota's border or not ours
 * to write.
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"
#include "core/os/random.h"

void stage_slot(char dst[16], char letter, uint32_t n)
{
	snprintf(dst, 16, "%c%u", letter, n);
}

void stage_path(char dst[LIMIT_PATH + 32], uint32_t op, const char *path, size_t skip)
{
	snprintf(dst, LIMIT_PATH + 32, "n%u%s", op, path + skip);
}

/* Where it is */

static uint64_t mount_of(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
		return 0;
	return st.stx_mnt_id;
}

/** Can an entry go from here to the target?  Quotas and overlays have borders that no stat shows.
 */
static bool stage_reaches(const struct apply *a)
{
	const struct stage *s = &a->stage;
	struct timespec times[2];
	struct stat st;
	char name[AREA_NAME], hex[RANDOM_HEX];
	bool good;

	if (mount_of(s->holderfd) != mount_of(a->targetfd) || fstat(a->targetfd, &st) < 0 ||
	    random_hex(hex, 8, ERR_IGNORED) < 0 || mkdirat(s->fd, "t", 0700) < 0)
		return false;
	snprintf(name, sizeof(name), TRIAL_NAME "%s", hex);
	good = move_entry(s->fd, "t", a->targetfd, name, RENAME_NOREPLACE) == 0;
	unlinkat(good ? a->targetfd : s->fd, good ? name : "t", AT_REMOVEDIR);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	futimens(a->targetfd, times);
	return good;
}

int stage_holder_open(struct apply *a, bool inside, struct err *err)
{
	const char *name;

	return inside ? beneath_dir(a->targetfd, ".", err)
		      : beneath_parent(a->t->rootfd, a->t->path, &name, err);
}

/** The directory that holds the area, and the name that it has unless that is taken. */
static int stage_holder(struct apply *a, bool inside, char base[AREA_NAME], struct err *err)
{
	a->stage.inside = inside;
	snprintf(base, AREA_NAME, inside ? STAGE_INSIDE : STAGE_INSIDE "-%s", a->t->tree);
	a->stage.holderfd = stage_holder_open(a, inside, err);
	return a->stage.holderfd < 0 ? err->rc : 0;
}

static int stage_make(struct apply *a, bool inside, struct err *err)
{
	struct stage *s = &a->stage;
	char base[AREA_NAME];

	if (stage_holder(a, inside, base, err) < 0)
		return err->rc;
	s->fd = area_make(a, s->holderfd, base, s->name, err);
	return s->fd < 0 ? err_prefix(err, "the staging area") : 0;
}

int stage_open(struct apply *a, struct err *err)
{
	if (a->t->path[0] != '\0') {
		if (stage_make(a, false, err) == 0 && stage_reaches(a))
			return 0;
		stage_remove(a);
	}
	return stage_make(a, true, err) < 0 ? err_prefix(err, "writing in %s", target_name(a->t))
					    : 0;
}

/** Somebody renamed it, but not out of the directory that holds it. */
static int found_again(struct apply *a, int holderfd, const char *name)
{
	a->stage.fd = beneath_dir(holderfd, name, ERR_IGNORED);
	snprintf(a->stage.name, sizeof(a->stage.name), "%s", name);
	return 1;
}

int stage_find(struct apply *a, struct err *err)
{
	bool old = a->run.area[0] == '\0'; /* a run of a version that knew no mark */
	struct stage *s = &a->stage;
	char base[AREA_NAME];

	snprintf(s->name, sizeof(s->name), "%s", a->run.area);
	if (a->run.inside && a->targetfd < 0)
		return 0;
	if (stage_holder(a, a->run.inside, base, err) < 0)
		return err->rc == RC_ABSENT ? 0 : err_prefix(err, "the staging area");
	snprintf(s->name, sizeof(s->name), "%s", old ? base : a->run.area);
	s->fd =
	    old ? area_open_old(a, s->holderfd, base) : area_open(a, s->holderfd, s->name, true);
	if (s->fd < 0)
		area_search(a, s->holderfd, found_again, ERR_IGNORED);
	if (s->fd >= 0)
		return 1;
	s->fd = -1;
	fd_closep(&s->holderfd);
	return 0;
}

static void area_away(struct apply *a, int holderfd)
{
	struct stage *s = &a->stage;
	struct err why = {0};

	if (s->fd >= 0 && area_remove(a, holderfd, s->name, s->fd, &why) < 0)
		reporter_warning(a->s->reporter,
				 "the staging area %s could not be removed (%.300s); the next run "
				 "tries again",
				 s->name, why.text);
}

void stage_remove(struct apply *a)
{
	struct stage *s = &a->stage;

	area_away(a, s->holderfd);
	fd_closep(&s->fd);
	fd_closep(&s->holderfd);
}

/** A name that a run of ours gives for a moment: an area before it has its mark, or a trial (a
 * version before this one gave that the mark as its name). */
static bool is_litter(const struct apply *a, const char *name, const char *base)
{
	size_t n = strlen(base), length = strlen(name);

	return strncmp(name, TRIAL_NAME, strlen(TRIAL_NAME)) == 0 || strcmp(name, a->mark) == 0 ||
	       (strncmp(name, base, n) == 0 && (length == n || length == n + AREA_SUFFIX));
}

struct sweep {
	struct apply *a;
	char base[AREA_NAME];
};

static int sweep_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	const struct sweep *sweep = arg;
	struct apply *a = sweep->a;
	struct stage *s = &a->stage;

	(void)err;
	if (strncmp(entry->name, PATH_RESERVED, strlen(PATH_RESERVED)) != 0)
		return 0;
	s->fd = area_open(a, entry->dirfd, entry->name, true);
	if (s->fd >= 0) {
		snprintf(s->name, sizeof(s->name), "%s", entry->name);
		area_away(a, entry->dirfd);
	} else if (is_litter(a, entry->name, sweep->base)) {
		s->fd = area_open_old(a, entry->dirfd, entry->name);
		if (s->fd >= 0 && strncmp(entry->name, TRIAL_NAME, strlen(TRIAL_NAME)) == 0)
			holds_sweep(s->fd);
		if (s->fd >= 0) /* if it is empty */
			unlinkat(entry->dirfd, entry->name, AT_REMOVEDIR);
	}
	fd_closep(&s->fd);
	return 0;
}

/** Under every name: a run that was killed may have had another than the plain one, because that
 * was somebody's then. */
static void sweep(struct apply *a, bool inside)
{
	struct sweep sweep = {.a = a};

	if (stage_holder(a, inside, sweep.base, ERR_IGNORED) == 0)
		dir_each(a->stage.holderfd, ".", 0, sweep_each, &sweep, ERR_IGNORED);
	fd_closep(&a->stage.holderfd);
}

void stage_sweep(struct apply *a)
{
	if (a->t->path[0] != '\0')
		sweep(a, false);
	if (a->targetfd >= 0)
		sweep(a, true);
	changelist_drop(a->s->statefd, a->t->tree);
}

int stage_flush(struct apply *a, struct err *err)
{
	/* A target that was just made is known to parents that may be as new as it is. */
	bool each = a->sync_each && !a->made_target;
	int rc = each ? fsync(a->stage.fd) : syncfs(a->stage.fd);

	if (rc == 0 && each) /* the staging area's own name */
		rc = fsync(a->stage.holderfd);
	return rc < 0 ? err_sys(err, RC_IO, "cannot flush the staging area") : 0;
}
