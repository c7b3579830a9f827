/* SPDX-License-Identifier: ISC */
/*
 * Help, made of the same rows that dispatch commands and decide colours, so that it cannot differ
 * from what the program does.
 */
#include <string.h>

#include "bundler/status/status_rules.h"
#include "cli/frame/cli.h"
#include "core/base/own.h"
#include "core/base/places.h"

static const struct {
	enum side side;
	const char *title;
} sides[] = {
    {SIDE_SERVER,
     "On a server (-s DIR, SATCHEL_SITE, or " PLACE_CONFIG "/server.yaml names the site):"},
    {SIDE_STATION, "On a workstation (-w DIR; by default " PLACE_CONFIG " and " PLACE_STATION "):"},
    {SIDE_EITHER, "On either:"},
};

void help_program(FILE *out)
{
	int width = 0;

	for (size_t i = 0; i < commands_n; i++)
		if ((int)strlen(commands[i].name) > width)
			width = (int)strlen(commands[i].name);
	fputs(
	    "satchel keeps workstations up to date where no network can be counted on.\n\n"
	    "usage: satchel [-s DIR | -w DIR] [-q | -v] [--json] [--passphrase-file FILE] COMMAND "
	    "...\n",
	    out);
	for (size_t s = 0; s < ARRAY_LEN(sides); s++) {
		fprintf(out, "\n%s\n", sides[s].title);
		for (size_t i = 0; i < commands_n; i++)
			if (commands[i].side == sides[s].side)
				fprintf(out, "  %-*s  %s\n", width, commands[i].name,
					commands[i].summary);
	}
	fputs(
	    "\nsatchel COMMAND --help shows the options of a command; satchel(1) is the manual.\nA "
	    "full round by hand: publish, apply, collect.\n",
	    out);
}

void help_command(FILE *out, const struct command *c)
{
	fprintf(out, "usage: satchel %s%s%s\n\n%s\n", c->name, c->arguments[0] != '\0' ? " " : "",
		c->arguments, c->summary);
	if (c->options_n > 0)
		fputs("\n", out);
	for (size_t i = 0; i < c->options_n; i++) {
		const struct option_row *o = &c->options[i];
		char left[64];

		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		if (o->letter != 0)
			fprintf(out, "  -%c, %-22s %s", o->letter, left, o->help);
		else
			fprintf(out, "  %-26s %s", left, o->help);
		fputs(o->repeat ? " (may be repeated)\n" : "\n", out);
	}
	fputs(
	    "\nWith every command: -s DIR (site), -w DIR (workstation), -q (quiet), -v (verbose), "
	    "--json (for programs)\n",
	    out);
}

bool help_group(FILE *out, const char *word)
{
	size_t n = strlen(word);
	bool any = false;

	for (size_t i = 0; i < commands_n; i++)
		if (strncmp(commands[i].name, word, n) == 0 && commands[i].name[n] == ' ') {
			fprintf(out, "  satchel %s%s%s\n      %s\n", commands[i].name,
				commands[i].arguments[0] != '\0' ? " " : "", commands[i].arguments,
				commands[i].summary);
			any = true;
		}
	return any;
}

void help_colours(FILE *out)
{
	static const char *const titles[] = {"Workstations:", "Users:"};

	fputs("The first rule that applies gives the colour; the others are listed after it.\n",
	      out);
	for (size_t i = 0; i < RULES; i++) {
		const struct rule_row *r = &rule_rows[i];

		if (i == 0 || r->subject != rule_rows[i - 1].subject)
			fprintf(out, "\n%s\n", titles[r->subject]);
		fprintf(out, "  %-8s%s\n", colour_names[r->colour], r->meaning);
	}
	fputs("\nsatchel status workstations NAME and satchel status users EMAIL show what can be "
	      "done.\n",
	      out);
}
