/* SPDX-License-Identifier: ISC */
/*
 * status: the site, how many of each colour, and what needs attention first.
 */
#include "cli/status/status.h"
#include "cli/status/rollout.h"

#include "bundler/documents/documents.h"
#include "bundler/site/site.h"
#include "cli/ask/ask.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/control.h"

void site_json(struct json *j, const struct status_site *g)
{
	char id[DIGEST_HEX + 1];

	digest_hex(id, &g->id);
	json_text(j, "site", g->name);
	json_text(j, "id", id);
	json_u64(j, "trust", g->trust);
	json_u64(j, "beat", g->beat);
	json_time(j, "beat_issued", g->beat_issued);
	json_time(j, "beat_expires", g->beat_expires);
	json_u64(j, "channels", g->channels);
	json_u64(j, "held_requests", g->pending_requests);
	json_u64(j, "events", g->events);
	json_u64(j, "unposted", g->unposted);
	json_u64(j, "releases", g->releases);
}

void requests_waiting_text(uint64_t n)
{
	if (n > 0)
		printf("%llu %s; satchel workstation list shows %s\n", (unsigned long long)n,
		       plural(n, "request waits for approval", "requests wait for approval"),
		       plural(n, "it", "them"));
}

void site_text(const struct status_site *g, int64_t now)
{
	char id[DIGEST_HEX + 1], until[CLOCK_TEXT + 1];

	digest_hex(id, &g->id);
	printf("site %s (%.16s...), trust %llu, ", g->name, id, (unsigned long long)g->trust);
	clock_format(until, g->beat_expires);
	if (g->beat_expires == 0)
		puts("nothing published yet");
	else if (g->beat_expires <= now)
		printf("beat %llu expired at %s; satchel publish renews it\n",
		       (unsigned long long)g->beat, until);
	else
		printf("beat %llu good until %s\n", (unsigned long long)g->beat, until);
	if (g->unposted > 0)
		printf("%llu %s not in the depot yet; satchel publish posts %s\n",
		       (unsigned long long)g->unposted, plural(g->unposted, "file is", "files are"),
		       plural(g->unposted, "it", "them"));
	if (g->releases > 0)
		printf("%llu %s for signatures of publish keys; satchel release list shows %s\n",
		       (unsigned long long)g->releases,
		       plural(g->releases, "channel waits", "channels wait"),
		       plural(g->releases, "it", "them"));
	requests_waiting_text(g->pending_requests);
}

/* Both lists, one after the other: the workstations, and the users once there are any. */
struct overview {
	struct status_list workstations, users;
};

static void overview_clear(struct overview *o)
{
	status_list_clear(&o->workstations);
	status_list_clear(&o->users);
}

/* Documents that contradict each other keep publish back, so red does not end by itself. */
static void documents_text(const struct site *s)
{
	char shown[4 * ERR_TEXT_MAX];
	struct err bad = {0};

	if (site_references_check(s, &bad) >= 0)
		return;
	err_escape(shown, sizeof(shown), bad.text);
	printf("nothing new is published while a document is wrong: %s\n", shown);
}

static void documents_json(const struct site *s, struct json *j)
{
	struct err bad = {0};

	json_word(j, "documents", site_references_check(s, &bad) >= 0 ? "" : bad.text);
}

/* Only where something is on its way. */
static int rollouts_tell(struct site *s, struct json *j, struct err *err)
{
	OWNED(publish_rollouts_free) struct publish_rollouts l = {NULL, 0};
	int rc = publish_rollouts(s, &l, err);

	if (j != NULL)
		json_open(j, "rollouts", '[');
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		if (!rollout_active(&l.item[i]))
			continue;
		if (j != NULL) {
			json_open(j, NULL, '{');
			json_text(j, "channel", l.item[i].channel->name);
			rollout_json(j, &l.item[i]);
			json_close(j, '}');
		} else {
			printf("channel %s:\n", l.item[i].channel->name);
			rollout_text(&l.item[i], "  ");
		}
	}
	if (j != NULL)
		json_close(j, ']');
	return rc;
}

static int overview_json(struct overview *o, struct cli *cli, struct site *s,
			 const struct status_site *g, struct json *j, struct err *err)
{
	int rc;

	json_open(j, NULL, '{');
	site_json(j, g);
	documents_json(s, j);
	watch_lines(s->state, j);
	rc = rollouts_tell(s, j, err);
	json_open(j, "workstations", '[');
	if (rc == 0)
		rc = status_workstations_list(&o->workstations, s, err);
	json_close(j, ']');
	json_open(j, "users", '[');
	if (rc == 0)
		rc = status_users_list(&o->users, s, err);
	json_close(j, ']');
	if (rc == 0)
		rc = status_consignments(cli, s, j, err);
	by_colour_json(j, "by_colour", o->workstations.by_colour);
	by_colour_json(j, "users_by_colour", o->users.by_colour);
	json_close(j, '}');
	putchar('\n');
	return rc;
}

static void counts_text(struct cli *cli, const char *what, const struct status_list *l)
{
	char text[BY_COLOUR_TEXT];

	by_colour_text(cli->term, text, sizeof(text), l->by_colour);
	printf("%s: %s\n", what, text);
}

static int overview_text(struct overview *o, struct cli *cli, struct site *s,
			 const struct status_site *g, struct err *err)
{
	int rc = status_workstations_list(&o->workstations, s, err);

	if (rc == 0)
		rc = status_users_list(&o->users, s, err);
	if (rc < 0)
		return rc;
	site_text(g, o->workstations.now);
	documents_text(s);
	watch_lines(s->state, NULL);
	rc = rollouts_tell(s, NULL, err);
	if (rc < 0)
		return rc;
	if (o->workstations.shown == 0)
		puts("no workstations yet; invite one with satchel invite NAME");
	else
		counts_text(cli, "workstations", &o->workstations);
	if (o->users.shown > 0)
		counts_text(cli, "users", &o->users);
	rc = status_list_print(&o->workstations, "status workstations", err);
	if (rc == 0 && o->users.shown > 0 && o->workstations.shown > 0)
		putchar('\n');
	if (rc == 0)
		rc = status_list_print(&o->users, "status users", err);
	return rc < 0 ? rc : status_consignments(cli, s, NULL, err);
}

static int overview_end(const struct overview *o, const struct args *args, struct err *err)
{
	const struct status_list *w = &o->workstations, *u = &o->users;

	if (!args_has(args, "exit-code") || w->not_green + u->not_green == 0)
		return 0;
	return err_set(
	    err, RC_CONFLICT, "neither green nor purple: %llu of %llu %s and %llu of %llu %s",
	    (unsigned long long)w->not_green, (unsigned long long)w->shown,
	    plural(w->shown, "workstation", "workstations"), (unsigned long long)u->not_green,
	    (unsigned long long)u->shown, plural(u->shown, "user", "users"));
}

int status_server(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(overview_clear) struct overview o = {0};
	struct json j = {stdout, false};
	struct status_site g;
	int rc = status_list_init(&o.workstations, cli, NULL, cli->json ? &j : NULL, err);

	if (rc == 0)
		rc = status_list_init(&o.users, cli, NULL, cli->json ? &j : NULL, err);
	o.workstations.overview = o.users.overview = true;
	if (rc == 0)
		rc = server_open(cli, SITE_UNREAD, &s, err);
	if (rc == 0)
		rc = status_site(s, &g, err);
	if (rc < 0)
		return rc;
	rc =
	    cli->json ? overview_json(&o, cli, s, &g, &j, err) : overview_text(&o, cli, s, &g, err);
	return rc < 0 ? rc : overview_end(&o, args, err);
}
