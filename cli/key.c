/*
 * key add, set, list, show, remove: what encryption keys are for, and how they stand.
 */
#include "bundler/keystore.h"

#include <string.h>

#include "cli/documents.h"
#include "cli/server.h"
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
		return err_prefix(err, "the document of key %s is written, its secret is not made",
				  name);
	return 0;
}

static int entry_write(struct site *s, struct site_key *k, const struct args *args,
		       const char *done, struct err *err)
{
	int rc = word_take(args, "group", k->group, err);

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
	int rc = name_take("key", args->rest[0], k.name, sizeof(k.name), err);

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
		rc = site_key_remove(s, args->rest[0], err);
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
	struct listing l;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	rc = listing_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	for (size_t i = 0; i < s->keys && rc == 0; i++) {
		const struct site_key *k = &s->key[i];

		if (cli->json) {
			json_open(&l.json, NULL, '{');
			key_json(&l.json, k);
			json_close(&l.json, '}');
			continue;
		}
		rc = listing_cells(&l, err, k->name, k->group,
				   k->description != NULL ? k->description : "");
	}
	return listing_end(&l, rc, "no key yet: satchel key add NAME makes one");
}

static void standing_json(struct json *j, const struct key_standing *k)
{
	json_open(j, "versions", '[');
	for (size_t i = 0; i < k->versions; i++) {
		json_open(j, NULL, '{');
		json_u64(j, "version", k->version[i].version);
		json_text(j, "state", k->version[i].state);
		json_time(j, "made", k->version[i].made);
		json_u64(j, "holders", k->version[i].holders);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_u64(j, "holders", k->holders);
	json_u64(j, "unconfirmed", k->unconfirmed);
	json_words(j, "waiting", k->waiting, k->waitings);
	json_open(j, "lost", '[');
	for (size_t i = 0; i < k->marks; i++)
		json_text(j, NULL, k->mark[i].workstation);
	json_close(j, ']');
}

static void standing(const struct key_standing *k)
{
	char day[CLOCK_TEXT + 1];

	for (size_t i = 0; i < k->versions; i++) {
		clock_format(day, k->version[i].made);
		line("version", "%llu, %s, made %.10s, on %llu %s",
		     (unsigned long long)k->version[i].version, k->version[i].state, day,
		     (unsigned long long)k->version[i].holders,
		     plural(k->version[i].holders, "workstation", "workstations"));
	}
	if (k->unconfirmed > 0)
		line("unconfirmed", "the current version, by %llu of %llu workstations",
		     (unsigned long long)k->unconfirmed, (unsigned long long)k->holders);
	if (k->waitings > 0)
		line_words("waiting for", k->waiting, k->waitings);
	for (size_t i = 0; i < k->marks; i++)
		line("to rotate", "held by %s, which is lost", k->mark[i].workstation);
}

int cmd_key_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(key_standing_clear) struct key_standing stands = {0};
	struct json j = {stdout, false};
	const struct site_key *k = NULL;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	k = site_key_document(s, args->rest[0]);
	if (k == NULL)
		return key_none(s, args->rest[0], err);
	rc = keystore_look(s, k->name, &stands, err);
	if (rc < 0 && rc != RC_USAGE) /* a document that an editor wrote has no secret yet */
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		key_json(&j, k);
		standing_json(&j, &stands);
		json_close(&j, '}');
		putchar('\n');
		return 0;
	}
	printf("key %s\n", k->name);
	line("key group", "%s", k->group[0] != '\0' ? k->group : "none");
	line("for", "%s", k->description != NULL ? k->description : "not said");
	if (rc < 0)
		line("version", "none yet: satchel key set %s makes the secret", k->name);
	standing(&stands);
	return 0;
}
