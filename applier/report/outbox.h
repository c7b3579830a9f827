/* SPDX-License-Identifier: ISC */
/*
 * The outbox: the newest receipt, the newest request to enrol, and every activation that is not
 * answered, sealed and signed, kept in the database until they are of no use.  Each receipt carries
 * the whole state, so an older one is never needed once a newer one is written; activations stand
 * beside each other.  The last receipt of a decommissioned workstation stays when it begins anew.
 */
#ifndef SATCHEL_APPLIER_REPORT_OUTBOX_H
#define SATCHEL_APPLIER_REPORT_OUTBOX_H

#include "applier/station/station.h"
#include "core/depot/depot.h"

extern const struct db_schema station_outbox_schema;

enum outbox_kind { OUTBOX_RECEIPT, OUTBOX_REQUEST, OUTBOX_ACTIVATION, OUTBOX_LAST, OUTBOX_RESEND };

/** outbox_put(s, kind, sequence, inner, sign, id, collect, err): sign ${inner}, seal it, and keep
 * it, a receipt and a request to enrol in the place of an older one; in the caller's transaction.
 * RC_LIMIT. */
int outbox_put(struct station *s, enum outbox_kind kind, uint64_t sequence, struct bytes inner,
	       const struct key_secret *sign, const char *id, const struct key_public *collect,
	       struct err *err);
/** outbox_path(s, kind, sequence, ret, err): where the document of that number lies in depots; 1,
 * or 0 when there is none. */
int outbox_path(struct station *s, enum outbox_kind kind, uint64_t sequence, char ret[DEPOT_NAME],
		struct err *err);
/** outbox_has(s, path, ret_posted, err): 1 when that one is kept; ${ret_posted} (may be NULL): at
 * least one depot has it. */
int outbox_has(struct station *s, const char *path, bool *ret_posted, struct err *err);
/** outbox_remove(s, path, err): forget that one. */
int outbox_remove(struct station *s, const char *path, struct err *err);
/** outbox_drop(s, kind, err): forget all of a kind; a last receipt only when some depot has it. */
int outbox_drop(struct station *s, enum outbox_kind kind, struct err *err);
/** outbox_acknowledge(s, sequence, err): the server has recorded receipts up to this number;
 * posting them again would only be work for both sides. */
int outbox_acknowledge(struct station *s, uint64_t sequence, struct err *err);
/** outbox_forget(s, err): all but the last receipt, in the caller's transaction. */
int outbox_forget(struct station *s, struct err *err);

/** outbox_post(s, depot, err): everything to one depot; what lies there already is left alone.
 * Returns how many documents the depot has now. */
int outbox_post(struct station *s, struct depot *depot, struct err *err);

/** outbox_waiting(s, ret, err): documents that no depot has.  outbox_count(s, kind, ret, err): of
 * one kind, posted or not. */
int outbox_waiting(struct station *s, uint64_t *ret, struct err *err);
int outbox_count(struct station *s, enum outbox_kind kind, uint64_t *ret, struct err *err);

#endif
