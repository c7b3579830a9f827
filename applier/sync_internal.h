/*
 * One run of sync: what its files share.
 */
#ifndef SATCHEL_APPLIER_SYNC_INTERNAL_H
#define SATCHEL_APPLIER_SYNC_INTERNAL_H

#include "applier/follow.h"
#include "applier/policy.h"
#include "applier/private.h"
#include "applier/sync.h"

struct sync {
	struct station *s; /* borrowed */
	enum sync_flags flags;
	void (*each)(void *arg, const struct sync_channel *c);
	void *arg;
	bool by_hand;         /* a person named the one depot */
	struct follow *depot; /* owned; those at hand */
	size_t depots;
	struct beat beat; /* the newest accepted; zero while there is none */
	struct sync_shard {
		bool tried;
		struct err err; /* why it is not here */
		struct shard shard;
	} * shard[256];               /* owned; as they are asked for */
	struct err worst;             /* of the run */
	struct station_policy policy; /* owned */
	bool refusing;           /* by policy: only a beat that is newer than the one held counts */
	bool applied;            /* anything */
	struct key_secret *seal; /* owned; when it was needed */
};

/** sync_policy_load(y, err): the policy in force, from what is held; one that cannot be read is
 * told, and satchel does what it does by itself. */
int sync_policy_load(struct sync *y, struct err *err);
/** sync_freshness(y, err): may the newest beat be believed, by clock and policy?  Told when not. */
int sync_freshness(struct sync *y, struct err *err);
/** sync_standing(y, err): without a look at any depot: does the policy refuse everything now? */
int sync_standing(struct sync *y, struct err *err);
/** sync_beat_followed(y, err): a run has done what the newest beat says. */
int sync_beat_followed(struct sync *y, struct err *err);
/** sync_refused(y, err): RC_EXPIRED while nothing may be applied. */
int sync_refused(const struct sync *y, struct err *err);
/** sync_waits(y, err): the same for channels, which have windows as well: RC_AGAIN outside of them.
 */
int sync_waits(const struct sync *y, struct err *err);

/* What the private channel says. */
struct sync_policy {
	struct membership membership;
	struct subscription *sub; /* owned; ascending by name */
	char **target;            /* owned; resolved, NULL when refused */
	struct err *refused;      /* owned; why a target is refused; rc 0: it is not */
	size_t subs;
};

/** sync_begin, sync_end(y, rc, err): the worst of the run when ${rc} is 0; frees ${y}. */
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
/** sync_event(y, bad): and tell the server, when it is more than waiting. */
int sync_event(struct sync *y, const struct err *bad, struct err *err);
/** sync_record(y, bad, err): the same, when people have been told already. */
int sync_record(struct sync *y, const struct err *bad, struct err *err);

/** sync_shard_of(y, name, ret, err): the shard that ${name} is in, from whichever depot has it;
 * an empty one when the beat names none.  RC_INCOMPLETE. */
int sync_shard_of(struct sync *y, const char *name, const struct shard **ret, struct err *err);

/** sync_later(epoch, generation, than_epoch, than_generation): the order of generations. */
bool sync_later(uint64_t epoch, uint64_t generation, uint64_t than_epoch, uint64_t than_generation);

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
int sync_policy_read(struct station *s, struct sync_policy *ret, struct err *err);
void sync_policy_clear(struct sync_policy *p);

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
/** report_last(s, err): the last receipt, signed and queued; in one transaction the workstation is
 * STATION_WIPED. */
int report_last(struct station *s, struct err *err);

/** sync_people(y, err): people, keys, policies and messages of what is held, made true here. */
int sync_people(struct sync *y, struct err *err);

/** sync_channels(y, p, err): every subscribed channel, then those that are left. */
int sync_channels(struct sync *y, struct sync_policy *p, struct err *err);

/** sync_targets(y, p, err): fill target and refused of ${p}. */
int sync_targets(struct sync *y, struct sync_policy *p, struct err *err);

/* Where a tree lies. */
struct sync_place {
	char *path; /* owned; on this machine */
	int rootfd; /* owned */
	bool owners, special_modes;
	char on_leave[8];
	struct digest head; /* of the generation held; zero when not known */
	const char *tree;   /* borrowed */
};
/** sync_place_load(s, tree, ret, err): 1 known, 0 not.  sync_place_open: its descriptor. */
int sync_place_load(struct station *s, const char *tree, struct sync_place *ret, struct err *err);
int sync_place_keep(struct station *s, const struct sync_place *p, struct err *err);
void sync_place_clear(struct sync_place *p);
/** sync_place_target(s, p, ret, err): opens the root; ${ret} borrows from ${p}. */
int sync_place_target(struct station *s, struct sync_place *p, struct apply_target *ret,
		      struct err *err);

/** sync_recover(y, err): finish or undo what a killed run left, in every tree; one that cannot be
 * does not stop the others. */
int sync_recover(struct sync *y, struct err *err);

/** sync_leave(s, p, err): the tree at ${p} is not ours any more: its files stay or, with on_leave
 * remove, go unless somebody changed them; the index is dropped in both cases. */
int sync_leave(struct station *s, struct sync_place *p, struct err *err);
/** sync_forget(s, tree, err): drop the index and all that is known of a tree, in one transaction.
 */
int sync_forget(struct station *s, const char *tree, struct err *err);
/** sync_leave_others(y, p, err): every tree that ${p} does not subscribe to. */
int sync_leave_others(struct sync *y, const struct sync_policy *p, struct err *err);
/** sync_trees(s, ret, ret_n, err): the names of the trees that have a place; the caller's
 * (station_list_free). */
int sync_trees(struct station *s, char ***ret, size_t *ret_n, struct err *err);

/** report_acknowledge(s, sequence, err): the server has recorded receipts up to this one. */
int report_acknowledge(struct station *s, uint64_t sequence, struct err *err);

#endif
