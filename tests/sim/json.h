/* SPDX-License-Identifier: ISC */
/* Enough of JSON (RFC 8259) to read what satchel says with --json. */
#ifndef SATCHEL_TESTS_SIM_JSON_H
#define SATCHEL_TESTS_SIM_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_node {
	char kind;              /* '{', '[', '"', 'n' number or word */
	char *name;             /* in a map */
	char *text;             /* of texts, numbers and words */
	struct json_node *item; /* of maps and lists */
	size_t n;
};

/** json_read(path): the value in that file; NULL when it is none.  json_free(v) releases it. */
struct json_node *json_read(const char *path);
void json_free(struct json_node *v);
/** json_get(v, name): NULL when it is not there.  json_text, json_number, json_true: of a member;
 * "" and 0 when it is not there. */
const struct json_node *json_get(const struct json_node *v, const char *name);
const char *json_text_of(const struct json_node *v, const char *name);
uint64_t json_number_of(const struct json_node *v, const char *name);

#endif
