/* SPDX-License-Identifier: ISC */
/*
 * Repair: what differs on disk from what was applied becomes it again.  Contents come from the
 * target itself, from what was kept of earlier generations, and from what was fetched; what a
 * person wrote is kept aside.
 */
#ifndef SATCHEL_APPLIER_REPAIR_REPAIR_H
#define SATCHEL_APPLIER_REPAIR_REPAIR_H

#include "applier/apply/applied.h"
#include "applier/apply/apply.h"
#include "core/base/list.h"

struct repair_item {
	char *path; /* owned */
	bool meta;  /* only its metadata differs */
};

/* What is to be repaired of one channel. */
struct repair {
	const char *tree;        /* borrowed */
	const char *const *only; /* borrowed; paths, each with all below it; none: everything */
	size_t onlys;
	LIST(struct repair_item) item; /* owned; ascending by path */
	struct applied now;
};

/**
 * repair_find(s, tree, only, onlys, ret, err): what differs, by stat and then by content; ${tree}
 * and ${only} are borrowed by ${ret}, which the caller clears.  Errors: RC_USAGE: no such channel
 * here; RC_IO: it cannot be looked at, or an empty directory stands where it was, which may be a
 * mount point.
 * repair_clear(r): for OWNED.
 */
int repair_find(struct station *s, const char *tree, const char *const *only, size_t onlys,
		struct repair *ret, struct err *err);
void repair_clear(struct repair *r);
/** repair_apply(s, r, contentfd, err): all of it or nothing; ${contentfd}: what was fetched, -1:
 * nothing was.  RC_ABSENT: a content is nowhere; and the errors of apply_local. */
int repair_apply(struct station *s, const struct repair *r, int contentfd, struct err *err);
/** repair_contents(s, r, ret, ret_n, err): the digests of the contents that it takes, ascending,
 * each once; the caller's. */
int repair_contents(struct station *s, const struct repair *r, struct digest **ret, size_t *ret_n,
		    struct err *err);

/** repair_elsewhere(s, r, content, err): 1 when a content seems to be on this machine: in a file
 * that is as it was published, or in an undo area; else 0. */
int repair_elsewhere(struct station *s, const struct repair *r, const struct digest *content,
		     struct err *err);

#endif
