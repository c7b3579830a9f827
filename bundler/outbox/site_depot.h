/* SPDX-License-Identifier: ISC */
/*
 * The home depot, to which the server posts: is it there, and is it ours?
 */
#ifndef SATCHEL_BUNDLER_OUTBOX_SITE_DEPOT_H
#define SATCHEL_BUNDLER_OUTBOX_SITE_DEPOT_H

#include "bundler/documents/site_model.h"
#include "core/depot/depot.h"

/**
 * site_depot_open(s, ret, err):
 * The home depot, to write to.  A marker that was lost, or replaced by anything else, is posted
 * again where it is certain that the depot is ours; 1: a directory lies in its place, as ${err}
 * says, and the depot is open all the same.  RC_AGAIN: there is no marker, so what belongs there is
 * not mounted; RC_CONFLICT: it is another site's.
 * site_depot_refill(s, err): somebody says that it is ours: the marker, whatever the depot holds.
 * What lies in its place is left for site_depot_open to tell.  RC_CONFLICT: it is another site's.
 */
int site_depot_open(struct site *s, struct depot **ret, struct err *err);
int site_depot_refill(struct site *s, struct err *err);
/** site_depot_where(s, err): fill in s->depot_real. */
int site_depot_where(struct site *s, struct err *err);
/** site_marker_post(d, site, err): the marker, when there is none.  RC_CONFLICT: another site's;
 * RC_TYPE: a directory lies in its place. */
int site_marker_post(struct depot *d, const struct digest *site, struct err *err);

#endif
