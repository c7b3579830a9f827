/* SPDX-License-Identifier: ISC */
/*
 * From the source to the list of differences.  Nothing is read here but names and stat; the
 * differences go to a spool, so that a source that lost its content by surprise is refused before
 * anything is done, and progress knows its total.
 */
#include <grp.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include "bundler/publish/publish_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/tree/exclude.h"

/* Entries from which on the loss of more than half of them needs a word from a person. */
#define LOSS_ENTRIES 20
/* Sentences about what is left out; the rest is only counted. */
#define SKIPPED_SAID 10

int publish_source_open(struct publishing *p, struct err *err)
{
	int rc = site_source_guard(p->s, &p->guard, err);

	if (rc < 0)
		return rc;
	p->rootfd = site_source_open(p->s, p->c, err);
	return p->rootfd < 0 ? p->rootfd : 0;
}

int publish_reading(void *arg, const char *path, const struct stat *st, struct bytes head,
		    struct err *err)
{
	const struct publishing *p = arg;

	return site_source_reading(p->guard, path, st, head, err);
}

/* How much older than now a file must be, for its next change to show in its times.  Local file
 * systems stamp with the kernel's tick; others have another machine's clock or steps of 2 s. */
static int64_t stamp_margin(int fd)
{
	static const uint32_t local[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC,
					 TMPFS_MAGIC,      OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC};
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0)
		for (size_t i = 0; i < ARRAY_LEN(local); i++)
			if ((uint32_t)fs.f_type == local[i])
				return 50 * 1000000ll;
	return 3000 * 1000000ll;
}

static int64_t stamp_now(int fd)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return item_ns(t) - stamp_margin(fd);
}

/* The owner as it is written: names, because numbers mean nothing on another machine. */
static int owner_text(const struct publishing *p, const struct scan_item *it, char dst[OWNER_MAX],
		      struct err *err)
{
	const struct passwd *user;
	const struct group *group;

	if (!p->c->owners) {
		memcpy(dst, "-", 2);
		return 0;
	}
	user = getpwuid(it->st->st_uid);
	group = getgrgid(it->st->st_gid);
	if (user == NULL || group == NULL ||
	    (size_t)snprintf(dst, OWNER_MAX, "%s:%s", user->pw_name, group->gr_name) >= OWNER_MAX)
		return err_set(
		    err, RC_POLICY,
		    "%s of channel %s belongs to user %u, group %u, which have no name here: "
		    "give it an owner with a name, or set `owners: false`",
		    it->path, p->c->name, it->st->st_uid, it->st->st_gid);
	return 0;
}

static void side_now(const struct publishing *p, const struct scan_item *it, struct pack_item *to)
{
	item_stat(to, it->st, p->c->special_modes ? 07777 : 0777);
	to->now.kind = it->kind;
	if (it->kind == ENTRY_FILE)
		return;
	to->now.size = 0;
	if (it->kind == ENTRY_DIRECTORY)
		return;
	to->now.mode = 0;
	to->target = it->target;
	to->now.size = strlen(it->target);
	to->now.digest = digest_of(bytes_of(it->target));
}

static void side_old(const struct entry *e, struct pack_item *to)
{
	to->old.kind = e->kind;
	to->old.mode = e->mode;
	to->old.size = e->size;
	to->old.mtime = e->mtime;
	to->old.digest = e->digest;
	to->old.owner = e->owner;
}

/*
 * A link whose target changed is made anew: there is no way to change the target of one in place.
 */
static unsigned op_of(const struct pack_item *it)
{
	if (it->now.kind == ENTRY_FILE)
		return PACK_CONTENT;
	if (it->now.kind != it->old.kind ||
	    (it->now.kind == ENTRY_LINK && !digest_equal(&it->now.digest, &it->old.digest)))
		return it->now.kind == ENTRY_LINK ? CHANGE_LINK : CHANGE_DIRECTORY;
	return item_same_meta(it) ? (unsigned)PACK_ROW : (unsigned)CHANGE_META;
}

/* Reported only because its time lies in the future?  Its ctime, which nobody can set, is old. */
static bool needless(const struct publishing *p, const struct scan_item *it,
		     const struct pack_item *to)
{
	return !(p->flags & PUBLISH_REREAD) && it->kind == ENTRY_FILE && it->old != NULL &&
	       it->old->kind == ENTRY_FILE && to->ctime < p->hashed &&
	       to->ctime == it->old->ctime && to->ino == it->old->ino && to->dev == it->old->dev &&
	       to->now.mtime == it->old->disk_mtime && to->now.size == it->old->size &&
	       item_same_meta(to);
}

static void skipped(struct publishing *p, const char *path, const char *why)
{
	if (p->skipped++ < SKIPPED_SAID)
		reporter_warning(p->s->reporter, "channel %s leaves out %s: %s", p->c->name, path,
				 why);
}

/* Nanoseconds since 1970 in 64 bits end there. */
static void far_time_tell(struct publishing *p, const struct scan_item *it)
{
	if (!clock_far(item_ns(it->st->st_mtim)))
		return;
	if (p->far_times++ < SKIPPED_SAID)
		reporter_warning(
		    p->s->reporter,
		    "channel %s: the time of %s lies before 1677 or after 2262, and is "
		    "published as the nearest that can be written",
		    p->c->name, it->path);
}

/*
 * To take it from the workstations because something else stands in its place, a mounted file
 * system most of all, is what nobody has asked for.
 */
static int lost_refuse(const struct publishing *p, const struct scan_item *it, struct err *err)
{
	char glob[EXCLUDE_MAX];

	exclude_only(it->path, glob);
	return err_set(err, RC_POLICY,
		       "%s was published, and now %s: bring it back; or, to take it from the "
		       "workstations, add \"%s\" to `exclude` in channels/%s.yaml",
		       it->path, it->why, glob, p->c->name);
}

static int difference(void *arg, const struct scan_item *it, struct err *err)
{
	struct publishing *p = arg;
	struct pack_item to = {.path = it->path, .target = "", .now.owner = "", .old.owner = ""};
	char owner[OWNER_MAX];
	int rc;

	if (it->what == SCAN_SKIPPED) {
		if (it->old != NULL)
			return lost_refuse(p, it, err);
		skipped(p, it->path, it->why);
		return 0;
	}
	if (it->what != SCAN_GONE && path_reserved(it->path)) {
		skipped(p, it->path, "names that begin with " PATH_RESERVED " are reserved");
		return 0;
	}
	if (it->old != NULL)
		side_old(it->old, &to);
	if (it->what == SCAN_GONE) {
		to.op = CHANGE_DELETE;
		to.old.kind = it->kind;
	} else {
		rc = owner_text(p, it, owner, err);
		if (rc < 0)
			return rc;
		to.now.owner = owner;
		side_now(p, it, &to);
		if (needless(p, it, &to))
			return 0;
		far_time_tell(p, it);
		to.op = op_of(&to);
	}
	if (to.op == PACK_CONTENT) {
		p->files++;
		p->bytes += to.now.size;
	}
	p->rows++;
	if ((p->rows & 1023) == 0)
		reporter_progress(p->s->reporter, "scanning", 0, 0, p->rows, 0);
	return item_add(p->diff, &to, NULL, err);
}

/* An unmounted source must not publish the deletion of everything. */
static int loss_check(const struct publishing *p, struct err *err)
{
	uint64_t now = p->seen.entries, was = p->was_entries;

	if ((p->flags & PUBLISH_ALLOW_EMPTY) || now >= was)
		return 0;
	if (now == 0)
		return err_set(
		    err, RC_POLICY,
		    "source %s of channel %s is empty but generation %" PRIu64 " holds %" PRIu64
		    " %s: is it mounted? publish --allow-empty says it is meant",
		    p->c->source, p->c->name, p->last, was, was == 1 ? "entry" : "entries");
	if (was >= LOSS_ENTRIES && now < was - now)
		return err_set(err, RC_POLICY,
			       "source %s of channel %s holds %" PRIu64
			       " %s but generation %" PRIu64 " holds %" PRIu64
			       ": is all of it mounted? publish --allow-empty says it is meant",
			       p->c->source, p->c->name, now, now == 1 ? "entry" : "entries",
			       p->last, was);
	return 0;
}

static int lost_only(void *arg, const struct scan_item *it, struct err *err)
{
	return it->what == SCAN_SKIPPED && it->old != NULL ? lost_refuse(arg, it, err) : 0;
}

/* ${each} for what differs from the index. */
static int source_scan(struct publishing *p,
		       int (*each)(void *arg, const struct scan_item *it, struct err *err),
		       struct err *err)
{
	const struct scan_guard guard = {site_source_folder, site_source_file, p->guard};
	struct scan_options o = {
	    .guard = &guard,
	    .exclude = (const char *const *)p->c->exclude,
	    .excludes = p->c->excludes,
	    .flags =
		(p->c->owners ? SCAN_OWNERS : 0) | (p->c->special_modes ? 0 : SCAN_PLAIN_MODES),
	    .racy_after = p->flags & PUBLISH_REREAD ? INT64_MIN : p->hashed,
	};
	uint64_t bytes;
	int rc = index_counts(p->index, &p->was_entries, &bytes, err);

	if (rc == 0 && scan_tree(p->rootfd, p->index, &o, each, p, &p->seen, err) < 0)
		rc = err_prefix(err, "source of channel %s", p->c->name);
	return rc;
}

int publish_scan_loss(struct publishing *p, struct err *err)
{
	int rc = source_scan(p, lost_only, err);

	if (rc == 0)
		rc = loss_check(p, err);
	p->seen = (struct scan_counts){0};
	return rc;
}

int publish_scan(struct publishing *p, struct err *err)
{
	int rc = spool_new(p->s->statefd, &p->diff, err);

	if (rc < 0)
		return rc;
	p->hashed_now = stamp_now(p->rootfd);
	rc = source_scan(p, difference, err);
	if (rc < 0)
		return rc;
	if (p->skipped > SKIPPED_SAID)
		reporter_warning(p->s->reporter, "channel %s leaves out %" PRIu64 " more",
				 p->c->name, p->skipped - SKIPPED_SAID);
	return loss_check(p, err);
}
