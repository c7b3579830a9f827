/*
 * Requests to make a user active.  The proof binds the code's secret to the workstation's key and
 * to the account, so a request that was copied, changed or made by somebody else proves nothing.
 * Each code is good once for a workstation: whoever posts a request again, which a stick does and a
 * thief may, changes nothing by it, whatever happened in between.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bundler/activation.h"
#include "bundler/message.h"
#include "bundler/people.h"
#include "bundler/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Users of one workstation: as many as its receipts can name. */
#define ACTIVE_MAX RECEIPT_USERS

struct asking {
	struct site *s;
	const struct key_public *sign; /* borrowed */
	const struct request *r;       /* borrowed */
	char name[WORKSTATION_NAME];   /* of the workstation */
	char state[16];
	/* The code; email "" when none has that id. */
	char email[USER_EMAIL];
	uint64_t secret;
	int64_t expires, uses, used, revoked;
};

static int refuse(struct asking *a, struct err *err, int rc, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* refuse(...): an event for the administrator, a message for the people there. */
static int refuse(struct asking *a, struct err *err, int rc, const char *kind, const char *fmt, ...)
{
	struct err failed = {0};
	char text[400];
	va_list args;
	int told;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	told = message_refuse(a->s, a->r->workstation, a->name, a->r->activation, text, &failed);
	if (told == 0)
		told = registry_eventf_many(a->s->db, &failed, kind, a->name,
					    "an activation on %s%s%s was refused: %s", a->name,
					    a->email[0] != '\0' ? " for " : "", a->email, text);
	if (told < 0)
		return err_set(err, failed.rc, "%s", failed.text);
	return err_set(err, rc, "%s", text);
}

static int workstation_load(struct asking *a, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(a->s->db, "SELECT name, state FROM workstation WHERE id = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", a->r->workstation);
	if (rc == 0)
		rc = db_step(a->s->db, st, err);
	if (rc < 0)
		return rc;
	snprintf(a->name, sizeof(a->name), "%s", rc == 1 ? db_text(st, 0) : "");
	snprintf(a->state, sizeof(a->state), "%s", rc == 1 ? db_text(st, 1) : "");
	return 0;
}

static int code_load(struct asking *a, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(a->s->db,
		      "SELECT email, secret, expires, uses, used, revoked FROM activation_code"
		      " WHERE id = ?1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", a->r->activation);
	if (rc == 0)
		rc = db_step(a->s->db, st, err);
	if (rc <= 0)
		return rc;
	snprintf(a->email, sizeof(a->email), "%s", db_text(st, 0));
	a->secret = (uint64_t)db_i64(st, 1);
	a->expires = db_i64(st, 2);
	a->uses = db_i64(st, 3);
	a->used = db_i64(st, 4);
	a->revoked = db_i64(st, 5);
	return 0;
}

/* account_good(account): a number alone would be read as a user's number by other programs. */
static bool account_good(const char *account)
{
	static const char *const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
					   "0123456789.-";
	size_t n = strlen(account);

	return n > 0 && account[0] != '.' && account[0] != '-' && strspn(account, letters) == n &&
	       strspn(account, "0123456789") < n;
}

/* asking_check(a, err): what is wrong with the request, whatever the code is. */
static int asking_check(struct asking *a, struct err *err)
{
	if (!digest_equal(&a->r->site, &a->s->id))
		return refuse(a, err, RC_ADDRESSEE, "activation-foreign",
			      "the request is for another site");
	if (strcmp(a->state, "enrolled") != 0)
		return refuse(a, err, RC_POLICY, "activation-refused",
			      "this workstation is to be decommissioned");
	if (!account_good(a->r->account))
		return refuse(a, err, RC_MALFORMED, "activation-refused",
			      "\"%s\" cannot be the name of an account", a->r->account);
	return 0;
}

/* proof_check(a, err): before anything else is said about a code.  In constant time, because the
 * secret behind it has only 60 bits. */
static int proof_check(struct asking *a, struct err *err)
{
	struct digest proof;

	if (a->email[0] == '\0')
		return refuse(
		    a, err, RC_UNTRUSTED, "activation-unknown",
		    "no activation code with the id %s is known here: it may be an old one",
		    a->r->activation);
	proof = activation_proof(a->secret, &a->s->id, a->sign, a->r->account);
	if (sodium_memcmp(proof.b, a->r->proof.b, sizeof(proof.b)) == 0)
		return 0;
	/* Whose code it is is not for somebody who does not know it. */
	return refuse(a, err, RC_UNTRUSTED, "activation-proof",
		      "the request names the activation code %s without knowing it",
		      a->r->activation);
}

/* used_here(a, account, err): 1 when this code was used on this workstation, and for which account.
 */
static int used_here(struct asking *a, char account[ACCOUNT_NAME], struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(
	    a->s->db, "SELECT account FROM activation_use WHERE code = ?1 AND id = ?2", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tt", a->r->activation, a->r->workstation);
	if (rc == 0)
		rc = db_step(a->s->db, st, err);
	if (rc == 1)
		snprintf(account, ACCOUNT_NAME, "%s", db_text(st, 0));
	return rc;
}

static int code_check(struct asking *a, struct err *err)
{
	char until[CLOCK_TEXT + 1];

	clock_format(until, a->expires - 1);
	until[10] = '\0'; /* the day */
	if (a->revoked != 0)
		return refuse(a, err, RC_UNTRUSTED, "activation-revoked",
			      "the activation code was revoked: ask for a new one");
	if (clock_now() >= a->expires)
		return refuse(a, err, RC_EXPIRED, "activation-expired",
			      "the activation code was good until %s: ask for a new one", until);
	if (a->used >= a->uses)
		return refuse(a, err, RC_REPLAY, "activation-used",
			      "the activation code was used %" PRId64
			      " %s, which is all that it is "
			      "good for: ask for a new one",
			      a->used, a->used == 1 ? "time" : "times");
	if (site_user(a->s, a->email) == NULL)
		return refuse(a, err, RC_POLICY, "activation-refused",
			      "the user whom the activation code is for was deleted");
	return 0;
}

/* place_check(a, err): who is on that workstation already. */
static int place_check(struct asking *a, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int64_t n = 0, taken = 0, deactivated = 0;
	int rc;

	rc = db_query(a->s->db,
		      "SELECT ifnull(sum(state = 'active' AND email <> ?2), 0),"
		      " ifnull(sum(state = 'active' AND email <> ?2 AND account = ?3), 0),"
		      " ifnull(sum(state = 'deactivated' AND email = ?2), 0)"
		      " FROM activation WHERE id = ?1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ttt", a->r->workstation, a->email, a->r->account);
	if (rc == 0)
		rc = db_step(a->s->db, st, err);
	if (rc < 0)
		return rc;
	n = db_i64(st, 0);
	taken = db_i64(st, 1);
	deactivated = db_i64(st, 2);
	db_done(&st);
	if (deactivated > 0)
		return refuse(a, err, RC_POLICY, "activation-refused",
			      "the user was deactivated on this workstation: only an administrator "
			      "can undo that");
	if (taken > 0)
		return refuse(a, err, RC_POLICY, "activation-refused",
			      "another user is active in the account %s already", a->r->account);
	if (n >= (int64_t)ACTIVE_MAX)
		return refuse(a, err, RC_LIMIT, "activation-refused",
			      "%" PRId64 " users are active on this workstation already", n);
	return 0;
}

/* activated_tell(a, err): 1.  Who is not entitled is active and gets nothing, which the people
 * there should not take for a request that was lost. */
static int activated_tell(struct asking *a, struct err *err)
{
	const struct site_user *u = site_user(a->s, a->email);
	bool entitled;
	char why[PEOPLE_WHY] = "", text[256 + PEOPLE_WHY];
	int rc = 0;

	entitled = u != NULL && people_entitled(a->s, u, clock_now(), why);
	if (!entitled) {
		snprintf(
		    text, sizeof(text),
		    "the activation for the account %s has arrived; nothing is handed out yet: %s",
		    a->r->account, why);
		rc = message_notice(a->s, a->r->workstation, a->name, text, err);
	}
	if (rc == 0)
		rc = registry_eventf(a->s->db, err, "activated", a->name,
				     "%s is active on %s in the account %s%s%s", a->email, a->name,
				     a->r->account,
				     entitled ? "" : "; nothing is handed out: ", why);
	return rc < 0 ? rc : 1;
}

/* activate(a, err): one account for a user on a workstation; a further code moves them. */
static int activate(struct asking *a, struct err *err)
{
	const struct request *r = a->r;
	int64_t now = clock_now();
	int rc;

	rc = db_run(a->s->db, err,
		    "INSERT INTO activation(id, email, account, state, at, code)"
		    " VALUES(?1, ?2, ?3, 'active', ?4, ?5) ON CONFLICT(id, email) DO UPDATE SET"
		    " account = excluded.account, at = excluded.at, code = excluded.code",
		    "tttit", r->workstation, a->email, r->account, now, r->activation);
	if (rc == 0)
		rc = db_run(a->s->db, err,
			    "INSERT INTO activation_use(code, id, account, at)"
			    " VALUES(?1, ?2, ?3, ?4)",
			    "ttti", r->activation, r->workstation, r->account, now);
	if (rc == 0)
		rc = db_run(a->s->db, err,
			    "UPDATE activation_code SET used = used + 1 WHERE id = ?1", "t",
			    r->activation);
	return rc < 0 ? rc : activated_tell(a, err);
}

int activation_request(struct site *s, const struct key_public *sign, const struct request *r,
		       struct err *err)
{
	struct asking a = {.s = s, .sign = sign, .r = r};
	char account[ACCOUNT_NAME] = "";
	int rc;

	rc = workstation_load(&a, err);
	if (rc == 0)
		rc = asking_check(&a, err);
	if (rc == 0)
		rc = code_load(&a, err);
	if (rc == 0)
		rc = proof_check(&a, err);
	if (rc == 0)
		rc = used_here(&a, account, err);
	if (rc == 1 && strcmp(account, r->account) == 0)
		return 0;
	if (rc == 1)
		return refuse(&a, err, RC_REPLAY, "activation-used",
			      "the activation code was used on this workstation already, for the "
			      "account %s",
			      account);
	if (rc == 0)
		rc = code_check(&a, err);
	if (rc == 0)
		rc = place_check(&a, err);
	return rc < 0 ? rc : activate(&a, err);
}
