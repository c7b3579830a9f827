/* SPDX-License-Identifier: ISC */
/*
 * Receipts: what their files share.
 */
#ifndef SATCHEL_APPLIER_REPORT_REPORT_INTERNAL_H
#define SATCHEL_APPLIER_REPORT_REPORT_INTERNAL_H

#include "applier/station/station.h"

/** report_fill(s, ret, err): what a receipt would say now, but for policy, number and times.
 * ${ret} is cleared by the caller. */
int report_fill(struct station *s, struct receipt *ret, struct err *err);

/** report_returned(s, r, err): while the site says in its beat that its server was restored from a
 * backup: r->returned, the keys of users here, sealed to the collect key. */
int report_returned(struct station *s, struct receipt *r, struct err *err);

/** report_content(s, r, ret, err): the digest of what ${r} says apart from when and how often it is
 * said. */
int report_content(struct station *s, const struct receipt *r, struct digest *ret, struct err *err);

/** report_statement(r, ret, err): the digest of what a confirmation code of ${r} would stand for.
 */
int report_statement(const struct receipt *r, struct digest *ret, struct err *err);

#endif
