/* SPDX-License-Identifier: ISC */
/*
 * The documents of a site: read by schema, one row for every kind.  A document's name is its file's
 * name without ".yaml".
 *
 * Elements of all kinds are looked at through a row of offsets (struct site_kind): the list and its
 * count stand in struct site with types of their own, and the name is the first member of every
 * element.  Lists are ascending by name, which is what lookups and edits rely on.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"

static const struct site_kind *const kinds[] = {
    [SITE_DOCUMENT_CHANNEL] = &site_channel_kind,
    [SITE_DOCUMENT_WORKSTATION] = &site_workstation_kind,
    [SITE_DOCUMENT_GROUP] = &site_group_kind,
    [SITE_DOCUMENT_USER] = &site_user_kind,
    [SITE_DOCUMENT_LICENCE] = &site_licence_kind,
    [SITE_DOCUMENT_KEY] = &site_key_kind,
    [SITE_DOCUMENT_POLICY] = &site_policy_kind,
};

const struct site_kind *site_kinds(size_t i)
{
	return i < ARRAY_LEN(kinds) ? kinds[i] : NULL;
}

/* The list's pointer is copied, because its type is the kind's own. */
static void *list_of(const struct site *s, const struct site_kind *kind)
{
	void *list;

	memcpy(&list, (const char *)s + kind->list, sizeof(list));
	return list;
}

size_t site_count(const struct site *s, const struct site_kind *kind)
{
	size_t n;

	memcpy(&n, (const char *)s + kind->count, sizeof(n));
	return n;
}

void site_elements_set(struct site *s, const struct site_kind *kind, void *list, size_t n)
{
	memcpy((char *)s + kind->list, &list, sizeof(list));
	memcpy((char *)s + kind->count, &n, sizeof(n));
}

void *site_element(const struct site *s, const struct site_kind *kind, size_t i)
{
	char *list = list_of(s, kind);

	return list == NULL ? NULL : list + i * kind->size;
}

static int by_name(const void *name, const void *element)
{
	return strcmp(name, element);
}

void *site_find(const struct site *s, const struct site_kind *kind, const char *name)
{
	size_t n = site_count(s, kind);

	return n == 0 ? NULL : bsearch(name, list_of(s, kind), n, kind->size, by_name);
}

struct site_channel *site_channel(const struct site *s, const char *name)
{
	return site_find(s, &site_channel_kind, name);
}

struct site_workstation *site_workstation(const struct site *s, const char *name)
{
	return site_find(s, &site_workstation_kind, name);
}

struct site_group *site_group(const struct site *s, const char *name)
{
	return site_find(s, &site_group_kind, name);
}

struct site_user *site_user(const struct site *s, const char *email)
{
	return site_find(s, &site_user_kind, email);
}

struct site_licence *site_licence(const struct site *s, const char *name)
{
	return site_find(s, &site_licence_kind, name);
}

struct site_key *site_key_document(const struct site *s, const char *name)
{
	return site_find(s, &site_key_kind, name);
}

struct site_policy *site_policy(const struct site *s, const char *name)
{
	return site_find(s, &site_policy_kind, name);
}

/* Also of a list that was half read: what was not reached is zero. */
static void kind_clear(struct site *s, const struct site_kind *kind)
{
	size_t n = site_count(s, kind);

	for (size_t i = 0; i < n; i++)
		kind->clear(site_element(s, kind, i));
	free(list_of(s, kind));
	site_elements_set(s, kind, NULL, 0);
}

void site_documents_clear(struct site *s)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		kind_clear(s, kinds[i]);
}

int site_text_keep(char **dst, const struct node *from, struct err *err)
{
	char *copy;

	if (from == NULL)
		return 0;
	copy = strdup(node_text(from, ""));
	if (copy == NULL)
		return err_memory(err);
	free(*dst);
	*dst = copy;
	return 0;
}

void site_word_copy(char dst[WORD_NAME], const struct node *from)
{
	snprintf(dst, WORD_NAME, "%s", node_text(from, ""));
}

/* The count grows with the list, so that a half-made one can be released. */
int site_list_keep(const struct node *from, char ***ret, size_t *ret_n, struct err *err)
{
	size_t n = node_count(from);

	if (n == 0)
		return 0;
	*ret = calloc(n, sizeof(**ret));
	if (*ret == NULL)
		return err_memory(err);
	for (; *ret_n < n; (*ret_n)++) {
		if (site_text_keep(&(*ret)[*ret_n], node_at(from, *ret_n), err) < 0)
			return RC_MEMORY;
	}
	return 0;
}

void site_list_clear(char ***list, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		free((*list)[i]);
	free(*list);
	*list = NULL;
	*n = 0;
}

void site_list_encode(struct yaml_writer *w, const char *key, char *const *list, size_t n)
{
	if (n == 0)
		return;
	yaml_list(w, key);
	for (size_t i = 0; i < n; i++)
		yaml_text(w, NULL, list[i]);
	yaml_close(w);
}

void site_word_encode(struct yaml_writer *w, const char *key, const char *word)
{
	if (word[0] != '\0')
		yaml_text(w, key, word);
}

/*
 * Names become names of files, parts of paths in depots and words in other documents; so they are
 * what is the same in all of these, on all file systems.
 */
int site_word_check(const char *noun, const char *name, int rc, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n >= WORD_NAME || name[0] == '_' || name[0] == '-' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != n)
		return err_set(err, rc,
			       "\"%s\" cannot be a %s's name: a-z, 0-9, \"_\" and \"-\", at "
			       "most 63, beginning with a letter or digit",
			       name, noun);
	return 0;
}

/*
 * By schema first, with unknown fields refused, so that decoders need not ask whether a field has
 * its type.  A misspelt field that is passed over would be a setting that somebody believes in.
 */
int site_document_decode(const struct site_kind *kind, struct bytes in, const char *name, void *ret,
			 struct err *err)
{
	char file[SITE_DOCUMENT_PATH];
	OWNED(yaml_freep) struct yaml *y = NULL;
	int rc;

	snprintf(file, sizeof(file), "%s/%s" SITE_SUFFIX, kind->directory, name);
	rc = yaml_decode(in, LIMIT_DOCUMENT, schema_find(kind->schema), file, &y, err);
	if (rc < 0)
		return rc;
	memcpy(ret, name, strlen(name) + 1); /* its length was checked by name_check */
	return kind->decode(&y, name, ret, err);
}

/* NAME of NAME.yaml; what editors leave behind (dot-names, NAME.yaml~) is passed over. */
static int name_take(void *arg, const struct dir_entry *entry, struct err *err)
{
	size_t n = strlen(entry->name), suffix = strlen(SITE_SUFFIX);

	if (entry->name[0] == '.' || n <= suffix ||
	    strcmp(entry->name + n - suffix, SITE_SUFFIX) != 0)
		return 0;
	return strings_add_bytes(arg, entry->name, n - suffix, err);
}

/* An absent directory is an empty one, because git keeps no empty directories. */
static int kind_read(struct site *s, const struct site_kind *kind, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	int rc = dir_each(s->dirfd, kind->directory, DIR_MAY_BE_ABSENT, name_take, &names, err);
	void *list;

	if (rc < 0 || names.n == 0) /* what is remembered of documents that are gone does no harm */
		return rc;
	strings_sort(&names);
	list = calloc(names.n, kind->size);
	if (list == NULL)
		return err_memory(err);
	/* What was not read yet is zero, and can be cleared. */
	site_elements_set(s, kind, list, names.n);
	return document_cache_read(s, kind, names.items, names.n, err);
}

int site_documents_read(struct site *s, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(kinds); i++)
		rc = kind_read(s, kinds[i], err);
	return rc;
}
