/* SPDX-License-Identifier: ISC */
/*
 * What the scan sees on disk.  A folder is one directory: its names in byte order, and a stat of
 * each.  Threads read folders ahead of the walk, in its order, into a bounded store
 * (scan_prefetch.c); the walk takes them one after the other and merges them with the index
 * (scan.c).
 */
#ifndef SATCHEL_CORE_TREE_SCAN_INTERNAL_H
#define SATCHEL_CORE_TREE_SCAN_INTERNAL_H

#include "core/tree/scan.h"

/* Entries of one folder that are examined ahead; what a larger one has more is examined when the
 * walk comes to it.  Bounds memory: 100 bytes each. */
#define FOLDER_PREFETCHED 8192u

enum seen_what {
	SEEN_ABSENT, /* vanished, or excluded */
	SEEN_THERE,
	SEEN_MOUNT, /* something else is mounted there */
	SEEN_TOO_LONG,
};

/* A stat in half the room. */
struct scan_seen {
	enum seen_what what;
	uint32_t mode, uid, gid;
	uint64_t dev, ino, size;
	int64_t mtime, ctime; /* nanoseconds */
	struct folder *below; /* owned; of a directory */
};

/* The names of one directory in byte order. */
struct scan_listing {
	struct buf text;    /* names, each with its NUL */
	const char **names; /* owned array; into ${text} */
	size_t n;
};

enum folder_state { FOLDER_WAITING, FOLDER_BUSY, FOLDER_READY };

struct folder {
	enum folder_state state;
	struct folder *next, *previous; /* unread folders, in the order of the walk */
	struct scan_listing list;
	struct scan_seen *seen; /* owned; of the first ${seen_n} names */
	size_t seen_n;
	struct folder **owner; /* who points here */
	struct folder *more;   /* owned; of an entry beyond ${seen_n} */
	int fd;                /* owned; for the walk, once it needs one; -1 */
	int rc;
	struct err *err; /* owned; NULL while nothing failed */
	size_t depth;    /* names in the path */
	size_t path_n;
	char path[]; /* from the root; "" is the root */
};

struct prefetch; /* owned: the threads and what they read */

/** prefetch_new(rootfd, options, ret, err): nothing is read yet.  Threads start when the tree turns
 * out not to be small; when none can be had, everything is read when it is asked for. */
int prefetch_new(int rootfd, const struct scan_options *options, struct prefetch **ret,
		 struct err *err);
/**
 * prefetch_freep(at): stop the threads, wait for them, release every folder; ${*at} becomes NULL.
 * prefetch_root(a): the root's folder, borrowed; to be taken like every other.
 */
void prefetch_freep(struct prefetch **at);
struct folder *prefetch_root(struct prefetch *a);
/** prefetch_take(a, f, err): wait for the folder, or read it.  prefetch_done(a, f): release it;
 * every folder below it was taken and released before. */
int prefetch_take(struct prefetch *a, struct folder *f, struct err *err);
void prefetch_done(struct prefetch *a, struct folder *f);
/** prefetch_more(a, f, i, ret, err): entry i, for i >= f->seen_n. */
int prefetch_more(struct prefetch *a, struct folder *f, size_t i, struct scan_seen *ret,
		  struct err *err);
/** prefetch_fd(a, f, err): a descriptor of the folder, which keeps it. */
int prefetch_fd(struct prefetch *a, struct folder *f, struct err *err);

#endif
