/* SPDX-License-Identifier: ISC */
/*
 * The table of commands: dispatch, help, completion and the check of satchel(1) all read these
 * rows.
 *
 * A new command is a row here, its name in COMMANDS (cli/frame/cli.h), a function cmd_NAME in the
 * room of its side, and a paragraph in satchel(1).  Summaries say what the command does, in a line
 * that fits the list of satchel --help.
 */
#include "cli/frame/cli.h"
#include "cli/frame/show.h"
#include "core/base/own.h"

static const struct option_row init_options[] = {
    {"name", 0, "NAME", "the site's name", false},
    {"depot", 0, "DIR", "the home depot; it is made when it does not exist", false},
    {"state", 0, "DIR", "where keys, registry and content store are kept (default: DIR.state)",
     false},
    {"root-key", 0, "FILE",
     "where the root key is written, on a stick, say (default: into the state)", false},
};
/* What add and set have in common. */
#define CHANNEL_OPTIONS                                                                             \
	{"source", 0, "DIR", "the directory to publish", false},                                    \
	    {"target", 0, "DIR", "where workstations put it (absolute path)", false},               \
	    {"for", 0, "WHO",                                                                       \
	     "all, a workstation's name, label:NAME, or group:NAME (default: all)", true},          \
	    {"exclude", 0, "GLOB", "leave out files that match, by name or by path", true},         \
	    {"owners", 0, NULL, "publish the owners of files as well", false},                      \
	    {"special-modes", 0, NULL, "publish set-id and sticky bits as well", false},            \
	    {"watch", 0, NULL, "let the watcher publish the source when it changes", false},        \
	    {"no-watch", 0, NULL, "do not let the watcher publish it", false},                      \
	    {"rollout", 0, "WHO[,N[,HOURS]]",                                                       \
	     "WHO gets a new generation first, and the next ring or the rest when N of these (1) "  \
	     "were healthy for HOURS (24)",                                                         \
	     true},                                                                                 \
	    {"no-rollout", 0, NULL, "let everybody have a new generation at once", false},          \
	    {"on-leave", 0, "keep|remove",                                                          \
	     "what happens to the files on workstations that leave the channel", false},            \
	    {"keep", 0, "N", "how many generations the server keeps the content of (default: 16)",  \
	     false},                                                                                \
	{                                                                                           \
		"rekey-hours", 0, "N",                                                              \
		    "change the key of a sealed channel so long after somebody left (default: 24)", \
		    false                                                                           \
	}
static const struct option_row channel_options[] = {CHANNEL_OPTIONS};
static const struct option_row channel_add_options[] = {
    CHANNEL_OPTIONS,
    {"sealed", 0, NULL, "let nobody read it but the workstations that it is for", false},
};
static const struct option_row invite_options[] = {
    {"days", 0, "N", "how many days the code is valid (default: 14)", false},
    {"label", 0, "NAME", "give the workstation a label that channels can be for", true},
};
static const struct option_row group_options[] = {
    {"parent", 0, "GROUP", "the group that this one is inside; \"\" for none", false},
    {"policy", 0, "POLICY", "the policy on top of those of the outer groups; \"\" for none", false},
    {"channel", 0, "CHANNEL", "channels that workstations of its users get; replaces the list",
     true},
    {"add-channel", 0, "CHANNEL", "add one to the list", true},
    {"drop-channel", 0, "CHANNEL", "remove one from the list", true},
    {"key", 0, "KEY", "keys that its users get: KEY or group:WORD; replaces the list", true},
    {"add-key", 0, "KEY", "add one to the list", true},
    {"drop-key", 0, "KEY", "remove one from the list", true},
};
static const struct option_row user_options[] = {
    {"name", 0, "NAME", "the person's name", false},
    {"group", 0, "GROUP", "the group that the user is in; \"\" for none", false},
    {"licence", 0, "LICENCE", "the licence that the user takes a seat of; \"\" for none", false},
    {"extra-key", 0, "KEY", "keys besides those of the groups; replaces the list", true},
    {"add-extra-key", 0, "KEY", "add one to the list", true},
    {"drop-extra-key", 0, "KEY", "remove one from the list", true},
    {"withheld-key", 0, "KEY", "keys that the user never gets; replaces the list", true},
    {"add-withheld-key", 0, "KEY", "add one to the list", true},
    {"drop-withheld-key", 0, "KEY", "remove one from the list", true},
};
static const struct option_row user_list_options[] = {
    {"group", 0, "GROUP", "only users of this group and the groups inside it", false},
    {"licence", 0, "LICENCE", "only users with this licence", false},
};
static const struct option_row user_remove_options[] = {
    {"confirm", 0, "EMAIL", "remove the user although active on a workstation", false},
};
static const struct option_row user_import_options[] = {
    {"dry-run", 'n', NULL, "show what would change, row by row, and change nothing", false},
    {"update", 0, NULL, "let rows change users who exist already", false},
};
static const struct option_row licence_options[] = {
    {"product", 0, "TEXT", "what it is for", false},
    {"seats", 0, "N", "how many users can have it", false},
    {"from", 0, "DAY", "the first day, such as 2026-01-31; \"\" for no limit", false},
    {"to", 0, "DAY", "the last day; \"\" for no limit", false},
};
static const struct option_row withdraw_options[] = {
    {"version", 0, "N", "withdraw only this old version (default: all old ones)", false},
    {"data-may-need-it", 0, NULL, "withdraw although some data may need the old version", false},
};
static const struct option_row restore_options[] = {
    {"version", 0, "N", "the withdrawn version", false},
};
static const struct option_row store_options[] = {
    {"new-passphrase-file", 0, "FILE",
     "read the new passphrase from the first line of FILE (default: ask)", false},
};
static const struct option_row explain_options[] = {
    {"user", 0, "EMAIL", "the policy of this user on the workstation", false},
};
static const struct option_row policy_options[] = {
    {"set", 0, "KEY=VALUE", "set a setting, or values.NAME for other software", true},
    {"unset", 0, "KEY", "remove a value", true},
    {"from", 0, "FILE", "read the whole document from FILE", false},
};
static const struct option_row key_options[] = {
    {"group", 0, "WORD", "the key group; group:WORD stands for all its keys", false},
    {"description", 0, "TEXT", "what it is for", false},
};
static const struct option_row site_options[] = {
    {"policy", 0, "POLICY", "the policy of all workstations; \"\" for none", false},
    {"licence-warning-days", 0, "N", "warn of licences that end within N days", false},
    {"beat-hours", 0, "N", "how long a beat is valid", false},
    {"silent-hours", 0, "N", "show a workstation as orange when it is silent for longer", false},
    {"sync-minutes", 0, "N", "how often the watcher syncs", false},
    {"jitter-percent", 0, "N", "vary that interval by up to N percent", false},
    {"watch", 0, "true|false", "let the watcher publish when documents change", false},
    {"sticks", 0, "true|false", "let the watcher use media that are plugged in", false},
};
static const struct option_row workstation_options[] = {
    {"policy", 0, "POLICY", "the policy on top of the site's; \"\" for none", false},
    {"label", 0, "NAME", "labels that channels can be for; replaces the list", true},
    {"add-label", 0, "NAME", "add one to the list", true},
    {"drop-label", 0, "NAME", "remove one from the list", true},
};
static const struct option_row approve_options[] = {
    {"name", 0, "NAME", "the name to enrol it under (default: the name it asks for)", false},
};
static const struct option_row refuse_options[] = {
    {"all", 0, NULL, "every request that waits", false},
};
static const struct option_row renew_key_options[] = {
    {"all", 0, NULL, "every workstation", false},
};
static const struct option_row decommission_options[] = {
    {"lost", 0, NULL, "the machine is lost: revoke it now, and mark its users' keys", false},
};
static const struct option_row code_options[] = {
    {"uses", 0, "N", "how many workstations the code is good for (default: 1)", false},
    {"days", 0, "N", "how many days the code is valid (default: 14)", false},
};
static const struct option_row message_options[] = {
    {"subject", 0, "TEXT", "the subject, one line", false},
    {"text", 0, "LINE", "a line of text", true},
    {"file", 0, "FILE", "read further lines from FILE", false},
    {"days", 0, "N", "withdraw the message after N days (default: 30)", false},
};
static const struct option_row command_options[] = {
    {"subject", 0, "TEXT", "what people on the workstation are shown", false},
    {"days", 0, "N", "the command expires after N days (default: 30)", false},
};
static const struct option_row messages_options[] = {
    {"more", 0, NULL, "show each message in full", false},
    {"max", 0, "N", "show at most N (default: 50)", false},
};
static const struct option_row publish_options[] = {
    {"dry-run", 'n', NULL, "show what would be published, and change nothing", false},
    {"exclude", 0, "GLOB", "leave out files that match, in this run", true},
    {"allow-empty", 0, NULL, "publish even if a source has lost most of its files", false},
    {"full", 0, NULL, "make a new full bundle as well", false},
    {"refill", 0, NULL, "fill the depot again: it was emptied, replaced or damaged", false},
    {"reread", 0, NULL, "read every file, even if it looks unchanged", false},
};
static const struct option_row sync_options[] = {
    {"knock", 0, NULL, "on a server: tell these workstations (or all) to sync at once", false},
};
static const struct option_row watch_options[] = {
    {"every", 0, "SECONDS", "sync this often, instead of as the site or the policy says", false},
    {"status", 0, NULL, "show what the watcher did last and does next, and exit", false},
};
static const struct option_row status_options[] = {
    {"exit-code", 0, NULL, "exit with 8 unless everything is green or purple", false},
};
static const struct option_row colour_options[] = {
    {"colour", 0, "COLOUR", "show only this colour", true},
    {"exit-code", 0, NULL, "exit with 8 unless everything listed is green or purple", false},
};
static const struct option_row events_options[] = {
    {"max", 0, "N", "show at most N (default: 50)", false},
};
static const struct option_row end_options[] = {
    {"revoke", 0, NULL, "revoke the old key (it was stolen) instead of retiring it", false},
};
static const struct option_row renew_options[] = {
    {"days", 0, "N", "valid for N days from now (default: 3650)", false},
};
static const struct option_row only_options[] = {
    {"only", 0, "CHANNELS", "a channel's name, or the beginning of names and a *", false},
};
static const struct option_row sign_options[] = {
    {"key", 0, "FILE", "the secret key to sign with", false},
};
static const struct option_row import_options[] = {
    {"key", 0, "FILE", "the public key that made the signature", false},
};
static const struct option_row enrol_options[] = {
    {"depot", 0, "DIR", "the site's depot", false},
    {"name", 0, "NAME", "the name that the workstation asks for (default: its host name)", false},
};
static const struct option_row activate_options[] = {
    {"account", 0, "NAME", "the Unix account (default: the one that runs the command)", false},
};
static const struct option_row drift_options[] = {
    {"read", 0, NULL, "read every file, instead of those that stat says have changed", false},
};
static const struct option_row rollback_options[] = {
    {"again", 0, NULL, "let what was rolled back be applied again by the next apply", false},
};
static const struct option_row apply_options[] = {
    {"dry-run", 'n', NULL, "show what would be done, and change nothing", false},
    {"now", 0, NULL, "apply even outside the windows of the policy", false},
    {"code", 0, NULL, "show the confirmation code, which the server accepts as a receipt", false},
};
static const struct option_row resolve_options[] = {
    {"mine", 0, NULL, "what is here stays", false},
    {"theirs", 0, NULL, "what is published takes its place, and it is kept aside", false},
};
static const struct option_row inspect_options[] = {
    {"changes", 'c', NULL, "list every change in a bundle", false},
};
static const struct option_row verify_options[] = {
    {"key", 0, "FILE", "check against this public key instead of a site's trust", true},
};
static const struct option_row carry_options[] = {
    {"for", 0, "WHO", "on a server: only what a workstation, label:NAME, group:NAME or all need",
     true},
    {"max-file", 0, "SIZE", "split larger bundles in TO into parts (FAT32: 3900M)", false},
    {"volume-size", 0, "SIZE", "spread over volumes of this size: TO/volume-001, TO/volume-002 ...",
     false},
    {"ask", 0, NULL, "ask for each volume at TO, one after another", false},
    {"prune", 0, NULL, "remove from TO what no recent beat leads to", false},
    {"check", 0, NULL, "read every byte, even of files that both depots have", false},
    {"unmounted", 0, NULL, "make TO also where a stick should be and none is mounted", false},
    {"dry-run", 'n', NULL, "show what would be carried, and write nothing", false},
};

static const struct option_row backup_options[] = {
    {"seal-to", 0, "FILE", "let only the secret key of this public one open it", false},
    {"new-passphrase-file", 0, "FILE",
     "read the passphrase from the first line of FILE (default: ask)", false},
    {"content", 0, NULL,
     "the content store as well, which is read from the sources again otherwise", false},
};
static const struct option_row bring_back_options[] = {
    {"state", 0, "DIR", "where keys and registry are kept (default: DIR.state)", false},
    {"key", 0, "FILE", "the secret key that it was sealed to", false},
};
static const struct option_row recover_options[] = {
    {"depot", 0, "DIR", "look into this depot as well as into the home depot", true},
    {"rebuild", 0, NULL, "the registry is lost: make one of what the depot has", false},
    {"root-key", 0, "FILE", "the keys are lost: replace them with this root key", false},
    {"dry-run", 'n', NULL, "show what was found, and change nothing", false},
};

#define OPTIONS(rows) rows, ARRAY_LEN(rows)
#define NO_OPTIONS    NULL, 0

const struct command commands[] = {
    {"init", SIDE_SERVER, "DIR --name NAME --depot DIR",
     "make a new site: keys, documents, registry, home depot", OPTIONS(init_options), 1, 1,
     cmd_init},
    {"site set", SIDE_SERVER, "[--policy POLICY] [--licence-warning-days N] [OPTION VALUE]...",
     "change the settings of the site", OPTIONS(site_options), 0, 0, cmd_site_set},
    {"channel add", SIDE_SERVER, "NAME --source DIR --target DIR [--for WHO]...",
     "publish a directory to workstations", OPTIONS(channel_add_options), 1, 1, cmd_channel_add},
    {"channel set", SIDE_SERVER, "NAME [--source DIR] [--target DIR] [--for WHO]...",
     "change a channel", OPTIONS(channel_options), 1, 1, cmd_channel_set},
    {"channel seal", SIDE_SERVER, "NAME",
     "let nobody read a channel any more but the workstations that it is for", NO_OPTIONS, 1, 1,
     cmd_channel_seal},
    {"channel rekey", SIDE_SERVER, "NAME", "change the key of a sealed channel at the next publish",
     NO_OPTIONS, 1, 1, cmd_channel_rekey},
    {"channel purge", SIDE_SERVER, "NAME PATH...",
     "remove what should never have been published from depot, packs and bundles", NO_OPTIONS, 2,
     ARGS_MAX, cmd_channel_purge},
    {"rollout continue", SIDE_SERVER, "NAME", "let what waits in a ring go on to the next one",
     NO_OPTIONS, 1, 1, cmd_rollout_continue},
    {"rollout stop", SIDE_SERVER, "NAME",
     "keep what is on its way in the rings that have it, until a later generation comes",
     NO_OPTIONS, 1, 1, cmd_rollout_stop},
    {"channel list", SIDE_SERVER, "", "list channels with their generation and audience",
     NO_OPTIONS, 0, 0, cmd_channel_list},
    {"channel show", SIDE_SERVER, "NAME", "show a channel and its bundles", NO_OPTIONS, 1, 1,
     cmd_channel_show},
    {"channel remove", SIDE_SERVER, "NAME",
     "end a channel; workstations leave it at their next sync", NO_OPTIONS, 1, 1,
     cmd_channel_remove},
    {"invite", SIDE_SERVER, "NAME [--days N] [--label NAME]...",
     "print a code with which a workstation can enrol", OPTIONS(invite_options), 1, 1, cmd_invite},
    {"workstation list", SIDE_SERVER, "", "list workstations, and requests that wait for approval",
     NO_OPTIONS, 0, 0, cmd_workstation_list},
    {"workstation show", SIDE_SERVER, "NAME", "show a workstation in full", NO_OPTIONS, 1, 1,
     cmd_workstation_show},
    {"workstation set", SIDE_SERVER, "NAME [--policy POLICY] [--label NAME]...",
     "change the policy and labels of a workstation", OPTIONS(workstation_options), 1, 1,
     cmd_workstation_set},
    {"workstation approve", SIDE_SERVER, "FINGERPRINT [--name NAME]",
     "accept the request of a workstation that was not invited", OPTIONS(approve_options), 1, 1,
     cmd_workstation_approve},
    {"workstation refuse", SIDE_SERVER, "FINGERPRINT | --all",
     "refuse the request of a workstation that was not invited", OPTIONS(refuse_options), 0, 1,
     cmd_workstation_refuse},
    {"workstation revoke", SIDE_SERVER, "NAME",
     "stop trusting a workstation, and send it nothing more", NO_OPTIONS, 1, 1,
     cmd_workstation_revoke},
    {"workstation accept", SIDE_SERVER, "NAME",
     "say that there is only one machine of this name, where a clone was suspected", NO_OPTIONS, 1,
     1, cmd_workstation_accept},
    {"workstation renew-key", SIDE_SERVER, "NAME | --all",
     "have a workstation make a new sealing key now", OPTIONS(renew_key_options), 0, 1,
     cmd_workstation_renew_key},
    {"workstation decommission", SIDE_SERVER, "NAME [--lost]",
     "have a workstation wipe its keys and private data", OPTIONS(decommission_options), 1, 1,
     cmd_workstation_decommission},
    {"workstation remove", SIDE_SERVER, "NAME", "forget a workstation that is no longer enrolled",
     NO_OPTIONS, 1, 1, cmd_workstation_remove},
    {"group add", SIDE_SERVER, "NAME [--parent GROUP] [--policy POLICY] [--key KEY]...",
     "add a group of users, who get the same", OPTIONS(group_options), 1, 1, cmd_group_add},
    {"group set", SIDE_SERVER, "NAME [--parent GROUP] [--policy POLICY] [--key KEY]...",
     "change a group", OPTIONS(group_options), 1, 1, cmd_group_set},
    {"group list", SIDE_SERVER, "", "list groups with their outer group and users", NO_OPTIONS, 0,
     0, cmd_group_list},
    {"group show", SIDE_SERVER, "NAME", "show a group and what it gives its users", NO_OPTIONS, 1,
     1, cmd_group_show},
    {"group remove", SIDE_SERVER, "NAME", "remove a group that no document names", NO_OPTIONS, 1, 1,
     cmd_group_remove},
    {"user add", SIDE_SERVER, "EMAIL [--name NAME] [--group GROUP] [--licence LICENCE]",
     "add a user, known by an e-mail address", OPTIONS(user_options), 1, 1, cmd_user_add},
    {"user set", SIDE_SERVER, "EMAIL [--group GROUP] [--extra-key KEY]...", "change a user",
     OPTIONS(user_options), 1, 1, cmd_user_set},
    {"user suspend", SIDE_SERVER, "EMAIL...",
     "suspend users: they get nothing, but keep their seats", NO_OPTIONS, 1, ARGS_MAX,
     cmd_user_suspend},
    {"user resume", SIDE_SERVER, "EMAIL...", "end the suspension of users", NO_OPTIONS, 1, ARGS_MAX,
     cmd_user_resume},
    {"user list", SIDE_SERVER, "[--group GROUP] [--licence LICENCE]",
     "list users, and why one is not entitled", OPTIONS(user_list_options), 0, 0, cmd_user_list},
    {"user show", SIDE_SERVER, "EMAIL", "show a user: groups, licence, keys, workstations",
     NO_OPTIONS, 1, 1, cmd_user_show},
    {"user remove", SIDE_SERVER, "EMAIL [--confirm EMAIL]", "remove a user",
     OPTIONS(user_remove_options), 1, 1, cmd_user_remove},
    {"user import", SIDE_SERVER, "FILE.csv [--dry-run] [--update]",
     "add and change users from a CSV file, all or none", OPTIONS(user_import_options), 1, 1,
     cmd_user_import},
    {"user code", SIDE_SERVER, "EMAIL [--uses N] [--days N]",
     "print a code that makes a user active on a workstation", OPTIONS(code_options), 1, 1,
     cmd_user_code},
    {"user codes", SIDE_SERVER, "[EMAIL]", "list activation codes, newest first, with their state",
     NO_OPTIONS, 0, 1, cmd_user_codes},
    {"user revoke-code", SIDE_SERVER, "CODE",
     "revoke an activation code; CODE is its id or the code itself", NO_OPTIONS, 1, 1,
     cmd_user_revoke_code},
    {"user deactivate", SIDE_SERVER, "EMAIL WORKSTATION",
     "take a user's keys away on one workstation", NO_OPTIONS, 2, 2, cmd_user_deactivate},
    {"user reactivate", SIDE_SERVER, "EMAIL WORKSTATION", "undo a deactivation", NO_OPTIONS, 2, 2,
     cmd_user_reactivate},
    {"licence add", SIDE_SERVER, "NAME --product TEXT --seats N [--from DAY] [--to DAY]",
     "add a licence: a product with seats and days", OPTIONS(licence_options), 1, 1,
     cmd_licence_add},
    {"licence set", SIDE_SERVER, "NAME [--seats N] [--to DAY]", "change a licence",
     OPTIONS(licence_options), 1, 1, cmd_licence_set},
    {"licence issue", SIDE_SERVER, "LICENCE EMAIL...", "give users a seat", NO_OPTIONS, 2, ARGS_MAX,
     cmd_licence_issue},
    {"licence release", SIDE_SERVER, "EMAIL...", "free the seats of users", NO_OPTIONS, 1, ARGS_MAX,
     cmd_licence_release},
    {"licence replace", SIDE_SERVER, "OLD NEW", "move all users of a licence to another one",
     NO_OPTIONS, 2, 2, cmd_licence_replace},
    {"licence suspend", SIDE_SERVER, "NAME",
     "suspend a licence: its users get nothing, but keep their seats", NO_OPTIONS, 1, 1,
     cmd_licence_suspend},
    {"licence resume", SIDE_SERVER, "NAME", "end the suspension of a licence", NO_OPTIONS, 1, 1,
     cmd_licence_resume},
    {"licence list", SIDE_SERVER, "", "list licences, their seats, and which end soon", NO_OPTIONS,
     0, 0, cmd_licence_list},
    {"licence show", SIDE_SERVER, "NAME", "show a licence and its users", NO_OPTIONS, 1, 1,
     cmd_licence_show},
    {"licence remove", SIDE_SERVER, "NAME", "remove a licence that no user has", NO_OPTIONS, 1, 1,
     cmd_licence_remove},
    {"policy add", SIDE_SERVER, "NAME [--set KEY=VALUE]... [--from FILE]",
     "add a policy: settings of satchel, and values for other software", OPTIONS(policy_options), 1,
     1, cmd_policy_add},
    {"policy set", SIDE_SERVER, "NAME [--set KEY=VALUE]... [--unset KEY]...", "change a policy",
     OPTIONS(policy_options), 1, 1, cmd_policy_set},
    {"policy list", SIDE_SERVER, "", "list policies, and how many documents name each", NO_OPTIONS,
     0, 0, cmd_policy_list},
    {"policy show", SIDE_SERVER, "NAME", "show a policy", NO_OPTIONS, 1, 1, cmd_policy_show},
    {"policy remove", SIDE_SERVER, "NAME", "remove a policy that no document names", NO_OPTIONS, 1,
     1, cmd_policy_remove},
    {"policy explain", SIDE_EITHER, "[WORKSTATION] [--user EMAIL]",
     "show every value in force on a workstation, and where it comes from",
     OPTIONS(explain_options), 0, 1, cmd_policy_explain},
    {"key add", SIDE_SERVER, "NAME [--group WORD] [--description TEXT]",
     "add an encryption key for users; its secret is made here", OPTIONS(key_options), 1, 1,
     cmd_key_add},
    {"key set", SIDE_SERVER, "NAME [--group WORD] [--description TEXT]",
     "change the group and description of a key", OPTIONS(key_options), 1, 1, cmd_key_set},
    {"key list", SIDE_SERVER, "", "list keys with their key group and description", NO_OPTIONS, 0,
     0, cmd_key_list},
    {"key show", SIDE_SERVER, "NAME", "show a key: its versions, and who holds them", NO_OPTIONS, 1,
     1, cmd_key_show},
    {"key remove", SIDE_SERVER, "NAME", "remove a key that no document names", NO_OPTIONS, 1, 1,
     cmd_key_remove},
    {"key rotate", SIDE_SERVER, "NAME",
     "make a new version of a key; old ones stay until withdrawn", NO_OPTIONS, 1, 1,
     cmd_key_rotate},
    {"key withdraw", SIDE_SERVER, "NAME [--version N] --data-may-need-it",
     "stop handing out old versions of a key", OPTIONS(withdraw_options), 1, 1, cmd_key_withdraw},
    {"key restore", SIDE_SERVER, "NAME --version N", "hand out a withdrawn version again",
     OPTIONS(restore_options), 1, 1, cmd_key_restore},
    {"key store", SIDE_SERVER, "[file [PATH] | passphrase]",
     "show where the master key of all keys is, or change it", OPTIONS(store_options), 0, 2,
     cmd_key_store},
    {"message send", SIDE_SERVER, "WHO --subject TEXT [--text LINE]... [--file FILE]",
     "write to a workstation, a user, group:NAME or all", OPTIONS(message_options), 1, 1,
     cmd_message_send},
    {"message command", SIDE_SERVER, "WHO report|drift|hook [NAME]",
     "have workstations report, look for drift, or run a hook", OPTIONS(command_options), 2, 3,
     cmd_message_command},
    {"message withdraw", SIDE_SERVER, "ID", "withdraw a message", NO_OPTIONS, 1, 1,
     cmd_message_withdraw},
    {"messages", SIDE_EITHER, "[ID | --more]", "list messages in both directions, newest first",
     OPTIONS(messages_options), 0, 1, cmd_messages},
    {"confirm", SIDE_SERVER, "CODE", "accept a confirmation code in the place of a receipt",
     NO_OPTIONS, 1, 4, cmd_confirm},
    {"publish", SIDE_SERVER, "[CHANNEL...] [--dry-run]", "publish what changed",
     OPTIONS(publish_options), 0, ARGS_MAX, cmd_publish},
    {"collect", SIDE_SERVER, "", "read receipts and requests from the home depot", NO_OPTIONS, 0, 0,
     cmd_collect},
    {"depot list", SIDE_SERVER, "", "list the home depot, and the depots that were carried to",
     NO_OPTIONS, 0, 0, cmd_depot_list},
    {"revert", SIDE_SERVER, "DEPOT", "forget what was carried to a depot, such as a lost stick",
     NO_OPTIONS, 1, 1, cmd_revert},
    {"events", SIDE_SERVER, "[--max N]", "list events that a person should know, newest first",
     OPTIONS(events_options), 0, 0, cmd_events},
    {"trust show", SIDE_SERVER, "", "show the trust document: keys, roles, thresholds", NO_OPTIONS,
     0, 0, cmd_trust_show},
    {"trust rotate", SIDE_SERVER, "ROLE [--revoke]",
     "replace the key of a role: publish, private, beat or collect", OPTIONS(end_options), 1, 1,
     cmd_trust_rotate},
    {"trust epoch", SIDE_SERVER, "ROLE",
     "restart the numbers of publish, private or beat, after a key was stolen", NO_OPTIONS, 1, 1,
     cmd_trust_epoch},
    {"trust renew", SIDE_SERVER, "[--days N]", "change when the trust document expires",
     OPTIONS(renew_options), 0, 0, cmd_trust_renew},
    {"trust add-root", SIDE_SERVER, "FILE",
     "add a root key that is kept elsewhere; FILE is its public key", NO_OPTIONS, 1, 1,
     cmd_trust_add_root},
    {"trust add-publish", SIDE_SERVER, "FILE [--only CHANNELS]",
     "add a publish key that is kept elsewhere; FILE is its public key", OPTIONS(only_options), 1,
     1, cmd_trust_add_publish},
    {"trust split", SIDE_SERVER, "",
     "give private channels a key of their own, so that publish keys can leave the server",
     NO_OPTIONS, 0, 0, cmd_trust_split},
    {"trust end", SIDE_SERVER, "KEY [--revoke]", "retire or revoke one key by its number",
     OPTIONS(end_options), 1, 1, cmd_trust_end},
    {"trust threshold", SIDE_SERVER, "ROLE N", "set how many keys of a role must sign", NO_OPTIONS,
     2, 2, cmd_trust_threshold},
    {"trust pending", SIDE_SERVER, "", "print the trust document that waits for offline signatures",
     NO_OPTIONS, 0, 0, cmd_trust_pending},
    {"trust import", SIDE_SERVER, "FILE --key FILE",
     "add a signature to it, made with trust sign or minisign -S -l", OPTIONS(import_options), 1, 1,
     cmd_trust_import},
    {"trust drop", SIDE_SERVER, "", "discard the trust document that waits for signatures",
     NO_OPTIONS, 0, 0, cmd_trust_drop},
    {"trust sign", SIDE_EITHER, "FILE... --key FILE",
     "sign what `trust pending` or `release pending` printed, on another machine",
     OPTIONS(sign_options), 1, ARGS_MAX, cmd_trust_sign},
    {"release list", SIDE_SERVER, "", "list generations that wait for signatures of publish keys",
     NO_OPTIONS, 0, 0, cmd_release_list},
    {"release pending", SIDE_SERVER, "CHANNEL", "print the release that waits for signatures",
     NO_OPTIONS, 1, 1, cmd_release_pending},
    {"release drop", SIDE_SERVER, "CHANNEL",
     "discard the generation that waits, because its content is not to be released", NO_OPTIONS, 1,
     1, cmd_release_drop},
    {"release import", SIDE_SERVER, "FILE --key FILE",
     "add a signature to it, made with trust sign or minisign -S -l", OPTIONS(import_options), 1, 1,
     cmd_release_import},
    {"enrol", SIDE_STATION, "CODE --depot DIR", "join a site with an invitation code",
     OPTIONS(enrol_options), 1, 1, cmd_enrol},
    {"activate", SIDE_STATION, "CODE [--account NAME]",
     "make a user active here, with an activation code", OPTIONS(activate_options), 1, 1,
     cmd_activate},
    {"apply", SIDE_STATION, "[BUNDLE | DEPOT] [--dry-run] [--now]", "verify and apply what is new",
     OPTIONS(apply_options), 0, 1, cmd_apply},
    {"drift", SIDE_STATION, "[--read]", "list what differs on disk from what was applied",
     OPTIONS(drift_options), 0, 0, cmd_drift},
    {"repair", SIDE_STATION, "[CHANNEL [PATH...]]",
     "make again what differs on disk from what was applied", NO_OPTIONS, 0, ARGS_MAX, cmd_repair},
    {"resolve", SIDE_STATION, "[CHANNEL [PATH...] --mine | --theirs]",
     "list what is in the way of an update, or say what to do with it", OPTIONS(resolve_options), 0,
     ARGS_MAX, cmd_resolve},
    {"rollback", SIDE_STATION, "[CHANNEL [GENERATION] [--again]]",
     "go back to what a channel was before, or list what is kept", OPTIONS(rollback_options), 0, 2,
     cmd_rollback},
    {"message answer", SIDE_STATION, "ID TEXT", "answer a message from the server", NO_OPTIONS, 2,
     2, cmd_message_answer},
    {"message report", SIDE_STATION, "TEXT", "send a message to the server", NO_OPTIONS, 1, 1,
     cmd_message_report},
    {"backup", SIDE_SERVER, "FILE [--seal-to FILE.pub] [--content]",
     "back up documents, registry and keys into one closed file", OPTIONS(backup_options), 1, 1,
     cmd_backup},
    {"backup key", SIDE_SERVER, "FILE",
     "make a key that backups are sealed to, to be kept elsewhere", NO_OPTIONS, 1, 1,
     cmd_backup_key},
    {"restore", SIDE_SERVER, "FILE DIR [--state DIR] [--key FILE]",
     "bring a backup back, on this machine or on another one", OPTIONS(bring_back_options), 2, 2,
     cmd_restore},
    {"recover accept", SIDE_SERVER, "NAME...",
     "take over what workstations hold that this server does not know of since it was restored",
     NO_OPTIONS, 1, ARGS_MAX, cmd_recover_accept},
    {"recover", SIDE_SERVER, "[--depot DIR]... [--rebuild] [--root-key FILE] [--dry-run]",
     "go on above what was published, when this is a backup of the server",
     OPTIONS(recover_options), 0, 0, cmd_recover},
    {"sync", SIDE_EITHER, "[--knock WORKSTATION...]",
     "server: collect, then publish; workstation: apply and report", OPTIONS(sync_options), 0,
     ARGS_MAX, cmd_sync},
    {"watch", SIDE_EITHER, "[--every SECONDS] [--status]",
     "sync automatically: on changes, new media, and a timer", OPTIONS(watch_options), 0, 0,
     cmd_watch},
    {"status", SIDE_EITHER, "",
     "show the colour of every workstation; on a workstation, its own state",
     OPTIONS(status_options), 0, 0, cmd_status},
    {"doctor", SIDE_EITHER, "", "check this machine for problems, and say how to fix them",
     NO_OPTIONS, 0, 0, cmd_doctor},
    {"carry", SIDE_EITHER,
     "FROM TO [--for WHO]... [--max-file SIZE] [--volume-size SIZE] [--prune] [--unmounted] [--dry-run]",
     "merge two depots, in both directions", OPTIONS(carry_options), 2, 2, cmd_carry},
    {"status workstations", SIDE_SERVER, "[NAME...] [--colour COLOUR]",
     "show the colour of every workstation, and what can be done", OPTIONS(colour_options), 0,
     ARGS_MAX, cmd_status_workstations},
    {"status site", SIDE_SERVER, "", "show how far behind each group and depot is",
     OPTIONS(status_options), 0, 0, cmd_status_site},
    {"status users", SIDE_SERVER, "[EMAIL...] [--colour COLOUR]",
     "show the colour of every user, and what can be done", OPTIONS(colour_options), 0, ARGS_MAX,
     cmd_status_users},
    {"inspect", SIDE_EITHER, "FILE... [--changes]", "say what a file of a depot is and would do",
     OPTIONS(inspect_options), 1, ARGS_MAX, cmd_inspect},
    {"verify", SIDE_EITHER, "FILE... [--key FILE]...",
     "check every byte of a file of a depot, and who signed it", OPTIONS(verify_options), 1,
     ARGS_MAX, cmd_verify},
};
const size_t commands_n = ARRAY_LEN(commands);
