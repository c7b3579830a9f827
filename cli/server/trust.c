/* SPDX-License-Identifier: ISC */
/*
 * trust …: the keys and roles of a site, and the next trust document.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundler/receipts/receipts.h"
#include "bundler/site/site.h"
#include "bundler/trust/trust_change.h"
#include "cli/frame/cli.h"
#include "cli/frame/passphrase.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/os/durable.h"

static int role_of(const char *word, enum role *ret, struct err *err)
{
	for (size_t i = 0; i < ROLE_COUNT; i++)
		if (strcmp(word, role_names[i]) == 0) {
			*ret = (enum role)i;
			return 0;
		}
	return err_set(err, RC_USAGE,
		       "\"%s\" is not a role: use root, publish, private, beat or collect", word);
}

static const char *const state_words[] = {"current", "retired", "revoked"};

static void roles_text(const struct trust_key *k, char *dst, size_t size)
{
	size_t used = 0;

	dst[0] = '\0';
	for (size_t r = 0; r < ROLE_COUNT && used < size; r++)
		if (k->roles & 1u << r)
			used += (size_t)snprintf(dst + used, size - used, "%s%s",
						 used > 0 ? " " : "", role_names[r]);
}

static void trust_json(const struct trust *t)
{
	struct json j = {stdout, false};
	char hex[DIGEST_HEX + 1], number[KEY_NUMBER_TEXT + 1], roles[64];

	json_open(&j, NULL, '{');
	json_text(&j, "name", t->name);
	digest_hex(hex, &t->site);
	json_text(&j, "site", hex);
	json_u64(&j, "version", t->version);
	digest_hex(hex, &t->identity);
	json_text(&j, "digest", hex);
	json_time(&j, "created", t->created);
	json_time(&j, "expires", t->expires);
	json_open(&j, "roles", '{');
	for (size_t r = 0; r < ROLE_COUNT; r++) {
		if (trust_acting(t, (enum role)r) != (enum role)r)
			continue;
		json_open(&j, role_names[r], '{');
		json_u64(&j, "threshold", t->threshold[r]);
		json_u64(&j, "epoch", t->epoch[r]);
		json_close(&j, '}');
	}
	json_close(&j, '}');
	json_open(&j, "keys", '[');
	for (size_t i = 0; i < t->keys; i++) {
		key_number_text(number, &t->key[i].key);
		roles_text(&t->key[i], roles, sizeof(roles));
		json_open(&j, NULL, '{');
		json_text(&j, "number", number);
		json_text(&j, "roles", roles);
		json_text(&j, "state", state_words[t->key[i].state]);
		json_word(&j, "only", t->key[i].only);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	putchar('\n');
}

int cmd_trust_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	char hex[DIGEST_HEX + 1], digest[DIGEST_HEX + 1], until[CLOCK_TEXT + 1];
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		trust_json(&s->trust);
		return 0;
	}
	digest_hex(hex, &s->trust.site);
	digest_hex(digest, &s->trust.identity);
	clock_format(until, s->trust.expires);
	printf("site %s\n  id        %s\n  trust     version %" PRIu64
	       ", good until %s\n  digest    %s\n",
	       s->trust.name, hex, s->trust.version, until, digest);
	for (size_t r = 0; r < ROLE_COUNT; r++)
		if (trust_acting(&s->trust, (enum role)r) == (enum role)r)
			printf("  %-9s threshold %" PRIu32 ", epoch %" PRIu64 "\n", role_names[r],
			       s->trust.threshold[r], s->trust.epoch[r]);
	for (size_t i = 0; i < s->trust.keys; i++) {
		char number[KEY_NUMBER_TEXT + 1], roles[64];

		key_number_text(number, &s->trust.key[i].key);
		roles_text(&s->trust.key[i], roles, sizeof(roles));
		printf("  key       %s  %-8s %s%s%s\n", number, state_words[s->trust.key[i].state],
		       roles, s->trust.key[i].only[0] != '\0' ? ", only for " : "",
		       s->trust.key[i].only);
	}
	return 0;
}

/* What became of a next version: in force, or waiting for offline keys. */
static int outcome(struct cli *cli, int rc, struct site *s)
{
	if (rc < 0)
		return rc;
	if (rc > 0) {
		printf("trust version %" PRIu64 " is in force\n", s->trust.version);
		reporter_info(cli->reporter, "run satchel publish to post it");
		return 0;
	}
	puts("the next trust version waits for signatures");
	reporter_info(
	    cli->reporter,
	    "sign it offline: satchel trust pending > next; minisign -S -l -m next; satchel trust "
	    "import next.minisig --key KEY.pub");
	return 0;
}

static struct key_ask *asker(struct passphrase *p)
{
	passphrase_terminal(p);
	return &p->ask;
}

int cmd_trust_rotate(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	enum role role = ROLE_ROOT;
	int rc = role_of(args->rest[0], &role, err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc < 0)
		return rc;
	return outcome(cli,
		       trust_change_rotate(s, role,
					   args_has(args, "revoke") ? KEY_REVOKED : KEY_RETIRED,
					   asker(&ask), err),
		       s);
}

int cmd_trust_epoch(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	enum role role = ROLE_ROOT;
	int rc = role_of(args->rest[0], &role, err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	return rc < 0 ? rc : outcome(cli, trust_change_epoch(s, role, asker(&ask), err), s);
}

int cmd_trust_renew(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	uint64_t days;
	int rc = args_number(args, "days", 36500, 3650, &days, err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	return rc < 0 ? rc
		      : outcome(cli, trust_change_renew(s, (unsigned)days, asker(&ask), err), s);
}

int cmd_trust_add_root(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	struct key_public key;
	int rc = cli_public_read(args->rest[0], &key, err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	return rc < 0 ? rc : outcome(cli, trust_change_root(s, &key, asker(&ask), err), s);
}

int cmd_trust_add_publish(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	struct key_public key;
	int rc = cli_public_read(args->rest[0], &key, err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	return rc < 0 ? rc
		      : outcome(cli,
				trust_change_publish(s, &key, args_text(args, "only", ""),
						     asker(&ask), err),
				s);
}

static int behind_add(void *arg, const char *name, struct err *err)
{
	return strings_add(arg, name, err);
}

/* Whoever cannot read the new formats would be left behind with the last document of the old one.
 */
static int all_read(struct site *s, struct err *err)
{
	OWNED(strings_clear) struct strings behind = {0};
	OWNED(buf_clear) struct buf names = BUF_INIT;
	int rc = receipts_behind(s->db, 2, true, behind_add, &behind, err);

	for (size_t i = 0; rc == 0 && i < behind.n && i < 10; i++)
		rc = buf_printf(&names, err, "%s%s", i > 0 ? ", " : "", behind.items[i]);
	if (rc < 0 || behind.n == 0)
		return rc;
	return err_set(
	    err, RC_CONFLICT,
	    "%zu %s not reported that %s the new format of the trust document: %s%s. Update "
	    "satchel there and wait for a receipt, or remove what is gone for good",
	    behind.n, behind.n == 1 ? "workstation has" : "workstations have",
	    behind.n == 1 ? "it reads" : "they read", (const char *)names.p,
	    behind.n > 10 ? " and more" : "");
}

int cmd_trust_split(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = all_read(s, err);
	return rc < 0 ? rc : outcome(cli, trust_change_split(s, asker(&ask), err), s);
}

int cmd_trust_end(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	return outcome(cli,
		       trust_change_end(s, args->rest[0],
					args_has(args, "revoke") ? KEY_REVOKED : KEY_RETIRED,
					asker(&ask), err),
		       s);
}

int cmd_trust_threshold(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct passphrase ask;
	enum role role = ROLE_ROOT;
	uint64_t n = 0;
	int rc = role_of(args->rest[0], &role, err);

	if (rc == 0 &&
	    number_u64(args->rest[1], strlen(args->rest[1]), LIMIT_KEYS, &n, ERR_IGNORED) < 0)
		rc = err_set(err, RC_USAGE, "a threshold is a whole number up to %d, not \"%s\"",
			     LIMIT_KEYS, args->rest[1]);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	return rc < 0 ? rc
		      : outcome(cli, trust_change_threshold(s, role, (uint32_t)n, asker(&ask), err),
				s);
}

int cmd_trust_pending(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = trust_change_pending(s, &text, err);
	if (rc < 0)
		return rc;
	if (rc == 0) {
		reporter_info(cli->reporter, "no trust version waits for signatures");
		return 0;
	}
	fwrite(text.p, 1, text.n, stdout);
	return 0;
}

int cmd_trust_import(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(buf_clear) struct buf minisig = BUF_INIT;
	const char *key_file = args_text(args, "key", NULL);
	struct key_public key;
	int rc;

	if (key_file == NULL)
		return err_set(err, RC_USAGE,
			       "trust import needs --key, the public key that signed");
	rc = cli_public_read(key_file, &key, err);
	if (rc == 0)
		rc = cli_file_read(args->rest[0], 8192, &minisig, err);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	return rc < 0 ? rc : outcome(cli, trust_change_import(s, bytes_in(&minisig), &key, err), s);
}

int cmd_trust_drop(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = trust_change_drop(s, err);
	if (rc == 1)
		puts("the trust version that waited for signatures is discarded");
	else if (rc == 0)
		reporter_info(cli->reporter, "no trust version waits for signatures");
	return rc < 0 ? rc : 0;
}
