/* SPDX-License-Identifier: ISC */
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

#include "bundler/activation/activation.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/activation_request.h"
#include "bundler/entitlement/people.h"
#include "bundler/messages/message.h"
#include "bundler/registry/registry.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* Users of one workstation: as many as its receipts can name. */
#define ACTIVE_MAX RECEIPT_USERS

struct asking {
	struct site *s;
	const struct key_public *sign; /* borrowed */
	const struct request *r;       /* borrowed */
	struct workstation w;
	struct activation_code code; /* all zero when none has that id */
	uint64_t secret;
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
	told = message_refuse(a->s, a->r->workstation, a->w.name, a->r->activation, text, &failed);
	if (told == 0)
		told = registry_eventf_many(
		    a->s->db, &failed, kind, a->w.name, "an activation on %s%s%s was refused: %s",
		    a->w.name, a->code.email[0] != '\0' ? " for " : "", a->code.email, text);
	if (told < 0)
		return err_set(err, failed.rc, "%s", failed.text);
	return err_set(err, rc, "%s", text);
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
	if (a->w.state != WORKSTATION_ENROLLED)
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

	if (a->code.email[0] == '\0')
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

static int code_check(struct asking *a, struct err *err)
{
	char until[CLOCK_TEXT + 1];

	clock_format(until, a->code.expires - 1);
	until[10] = '\0'; /* the day */
	if (a->code.revoked != 0)
		return refuse(a, err, RC_UNTRUSTED, "activation-revoked",
			      "the activation code was revoked: ask for a new one");
	if (clock_now() >= a->code.expires)
		return refuse(a, err, RC_EXPIRED, "activation-expired",
			      "the activation code was good until %s: ask for a new one", until);
	if (a->code.used >= a->code.uses)
		return refuse(a, err, RC_REPLAY, "activation-used",
			      "the activation code was used %" PRIu64
			      " %s, which is all that it is "
			      "good for: ask for a new one",
			      a->code.used, a->code.used == 1 ? "time" : "times");
	if (site_user(a->s, a->code.email) == NULL)
		return refuse(a, err, RC_POLICY, "activation-refused",
			      "the user whom the activation code is for was deleted");
	return 0;
}

/* place_check(a, err): who is on that workstation already. */
static int place_check(struct asking *a, struct err *err)
{
	struct activation_others o;
	int rc =
	    activation_others(a->s->db, a->r->workstation, a->code.email, a->r->account, &o, err);

	if (rc < 0)
		return rc;
	if (o.deactivated)
		return refuse(a, err, RC_POLICY, "activation-refused",
			      "the user was deactivated on this workstation: only an administrator "
			      "can undo that");
	if (o.taken)
		return refuse(a, err, RC_POLICY, "activation-refused",
			      "another user is active in the account %s already", a->r->account);
	if (o.active >= ACTIVE_MAX)
		return refuse(a, err, RC_LIMIT, "activation-refused",
			      "%" PRIu64 " users are active on this workstation already", o.active);
	return 0;
}

/* activated_tell(a, err): 1.  Who is not entitled is active and gets nothing, which the people
 * there should not take for a request that was lost. */
static int activated_tell(struct asking *a, struct err *err)
{
	const struct site_user *u = site_user(a->s, a->code.email);
	bool entitled;
	char why[PEOPLE_WHY] = "", text[256 + PEOPLE_WHY];
	int rc = 0;

	entitled = u != NULL && people_entitled(a->s, u, clock_now(), why);
	if (!entitled) {
		snprintf(
		    text, sizeof(text),
		    "the activation for the account %s has arrived; nothing is handed out yet: %s",
		    a->r->account, why);
		rc = message_notice(a->s, a->r->workstation, a->w.name, text, err);
	}
	if (rc == 0)
		rc = registry_eventf(a->s->db, err, "activated", a->w.name,
				     "%s is active on %s in the account %s%s%s", a->code.email,
				     a->w.name, a->r->account,
				     entitled ? "" : "; nothing is handed out: ", why);
	return rc < 0 ? rc : 1;
}

int activation_request(struct site *s, const struct key_public *sign, const struct request *r,
		       struct err *err)
{
	struct asking a = {.s = s, .sign = sign, .r = r};
	char account[ACCOUNT_NAME] = "";
	int rc;

	rc = workstation_by_id(s->db, r->workstation, &a.w, err);
	if (rc >= 0)
		rc = asking_check(&a, err);
	if (rc == 0)
		rc = activation_code_by_id(s->db, r->activation, &a.code, &a.secret, err);
	if (rc >= 0)
		rc = proof_check(&a, err);
	if (rc == 0)
		rc = activation_used(s->db, r->activation, r->workstation, account, err);
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
	if (rc == 0)
		rc = activation_grant(s->db, r->workstation, a.code.email, r->account,
				      r->activation, clock_now(), err);
	return rc < 0 ? rc : activated_tell(&a, err);
}
