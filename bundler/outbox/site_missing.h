/* SPDX-License-Identifier: ISC */
/*
 * What the home depot should hold and does not: anybody can remove a file from a share, and what
 * was posted once is asked for as long as a head, a shard or a beat names it.
 */
#ifndef SATCHEL_BUNDLER_OUTBOX_SITE_MISSING_H
#define SATCHEL_BUNDLER_OUTBOX_SITE_MISSING_H

#include "bundler/documents/site_model.h"
#include "core/base/list.h"
#include "core/depot/depot.h"

/**
 * site_missing(s, d, ret, err):
 * How many of the files that count as posted ${d} does not hold, or not in their length.  Only
 * directories are listed, no file is read: a file whose name and length are right is taken for
 * whole.  A directory that cannot be listed keeps the others from nothing, and what it should hold
 * does not count: ${*ret} is set all the same, and then the first such failure is returned.
 * site_missing_mark(s, d, ret, err): and they count as not posted any more, committed together with
 * an event; ${*ret}, the caller's to clear, has their paths.
 * site_missing_back(s, missing, ret, err): how many of those count as posted by now.
 */
int site_missing(struct site *s, struct depot *d, uint64_t *ret, struct err *err);
int site_missing_mark(struct site *s, struct depot *d, struct strings *ret, struct err *err);
int site_missing_back(struct site *s, const struct strings *missing, uint64_t *ret,
		      struct err *err);

#endif
