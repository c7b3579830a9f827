/* SPDX-License-Identifier: ISC */
/*
 * What is applied: the generation that each tree is at, and where the disk differs from it with the
 * owner's consent.  A deviation is a local change that stays; an adaptation is what the file system
 * could not hold (owners, modes, times).
 */
#ifndef SATCHEL_APPLIER_APPLY_APPLIED_H
#define SATCHEL_APPLIER_APPLY_APPLIED_H

#include "applier/station/station.h"

extern const struct db_schema station_applied_schema;

struct applied {
	uint64_t epoch, generation; /* 0: nothing was applied yet */
	struct digest tree;
};

/** applied_load(s, tree, ret, err): what the tree called ${tree} is at; zeros for none.  RC_STATE:
 * the row is damaged. */
int applied_load(struct station *s, const char *tree, struct applied *ret, struct err *err);
/** applied_put(s, tree, a, err): in the caller's transaction. */
int applied_put(struct station *s, const char *tree, const struct applied *a, struct err *err);
/** applied_drop(s, tree, err): what lies there is no generation for certain, so the next bundle is
 * one from nothing; what is known of its entries stays.  In the caller's transaction. */
int applied_drop(struct station *s, const char *tree, struct err *err);
/** applied_later(a, b): is ${a} a later generation than ${b}?  A new epoch begins the count anew.
 */
bool applied_later(const struct applied *a, const struct applied *b);

/** applied_pack(dst, a): as bytes, for a property.  applied_unpack(b, ret): false when ${b} is
 * none.
 */
#define APPLIED_BYTES (16 + DIGEST_BYTES)
void applied_pack(uint8_t dst[APPLIED_BYTES], const struct applied *a);
bool applied_unpack(struct bytes b, struct applied *ret);

/** deviation_put(s, tree, path, why, err): ${path} stays as somebody changed it.
 * deviation_drop(s, tree, path, err): it is as published again.  deviation_count(s, tree, ret,
 * err).
 */
int deviation_put(struct station *s, const char *tree, const char *path, const char *why,
		  struct err *err);
int deviation_drop(struct station *s, const char *tree, const char *path, struct err *err);
int deviation_count(struct station *s, const char *tree, uint64_t *ret, struct err *err);
/** deviation_each(s, tree, each, arg, err): their paths, in byte order; ${path} is valid during the
 * call.  A value other than 0 ends the walk and is returned. */
int deviation_each(struct station *s, const char *tree,
		   int (*each)(void *arg, const char *path, struct err *err), void *arg,
		   struct err *err);
/** adaptation_put(s, tree, what, err): once for each ${what}, a sentence. */
int adaptation_put(struct station *s, const char *tree, const char *what, struct err *err);

/** applied_forget(s, tree, err): nothing of ${tree} is applied any more; NULL: of any tree.  In the
 * caller's transaction. */
int applied_forget(struct station *s, const char *tree, struct err *err);

#endif
