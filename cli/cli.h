/*
 * The program: one table of commands, each a thin call into bundler, applier and core.
 * stdout is the answer, stderr the commentary; errors are printed once, in main.
 */
#ifndef SATCHEL_CLI_CLI_H
#define SATCHEL_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/base/say.h"

/* One option of a command.  ${value} NULL: a flag. */
struct option_row {
	const char *name;  /* "dry-run" */
	char letter;       /* 'n', or 0 */
	const char *value; /* what stands for the value in the help: "DIR" */
	const char *help;
	bool repeat; /* may be given several times */
};

#define ARGS_MAX 64

/* A parsed command line: options by row, then what is left. */
struct args {
	const struct option_row *rows;
	size_t rows_n;
	struct given {
		const struct option_row *row;
		char *value;
	} given[ARGS_MAX];
	size_t given_n;
	char *rest[ARGS_MAX];
	size_t rest_n;
};

struct term;       /* what stderr is: cli/term.h */
struct passphrase; /* where one comes from: cli/passphrase.h */

/* One run of the program. */
struct cli {
	const char *site;    /* -s DIR, SATCHEL_SITE, or /etc/satchel/server.yaml; NULL */
	const char *station; /* -w DIR; NULL: the machine's own */
	char site_from_file[4096];
	bool json, quiet;
	struct passphrase *passphrase; /* of the key store; owned by main */
	struct term *term;             /* owned by main */
	struct say *say;               /* of the terminal */
};

enum side { SIDE_SERVER, SIDE_STATION, SIDE_EITHER };

struct command {
	const char *name; /* "publish", "channel add" */
	enum side side;
	const char *arguments; /* "NAME --source DIR --target DIR" */
	const char *summary;   /* one line */
	const struct option_row *options;
	size_t options_n;
	size_t rest_min, rest_max; /* how many words that are not options */
	int (*run)(struct cli *cli, const struct args *args, struct err *err);
};

extern const struct command commands[];
extern const size_t commands_n;

/** args_parse(c, argc, argv, ret, err): RC_USAGE with the nearest option when one is not known; a
 * repeated option is an error. */
int args_parse(const struct command *c, int argc, char **argv, struct args *ret, struct err *err);
bool args_has(const struct args *a, const char *name);
/** args_text(a, name, fallback): the value of the last one given. */
const char *args_text(const struct args *a, const char *name, const char *fallback);
/** args_secret(a, i, ret, err): word ${i}, which from now on only ${ret} holds: whoever lists
 * processes sees what stands in argv.  A word "-" stands for a line of standard input. */
int args_secret(const struct args *a, size_t i, struct buf *ret, struct err *err);
/** args_list(a, name, ret): values in order, at most ARGS_MAX; returns how many. */
size_t args_list(const struct args *a, const char *name, char *ret[ARGS_MAX]);
/** args_value(a, name): as args_text, for a field that owns no copy; NULL when it was not given. */
char *args_value(const struct args *a, const char *name);
int args_number(const struct args *a, const char *name, uint64_t max, uint64_t fallback,
		uint64_t *ret, struct err *err);

/** nearest(word, names, n): the name that was probably meant, or NULL. */
const char *nearest(const char *word, const char *const *names, size_t n);

/** help_program(out), help_command(out, c), help_group(out, word): the same rows as satchel(1). */
void help_program(FILE *out);
void help_command(FILE *out, const struct command *c);
bool help_group(FILE *out, const char *word);
/** help_colours(out): the rules of colours, in their order of precedence. */
void help_colours(FILE *out);

/** cli_on_server(cli, ret, err): for commands of either side: true on a server. RC_USAGE when the
 * machine is neither. */
int cli_on_server(struct cli *cli, bool *ret, struct err *err);
/** cli_file_read(path, max, ret, err): a file that a person named, so links and mounts on the way
 * are theirs: a key on a stick, say.  RC_IO, RC_LIMIT. */
int cli_file_read(const char *path, size_t max, struct buf *ret, struct err *err);
/** cli_site_dir(cli, err): the site's directory, or NULL with RC_USAGE. */
const char *cli_site_dir(struct cli *cli, struct err *err);

#define COMMAND(name) int cmd_##name(struct cli *cli, const struct args *args, struct err *err)
COMMAND(init);
COMMAND(site_set);
COMMAND(channel_add);
COMMAND(channel_set);
COMMAND(channel_list);
COMMAND(channel_show);
COMMAND(channel_remove);
COMMAND(invite);
COMMAND(workstation_list);
COMMAND(workstation_show);
COMMAND(workstation_set);
COMMAND(workstation_approve);
COMMAND(workstation_refuse);
COMMAND(workstation_revoke);
COMMAND(workstation_decommission);
COMMAND(workstation_remove);
COMMAND(group_add);
COMMAND(group_set);
COMMAND(group_list);
COMMAND(group_show);
COMMAND(group_remove);
COMMAND(user_add);
COMMAND(user_set);
COMMAND(user_suspend);
COMMAND(user_resume);
COMMAND(user_list);
COMMAND(user_show);
COMMAND(user_remove);
COMMAND(user_import);
COMMAND(user_code);
COMMAND(user_codes);
COMMAND(user_revoke_code);
COMMAND(user_deactivate);
COMMAND(user_reactivate);
COMMAND(licence_add);
COMMAND(licence_set);
COMMAND(licence_issue);
COMMAND(licence_release);
COMMAND(licence_replace);
COMMAND(licence_suspend);
COMMAND(licence_resume);
COMMAND(licence_list);
COMMAND(licence_show);
COMMAND(licence_remove);
COMMAND(policy_add);
COMMAND(policy_set);
COMMAND(policy_list);
COMMAND(policy_show);
COMMAND(policy_remove);
COMMAND(policy_explain);
COMMAND(key_add);
COMMAND(key_set);
COMMAND(key_list);
COMMAND(key_show);
COMMAND(key_remove);
COMMAND(key_rotate);
COMMAND(key_withdraw);
COMMAND(key_restore);
COMMAND(key_store);
COMMAND(message_send);
COMMAND(message_command);
COMMAND(message_withdraw);
COMMAND(message_answer);
COMMAND(message_report);
COMMAND(messages);
COMMAND(confirm);
COMMAND(publish);
COMMAND(collect);
COMMAND(sync);
COMMAND(watch);
COMMAND(status);
COMMAND(status_workstations);
COMMAND(status_users);
COMMAND(status_site);
COMMAND(events);
COMMAND(trust_show);
COMMAND(trust_rotate);
COMMAND(trust_epoch);
COMMAND(trust_renew);
COMMAND(trust_add_root);
COMMAND(trust_end);
COMMAND(trust_threshold);
COMMAND(trust_pending);
COMMAND(trust_import);
COMMAND(trust_drop);
COMMAND(enrol);
COMMAND(activate);
COMMAND(apply);
COMMAND(drift);
COMMAND(doctor);
COMMAND(inspect);
COMMAND(verify);
COMMAND(carry);
COMMAND(depot_list);
COMMAND(revert);
#undef COMMAND

#endif
