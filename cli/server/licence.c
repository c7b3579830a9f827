/* SPDX-License-Identifier: ISC */
/*
 * licence add, set, list, show, remove, issue, release, suspend, resume, replace.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/entitlement/people.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/documents.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define SEATS_MAX 10000000u /* schemas/licence.yaml */

static int licence_none(const struct site *s, const char *name, struct err *err)
{
	return document_none("licence", name, s->licence, s->licences, sizeof(*s->licence), err);
}

static int licence_find(const struct site *s, const char *name, struct site_licence **ret,
			struct err *err)
{
	*ret = site_licence(s, name);
	return *ret == NULL ? licence_none(s, name, err) : 0;
}

/* day_take(...): the first second of the option's day; ${none} for "". */
static int day_take(const struct args *args, const char *name, int64_t none, int64_t last,
		    int64_t *dst, struct err *err)
{
	const char *text = args_text(args, name, NULL);
	int64_t at;
	int rc;

	if (text == NULL)
		return 0;
	*dst = none;
	if (text[0] == '\0')
		return 0;
	rc = people_day_read(text, &at, err);
	if (rc < 0)
		return err_prefix(err, "--%s", name);
	*dst = at + last;
	return 0;
}

static int take_options(struct site_licence *l, const struct args *args, struct err *err)
{
	int rc = args_number(args, "seats", SEATS_MAX, l->seats, &l->seats, err);

	if (args_has(args, "product"))
		l->product = args_value(args, "product");
	if (rc == 0)
		rc = day_take(args, "from", INT64_MIN, 0, &l->from, err);
	if (rc == 0)
		rc = day_take(args, "to", INT64_MAX, PEOPLE_DAY_LAST, &l->to, err);
	if (rc == 0 && l->to < l->from)
		return err_set(err, RC_USAGE, "the last day is before the first one");
	return rc;
}

/* licence_told(cli, s, name, done): and what is to be known about it. */
static void licence_told(struct cli *cli, struct site *s, const char *name, const char *done)
{
	char why[PEOPLE_WHY];

	printf("licence %s %s\n", name, done);
	if (people_licence_warning(s, site_licence(s, name), clock_now(), why))
		reporter_warning(cli->reporter, "%s", why);
}

int cmd_licence_add(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_licence l = {.from = INT64_MIN, .to = INT64_MAX};
	int rc;

	if (!args_has(args, "product") || !args_has(args, "seats"))
		return err_set(err, RC_USAGE, "licence add needs --%s",
			       args_has(args, "product") ? "seats" : "product");
	rc = document_name("licence", args->rest[0], l.name, sizeof(l.name), err);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0 && site_licence(s, l.name) != NULL)
		rc = document_there("licence", l.name, err);
	if (rc == 0)
		rc = take_options(&l, args, err);
	if (rc == 0)
		rc = site_licence_write(s, &l, err);
	if (rc == 0)
		licence_told(cli, s, l.name, "added");
	return rc;
}

int cmd_licence_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_licence l, *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = licence_find(s, args->rest[0], &found, err);
	if (rc < 0)
		return rc;
	l = *found;
	rc = take_options(&l, args, err);
	if (rc == 0)
		rc = site_licence_write(s, &l, err);
	if (rc == 0)
		licence_told(cli, s, l.name, "changed");
	return rc;
}

static int licence_suspend(struct cli *cli, const struct args *args, bool suspended,
			   struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_licence l, *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = licence_find(s, args->rest[0], &found, err);
	if (rc < 0)
		return rc;
	l = *found;
	l.suspended = suspended;
	rc = site_licence_write(s, &l, err);
	if (rc == 0)
		licence_told(cli, s, l.name, suspended ? "suspended" : "active");
	return rc;
}

int cmd_licence_suspend(struct cli *cli, const struct args *args, struct err *err)
{
	return licence_suspend(cli, args, true, err);
}

int cmd_licence_resume(struct cli *cli, const struct args *args, struct err *err)
{
	return licence_suspend(cli, args, false, err);
}

int cmd_licence_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_licence *found = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = licence_find(s, args->rest[0], &found, err);
	if (rc == 0)
		rc = site_document_remove(s, SITE_DOCUMENT_LICENCE, args->rest[0], err);
	if (rc == 0)
		printf("licence %s removed\n", args->rest[0]);
	return rc;
}

/* Seats: several users in one step, all of them or none. */

static int seat_take(const struct site *s, const char *email, const char *licence,
		     struct site_user *ret, struct err *err)
{
	const struct site_user *u = site_user(s, email);

	if (u == NULL)
		return document_none("user", email, s->user, s->users, sizeof(*s->user), err);
	if (licence[0] != '\0' && u->licence[0] != '\0' && strcmp(u->licence, licence) != 0)
		return err_set(err, RC_CONFLICT,
			       "%s has a seat of %s: free it first with satchel licence release %s",
			       email, u->licence, email);
	*ret = *u;
	snprintf(ret->licence, sizeof(ret->licence), "%s", licence);
	return 0;
}

static int seats_write(struct site *s, char *const *email, size_t n, const char *licence,
		       struct err *err)
{
	struct site_user list[ARGS_MAX];
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = seat_take(s, email[i], licence, &list[i], err);
	return rc < 0 ? rc : site_users_write(s, list, n, 0, err);
}

/* seats_told(cli, s, name, err): how many are left, behind what was done. */
static int seats_told(struct cli *cli, struct site *s, const char *name, struct err *err)
{
	OWNED(people_freep) struct people *p = NULL;
	const struct site_licence *l = site_licence(s, name);
	char why[PEOPLE_WHY];
	int rc = people_new(s, &p, err);

	if (rc < 0)
		return rc;
	printf("licence %s: %llu of %llu %s taken\n", name,
	       (unsigned long long)people_seats_taken(p, l), (unsigned long long)l->seats,
	       plural(l->seats, "seat", "seats"));
	if (!people_licence_good(l, clock_now(), why) ||
	    people_licence_warning(s, l, clock_now(), why))
		reporter_warning(cli->reporter, "%s", why);
	return 0;
}

int cmd_licence_issue(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_licence *l = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = licence_find(s, args->rest[0], &l, err);
	if (rc == 0)
		rc = seats_write(s, args->rest + 1, args->rest_n - 1, l->name, err);
	return rc < 0 ? rc : seats_told(cli, s, args->rest[0], err);
}

int cmd_licence_release(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = seats_write(s, args->rest, args->rest_n, "", err);
	if (rc == 0)
		printf("released %zu %s\n", args->rest_n, plural(args->rest_n, "seat", "seats"));
	return rc;
}

int cmd_licence_replace(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(freep) struct site_user *list = NULL;
	struct site_licence *old = NULL, *new = NULL;
	size_t n = 0;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = licence_find(s, args->rest[0], &old, err);
	if (rc == 0)
		rc = licence_find(s, args->rest[1], &new, err);
	if (rc < 0)
		return rc;
	if (old == new)
		return err_set(err, RC_USAGE, "a licence cannot replace itself");
	list = calloc(s->users + 1, sizeof(*list));
	if (list == NULL)
		return err_memory(err);
	for (size_t i = 0; i < s->users; i++) {
		if (strcmp(s->user[i].licence, old->name) != 0)
			continue;
		list[n] = s->user[i];
		memcpy(list[n++].licence, new->name, sizeof(new->name));
	}
	rc = site_users_write(s, list, n, 0, err);
	if (rc < 0)
		return rc;
	printf("moved %zu %s from %s to %s\n", n, plural(n, "user", "users"), args->rest[0],
	       args->rest[1]);
	return seats_told(cli, s, args->rest[1], err);
}

/* What it is */

/* state_text(s, l, why): "good", or the reason that it is not, or the warning. */
static const char *state_text(const struct site *s, const struct site_licence *l,
			      char why[PEOPLE_WHY])
{
	if (people_licence_good(l, clock_now(), why) &&
	    !people_licence_warning(s, l, clock_now(), why))
		snprintf(why, PEOPLE_WHY, "good");
	return why;
}

static void day_json(struct json *j, const char *key, int64_t at)
{
	char day[11] = "";

	if (at != INT64_MIN && at != INT64_MAX)
		people_day(day, at);
	json_word(j, key, day);
}

static void licence_json(struct json *j, const struct site *s, const struct people *p,
			 const struct site_licence *l)
{
	char why[PEOPLE_WHY];

	json_open(j, NULL, '{');
	json_text(j, "name", l->name);
	json_text(j, "product", l->product);
	json_u64(j, "seats", l->seats);
	json_u64(j, "taken", people_seats_taken(p, l));
	day_json(j, "from", l->from);
	day_json(j, "to", l->to);
	json_bool(j, "suspended", l->suspended);
	json_bool(j, "good", people_licence_good(l, clock_now(), NULL));
	json_text(j, "state", state_text(s, l, why));
	json_close(j, '}');
}

static int licence_row(struct output_list *t, const struct site *s, const struct people *p,
		       const struct site_licence *l, struct err *err)
{
	char why[PEOPLE_WHY], seats[64], day[11] = "";

	if (t->cli->json) {
		licence_json(&t->json, s, p, l);
		return 0;
	}
	snprintf(seats, sizeof(seats), "%llu of %llu", (unsigned long long)people_seats_taken(p, l),
		 (unsigned long long)l->seats);
	if (l->to != INT64_MAX)
		people_day(day, l->to);
	return output_list_cells(t, err, l->name, l->product, seats, day, state_text(s, l, why));
}

int cmd_licence_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"LICENCE", "PRODUCT", "TAKEN", "TO", "STATE"};
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;
	struct output_list l;
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = people_new(s, &p, err);
	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	for (size_t i = 0; i < s->licences && rc == 0; i++)
		rc = licence_row(&l, s, p, &s->licence[i], err);
	return output_list_end(&l, rc, "no licences yet; add one with satchel licence add NAME");
}

int cmd_licence_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(people_freep) struct people *p = NULL;
	struct site_licence *l = NULL;
	struct json j = {stdout, false};
	char why[PEOPLE_WHY], day[11];
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = licence_find(s, args->rest[0], &l, err);
	if (rc == 0)
		rc = people_new(s, &p, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		licence_json(&j, s, p, l);
		putchar('\n');
		return 0;
	}
	printf("licence %s\n", l->name);
	show_line("product", "%s", l->product);
	show_line("seats", "%llu, %llu taken, %llu free", (unsigned long long)l->seats,
		  (unsigned long long)people_seats_taken(p, l),
		  (unsigned long long)people_seats_free(p, l));
	if (l->from != INT64_MIN) {
		people_day(day, l->from);
		show_line("from", "%s", day);
	}
	if (l->to != INT64_MAX) {
		people_day(day, l->to);
		show_line("to", "%s", day);
	}
	show_line("state", "%s", state_text(s, l, why));
	for (size_t i = 0; i < s->users; i++) {
		if (strcmp(s->user[i].licence, l->name) == 0)
			show_line("user", "%s", s->user[i].email);
	}
	return 0;
}
