/* SPDX-License-Identifier: ISC */
/*
 * key rotate, withdraw, restore, store: what is done to secrets that nobody ever sees here.
 */
#include "bundler/keystore/keystore.h"
#include "bundler/documents/documents.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"

#include <string.h>

#include "cli/frame/passphrase.h"
#include "cli/server/documents.h"
#include "core/base/own.h"

/* A key by its name; one whose document is gone is still in the store. */
static int key_known(struct site *s, const char *name, struct err *err)
{
	OWNED(key_snapshot_clear) struct key_snapshot k = {.holders = 0};

	if (site_key_document(s, name) != NULL)
		return 0;
	if (keystore_describe(s, name, &k, ERR_IGNORED) == 0)
		return 0;
	return document_none("key", name, s->key, s->keys, sizeof(*s->key), err);
}

static void version_print(struct cli *cli, const char *name, uint64_t version, const char *done)
{
	struct json j = {stdout, false};

	if (!cli->json) {
		printf("%s\n", done);
		return;
	}
	json_open(&j, NULL, '{');
	json_text(&j, "key", name);
	json_u64(&j, "version", version);
	json_close(&j, '}');
	putchar('\n');
}

int cmd_key_rotate(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(keystore_freep) struct keystore *k = NULL;
	const char *name = args->rest[0];
	char done[128];
	uint64_t version = 0;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = key_known(s, name, err);
	if (rc == 0)
		rc = keystore_new(s, &k, err);
	if (rc == 0)
		rc = keystore_rotate(k, name, &version, err);
	if (rc < 0)
		return rc;
	snprintf(done, sizeof(done), "version %llu of key %s is the current one",
		 (unsigned long long)version, name);
	version_print(cli, name, version, done);
	reporter_info(
	    cli->reporter,
	    "run satchel publish to hand it out; old versions stay until satchel key withdraw %s",
	    name);
	return 0;
}

/* version_take(args, ret, err): --version; 0 when it is not given. */
static int version_take(const struct args *args, uint64_t *ret, struct err *err)
{
	int rc = args_number(args, "version", LIMIT_NUMBER, 0, ret, err);

	if (rc == 0 && args_has(args, "version") && *ret == 0)
		return err_set(err, RC_USAGE, "versions start at 1");
	return rc;
}

int cmd_key_withdraw(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	const char *name = args->rest[0];
	enum keystore_flags flags =
	    args_has(args, "data-may-need-it") ? KEYSTORE_DATA_MAY_NEED_IT : 0;
	char done[160];
	uint64_t version = 0;
	int rc = version_take(args, &version, err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = key_known(s, name, err);
	if (rc == 0)
		rc = keystore_withdraw(s, name, version, flags, err);
	if (rc < 0)
		return rc;
	if (version == 0)
		snprintf(done, sizeof(done), "old versions of key %s are withdrawn", name);
	else
		snprintf(done, sizeof(done), "version %llu of key %s is withdrawn",
			 (unsigned long long)version, name);
	version_print(cli, name, version, done);
	reporter_info(
	    cli->reporter,
	    "run satchel publish to take it away from workstations; satchel key restore hands it "
	    "out again");
	return 0;
}

int cmd_key_restore(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	const char *name = args->rest[0];
	char done[128];
	uint64_t version = 0;
	int rc = version_take(args, &version, err);

	if (rc == 0 && version == 0)
		rc = err_set(err, RC_USAGE, "key restore needs --version");
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = key_known(s, name, err);
	if (rc == 0)
		rc = keystore_restore(s, name, version, err);
	if (rc < 0)
		return rc;
	snprintf(done, sizeof(done), "version %llu of key %s is handed out again",
		 (unsigned long long)version, name);
	version_print(cli, name, version, done);
	return 0;
}

/* store_text(cli, s, err): how the master key is come by. */
static int store_text(struct cli *cli, struct site *s, struct err *err)
{
	char text[KEYSTORE_PATH + 64];
	struct json j = {stdout, false};
	int rc = keystore_lock_text(s, text, err);

	if (rc < 0)
		return rc;
	if (!cli->json) {
		printf("master key  %s\n", text);
		return 0;
	}
	json_open(&j, NULL, '{');
	json_text(&j, "master_key", text);
	json_close(&j, '}');
	putchar('\n');
	return 0;
}

static int store_change(struct cli *cli, struct site *s, const struct args *args, struct err *err)
{
	OWNED(keystore_freep) struct keystore *k = NULL;
	const char *to = args->rest[0], *path = args->rest_n > 1 ? args->rest[1] : NULL;
	char old[KEYSTORE_PATH] = "";
	struct passphrase fresh;
	int rc = keystore_new(s, &k, err);

	passphrase_new(&fresh, args_text(args, "new-passphrase-file", NULL));
	if (rc == 0)
		rc = strcmp(to, "file") == 0 ? keystore_lock_file(k, path, old, err)
					     : keystore_lock_passphrase(k, &fresh.ask, old, err);
	if (rc < 0)
		return rc;
	if (old[0] != '\0')
		reporter_info(
		    cli->reporter,
		    "only old backups of the registry still need %s: when you no longer need "
		    "those, delete it and every copy of it",
		    old);
	return store_text(cli, s, err);
}

int cmd_key_store(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	const char *to = args->rest_n > 0 ? args->rest[0] : NULL;
	bool file = to != NULL && strcmp(to, "file") == 0;
	int rc;

	if (to != NULL && !file && strcmp(to, "passphrase") != 0)
		return err_set(err, RC_USAGE,
			       "a master key comes from `file` or `passphrase`, not "
			       "from \"%s\"",
			       to);
	if (args->rest_n > 1 && !file)
		return err_set(err, RC_USAGE,
			       "satchel key store passphrase takes no file; "
			       "--new-passphrase-file names one that holds it");
	if (args_has(args, "new-passphrase-file") && (to == NULL || file))
		return err_set(err, RC_USAGE,
			       "--new-passphrase-file goes with satchel key store "
			       "passphrase");
	rc = server_open(cli, to != NULL ? SITE_LOCK : 0, &s, err);
	if (rc < 0)
		return rc;
	return to != NULL ? store_change(cli, s, args, err) : store_text(cli, s, err);
}
