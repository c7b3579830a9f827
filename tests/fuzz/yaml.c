/* SPDX-License-Identifier: ISC */
/*
 * The reader of YAML: every kind of document, chosen by the first line.  What is accepted is walked
 * through, written again, and must then be accepted as the same tree.  What passes the scan before
 * libyaml never nests deeper in libyaml's eyes than the scan allows.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/base/own.h"
#include "core/format/yaml/yaml_internal.h"

static const char *const types[] = {
    "trust/1",       "beat/1",
    "shard/1",       "head/1",
    "manifest/1",    "receipt/1",
    "request/1",     "subscription/1",
    "membership/1",  "depot/1",
    "site/1",        "channel/1",
    "workstation/1", "workstation-config/1",
    "server/1",      "group/1",
    "user/1",        "licence/1",
    "key/1",         "policy/1",
};

static const char *type_of(struct bytes in)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		size_t n = strlen(types[i]);

		if (in.n > 9 + n && memcmp(in.p, "satchel: ", 9) == 0 &&
		    memcmp(in.p + 9, types[i], n) == 0 && in.p[9 + n] == '\n')
			return types[i];
	}
	return "channel/1";
}

static void write_again(struct yaml_writer *w, const struct node *n)
{
	bool all = n->parent == NULL;

	if (n->kind == NODE_TEXT || n->kind == NODE_AMBIGUOUS) {
		yaml_text(w, n->key, n->text);
	} else if (n->kind == NODE_INTEGER && node_u64(n, 0) == node_u64(n, 1)) {
		yaml_u64(w, n->key, node_u64(n, 0));
	} else if (n->kind == NODE_INTEGER) {
		yaml_text(w, n->key, "more than that"); /* 2^53 and more, below `more` */
	} else if (n->kind == NODE_BOOLEAN) {
		yaml_bool(w, n->key, node_bool(n, false));
	} else if (n->count > 0 || all) {
		if (!all)
			(n->kind == NODE_MAP ? yaml_map : yaml_list)(w, n->key);
		for (uint32_t i = 0; i < n->count; i++)
			write_again(w, n->child[i]);
		if (!all)
			yaml_close(w);
	}
}

/* Empty maps and lists cannot be written, nor what lies at more than 2^53-1: leave those alone. */
static bool has_empty(const struct node *n)
{
	if (n->kind == NODE_MAP || n->kind == NODE_LIST) {
		if (n->count == 0)
			return true;
		for (uint32_t i = 0; i < n->count; i++)
			if (has_empty(n->child[i]))
				return true;
	}
	return n->key != NULL && strlen(n->key) > LIMIT_NAME;
}

static void same(const struct node *a, const struct node *b)
{
	if (a->count != b->count || (a->key != NULL && strcmp(a->key, b->key) != 0))
		abort();
	if (a->kind == NODE_TEXT && (b->kind != NODE_TEXT || strcmp(a->text, b->text) != 0))
		abort();
	for (uint32_t i = 0; i < a->count; i++)
		same(a->child[i], b->child[i]);
}

static void nests_as_scanned(const uint8_t *p, size_t n)
{
	size_t flow = 0, block = 0;
	yaml_parser_t parser;
	yaml_token_t token;
	bool more = true;

	if (yaml_scan((struct bytes){p, n}, LIMIT_DOCUMENT, false, "input", ERR_IGNORED) < 0)
		return;
	if (!yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, p, n);
	while (more && yaml_parser_scan(&parser, &token)) {
		flow += token.type == YAML_FLOW_SEQUENCE_START_TOKEN ||
			token.type == YAML_FLOW_MAPPING_START_TOKEN;
		flow -= flow > 0 && (token.type == YAML_FLOW_SEQUENCE_END_TOKEN ||
				     token.type == YAML_FLOW_MAPPING_END_TOKEN);
		block += token.type == YAML_BLOCK_SEQUENCE_START_TOKEN ||
			 token.type == YAML_BLOCK_MAPPING_START_TOKEN;
		block -= block > 0 && token.type == YAML_BLOCK_END_TOKEN;
		if (flow > LIMIT_YAML_DEPTH || block > 2 * LIMIT_YAML_DEPTH)
			abort();
		more = token.type != YAML_STREAM_END_TOKEN && token.type != YAML_NO_TOKEN;
		yaml_token_delete(&token);
	}
	yaml_parser_delete(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct schema *schema = schema_find(type_of((struct bytes){p, n}));
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(yaml_freep) struct yaml *z = NULL;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct yaml_writer *w = NULL;
	struct err err = {0};

	nests_as_scanned(p, n);
	if (yaml_decode((struct bytes){p, n}, LIMIT_DOCUMENT, schema, "input", &y, &err) < 0) {
		if (err.rc == 0 || err.text[0] == '\0')
			abort();
		return 0;
	}
	if (has_empty(yaml_root(y)))
		return 0;
	if (yaml_writer_new(&w, &err) < 0)
		abort();
	write_again(w, yaml_root(y));
	if (yaml_writer_end(w, &text, &err) < 0 ||
	    yaml_decode(bytes_in(&text), 16 * LIMIT_DOCUMENT, schema, "again", &z, &err) < 0) {
		if (err.rc == RC_LIMIT) /* escapes made a line too long */
			return 0;
		abort();
	}
	same(yaml_root(y), yaml_root(z));
	return 0;
}
