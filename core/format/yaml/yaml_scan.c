/* SPDX-License-Identifier: ISC */
/*
 * What is bounded before libyaml sees a byte.  This is a lexer of the dialect, line by line: every
 * scalar stands on one line, so nothing but the depth of flow collections is carried from one line
 * to the next.  It may count nesting that is not there (the reader of events counts exactly), but
 * never lets brackets through uncounted that libyaml would take for brackets.
 */
#include <string.h>

#include "core/format/yaml/yaml_internal.h"

/* Columns at which something may begin; a list in a map takes two. */
#define SCAN_DEPTH (2 * LIMIT_YAML_DEPTH)

struct yaml_scanner {
	const char *file;
	bool block;                /* block style only */
	unsigned line;             /* from 1 */
	size_t column[SCAN_DEPTH]; /* of what is open, ascending */
	size_t columns;
	size_t flow; /* open brackets */
};

static const struct refusal {
	char c;
	const char *why;
} refusals[] = {
    {'&', "anchors are not read here; put text that begins with & in quotes"},
    {'*', "aliases are not read here; put text that begins with * in quotes"},
    {'!', "tags are not read here; put text that begins with ! in quotes"},
    {'|', "block scalars are not read here; write \"...\" on one line, with \\n for a new line"},
    {'>', "block scalars are not read here; write \"...\" on one line"},
    {'%', "directives are not read here; put text that begins with % in quotes"},
    {'@', "put text that begins with @ in quotes"},
    {'`', "put text that begins with ` in quotes"},
};

static int scan_error(const struct yaml_scanner *s, struct err *err, const char *what)
{
	return err_set(err, RC_MALFORMED, "%s:%u: %s", s->file, s->line, what);
}

static int scan_too_deep(const struct yaml_scanner *s, struct err *err)
{
	return err_set(err, RC_LIMIT, "%s:%u: nested deeper than %d levels", s->file, s->line,
		       LIMIT_YAML_DEPTH);
}

/* Characters that YAML does not print, and those that only some readers take for a line's end. */
static bool character_allowed(const uint8_t *p, size_t len)
{
	if (len == 1)
		return p[0] == '\n' || p[0] == '\t' || (p[0] >= 0x20 && p[0] != 0x7f);
	if (len == 2 && p[0] == 0xc2)
		return p[1] >= 0xa0;
	if (len == 3 && p[0] == 0xe2 && p[1] == 0x80)
		return p[2] != 0xa8 && p[2] != 0xa9;
	if (len == 3 && p[0] == 0xef)
		return !(p[1] == 0xbb && p[2] == 0xbf) && !(p[1] == 0xbf && p[2] >= 0xbe);
	return true;
}

static int scan_characters(struct yaml_scanner *s, struct bytes in, struct err *err)
{
	size_t start = 0;

	for (size_t i = 0; i < in.n;) {
		bool plain = in.p[i] >= 0x20 && in.p[i] < 0x7f; /* nearly always */
		size_t len = plain ? 1 : utf8_length(in.p + i, in.n - i);

		if (len == 0)
			return scan_error(s, err, "a byte that is not UTF-8");
		if (in.p[i] == '\r')
			return scan_error(s, err, "a carriage return; save it with Unix line ends");
		if (!plain && !character_allowed(in.p + i, len))
			return scan_error(s, err,
					  "a control character or one that ends lines for some "
					  "readers; write it as an escape in \"...\"");
		if (in.p[i] == '\n') {
			s->line++;
			start = i + 1;
		} else if (i - start >= LIMIT_YAML_SCALAR) {
			return err_set(err, RC_LIMIT, "%s:%u: a line of more than %u bytes",
				       s->file, s->line, LIMIT_YAML_SCALAR);
		}
		i += len;
	}
	if (s->line > LIMIT_YAML_NODES)
		return err_set(err, RC_LIMIT, "%s: more than %u lines", s->file, LIMIT_YAML_NODES);
	return 0;
}

static bool is_blank(const char *at, const char *end)
{
	return at >= end || *at == ' ' || *at == '\t';
}

/* Something begins at ${column}: what began further right has ended. */
static int scan_column(struct yaml_scanner *s, size_t column, struct err *err)
{
	while (s->columns > 0 && s->column[s->columns - 1] > column)
		s->columns--;
	if (s->columns > 0 && s->column[s->columns - 1] == column)
		return 0;
	if (s->columns == SCAN_DEPTH)
		return scan_too_deep(s, err);
	s->column[s->columns++] = column;
	return 0;
}

static int scan_quoted(const struct yaml_scanner *s, const char **at, const char *end,
		       struct err *err)
{
	char quote = **at;

	for (const char *p = *at + 1; p < end; p++) {
		if (*p == '\\' && quote == '"') {
			p++;
		} else if (*p == quote) {
			if (quote == '\'' && p + 1 < end && p[1] == quote) {
				p++;
				continue;
			}
			*at = p + 1;
			return 0;
		}
	}
	return scan_error(s, err, "a quoted text must end on the line on which it begins");
}

static void scan_plain(const struct yaml_scanner *s, const char **at, const char *end)
{
	const char *p = *at;

	for (; p < end; p++) {
		if (*p == ':' &&
		    (is_blank(p + 1, end) || (s->flow > 0 && strchr(",?[]{}", p[1]) != NULL)))
			break;
		if (s->flow > 0 && strchr(",[]{}", *p) != NULL)
			break;
		if (is_blank(p, end) && p + 1 < end && p[1] == '#')
			break;
	}
	*at = p > *at ? p : *at + 1;
}

/* Does a token begin with a character of YAML's own, and not with text? */
static bool scan_is_indicator(const struct yaml_scanner *s, const char *at, const char *end)
{
	switch (*at) {
	case ' ':
	case '\t':
	case ',':
		return true;
	case '-':
		return is_blank(at + 1, end);
	case '?':
	case ':':
		return s->flow > 0 || is_blank(at + 1, end);
	default:
		return false;
	}
}

static int scan_token(struct yaml_scanner *s, const char *start, const char **at, const char *end,
		      struct err *err)
{
	char c = **at;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (c == refusals[i].c)
			return scan_error(s, err, refusals[i].why);
	if (c == '"' || c == '\'')
		return scan_quoted(s, at, end, err);
	if (c == '[' || c == '{') {
		if (s->block)
			return scan_error(s, err,
					  "lists and maps in [ ] or { } are not read in a "
					  "machine-made document");
		if (++s->flow > LIMIT_YAML_DEPTH)
			return scan_too_deep(s, err);
	} else if (c == ']' || c == '}') {
		s->flow -= s->flow > 0;
	} else if (!scan_is_indicator(s, *at, end)) {
		scan_plain(s, at, end);
		return 0;
	} else if ((c == '-' || c == '?') && s->flow == 0) {
		while (*at + 1 < end && (*at)[1] == ' ')
			++*at;
		++*at;
		return scan_column(s, (size_t)(*at - start), err);
	}
	++*at;
	return 0;
}

static int scan_line(struct yaml_scanner *s, const char *start, const char *end, struct err *err)
{
	const char *at = start;
	int rc = 0;

	while (at < end && *at == ' ')
		at++;
	if (at < end && *at == '\t')
		return scan_error(s, err, "a tab in the indentation; use blanks");
	if (at == end || *at == '#')
		return 0;
	if (end - start >= 3 && memcmp(start, "...", 3) == 0 && is_blank(start + 3, end))
		return scan_error(s, err, "one document only: remove the line \"...\"");
	if (end - start >= 3 && memcmp(start, "---", 3) == 0 && is_blank(start + 3, end)) {
		if (s->block || end - start > 3)
			return scan_error(s, err, "remove \"---\"");
		return 0;
	}
	if (s->flow == 0)
		rc = scan_column(s, (size_t)(at - start), err);
	while (rc == 0 && at < end && *at != '#')
		rc = scan_token(s, start, &at, end, err);
	return rc;
}

int yaml_scan(struct bytes in, size_t max, bool block, const char *file, struct err *err)
{
	struct yaml_scanner s = {.file = file, .block = block, .line = 1};
	const char *at, *end;
	int rc;

	if (in.n > max)
		return err_set(err, RC_LIMIT, "%s: more than %zu bytes", file, max);
	if (in.n == 0)
		return err_set(err, RC_MALFORMED, "%s: is empty", file);
	at = (const char *)in.p;
	end = at + in.n;
	rc = scan_characters(&s, in, err);
	if (rc < 0)
		return rc;
	for (s.line = 1; at < end; s.line++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));

		if (stop == NULL)
			stop = end;
		rc = scan_line(&s, at, stop, err);
		if (rc < 0)
			return rc;
		at = stop + 1;
	}
	return 0;
}
