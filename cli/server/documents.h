/* SPDX-License-Identifier: ISC */
/*
 * What the commands that edit documents share: options to fields, fields to the screen.
 */
#ifndef SATCHEL_CLI_SERVER_DOCUMENTS_H
#define SATCHEL_CLI_SERVER_DOCUMENTS_H

#include "bundler/documents/site_model.h"
#include "bundler/site/site.h"
#include "cli/frame/show.h"

/* A list that belongs to nobody else; its words are the command line's, or the site's. */
struct words {
	char **item; /* owned */
	size_t n;
};
/** words_clear(w): release the list, not its words; a zeroed one is fine. */
void words_clear(struct words *w);

/** option_words(args, name, old, old_n, ret, err):
 * What a field is to hold: the old list, or that of --NAME ("" empties it), then with every
 * --add-NAME and without every --drop-NAME.  Words are borrowed from ${args} and ${old}.
 * Errors: RC_USAGE (--drop-NAME of what is not in the list), RC_MEMORY. */
int option_words(const struct args *args, const char *name, char *const *old, size_t old_n,
		 struct words *ret, struct err *err);
/** option_word(args, name, dst, err): copy the option's word, when it is given; "" for none.
 * Errors: RC_USAGE (too long to be a name). */
int option_word(const struct args *args, const char *name, char dst[WORD_NAME], struct err *err);
/** document_name(noun, text, dst, size, err): copy a name that a person typed.  ${noun}: "group".
 * Errors: RC_USAGE (too long to be a name). */
int document_name(const char *noun, const char *text, char *dst, size_t size, struct err *err);

/** document_none(noun, name, list, n, size, err):
 * RC_USAGE: there is no such document, and which one was probably meant.  ${list} has ${n} elements
 * of ${size} bytes that begin with their names. */
int document_none(const char *noun, const char *name, const void *list, size_t n, size_t size,
		  struct err *err);
/** document_there(noun, name, err): RC_CONFLICT: there is such a document already. */
int document_there(const char *noun, const char *name, struct err *err);

#endif
