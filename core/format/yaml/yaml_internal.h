/* SPDX-License-Identifier: ISC */
/*
 * Between the files of yaml.h: the scan before libyaml, the tree, the check against the schema, and
 * what a plain scalar means.
 */
#ifndef SATCHEL_CORE_FORMAT_YAML_YAML_INTERNAL_H
#define SATCHEL_CORE_FORMAT_YAML_YAML_INTERNAL_H

#include "core/base/limits.h"
#include "core/format/yaml/yaml.h"

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

/**
 * yaml_kind(y, in, schema, err): the document says first what it is; ${in} is its text.
 * yaml_duplicates(y, map, err): no key stands twice in ${map}.
 */
int yaml_kind(const struct yaml *y, struct bytes in, const struct schema *schema, struct err *err);
int yaml_duplicates(const struct yaml *y, const struct node *map, struct err *err);

/**
 * The layout in which a tree is handed from one process to another (yaml_layout.c).
 * yaml_pack(y, ret, err): append it.
 * yaml_unpack(layout, in, schema, file, ret, err): a tree from a layout that whoever made it may
 * have forged: what does not hold together, or not to ${schema}, is refused as if it had been text.
 * ${in} is the text that it stands for.  Errors: as yaml_decode.
 * yaml_layout_most(n): bytes of the layout of a text of ${n} bytes, at most.
 */
int yaml_pack(const struct yaml *y, struct buf *ret, struct err *err);
int yaml_unpack(struct bytes layout, struct bytes in, const struct schema *schema, const char *file,
		struct yaml **ret, struct err *err);
size_t yaml_layout_most(size_t n);

/** yaml_check(root, schema, err): the tree against the schema. */
int yaml_check(const struct node *root, const struct schema *schema, struct err *err);

#endif
