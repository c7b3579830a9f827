#include "cli/documents.h"

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

int words_take(const struct args *args, const char *name, char *const *old, size_t old_n,
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
			return err_set(err, RC_USAGE, "--drop-%s %s: it is not in the list", name,
				       given[i]);
		ret->n--;
		memmove(&ret->item[at], &ret->item[at + 1], (ret->n - at) * sizeof(*ret->item));
	}
	return 0;
}

int name_take(const char *noun, const char *text, char *dst, size_t size, struct err *err)
{
	if (strlen(text) >= size)
		return err_set(err, RC_USAGE, "a %s's name has at most %zu characters", noun,
			       size - 1);
	memcpy(dst, text, strlen(text) + 1);
	return 0;
}

int word_take(const struct args *args, const char *name, char dst[WORD_NAME], struct err *err)
{
	const char *text = args_text(args, name, NULL);

	return text == NULL ? 0 : name_take(name, text, dst, WORD_NAME, err);
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
	return err_set(err, RC_CONFLICT, "there is a %s %s already; satchel %s set changes it",
		       noun, name, noun);
}

int words_text(char *const *list, size_t n, struct buf *ret, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = buf_printf(ret, err, "%s%s", i > 0 ? ", " : "", list[i]);
	return rc;
}

void json_words(struct json *j, const char *key, char *const *list, size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		json_text(j, NULL, list[i]);
	json_close(j, ']');
}

void json_word(struct json *j, const char *key, const char *word)
{
	if (word[0] != '\0')
		json_text(j, key, word);
	else
		json_time(j, key, 0); /* null */
}

int listing_begin(struct cli *cli, const char *const *heading, size_t n, struct listing *ret,
		  struct err *err)
{
	int rc = 0;

	*ret = (struct listing){.cli = cli, .json = {stdout, false}};
	table_init(&ret->table, n, -1);
	if (cli->json)
		json_open(&ret->json, NULL, '[');
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = table_cell(&ret->table, err, "%s", heading[i]);
	return rc;
}

int listing_cells(struct listing *l, struct err *err, ...)
{
	va_list ap;
	int rc = 0;

	va_start(ap, err);
	for (size_t i = 0; i < l->table.columns && rc == 0; i++)
		rc = table_cell(&l->table, err, "%s", va_arg(ap, const char *));
	va_end(ap);
	return rc;
}

int listing_end(struct listing *l, int rc, const char *none)
{
	if (l->cli->json) {
		json_close(&l->json, ']');
		putchar('\n');
	} else if (rc == 0 && l->table.count > l->table.columns) {
		table_print(&l->table, l->cli->term, stdout);
	} else if (rc == 0) {
		puts(none);
	}
	table_clear(&l->table);
	return rc;
}

static void line_begin(const char *name)
{
	printf("  %-11s", name);
}

void line(const char *name, const char *fmt, ...)
{
	char text[4096], shown[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_escape(shown, sizeof(shown), text);
	line_begin(name);
	puts(shown);
}

void line_words(const char *name, char *const *list, size_t n)
{
	line_begin(name);
	for (size_t i = 0; i < n; i++)
		printf("%s%s", i > 0 ? ", " : "", list[i]);
	puts(n == 0 ? "none" : "");
}
