/* SPDX-License-Identifier: ISC */
/*
 * What the commands that edit documents share: lists that options change, names, and what is said
 * when a document exists or does not.
 */
#include "cli/server/documents.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"

void words_clear(struct words *w)
{
	free(w->item);
	*w = (struct words){0};
}

static size_t word_find(const struct words *w, const char *word)
{
	size_t i = 0;

	while (i < w->n && strcmp(w->item[i], word) != 0)
		i++;
	return i;
}

/* --NAME, --add-NAME or --drop-NAME. */
static size_t options_of(const struct args *args, const char *verb, const char *name,
			 char *ret[ARGS_MAX])
{
	char option[64];

	snprintf(option, sizeof(option), "%s%s", verb, name);
	return args_list(args, option, ret);
}

int option_words(const struct args *args, const char *name, char *const *old, size_t old_n,
		 struct words *ret, struct err *err)
{
	char *given[ARGS_MAX];
	size_t n = options_of(args, "", name, given);

	if (n > 0) {
		old = given;
		old_n = n == 1 && given[0][0] == '\0' ? 0 : n;
	}
	ret->item = calloc(old_n + ARGS_MAX + 1, sizeof(*ret->item));
	if (ret->item == NULL)
		return err_memory(err);
	for (ret->n = 0; ret->n < old_n; ret->n++)
		ret->item[ret->n] = old[ret->n];
	n = options_of(args, "add-", name, given);
	for (size_t i = 0; i < n; i++) {
		if (word_find(ret, given[i]) == ret->n)
			ret->item[ret->n++] = given[i];
	}
	n = options_of(args, "drop-", name, given);
	for (size_t i = 0; i < n; i++) {
		size_t at = word_find(ret, given[i]);

		if (at == ret->n)
			return err_set(err, RC_USAGE, "--drop-%s %s: not in the list", name,
				       given[i]);
		ret->n--;
		memmove(&ret->item[at], &ret->item[at + 1], (ret->n - at) * sizeof(*ret->item));
	}
	return 0;
}

int document_name(const char *noun, const char *text, char *dst, size_t size, struct err *err)
{
	if (strlen(text) >= size)
		return err_set(err, RC_USAGE, "a %s's name has at most %zu characters", noun,
			       size - 1);
	memcpy(dst, text, strlen(text) + 1);
	return 0;
}

int option_word(const struct args *args, const char *name, char dst[WORD_NAME], struct err *err)
{
	const char *text = args_text(args, name, NULL);

	return text == NULL ? 0 : document_name(name, text, dst, WORD_NAME, err);
}

int document_none(const char *noun, const char *name, const void *list, size_t n, size_t size,
		  struct err *err)
{
	OWNED(freep) const char **names = calloc(n + 1, sizeof(*names));
	const char *meant;

	if (names == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		names[i] = (const char *)list + i * size;
	meant = nearest(name, names, n);
	if (meant != NULL)
		return err_set(err, RC_USAGE, "there is no %s %s; did you mean %s?", noun, name,
			       meant);
	return err_set(err, RC_USAGE, "there is no %s %s; satchel %s list shows them", noun, name,
		       noun);
}

int document_there(const char *noun, const char *name, struct err *err)
{
	return err_set(err, RC_CONFLICT, "%s %s exists already; satchel %s set changes it", noun,
		       name, noun);
}
