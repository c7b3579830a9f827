/*
 * The documents of a site: read by schema, one row for every kind.  A document's name is its file's
 * name without ".yaml".
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

static const struct site_kind *const kinds[] = {
    &site_channel_kind, &site_workstation_kind, &site_group_kind,  &site_user_kind,
    &site_licence_kind, &site_key_kind,         &site_policy_kind,
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
	return (char *)list_of(s, kind) + i * kind->size;
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

/* Names in a directory of documents, ascending. */
struct names {
	char **name;
	size_t n, cap;
};

static void names_clear(struct names *l)
{
	site_list_clear(&l->name, &l->n);
}

static int names_add(struct names *l, const char *text, size_t n, struct err *err)
{
	char *copy;

	if (l->n == l->cap) {
		size_t cap = l->cap == 0 ? 64 : l->cap * 2;
		char **more = reallocarray(l->name, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		l->name = more;
		l->cap = cap;
	}
	copy = strndup(text, n);
	if (copy == NULL)
		return err_memory(err);
	l->name[l->n++] = copy;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	const char *const *x = a, *const *y = b;

	return strcmp(*x, *y);
}

/* names_list(...): NAME of every NAME.yaml; editors' leftovers (dot-names, NAME.yaml~) are passed
 * over. An absent directory is an empty one, because git keeps no empty directories. */
static int names_list(int dirfd, const char *dir, struct names *ret, struct err *err)
{
	int fd = beneath_open(dirfd, dir, O_RDONLY | O_DIRECTORY, 0, err);
	OWNED(dir_closep) DIR *d = NULL;
	struct dirent *e;

	if (fd < 0)
		return errno == ENOENT ? 0 : fd;
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return err_sys(err, RC_IO, "cannot list %s", dir);
	}
	while (errno = 0, (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), suffix = strlen(SITE_SUFFIX);

		if (e->d_name[0] == '.' || n <= suffix ||
		    strcmp(e->d_name + n - suffix, SITE_SUFFIX) != 0)
			continue;
		if (names_add(ret, e->d_name, n - suffix, err) < 0)
			return RC_MEMORY;
	}
	if (errno != 0)
		return err_sys(err, RC_IO, "cannot list %s", dir);
	if (ret->n > 0)
		qsort(ret->name, ret->n, sizeof(*ret->name), by_text);
	return 0;
}

static int kind_read(struct site *s, const struct site_kind *kind, struct err *err)
{
	OWNED(names_clear) struct names l = {0};
	int rc = names_list(s->dirfd, kind->directory, &l, err);
	void *list;

	if (rc < 0 || l.n == 0) /* what is remembered of documents that are gone does no harm */
		return rc;
	list = calloc(l.n, kind->size);
	if (list == NULL)
		return err_memory(err);
	site_elements_set(s, kind, list,
			  l.n); /* what was not read yet is zero, and can be cleared */
	return site_remembered_read(s, kind, l.name, l.n, err);
}

int site_documents_read(struct site *s, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(kinds); i++)
		rc = kind_read(s, kinds[i], err);
	return rc;
}
