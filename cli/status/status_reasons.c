/* SPDX-License-Identifier: ISC */
/*
 * Reasons, and what can be done about them.
 */
#include <stdio.h>
#include <string.h>

#include "cli/status/status.h"

#define COMMAND_TEXT 512

/* told(l, until, command, name): did a reason before this one bring the same command? */
static bool told(const struct reasons *l, size_t until, const char *command, const char *name)
{
	char before[COMMAND_TEXT];

	for (size_t i = 0; i < until; i++) {
		const struct reason *r = &l->item[i];

		for (const struct remedy *m = rule_rows[r->rule].remedy; m->command != NULL; m++) {
			remedy_command(m, name, r->about, before, sizeof(before));
			if (strcmp(before, command) == 0)
				return true;
		}
	}
	return false;
}

void reasons_json(struct json *j, const struct reasons *l, const char *name)
{
	char command[COMMAND_TEXT], text[REASON_TEXT];

	json_open(j, "reasons", '[');
	for (size_t i = 0; i < l->n; i++) {
		const struct rule_row *row = &rule_rows[l->item[i].rule];

		json_open(j, NULL, '{');
		json_text(j, "rule", row->slug);
		json_text(j, "colour", colour_names[row->colour]);
		reason_sentence(&l->item[i], text);
		json_text(j, "text", text);
		json_text(j, "claim", l->item[i].claim);
		json_text(j, "about", l->item[i].about);
		json_open(j, "remedies", '[');
		for (const struct remedy *m = row->remedy; m->command != NULL; m++) {
			remedy_command(m, name, l->item[i].about, command, sizeof(command));
			json_open(j, NULL, '{');
			json_text(j, "text", m->text);
			json_text(j, "command", command);
			json_close(j, '}');
		}
		json_close(j, ']');
		json_close(j, '}');
	}
	json_close(j, ']');
}

void reasons_text(const struct reasons *l, const char *name)
{
	char command[COMMAND_TEXT], text[4 * REASON_TEXT], sentence[REASON_TEXT];

	for (size_t i = 0; i < l->n; i++) {
		const struct reason *r = &l->item[i];

		reason_sentence(r, sentence);
		err_escape(text, sizeof(text), sentence);
		printf("  %-10s %s\n", i == 0 ? "reason" : "also", text);
		for (const struct remedy *m = rule_rows[r->rule].remedy; m->command != NULL; m++) {
			remedy_command(m, name, r->about, command, sizeof(command));
			err_escape(text, sizeof(text), command);
			if (!told(l, i, command, name))
				printf("             - %s: %s\n", m->text, text);
		}
	}
	if (l->dropped > 0)
		printf("  also       and %zu more\n", l->dropped);
}
