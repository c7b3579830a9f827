/* SPDX-License-Identifier: ISC */
/*
 * status, on a workstation: what it holds, who is active, what it waits for.
 */
#include <string.h>

#include "applier/activation/activation.h"
#include "applier/handout/handout.h"
#include "applier/open/open.h"
#include "applier/report/report.h"
#include "applier/trees/outcome.h"
#include "cli/ask/ask.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "cli/workstation/station.h"
#include "core/base/own.h"

struct held_print {
	struct json *json; /* NULL: text */
};

static int each_held(void *arg, const struct station_channel *c, struct err *err)
{
	struct held_print *p = arg;
	bool private_channel = c->name[0] == '\0';
	const char *name = private_channel ? "private channel" : c->name;
	char reason[4 * sizeof(c->reason)];

	(void)err;
	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_text(p->json, "name", private_channel ? "" : c->name);
		json_text(p->json, "target", c->target);
		json_u64(p->json, "epoch", c->applied.epoch);
		json_u64(p->json, "generation", c->applied.generation);
		json_u64(p->json, "wanted", c->wanted);
		json_text(p->json, "result", tree_result_text(c->result));
		json_text(p->json, "reason", c->reason);
		json_time(p->json, "at", c->at);
		json_u64(p->json, "deviations", c->deviations);
		json_u64(p->json, "adaptations", c->adaptations);
		json_u64(p->json, "drift", c->drift);
		json_close(p->json, '}');
		return 0;
	}
	if (c->result == TREE_LEFT) {
		printf("  left      %s\n", name);
		return 0;
	}
	if (c->applied.generation == 0 && c->wanted == 0 && c->result == TREE_CURRENT) {
		printf("  waits     %s: nothing is published yet\n", name);
		return 0;
	}
	err_escape(reason, sizeof(reason), c->reason);
	printf("  holds     %s generation %llu%s%s: %s%s%s\n", name,
	       (unsigned long long)c->applied.generation, private_channel ? "" : " in ", c->target,
	       c->result != TREE_UNTRIED ? tree_result_text(c->result) : "not tried yet",
	       reason[0] != '\0' ? ", " : "", reason);
	if (c->deviations > 0)
		printf("            %llu %s kept; satchel drift lists them\n",
		       (unsigned long long)c->deviations,
		       plural(c->deviations, "local change is", "local changes are"));
	if (c->drift > 0)
		printf("            %llu %s changed without a bundle; satchel drift lists them\n",
		       (unsigned long long)c->drift, plural(c->drift, "entry was", "entries were"));
	return 0;
}

static int each_user(void *arg, const struct receipt_user *u, struct err *err)
{
	struct held_print *p = arg;
	char reason[4 * sizeof(u->reason)];

	(void)err;
	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_text(p->json, "email", u->email);
		json_text(p->json, "account", u->account);
		json_text(p->json, "result", u->result);
		json_text(p->json, "reason", u->reason);
		json_time(p->json, "at", u->at);
		json_close(p->json, '}');
		return 0;
	}
	err_escape(reason, sizeof(reason), u->reason);
	printf("  user      %s as %s: %s%s%s\n", u->email, u->account, u->result,
	       reason[0] != '\0' ? ", " : "", reason);
	return 0;
}

static int each_activation(void *arg, const struct activation_waiting *a, struct err *err)
{
	struct held_print *p = arg;

	(void)err;
	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_text(p->json, "id", a->id);
		json_text(p->json, "account", a->account);
		json_bool(p->json, "posted", a->posted);
		json_close(p->json, '}');
		return 0;
	}
	printf("  waits     activation for account %s: %s\n", a->account,
	       a->posted ? "in a depot, not answered yet" : "no depot has it yet");
	return 0;
}

static int status_json(struct station *s, struct err *err)
{
	static const char *const ends[] = {
	    [STATION_STAYS] = "", [STATION_ENDS] = "ends", [STATION_WIPED] = "wiped"};
	struct json j = {stdout, false};
	struct held_print p = {&j};
	char code[CONFIRM_TEXT + 1] = "";
	struct err why = {0};
	int rc;

	if (s->enrolled)
		report_code(s, code, &why);
	json_open(&j, NULL, '{');
	json_bool(&j, "enrolled", s->enrolled);
	json_text(&j, "site", s->trust.name);
	json_text(&j, "id", s->id);
	json_u64(&j, "trust", s->trust.version);
	json_text(&j, "decommissioned", ends[s->end]);
	json_text(&j, "code", code);
	json_text(&j, "no_code", why.text);
	json_text(&j, "hand_out", s->handout);
	watch_lines(s->state, &j);
	json_open(&j, "depots", '[');
	for (size_t i = 0; i < s->depots.n; i++)
		json_text(&j, NULL, s->depots.items[i]);
	json_close(&j, ']');
	json_open(&j, "channels", '[');
	rc = station_channels(s, each_held, &p, err);
	json_close(&j, ']');
	json_open(&j, "users", '[');
	if (rc == 0)
		rc = handout_users(s, each_user, &p, err);
	json_close(&j, ']');
	json_open(&j, "activations", '[');
	if (rc == 0)
		rc = station_activations(s, each_activation, &p, err);
	json_close(&j, ']');
	json_close(&j, '}');
	putchar('\n');
	return rc;
}

static void code_line(struct station *s)
{
	char code[CONFIRM_TEXT + 1];
	struct err why = {0};

	if (report_code(s, code, &why) == 0)
		printf("  code      %s\n", code);
	else
		printf("  code      none: %s\n", why.text);
}

static void who_line(struct station *s)
{
	char shown[WORKSTATION_ID + 8], site[4 * sizeof(s->trust.name)];

	fingerprint_text(shown, s->id);
	err_escape(site, sizeof(site), s->trust.name);
	if (!s->enrolled)
		puts(
		    "this workstation is not enrolled; join a site with satchel enrol CODE --depot "
		    "DIR");
	else if (s->end != STATION_STAYS)
		printf("workstation %s %s decommissioned by site %s\n", shown,
		       s->end == STATION_WIPED ? "was" : "is being", site);
	else
		printf("workstation %s of site %s, trust %llu\n", shown, site,
		       (unsigned long long)s->trust.version);
}

int station_status(struct cli *cli, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	struct held_print p = {NULL};
	int rc = station_open(cli->station, 0, cli->reporter, &s, err);

	if (rc < 0)
		return rc;
	if (cli->json)
		return status_json(s, err);
	who_line(s);
	for (size_t i = 0; i < s->depots.n; i++)
		printf("  depot     %s\n", s->depots.items[i]);
	printf("  root      %s\n", s->root);
	watch_lines(s->state, NULL);
	rc = station_channels(s, each_held, &p, err);
	if (rc == 0)
		rc = handout_users(s, each_user, &p, err);
	if (rc == 0)
		rc = station_activations(s, each_activation, &p, err);
	if (rc == 0 && s->enrolled && s->end == STATION_STAYS)
		code_line(s);
	return rc;
}
