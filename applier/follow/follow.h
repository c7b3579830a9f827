/* SPDX-License-Identifier: ISC */
/*
 * Follow: what one depot offers, found and verified: trust chain, beat, shards, heads, bundles.
 * A name says only where to look; what counts is the best verified document.  Nothing is parsed
 * before it is known whose it is: trust by its predecessor's root keys, the beat by the beat role,
 * all below by digest from the beat and by signature.
 */
#ifndef SATCHEL_APPLIER_FOLLOW_FOLLOW_H
#define SATCHEL_APPLIER_FOLLOW_FOLLOW_H

#include "applier/station/station.h"
#include "core/base/list.h"
#include "core/depot/depot.h"
#include "core/format/bundle/bundle.h"
#include "core/trust/code.h"

struct follow {
	struct station *s;   /* borrowed */
	struct depot *depot; /* owned */
	bool ours;           /* a trust document of our site lies here */
	bool incomplete;     /* the next trust document is here, but not whole */
	bool behind;         /* the newest beat here is older than the newest we know */
	bool current;        /* the newest beat we know lies here */
	struct err refused;  /* what is not good here, though something better is: told, no more */
	struct err err;      /* of the last step that failed; rc 0: it did not */
};

/**
 * follow_open(s, path, ret, err): the depot at ${path}, to read and to post to; nothing is looked
 * at yet.  ${s} is borrowed.  Forks.  Errors: those of depot_open.
 * follow_close(f): end its helper; fine when it was closed before.
 */
int follow_open(struct station *s, const char *path, struct follow *ret, struct err *err);
void follow_close(struct follow *f);

/** follow_trust(f, err): walk on from the version held, keep what is accepted (own transaction).
 * Returns how many versions were accepted, or a negative code. */
int follow_trust(struct follow *f, struct err *err);

/**
 * follow_beat(f, err): the best beat of the depot.  1: newer than the one held, verified and kept;
 * 0: nothing newer (f->current, f->behind).  RC_FORK: the held number with other content;
 * RC_INCOMPLETE: what could be newer is not whole, or names a trust version that is not here;
 * RC_UNTRUSTED and RC_MALFORMED: what could be newer is not good.
 */
int follow_beat(struct follow *f, struct err *err);

/** follow_shard(f, xx, identity, ret, err): the shard that the current beat names.  RC_INCOMPLETE
 * when it is not here whole. */
int follow_shard(struct follow *f, uint8_t xx, const struct digest *identity, struct shard *ret,
		 struct err *err);

/* A head that may be believed, with the release that it contains. */
struct follow_head {
	struct head head;
	struct release release; /* all zero in a head/1 */
};
/**
 * follow_head(f, row, ret, err): the head that a shard's row names; likewise.
 * follow_head_clear(h): release what it owns; for OWNED.
 */
int follow_head(struct follow *f, const struct shard_channel *row, struct follow_head *ret,
		struct err *err);
void follow_head_clear(struct follow_head *h);

/* A bundle whose prefix was read once, verified, and decoded. */
struct follow_bundle {
	char path[DEPOT_NAME];
	struct manifest manifest;
	struct digest identity;  /* of the manifest */
	struct buf prefix;       /* owned */
	struct bytes blocks;     /* in it */
	uint64_t payload_offset; /* in the file, or in each part */
	uint32_t part_blocks;    /* it lies there in parts of so many blocks; 0: whole */
};
/**
 * follow_bundle_clear(b): release the prefix, in which its blocks lie; all zero afterwards.  For
 * OWNED.
 */
void follow_bundle_clear(struct follow_bundle *b);

/** follow_channel_bundle(f, h, i, ret, err): the i-th bundle of a head, whole or in parts that
 * are all here, between trees that its release names.  RC_INCOMPLETE when it is not (its size, not
 * yet its blocks). */
int follow_channel_bundle(struct follow *f, const struct follow_head *h, size_t i,
			  struct follow_bundle *ret, struct err *err);
/** follow_private_bundle(f, row, ret, err): of our own private channel, as the shard names it. */
int follow_private_bundle(struct follow *f, const struct shard_workstation *row,
			  struct follow_bundle *ret, struct err *err);

/**
 * follow_prefix(depot, path, trust, ret, err): read and verify the prefix of a bundle that nothing
 * but its path names (by hand): signed by the role of ${trust} that makes bundles.  Where content
 * is in other hands, a head that names it must lie beside it: RC_INCOMPLETE.
 */
int follow_prefix(struct depot *depot, const char *path, const struct trust *trust,
		  struct follow_bundle *ret, struct err *err);

/* Trust from nothing, for enrolment. */
struct follow_chain {
	struct trust trust;   /* the highest */
	LIST(struct buf) doc; /* owned; raw, from version 1 */
};
/** follow_chain_clear(c): release the documents; for OWNED. */
void follow_chain_clear(struct follow_chain *c);
/* The one trust document that a person vouches for: every chain must go through it. */
struct trust_pin {
	const struct invite *code;     /* borrowed; NULL: not by a code, but by */
	const struct digest *identity; /* the digest of any version, as `trust show` prints it; the
					  site id is that of version 1 */
};
/**
 * follow_first(depot, pin, ret, err): find the pinned trust document, walk back to version 1 by the
 * digests that each names of the one before it, then forward to the highest.  An old root key can
 * sign another chain from version 1 on, but none that goes through the pinned document.  Errors:
 * RC_INCOMPLETE: it, or one before it, is not here whole, or the depot is behind; RC_ADDRESSEE: it
 * is not here, others are; RC_LIMIT.
 */
int follow_first(struct depot *depot, const struct trust_pin *pin, struct follow_chain *ret,
		 struct err *err);
/** follow_clock(depot, trust, now, err): 1 when the newest good beat (or the trust document when
 * there is none) says that ${now} can be right, 0 when the clock is in doubt. */
int follow_clock(struct depot *depot, const struct trust *trust, int64_t now, struct err *err);

#endif
