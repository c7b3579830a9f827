/* SPDX-License-Identifier: ISC */
/*
 * The source of a channel, opened and judged.  Whatever lies in a source goes into bundles that
 * everybody can read, so a source may neither lie in nor hold what is the site's own (state, keys,
 * documents of people), the depot, or the secrets of another site or workstation.  Judged is what
 * was opened, by device and inode: names, links and mounts say nothing.
 */
#ifndef SATCHEL_BUNDLER_SOURCE_SITE_SOURCE_H
#define SATCHEL_BUNDLER_SOURCE_SITE_SOURCE_H

#include <sys/stat.h>

#include "bundler/documents/site_model.h"

struct site_source_guard; /* owned by its site */

/**
 * site_source_guard(s, ret, err):
 * What no source of this site may touch, found out once while a site is open, and so is why it
 * cannot be; ${*ret} is borrowed.  A depot that is not at hand, or silent for silence_s of the
 * site, is left out.  Errors: RC_IO; RC_TYPE, RC_LIMIT, RC_MALFORMED: a server.yaml cannot be read,
 * and may be what forbids a source; RC_CONFLICT: the one in the state is about another site.
 * site_source_guard_freep(g): NULL is fine.
 */
int site_source_guard(struct site *s, struct site_source_guard **ret, struct err *err);
void site_source_guard_freep(struct site_source_guard **g);

/**
 * site_source_open(s, c, err): the directory, judged; a descriptor.  RC_POLICY says what it
 * overlaps with, or that it lies below none of the directories that the owner of the server lists;
 * RC_IO (errno kept). site_source_check(s, c, err): the same for a channel that is about to be
 * written; a source that is not there yet is fine.
 */
int site_source_open(struct site *s, const struct site_channel *c, struct err *err);
int site_source_check(struct site *s, const struct site_channel *c, struct err *err);

/**
 * What is met below an opened source, for struct scan_guard and struct pack_options; ${arg} is the
 * guard.  Each may be called from several threads.  RC_POLICY says what was found.
 * site_source_folder(arg, path, fd, names, n, err): a directory that is entered, with its names in
 * byte order. site_source_file(arg, path, dev, ino, err): a file by its identity: a hard link to
 * one of our secrets? site_source_reading(arg, path, st, head, err): a file that is read, by what
 * was opened and how it begins.
 */
int site_source_folder(void *arg, const char *path, int fd, const char *const *names, size_t n,
		       struct err *err);
int site_source_file(void *arg, const char *path, uint64_t dev, uint64_t ino, struct err *err);
int site_source_reading(void *arg, const char *path, const struct stat *st, struct bytes head,
			struct err *err);

#endif
