/* SPDX-License-Identifier: ISC */
/*
 * What the kinds of documents share: a row for each kind, and what decoders are made of.
 */
#ifndef SATCHEL_BUNDLER_DOCUMENTS_DOCUMENTS_INTERNAL_H
#define SATCHEL_BUNDLER_DOCUMENTS_DOCUMENTS_INTERNAL_H

#include "bundler/documents/documents.h"

#define SITE_SUFFIX        ".yaml"
#define SITE_DOCUMENT_PATH (LIMIT_NAME + 32) /* "channels/NAME.yaml" with NUL */
#define SITE_KEEP          8 /* generations whose content is kept, unless the channel says else */

/* A kind of document that there are many of: NAME.yaml in a directory of its own. */
struct site_kind {
	const char *noun;      /* "group" */
	const char *directory; /* "groups" */
	const char *schema;    /* "group/1" */
	size_t size;           /* of an element; it begins with its name */
	size_t list, count;    /* offsets in struct site */
	/** name_check(name, rc, err): ${rc} when it cannot be one: RC_USAGE for what a person
	 * typed, RC_MALFORMED for a file's name. */
	int (*name_check)(const char *name, int rc, struct err *err);
	/** decode(y, name, ret, err): what the schema has checked, into a zeroed element whose name
	 * is in place; cleared by the caller also after an error.  May TAKE the document. */
	int (*decode)(struct yaml **y, const char *name, void *ret, struct err *err);
	/** encode(element, w): every field after the document's type. */
	void (*encode)(const void *element, struct yaml_writer *w);
	void (*clear)(void *element);
};
extern const struct site_kind site_channel_kind, site_workstation_kind, site_group_kind,
    site_user_kind, site_licence_kind, site_key_kind, site_policy_kind;

#define SITE_KIND_LIST(elements, number) \
	.list = offsetof(struct site, elements), .count = offsetof(struct site, number)

/** document_cache_read(s, kind, name, n, err): the documents of one kind, ascending by name, into
 * the elements that are there for them.  Files that are as the registry remembers them are not
 * opened; with SITE_LOCK what was read anew is kept for site_documents_remember. */
int document_cache_read(struct site *s, const struct site_kind *kind, char *const *name, size_t n,
			struct err *err);
/** site_kinds(i): the kind of enum site_document ${i}, NULL after the last. */
const struct site_kind *site_kinds(size_t i);

/**
 * site_count(s, kind): how many there are.
 * site_elements_set(s, kind, list, n): the list is ${list} now, of ${n} elements; the site owns
 * it, and the old one is the caller's.
 */
size_t site_count(const struct site *s, const struct site_kind *kind);
void site_elements_set(struct site *s, const struct site_kind *kind, void *list, size_t n);
/** site_element(s, kind, i): the i-th.  site_find(s, kind, name): NULL when there is none. */
void *site_element(const struct site *s, const struct site_kind *kind, size_t i);
void *site_find(const struct site *s, const struct site_kind *kind, const char *name);

/** site_document_decode(kind, in, name, ret, err): one document, whole; ${ret} as for the kind's
 * decode. */
int site_document_decode(const struct site_kind *kind, struct bytes in, const char *name, void *ret,
			 struct err *err);

/**
 * What decoders, encoders and clears are made of.
 * site_text_keep(dst, from, err): a copy of the text in place of ${*dst}, which is freed; absent:
 * untouched.  RC_MEMORY.
 * site_list_keep(from, ret, ret_n, err): copies of all texts, into an empty list.  RC_MEMORY; what
 * was copied so far can be cleared.
 * site_list_clear(list, n): release texts and list.
 * site_list_encode(w, key, list, n), site_word_encode(w, key, word): nothing when it is empty.
 * site_word_check(noun, name, rc, err): ${rc} when ${name} cannot be the name of a ${noun}: a-z,
 * 0-9, "_", "-", at most 63, beginning with a letter or digit.
 */
int site_text_keep(char **dst, const struct node *from, struct err *err); /* absent: untouched */
int site_list_keep(const struct node *from, char ***ret, size_t *ret_n, struct err *err);
void site_list_clear(char ***list, size_t *n);
void site_list_encode(struct yaml_writer *w, const char *key, char *const *list, size_t n);
void site_word_encode(struct yaml_writer *w, const char *key, const char *word); /* "": nothing */
int site_word_check(const char *noun, const char *name, int rc, struct err *err);

/** site_element_references(s, kind, element, err): RC_POLICY when a name in this element, which
 * need not be in the site, leads nowhere. */
int site_element_references(const struct site *s, const struct site_kind *kind, const void *element,
			    struct err *err);
/** site_referrers(s, kind, name, ret, ret_n, err): the documents that lead to this one, as a list
 * for people, appended; and how many. */
int site_referrers(const struct site *s, const struct site_kind *kind, const char *name,
		   struct buf *ret, size_t *ret_n, struct err *err);

#endif
