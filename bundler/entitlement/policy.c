/* SPDX-License-Identifier: ISC */
/*
 * Laying policies over each other for a workstation or a user.  The layers of site and groups are
 * made once and shared by all; what differs is the order, so that an effective policy costs a
 * merge and not a parse.
 */
#include "bundler/entitlement/policy.h"

#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/policy_internal.h"
#include "core/base/own.h"

static void layer_clear(struct layer *l)
{
	policy_clear(&l->policy);
}

void policies_freep(struct policies **at)
{
	struct policies *p = *at;

	if (p == NULL)
		return;
	layer_clear(&p->baseline);
	for (size_t i = 0; p->group != NULL && i < p->s->groups; i++)
		layer_clear(&p->group[i].layer);
	free(p->group);
	free(p->document);
	free(p);
	*at = NULL;
}

/* layer_make(s, name, ret, err): the policy ${name} as a layer that says where it comes from; an
 * empty one when ${name} leads nowhere (site_references_check reports that). */
static int layer_make(const struct site *s, const char *name, const char *origin,
		      struct policy *ret, struct err *err)
{
	const struct site_policy *doc = name[0] == '\0' ? NULL : site_policy(s, name);

	policy_init(ret);
	return doc == NULL ? 0 : policy_copy(&doc->policy, origin, ret, err);
}

static int baseline_make(struct policies *p, struct err *err)
{
	struct layer *l = &p->baseline;

	snprintf(l->origin, sizeof(l->origin), "policy %s of the site", p->s->baseline);
	return layer_make(p->s, p->s->baseline, l->origin, &l->policy, err);
}

/*
 * documents_digest(p, err): of what each document says, however it is written.  Of the meaning and
 * not of the text: comments in a policy must not give every workstation a new private channel.
 */
static int documents_digest(struct policies *p, struct err *err)
{
	p->document = calloc(p->s->policies + 1, sizeof(*p->document));
	if (p->document == NULL)
		return err_memory(err);
	for (size_t i = 0; i < p->s->policies; i++) {
		OWNED(policy_clear) struct policy read;
		OWNED(buf_clear) struct buf text = BUF_INIT;
		const char *name = p->s->policy[i].name;
		int rc = layer_make(p->s, name, name, &read, err);

		if (rc == 0)
			rc = effective_encode(&read, &text, err);
		if (rc < 0)
			return err_prefix(err, "policy %s", name);
		p->document[i] = digest_of(bytes_in(&text));
	}
	return 0;
}

/* What a policy adds to the inputs of whoever gets it. */
static void digest_policy(const struct policies *p, const char *name, struct digest_stream *d)
{
	const struct site_policy *doc = name[0] == '\0' ? NULL : site_policy(p->s, name);

	digest_more(d, name, strlen(name) + 1);
	if (doc != NULL)
		digest_more(d, p->document[doc - p->s->policy].b, DIGEST_BYTES);
}

static int groups_make(struct policies *p, struct err *err)
{
	p->group = calloc(p->s->groups + 1, sizeof(*p->group));
	if (p->group == NULL)
		return err_memory(err);
	for (size_t i = 0; i < p->s->groups; i++) {
		const struct site_group *g = &p->s->group[i];
		struct layer *l = &p->group[i].layer;
		int rc;

		snprintf(l->origin, sizeof(l->origin), "policy %s of group %s", g->policy, g->name);
		rc = layer_make(p->s, g->policy, l->origin, &l->policy, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* groups_digest(p): of each group with those above it. */
static void groups_digest(struct policies *p)
{
	const struct site_group *above[PEOPLE_DEPTH];

	for (size_t i = 0; i < p->s->groups; i++) {
		size_t n = people_outer(p->people, &p->s->group[i], above);
		struct digest_stream d;

		digest_start(&d);
		for (size_t k = 0; k < n; k++) {
			digest_more(&d, above[k]->name, strlen(above[k]->name) + 1);
			digest_policy(p, above[k]->policy, &d);
		}
		p->group[i].chain = digest_end(&d);
	}
}

int policies_new(const struct site *s, const struct people *people, struct policies **ret,
		 struct err *err)
{
	OWNED(policies_freep) struct policies *p = calloc(1, sizeof(*p));
	int rc;

	if (p == NULL)
		return err_memory(err);
	p->s = s;
	p->people = people;
	rc = documents_digest(p, err);
	if (rc == 0)
		rc = baseline_make(p, err);
	if (rc == 0)
		rc = groups_make(p, err);
	if (rc < 0)
		return rc;
	groups_digest(p);
	*ret = TAKE(p);
	return 0;
}

void policies_digest(const struct policies *p, const struct site_workstation *w,
		     struct digest_stream *d)
{
	digest_policy(p, p->s->baseline, d);
	digest_policy(p, w->policy, d);
}

void policies_digest_user(const struct policies *p, const struct site_user *u,
			  struct digest_stream *d)
{
	const struct site_group *g = u->group[0] == '\0' ? NULL : site_group(p->s, u->group);

	digest_more(d, u->group, strlen(u->group) + 1);
	if (g != NULL)
		digest_more(d, p->group[g - p->s->group].chain.b, DIGEST_BYTES);
}

/* Laying over */

void policy_made_clear(struct policy_made *m)
{
	policy_clear(&m->policy);
	policy_clear(&m->own.policy);
}

/* The layer of the workstation itself; the rest is empty. */
static int own_make(const struct policies *p, const struct site_workstation *w,
		    struct policy_made *ret, struct err *err)
{
	policy_init(&ret->policy);
	snprintf(ret->own.origin, sizeof(ret->own.origin), "policy %s of workstation %s", w->policy,
		 w->name);
	return layer_make(p->s, w->policy, ret->own.origin, &ret->own.policy, err);
}

/* below_make(p, ret, err): what is below the groups' policies. */
static int below_make(const struct policies *p, const struct policy_made *made, struct policy *ret,
		      struct err *err)
{
	int rc;

	policy_init(ret);
	rc = policy_overlay(ret, &p->baseline.policy, err);
	return rc < 0 ? rc : policy_overlay(ret, &made->own.policy, err);
}

static int groups_overlay(const struct policies *p, const struct site_user *u, struct policy *under,
			  struct err *err)
{
	const struct site_group *group[PEOPLE_DEPTH];
	size_t n = people_groups(p->people, u, group);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = policy_overlay(under, &p->group[group[i] - p->s->group].layer.policy, err);
	return rc;
}

static int user_make(const struct policies *p, const struct policy_made *made,
		     const struct site_user *u, struct policy *ret, struct err *err)
{
	int rc = below_make(p, made, ret, err);

	return rc < 0 ? rc : groups_overlay(p, u, ret, err);
}

int policies_user(const struct policies *p, const struct site_workstation *w,
		  const struct site_user *u, struct policy_made *ret, struct err *err)
{
	int rc = own_make(p, w, ret, err);

	return rc < 0 ? rc : user_make(p, ret, u, &ret->policy, err);
}

/* Does an earlier user have the same groups?  Then this one changes nothing. */
static bool group_is_repeated(const struct policy_for *who, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (strcmp(who->user[k]->group, who->user[i]->group) == 0)
			return true;
	}
	return false;
}

int policies_workstation(const struct policies *p, const struct policy_for *who,
			 struct policy_made *ret, struct err *err)
{
	int rc = own_make(p, who->w, ret, err);

	if (rc == 0 && who->users == 0)
		return below_make(p, ret, &ret->policy, err);
	if (rc == 0)
		rc = user_make(p, ret, who->user[0], &ret->policy, err);
	for (size_t i = 1; rc == 0 && i < who->users; i++) {
		OWNED(policy_clear) struct policy next;

		policy_init(&next);
		if (group_is_repeated(who, i))
			continue;
		rc = user_make(p, ret, who->user[i], &next, err);
		if (rc == 0)
			rc = policy_strictest(&ret->policy, &next, err);
	}
	return rc;
}
