/* SPDX-License-Identifier: ISC */
/*
 * The writer: libyaml's emitter in block style.  A map or list is begun only when its first value
 * comes, because block style cannot write an empty one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"

struct write_level {
	bool list;
	bool begun;   /* its start went to the emitter */
	bool has_key; /* it is an entry of a map */
	char key[LIMIT_NAME + 1];
};

struct yaml_writer {
	yaml_emitter_t emitter;
	struct buf text; /* owned */
	struct write_level level[LIMIT_YAML_DEPTH];
	size_t depth; /* the document's own map is level 0 */
	struct err err;
};

static int writer_take(void *data, unsigned char *p, size_t n)
{
	struct yaml_writer *w = data;

	return buf_add(&w->text, p, n, &w->err) == 0;
}

/* Hand ${e} to the emitter, which releases it; ${made} is false when there was no memory for it. */
static void writer_emit(struct yaml_writer *w, yaml_event_t *e, int made)
{
	if (!made) {
		err_memory(&w->err);
		return;
	}
	if (w->err.rc != 0) {
		yaml_event_delete(e);
		return;
	}
	if (!yaml_emitter_emit(&w->emitter, e) && w->err.rc == 0)
		err_set(&w->err, RC_INTERNAL, "a document could not be written: %s",
			w->emitter.problem != NULL ? w->emitter.problem : "out of memory");
}

int yaml_writer_new(struct yaml_writer **ret, struct err *err)
{
	OWNED(yaml_writer_freep) struct yaml_writer *w = calloc(1, sizeof(*w));
	yaml_event_t e;

	if (w == NULL)
		return err_memory(err);
	if (!yaml_emitter_initialize(&w->emitter))
		return err_memory(err);
	yaml_emitter_set_output(&w->emitter, writer_take, w);
	yaml_emitter_set_unicode(&w->emitter, 1);
	yaml_emitter_set_width(&w->emitter, -1);
	writer_emit(w, &e, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING));
	writer_emit(w, &e, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1));
	w->depth = 1;
	if (w->err.rc != 0)
		return err_set(err, w->err.rc, "%s", w->err.text);
	*ret = TAKE(w);
	return 0;
}

static bool text_is_utf8(const char *text)
{
	size_t n = strlen(text), len;

	for (size_t i = 0; i < n; i += len) {
		len = utf8_length((const uint8_t *)text + i, n - i);
		if (len == 0)
			return false;
	}
	return true;
}

/* Plain only what nobody could take for anything else: a word of letters, digits, "/._-". */
static bool text_is_plain(const char *text)
{
	size_t n = strlen(text);
	char c = text[0];

	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/') && n < 256 &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") ==
		   n &&
	       plain_kind(text, n) == NODE_TEXT;
}

static void writer_scalar(struct yaml_writer *w, const char *text, bool quoted)
{
	yaml_event_t e;
	const yaml_char_t *value = (const yaml_char_t *)text;

	if (w->err.rc != 0)
		return;
	if (!text_is_utf8(text)) {
		err_set(&w->err, RC_MALFORMED, "a document cannot hold text that is not UTF-8");
		return;
	}
	writer_emit(w, &e,
		    yaml_scalar_event_initialize(&e, NULL, NULL, value, (int)strlen(text), 1, 1,
						 quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
							: YAML_PLAIN_SCALAR_STYLE));
}

static void writer_key(struct yaml_writer *w, const char *key)
{
	writer_scalar(w, key, !text_is_plain(key));
}

/* Begin everything that is open and has not begun yet. */
static void writer_begin(struct yaml_writer *w)
{
	yaml_event_t e;

	for (size_t i = 0; i < w->depth; i++) {
		struct write_level *l = &w->level[i];

		if (l->begun)
			continue;
		l->begun = true;
		if (l->has_key)
			writer_key(w, l->key);
		writer_emit(w, &e,
			    l->list ? yaml_sequence_start_event_initialize(
					  &e, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE)
				    : yaml_mapping_start_event_initialize(
					  &e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
	}
}

/* A key is given exactly in a map. */
static bool writer_fits(struct yaml_writer *w, const char *key)
{
	if (w->err.rc != 0)
		return false;
	if (w->depth == 0 || w->level[w->depth - 1].list != (key == NULL)) {
		err_set(&w->err, RC_INTERNAL, "a value was written in the wrong place: %s",
			key != NULL ? key : "in a map, without a key");
		return false;
	}
	return true;
}

static void writer_open(struct yaml_writer *w, const char *key, bool list)
{
	struct write_level *l;

	if (!writer_fits(w, key))
		return;
	if (w->depth == LIMIT_YAML_DEPTH || (key != NULL && strlen(key) > LIMIT_NAME)) {
		err_set(&w->err, RC_LIMIT, "a document nested deeper than %d levels",
			LIMIT_YAML_DEPTH);
		return;
	}
	l = &w->level[w->depth++];
	*l = (struct write_level){.list = list, .has_key = key != NULL};
	if (key != NULL)
		memcpy(l->key, key, strlen(key) + 1);
}

void yaml_map(struct yaml_writer *w, const char *key)
{
	writer_open(w, key, false);
}

void yaml_list(struct yaml_writer *w, const char *key)
{
	writer_open(w, key, true);
}

void yaml_close(struct yaml_writer *w)
{
	struct write_level *l;
	yaml_event_t e;

	if (w->err.rc != 0)
		return;
	if (w->depth <= 1) {
		err_set(&w->err, RC_INTERNAL, "a map or list was closed that is not open");
		return;
	}
	l = &w->level[--w->depth];
	if (l->begun)
		writer_emit(w, &e,
			    l->list ? yaml_sequence_end_event_initialize(&e)
				    : yaml_mapping_end_event_initialize(&e));
	else if (!l->has_key)
		err_set(&w->err, RC_INTERNAL, "an empty map or list cannot be an item of a list");
}

static void writer_value(struct yaml_writer *w, const char *key, const char *text, bool quoted)
{
	if (!writer_fits(w, key))
		return;
	writer_begin(w);
	if (key != NULL)
		writer_key(w, key);
	writer_scalar(w, text, quoted);
	if (w->err.rc == RC_MALFORMED && key != NULL)
		err_prefix(&w->err, "field `%s`", key);
}

void yaml_text(struct yaml_writer *w, const char *key, const char *value)
{
	writer_value(w, key, value, !text_is_plain(value));
}

void yaml_u64(struct yaml_writer *w, const char *key, uint64_t value)
{
	char text[24];

	if (w->err.rc == 0 && value > LIMIT_NUMBER)
		err_set(&w->err, RC_LIMIT, "field `%s`: a number larger than %llu",
			key != NULL ? key : "", LIMIT_NUMBER);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	writer_value(w, key, text, false);
}

void yaml_bool(struct yaml_writer *w, const char *key, bool value)
{
	writer_value(w, key, value ? "true" : "false", false);
}

/* The one place for flow style: block style has no way to say that there is nothing. */
static void writer_empty(struct yaml_writer *w, const char *key, bool list)
{
	yaml_event_t e;

	if (!writer_fits(w, key))
		return;
	writer_begin(w);
	if (key != NULL)
		writer_key(w, key);
	writer_emit(
	    w, &e,
	    list ? yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE)
		 : yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_FLOW_MAPPING_STYLE));
	writer_emit(w, &e,
		    list ? yaml_sequence_end_event_initialize(&e)
			 : yaml_mapping_end_event_initialize(&e));
}

/* Nesting was bounded when ${from} was read, so the recursion is. */
void yaml_node(struct yaml_writer *w, const char *key, const struct node *from)
{
	if (from == NULL)
		return;
	if (from->kind == NODE_TEXT) {
		yaml_text(w, key, from->text);
	} else if (from->text != NULL) {
		writer_value(w, key, from->text, false);
	} else if (from->count == 0) {
		writer_empty(w, key, from->kind == NODE_LIST);
	} else {
		writer_open(w, key, from->kind == NODE_LIST);
		for (uint32_t i = 0; i < from->count; i++)
			yaml_node(w, from->child[i]->key, from->child[i]);
		yaml_close(w);
	}
}

void yaml_digest(struct yaml_writer *w, const char *key, const struct digest *value)
{
	char text[DIGEST_HEX + 1];

	digest_hex(text, value);
	writer_value(w, key, text, true);
}

void yaml_time(struct yaml_writer *w, const char *key, int64_t seconds)
{
	char text[CLOCK_TEXT + 1];

	clock_format(text, seconds);
	writer_value(w, key, text, true);
}

static int writer_finish(struct yaml_writer *w, struct buf *ret, struct err *err)
{
	yaml_event_t e;

	if (w->err.rc == 0 && (w->depth != 1 || !w->level[0].begun))
		err_set(&w->err, RC_INTERNAL, "a document was ended too early");
	if (w->err.rc == 0) {
		writer_emit(w, &e, yaml_mapping_end_event_initialize(&e));
		writer_emit(w, &e, yaml_document_end_event_initialize(&e, 1));
		writer_emit(w, &e, yaml_stream_end_event_initialize(&e));
	}
	if (w->err.rc != 0)
		return err_set(err, w->err.rc, "%s", w->err.text);
	return buf_add(ret, w->text.p, w->text.n, err);
}

int yaml_writer_end(struct yaml_writer *w, struct buf *ret, struct err *err)
{
	int rc = writer_finish(w, ret, err);

	yaml_writer_freep(&w);
	return rc;
}

void yaml_writer_freep(struct yaml_writer **w)
{
	if (*w != NULL) {
		yaml_emitter_delete(&(*w)->emitter);
		buf_clear(&(*w)->text);
		free(*w);
	}
	*w = NULL;
}
