/* SPDX-License-Identifier: ISC */
/*
 * A document that a program changes and people read: what did not change stays as they wrote it.
 *
 * Block maps are taken apart into entries: the lines before it that say nothing (blank, comments),
 * the line of its key, and what is indented below it.  An entry that means the same is copied, a
 * map of which some entries mean the same is taken apart in turn, everything else comes from the
 * new text.  All of this looks at lines only and may be wrong about exotic ones, so what came out
 * is read again: when it does not mean exactly what the new text means, the new text is taken.
 */
#include <string.h>

#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"

/* A text as lines; they are counted from 0 and keep their ends out. */
struct lines {
	struct line {
		const char *p; /* borrowed */
		size_t n, indent;
		bool says; /* neither blank nor a comment */
	} * line;          /* owned */
	size_t n;
};

static void lines_clear(struct lines *l)
{
	free(l->line);
}

static struct line line_of(const char *p, size_t n)
{
	struct line l = {.p = p, .n = n};

	while (l.indent < n && p[l.indent] == ' ')
		l.indent++;
	l.says = l.indent < n && p[l.indent] != '#';
	return l;
}

static int lines_split(struct bytes in, struct lines *ret, struct err *err)
{
	const char *p = (const char *)in.p;
	size_t count = 1, from = 0;

	for (size_t i = 0; i < in.n; i++)
		count += p[i] == '\n';
	ret->line = calloc(count, sizeof(*ret->line));
	if (ret->line == NULL)
		return err_memory(err);
	while (from < in.n) {
		const char *end = memchr(p + from, '\n', in.n - from);
		size_t n = end != NULL ? (size_t)(end - p) - from : in.n - from;

		ret->line[ret->n++] = line_of(p + from, n);
		from += n + 1;
	}
	return 0;
}

/* A block map in a text: its entries are lines[key[i]] up to lines[end[i]], without the lines that
 * say nothing behind it. */
struct block {
	const struct lines *l;  /* borrowed */
	const struct node *map; /* borrowed */
	size_t from, to, indent;
	size_t *key, *end; /* owned; as many as the map has entries */
};

static void block_clear(struct block *b)
{
	free(b->key);
	free(b->end);
}

static bool is_marker(const struct line *l, const char *marker)
{
	return l->n >= 3 && memcmp(l->p, marker, 3) == 0;
}

static bool begins_entry(const struct line *l, size_t indent)
{
	const char *p = l->p + l->indent;
	size_t n = l->n - l->indent;

	if (!l->says || l->indent != indent || (p[0] == '-' && (n == 1 || p[1] == ' ')))
		return false;
	return !is_marker(l, "---") && !is_marker(l, "...");
}

/* block_find(...): false when lines and map do not go together: a flow map, for one. */
static bool block_find(struct block *b)
{
	size_t n = 0, count = node_count(b->map), at = b->from;

	while (at < b->to && (!b->l->line[at].says || is_marker(&b->l->line[at], "---")))
		at++;
	if (at == b->to || count == 0)
		return false;
	b->indent = b->l->line[at].indent;
	for (size_t i = at; i < b->to; i++) {
		if (b->l->line[i].says && b->l->line[i].indent < b->indent)
			return false;
		if (!begins_entry(&b->l->line[i], b->indent))
			continue;
		if (n == count)
			return false;
		b->key[n++] = i;
	}
	for (size_t i = 0; i < n; i++) {
		b->end[i] = i + 1 < n ? b->key[i + 1] : b->to;
		while (!b->l->line[b->end[i] - 1].says)
			b->end[i]--;
	}
	return n == count;
}

static int block_make(const struct lines *l, const struct node *map, size_t from, size_t to,
		      struct block *ret, bool *found, struct err *err)
{
	*ret = (struct block){.l = l, .map = map, .from = from, .to = to};
	*found = false;
	if (!node_is_map(map))
		return 0;
	ret->key = calloc(node_count(map) + 1, sizeof(*ret->key));
	ret->end = calloc(node_count(map) + 1, sizeof(*ret->end));
	if (ret->key == NULL || ret->end == NULL)
		return err_memory(err);
	*found = block_find(ret);
	return 0;
}

static int lines_copy(const struct lines *l, size_t from, size_t to, struct buf *ret,
		      struct err *err)
{
	int rc = 0;

	for (size_t i = from; i < to && rc == 0; i++) {
		rc = buf_add(ret, l->line[i].p, l->line[i].n, err);
		if (rc == 0)
			rc = buf_add(ret, "\n", 1, err);
	}
	return rc;
}

/* The comment behind a value, with the blanks before it; NULL when there is none, or when a '#' of
 * the value itself leaves that open. */
static const char *comment_of(const struct line *l, size_t *ret_n)
{
	const char *first = memchr(l->p, '#', l->n);
	size_t at;

	if (first == NULL || memchr(first + 1, '#', l->n - (size_t)(first + 1 - l->p)) != NULL)
		return NULL;
	at = (size_t)(first - l->p);
	if (at == 0 || l->p[at - 1] != ' ' || memchr(first, '"', l->n - at) != NULL ||
	    memchr(first, '\'', l->n - at) != NULL)
		return NULL;
	while (at > 0 && l->p[at - 1] == ' ')
		at--;
	*ret_n = l->n - at;
	return l->p + at;
}

/* entry_copy(b, i, indent, comment, ret, err): an entry of the new text, moved to another
 * indentation; ${comment} is a line of the old one, or NULL. */
static int entry_copy(const struct block *b, size_t i, size_t indent, const struct line *comment,
		      struct buf *ret, struct err *err)
{
	const char *behind = NULL;
	size_t n = 0;
	int rc = 0;

	if (comment != NULL)
		behind = comment_of(comment, &n);
	for (size_t k = b->key[i]; k < b->end[i] && rc == 0; k++) {
		const struct line *l = &b->l->line[k];

		for (size_t pad = 0; pad < indent && rc == 0; pad++)
			rc = buf_add(ret, " ", 1, err);
		if (rc == 0)
			rc = buf_add(ret, l->p + b->indent, l->n - b->indent, err);
		if (rc == 0 && k == b->key[i] && behind != NULL)
			rc = buf_add(ret, behind, n, err);
		if (rc == 0)
			rc = buf_add(ret, "\n", 1, err);
	}
	return rc;
}

static size_t entry_find(const struct node *map, const char *key)
{
	for (size_t i = 0; i < node_count(map); i++) {
		if (strcmp(node_key(map, i), key) == 0)
			return i;
	}
	return SIZE_MAX;
}

/* Entries that only the new text has, from the i-th on: they come behind the one they follow. */
static int entries_add(const struct block *was, const struct block *now, size_t i, struct buf *ret,
		       struct err *err)
{
	int rc = 0;

	for (; rc == 0 && i < node_count(now->map); i++) {
		if (entry_find(was->map, node_key(now->map, i)) != SIZE_MAX)
			break;
		rc = entry_copy(now, i, was->indent, NULL, ret, err);
	}
	return rc;
}

static int block_patch(const struct block *was, const struct block *now, struct buf *ret,
		       struct err *err);

/* entry_patch(...): the entry means something else now.  Maps are taken apart when both are in
 * block style below the line of their key. */
static int entry_patch(const struct block *was, size_t i, const struct block *now, size_t k,
		       struct buf *ret, struct err *err)
{
	OWNED(block_clear) struct block inner = {0};
	OWNED(block_clear) struct block other = {0};
	bool apart = false;
	int rc;

	rc = block_make(was->l, node_at(was->map, i), was->key[i] + 1, was->end[i], &inner, &apart,
			err);
	if (rc == 0 && apart)
		rc = block_make(now->l, node_at(now->map, k), now->key[k] + 1, now->end[k], &other,
				&apart, err);
	if (rc < 0)
		return rc;
	if (!apart)
		return entry_copy(now, k, was->indent, &was->l->line[was->key[i]], ret, err);
	rc = lines_copy(was->l, was->key[i], was->key[i] + 1, ret, err);
	return rc < 0 ? rc : block_patch(&inner, &other, ret, err);
}

/* Nesting was bounded when both texts were read, so the recursion is. */
static int block_patch(const struct block *was, const struct block *now, struct buf *ret,
		       struct err *err)
{
	size_t done = was->from, n = node_count(was->map);
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		size_t k = entry_find(now->map, node_key(was->map, i));

		rc = lines_copy(was->l, done, was->key[i], ret, err);
		if (rc == 0 && i == 0)
			rc = entries_add(was, now, 0, ret, err);
		done = was->end[i];
		if (rc < 0 || k == SIZE_MAX)
			continue;
		if (node_equal(node_at(was->map, i), node_at(now->map, k)))
			rc = lines_copy(was->l, was->key[i], was->end[i], ret, err);
		else
			rc = entry_patch(was, i, now, k, ret, err);
		if (rc == 0)
			rc = entries_add(was, now, k + 1, ret, err);
	}
	return rc < 0 ? rc : lines_copy(was->l, done, was->to, ret, err);
}

static int text_patch(struct bytes old, const struct node *old_root, struct bytes new,
		      const struct node *new_root, struct buf *ret, struct err *err)
{
	OWNED(lines_clear) struct lines old_lines = {0};
	OWNED(lines_clear) struct lines new_lines = {0};
	OWNED(block_clear) struct block was = {0};
	OWNED(block_clear) struct block now = {0};
	bool apart = false;
	int rc;

	rc = lines_split(old, &old_lines, err);
	if (rc == 0)
		rc = lines_split(new, &new_lines, err);
	if (rc == 0)
		rc = block_make(&old_lines, old_root, 0, old_lines.n, &was, &apart, err);
	if (rc == 0 && apart)
		rc = block_make(&new_lines, new_root, 0, new_lines.n, &now, &apart, err);
	if (rc < 0 || !apart)
		return rc;
	return block_patch(&was, &now, ret, err);
}

int yaml_patch(struct bytes old, struct bytes new, size_t max, const struct schema *schema,
	       struct buf *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *was = NULL, *now = NULL, *made = NULL;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc;

	rc = yaml_decode(new, max, schema, "a new document", &now, err);
	if (rc < 0)
		return rc;
	if (yaml_decode(old, max, schema, "the old document", &was, ERR_IGNORED) == 0) {
		rc = text_patch(old, yaml_root(was), new, yaml_root(now), &text, err);
		if (rc < 0)
			return rc;
	}
	if (text.n > 0 &&
	    yaml_decode(bytes_in(&text), max, schema, "a changed document", &made, ERR_IGNORED) ==
		0 &&
	    node_equal(yaml_root(made), yaml_root(now)))
		return buf_add(ret, text.p, text.n, err);
	return buf_add(ret, new.p, new.n, err);
}
