/*
 * Believing and recording requests.  One to be enrolled carries its own key, and enrolment decides
 * what that is worth; the others are of workstations whose keys are registered.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/activation.h"
#include "bundler/collect_internal.h"
#include "bundler/enrolment.h"
#include "core/base/own.h"

/* is_refusal(rc): enrolment said no, rather than failed. */
static bool is_refusal(int rc)
{
	return rc == RC_EXPIRED || rc == RC_REPLAY || rc == RC_UNTRUSTED || rc == RC_ADDRESSEE ||
	       rc == RC_MALFORMED;
}

static int request_enrol(struct collect *c, const struct request *r, bool exact, enum fate *ret,
			 struct err *err)
{
	struct err why = {0};
	int rc = enrolment_request(c->s, r, exact ? ENROLMENT_EXACT : 0, &why);

	if (rc == 1)
		c->counts.enrolled++;
	*ret = rc == 1 ? FATE_RECORDED : FATE_KNOWN;
	if (rc >= 0)
		return 0;
	*ret = FATE_REFUSED;
	if (is_refusal(rc))
		return 0;
	if (rc == RC_LIMIT) { /* too many wait: it stays in the depot until some were answered */
		*ret = FATE_LATER;
		return tally_add(&c->tally, "held", RECORD_STRANGERS, why.text, err);
	}
	return err_set(err, rc, "%s", why.text);
}

/* request_sender(...): 1 when the registered key of an enrolled workstation signed the request. */
static int request_sender(struct collect *c, const struct request *r, const struct name *name,
			  const struct signed_doc *doc, struct sender *from, enum fate *ret,
			  struct err *err)
{
	int rc = record_sender(c->s, name->id, from, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return record_refuse(c, NULL, "unknown-sender", ret, err,
				     "a request of machine %.8s, which is not enrolled", name->id);
	if (!signed_by(doc, &from->sign) || strcmp(r->workstation, name->id) != 0)
		return record_refuse(c, from, "forged", ret, err,
				     "a request in the name of %s that its key did not sign",
				     from->name);
	if (!record_believes(from))
		return record_refuse(c, from, from->state, ret, err,
				     "%s still sends requests under the id %.8s, which was %s",
				     from->name, name->id, from->state);
	return 1;
}

/* request_resend(...): publish looks at receipts, so this is only told. */
static int request_resend(struct collect *c, const struct request *r, const struct name *name,
			  const struct signed_doc *doc, enum fate *ret, struct err *err)
{
	struct sender from;
	int rc = request_sender(c, r, name, doc, &from, ret, err);

	if (rc != 1)
		return rc;
	if (!digest_equal(&r->site, &c->s->id))
		return record_refuse(c, &from, "foreign", ret, err,
				     "%s signed a request for another site", from.name);
	*ret = FATE_RECORDED;
	return tally_add(&c->tally, "resend", from.name,
			 "asks for a channel again, from what it holds", err);
}

/* request_activate(...): what was signed is read again here, as receipts are, so that nothing
 * depends on what the process that unsealed it made of it. */
static int request_activate(struct collect *c, const struct request *r, const struct name *name,
			    const struct signed_doc *doc, enum fate *ret, struct err *err)
{
	struct request signed_r = {0};
	struct err why = {0};
	struct sender from;
	int rc = request_sender(c, r, name, doc, &from, ret, err);

	if (rc != 1)
		return rc;
	if (!signed_type(doc->inner, "request/1") ||
	    request_decode(doc->inner, &signed_r, &why) < 0 ||
	    strcmp(signed_r.kind, "activate") != 0 || strcmp(signed_r.workstation, name->id) != 0)
		return record_refuse(c, &from, "malformed", ret, err, "a request of %s: %s",
				     from.name,
				     why.rc < 0 ? why.text : "not what it was unsealed as");
	rc = activation_request(c->s, &from.sign, &signed_r, &why);
	if (rc == 1)
		c->counts.activated++;
	*ret = rc < 0 ? FATE_REFUSED : rc == 1 ? FATE_RECORDED : FATE_KNOWN;
	return rc >= 0 || is_refusal(rc) || rc == RC_POLICY || rc == RC_LIMIT
		   ? 0
		   : err_set(err, rc, "%s", why.text);
}

int record_request(struct collect *c, const struct name *name, const struct opened *o,
		   enum fate *ret, struct err *err)
{
	struct signed_doc doc;
	struct request r = {0};
	struct err why = {0};
	bool exact;

	if (signed_split(bytes_in(&o->doc), 1, &doc, &why) < 0 || o->canonical.n > LIMIT_REQUEST ||
	    request_decode(bytes_in(&o->canonical), &r, &why) < 0)
		return record_refuse(c, NULL, "malformed", ret, err, "a request: %s", why.text);
	if (strcmp(r.kind, "resend") == 0)
		return request_resend(c, &r, name, &doc, ret, err);
	if (strcmp(r.kind, "activate") == 0)
		return request_activate(c, &r, name, &doc, ret, err);
	if (!signed_by(&doc, &r.sign))
		return record_refuse(c, NULL, "forged", ret, err,
				     "a request of machine %.8s that its own key did not sign",
				     name->id);
	exact = bytes_equal(doc.inner, bytes_in(&o->canonical));
	return request_enrol(c, &r, exact, ret, err);
}
