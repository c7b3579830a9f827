/* SPDX-License-Identifier: ISC */
/*
 * The trust chain of a site in its registry: every version, verified again whenever it is loaded.
 */
#ifndef SATCHEL_BUNDLER_TRUST_SITE_TRUST_H
#define SATCHEL_BUNDLER_TRUST_SITE_TRUST_H

#include "bundler/documents/site_model.h"

extern const struct db_schema trust_schema;

/** site_trust_load(db, id, ret, err): all versions of the registry, verified from the first on;
 * ${id} NULL: the site id is the identity of what is there as version 1 (site_init going on). */
int site_trust_load(struct db *db, const struct digest *id, struct trust *ret, struct err *err);
/** site_trust_add(db, t, raw, err): a verified version, and its document in the outbox. */
int site_trust_add(struct db *db, const struct trust *t, struct bytes raw, struct err *err);

#endif
