/* SPDX-License-Identifier: ISC */
/*
 * depot list and revert: the home depot, and what is on the way by other ones.
 */
#include <string.h>
#include <unistd.h>

#include "bundler/carry/consignment.h"
#include "bundler/site/site.h"
#include "bundler/status/status.h"
#include "cli/frame/cli.h"
#include "cli/frame/server_open.h"
#include "cli/frame/term.h"
#include "cli/status/status.h"
#include "core/base/clock.h"
#include "core/base/own.h"

struct depot_print {
	struct cli *cli;
	struct json *json;
	struct table table;
	int64_t now;
};

static void consignment_json(struct json *j, const struct consignment *c)
{
	json_open(j, NULL, '{');
	json_text(j, "depot", c->depot);
	json_text(j, "for", c->audience);
	json_time(j, "at", c->at);
	json_u64(j, "beat", c->beat);
	json_u64(j, "behind", c->behind);
	json_u64(j, "workstations", c->machines);
	json_u64(j, "confirmed", c->confirmed);
	json_close(j, '}');
}

static void behind_text(char dst[64], uint64_t beat, uint64_t behind)
{
	if (behind == 0)
		snprintf(dst, 64, "%llu, the newest", (unsigned long long)beat);
	else
		snprintf(dst, 64, "%llu, %llu behind", (unsigned long long)beat,
			 (unsigned long long)behind);
}

static int consignment_row(void *arg, const struct consignment *c, struct err *err)
{
	struct depot_print *p = arg;
	char since[TEXT_SIZE], beat[64], confirmed[64];

	if (p->json != NULL) {
		consignment_json(p->json, c);
		return 0;
	}
	age_text(since, c->at, p->now);
	behind_text(beat, c->beat, c->behind);
	snprintf(confirmed, sizeof(confirmed), "%llu of %llu", (unsigned long long)c->confirmed,
		 (unsigned long long)c->machines);
	return table_row(&p->table, err, c->depot, since,
			 c->audience[0] != '\0' ? c->audience : "everything", beat, confirmed);
}

static int home_row(struct depot_print *p, struct site *s, const struct status_site *g,
		    struct err *err)
{
	char beat[64];

	if (p->json != NULL) {
		json_text(p->json, "home", s->depot);
		json_u64(p->json, "beat", g->beat);
		json_u64(p->json, "unposted", g->unposted);
		return 0;
	}
	if (g->unposted > 0)
		snprintf(beat, sizeof(beat), "%llu, %llu %s not posted",
			 (unsigned long long)g->beat, (unsigned long long)g->unposted,
			 plural(g->unposted, "file", "files"));
	else
		behind_text(beat, g->beat, 0);
	return table_row(&p->table, err, s->depot, "home depot", "everything", beat, "-");
}

int cmd_depot_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"DEPOT", "CARRIED", "FOR", "BEAT", "CONFIRMED"};
	OWNED(site_freep) struct site *s = NULL;
	struct json j = {stdout, false};
	struct depot_print p = {.cli = cli, .json = cli->json ? &j : NULL, .now = clock_now()};
	struct status_site g;
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = status_site(s, &g, err);
	if (rc < 0)
		return rc;
	rc = table_head(&p.table, heading, ARRAY_LEN(heading), -1, err);
	if (cli->json)
		json_open(&j, NULL, '{');
	if (rc == 0)
		rc = home_row(&p, s, &g, err);
	if (cli->json)
		json_open(&j, "consignments", '[');
	if (rc == 0)
		rc = consignments(s, consignment_row, &p, err);
	if (cli->json) {
		json_close(&j, ']');
		json_close(&j, '}');
		putchar('\n');
	} else if (rc == 0) {
		table_print(&p.table, cli->term, stdout);
	}
	table_clear(&p.table);
	return rc;
}

static int waiting_row(void *arg, const struct consignment *c, struct err *err)
{
	struct depot_print *p = arg;
	char since[TEXT_SIZE], path[4096], who[1024];

	if (p->json != NULL) {
		consignment_json(p->json, c);
		return 0;
	}
	if (c->confirmed >= c->machines)
		return 0;
	age_text(since, c->at, p->now);
	err_escape(path, sizeof(path), c->depot);
	err_escape(who, sizeof(who), c->audience[0] != '\0' ? c->audience : "everybody");
	printf("carried to %s %s for %s: %llu of %llu confirmed\n", path, since, who,
	       (unsigned long long)c->confirmed, (unsigned long long)c->machines);
	return 0;
}

int status_consignments(struct cli *cli, struct site *s, struct json *j, struct err *err)
{
	struct depot_print p = {.cli = cli, .json = j, .now = clock_now()};
	int rc;

	if (j != NULL)
		json_open(j, "consignments", '[');
	rc = consignments(s, waiting_row, &p, err);
	if (j != NULL)
		json_close(j, ']');
	return rc;
}

/* As it was noted: without links when it is at hand, else as it is typed. */
static void revert_path(const char *typed, char dst[4096])
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf where = BUF_INIT;
	OWNED(freep) char *cwd = typed[0] != '/' ? getcwd(NULL, 0) : NULL;

	snprintf(dst, 4096, "%s%s%s", cwd != NULL ? cwd : "", cwd != NULL ? "/" : "", typed);
	for (size_t n = strlen(dst); n > 1 && dst[n - 1] == '/'; n--)
		dst[n - 1] = '\0';
	if (depot_open(typed, 0, 0, &d, ERR_IGNORED) == 0 &&
	    depot_where(d, &where, ERR_IGNORED) == 0)
		snprintf(dst, 4096, "%s", (const char *)where.p);
}

int cmd_revert(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	char path[4096];
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc < 0)
		return rc;
	rc = consignment_revert(s, args->rest[0], err);
	revert_path(args->rest[0], path);
	if (rc == RC_USAGE && consignment_revert(s, path, ERR_IGNORED) == 0)
		rc = 0;
	if (rc == 0) {
		printf("forgot what was carried to %s\n", args->rest[0]);
		reporter_info(cli->reporter,
			      "the next carry takes everything that no receipt has confirmed");
	}
	return rc;
}
