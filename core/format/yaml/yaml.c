/* SPDX-License-Identifier: ISC */
/*
 * libyaml's events become a tree.  Memory is set aside once, from the size of the input, so that
 * nodes never move: a value takes at least a byte, and its text at most twice its bytes.
 */
#include "core/format/yaml/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"

struct frame {
	struct node *node; /* an open map or list */
	const char *key;   /* in a map: the key that waits for its value */
	size_t first;      /* of its children among those that wait */
};

struct parse {
	struct yaml *y;
	struct frame frame[LIMIT_YAML_DEPTH];
	size_t depth;
	const struct node **wait; /* owned: children of what is open */
	size_t waits, links;      /* used of wait and of y->link */
	size_t node_max;
	size_t text_used, text_max;
};

static int parse_error(const struct parse *p, size_t line, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int parse_error(const struct parse *p, size_t line, struct err *err, const char *fmt, ...)
{
	char said[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	return err_set(err, RC_MALFORMED, "%s:%zu: %.900s", p->y->file, line + 1, said);
}

/* The scalar's text, kept for as long as the tree. */
static int parse_text(struct parse *p, const yaml_event_t *e, const char **ret, struct err *err)
{
	size_t n = e->data.scalar.length;
	char *text = p->y->text + p->text_used;

	if (e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL)
		return parse_error(p, e->start_mark.line, err,
				   "anchors and tags are not read here");
	if (e->start_mark.line != e->end_mark.line)
		return parse_error(p, e->start_mark.line, err,
				   "a text must end on the line on which it begins");
	if (n > LIMIT_YAML_SCALAR || n >= p->text_max - p->text_used)
		return err_set(err, RC_LIMIT, "%s:%zu: a text of more than %u bytes", p->y->file,
			       e->start_mark.line + 1, LIMIT_YAML_SCALAR);
	if (memchr(e->data.scalar.value, '\0', n) != NULL)
		return parse_error(p, e->start_mark.line, err, "a text with a NUL in it");
	memcpy(text, e->data.scalar.value, n);
	text[n] = '\0';
	p->text_used += n + 1;
	*ret = text;
	return 0;
}

static enum node_kind scalar_kind(const yaml_event_t *e)
{
	if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return NODE_TEXT;
	return plain_kind((const char *)e->data.scalar.value, e->data.scalar.length);
}

/* A node for the value that ${e} begins, in the map or list that is open. */
static int parse_node(struct parse *p, const yaml_event_t *e, enum node_kind kind,
		      struct node **ret, struct err *err)
{
	struct frame *f = p->depth > 0 ? &p->frame[p->depth - 1] : NULL;
	struct node *n;

	if (p->y->nodes == p->node_max)
		return err_set(err, RC_LIMIT, "%s:%zu: more than %u values", p->y->file,
			       e->start_mark.line + 1, LIMIT_YAML_NODES);
	if (f != NULL && f->node->kind == NODE_MAP && f->key == NULL)
		return parse_error(p, e->start_mark.line, err, "a key must be one word of text");
	n = &p->y->node[p->y->nodes++];
	*n = (struct node){.doc = p->y, .kind = kind, .line = (uint32_t)e->start_mark.line + 1};
	if (f != NULL) {
		n->parent = f->node;
		n->key = f->key;
		f->key = NULL;
		p->wait[p->waits++] = n;
	}
	*ret = n;
	return 0;
}

static int parse_scalar(struct parse *p, const yaml_event_t *e, struct err *err)
{
	struct frame *f = p->depth > 0 ? &p->frame[p->depth - 1] : NULL;
	enum node_kind kind = scalar_kind(e);
	const char *text = NULL;
	struct node *n;
	int rc = parse_text(p, e, &text, err);

	if (rc < 0)
		return rc;
	if (f != NULL && f->node->kind == NODE_MAP && f->key == NULL) {
		if (kind != NODE_TEXT)
			return parse_error(p, e->start_mark.line, err,
					   "the key `%.60s` must be in quotes", text);
		f->key = text;
		return 0;
	}
	rc = parse_node(p, e, kind, &n, err);
	if (rc == 0)
		n->text = text;
	return rc;
}

static int parse_open(struct parse *p, const yaml_event_t *e, enum node_kind kind, struct err *err)
{
	bool marked =
	    kind == NODE_MAP
		? e->data.mapping_start.anchor != NULL || e->data.mapping_start.tag != NULL
		: e->data.sequence_start.anchor != NULL || e->data.sequence_start.tag != NULL;
	struct node *n;
	int rc;

	if (marked)
		return parse_error(p, e->start_mark.line, err,
				   "anchors and tags are not read here");
	if (p->depth == LIMIT_YAML_DEPTH)
		return err_set(err, RC_LIMIT, "%s:%zu: nested deeper than %d levels", p->y->file,
			       e->start_mark.line + 1, LIMIT_YAML_DEPTH);
	rc = parse_node(p, e, kind, &n, err);
	if (rc == 0)
		p->frame[p->depth++] = (struct frame){.node = n, .first = p->waits};
	return rc;
}

static int by_key(const void *a, const void *b)
{
	const struct node *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

int yaml_duplicates(const struct yaml *y, const struct node *map, struct err *err)
{
	OWNED(freep) const struct node **sorted = NULL;

	if (map->count < 2)
		return 0;
	sorted = malloc(map->count * sizeof(const struct node *));
	if (sorted == NULL)
		return err_memory(err);
	memcpy(sorted, map->child, map->count * sizeof(const struct node *));
	qsort(sorted, map->count, sizeof(const struct node *), by_key);
	for (uint32_t i = 1; i < map->count; i++) {
		const struct node *a = sorted[i - 1], *b = sorted[i];

		if (strcmp(a->key, b->key) == 0)
			return err_set(err, RC_MALFORMED, "%s:%u: field `%.60s` appears twice",
				       y->file, a->line > b->line ? a->line : b->line, a->key);
	}
	return 0;
}

static int parse_close(struct parse *p, struct err *err)
{
	struct frame *f = &p->frame[--p->depth];
	struct node *n = f->node;

	n->count = (uint32_t)(p->waits - f->first);
	n->child = p->y->link + p->links;
	memcpy(p->y->link + p->links, p->wait + f->first, n->count * sizeof(const struct node *));
	p->links += n->count;
	p->waits = f->first;
	return n->kind == NODE_MAP ? yaml_duplicates(p->y, n, err) : 0;
}

/* One event; 1 when it was the last. */
static int parse_event(struct parse *p, const yaml_event_t *e, struct err *err)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return parse_scalar(p, e, err);
	case YAML_MAPPING_START_EVENT:
		return parse_open(p, e, NODE_MAP, err);
	case YAML_SEQUENCE_START_EVENT:
		return parse_open(p, e, NODE_LIST, err);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return parse_close(p, err);
	case YAML_ALIAS_EVENT:
		return parse_error(p, e->start_mark.line, err, "aliases are not read here");
	case YAML_DOCUMENT_START_EVENT:
		if (p->y->nodes > 0)
			return parse_error(p, e->start_mark.line, err,
					   "a second document begins; one is read");
		if (e->data.document_start.version_directive != NULL ||
		    e->data.document_start.tag_directives.start !=
			e->data.document_start.tag_directives.end)
			return parse_error(p, e->start_mark.line, err,
					   "directives are not read here");
		return 0;
	case YAML_STREAM_END_EVENT:
		return 1;
	default:
		return 0;
	}
}

static int parse_all(struct parse *p, struct bytes in, struct err *err)
{
	yaml_parser_t parser;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return err_memory(err);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, in.p, in.n);
	while (rc == 0) {
		yaml_event_t e;

		if (!yaml_parser_parse(&parser, &e)) {
			rc = parser.error == YAML_MEMORY_ERROR
				 ? err_memory(err)
				 : parse_error(p, parser.problem_mark.line, err, "not YAML: %s",
					       parser.problem != NULL ? parser.problem
								      : "unreadable");
			break;
		}
		rc = parse_event(p, &e, err);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&parser);
	return rc < 0 ? rc : 0;
}

/* Room for what ${in} can hold at most. */
static int parse_start(struct parse *p, struct yaml *y, struct bytes in, const char *file,
		       struct err *err)
{
	p->y = y;
	p->node_max = in.n + 1 < LIMIT_YAML_NODES ? in.n + 1 : LIMIT_YAML_NODES;
	p->text_max = 2 * in.n + 2;
	p->wait = malloc(p->node_max * sizeof(const struct node *));
	y->file = strdup(file);
	y->text = malloc(p->text_max);
	y->node = malloc(p->node_max * sizeof(struct node));
	y->link = malloc(p->node_max * sizeof(const struct node *));
	if (p->wait == NULL || y->file == NULL || y->text == NULL || y->node == NULL ||
	    y->link == NULL)
		return err_memory(err);
	return 0;
}

int yaml_kind(const struct yaml *y, struct bytes in, const struct schema *schema, struct err *err)
{
	const struct node *root = y->nodes > 0 ? &y->node[0] : NULL;
	size_t n = strlen(schema->document);

	if (root == NULL || root->kind != NODE_MAP || root->count == 0 ||
	    strcmp(root->child[0]->key, "satchel") != 0)
		return err_set(err, RC_MALFORMED, "%s: does not begin with \"satchel: %s\"",
			       y->file, schema->document);
	if (root->child[0]->text == NULL || strcmp(root->child[0]->text, schema->document) != 0) {
		const char *found = root->child[0]->text != NULL ? root->child[0]->text : "";

		return node_error(root->child[0], err,
				  "expected %s, found \"%.60s\", which is another kind of document "
				  "or made for another version of satchel",
				  schema->document, found);
	}
	if (schema->block && !(in.n > 9 + n && memcmp(in.p, "satchel: ", 9) == 0 &&
			       memcmp(in.p + 9, schema->document, n) == 0 && in.p[9 + n] == '\n'))
		return err_set(err, RC_MALFORMED, "%s: the first line must be \"satchel: %s\"",
			       y->file, schema->document);
	return 0;
}

int yaml_decode(struct bytes in, size_t max, const struct schema *schema, const char *file,
		struct yaml **ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct parse p = {0};
	int rc;

	if (schema == NULL || schema->document == NULL)
		return err_set(err, RC_INTERNAL, "%s: there is no schema for it", file);
	rc = yaml_scan(in, max, schema->block, file, err);
	if (rc < 0)
		return rc;
	y = calloc(1, sizeof(*y));
	if (y == NULL)
		return err_memory(err);
	rc = parse_start(&p, y, in, file, err);
	if (rc == 0)
		rc = parse_all(&p, in, err);
	free(p.wait);
	if (rc == 0)
		rc = yaml_kind(y, in, schema, err);
	if (rc == 0)
		rc = yaml_check(&y->node[0], schema, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(y);
	return 0;
}

void yaml_freep(struct yaml **y)
{
	if (*y != NULL) {
		free((*y)->file);
		free((*y)->text);
		free((*y)->node);
		free((*y)->link);
		free(*y);
	}
	*y = NULL;
}

const struct node *yaml_root(const struct yaml *y)
{
	return &y->node[0];
}
