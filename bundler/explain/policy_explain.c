/* SPDX-License-Identifier: ISC */
/*
 * Where every value of an effective policy comes from, and what it took the place of.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/activation/activation.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/policy_internal.h"
#include "bundler/explain/policy_explain.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"

struct explaining {
	const struct policies *p;
	struct policy_made made;
	const struct policy **layer; /* owned list of borrowed policies */
	size_t layers, cap;
	struct policy_said *other; /* owned; texts too; as many as layers */
	int (*each)(void *arg, const struct policy_explained *e, struct err *err);
	void *arg;
};

static void explaining_clear(struct explaining *x)
{
	policy_made_clear(&x->made);
	free((void *)x->layer);
	free(x->other);
}

/* Two users may share groups; a layer is told once. */
static void layer_add(struct explaining *x, const struct policy *layer)
{
	for (size_t i = 0; i < x->layers; i++) {
		if (x->layer[i] == layer)
			return;
	}
	if (x->layers < x->cap)
		x->layer[x->layers++] = layer;
}

static void groups_add(struct explaining *x, const struct site_user *u)
{
	const struct site_group *group[PEOPLE_DEPTH];
	size_t n = people_groups(x->p->people, u, group);

	for (size_t i = 0; i < n; i++)
		layer_add(x, &x->p->group[group[i] - x->p->s->group].layer.policy);
}

/*
 * In the order in which they are laid over each other, so that reading them backwards gives what
 * was overridden last first.
 */
static int layers_make(struct explaining *x, const struct policy_for *who,
		       const struct site_user *user, struct err *err)
{
	x->cap = 2 + x->p->s->groups;
	x->layer = calloc(x->cap, sizeof(*x->layer));
	x->other = calloc(x->cap + 1, sizeof(*x->other));
	if (x->layer == NULL || x->other == NULL)
		return err_memory(err);
	layer_add(x, &x->p->baseline.policy);
	layer_add(x, &x->made.own.policy);
	/* The first user's values win, so theirs are nearest to being in force. */
	for (size_t i = who->users; user == NULL && i-- > 0;)
		groups_add(x, who->user[i]);
	if (user != NULL)
		groups_add(x, user);
	return 0;
}

/* said_by(layer, it, ret, ret_origin, err): 1 when the layer says something of the same path. */
static int said_by(const struct policy *layer, const struct policy_item *it, struct buf *ret,
		   const char **ret_origin, struct err *err)
{
	struct policy_item there = *it;
	int rc;

	if (it->setting < POLICY_SETTINGS) {
		if ((layer->settings.said & 1u << it->setting) == 0)
			return 0;
		*ret_origin = layer->origin[it->setting];
	} else {
		there.value = policy_value_at(layer, it->path);
		if (there.value == NULL)
			return 0;
		*ret_origin = there.value->origin;
	}
	rc = policy_item_text(layer, &there, ret, err);
	return rc < 0 ? rc : 1;
}

/* Texts one after the other, each with its NUL; views are made when all are there. */
static int others_find(struct explaining *x, const struct policy_item *it, struct buf *text,
		       size_t *ret_n, struct err *err)
{
	size_t at = 0;

	*ret_n = 0;
	for (size_t i = x->layers; i-- > 0;) {
		const char *origin = NULL;
		size_t before = text->n;
		int rc = said_by(x->layer[i], it, text, &origin, err);

		if (rc < 0 || (rc == 1 && buf_add(text, "", 1, err) < 0))
			return rc < 0 ? rc : RC_MEMORY;
		if (rc == 0)
			continue;
		/* The layer that is in force did not take the place of itself. */
		if (strcmp(origin, it->origin) == 0) {
			text->n = before;
			continue;
		}
		x->other[(*ret_n)++].origin = origin;
	}
	for (size_t i = 0; i < *ret_n; i++) {
		x->other[i].text = (const char *)text->p + at;
		at += strlen(x->other[i].text) + 1;
	}
	return 0;
}

static int explain(void *arg, const struct policy_item *it, struct err *err)
{
	struct explaining *x = arg;
	OWNED(buf_clear) struct buf text = BUF_INIT, others = BUF_INIT;
	struct policy_explained e = {.path = it->path, .said.origin = it->origin};
	int rc = policy_item_text(&x->made.policy, it, &text, err);

	if (rc == 0)
		rc = others_find(x, it, &others, &e.others, err);
	if (rc < 0)
		return rc;
	e.said.text = (const char *)text.p;
	e.other = x->other;
	return x->each(x->arg, &e, err);
}

/* Settings that no policy says: what satchel, or the workstation's owner, does then. */
static int defaults_explain(struct explaining *x, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < POLICY_SETTINGS; i++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;
		char path[64];
		struct policy_explained e = {.path = path};

		if ((x->made.policy.settings.said & 1u << i) != 0)
			continue;
		snprintf(path, sizeof(path), "settings.%s",
			 policy_setting_name((enum policy_setting)i));
		rc = policy_setting_text(&x->made.policy.settings, (enum policy_setting)i, &text,
					 err);
		if (rc < 0)
			return rc;
		e.said.text = (const char *)text.p;
		e.said.origin =
		    i == POLICY_LOCAL_CHANGES ? "the workstation's owner" : "satchel itself";
		rc = x->each(x->arg, &e, err);
	}
	return rc;
}

int policies_explain(const struct policies *p, const struct policy_for *who,
		     const struct site_user *user,
		     int (*each)(void *arg, const struct policy_explained *e, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(explaining_clear) struct explaining x = {.p = p, .each = each, .arg = arg};
	int rc = user != NULL ? policies_user(p, who->w, user, &x.made, err)
			      : policies_workstation(p, who, &x.made, err);

	if (rc == 0)
		rc = layers_make(&x, who, user, err);
	if (rc == 0)
		rc = defaults_explain(&x, err);
	return rc != 0 ? rc : policy_each(&x.made.policy, explain, &x, err);
}

/* Who is active on a workstation now, and entitled. */
struct explain_active {
	struct site *s;
	LIST(const struct site_user *) user;
};

static void active_clear(struct explain_active *a)
{
	list_clear(&a->user);
}

static int active_add(void *arg, const struct site_activation *row, struct err *err)
{
	struct explain_active *a = arg;
	const struct site_user *u = site_user(a->s, row->email);

	if (u == NULL || !row->active || !people_entitled(a->s, u, clock_now(), NULL))
		return 0;
	return list_push(&a->user, u, err);
}

/*
 * A workstation that has a document and never enrolled can be explained too: that is when people
 * ask.
 */
static int active_read(struct explain_active *a, const char *workstation, struct err *err)
{
	struct workstation w;
	int rc = workstation_member_by_name(a->s->db, workstation, &w, err);

	if (rc == 0 && site_workstation(a->s, workstation) == NULL)
		return err_set(err, RC_USAGE, "there is no workstation %s", workstation);
	return rc <= 0 ? rc : activations_of_workstation(a->s, w.id, active_add, a, err);
}

int policies_explain_now(struct site *s, const char *workstation, const char *email,
			 int (*each)(void *arg, const struct policy_explained *e, struct err *err),
			 void *arg, struct err *err)
{
	OWNED(active_clear) struct explain_active a = {.s = s};
	OWNED(people_freep) struct people *people = NULL;
	OWNED(policies_freep) struct policies *p = NULL;
	const struct site_user *u = email == NULL ? NULL : site_user(s, email);
	struct site_workstation spare;
	struct policy_for who = {.w = site_workstation_or(s, workstation, &spare)};
	int rc;

	if (email != NULL && u == NULL)
		return err_set(err, RC_USAGE, "there is no user %s", email);
	rc = active_read(&a, workstation, err);
	if (rc == 0)
		rc = people_new(s, &people, err);
	if (rc == 0)
		rc = policies_new(s, people, &p, err);
	if (rc < 0)
		return rc;
	who.user = a.user.items;
	who.users = a.user.n;
	return policies_explain(p, &who, u, each, arg, err);
}
