/* SPDX-License-Identifier: ISC */
/*
 * Apply: one bundle onto one channel's target, all or nothing (docs/ARCHITECTURE.md, "Apply").
 *
 *   verify -> stage -> journal -> renames in phases -> flush -> index, generation, end of journal
 *
 * Recovery is the same function run again: it decides by which inode is where.
 */
#ifndef SATCHEL_APPLIER_APPLY_APPLY_H
#define SATCHEL_APPLIER_APPLY_APPLY_H

#include <sys/stat.h>

#include "applier/station/station.h"
#include "applier/undo/undo.h"
#include "core/depot/depot.h"
#include "core/tree/index.h"

extern const struct db_schema apply_schema; /* the journal */

enum apply_flags {
	APPLY_DRY_RUN = 1 << 0,
	APPLY_ATTEMPT = 1 << 1, /* one of several: conflicts are not remembered */
};

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
	uint64_t holes; /* directories that were gone, and are made again with what the bundle
			   brings of them */
	uint64_t stays; /* directories that are deleted, and stay for files that no channel manages
			 */
};

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
/**
 * apply_bundle(s, b, target, flags, ret, err):
 * One bundle onto ${target}.  b->path is a file of b->depot; b->manifest is what the caller
 * verified and decoded from the same file's prefix, and b->blocks its list.  Held generation and
 * base tree must equal the manifest's base.  On any failure the target is what it was.  ${ret} (may
 * be NULL) is filled in as far as it came.
 * Errors: RC_AGAIN: a bundle in between is missing; RC_REPLAY: older than what is held; RC_FORK: it
 * starts from another tree; RC_CONFLICT: local changes with LOCAL_FAIL; RC_INCOMPLETE,
 * RC_MALFORMED, RC_PATH, RC_TYPE, RC_POLICY, RC_LIMIT, RC_SPACE, RC_STATE, RC_TIMEOUT, RC_IO.
 * apply_bundles(s, b, n, target, flags, ret, err):
 * ${n} bundles that follow each other as if they were one: what the generations in between brought
 * and took back again is not looked at here, so that nothing in them can be in the way.
 */
int apply_bundle(struct station *s, const struct apply_bundle *b, const struct apply_target *target,
		 enum apply_flags flags, struct apply_preview *ret, struct err *err);
int apply_bundles(struct station *s, const struct apply_bundle *b, size_t n,
		  const struct apply_target *target, enum apply_flags flags,
		  struct apply_preview *ret, struct err *err);

/* A list of changes that is made here, of what the database says: a step back, or a repair. */
struct change;
struct apply_local {
	uint64_t epoch, generation; /* that it leads to */
	struct digest tree, salt;   /* of that */
	enum undo_intent intent;
	int64_t step;    /* back to before it */
	const char *why; /* of a step back, for receipts */
	/* The lines, ascending by path; contents are copies of where the path is. */
	int (*lines)(void *arg, struct index *now,
		     int (*add)(void *to, const struct change *c, struct err *err), void *to,
		     struct err *err);
	void *arg;
	int contentfd; /* a directory in which contents lie under their digests; -1: none */
};
/**
 * apply_local(s, l, target, ret, err): as apply_bundle, with contents from the target itself, from
 * what was kept of earlier generations, and from l->contentfd, each hashed on the way.  RC_ABSENT:
 * a content is in none of them; the sentence names the first.
 */
int apply_local(struct station *s, const struct apply_local *l, const struct apply_target *target,
		struct apply_preview *ret, struct err *err);
/** apply_extract(s, b, wanted, n, have, dirfd, err): of the contents of a bundle those whose
 * digests are among ${wanted} (ascending) and which ${have} has not marked yet, into files of
 * ${dirfd} that are called by their digest.  1 some were there, 0 none; errors of reading as
 * apply_bundle. */
int apply_extract(struct station *s, const struct apply_bundle *b, const struct digest *wanted,
		  size_t n, bool *have, int dirfd, struct err *err);
/** apply_past_clear(s, target, err): nothing is kept of earlier generations any more. */
int apply_past_clear(struct station *s, const struct apply_target *target, struct err *err);

/** apply_recover(s, target, err): finish or undo what a killed run left; 1 something was done, 0
 * nothing to do. Called before anything else is applied to a tree. */
int apply_recover(struct station *s, const struct apply_target *target, struct err *err);

/** apply_leave(s, target, ret_kept, err): remove what the tree brought, directories while they are
 * empty; what somebody changed stays and is counted.  The index is left alone.  Errors: RC_IO,
 * RC_POLICY as apply_bundle. */
int apply_leave(struct station *s, const struct apply_target *target, uint64_t *ret_kept,
		struct err *err);

/** apply_interrupted(s, tree, err): 1 when a run of ${tree} waits for apply_recover, else 0. */
int apply_interrupted(struct station *s, const char *tree, struct err *err);

/** apply_forget(s, tree, err): the unfinished run of ${tree}, and what tells its staging area,
 * which nothing enters any more; NULL: of any tree.  In the caller's transaction.  apply_recover
 * comes first, since a staging area may hold what people wrote. */
int apply_forget(struct station *s, const char *tree, struct err *err);

#define HOLDS_NAME 24
/** apply_lacks(s, tree, name, ret_words, err): the file system that the tree lies on, and words for
 * what it cannot hold, with spaces between them: 1, or 0 while nothing was applied. */
int apply_lacks(struct station *s, const char *tree, char name[HOLDS_NAME], struct buf *ret_words,
		struct err *err);

/* Looking at what was applied, as apply judges it. */

struct apply;
/**
 * apply_judge_new(s, targetfd, ret, err): at the target that is open as ${targetfd}; both are
 * borrowed, ${ret} is owned by the caller.  RC_MEMORY.
 * apply_judge_freep(a): release it; for OWNED.
 */
int apply_judge_new(struct station *s, int targetfd, struct apply **ret, struct err *err);
void apply_judge_freep(struct apply **a);
/** apply_judge_owners(a): can root give files away here?  It is tried. */
bool apply_judge_owners(struct apply *a);
/** apply_judge_file(a, path, e): does the file hold the content of the row ${e}?  1, 0; RC_IO: it
 * cannot be read, or not while somebody holds it. */
int apply_judge_file(struct apply *a, const char *path, const struct entry *e);
/** apply_judge_meta(a, path, e, st): are owner, mode and time those of the row, as far as this
 * process and the file system can hold them?  An owner that nobody can look up now is not. */
bool apply_judge_meta(struct apply *a, const char *path, const struct entry *e,
		      const struct stat *st);

/** apply_kept_wipe(holderfd, tree, err): local versions of ${tree} that were kept in the directory
 * beside its target: for what nobody may have any more.  Absent is fine. */
int apply_kept_wipe(int holderfd, const char *tree, struct err *err);

#endif
