/*
 * Inside of publish: one generation on its way from the scan to the registry.
 */
#ifndef SATCHEL_BUNDLER_PUBLISH_INTERNAL_H
#define SATCHEL_BUNDLER_PUBLISH_INTERNAL_H

#include "bundler/pack.h"
#include "bundler/publish.h"
#include "core/depot/depot.h"
#include "core/format/bundle.h"
#include "core/tree/scan.h"

/* The payload of a bundle in its pack: changes, members, end mark. */
#define PUBLISH_PIECES 3

/* One pack on its way: of the differences, or of the whole tree. */
struct packing {
	struct pack *pack;       /* owned */
	uint64_t number;         /* of the pack file; 0: none yet */
	uint64_t base;           /* generation that its bundle begins with */
	struct digest base_tree; /* its tree */
	struct pack_result packed;
	struct publish_blocks *blocks; /* owned */
};

/* One run of publish_channel. */
struct publishing {
	struct site *s;               /* borrowed */
	const struct site_channel *c; /* borrowed */
	enum publish_flags flags;
	int rootfd;                    /* owned: the source */
	int storefd;                   /* owned */
	struct index *index;           /* owned: the tree that was published last */
	struct spool *diff;            /* owned: struct pack_item, what the scan found */
	uint64_t epoch;                /* of the publish role */
	uint64_t last;                 /* generation that is there; 0: none in this epoch */
	struct digest last_tree;       /* its tree */
	uint64_t generation;           /* that is being made, or is made */
	struct digest tree;            /* its tree */
	int64_t created;               /* seconds */
	int64_t hashed;                /* ns: what changed from here on may have changed unseen */
	int64_t hashed_now;            /* that of this run */
	struct packing delta;          /* the differences; from 0 when there is no base for them */
	struct packing full;           /* the whole tree again, when the chain grew long */
	struct scan_counts seen;       /* from the scan, as what follows */
	uint64_t was_entries;          /* in the index */
	uint64_t files, bytes;         /* whose content may be new */
	uint64_t rows;                 /* items of any kind */
	uint64_t skipped;              /* devices and the like */
	uint64_t renamed;              /* copies whose source is gone */
	struct publish_counts *counts; /* borrowed */
};

/* A bundle as the registry keeps it: the file is prefix, pieces of the pack, zeros. */
struct publish_bundle {
	const char *channel;
	uint64_t epoch, base, generation;
	uint64_t pack;
	struct depot_piece piece[PUBLISH_PIECES];
	struct buf prefix;                     /* owned */
	struct digest prefix_digest, manifest; /* of the prefix; identity of the manifest */
	uint64_t payload, size;                /* bytes */
};

/* publish_scan.c */
int publish_source_open(struct publishing *p, struct err *err);
int publish_scan(struct publishing *p, struct err *err);

/* publish_preview.c */
/** publish_preview(p, err): count what the differences are; nothing is written. */
int publish_preview(struct publishing *p, struct err *err);

/* publish_apply.c: rows of the index and the store from what was packed. */
int publish_apply(struct publishing *p, struct err *err);
/** publish_apply_item(arg, it, err): one item of a tree that begins empty; ${arg} is the
 * publishing. */
int publish_apply_item(void *arg, const struct pack_item *it, struct err *err);
int publish_store(struct publishing *p, const struct packing *k, struct err *err);

/* publish_pack.c */
/** publish_pack_open(p, k, o, err): the next pack file; ${o} has what is particular to it. */
int publish_pack_open(struct publishing *p, struct packing *k, struct pack_options *o,
		      struct err *err);
/** publish_pack_seal(p, k, err): end the file, begin to hash its blocks. */
int publish_pack_seal(struct publishing *p, struct packing *k, struct err *err);
/** publish_pack_bundle(p, k, err): its rows in the store, its signed bundle; closes it. */
int publish_pack_bundle(struct publishing *p, struct packing *k, struct err *err);
/** publish_pack_close(k): its memory and threads; the file stays. */
void publish_pack_close(struct packing *k);
/** publish_pack_discard(p, k): what failed leaves no file. */
void publish_pack_discard(struct publishing *p, struct packing *k);

/* publish_full.c */
/** publish_full_wanted(p, err): 1 when the steps since the last full bundle cost more than half of
 * it, or somebody asked. */
int publish_full_wanted(struct publishing *p, struct err *err);
/** publish_full(p, err): a bundle of the whole tree as the index has it, from the store. */
int publish_full(struct publishing *p, struct err *err);

/* publish_bundle.c */
/** publish_blocks_start(fd, piece, ret, err): begin to hash the blocks of a payload, in other
 * threads.  publish_blocks_end: help, wait, and hand out the list of digests, which lives as long
 * as
 * ${b}. */
struct publish_blocks; /* owned, also after a failed start */
int publish_blocks_start(int fd, const struct depot_piece piece[PUBLISH_PIECES],
			 struct publish_blocks **ret, struct err *err);
int publish_blocks_end(struct publish_blocks *b, struct bytes *ret, struct err *err);
void publish_blocks_freep(struct publish_blocks **at);
/** publish_manifest(s, m, blocks, ret_prefix, ret_identity, err): sign ${m} (its digest of blocks
 * is filled in) and make the prefix of the file. */
int publish_manifest(struct site *s, struct manifest *m, struct bytes blocks,
		     struct buf *ret_prefix, struct digest *ret_identity, struct err *err);
/** publish_sign(s, role, inner, what, ret, ret_identity, err): a signed document, verified by the
 * site's own trust before anybody else sees it. */
int publish_sign(struct site *s, enum role role, struct bytes inner, const char *what,
		 struct buf *ret, struct digest *ret_identity, struct err *err);
int publish_bundle_row(struct site *s, const struct publish_bundle *b, struct err *err);
struct digest publish_empty_tree(void);

/* publish_head.c: choose the bundles of the new head, sign it, put it into the outbox. */
int publish_head(struct publishing *p, struct err *err);

/* publish_knock.c */
/** publish_knocks(s, b, err): whom the beat ${b} rings at. */
int publish_knocks(struct site *s, struct beat *b, struct err *err);

/* publish_post.c */
/** publish_retire(s, path, err): remove a file from the depot when no kept beat leads to it. */
int publish_retire(struct site *s, const char *path, struct err *err);
/** publish_document(s, path, content, err): registry_document, of a path that may have been
 * retired. */
int publish_document(struct site *s, const char *path, struct bytes content, struct err *err);

#endif
