/*
 * Changes of trust: the next trust document, signed by the root keys that are at hand, or waiting
 * for those that are kept offline.  What is in force is s->trust.
 *
 * A function that makes a next version returns 1 when it is in force (committed and in the outbox,
 * to be posted by publish), 0 when it waits for signatures: then trustops_pending gives the bytes
 * that `minisign -S -l` signs next, and trustops_import takes the signature.
 */
#ifndef SATCHEL_BUNDLER_TRUSTOPS_H
#define SATCHEL_BUNDLER_TRUSTOPS_H

#include "bundler/site.h"

/**
 * trustops_rotate(s, role, old, ask, err): a new key for ${role}, made in keys/; those that were
 * current become ${old}: KEY_RETIRED (good for what a currently signed document names) or
 * KEY_REVOKED (stolen).  ${ask} asks for the passphrase of a root key, NULL: none has one.
 * trustops_epoch(s, role, ask, err): raise the epoch of publish or beat, which restarts its count.
 * trustops_renew(s, days, ask, err): another expiry, counted from now.
 * trustops_root(s, pub, ask, err): one more root key, kept elsewhere.
 * trustops_end(s, key, state, ask, err): retire or revoke one key, by its number as minisign shows
 * it.  trustops_threshold(s, role, n, ask, err): how many keys of a role must sign.
 * Errors: RC_CONFLICT while a version waits for signatures, RC_USAGE, RC_LIMIT, RC_UNTRUSTED.
 */
int trustops_rotate(struct site *s, enum role role, enum key_state old, struct key_ask *ask,
		    struct err *err);
int trustops_epoch(struct site *s, enum role role, struct key_ask *ask, struct err *err);
int trustops_renew(struct site *s, unsigned days, struct key_ask *ask, struct err *err);
int trustops_root(struct site *s, const struct key_public *pub, struct key_ask *ask,
		  struct err *err);
int trustops_end(struct site *s, const char *key, enum key_state state, struct key_ask *ask,
		 struct err *err);
int trustops_threshold(struct site *s, enum role role, uint32_t n, struct key_ask *ask,
		       struct err *err);

/** trustops_pending(s, ret, err): the bytes to be signed next, appended to ${ret}: 1, or 0 when no
 * version waits.  */
int trustops_pending(struct site *s, struct buf *ret, struct err *err);
/** trustops_import(s, minisig, pub, err): a signature that minisign -S -l made over these bytes.
 * RC_UNTRUSTED when it does not verify or when ${pub} is no root key of either version. */
int trustops_import(struct site *s, struct bytes minisig, const struct key_public *pub,
		    struct err *err);
/** trustops_drop(s, err): forget the version that waits. */
int trustops_drop(struct site *s, struct err *err);

#endif
