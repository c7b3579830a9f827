/* SPDX-License-Identifier: ISC */
/*
 * The chain of trust documents as raw bytes: version 1 by the pinned site id, every later one by
 * the root keys of the one before.  Nothing is decoded before it is known to be what was signed.
 */
#ifndef SATCHEL_CORE_FORMAT_DOCUMENTS_TRUSTCHAIN_H
#define SATCHEL_CORE_FORMAT_DOCUMENTS_TRUSTCHAIN_H

#include "core/format/documents/documents.h"

/**
 * trustchain_first(raw, site, ret, err): version 1, whose innermost bytes have the digest ${site}.
 * trustchain_next(cur, raw, ret, err): the version after ${cur}; ${ret} may be ${cur}. Both fill in
 * identity and site.  Errors: RC_ADDRESSEE (another site's), RC_UNTRUSTED, RC_REPLAY, RC_FORK,
 * RC_MALFORMED.
 */
int trustchain_first(struct bytes raw, const struct digest *site, struct trust *ret,
		     struct err *err);
int trustchain_next(const struct trust *cur, struct bytes raw, struct trust *ret, struct err *err);

#endif
