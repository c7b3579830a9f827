/*
 * What the commands that edit documents share: options to fields, fields to the screen.
 */
#ifndef SATCHEL_CLI_DOCUMENTS_H
#define SATCHEL_CLI_DOCUMENTS_H

#include "bundler/site.h"
#include "cli/cli.h"
#include "cli/term.h"

/* A list that belongs to nobody else; its words are the command line's, or the site's. */
struct words {
	char **item; /* owned */
	size_t n;
};
void words_clear(struct words *w);

/** words_take(args, name, old, old_n, ret, err): what a field is to hold: the old list, or that of
 * --NAME ("" empties it), then with every --add-NAME and without every --drop-NAME. */
int words_take(const struct args *args, const char *name, char *const *old, size_t old_n,
	       struct words *ret, struct err *err);
/** word_take(args, name, dst, err): the option's word, when it is given; "" for none. */
int word_take(const struct args *args, const char *name, char dst[WORD_NAME], struct err *err);
/** name_take(noun, text, dst, size, err): a name that a person typed, when it is not too long to be
 * one at all. */
int name_take(const char *noun, const char *text, char *dst, size_t size, struct err *err);

/** document_none(noun, name, list, n, size, err): RC_USAGE: there is none, and which was probably
 * meant; elements begin with their names. */
int document_none(const char *noun, const char *name, const void *list, size_t n, size_t size,
		  struct err *err);
/** document_there(noun, name, err): RC_CONFLICT: there is one already. */
int document_there(const char *noun, const char *name, struct err *err);

/** words_text(list, n, ret, err): "a, b", appended. */
int words_text(char *const *list, size_t n, struct buf *ret, struct err *err);
void json_words(struct json *j, const char *key, char *const *list, size_t n);
/** json_word(j, key, word): null for "". */
void json_word(struct json *j, const char *key, const char *word);

/* A list of documents: a table for people, or a list of JSON. */
struct listing {
	struct cli *cli;
	struct json json;
	struct table table;
};
int listing_begin(struct cli *cli, const char *const *heading, size_t n, struct listing *ret,
		  struct err *err);
/** listing_cells(l, err, text, ...): a row, as many texts as there are columns. */
int listing_cells(struct listing *l, struct err *err, ...);
/** listing_end(l, rc, none): print it, or ${none} when there is nothing; returns ${rc}. */
int listing_end(struct listing *l, int rc, const char *none);

/** line(name, fmt, ...): a line of `show`. */
void line(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void line_words(const char *name, char *const *list, size_t n);

#endif
