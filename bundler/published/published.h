/* SPDX-License-Identifier: ISC */
/*
 * What was published, as rows of the registry: the generations of each channel, the bundles between
 * them, the shards and the beats.  bundler/publish makes them, bundler/outbox posts them, and
 * bundler/carry and bundler/status read them.
 *
 * Rooms above may read the views bundle_pack(pack), packs that a bundle still reads, and
 * bundle_sent(path, size), bundles that were posted.
 */
#ifndef SATCHEL_BUNDLER_PUBLISHED_PUBLISHED_H
#define SATCHEL_BUNDLER_PUBLISHED_PUBLISHED_H

#include "bundler/registry/registry.h"
#include "core/base/digest.h"
#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/depot/depot.h"
#include "core/format/documents/documents.h"
#include "core/os/db.h"

extern const struct db_schema published_schema;

/* Epochs of the publish role, both ends included. */
struct published_epochs {
	uint64_t first, last;
};
#define EPOCHS_ALL       ((struct published_epochs){0, LIMIT_NUMBER})
#define EPOCH_ONLY(e)    ((struct published_epochs){(e), (e)})
#define EPOCHS_BEFORE(e) ((struct published_epochs){0, (e)-1})

/** A file of the depot, by its path; a negative answer ends the walk and is returned. */
typedef int (*published_path_each)(void *arg, const char *path, struct err *err);

/* Generations */

struct published_generation {
	uint64_t epoch, generation;
	struct digest tree;
	struct digest salt; /* of a sealed generation: keys ${tree}; all zero: it is not sealed */
	int64_t created;    /* seconds since 1970 UTC */
	uint64_t entries;   /* of the tree */
	bool has_head;      /* it was signed */
	struct digest head; /* identity of its head */
	char path[DEPOT_NAME]; /* of the head in the depot; "": it is not to be there */
};

/**
 * published_latest(db, channel, ret, err):
 * The newest generation of a channel that has a head: what workstations are told, with rings those
 * of the first one.
 * published_latest_in(db, channel, epoch, ret, err): the newest one of an epoch; without a head it
 * waits for signatures of publish keys.
 * published_at_beat(db, channel, beat, ret, err): the one that beat number ${beat} led to.
 * 1 found, 0 there is none.  RC_STATE: the row is damaged.
 */
int published_latest(struct db *db, const char *channel, struct published_generation *ret,
		     struct err *err);
int published_latest_in(struct db *db, const char *channel, uint64_t epoch,
			struct published_generation *ret, struct err *err);
int published_at_beat(struct db *db, const char *channel, uint64_t beat,
		      struct published_generation *ret, struct err *err);

/**
 * published_released(db, channel, ret, err): the newest generation that shards name: what everybody
 * may have.  With rings it is behind published_latest.  1 found, 0 there is none.
 * published_release_all(db, channel, g, err): the next beat is the first whose shards name ${g}.
 */
int published_released(struct db *db, const char *channel, struct published_generation *ret,
		       struct err *err);
int published_release_all(struct db *db, const char *channel, const struct published_generation *g,
			  struct err *err);

/** published_generation_add(db, channel, g, err): a generation that has no head yet; the next beat
 * is the first to name it. */
int published_generation_add(struct db *db, const char *channel,
			     const struct published_generation *g, struct err *err);

/** published_generation_adopt(db, channel, g, err): the same for one that another registry made,
 * and signed, in the place of one of that number. */
int published_generation_adopt(struct db *db, const char *channel,
			       const struct published_generation *g, struct err *err);

/** published_head_set(db, channel, g, rings, err): g->head and g->path, for the row of its epoch
 * and number.  ${rings}: when it is its first head, no shard names it before published_release_all.
 */
int published_head_set(struct db *db, const char *channel, const struct published_generation *g,
		       bool rings, struct err *err);

/**
 * published_heads_each(db, channel, epoch, each, arg, err): the generations whose heads are to be
 * in the depot, ascending. published_heads_idle_take(db, channel, epoch, each, arg, err): as
 * published_heads_take, of those that are neither the newest, nor offered to a ring or to
 * everybody.
 */
int published_heads_each(struct db *db, const char *channel, uint64_t epoch,
			 int (*each)(void *arg, const struct published_generation *g,
				     struct err *err),
			 void *arg, struct err *err);
int published_heads_idle_take(struct db *db, const char *channel, uint64_t epoch,
			      published_path_each each, void *arg, struct err *err);

/**
 * published_generations_prune(db, channel, keep, err): the rows of generations that nobody needs
 * any more: neither the newest ${keep} of the channel, nor one with a head or a bundle, nor what a
 * ring, everybody or the newest receipt of a workstation has.  Numbers never go back, because the
 * newest of each epoch stays.
 */
int published_generations_prune(struct db *db, const char *channel, unsigned keep, struct err *err);

/* What a release says of an earlier generation. */
struct published_tree {
	struct digest tree;
	bool released;      /* it had a head */
	struct digest salt; /* keys the digest; all zero: it is not sealed */
};
/** published_tree(db, channel, epoch, generation, ret, err): 1, or 0 when there was none. */
int published_tree(struct db *db, const char *channel, uint64_t epoch, uint64_t generation,
		   struct published_tree *ret, struct err *err);

/* A release that waits for signatures of publish keys; at most one of each channel. */
struct published_release {
	char channel[CHANNEL_NAME];
	uint64_t epoch, generation;
	struct buf content; /* owned; the release itself while layers is 0, else signed */
	uint64_t layers;
};
/**
 * published_release_set(db, r, err): it waits, in the place of the channel's one before.
 * published_releases(db, each, arg, err): those that wait, by channel.
 * published_release_drop(db, channel, err): it does not wait any more.
 */
int published_release_set(struct db *db, const struct published_release *r, struct err *err);
int published_releases(struct db *db,
		       int (*each)(void *arg, const struct published_release *r, struct err *err),
		       void *arg, struct err *err);
int published_release_drop(struct db *db, const char *channel, struct err *err);

/** published_heads_take(db, channel, epochs, each, arg, err): hand out the paths of the heads that
 * are to be in the depot, but for those that a ring is offered or everybody, and note that they are
 * not to be there any more. */
int published_heads_take(struct db *db, const char *channel, struct published_epochs epochs,
			 published_path_each each, void *arg, struct err *err);

/** published_beats(db, channel, after, before, max, each, arg, err): the beats between ${after} and
 * ${before}, both excluded, that were the first to name a generation of the channel: newest first,
 * at most ${max}. */
int published_beats(struct db *db, const char *channel, uint64_t after, uint64_t before,
		    unsigned max, int (*each)(void *arg, uint64_t beat, struct err *err), void *arg,
		    struct err *err);

/* Rings: who gets a new generation before the others */

/* What one ring is offered. */
struct published_offer {
	uint64_t ring; /* from 1 */
	uint64_t epoch, generation;
	struct digest head, tree;
	char path[DEPOT_NAME];  /* of the head in the depot */
	int64_t since;          /* seconds: when it was offered */
	int64_t behind;         /* since when the ring after it has been behind; 0: it is not */
	uint64_t stopped;       /* this generation and those before it do not go on by themselves */
	char why[ERR_TEXT_MAX]; /* why it does not go on; "": it does */
};
struct published_offers LIST_MEMBERS(struct published_offer);

/**
 * published_offers(db, channel, ret, err): what the rings are offered, the first one first,
 * appended to a list that is the caller's (list_clear).  None whose head is gone.
 * published_offer_set(db, channel, o, err): of the ring o->ring; head, tree and path are those of
 * the generation.
 * published_offers_drop(db, channel, rings, err): of the rings above ${rings}.
 * published_offers_names(db, each, arg, err): the channels that have any; ${each} may drop them.
 */
int published_offers(struct db *db, const char *channel, struct published_offers *ret,
		     struct err *err);
int published_offer_set(struct db *db, const char *channel, const struct published_offer *o,
			struct err *err);
int published_offers_drop(struct db *db, const char *channel, uint64_t rings, struct err *err);
int published_offers_names(struct db *db, published_path_each each, void *arg, struct err *err);

/**
 * published_offer_of(l, ring, epoch, held, released): what a workstation of ${ring} (0: of none) is
 * offered ahead of all, when it holds generation ${held} of ${epoch}: nobody is offered less than
 * they have. NULL: what everybody is.
 */
const struct published_offer *published_offer_of(const struct published_offers *l, uint64_t ring,
						 uint64_t epoch, uint64_t held,
						 const struct published_generation *released);

/* How long a workstation of a ring has been healthy with what the ring is offered. */
/**
 * published_health_set(db, channel, id, epoch, generation, at, ret_since, err): it was at ${at};
 * the time since when is kept as long as it is the same generation. published_health(db, channel,
 * id, epoch, generation, ret_since, err): since when, when there is a row of that generation: 1;
 * else 0, and ${ret_since} stays as it is. published_health_drop(db, channel, id, err): it is not.
 * published_health_forget(db, id, err): of a workstation that is removed.
 */
int published_health_set(struct db *db, const char *channel, const char *id, uint64_t epoch,
			 uint64_t generation, int64_t at, int64_t *ret_since, struct err *err);
int published_health(struct db *db, const char *channel, const char *id, uint64_t epoch,
		     uint64_t generation, int64_t *ret_since, struct err *err);
int published_health_drop(struct db *db, const char *channel, const char *id, struct err *err);
int published_health_forget(struct db *db, const char *id, struct err *err);

/* Bundles */

/* The payload of a bundle in its pack: changes, members, end mark. */
#define BUNDLE_PIECES 3

struct published_bundle {
	const char *channel; /* borrowed */
	uint64_t epoch, base, generation;
	uint64_t pack;
	struct depot_piece piece[BUNDLE_PIECES];
	struct buf prefix;                     /* owned */
	struct digest prefix_digest, manifest; /* of the prefix; identity of the manifest */
	uint64_t payload, size;                /* bytes */
	uint64_t key; /* number of the content key that it is sealed with; 0: it is not */
};

/* A bundle that is to be posted: the file is prefix, pieces of the pack, zeros. */
struct published_file {
	const char *path;
	uint64_t pack;
	struct depot_piece piece[BUNDLE_PIECES];
	struct bytes prefix;
	uint64_t
	    key; /* the pieces are to be sealed with that content key of the channel; 0: none */
};

/** published_bundle_add(db, b, err): a new bundle, to be posted. */
int published_bundle_add(struct db *db, const struct published_bundle *b, struct err *err);

/** published_bundles(db, channel, epochs, each, arg, err): the bundles of a channel, by epoch,
 * generation and base, without their prefixes and pieces. */
int published_bundles(struct db *db, const char *channel, struct published_epochs epochs,
		      int (*each)(void *arg, const struct published_bundle *b, struct err *err),
		      void *arg, struct err *err);

/**
 * published_bundle_prefix(db, b, ret, err): append the prefix of the row with b's channel, epoch,
 * base and generation.  RC_STATE: there is no such row.
 * published_bundle_pieces(db, b, ret, err): its pieces in the pack, likewise.
 * published_bundle_resign(db, b, prefix, err): another prefix for it, to be posted: b's
 * prefix_digest, size, manifest and key are those of ${prefix}.
 */
int published_bundle_pieces(struct db *db, const struct published_bundle *b,
			    struct depot_piece ret[BUNDLE_PIECES], struct err *err);
int published_bundle_prefix(struct db *db, const struct published_bundle *b, struct buf *ret,
			    struct err *err);
int published_bundle_resign(struct db *db, const struct published_bundle *b, struct bytes prefix,
			    struct err *err);

/** published_bundle_known(db, path, err): 1 when a bundle at that path of the depot was made here,
 * or 0. */
int published_bundle_known(struct db *db, const char *path, struct err *err);

/** published_bundle_drop(db, b, err): only the row with its channel, epoch, base and generation;
 * its file is the caller's to retire. */
int published_bundle_drop(struct db *db, const struct published_bundle *b, struct err *err);

/** published_bundles_take(db, channel, epochs, each, arg, err): hand out the paths of the bundles
 * and delete their rows. */
int published_bundles_take(struct db *db, const char *channel, struct published_epochs epochs,
			   published_path_each each, void *arg, struct err *err);

/**
 * published_keys(db, channel, epoch, each, arg, err): the numbers of the content keys that bundles
 * of a channel are sealed with, ascending; 0: one is not sealed.
 */
int published_keys(struct db *db, const char *channel, uint64_t epoch,
		   int (*each)(void *arg, uint64_t key, struct err *err), void *arg,
		   struct err *err);

/** published_channels(db, each, arg, err): the channels that have bundles. */
int published_channels(struct db *db, int (*each)(void *arg, const char *channel, struct err *err),
		       void *arg, struct err *err);

/* Why a channel, or a part of it, could not be published when it was last tried. */
struct published_blocked {
	int64_t since; /* seconds since 1970 UTC: the first time in a row */
	uint64_t held; /* files that alone were held back; 0: nothing was published */
	char why[ERR_TEXT_MAX];
};
/**
 * published_blocked_set(db, channel, b, err): it could not be published at b->since; 1 when that
 * is news, or another reason than before, else 0.
 * published_blocked_clear(db, channel, err): it could.
 * published_blocked(db, channel, ret, err): 1, or 0 when it could.
 * published_blocked_each(db, each, arg, err): their names; ${each} may clear them.
 */
int published_blocked_set(struct db *db, const char *channel, const struct published_blocked *b,
			  struct err *err);
int published_blocked_clear(struct db *db, const char *channel, struct err *err);
int published_blocked(struct db *db, const char *channel, struct published_blocked *ret,
		      struct err *err);
int published_blocked_each(struct db *db, published_path_each each, void *arg, struct err *err);

/* What leads to the newest generation of a channel. */
struct published_chain {
	uint64_t full;    /* generation of the newest full bundle; 0: there is none */
	uint64_t payload; /* bytes of its payload */
	uint64_t steps;   /* bytes of the payloads of the steps after it */
};

/** published_chain(db, channel, epoch, ret, err): the newest full bundle and the steps after it. */
int published_chain(struct db *db, const char *channel, uint64_t epoch, struct published_chain *ret,
		    struct err *err);

/**
 * published_unposted(db, each, arg, err):
 * The bundles that wait to be posted, by channel and path; none that leads to a generation which
 * waits for signatures.  RC_STATE: a row is damaged.
 * published_unposted_in(db, channel, epoch, each, arg, err): those of one channel and epoch,
 * without their prefixes.
 * published_sent(db, each, arg, err): those that were posted, likewise.
 * published_sent_before(db, before, each, arg, err): those that were posted before that time, the
 * oldest first, likewise.
 * published_unposted_count(db, ret, err): how many wait.
 * published_posted(db, path, err): mark one as posted now.
 * published_post_again(db, path, err): one does not count as posted any more; it is no error when
 * there is none.
 */
typedef int (*published_file_each)(void *arg, const struct published_file *file, struct err *err);
int published_unposted(struct db *db, published_file_each each, void *arg, struct err *err);
int published_unposted_in(struct db *db, const char *channel, uint64_t epoch,
			  published_file_each each, void *arg, struct err *err);
int published_sent(struct db *db, published_file_each each, void *arg, struct err *err);
int published_sent_before(struct db *db, int64_t before, published_file_each each, void *arg,
			  struct err *err);
int published_unposted_count(struct db *db, uint64_t *ret, struct err *err);
int published_posted(struct db *db, const char *path, struct err *err);
int published_post_again(struct db *db, const char *path, struct err *err);

/* Shards */

struct published_shard {
	struct digest input;    /* of what it was made from and of the key that signed it */
	struct digest identity; /* of its document */
	char path[DEPOT_NAME];
};

/** published_shard(db, xx, ret, err): the shard of number ${xx}: 1, or 0 when there is none.
 * published_shard_set(db, xx, shard, err), published_shard_drop(db, xx, err): its row. */
int published_shard(struct db *db, uint8_t xx, struct published_shard *ret, struct err *err);
int published_shard_set(struct db *db, uint8_t xx, const struct published_shard *shard,
			struct err *err);
int published_shard_drop(struct db *db, uint8_t xx, struct err *err);

/* Beats */

struct published_beat {
	uint64_t sequence;
	struct digest input;     /* of what it was made from */
	int64_t issued, expires; /* seconds since 1970 UTC */
	char path[DEPOT_NAME];
};

/** published_beat(db, ret, err): the newest beat: 1, or 0 when there is none.
 * published_beat_add(db, beat, err): the next one. */
int published_beat(struct db *db, struct published_beat *ret, struct err *err);
int published_beat_add(struct db *db, const struct published_beat *beat, struct err *err);

/** published_beat_oldest(db, ret, err): the number of the oldest beat that is kept; 0: there is
 * none. */
int published_beat_oldest(struct db *db, uint64_t *ret, struct err *err);

/** published_beat_posted(db, ret, err): when a beat was posted last, seconds since 1970 UTC; 0:
 * never. */
int published_beat_posted(struct db *db, int64_t *ret, struct err *err);

/** published_beats_take(db, last, each, arg, err): hand out the beats up to number ${last} and
 * delete their rows. */
int published_beats_take(struct db *db, uint64_t last,
			 int (*each)(void *arg, const char *path, uint64_t sequence,
				     struct err *err),
			 void *arg, struct err *err);

#endif
