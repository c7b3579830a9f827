/* SPDX-License-Identifier: ISC */
/*
 * The end of a workstation.
 *
 *   enrolled -> leaving          asked for: its last private generation says that everything is to
 *                                be wiped; it is listed and believed until it has said so
 *   leaving -> decommissioned    its last receipt says that everything is wiped; it stays listed
 *                                until it can have seen that this receipt has arrived
 *   enrolled, leaving -> revoked lost: believed no more, its keys are to be rotated
 *   decommissioned, revoked ->   removed: document and rows are gone (bundler/removal)
 *
 * A machine may come back under the same name at any time: an invitation makes it enrolled, from
 * generation 1 when its keys are new.
 */
#ifndef SATCHEL_BUNDLER_ENROLMENT_DECOMMISSION_H
#define SATCHEL_BUNDLER_ENROLMENT_DECOMMISSION_H
#include "bundler/documents/site_model.h"

/* Days that a workstation which has wiped itself stays listed: it looks for the acknowledgement of
 * its last receipt by the way that the receipt came, and sticks take their time. */
#define DECOMMISSION_LISTED_DAYS 90

/** decommission_begin(s, name, err): ask a workstation to wipe itself; publish tells it.  Again:
 * nothing new.  RC_USAGE: none of that name is enrolled. */
int decommission_begin(struct site *s, const char *name, struct err *err);
/** decommission_lost(s, name, err): it will never be seen again: enrolment_revoke. */
int decommission_lost(struct site *s, const char *name, struct err *err);
/** decommission_wiped(s, id, name, err): its last receipt is recorded.  In the caller's
 * transaction. */
int decommission_wiped(struct site *s, const char *id, const char *name, struct err *err);
/** decommission_sweep(s, err): retire the private bundles of machines that are in no shard any
 * more.  In the transaction that makes the beat, before it. */
int decommission_sweep(struct site *s, struct err *err);

#endif
