/*
 * Apply: one bundle onto one channel's target, all or nothing (docs/ARCHITECTURE.md, "Apply").
 *
 *   verify -> stage -> journal -> renames in phases -> flush -> index, generation, end of journal
 *
 * Recovery is the same function run again: it decides by which inode is where.
 */
#ifndef SATCHEL_APPLIER_APPLY_H
#define SATCHEL_APPLIER_APPLY_H

#include "applier/station.h"
#include "core/depot/depot.h"

extern const char apply_schema_sql[]; /* channel, journal tables; the index has its own */

enum apply_flags { APPLY_DRY_RUN = 1 << 0 };

struct apply_target {
	const char *tree; /* name of the tree in the index: the channel's name, or "@private" */
	int rootfd; /* directory that ${path} is below (the root: prefix, or the state directory) */
	const char *path;           /* target below it, "" for itself; made when missing */
	const char *shown;          /* as people know it; NULL: as ${path} says */
	bool owners, special_modes; /* both sides allow them */
	enum local_answer local;
};

struct apply_preview {
	uint64_t count[7]; /* by enum change_op */
	uint64_t bytes;    /* of content to be written */
	uint64_t deletions;
	uint64_t conflicts; /* local changes and unmanaged entries in the way */
	uint64_t space_needed, space_free, inodes_needed, inodes_free;
	uint64_t deviations, adaptations; /* after the apply */
};

/**
 * apply_bundle(s, depot, path, expect, target, key, flags, ret, err):
 * ${path} is a file of ${depot}.  ${expect} is the manifest that the caller verified and decoded
 * from the same file's prefix; ${blocks} its list. Held generation and base tree must equal the
 * manifest's base (RC_AGAIN when a bundle in between is missing). On any failure the target is what
 * it was. Errors: RC_INCOMPLETE, RC_MALFORMED, RC_PATH, RC_TYPE, RC_LIMIT, RC_SPACE, RC_CONFLICT,
 * RC_STATE, RC_IO.
 */
struct apply_bundle {
	struct depot *depot;
	const char *path;
	const struct manifest *manifest;
	struct bytes blocks;
	uint64_t payload_offset; /* in the file */
	struct content_key *key; /* sealed bundles; else NULL */
	uint32_t part_blocks;    /* it lies there in parts of so many blocks; 0: whole */
};
/* Parts of one bundle that are read directly: 240 GB of 4 GB each.  Carry joins any number. */
#define APPLY_PARTS 60u
int apply_bundle(struct station *s, const struct apply_bundle *b, const struct apply_target *target,
		 enum apply_flags flags, struct apply_preview *ret, struct err *err);

/** apply_recover(s, target, err): finish or undo what a killed run left; 1 something was done, 0
 * nothing to do. Called before anything else is applied to a tree. */
int apply_recover(struct station *s, const struct apply_target *target, struct err *err);

/** apply_held(s, tree, …): epoch, generation and tree digest that the tree holds; zeros for none.
 */
int apply_held(struct station *s, const char *tree, uint64_t *ret_epoch, uint64_t *ret_generation,
	       struct digest *ret_tree, struct err *err);

/** apply_kept_wipe(holderfd, tree, err): local versions of ${tree} that were kept in the directory
 * beside its target: for what nobody may have any more.  Absent is fine. */
int apply_kept_wipe(int holderfd, const char *tree, struct err *err);

#endif
