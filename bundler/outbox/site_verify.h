/* SPDX-License-Identifier: ISC */
/*
 * Does the home depot still hold the bytes that were posted?  A medium that rots, a copying program
 * or a person can change a file and leave its name and length, which no listing shows; workstations
 * then wait for something that nobody posts again.
 */
#ifndef SATCHEL_BUNDLER_OUTBOX_SITE_VERIFY_H
#define SATCHEL_BUNDLER_OUTBOX_SITE_VERIFY_H

#include "bundler/documents/site_model.h"
#include "core/base/list.h"
#include "core/depot/depot.h"

/* Documents of each run, or what brings all of them within so many runs. */
#define VERIFY_FILES 64u
#define VERIFY_RUNS  168u /* a week, once an hour */
/* Bundles of each run: so many bytes, and the one that exceeds them. */
#define VERIFY_BYTES ((uint64_t)64 << 20)

/**
 * site_verify(s, d, ret, err): read the share of what counts as posted that is due, and all of each
 * channel of which a workstation has said since the last time that it could not read it.  Documents
 * with other bytes count as posted no more; their paths are added to ${ret}, with an event.
 * Bundles that are due count as posted no more either: site_post() compares them byte by byte. A
 * depot that fails on the way ends it without an error: the listing tells that.
 */
int site_verify(struct site *s, struct depot *d, struct strings *ret, struct err *err);

#endif
