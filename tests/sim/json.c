/* SPDX-License-Identifier: ISC */
/* A reader of JSON that trusts its text: it comes from the program under test. */
#include "tests/sim/json.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/own.h"

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static const char *blank(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

/* Escapes stay as they are, but for the two that names and sentences have. */
static const char *text_read(const char *p, char **ret)
{
	size_t n = 1;
	char *to;

	while (p[n] != '\0' && p[n] != '"')
		n += p[n] == '\\' && p[n + 1] != '\0' ? 2 : 1;
	to = *ret = must(malloc(n));

	for (p++; *p != '\0' && *p != '"'; p++) {
		if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
			p++;
		*to++ = *p;
	}
	*to = '\0';
	return *p == '"' ? p + 1 : NULL;
}

static const char *value_read(const char *p, struct json_node *ret);

static const char *items_read(const char *p, struct json_node *ret)
{
	char end = *p == '{' ? '}' : ']';

	ret->kind = *p;
	p = blank(p + 1);
	while (*p != end) {
		struct json_node *v;

		ret->item = must(realloc(ret->item, (ret->n + 1) * sizeof(*v)));
		v = &ret->item[ret->n++];
		memset(v, 0, sizeof(*v));
		if (end == '}') {
			p = *p == '"' ? text_read(p, &v->name) : NULL;
			p = p != NULL ? blank(p) : NULL;
			if (p == NULL || *p != ':')
				return NULL;
			p++;
		}
		p = value_read(blank(p), v);
		if (p == NULL)
			return NULL;
		p = blank(p);
		if (*p == ',')
			p = blank(p + 1);
		else if (*p != end)
			return NULL;
	}
	return p + 1;
}

static const char *value_read(const char *p, struct json_node *ret)
{
	size_t n;

	if (*p == '{' || *p == '[')
		return items_read(p, ret);
	ret->kind = *p == '"' ? '"' : 'n';
	if (*p == '"')
		return text_read(p, &ret->text);
	n = strcspn(p, ",]} \t\r\n");
	ret->text = must(strndup(p, n));
	return n > 0 ? p + n : NULL;
}

static void clear(struct json_node *v)
{
	for (size_t i = 0; i < v->n; i++)
		clear(&v->item[i]);
	free(v->item);
	free(v->name);
	free(v->text);
}

void json_free(struct json_node *v)
{
	if (v != NULL)
		clear(v);
	free(v);
}

struct json_node *json_read(const char *path)
{
	OWNED(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t n = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	OWNED(freep) char *text = must(malloc((size_t)n + 1));
	struct json_node *v = must(calloc(1, sizeof(*v)));
	const char *p;

	if (n > 0 && pread(fd, text, (size_t)n, 0) != n)
		n = 0;
	text[n] = '\0';
	/* Warnings may stand before it. */
	p = strstr(text, "{\"");
	p = p != NULL ? value_read(p, v) : NULL;
	if (p == NULL) {
		json_free(v);
		return NULL;
	}
	return v;
}

const struct json_node *json_get(const struct json_node *v, const char *name)
{
	for (size_t i = 0; v != NULL && i < v->n; i++)
		if (v->item[i].name != NULL && strcmp(v->item[i].name, name) == 0)
			return &v->item[i];
	return NULL;
}

const char *json_text_of(const struct json_node *v, const char *name)
{
	const struct json_node *m = json_get(v, name);

	return m != NULL && m->text != NULL ? m->text : "";
}

uint64_t json_number_of(const struct json_node *v, const char *name)
{
	return strtoull(json_text_of(v, name), NULL, 10);
}
