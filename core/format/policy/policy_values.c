/* SPDX-License-Identifier: ISC */
/*
 * Values for other software: maps merged key by key, everything else replaced as a whole.  What may
 * stand in them is what all readers of YAML read the same: text, truth values, numbers in the
 * spelling of JSON, lists and maps of these.
 */
#include <string.h>

#include "core/base/own.h"
#include "core/format/policy/policy_internal.h"
#include "core/format/yaml/yaml_internal.h"

static void value_clear(struct policy_value *v)
{
	for (size_t i = 0; i < v->children; i++)
		value_clear(&v->child[i]);
	free(v->child);
	*v = (struct policy_value){.key = v->key};
}

void policy_init(struct policy *p)
{
	memset(p, 0, sizeof(*p));
	policy_settings_init(&p->settings);
}

void policy_clear(struct policy *p)
{
	value_clear(&p->values);
	policy_init(p);
}

/* Reading */

static size_t digits(const char *text)
{
	return strspn(text, "0123456789");
}

/* -1, 0.5, -12.25: what JSON and every YAML take for the same number. */
static bool number_is_shared(const char *text)
{
	const char *at = text[0] == '-' ? text + 1 : text;
	size_t n = digits(at);

	if (n == 0 || n > 15 || (n > 1 && at[0] == '0'))
		return false;
	if (at[n] == '\0')
		return at[0] != '0' || at == text;
	at += n + 1;
	n = digits(at);
	return at[-1] == '.' && n > 0 && n <= 15 && at[n] == '\0';
}

static int leaf_check(const struct node *n, struct err *err)
{
	uint64_t v;

	if (n->kind == NODE_AMBIGUOUS && !number_is_shared(n->text))
		return node_error(n, err,
				  n->text[0] == '\0'
				      ? "the value is missing: write one, or leave the field out"
				      : "%.60s without quotes, which readers of YAML take for "
					"different things",
				  n->text);
	if (n->kind == NODE_INTEGER &&
	    number_u64(n->text, strlen(n->text), LIMIT_NUMBER, &v, ERR_IGNORED) < 0)
		return node_error(n, err, "a number above 2^53-1, which some readers round");
	return 0;
}

/* Everything below ${n}; the depth was bounded when it was read, so the recursion is. */
static int node_check(const struct node *n, struct err *err)
{
	int rc = leaf_check(n, err);

	if (rc == 0 && n->key != NULL && strlen(n->key) > POLICY_KEY)
		rc = node_error(n, err, "a key of more than %u bytes", POLICY_KEY);
	for (uint32_t i = 0; rc == 0 && i < n->count; i++)
		rc = node_check(n->child[i], err);
	return rc;
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct policy_value *)a)->key, ((const struct policy_value *)b)->key);
}

static int children_new(size_t n, struct policy_value **ret, struct err *err)
{
	*ret = calloc(n > 0 ? n : 1, sizeof(**ret));
	return *ret == NULL ? err_memory(err) : 0;
}

static int value_make(const struct node *n, const char *origin, struct policy_value *ret,
		      struct err *err)
{
	int rc;

	ret->key = n->key;
	if (n->kind != NODE_MAP || (n->count == 0 && n->parent->parent != NULL)) {
		ret->leaf = n;
		ret->origin = origin;
		return 0;
	}
	rc = children_new(n->count, &ret->child, err);
	for (; rc == 0 && ret->children < n->count; ret->children++)
		rc = value_make(n->child[ret->children], origin, &ret->child[ret->children], err);
	if (rc == 0)
		qsort(ret->child, ret->children, sizeof(*ret->child), by_key);
	return rc;
}

static size_t leaves(const struct policy_value *v)
{
	size_t n = v->leaf != NULL ? 1 : 0;

	for (size_t i = 0; i < v->children; i++)
		n += leaves(&v->child[i]);
	return n;
}

int policy_make(const struct node *settings, const struct node *values, const char *origin,
		struct policy *ret, struct err *err)
{
	int rc;

	policy_init(ret);
	rc = policy_settings_decode(settings, &ret->settings, err);
	for (size_t i = 0; rc == 0 && i < POLICY_SETTINGS; i++)
		ret->origin[i] = (ret->settings.said & 1u << i) != 0 ? origin : NULL;
	if (rc < 0 || values == NULL)
		return rc;
	rc = node_check(values, err);
	if (rc == 0)
		rc = value_make(values, origin, &ret->values, err);
	ret->values.key = NULL;
	if (rc == 0 && leaves(&ret->values) > POLICY_LEAVES)
		rc = node_error(values, err, "more than %u values", POLICY_LEAVES);
	return rc;
}

int policy_values_sorted(const struct node *n, struct err *err)
{
	if (n == NULL || n->kind != NODE_MAP)
		return 0;
	for (uint32_t i = 0; i < n->count; i++) {
		int rc = 0;

		if (i > 0 && strcmp(n->child[i - 1]->key, n->child[i]->key) >= 0)
			rc = node_error(n->child[i], err, "keys must be in ascending order");
		if (rc == 0)
			rc = policy_values_sorted(n->child[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Laying over */

static int value_copy(const struct policy_value *from, struct policy_value *ret, struct err *err)
{
	int rc = 0;

	*ret = (struct policy_value){.key = from->key, .leaf = from->leaf, .origin = from->origin};
	if (from->leaf == NULL)
		rc = children_new(from->children, &ret->child, err);
	for (; rc == 0 && ret->children < from->children; ret->children++)
		rc = value_copy(&from->child[ret->children], &ret->child[ret->children], err);
	return rc;
}

static void value_from(struct policy_value *v, const char *origin)
{
	if (v->leaf != NULL)
		v->origin = origin;
	for (size_t i = 0; i < v->children; i++)
		value_from(&v->child[i], origin);
}

int policy_copy(const struct policy *from, const char *origin, struct policy *ret, struct err *err)
{
	int rc;

	policy_init(ret);
	ret->settings = from->settings;
	for (size_t i = 0; i < POLICY_SETTINGS; i++)
		ret->origin[i] = (ret->settings.said & 1u << i) != 0 ? origin : NULL;
	rc = value_copy(&from->values, &ret->values, err);
	value_from(&ret->values, origin);
	return rc;
}

static int value_overlay(struct policy_value *under, const struct policy_value *over,
			 struct err *err);

/* Both lists are ascending: ${ret} takes what ${under} had, and has room for all. */
static int children_merge(struct policy_value *under, const struct policy_value *over,
			  struct policy_value *ret, size_t *ret_n, struct err *err)
{
	size_t i = 0, k = 0;

	while (i < under->children || k < over->children) {
		int order = i == under->children  ? 1
			    : k == over->children ? -1
						  : by_key(&under->child[i], &over->child[k]);
		struct policy_value *to = &ret[(*ret_n)++];
		int rc = 0;

		if (order <= 0) {
			*to = under->child[i];
			under->child[i++] = (struct policy_value){0};
		}
		if (order == 0)
			rc = value_overlay(to, &over->child[k++], err);
		if (order > 0)
			rc = value_copy(&over->child[k++], to, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int map_overlay(struct policy_value *under, const struct policy_value *over, struct err *err)
{
	struct policy_value merged = {.key = under->key};
	int rc = children_new(under->children + over->children, &merged.child, err);

	if (rc == 0)
		rc = children_merge(under, over, merged.child, &merged.children, err);
	value_clear(under);
	*under = merged; /* also half made: it is cleared with the policy */
	return rc;
}

static bool is_empty_map(const struct policy_value *v)
{
	return v->leaf != NULL && v->leaf->kind == NODE_MAP;
}

static int value_overlay(struct policy_value *under, const struct policy_value *over,
			 struct err *err)
{
	struct policy_value copy;
	int rc;

	if (under->leaf == NULL && over->leaf == NULL)
		return map_overlay(under, over, err);
	if (under->leaf == NULL && is_empty_map(over))
		return 0;
	rc = value_copy(over, &copy, err);
	if (rc < 0) {
		value_clear(&copy);
		return rc;
	}
	value_clear(under);
	*under = copy;
	return 0;
}

static int values_overlay(struct policy *under, const struct policy *over, struct err *err)
{
	int rc = value_overlay(&under->values, &over->values, err);

	if (rc == 0 && leaves(&under->values) > POLICY_LEAVES)
		rc = err_set(err, RC_LIMIT, "policies with more than %u values together",
			     POLICY_LEAVES);
	return rc;
}

int policy_overlay(struct policy *under, const struct policy *over, struct err *err)
{
	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if ((over->settings.said & 1u << i) != 0)
			under->origin[i] = over->origin[i];
	}
	policy_settings_overlay(&under->settings, &over->settings);
	return values_overlay(under, over, err);
}

int policy_strictest(struct policy *a, const struct policy *b, struct err *err)
{
	unsigned taken = policy_settings_stricter(&a->settings, &b->settings);
	struct policy both;
	int rc;

	for (size_t i = 0; i < POLICY_SETTINGS; i++) {
		if ((taken & 1u << i) != 0)
			a->origin[i] = b->origin[i];
	}
	policy_init(&both);
	rc = value_copy(&b->values, &both.values, err);
	if (rc == 0)
		rc = values_overlay(&both, a, err);
	if (rc == 0) {
		struct policy_value swap = a->values;

		a->values = both.values;
		both.values = swap;
	}
	policy_clear(&both);
	return rc;
}
