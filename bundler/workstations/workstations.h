/* SPDX-License-Identifier: ISC */
/*
 * Workstations that were ever enrolled: their keys, their names and what became of them.  An id
 * belongs to keys, so a machine that is installed anew comes back under its name with another id.
 * The row of a removed one stays, for its keys may be enrolled again.
 */
#ifndef SATCHEL_BUNDLER_WORKSTATIONS_WORKSTATIONS_H
#define SATCHEL_BUNDLER_WORKSTATIONS_WORKSTATIONS_H

#include "bundler/documents/site_model.h"

/*
 * Views for the rooms above:
 *   workstation_member(id, name, sign, sign_number, seal, seal_number, codes, renewed, renew,
 *           leaving, enrolled)
 *           enrolled or leaving: listed in a shard, and what they say is believed; codes: NULL when
 *           it was not told; renewed: seal is not the key that it enrolled with; renew: how often
 * it was asked to workstation_known(id, name, state, enrolled, member, wiped) all that were ever
 * enrolled; state: for workstation_state(); member: as above; wiped: decommissioned
 *   workstation_shown(id, name, state, enrolled)
 *           of each name the member, or the newest that was decommissioned or revoked
 */
extern const struct db_schema workstations_schema;

enum workstation_state {
	WORKSTATION_ABSENT,   /* no row */
	WORKSTATION_ENROLLED, /* listed and believed */
	WORKSTATION_LEAVING,  /* asked to be decommissioned; still listed and believed */
	WORKSTATION_DECOMMISSIONED,
	WORKSTATION_REPLACED, /* another machine was enrolled under its name */
	WORKSTATION_REVOKED,
	WORKSTATION_REMOVED
};
/** workstation_state(text): from a column of a view; anything else is WORKSTATION_ABSENT. */
enum workstation_state workstation_state(const char *text);
/** workstation_state_text(state): as people read it: "enrolled", "revoked"; "" when absent. */
const char *workstation_state_text(enum workstation_state state);
/** workstation_is_member(state): listed in a shard, and what it says is believed. */
bool workstation_is_member(enum workstation_state state);

struct workstation {
	char id[WORKSTATION_ID + 1];
	char name[WORKSTATION_NAME];
	struct key_public sign, seal;
	struct key_public codes;         /* of confirmation codes; absent: it was not told */
	struct key_public enrolled_seal; /* what it enrolled with; absent: that is ${seal} */
	enum workstation_state state;
	int64_t enrolled; /* seconds since 1970 */
};

/**
 * workstation_by_id(db, id, ret, err), workstation_member_by_name(db, name, ret, err),
 * workstation_newest(db, name, ret, err):
 * One row: of an id; the member called ${name}; the member called ${name} or, when there is none,
 * the one that had the name last and was not removed.
 * 1 when there is one, 0 and ${ret} all zero when there is none.  Errors: RC_STATE (a damaged row).
 */
int workstation_by_id(struct db *db, const char *id, struct workstation *ret, struct err *err);
int workstation_member_by_name(struct db *db, const char *name, struct workstation *ret,
			       struct err *err);
int workstation_newest(struct db *db, const char *name, struct workstation *ret, struct err *err);
/** workstation_name_known(db, name, err): 1 when a machine of this name was ever enrolled, or 0. */
int workstation_name_known(struct db *db, const char *name, struct err *err);

/**
 * workstations_each(db, each, arg, err), workstations_beginning(db, begin, each, arg, err),
 * workstations_named(db, name, each, arg, err):
 * All members; the members whose ids begin so; all machines that ever had this name, also removed
 * ones.  In the order of ids.  Stops when ${each} does not return 0, and returns that.
 */
int workstations_each(struct db *db,
		      int (*each)(void *arg, const struct workstation *w, struct err *err),
		      void *arg, struct err *err);
int workstations_beginning(struct db *db, const char *begin,
			   int (*each)(void *arg, const struct workstation *w, struct err *err),
			   void *arg, struct err *err);
int workstations_named(struct db *db, const char *name,
		       int (*each)(void *arg, const struct workstation *w, struct err *err),
		       void *arg, struct err *err);

/**
 * workstation_put(db, w, err): the row of ${w}, in place of one with the same id.  No other member
 * may have the name.  In the caller's transaction.
 */
int workstation_put(struct db *db, const struct workstation *w, struct err *err);
/** workstation_keys_put(db, w, seal, codes, err): what a receipt of ${w} tells; absent keys, and
 * those that are known, change nothing.  In the caller's transaction. */
int workstation_keys_put(struct db *db, const struct workstation *w, const struct key_public *seal,
			 const struct key_public *codes, struct err *err);
/** workstation_renew(db, name, ret, err): ${name}, or everybody (NULL), is to renew its sealing
 * key; how many are asked.  In the caller's transaction. */
int workstation_renew(struct db *db, const char *name, uint64_t *ret, struct err *err);
/** workstation_state_set(db, id, state, err): of the row ${id}; ${state} is not
 * WORKSTATION_ABSENT. */
int workstation_state_set(struct db *db, const char *id, enum workstation_state state,
			  struct err *err);

#endif
