/* SPDX-License-Identifier: ISC */
/*
 * Options and words of a command by the rows of its table, so that every command takes them the
 * same way and no command parses its own; and a guess at what was meant when a word is not known.
 */
#include <string.h>
#include <unistd.h>

#include "cli/frame/cli.h"
#include "core/base/bytes.h"
#include "core/base/own.h"

#define SECRET_MOST 256 /* bytes of a line that is to hold a code */

static const struct option_row *row_by_name(const struct command *c, const char *name, size_t len)
{
	for (size_t i = 0; i < c->options_n; i++)
		if (strlen(c->options[i].name) == len && memcmp(c->options[i].name, name, len) == 0)
			return &c->options[i];
	return NULL;
}

static const struct option_row *row_by_letter(const struct command *c, char letter)
{
	for (size_t i = 0; i < c->options_n; i++)
		if (c->options[i].letter == letter && letter != 0)
			return &c->options[i];
	return NULL;
}

static int unknown_option(const struct command *c, const char *word, struct err *err)
{
	const char *names[ARGS_MAX];
	const char *meant;
	size_t n = 0;

	while (n < c->options_n && n < ARGS_MAX) {
		names[n] = c->options[n].name;
		n++;
	}
	meant = word[1] == '-' ? nearest(word + 2, names, n) : NULL;
	if (meant != NULL)
		return err_set(err, RC_USAGE, "%s has no option %s; did you mean --%s?", c->name,
			       word, meant);
	return err_set(err, RC_USAGE, "%s has no option %s; see satchel %s --help", c->name, word,
		       c->name);
}

static int take(struct args *a, const struct command *c, const struct option_row *row, char *value,
		struct err *err)
{
	if (!row->repeat && args_has(a, row->name))
		return err_set(err, RC_USAGE, "%s: --%s is given twice", c->name, row->name);
	if (a->given_n == ARGS_MAX)
		return err_set(err, RC_USAGE, "%s: more than %d options", c->name, ARGS_MAX);
	a->given[a->given_n++] = (struct args_option){row, value};
	return 0;
}

/* Takes the option at argv[*i], and its value from behind '=' or from the next word. */
static int parse_option(struct args *a, const struct command *c, int argc, char **argv, int *i,
			struct err *err)
{
	char *word = argv[*i];
	char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
	const struct option_row *row;
	char *value = NULL;

	if (word[1] == '-')
		row = row_by_name(c, word + 2,
				  equals ? (size_t)(equals - word - 2) : strlen(word + 2));
	else
		row = word[2] == '\0' ? row_by_letter(c, word[1]) : NULL;
	if (row == NULL)
		return unknown_option(c, word, err);
	if (row->value == NULL && equals != NULL)
		return err_set(err, RC_USAGE, "%s: --%s takes no value", c->name, row->name);
	if (row->value != NULL) {
		if (equals != NULL)
			value = equals + 1;
		else if (*i + 1 < argc)
			value = argv[++*i];
		else
			return err_set(err, RC_USAGE, "%s: --%s needs a value: --%s %s", c->name,
				       row->name, row->name, row->value);
	}
	return take(a, c, row, value, err);
}

int args_parse(const struct command *c, int argc, char **argv, struct args *ret, struct err *err)
{
	struct args a = {.rows = c->options, .rows_n = c->options_n};
	bool only_words = false;
	int rc;

	for (int i = 0; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
			rc = parse_option(&a, c, argc, argv, &i, err);
			if (rc < 0)
				return rc;
		} else if (a.rest_n == ARGS_MAX) {
			return err_set(err, RC_USAGE, "%s: more than %d words", c->name, ARGS_MAX);
		} else {
			a.rest[a.rest_n++] = argv[i];
		}
	}
	if (a.rest_n < c->rest_min)
		return err_set(err, RC_USAGE, "%s: an argument is missing; usage: satchel %s %s",
			       c->name, c->name, c->arguments);
	if (a.rest_n > c->rest_max)
		return err_set(err, RC_USAGE,
			       "%s: unexpected argument \"%s\"; usage: satchel %s %s", c->name,
			       a.rest[c->rest_max], c->name, c->arguments);
	*ret = a;
	return 0;
}

bool args_has(const struct args *a, const char *name)
{
	for (size_t i = 0; i < a->given_n; i++)
		if (strcmp(a->given[i].row->name, name) == 0)
			return true;
	return false;
}

const char *args_text(const struct args *a, const char *name, const char *fallback)
{
	const char *found = fallback;

	for (size_t i = 0; i < a->given_n; i++)
		if (strcmp(a->given[i].row->name, name) == 0)
			found = a->given[i].value;
	return found;
}

char *args_value(const struct args *a, const char *name)
{
	char *found = NULL;

	for (size_t i = 0; i < a->given_n; i++)
		if (strcmp(a->given[i].row->name, name) == 0)
			found = a->given[i].value;
	return found;
}

/* One line, without the buffer that stdio would keep of it. */
static int secret_read(struct buf *ret, struct err *err)
{
	char c;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n' && ret->n < SECRET_MOST)
		rc = buf_add(ret, &c, 1, err);
	if (rc == 0 && ret->n == 0)
		return err_set(err, RC_USAGE,
			       "\"-\" stands for a code on standard input, and there was none");
	return rc;
}

int args_secret(const struct args *a, size_t i, struct buf *ret, struct err *err)
{
	size_t n = strlen(a->rest[i]);
	int rc;

	if (strcmp(a->rest[i], "-") == 0)
		return secret_read(ret, err);
	rc = buf_text(ret, a->rest[i], err);
	memset(a->rest[i], '-', n);
	return rc;
}

size_t args_list(const struct args *a, const char *name, char *ret[ARGS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < a->given_n; i++)
		if (strcmp(a->given[i].row->name, name) == 0)
			ret[n++] = a->given[i].value;
	return n;
}

int args_number(const struct args *a, const char *name, uint64_t max, uint64_t fallback,
		uint64_t *ret, struct err *err)
{
	const char *text = args_text(a, name, NULL);
	uint64_t v;

	if (text == NULL) {
		*ret = fallback;
		return 0;
	}
	if (number_u64(text, strlen(text), max, &v, ERR_IGNORED) < 0)
		return err_set(err, RC_USAGE, "--%s takes a whole number up to %llu, not \"%s\"",
			       name, (unsigned long long)max, text);
	*ret = v;
	return 0;
}

/* Edits (insert, delete, replace, swap of neighbours) that make one word of the other. */
static unsigned distance(const char *a, const char *b)
{
	enum { LONGEST = 32 };
	unsigned row[3][LONGEST + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > LONGEST || nb > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= nb; j++)
		row[0][j] = row[1][j] = (unsigned)j;
	for (size_t i = 1; i <= na; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		if (i == 1)
			for (size_t j = 0; j <= nb; j++)
				last[j] = (unsigned)j;
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[na % 3][nb];
}

const char *nearest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	unsigned best_distance = strlen(word) < 5 ? 2 : 3;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(word, names[i]);

		if (d < best_distance) {
			best_distance = d;
			best = names[i];
		}
	}
	return best;
}
