/* SPDX-License-Identifier: ISC */
/*
 * Patterns of what a channel leaves out of its source.
 */
#ifndef SATCHEL_CORE_TREE_EXCLUDE_H
#define SATCHEL_CORE_TREE_EXCLUDE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/limits.h"

enum exclude_fit {
	EXCLUDE_NO,
	EXCLUDE_DIRECTORY, /* if it is a directory */
	EXCLUDE_YES,
};

/**
 * exclude_fits(globs, n, path): does ${path}, relative to the source, itself match one of them,
 * whatever is above it?  Each part of a pattern is one of fnmatch(3).
 *   name      that name, wherever it is
 *   a/name    that path; /name and ./name likewise, so that is one directly in the source
 *   name/     only when it is a directory
 *   a/(2 stars)/name   two stars as a part: any number of directories, or none; at the end: all
 *             that is below
 * As gitignore(5) of git, without its negation.
 */
enum exclude_fit exclude_fits(const char *const *globs, size_t n, const char *path);

/* A slash, and each byte as up to three. */
#define EXCLUDE_MAX (3 * LIMIT_PATH + 2)

/**
 * exclude_only(path, dst): the pattern of ${path} and of nothing else, as one can write it between
 * quotation marks; bytes that need care there stand as "?".
 */
void exclude_only(const char *path, char dst[EXCLUDE_MAX]);

/** exclude_good(glob): can anything match it?  Not "/", nor with an empty part, "." or "..". */
bool exclude_good(const char *glob);

#endif
