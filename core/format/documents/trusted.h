/* SPDX-License-Identifier: ISC */
/*
 * Heads together with the trust that says who may sign them.
 */
#ifndef SATCHEL_CORE_FORMAT_DOCUMENTS_TRUSTED_H
#define SATCHEL_CORE_FORMAT_DOCUMENTS_TRUSTED_H

#include "core/format/documents/documents.h"
#include "core/trust/trust.h"

/**
 * trusted_head(t, doc, what, ret, ret_release, err): verify and decode a head: head/1 by current
 * publish keys, enough of them and for its channel; head/2 by a current private key, with a release
 * inside that enough current publish keys signed for its channel, and that names the same
 * generation and tree.  ${*ret} and ${*ret_release} are the caller's (head_clear, release_clear);
 * the release of a head/1 is all zero.  Errors: RC_UNTRUSTED, RC_MALFORMED, RC_ADDRESSEE, each
 * beginning with ${what}.
 * trusted_release(t, h, what, ret, err): the release inside of ${h} alone; ${ret} may be NULL.
 */
int trusted_head(const struct trust *t, const struct signed_doc *doc, const char *what,
		 struct head *ret, struct release *ret_release, struct err *err);
int trusted_release(const struct trust *t, const struct head *h, const char *what,
		    struct release *ret, struct err *err);

/** trusted_release_before(t, h): has a publish key signed its release, though it is not enough
 * today? Then whoever holds such a head is behind, and nobody lied. */
bool trusted_release_before(const struct trust *t, const struct head *h);

#endif
