/* SPDX-License-Identifier: ISC */
/*
 * Whether a path lies on what is to be mounted there.  A directory below an absent stick or share
 * takes everything, and whoever wrote it believes that it is on its way.
 */
#ifndef SATCHEL_CORE_OS_MOUNTS_H
#define SATCHEL_CORE_OS_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

/**
 * mount_missing(path, fstab, dst, size): is the absolute ${path}, which need not exist, at or below
 * a place where something is to be mounted and nothing is?  ${dst} is that place: a mount point of
 * ${fstab} ("/etc/fstab"), or /media or /run/media, where desktops mount sticks.  Only tables are
 * read, never the path: a dead share cannot hold it up.  Source: fstab(5), getmntent(3).
 */
bool mount_missing(const char *path, const char *fstab, char *dst, size_t size);

#endif
