/*
 * Receipts: what their files share.
 */
#ifndef SATCHEL_APPLIER_REPORT_INTERNAL_H
#define SATCHEL_APPLIER_REPORT_INTERNAL_H

#include "applier/station.h"

/** report_fill(s, r, err): what a receipt would say now, but for its number and times. */
int report_fill(struct station *s, struct receipt *r, struct err *err);

/** report_statement(r, ret, err): the digest of what a confirmation code of ${r} would stand for.
 */
int report_statement(const struct receipt *r, struct digest *ret, struct err *err);

#endif
