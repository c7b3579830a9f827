/* SPDX-License-Identifier: ISC */
/*
 * What the commands that show colours share.
 */
#ifndef SATCHEL_CLI_STATUS_STATUS_H
#define SATCHEL_CLI_STATUS_STATUS_H

#include "bundler/status/status.h"
#include "cli/frame/cli.h"
#include "cli/frame/term.h"

/* Rows of a listing that are shown in full; of more the overview shows what needs attention. */
#define STATUS_FEW 50u
/* Rows of those that need attention. */
#define STATUS_WORST 20u

/* A list of workstations or of users while it is made: what was asked for, and what was counted. */
struct status_list {
	struct cli *cli;
	struct json *json;           /* NULL: text */
	struct table table;          /* all; in an overview the first STATUS_FEW */
	struct table worst[COLOURS]; /* overview: the first STATUS_WORST of each colour */
	uint64_t by_colour[COLOURS], shown, not_green;
	char *const *only; /* names that were asked for */
	size_t only_n;
	uint64_t found;   /* bit by bit: names that were asked for and are there */
	unsigned colours; /* bits (1 << enum colour) that were asked for; 0: all */
	bool full, overview;
	int64_t now;
};

/** status_list_init(l, cli, args, json, err):
 * A list of what the options and words of ${args} ask for; ${args} NULL: of everything.  ${json}
 * NULL: text.  Released by status_list_clear, also after an error.
 * Errors: RC_USAGE (there is no such colour). */
int status_list_init(struct status_list *l, struct cli *cli, const struct args *args,
		     struct json *json, struct err *err);
/** status_list_clear(l): release its tables. */
void status_list_clear(struct status_list *l);
/** status_list_counts(l, name, colour): count it; is it to be shown? */
bool status_list_counts(struct status_list *l, const char *name, enum colour colour);
/** status_list_tables(l, colour, ret): the tables that its row goes into; NULL where there is no
 * more room. */
void status_list_tables(struct status_list *l, enum colour colour, struct table *ret[2]);
/** status_list_print(l, command, err):
 * Print the table, or what needs attention first and the command that lists the others; nothing
 * when each was printed as it came.  ${command}: "status users".  Errors: RC_MEMORY. */
int status_list_print(struct status_list *l, const char *command, struct err *err);
/** status_list_end(l, args, what, err):
 * The verdict.  ${what}: "user".  Errors: RC_USAGE (a name that was asked for does not exist);
 * RC_CONFLICT (with --exit-code, unless all are green or purple). */
int status_list_end(const struct status_list *l, const struct args *args, const char *what,
		    struct err *err);

/* A command that is nothing but such a list. */
struct status_list_kind {
	int (*list)(struct status_list *l, struct site *s, struct err *err);
	const char *command, *what; /* as for status_list_print and status_list_end */
};
/** status_list_run(cli, args, kind, err): open the site, make the list, print it, judge it. Errors:
 * as server_open and status_list_end. */
int status_list_run(struct cli *cli, const struct args *args, const struct status_list_kind *kind,
		    struct err *err);

#define BY_COLOUR_TEXT 512
/** by_colour_json(j, key, n): an object: how many of each colour. */
void by_colour_json(struct json *j, const char *key, const uint64_t n[COLOURS]);
/** by_colour_text(term, dst, size, n): "1 red, 2 green", worst first; BY_COLOUR_TEXT bytes are
 * enough.  ${term} NULL: words without colours. */
void by_colour_text(const struct term *term, char *dst, size_t size, const uint64_t n[COLOURS]);

/** site_json(j, g): the site by itself, as members of an open object. */
void site_json(struct json *j, const struct status_site *g);
/** site_text(g, now): the site by itself, as lines. */
void site_text(const struct status_site *g, int64_t now);

/** reasons_json(j, l, name), reasons_text(l, name): every reason with what can be done about it; a
 * remedy that several reasons have is shown once.  ${name}: of the workstation or user. */
void reasons_json(struct json *j, const struct reasons *l, const char *name);
void reasons_text(const struct reasons *l, const char *name);

/** status_workstations_list(l, s, err), status_users_list(l, s, err): all that were asked for, as
 * JSON, in full, or into the table of ${l}.  Errors: as status_workstations and status_users. */
int status_workstations_list(struct status_list *l, struct site *s, struct err *err);
int status_users_list(struct status_list *l, struct site *s, struct err *err);
/** user_colour(cli, s, email, j, err): colour, reasons, remedies and places of one user: as lines,
 * or as the member "status" of the open object ${j}.  Errors: as status_users. */
int user_colour(struct cli *cli, struct site *s, const char *email, struct json *j,
		struct err *err);

/** status_consignments(cli, s, j, err): what was carried and is not confirmed: a line each, or the
 * member "consignments" of the open object ${j}.  Errors: as consignments. */
int status_consignments(struct cli *cli, struct site *s, struct json *j, struct err *err);

/** requests_waiting_text(n): a line about requests that wait for approval, when there are any. */
void requests_waiting_text(uint64_t n);

/** status_server(cli, args, err): the overview: the site, how many of each colour, and what needs
 * attention first.  Errors: as server_open; RC_CONFLICT as status_list_end. */
int status_server(struct cli *cli, const struct args *args, struct err *err);

#endif
