/* SPDX-License-Identifier: ISC */
/*
 * Which directory is it?  A name says little: links, bind mounts and renames give one directory
 * many, and give a name to another.  Device and inode of an opened directory, and of those above
 * it, say where it lies whatever it is called.
 */
#ifndef SATCHEL_CORE_OS_DIR_ID_H
#define SATCHEL_CORE_OS_DIR_ID_H

#include <stdint.h>

#include "core/base/list.h"

struct dir_id {
	uint64_t dev, ino;
};
struct dir_ids LIST_MEMBERS(struct dir_id);

/** dir_id_compare(a, b): order of two struct dir_id, for lists that are sorted. */
int dir_id_compare(const void *a, const void *b);

/** dir_id(fd, ret, err): of an open directory or file.  RC_IO. */
int dir_id(int fd, struct dir_id *ret, struct err *err);

/**
 * dir_above_each(fd, each, arg, err):
 * Call ${each} for the open directory and then for each one above it, up to the root: its
 * descriptor (O_PATH but for the first; valid during the call) and its identity.  What ${each}
 * returns, if not 0, ends the walk and is returned.
 * Errors: RC_IO, also when one on the way may not be searched; RC_LIMIT: deeper than a path can be.
 */
int dir_above_each(int fd, int (*each)(void *arg, int fd, const struct dir_id *id, struct err *err),
		   void *arg, struct err *err);

/** dir_above(fd, ret, err): the identities of that walk, the directory itself first; ${ret} is the
 * caller's to clear with list_clear, also after a failure. */
int dir_above(int fd, struct dir_ids *ret, struct err *err);

#endif
