/* SPDX-License-Identifier: ISC */
/*
 * The tree against its schema.  Depth was bounded while parsing, so the recursion is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/format/yaml/yaml_internal.h"

#define SAID 400 /* bytes of one part of a message */

static void list_text(char *dst, size_t size, const char *before, const char *item)
{
	size_t used = strlen(dst);

	snprintf(dst + used, size - used, "%s%s", used > 0 ? before : "", item);
}

static void expected_text(char dst[SAID], const struct schema *s)
{
	static const char *const kinds[] = {
	    [SCHEMA_STRING] = "text",           [SCHEMA_INTEGER] = "a whole number",
	    [SCHEMA_BOOLEAN] = "true or false", [SCHEMA_MAP] = "a map",
	    [SCHEMA_LIST] = "a list",           [SCHEMA_ANY] = "anything",
	};

	if (s->choices != NULL) {
		dst[0] = '\0';
		for (size_t i = 0; s->choices[i] != NULL; i++)
			list_text(dst, SAID, " or ", s->choices[i]);
		return;
	}
	snprintf(dst, SAID, "%s", s->title != NULL ? s->title : kinds[s->type]);
}

static void found_text(char dst[SAID], const struct node *n)
{
	char shown[80];

	err_escape(shown, sizeof(shown), n->text != NULL ? n->text : "");
	switch (n->kind) {
	case NODE_TEXT:
		snprintf(dst, SAID, "\"%s\"", shown);
		break;
	case NODE_INTEGER:
		snprintf(dst, SAID, "the number %s", shown);
		break;
	case NODE_BOOLEAN:
		snprintf(dst, SAID, "%s without quotes", shown);
		break;
	case NODE_AMBIGUOUS:
		if (shown[0] == '\0')
			snprintf(dst, SAID, "nothing");
		else
			snprintf(dst, SAID,
				 "%s without quotes, which readers of YAML take for different "
				 "things",
				 shown);
		break;
	case NODE_MAP:
		snprintf(dst, SAID, "a map");
		break;
	case NODE_LIST:
		snprintf(dst, SAID, "a list");
		break;
	}
}

static int check_error(const struct node *n, const struct schema *s, struct err *err)
{
	char expected[SAID], found[SAID];

	expected_text(expected, s);
	found_text(found, n);
	return node_error(n, err, "expected %s, found %s", expected, found);
}

/* Characters of ${text}, well-formed UTF-8; also walks the pattern. */
static bool text_matches(const char *text, const struct schema_pattern *p, uint64_t *ret_length)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t state = 1, n = strlen(text);

	*ret_length = 0;
	for (size_t i = 0; i < n; ++*ret_length) {
		size_t len = utf8_length(at + i, n - i);

		if (len == 0)
			return false;
		if (p != NULL)
			state = p->next[state * p->classes + p->class_of[len == 1 ? at[i] : 128]];
		i += len;
	}
	return p == NULL || p->accept[state] != 0;
}

static bool text_is_choice(const char *text, const char *const *choices)
{
	for (size_t i = 0; choices[i] != NULL; i++)
		if (strcmp(text, choices[i]) == 0)
			return true;
	return false;
}

static bool text_good(const char *text, const struct schema *s)
{
	uint64_t length;
	int64_t at;

	if (s->choices != NULL)
		return text_is_choice(text, s->choices);
	return text_matches(text, s->pattern, &length) && length >= s->minimum &&
	       length <= s->maximum && (!s->time || clock_parse(text, &at, ERR_IGNORED) == 0);
}

static bool number_good(const struct node *n, const struct schema *s)
{
	uint64_t v;

	return number_u64(n->text, strlen(n->text), s->maximum, &v, ERR_IGNORED) == 0 &&
	       v >= s->minimum;
}

static int check_fields(const struct node *map, const struct schema *s, struct err *err);

static int check_count(const struct node *n, const struct schema *s, struct err *err)
{
	if (n->count < s->minimum)
		return node_error(n, err, "has %u %s, expected at least %" PRIu64, n->count,
				  n->count == 1 ? "entry" : "entries", s->minimum);
	if (n->count > s->maximum)
		return node_error(n, err, "has %u entries, expected at most %" PRIu64, n->count,
				  s->maximum);
	return 0;
}

static int check_entries(const struct node *n, const struct schema *s, struct err *err)
{
	int rc = check_count(n, s, err);

	for (uint32_t i = 0; rc == 0 && i < n->count; i++) {
		const struct node *child = n->child[i];

		if (s->keys != NULL && !text_good(child->key, s->keys)) {
			char expected[SAID];

			expected_text(expected, s->keys);
			return node_error(child, err, "expected as its key %s", expected);
		}
		rc = yaml_check(child, s->items, err);
	}
	return rc;
}

int yaml_check(const struct node *n, const struct schema *s, struct err *err)
{
	bool good = true;

	switch (s->type) {
	case SCHEMA_STRING:
		good = n->kind == NODE_TEXT && text_good(n->text, s);
		break;
	case SCHEMA_INTEGER:
		good = n->kind == NODE_INTEGER && number_good(n, s);
		break;
	case SCHEMA_BOOLEAN:
		good = n->kind == NODE_BOOLEAN;
		break;
	case SCHEMA_MAP:
		if (n->kind == NODE_MAP)
			return s->fields != NULL ? check_fields(n, s, err)
						 : check_entries(n, s, err);
		good = false;
		break;
	case SCHEMA_LIST:
		if (n->kind == NODE_LIST)
			return check_entries(n, s, err);
		good = false;
		break;
	case SCHEMA_ANY:
		break;
	}
	return good ? 0 : check_error(n, s, err);
}

static const struct schema_field *field_find(const struct schema *s, const char *name)
{
	for (size_t i = 0; i < s->field_count; i++)
		if (strcmp(s->fields[i].name, name) == 0)
			return &s->fields[i];
	return NULL;
}

static int check_unknown(const struct node *n, const struct schema *s, struct err *err)
{
	char known[SAID] = "";

	for (size_t i = 0; i < s->field_count; i++)
		list_text(known, sizeof(known), ", ", s->fields[i].name);
	return node_error(n, err, "not known here; known are %s", known);
}

static int check_fields(const struct node *map, const struct schema *s, struct err *err)
{
	for (uint32_t i = 0; i < map->count; i++) {
		const struct schema_field *f = field_find(s, map->child[i]->key);
		int rc = f == NULL ? check_unknown(map->child[i], s, err)
				   : yaml_check(map->child[i], f->schema, err);

		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < s->field_count; i++) {
		const struct schema_field *f = &s->fields[i];
		char expected[SAID];

		if (!f->required || node_get(map, f->name) != NULL)
			continue;
		expected_text(expected, f->schema);
		return node_error(map, err, "field `%s` is missing, expected %s", f->name,
				  expected);
	}
	return 0;
}
