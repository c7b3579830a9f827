/*
 * The outbox: the newest receipt, the newest request to enrol, and every activation that is not
 * answered, sealed and signed, kept in the database until they are of no use.  Each receipt carries
 * the whole state, so an older one is never needed once a newer one is written; activations stand
 * beside each other.  The last receipt of a decommissioned workstation stays when it begins anew.
 */
#ifndef SATCHEL_APPLIER_OUTBOX_H
#define SATCHEL_APPLIER_OUTBOX_H

#include "applier/station.h"
#include "core/depot/depot.h"

enum outbox_kind { OUTBOX_RECEIPT, OUTBOX_REQUEST, OUTBOX_ACTIVATION, OUTBOX_LAST };

/** outbox_put(s, kind, sequence, inner, sign, id, collect, err): sign ${inner}, seal it, and keep
 * it, a receipt and a request to enrol in the place of an older one; in the caller's transaction.
 * RC_LIMIT. */
int outbox_put(struct station *s, enum outbox_kind kind, uint64_t sequence, struct bytes inner,
	       const struct key_secret *sign, const char *id, const struct key_public *collect,
	       struct err *err);
/** outbox_path(s, kind, sequence, ret, err): where the document of that number lies in depots; 1,
 * or 0 when there is none.  outbox_remove(s, path, err): forget that one. */
int outbox_path(struct station *s, enum outbox_kind kind, uint64_t sequence, char ret[DEPOT_NAME],
		struct err *err);
int outbox_remove(struct station *s, const char *path, struct err *err);
/** outbox_has(s, path, err): 1 when that one is kept. */
int outbox_has(struct station *s, const char *path, struct err *err);

/** outbox_post(s, depot, err): everything to one depot; what lies there already is left alone.
 * Returns how many documents the depot has now. */
int outbox_post(struct station *s, struct depot *depot, struct err *err);

/** outbox_drop(s, kind, err): forget it; a last receipt only when some depot has it.
 * outbox_waiting(s, ret, err): documents that no depot has. */
int outbox_drop(struct station *s, enum outbox_kind kind, struct err *err);
int outbox_waiting(struct station *s, uint64_t *ret, struct err *err);

#endif
