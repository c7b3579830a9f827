/* SPDX-License-Identifier: ISC */
/*
 * Invitations, requests to be enrolled, what a person decides about them, and revoking.
 *
 * A request and what becomes of it:
 *
 *   key enrolled, same sealing key            nothing: it came again
 *   key enrolled, invitation of another name  nothing, and an event tells of it
 *   open invitation, proof fits               enrolled; a machine of that name before is replaced
 *   invitation used by another machine        waits for a person, and an event tells of it
 *   no invitation, or one not known here      waits for a person
 *   invitation expired                        refused, and an event tells of it
 *   proof does not fit, other site, revoked   refused
 *
 * Whoever waits is enrolled by `workstation approve` only, with the fingerprint that the machine
 * shows: its digits are what binds the keys that lie here to the machine in front of which somebody
 * stands.
 */
#include "bundler/enrolment/enrolment.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/activation/activation.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/invitation.h"
#include "bundler/enrolment/pending_request.h"
#include "bundler/keystore/keystore.h"
#include "bundler/private/private.h"
#include "bundler/registry/registry.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/*
 * Requests of strangers that wait for a person.  Anybody who can write to the depot can make as
 * many as they like; beyond this nobody reads them, and refusing new ones keeps those that were
 * seen.
 */
#define PENDING_MAX   1000
#define DAY_SECONDS   86400
#define ALIKE_DIGITS  8 /* 32 bits: 1,000 requests agree in them by chance once in 8,000 sites */
#define REFUSE_DIGITS 8 /* to refuse the wrong one costs it another request */
/* To let one in: 100 bits, because a key whose id begins with 32 given bits is made in minutes. */
#define APPROVE_DIGITS  25
#define INVITE_DAYS_MAX 3650

static const char tables[] =
    "CREATE TABLE invitation(id TEXT PRIMARY KEY, name TEXT NOT NULL, secret INTEGER NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, used_by TEXT, used INTEGER) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX invitation_name ON invitation(name);"
    "CREATE TABLE pending_request(id TEXT PRIMARY KEY, name TEXT NOT NULL, sign BLOB NOT NULL,"
    " sign_number INTEGER NOT NULL, seal BLOB NOT NULL, seal_number INTEGER NOT NULL,"
    " at INTEGER NOT NULL, why TEXT NOT NULL) STRICT, WITHOUT ROWID;";
static const char views[] =
    "CREATE VIEW invitation_open AS SELECT name, max(expires) AS expires FROM invitation"
    " WHERE used_by IS NULL GROUP BY name;";
static const char codes[] = "ALTER TABLE pending_request ADD COLUMN codes BLOB;";
static const char *const steps[] = {tables, codes};
const struct db_schema enrolment_schema = DB_SCHEMA_VIEWS("enrolment", steps, views);

static const char *const forget_workstation[] = {
    "DELETE FROM invitation WHERE used_by = ?1",
    "DELETE FROM pending_request WHERE id = ?1",
    NULL,
};
const struct forget_sql enrolment_forget = {forget_workstation, NULL};

static const char replay_text[] = "an invitation that another machine has used already";

/* Invitations */

/*
 * A document first: an invited name without one would be a machine that no channel and no policy
 * could be given to.
 */
static int workstation_expect(struct site *s, const char *name, struct err *err)
{
	struct site_workstation w = {0};

	if (site_workstation(s, name) != NULL)
		return 0;
	snprintf(w.name, sizeof(w.name), "%s", name);
	return site_workstation_write(s, &w, err);
}

int enrolment_invite(struct site *s, const char *name, unsigned days, char dst[INVITE_TEXT + 1],
		     struct err *err)
{
	struct invitation row = {.created = clock_now()};
	struct invite in;
	int rc;

	if (days > INVITE_DAYS_MAX)
		return err_set(err, RC_USAGE, "an invitation is good for at most %d days",
			       INVITE_DAYS_MAX);
	rc = site_workstation_name_check(name, RC_USAGE, err);
	if (rc == 0)
		rc = invite_make(&s->trust.identity, s->trust.version,
				 row.created + (int64_t)days * DAY_SECONDS, &in, err);
	if (rc == 0)
		rc = workstation_expect(s, name, err);
	if (rc < 0)
		return rc;
	invite_id(row.id, in.secret);
	snprintf(row.name, sizeof(row.name), "%s", name);
	row.secret = in.secret;
	row.expires = in.last_day;
	rc = invitation_put(s->db, &row, err);
	if (rc == 0)
		invite_text(dst, &in);
	return rc;
}

/* Who is enrolled */

struct newcomer {
	const char *id, *name;
	const struct key_public *sign, *seal, *codes;
};

/*
 * Not revoked: nobody has said that the old keys were stolen.  They are simply not those of the
 * name any more.
 */
static int replace(struct site *s, const struct workstation *before, struct err *err)
{
	int rc = workstation_state_set(s->db, before->id, WORKSTATION_REPLACED, err);

	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "replaced", before->name,
					"%s enrolled with new keys; its old keys are no longer "
					"trusted",
					before->name);
}

/* enrol(s, n, err): under its name; a machine that held the name before is replaced, because a
 * re-imaged workstation comes with new keys. */
static int enrol(struct site *s, const struct newcomer *n, struct err *err)
{
	struct workstation before, w = {.sign = *n->sign,
					.seal = *n->seal,
					.codes = *n->codes,
					.state = WORKSTATION_ENROLLED,
					.enrolled = clock_now()};
	int rc;

	snprintf(w.id, sizeof(w.id), "%s", n->id);
	snprintf(w.name, sizeof(w.name), "%s", n->name);

	/* Who was active on the machine that held the name was active on that machine. */
	rc = workstation_member_by_name(s->db, n->name, &before, err);
	if (rc == 1)
		rc = activation_end(s->db, before.id, err);
	if (rc == 0)
		rc = activation_end(s->db, n->id, err);
	if (rc == 0 && before.id[0] != '\0' && strcmp(before.id, n->id) != 0)
		rc = replace(s, &before, err);
	if (rc == 0)
		rc = workstation_put(s->db, &w, err);
	if (rc == 0)
		rc = private_stale(s->db, n->id, err);
	if (rc == 0)
		rc = pending_request_drop(s->db, n->id, err);
	return rc;
}

/* Requests that wait */

static int alike_tell(struct site *s, const struct request *r, struct err *err)
{
	struct pending_request other;
	char begin[ALIKE_DIGITS + 1];
	int rc;

	snprintf(begin, sizeof(begin), "%.*s", ALIKE_DIGITS, r->workstation);
	rc = pending_request_find(s->db, begin, &other, err);
	if (rc < 0 || rc == 0 || (rc == 1 && strcmp(other.id, r->workstation) == 0))
		return rc < 0 ? rc : 0;
	return registry_eventf_many(
	    s->db, err, "fingerprint-alike", "strangers",
	    "two requests have fingerprints that begin with %s: one was made "
	    "to look like the other; compare every digit",
	    begin);
}

/*
 * hold(s, r, flags, why, err): until a person compares the fingerprint.  Nothing but the signature
 * binds the keys of such a request together, and this process checked it over the signed bytes
 * without reading them; what they say was read by the confined one.  So only a request whose bytes
 * are exactly the canonical text of what is claimed may wait.
 */
static int hold(struct site *s, const struct request *r, enum enrolment_flags flags,
		const char *why, struct err *err)
{
	struct pending_request p = {
	    .sign = r->sign, .seal = r->seal, .codes = r->codes, .at = clock_now()};
	uint64_t n;
	int rc;

	if ((flags & ENROLMENT_EXACT) == 0)
		return err_set(
		    err, RC_MALFORMED,
		    "a request without a proof, in another form than this version writes");
	rc = pending_requests_count(s->db, &n, err);
	if (rc < 0)
		return rc;
	if (n >= PENDING_MAX)
		return err_set(err, RC_LIMIT,
			       "%" PRIu64 " requests wait for approval already: approve those "
			       "that you expect, then satchel workstation refuse --all",
			       n);
	snprintf(p.id, sizeof(p.id), "%s", r->workstation);
	snprintf(p.name, sizeof(p.name), "%s", r->name);
	rc = alike_tell(s, r, err);
	return rc < 0 ? rc : pending_request_put(s->db, &p, why, err);
}

/* Requests */

/* request_invited(...): its proof was checked to be good.  The document was made by the invitation;
 * when a person has removed it since, the workstation is not expected any more. */
static int request_invited(struct site *s, const struct request *r, const struct invitation *in,
			   enum enrolment_flags flags, struct err *err)
{
	const struct newcomer n = {r->workstation, in->name, &r->sign, &r->seal, &r->codes};
	int rc;

	if (in->used_by[0] != '\0') {
		rc = hold(s, r, flags, replay_text, err);
		if (rc == 0)
			rc = registry_eventf_many(
			    s->db, err, "invitation-twice", in->name,
			    "machine %.8s asked with the invitation of %s, which another "
			    "machine has used: the code was seen by somebody else, or typed "
			    "twice",
			    r->workstation, in->name);
		return rc < 0 ? rc : err_set(err, RC_REPLAY, "%s", replay_text);
	}
	if (clock_now() >= in->expires) {
		rc = registry_eventf_many(
		    s->db, err, "invitation-expired", in->name,
		    "%s asked with an invitation that has expired: invite it again", in->name);
		return rc < 0
			   ? rc
			   : err_set(err, RC_EXPIRED, "the invitation of %s has expired", in->name);
	}
	rc = enrol(s, &n, err);
	if (rc == 0)
		rc = invitation_spend(s->db, in, r->workstation, clock_now(), err);
	if (rc == 0)
		rc = registry_eventf(s->db, err, "enrolled", in->name,
				     "%s enrolled as %s by its invitation", r->workstation,
				     in->name);
	return rc < 0 ? rc : 1;
}

/* request_again(...): the signing key was enrolled before, and brings no open invitation.  Requests
 * travel on sticks and come more than once. */
static int request_again(struct site *s, const struct request *r, const struct workstation *k,
			 enum enrolment_flags flags, struct err *err)
{
	int rc;

	if (k->state == WORKSTATION_REVOKED) {
		rc = registry_eventf_many(
		    s->db, err, "revoked-asks", k->name,
		    "%s was revoked and asks to be enrolled again: invite it if that is "
		    "wanted",
		    k->name);
		return rc < 0 ? rc : err_set(err, RC_UNTRUSTED, "%s was revoked", k->name);
	}
	/* It may have renewed its key since: an old copy asks with the one from then. */
	if (k->state == WORKSTATION_REPLACED || key_same(&k->seal, &r->seal) ||
	    key_same(&k->enrolled_seal, &r->seal))
		return 0;
	return hold(s, r, flags, "a known workstation with another sealing key", err);
}

/* proof_check(...): in constant time, because the secret behind it has only 60 bits. */
static int proof_check(struct site *s, const struct request *r, const struct invitation *in,
		       struct err *err)
{
	struct digest proof = invite_proof(in->secret, &s->id, &r->sign, &r->seal);
	int rc;

	if (sodium_memcmp(proof.b, r->proof.b, sizeof(proof.b)) == 0)
		return 0;
	rc =
	    registry_eventf_many(s->db, err, "proof", in->name,
				 "machine %.8s named the invitation of %s without knowing its code",
				 r->workstation, in->name);
	return rc < 0 ? rc
		      : err_set(err, RC_UNTRUSTED, "the proof does not match the invitation of %s",
				in->name);
}

/* request_elsewhere(...): a machine that is enrolled brings the open invitation of another name: on
 * one of two machines the code of the other was typed first. */
static int request_elsewhere(struct site *s, const struct request *r, const struct workstation *k,
			     const struct invitation *in, struct err *err)
{
	int rc = proof_check(s, r, in, err);

	return rc < 0 ? rc
		      : registry_eventf_many(
			    s->db, err, "invitation-other", in->name,
			    "the machine that is enrolled as %s asked with the invitation of %s: "
			    "if it is %s, revoke %s, and invite both again",
			    k->name, in->name, in->name, k->name);
}

/* request_check(...): what no request that this site could grant would be. */
static int request_check(struct site *s, const struct request *r, struct err *err)
{
	char id[WORKSTATION_ID + 1];
	struct err why = {0};
	int rc;

	workstation_id(id, &r->sign);
	if (!digest_equal(&r->site, &s->id))
		err_set(&why, RC_ADDRESSEE, "a request for another site");
	else if (strcmp(r->kind, "enrol") != 0)
		err_set(&why, RC_MALFORMED, "not a request to be enrolled");
	else if (strcmp(id, r->workstation) != 0)
		err_set(&why, RC_UNTRUSTED, "a request under an id that is not the one of its key");
	if (why.rc == 0)
		return 0;
	rc = registry_eventf_many(s->db, err, "request", "strangers", "%s", why.text);
	return rc < 0 ? rc : err_set(err, why.rc, "%s", why.text);
}

int enrolment_request(struct site *s, const struct request *r, enum enrolment_flags flags,
		      struct err *err)
{
	struct workstation k;
	struct invitation in = {0};
	int rc, known, invited = 0;

	rc = request_check(s, r, err);
	if (rc < 0)
		return rc;
	known = workstation_by_id(s->db, r->workstation, &k, err);
	if (known < 0)
		return known;
	if (r->invitation[0] != '\0')
		invited = invitation_find(s->db, r->invitation, &in, err);
	if (invited < 0)
		return invited;
	if (known == 1 && k.state == WORKSTATION_ENROLLED && invited == 1 &&
	    in.used_by[0] == '\0' && strcmp(in.name, k.name) != 0)
		return request_elsewhere(s, r, &k, &in, err);
	if (known == 1 && (k.state == WORKSTATION_ENROLLED || invited == 0 ||
			   strcmp(in.used_by, r->workstation) == 0))
		return request_again(s, r, &k, flags, err);
	if (r->invitation[0] == '\0')
		return hold(s, r, flags, "not invited", err);
	if (invited == 0)
		return hold(s, r, flags, "names an invitation that is not known here", err);
	rc = proof_check(s, r, &in, err);
	if (rc < 0)
		return rc;
	return request_invited(s, r, &in, flags, err);
}

/* By hand */

/* prefix_clean(text, least, dst, err): as a person reads it off a screen, in groups, in any case.
 */
static int prefix_clean(const char *text, size_t least, char dst[WORKSTATION_ID + 1],
			struct err *err)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		if (*text == '-' || *text == ' ')
			continue;
		if (n == WORKSTATION_ID || !isxdigit((unsigned char)*text))
			return err_set(err, RC_USAGE,
				       "a fingerprint has up to %d hexadecimal digits",
				       WORKSTATION_ID);
		dst[n++] = (char)tolower((unsigned char)*text);
	}
	dst[n] = '\0';
	if (n < least)
		return err_set(
		    err, RC_USAGE,
		    "at least %zu digits of the fingerprint that the workstation shows are "
		    "needed",
		    least);
	return 0;
}

static int pending_find(struct site *s, const char *prefix, size_t least,
			struct pending_request *ret, struct err *err)
{
	char id[WORKSTATION_ID + 1];
	int rc = prefix_clean(prefix, least, id, err);

	if (rc < 0)
		return rc;
	rc = pending_request_find(s->db, id, ret, err);
	if (rc == 0)
		return err_set(err, RC_USAGE,
			       "no request with the fingerprint %s waits: run collect first", id);
	if (rc > 1)
		return err_set(err, RC_USAGE,
			       "more than one request begins with %s: type more digits", id);
	return rc < 0 ? rc : 0;
}

/* A machine that nobody invited calls itself what it likes, also like another one. */
static int name_free(struct site *s, const char *name, struct err *err)
{
	struct workstation w;
	int rc = workstation_member_by_name(s->db, name, &w, err);

	if (rc == 1)
		return err_set(
		    err, RC_CONFLICT,
		    "it calls itself %s, and a workstation of that name is enrolled: give "
		    "it a name of its own with --name, or --name %s if it is to replace "
		    "that one",
		    name, name);
	return rc;
}

/*
 * The document is written before the transaction: without rows it is only a name that is expected,
 * and the command can be given again.
 */
int enrolment_approve(struct site *s, const char *id_prefix, const char *name, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct pending_request p;
	struct newcomer n;
	int rc;

	rc = pending_find(s, id_prefix, APPROVE_DIGITS, &p, err);
	if (rc < 0)
		return rc;
	if (name == NULL)
		rc = name_free(s, p.name, err);
	if (rc < 0)
		return rc;
	n = (struct newcomer){p.id, name == NULL ? p.name : name, &p.sign, &p.seal, &p.codes};
	rc = site_workstation_name_check(n.name, RC_USAGE, err);
	if (rc == 0)
		rc = workstation_expect(s, n.name, err);
	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = enrol(s, &n, err);
	if (rc == 0)
		rc = registry_eventf(s->db, err, "enrolled", n.name, "%s enrolled as %s by hand",
				     n.id, n.name);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	if (rc == 0)
		reporter_info(s->reporter, "%.8s is enrolled as %s", n.id, n.name);
	return rc;
}

int enrolment_refuse(struct site *s, const char *id_prefix, struct err *err)
{
	struct pending_request p;
	int rc = pending_find(s, id_prefix, REFUSE_DIGITS, &p, err);

	if (rc < 0)
		return rc;
	return pending_request_drop(s->db, p.id, err);
}

int enrolment_refuse_all(struct site *s, uint64_t *ret, struct err *err)
{
	int rc = pending_requests_count(s->db, ret, err);

	return rc < 0 ? rc : pending_requests_drop(s->db, err);
}

/* machine_revoke(s, name, err): 1 when one was enrolled.  What its users held there is to be
 * rotated, and nobody is active on it any more. */
static int machine_revoke(struct site *s, const char *name, struct err *err)
{
	struct workstation w;
	int rc = workstation_member_by_name(s->db, name, &w, err);

	if (rc != 1)
		return rc;
	rc = activation_end(s->db, w.id, err);
	if (rc == 0)
		rc = keystore_lost(s, w.id, name, err);
	if (rc == 0)
		rc = workstation_state_set(s->db, w.id, WORKSTATION_REVOKED, err);
	return rc < 0 ? rc : 1;
}

/* Invitations too: a thief with the machine may have the paper with the code. */
static int revoke_now(struct site *s, const char *name, struct err *err)
{
	int found = machine_revoke(s, name, err), open;

	if (found < 0)
		return found;
	open = invitations_void(s->db, name, err);
	if (open < 0)
		return open;
	if (found + open == 0)
		return err_set(err, RC_USAGE,
			       "no workstation called %s is enrolled or invited: satchel "
			       "workstation list shows them",
			       name);
	return registry_eventf(s->db, err, "revoked", name,
			       found > 0 ? "%s was revoked" : "the invitation of %s was withdrawn",
			       name);
}

int enrolment_revoke(struct site *s, const char *name, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = revoke_now(s, name, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int enrolment_forget_name(struct db *db, const char *name, struct err *err)
{
	return db_run(db, err, "DELETE FROM invitation WHERE name = ?1", "t", name);
}
