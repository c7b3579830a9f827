/* SPDX-License-Identifier: ISC */
/*
 * Receipts: what this workstation has applied and what happened, signed and sealed.  Here are the
 * tables of what is on its way to the server as well: events (event.h) and the outbox (outbox.h).
 */
#ifndef SATCHEL_APPLIER_REPORT_REPORT_H
#define SATCHEL_APPLIER_REPORT_REPORT_H

#include "applier/station/station.h"
#include "core/depot/depot.h"
#include "core/trust/code.h"

/** report_write(s, policy, err): the receipt of the present state, into the outbox, when anything
 * changed or the last one is a day old.  ${policy}: digest of the policy that is followed; zero:
 * none, or not as a whole. */
int report_write(struct station *s, const struct digest *policy, struct err *err);
/** report_post(s, depot, err): what is in the outbox, to one depot; takes our own receipts beyond
 * the last 8 out of it.  Returns how many documents the depot has now, or a negative code.
 * report_prune(s, depot, err): only that, and requests that nobody is to answer any more. */
int report_post(struct station *s, struct depot *depot, struct err *err);
int report_prune(struct station *s, struct depot *depot, struct err *err);
/** report_newest(s, ret, err): when the newest receipt was written; 1, or 0 when none was. */
int report_newest(struct station *s, int64_t *ret, struct err *err);

/** report_code(s, dst, err): the confirmation code, which counts as the newest receipt: the same
 * until something that it speaks of changes.  RC_AGAIN: something has changed since that receipt;
 * RC_CONFLICT: what is applied is not what it should be; the sentence says why there is none. */
int report_code(struct station *s, char dst[CONFIRM_TEXT + 1], struct err *err);
/** report_last(s, err): the last receipt, signed and queued; in one transaction the workstation is
 * STATION_WIPED. */
int report_last(struct station *s, struct err *err);

/** report_acknowledge(s, sequence, err): the server has recorded receipts up to this one. */
int report_acknowledge(struct station *s, uint64_t sequence, struct err *err);

/** report_resend(s, channel, generation, content, n, err): ask the server for these contents of a
 * channel again, at most REQUEST_CONTENTS of them; into the outbox. */
int report_resend(struct station *s, const char *channel, uint64_t generation,
		  const struct digest *content, size_t n, struct err *err);

#endif
