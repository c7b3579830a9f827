/* SPDX-License-Identifier: ISC */
/*
 * The chain in the one order that is safe: signature by the version held, then decoding, then the
 * rules between versions.  A parser of trust documents is thereby never fed by a stranger.
 */
#include "core/format/documents/trustchain.h"

static int trustchain_split(struct bytes raw, struct signed_doc *ret, struct err *err)
{
	int rc = signed_split(raw, LIMIT_LAYERS, ret, err);

	if (rc < 0)
		return rc;
	if (!signed_type(ret->inner, "trust/1") && !signed_type(ret->inner, "trust/2"))
		return err_set(
		    err, RC_MALFORMED,
		    "not a trust document of a format that this version of satchel reads");
	return 0;
}

int trustchain_first(struct bytes raw, const struct digest *site, struct trust *ret,
		     struct err *err)
{
	struct signed_doc doc;
	struct trust first;
	int rc;

	rc = trustchain_split(raw, &doc, err);
	if (rc < 0)
		return rc;
	if (!digest_equal(&doc.identity, site))
		return err_set(err, RC_ADDRESSEE, "trust document 1 is that of another site");
	rc = trustdoc_decode(doc.inner, &first, err);
	if (rc < 0)
		return rc;
	first.site = *site;
	rc = trust_first(&first, &doc, site, err);
	if (rc < 0)
		return rc;
	*ret = first;
	return 0;
}

int trustchain_next(const struct trust *cur, struct bytes raw, struct trust *ret, struct err *err)
{
	struct signed_doc doc;
	struct trust next;
	int rc;

	rc = trustchain_split(raw, &doc, err);
	if (rc < 0)
		return rc;
	/* The signatures of the keys that we know come before the decoder sees a byte. */
	rc = trust_role(cur, ROLE_ROOT, &doc, "the next trust document", err);
	if (rc < 0)
		return rc;
	rc = trustdoc_decode(doc.inner, &next, err);
	if (rc < 0)
		return rc;
	next.site = cur->site;
	rc = trust_next(cur, &next, &doc, err);
	if (rc < 0)
		return rc;
	*ret = next;
	return 0;
}
