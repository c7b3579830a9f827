/* SPDX-License-Identifier: ISC */
/*
 * recover: this server is an old copy of itself, and goes on above what it published.
 */
#include <inttypes.h>
#include <string.h>

#include "bundler/recover/recover.h"
#include "bundler/trust/trust_change.h"
#include "cli/frame/passphrase.h"
#include "cli/frame/show.h"
#include "cli/server/server.h"
#include "core/base/own.h"

static void names_line(const char *label, const struct strings *names)
{
	for (size_t i = 0; i < names->n; i++)
		show_line(i == 0 ? label : "", "%s", names->items[i]);
}

static void report_text(struct cli *cli, const struct recover_report *r, bool dry)
{
	show_line("trust", "version %" PRIu64 " here, %" PRIu64 " found", r->trust_was, r->trust);
	show_line("beat", "%" PRIu64 " here, %" PRIu64 " found%s", r->beat_was, r->beat,
		  r->forked ? "; two of them have one number" : "");
	names_line("channels", &r->channel);
	names_line("apart", &r->apart);
	names_line("revoked", &r->revoked);
	if (r->unknown > 0)
		show_line("unknown", "%" PRIu64, r->unknown);
	if (r->shards_lost > 0)
		show_line("lost", "shards: %" PRIu64, r->shards_lost);
	for (size_t i = 0; i < r->missing.n; i++)
		reporter_warning(cli->reporter,
				 "the key of %s that is in force is not in this state%s: satchel "
				 "recover --root-key FILE replaces it",
				 r->missing.items[i],
				 strcmp(r->missing.items[i], "publish") == 0
				     ? "; unless it is kept elsewhere"
				     : "");
	if (dry)
		return;
	reporter_info(cli->reporter,
		      "this server goes on above what was found: run satchel publish, and look at "
		      "satchel status");
}

static void json_names(struct json *j, const char *key, const struct strings *names)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < names->n; i++)
		json_text(j, NULL, names->items[i]);
	json_close(j, ']');
}

static void report_json(const struct recover_report *r)
{
	struct json j = {stdout, false};

	json_open(&j, NULL, '{');
	json_u64(&j, "trust-was", r->trust_was);
	json_u64(&j, "trust", r->trust);
	json_u64(&j, "beat-was", r->beat_was);
	json_u64(&j, "beat", r->beat);
	json_bool(&j, "forked", r->forked);
	json_names(&j, "channels", &r->channel);
	json_names(&j, "apart", &r->apart);
	json_names(&j, "revoked", &r->revoked);
	json_names(&j, "keys-missing", &r->missing);
	json_u64(&j, "unknown", r->unknown);
	json_u64(&j, "shards-lost", r->shards_lost);
	json_close(&j, '}');
	putchar('\n');
}

/* Keys that are gone are replaced, when a root key is at hand. */
static int keys_replace(struct cli *cli, struct site *s, struct recover_report *r, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < r->missing.n; i++) {
		enum role role = ROLE_ROOT;

		while (strcmp(role_names[role], r->missing.items[i]) != 0)
			role++;
		rc = trust_change_lost(s, role, &cli->passphrase->ask, err);
		if (rc == 1)
			reporter_info(cli->reporter, "the key of %s was replaced",
				      r->missing.items[i]);
	}
	if (rc >= 0) {
		r->trust = s->trust.version;
		strings_clear(&r->missing);
	}
	return rc < 0 ? rc : 0;
}

static int state_rebuild(struct cli *cli, const struct args *args, struct err *err)
{
	const char *dir = cli_site_dir(cli, err);

	return dir == NULL ? err->rc
			   : site_rebuild(dir, args_text(args, "root-key", NULL),
					  &cli->passphrase->ask, err);
}

int cmd_recover(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(recover_report_clear) struct recover_report r = {.trust = 0};
	OWNED(site_freep) struct site *s = NULL;
	bool dry = args_has(args, "dry-run");
	char *depots[ARGS_MAX];
	size_t n = args_list(args, "depot", depots);
	bool rebuild = args_has(args, "rebuild"), root = args_has(args, "root-key");
	int was, rc = 0;

	if ((rebuild || root) && dry)
		return err_set(err, RC_USAGE, "--rebuild and --root-key do not go with --dry-run");
	if (rebuild || root)
		rc = state_rebuild(cli, args, err);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK | SITE_UNREAD, &s, err);
	if (rc == 0)
		rc = recover_site(s, (const char *const *)depots, n, dry ? RECOVER_DRY_RUN : 0, &r,
				  err);
	if (rc < 0)
		return rc;
	was = rc;
	if (root && r.missing.n > 0) {
		rc = keys_replace(cli, s, &r, err);
		if (rc < 0)
			return rc;
		was = 1;
	}
	rc = was;
	if (cli->json)
		report_json(&r);
	else if (rc == 1)
		report_text(cli, &r, dry);
	else
		reporter_info(cli->reporter,
			      "nothing to recover: no depot has anything that is newer than this "
			      "registry (beat %" PRIu64 ", trust version %" PRIu64 ")",
			      r.beat_was, r.trust_was);
	return 0;
}

static void accepted_show(struct cli *cli, struct json *j, const char *name, int was,
			  const struct recover_accepted *a)
{
	if (!cli->json) {
		if (was == 1)
			printf("%s is not held apart any more: users taken over: %zu, versions of "
			       "keys: %zu\n",
			       name, a->user.n, a->key.n);
		else
			printf("%s is not held apart\n", name);
		names_line("users", &a->user);
		names_line("keys", &a->key);
		return;
	}
	json_open(j, NULL, '{');
	json_text(j, "workstation", name);
	json_bool(j, "apart", was == 1);
	json_names(j, "users", &a->user);
	json_names(j, "keys", &a->key);
	json_close(j, '}');
}

int cmd_recover_accept(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && cli->json)
		json_open(&j, NULL, '[');
	for (size_t i = 0; rc >= 0 && i < args->rest_n; i++) {
		OWNED(recover_accepted_clear) struct recover_accepted a = {.user = {NULL, 0, 0}};

		rc = recover_accept(s, args->rest[i], &a, err);
		if (rc >= 0)
			accepted_show(cli, &j, args->rest[i], rc, &a);
	}
	if (rc < 0)
		return rc;
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else {
		reporter_info(cli->reporter, "run satchel publish");
	}
	return 0;
}
