/* SPDX-License-Identifier: ISC */
/*
 * Where every value of an effective policy comes from, for people who ask why a workstation does
 * what it does.
 */
#ifndef SATCHEL_BUNDLER_EXPLAIN_POLICY_EXPLAIN_H
#define SATCHEL_BUNDLER_EXPLAIN_POLICY_EXPLAIN_H

#include "bundler/entitlement/policy.h"

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

/**
 * policies_explain(p, who, user, each, arg, err): every setting, and every value, of a workstation,
 * or of ${user} there when not NULL: what is in force, and what the other policies that apply say,
 * the one nearest to being in force first.
 */
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
