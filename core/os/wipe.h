/* SPDX-License-Identifier: ISC */
/*
 * Wiping: files whose bytes should not stay on the medium.  Best effort: they are overwritten where
 * they lie and flushed before they lose their name, which a file system that writes elsewhere, a
 * snapshot or a worn flash block can defeat.
 */
#ifndef SATCHEL_CORE_OS_WIPE_H
#define SATCHEL_CORE_OS_WIPE_H

#include "core/base/err.h"

/** wipe_file(dirfd, name, err): overwrite and remove one entry that is no directory.  What is no
 * regular file, or has another name elsewhere, is only removed.  Absent is fine. */
int wipe_file(int dirfd, const char *name, struct err *err);

/** wipe_tree(dirfd, name, err): a directory and all below, never crossing a link or a mount.
 * Absent is fine. */
int wipe_tree(int dirfd, const char *name, struct err *err);

#endif
