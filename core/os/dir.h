/* SPDX-License-Identifier: ISC */
/*
 * The entries of a directory, one after the other, in the order of the file system; and its path.
 */
#ifndef SATCHEL_CORE_OS_DIR_H
#define SATCHEL_CORE_OS_DIR_H

#include <stdbool.h>

#include "core/base/err.h"

struct dir_entry {
	int dirfd;          /* the directory; borrowed, valid during the call */
	const char *name;   /* bytes, as the file system has them; valid during the call */
	unsigned char type; /* DT_REG, DT_DIR, ...; DT_UNKNOWN where the file system does not say */
};

/* 0: go on; anything else ends the loop and is what dir_each returns. */
typedef int dir_visit(void *arg, const struct dir_entry *entry, struct err *err);

enum dir_flags {
	DIR_MAY_BE_ABSENT = 1 << 0, /* no directory at all is the same as an empty one */
};

/**
 * dir_each(dirfd, path, flags, visit, arg, err):
 * Call ${visit} for each entry but "." and ".." of the directory ${path} beneath ${dirfd} ("." for
 * itself), opened as by beneath_dir; several loops over one ${dirfd} do not disturb each other.
 * ${visit} may remove the entry it is called for.  Returns 0, or what ${visit} returned.
 * Errors: those of beneath_dir; RC_IO.  Source: readdir(3): errno tells the end from a failure.
 */
int dir_each(int dirfd, const char *path, enum dir_flags flags, dir_visit *visit, void *arg,
	     struct err *err);

/** dir_each_fd(fd, visit, arg, err): the same for a directory that is open already; ${fd} is closed
 * in any case. */
int dir_each_fd(int fd, dir_visit *visit, void *arg, struct err *err);

/** dir_empty(dirfd, path, err): 1 when the directory has no entry, else 0; errors as dir_each. */
int dir_empty(int dirfd, const char *path, struct err *err);

/**
 * dir_absolute(path, ret, err): the path of a directory, for a document: against the working
 * directory, no trailing slash, and no "." or ".." left.  Links stay, because whoever switches one
 * means what it leads to then.  ${*ret} is owned by the caller.  RC_USAGE: it is empty; RC_IO.
 */
int dir_absolute(const char *path, char **ret, struct err *err);

#endif
