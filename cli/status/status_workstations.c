/* SPDX-License-Identifier: ISC */
/*
 * status workstations, workstation list and show: what is known, from verified receipts only.
 */
#include <string.h>

#include "bundler/enrolment/pending_request.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/status/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/base/quote.h"

/* Why somebody was not handed what is theirs, in the words of the workstation. */
static void user_said(char dst[REASON_TEXT + 16], const struct status_handed *u)
{
	char quoted[sizeof(u->reason) + 2];

	dst[0] = '\0';
	if (u->reason[0] == '\0')
		return;
	quote_text(quoted, sizeof(quoted), u->reason);
	snprintf(dst, REASON_TEXT + 16, "it says: %s", quoted);
}

static void workstation_json(struct json *j, const struct status_workstation *w)
{
	char said[REASON_TEXT + 16];

	json_open(j, NULL, '{');
	json_text(j, "name", w->name);
	json_text(j, "id", w->id);
	json_text(j, "colour", colour_names[w->colour]);
	json_text(j, "reason", w->reason);
	json_text(j, "also", w->also);
	reasons_json(j, w->reasons, w->name);
	json_time(j, "heard", w->heard);
	json_u64(j, "receipt", w->receipt);
	json_bool(j, "by_code", w->by_code);
	json_text(j, "version", w->version);
	json_open(j, "channels", '[');
	for (size_t i = 0; i < w->channels; i++) {
		json_open(j, NULL, '{');
		json_text(j, "name", w->channel[i].name);
		json_u64(j, "held", w->channel[i].held);
		json_u64(j, "wanted", w->channel[i].wanted);
		json_bool(j, "tree_equal", w->channel[i].tree_equal);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "users", '[');
	for (size_t i = 0; i < w->users; i++) {
		json_open(j, NULL, '{');
		json_text(j, "email", w->user[i].email);
		json_text(j, "account", w->user[i].account);
		json_text(j, "result", w->user[i].result);
		user_said(said, &w->user[i]);
		json_text(j, "reason", said);
		json_text(j, "claim", w->user[i].reason);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void channel_full(const struct status_channel *c)
{
	if (c->wanted == 0)
		printf("  channel    %s: nothing is published yet\n", c->name);
	else
		printf("  channel    %s: holds %llu, wanted %llu%s\n", c->name,
		       (unsigned long long)c->held, (unsigned long long)c->wanted,
		       c->held == c->wanted && !c->tree_equal ? ", another tree" : "");
}

static void workstation_full(struct status_list *l, const struct status_workstation *w)
{
	char heard[TEXT_SIZE], word[64];

	age_text(heard, w->heard, l->now);
	colour_word(l->cli->term, colour_names[w->colour], word, sizeof(word));
	printf("workstation %s\n  id         %s\n  colour     %s\n", w->name,
	       w->id[0] != '\0' ? w->id : "-", word);
	reasons_text(w->reasons, w->name);
	printf("  heard      %s (%s %llu%s%s)\n", heard,
	       w->by_code ? "confirmation code of receipt" : "receipt",
	       (unsigned long long)w->receipt, w->version[0] != '\0' ? ", satchel " : "",
	       w->version);
	for (size_t i = 0; i < w->channels; i++)
		channel_full(&w->channel[i]);
	for (size_t i = 0; i < w->users; i++)
		printf("  user       %s as %s: %s\n", w->user[i].email, w->user[i].account,
		       w->user[i].result);
}

static int workstation_row(struct status_list *l, struct table *t,
			   const struct status_workstation *w, struct err *err)
{
	char heard[TEXT_SIZE], channels[512] = "-", id[9] = "-";
	char why[2 * sizeof(w->also) + 2];
	size_t used = 0;

	for (size_t i = 0; i < w->channels && used < sizeof(channels); i++)
		used += (size_t)snprintf(channels + used, sizeof(channels) - used, "%s%s %llu/%llu",
					 i > 0 ? ", " : "", w->channel[i].name,
					 (unsigned long long)w->channel[i].held,
					 (unsigned long long)w->channel[i].wanted);
	if (w->id[0] != '\0')
		snprintf(id, sizeof(id), "%.8s", w->id);
	age_text(heard, w->heard, l->now);
	snprintf(why, sizeof(why), "%s%s%s", w->reason, w->also[0] != '\0' ? "; " : "", w->also);
	return table_row(t, err, w->name, colour_names[w->colour], channels, heard, id, why);
}

static int workstation_each(void *arg, const struct status_workstation *w, struct err *err)
{
	struct status_list *l = arg;
	struct table *t[2];
	int rc = 0;

	if (!status_list_counts(l, w->name, w->colour))
		return 0;
	if (l->json != NULL) {
		workstation_json(l->json, w);
		return 0;
	}
	if (l->full) {
		workstation_full(l, w);
		return 0;
	}
	status_list_tables(l, w->colour, t);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(t); i++)
		rc = t[i] != NULL ? workstation_row(l, t[i], w, err) : 0;
	return rc;
}

int status_workstations_list(struct status_list *l, struct site *s, struct err *err)
{
	static const char *const heading[] = {"WORKSTATION", "COLOUR", "CHANNELS",
					      "HEARD",       "ID",     "REASON"};
	int rc = table_head(&l->table, heading, ARRAY_LEN(heading), 1, err);
	return rc < 0 ? rc : status_workstations(s, workstation_each, l, err);
}

static int each_request(void *arg, const struct pending_request *p, struct err *err)
{
	struct status_list *l = arg;
	char age[TEXT_SIZE], shown[WORKSTATION_ID + 8], quoted[sizeof(p->name) + 2];
	int rc;

	if (l->json != NULL) {
		json_open(l->json, NULL, '{');
		json_text(l->json, "fingerprint", p->id);
		json_text(l->json, "name", p->name);
		json_time(l->json, "at", p->at);
		json_close(l->json, '}');
		return 0;
	}
	age_text(age, p->at, l->now);
	term_line_end(l->cli->term);
	l->shown++;
	fingerprint_text(shown, p->id);
	quote_text(quoted, sizeof(quoted), p->name);
	rc = table_cell(&l->table, err, "waits: %s", shown);
	if (rc == 0)
		rc = table_cell(&l->table, err, "calls itself %s", quoted);
	return rc < 0 ? rc : table_cell(&l->table, err, "%s", age);
}

static int requests_list(struct status_list *l, struct site *s, struct err *err)
{
	int rc;

	l->shown = 0;
	table_clear(&l->table);
	table_init(&l->table, 3, -1);
	rc = pending_requests(s->db, each_request, l, err);
	if (rc < 0 || l->json != NULL || l->shown == 0)
		return rc;
	table_print(&l->table, l->cli->term, stdout);
	reporter_info(
	    l->cli->reporter,
	    "compare the fingerprint with what the workstation shows, then: satchel workstation "
	    "approve FINGERPRINT --name NAME");
	return 0;
}

int cmd_workstation_list(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(status_list_clear) struct status_list l;
	struct json j = {stdout, false};
	int rc = status_list_init(&l, cli, NULL, cli->json ? &j : NULL, err);

	if (rc == 0)
		rc = server_open(cli, 0, &s, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_open(&j, "workstations", '[');
	}
	rc = status_workstations_list(&l, s, err);
	if (rc == 0)
		rc = status_list_print(&l, "workstation list", err);
	if (cli->json) {
		json_close(&j, ']');
		json_open(&j, "requests", '[');
	}
	if (rc == 0)
		rc = requests_list(&l, s, err);
	if (cli->json) {
		json_close(&j, ']');
		json_close(&j, '}');
		putchar('\n');
	}
	return rc;
}

int cmd_workstation_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(status_list_clear) struct status_list l;
	struct json j = {stdout, false};
	int rc = status_list_init(&l, cli, args, cli->json ? &j : NULL, err);

	if (rc == 0)
		rc = server_open(cli, 0, &s, err);
	if (rc == 0)
		rc = status_workstations_list(&l, s, err);
	if (rc == 0 && cli->json && l.shown > 0)
		putchar('\n');
	return rc < 0 ? rc : status_list_end(&l, args, "workstation", err);
}

int cmd_status_workstations(struct cli *cli, const struct args *args, struct err *err)
{
	static const struct status_list_kind workstations = {status_workstations_list,
							     "status workstations", "workstation"};

	return status_list_run(cli, args, &workstations, err);
}
