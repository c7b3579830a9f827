/* SPDX-License-Identifier: ISC */
/*
 * Single values of a policy, set and taken away: `sync-minutes=15`, `values.browser.homepage=...`.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"
#include "core/format/policy/policy.h"
#include "core/os/durable.h"

/* One value and where it goes. */
struct assignment {
	char *path;                   /* owned; cut into parts in place */
	char *part[LIMIT_YAML_DEPTH]; /* "values", "browser", "homepage" */
	size_t parts;
	struct yaml *document;    /* owned */
	const struct node *value; /* of the document; NULL: the value is taken away */
};

struct assignments {
	struct assignment *item; /* owned */
	size_t n;
};

static void assignments_clear(struct assignments *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->item[i].path);
		yaml_freep(&l->item[i].document);
	}
	free(l->item);
}

/* A word by itself is a setting of satchel; what begins with "settings." or "values." is a path. */
static int path_cut(struct assignment *a, const char *key, struct err *err)
{
	bool whole = strncmp(key, "values.", 7) == 0 || strncmp(key, "settings.", 9) == 0;
	char *at;

	if (!whole && policy_setting_find(key) == POLICY_SETTINGS)
		return err_set(err, RC_USAGE,
			       "satchel has no setting called %s; for other software it would be "
			       "values.%s",
			       key, key);
	if (asprintf(&a->path, "%s%s", whole ? "" : "settings.", key) < 0) {
		a->path = NULL;
		return err_memory(err);
	}
	at = a->path;
	while (at != NULL) {
		char *part = strsep(&at, ".");

		if (part[0] == '\0' || a->parts == LIMIT_YAML_DEPTH - 1)
			return err_set(err, RC_USAGE,
				       "%s is not a valid setting path: names with single dots "
				       "between, at most %d",
				       key, LIMIT_YAML_DEPTH - 1);
		a->part[a->parts++] = part;
	}
	return 0;
}

/* value_document(text, ret, ret_value, err): a document whose only value is at `values.v`. */
static int value_document(struct bytes text, struct yaml **ret, const struct node **ret_value,
			  struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(policy_clear) struct policy read;
	const struct node *values;
	int rc;

	policy_init(&read);
	rc = yaml_decode(text, LIMIT_DOCUMENT, schema_find("policy/1"), "value", &y, err);
	if (rc < 0)
		return rc;
	values = node_get(yaml_root(y), "values");
	rc = policy_make(NULL, values, "", &read, err);
	if (rc < 0)
		return rc;
	if (node_count(yaml_root(y)) != 2 || node_count(values) != 1)
		return err_set(err, RC_MALFORMED, "more than one value");
	*ret_value = node_get(values, "v");
	*ret = TAKE(y);
	return 0;
}

/* Text, or, of windows, the list that commas make of it. */
static int value_as_text(const struct assignment *a, const char *text, struct buf *ret,
			 struct err *err)
{
	bool list = strcmp(a->part[0], "settings") == 0 && a->parts == 2 &&
		    policy_setting_find(a->part[1]) == POLICY_APPLY_WINDOWS;
	OWNED(freep) char *copy = strdup(text);
	struct yaml_writer *w;
	char *at = copy;
	int rc;

	if (copy == NULL)
		return err_memory(err);
	rc = yaml_writer_new(&w, err);
	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "policy/1");
	yaml_map(w, "values");
	if (list)
		yaml_list(w, "v");
	while (list && at != NULL)
		yaml_text(w, NULL, strsep(&at, ","));
	if (list)
		yaml_close(w);
	else
		yaml_text(w, "v", text);
	yaml_close(w);
	return yaml_writer_end(w, ret, err);
}

/* What reads as a number, a truth value, a list or a map in every reader of YAML is that;
 * everything else is text, as it stands. */
static int value_read(struct assignment *a, const char *text, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	int rc = buf_printf(&b, err, "satchel: policy/1\nvalues:\n  v: %s\n", text);

	if (rc < 0)
		return rc;
	if (value_document(bytes_in(&b), &a->document, &a->value, ERR_IGNORED) == 0 &&
	    (node_is_list(a->value) || node_is_map(a->value) ||
	     strcmp(a->part[a->parts - 1], "apply-windows") != 0))
		return 0;
	yaml_freep(&a->document);
	a->value = NULL;
	buf_reset(&b);
	rc = value_as_text(a, text, &b, err);
	return rc < 0 ? rc : value_document(bytes_in(&b), &a->document, &a->value, err);
}

/* One path inside another, or the same, would leave open which of them counts. */
static int paths_check(const struct assignments *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct assignment *a = &l->item[i], *b = &l->item[k];
			size_t same = 0, n = a->parts < b->parts ? a->parts : b->parts;

			while (same < n && strcmp(a->part[same], b->part[same]) == 0)
				same++;
			if (same == n)
				return err_set(err, RC_USAGE,
					       "two values for one place: %s is given twice",
					       a->part[n - 1]);
		}
	}
	return 0;
}

static int assignments_read(const struct site_value *list, size_t n, struct assignments *ret,
			    struct err *err)
{
	int rc = 0;

	ret->item = calloc(n + 1, sizeof(*ret->item));
	if (ret->item == NULL)
		return err_memory(err);
	for (ret->n = 0; rc == 0 && ret->n < n;) {
		struct assignment *a = &ret->item[ret->n++];

		rc = path_cut(a, list[ret->n - 1].key, err);
		if (rc == 0 && list[ret->n - 1].value != NULL)
			rc = value_read(a, list[ret->n - 1].value, err);
	}
	return rc < 0 ? rc : paths_check(ret, err);
}

/* A place in the document while it is written: the names that lead to it. */
struct value_place {
	const char *part[LIMIT_YAML_DEPTH];
	size_t depth;
};

static bool is_below(const struct assignment *a, const struct value_place *at)
{
	if (a->parts < at->depth)
		return false;
	for (size_t i = 0; i < at->depth; i++) {
		if (strcmp(a->part[i], at->part[i]) != 0)
			return false;
	}
	return true;
}

/* first_below(l, at): the first assignment to that place or below it; NULL: none. */
static const struct assignment *first_below(const struct assignments *l,
					    const struct value_place *at)
{
	for (size_t i = 0; i < l->n; i++) {
		if (is_below(&l->item[i], at))
			return &l->item[i];
	}
	return NULL;
}

static void map_write(struct yaml_writer *w, const struct node *map, const struct assignments *l,
		      struct value_place *at);

static void entry_write(struct yaml_writer *w, const char *key, const struct node *was,
			const struct assignments *l, struct value_place *at)
{
	const struct assignment *a;

	at->part[at->depth++] = key;
	a = first_below(l, at);
	if (a == NULL) {
		yaml_node(w, key, was);
	} else if (a->parts == at->depth) {
		yaml_node(w, key, a->value);
	} else {
		yaml_map(w, key);
		map_write(w, node_is_map(was) ? was : NULL, l, at);
		yaml_close(w);
	}
	at->depth--;
}

/* Paths are bounded, and so is the document, so the recursion is. */
static void map_write(struct yaml_writer *w, const struct node *map, const struct assignments *l,
		      struct value_place *at)
{
	for (size_t i = 0; i < node_count(map); i++)
		entry_write(w, node_key(map, i), node_at(map, i), l, at);
	for (size_t i = 0; i < l->n; i++) {
		const struct assignment *a = &l->item[i];
		const char *key = a->part[at->depth];

		if (!is_below(a, at) || node_get(map, key) != NULL)
			continue;
		at->part[at->depth++] = key;
		if (first_below(l, at) != a)
			key = NULL;
		at->depth--;
		if (key != NULL)
			entry_write(w, key, NULL, l, at);
	}
}

static int text_make(const struct node *was, const struct assignments *l, struct buf *ret,
		     struct err *err)
{
	struct value_place at = {.depth = 0};
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "satchel", "policy/1");
	entry_write(w, "settings", node_get(was, "settings"), l, &at);
	entry_write(w, "values", node_get(was, "values"), l, &at);
	yaml_node(w, "more", node_get(was, "more"));
	return yaml_writer_end(w, ret, err);
}

int site_policy_set(struct site *s, const char *name, const struct site_value *list, size_t n,
		    struct err *err)
{
	OWNED(assignments_clear) struct assignments l = {0};
	OWNED(buf_clear) struct buf old = BUF_INIT;
	OWNED(buf_clear) struct buf new = BUF_INIT;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	const struct site_policy *p = site_policy(s, name);
	char file[SITE_DOCUMENT_PATH];
	int rc;

	rc = site_policy_kind.name_check(name, RC_USAGE, err);
	if (rc == 0)
		rc = assignments_read(list, n, &l, err);
	if (rc == 0)
		rc = text_make(p != NULL ? yaml_root(p->document) : NULL, &l, &new, err);
	snprintf(file, sizeof(file), "%s/%s" SITE_SUFFIX, site_policy_kind.directory, name);
	if (rc == 0 && p != NULL)
		rc = file_read(s->dirfd, file, LIMIT_DOCUMENT, &old, err);
	if (rc == 0)
		rc = yaml_patch(bytes_in(&old), bytes_in(&new), LIMIT_DOCUMENT,
				schema_find("policy/1"), &text, err);
	if (rc < 0)
		return err_prefix(err, "policy %s", name);
	return site_policy_write(s, name, bytes_in(&text), err);
}
