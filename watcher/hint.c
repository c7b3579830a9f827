/* SPDX-License-Identifier: ISC */
/*
 * One helper process for each place.  libinotifytools has one state for the whole process and no
 * descriptor to poll, and a dead share hangs whoever touches it: a helper can be ended.
 */
#include "watcher/hint.h"

#include <fcntl.h>
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/confine.h"

/* What may be new: a file whose writer is done, one that was moved there, a directory. */
#define EVENTS_DEPOT     (IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF)
#define EVENTS_DOCUMENTS (EVENTS_DEPOT | IN_DELETE | IN_MOVED_FROM)
/* In a tree every change counts; writing itself too, so that the end of it is waited for. */
#define EVENTS_TREE (EVENTS_DEPOT | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM)
/* The library keeps a little memory for every directory that comes and goes, and whoever may write
 * into a depot can make as many as they like: after so many the helper makes room for a new one. */
#define DIRECTORIES_MAX 20000u
/* Between two messages, so that a million events are not a million messages. */
#define QUIET_MS 50

const char *hint_polled(uint64_t type)
{
	/* Source: linux/magic.h and the file systems themselves. */
	static const struct {
		uint64_t type;
		const char *name;
	} polled[] = {
	    {0x6969, "NFS"},       {0x517b, "SMB"},        {0xff534d42, "SMB"},
	    {0xfe534d42, "SMB"},   {0x65735546, "FUSE"},   {0x01021997, "9p"},
	    {0x00c36400, "Ceph"},  {0x5346414f, "AFS"},    {0x6b414653, "AFS"},
	    {0x73757245, "Coda"},  {0x564c, "NCP"},        {0x01161970, "GFS2"},
	    {0x7461636f, "OCFS2"}, {0x0bd00bd0, "Lustre"}, {0x19830326, "BeeGFS"},
	    {0x47504653, "GPFS"},  {0x786f4256, "vboxsf"}, {0xbacbacbc, "vmhgfs"},
	    {0xaad7aaea, "PanFS"},
	};

	for (size_t i = 0; i < ARRAY_LEN(polled); i++)
		if ((type & 0xffffffffu) == polled[i].type)
			return polled[i].name;
	return NULL;
}

/* In the helper */

/* How often it is made sure that the path leads to what is watched: one stat. */
#define SAME_SECONDS 5

struct watching {
	const char *path;
	enum hint_scope scope;
	uint64_t type;        /* of the file system */
	int fd;               /* to the watcher */
	int64_t told;         /* when */
	int64_t judged;       /* when it was last seen to be the same directory */
	unsigned directories; /* that came while it watched */
};

static int hint_send(struct watching *w, enum hint_what what)
{
	uint8_t type[8];
	struct err err;

	put_u64(type, w->type);
	return frame_send(w->fd, (uint8_t)what, (struct bytes){type, sizeof(type)}, &err);
}

/* The kernel's answer to a watch: 1 watched, 0 not there, RC_LIMIT no more watches. */
static int watch_one(const char *path, int events)
{
	if (inotifytools_watch_file(path, events | IN_ONLYDIR | IN_DONT_FOLLOW))
		return 1;
	return inotifytools_error() == ENOSPC ? RC_LIMIT : 0;
}

static int watch_below(const char *path, const char *name, int events)
{
	char full[PATH_MAX];

	if ((size_t)snprintf(full, sizeof(full), "%s/%s", path, name) >= sizeof(full))
		return 0;
	return watch_one(full, events);
}

static int watch_inbox(const char *path)
{
	int rc = watch_below(path, "inbox", EVENTS_DEPOT);

	for (unsigned xx = 0; xx < 256 && rc == 1; xx++) {
		char name[16];

		snprintf(name, sizeof(name), "inbox/%02x", xx);
		if (watch_below(path, name, EVENTS_DEPOT) < 0)
			return RC_LIMIT;
	}
	return rc;
}

/* Not what else may lie there: a state directory, the history of git. */
static int watch_documents(const char *path)
{
	static const char *const below[] = {"channels", "workstations", "groups",  "users",
					    "licences", "keys",         "policies"};

	for (size_t i = 0; i < ARRAY_LEN(below); i++)
		if (watch_below(path, below[i], EVENTS_DOCUMENTS) < 0)
			return RC_LIMIT;
	return 1;
}

/* What git keeps for itself changes with every command of it. */
static int watch_tree(const char *path)
{
	char git[PATH_MAX];
	const char *skip[2] = {git, NULL};
	int had;

	if ((size_t)snprintf(git, sizeof(git), "%s/.git", path) >= sizeof(git))
		return 0;
	/* The library reads a directory before it watches it: what was made in between is found by
	 * reading again. */
	do {
		had = inotifytools_get_num_watches();
		if (!inotifytools_watch_recursively_with_exclude(path, EVENTS_TREE | IN_DONT_FOLLOW,
								 skip))
			return inotifytools_error() == ENOSPC ? RC_LIMIT : 0;
	} while (inotifytools_get_num_watches() != had);
	return 1;
}

/* Watching what is watched already changes nothing, so this is also how new directories are taken
 * in. */
static int watch_all(const struct watching *w)
{
	int rc;

	if (w->scope == HINT_TREE)
		return watch_tree(w->path);
	rc = watch_one(w->path, EVENTS_DEPOT);
	if (rc <= 0)
		return rc;
	if (w->scope == HINT_INBOX)
		return watch_inbox(w->path) < 0 ? RC_LIMIT : 1;
	if (w->scope == HINT_DOCUMENTS)
		return watch_documents(w->path);
	return watch_below(w->path, "beats", EVENTS_DEPOT) < 0 ||
		       watch_below(w->path, "trust", EVENTS_DEPOT) < 0
		   ? RC_LIMIT
		   : 1;
}

/* Is the directory that we were asked for still there, and the same? */
static bool still_there(const struct watching *w, const struct stat *was)
{
	struct stat st;

	return stat(w->path, &st) == 0 && st.st_dev == was->st_dev && st.st_ino == was->st_ino;
}

/* A directory that is new in a tree is watched with all that is in it already. */
static int directory_taken(struct watching *w, const struct inotify_event *e)
{
	const char *parent = inotifytools_filename_from_wd(e->wd);
	char full[PATH_MAX];

	if (e->mask & IN_Q_OVERFLOW) { /* whatever was dropped: from the beginning */
		inotifytools_cleanup();
		return inotifytools_initialize() ? watch_all(w) : RC_LIMIT;
	}
	w->directories++;
	if (w->scope != HINT_TREE || parent == NULL)
		return watch_all(w);
	if (!(e->mask & (IN_CREATE | IN_MOVED_TO)) || e->len == 0 || strcmp(e->name, ".git") == 0)
		return 1;
	if ((size_t)snprintf(full, sizeof(full), "%s%s", parent, e->name) >= sizeof(full))
		return 1;
	return watch_tree(full);
}

/*
 * Who renames a directory above, switches a link that leads here, or mounts something over it,
 * makes no event for what is watched.  NULL: something else is there now, or nothing.
 */
static const struct inotify_event *event_next(struct watching *w, const struct stat *was)
{
	for (;;) {
		const struct inotify_event *e = inotifytools_next_event(SAME_SECONDS);
		int64_t now = clock_monotonic_ms();

		if (e == NULL && inotifytools_error() != 0)
			return NULL;
		if (now >= w->judged + SAME_SECONDS * 1000) {
			if (!still_there(w, was))
				return NULL;
			w->judged = now;
		}
		if (e != NULL)
			return e;
	}
}

/* The next event, waited for: what it means.  (Asked without waiting, the library waits as well.)
 */
static enum hint_what next_news(struct watching *w, const struct stat *was)
{
	const struct inotify_event *e = event_next(w, was);
	uint32_t mask;
	bool self;

	if (e == NULL)
		return HINT_GONE;
	mask = e->mask; /* what follows may take the event's memory */
	self = (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0;
	if (self && !still_there(w, was))
		return HINT_GONE;
	if ((self || (mask & (IN_ISDIR | IN_Q_OVERFLOW))) && directory_taken(w, e) < 0)
		return HINT_FULL;
	return mask & IN_Q_OVERFLOW ? HINT_LOST : HINT_CHANGED;
}

/* What is told again within so short a time changes nothing for whoever waits for quiet. */
static int hint_send_news(struct watching *w, enum hint_what what)
{
	int64_t now = clock_monotonic_ms();

	if (what == HINT_CHANGED && now < w->told + QUIET_MS)
		return 0;
	if (what == HINT_CHANGED)
		w->told = now;
	return hint_send(w, what);
}

/* Names and events are a stranger's, and the library that reads them works on paths.  The
 * descriptor is closed before anything is watched: it would keep a medium from being unmounted. */
static bool confined(const struct watching *w)
{
	OWNED(fd_closep) int dir = os_open_dir(w->path, ERR_IGNORED);

	return dir >= 0 && confine_self(CONFINE_HINT, dir, ERR_IGNORED) >= 0;
}

static int helper(void *arg, int fd)
{
	struct watching *w = arg;
	struct statfs fs;
	struct stat st;
	int rc;

	w->fd = fd;
	if (stat(w->path, &st) < 0 || !S_ISDIR(st.st_mode) || statfs(w->path, &fs) < 0)
		return hint_send(w, HINT_ABSENT);
	w->type = (uint64_t)fs.f_type;
	if (hint_polled(w->type) != NULL)
		return hint_send(w, HINT_POLLED);
	if (!confined(w) || !inotifytools_initialize())
		return hint_send(w, HINT_FULL);
	rc = watch_all(w);
	if (rc <= 0)
		return hint_send(w, rc < 0 ? HINT_FULL : HINT_ABSENT);
	for (enum hint_what what = HINT_READY; hint_send_news(w, what) == 0;
	     what = next_news(w, &st))
		if (what == HINT_GONE || what == HINT_FULL || w->directories > DIRECTORIES_MAX)
			return 0;
	return 1;
}

/* In the watcher */

int hint_start(const char *path, enum hint_scope scope, struct hint *ret, struct err *err)
{
	struct watching w = {.path = path, .scope = scope};

	return child_start(helper, &w, NULL, 0, &ret->child, err);
}

enum hint_what hint_read(struct hint *h, uint64_t *ret_type)
{
	OWNED(buf_clear) struct buf body = BUF_INIT;
	struct err err;
	uint8_t type;

	if (frame_receive(h->child.fd, 8, 1000, &type, &body, &err) <= 0 || body.n != 8 ||
	    type > HINT_FULL)
		return HINT_NONE;
	*ret_type = get_u64(body.p);
	return (enum hint_what)type;
}

void hint_stop(struct hint *h)
{
	child_kill(&h->child);
}
