/*
 * What the commands that show colours share.
 */
#ifndef SATCHEL_CLI_STATUS_H
#define SATCHEL_CLI_STATUS_H

#include "bundler/status.h"
#include "cli/cli.h"
#include "cli/term.h"

/* Rows of a listing that are shown in full; of more the overview shows what needs attention. */
#define STATUS_FEW 50u
/* Rows of those that need attention. */
#define STATUS_WORST 20u

/* A listing on its way: the roll of workstations or of users. */
struct roll {
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

/** roll_init(l, cli, args, json): what the options and words of ${args} ask for; ${args} NULL:
 * everything.  roll_clear releases it. */
int roll_init(struct roll *l, struct cli *cli, const struct args *args, struct json *json,
	      struct err *err);
void roll_clear(struct roll *l);
/** roll_counts(l, name, colour): count it; is it to be shown? */
bool roll_counts(struct roll *l, const char *name, enum colour colour);
/** roll_tables(l, colour, ret): the tables that its row goes into; NULL where there is no more
 * room. */
void roll_tables(struct roll *l, enum colour colour, struct table *ret[2]);
/** roll_print(l, command, err): the table, or what needs attention first, and the command that
 * lists the others; nothing when it was printed one by one. */
int roll_print(struct roll *l, const char *command, struct err *err);
/** roll_end(l, args, what, err): RC_USAGE when a name that was asked for is not there; with
 * --exit-code RC_CONFLICT unless all are green or purple.  ${what}: "user". */
int roll_end(const struct roll *l, const struct args *args, const char *what, struct err *err);

/** roll_run(cli, args, kind, err): a command that is nothing but such a listing. */
struct roll_kind {
	int (*list)(struct roll *l, struct site *s, struct err *err);
	const char *command, *what; /* as for roll_print and roll_end */
};
int roll_run(struct cli *cli, const struct args *args, const struct roll_kind *kind,
	     struct err *err);

/** by_colour_json(j, key, n), by_colour_text(term, dst, size, n): how many of each colour; ${term}
 * NULL: words alone. */
#define BY_COLOUR_TEXT 512
void by_colour_json(struct json *j, const char *key, const uint64_t n[COLOURS]);
void by_colour_text(const struct term *term, char *dst, size_t size, const uint64_t n[COLOURS]);

/** site_json(j, g), site_text(g, now): the site by itself. */
void site_json(struct json *j, const struct status_site *g);
void site_text(const struct status_site *g, int64_t now);

/** reasons_json, reasons_text: every reason with what can be done about it; a remedy that several
 * reasons have is told once. */
void reasons_json(struct json *j, const struct reasons *l, const char *name);
void reasons_text(const struct reasons *l, const char *name);

/** workstations_list, users_list: all that were asked for, as JSON, in full, or into the table. */
int workstations_list(struct roll *l, struct site *s, struct err *err);
int users_list(struct roll *l, struct site *s, struct err *err);
/** user_colour(cli, s, email, j, err): colour, reasons, remedies and places of one user, as lines
 * or as members of an object. */
int user_colour(struct cli *cli, struct site *s, const char *email, struct json *j,
		struct err *err);

#endif
