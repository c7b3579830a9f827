/* SPDX-License-Identifier: ISC */
/*
 * Effective policies: the documents of the site laid over each other, for a workstation and for
 * each user on it, with the origin of every value.  Source: docs/MODEL.md, "Who gets what".
 *
 *   the site's (baseline)  <  the workstation's  <  the groups' of an entitled user, outermost
 * first
 *
 * Each document is read once, and what the groups make of each other is named by digests, so that
 * whether a policy changed is known without laying anything over anything.
 */
#ifndef SATCHEL_BUNDLER_ENTITLEMENT_POLICY_H
#define SATCHEL_BUNDLER_ENTITLEMENT_POLICY_H

#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "core/format/policy/policy.h"

struct policies; /* owned */

/** policies_new(s, people, ret, err): borrows both.  RC_MALFORMED, RC_LIMIT: a document that no
 * workstation could be given. */
int policies_new(const struct site *s, const struct people *people, struct policies **ret,
		 struct err *err);
/**
 * policies_freep(p): release it; policies that were made with its origins must be gone before.
 * NULL is fine.
 */
void policies_freep(struct policies **p);

/* For whom: entitled users who are active on a workstation, ascending by e-mail address. */
struct policy_for {
	const struct site_workstation *w;
	const struct site_user *const *user; /* borrowed */
	size_t users;
};

/* An effective policy; its origins lie in ${own} or in the policies that made it. */
struct policy_made {
	struct policy policy;
	struct {
		char origin[POLICY_ORIGIN];
		struct policy policy;
	} own; /* the layer of the workstation itself */
};
/** policy_made_clear(m): release both policies; for OWNED. */
void policy_made_clear(struct policy_made *m);

/** policies_workstation(p, who, ret, err): when users differ, of each setting the stricter, of each
 * value the first user's.  policies_user(p, w, u, ret, err): with the groups of that user alone. */
int policies_workstation(const struct policies *p, const struct policy_for *who,
			 struct policy_made *ret, struct err *err);
int policies_user(const struct policies *p, const struct site_workstation *w,
		  const struct site_user *u, struct policy_made *ret, struct err *err);

/** policies_digest(p, w, d), policies_digest_user(p, u, d): what the policy of a workstation
 * without users, and what a user adds to it, is made of. */
void policies_digest(const struct policies *p, const struct site_workstation *w,
		     struct digest_stream *d);
void policies_digest_user(const struct policies *p, const struct site_user *u,
			  struct digest_stream *d);

#endif
