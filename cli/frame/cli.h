/* SPDX-License-Identifier: ISC */
/*
 * The program: one table of commands, each a thin call into bundler, applier and core.
 * stdout is the answer, stderr the commentary; errors are printed once, in main.
 */
#ifndef SATCHEL_CLI_FRAME_CLI_H
#define SATCHEL_CLI_FRAME_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bundler/site/site.h"
#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/base/reporter.h"

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
	struct args_option {
		const struct option_row *row;
		char *value;
	} given[ARGS_MAX];
	size_t given_n;
	char *rest[ARGS_MAX];
	size_t rest_n;
};

struct term;       /* what stderr is: cli/frame/term.h */
struct passphrase; /* where one comes from: cli/frame/passphrase.h */

/* One run of the program. */
struct cli {
	const char *site;    /* -s DIR, SATCHEL_SITE, or /etc/satchel/server.yaml; NULL */
	const char *station; /* -w DIR; NULL: the machine's own */
	char site_from_file[4096];
	bool json, quiet;
	struct passphrase *passphrase; /* of the key store; owned by main */
	struct term *term;             /* owned by main */
	struct reporter *reporter;     /* of the terminal */
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

/** args_parse(c, argc, argv, ret, err):
 * The words behind a command's name, by the rows of ${c}.  ${ret} points into ${argv}.
 * Errors: RC_USAGE (an unknown option, with the nearest one; an option given twice that may not be;
 * too few or too many words). */
int args_parse(const struct command *c, int argc, char **argv, struct args *ret, struct err *err);
/** args_has(a, name): was the option given?  Names are without "--". */
bool args_has(const struct args *a, const char *name);
/** args_text(a, name, fallback): the value of the last one given, else ${fallback}. */
const char *args_text(const struct args *a, const char *name, const char *fallback);
/** args_value(a, name): as args_text, for a field that owns no copy; NULL when it was not given. */
char *args_value(const struct args *a, const char *name);
/** args_list(a, name, ret): the values in order, at most ARGS_MAX; returns how many. */
size_t args_list(const struct args *a, const char *name, char *ret[ARGS_MAX]);
/** args_number(a, name, max, fallback, ret, err): a whole number of at most ${max}; ${fallback}
 * when the option was not given.  Errors: RC_USAGE. */
int args_number(const struct args *a, const char *name, uint64_t max, uint64_t fallback,
		uint64_t *ret, struct err *err);
/** args_secret(a, i, ret, err):
 * Word ${i}, which from now on only ${ret} holds: whoever lists processes sees what stands in argv.
 * A word "-" stands for a line of standard input.  ${ret} is a BUF_SECRET of the caller's.
 * Errors: RC_USAGE (nothing came on standard input), RC_MEMORY. */
int args_secret(const struct args *a, size_t i, struct buf *ret, struct err *err);

/** nearest(word, names, n): the name that was probably meant, one of ${names}, or NULL. */
const char *nearest(const char *word, const char *const *names, size_t n);

/** help_program(out): every command with its summary, by side. */
void help_program(FILE *out);
/** help_command(out, c): usage, summary and options of one command. */
void help_command(FILE *out, const struct command *c);
/** help_group(out, word): the commands whose first word is ${word}; false when there is none. */
bool help_group(FILE *out, const char *word);
/** help_colours(out): the rules of colours, in their order of precedence. */
void help_colours(FILE *out);

/** cli_on_server(cli, ret, err):
 * For commands of either side: is it a server's (a site is named, or /etc/satchel/server.yaml is
 * there)?  Errors: RC_USAGE (both are named, or the machine is neither). */
int cli_on_server(struct cli *cli, bool *ret, struct err *err);
/** cli_site_dir(cli, err): the site's directory, borrowed from ${cli}; NULL with RC_USAGE when none
 * is named. */
const char *cli_site_dir(struct cli *cli, struct err *err);
/** cli_file_read(path, max, ret, err):
 * A file that a person named, so links and mounts on the way are theirs: a key on a stick, say.
 * Appended to ${ret}.  Errors: RC_IO, RC_LIMIT (more than ${max} bytes), RC_MEMORY. */
int cli_file_read(const char *path, size_t max, struct buf *ret, struct err *err);
/** cli_public_read(path, ret, err): a public key file, likewise.  Errors: also RC_MALFORMED. */
int cli_public_read(const char *path, struct key_public *ret, struct err *err);

/*
 * The functions behind the rows of the table, cmd_NAME(cli, args, err).  Each parses its options,
 * opens the site or the workstation, makes one call, and prints the answer to stdout: 0, or an
 * error that main prints.
 */
#define COMMANDS(X)                 \
	X(init)                     \
	X(site_set)                 \
	X(channel_add)              \
	X(channel_set)              \
	X(channel_list)             \
	X(channel_show)             \
	X(channel_remove)           \
	X(channel_seal)             \
	X(channel_rekey)            \
	X(channel_purge)            \
	X(rollout_continue)         \
	X(rollout_stop)             \
	X(invite)                   \
	X(workstation_list)         \
	X(workstation_show)         \
	X(workstation_set)          \
	X(workstation_accept)       \
	X(workstation_approve)      \
	X(workstation_refuse)       \
	X(workstation_renew_key)    \
	X(workstation_revoke)       \
	X(workstation_decommission) \
	X(workstation_remove)       \
	X(group_add)                \
	X(group_set)                \
	X(group_list)               \
	X(group_show)               \
	X(group_remove)             \
	X(user_add)                 \
	X(user_set)                 \
	X(user_suspend)             \
	X(user_resume)              \
	X(user_list)                \
	X(user_show)                \
	X(user_remove)              \
	X(user_import)              \
	X(user_code)                \
	X(user_codes)               \
	X(user_revoke_code)         \
	X(user_deactivate)          \
	X(user_reactivate)          \
	X(licence_add)              \
	X(licence_set)              \
	X(licence_issue)            \
	X(licence_release)          \
	X(licence_replace)          \
	X(licence_suspend)          \
	X(licence_resume)           \
	X(licence_list)             \
	X(licence_show)             \
	X(licence_remove)           \
	X(policy_add)               \
	X(policy_set)               \
	X(policy_list)              \
	X(policy_show)              \
	X(policy_remove)            \
	X(policy_explain)           \
	X(key_add)                  \
	X(key_set)                  \
	X(key_list)                 \
	X(key_show)                 \
	X(key_remove)               \
	X(key_rotate)               \
	X(key_withdraw)             \
	X(key_restore)              \
	X(key_store)                \
	X(message_send)             \
	X(message_command)          \
	X(message_withdraw)         \
	X(message_answer)           \
	X(message_report)           \
	X(messages)                 \
	X(confirm)                  \
	X(publish)                  \
	X(collect)                  \
	X(backup)                   \
	X(backup_key)               \
	X(restore)                  \
	X(recover)                  \
	X(recover_accept)           \
	X(sync)                     \
	X(watch)                    \
	X(status)                   \
	X(status_workstations)      \
	X(status_users)             \
	X(status_site)              \
	X(events)                   \
	X(trust_show)               \
	X(trust_rotate)             \
	X(trust_epoch)              \
	X(trust_renew)              \
	X(trust_add_root)           \
	X(trust_end)                \
	X(trust_threshold)          \
	X(trust_pending)            \
	X(trust_import)             \
	X(trust_drop)               \
	X(trust_add_publish)        \
	X(trust_split)              \
	X(trust_sign)               \
	X(release_list)             \
	X(release_pending)          \
	X(release_drop)             \
	X(release_import)           \
	X(enrol)                    \
	X(activate)                 \
	X(apply)                    \
	X(drift)                    \
	X(rollback)                 \
	X(repair)                   \
	X(resolve)                  \
	X(doctor)                   \
	X(inspect)                  \
	X(verify)                   \
	X(carry)                    \
	X(depot_list)               \
	X(revert)
#define X(name) int cmd_##name(struct cli *cli, const struct args *args, struct err *err);
COMMANDS(X)
#undef X

#endif
