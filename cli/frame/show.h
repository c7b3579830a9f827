/* SPDX-License-Identifier: ISC */
/*
 * Fields, lists and listings on the screen, or as JSON.
 */
#ifndef SATCHEL_CLI_FRAME_SHOW_H
#define SATCHEL_CLI_FRAME_SHOW_H

#include "cli/frame/cli.h"
#include "cli/frame/term.h"
#include "core/trust/code.h"

/** words_text(list, n, ret, err): "a, b", appended.  Errors: RC_MEMORY. */
int words_text(char *const *list, size_t n, struct buf *ret, struct err *err);
/** json_words(j, key, list, n): a list of strings. */
void json_words(struct json *j, const char *key, char *const *list, size_t n);
/** json_word(j, key, word): a string; null for "". */
void json_word(struct json *j, const char *key, const char *word);

/* The answer of a `list` command: a table for people, or one list of JSON. */
struct output_list {
	struct cli *cli; /* borrowed */
	struct json json;
	struct table table; /* owned */
};
/** output_list_begin(cli, heading, n, ret, err): with ${n} columns.  output_list_end prints and
 * releases it, also after an error.  Errors: RC_MEMORY. */
int output_list_begin(struct cli *cli, const char *const *heading, size_t n,
		      struct output_list *ret, struct err *err);
/** output_list_cells(l, err, ...): a row of the table: as many const char * as there are columns.
 * Errors: RC_MEMORY. */
int output_list_cells(struct output_list *l, struct err *err, ...);
/** output_list_end(l, rc, none): close the list of JSON; or print the table, or ${none} when it is
 * empty, unless ${rc} is an error.  Returns ${rc}. */
int output_list_end(struct output_list *l, int rc, const char *none);

/** show_line(name, fmt, ...): a line of `show`: a name, and a value that is printed escaped. */
void show_line(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** show_words(name, list, n): the same with a list of names, or "none". */
void show_words(const char *name, char *const *list, size_t n);

/** show_text(text): the lines of a message, the first with the name `text`, each printed escaped;
 * nothing for "". */
void show_text(const char *text);

/** fingerprint_text(dst, id): a workstation's id in groups of four, as people compare them. */
void fingerprint_text(char dst[WORKSTATION_ID + 8], const char *id);

#endif
