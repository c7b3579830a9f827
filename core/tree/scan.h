/* SPDX-License-Identifier: ISC */
/*
 * The scan: walk a directory on disk beside its index, both in byte order of name, and report only
 * what differs.  No file's content is read here; the walk never follows a link or crosses a mount.
 */
#ifndef SATCHEL_CORE_TREE_SCAN_H
#define SATCHEL_CORE_TREE_SCAN_H

#include <sys/stat.h>

#include "core/base/reporter.h"
#include "core/tree/index.h"

/*
 * When an entry changes its kind it is CHANGED, and what the old directory held is GONE; when
 * something that is SKIPPED or excluded stands where the index has an entry, that is GONE as well.
 */
enum scan_what {
	SCAN_NEW,     /* on disk only */
	SCAN_CHANGED, /* on both; stat differs, so a file's content must be read */
	SCAN_GONE,    /* in the index only: reported for every entry of a vanished directory */
	SCAN_SKIPPED, /* device, socket, fifo, another mount, unreadable name: never part of a tree;
			 `why` says */
};

struct scan_item {
	enum scan_what what;
	const char *path;     /* from the root, decoded */
	enum entry_kind kind; /* on disk (GONE: in the index) */
	const struct stat
	    *st; /* NULL for GONE; type, mode, owner, size, inode, mtime, ctime only */
	const struct entry *old; /* NULL: the index has nothing there */
	const char *target;      /* links: where they point */
	const char *why;         /* SKIPPED */
};

enum scan_flags {
	SCAN_OWNERS = 1 << 0,      /* owners are part of the tree */
	SCAN_DISK_TIMES = 1 << 1,  /* compare with disk_mtime instead of mtime (a target that cannot
				      hold the published one) */
	SCAN_PLAIN_MODES = 1 << 2, /* set-id and sticky bits are not part of the tree */
};

/*
 * Who may refuse what the walk meets; nothing of it is reported before.  What they return below 0
 * ends the scan and is returned.
 */
struct scan_guard {
	/* Every directory before its entries are looked at, from several threads: ${fd} is what is
	 * read, ${names} are its ${n} entries in byte order; ${path} is "" for the root. */
	int (*folder)(void *arg, const char *path, int fd, const char *const *names, size_t n,
		      struct err *err);
	/* Every regular file that is part of the tree, from the walk's own thread. */
	int (*file)(void *arg, const char *path, uint64_t dev, uint64_t ino, struct err *err);
	void *arg;
};

struct scan_options {
	const struct scan_guard *guard; /* borrowed; NULL: nobody */
	const char *const *exclude;     /* patterns (exclude.h); a directory that matches is not
					   entered */
	size_t excludes;
	enum scan_flags flags;
	int64_t racy_after; /* ns: a file whose mtime or ctime is not older than this is reported
			       CHANGED even if its stat is equal (racy git) */
};

struct scan_counts {
	uint64_t entries, files, bytes; /* seen on disk, without what is excluded */
};

/**
 * scan_tree(rootfd, x, options, each, arg, ret, err):
 * Ascending by path, one call for each difference; a directory before what it holds.  A directory
 * that could not be read is an error (RC_IO), never taken for empty; RC_AGAIN when something
 * changed its kind under our eyes.  ${each} must not change the index, nor walk it (index_get is
 * fine). One descriptor is open for each directory on the way down.
 */
int scan_tree(int rootfd, struct index *x, const struct scan_options *options,
	      int (*each)(void *arg, const struct scan_item *item, struct err *err), void *arg,
	      struct scan_counts *ret, struct err *err);

#endif
