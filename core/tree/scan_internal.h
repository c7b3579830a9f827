/*
 * What the scan sees on disk: the names of one directory, and a stat of each.
 */
#ifndef SATCHEL_TREE_SCAN_INTERNAL_H
#define SATCHEL_TREE_SCAN_INTERNAL_H

#include "core/tree/scan.h"

/* The names of one directory in byte order.  Reused for directory after directory. */
struct listing {
	struct buf text;    /* names, each with its NUL */
	const char **names; /* owned array; into ${text} */
	size_t n, room;     /* names */
};

/** scan_listing_read(l, fd, err): errno is kept for the caller, who knows the path. */
int scan_listing_read(struct listing *l, int fd, struct err *err);
void scan_listing_clear(struct listing *l);

/**
 * disk_stat(dirfd, name, ret, ret_mount, err): of the entry itself; ${*ret_mount}: something is
 * mounted there.  1 there, 0 not there any more, negative.
 */
int disk_stat(int dirfd, const char *name, struct stat *ret, bool *ret_mount, struct err *err);

#endif
