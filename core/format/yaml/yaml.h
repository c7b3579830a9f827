/* SPDX-License-Identifier: ISC */
/*
 * YAML by schema: a bounded buffer becomes a checked tree of values, or one error with file, line,
 * field and what was expected.  The tables come from schemas/ at build time (build/gen/schemas.c).
 *
 * The dialect is small, so that every reader of YAML reads the same: docs/FORMAT.md section 2.
 * Before libyaml sees a byte, size, characters, lines, nesting and everything that the dialect does
 * not have (anchors, aliases, tags, directives, block scalars, flow collections in machine-made
 * documents) are bounded, because libyaml is quadratic on nested brackets.
 * Source: YAML 1.2; JSON Schema 2020-12 (the subset that schemas/README.md names).
 */
#ifndef SATCHEL_CORE_FORMAT_YAML_YAML_H
#define SATCHEL_CORE_FORMAT_YAML_YAML_H

#include "core/base/bytes.h"
#include "core/base/digest.h"

enum schema_type {
	SCHEMA_STRING,
	SCHEMA_INTEGER,
	SCHEMA_BOOLEAN,
	SCHEMA_MAP,
	SCHEMA_LIST,
	SCHEMA_ANY
};

/* A regular expression as a table; state 0 is dead, 1 is the start (schemas/pattern.py). */
struct schema_pattern {
	const uint8_t *class_of; /* 129: of each ASCII character, then of all others */
	const uint8_t *next;     /* states times classes */
	const uint8_t *accept;   /* per state: does the text match when it ends here? */
	size_t classes;
};

struct schema_field {
	const char *name;
	const struct schema *schema;
	bool required;
};

struct schema {
	enum schema_type type;
	const char *title;                    /* for messages: "a channel name"; or NULL */
	const char *document;                 /* of a whole document: "head/1"; else NULL */
	bool block;                           /* machine-made: block style only */
	const struct schema_pattern *pattern; /* strings: or NULL */
	bool time;                            /* strings: a time that exists */
	uint64_t minimum, maximum;            /* integers: value; strings: characters;
						 lists and free maps: entries */
	const char *const *choices;           /* strings: NULL-ended enum, or NULL */
	const struct schema_field *fields;    /* maps with named fields */
	size_t field_count;
	const struct schema *items; /* lists; maps with free keys: of the values; else NULL */
	const struct schema *keys;  /* maps with free keys: of the keys, or NULL */
};

/** schema_find(type): of a document, "head/1"; NULL when there is none. */
const struct schema *schema_find(const char *type);

struct node; /* a value of a decoded document; lives as long as its struct yaml */
struct yaml; /* owned */

/**
 * yaml_decode(in, max, schema, file, ret, err):
 * Check at most ${max} bytes against ${schema} (of a whole document; schema_find("site/1")).
 * ${file} is for messages ("channels/office.yaml") and is copied.  ${in} is not needed afterwards.
 * Errors: RC_MALFORMED, RC_LIMIT (too large, deep or many), RC_MEMORY.
 */
int yaml_decode(struct bytes in, size_t max, const struct schema *schema, const char *file,
		struct yaml **ret, struct err *err);
/** yaml_freep(y): release it.  (yaml_free is libyaml's, and exported: the name must not be ours.)
 */
void yaml_freep(struct yaml **y);
/** yaml_root(y): its map; borrowed. */
const struct node *yaml_root(const struct yaml *y);

/**
 * node_get(map, key): NULL when absent, or when ${map} is NULL.
 * node_line(n): where it stands, from 1; 0 for NULL.
 */
const struct node *node_get(const struct node *map, const char *key);
unsigned node_line(const struct node *n);
/**
 * Values; the schema has made sure of the type.  For an absent node (NULL) the fallback.
 * node_text(n, fallback): the text of any scalar, borrowed.  node_u64(n, fallback), node_bool(n,
 * fallback): also the fallback for another type.
 */
const char *node_text(const struct node *n, const char *fallback);
uint64_t node_u64(const struct node *n, uint64_t fallback);
bool node_bool(const struct node *n, bool fallback);
/**
 * Lists and maps.  NULL has length 0.
 * node_count(n): how many values.  node_at(n, i): the i-th, from 0; NULL beyond the end.
 * node_key(map, i): the key of the i-th entry, borrowed; NULL in a list.
 * node_is_map(n), node_is_list(n): also an empty one; false for NULL.
 */
size_t node_count(const struct node *n);
const struct node *node_at(const struct node *n, size_t i);
const char *node_key(const struct node *map, size_t i);
bool node_is_map(const struct node *n);
bool node_is_list(const struct node *n);
/** node_equal(a, b): the same value; entries of maps in any order.  NULL equals NULL alone. */
bool node_equal(const struct node *a, const struct node *b);
/**
 * Typed strings: RC_MALFORMED names file, line and field.
 * node_digest(n, ret, err), node_time(n, ret, err): all zero and 0 for NULL; seconds since 1970.
 * node_copy(n, dst, size, err): the text with its NUL, when it fits ${size} bytes (a schema counts
 * characters); "" for NULL.
 * node_base64(n, dst, size, err): exactly ${size} bytes; all zero for NULL.
 */
int node_digest(const struct node *n, struct digest *ret, struct err *err);
int node_time(const struct node *n, int64_t *ret, struct err *err);
int node_copy(const struct node *n, char *dst, size_t size, struct err *err);
int node_base64(const struct node *n, uint8_t *dst, size_t size, struct err *err);
/** node_error(n, err, fmt, ...): RC_MALFORMED "FILE:LINE: field `a.b`: " and the sentence; for
 * what a schema cannot say. */
int node_error(const struct node *n, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * The writer: block style, keys in the order of the calls, strings quoted where another reader
 * could take them for something else.  Errors stick: yaml_writer_end reports the first.  In lists,
 * ${key} is NULL.  A map or list that stays empty is left out (block style cannot write it), and
 * is an error as an item of a list.
 * yaml_writer_new(ret, err): the document's own map is open already.  ${*ret} is owned by the
 * caller.  Errors: RC_MEMORY.
 * yaml_map(w, key), yaml_list(w, key): open one, until yaml_close(w).
 * yaml_text(w, key, value): RC_MALFORMED when it is not UTF-8.  yaml_u64(w, key, value): RC_LIMIT
 * above LIMIT_NUMBER.  yaml_bool(w, key, value), yaml_digest(w, key, value), yaml_time(w, key,
 * seconds): in their one written form; seconds since 1970.
 * yaml_writer_freep(w): release a writer that was not ended.  NULL is fine.
 */
struct yaml_writer;
int yaml_writer_new(struct yaml_writer **ret, struct err *err);
void yaml_map(struct yaml_writer *w,
	      const char *key); /* opened; the document's own map is open already */
void yaml_list(struct yaml_writer *w, const char *key);
void yaml_close(struct yaml_writer *w);
void yaml_text(struct yaml_writer *w, const char *key, const char *value);
void yaml_u64(struct yaml_writer *w, const char *key, uint64_t value);
void yaml_bool(struct yaml_writer *w, const char *key, bool value);
void yaml_digest(struct yaml_writer *w, const char *key, const struct digest *value);
void yaml_time(struct yaml_writer *w, const char *key, int64_t seconds);
/** yaml_node(w, key, from): a value of a decoded document, whole; NULL: nothing.  What is empty
 * inside it is written as {} or [], which documents that only machines write may not hold. */
void yaml_node(struct yaml_writer *w, const char *key, const struct node *from);
/** yaml_writer_end(w, ret, err): append the text; frees the writer in every case. */
int yaml_writer_end(struct yaml_writer *w, struct buf *ret, struct err *err);
void yaml_writer_freep(struct yaml_writer **w);

/**
 * yaml_patch(old, new, max, schema, ret, err): append a text that means what ${new} means, with all
 * of ${old} that means the same as people wrote it: comments, order, style.  ${old} need not be a
 * document at all; then it is ${new}.  Errors: those of yaml_decode, for ${new}.
 */
int yaml_patch(struct bytes old, struct bytes new, size_t max, const struct schema *schema,
	       struct buf *ret, struct err *err);

#endif
