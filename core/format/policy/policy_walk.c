/* SPDX-License-Identifier: ISC */
/*
 * Policies value by value: their dotted paths, what they say as JSON, and how they are written.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "core/format/policy/policy_internal.h"
#include "core/format/yaml/yaml_internal.h"

/* A path as it grows; what was appended is cut off again. */
struct policy_walk {
	char path[POLICY_PATH];
	int (*each)(void *arg, const struct policy_item *it, struct err *err);
	void *arg;
};

static int path_more(struct policy_walk *w, size_t *at, const char *key, struct err *err)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const char *c = key; *c != '\0'; c++) {
		bool plain = strchr(".%", *c) == NULL && (unsigned char)*c >= 0x20 && *c != 0x7f;

		if (*at + 4 > sizeof(w->path))
			return err_set(err, RC_LIMIT, "a path of more than %zu bytes",
				       sizeof(w->path));
		if (plain) {
			w->path[(*at)++] = *c;
			continue;
		}
		w->path[(*at)++] = '%';
		w->path[(*at)++] = hex[(unsigned char)*c >> 4];
		w->path[(*at)++] = hex[(unsigned char)*c & 15];
	}
	w->path[*at] = '\0';
	return 0;
}

static int value_walk(struct policy_walk *w, size_t at, const struct policy_value *v,
		      struct err *err)
{
	int rc = 0;

	if (v->leaf != NULL) {
		struct policy_item it = {w->path, v->origin, POLICY_SETTINGS, v};

		return w->each(w->arg, &it, err);
	}
	for (size_t i = 0; rc == 0 && i < v->children; i++) {
		size_t end = at;

		if (end + 2 > sizeof(w->path))
			return err_set(err, RC_LIMIT, "a path of more than %zu bytes",
				       sizeof(w->path));
		w->path[end++] = '.';
		rc = path_more(w, &end, v->child[i].key, err);
		if (rc == 0)
			rc = value_walk(w, end, &v->child[i], err);
	}
	return rc;
}

int policy_each(const struct policy *p,
		int (*each)(void *arg, const struct policy_item *it, struct err *err), void *arg,
		struct err *err)
{
	OWNED(freep) struct policy_walk *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (w == NULL)
		return err_memory(err);
	w->each = each;
	w->arg = arg;
	for (size_t i = 0; rc == 0 && i < POLICY_SETTINGS; i++) {
		struct policy_item it = {w->path, p->origin[i], (enum policy_setting)i, NULL};

		if ((p->settings.said & 1u << i) == 0)
			continue;
		snprintf(w->path, sizeof(w->path), "settings.%s", policy_setting_name(it.setting));
		rc = each(arg, &it, err);
	}
	if (rc != 0)
		return rc;
	memcpy(w->path, "values", 7);
	return value_walk(w, 6, &p->values, err);
}

/* at_key(v, path, n): the child whose escaped key is the first ${n} bytes of ${path}. */
static const struct policy_value *at_key(const struct policy_value *v, const char *path, size_t n)
{
	char key[POLICY_KEY + 1];
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)path[i];

		if (used == POLICY_KEY)
			return NULL;
		if (c == '%') {
			char digit[3] = {0};

			for (size_t k = 0; k < 2; k++)
				digit[k] = i + 1 + k < n ? path[i + 1 + k] : ' ';
			for (size_t k = 0; k < 2; k++)
				if (digit[k] >= 'A' && digit[k] <= 'F')
					digit[k] = (char)(digit[k] - 'A' + 'a');
			if (hex_decode(&c, 1, digit, ERR_IGNORED) < 0)
				return NULL;
			i += 2;
		}
		key[used++] = (char)c;
	}
	key[used] = '\0';
	for (size_t i = 0; i < v->children; i++) {
		if (strcmp(v->child[i].key, key) == 0)
			return &v->child[i];
	}
	return NULL;
}

const struct policy_value *policy_value_at(const struct policy *p, const char *path)
{
	const struct policy_value *v = &p->values;

	if (strncmp(path, "values", 6) != 0)
		return NULL;
	path += 6;
	while (v != NULL && *path == '.') {
		size_t n = strcspn(++path, ".");

		v = at_key(v, path, n);
		path += n;
	}
	return v != NULL && *path == '\0' && v->leaf != NULL ? v : NULL;
}

/* Writing */

static void value_write(struct yaml_writer *w, const struct policy_value *v)
{
	if (v->leaf != NULL) {
		yaml_node(w, v->key, v->leaf);
		return;
	}
	yaml_map(w, v->key);
	for (size_t i = 0; i < v->children; i++)
		value_write(w, &v->child[i]);
	yaml_close(w);
}

void policy_values_write(struct yaml_writer *w, const struct policy_value *root)
{
	yaml_map(w, "values");
	for (size_t i = 0; i < root->children; i++)
		value_write(w, &root->child[i]);
	yaml_close(w);
}

static int text_json(const char *text, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "\"", err);

	for (const char *c = text; rc == 0 && *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			rc = buf_printf(ret, err, "\\%c", *c);
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			rc = buf_printf(ret, err, "\\u%04x", (unsigned)(unsigned char)*c);
		else
			rc = buf_add(ret, c, 1, err);
	}
	return rc < 0 ? rc : buf_text(ret, "\"", err);
}

int policy_node_json(const struct node *n, struct buf *ret, struct err *err)
{
	bool map = n->kind == NODE_MAP;
	int rc;

	if (n->kind == NODE_TEXT)
		return text_json(n->text, ret, err);
	if (!map && n->kind != NODE_LIST)
		return buf_text(ret, n->text, err);
	rc = buf_text(ret, map ? "{" : "[", err);
	for (uint32_t i = 0; rc == 0 && i < n->count; i++) {
		rc = buf_text(ret, i > 0 ? ", " : "", err);
		if (rc == 0 && map)
			rc = text_json(n->child[i]->key, ret, err);
		if (rc == 0 && map)
			rc = buf_text(ret, ": ", err);
		if (rc == 0)
			rc = policy_node_json(n->child[i], ret, err);
	}
	return rc < 0 ? rc : buf_text(ret, map ? "}" : "]", err);
}

int policy_item_text(const struct policy *p, const struct policy_item *it, struct buf *ret,
		     struct err *err)
{
	return it->value != NULL ? policy_node_json(it->value->leaf, ret, err)
				 : policy_setting_text(&p->settings, it->setting, ret, err);
}
