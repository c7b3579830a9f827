#include "bundler/enrolment.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/activation.h"
#include "bundler/keystore.h"
#include "bundler/registry.h"
#include "bundler/site_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/*
 * Requests of strangers that wait for a person.  Anybody who can write to the depot can make as
 * many as they like; beyond this nobody reads them, and refusing new ones keeps those that were
 * seen.
 */
#define HELD_MAX        1000
#define DAY_SECONDS     86400
#define PREFIX_MIN      8
#define INVITE_DAYS_MAX 3650

static const char replay_text[] = "an invitation that another machine has used already";

/* Invitations */

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
	struct invite in;
	char id[17];
	int rc;

	if (days > INVITE_DAYS_MAX)
		return err_set(err, RC_USAGE, "an invitation is good for at most %d days",
			       INVITE_DAYS_MAX);
	rc = site_workstation_name_check(name, RC_USAGE, err);
	if (rc == 0)
		rc = invite_make(&s->id, s->trust.version,
				 clock_now() + (int64_t)days * DAY_SECONDS, &in, err);
	if (rc == 0)
		rc = workstation_expect(s, name, err);
	if (rc < 0)
		return rc;
	invite_id(id, in.secret);
	rc = db_run(s->db, err,
		    "INSERT INTO invitation(id, name, secret, created, expires)"
		    " VALUES(?1, ?2, ?3, ?4, ?5)",
		    "ttiii", id, name, (int64_t)in.secret, clock_now(), in.last_day);
	if (rc < 0)
		return rc;
	invite_text(dst, &in);
	return 0;
}

/* Who is enrolled */

struct known {
	char name[WORKSTATION_NAME];
	char state[16]; /* of table workstation */
	struct key_public seal;
};

/* known_find(s, id, ret, err): 1 when a workstation with this id was ever enrolled. */
static int known_find(struct site *s, const char *id, struct known *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes seal;
	int rc;

	rc = db_query(s->db, "SELECT name, state, seal FROM workstation WHERE id = ?1", &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	seal = db_bytes(st, 2);
	if (seal.n != KEY_PUBLIC_BYTES)
		return err_set(err, RC_STATE, "the registry is damaged: workstation %s", id);
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 0));
	snprintf(ret->state, sizeof(ret->state), "%s", db_text(st, 1));
	ret->seal = (struct key_public){.kind = KEY_SEAL};
	memcpy(ret->seal.b, seal.p, KEY_PUBLIC_BYTES);
	return 1;
}

struct newcomer {
	const char *id, *name;
	const struct key_public *sign, *seal;
};

/* enrol(s, n, err): under its name; a machine that held the name before is replaced, because a
 * re-imaged workstation comes with new keys. */
static int enrol(struct site *s, const struct newcomer *n, struct err *err)
{
	int rc;

	/* Who was active on the machine that held the name was active on that machine. */
	rc = db_run(s->db, err,
		    "DELETE FROM activation WHERE id IN (SELECT id FROM workstation WHERE id = ?2"
		    " OR (name = ?1 AND state IN ('enrolled', 'leaving')))",
		    "tt", n->name, n->id);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "UPDATE workstation SET state = 'replaced' WHERE name = ?1"
			    " AND state IN ('enrolled', 'leaving') AND id <> ?2",
			    "tt", n->name, n->id);
	if (rc == 0 && sqlite3_changes(db_handle(s->db)) > 0)
		rc = registry_eventf(s->db, err, "replaced", n->name,
				     "%s enrolled with new keys; what it was before counts no more",
				     n->name);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT INTO workstation(id, name, sign, sign_number, seal,"
			    " seal_number, state, enrolled)"
			    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, 'enrolled', ?7)"
			    " ON CONFLICT(id) DO UPDATE SET name = excluded.name,"
			    " seal = excluded.seal, seal_number = excluded.seal_number,"
			    " state = 'enrolled', enrolled = excluded.enrolled, inputs = NULL",
			    "ttbibii", n->id, n->name, (struct bytes){n->sign->b, KEY_PUBLIC_BYTES},
			    (int64_t)n->sign->number, (struct bytes){n->seal->b, KEY_PUBLIC_BYTES},
			    (int64_t)n->seal->number, clock_now());
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM held_request WHERE id = ?1", "t", n->id);
	return rc;
}

/* Held requests */

static int held_count(struct site *s, int64_t *ret, struct err *err)
{
	int rc = db_int(s->db, err, ret, "SELECT count(*) FROM held_request", "");

	return rc < 0 ? rc : 0;
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
	int64_t n = 0;
	int rc;

	if ((flags & ENROLMENT_EXACT) == 0)
		return err_set(
		    err, RC_MALFORMED,
		    "a request without a proof, in another form than this version writes");
	rc = held_count(s, &n, err);
	if (rc < 0)
		return rc;
	if (n >= HELD_MAX)
		return err_set(err, RC_LIMIT,
			       "%" PRIi64 " requests wait for approval already: approve or refuse "
			       "some of them",
			       n);
	return db_run(s->db, err,
		      "INSERT INTO held_request(id, name, sign, sign_number, seal, seal_number, at,"
		      " why) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(id) DO UPDATE SET"
		      " name = excluded.name, seal = excluded.seal,"
		      " seal_number = excluded.seal_number, why = excluded.why"
		      " WHERE seal <> excluded.seal OR name <> excluded.name",
		      "ttbibiit", r->workstation, r->name,
		      (struct bytes){r->sign.b, KEY_PUBLIC_BYTES}, (int64_t)r->sign.number,
		      (struct bytes){r->seal.b, KEY_PUBLIC_BYTES}, (int64_t)r->seal.number,
		      clock_now(), why);
}

/* Requests */

struct invitation {
	char name[WORKSTATION_NAME];
	uint64_t secret;
	int64_t created, expires;
	char used_by[WORKSTATION_ID + 1]; /* "" while it is open */
};

static int invitation_find(struct site *s, const char *id, struct invitation *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT name, secret, created, expires, used_by FROM invitation"
		      " WHERE id = ?1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 0));
	ret->secret = (uint64_t)db_i64(st, 1);
	ret->created = db_i64(st, 2);
	ret->expires = db_i64(st, 3);
	snprintf(ret->used_by, sizeof(ret->used_by), "%s", db_text(st, 4));
	return 1;
}

/* Older codes of the same name could let somebody who found one replace this machine. */
static int invitation_spend(struct site *s, const struct request *r, const struct invitation *in,
			    struct err *err)
{
	int rc;

	rc = db_run(s->db, err, "UPDATE invitation SET used_by = ?1, used = ?2 WHERE id = ?3",
		    "tit", r->workstation, clock_now(), r->invitation);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "DELETE FROM invitation WHERE name = ?1 AND used_by IS NULL"
			    " AND created <= ?2",
			    "ti", in->name, in->created);
	return rc;
}

/* request_invited(...): its proof was checked to be good.  The document was made by the invitation;
 * when a person has removed it since, the workstation is not expected any more. */
static int request_invited(struct site *s, const struct request *r, const struct invitation *in,
			   enum enrolment_flags flags, struct err *err)
{
	const struct newcomer n = {r->workstation, in->name, &r->sign, &r->seal};
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
		    "%s asked with an invitation that is past its day: invite it again", in->name);
		return rc < 0 ? rc
			      : err_set(err, RC_EXPIRED, "the invitation of %s is past its day",
					in->name);
	}
	rc = enrol(s, &n, err);
	if (rc == 0)
		rc = invitation_spend(s, r, in, err);
	if (rc == 0)
		rc = registry_eventf(s->db, err, "enrolled", in->name,
				     "%s enrolled as %s by its invitation", r->workstation,
				     in->name);
	return rc < 0 ? rc : 1;
}

/* request_again(...): the signing key was enrolled before, and brings no open invitation.  Requests
 * travel on sticks and come more than once. */
static int request_again(struct site *s, const struct request *r, const struct known *k,
			 enum enrolment_flags flags, struct err *err)
{
	int rc;

	if (strcmp(k->state, "revoked") == 0) {
		rc = registry_eventf_many(
		    s->db, err, "revoked-asks", k->name,
		    "%s was revoked and asks to be enrolled again: invite it if that is "
		    "wanted",
		    k->name);
		return rc < 0 ? rc : err_set(err, RC_UNTRUSTED, "%s was revoked", k->name);
	}
	if (strcmp(k->state, "replaced") == 0 || key_same(&k->seal, &r->seal))
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
		      : err_set(err, RC_UNTRUSTED, "the proof does not fit the invitation of %s",
				in->name);
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
	struct known k = {0};
	struct invitation in = {0};
	int rc, known, invited = 0;

	rc = request_check(s, r, err);
	if (rc < 0)
		return rc;
	known = known_find(s, r->workstation, &k, err);
	if (known < 0)
		return known;
	if (r->invitation[0] != '\0')
		invited = invitation_find(s, r->invitation, &in, err);
	if (invited < 0)
		return invited;
	if (known == 1 && (strcmp(k.state, "enrolled") == 0 || invited == 0 ||
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

struct held {
	char id[WORKSTATION_ID + 1];
	char name[WORKSTATION_NAME];
	struct key_public sign, seal;
};

static void held_read(sqlite3_stmt *st, struct held *ret)
{
	struct bytes sign = db_bytes(st, 2), seal = db_bytes(st, 4);

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 1));
	ret->sign.kind = KEY_SIGN;
	ret->sign.number = (uint64_t)db_i64(st, 3);
	ret->seal.kind = KEY_SEAL;
	ret->seal.number = (uint64_t)db_i64(st, 5);
	memcpy(ret->sign.b, sign.p, sign.n == KEY_PUBLIC_BYTES ? sign.n : 0);
	memcpy(ret->seal.b, seal.p, seal.n == KEY_PUBLIC_BYTES ? seal.n : 0);
}

/* prefix_clean(text, dst, err): as a person reads it off a screen, in groups, in any case. */
static int prefix_clean(const char *text, char dst[WORKSTATION_ID + 1], struct err *err)
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
	if (n < PREFIX_MIN)
		return err_set(
		    err, RC_USAGE,
		    "at least %d digits of the fingerprint that the workstation shows are "
		    "needed",
		    PREFIX_MIN);
	return 0;
}

static int held_find(struct site *s, const char *prefix, struct held *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	char id[WORKSTATION_ID + 1];
	size_t found = 0;
	int rc;

	rc = prefix_clean(prefix, id, err);
	if (rc == 0)
		rc = db_query(s->db,
			      "SELECT id, name, sign, sign_number, seal, seal_number"
			      " FROM held_request WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2",
			      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc < 0)
		return rc;
	while ((rc = db_step(s->db, st, err)) == 1) {
		held_read(st, ret);
		found++;
	}
	if (rc < 0)
		return rc;
	if (found == 0)
		return err_set(err, RC_USAGE,
			       "no request with the fingerprint %s waits: run collect first", id);
	if (found > 1)
		return err_set(err, RC_USAGE,
			       "more than one request begins with %s: type more digits", id);
	return 0;
}

/* A machine that nobody invited calls itself what it likes, also like another one. */
static int name_free(struct site *s, const char *name, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(
	    s->db, err, &n,
	    "SELECT count(*) FROM workstation WHERE name = ?1 AND state IN ('enrolled', 'leaving')",
	    "t", name);

	if (rc >= 0 && n > 0)
		return err_set(
		    err, RC_CONFLICT,
		    "it calls itself %s, and a workstation of that name is enrolled: give "
		    "it a name of its own with --name, or --name %s if it is to replace "
		    "that one",
		    name, name);
	return rc < 0 ? rc : 0;
}

int enrolment_approve(struct site *s, const char *id_prefix, const char *name, struct err *err)
{
	struct held h;
	struct newcomer n;
	int rc;

	rc = held_find(s, id_prefix, &h, err);
	if (rc < 0)
		return rc;
	if (name == NULL)
		rc = name_free(s, h.name, err);
	if (rc < 0)
		return rc;
	n = (struct newcomer){h.id, name == NULL ? h.name : name, &h.sign, &h.seal};
	rc = site_workstation_name_check(n.name, RC_USAGE, err);
	if (rc == 0)
		rc = workstation_expect(s, n.name, err);
	if (rc == 0)
		rc = db_begin(s->db, err);
	if (rc < 0)
		return rc;
	rc = enrol(s, &n, err);
	if (rc == 0)
		rc = registry_eventf(s->db, err, "enrolled", n.name, "%s enrolled as %s by hand",
				     n.id, n.name);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	else
		say_info(s->say, "%.8s is enrolled as %s", n.id, n.name);
	return rc;
}

int enrolment_refuse(struct site *s, const char *id_prefix, struct err *err)
{
	struct held h;
	int rc = held_find(s, id_prefix, &h, err);

	if (rc < 0)
		return rc;
	return db_run(s->db, err, "DELETE FROM held_request WHERE id = ?1", "t", h.id);
}

/* machine_revoke(s, name, err): 1 when one was enrolled.  What its users held there is to be
 * rotated, and nobody is active on it any more. */
static int machine_revoke(struct site *s, const char *name, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	char id[WORKSTATION_ID + 1];
	int rc;

	rc = db_query(s->db,
		      "SELECT id FROM workstation WHERE name = ?1"
		      " AND state IN ('enrolled', 'leaving')",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", name);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	snprintf(id, sizeof(id), "%s", db_text(st, 0));
	db_done(&st);
	rc = activation_end(s, id, err);
	if (rc == 0)
		rc = keystore_lost(s, id, name, err);
	if (rc == 0)
		rc = db_run(s->db, err, "UPDATE workstation SET state = 'revoked' WHERE id = ?1",
			    "t", id);
	return rc < 0 ? rc : 1;
}

static int revoke_now(struct site *s, const char *name, struct err *err)
{
	int found = machine_revoke(s, name, err), rc;

	if (found < 0)
		return found;
	rc = db_run(s->db, err, "DELETE FROM invitation WHERE name = ?1 AND used_by IS NULL", "t",
		    name);
	if (rc == 0 && found + sqlite3_changes(db_handle(s->db)) == 0)
		return err_set(err, RC_USAGE,
			       "no workstation called %s is enrolled or invited: satchel "
			       "workstation list shows them",
			       name);
	if (rc == 0)
		rc = registry_eventf(
		    s->db, err, "revoked", name,
		    found > 0 ? "%s was revoked" : "the invitation of %s was withdrawn", name);
	return rc;
}

int enrolment_revoke(struct site *s, const char *name, struct err *err)
{
	int rc = db_begin(s->db, err);

	if (rc < 0)
		return rc;
	rc = revoke_now(s, name, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}
