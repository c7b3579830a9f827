/* SPDX-License-Identifier: ISC */
/*
 * group add, set, list, show, remove.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/documents.h"
#include "core/base/own.h"

static int group_none(const struct site *s, const char *name, struct err *err)
{
	return document_none("group", name, s->group, s->groups, sizeof(*s->group), err);
}

/* The options' fields over those of ${g}; the lists stay those of ${channels} and ${keys}. */
static int take_options(struct site_group *g, const struct args *args, struct words *channels,
			struct words *keys, struct err *err)
{
	int rc = option_word(args, "parent", g->parent, err);

	if (rc == 0)
		rc = option_word(args, "policy", g->policy, err);
	if (rc == 0)
		rc = option_words(args, "channel", g->channel, g->channels, channels, err);
	if (rc == 0)
		rc = option_words(args, "key", g->key, g->keys, keys, err);
	g->channel = channels->item;
	g->channels = channels->n;
	g->key = keys->item;
	g->keys = keys->n;
	return rc;
}

static int group_write(struct site *s, struct site_group *g, const struct args *args,
		       const char *done, struct err *err)
{
	OWNED(words_clear) struct words channels = {0};
	OWNED(words_clear) struct words keys = {0};
	int rc = take_options(g, args, &channels, &keys, err);

	if (rc == 0)
		rc = site_group_write(s, g, err);
	if (rc == 0)
		printf("group %s %s\n", g->name, done);
	return rc;
}

int cmd_group_add(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_group g = {.name = ""};
	int rc = document_name("group", args->rest[0], g.name, sizeof(g.name), err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0 && site_group(s, g.name) != NULL)
		rc = document_there("group", g.name, err);
	return rc < 0 ? rc : group_write(s, &g, args, "added", err);
}

int cmd_group_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_group g, *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	found = site_group(s, args->rest[0]);
	if (found == NULL)
		return group_none(s, args->rest[0], err);
	g = *found;
	return group_write(s, &g, args, "changed", err);
}

int cmd_group_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && site_group(s, args->rest[0]) == NULL)
		return group_none(s, args->rest[0], err);
	if (rc == 0)
		rc = site_document_remove(s, SITE_DOCUMENT_GROUP, args->rest[0], err);
	if (rc == 0)
		printf("group %s removed\n", args->rest[0]);
	return rc;
}

static void group_fields_json(struct json *j, const struct people *p, const struct site_group *g)
{
	json_text(j, "name", g->name);
	json_word(j, "parent", g->parent);
	json_word(j, "policy", g->policy);
	json_words(j, "channels", g->channel, g->channels);
	json_words(j, "keys", g->key, g->keys);
	json_u64(j, "users", people_members(p, g));
}

static int group_row(struct output_list *l, const struct people *p, const struct site_group *g,
		     struct err *err)
{
	OWNED(buf_clear) struct buf keys = BUF_INIT;
	char members[TEXT_SIZE];
	int rc;

	if (l->cli->json) {
		json_open(&l->json, NULL, '{');
		group_fields_json(&l->json, p, g);
		json_close(&l->json, '}');
		return 0;
	}
	rc = words_text(g->key, g->keys, &keys, err);
	if (rc < 0)
		return rc;
	count_text(members, people_members(p, g));
	return output_list_cells(l, err, g->name, g->parent, members, g->policy,
				 keys.n > 0 ? (const char *)keys.p : "");
}

int cmd_group_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"GROUP", "IN", "USERS", "POLICY", "KEYS"};
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;
	struct output_list l;
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = people_new(s, &p, err);
	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	for (size_t i = 0; i < s->groups && rc == 0; i++)
		rc = group_row(&l, p, &s->group[i], err);
	return output_list_end(&l, rc, "no groups yet; add one with satchel group add NAME");
}

static void group_given_json(struct json *j, const struct site *s, const struct people *p,
			     const struct site_group *g, const struct people_keys *keys)
{
	const struct site_group *outer[PEOPLE_DEPTH];
	size_t n = people_outer(p, g, outer);

	json_open(j, NULL, '{');
	group_fields_json(j, p, g);
	json_open(j, "groups", '[');
	for (size_t i = 0; i < n; i++)
		json_text(j, NULL, outer[i]->name);
	json_close(j, ']');
	json_open(j, "gives_keys", '[');
	for (size_t i = 0; i < keys->n; i++)
		json_text(j, NULL, keys->key[i]->name);
	json_close(j, ']');
	json_open(j, "gives_channels", '[');
	for (size_t i = 0; i < s->channels; i++) {
		if (people_group_gives(p, g, &s->channel[i]))
			json_text(j, NULL, s->channel[i].name);
	}
	json_close(j, ']');
	json_close(j, '}');
	putchar('\n');
}

static void group_given(const struct site *s, const struct people *p, const struct site_group *g,
			const struct people_keys *keys)
{
	const struct site_group *outer[PEOPLE_DEPTH];
	size_t n = people_outer(p, g, outer);

	printf("group %s, %llu %s\n", g->name, (unsigned long long)people_members(p, g),
	       plural(people_members(p, g), "user", "users"));
	for (size_t i = 0; i + 1 < n; i++)
		show_line("inside", "%s", outer[i]->name);
	show_line("policy", "%s", g->policy[0] != '\0' ? g->policy : "none");
	show_words("keys", g->key, g->keys);
	show_words("channels", g->channel, g->channels);
	for (size_t i = 0; i < keys->n; i++)
		show_line("gives key", "%s", keys->key[i]->name);
	for (size_t i = 0; i < s->channels; i++) {
		if (people_group_gives(p, g, &s->channel[i]))
			show_line("gives", "channel %s", s->channel[i].name);
	}
	for (size_t i = 0; i < s->groups; i++) {
		if (strcmp(s->group[i].parent, g->name) == 0)
			show_line("holds", "group %s", s->group[i].name);
	}
}

int cmd_group_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;
	OWNED(people_keys_clear) struct people_keys keys = {0};
	const struct site_group *g = NULL;
	struct json j = {stdout, false};
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = people_new(s, &p, err);
	if (rc < 0)
		return rc;
	g = site_group(s, args->rest[0]);
	if (g == NULL)
		return group_none(s, args->rest[0], err);
	rc = people_group_keys(p, g, &keys, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		group_given_json(&j, s, p, g, &keys);
	else
		group_given(s, p, g, &keys);
	return 0;
}
