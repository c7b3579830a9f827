/* SPDX-License-Identifier: ISC */
/*
 * Whether a head may be believed.  Two hands are needed since format 2: the private role says which
 * bundles there are, and the release inside says, by the publish role, which trees they may lead
 * to.  So a server that was taken over cannot make content, and the keys for content need not be on
 * it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/format/documents/member.h"
#include "core/format/documents/trusted.h"

/* Nothing of a release is parsed before enough publish keys have signed it. */
static int release_open(const struct trust *t, const struct head *h, const char *what,
			struct release *ret, struct err *err)
{
	struct signed_doc doc;
	int rc = signed_split(bytes_in(&h->release), LIMIT_LAYERS, &doc, err);

	if (rc == 0 && !signed_type(doc.inner, "release/1"))
		rc = err_set(err, RC_MALFORMED, "it is not one that this satchel reads");
	if (rc < 0)
		return err_prefix(err, "%s: its release", what);
	rc = trust_release(t, h->channel, &doc, what, err);
	return rc < 0 ? rc : release_decode(doc.inner, ret, err);
}

static int release_compare(const struct release *r, const struct head *h, const char *what,
			   struct err *err)
{
	if (!digest_equal(&r->site, &h->site) || strcmp(r->channel, h->channel) != 0 ||
	    r->epoch != h->epoch || r->generation != h->generation ||
	    !digest_equal(&r->tree, &h->tree))
		return err_set(err, RC_ADDRESSEE,
			       "%s contains the release of another site, channel or generation",
			       what);
	return 0;
}

int trusted_release(const struct trust *t, const struct head *h, const char *what,
		    struct release *ret, struct err *err)
{
	struct release r = {0};
	int rc = release_open(t, h, what, &r, err);

	if (rc == 0)
		rc = release_compare(&r, h, what, err);
	if (rc < 0 || ret == NULL)
		release_clear(&r);
	else
		*ret = r;
	return rc;
}

bool trusted_release_before(const struct trust *t, const struct head *h)
{
	struct signed_doc doc;

	return signed_split(bytes_in(&h->release), LIMIT_LAYERS, &doc, ERR_IGNORED) == 0 &&
	       trust_signed_once(t, ROLE_PUBLISH, &doc);
}

int trusted_head(const struct trust *t, const struct signed_doc *doc, const char *what,
		 struct head *ret, struct release *ret_release, struct err *err)
{
	bool second = signed_type(doc->inner, "head/2");
	struct head h = {0};
	struct release r = {0};
	int rc = trust_role(t, second ? ROLE_PRIVATE : ROLE_PUBLISH, doc, what, err);

	if (rc == 0)
		rc = head_decode(doc->inner, &h, err);
	/* Which channel it is about is known only now. */
	if (rc == 0)
		rc = second ? trusted_release(t, &h, what, &r, err)
			    : trust_release(t, h.channel, doc, what, err);
	if (rc < 0) {
		head_clear(&h);
		return rc;
	}
	*ret = h;
	*ret_release = r;
	return 0;
}
