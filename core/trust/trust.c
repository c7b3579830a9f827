/* SPDX-License-Identifier: ISC */
/*
 * Which keys may do what, and how one version of a trust document leads to the next.  The chain is
 * what a workstation has instead of a certificate authority: the root keys of the version that it
 * holds must sign the next one, so a stolen publish key cannot make itself trusted.
 */
#include "core/trust/trust.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

const char *const role_names[ROLE_COUNT] = {"root", "publish", "beat", "collect", "private"};

static const char *const state_names[] = {"current", "retired", "revoked"};

#define SITE_SHOWN 80 /* bytes of a site's name in a sentence */

static bool holds(const struct trust_key *k, enum role role)
{
	return (k->roles & 1u << role) != 0;
}

enum role trust_acting(const struct trust *t, enum role role)
{
	return role == ROLE_PRIVATE && t->format < 2 ? ROLE_PUBLISH : role;
}

uint64_t trust_epoch(const struct trust *t, enum role role)
{
	return t->epoch[trust_acting(t, role)];
}

bool trust_only(const char *only, const char *channel)
{
	size_t n = strlen(only);

	if (n == 0)
		return true;
	if (only[n - 1] == '*')
		return strncmp(only, channel, n - 1) == 0;
	return strcmp(only, channel) == 0;
}

/* What a document can be worth by itself */

/* The same key twice could be counted twice towards a threshold. */
static int key_check(const struct trust *t, size_t i, struct err *err)
{
	const struct trust_key *k = &t->key[i];
	const unsigned signing = 1u << ROLE_ROOT | 1u << ROLE_PUBLISH | 1u << ROLE_BEAT |
				 (t->format < 2 ? 0 : 1u << ROLE_PRIVATE);
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
	if (k->only[0] != '\0' && (t->format < 2 || k->roles != 1u << ROLE_PUBLISH))
		return err_set(err, RC_MALFORMED,
			       "key %s is for some channels only, which only a publish key can be",
			       number);
	for (size_t j = 0; j < i; j++) {
		if (key_same(&t->key[j].key, &k->key))
			return err_set(err, RC_MALFORMED, "key %s is listed twice", number);
		if (t->key[j].key.number == k->key.number)
			return err_set(err, RC_MALFORMED, "two keys have the number %s", number);
	}
	return 0;
}

/*
 * A role that nobody can fulfil would lock the site out of its own future, and two current collect
 * keys would leave senders to guess.
 */
static int role_check(const struct trust *t, enum role role, struct err *err)
{
	bool several = role == ROLE_ROOT || (role == ROLE_PUBLISH && t->format >= 2);
	uint32_t most = several ? LIMIT_LAYERS : 1;
	uint32_t have = 0;

	for (size_t i = 0; i < t->keys; i++)
		have += holds(&t->key[i], role) && t->key[i].state == KEY_CURRENT;
	if (t->threshold[role] < 1 || t->threshold[role] > most)
		return err_set(err, RC_MALFORMED,
			       "the threshold of %s is %" PRIu32 "; it can be 1 to %" PRIu32,
			       role_names[role], t->threshold[role], most);
	if (have < t->threshold[role])
		return err_set(err, RC_MALFORMED,
			       "the threshold of %s is %" PRIu32 ", but only %" PRIu32
			       " of its keys %s current",
			       role_names[role], t->threshold[role], have,
			       have == 1 ? "is" : "are");
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
		if (trust_acting(t, (enum role)role) == (enum role)role)
			rc = role_check(t, (enum role)role, err);
	return rc;
}

/* Who signed */

enum signer_finding {
	SIGNER_GOOD,
	SIGNER_UNKNOWN,
	SIGNER_BAD,
	SIGNER_REVOKED,
	SIGNER_RETIRED,
	SIGNER_ROLE,
	SIGNER_CHANNEL
};

struct quorum {
	const struct trust *t;
	enum role role;
	bool retired_too;
	const char *channel; /* what the signature is about; NULL: any key of the role will do */
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

static enum signer_finding judge(const struct quorum *q, const struct signature *s,
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
	if (q->channel != NULL && !trust_only(k->only, q->channel))
		return SIGNER_CHANNEL;
	return SIGNER_GOOD;
}

static void fault_text(const struct quorum *q, enum signer_finding fault, uint64_t number,
		       const char *who, char *dst, size_t size)
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
			 " does not match its content, which was altered or damaged",
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
	case SIGNER_CHANNEL:
		snprintf(dst, size,
			 "signed by key %016" PRIX64 ", which %s trusts for other channels only",
			 number, who);
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
		enum signer_finding f = judge(q, &doc->layer[i], &k);
		bool again = false;

		for (uint32_t j = 0; j < n && f == SIGNER_GOOD; j++)
			again |= key_same(&good[j]->key, &k->key);
		if (f == SIGNER_GOOD && !again)
			good[n++] = k;
		else if (fault[0] == '\0')
			fault_text(q, f, doc->layer[i].number, who, fault, sizeof(fault));
	}
	if (need > 0 && n >= need)
		return 0;
	if (n == 0 && fault[0] != '\0')
		return err_set(err, RC_UNTRUSTED, "%s: %s", what, fault);
	return err_set(err, RC_UNTRUSTED,
		       "%s: signed by %" PRIu32 " %s %s, but %s asks for %" PRIu32 "%s%s", what, n,
		       role_names[q->role], n == 1 ? "key" : "keys", who, need,
		       fault[0] != '\0' ? "; also " : "", fault);
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
	return site_quorum(&(struct quorum){t, trust_acting(t, role), false, NULL}, doc, what, err);
}

int trust_role_named(const struct trust *t, enum role role, const struct signed_doc *doc,
		     const char *what, struct err *err)
{
	return site_quorum(&(struct quorum){t, trust_acting(t, role), true, NULL}, doc, what, err);
}

int trust_release(const struct trust *t, const char *channel, const struct signed_doc *doc,
		  const char *what, struct err *err)
{
	return site_quorum(&(struct quorum){t, ROLE_PUBLISH, false, channel}, doc, what, err);
}

uint32_t trust_release_keys(const struct trust *t, const char *channel)
{
	uint32_t n = 0;

	for (size_t i = 0; i < t->keys; i++)
		n += t->key[i].state == KEY_CURRENT && holds(&t->key[i], ROLE_PUBLISH) &&
		     trust_only(t->key[i].only, channel);
	return n;
}

/*
 * A manifest has one signature, so the threshold of publish does not apply: it says only how to get
 * to a tree, and which trees there are is said by releases.
 */
int trust_manifest(const struct trust *t, const struct signed_doc *doc, const char *what,
		   struct err *err)
{
	int rc = trust_role_named(t, ROLE_PRIVATE, doc, what, err);

	return rc < 0 && t->format >= 2 && trust_signed_once(t, ROLE_PUBLISH, doc) ? 0 : rc;
}

bool trust_signed_once(const struct trust *t, enum role role, const struct signed_doc *doc)
{
	const struct quorum q = {t, trust_acting(t, role), true, NULL};
	const struct trust_key *k;

	for (size_t i = 0; i < doc->layers; i++)
		if (judge(&q, &doc->layer[i], &k) == SIGNER_GOOD)
			return true;
	return false;
}

/* From version to version */

static int root_quorum(const struct trust *t, const struct signed_doc *doc, const char *what,
		       struct err *err)
{
	char who[SITE_SHOWN + 64];

	snprintf(who, sizeof(who), "trust version %" PRIu64 " of site %.*s", t->version, SITE_SHOWN,
		 t->name);
	return quorum_check(&(struct quorum){t, ROLE_ROOT, false, NULL}, doc, what, who, err);
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
		return err_prefix(err, "%s", what);
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
		if (trust_epoch(next, (enum role)role) < trust_epoch(cur, (enum role)role))
			return err_set(err, RC_REPLAY,
				       "%s takes the epoch of %s back from %" PRIu64 " to %" PRIu64,
				       what, role_names[role], trust_epoch(cur, (enum role)role),
				       trust_epoch(next, (enum role)role));
	return 0;
}

/*
 * The order decides what can be said: first what needs no key (old, missing versions), then the
 * root keys that are trusted now, then the rest.  Nothing that the present root keys have not
 * signed can raise an alarm.
 */
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

static void roles_text(const struct trust_key *k, char *dst, size_t size)
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
				     claimed == NULL ? "" : " (its signature does not match)");
		} else {
			roles_text(k, roles, sizeof(roles));
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
