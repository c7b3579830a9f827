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
#ifndef SATCHEL_BUNDLER_POLICY_H
#define SATCHEL_BUNDLER_POLICY_H

#include "bundler/people.h"
#include "core/format/policy.h"

struct policies; /* owned */

/** policies_new(s, people, ret, err): borrows both.  RC_MALFORMED, RC_LIMIT: a document that no
 * workstation could be given. */
int policies_new(const struct site *s, const struct people *people, struct policies **ret,
		 struct err *err);
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

/**
 * policies_explain(p, who, user, each, arg, err): every setting, and every value, of a workstation,
 * or of ${user} there when not NULL: what is in force, and what the other policies that apply say,
 * the one nearest to being in force first.
 */
struct policy_said {
	const char *text;   /* as JSON */
	const char *origin; /* "policy kiosk of group front-desk", "satchel itself" */
};
struct policy_explained {
	const char *path; /* "settings.expiry", "values.proxy.host" */
	struct policy_said said;
	const struct policy_said *other;
	size_t others;
};
int policies_explain(const struct policies *p, const struct policy_for *who,
		     const struct site_user *user,
		     int (*each)(void *arg, const struct policy_explained *e, struct err *err),
		     void *arg, struct err *err);
/** policies_explain_now(s, workstation, email, each, arg, err): the same by names, with the
 * entitled users who are active there now; ${email} NULL: of the workstation.  RC_USAGE: no such
 * user; a workstation that nobody enrolled yet is explained without users. */
int policies_explain_now(struct site *s, const char *workstation, const char *email,
			 int (*each)(void *arg, const struct policy_explained *e, struct err *err),
			 void *arg, struct err *err);

#endif
