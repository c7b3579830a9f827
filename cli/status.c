/*
 * status and workstation list/show: what is known, from verified receipts only.
 */
#include <string.h>

#include "bundler/status.h"
#include "cli/cli.h"
#include "cli/server.h"
#include "cli/station.h"
#include "cli/term.h"
#include "cli/watch.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "watcher/control.h"

struct status_print {
	struct cli *cli;
	struct table table;
	struct json *json;
	const char *only; /* a workstation's name, or NULL */
	bool full;
	uint64_t shown, not_green;
	int64_t now;
};

static void workstation_json(struct json *j, const struct status_workstation *w)
{
	json_open(j, NULL, '{');
	json_text(j, "name", w->name);
	json_text(j, "id", w->id);
	json_text(j, "colour", colour_names[w->colour]);
	json_text(j, "reason", w->reason);
	json_text(j, "also", w->also);
	json_time(j, "heard", w->heard);
	json_u64(j, "receipt", w->receipt);
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
	json_close(j, '}');
}

static void workstation_full(struct status_print *p, const struct status_workstation *w)
{
	char heard[TEXT_SIZE], word[64], reason[4 * sizeof(w->reason)], also[4 * sizeof(w->also)];

	age_text(heard, w->heard, p->now);
	err_escape(reason, sizeof(reason), w->reason);
	err_escape(also, sizeof(also), w->also);
	colour_word(p->cli->term, colour_names[w->colour], word, sizeof(word));
	printf("workstation %s\n  id        %s\n  colour    %s\n", w->name,
	       w->id[0] != '\0' ? w->id : "-", word);
	if (w->reason[0] != '\0')
		printf("  reason    %s\n", reason);
	if (w->also[0] != '\0')
		printf("  also      %s\n", also);
	printf("  heard     %s (receipt %llu%s%s)\n", heard, (unsigned long long)w->receipt,
	       w->version[0] != '\0' ? ", satchel " : "", w->version);
	for (size_t i = 0; i < w->channels; i++)
		printf("  channel   %s: holds %llu, wanted %llu%s\n", w->channel[i].name,
		       (unsigned long long)w->channel[i].held,
		       (unsigned long long)w->channel[i].wanted,
		       w->channel[i].held == w->channel[i].wanted && !w->channel[i].tree_equal
			   ? ", another tree"
			   : "");
}

static int workstation_row(struct status_print *p, const struct status_workstation *w,
			   struct err *err)
{
	char heard[TEXT_SIZE], channels[512] = "-", id[9] = "-";
	size_t used = 0;
	int rc;

	for (size_t i = 0; i < w->channels && used < sizeof(channels); i++)
		used += (size_t)snprintf(channels + used, sizeof(channels) - used, "%s%s %llu/%llu",
					 i > 0 ? ", " : "", w->channel[i].name,
					 (unsigned long long)w->channel[i].held,
					 (unsigned long long)w->channel[i].wanted);
	if (w->id[0] != '\0')
		snprintf(id, sizeof(id), "%.8s", w->id);
	age_text(heard, w->heard, p->now);
	rc = table_cell(&p->table, err, "%s", w->name);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", colour_names[w->colour]);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", channels);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", heard);
	if (rc == 0)
		rc = table_cell(&p->table, err, "%s", id);
	return rc < 0 ? rc
		      : table_cell(&p->table, err, "%s%s%s", w->reason,
				   w->also[0] != '\0' ? "; " : "", w->also);
}

static int each_workstation(void *arg, const struct status_workstation *w, struct err *err)
{
	struct status_print *p = arg;

	if (p->only != NULL && strcmp(p->only, w->name) != 0)
		return 0;
	p->shown++;
	p->not_green += w->colour != COLOUR_GREEN && w->colour != COLOUR_PURPLE;
	if (p->json != NULL) {
		workstation_json(p->json, w);
		return 0;
	}
	if (p->full) {
		workstation_full(p, w);
		return 0;
	}
	return workstation_row(p, w, err);
}

static int table_start(struct status_print *p, struct err *err)
{
	static const char *const heading[] = {"WORKSTATION", "COLOUR", "CHANNELS",
					      "HEARD",       "ID",     "REASON"};
	int rc = 0;

	table_init(&p->table, 6, 1);
	for (size_t i = 0; i < ARRAY_LEN(heading) && rc == 0; i++)
		rc = table_cell(&p->table, err, "%s", heading[i]);
	return rc;
}

static void site_json(struct json *j, const struct status_site *g)
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
	json_u64(j, "held_requests", g->held_requests);
	json_u64(j, "events", g->events);
	json_u64(j, "unposted", g->unposted);
	json_open(j, "by_colour", '{');
	for (size_t i = 0; i < COLOURS; i++)
		json_u64(j, colour_names[i], g->by_colour[i]);
	json_close(j, '}');
}

void waiting_text(uint64_t n)
{
	if (n > 0)
		printf("%llu %s: satchel workstation list shows %s\n", (unsigned long long)n,
		       plural(n, "request waits for approval", "requests wait for approval"),
		       plural(n, "it", "them"));
}

static void site_text(const struct status_site *g, int64_t now)
{
	char id[DIGEST_HEX + 1], until[CLOCK_TEXT + 1];

	digest_hex(id, &g->id);
	printf("site %s (%.16s...), trust %llu, ", g->name, id, (unsigned long long)g->trust);
	clock_format(until, g->beat_expires);
	if (g->beat_expires == 0)
		puts("nothing published yet");
	else if (g->beat_expires <= now)
		printf("beat %llu was good until %s: satchel publish renews it\n",
		       (unsigned long long)g->beat, until);
	else
		printf("beat %llu good until %s\n", (unsigned long long)g->beat, until);
	if (g->unposted > 0)
		printf("%llu %s made and not yet in the depot: satchel publish posts %s\n",
		       (unsigned long long)g->unposted, plural(g->unposted, "file is", "files are"),
		       plural(g->unposted, "it", "them"));
	waiting_text(g->held_requests);
}

static int print_workstations(struct cli *cli, struct site *s, struct status_print *p,
			      struct err *err)
{
	int rc = table_start(p, err);

	if (rc == 0)
		rc = status_workstations(s, each_workstation, p, err);
	if (rc == 0 && p->json == NULL && !p->full && p->shown > 0)
		table_print(&p->table, cli->term, stdout);
	table_clear(&p->table);
	return rc;
}

int server_status(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct status_print p = {.cli = cli, .json = cli->json ? &j : NULL, .now = clock_now()};
	struct status_site g;
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = status_site(s, &g, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		site_json(&j, &g);
		watch_lines(s->state, &j);
		json_open(&j, "workstations", '[');
	} else {
		site_text(&g, p.now);
		watch_lines(s->state, NULL);
	}
	rc = print_workstations(cli, s, &p, err);
	if (cli->json)
		json_close(&j, ']');
	if (rc == 0)
		rc = server_consignments(cli, s, p.json, err);
	if (cli->json) {
		json_close(&j, '}');
		putchar('\n');
	}
	if (rc == 0 && p.shown == 0 && !cli->json)
		puts("no workstation yet: satchel invite NAME prints a code for one");
	if (rc == 0 && args_has(args, "exit-code") && p.not_green > 0)
		return err_set(err, RC_CONFLICT, "%llu of %llu workstations are not green",
			       (unsigned long long)p.not_green, (unsigned long long)p.shown);
	return rc;
}

static int each_request(void *arg, const char *id, const char *name, int64_t at, struct err *err)
{
	struct status_print *p = arg;
	char age[TEXT_SIZE], shown[WORKSTATION_ID + 8];

	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_text(p->json, "fingerprint", id);
		json_text(p->json, "name", name);
		json_time(p->json, "at", at);
		json_close(p->json, '}');
		return 0;
	}
	age_text(age, at, p->now);
	term_line_end(p->cli->term);
	p->shown++;
	(void)err;
	fingerprint_text(shown, id);
	return table_cell(&p->table, err, "waits: %s", shown) < 0 ||
		       table_cell(&p->table, err, "%s", name) < 0 ||
		       table_cell(&p->table, err, "%s", age) < 0
		   ? RC_MEMORY
		   : 0;
}

int cmd_workstation_list(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct status_print p = {.cli = cli, .json = cli->json ? &j : NULL, .now = clock_now()};
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_open(&j, "workstations", '[');
	}
	rc = print_workstations(cli, s, &p, err);
	if (cli->json) {
		json_close(&j, ']');
		json_open(&j, "requests", '[');
	}
	p.shown = 0;
	table_init(&p.table, 3, -1);
	if (rc == 0)
		rc = status_requests(s, each_request, &p, err);
	if (cli->json) {
		json_close(&j, ']');
		json_close(&j, '}');
		putchar('\n');
	} else if (rc == 0 && p.shown > 0) {
		table_print(&p.table, cli->term, stdout);
		say_info(
		    cli->say,
		    "compare the fingerprint with what the workstation shows, then: satchel workstation "
		    "approve FINGERPRINT --name NAME");
	}
	table_clear(&p.table);
	return rc;
}

int cmd_workstation_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct status_print p = {.cli = cli,
				 .json = cli->json ? &j : NULL,
				 .only = args->rest[0],
				 .full = true,
				 .now = clock_now()};
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = print_workstations(cli, s, &p, err);
	if (rc == 0 && p.shown == 0)
		return err_set(err, RC_USAGE,
			       "there is no workstation %s; satchel workstation list shows them",
			       args->rest[0]);
	if (rc == 0 && cli->json)
		putchar('\n');
	return rc;
}

int cmd_status(struct cli *cli, const struct args *args, struct err *err)
{
	bool server;
	int rc = cli_on_server(cli, &server, err);

	if (rc == 0)
		rc = watch_ask(cli, server, CONTROL_STATUS, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return server ? server_status(cli, args, err) : station_status(cli, err);
}
