/*
 * The staging area: a directory on the target's file system, private to us, in which everything new
 * is made under numbers.
 *
 *   n<k>   what operation k places; after an exchange what it took out
 *   o<k>   what operation k moved aside
 *
 * It lies beside the target, or inside it when that is another mount, a quota's border or not ours
 * to write.
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/os/wipe.h"

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

/* What is taken out of the private channel, keys that were withdrawn among it, is wiped. */
static int area_remove(const struct apply *a, int dirfd, const char *name, struct err *err)
{
	return strcmp(a->t->tree, TREE_PRIVATE) == 0 ? wipe_tree(dirfd, name, err)
						     : beneath_remove_tree(dirfd, name, err);
}

static int stage_enter(struct apply *a, bool make, struct err *err)
{
	struct stage *s = &a->stage;
	struct stat st;

	if (make && (area_remove(a, s->holderfd, s->name, err) < 0 ||
		     (mkdirat(s->holderfd, s->name, 0700) < 0 &&
		      err_sys(err, RC_IO, "cannot make the staging area %s", s->name) < 0)))
		return err->rc;
	s->fd = beneath_dir(s->holderfd, s->name, err);
	if (s->fd < 0)
		return err_prefix(err, "the staging area");
	if (fstat(s->fd, &st) < 0 || st.st_uid != geteuid())
		return err_set(err, RC_POLICY, "the staging area %s belongs to somebody else",
			       s->name);
	return 0;
}

/** Can an entry go from here to the target?  Quotas and overlays have borders that no stat shows.
 */
static bool stage_reaches(const struct apply *a)
{
	const struct stage *s = &a->stage;
	struct timespec times[2];
	struct stat st;
	bool good;

	if (mount_of(s->holderfd) != mount_of(a->targetfd) || fstat(a->targetfd, &st) < 0 ||
	    mkdirat(s->fd, "t", 0700) < 0)
		return false;
	good = renameat(s->fd, "t", a->targetfd, STAGE_INSIDE) == 0;
	unlinkat(good ? a->targetfd : s->fd, good ? STAGE_INSIDE : "t", AT_REMOVEDIR);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	futimens(a->targetfd, times);
	return good;
}

static int stage_beside(struct apply *a, bool make, struct err *err)
{
	const char *name;

	snprintf(a->stage.name, sizeof(a->stage.name), STAGE_INSIDE "-%s", a->t->tree);
	a->stage.inside = false;
	a->stage.holderfd = beneath_parent(a->t->rootfd, a->t->path, &name, err);
	return a->stage.holderfd < 0 ? a->stage.holderfd : stage_enter(a, make, err);
}

static int stage_within(struct apply *a, bool make, struct err *err)
{
	snprintf(a->stage.name, sizeof(a->stage.name), STAGE_INSIDE);
	a->stage.inside = true;
	a->stage.holderfd = beneath_dir(a->targetfd, ".", err);
	return a->stage.holderfd < 0 ? a->stage.holderfd : stage_enter(a, make, err);
}

int stage_open(struct apply *a, struct err *err)
{
	if (a->t->path[0] != '\0') {
		if (stage_beside(a, true, err) == 0 && stage_reaches(a))
			return 0;
		stage_remove(a);
	}
	return stage_within(a, true, err) < 0 ? err_prefix(err, "writing in %s", target_name(a->t))
					      : 0;
}

int stage_find(struct apply *a, struct err *err)
{
	return a->run.inside ? stage_within(a, false, err) : stage_beside(a, false, err);
}

void stage_remove(struct apply *a)
{
	struct stage *s = &a->stage;

	if (s->fd >= 0 && area_remove(a, s->holderfd, s->name, NULL) < 0)
		say_warning(a->s->say,
			    "the staging area %s could not be removed; the next run tries again",
			    s->name);
	fd_closep(&s->fd);
	fd_closep(&s->holderfd);
}

void stage_sweep(struct apply *a)
{
	char beside[sizeof(a->stage.name)];
	const char *name;

	snprintf(beside, sizeof(beside), STAGE_INSIDE "-%s", a->t->tree);
	if (a->t->path[0] != '\0') {
		OWNED(fd_closep) int fd = beneath_parent(a->t->rootfd, a->t->path, &name, NULL);

		if (fd >= 0)
			area_remove(a, fd, beside, NULL);
	}
	if (a->targetfd >= 0)
		area_remove(a, a->targetfd, STAGE_INSIDE, NULL);
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
