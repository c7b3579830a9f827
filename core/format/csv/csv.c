/* SPDX-License-Identifier: ISC */
/*
 * Reading CSV that people export from spreadsheets.  Where readers of CSV disagree the file is
 * refused with its line: a guess would put one user's address into another user's row.
 */
#include "core/format/csv/csv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

void csv_init(struct csv *c, struct bytes in)
{
	*c = (struct csv){.in = in, .line = 1};
	if (bytes_start(in, "\xef\xbb\xbf"))
		c->at = 3;
}

void csv_row_clear(struct csv_row *row)
{
	buf_clear(&row->text);
	memset(row, 0, sizeof(*row));
}

static int csv_error(unsigned line, int rc, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static int csv_error(unsigned line, int rc, struct err *err, const char *fmt, ...)
{
	char said[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	return err_set(err, rc, "line %u: %.960s", line, said);
}

/* peek(c): the next byte; -1 at the end. */
static int peek(const struct csv *c)
{
	return c->at < c->in.n ? c->in.p[c->at] : -1;
}

/* line_ends(c): bytes of the end of line that comes next; 0: none does. */
static size_t line_ends(const struct csv *c)
{
	if (peek(c) == '\n')
		return 1;
	return peek(c) == '\r' && c->at + 1 < c->in.n && c->in.p[c->at + 1] == '\n' ? 2 : 0;
}

static void line_pass(struct csv *c)
{
	c->at += line_ends(c);
	c->line++;
}

static int take(struct csv *c, struct csv_row *row, size_t n, struct err *err)
{
	if (row->text.n + n > CSV_ROW)
		return csv_error(row->line, RC_LIMIT, err, "a row of more than %u bytes", CSV_ROW);
	c->at += n;
	return buf_add(&row->text, c->in.p + c->at - n, n, err);
}

/* take_character(c, row, err): one, well-formed; no other control character than those that the
 * callers have looked at. */
static int take_character(struct csv *c, struct csv_row *row, struct err *err)
{
	size_t n = utf8_length(c->in.p + c->at, c->in.n - c->at);

	if (n == 0)
		return csv_error(c->line, RC_MALFORMED, err,
				 "text that is not UTF-8: save the file as UTF-8");
	if (peek(c) == '\0')
		return csv_error(c->line, RC_MALFORMED, err, "a NUL in the text");
	return take(c, row, n, err);
}

static int field_plain(struct csv *c, struct csv_row *row, struct err *err)
{
	int rc = 0;

	while (rc == 0 && peek(c) >= 0 && peek(c) != ',' && line_ends(c) == 0) {
		if (peek(c) == '"')
			return csv_error(c->line, RC_MALFORMED, err,
					 "a quote inside a field: the whole field must be in "
					 "quotes then, and quotes in it doubled");
		if (peek(c) == '\r')
			return csv_error(c->line, RC_MALFORMED, err,
					 "a carriage return by itself, outside of quotes");
		rc = take_character(c, row, err);
	}
	return rc;
}

/* quote_closes(c): at a quote; is it the last one of the field?  A doubled one stands for itself.
 */
static bool quote_closes(const struct csv *c)
{
	return c->at + 1 == c->in.n || c->in.p[c->at + 1] != '"';
}

static int field_quoted(struct csv *c, struct csv_row *row, struct err *err)
{
	unsigned began = c->line;
	int rc = 0;

	c->at++;
	while (rc == 0 && !(peek(c) == '"' && quote_closes(c))) {
		if (peek(c) < 0)
			return csv_error(began, RC_MALFORMED, err,
					 "a quote that is opened here is never closed");
		c->at += peek(c) == '"';
		c->line += peek(c) == '\n';
		rc = take_character(c, row, err);
	}
	if (rc < 0)
		return rc;
	c->at++;
	if (peek(c) >= 0 && peek(c) != ',' && line_ends(c) == 0)
		return csv_error(c->line, RC_MALFORMED, err,
				 "something follows the closing quote of a field");
	return 0;
}

/* row_point(row): the fields' beginnings, now that their text does not move any more. */
static void row_point(struct csv_row *row)
{
	const char *p = (const char *)row->text.p;

	for (size_t i = 0; i < row->fields; i++) {
		row->field[i] = p;
		p += strlen(p) + 1;
	}
}

int csv_next(struct csv *c, struct csv_row *row, struct err *err)
{
	bool more = true;
	int rc = 0;

	while (line_ends(c) > 0)
		line_pass(c);
	if (peek(c) < 0)
		return 0;
	buf_reset(&row->text);
	row->fields = 0;
	row->line = c->line;
	while (more) {
		if (row->fields++ == CSV_FIELDS)
			return csv_error(row->line, RC_LIMIT, err, "more than %u fields",
					 CSV_FIELDS);
		rc = peek(c) == '"' ? field_quoted(c, row, err) : field_plain(c, row, err);
		if (rc == 0)
			rc = buf_add(&row->text, "", 1, err);
		if (rc < 0)
			return rc;
		more = peek(c) == ',';
		c->at += more;
	}
	if (line_ends(c) > 0)
		line_pass(c);
	row_point(row);
	return 1;
}
