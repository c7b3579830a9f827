/*
 * YAML by schema: a bounded buffer becomes a checked tree of values, or one error with file, line,
 * field and what was expected.  The tables come from schemas/ at build time (build/gen/schemas.c).
 * Before libyaml sees a byte, size, line length, nesting and everything that this dialect does not
 * have (anchors, aliases, tags, directives, flow collections in machine-made documents) are
 * bounded, because libyaml is quadratic on nested brackets. Source: YAML 1.2; JSON Schema 2020-12
 * (the subset that schemas/README.md names).
 */
#ifndef SATCHEL_FORMAT_YAML_H
#define SATCHEL_FORMAT_YAML_H

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

struct schema_field {
	const char *name;
	const struct schema *schema;
	bool required;
};

struct schema {
	enum schema_type type;
	const char *title;   /* for messages: "a channel name" */
	const char *pattern; /* strings: POSIX extended, anchored; NULL for any */
	uint64_t minimum,
	    maximum; /* integers: value; strings: characters; lists and open maps: entries */
	const char *const *choices;        /* strings: NULL-ended enum, or NULL */
	const struct schema_field *fields; /* maps */
	size_t field_count;
	const struct schema *items; /* lists; maps with free keys: of the values; else NULL */
	const char *key_pattern;    /* maps with free keys */
};

/* One per document kind, generated: schema_head, schema_beat, ...  schema_find("head/1") looks one
 * up. */
const struct schema *schema_find(const char *type);

struct node; /* a value of a decoded document; lives as long as its struct yaml */
struct yaml; /* owned */

/** yaml_decode(in, max, schema, file, ret, err): ${file} is for messages ("channels/office.yaml").
 * RC_MALFORMED, RC_LIMIT. */
int yaml_decode(struct bytes in, size_t max, const struct schema *schema, const char *file,
		struct yaml **ret, struct err *err);
struct yaml *yaml_free(struct yaml *y);
void yaml_freep(struct yaml **y);
const struct node *yaml_root(const struct yaml *y);

/** node_get(map, key): NULL when absent.  node_line: where it stands. */
const struct node *node_get(const struct node *map, const char *key);
unsigned node_line(const struct node *n);
/** Values; the schema has made sure of the type.  For an absent node (NULL) the fallback. */
const char *node_text(const struct node *n, const char *fallback);
uint64_t node_u64(const struct node *n, uint64_t fallback);
bool node_bool(const struct node *n, bool fallback);
/** Lists and maps: length, i-th value, i-th key. NULL has length 0. */
size_t node_count(const struct node *n);
const struct node *node_at(const struct node *n, size_t i);
const char *node_key(const struct node *map, size_t i);
/** Typed strings: RC_MALFORMED names line and field. node_digest of NULL: zero digest. */
int node_digest(const struct node *n, struct digest *ret, struct err *err);
int node_time(const struct node *n, int64_t *ret, struct err *err);

/**
 * The writer: block style, keys in the order of the calls, strings quoted where another reader
 * could take them for something else. Errors stick: yaml_writer_end reports the first.  In lists,
 * key is NULL.
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
/** yaml_writer_end(w, ret, err): append the text; frees the writer in every case. */
int yaml_writer_end(struct yaml_writer *w, struct buf *ret, struct err *err);
void yaml_writer_freep(struct yaml_writer **w);

#endif
