/* SPDX-License-Identifier: ISC */
/*
 * Sealed channels: the content key of each, numbered 1, 2, 3 and so on; who was sent the newest
 * one; and when it is to change because somebody who has it is not of the audience any more.  The
 * secrets lie in the key store, beside the keys of users.
 *
 * A key is made when a channel is first published sealed, and changed only by publish: what is
 * committed is always sealed with the newest one.
 */
#ifndef SATCHEL_BUNDLER_SEALED_SEALED_H
#define SATCHEL_BUNDLER_SEALED_SEALED_H

#include "bundler/keystore/keystore.h"
#include "bundler/registry/registry.h"

extern const struct db_schema sealed_schema;
/* That a workstation is removed does not make it forget: the channels that it could read note that
 * somebody has left. */
extern const struct forget_sql sealed_forget;

/* What is known of the content key of a channel. */
struct sealed_state {
	uint64_t number;  /* of the newest; 0: there is none */
	uint64_t readers; /* workstations that were sent it */
	int64_t left; /* since when it is known that somebody left who has it, seconds; 0: nobody */
	bool asked;   /* a person wants it changed */
};
/** sealed_describe(db, channel, ret, err): all zero when there is none. */
int sealed_describe(struct db *db, const char *channel, struct sealed_state *ret, struct err *err);
/** sealed_due(c, state, now): is the key to change at the next publish? */
bool sealed_due(const struct site_channel *c, const struct sealed_state *state, int64_t now);

/** sealed_key(k, c, ret, err): the number of the key to seal with now: a new one when there is
 * none, or when it is due.  In the caller's transaction. */
int sealed_key(struct keystore *k, const struct site_channel *c, uint64_t *ret, struct err *err);
/** sealed_secret(k, channel, number, ret, err): the key itself, as keystore_secret gives it. */
int sealed_secret(struct keystore *k, const char *channel, uint64_t number, struct bytes *ret,
		  struct err *err);
/** sealed_ask(db, channel, err): the key changes at the next publish.  RC_USAGE: there is none. */
int sealed_ask(struct db *db, const char *channel, struct err *err);
/** sealed_unsettle(db, channel, err): bundles that everybody could read, or somebody who left, are
 * not to be in the depot any more.  sealed_settle(db, err): 1 when there were some since the last
 * time. */
int sealed_unsettle(struct db *db, const char *channel, struct err *err);
int sealed_settle(struct db *db, struct err *err);
/** sealed_drop(db, channel, below, err): keys with lower numbers, which seal nothing any more, are
 * gone for good. */
int sealed_drop(struct db *db, const char *channel, uint64_t below, struct err *err);

/** sealed_sent(db, id, channel, number, err): the workstation was sent this key. */
int sealed_sent(struct db *db, const char *id, const char *channel, uint64_t number,
		struct err *err);
/** sealed_readers(db, each, arg, err): who was sent the newest key of which channel; by channel and
 * id.  sealed_left(db, channel, id, err): one of them is not of the audience any more. */
int sealed_readers(struct db *db,
		   int (*each)(void *arg, const char *channel, const char *id, struct err *err),
		   void *arg, struct err *err);
int sealed_left(struct db *db, const char *channel, const char *id, struct err *err);

#endif
