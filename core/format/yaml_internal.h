/*
 * Between the files of yaml.h: the scan before libyaml, the tree, the check against the schema, and
 * what a plain scalar means.
 */
#ifndef SATCHEL_FORMAT_YAML_INTERNAL_H
#define SATCHEL_FORMAT_YAML_INTERNAL_H

#include "core/base/limits.h"
#include "core/format/yaml.h"

enum node_kind { NODE_TEXT, NODE_INTEGER, NODE_BOOLEAN, NODE_AMBIGUOUS, NODE_MAP, NODE_LIST };

struct node {
	const struct yaml *doc;
	const struct node *parent;       /* NULL for the root */
	const char *key;                 /* of an entry of a map, else NULL */
	const char *text;                /* scalars: as it was written, unquoted */
	const struct node *const *child; /* maps and lists: ${count} of them */
	uint32_t count;
	uint32_t line; /* from 1 */
	enum node_kind kind;
};

struct yaml {
	char *file;               /* owned */
	char *text;               /* owned: all scalars and keys, each with its NUL */
	struct node *node;        /* owned: the root first */
	const struct node **link; /* owned: the children of all nodes */
	size_t nodes;
};

/**
 * yaml_scan(in, max, block, file, err): everything that is bounded or refused before libyaml:
 * size, lines, characters, tabs, nesting, anchors, aliases, tags, directives, block scalars, and,
 * when ${block}, flow collections.
 */
int yaml_scan(struct bytes in, size_t max, bool block, const char *file, struct err *err);

/** plain_kind(text, n): what readers of YAML take a plain scalar for; NODE_AMBIGUOUS when they
 * disagree or take it for none of ours (null, floats, dates). */
enum node_kind plain_kind(const char *text, size_t n);

/** yaml_check(root, schema, err): the tree against the schema. */
int yaml_check(const struct node *root, const struct schema *schema, struct err *err);

/** utf8_length(p, n): bytes of the well-formed character at ${p}, 0 when there is none. */
size_t utf8_length(const uint8_t *p, size_t n);

#endif
