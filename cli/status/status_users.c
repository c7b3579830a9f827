/* SPDX-License-Identifier: ISC */
/*
 * status users: who has what they are to have, as their workstations confirm.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "cli/status/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct users_listing {
	struct status_list *status_list;
	struct site *s;
	const struct people *people;
};

static void user_state_json(struct json *j, const struct status_user *u)
{
	json_text(j, "colour", colour_names[u->colour]);
	json_text(j, "reason", u->reason);
	json_text(j, "also", u->also);
	reasons_json(j, u->reasons, u->email);
	json_open(j, "workstations", '[');
	for (size_t i = 0; i < u->places; i++) {
		const struct status_place *p = &u->place[i];

		json_open(j, NULL, '{');
		json_text(j, "name", p->name);
		json_text(j, "id", p->id);
		json_text(j, "account", p->account);
		json_text(j, "state", p->state);
		json_u64(j, "held", p->held);
		json_u64(j, "wanted", p->wanted);
		json_time(j, "heard", p->heard);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* keys_of(l, u, ret, err): what they would be handed if entitled; nothing when they are deleted. */
static int keys_of(const struct users_listing *l, const struct status_user *u,
		   struct people_keys *ret, struct err *err)
{
	const struct site_user *document = site_user(l->s, u->email);

	return document == NULL ? 0 : people_keys(l->people, document, ret, err);
}

static int user_json(struct users_listing *l, const struct status_user *u, struct err *err)
{
	OWNED(people_keys_clear) struct people_keys keys = {0};
	struct json *j = l->status_list->json;
	int rc = keys_of(l, u, &keys, err);

	if (rc < 0)
		return rc;
	json_open(j, NULL, '{');
	json_text(j, "email", u->email);
	json_text(j, "name", u->name);
	json_text(j, "group", u->group);
	json_text(j, "licence", u->licence);
	json_bool(j, "deleted", u->deleted);
	json_open(j, "keys", '[');
	for (size_t i = 0; i < keys.n; i++)
		json_text(j, NULL, keys.key[i]->name);
	json_close(j, ']');
	user_state_json(j, u);
	json_close(j, '}');
	return 0;
}

static const char *or_none(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

static void place_text(const struct status_list *l, const struct status_place *p)
{
	char heard[TEXT_SIZE];

	age_text(heard, p->heard, l->now);
	printf("  at         %s%s%s: %s, holds %llu, wanted %llu, heard from %s\n",
	       or_none(p->name), p->account[0] != '\0' ? " as " : "", p->account, p->state,
	       (unsigned long long)p->held, (unsigned long long)p->wanted, heard);
}

/* Of one user, beside what the documents say. */
struct only {
	const struct status_list *l;
	const char *email;
};

static int only_each(void *arg, const struct status_user *u, struct err *err)
{
	const struct only *o = arg;
	char word[64];

	if (strcmp(u->email, o->email) != 0)
		return 0;
	if (o->l->json != NULL) {
		json_open(o->l->json, "status", '{');
		user_state_json(o->l->json, u);
		json_close(o->l->json, '}');
		return 0;
	}
	colour_word(o->l->cli->term, colour_names[u->colour], word, sizeof(word));
	printf("  colour     %s\n", word);
	reasons_text(u->reasons, u->email);
	for (size_t i = 0; i < u->places; i++)
		place_text(o->l, &u->place[i]);
	return 0;
}

int user_colour(struct cli *cli, struct site *s, const char *email, struct json *j, struct err *err)
{
	struct status_list l = {.cli = cli, .json = j, .now = clock_now()};
	struct only o = {.l = &l, .email = email};

	return status_users(s, only_each, &o, err);
}

static int user_full(struct users_listing *l, const struct status_user *u, struct err *err)
{
	OWNED(people_keys_clear) struct people_keys keys = {0};
	char word[64], name[1100];
	int rc = keys_of(l, u, &keys, err);

	if (rc < 0)
		return rc;
	colour_word(l->status_list->cli->term, colour_names[u->colour], word, sizeof(word));
	err_escape(name, sizeof(name), u->name);
	printf("user %s\n  name       %s\n  group      %s\n  licence    %s\n  colour     %s\n",
	       u->email, u->deleted ? "(deleted)" : or_none(name), or_none(u->group),
	       or_none(u->licence), word);
	reasons_text(u->reasons, u->email);
	for (size_t i = 0; i < keys.n; i++)
		printf("  key        %s\n", keys.key[i]->name);
	for (size_t i = 0; i < u->places; i++)
		place_text(l->status_list, &u->place[i]);
	return 0;
}

/* Where they are to be active; of more than there is room for, how many. */
static void active_text(char *dst, size_t size, const struct status_user *u)
{
	size_t used = 0;

	snprintf(dst, size, "-");
	if (u->active > 3) {
		snprintf(dst, size, "%zu", u->active);
		return;
	}
	for (size_t i = 0; i < u->places && used < size; i++) {
		if (u->place[i].to_be)
			used += (size_t)snprintf(dst + used, size - used, "%s%s",
						 used > 0 ? ", " : "", u->place[i].name);
	}
}

static int user_row(struct table *t, const struct status_user *u, struct err *err)
{
	char active[3 * WORKSTATION_NAME + 8], why[2 * sizeof(u->also) + 2];

	active_text(active, sizeof(active), u);
	snprintf(why, sizeof(why), "%s%s%s", u->reason, u->also[0] != '\0' ? "; " : "", u->also);
	return table_row(t, err, u->email, colour_names[u->colour], or_none(u->group), active, why);
}

static int user_each(void *arg, const struct status_user *u, struct err *err)
{
	struct users_listing *all = arg;
	struct status_list *l = all->status_list;
	struct table *t[2];
	int rc = 0;

	if (!status_list_counts(l, u->email, u->colour))
		return 0;
	if (l->json != NULL)
		return user_json(all, u, err);
	if (l->full)
		return user_full(all, u, err);
	status_list_tables(l, u->colour, t);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(t); i++)
		rc = t[i] != NULL ? user_row(t[i], u, err) : 0;
	return rc;
}

int status_users_list(struct status_list *l, struct site *s, struct err *err)
{
	static const char *const heading[] = {"USER", "COLOUR", "GROUP", "WORKSTATIONS", "REASON"};
	OWNED(people_freep) struct people *people = NULL;
	struct users_listing all = {.status_list = l, .s = s};
	int rc = people_new(s, &people, err);

	all.people = people;
	rc = table_head(&l->table, heading, ARRAY_LEN(heading), 1, err);
	return rc < 0 ? rc : status_users(s, user_each, &all, err);
}

int cmd_status_users(struct cli *cli, const struct args *args, struct err *err)
{
	static const struct status_list_kind users = {status_users_list, "status users", "user"};

	return status_list_run(cli, args, &users, err);
}
