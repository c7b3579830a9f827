/*
 * The marker of a depot, satchel.yaml: which site it belongs to.  A hint that is never trusted.
 */
#ifndef SATCHEL_DEPOT_MARKER_H
#define SATCHEL_DEPOT_MARKER_H

#include "core/depot/depot.h"

#define MARKER "satchel.yaml"

enum marker { MARKER_NONE, MARKER_SITE, MARKER_EMPTY };

/** marker_read(d, ret, err): the site that the marker names: MARKER_SITE, or MARKER_EMPTY, as an
 * interrupted write leaves it on a medium without a journal, or MARKER_NONE.  RC_MALFORMED. */
int marker_read(struct depot *d, struct digest *ret, struct err *err);
/** marker_post(d, site, err): write one. */
int marker_post(struct depot *d, const struct digest *site, struct err *err);

#endif
