/* SPDX-License-Identifier: ISC */
/*
 * Publish: scan, pack, bundle, head; then shards and the beat; then post.
 * The generation and its signed bytes are committed in the registry first, then posted, then
 * marked.
 */
#ifndef SATCHEL_BUNDLER_PUBLISH_PUBLISH_H
#define SATCHEL_BUNDLER_PUBLISH_PUBLISH_H
#include "bundler/documents/site_model.h"
#include "core/base/list.h"

extern const struct db_schema publish_schema;

enum publish_flags {
	PUBLISH_DRY_RUN = 1 << 0,
	PUBLISH_ALLOW_EMPTY = 1 << 1, /* a source that lost everything, or most, by surprise */
	PUBLISH_FULL = 1 << 2,        /* make a new full bundle as well */
	PUBLISH_NO_CHANNELS =
	    1 << 4,              /* private channels and the beat only, unless some are named */
	PUBLISH_REREAD = 1 << 3, /* read every file, whatever stat says */
	PUBLISH_REFILL = 1 << 5, /* the depot was emptied or replaced, and is ours all the same */
	PUBLISH_NO_COMPARE = 1 << 6, /* do not list the depot to find what it has lost */
	PUBLISH_PURGE = 1 << 7,      /* nothing stays of what was published but the newest tree */
};

struct publish_counts {
	uint64_t added, changed, renamed, deleted, metadata; /* entries */
	uint64_t entries;                                    /* in the new tree */
	uint64_t content;                                    /* bytes of new content read */
	uint64_t bundle;                                     /* bytes of the bundle file(s) made */
	uint64_t generation;                                 /* the channel's generation now */
	bool made;                                           /* a new generation was made */
	bool waits;    /* it has no head yet: publish keys that are kept elsewhere must sign */
	uint64_t held; /* files that did not come to rest, and were held back */
	char held_why[ERR_TEXT_MAX]; /* which; "": none */
};

/** publish_channel(s, c, flags, ret, err): one channel up to a committed generation; posts nothing.
 */
int publish_channel(struct site *s, const struct site_channel *c, enum publish_flags flags,
		    struct publish_counts *ret, struct err *err);

/**
 * publish_unready(s, channel, silent, ret, err): append the names of the workstations that a sealed
 * channel is for and that have reported that they cannot read it; ${silent}: also of those that
 * have reported nothing yet. publish_names(names, dst): the first of them, as a sentence takes
 * them.
 */
#define PUBLISH_NAMES 256
int publish_unready(struct site *s, const char *channel, bool silent, struct strings *ret,
		    struct err *err);
void publish_names(const struct strings *names, char dst[PUBLISH_NAMES]);

/* What a signature of a publish key has done. */
struct release_state {
	char channel[CHANNEL_NAME];
	uint64_t generation;
	bool released; /* there are enough: the next publish posts it */
};
/** release_import(s, minisig, pub, ret, err): a signature that minisign -S -l made over a release
 * that waits, with the key ${pub}.  RC_USAGE: none waits; RC_UNTRUSTED: it fits none that waits, or
 * the key may not sign for that channel. */
int release_import(struct site *s, struct bytes minisig, const struct key_public *pub,
		   struct release_state *ret, struct err *err);

/** release_discard(s, channel, ret_generation, err): take back the generation that waits, and those
 * before it that were not released either.  The next publish makes another one from nothing.
 * RC_USAGE: none waits. */
int release_discard(struct site *s, const char *channel, uint64_t *ret_generation, struct err *err);

/** publish_beat(s, flags, err): shards that changed, and a new beat when anything changed or the
 * last one is half through its life. In the caller's transaction, into the outbox. */
enum beat_flags {
	BEAT_ANYWAY = 1 << 0, /* a new beat, though nothing changed */
	BEAT_ALL_NEW = 1 << 1 /* as many as are kept: none leads to what was there before */
};
int publish_beat(struct site *s, enum beat_flags flags, struct err *err);

/**
 * publish_knock(s, names, n, err): ring at workstations ("all": at every one): a new beat, posted
 * at once, that names them.  Beats of the next ten minutes repeat it, for those who look a little
 * later.  RC_USAGE when a name is nobody's.
 */
int publish_knock(struct site *s, const char *const *names, size_t n, struct err *err);

/**
 * publish_purge(s, channel, path, n, each, arg, err): what lay at these paths, or below, should
 * never have been published.  When the source does not have it any more: every bundle of the
 * channel and every pack is made anew from the source, the old ones leave depot and content store,
 * rings end, and ${each} is told the workstations that hold an earlier generation, by their newest
 * receipts. RC_CONFLICT: it is still published, or what is newest waits for signatures.
 */
int publish_purge(struct site *s, const char *channel, char *const *path, size_t n,
		  int (*each)(void *arg, const char *workstation, uint64_t generation,
			      struct err *err),
		  void *arg, struct err *err);

/** publish_site(s, only, n, flags, each, arg, err): the command: all channels (or those named),
 * private channels, beat, post; before them what the depot has lost counts as not posted. RC_STATE:
 * the registry is older than what it published (recover_notice), and nothing is changed. */
int publish_site(struct site *s, const char *const *only, size_t n, enum publish_flags flags,
		 void (*each)(void *arg, const char *channel, const struct publish_counts *counts),
		 void *arg, struct err *err);

#endif
