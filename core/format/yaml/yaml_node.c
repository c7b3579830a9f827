/* SPDX-License-Identifier: ISC */
/*
 * Values of a tree that has passed its schema, and where they stand, for messages.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/format/yaml/yaml_internal.h"

const struct node *node_get(const struct node *map, const char *key)
{
	for (uint32_t i = 0; map != NULL && map->kind == NODE_MAP && i < map->count; i++)
		if (strcmp(map->child[i]->key, key) == 0)
			return map->child[i];
	return NULL;
}

unsigned node_line(const struct node *n)
{
	return n != NULL ? n->line : 0;
}

const char *node_text(const struct node *n, const char *fallback)
{
	return n != NULL && n->text != NULL ? n->text : fallback;
}

uint64_t node_u64(const struct node *n, uint64_t fallback)
{
	uint64_t v;

	if (n == NULL || n->kind != NODE_INTEGER ||
	    number_u64(n->text, strlen(n->text), LIMIT_NUMBER, &v, ERR_IGNORED) < 0)
		return fallback;
	return v;
}

bool node_bool(const struct node *n, bool fallback)
{
	return n != NULL && n->kind == NODE_BOOLEAN ? n->text[0] == 't' : fallback;
}

size_t node_count(const struct node *n)
{
	return n != NULL ? n->count : 0;
}

const struct node *node_at(const struct node *n, size_t i)
{
	return i < node_count(n) ? n->child[i] : NULL;
}

const char *node_key(const struct node *map, size_t i)
{
	const struct node *n = node_at(map, i);

	return n != NULL ? n->key : NULL;
}

bool node_is_map(const struct node *n)
{
	return n != NULL && n->kind == NODE_MAP;
}

bool node_is_list(const struct node *n)
{
	return n != NULL && n->kind == NODE_LIST;
}

/* Keys are unique, so maps of one length are equal when each entry of one is in the other. */
bool node_equal(const struct node *a, const struct node *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	if (a->kind != b->kind || a->count != b->count)
		return false;
	if (a->text != NULL)
		return strcmp(a->text, b->text) == 0;
	for (uint32_t i = 0; i < a->count; i++) {
		const struct node *other =
		    a->kind == NODE_MAP ? node_get(b, a->child[i]->key) : b->child[i];

		if (!node_equal(a->child[i], other))
			return false;
	}
	return true;
}

/* "channels[2].source"; nothing for the root.  Nesting is bounded, so the recursion is. */
static size_t node_path(const struct node *n, char *dst, size_t size)
{
	size_t used = 0, i = 0;
	int more;

	if (n->parent == NULL)
		return 0;
	used = node_path(n->parent, dst, size);
	if (n->key != NULL) {
		more = snprintf(dst + used, size - used, "%s%.64s", used > 0 ? "." : "", n->key);
	} else {
		while (i < n->parent->count && n->parent->child[i] != n)
			i++;
		more = snprintf(dst + used, size - used, "[%zu]", i);
	}
	used += more > 0 ? (size_t)more : 0;
	return used < size ? used : size - 1;
}

int node_error(const struct node *n, struct err *err, const char *fmt, ...)
{
	char path[256] = "", said[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	if (node_path(n, path, sizeof(path)) == 0)
		return err_set(err, RC_MALFORMED, "%s:%u: %.640s", n->doc->file, n->line, said);
	return err_set(err, RC_MALFORMED, "%s:%u: field `%s`: %.640s", n->doc->file, n->line, path,
		       said);
}

int node_digest(const struct node *n, struct digest *ret, struct err *err)
{
	struct err why = {0};

	if (n == NULL) {
		*ret = (struct digest){0};
		return 0;
	}
	if (digest_parse(node_text(n, ""), ret, &why) < 0)
		return node_error(n, err, "%s", why.text);
	return 0;
}

int node_time(const struct node *n, int64_t *ret, struct err *err)
{
	struct err why = {0};

	if (n == NULL) {
		*ret = 0;
		return 0;
	}
	if (clock_parse(node_text(n, ""), ret, &why) < 0)
		return node_error(n, err, "%s", why.text);
	return 0;
}

int node_copy(const struct node *n, char *dst, size_t size, struct err *err)
{
	const char *text = node_text(n, "");
	size_t len = strlen(text);

	if (len >= size)
		return node_error(n, err, "a text of more than %zu bytes", size - 1);
	memcpy(dst, text, len + 1);
	return 0;
}

int node_base64(const struct node *n, uint8_t *dst, size_t size, struct err *err)
{
	const char *text = node_text(n, "");
	struct err why = {0};
	size_t got;

	if (n == NULL) {
		memset(dst, 0, size);
		return 0;
	}
	if (base64_decode(dst, size, &got, text, strlen(text), &why) < 0)
		return node_error(n, err, "%s", why.text);
	if (got != size)
		return node_error(n, err, "%zu bytes in base64, expected %zu", got, size);
	return 0;
}
