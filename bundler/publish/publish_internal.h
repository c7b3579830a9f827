/* SPDX-License-Identifier: ISC */
/*
 * Inside of publish: one generation on its way from the scan to the registry.
 */
#ifndef SATCHEL_BUNDLER_PUBLISH_PUBLISH_INTERNAL_H
#define SATCHEL_BUNDLER_PUBLISH_PUBLISH_INTERNAL_H

#include "bundler/documents/site_model.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_post.h"
#include "bundler/pack/pack.h"
#include "bundler/publish/publish.h"
#include "bundler/sealed/sealed.h"
#include "bundler/source/site_source.h"
#include "core/format/bundle/bundle.h"
#include "core/tree/scan.h"

/* One pack on its way: of the differences, or of the whole tree. */
struct packing {
	struct pack *pack;       /* owned */
	uint64_t number;         /* of the pack file; 0: none yet */
	uint64_t base;           /* generation that its bundle begins with */
	struct digest base_tree; /* its tree */
	struct pack_result packed;
	struct block_digests *blocks; /* owned */
};

/* One run of publish_channel. */
struct publishing {
	struct site *s;               /* borrowed */
	const struct site_channel *c; /* borrowed */
	enum publish_flags flags;
	int rootfd;                      /* owned: the source */
	struct site_source_guard *guard; /* borrowed from the site: what no source may touch */
	int storefd;                     /* owned */
	struct index *index;             /* owned: the tree that was published last */
	struct spool *diff;              /* owned: struct pack_item, what the scan found */
	uint64_t epoch;                  /* of the publish role */
	uint64_t last;                   /* generation that is there; 0: none in this epoch */
	struct digest last_tree;         /* its tree */
	struct digest last_salt;         /* what keys its digest; all zero: it is not sealed */
	int64_t last_created;            /* seconds */
	uint64_t generation;             /* that is being made, or is made */
	struct digest tree;              /* its tree */
	struct digest salt;              /* what keys its digests; all zero: nothing */
	struct keystore *keys;           /* owned; of a sealed channel */
	uint64_t key;                    /* number of the content key; 0: it is not sealed */
	bool rekey;                      /* bundles that are there have another one */
	int64_t created;                 /* seconds */
	int64_t hashed;                  /* ns: what changed from here on may have changed unseen */
	int64_t hashed_now;              /* that of this run */
	struct packing delta;    /* the differences; from 0 when there is no base for them */
	struct packing full;     /* the whole tree again, when the chain grew long */
	struct scan_counts seen; /* from the scan, as what follows */
	uint64_t was_entries;    /* in the index */
	uint64_t files, bytes;   /* whose content may be new */
	uint64_t rows;           /* items of any kind */
	uint64_t skipped;        /* devices and the like */
	uint64_t far_times;      /* entries whose time cannot be written */
	uint64_t lost;           /* bundles of which there are no bytes any more */
	uint64_t renamed;        /* copies whose source is gone */
	char *held_first;        /* owned: the first file that did not come to rest; NULL: none */
	struct publish_counts *counts; /* borrowed */
};

/* publish_scan.c */
/**
 * publish_source_open(p, err): open the channel's source, as site_source_open does.
 * publish_reading(arg, path, st, head, err): what the packer reads of it; ${arg} is the publishing.
 * publish_scan(p, err): what differs from the index goes into p->diff.  Errors: RC_POLICY: the
 * source lost everything, or most, and PUBLISH_ALLOW_EMPTY is not set; those of scan_tree.
 * publish_scan_loss(p, err): only these, before the index is cleared.
 */
int publish_source_open(struct publishing *p, struct err *err);
int publish_reading(void *arg, const char *path, const struct stat *st, struct bytes head,
		    struct err *err);
int publish_scan(struct publishing *p, struct err *err);
int publish_scan_loss(struct publishing *p, struct err *err);

/* publish_preview.c */
/** publish_preview(p, err): count what the differences are; nothing is written. */
int publish_preview(struct publishing *p, struct err *err);

/* publish_index_update.c: rows of the index from what was packed. */
/**
 * publish_index_update(p, err): rows of the index from what was packed, in the open transaction,
 * counted.
 */
int publish_index_update(struct publishing *p, struct err *err);
/** publish_index_update_item(arg, it, err): one item of a tree that begins empty; ${arg} is the
 * publishing. */
int publish_index_update_item(void *arg, const struct pack_item *it, struct err *err);

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

/* publish_sealed.c */
/**
 * publish_key(p, err): with which content key the channel is published, in the caller's
 * transaction: p->key, p->rekey; PUBLISH_FULL is set when bundles have another one.
 * publish_outdated(p, err): the generation that is there gets that key: its bundles under another
 * one are dropped, before the full bundle is made. publish_head_keys(p, err): before the bundles of
 * a head are chosen: drop those under another key than that of the newest full bundle, and the keys
 * that seal nothing any more. publish_readers(s, err): look who is not of the audience of a sealed
 * channel any more; in the caller's transaction.
 */
int publish_key(struct publishing *p, struct err *err);
int publish_outdated(struct publishing *p, struct err *err);
int publish_head_keys(struct publishing *p, struct err *err);
int publish_readers(struct site *s, struct err *err);

/* publish_rekey.c */
/** publish_rekey(s, err): every sealed channel whose content key is due gets another one, in a
 * transaction of its own; one whose bundles cannot be read any more is left to publish_channel.
 * Returns the first failure when all were tried. */
int publish_rekey(struct site *s, struct err *err);

/* publish_lost.c */
/**
 * publish_lost(p, err): forget the bundles of the channel that are lost, in the caller's
 * transaction; then p->lost counts them, and PUBLISH_FULL is set.
 * publish_lost_tell(p): once that is committed, tell it.
 */
int publish_lost(struct publishing *p, struct err *err);
void publish_lost_tell(const struct publishing *p);

/* publish_head.c: choose the bundles of the new head, sign it, put it into the outbox. */
/**
 * publish_head(p, err): choose the bundles of the new head, retire what no kept head needs, sign
 * it, put it into the outbox; in the caller's transaction.  While its release waits for signatures
 * nothing of that happens, and p->counts->waits says so.
 * publish_head_signed(p, release, err): the same with the signed release at hand; empty: none is
 * needed.
 */
int publish_head(struct publishing *p, struct err *err);
int publish_head_signed(struct publishing *p, struct bytes release, struct err *err);
/** publish_path_retire(arg, path, err): site_post_retire for walks; ${arg} is the site. */
int publish_path_retire(void *arg, const char *path, struct err *err);

/* publish_purge.c */
/** publish_purge_drop(p, err): bundles and packs of the channel go, in the caller's transaction;
 * PUBLISH_FULL is set. */
int publish_purge_drop(struct publishing *p, struct err *err);

/* publish_heads.c: with rings several heads are in force: the newest, and what each ring and
 * everybody is offered. */
/**
 * publish_heads_refresh(s, channel, g, err): after bundles were signed or sealed anew: the heads in
 * force beside that of ${g} name them as they are now, signed by a key of today.
 * publish_heads_sweep(s, channel, err): heads that are not in force leave the depot, and the
 * bundles that none of those in force needs.  Both in the caller's transaction.
 */
int publish_heads_refresh(struct site *s, const char *channel, const struct published_generation *g,
			  struct err *err);
int publish_heads_sweep(struct site *s, const char *channel, struct err *err);

/* publish_rollout.c */
/** publish_rollout(s, err): what is proved by receipts goes on to the next ring; a transaction for
 * each channel.  Returns the first failure when all were tried. */
int publish_rollout(struct site *s, struct err *err);

/* publish_release.c */
/** publish_release(p, ret, err): the signed release of the generation, appended to ${ret}: 1, or 0:
 * it waits for signatures of publish keys that are not here.  The one in force is taken again when
 * it is still good. */
int publish_release(struct publishing *p, struct buf *ret, struct err *err);
/** publish_releases(s, err): those that wait: make the head of each that has enough signatures now,
 * and warn of the others.  In a transaction of its own for each; returns the first failure when all
 * were tried. */
int publish_releases(struct site *s, struct err *err);
/** publish_waits(s, channel, err): 1 when a generation of the channel waits for signatures, or 0.
 */
int publish_waits(struct site *s, const char *channel, struct err *err);

/* publish_resign.c */
/** publish_resign(s, err): once for each version of trust: heads that are not signed by a current
 * publish key, and manifests that a revoked one signed, get a signature of today and are to be
 * posted; a transaction of its own for each channel.  Returns the first failure when all were
 * tried. */
int publish_resign(struct site *s, struct err *err);

#endif
