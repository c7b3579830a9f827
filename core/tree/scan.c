/* SPDX-License-Identifier: ISC */
/*
 * The merge of a directory with its index.  Both come in byte order of name, so one pass tells
 * new, changed and gone apart without holding either in memory.  What was written while or just
 * before we examined it counts as changed: an equal stat proves nothing then (git calls such a file
 * racy).
 */
#include "core/tree/scan.h"

#include <errno.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/tree/index_internal.h"
#include "core/tree/scan_internal.h"

/* The number of a directory that the index does not have. */
#define NOWHERE (-1)
/* A name of any length that readdir(3) gives, behind the longest path. */
#define PATH_ROOM (LIMIT_PATH + 2 + LIMIT_NAME + 1)

struct tree_scan {
	const struct scan_options *options;
	int (*each)(void *arg, const struct scan_item *item, struct err *err);
	void *arg;
	struct scan_counts counts;
	struct prefetch *prefetch; /* owned; the disk */
	struct cursor c;           /* over the index, one directory at a time */
	size_t depth;              /* directories above the current entry */
	size_t end;                /* length of the current directory's path */
	char path[PATH_ROOM];      /* of the current entry */
	char target[LIMIT_LINK + 1];
	uid_t uid; /* whose name is in ${owner} */
	gid_t gid;
	char owner[OWNER_MAX]; /* "" while there is none */
};

/* The path of the current entry */

/* The entry ${name} of the current directory; returns the length of its path. */
static size_t path_entry(struct tree_scan *s, const char *name)
{
	size_t at = s->end, n = strnlen(name, LIMIT_NAME + 1);

	if (at > 0)
		s->path[at++] = '/';
	memcpy(s->path + at, name, n);
	s->path[at + n] = '\0';
	return at + n;
}

static const char *path_name(const struct tree_scan *s)
{
	return s->path + (s->end == 0 ? 0 : s->end + 1);
}

/* Gone */

static int gone_entry(struct tree_scan *s, int64_t dir, struct err *err);

/* Recursion, but no deeper than the index, which was bounded when it was filled. */
static int gone_below(struct tree_scan *s, int64_t dir, struct err *err)
{
	size_t end = s->end;
	int rc;

	if (s->depth == LIMIT_DEPTH)
		return err_set(err, RC_STATE, "the index is deeper than %d directories",
			       LIMIT_DEPTH);
	s->end = strlen(s->path);
	s->depth++;
	rc = cursor_seek(&s->c, dir, "", err);
	while (rc == 0 && s->c.row)
		rc = gone_entry(s, dir, err);
	s->depth--;
	s->path[s->end] = '\0';
	s->end = end;
	return rc;
}

/* The cursor's entry is on disk no more, nor is what it holds.  The cursor moves on. */
static int gone_entry(struct tree_scan *s, int64_t dir, struct err *err)
{
	struct scan_item item = {SCAN_GONE, s->path, s->c.e.kind, NULL, &s->c.e, NULL, NULL};
	int rc;

	if (s->end + 1 + s->c.name_n > LIMIT_PATH)
		return err_set(err, RC_STATE, "a path of the index is too long");
	path_entry(s, s->c.name);
	rc = s->each(s->arg, &item, err);
	if (rc < 0)
		return rc;
	if (s->c.e.kind != ENTRY_DIRECTORY)
		return cursor_next(&s->c, err);
	rc = gone_below(s, s->c.number, err);
	return rc < 0 ? rc : cursor_seek(&s->c, dir, path_name(s), err);
}

/* Comparing */

/* The owner's names; asked once for a run of entries of the same owner. */
static const char *owner_name(struct tree_scan *s, const struct scan_seen *seen)
{
	const struct passwd *user;
	const struct group *group;

	if (s->owner[0] != '\0' && s->uid == seen->uid && s->gid == seen->gid)
		return s->owner;
	s->uid = seen->uid;
	s->gid = seen->gid;
	user = getpwuid(s->uid);
	group = getgrgid(s->gid);
	if (user == NULL || group == NULL ||
	    (size_t)snprintf(s->owner, sizeof(s->owner), "%s:%s", user->pw_name, group->gr_name) >=
		sizeof(s->owner))
		strcpy(s->owner, "?"); /* never equal to an owner that was published */
	return s->owner;
}

static bool owner_same(struct tree_scan *s, const struct scan_seen *seen, const struct entry *e)
{
	if (!(s->options->flags & SCAN_OWNERS))
		return true;
	if (strcmp(e->owner, "-") != 0)
		return strcmp(e->owner, owner_name(s, seen)) == 0;
	return (seen->uid == 0 && seen->gid == 0) ||
	       (seen->uid == geteuid() && seen->gid == getegid());
}

static bool stat_same(struct tree_scan *s, enum entry_kind kind, const struct scan_seen *seen,
		      const struct entry *e)
{
	bool disk = (s->options->flags & SCAN_DISK_TIMES) && e->ino != 0;
	unsigned mask = s->options->flags & SCAN_PLAIN_MODES ? 0777 : 07777;

	if (kind != e->kind || seen->mtime != (disk ? e->disk_mtime : e->mtime) ||
	    !owner_same(s, seen, e))
		return false;
	if (kind != ENTRY_LINK && ((seen->mode ^ e->mode) & mask) != 0)
		return false;
	/* A directory's inode says nothing about what was published; its ctime moves with every
	 * entry. */
	if (kind == ENTRY_DIRECTORY)
		return true;
	return seen->size == e->size && seen->ctime == e->ctime && seen->ino == e->ino &&
	       seen->dev == e->dev;
}

/*
 * Changed so shortly before it was examined that it may have changed again within the same tick
 * of the clock: an equal stat proves nothing ("racy git").
 */
static bool is_racy(const struct tree_scan *s, enum entry_kind kind, const struct scan_seen *seen)
{
	return kind != ENTRY_DIRECTORY &&
	       (seen->mtime >= s->options->racy_after || seen->ctime >= s->options->racy_after);
}

/* Entries on disk */

/* Why an entry can never be part of a tree, or NULL. */
static const char *skip_reason(const struct scan_seen *seen)
{
	if (seen->what == SEEN_MOUNT)
		return "another file system is mounted here";
	if (seen->what == SEEN_TOO_LONG)
		return "its path is too long or too deep";
	switch (seen->mode & S_IFMT) {
	case S_IFREG:
	case S_IFLNK:
	case S_IFDIR:
		return NULL;
	case S_IFIFO:
		return "it is a fifo";
	case S_IFSOCK:
		return "it is a socket";
	default:
		return "it is a device";
	}
}

static enum entry_kind kind_of(const struct scan_seen *seen)
{
	return S_ISDIR(seen->mode)   ? ENTRY_DIRECTORY
	       : S_ISLNK(seen->mode) ? ENTRY_LINK
				     : ENTRY_FILE;
}

static struct stat stat_of(const struct scan_seen *seen)
{
	return (struct stat){.st_dev = seen->dev,
			     .st_ino = seen->ino,
			     .st_mode = seen->mode,
			     .st_uid = seen->uid,
			     .st_gid = seen->gid,
			     .st_size = (off_t)seen->size,
			     .st_mtim = clock_timespec(seen->mtime),
			     .st_ctim = clock_timespec(seen->ctime)};
}

/* Where the current entry points, into s->target. */
static int link_read(struct tree_scan *s, struct folder *f, const char *name, struct err *err)
{
	int fd = prefetch_fd(s->prefetch, f, err);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, name, s->target, sizeof(s->target));
	if (n < 0 && (errno == ENOENT || errno == EINVAL))
		return err_set(err, RC_AGAIN, "\"%s\" changed while it was scanned; try again",
			       s->path);
	if (n < 0)
		return err_sys(err, RC_IO, "cannot read the link \"%s\"", s->path);
	if (n == 0 || n >= LIMIT_LINK)
		return err_set(err, RC_LIMIT,
			       "the link \"%s\" points to more than %d bytes: remove or exclude it",
			       s->path, LIMIT_LINK - 1);
	s->target[n] = '\0';
	return 0;
}

/* Report the current entry if it differs; ${old} is NULL when the index does not have it. */
static int entry_report(struct tree_scan *s, struct folder *f, const char *name,
			const struct scan_seen *seen, const struct entry *old, struct err *err)
{
	struct scan_item item = {.path = s->path, .kind = kind_of(seen), .old = old};
	bool same = old != NULL && stat_same(s, item.kind, seen, old);
	struct stat st;
	int rc;

	if (same && !is_racy(s, item.kind, seen))
		return 0;
	st = stat_of(seen);
	item.st = &st;
	item.what = old == NULL ? SCAN_NEW : SCAN_CHANGED;
	if (item.kind == ENTRY_LINK) {
		rc = link_read(s, f, name, err);
		/* A link is cheap to read again, so its target settles what its stat cannot. */
		if (rc < 0 || (same && strcmp(s->target, old->target) == 0))
			return rc;
		item.target = s->target;
	}
	return s->each(s->arg, &item, err);
}

static int skip_report(struct tree_scan *s, const struct scan_seen *seen, const char *why,
		       const struct entry *old, struct err *err)
{
	struct stat st = stat_of(seen);
	struct scan_item item = {.what = SCAN_SKIPPED,
				 .path = s->path,
				 .kind = ENTRY_FILE,
				 .st = &st,
				 .old = old,
				 .why = why};

	return s->each(s->arg, &item, err);
}

static int scan_folder(struct tree_scan *s, struct folder *f, int64_t number, struct err *err);

/* Into the directory that the current entry is. */
static int scan_enter(struct tree_scan *s, struct folder *below, int64_t number, struct err *err)
{
	size_t end = s->end;
	int rc;

	s->end = strlen(s->path);
	s->depth++;
	rc = scan_folder(s, below, number, err);
	s->depth--;
	s->path[s->end] = '\0';
	s->end = end;
	return rc;
}

/* Where the index is while an entry on disk is examined. */
struct beside {
	int64_t dir; /* number of the directory in the index, or NOWHERE */
	bool row;    /* the index has the entry as well: the cursor is at it */
};

/*
 * What to do with an entry of the index once its like on disk was dealt with.  The one cursor
 * serves every depth: going below has moved it, so it is sent back behind this name.
 */
static int beside_next(struct tree_scan *s, const struct beside *b, int64_t below, bool entered,
		       struct err *err)
{
	int rc = 0;

	if (!b->row)
		return 0;
	/* It was a directory and is none any more: what it held is gone. */
	if (below != INDEX_ROOT && !entered)
		rc = gone_below(s, below, err);
	if (below == INDEX_ROOT)
		return cursor_next(&s->c, err);
	return rc < 0 ? rc : cursor_seek(&s->c, b->dir, path_name(s), err);
}

static int file_guard(struct tree_scan *s, const struct scan_seen *seen, struct err *err)
{
	const struct scan_guard *guard = s->options->guard;

	if (guard == NULL || !S_ISREG(seen->mode))
		return 0;
	return guard->file(guard->arg, s->path, seen->dev, seen->ino, err);
}

/* One name on disk, and its like in the index. */
static int scan_entry(struct tree_scan *s, struct folder *f, size_t i, const struct beside *b,
		      struct err *err)
{
	const struct scan_seen *seen = &f->seen[i];
	int64_t below = b->row ? s->c.number : INDEX_ROOT;
	bool entered = false;
	struct scan_seen more;
	const char *why;
	int rc = 0;

	path_entry(s, f->list.names[i]);
	if (i >= f->seen_n) {
		rc = prefetch_more(s->prefetch, f, i, &more, err);
		seen = &more;
	}
	why = rc < 0 || seen->what == SEEN_ABSENT ? NULL : skip_reason(seen);
	if (why != NULL)
		rc = skip_report(s, seen, why, b->row ? &s->c.e : NULL, err);
	/* Not there as far as the tree is concerned: what the index has is gone, at the next step.
	 */
	if (rc < 0 || why != NULL || seen->what == SEEN_ABSENT)
		return rc;
	rc = file_guard(s, seen, err);
	if (rc < 0)
		return rc;
	s->counts.entries++;
	s->counts.files += S_ISREG(seen->mode);
	s->counts.bytes += S_ISREG(seen->mode) ? seen->size : 0;
	rc = entry_report(s, f, f->list.names[i], seen, b->row ? &s->c.e : NULL, err);
	if (rc == 0 && seen->below != NULL) {
		entered = below != INDEX_ROOT;
		rc = scan_enter(s, seen->below, entered ? below : NOWHERE, err);
	}
	return rc < 0 ? rc : beside_next(s, b, below, entered, err);
}

static int scan_folder(struct tree_scan *s, struct folder *f, int64_t number, struct err *err)
{
	int rc = prefetch_take(s->prefetch, f, err);

	if (rc == 0 && number != NOWHERE)
		rc = cursor_seek(&s->c, number, "", err);
	for (size_t i = 0; rc == 0;) {
		struct beside b = {number, number != NOWHERE && s->c.row};
		bool disk = i < f->list.n;
		int order = !disk ? 1 : !b.row ? -1 : strcmp(f->list.names[i], s->c.name);

		if (!disk && !b.row)
			break;
		if (order > 0) {
			rc = gone_entry(s, number, err);
			continue;
		}
		b.row = order == 0;
		rc = scan_entry(s, f, i++, &b, err);
	}
	if (rc == 0)
		prefetch_done(s->prefetch, f);
	return rc;
}

static struct tree_scan *scan_free(struct tree_scan *s)
{
	if (s == NULL)
		return NULL;
	prefetch_freep(&s->prefetch);
	cursor_close(&s->c);
	free(s);
	return NULL;
}

static void scan_freep(struct tree_scan **s)
{
	*s = scan_free(*s);
}

int scan_tree(int rootfd, struct index *x, const struct scan_options *options,
	      int (*each)(void *arg, const struct scan_item *item, struct err *err), void *arg,
	      struct scan_counts *ret, struct err *err)
{
	OWNED(scan_freep) struct tree_scan *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_memory(err);
	s->options = options;
	s->each = each;
	s->arg = arg;
	rc = cursor_open(&s->c, x, err);
	if (rc == 0)
		rc = prefetch_new(rootfd, options, &s->prefetch, err);
	if (rc == 0)
		rc = scan_folder(s, prefetch_root(s->prefetch), INDEX_ROOT, err);
	if (rc < 0)
		return rc;
	*ret = s->counts;
	return 0;
}
