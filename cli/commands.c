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
    {"for", 0, "WHO", "all, a workstation's name, label:NAME, or group:NAME (default: all)", true},
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
static const struct option_row group_options[] = {
    {"parent", 0, "GROUP", "the group that it is in; \"\": none", false},
    {"policy", 0, "POLICY", "laid over those of the groups above; \"\": none", false},
    {"channel", 0, "CHANNEL", "what workstations of its users get: the whole list", true},
    {"add-channel", 0, "CHANNEL", "one more", true},
    {"drop-channel", 0, "CHANNEL", "one less", true},
    {"key", 0, "KEY", "what its users are handed: KEY or group:WORD, the whole list", true},
    {"add-key", 0, "KEY", "one more", true},
    {"drop-key", 0, "KEY", "one less", true},
};
static const struct option_row user_options[] = {
    {"name", 0, "NAME", "what people call them", false},
    {"group", 0, "GROUP", "the group that they are in; \"\": none", false},
    {"licence", 0, "LICENCE", "the licence that they take a seat of; \"\": none", false},
    {"extra-key", 0, "KEY", "beside those of the groups: the whole list", true},
    {"add-extra-key", 0, "KEY", "one more", true},
    {"drop-extra-key", 0, "KEY", "one less", true},
    {"withheld-key", 0, "KEY", "not handed out, whoever gives it: the whole list", true},
    {"add-withheld-key", 0, "KEY", "one more", true},
    {"drop-withheld-key", 0, "KEY", "one less", true},
};
static const struct option_row user_list_options[] = {
    {"group", 0, "GROUP", "only users of this group and of those inside it", false},
    {"licence", 0, "LICENCE", "only users of this licence", false},
};
static const struct option_row user_remove_options[] = {
    {"confirm", 0, "EMAIL", "yes, though they are active somewhere", false},
};
static const struct option_row user_import_options[] = {
    {"dry-run", 'n', NULL, "say what would change, row by row, and change nothing", false},
    {"update", 0, NULL, "rows may change users that are there", false},
};
static const struct option_row licence_options[] = {
    {"product", 0, "TEXT", "what it is for", false},
    {"seats", 0, "N", "how many users may have it", false},
    {"from", 0, "DAY", "its first day, 2026-01-31; \"\": since ever", false},
    {"to", 0, "DAY", "its last day; \"\": for ever", false},
};
static const struct option_row withdraw_options[] = {
    {"version", 0, "N", "this old version only (default: all old ones)", false},
    {"data-may-need-it", 0, NULL, "yes, though nothing can read what only it opens any more",
     false},
};
static const struct option_row restore_options[] = {
    {"version", 0, "N", "the withdrawn version", false},
};
static const struct option_row store_options[] = {
    {"new-passphrase-file", 0, "FILE", "its first line is the new passphrase (default: asked)",
     false},
};
static const struct option_row explain_options[] = {
    {"user", 0, "EMAIL", "the policy of this user there", false},
};
static const struct option_row policy_options[] = {
    {"set", 0, "KEY=VALUE", "a setting, or values.NAME... for other software", true},
    {"unset", 0, "KEY", "take a value away", true},
    {"from", 0, "FILE", "the whole document, as an editor wrote it", false},
};
static const struct option_row key_options[] = {
    {"group", 0, "WORD", "a key group; its keys are given together as group:WORD", false},
    {"description", 0, "TEXT", "what it is for", false},
};
static const struct option_row site_options[] = {
    {"policy", 0, "POLICY", "the policy of all workstations; \"\": none", false},
    {"licence-warning-days", 0, "N", "warn of licences that end sooner", false},
    {"beat-hours", 0, "N", "how long a beat may be believed", false},
    {"silent-hours", 0, "N", "a workstation not heard from for longer is orange", false},
    {"sync-minutes", 0, "N", "how often the watcher syncs", false},
    {"jitter-percent", 0, "N", "by how much of that it may be earlier or later", false},
    {"watch", 0, "true|false", "the watcher publishes what edited documents say", false},
    {"sticks", 0, "true|false", "the watcher looks at media that are plugged in", false},
};
static const struct option_row workstation_options[] = {
    {"policy", 0, "POLICY", "laid over the site's; \"\": none", false},
    {"label", 0, "NAME", "labels that channels can be for: the whole list", true},
    {"add-label", 0, "NAME", "one more", true},
    {"drop-label", 0, "NAME", "one less", true},
};
static const struct option_row approve_options[] = {
    {"name", 0, "NAME", "the name it gets (default: what it calls itself)", false},
};
static const struct option_row decommission_options[] = {
    {"lost", 0, NULL, "it will never be seen again: believe it no more, mark its keys", false},
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
    {"code", 0, NULL, "show the confirmation code that the server takes for a receipt", false},
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
    {"site set", SIDE_SERVER, "[--policy POLICY] [--licence-warning-days N] [OPTION VALUE]...",
     "change what the site's document says", OPTIONS(site_options), 0, 0, cmd_site_set},
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
    {"workstation set", SIDE_SERVER, "NAME [--policy POLICY] [--label NAME]...",
     "change what a workstation's document says", OPTIONS(workstation_options), 1, 1,
     cmd_workstation_set},
    {"workstation approve", SIDE_SERVER, "FINGERPRINT [--name NAME]",
     "let an uninvited workstation in", OPTIONS(approve_options), 1, 1, cmd_workstation_approve},
    {"workstation refuse", SIDE_SERVER, "FINGERPRINT", "turn an uninvited request down", NO_OPTIONS,
     1, 1, cmd_workstation_refuse},
    {"workstation revoke", SIDE_SERVER, "NAME",
     "believe a workstation no longer, and seal nothing more to it", NO_OPTIONS, 1, 1,
     cmd_workstation_revoke},
    {"workstation decommission", SIDE_SERVER, "NAME [--lost]",
     "have a workstation wipe what it was entrusted with, and say so",
     OPTIONS(decommission_options), 1, 1, cmd_workstation_decommission},
    {"workstation remove", SIDE_SERVER, "NAME", "forget a workstation that is enrolled no more",
     NO_OPTIONS, 1, 1, cmd_workstation_remove},
    {"group add", SIDE_SERVER, "NAME [--parent GROUP] [--policy POLICY] [--key KEY]...",
     "a group of users, who get the same", OPTIONS(group_options), 1, 1, cmd_group_add},
    {"group set", SIDE_SERVER, "NAME [--parent GROUP] [--policy POLICY] [--key KEY]...",
     "change what a group's document says", OPTIONS(group_options), 1, 1, cmd_group_set},
    {"group list", SIDE_SERVER, "", "every group, where it is, and its users", NO_OPTIONS, 0, 0,
     cmd_group_list},
    {"group show", SIDE_SERVER, "NAME", "one group, with what it gives", NO_OPTIONS, 1, 1,
     cmd_group_show},
    {"group remove", SIDE_SERVER, "NAME", "remove a group that nothing names any more", NO_OPTIONS,
     1, 1, cmd_group_remove},
    {"user add", SIDE_SERVER, "EMAIL [--name NAME] [--group GROUP] [--licence LICENCE]",
     "a person, known by an e-mail address", OPTIONS(user_options), 1, 1, cmd_user_add},
    {"user set", SIDE_SERVER, "EMAIL [--group GROUP] [--extra-key KEY]...",
     "change what a user's document says", OPTIONS(user_options), 1, 1, cmd_user_set},
    {"user suspend", SIDE_SERVER, "EMAIL...", "hand out nothing to them; they keep their seats",
     NO_OPTIONS, 1, ARGS_MAX, cmd_user_suspend},
    {"user resume", SIDE_SERVER, "EMAIL...", "undo that", NO_OPTIONS, 1, ARGS_MAX, cmd_user_resume},
    {"user list", SIDE_SERVER, "[--group GROUP] [--licence LICENCE]",
     "every user, and what keeps them from being entitled", OPTIONS(user_list_options), 0, 0,
     cmd_user_list},
    {"user show", SIDE_SERVER, "EMAIL", "one user: groups, licence, keys, workstations", NO_OPTIONS,
     1, 1, cmd_user_show},
    {"user remove", SIDE_SERVER, "EMAIL [--confirm EMAIL]", "delete a user",
     OPTIONS(user_remove_options), 1, 1, cmd_user_remove},
    {"user import", SIDE_SERVER, "FILE.csv [--dry-run] [--update]",
     "add and change users from a table, all or nothing", OPTIONS(user_import_options), 1, 1,
     cmd_user_import},
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
    {"licence add", SIDE_SERVER, "NAME --product TEXT --seats N [--from DAY] [--to DAY]",
     "a product with seats and days", OPTIONS(licence_options), 1, 1, cmd_licence_add},
    {"licence set", SIDE_SERVER, "NAME [--seats N] [--to DAY]",
     "change what a licence's document says", OPTIONS(licence_options), 1, 1, cmd_licence_set},
    {"licence issue", SIDE_SERVER, "LICENCE EMAIL...", "give users a seat", NO_OPTIONS, 2, ARGS_MAX,
     cmd_licence_issue},
    {"licence release", SIDE_SERVER, "EMAIL...", "free the seats of users", NO_OPTIONS, 1, ARGS_MAX,
     cmd_licence_release},
    {"licence replace", SIDE_SERVER, "OLD NEW", "move all users of a licence to another one",
     NO_OPTIONS, 2, 2, cmd_licence_replace},
    {"licence suspend", SIDE_SERVER, "NAME", "hand out nothing to its users; they keep their seats",
     NO_OPTIONS, 1, 1, cmd_licence_suspend},
    {"licence resume", SIDE_SERVER, "NAME", "undo that", NO_OPTIONS, 1, 1, cmd_licence_resume},
    {"licence list", SIDE_SERVER, "", "every licence, its seats, and what ends soon", NO_OPTIONS, 0,
     0, cmd_licence_list},
    {"licence show", SIDE_SERVER, "NAME", "one licence with its users", NO_OPTIONS, 1, 1,
     cmd_licence_show},
    {"licence remove", SIDE_SERVER, "NAME", "remove a licence that nobody has any more", NO_OPTIONS,
     1, 1, cmd_licence_remove},
    {"policy add", SIDE_SERVER, "NAME [--set KEY=VALUE]... [--from FILE]",
     "values for satchel itself and for other software", OPTIONS(policy_options), 1, 1,
     cmd_policy_add},
    {"policy set", SIDE_SERVER, "NAME [--set KEY=VALUE]... [--unset KEY]...",
     "change values of a policy", OPTIONS(policy_options), 1, 1, cmd_policy_set},
    {"policy list", SIDE_SERVER, "", "every policy, and how many documents name it", NO_OPTIONS, 0,
     0, cmd_policy_list},
    {"policy show", SIDE_SERVER, "NAME", "one policy", NO_OPTIONS, 1, 1, cmd_policy_show},
    {"policy remove", SIDE_SERVER, "NAME", "remove a policy that nothing names any more",
     NO_OPTIONS, 1, 1, cmd_policy_remove},
    {"policy explain", SIDE_EITHER, "[WORKSTATION] [--user EMAIL]",
     "every value that is in force there, where it comes from, and what it took the place of",
     OPTIONS(explain_options), 0, 1, cmd_policy_explain},
    {"key add", SIDE_SERVER, "NAME [--group WORD] [--description TEXT]",
     "an encryption key for users; its secret is made here", OPTIONS(key_options), 1, 1,
     cmd_key_add},
    {"key set", SIDE_SERVER, "NAME [--group WORD] [--description TEXT]",
     "change what a key's document says", OPTIONS(key_options), 1, 1, cmd_key_set},
    {"key list", SIDE_SERVER, "", "every key, its key group, and what it is for", NO_OPTIONS, 0, 0,
     cmd_key_list},
    {"key show", SIDE_SERVER, "NAME", "one key: its versions, and who holds them", NO_OPTIONS, 1, 1,
     cmd_key_show},
    {"key remove", SIDE_SERVER, "NAME", "remove a key that nothing names any more", NO_OPTIONS, 1,
     1, cmd_key_remove},
    {"key rotate", SIDE_SERVER, "NAME",
     "a new version; the old one stays handed out until it is withdrawn", NO_OPTIONS, 1, 1,
     cmd_key_rotate},
    {"key withdraw", SIDE_SERVER, "NAME [--version N] --data-may-need-it",
     "hand old versions out no more, when every holder has confirmed the new one",
     OPTIONS(withdraw_options), 1, 1, cmd_key_withdraw},
    {"key restore", SIDE_SERVER, "NAME --version N", "hand a withdrawn version out again",
     OPTIONS(restore_options), 1, 1, cmd_key_restore},
    {"key store", SIDE_SERVER, "[file [PATH] | passphrase]",
     "how the keys are sealed here, or another master key for all of them", OPTIONS(store_options),
     0, 2, cmd_key_store},
    {"message send", SIDE_SERVER, "WHO --subject TEXT [--text LINE]... [--file FILE]",
     "write to a workstation, a user, group:NAME or all", OPTIONS(message_options), 1, 1,
     cmd_message_send},
    {"message command", SIDE_SERVER, "WHO report|drift|hook [NAME]",
     "have something done on workstations", OPTIONS(command_options), 2, 3, cmd_message_command},
    {"message withdraw", SIDE_SERVER, "ID", "take a message out of the private channels again",
     NO_OPTIONS, 1, 1, cmd_message_withdraw},
    {"messages", SIDE_EITHER, "[ID | --more]",
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
    {"message answer", SIDE_STATION, "ID TEXT", "answer a message of the server's", NO_OPTIONS, 2,
     2, cmd_message_answer},
    {"message report", SIDE_STATION, "TEXT", "tell the server something", NO_OPTIONS, 1, 1,
     cmd_message_report},
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
    {"status site", SIDE_SERVER, "", "how far behind every group and depot is",
     OPTIONS(status_options), 0, 0, cmd_status_site},
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
