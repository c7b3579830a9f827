/*
 * Believing and recording receipts: one is decoded after the registered key of the workstation has
 * verified it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bundler/collect_internal.h"
#include "bundler/confirm.h"
#include "bundler/decommission.h"
#include "bundler/message.h"
#include "bundler/registry.h"
#include "core/base/own.h"

/* Sequences of a workstation that are remembered below the newest, to tell a late copy from a
 * clone; a workstation leaves its last 8 on a depot. */
#define SEEN_KEPT 256
/* Events of one workstation that are kept. */
#define EVENTS_KEPT 200

bool record_believes(const struct sender *from)
{
	return strcmp(from->state, "enrolled") == 0 || strcmp(from->state, "leaving") == 0;
}

int record_sender(struct site *s, const char *id, struct sender *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes sign;
	int rc;

	rc = db_query(
	    s->db,
	    "SELECT w.name, w.state, w.sign, ifnull(r.sequence, 0),"
	    " ifnull(r.last_event, 0), w.sign_number, ifnull(c.sequence, 0) FROM workstation w"
	    " LEFT JOIN receipt r ON r.id = w.id LEFT JOIN confirmation c ON c.id = w.id"
	    " WHERE w.id = ?1",
	    &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	sign = db_bytes(st, 2);
	if (sign.n != KEY_PUBLIC_BYTES)
		return err_set(err, RC_STATE, "the registry is damaged: key of workstation %s", id);
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 0));
	snprintf(ret->state, sizeof(ret->state), "%s", db_text(st, 1));
	ret->sign = (struct key_public){.kind = KEY_SIGN, .number = (uint64_t)db_i64(st, 5)};
	memcpy(ret->sign.b, sign.p, KEY_PUBLIC_BYTES);
	ret->last = db_i64(st, 3);
	ret->last_event = db_i64(st, 4);
	ret->confirmed = db_i64(st, 6);
	return 1;
}

int record_refused(struct collect *c, const struct name *name, const char *kind, const char *text,
		   struct err *err)
{
	struct sender from;
	int rc = record_sender(c->s, name->id, &from, err);

	if (rc < 0)
		return rc;
	return tally_add(&c->tally, kind, rc == 1 ? from.name : RECORD_STRANGERS, text, err);
}

int record_refuse(struct collect *c, const struct sender *from, const char *kind, enum fate *ret,
		  struct err *err, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	*ret = FATE_REFUSED;
	return tally_add(&c->tally, kind, from == NULL ? RECORD_STRANGERS : from->name, text, err);
}

int record_seen(struct collect *c, const struct name *name, struct err *err)
{
	int64_t one;

	return db_int(c->s->db, err, &one,
		      "SELECT 1 FROM receipt_seen WHERE id = ?1 AND sequence = ?2 AND file = ?3",
		      "tit", name->id, (int64_t)name->number, name->digest);
}

static int seen_add(struct collect *c, const struct receipt *r, const struct name *name,
		    const struct digest *identity, struct err *err)
{
	return db_run(c->s->db, err,
		      "INSERT OR IGNORE INTO receipt_seen(id, sequence, file, identity)"
		      " VALUES(?1, ?2, ?3, ?4)",
		      "titd", r->workstation, (int64_t)r->sequence, name->digest, identity);
}

/* Rows of a receipt */

static int receipt_put(struct collect *c, const struct receipt *r, int64_t last_event,
		       struct err *err)
{
	struct bytes policy = {NULL, 0};

	if (!digest_is_zero(&r->policy))
		policy = (struct bytes){r->policy.b, DIGEST_BYTES};
	return db_run(c->s->db, err,
		      "INSERT OR REPLACE INTO receipt(id, sequence, recorded, written, beat_epoch,"
		      " beat, trust, private_epoch, private_generation, private_tree, free_bytes,"
		      " version, formats, last_event, policy, wiped, next_check)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
		      " ?16, ?17)",
		      "tiiiiiiiiditiibii", r->workstation, (int64_t)r->sequence, c->now, r->written,
		      (int64_t)r->beat_epoch, (int64_t)r->beat, (int64_t)r->trust,
		      (int64_t)r->private_epoch, (int64_t)r->private_generation, &r->private_tree,
		      (int64_t)r->free_bytes, r->version, (int64_t)r->formats, last_event, policy,
		      (int64_t)r->wiped, r->next_check);
}

static int channels_put(struct collect *c, const struct receipt *r, struct err *err)
{
	int rc =
	    db_run(c->s->db, err, "DELETE FROM receipt_channel WHERE id = ?1", "t", r->workstation);

	for (size_t i = 0; rc == 0 && i < r->channels; i++) {
		const struct receipt_channel *h = &r->channel[i];

		rc = db_run(
		    c->s->db, err,
		    "INSERT INTO receipt_channel(id, channel, epoch, generation, tree, result,"
		    " reason, wanted, deviations, adaptations, drift, at, milliseconds)"
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
		    "ttiidttiiiiii", r->workstation, h->name, (int64_t)h->epoch,
		    (int64_t)h->generation, &h->tree, h->result, h->reason, (int64_t)h->wanted,
		    (int64_t)h->deviations, (int64_t)h->adaptations, (int64_t)h->drift, h->at,
		    (int64_t)h->milliseconds);
	}
	return rc;
}

static int users_put(struct collect *c, const struct receipt *r, struct err *err)
{
	int rc =
	    db_run(c->s->db, err, "DELETE FROM receipt_user WHERE id = ?1", "t", r->workstation);

	for (size_t i = 0; rc == 0 && i < r->users; i++) {
		const struct receipt_user *u = &r->user[i];

		rc = db_run(c->s->db, err,
			    "INSERT INTO receipt_user(id, email, account, result, reason, at)"
			    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			    "ttttti", r->workstation, u->email, u->account, u->result, u->reason,
			    u->at);
	}
	return rc;
}

/* message_take(...): what it says about a message that it never got is told, and ignored. */
static int message_take(struct collect *c, const struct sender *from, const struct receipt *r,
			const struct receipt_event *e, struct err *err)
{
	struct err why = {0};
	int rc = message_receive(c->s, r->workstation, e, &why);

	if (rc == RC_ADDRESSEE)
		return tally_add(&c->tally, "message-foreign", from->name, why.text, err);
	if (rc == 1)
		c->counts.messages++;
	return rc < 0 ? err_set(err, rc, "%s", why.text) : 0;
}

/* events_put(...): each once, by its number; ${*last} becomes the highest. */
static int events_put(struct collect *c, const struct sender *from, const struct receipt *r,
		      int64_t *last, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->events; i++) {
		const struct receipt_event *e = &r->event[i];

		if ((int64_t)e->number <= *last)
			continue;
		rc = db_run(c->s->db, err,
			    "INSERT OR IGNORE INTO receipt_event(id, number, recorded, at, kind,"
			    " text) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			    "tiiitt", r->workstation, (int64_t)e->number, c->now, e->at, e->kind,
			    e->text);
		if (rc == 0)
			rc = message_take(c, from, r, e, err);
		*last = (int64_t)e->number;
	}
	if (rc == 0)
		rc = db_run(c->s->db, err,
			    "DELETE FROM receipt_event WHERE id = ?1 AND number <= ?2", "ti",
			    r->workstation, *last - EVENTS_KEPT);
	return rc;
}

/* state_put(...): what it holds now, all of it. */
static int state_put(struct collect *c, const struct receipt *r, int64_t last_event,
		     struct err *err)
{
	int rc = receipt_put(c, r, last_event, err);

	if (rc == 0)
		rc = channels_put(c, r, err);
	if (rc == 0)
		rc = users_put(c, r, err);
	return rc < 0 ? rc
		      : confirm_past_prune(c->s, r->workstation, r->private_epoch,
					   r->private_generation, err);
}

/* late_put(...): a confirmation code of later has said what it holds; what else the receipt says is
 * news all the same. */
static int late_put(struct collect *c, const struct receipt *r, int64_t last_event, struct err *err)
{
	return db_run(c->s->db, err,
		      "UPDATE receipt SET sequence = ?2, written = ?3, beat_epoch = ?4, beat = ?5,"
		      " trust = ?6, free_bytes = ?7, version = ?8, formats = ?9, last_event = ?10,"
		      " next_check = ?11 WHERE id = ?1",
		      "tiiiiiitiii", r->workstation, (int64_t)r->sequence, r->written,
		      (int64_t)r->beat_epoch, (int64_t)r->beat, (int64_t)r->trust,
		      (int64_t)r->free_bytes, r->version, (int64_t)r->formats, last_event,
		      r->next_check);
}

/* wiped_put(...): as it was asked to, or by somebody there. */
static int wiped_put(struct collect *c, const struct sender *from, const struct receipt *r,
		     struct err *err)
{
	if (strcmp(from->state, "leaving") == 0)
		return decommission_wiped(c->s, r->workstation, from->name, err);
	return registry_eventf_many(c->s->db, err, "wiped", from->name,
				    "%s says that it has wiped what it was entrusted with, and "
				    "nobody asked it to: decommission it, or invite it anew",
				    from->name);
}

static int receipt_record(struct collect *c, const struct sender *from, const struct receipt *r,
			  const struct name *name, const struct digest *identity, struct err *err)
{
	bool late = (int64_t)r->sequence < from->confirmed;
	int64_t last_event = from->last_event;
	int rc;

	rc = events_put(c, from, r, &last_event, err);
	if (rc == 0)
		rc = late ? late_put(c, r, last_event, err) : state_put(c, r, last_event, err);
	if (rc == 0 && r->wiped)
		rc = wiped_put(c, from, r, err);
	if (rc == 0)
		rc = seen_add(c, r, name, identity, err);
	if (rc == 0)
		rc = db_run(c->s->db, err,
			    "DELETE FROM receipt_seen WHERE id = ?1 AND sequence <= ?2", "ti",
			    r->workstation, (int64_t)r->sequence - SEEN_KEPT);
	return rc;
}

/*
 * receipt_old(...): authentic, and not newer than what is recorded.  The same again is what a stick
 * does; another content under one number means that two machines use one key.
 */
static int receipt_old(struct collect *c, const struct sender *from, const struct receipt *r,
		       const struct name *name, const struct digest *identity, enum fate *ret,
		       struct err *err)
{
	int64_t same = 0;
	int rc;

	rc = db_int(c->s->db, err, &same,
		    "SELECT max(identity = ?3) FROM receipt_seen WHERE id = ?1 AND sequence = ?2"
		    " HAVING count(*) > 0",
		    "tid", r->workstation, (int64_t)r->sequence, identity);
	if (rc < 0)
		return rc;
	if (rc == 1 && same == 1) {
		*ret = FATE_KNOWN;
		return seen_add(c, r, name, identity, err);
	}
	if (rc == 1)
		return record_refuse(
		    c, from, "clone", ret, err,
		    "clone suspected: %s sent two different receipts number %" PRIu64
		    "; if its disk was copied, revoke it and invite each machine anew",
		    from->name, r->sequence);
	return record_refuse(c, from, "replay", ret, err,
			     "receipt %" PRIu64 " of %s came after number %" PRIi64
			     ": an old copy, which changes nothing",
			     r->sequence, from->name, from->last);
}

/* receipt_judge(...): decoded and authentic. */
static int receipt_judge(struct collect *c, const struct sender *from, const struct receipt *r,
			 const struct name *name, const struct digest *identity, enum fate *ret,
			 struct err *err)
{
	if (!digest_equal(&r->site, &c->s->id))
		return record_refuse(c, from, "foreign", ret, err,
				     "%s signed a receipt for another site: its key is used twice",
				     from->name);
	if (strcmp(r->workstation, name->id) != 0)
		return record_refuse(c, from, "foreign", ret, err,
				     "%s signed a receipt that names another workstation",
				     from->name);
	/* The last receipt of a decommissioned one comes by every way that it was sent. */
	if (strcmp(from->state, "decommissioned") == 0 && r->sequence <= (uint64_t)from->last)
		return receipt_old(c, from, r, name, identity, ret, err);
	if (!record_believes(from))
		return record_refuse(c, from, from->state, ret, err,
				     "%s still sends receipts under the id %.8s, which was %s",
				     from->name, name->id, from->state);
	if (r->sequence > INT64_MAX)
		return record_refuse(c, from, "malformed", ret, err, "a sequence out of range");
	if ((int64_t)r->sequence <= from->last)
		return receipt_old(c, from, r, name, identity, ret, err);
	*ret = FATE_RECORDED;
	return receipt_record(c, from, r, name, identity, err);
}

int record_receipt(struct collect *c, const struct name *name, struct bytes doc, enum fate *ret,
		   struct err *err)
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
	if (signed_split(doc, 1, &split, &why) < 0)
		return record_refuse(c, &from, "malformed", ret, err, "a receipt of %s: %s",
				     from.name, why.text);
	if (!signed_by(&split, &from.sign))
		return record_refuse(c, &from, "forged", ret, err,
				     "a receipt in the name of %s that its key did not sign",
				     from.name);
	if (!signed_type(split.inner, "receipt/1"))
		return record_refuse(
		    c, &from, "malformed", ret, err,
		    "%s sent a receipt in a format that this version does not read", from.name);
	if (receipt_decode(split.inner, &r, &why) < 0)
		return record_refuse(c, &from, "malformed", ret, err, "a receipt of %s: %s",
				     from.name, why.text);
	return receipt_judge(c, &from, &r, name, &split.identity, ret, err);
}
