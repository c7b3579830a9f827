/*
 * The table of commands: dispatch, help, completion and the check of satchel(1) all read these
 * rows.
 */
#include "cli/cli.h"
#include "core/base/own.h"

static const struct option_row init_options[] = {
    {"name", 0, "NAME", "the site's name, as people call it", false},
    {"depot", 0, "DIR", "the home depot: made when it is missing", false},
    {"state", 0, "DIR", "where keys, registry and content store live (default: DIR.state)", false},
};
static const struct option_row channel_options[] = {
    {"source", 0, "DIR", "the tree to publish", false},
    {"target", 0, "DIR", "where it appears on workstations (absolute)", false},
    {"for", 0, "WHO", "all, a workstation's name, or label:NAME (default: all)", true},
    {"exclude", 0, "GLOB", "leave out what matches, by name or by path", true},
    {"owners", 0, NULL, "owners are part of the tree", false},
    {"special-modes", 0, NULL, "set-id and sticky bits are part of the tree", false},
    {"watch", 0, NULL, "the watcher publishes the source by itself when it changed", false},
    {"no-watch", 0, NULL, "it does so no more", false},
    {"on-leave", 0, "keep|remove", "what a workstation does when it is no longer subscribed",
     false},
    {"keep", 0, "N", "generations whose content the server keeps (default: 16)", false},
};
static const struct option_row invite_options[] = {
    {"days", 0, "N", "good for so many days (default: 14)", false},
    {"label", 0, "NAME", "labels that channels can be for", true},
};
static const struct option_row approve_options[] = {
    {"name", 0, "NAME", "the name it gets (default: what it calls itself)", false},
};
static const struct option_row code_options[] = {
    {"uses", 0, "N", "good for so many workstations (default: 1)", false},
    {"days", 0, "N", "good for so many days (default: 14)", false},
};
static const struct option_row message_options[] = {
    {"subject", 0, "TEXT", "one line", false},
    {"text", 0, "LINE", "a further line", true},
    {"file", 0, "FILE", "further lines, from a file", false},
    {"days", 0, "N", "withdrawn by itself after so many days (default: 30)", false},
};
static const struct option_row command_options[] = {
    {"subject", 0, "TEXT", "what the people there are shown", false},
    {"days", 0, "N", "good for so many days (default: 30)", false},
};
static const struct option_row messages_options[] = {
    {"more", 0, NULL, "each in full", false},
    {"max", 0, "N", "at most so many (default: 50)", false},
};
static const struct option_row publish_options[] = {
    {"dry-run", 'n', NULL, "say what would be published, and change nothing", false},
    {"exclude", 0, "GLOB", "leave out for this run what matches", true},
    {"allow-empty", 0, NULL, "a source that lost most of its files is meant so", false},
    {"full", 0, NULL, "make a new full bundle as well", false},
    {"reread", 0, NULL, "read every file, also where nothing seems changed", false},
};
static const struct option_row sync_options[] = {
    {"knock", 0, NULL, "on a server: ring at these workstations (or all): they look at once",
     false},
};
static const struct option_row watch_options[] = {
    {"every", 0, "SECONDS", "instead of the interval of the site or the policy", false},
    {"status", 0, NULL, "say what the watcher did last and does next, and end", false},
};
static const struct option_row status_options[] = {
    {"exit-code", 0, NULL, "end with 8 unless all are green or purple", false},
};
static const struct option_row colour_options[] = {
    {"colour", 0, "COLOUR", "only those of this colour", true},
    {"exit-code", 0, NULL, "end with 8 unless all that are listed are green or purple", false},
};
static const struct option_row events_options[] = {
    {"max", 0, "N", "at most so many (default: 50)", false},
};
static const struct option_row end_options[] = {
    {"revoke", 0, NULL, "the old key is revoked (stolen), not only retired", false},
};
static const struct option_row renew_options[] = {
    {"days", 0, "N", "good for so many days from now (default: 3650)", false},
};
static const struct option_row import_options[] = {
    {"key", 0, "FILE", "the public key that made the signature", false},
};
static const struct option_row enrol_options[] = {
    {"depot", 0, "DIR", "where the site's depot is", false},
    {"name", 0, "NAME", "what this workstation calls itself (default: its host name)", false},
};
static const struct option_row activate_options[] = {
    {"account", 0, "NAME", "the Unix account it is for (default: whoever calls)", false},
};
static const struct option_row apply_options[] = {
    {"dry-run", 'n', NULL, "say what would be done, and change nothing", false},
    {"now", 0, NULL, "outside of the windows of the policy as well", false},
};
static const struct option_row inspect_options[] = {
    {"changes", 'c', NULL, "list every change of a bundle", false},
};
static const struct option_row verify_options[] = {
    {"key", 0, "FILE", "a public key to check against, when no site is at hand", true},
};
static const struct option_row carry_options[] = {
    {"for", 0, "WHO", "only what a workstation, label:NAME, group:NAME or all need (on a server)",
     true},
    {"max-file", 0, "SIZE", "larger bundles lie in TO as parts of at most so much (FAT32: 3900M)",
     false},
    {"volume-size", 0, "SIZE", "several volumes of so much: TO/volume-001, TO/volume-002 ...",
     false},
    {"ask", 0, NULL, "ask for each volume at TO, one after another", false},
    {"prune", 0, NULL, "remove from TO what no beat that is kept leads to", false},
    {"check", 0, NULL, "read every byte, also of what both depots have", false},
    {"dry-run", 'n', NULL, "say what would be carried, and write nothing", false},
};

#define OPTIONS(rows) rows, ARRAY_LEN(rows)
#define NO_OPTIONS    NULL, 0

const struct command commands[] = {
    {"init", SIDE_SERVER, "DIR --name NAME --depot DIR",
     "make a new site: keys, documents, registry, home depot", OPTIONS(init_options), 1, 1,
     cmd_init},
    {"channel add", SIDE_SERVER, "NAME --source DIR --target DIR [--for WHO]...",
     "publish a tree to workstations", OPTIONS(channel_options), 1, 1, cmd_channel_add},
    {"channel set", SIDE_SERVER, "NAME [--source DIR] [--target DIR] [--for WHO]...",
     "change what a channel's document says", OPTIONS(channel_options), 1, 1, cmd_channel_set},
    {"channel list", SIDE_SERVER, "", "every channel, its generation and its audience", NO_OPTIONS,
     0, 0, cmd_channel_list},
    {"channel show", SIDE_SERVER, "NAME", "one channel with its bundles", NO_OPTIONS, 1, 1,
     cmd_channel_show},
    {"channel remove", SIDE_SERVER, "NAME", "end a channel; workstations leave it at the next sync",
     NO_OPTIONS, 1, 1, cmd_channel_remove},
    {"invite", SIDE_SERVER, "NAME [--days N] [--label NAME]...",
     "print a code with which a workstation can enrol", OPTIONS(invite_options), 1, 1, cmd_invite},
    {"workstation list", SIDE_SERVER, "", "every workstation, and requests that wait for approval",
     NO_OPTIONS, 0, 0, cmd_workstation_list},
    {"workstation show", SIDE_SERVER, "NAME", "one workstation in full", NO_OPTIONS, 1, 1,
     cmd_workstation_show},
    {"workstation approve", SIDE_SERVER, "FINGERPRINT [--name NAME]",
     "let an uninvited workstation in", OPTIONS(approve_options), 1, 1, cmd_workstation_approve},
    {"workstation refuse", SIDE_SERVER, "FINGERPRINT", "turn an uninvited request down", NO_OPTIONS,
     1, 1, cmd_workstation_refuse},
    {"workstation revoke", SIDE_SERVER, "NAME",
     "believe a workstation no longer, and seal nothing more to it", NO_OPTIONS, 1, 1,
     cmd_workstation_revoke},
    {"user code", SIDE_SERVER, "EMAIL [--uses N] [--days N]",
     "print a code that makes a user active on a workstation", OPTIONS(code_options), 1, 1,
     cmd_user_code},
    {"user codes", SIDE_SERVER, "[EMAIL]",
     "activation codes, newest first, and what became of them", NO_OPTIONS, 0, 1, cmd_user_codes},
    {"user revoke-code", SIDE_SERVER, "CODE",
     "an activation code is good no more; CODE is its id, or the code", NO_OPTIONS, 1, 1,
     cmd_user_revoke_code},
    {"user deactivate", SIDE_SERVER, "EMAIL WORKSTATION",
     "take a user's keys away on one workstation, until they are reactivated there", NO_OPTIONS, 2,
     2, cmd_user_deactivate},
    {"user reactivate", SIDE_SERVER, "EMAIL WORKSTATION", "undo that", NO_OPTIONS, 2, 2,
     cmd_user_reactivate},
    {"message send", SIDE_SERVER, "WHO --subject TEXT [--text LINE]... [--file FILE]",
     "write to a workstation, a user, group:NAME or all", OPTIONS(message_options), 1, 1,
     cmd_message_send},
    {"message command", SIDE_SERVER, "WHO report|drift|hook [NAME]",
     "have something done on workstations", OPTIONS(command_options), 2, 3, cmd_message_command},
    {"message withdraw", SIDE_SERVER, "ID", "take a message out of the private channels again",
     NO_OPTIONS, 1, 1, cmd_message_withdraw},
    {"messages", SIDE_SERVER, "[ID | --more]",
     "messages in both directions, newest first, and what became of them",
     OPTIONS(messages_options), 0, 1, cmd_messages},
    {"confirm", SIDE_SERVER, "CODE", "a confirmation code counts as the receipt that it stands for",
     NO_OPTIONS, 1, 4, cmd_confirm},
    {"publish", SIDE_SERVER, "[CHANNEL...] [--dry-run]", "post what changed",
     OPTIONS(publish_options), 0, ARGS_MAX, cmd_publish},
    {"collect", SIDE_SERVER, "", "read receipts and requests", NO_OPTIONS, 0, 0, cmd_collect},
    {"depot list", SIDE_SERVER, "", "the home depot, and what is on the way by others", NO_OPTIONS,
     0, 0, cmd_depot_list},
    {"revert", SIDE_SERVER, "DEPOT", "count a lost stick no longer as on the way", NO_OPTIONS, 1, 1,
     cmd_revert},
    {"events", SIDE_SERVER, "[--max N]", "what happened that a person should know, newest first",
     OPTIONS(events_options), 0, 0, cmd_events},
    {"trust show", SIDE_SERVER, "", "the trust document: keys, roles, thresholds", NO_OPTIONS, 0, 0,
     cmd_trust_show},
    {"trust rotate", SIDE_SERVER, "ROLE [--revoke]",
     "replace the key of a role: publish, beat or collect", OPTIONS(end_options), 1, 1,
     cmd_trust_rotate},
    {"trust epoch", SIDE_SERVER, "ROLE",
     "start the numbers of publish or beat again: the way back after a stolen key", NO_OPTIONS, 1,
     1, cmd_trust_epoch},
    {"trust renew", SIDE_SERVER, "[--days N]", "another expiry of the trust document",
     OPTIONS(renew_options), 0, 0, cmd_trust_renew},
    {"trust add-root", SIDE_SERVER, "FILE",
     "one more root key, kept elsewhere; FILE is its public key", NO_OPTIONS, 1, 1,
     cmd_trust_add_root},
    {"trust end", SIDE_SERVER, "KEY [--revoke]", "retire or revoke one key by its number",
     OPTIONS(end_options), 1, 1, cmd_trust_end},
    {"trust threshold", SIDE_SERVER, "ROLE N", "how many keys of a role must sign", NO_OPTIONS, 2,
     2, cmd_trust_threshold},
    {"trust pending", SIDE_SERVER, "",
     "print the next trust document that waits for signatures of offline keys", NO_OPTIONS, 0, 0,
     cmd_trust_pending},
    {"trust import", SIDE_SERVER, "FILE --key FILE",
     "take a signature that minisign -S -l made over it", OPTIONS(import_options), 1, 1,
     cmd_trust_import},
    {"trust drop", SIDE_SERVER, "", "forget the trust document that waits", NO_OPTIONS, 0, 0,
     cmd_trust_drop},
    {"enrol", SIDE_STATION, "CODE --depot DIR", "join a site with an invitation",
     OPTIONS(enrol_options), 1, 1, cmd_enrol},
    {"activate", SIDE_STATION, "CODE [--account NAME]",
     "make a user active on this workstation, with an activation code", OPTIONS(activate_options),
     1, 1, cmd_activate},
    {"apply", SIDE_STATION, "[BUNDLE | DEPOT] [--dry-run] [--now]",
     "verify and apply what is newer", OPTIONS(apply_options), 0, 1, cmd_apply},
    {"drift", SIDE_STATION, "", "what differs on disk from what was applied", NO_OPTIONS, 0, 0,
     cmd_drift},
    {"sync", SIDE_EITHER, "[--knock WORKSTATION...]",
     "server: collect, then publish; workstation: apply and report", OPTIONS(sync_options), 0,
     ARGS_MAX, cmd_sync},
    {"watch", SIDE_EITHER, "[--every SECONDS] [--status]",
     "sync by itself: when something changed, when a stick is plugged in, and every hour",
     OPTIONS(watch_options), 0, 0, cmd_watch},
    {"status", SIDE_EITHER, "",
     "one honest colour for every workstation; on a workstation, its own state",
     OPTIONS(status_options), 0, 0, cmd_status},
    {"doctor", SIDE_EITHER, "", "what is wrong here or soon will be, each with its remedy",
     NO_OPTIONS, 0, 0, cmd_doctor},
    {"carry", SIDE_EITHER,
     "FROM TO [--for WHO]... [--max-file SIZE] [--volume-size SIZE] [--prune] [--dry-run]",
     "merge two depots in both directions", OPTIONS(carry_options), 2, 2, cmd_carry},
    {"status workstations", SIDE_SERVER, "[NAME...] [--colour COLOUR]",
     "the colour of every workstation; of those that are named, also what can be done",
     OPTIONS(colour_options), 0, ARGS_MAX, cmd_status_workstations},
    {"status users", SIDE_SERVER, "[EMAIL...] [--colour COLOUR]",
     "the colour of every user; of those that are named, also what can be done",
     OPTIONS(colour_options), 0, ARGS_MAX, cmd_status_users},
    {"inspect", SIDE_EITHER, "FILE... [--changes]",
     "say in words what a file of a depot is and would do", OPTIONS(inspect_options), 1, ARGS_MAX,
     cmd_inspect},
    {"verify", SIDE_EITHER, "FILE... [--key FILE]...",
     "check every byte of a file of a depot, and say who signed it", OPTIONS(verify_options), 1,
     ARGS_MAX, cmd_verify},
};
const size_t commands_n = ARRAY_LEN(commands);
