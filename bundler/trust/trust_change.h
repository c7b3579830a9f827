/* SPDX-License-Identifier: ISC */
/*
 * Changes of trust: the next trust document, signed by the root keys that are at hand, or waiting
 * for those that are kept offline.  What is in force is s->trust.
 *
 * A function that makes a next version returns 1 when it is in force (committed and in the outbox,
 * to be posted by publish), 0 when it waits for signatures: then trust_change_pending gives the
 * bytes that `minisign -S -l` signs next, and trust_change_import takes the signature.
 */
#ifndef SATCHEL_BUNDLER_TRUST_TRUST_CHANGE_H
#define SATCHEL_BUNDLER_TRUST_TRUST_CHANGE_H
#include "bundler/documents/site_model.h"

/**
 * trust_change_rotate(s, role, old, ask, err): a new key for ${role}, made in keys/; those that
 * were current become ${old}: KEY_RETIRED (good for what a currently signed document names) or
 * KEY_REVOKED (stolen).  ${ask} asks for the passphrase of a root key, NULL: none has one.
 * trust_change_epoch(s, role, ask, err): raise the epoch of publish, private or beat, which
 * restarts its count. trust_change_renew(s, days, ask, err): another expiry, counted from now.
 * trust_change_root(s, pub, ask, err): one more root key, kept elsewhere.
 * trust_change_end(s, key, state, ask, err): retire or revoke one key, by its number as minisign
 * shows it.  trust_change_threshold(s, role, n, ask, err): how many keys of a role must sign.
 * Errors: RC_CONFLICT while a version waits for signatures, RC_USAGE, RC_LIMIT, RC_UNTRUSTED.
 */
/**
 * trust_change_split(s, ask, err): two hands: a new key for the private role, which signs private
 * channels and the ways to a tree from now on; publish keys sign only what a channel is.  The
 * caller has made sure that all workstations read format 2.  RC_CONFLICT: it was done.
 * trust_change_publish(s, pub, only, ask, err): one more publish key, kept elsewhere, for the
 * channels that ${only} names ("": all, "lab-*").  RC_USAGE before a split.
 */
int trust_change_split(struct site *s, struct key_ask *ask, struct err *err);
int trust_change_publish(struct site *s, const struct key_public *pub, const char *only,
			 struct key_ask *ask, struct err *err);
int trust_change_rotate(struct site *s, enum role role, enum key_state old, struct key_ask *ask,
			struct err *err);
/** trust_change_lost(s, role, ask, err): as trust_change_rotate, for a key that is gone with the
 * state of the server; publish keys are left as they are, and 0 is returned, where they are in
 * several hands. */
int trust_change_lost(struct site *s, enum role role, struct key_ask *ask, struct err *err);
int trust_change_epoch(struct site *s, enum role role, struct key_ask *ask, struct err *err);
int trust_change_renew(struct site *s, unsigned days, struct key_ask *ask, struct err *err);
int trust_change_root(struct site *s, const struct key_public *pub, struct key_ask *ask,
		      struct err *err);
int trust_change_end(struct site *s, const char *key, enum key_state state, struct key_ask *ask,
		     struct err *err);
int trust_change_threshold(struct site *s, enum role role, uint32_t n, struct key_ask *ask,
			   struct err *err);

/** trust_change_pending(s, ret, err): the bytes to be signed next, appended to ${ret}: 1, or 0 when
 * no version waits.  */
int trust_change_pending(struct site *s, struct buf *ret, struct err *err);
/** trust_change_import(s, minisig, pub, err): a signature that minisign -S -l made over these
 * bytes. RC_UNTRUSTED when it does not verify or when ${pub} is no root key of either version. */
int trust_change_import(struct site *s, struct bytes minisig, const struct key_public *pub,
			struct err *err);
/** trust_change_drop(s, err): forget the version that waits: 1, or 0 when none does. */
int trust_change_drop(struct site *s, struct err *err);

#endif
