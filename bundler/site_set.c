/*
 * Single fields of site.yaml.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/os/durable.h"

/* What a command may change: the others are what the site is. */
static const char *const settable[] = {
    "policy",       "licence-warning-days", "beat-hours", "silent-hours",
    "sync-minutes", "jitter-percent",       "watch",      "sticks",
};

static bool is_settable(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(settable); i++) {
		if (strcmp(settable[i], key) == 0)
			return true;
	}
	return false;
}

static int keys_check(const struct site_value *list, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_settable(list[i].key))
			return err_set(err, RC_USAGE, "site.yaml has no field %s that can be set",
				       list[i].key);
	}
	return 0;
}

static const struct site_value *value_of(const struct site_value *list, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].key, key) == 0)
			return &list[i];
	}
	return NULL;
}

/* field_write(...): by the type that the schema gives it; what is not of that type is written as
 * text, and refused when it is read back. */
static void field_write(struct yaml_writer *w, const struct schema_field *f, const char *text)
{
	uint64_t number;

	if (f->schema->type == SCHEMA_INTEGER &&
	    number_u64(text, strlen(text), LIMIT_NUMBER, &number, NULL) == 0)
		yaml_u64(w, f->name, number);
	else if (f->schema->type == SCHEMA_BOOLEAN &&
		 (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		yaml_bool(w, f->name, text[0] == 't');
	else
		yaml_text(w, f->name, text);
}

static int text_make(const struct node *was, const struct site_value *list, size_t n,
		     struct buf *ret, struct err *err)
{
	const struct schema *schema = schema_find("site/1");
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < schema->field_count; i++) {
		const struct schema_field *f = &schema->fields[i];
		const struct site_value *v = value_of(list, n, f->name);

		if (v == NULL)
			yaml_node(w, f->name, node_get(was, f->name));
		else if (v->value != NULL)
			field_write(w, f, v->value);
	}
	return yaml_writer_end(w, ret, err);
}

static int baseline_check(const struct site *s, const struct node *root, struct err *err)
{
	const char *policy = node_text(node_get(root, "policy"), "");

	if (policy[0] == '\0' || site_policy(s, policy) != NULL)
		return 0;
	return err_set(err, RC_POLICY, SITE_FILE ": field `policy`: there is no policy called %s",
		       policy);
}

int site_set(struct site *s, const struct site_value *list, size_t n, struct err *err)
{
	OWNED(buf_clear) struct buf old = BUF_INIT;
	OWNED(buf_clear) struct buf new = BUF_INIT;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	OWNED(yaml_freep) struct yaml *was = NULL, *now = NULL;
	const struct schema *schema = schema_find("site/1");
	int rc = keys_check(list, n, err);

	if (rc == 0)
		rc = file_read(s->dirfd, SITE_FILE, LIMIT_DOCUMENT, &old, err);
	if (rc == 0)
		rc = yaml_decode(bytes_in(&old), LIMIT_DOCUMENT, schema, SITE_FILE, &was, err);
	if (rc == 0)
		rc = text_make(yaml_root(was), list, n, &new, err);
	if (rc == 0)
		rc = yaml_decode(bytes_in(&new), LIMIT_DOCUMENT, schema, SITE_FILE, &now, err);
	if (rc == 0)
		rc = baseline_check(s, yaml_root(now), err);
	if (rc == 0)
		rc = yaml_patch(bytes_in(&old), bytes_in(&new), LIMIT_DOCUMENT, schema, &text, err);
	if (rc == 0)
		rc =
		    durable_write(s->dirfd, SITE_FILE, bytes_in(&text), 0644, DURABLE_REPLACE, err);
	if (rc < 0)
		return rc;
	site_fields_use(s, yaml_root(now));
	return 0;
}
