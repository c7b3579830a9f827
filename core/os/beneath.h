/* SPDX-License-Identifier: ISC */
/*
 * Paths beneath a directory descriptor.  Every path is relative to a held descriptor and resolved
 * by openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS and
 * RESOLVE_NO_XDEV, so that neither a link nor a mount put there by somebody else leads outside.
 */
#ifndef SATCHEL_CORE_OS_BENEATH_H
#define SATCHEL_CORE_OS_BENEATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/base/err.h"

/**
 * beneath_open(dirfd, path, flags, mode, err):
 * Open ${path} (relative, no "..") below ${dirfd}; O_CLOEXEC is added, and a link is never
 * followed. Returns a descriptor, or a negative code: RC_PATH (a link, a mount or a way out in the
 * path), RC_IO (errno in the sentence; errno is kept, so that callers can tell ENOENT). Source:
 * openat2(2): mode must be 0 without O_CREAT and O_TMPFILE; EAGAIN means try again.
 */
int beneath_open(int dirfd, const char *path, int flags, mode_t mode, struct err *err);

/** beneath_dir(dirfd, path, err): the directory ${path} ("." for ${dirfd} itself), O_DIRECTORY. */
int beneath_dir(int dirfd, const char *path, struct err *err);

/**
 * beneath_file(dirfd, path, ret, err):
 * Open a regular file for reading: looked at through O_PATH first, so that a FIFO does not block, a
 * device is never opened, and what was looked at is what is read.  ${ret} may be NULL.
 * Errors: RC_TYPE for anything that is not a regular file, RC_PATH, RC_IO (errno kept).
 */
int beneath_file(int dirfd, const char *path, struct stat *ret, struct err *err);

/**
 * beneath_parent(dirfd, path, ret_name, err):
 * Open the parent directory of ${path} and point ${*ret_name} at its last component (inside
 * ${path}). For unlinkat, renameat2, mkdirat, symlinkat, utimensat with that descriptor.
 */
int beneath_parent(int dirfd, const char *path, const char **ret_name, struct err *err);

/** beneath_mkdirs(dirfd, path, mode, err): make ${path} and its missing parents; existing is fine.
 * The names are not flushed.
 * beneath_mkdirs_durable(dirfd, path, mode, err): the names of those that it makes are flushed,
 * because what lies in a directory is lost with its name. */
int beneath_mkdirs(int dirfd, const char *path, mode_t mode, struct err *err);
int beneath_mkdirs_durable(int dirfd, const char *path, mode_t mode, struct err *err);

/** beneath_stat(dirfd, path, ret, err): of the entry itself (a link is not followed). */
int beneath_stat(int dirfd, const char *path, struct stat *ret, struct err *err);

/** beneath_remove_tree(dirfd, name, err): remove ${name} (one component) and all below, never
 * crossing a mount or a link. Absent is fine.  Own directories that are not writable are made so.
 */
int beneath_remove_tree(int dirfd, const char *name, struct err *err);

/** os_open_dir(path, err): open a directory by a path that the owner of this machine gave (links
 * allowed). */
int os_open_dir(const char *path, struct err *err);

#endif
