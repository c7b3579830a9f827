/* SPDX-License-Identifier: ISC */
/*
 * status site: a line for each group and depot, so that a place that nobody can reach is seen.
 */
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/status/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct places {
	struct cli *cli;
	struct json *json;
	struct table table;
	int64_t now;
	uint64_t not_green;
	int kind; /* json: of the line before; -1: none yet */
};

static void line_json(struct places *p, const struct status_line *l)
{
	struct json *j = p->json;

	if (p->kind == STATUS_GROUP && l->kind != STATUS_GROUP) {
		json_close(j, ']');
		json_open(j, "depots", '[');
	}
	p->kind = l->kind;
	json_open(j, NULL, '{');
	json_text(j, "name", l->name);
	json_text(j, l->kind == STATUS_GROUP ? "parent" : "for", l->parent);
	by_colour_json(j, "users", l->users);
	by_colour_json(j, "workstations", l->workstations);
	json_time(j, "oldest", l->oldest);
	json_text(j, "oldest_workstation", l->oldest_name);
	if (l->kind == STATUS_DEPOT)
		json_time(j, "carried", l->carried);
	json_close(j, '}');
}

static void line_place(const struct status_line *l, char *dst, size_t size)
{
	if (l->kind == STATUS_GROUP && l->name[0] == '\0')
		snprintf(dst, size, "no group");
	else if (l->kind == STATUS_GROUP)
		snprintf(dst, size, "group %.63s%s%.63s%s", l->name,
			 l->parent[0] != '\0' ? " (in " : "", l->parent,
			 l->parent[0] != '\0' ? ")" : "");
	else
		snprintf(dst, size, "%s %.1000s%s%.400s",
			 l->kind == STATUS_HOME ? "home depot" : "depot", l->name,
			 l->parent[0] != '\0' ? " for " : "", l->parent);
}

static int line_row(struct places *p, const struct status_line *l, struct err *err)
{
	char place[2048], users[BY_COLOUR_TEXT], machines[BY_COLOUR_TEXT], age[TEXT_SIZE];
	int rc;

	line_place(l, place, sizeof(place));
	by_colour_text(NULL, users, sizeof(users), l->users);
	by_colour_text(NULL, machines, sizeof(machines), l->workstations);
	age_text(age, l->oldest, p->now);
	rc = table_cell(&p->table, err, "%s", place);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", users);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", machines);
	if (rc < 0)
		return rc;
	if (l->oldest_name[0] == '\0')
		return table_cell(&p->table, err, "-");
	return table_cell(&p->table, err, "%s (%s)", age, l->oldest_name);
}

static int line_each(void *arg, const struct status_line *l, struct err *err)
{
	struct places *p = arg;

	for (size_t c = 0; c < COLOURS && l->kind == STATUS_HOME; c++) {
		if (c != COLOUR_GREEN && c != COLOUR_PURPLE)
			p->not_green += l->users[c] + l->workstations[c];
	}
	if (p->json == NULL)
		return line_row(p, l, err);
	line_json(p, l);
	return 0;
}

static int places_list(struct places *p, struct site *s, struct err *err)
{
	static const char *const heading[] = {"PLACE", "USERS", "WORKSTATIONS",
					      "OLDEST CONFIRMATION"};
	int rc = table_head(&p->table, heading, ARRAY_LEN(heading), -1, err);

	if (rc == 0)
		rc = status_summary(s, line_each, p, err);
	if (rc == 0 && p->json == NULL)
		table_print(&p->table, p->cli->term, stdout);
	table_clear(&p->table);
	return rc;
}

int cmd_status_site(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct places p = {
	    .cli = cli, .json = cli->json ? &j : NULL, .now = clock_now(), .kind = STATUS_GROUP};
	struct status_site g;
	int rc = server_open(cli, SITE_UNREAD, &s, err);

	if (rc == 0)
		rc = status_site(s, &g, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		site_json(&j, &g);
		json_open(&j, "groups", '[');
	} else {
		site_text(&g, p.now);
	}
	rc = places_list(&p, s, err);
	if (cli->json) {
		json_close(&j, ']');
		json_close(&j, '}');
		putchar('\n');
	}
	if (rc == 0 && args_has(args, "exit-code") && p.not_green > 0)
		return err_set(err, RC_CONFLICT, "not everything is green or purple");
	return rc;
}
