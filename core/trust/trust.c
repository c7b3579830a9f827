#include "core/trust/trust.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

const char *const role_names[ROLE_COUNT] = {"root", "publish", "beat", "collect"};

static const char *const state_names[] = {"current", "retired", "revoked"};

#define SITE_SHOWN 80 /* bytes of a site's name in a sentence */

static bool holds(const struct trust_key *k, enum role role)
{
	return (k->roles & 1u << role) != 0;
}

/* What a document can be worth by itself */

static int key_check(const struct trust *t, size_t i, struct err *err)
{
	const struct trust_key *k = &t->key[i];
	const unsigned signing = 1u << ROLE_ROOT | 1u << ROLE_PUBLISH | 1u << ROLE_BEAT;
	const unsigned sealing = 1u << ROLE_COLLECT;
	char number[KEY_NUMBER_TEXT + 1];

	key_number_text(number, &k->key);
	if (k->state != KEY_CURRENT && k->state != KEY_RETIRED && k->state != KEY_REVOKED)
		return err_set(err, RC_MALFORMED, "key %s is neither current, retired nor revoked",
			       number);
	if ((k->roles & ~(k->key.kind == KEY_SIGN ? signing : sealing)) != 0)
		return err_set(err, RC_MALFORMED,
			       "key %s is a %s key and cannot have all of its roles", number,
			       k->key.kind == KEY_SIGN ? "signing" : "sealing");
	for (size_t j = 0; j < i; j++) {
		if (key_same(&t->key[j].key, &k->key))
			return err_set(err, RC_MALFORMED, "key %s stands there twice", number);
		if (t->key[j].key.number == k->key.number)
			return err_set(err, RC_MALFORMED, "two keys have the number %s", number);
	}
	return 0;
}

static int role_check(const struct trust *t, enum role role, struct err *err)
{
	uint32_t most = role == ROLE_ROOT ? LIMIT_LAYERS : 1;
	uint32_t have = 0;

	for (size_t i = 0; i < t->keys; i++)
		have += holds(&t->key[i], role) && t->key[i].state == KEY_CURRENT;
	if (t->threshold[role] < 1 || t->threshold[role] > most)
		return err_set(err, RC_MALFORMED,
			       "the threshold of %s is %" PRIu32 ", it can be 1 to %" PRIu32,
			       role_names[role], t->threshold[role], most);
	if (have < t->threshold[role])
		return err_set(err, RC_MALFORMED,
			       "the threshold of %s is %" PRIu32 ", but only %" PRIu32
			       " of its keys are current",
			       role_names[role], t->threshold[role], have);
	if (role == ROLE_COLLECT && have > 1)
		return err_set(err, RC_MALFORMED,
			       "there are %" PRIu32 " current collect keys; retire all but one",
			       have);
	if (t->epoch[role] > LIMIT_NUMBER)
		return err_set(err, RC_LIMIT, "the epoch of %s is larger than 2^53-1",
			       role_names[role]);
	return 0;
}

int trust_check(const struct trust *t, struct err *err)
{
	int rc = 0;

	if (t->version < 1 || t->version > LIMIT_NUMBER)
		return err_set(err, RC_MALFORMED, "trust versions count from 1 to 2^53-1");
	if (digest_is_zero(&t->previous) != (t->version == 1))
		return err_set(err, RC_MALFORMED,
			       "trust version %" PRIu64 " %s a version before it", t->version,
			       t->version == 1 ? "cannot name" : "does not name");
	if (t->expires <= t->created)
		return err_set(err, RC_MALFORMED, "trust version %" PRIu64 " ends before it begins",
			       t->version);
	if (t->keys > LIMIT_KEYS)
		return err_set(err, RC_LIMIT, "more than %d keys", LIMIT_KEYS);
	for (size_t i = 0; i < t->keys && rc == 0; i++)
		rc = key_check(t, i, err);
	for (int role = 0; role < ROLE_COUNT && rc == 0; role++)
		rc = role_check(t, (enum role)role, err);
	return rc;
}

/* Who signed */

enum finding {
	SIGNER_GOOD,
	SIGNER_UNKNOWN,
	SIGNER_BAD,
	SIGNER_REVOKED,
	SIGNER_RETIRED,
	SIGNER_ROLE
};

struct quorum {
	const struct trust *t;
	enum role role;
	bool retired_too;
};

/* The key that really made the signature; else, in ${*ret_claimed}, one that has its number. */
static const struct trust_key *signer_of(const struct trust *t, const struct signature *s,
					 const struct trust_key **ret_claimed)
{
	*ret_claimed = NULL;
	for (size_t i = 0; i < t->keys && i < LIMIT_KEYS; i++) {
		if (t->key[i].key.number != s->number || t->key[i].key.kind != KEY_SIGN)
			continue;
		*ret_claimed = &t->key[i];
		if (key_verify(&t->key[i].key, s->message, s->sig))
			return &t->key[i];
	}
	return NULL;
}

static enum finding judge(const struct quorum *q, const struct signature *s,
			  const struct trust_key **ret)
{
	const struct trust_key *claimed;
	const struct trust_key *k = signer_of(q->t, s, &claimed);

	*ret = k;
	if (k == NULL)
		return claimed != NULL ? SIGNER_BAD : SIGNER_UNKNOWN;
	if (k->state == KEY_REVOKED)
		return SIGNER_REVOKED;
	if (!holds(k, q->role))
		return SIGNER_ROLE;
	if (k->state == KEY_RETIRED && !q->retired_too)
		return SIGNER_RETIRED;
	return SIGNER_GOOD;
}

static void fault_say(const struct quorum *q, enum finding fault, uint64_t number, const char *who,
		      char *dst, size_t size)
{
	const char *role = role_names[q->role];

	switch (fault) {
	case SIGNER_UNKNOWN:
		snprintf(dst, size, "signed by key %016" PRIX64 ", which %s does not know", number,
			 who);
		break;
	case SIGNER_BAD:
		snprintf(dst, size,
			 "the signature by key %016" PRIX64
			 " does not fit its content, which was altered or damaged",
			 number);
		break;
	case SIGNER_REVOKED:
		snprintf(dst, size, "signed by key %016" PRIX64 ", which %s has revoked", number,
			 who);
		break;
	case SIGNER_RETIRED:
		snprintf(dst, size, "signed by key %016" PRIX64 ", a %s key that %s has retired",
			 number, role, who);
		break;
	case SIGNER_ROLE:
		snprintf(dst, size, "signed by key %016" PRIX64 ", which is not a %s key of %s",
			 number, role, who);
		break;
	case SIGNER_GOOD:
		snprintf(dst, size, "signed by key %016" PRIX64 " more than once", number);
		break;
	}
}

/*
 * Count distinct keys among the good signatures.  Bad ones do not spoil enough good ones; when
 * there are not enough, the first bad one is named.
 */
static int quorum_check(const struct quorum *q, const struct signed_doc *doc, const char *what,
			const char *who, struct err *err)
{
	const struct trust_key *good[LIMIT_LAYERS];
	uint32_t n = 0, need = q->t->threshold[q->role];
	char fault[512] = "";

	for (size_t i = 0; i < doc->layers && i < LIMIT_LAYERS; i++) {
		const struct trust_key *k;
		enum finding f = judge(q, &doc->layer[i], &k);
		bool again = false;

		for (uint32_t j = 0; j < n && f == SIGNER_GOOD; j++)
			again |= key_same(&good[j]->key, &k->key);
		if (f == SIGNER_GOOD && !again)
			good[n++] = k;
		else if (fault[0] == '\0')
			fault_say(q, f, doc->layer[i].number, who, fault, sizeof(fault));
	}
	if (need > 0 && n >= need)
		return 0;
	if (n == 0 && fault[0] != '\0')
		return err_set(err, RC_UNTRUSTED, "%s: %s", what, fault);
	return err_set(err, RC_UNTRUSTED,
		       "%s: signed by %" PRIu32 " of the %" PRIu32 " %s keys that %s asks for%s%s",
		       what, n, need, role_names[q->role], who, fault[0] != '\0' ? "; also " : "",
		       fault);
}

static int site_quorum(const struct quorum *q, const struct signed_doc *doc, const char *what,
		       struct err *err)
{
	char who[SITE_SHOWN + 8];

	snprintf(who, sizeof(who), "site %.*s", SITE_SHOWN, q->t->name);
	return quorum_check(q, doc, what, who, err);
}

int trust_role(const struct trust *t, enum role role, const struct signed_doc *doc,
	       const char *what, struct err *err)
{
	return site_quorum(&(struct quorum){t, role, false}, doc, what, err);
}

int trust_role_named(const struct trust *t, enum role role, const struct signed_doc *doc,
		     const char *what, struct err *err)
{
	return site_quorum(&(struct quorum){t, role, true}, doc, what, err);
}

/* From version to version */

static int root_quorum(const struct trust *t, const struct signed_doc *doc, const char *what,
		       struct err *err)
{
	char who[SITE_SHOWN + 64];

	snprintf(who, sizeof(who), "trust version %" PRIu64 " of site %.*s", t->version, SITE_SHOWN,
		 t->name);
	return quorum_check(&(struct quorum){t, ROLE_ROOT, false}, doc, what, who, err);
}

/* The document by itself: really decoded from ${doc}, sensible, signed by its own root keys. */
static int own_check(const struct trust *t, const struct signed_doc *doc, const char *what,
		     struct err *err)
{
	int rc;

	if (!digest_equal(&t->identity, &doc->identity))
		return err_set(err, RC_INTERNAL, "%s was not decoded from what is signed here",
			       what);
	rc = trust_check(t, err);
	if (rc < 0)
		return err == NULL ? rc : err_prefix(err, "%s", what);
	return root_quorum(t, doc, what, err);
}

int trust_first(const struct trust *t, const struct signed_doc *doc, const struct digest *site,
		struct err *err)
{
	if (!digest_equal(&doc->identity, site))
		return err_set(err, RC_UNTRUSTED,
			       "trust version 1 is that of another site than the one expected");
	if (t->version != 1)
		return err_set(err, RC_UNTRUSTED,
			       "a chain of trust begins with version 1, not with version %" PRIu64,
			       t->version);
	return own_check(t, doc, "trust version 1", err);
}

/* Before any signature is looked at: versions that change nothing, whoever signed them. */
static int succession_check(const struct trust *cur, const struct trust *next, const char *what,
			    struct err *err)
{
	if (next->version < cur->version)
		return err_set(err, RC_REPLAY,
			       "%s is older than version %" PRIu64 ", which is held", what,
			       cur->version);
	if (digest_equal(&next->identity, &cur->identity))
		return err_set(err, RC_REPLAY, "%s is held already", what);
	if (next->version > cur->version + 1)
		return err_set(err, RC_INCOMPLETE,
			       "%s cannot follow version %" PRIu64 ": version %" PRIu64
			       " is missing; copy the whole depot",
			       what, cur->version, cur->version + 1);
	return 0;
}

static int epoch_check(const struct trust *cur, const struct trust *next, const char *what,
		       struct err *err)
{
	for (int role = 0; role < ROLE_COUNT; role++)
		if (next->epoch[role] < cur->epoch[role])
			return err_set(err, RC_REPLAY,
				       "%s takes the epoch of %s back from %" PRIu64 " to %" PRIu64,
				       what, role_names[role], cur->epoch[role], next->epoch[role]);
	return 0;
}

int trust_next(const struct trust *cur, const struct trust *next, const struct signed_doc *doc,
	       struct err *err)
{
	char what[48];
	int rc;

	snprintf(what, sizeof(what), "trust version %" PRIu64, next->version);
	rc = succession_check(cur, next, what, err);
	if (rc < 0 || (rc = root_quorum(cur, doc, what, err)) < 0)
		return rc;
	/* A fork is said only of what the root keys that we trust have signed. */
	if (next->version == cur->version)
		return err_set(err, RC_FORK,
			       "there are two different versions %" PRIu64
			       " of the trust of site %.*s, both signed by its root keys",
			       cur->version, SITE_SHOWN, cur->name);
	if (!digest_equal(&next->previous, &cur->identity))
		return err_set(err, RC_FORK,
			       "%s follows another version %" PRIu64 " than the one that is held",
			       what, cur->version);
	rc = own_check(next, doc, what, err);
	return rc < 0 ? rc : epoch_check(cur, next, what, err);
}

/* In words */

static void roles_say(const struct trust_key *k, char *dst, size_t size)
{
	size_t used = 0;

	dst[0] = '\0';
	for (int role = 0; role < ROLE_COUNT; role++)
		if (holds(k, (enum role)role) && used < size)
			used += (size_t)snprintf(dst + used, size - used, "%s%s",
						 used > 0 ? " and " : "", role_names[role]);
}

void trust_signer(const struct trust *t, const struct signed_doc *doc, char *dst, size_t size)
{
	char roles[64];
	size_t used = 0;

	if (size > 0)
		dst[0] = '\0';
	for (size_t i = 0; i < doc->layers && i < LIMIT_LAYERS && used < size; i++) {
		const struct signature *s = &doc->layer[i];
		const struct trust_key *claimed;
		const struct trust_key *k = signer_of(t, s, &claimed);
		const char *comma = i > 0 ? ", " : "";
		int n;

		if (k == NULL) {
			n = snprintf(dst + used, size - used, "%s%s key %016" PRIX64 "%s", comma,
				     claimed == NULL ? "unknown" : "not", s->number,
				     claimed == NULL ? "" : " (its signature does not fit)");
		} else {
			roles_say(k, roles, sizeof(roles));
			n = snprintf(dst + used, size - used, "%s%s key %016" PRIX64 " (%s)", comma,
				     roles[0] != '\0' ? roles : "idle", s->number,
				     state_names[k->state]);
		}
		used += n > 0 ? (size_t)n : 0;
	}
}

const struct key_public *trust_collect(const struct trust *t)
{
	for (size_t i = 0; i < t->keys; i++)
		if (t->key[i].state == KEY_CURRENT && holds(&t->key[i], ROLE_COLLECT) &&
		    t->key[i].key.kind == KEY_SEAL)
			return &t->key[i].key;
	return NULL;
}
