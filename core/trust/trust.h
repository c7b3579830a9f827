/* SPDX-License-Identifier: ISC */
/*
 * The trust of a site: which keys hold which role, after The Update Framework's root role.
 * A struct trust is one decoded trust document (core/format/documents/trustdoc.c makes it from
 * YAML); this module knows what it allows, and when a next version may take its place. Source: The
 * Update Framework specification 1.0.33, sections 5.3 and 6; Uptane.
 */
#ifndef SATCHEL_CORE_TRUST_TRUST_H
#define SATCHEL_CORE_TRUST_TRUST_H

#include "core/base/limits.h"
#include "core/trust/signed.h"

enum role { ROLE_ROOT, ROLE_PUBLISH, ROLE_BEAT, ROLE_COLLECT, ROLE_PRIVATE, ROLE_COUNT };
enum key_state { KEY_CURRENT, KEY_RETIRED, KEY_REVOKED };

extern const char
    *const role_names[ROLE_COUNT]; /* "root", "publish", "beat", "collect", "private" */

#define TRUST_ONLY 65 /* bytes of a channel's name, with a * and NUL */

struct trust_key {
	struct key_public key;
	enum key_state state;
	unsigned roles; /* bit (1 << enum role) */
	/* publish: the channels that it may sign for, a name or the beginning of names with a * at
	 * its end; "": all */
	char only[TRUST_ONLY];
};

struct trust {
	/* 2: private channels and the ways to a tree have a role of their own; 0 and 1: publish
	 * signs them too */
	unsigned format;
	char name[256];           /* of the site, as people call it */
	uint64_t version;         /* 1, 2, 3, ... */
	int64_t created, expires; /* seconds since 1970 UTC */
	struct digest previous;   /* identity of version - 1; zero for version 1 */
	struct trust_key key[LIMIT_KEYS];
	size_t keys;
	uint32_t threshold[ROLE_COUNT]; /* at least 1; always 1 for collect */
	uint64_t epoch[ROLE_COUNT];     /* generations of publish, sequences of beat are ordered by
					   (epoch, number) */
	struct digest identity;         /* of this document's innermost bytes */
	struct digest site;             /* site id: identity of version 1 */
};

/** trust_acting(t, role): the role whose keys do the work of ${role}: in format 1 publish stands
 * for private.  trust_epoch(t, role): the epoch of that one. */
enum role trust_acting(const struct trust *t, enum role role);
uint64_t trust_epoch(const struct trust *t, enum role role);

/** trust_only(only, channel): may a key with this restriction sign for ${channel}? */
bool trust_only(const char *only, const char *channel);

/**
 * trust_check(t, err): thresholds within 1..number of distinct current keys (beat, collect,
 * private: 1; publish: 1 in format 1, because there heads carry one signature), no key and no key
 * number twice, kinds fit roles, one current collect key, a version before exactly from version 2
 * on. RC_MALFORMED.
 */
int trust_check(const struct trust *t, struct err *err);

/**
 * trust_first(t, doc, site, err): accept version 1 when its identity is the pinned ${site} and it
 * is signed by a threshold of its own root keys. trust_next(cur, next, doc, err): accept ${next}
 * after ${cur}: version + 1, previous matches, a threshold of the root keys of ${cur} and of
 * ${next} (distinct keys) signed ${doc}; epochs do not fall.  Both run trust_check.  Errors:
 * RC_UNTRUSTED, RC_MALFORMED, RC_REPLAY (older, or held already: nothing to alarm about),
 * RC_INCOMPLETE (a version between is missing), RC_FORK (only of what the held root keys signed).
 */
int trust_first(const struct trust *t, const struct signed_doc *doc, const struct digest *site,
		struct err *err);
int trust_next(const struct trust *cur, const struct trust *next, const struct signed_doc *doc,
	       struct err *err);

/**
 * trust_role(t, role, doc, what, err): ${doc} carries a threshold of good signatures by current
 * keys of ${role}.
 * trust_role_named(t, role, doc, what, err): as that, but retired keys count too: for what a
 * document that is signed by a current key of the same role names by digest, and nothing else.
 * Errors: RC_UNTRUSTED; the sentence begins with ${what} and tells unknown signer, too few, wrong
 * role, revoked and bad signature apart: "bundle 41-42 of channel office: signed by key 7F3A…,
 * which is not a publish key of site Acme".
 */
int trust_role(const struct trust *t, enum role role, const struct signed_doc *doc,
	       const char *what, struct err *err);
int trust_role_named(const struct trust *t, enum role role, const struct signed_doc *doc,
		     const char *what, struct err *err);

/** trust_release(t, channel, doc, what, err): ${doc} carries a threshold of good signatures by
 * current publish keys, all of which may sign for ${channel}.  RC_UNTRUSTED, as trust_role. */
int trust_release(const struct trust *t, const char *channel, const struct signed_doc *doc,
		  const char *what, struct err *err);
/** trust_release_keys(t, channel): how many current publish keys may sign for ${channel}. */
uint32_t trust_release_keys(const struct trust *t, const char *channel);
/**
 * trust_manifest(t, doc, what, err): ${doc}, a manifest that a head of today names by its digest,
 * is signed by a key that makes bundles of channels, or once made them: private or publish, current
 * or retired.  RC_UNTRUSTED, as trust_role.
 */
int trust_manifest(const struct trust *t, const struct signed_doc *doc, const char *what,
		   struct err *err);

/** trust_signed_once(t, role, doc): has a key signed ${doc} that has the role, or had it until it
 * was retired?  Says nothing about whether that is enough. */
bool trust_signed_once(const struct trust *t, enum role role, const struct signed_doc *doc);

/** trust_signer(t, doc, dst, size): in words, who signed: "publish key 7F3A… (current)", "unknown
 * key 7F3A…", "not key 7F3A… (its signature does not match)"; for inspect and verify. */
void trust_signer(const struct trust *t, const struct signed_doc *doc, char *dst, size_t size);

/** trust_collect(t): the current collect key, or NULL. */
const struct key_public *trust_collect(const struct trust *t);

#endif
