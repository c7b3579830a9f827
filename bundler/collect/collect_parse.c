/* SPDX-License-Identifier: ISC */
/*
 * What workstations and strangers wrote, as structs.  The process that parses it may have been
 * taken over by what it read before: it could have one sender's document say what another wants.
 * Nearly all documents are in the one form that this version writes, so what came back is written
 * again and compared, which parses nothing.
 */
#include <stdio.h>

#include "bundler/collect/collect_internal.h"
#include "core/base/own.h"

/* True when the answer that was just given came from a process that had read nothing before. */
static bool was_first(const struct yaml_child *p)
{
	return p->answered == 1;
}

static int receipt_ask(struct yaml_child *p, struct bytes inner, struct receipt *ret,
		       struct err *why, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc = yaml_child_decode(p, inner, LIMIT_RECEIPT, "receipt/1", &y, why, err);

	return rc <= 0 ? rc : receipt_from(y, ret, why) == 0;
}

int parse_receipt(struct yaml_child *p, struct bytes inner, struct receipt *ret, struct err *why,
		  struct err *err)
{
	int rc = receipt_ask(p, inner, ret, why, err);
	int exact = rc == 1 ? receipt_exact(ret, inner, err) : 0;

	if (rc < 0 || exact != 0 || was_first(p))
		return exact < 0 ? exact : rc;
	receipt_clear(ret);
	yaml_child_end(p);
	return receipt_ask(p, inner, ret, why, err);
}

static int request_parse(struct yaml_child *p, struct bytes inner, struct opened *o,
			 struct err *why, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc = yaml_child_decode(p, inner, LIMIT_REQUEST, "request/1", &y, why, err);
	int exact;

	if (rc <= 0 || request_from(y, &o->request, why) < 0)
		return rc < 0 ? rc : 0;
	exact = request_exact(&o->request, inner, err);
	o->exact = exact == 1;
	return exact < 0 ? exact : 1;
}

int opened_request(struct yaml_child *p, struct opened *o, struct err *err)
{
	struct signed_doc doc;
	struct err why = {0};
	int rc = signed_split(bytes_in(&o->doc), 1, &doc, &why);

	if (rc == 0 && !signed_type(doc.inner, "request/1"))
		rc = err_set(&why, RC_MALFORMED, "not a request of a format known here");
	if (rc == 0) {
		rc = request_parse(p, doc.inner, o, &why, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	o->rc = why.rc;
	snprintf(o->why, sizeof(o->why), "%.255s", why.text);
	return 0;
}
