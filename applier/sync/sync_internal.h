/* SPDX-License-Identifier: ISC */
/*
 * One run of sync: what its files share.
 */
#ifndef SATCHEL_APPLIER_SYNC_SYNC_INTERNAL_H
#define SATCHEL_APPLIER_SYNC_SYNC_INTERNAL_H

#include "applier/follow/follow.h"
#include "applier/private/policy.h"
#include "applier/private/private.h"
#include "applier/report/report.h"
#include "applier/sync/sync.h"
#include "applier/trees/outcome.h"
#include "applier/trees/tree.h"
#include "core/base/list.h"

struct sync {
	struct station *s; /* borrowed */
	enum sync_flags flags;
	void (*each)(void *arg, const struct sync_channel *c);
	void *arg;
	bool by_hand;              /* a person named the one depot */
	LIST(struct follow) depot; /* those at hand */
	struct err unopened;       /* why the first that is there could not be opened */
	struct beat beat;          /* the newest accepted; zero while there is none */
	struct sync_shard {
		bool tried;
		struct err err; /* why it is not here */
		struct shard shard;
	} * shard[256];               /* owned; as they are asked for */
	struct err worst;             /* of the run */
	struct station_policy policy; /* owned; in force */
	bool policy_loaded;           /* and read from policy_file, even if that is no good */
	struct digest policy_file;
	bool refusing;       /* by policy: only a beat that is newer than the one known counts */
	bool applied;        /* anything */
	struct sync_wanted { /* owned; what the private channel says, when it was read */
		bool read;
		struct membership membership;
		struct subscription *sub; /* owned; ascending by name */
		char **target;            /* owned; resolved, NULL when refused */
		struct err *refused;      /* owned; why a target is refused; rc 0: it is not */
		size_t subs;
	} wanted;
};

/** sync_policy_load(y, err): the policy in force, from what is applied; read again only when it is
 * another one.  One that cannot be read is told, and satchel does what it does by itself. */
int sync_policy_load(struct sync *y, struct err *err);
/** sync_policy_digest(y): of the policy that is followed as a whole, for the receipt; else zero. */
const struct digest *sync_policy_digest(const struct sync *y);
/** sync_freshness(y, err): may the newest beat be believed, by clock and policy?  Told when not. */
int sync_freshness(struct sync *y, struct err *err);
/** sync_policy_refuses(y, err): without a look at any depot: does the policy refuse everything now?
 */
int sync_policy_refuses(struct sync *y, struct err *err);
/** sync_beat_followed(y, err): a run has done what the newest beat says. */
int sync_beat_followed(struct sync *y, struct err *err);
/** sync_refused(y, err): RC_EXPIRED while nothing may be applied: by policy, or because the trust
 * document has expired. */
int sync_refused(const struct sync *y, struct err *err);
/** sync_waits(y, err): the same for channels, which have windows as well: RC_AGAIN outside of them.
 */
int sync_waits(const struct sync *y, struct err *err);

/**
 * sync_begin(s, flags, each, arg, ret, err): a run; ${*ret} is ended by sync_end, ${s} and ${each}
 * (NULL: nobody is told) are borrowed until then.  RC_STATE: the workstation has not been
 * enrolled; RC_MEMORY.
 * sync_end(y, rc, err): the worst of the run when ${rc} is 0; frees ${y}.
 */
int sync_begin(struct station *s, enum sync_flags flags,
	       void (*each)(void *arg, const struct sync_channel *c), void *arg, struct sync **ret,
	       struct err *err);
int sync_end(struct sync *y, int rc, struct err *err);
/** sync_depots(y, err): the depots of the configuration that are at hand and ours, to report to. */
int sync_depots(struct sync *y, struct err *err);
/** sync_open(y, only, err): the depots at hand, or the one named.  sync_follow(y, err): trust and
 * beat of the depots in hand: 1 when there is a beat to go by. */
int sync_open(struct sync *y, const char *only, struct err *err);
int sync_follow(struct sync *y, struct err *err);
/** sync_report(y, err): the receipt, into the outbox and every depot at hand that is ours. */
int sync_report(struct sync *y, struct err *err);

/** sync_note(y, bad): keep the worst of the run.  sync_tell(y, bad): and tell people. */
void sync_note(struct sync *y, const struct err *bad);
void sync_tell(struct sync *y, const struct err *bad);
/** sync_event(y, bad, err): as sync_tell, and tell the server, when it is more than waiting. */
int sync_event(struct sync *y, const struct err *bad, struct err *err);
/** sync_record(y, bad, err): the same, when people have been told already. */
int sync_record(struct sync *y, const struct err *bad, struct err *err);

/** sync_shard_of(y, name, ret, err): the shard that ${name} is in, from whichever depot has it;
 * an empty one when the beat names none.  RC_INCOMPLETE. */
int sync_shard_of(struct sync *y, const char *name, const struct shard **ret, struct err *err);

/* One channel on its way from one generation to another, as the owner's hooks are told. */
struct sync_update {
	const char *tree, *target; /* borrowed */
	uint64_t from, to;
};
/** sync_update_begin(y, w, from, err): before the first bundle: the hook pre-apply; RC_CONFLICT and
 * the like: it does not want it. sync_update_end(y, w, err): the hooks post-apply and health, when
 * the way is done and nobody knows yet how it came out.  RC_ROLLED_BACK: not well, and what was
 * before is back; RC_UNHEALTHY: not well, and it cannot be. */
int sync_update_begin(struct sync *y, const struct sync_update *w, const struct applied *from,
		      struct err *err);
int sync_update_end(struct sync *y, const struct sync_update *w, struct err *err);

/* How one tree came out, for the receipt. */
struct sync_outcome {
	const char *tree;
	struct sync_channel out;
	bool applied;
	bool by_hand; /* what a person tried in vain says nothing about the channel */
	uint64_t milliseconds;
};
/** sync_outcome(y, o, err): record it (unless this is a dry run), tell, note. */
int sync_outcome(struct sync *y, const struct sync_outcome *o, struct err *err);

/** sync_private(y, row, err): our own channel, up to what the shard names. */
int sync_private(struct sync *y, const struct shard_workstation *row, struct err *err);
/**
 * sync_seal_open(y, m, ret, err): the content key of the private bundle of ${m}, the caller's, by
 * the sealing key of this workstation or the next one.  RC_AGAIN: by neither; the next receipt
 * tells the server which there is. sync_seal_settle(y, err): when what the next key opened is
 * applied, it takes the place of the one before, which is wiped. sync_seal_renew(y, err): make the
 * next key when it is time.
 */
int sync_seal_open(struct sync *y, const struct manifest *m, struct content_key **ret,
		   struct err *err);
int sync_seal_settle(struct sync *y, struct err *err);
int sync_seal_renew(struct sync *y, struct err *err);
/**
 * sync_wanted_read(y, err): membership and subscriptions of the private channel into y->wanted,
 * once in a run; targets are not resolved yet.  RC_STATE: it was changed on this machine;
 * RC_MALFORMED; RC_ADDRESSEE: it is made for another workstation. sync_wanted_drop(y): forget them,
 * because another private channel is there, or the run ends.
 */
int sync_wanted_read(struct sync *y, struct err *err);
void sync_wanted_drop(struct sync *y);

/** sync_hooks(y, counts, err): tell the owner's hooks what people can read now, when it is not what
 * they were told last. */
struct handout_counts;
int sync_hooks(struct sync *y, const struct handout_counts *counts, struct err *err);

/** sync_decommission(y, err): wipe what the site entrusted, and say so; what was begun is gone on
 * with.  sync_last(y, err): a whole run of a workstation that ends: that, and the outbox posted. */
int sync_decommission(struct sync *y, struct err *err);
int sync_last(struct sync *y, struct err *err);
/** sync_last_post(y, err): the outbox, to the depots at hand. */
int sync_last_post(struct sync *y, struct err *err);
/** sync_people(y, err): people, keys, policies and messages of what is applied, made true here. */
int sync_people(struct sync *y, struct err *err);

/** sync_channels(y, err): every channel that y->wanted subscribes to, and before that those that
 * are left. */
int sync_channels(struct sync *y, struct err *err);

/** sync_targets(y, err): fill target and refused of y->wanted. */
int sync_targets(struct sync *y, struct err *err);

/** sync_recover(y, err): finish or undo what a killed run left, in every tree; one that cannot be
 * does not stop the others. */
int sync_recover(struct sync *y, struct err *err);

/** sync_leave_others(y, p, err): every tree that ${p} does not subscribe to. */
int sync_leave_others(struct sync *y, const struct sync_wanted *p, struct err *err);
#endif
