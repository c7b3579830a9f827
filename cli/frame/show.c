/* SPDX-License-Identifier: ISC */
/*
 * Fields, lists and listings on the screen, or as JSON.
 */
#include "cli/frame/show.h"

#include <stdarg.h>
#include <string.h>

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

int output_list_begin(struct cli *cli, const char *const *heading, size_t n,
		      struct output_list *ret, struct err *err)
{
	int rc;

	*ret = (struct output_list){.cli = cli, .json = {stdout, false}};
	rc = table_head(&ret->table, heading, n, -1, err);
	if (cli->json)
		json_open(&ret->json, NULL, '[');
	return rc;
}

int output_list_cells(struct output_list *l, struct err *err, ...)
{
	va_list ap;
	int rc = 0;

	va_start(ap, err);
	for (size_t i = 0; i < l->table.columns && rc == 0; i++)
		rc = table_cell(&l->table, err, "%s", va_arg(ap, const char *));
	va_end(ap);
	return rc;
}

int output_list_end(struct output_list *l, int rc, const char *none)
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
	printf("  %-10s ", name);
}

void show_line(const char *name, const char *fmt, ...)
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

void show_words(const char *name, char *const *list, size_t n)
{
	line_begin(name);
	for (size_t i = 0; i < n; i++)
		printf("%s%s", i > 0 ? ", " : "", list[i]);
	puts(n == 0 ? "none" : "");
}

void show_text(const char *text)
{
	const char *name = "text";

	for (const char *p = text; *p != '\0'; name = "") {
		size_t n = strcspn(p, "\n");
		char line[512], shown[4 * sizeof(line)];

		snprintf(line, sizeof(line), "%.*s", (int)n, p);
		err_escape(shown, sizeof(shown), line);
		printf("  %-9s %s\n", name, shown);
		p += n + (p[n] == '\n');
	}
}

void fingerprint_text(char dst[WORKSTATION_ID + 8], const char *id)
{
	size_t used = 0;

	for (size_t i = 0; id[i] != '\0'; i++) {
		if (i > 0 && i % 4 == 0)
			dst[used++] = '-';
		dst[used++] = id[i];
	}
	dst[used] = '\0';
}
