/*
 * key add, set, list, show, remove: what encryption keys are for.
 */
#include <string.h>

#include "cli/documents.h"
#include "cli/server.h"
#include "core/base/own.h"

static int key_none(const struct site *s, const char *name, struct err *err)
{
	return document_none("key", name, s->key, s->keys, sizeof(*s->key), err);
}

static int key_write(struct site *s, struct site_key *k, const struct args *args, const char *done,
		     struct err *err)
{
	int rc = word_take(args, "group", k->group, err);

	if (args_has(args, "description"))
		k->description = args_value(args, "description");
	if (k->description != NULL && k->description[0] == '\0')
		k->description = NULL;
	if (rc == 0)
		rc = site_key_write(s, k, err);
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
	return rc < 0 ? rc : key_write(s, &k, args, "added", err);
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
	return key_write(s, &k, args, "changed", err);
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
	json_open(j, NULL, '{');
	json_text(j, "name", k->name);
	json_word(j, "group", k->group);
	json_word(j, "description", k->description != NULL ? k->description : "");
	json_close(j, '}');
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

		if (cli->json)
			key_json(&l.json, k);
		else
			rc = listing_cells(&l, err, k->name, k->group,
					   k->description != NULL ? k->description : "");
	}
	return listing_end(&l, rc, "no key yet: satchel key add NAME makes one");
}

int cmd_key_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	const struct site_key *k = NULL;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	k = site_key_document(s, args->rest[0]);
	if (k == NULL)
		return key_none(s, args->rest[0], err);
	if (cli->json) {
		key_json(&j, k);
		putchar('\n');
		return 0;
	}
	printf("key %s\n", k->name);
	line("key group", "%s", k->group[0] != '\0' ? k->group : "none");
	line("for", "%s", k->description != NULL ? k->description : "not said");
	return 0;
}
