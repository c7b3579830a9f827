/* SPDX-License-Identifier: ISC */
/*
 * Commands of a server, but for status and sync: each opens the site, makes one call, and prints.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/publish/publish.h"
#include "bundler/receipts/receipts.h"
#include "bundler/site/site.h"
#include "bundler/status/status.h"
#include "bundler/workstations/workstations.h"
#include "cli/frame/cli.h"
#include "cli/frame/passphrase.h"
#include "cli/frame/server_open.h"
#include "cli/frame/term.h"
#include "cli/server/server.h"
#include "cli/status/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/base/quote.h"

int cmd_init(struct cli *cli, const struct args *args, struct err *err)
{
	struct site_init in = {.dir = args->rest[0],
			       .name = args_text(args, "name", NULL),
			       .depot = args_text(args, "depot", NULL),
			       .state = args_text(args, "state", NULL),
			       .root = args_text(args, "root-key", NULL)};
	OWNED(site_freep) struct site *s = NULL;
	char id[DIGEST_HEX + 1];
	int rc;

	if (in.name == NULL || in.depot == NULL)
		return err_set(err, RC_USAGE,
			       "init needs --%s: satchel init DIR --name NAME --depot DIR",
			       in.name == NULL ? "name" : "depot");
	rc = site_init(&in, cli->reporter, err);
	if (rc < 0)
		return rc;
	rc = site_open(in.dir, 0, cli->reporter, &s, err);
	if (rc < 0)
		return rc;
	digest_hex(id, &s->id);
	printf(
	    "site      %s\nid        %s\ndocuments %s\nstate     %s (keys and registry: back this "
	    "up, keep it private)\n"
	    "depot     %s\n",
	    s->trust.name, id, s->dir, s->state, s->depot);
	if (in.root != NULL)
		printf("root key  %s (the site's last word: keep it elsewhere, and a copy of it)\n",
		       in.root);
	if (!cli->quiet)
		printf("next      satchel -s %s channel add NAME --source DIR --target DIR\n"
		       "          satchel -s %s invite WORKSTATION\n",
		       in.dir, in.dir);
	return 0;
}

int server_no_channel(struct site *s, const char *name, struct err *err)
{
	const char *names[ARGS_MAX];
	const char *meant;
	size_t n = 0;

	while (n < s->channels && n < ARGS_MAX) {
		names[n] = s->channel[n].name;
		n++;
	}
	meant = nearest(name, names, n);
	if (meant != NULL)
		return err_set(err, RC_USAGE, "there is no channel %s; did you mean %s?", name,
			       meant);
	return err_set(err, RC_USAGE, "there is no channel %s; satchel channel list shows them",
		       name);
}

int cmd_invite(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	char code[INVITE_TEXT + 1], until[CLOCK_TEXT + 1];
	char *labels[ARGS_MAX];
	size_t n = args_list(args, "label", labels);
	struct invite in;
	uint64_t days;
	struct json j = {stdout, false};
	int rc;

	rc = args_number(args, "days", 3650, 14, &days, err);
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0 && n > 0) {
		const struct site_workstation *old = site_workstation(s, args->rest[0]);
		struct site_workstation w = {.labels = 0};

		if (old != NULL)
			w = *old;
		snprintf(w.name, sizeof(w.name), "%s", args->rest[0]);
		w.label = labels;
		w.labels = n;
		rc = site_workstation_write(s, &w, err);
	}
	if (rc == 0)
		rc = enrolment_invite(s, args->rest[0], (unsigned)days, code, err);
	if (rc == 0)
		rc = invite_parse(code, &in, err);
	if (rc < 0)
		return rc;
	clock_format(until, in.last_day - 1);
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_text(&j, "workstation", args->rest[0]);
		json_text(&j, "code", code);
		json_text(&j, "until", until);
		json_close(&j, '}');
		putchar('\n');
		return 0;
	}
	printf("%s\n", code);
	reporter_info(cli->reporter, "valid until %.10s; on %s: satchel enrol %s --depot DIR",
		      until, args->rest[0], code);
	return 0;
}

int cmd_workstation_approve(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = enrolment_approve(s, args->rest[0], args_text(args, "name", NULL), err);
	if (rc == 0)
		printf("approved %s\n", args->rest[0]);
	if (rc == 0)
		reporter_info(cli->reporter, "run satchel publish to send it its channels");
	return rc;
}

int cmd_workstation_refuse(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	bool all = args_has(args, "all");
	uint64_t n;
	int rc;

	if (all == (args->rest_n == 1))
		return err_set(err, RC_USAGE,
			       "type a fingerprint, or --all for every request that waits");
	rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	if (all) {
		rc = enrolment_refuse_all(s, &n, err);
		if (rc == 0)
			printf("refused %" PRIu64 " request%s\n", n, n == 1 ? "" : "s");
		return rc;
	}
	rc = enrolment_refuse(s, args->rest[0], err);
	if (rc == 0)
		printf("refused %s\n", args->rest[0]);
	return rc;
}

int cmd_workstation_revoke(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = enrolment_revoke(s, args->rest[0], err);
	if (rc == 0)
		printf("revoked %s\n", args->rest[0]);
	return rc;
}

int cmd_workstation_accept(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct workstation w;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = workstation_member_by_name(s->db, args->rest[0], &w, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, RC_USAGE,
			       "no workstation called %s is enrolled: satchel workstation list "
			       "shows them",
			       args->rest[0]);
	rc = receipts_accept(s->db, w.id, err);
	if (rc < 0)
		return rc;
	printf(rc == 1 ? "%s is taken for one machine again\n"
		       : "%s is taken for one machine already\n",
	       w.name);
	return 0;
}

int cmd_workstation_renew_key(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	bool all = args_has(args, "all");
	uint64_t n = 0;
	int rc;

	if (all == (args->rest_n == 1))
		return err_set(err, RC_USAGE,
			       "name a workstation, or say --all for every one that is enrolled");
	rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = workstation_renew(s->db, all ? NULL : args->rest[0], &n, err);
	if (rc == 0 && n == 0 && !all)
		rc = err_set(err, RC_USAGE,
			     "no workstation called %s is enrolled: satchel workstation list shows "
			     "them",
			     args->rest[0]);
	if (rc < 0)
		return rc;
	printf("%" PRIu64 " %s a new sealing key at the next sync, when it has read what is "
	       "published from now on\n",
	       n, n == 1 ? "workstation makes" : "workstations make");
	return 0;
}

struct publish_print {
	struct cli *cli;
	bool dry_run;
	bool any;
};

/* "12 added", and so on. */
static void change_print(const char *before, uint64_t n, const char *what)
{
	char text[TEXT_SIZE];

	count_text(text, n);
	printf("%s%s %s", before, text, what);
}

static void publish_line(void *arg, const char *channel, const struct publish_counts *c)
{
	struct publish_print *p = arg;
	char entries[TEXT_SIZE], size[TEXT_SIZE], content[TEXT_SIZE];

	term_line_end(p->cli->term);
	p->any = true;
	count_text(entries, c->entries);
	size_text(size, c->bundle);
	size_text(content, c->content);
	if (!c->made && !p->dry_run) {
		printf("%s: nothing changed, generation %llu, %s %s\n", channel,
		       (unsigned long long)c->generation, entries,
		       plural(c->entries, "entry", "entries"));
		return;
	}
	printf("%s: %s%llu", channel, p->dry_run ? "would follow generation " : "generation ",
	       (unsigned long long)c->generation);
	change_print(": ", c->added, "added");
	change_print(", ", c->changed, "changed");
	change_print(", ", c->renamed, "renamed");
	change_print(", ", c->deleted, "deleted");
	change_print(", ", c->metadata, "metadata");
	printf("; %s %s, %s read", entries, plural(c->entries, "entry", "entries"), content);
	if (c->bundle > 0)
		printf(", bundle %s", size);
	putchar('\n');
}

static void publish_json(void *arg, const char *channel, const struct publish_counts *c)
{
	struct json j = {stdout, false};

	((struct publish_print *)arg)->any = true;
	json_open(&j, NULL, '{');
	json_text(&j, "channel", channel);
	json_bool(&j, "made", c->made);
	json_bool(&j, "waits", c->waits);
	json_u64(&j, "generation", c->generation);
	json_u64(&j, "added", c->added);
	json_u64(&j, "changed", c->changed);
	json_u64(&j, "renamed", c->renamed);
	json_u64(&j, "deleted", c->deleted);
	json_u64(&j, "metadata", c->metadata);
	json_u64(&j, "entries", c->entries);
	json_u64(&j, "content_bytes", c->content);
	json_u64(&j, "bundle_bytes", c->bundle);
	json_u64(&j, "held", c->held);
	json_close(&j, '}');
	putchar('\n');
}

/* --exclude for one run: the globs are put behind those of every channel. */
static int add_excludes(struct site *s, const struct args *args, struct err *err)
{
	char *globs[ARGS_MAX];
	size_t n = args_list(args, "exclude", globs);

	for (size_t i = 0; i < s->channels && n > 0; i++) {
		struct site_channel *c = &s->channel[i];
		char **more = reallocarray(c->exclude, c->excludes + n, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		c->exclude = more;
		for (size_t g = 0; g < n; g++) {
			c->exclude[c->excludes] = strdup(globs[g]);
			if (c->exclude[c->excludes] == NULL)
				return err_memory(err);
			c->excludes++;
		}
	}
	return 0;
}

int server_publish(struct cli *cli, struct site *s, const struct args *args, struct err *err)
{
	static const struct {
		const char *name;
		enum publish_flags flag;
	} names[] = {{"dry-run", PUBLISH_DRY_RUN},
		     {"allow-empty", PUBLISH_ALLOW_EMPTY},
		     {"full", PUBLISH_FULL},
		     {"refill", PUBLISH_REFILL},
		     {"reread", PUBLISH_REREAD}};
	struct publish_print p = {.cli = cli};
	enum publish_flags flags = 0;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (args_has(args, names[i].name))
			flags |= names[i].flag;
	p.dry_run = flags & PUBLISH_DRY_RUN;
	for (size_t i = 0; i < args->rest_n && s->unread.rc == 0; i++)
		if (site_channel(s, args->rest[i]) == NULL)
			return server_no_channel(s, args->rest[i], err);
	rc = add_excludes(s, args, err);
	if (rc == 0)
		rc = publish_site(s, args->rest_n > 0 ? (const char *const *)args->rest : NULL,
				  args->rest_n, flags, cli->json ? publish_json : publish_line, &p,
				  err);
	if (rc == 0 && !p.any && !cli->json)
		reporter_info(
		    cli->reporter,
		    "the site has no channels yet; add one with satchel channel add NAME --source "
		    "DIR --target DIR");
	return rc;
}

int cmd_publish(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK | SITE_UNREAD, &s, err);

	return rc < 0 ? rc : server_publish(cli, s, args, err);
}

int server_collect(struct cli *cli, struct site *s, struct err *err)
{
	struct collect_counts c = {0};
	struct status_site g;
	struct json j = {stdout, false};
	int rc = collect_site(s, &c, err);

	if (rc < 0)
		return rc;
	term_line_end(cli->term);
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_u64(&j, "files", c.files);
		json_u64(&j, "receipts", c.receipts);
		json_u64(&j, "requests", c.requests);
		json_u64(&j, "enrolled", c.enrolled);
		json_u64(&j, "activated", c.activated);
		json_u64(&j, "messages", c.messages);
		json_u64(&j, "known", c.known);
		json_u64(&j, "incomplete", c.incomplete);
		json_u64(&j, "refused", c.refused);
		json_close(&j, '}');
		putchar('\n');
		return 0;
	}
	rc = status_site(s, &g, err);
	if (rc < 0)
		return rc;
	printf("collected %llu %s, %llu %s (%llu enrolled)", (unsigned long long)c.receipts,
	       plural(c.receipts, "receipt", "receipts"), (unsigned long long)c.requests,
	       plural(c.requests, "request", "requests"), (unsigned long long)c.enrolled);
	if (c.activated > 0)
		printf(", %llu %s made active", (unsigned long long)c.activated,
		       plural(c.activated, "user", "users"));
	if (c.messages > 0)
		printf(", %llu %s", (unsigned long long)c.messages,
		       plural(c.messages, "message", "messages"));
	if (c.incomplete > 0)
		printf(", %llu incomplete", (unsigned long long)c.incomplete);
	if (c.refused > 0)
		printf(", %llu refused (satchel events says why)", (unsigned long long)c.refused);
	putchar('\n');
	requests_waiting_text(g.pending_requests);
	return 0;
}

int cmd_collect(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK | SITE_UNREAD, &s, err);

	return rc < 0 ? rc : server_collect(cli, s, err);
}

struct event_print {
	struct table table;
	struct json *json;
};

/* The words of others never stand where the server's own would: neither what a workstation reports,
 * which may be stolen, nor what was read in a document that the server refused. */
static int event_row(void *arg, const struct status_event *e, struct err *err)
{
	struct event_print *p = arg;
	char when[CLOCK_TEXT + 1], both[768], quoted[sizeof(both) + 2], says[1400];

	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_time(p->json, "at", e->at);
		json_text(p->json, "source", e->reported ? "workstation" : "server");
		json_text(p->json, "kind", e->kind);
		json_text(p->json, "about", e->about);
		json_text(p->json, "text", e->text);
		json_text(p->json, "claim", e->claim);
		json_close(p->json, '}');
		return 0;
	}
	clock_format(when, e->at);
	if (!e->reported && e->claim[0] == '\0')
		return table_row(&p->table, err, when, e->kind, e->about, e->text);
	if (!e->reported) {
		quote_text(quoted, sizeof(quoted), e->claim);
		snprintf(says, sizeof(says), "%s; it says: %s", e->text, quoted);
		return table_row(&p->table, err, when, e->kind, e->about, says);
	}
	snprintf(both, sizeof(both), "%s: %s", e->kind, e->text);
	quote_text(quoted, sizeof(quoted), both);
	snprintf(says, sizeof(says), "%s says: %s", e->about, quoted);
	return table_row(&p->table, err, when, "claim", e->about, says);
}

int cmd_events(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct event_print p = {.json = cli->json ? &j : NULL};
	uint64_t most;
	int rc = args_number(args, "max", 100000, 50, &most, err);

	if (rc == 0)
		rc = server_open(cli, 0, &s, err);
	if (rc < 0)
		return rc;
	table_init(&p.table, 4, -1);
	if (cli->json)
		json_open(&j, NULL, '[');
	rc = status_events(s, (unsigned)most, event_row, &p, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0 && p.table.count > 0) {
		table_print(&p.table, cli->term, stdout);
	} else if (rc == 0) {
		puts("no events");
	}
	table_clear(&p.table);
	return rc;
}
