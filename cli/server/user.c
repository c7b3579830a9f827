/* SPDX-License-Identifier: ISC */
/*
 * user add, set, suspend, resume, list, show, remove.
 */
#include <string.h>

#include "bundler/activation/activation.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "bundler/removal/removal.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/documents.h"
#include "cli/status/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static int user_none(const struct site *s, const char *email, struct err *err)
{
	return document_none("user", email, s->user, s->users, sizeof(*s->user), err);
}

static int user_find(const struct site *s, const char *email, struct site_user **ret,
		     struct err *err)
{
	*ret = site_user(s, email);
	return *ret == NULL ? user_none(s, email, err) : 0;
}

static int take_options(struct site_user *u, const struct args *args, struct words *extra,
			struct words *withheld, struct err *err)
{
	int rc = option_word(args, "group", u->group, err);

	if (args_has(args, "name"))
		u->name = args_value(args, "name");
	if (u->name != NULL && u->name[0] == '\0')
		u->name = NULL;
	if (rc == 0)
		rc = option_word(args, "licence", u->licence, err);
	if (rc == 0)
		rc = option_words(args, "extra-key", u->extra, u->extras, extra, err);
	if (rc == 0)
		rc = option_words(args, "withheld-key", u->withheld, u->withhelds, withheld, err);
	u->extra = extra->item;
	u->extras = extra->n;
	u->withheld = withheld->item;
	u->withhelds = withheld->n;
	return rc;
}

/* user_told(cli, s, email, done): and what keeps them from being given anything. */
static void user_told(struct cli *cli, struct site *s, const char *email, const char *done)
{
	char why[PEOPLE_WHY];

	printf("user %s %s\n", email, done);
	if (!people_entitled(s, site_user(s, email), clock_now(), why))
		reporter_info(cli->reporter, "%s gets nothing yet: %s", email, why);
}

static int user_write(struct cli *cli, struct site *s, struct site_user *u, const struct args *args,
		      const char *done, struct err *err)
{
	OWNED(words_clear) struct words extra = {0};
	OWNED(words_clear) struct words withheld = {0};
	int rc = take_options(u, args, &extra, &withheld, err);

	if (rc == 0)
		rc = site_users_write(s, u, 1, 0, err);
	if (rc == 0)
		user_told(cli, s, u->email, done);
	return rc;
}

int cmd_user_add(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_user u = {.email = ""};
	int rc = document_name("user", args->rest[0], u.email, sizeof(u.email), err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0 && site_user(s, u.email) != NULL)
		rc = document_there("user", u.email, err);
	return rc < 0 ? rc : user_write(cli, s, &u, args, "added", err);
}

int cmd_user_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_user u, *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = user_find(s, args->rest[0], &found, err);
	if (rc < 0)
		return rc;
	u = *found;
	return user_write(cli, s, &u, args, "changed", err);
}

/* Several in one step, all of them or none. */
static int users_suspend(struct cli *cli, const struct args *args, bool suspended, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_user list[ARGS_MAX], *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	for (size_t i = 0; rc == 0 && i < args->rest_n; i++) {
		rc = user_find(s, args->rest[i], &found, err);
		if (rc < 0)
			return rc;
		list[i] = *found;
		list[i].suspended = suspended;
	}
	if (rc == 0)
		rc = site_users_write(s, list, args->rest_n, 0, err);
	for (size_t i = 0; rc == 0 && i < args->rest_n; i++)
		printf("user %s %s\n", args->rest[i], suspended ? "suspended" : "active");
	return rc;
}

int cmd_user_suspend(struct cli *cli, const struct args *args, struct err *err)
{
	return users_suspend(cli, args, true, err);
}

int cmd_user_resume(struct cli *cli, const struct args *args, struct err *err)
{
	return users_suspend(cli, args, false, err);
}

/* Where a user is active: "lab-1, lab-2". */
static int active_add(void *arg, const struct site_activation *a, struct err *err)
{
	struct buf *text = arg;

	return a->active ? buf_printf(text, err, "%s%s", text->n > 0 ? ", " : "", a->workstation)
			 : 0;
}

/* Who is active somewhere is not deleted by a slip of the hand: the keys go with it. */
static int removal_check(struct site *s, const char *email, const struct args *args,
			 struct err *err)
{
	OWNED(buf_clear) struct buf where = BUF_INIT;
	const char *confirm = args_text(args, "confirm", NULL);
	int rc = activations_of_user(s, email, active_add, &where, err);

	if (rc < 0)
		return rc;
	if (confirm != NULL && strcmp(confirm, email) != 0)
		return err_set(err, RC_USAGE, "--confirm %s does not match %s", confirm, email);
	if (where.n == 0 || confirm != NULL)
		return 0;
	return err_set(
	    err, RC_CONFLICT,
	    "%s is active on %.600s and would lose all keys there: to remove the user, repeat it "
	    "with --confirm %s",
	    email, (const char *)where.p, email);
}

int cmd_user_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_user *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = user_find(s, args->rest[0], &found, err);
	if (rc == 0)
		rc = removal_check(s, args->rest[0], args, err);
	if (rc == 0)
		rc = removal_user(s, args->rest[0], err);
	if (rc == 0)
		printf("user %s removed\n", args->rest[0]);
	return rc;
}

/* What they are */

static void user_fields_json(struct json *j, const struct site *s, const struct site_user *u)
{
	char why[PEOPLE_WHY] = "";
	bool entitled = people_entitled(s, u, clock_now(), why);

	json_text(j, "email", u->email);
	json_word(j, "name", u->name != NULL ? u->name : "");
	json_word(j, "group", u->group);
	json_word(j, "licence", u->licence);
	json_words(j, "extra_keys", u->extra, u->extras);
	json_words(j, "withheld_keys", u->withheld, u->withhelds);
	json_text(j, "state", u->suspended ? "suspended" : "active");
	json_bool(j, "entitled", entitled);
	json_word(j, "reason", why);
}

static int user_row(struct output_list *l, const struct site *s, const struct site_user *u,
		    struct err *err)
{
	char why[PEOPLE_WHY] = "entitled";

	if (l->cli->json) {
		json_open(&l->json, NULL, '{');
		user_fields_json(&l->json, s, u);
		json_close(&l->json, '}');
		return 0;
	}
	people_entitled(s, u, clock_now(), why);
	return output_list_cells(l, err, u->email, u->name != NULL ? u->name : "", u->group,
				 u->licence, why);
}

/* is_in(p, u, name): is the group one of the user's, inner ones included? */
static bool is_in(const struct people *p, const struct site_user *u, const char *name)
{
	const struct site_group *g[PEOPLE_DEPTH];
	size_t n = people_groups(p, u, g);

	for (size_t i = 0; i < n; i++) {
		if (strcmp(g[i]->name, name) == 0)
			return true;
	}
	return false;
}

int cmd_user_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"USER", "NAME", "GROUP", "LICENCE", "STATE"};
	const char *group = args_text(args, "group", NULL);
	const char *licence = args_text(args, "licence", NULL);
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;
	struct output_list l;
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0 && group != NULL && site_group(s, group) == NULL)
		rc = document_none("group", group, s->group, s->groups, sizeof(*s->group), err);
	if (rc == 0 && licence != NULL && site_licence(s, licence) == NULL)
		rc = document_none("licence", licence, s->licence, s->licences, sizeof(*s->licence),
				   err);
	if (rc == 0)
		rc = people_new(s, &p, err);
	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	for (size_t i = 0; i < s->users && rc == 0; i++) {
		const struct site_user *u = &s->user[i];

		if ((group == NULL || is_in(p, u, group)) &&
		    (licence == NULL || strcmp(u->licence, licence) == 0))
			rc = user_row(&l, s, u, err);
	}
	return output_list_end(&l, rc,
			       group != NULL || licence != NULL
				   ? "no such user"
				   : "no users yet; add one with satchel user add EMAIL");
}

struct shown {
	struct cli *cli;
	const struct site *s;
	const struct people *p;
	const struct site_user *u;
	struct people_keys keys; /* owned */
	struct json json;
};

static int active_json(void *arg, const struct site_activation *a, struct err *err)
{
	struct json *j = arg;

	(void)err;
	json_open(j, NULL, '{');
	json_text(j, "workstation", a->workstation);
	json_text(j, "account", a->account);
	json_bool(j, "active", a->active);
	json_time(j, "since", a->at);
	json_close(j, '}');
	return 0;
}

static int active_line(void *arg, const struct site_activation *a, struct err *err)
{
	(void)arg;
	(void)err;
	show_line(a->active ? "active" : "deactivated", "on %s as %s", a->workstation, a->account);
	return 0;
}

static int user_json(struct site *s, struct shown *u, struct err *err)
{
	const struct site_group *g[PEOPLE_DEPTH];
	size_t n = people_groups(u->p, u->u, g);
	struct json *j = &u->json;
	int rc;

	json_open(j, NULL, '{');
	user_fields_json(j, s, u->u);
	json_open(j, "groups", '[');
	for (size_t i = 0; i < n; i++)
		json_text(j, NULL, g[i]->name);
	json_close(j, ']');
	json_open(j, "keys", '[');
	for (size_t i = 0; i < u->keys.n; i++)
		json_text(j, NULL, u->keys.key[i]->name);
	json_close(j, ']');
	json_bool(j, "keys_differ", u->keys.differs);
	json_open(j, "channels", '[');
	for (size_t i = 0; i < s->channels; i++) {
		if (people_gives(u->p, u->u, &s->channel[i]))
			json_text(j, NULL, s->channel[i].name);
	}
	json_close(j, ']');
	json_open(j, "workstations", '[');
	rc = activations_of_user(s, u->u->email, active_json, j, err);
	json_close(j, ']');
	if (rc == 0)
		rc = user_colour(u->cli, s, u->u->email, j, err);
	json_close(j, '}');
	putchar('\n');
	return rc;
}

static int user_lines(struct site *s, const struct shown *u, struct err *err)
{
	const struct site_group *g[PEOPLE_DEPTH];
	size_t n = people_groups(u->p, u->u, g);
	char why[PEOPLE_WHY] = "yes";
	int rc;

	people_entitled(s, u->u, clock_now(), why);
	printf("user %s\n", u->u->email);
	show_line("name", "%s", u->u->name != NULL ? u->u->name : "none");
	for (size_t i = 0; i < n; i++)
		show_line(i + 1 < n ? "inside" : "group", "%s", g[i]->name);
	show_line("licence", "%s", u->u->licence[0] != '\0' ? u->u->licence : "none");
	show_line("entitled", "%s", why);
	if (u->u->extras > 0)
		show_words("extra", u->u->extra, u->u->extras);
	if (u->u->withhelds > 0)
		show_words("withheld", u->u->withheld, u->u->withhelds);
	for (size_t i = 0; i < u->keys.n; i++)
		show_line("key", "%s", u->keys.key[i]->name);
	for (size_t i = 0; i < s->channels; i++) {
		if (people_gives(u->p, u->u, &s->channel[i]))
			show_line("channel", "%s", s->channel[i].name);
	}
	rc = activations_of_user(s, u->u->email, active_line, NULL, err);
	return rc < 0 ? rc : user_colour(u->cli, s, u->u->email, NULL, err);
}

int cmd_user_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;
	struct site_user *found = NULL;
	struct shown u = {.cli = cli, .json = {stdout, false}};
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = user_find(s, args->rest[0], &found, err);
	if (rc == 0)
		rc = people_new(s, &p, err);
	if (rc == 0)
		rc = people_keys(p, found, &u.keys, err);
	if (rc < 0)
		return rc;
	u.s = s;
	u.p = p;
	u.u = found;
	rc = cli->json ? user_json(s, &u, err) : user_lines(s, &u, err);
	people_keys_clear(&u.keys);
	return rc;
}
