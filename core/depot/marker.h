/* SPDX-License-Identifier: ISC */
/*
 * The marker of a depot, satchel.yaml: which site it belongs to.  A hint that is never trusted.
 */
#ifndef SATCHEL_CORE_DEPOT_MARKER_H
#define SATCHEL_CORE_DEPOT_MARKER_H

#include "core/depot/depot.h"
#include "core/depot/wire/wire.h"

/** marker_read(d, ret, err): enum marker, and the site that it names in ${*ret}.  The helper parses
 * it.  RC_MALFORMED. */
int marker_read(struct depot *d, struct digest *ret, struct err *err);
/** marker_post(d, site, err): write one. */
int marker_post(struct depot *d, const struct digest *site, struct err *err);

#endif
