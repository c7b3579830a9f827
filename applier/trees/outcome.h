/* SPDX-License-Identifier: ISC */
/*
 * Outcomes: how the last try to bring each tree up to date ended.  A receipt says it of every
 * channel until the server has read that a channel was left.
 */
#ifndef SATCHEL_APPLIER_TREES_OUTCOME_H
#define SATCHEL_APPLIER_TREES_OUTCOME_H

#include "applier/apply/applied.h"

extern const struct db_schema station_outcome_schema;

enum tree_result {
	TREE_UNTRIED,
	TREE_APPLIED, /* a bundle was applied */
	TREE_CURRENT, /* there was nothing newer */
	TREE_WAITING, /* something is on its way */
	TREE_REFUSED, /* for what was offered */
	TREE_FAILED,  /* for something on this machine */
	TREE_LEFT     /* it is not subscribed to any more */
};
/** tree_result_text(result): its word in a receipt; "" for TREE_UNTRIED. */
const char *tree_result_text(enum tree_result result);

struct outcome {
	enum tree_result result;
	char reason[512]; /* slug ": " sentence; "" when the result is good */
	uint64_t wanted;  /* generation that was tried */
	uint64_t deviations, adaptations;
	uint64_t milliseconds; /* that it took */
};

/** outcome_put(s, tree, o, err): the same refusal again, or being current still, is nothing new and
 * writes nothing.  Deviations and adaptations are those of what is applied: TREE_APPLIED alone
 * changes them. */
int outcome_put(struct station *s, const char *tree, const struct outcome *o, struct err *err);
/** outcome_at(s, tree, ret, err): when it was written, seconds since 1970; ${*ret} stays when there
 * is none. */
int outcome_at(struct station *s, const char *tree, int64_t *ret, struct err *err);
/** outcome_left_forget(s, err): a receipt that says which trees were left has been read. */
int outcome_left_forget(struct station *s, struct err *err);

/* What a channel, or the private channel, is at and how the last try ended. */
struct station_channel {
	char name[CHANNEL_NAME];     /* "" for the private channel */
	char target[LIMIT_PATH + 1]; /* on this machine, "" for the private channel */
	struct applied applied;
	enum tree_result result;
	char reason[512];
	uint64_t wanted;
	uint64_t deviations, adaptations, drift;
	int64_t at; /* of the result */
	uint64_t milliseconds;
};
/** station_channels(s, each, arg, err): ascending by name, the private channel first.  ${c} is
 * valid during the call; a value other than 0 ends the walk and is returned. */
int station_channels(struct station *s,
		     int (*each)(void *arg, const struct station_channel *c, struct err *err),
		     void *arg, struct err *err);

#endif
