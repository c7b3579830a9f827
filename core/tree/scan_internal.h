/*
 * What the scan sees on disk.  A folder is one directory: its names in byte order, and a stat of
 * each.  Threads read folders ahead of the walk, in its order, into a bounded store (scan_ahead.c);
 * the walk takes them one after the other and merges them with the index (scan.c).
 */
#ifndef SATCHEL_TREE_SCAN_INTERNAL_H
#define SATCHEL_TREE_SCAN_INTERNAL_H

#include "core/tree/scan.h"

/* Entries of one folder that are looked at ahead; what a larger one has more is looked at when the
 * walk comes to it.  Bounds memory: 100 bytes each. */
#define FOLDER_AHEAD 8192u

enum seen_what {
	SEEN_ABSENT, /* vanished, or excluded */
	SEEN_THERE,
	SEEN_MOUNT, /* something else is mounted there */
	SEEN_TOO_LONG,
};

/* A stat in half the room. */
struct seen {
	enum seen_what what;
	uint32_t mode, uid, gid;
	uint64_t dev, ino, size;
	int64_t mtime, ctime; /* nanoseconds */
	struct folder *below; /* owned; of a directory */
};

/* The names of one directory in byte order. */
struct listing {
	struct buf text;    /* names, each with its NUL */
	const char **names; /* owned array; into ${text} */
	size_t n;
};

/** scan_listing_read(l, fd, err): RC_IO, without the directory's path. */
int scan_listing_read(struct listing *l, int fd, struct err *err);
void scan_listing_clear(struct listing *l);
/** disk_look(fd, name, ret, err): stat of the entry itself. */
int disk_look(int fd, const char *name, struct seen *ret, struct err *err);

enum folder_state { FOLDER_WAITING, FOLDER_BUSY, FOLDER_READY };

struct folder {
	enum folder_state state;
	struct folder *next, *previous; /* unread folders, in the order of the walk */
	struct listing list;
	struct seen *seen; /* owned; of the first ${looked} names */
	size_t looked;
	struct folder **owner; /* who points here */
	struct folder *more;   /* owned; of an entry beyond ${looked} */
	int fd;                /* owned; for the walk, once it needs one; -1 */
	int rc;
	struct err *err; /* owned; NULL while nothing failed */
	size_t depth;    /* names in the path */
	size_t path_n;
	char path[]; /* from the root; "" is the root */
};

struct ahead; /* owned: the threads and what they read */

/** ahead_new(rootfd, options, ret, err): nothing is read yet.  Threads start when the tree turns
 * out not to be small; when none can be had, everything is read when it is asked for. */
int ahead_new(int rootfd, const struct scan_options *options, struct ahead **ret, struct err *err);
struct ahead *ahead_free(struct ahead *a);
void ahead_freep(struct ahead **a);
struct folder *ahead_root(struct ahead *a);
/** ahead_take(a, f, err): wait for the folder, or read it.  ahead_done(a, f): release it; every
 * folder below it was taken and released before. */
int ahead_take(struct ahead *a, struct folder *f, struct err *err);
void ahead_done(struct ahead *a, struct folder *f);
/** ahead_more(a, f, i, ret, err): entry i, for i >= f->looked. */
int ahead_more(struct ahead *a, struct folder *f, size_t i, struct seen *ret, struct err *err);
/** ahead_fd(a, f, err): a descriptor of the folder, which keeps it. */
int ahead_fd(struct ahead *a, struct folder *f, struct err *err);

/** glob_fits(globs, n, path): does ${path} itself match, whatever is above it? */
bool glob_fits(const char *const *globs, size_t n, const char *path);

#endif
