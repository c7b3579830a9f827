/* SPDX-License-Identifier: ISC */
/*
 * A listing with colours: what of it is shown, and how many there are of each.
 */
#include <inttypes.h>
#include <string.h>

#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/status/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* What needs attention first, first.  Grey is what the documents say, so it can wait. */
static const enum colour attention[] = {COLOUR_RED, COLOUR_ORANGE, COLOUR_BLUE};

static int colours_read(struct status_list *l, const struct args *args, struct err *err)
{
	char *asked[ARGS_MAX];
	size_t n = args_list(args, "colour", asked);

	for (size_t i = 0; i < n; i++) {
		size_t c = 0;

		while (c < COLOURS && strcmp(asked[i], colour_names[c]) != 0)
			c++;
		if (c == COLOURS)
			return err_set(
			    err, RC_USAGE,
			    "there is no colour %s: grey, blue, red, orange, green, purple",
			    asked[i]);
		l->colours |= 1u << c;
	}
	return 0;
}

int status_list_init(struct status_list *l, struct cli *cli, const struct args *args,
		     struct json *json, struct err *err)
{
	*l = (struct status_list){.cli = cli, .json = json, .now = clock_now()};
	if (args == NULL)
		return 0;
	l->only = args->rest;
	l->only_n = args->rest_n;
	l->full = args->rest_n > 0;
	return colours_read(l, args, err);
}

void status_list_clear(struct status_list *l)
{
	table_clear(&l->table);
	for (size_t i = 0; i < COLOURS; i++)
		table_clear(&l->worst[i]);
}

bool status_list_counts(struct status_list *l, const char *name, enum colour colour)
{
	bool wanted = l->only_n == 0;

	for (size_t i = 0; i < l->only_n; i++) {
		if (strcmp(l->only[i], name) == 0) {
			wanted = true;
			l->found |= 1ull << i;
		}
	}
	if (!wanted || (l->colours != 0 && (l->colours & 1u << colour) == 0))
		return false;
	l->by_colour[colour]++;
	l->shown++;
	l->not_green += colour != COLOUR_GREEN && colour != COLOUR_PURPLE;
	return true;
}

void status_list_tables(struct status_list *l, enum colour colour, struct table *ret[2])
{
	struct table *worst = &l->worst[colour];

	ret[0] = ret[1] = NULL;
	if (!l->overview || l->shown <= STATUS_FEW)
		ret[0] = &l->table;
	if (worst->columns == 0)
		table_init(worst, l->table.columns, l->table.colour_column);
	if (l->overview && worst->count < STATUS_WORST * worst->columns)
		ret[1] = worst;
}

/* The heading, and of each colour as many as there is room for. */
static int attention_make(const struct status_list *l, struct table *ret, struct err *err)
{
	size_t room = STATUS_WORST;
	int rc = table_rows(ret, &l->table, 1, err) < 0 ? RC_MEMORY : 0;

	for (size_t c = 0; rc == 0 && c < ARRAY_LEN(attention); c++) {
		int rows = table_rows(ret, &l->worst[attention[c]], room, err);

		if (rows < 0)
			return rows;
		room -= (size_t)rows;
	}
	return rc;
}

int status_list_print(struct status_list *l, const char *command, struct err *err)
{
	struct table some;
	int rc = 0;

	if (l->json != NULL || l->full || l->shown == 0)
		return 0;
	if (!l->overview || l->shown <= STATUS_FEW) {
		table_print(&l->table, l->cli->term, stdout);
		return 0;
	}
	table_init(&some, l->table.columns, l->table.colour_column);
	rc = attention_make(l, &some, err);
	if (rc == 0 && some.count > some.columns)
		table_print(&some, l->cli->term, stdout);
	if (rc == 0)
		printf("satchel %s lists all of them\n", command);
	table_clear(&some);
	return rc;
}

int status_list_end(const struct status_list *l, const struct args *args, const char *what,
		    struct err *err)
{
	for (size_t i = 0; i < l->only_n; i++) {
		if ((l->found & 1ull << i) == 0)
			return err_set(err, RC_USAGE,
				       "there is no %s %s; satchel status %ss lists them", what,
				       l->only[i], what);
	}
	if (!args_has(args, "exit-code") || l->not_green == 0)
		return 0;
	return err_set(err, RC_CONFLICT,
		       "%" PRIu64 " of %" PRIu64 " %s%s %s neither green nor purple", l->not_green,
		       l->shown, what, plural(l->shown, "", "s"),
		       plural(l->not_green, "is", "are"));
}

void by_colour_json(struct json *j, const char *key, const uint64_t n[COLOURS])
{
	json_open(j, key, '{');
	for (size_t i = 0; i < COLOURS; i++)
		json_u64(j, colour_names[i], n[i]);
	json_close(j, '}');
}

void by_colour_text(const struct term *term, char *dst, size_t size, const uint64_t n[COLOURS])
{
	/* As a person asks: what is wrong, what is on its way, what is good. */
	static const enum colour order[] = {COLOUR_RED,  COLOUR_ORANGE, COLOUR_BLUE,
					    COLOUR_GREY, COLOUR_GREEN,  COLOUR_PURPLE};
	size_t used = 0;

	snprintf(dst, size, "none");
	for (size_t i = 0; i < ARRAY_LEN(order) && used < size; i++) {
		char word[64];

		if (n[order[i]] == 0)
			continue;
		snprintf(word, sizeof(word), "%s", colour_names[order[i]]);
		if (term != NULL)
			colour_word(term, colour_names[order[i]], word, sizeof(word));
		used += (size_t)snprintf(dst + used, size - used, "%s%" PRIu64 " %s",
					 used > 0 ? ", " : "", n[order[i]], word);
	}
}

int status_list_run(struct cli *cli, const struct args *args, const struct status_list_kind *kind,
		    struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(status_list_clear) struct status_list l;
	struct json j = {stdout, false};
	int rc = status_list_init(&l, cli, args, cli->json ? &j : NULL, err);

	if (rc == 0)
		rc = server_open(cli, SITE_UNREAD, &s, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		json_open(&j, NULL, '[');
	rc = kind->list(&l, s, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	}
	if (rc == 0 && !cli->json && !l.full && l.shown == 0)
		printf("no %ss%s\n", kind->what, l.colours != 0 ? " of this colour" : "");
	if (rc == 0)
		rc = status_list_print(&l, kind->command, err);
	return rc < 0 ? rc : status_list_end(&l, args, kind->what, err);
}
