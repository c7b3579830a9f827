/* SPDX-License-Identifier: ISC */
/*
 * Sync: look at every depot, follow trust, beat, shard and heads, apply what is newer, report.
 */
#ifndef SATCHEL_APPLIER_SYNC_SYNC_H
#define SATCHEL_APPLIER_SYNC_SYNC_H

#include "applier/apply/apply.h"
#include "applier/rollback/rollback.h"
#include "core/trust/code.h"

struct sync_channel {
	char name[CHANNEL_NAME]; /* "" for the private channel */
	uint64_t before, after, wanted;
	uint64_t epoch_before, epoch; /* of before and after */
	int rc;                       /* 0, or why it is not at wanted */
	char reason[512];
	struct apply_preview preview; /* of what was or would be applied */
};
enum sync_flags {
	SYNC_DRY_RUN = 1 << 0,
	SYNC_NOW = 1 << 1, /* a person says so: outside of the windows of the policy as well */
};

/**
 * sync_station(s, only_depot, flags, each, arg, err):
 * The whole loop over all depots at hand, or the one that a person named: recovery first, then
 * trust, beat, private channel, channels, and the receipt last.  ${each} is told how every channel
 * came out; the private channel, first, has no name.  Channels do not stop each other.
 * SYNC_DRY_RUN changes nothing but what is known of the site: trust and beat that verify are kept.
 * Returns the worst code of the run.  Of those that need explaining: RC_AGAIN: no depot at hand, or
 * not approved yet, or outside of the windows of the policy; RC_EXPIRED: nothing newer than a beat
 * past its time has arrived, and all is done, or nothing when the policy says refuse; RC_REPLAY:
 * the named depot is behind, and nothing was applied; RC_IO, RC_SPACE: also when no depot could
 * take the receipt, which stays queued.
 */
int sync_station(struct station *s, const char *only_depot, enum sync_flags flags,
		 void (*each)(void *arg, const struct sync_channel *c), void *arg, struct err *err);

/* What a look at the depots found, before anything is applied. */
struct sync_news {
	uint64_t beat; /* newest accepted; 0: none */
	bool newer;    /* a beat that was not known */
	bool ours;     /* it may bring something for this workstation */
	bool knocked;  /* it asks us to look at once */
};

/**
 * sync_poll(s, ret, err): the cheap part of a sync, for a watcher: trust and beat of every depot at
 * hand are followed and kept, and nothing else is read.  ${ret->ours} says whether a shard that
 * this workstation has to do with is another one than before.
 */
int sync_poll(struct station *s, struct sync_news *ret, struct err *err);

/** sync_file(s, path, flags, each, arg, err): one bundle by hand, of a channel that this
 * workstation subscribes to, or of its private channel; freshness is unknown, and the receipt,
 * which goes to the depots of the configuration, says so.  Older than what is applied: RC_REPLAY;
 * applied already: 0. A directory: sync_station of that depot. */
int sync_file(struct station *s, const char *path, enum sync_flags flags,
	      void (*each)(void *arg, const struct sync_channel *c), void *arg, struct err *err);

/** sync_rollback(s, tree, generation, ret, err): a channel goes back (rollback_tree), and the
 * receipt that says so goes to the depots at hand. */
int sync_rollback(struct station *s, const char *tree, uint64_t generation,
		  struct rollback_result *ret, struct err *err);

/* How the repair of one channel came out. */
struct repair_done {
	const char *channel; /* borrowed */
	uint64_t entries;    /* that differed, of those that were asked for */
	uint64_t left;       /* that differ still, of all */
	int rc;
	const char *why; /* borrowed; a sentence when rc is negative */
};
/* What is to be repaired. */
struct repair_asked {
	const char *channel;     /* NULL: every channel */
	const char *const *path; /* below its target; none: all of it */
	size_t paths;
	void (*each)(void *arg, const struct repair_done *done);
	void *arg;
};
/** sync_repair(s, asked, err): what differs on disk becomes again what was applied; ${asked->each}
 * is told of each channel.  Errors: the worst of repair_find, repair_apply; RC_ABSENT: a content is
 * neither here nor in a depot at hand. */
int sync_repair(struct station *s, const struct repair_asked *asked, struct err *err);

#endif
