/* SPDX-License-Identifier: ISC */
/*
 * A checked tree as rows of numbers, so that who believes in a document need not be who parses it:
 *
 *   LE 32-bit numbers: rows, bytes of text
 *   for each value, the root first, a parent before its children:
 *     kind, line, row of the parent (the root: NONE), key (NONE: none), text (NONE: none)
 *   the text: keys and scalars, each with its NUL; keys and texts above are offsets into it
 *
 * Whoever unpacks it takes it for forged: every offset is checked, and the schema is applied again.
 */
#include <string.h>

#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"

#define NONE      UINT32_MAX
#define HEAD      8u
#define ROW_BYTES 20u

struct row {
	uint32_t kind, line, parent, key, text;
};

size_t yaml_layout_most(size_t n)
{
	return HEAD + (n + 1) * ROW_BYTES + 2 * n + 2;
}

/* Texts are in the order of their nodes, and are copied in it. */
static int text_pack(const char *text, struct buf *texts, uint32_t *ret, struct err *err)
{
	*ret = NONE;
	if (text == NULL)
		return 0;
	*ret = (uint32_t)texts->n;
	return buf_add(texts, text, strlen(text) + 1, err);
}

static int row_pack(const struct yaml *y, const struct node *n, struct buf *rows, struct buf *texts,
		    struct err *err)
{
	struct row r = {n->kind, n->line, NONE, NONE, NONE};
	uint8_t raw[ROW_BYTES];
	int rc = text_pack(n->key, texts, &r.key, err);

	if (rc == 0)
		rc = text_pack(n->text, texts, &r.text, err);
	if (rc < 0)
		return rc;
	if (n->parent != NULL)
		r.parent = (uint32_t)(n->parent - y->node);
	put_u32(raw, r.kind);
	put_u32(raw + 4, r.line);
	put_u32(raw + 8, r.parent);
	put_u32(raw + 12, r.key);
	put_u32(raw + 16, r.text);
	return buf_add(rows, raw, sizeof(raw), err);
}

int yaml_pack(const struct yaml *y, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf rows = BUF_INIT;
	OWNED(buf_clear) struct buf texts = BUF_INIT;
	uint8_t head[HEAD];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < y->nodes; i++)
		rc = row_pack(y, &y->node[i], &rows, &texts, err);
	put_u32(head, (uint32_t)y->nodes);
	put_u32(head + 4, (uint32_t)texts.n);
	if (rc == 0)
		rc = buf_add(ret, head, sizeof(head), err);
	if (rc == 0)
		rc = buf_add(ret, rows.p, rows.n, err);
	return rc < 0 ? rc : buf_add(ret, texts.p, texts.n, err);
}

static int forged(const struct yaml *y, struct err *err)
{
	return err_set(err, RC_MALFORMED, "%s: what was read of it does not hold together",
		       y->file);
}

static bool holds_others(uint32_t kind)
{
	return kind == NODE_MAP || kind == NODE_LIST;
}

static uint32_t depth_of(const struct node *n)
{
	uint32_t depth = 1;

	for (; n->parent != NULL && depth <= LIMIT_YAML_DEPTH; n = n->parent)
		depth++;
	return depth;
}

/* Row ${i}: those before it are nodes already. */
static bool row_take(struct yaml *y, size_t i, const struct row *r, size_t texts)
{
	struct node *n = &y->node[i], *parent = NULL;

	if (r->kind > NODE_LIST || (r->parent == NONE) != (i == 0) || (i > 0 && r->parent >= i))
		return false;
	if (i > 0)
		parent = &y->node[r->parent];
	if (parent != NULL && !holds_others(parent->kind))
		return false;
	if ((r->key != NONE) != (parent != NULL && parent->kind == NODE_MAP) ||
	    (r->text != NONE) == holds_others(r->kind))
		return false;
	if ((r->key != NONE && r->key >= texts) || (r->text != NONE && r->text >= texts))
		return false;
	*n = (struct node){.doc = y,
			   .parent = parent,
			   .key = r->key != NONE ? y->text + r->key : NULL,
			   .text = r->text != NONE ? y->text + r->text : NULL,
			   .line = r->line,
			   .kind = (enum node_kind)r->kind};
	if (parent != NULL)
		parent->count++;
	/* What holds others is one level, as while parsing. */
	return depth_of(n) <= LIMIT_YAML_DEPTH + (holds_others(r->kind) ? 0u : 1u);
}

/* Children in the order of their rows; room for each was counted. */
static void children_link(struct yaml *y)
{
	size_t used = 0;

	for (size_t i = 0; i < y->nodes; i++) {
		y->node[i].child = y->link + used;
		used += y->node[i].count;
		y->node[i].count = 0;
	}
	for (size_t i = 1; i < y->nodes; i++) {
		struct node *parent = &y->node[y->node[i].parent - y->node];

		y->link[(size_t)(parent->child - y->link) + parent->count++] = &y->node[i];
	}
}

static int rows_take(struct yaml *y, const uint8_t *at, size_t rows, size_t texts, struct err *err)
{
	int rc = 0;

	for (; y->nodes < rows; y->nodes++, at += ROW_BYTES) {
		const struct row r = {get_u32(at), get_u32(at + 4), get_u32(at + 8),
				      get_u32(at + 12), get_u32(at + 16)};

		if (!row_take(y, y->nodes, &r, texts))
			return forged(y, err);
	}
	children_link(y);
	for (size_t i = 0; rc == 0 && i < y->nodes; i++)
		if (y->node[i].kind == NODE_MAP)
			rc = yaml_duplicates(y, &y->node[i], err);
	return rc;
}

static int layout_take(struct yaml *y, struct bytes in, const char *file, struct err *err)
{
	uint32_t rows = in.n >= HEAD ? get_u32(in.p) : 0;
	uint32_t texts = in.n >= HEAD ? get_u32(in.p + 4) : 0;
	const uint8_t *text;

	y->file = strdup(file);
	if (y->file == NULL)
		return err_memory(err);
	if (rows == 0 || rows > LIMIT_YAML_NODES || texts == 0 ||
	    in.n != HEAD + (size_t)rows * ROW_BYTES + texts || in.p[in.n - 1] != '\0')
		return forged(y, err);
	text = in.p + HEAD + (size_t)rows * ROW_BYTES;
	y->text = malloc(texts);
	y->node = malloc(rows * sizeof(struct node));
	y->link = malloc(rows * sizeof(const struct node *));
	if (y->text == NULL || y->node == NULL || y->link == NULL)
		return err_memory(err);
	memcpy(y->text, text, texts);
	return rows_take(y, in.p + HEAD, rows, texts, err);
}

int yaml_unpack(struct bytes layout, struct bytes in, const struct schema *schema, const char *file,
		struct yaml **ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = calloc(1, sizeof(*y));
	int rc = y == NULL ? err_memory(err) : layout_take(y, layout, file, err);

	if (rc == 0)
		rc = yaml_kind(y, in, schema, err);
	if (rc == 0)
		rc = yaml_check(&y->node[0], schema, err);
	if (rc < 0)
		return rc;
	*ret = TAKE(y);
	return 0;
}
