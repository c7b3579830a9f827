/* SPDX-License-Identifier: ISC */
/*
 * key add, set, list, show, remove: what encryption keys are for, and how they stand.
 */
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/keystore/keystore.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"

#include <string.h>

#include "cli/server/documents.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static int key_none(const struct site *s, const char *name, struct err *err)
{
	return document_none("key", name, s->key, s->keys, sizeof(*s->key), err);
}

/* secret_make(s, name, err): when there is none yet. */
static int secret_make(struct site *s, const char *name, struct err *err)
{
	OWNED(keystore_freep) struct keystore *k = NULL;
	int rc = keystore_new(s, &k, err);

	if (rc == 0)
		rc = keystore_make(k, name, err);
	if (rc < 0)
		return err_prefix(
		    err, "the document of key %s was written, but its secret was not made", name);
	return 0;
}

static int entry_write(struct site *s, struct site_key *k, const struct args *args,
		       const char *done, struct err *err)
{
	int rc = option_word(args, "group", k->group, err);

	if (args_has(args, "description"))
		k->description = args_value(args, "description");
	if (k->description != NULL && k->description[0] == '\0')
		k->description = NULL;
	if (rc == 0)
		rc = site_key_write(s, k, err);
	if (rc == 0)
		rc = secret_make(s, k->name, err);
	if (rc == 0)
		printf("key %s %s\n", k->name, done);
	return rc;
}

int cmd_key_add(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_key k = {.name = ""};
	int rc = document_name("key", args->rest[0], k.name, sizeof(k.name), err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0 && site_key_document(s, k.name) != NULL)
		rc = document_there("key", k.name, err);
	return rc < 0 ? rc : entry_write(s, &k, args, "added", err);
}

int cmd_key_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_key k, *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	found = site_key_document(s, args->rest[0]);
	if (found == NULL)
		return key_none(s, args->rest[0], err);
	k = *found;
	return entry_write(s, &k, args, "changed", err);
}

int cmd_key_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && site_key_document(s, args->rest[0]) == NULL)
		return key_none(s, args->rest[0], err);
	if (rc == 0)
		rc = site_document_remove(s, SITE_DOCUMENT_KEY, args->rest[0], err);
	if (rc == 0)
		printf("key %s removed; its secret stays in the key store\n", args->rest[0]);
	return rc;
}

static void key_json(struct json *j, const struct site_key *k)
{
	json_text(j, "name", k->name);
	json_word(j, "group", k->group);
	json_word(j, "description", k->description != NULL ? k->description : "");
}

int cmd_key_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"KEY", "KEY GROUP", "DESCRIPTION"};
	OWNED(site_freep) struct site *s = NULL;
	struct output_list l;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	for (size_t i = 0; i < s->keys && rc == 0; i++) {
		const struct site_key *k = &s->key[i];

		if (cli->json) {
			json_open(&l.json, NULL, '{');
			key_json(&l.json, k);
			json_close(&l.json, '}');
			continue;
		}
		rc = output_list_cells(&l, err, k->name, k->group,
				       k->description != NULL ? k->description : "");
	}
	return output_list_end(&l, rc, "no keys yet; add one with satchel key add NAME");
}

static void snapshot_json(struct json *j, const struct key_snapshot *k)
{
	json_open(j, "versions", '[');
	for (size_t i = 0; i < k->version.n; i++) {
		json_open(j, NULL, '{');
		json_u64(j, "version", k->version.items[i].version);
		json_text(j, "state", key_version_state_text(k->version.items[i].state));
		json_time(j, "made", k->version.items[i].made);
		json_u64(j, "holders", k->version.items[i].holders);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_u64(j, "holders", k->holders);
	json_u64(j, "unconfirmed", k->unconfirmed);
	json_words(j, "waiting", k->waiting.items, k->waiting.n);
	json_open(j, "lost", '[');
	for (size_t i = 0; i < k->mark.n; i++)
		json_text(j, NULL, k->mark.items[i].workstation);
	json_close(j, ']');
}

static void snapshot_lines(const struct key_snapshot *k)
{
	char day[CLOCK_TEXT + 1];

	for (size_t i = 0; i < k->version.n; i++) {
		clock_format(day, k->version.items[i].made);
		show_line("version", "%llu, %s, made %.10s, on %llu %s",
			  (unsigned long long)k->version.items[i].version,
			  key_version_state_text(k->version.items[i].state), day,
			  (unsigned long long)k->version.items[i].holders,
			  plural(k->version.items[i].holders, "workstation", "workstations"));
	}
	if (k->unconfirmed > 0)
		show_line("unconfirmed",
			  "%llu of %llu workstations have not confirmed the current version",
			  (unsigned long long)k->unconfirmed, (unsigned long long)k->holders);
	if (k->waiting.n > 0)
		show_words("waiting for", k->waiting.items, k->waiting.n);
	for (size_t i = 0; i < k->mark.n; i++)
		show_line("to rotate", "%s held it and is lost", k->mark.items[i].workstation);
}

int cmd_key_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(key_snapshot_clear) struct key_snapshot snapshot = {0};
	struct json j = {stdout, false};
	const struct site_key *k = NULL;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	k = site_key_document(s, args->rest[0]);
	if (k == NULL)
		return key_none(s, args->rest[0], err);
	rc = keystore_describe(s, k->name, &snapshot, err);
	if (rc < 0 && rc != RC_USAGE) /* a document that an editor wrote has no secret yet */
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		key_json(&j, k);
		snapshot_json(&j, &snapshot);
		json_close(&j, '}');
		putchar('\n');
		return 0;
	}
	printf("key %s\n", k->name);
	show_line("key group", "%s", k->group[0] != '\0' ? k->group : "none");
	show_line("for", "%s", k->description != NULL ? k->description : "none");
	if (rc < 0)
		show_line("version", "none yet; satchel key set %s makes the secret", k->name);
	snapshot_lines(&snapshot);
	return 0;
}
