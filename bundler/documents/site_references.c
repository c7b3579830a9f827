/* SPDX-License-Identifier: ISC */
/*
 * Names in documents that lead to other documents: one row for every field that holds them.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"

enum form {
	WORD,     /* char[]; "" is none */
	LIST,     /* char **, and how many */
	KEYS,     /* the same, of KEY or group:WORD */
	AUDIENCE, /* the same; only group:NAME leads to a document */
};

static const struct reference {
	const struct site_kind *from;
	const char *field;
	enum form form;
	size_t at, count; /* offsets in an element */
	const struct site_kind *to;
} references[] = {
#define AT(type, member)              offsetof(struct type, member), 0
#define AT_LIST(type, member, number) offsetof(struct type, member), offsetof(struct type, number)
    {&site_group_kind, "parent", WORD, AT(site_group, parent), &site_group_kind},
    {&site_group_kind, "policy", WORD, AT(site_group, policy), &site_policy_kind},
    {&site_group_kind, "channels", LIST, AT_LIST(site_group, channel, channels),
     &site_channel_kind},
    {&site_group_kind, "keys", KEYS, AT_LIST(site_group, key, keys), &site_key_kind},
    {&site_user_kind, "group", WORD, AT(site_user, group), &site_group_kind},
    {&site_user_kind, "licence", WORD, AT(site_user, licence), &site_licence_kind},
    {&site_user_kind, "extra-keys", KEYS, AT_LIST(site_user, extra, extras), &site_key_kind},
    {&site_user_kind, "withheld-keys", KEYS, AT_LIST(site_user, withheld, withhelds),
     &site_key_kind},
    {&site_workstation_kind, "policy", WORD, AT(site_workstation, policy), &site_policy_kind},
    {&site_channel_kind, "for", AUDIENCE, AT_LIST(site_channel, audience, audiences),
     &site_group_kind},
    {&site_channel_kind, "rollout", AUDIENCE, AT_LIST(site_channel, ring_to, ring_tos),
     &site_group_kind},
#undef AT
#undef AT_LIST
};

/* names_of(r, element, ret, ret_n): what the field holds, as a list. */
static void names_of(const struct reference *r, const char *element, const char *word[1],
		     const char *const **ret, size_t *ret_n)
{
	if (r->form == WORD) {
		word[0] = element + r->at;
		*ret = word;
		*ret_n = word[0][0] != '\0';
	} else {
		memcpy(ret, element + r->at, sizeof(*ret));
		memcpy(ret_n, element + r->count, sizeof(*ret_n));
	}
}

/* target_of(r, name): the document's name, NULL when ${name} leads to none by its form. */
static const char *target_of(const struct reference *r, const char *name)
{
	bool group = strncmp(name, "group:", 6) == 0;

	if (r->form == AUDIENCE)
		return group ? name + 6 : NULL;
	return r->form == KEYS && group ? NULL : name;
}

static bool key_group_there(const struct site *s, const char *word)
{
	for (size_t i = 0; i < s->keys; i++) {
		if (strcmp(s->key[i].group, word) == 0)
			return true;
	}
	return false;
}

struct faults {
	const struct site *s;
	int (*each)(void *arg, const struct site_fault *f, struct err *err);
	void *arg;
};

static int dangling(const struct faults *l, const char *file, const char *field, const char *what,
		    const char *name, struct err *err)
{
	struct site_fault f = {0};

	snprintf(f.about, sizeof(f.about), "%s %s %s", file, field, name);
	snprintf(f.text, sizeof(f.text), "%s: field `%s`: there is no %s called %s", file, field,
		 what, name);
	return l->each(l->arg, &f, err);
}

static void file_of(char dst[SITE_DOCUMENT_PATH], const struct site_kind *kind, const char *name)
{
	snprintf(dst, SITE_DOCUMENT_PATH, "%s/%s" SITE_SUFFIX, kind->directory, name);
}

static int name_check(const struct faults *l, const struct reference *r, const char *from,
		      const char *name, struct err *err)
{
	const char *to = target_of(r, name);
	char file[SITE_DOCUMENT_PATH];

	if (to != NULL ? site_find(l->s, r->to, to) != NULL
		       : r->form != KEYS || key_group_there(l->s, name + 6))
		return 0;
	file_of(file, r->from, from);
	return dangling(l, file, r->field, to != NULL ? r->to->noun : "key with the key group",
			to != NULL ? to : name + 6, err);
}

static int element_check(const struct faults *l, const struct reference *r, const char *element,
			 struct err *err)
{
	const char *word[1];
	const char *const *name;
	size_t n;
	int rc = 0;

	names_of(r, element, word, &name, &n);
	for (size_t k = 0; k < n && rc == 0; k++)
		rc = name_check(l, r, element, name[k], err);
	return rc;
}

static int field_check(const struct faults *l, const struct reference *r, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < site_count(l->s, r->from); i++)
		rc = element_check(l, r, site_element(l->s, r->from, i), err);
	return rc;
}

static int baseline_check(const struct faults *l, struct err *err)
{
	if (l->s->baseline[0] == '\0' || site_policy(l->s, l->s->baseline) != NULL)
		return 0;
	return dangling(l, SITE_FILE, "policy", "policy", l->s->baseline, err);
}

/*
 * group_check(l, g, err): going up from ${g} ends.  Bounded by depth, because a circle that does
 * not include the group itself would never come back to it.
 */
static int group_check(const struct faults *l, const struct site_group *g, struct err *err)
{
	const struct site_group *at = g;
	struct site_fault f = {0};
	size_t depth = 0;

	while (at != NULL && depth <= PEOPLE_DEPTH) {
		at = at->parent[0] == '\0' ? NULL : site_group(l->s, at->parent);
		depth++;
		if (at == g)
			break;
	}
	if (at == NULL && depth <= PEOPLE_DEPTH)
		return 0;
	snprintf(f.about, sizeof(f.about), "groups/%s parent", g->name);
	if (at == g)
		snprintf(f.text, sizeof(f.text),
			 "groups/%s.yaml: field `parent`: %s would be inside itself, %zu %s up",
			 g->name, g->name, depth, depth == 1 ? "step" : "steps");
	else
		snprintf(f.text, sizeof(f.text),
			 "groups/%s.yaml: field `parent`: more than %d groups inside each other",
			 g->name, PEOPLE_DEPTH);
	return l->each(l->arg, &f, err);
}

static int licences_check(const struct faults *l, struct err *err)
{
	OWNED(freep) uint64_t *taken = calloc(l->s->licences + 1, sizeof(*taken));
	int rc = 0;

	if (taken == NULL)
		return err_memory(err);
	for (size_t i = 0; i < l->s->users; i++) {
		const char *name = l->s->user[i].licence;
		const struct site_licence *x = name[0] == '\0' ? NULL : site_licence(l->s, name);

		if (x != NULL)
			taken[x - l->s->licence]++;
	}
	for (size_t i = 0; rc == 0 && i < l->s->licences; i++) {
		const struct site_licence *x = &l->s->licence[i];
		struct site_fault f = {.weight = taken[i] > x->seats ? taken[i] - x->seats : 0};

		if (f.weight == 0)
			continue;
		snprintf(f.about, sizeof(f.about), "licences/%s seats", x->name);
		snprintf(f.text, sizeof(f.text),
			 "licence %s has %llu %s and %llu %s: release some, or raise its seats",
			 x->name, (unsigned long long)x->seats, x->seats == 1 ? "seat" : "seats",
			 (unsigned long long)taken[i], taken[i] == 1 ? "user" : "users");
		rc = l->each(l->arg, &f, err);
	}
	return rc;
}

static bool channel_names(const struct site_channel *c, const char *prefix)
{
	for (size_t i = 0; i < c->audiences; i++) {
		if (strncmp(c->audience[i], prefix, strlen(prefix)) == 0)
			return true;
	}
	return false;
}

static bool channel_of_groups(const struct site *s, const struct site_channel *c)
{
	if (channel_names(c, "group:"))
		return true;
	for (size_t i = 0; i < s->groups; i++) {
		for (size_t k = 0; k < s->group[i].channels; k++) {
			if (strcmp(s->group[i].channel[k], c->name) == 0)
				return true;
		}
	}
	return false;
}

static bool channel_is_for_all(const struct site_channel *c)
{
	for (size_t i = 0; i < c->audiences; i++) {
		if (strcmp(c->audience[i], "all") == 0)
			return true;
	}
	return false;
}

/*
 * channels_meet(...): does some workstation get both?  One that does not exist yet could, when both
 * are for everybody or name the same audience.  Where a user becomes active is said at the
 * workstation, later, and several can be on one, so a channel that a group gives can meet every
 * other that anybody gets.  ${where} becomes the name of a workstation, or words for the others.
 */
static bool channels_meet(const struct site *s, const struct site_channel *a,
			  const struct site_channel *b, const char **where)
{
	bool groups_a = channel_of_groups(s, a), groups_b = channel_of_groups(s, b);
	bool any_a = groups_a || a->audiences > 0, any_b = groups_b || b->audiences > 0;

	*where = groups_a || groups_b ? "a workstation where users of their groups are active"
				      : "the same workstations";
	if ((channel_is_for_all(a) || groups_a) && any_b)
		return true;
	if ((channel_is_for_all(b) || groups_b) && any_a)
		return true;
	for (size_t i = 0; i < a->audiences; i++) {
		for (size_t k = 0; k < b->audiences; k++) {
			if (strcmp(a->audience[i], b->audience[k]) == 0)
				return true;
		}
	}
	for (size_t i = 0; i < s->workstations; i++) {
		*where = s->workstation[i].name;
		if (site_subscribes(&s->workstation[i], a) &&
		    site_subscribes(&s->workstation[i], b))
			return true;
	}
	return false;
}

static bool targets_nested(const char *a, const char *b)
{
	size_t n = strlen(b);

	return strcmp(b, "/") == 0 || (strncmp(a, b, n) == 0 && (a[n] == '/' || a[n] == '\0'));
}

/* Could one workstation get both, and is one target inside the other?  ${why} gets a sentence then.
 * Two channels that one workstation gets would each delete what the other one put there. */
static bool targets_meet(const struct site *s, const struct site_channel *a,
			 const struct site_channel *b, char why[ERR_TEXT_MAX])
{
	const char *where;

	if (!targets_nested(a->target, b->target) && !targets_nested(b->target, a->target))
		return false;
	if (!channels_meet(s, a, b, &where))
		return false;
	snprintf(why, ERR_TEXT_MAX,
		 "channels %s and %s would both write below %.400s on %s: give them targets that "
		 "are neither equal nor nested, or other audiences",
		 a->name, b->name, strlen(a->target) > strlen(b->target) ? a->target : b->target,
		 where);
	return true;
}

/* Every pair of channels; a site has some hundred at most. */
static int targets_check(const struct faults *l, struct err *err)
{
	const struct site *s = l->s;
	struct site_fault f = {0};
	int rc = 0;

	for (size_t i = 0; i < s->channels; i++) {
		for (size_t k = i + 1; rc == 0 && k < s->channels; k++) {
			if (!targets_meet(s, &s->channel[i], &s->channel[k], f.text))
				continue;
			snprintf(f.about, sizeof(f.about), "channels/%s %s", s->channel[i].name,
				 s->channel[k].name);
			rc = l->each(l->arg, &f, err);
		}
	}
	return rc;
}

int site_faults(const struct site *s,
		int (*each)(void *arg, const struct site_fault *f, struct err *err), void *arg,
		struct err *err)
{
	struct faults l = {.s = s, .each = each, .arg = arg};
	int rc = baseline_check(&l, err);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(references); i++)
		rc = field_check(&l, &references[i], err);
	for (size_t i = 0; rc == 0 && i < s->groups; i++)
		rc = group_check(&l, &s->group[i], err);
	if (rc == 0)
		rc = licences_check(&l, err);
	return rc != 0 ? rc : targets_check(&l, err);
}

static int first_fault(void *arg, const struct site_fault *f, struct err *err)
{
	(void)arg;
	return err_set(err, RC_POLICY, "%s", f->text);
}

int site_references_check(const struct site *s, struct err *err)
{
	if (s->unread.rc < 0)
		return err_set(err, s->unread.rc, "%s", s->unread.text);
	return site_faults(s, first_fault, NULL, err);
}

int site_element_references(const struct site *s, const struct site_kind *kind, const void *element,
			    struct err *err)
{
	struct faults l = {.s = s, .each = first_fault};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(references); i++) {
		if (references[i].from == kind)
			rc = element_check(&l, &references[i], element, err);
	}
	return rc;
}

/* Files in a list that a person reads: the first few, then how many more. */
#define REFERRERS_SHOWN 8

static int referrer_add(struct buf *ret, size_t *n, const char *file, const char *field,
			struct err *err)
{
	++*n;
	if (*n > REFERRERS_SHOWN)
		return 0;
	return buf_printf(ret, err, "%s%s (%s)", *n > 1 ? ", " : "", file, field);
}

static int referrers_in(const struct site *s, const struct reference *r, const char *name,
			struct buf *ret, size_t *n, struct err *err)
{
	char file[SITE_DOCUMENT_PATH];
	const char *word[1];
	int rc = 0;

	for (size_t i = 0; i < site_count(s, r->from); i++) {
		const char *element = site_element(s, r->from, i), *const * list;
		size_t count;

		names_of(r, element, word, &list, &count);
		for (size_t k = 0; k < count && rc == 0; k++) {
			const char *to = target_of(r, list[k]);

			if (to == NULL || strcmp(to, name) != 0)
				continue;
			file_of(file, r->from, element);
			rc = referrer_add(ret, n, file, r->field, err);
			break;
		}
	}
	return rc;
}

int site_referrers(const struct site *s, const struct site_kind *kind, const char *name,
		   struct buf *ret, size_t *ret_n, struct err *err)
{
	int rc = 0;

	*ret_n = 0;
	if (kind == &site_policy_kind && strcmp(s->baseline, name) == 0)
		rc = referrer_add(ret, ret_n, SITE_FILE, "policy", err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(references); i++) {
		if (references[i].to == kind)
			rc = referrers_in(s, &references[i], name, ret, ret_n, err);
	}
	if (rc == 0 && *ret_n > REFERRERS_SHOWN)
		rc = buf_printf(ret, err, " and %zu more", *ret_n - REFERRERS_SHOWN);
	return rc;
}
