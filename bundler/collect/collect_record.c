/* SPDX-License-Identifier: ISC */
/*
 * Believing and recording receipts: one is parsed, by another process, after the registered key of
 * the workstation has verified it.
 *
 * Nothing of a document is believed before its key is found in the registry by the id in the name
 * of the file, and has verified the bytes.  Then site and workstation in the document must agree
 * with that key, and its numbers must be newer than what is recorded.  Whatever fails becomes a
 * counted event of the workstation, or of strangers, never an error of the run: else one bad file
 * would stop all that come behind.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/collect/confirm.h"
#include "bundler/enrolment/activation_request.h"
#include "bundler/enrolment/decommission.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/messages/message.h"
#include "bundler/private/private_history.h"
#include "bundler/registry/registry.h"
#include "bundler/resend/resend.h"
#include "core/base/own.h"

/* Whose key a file's name says to try. */
struct sender {
	struct workstation w;
	struct receipts_known known;
};
static int record_sender(struct site *s, const char *id, struct sender *ret, struct err *err)
{
	int rc = workstation_by_id(s->db, id, &ret->w, err);

	if (rc == 1 && receipts_known(s->db, id, &ret->known, err) < 0)
		return err->rc;
	return rc;
}

static const char *kind_text(const struct name *name)
{
	return name->kind == NAME_RECEIPT ? "receipt" : "request";
}

/* Anybody can name a file after a workstation, and seal to the public collect key what they like.
 */
int record_unread(struct collect *c, const struct name *name, int rc, const char *claim,
		  struct err *err)
{
	char text[160];

	snprintf(text, sizeof(text), "a %s in the name of machine %.8s: %s", kind_text(name),
		 name->id, rc_text(rc));
	return event_counts_add(&c->event_counts, rc_slug(rc), RECORD_STRANGERS, text, claim, err);
}

int record_incomplete(struct collect *c, const struct name *name, struct err *err)
{
	struct sender from;
	char text[160];
	int rc = record_sender(c->s, name->id, &from, err);

	if (rc < 0)
		return rc;
	snprintf(text, sizeof(text),
		 "a %s in its name has not been complete for more than a day: was it copied to the "
		 "end?",
		 kind_text(name));
	return event_counts_add(&c->event_counts, "incomplete",
				rc == 1 ? from.w.name : RECORD_STRANGERS, text, "", err);
}

/* record_malformed(...): the signature of ${from} is good, what it signed is not. */
static int record_malformed(struct collect *c, const struct sender *from, const struct name *name,
			    const char *claim, enum disposition *ret, struct err *err)
{
	char text[256];

	*ret = DISPOSITION_REFUSED;
	snprintf(text, sizeof(text), "%s signed a %s that cannot be read: %s", from->w.name,
		 kind_text(name), rc_text(RC_MALFORMED));
	return event_counts_add(&c->event_counts, rc_slug(RC_MALFORMED), from->w.name, text, claim,
				err);
}

__attribute__((format(printf, 6, 7))) static int
record_refuse(struct collect *c, const struct sender *from, const char *kind, enum disposition *ret,
	      struct err *err, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	*ret = DISPOSITION_REFUSED;
	return event_counts_add(&c->event_counts, kind,
				from == NULL ? RECORD_STRANGERS : from->w.name, text, "", err);
}

/* message_take(...): what it says about a message that it never got is told, and ignored. */
static int message_take(struct collect *c, const struct sender *from, const struct receipt *r,
			const struct receipt_event *e, struct err *err)
{
	struct err why = {0};
	int rc = message_receive(c->s, r->workstation, e, &why);

	if (rc == RC_ADDRESSEE)
		return event_counts_add(&c->event_counts, "message-foreign", from->w.name, why.text,
					"", err);
	if (rc == 1)
		c->counts.messages++;
	return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
}

/* events_put(...): each once, by its number; ${*newest} becomes the highest. */
static int events_put(struct collect *c, const struct sender *from, const struct receipt *r,
		      uint64_t *newest, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->events; i++) {
		const struct receipt_event *e = &r->event[i];

		if (e->number <= *newest)
			continue;
		rc = receipts_event_put(c->s->db, r->workstation, e, c->now, err);
		if (rc == 0)
			rc = message_take(c, from, r, e, err);
		*newest = e->number;
	}
	return rc;
}

/* wiped_put(...): as it was asked to, or by somebody there. */
static int wiped_put(struct collect *c, const struct sender *from, const struct receipt *r,
		     struct err *err)
{
	if (from->w.state == WORKSTATION_LEAVING)
		return decommission_wiped(c->s, r->workstation, from->w.name, err);
	return registry_eventf_many(c->s->db, err, "wiped", from->w.name,
				    "%s says that it has wiped what it was entrusted with, and "
				    "nobody asked it to: decommission it, or invite it anew",
				    from->w.name);
}

/* line_told(...): are there two machines?  Then it is said; what it holds is recorded all the same.
 */
static int line_told(struct collect *c, const struct sender *from, const struct receipt *r,
		     const struct digest *identity, enum receipts_line *ret, struct err *err)
{
	int rc = receipts_line(c->s->db, r, identity, c->now, ret, err);

	if (rc < 0 || *ret == RECEIPTS_GOES_ON)
		return rc;
	if (*ret == RECEIPTS_SET_BACK)
		return registry_eventf_many(
		    c->s->db, err, "set-back", from->w.name,
		    "%s was set back to an older copy of itself: its receipts go on above number "
		    "%" PRIu64,
		    from->w.name, r->set_back);
	return registry_eventf_many(
	    c->s->db, err, "clone", from->w.name,
	    "clone suspected: %s sent receipt %" PRIu64
	    ", which does not follow what it sent before; if its disk was copied, revoke it and "
	    "invite each machine anew",
	    from->w.name, r->sequence);
}

static int receipt_record(struct collect *c, const struct sender *from, const struct receipt *r,
			  const struct name *name, const struct digest *identity, struct err *err)
{
	struct db *db = c->s->db;
	uint64_t event = from->known.event;
	enum receipts_line line;
	int rc = line_told(c, from, r, identity, &line, err);

	if (rc == 0)
		rc = events_put(c, from, r, &event, err);
	/* When a code of later has said what is held, the rest of the receipt is news still. */
	if (rc == 0 && r->sequence < from->known.confirmed)
		rc = receipts_put_late(db, r, event, err);
	else if (rc == 0)
		rc = receipts_put(db, r, event, c->now, err);
	if (rc == 0 && r->sequence >= from->known.confirmed)
		rc = private_confirmed(db, r->workstation, r->private_epoch, r->private_generation,
				       err);
	if (rc == 0)
		rc = workstation_keys_put(db, &from->w, &r->seal, &r->codes, err);
	if (rc == 0 && r->returned != NULL)
		rc = receipts_returned_put(db, r, err);
	if (rc == 0)
		rc = resend_settle(db, r, err);
	if (rc == 0 && r->wiped)
		rc = wiped_put(c, from, r, err);
	if (rc == 0)
		rc = receipts_seen_put(db, r, name->digest, identity, err);
	return rc < 0 ? rc : receipts_seen_prune(db, r, err);
}

/*
 * receipt_old(...): authentic, and not newer than what is recorded.  The same again is what a stick
 * does; another content under one number means that two machines use one key.
 */
static int receipt_old(struct collect *c, const struct sender *from, const struct receipt *r,
		       const struct name *name, const struct digest *identity,
		       enum disposition *ret, struct err *err)
{
	enum receipts_compared compared;
	enum receipts_line line = RECEIPTS_GOES_ON;
	int rc = receipts_compare(c->s->db, r, identity, &compared, err);

	if (rc < 0)
		return rc;
	if (compared == RECEIPTS_SAME) {
		*ret = DISPOSITION_KNOWN;
		return receipts_seen_put(c->s->db, r, name->digest, identity, err);
	}
	rc = line_told(c, from, r, identity, &line, err);
	if (rc == 0)
		rc = receipts_seen_put(c->s->db, r, name->digest, identity, err);
	*ret = DISPOSITION_REFUSED;
	if (rc < 0 || line != RECEIPTS_GOES_ON)
		return rc;
	return record_refuse(c, from, "replay", ret, err,
			     "receipt %" PRIu64 " of %s came after number %" PRIu64
			     ": an old copy, which changes nothing",
			     r->sequence, from->w.name, from->known.sequence);
}

/* receipt_judge(...): decoded and authentic. */
static int receipt_judge(struct collect *c, const struct sender *from, const struct receipt *r,
			 const struct name *name, const struct digest *identity,
			 enum disposition *ret, struct err *err)
{
	if (!digest_equal(&r->site, &c->s->id))
		return record_refuse(c, from, "foreign", ret, err,
				     "%s signed a receipt for another site: its key is used twice",
				     from->w.name);
	if (strcmp(r->workstation, name->id) != 0)
		return record_refuse(c, from, "foreign", ret, err,
				     "%s signed a receipt that names another workstation",
				     from->w.name);
	/* The last receipt of a decommissioned one comes by every way that it was sent. */
	if (from->w.state == WORKSTATION_DECOMMISSIONED && r->sequence <= from->known.sequence)
		return receipt_old(c, from, r, name, identity, ret, err);
	if (!workstation_is_member(from->w.state))
		return record_refuse(c, from, workstation_state_text(from->w.state), ret, err,
				     "%s still sends receipts under the id %.8s, which was %s",
				     from->w.name, name->id, workstation_state_text(from->w.state));
	if (r->sequence > INT64_MAX)
		return record_refuse(c, from, "malformed", ret, err, "a sequence out of range");
	if (r->sequence <= from->known.sequence)
		return receipt_old(c, from, r, name, identity, ret, err);
	*ret = DISPOSITION_RECORDED;
	return receipt_record(c, from, r, name, identity, err);
}

int record_receipt(struct collect *c, const struct name *name, struct bytes doc,
		   enum disposition *ret, struct err *err)
{
	OWNED(receipt_clear) struct receipt r = {0};
	struct signed_doc split;
	struct sender from;
	struct err why = {0};
	int rc;

	rc = record_sender(c->s, name->id, &from, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return record_refuse(c, NULL, "unknown-sender", ret, err,
				     "a receipt of machine %.8s, which is not enrolled", name->id);
	if (signed_split(doc, 1, &split, &why) < 0) {
		*ret = DISPOSITION_REFUSED;
		return record_unread(c, name, RC_MALFORMED, why.text, err);
	}
	if (!signed_by(&split, &from.w.sign))
		return record_refuse(c, &from, "forged", ret, err,
				     "a receipt in the name of %s that its key did not sign",
				     from.w.name);
	if (!signed_type(split.inner, "receipt/1"))
		return record_refuse(
		    c, &from, "malformed", ret, err,
		    "%s sent a receipt in a format that this version does not read", from.w.name);
	rc = parse_receipt(&c->parser, split.inner, &r, &why, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return record_malformed(c, &from, name, why.text, ret, err);
	return receipt_judge(c, &from, &r, name, &split.identity, ret, err);
}

/* Requests: one to be enrolled carries its own key, and enrolment decides what that is worth; the
 * others are of workstations whose keys are registered. */

/* is_refusal(rc): enrolment said no, rather than failed. */
static bool is_refusal(int rc)
{
	return rc == RC_EXPIRED || rc == RC_REPLAY || rc == RC_UNTRUSTED || rc == RC_ADDRESSEE ||
	       rc == RC_MALFORMED;
}

/*
 * ${exact}: the signed bytes are the canonical text of what was decoded, see hold() of enrolment.c.
 */
static int request_enrol(struct collect *c, const struct request *r, bool exact,
			 enum disposition *ret, struct err *err)
{
	struct err why = {0};
	int rc = enrolment_request(c->s, r, exact ? ENROLMENT_EXACT : 0, &why);

	if (rc == 1)
		c->counts.enrolled++;
	*ret = rc == 1 ? DISPOSITION_RECORDED : DISPOSITION_KNOWN;
	if (rc >= 0)
		return 0;
	*ret = DISPOSITION_REFUSED;
	if (is_refusal(rc))
		return 0;
	if (rc == RC_LIMIT) { /* too many wait: it stays in the depot until some were answered */
		*ret = DISPOSITION_LATER;
		return event_counts_add(&c->event_counts, "held", RECORD_STRANGERS, why.text, "",
					err);
	}
	return err_set(err, rc, "%s", why.text);
}

/* request_sender(...): 1 when the registered key of an enrolled workstation signed the request. */
static int request_sender(struct collect *c, const struct request *r, const struct name *name,
			  const struct signed_doc *doc, struct sender *from, enum disposition *ret,
			  struct err *err)
{
	int rc = record_sender(c->s, name->id, from, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return record_refuse(c, NULL, "unknown-sender", ret, err,
				     "a request of machine %.8s, which is not enrolled", name->id);
	if (!signed_by(doc, &from->w.sign) || strcmp(r->workstation, name->id) != 0)
		return record_refuse(c, from, "forged", ret, err,
				     "a request in the name of %s that its key did not sign",
				     from->w.name);
	if (!workstation_is_member(from->w.state))
		return record_refuse(c, from, workstation_state_text(from->w.state), ret, err,
				     "%s still sends requests under the id %.8s, which was %s",
				     from->w.name, name->id, workstation_state_text(from->w.state));
	return 1;
}

/* request_resend(...): what it names is taken along by the next carry for it. */
static int request_resend(struct collect *c, const struct request *r, const struct name *name,
			  const struct signed_doc *doc, enum disposition *ret, struct err *err)
{
	struct sender from;
	int rc = request_sender(c, r, name, doc, &from, ret, err);

	if (rc != 1)
		return rc;
	if (!digest_equal(&r->site, &c->s->id))
		return record_refuse(c, &from, "foreign", ret, err,
				     "%s signed a request for another site", from.w.name);
	rc = resend_put(c->s->db, r, c->now, err);
	if (rc < 0)
		return rc;
	*ret = DISPOSITION_RECORDED;
	return event_counts_add(&c->event_counts, "resend", from.w.name,
				"asks for a channel again, from what it holds", "", err);
}

/* activate_read(...): only its own document may decide what a workstation asks for: what is not
 * exactly the text is read again by a process that has read nothing else.  1, or 0: refused. */
static int activate_read(struct collect *c, const struct opened *o, const struct name *name,
			 struct request *ret, char why[256], struct err *err)
{
	struct opened again = {.doc = o->doc}; /* borrowed */
	int rc;

	*ret = o->request;
	if (o->exact)
		return 1;
	yaml_child_end(&c->parser);
	rc = opened_request(&c->parser, &again, err);
	if (rc < 0)
		return rc;
	*ret = again.request;
	snprintf(why, 256, "%s", again.rc < 0 ? again.why : "not what it was read as at first");
	return again.rc == 0 && strcmp(ret->kind, "activate") == 0 &&
	       strcmp(ret->workstation, name->id) == 0;
}

static int request_activate(struct collect *c, const struct opened *o, const struct name *name,
			    const struct signed_doc *doc, enum disposition *ret, struct err *err)
{
	struct err why = {0};
	struct request r;
	struct sender from;
	char claim[256];
	int rc = request_sender(c, &o->request, name, doc, &from, ret, err);

	if (rc != 1)
		return rc;
	rc = activate_read(c, o, name, &r, claim, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return record_malformed(c, &from, name, claim, ret, err);
	rc = activation_request(c->s, &from.w.sign, &r, &why);
	if (rc == 1)
		c->counts.activated++;
	*ret = rc < 0 ? DISPOSITION_REFUSED : rc == 1 ? DISPOSITION_RECORDED : DISPOSITION_KNOWN;
	return rc >= 0 || is_refusal(rc) || rc == RC_POLICY || rc == RC_LIMIT
		   ? 0
		   : err_set(err, rc, "%s", why.text);
}

int record_request(struct collect *c, const struct name *name, const struct opened *o,
		   enum disposition *ret, struct err *err)
{
	const struct request *r = &o->request;
	struct signed_doc doc;
	struct err why = {0};

	if (signed_split(bytes_in(&o->doc), 1, &doc, &why) < 0) {
		*ret = DISPOSITION_REFUSED;
		return record_unread(c, name, RC_MALFORMED, why.text, err);
	}
	/* Nobody knows whom it is for, and what it may have. */
	if (c->s->unread.rc < 0) {
		*ret = DISPOSITION_LATER;
		return 0;
	}
	if (strcmp(r->kind, "resend") == 0)
		return request_resend(c, r, name, &doc, ret, err);
	if (strcmp(r->kind, "activate") == 0)
		return request_activate(c, o, name, &doc, ret, err);
	if (!signed_by(&doc, &r->sign))
		return record_refuse(c, NULL, "forged", ret, err,
				     "a request of machine %.8s that its own key did not sign",
				     name->id);
	return request_enrol(c, r, o->exact, ret, err);
}
