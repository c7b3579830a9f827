/* SPDX-License-Identifier: ISC */
/*
 * JSON is written straight to the stream, value by value: a listing of a hundred thousand users
 * never lies in memory as a tree.
 */
#include <string.h>

#include "cli/frame/term.h"
#include "core/base/clock.h"

static void json_string(struct json *j, const char *text)
{
	char shown[8192];

	/* Control and broken bytes become visible text first; what is left is UTF-8. */
	err_escape(shown, sizeof(shown), text);
	fputc('"', j->out);
	for (const char *s = shown; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', j->out);
		fputc(*s, j->out);
	}
	fputc('"', j->out);
}

static void json_key(struct json *j, const char *key)
{
	if (j->comma)
		fputs(", ", j->out);
	j->comma = true;
	if (key != NULL) {
		json_string(j, key);
		fputs(": ", j->out);
	}
}

void json_open(struct json *j, const char *key, char bracket)
{
	json_key(j, key);
	fputc(bracket, j->out);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	fputc(bracket, j->out);
	j->comma = true;
}

void json_text(struct json *j, const char *key, const char *value)
{
	json_key(j, key);
	json_string(j, value);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	fprintf(j->out, "%llu", (unsigned long long)value);
}

void json_raw(struct json *j, const char *key, const char *value)
{
	json_key(j, key);
	fputs(value, j->out);
}

void json_bool(struct json *j, const char *key, bool value)
{
	json_key(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_time(struct json *j, const char *key, int64_t seconds)
{
	char text[CLOCK_TEXT + 1];

	if (seconds == 0) {
		json_key(j, key);
		fputs("null", j->out);
		return;
	}
	clock_format(text, seconds);
	json_text(j, key, text);
}
