/* SPDX-License-Identifier: ISC */
/*
 * Commands of a workstation: enrol, apply, and its own status.
 */
#include "cli/workstation/station.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "applier/enrol/enrol.h"
#include "applier/open/open.h"
#include "applier/report/report.h"
#include "applier/trees/drift.h"
#include "applier/verify/verify.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/format/bundle/changes.h"

int cmd_enrol(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	const char *where = args_text(args, "depot", NULL);
	char host[128] = "workstation", shown[WORKSTATION_ID + 8];
	char site[4 * sizeof(((struct trust *)0)->name)];
	OWNED(buf_wipe) struct buf code = BUF_SECRET;
	int rc;

	if (where == NULL)
		return err_set(err, RC_USAGE,
			       "enrol needs --depot: satchel enrol CODE --depot DIR");
	gethostname(host, sizeof(host) - 1);
	rc = args_secret(args, 0, &code, err);
	if (rc == 0)
		rc = station_open(cli->station, STATION_LOCK | STATION_CREATE, cli->reporter, &s,
				  err);
	if (rc == 0)
		rc = station_enrol(s, (const char *)code.p, where, args_text(args, "name", host),
				   err);
	if (rc < 0)
		return rc;
	fingerprint_text(shown, s->id);
	err_escape(site, sizeof(site), s->trust.name);
	printf("site        %s\nfingerprint %s\n", site, shown);
	reporter_info(cli->reporter, "%s",
		      rc == 1 ? "this workstation is enrolled at this site already"
			      : "the request is in the depot");
	if (rc == 0 && code.n == DIGEST_HEX)
		reporter_info(
		    cli->reporter,
		    "this machine was not invited: on the server, run satchel collect, then "
		    "satchel workstation approve with this fingerprint");
	if (rc == 0)
		reporter_info(cli->reporter,
			      "when the server has collected it and published, run satchel apply");
	return 0;
}

struct apply_print {
	struct cli *cli;
	bool dry_run;
	bool any;
};

static void count_print(uint64_t n, const char *one, const char *many)
{
	char text[TEXT_SIZE];

	count_text(text, n);
	printf(", %s %s", text, plural(n, one, many));
}

static void preview_text(const struct apply_preview *p)
{
	char bytes[TEXT_SIZE], files[TEXT_SIZE], needed[TEXT_SIZE], room[TEXT_SIZE];
	uint64_t writes = p->count[CHANGE_PUT] + p->count[CHANGE_PATCH] + p->count[CHANGE_COPY];

	size_text(bytes, p->bytes);
	count_text(files, writes);
	printf("    %s %s (%s)", files, plural(writes, "file", "files"), bytes);
	count_print(p->count[CHANGE_LINK], "link", "links");
	count_print(p->count[CHANGE_DIRECTORY], "directory", "directories");
	count_print(p->count[CHANGE_META], "metadata change", "metadata changes");
	count_print(p->deletions, "deletion", "deletions");
	count_print(p->conflicts, "conflict", "conflicts");
	putchar('\n');
	if (p->space_needed > p->space_free) {
		size_text(needed, p->space_needed);
		size_text(room, p->space_free);
		printf("    needs %s, has %s free\n", needed, room);
	}
}

static void apply_line(void *arg, const struct sync_channel *c)
{
	struct apply_print *p = arg;
	const char *name = c->name[0] != '\0' ? c->name : "private channel";
	char reason[4 * sizeof(c->reason)];

	term_line_end(p->cli->term);
	p->any = true;
	err_escape(reason, sizeof(reason), c->reason);
	if (c->rc < 0)
		printf("%s: stays at generation %llu: %s\n", name, (unsigned long long)c->after,
		       reason);
	else if (p->dry_run && c->wanted != c->before)
		printf("%s: would go from generation %llu to %llu\n", name,
		       (unsigned long long)c->before, (unsigned long long)c->wanted);
	else if (c->after == 0 && c->wanted == 0)
		printf("%s: nothing is published yet\n", name);
	else if (c->epoch_before != c->epoch && c->before > 0)
		printf("%s: generation %llu of epoch %llu -> generation %llu of epoch %llu\n", name,
		       (unsigned long long)c->before, (unsigned long long)c->epoch_before,
		       (unsigned long long)c->after, (unsigned long long)c->epoch);
	else if (c->before == c->after)
		printf("%s: current, generation %llu\n", name, (unsigned long long)c->after);
	else
		printf("%s: generation %llu -> %llu\n", name, (unsigned long long)c->before,
		       (unsigned long long)c->after);
	if ((c->wanted != c->before || c->epoch != c->epoch_before) && (p->dry_run || c->rc == 0))
		preview_text(&c->preview);
}

static void apply_json(void *arg, const struct sync_channel *c)
{
	struct json j = {stdout, false};

	((struct apply_print *)arg)->any = true;
	json_open(&j, NULL, '{');
	json_text(&j, "channel", c->name);
	json_u64(&j, "before", c->before);
	json_u64(&j, "after", c->after);
	json_u64(&j, "wanted", c->wanted);
	json_text(&j, "result", rc_slug(c->rc));
	json_text(&j, "reason", c->reason);
	json_open(&j, "counts", '{');
	for (size_t i = 0; i < CHANGE_OPS; i++)
		json_u64(&j, change_names[i], c->preview.count[i]);
	json_close(&j, '}');
	json_u64(&j, "bytes", c->preview.bytes);
	json_u64(&j, "deletions", c->preview.deletions);
	json_u64(&j, "conflicts", c->preview.conflicts);
	json_u64(&j, "space_needed", c->preview.space_needed);
	json_u64(&j, "space_free", c->preview.space_free);
	json_close(&j, '}');
	putchar('\n');
}

/* Counts as the newest receipt, for sites from which no data may leave. */
static void code_print(struct cli *cli, struct station *s)
{
	char code[CONFIRM_TEXT + 1] = "";
	struct json j = {stdout, false};
	struct err why = {0};

	if (report_code(s, code, &why) < 0)
		reporter_warning(cli->reporter, "no confirmation code: %s", why.text);
	if (cli->json) {
		json_open(&j, NULL, '{');
		json_text(&j, "code", code);
		json_close(&j, '}');
		putchar('\n');
	} else if (code[0] != '\0') {
		printf("%s%s\n", cli->quiet ? "" : "confirmation code: ", code);
	}
}

/* Quietly, the code is all that another program reads. */
static void apply_silent(void *arg, const struct sync_channel *c)
{
	struct apply_print *p = arg;

	(void)c;
	p->any = true;
}

int station_apply(struct cli *cli, const char *what, enum sync_flags flags, bool code,
		  struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	struct apply_print p = {.cli = cli, .dry_run = flags & SYNC_DRY_RUN};
	void (*each)(void *arg, const struct sync_channel *c) = cli->json ? apply_json : apply_line;
	int rc;

	if (code && cli->quiet && !cli->json)
		each = apply_silent;
	rc = station_open(cli->station, STATION_LOCK, cli->reporter, &s, err);
	if (rc < 0)
		return rc;
	if (what != NULL)
		rc = sync_file(s, what, flags, each, &p, err);
	else
		rc = sync_station(s, NULL, flags, each, &p, err);
	if (rc == 0 && !p.any && !cli->json && each != apply_silent)
		puts("nothing to apply");
	if (code && !p.dry_run)
		code_print(cli, s);
	return rc;
}

int cmd_apply(struct cli *cli, const struct args *args, struct err *err)
{
	return station_apply(cli, args->rest_n > 0 ? args->rest[0] : NULL,
			     (args_has(args, "dry-run") ? SYNC_DRY_RUN : 0) |
				 (args_has(args, "now") ? SYNC_NOW : 0),
			     args_has(args, "code"), err);
}

struct drift_print {
	struct json *json; /* NULL: text */
};

static int each_drift(void *arg, const struct drift_item *item, struct err *err)
{
	struct drift_print *p = arg;
	char path[4 * LIMIT_PATH];

	(void)err;
	if (p->json != NULL) {
		json_open(p->json, NULL, '{');
		json_text(p->json, "channel", item->channel);
		json_text(p->json, "path", item->path);
		json_text(p->json, "what", item->what);
		json_close(p->json, '}');
		return 0;
	}
	err_escape(path, sizeof(path), item->path);
	printf("%s: %s %s\n", item->channel, item->what, path);
	return 0;
}

int cmd_drift(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	struct json j = {stdout, false};
	struct drift_print p = {cli->json ? &j : NULL};
	uint64_t n = 0;
	int rc = station_open(cli->station, STATION_LOCK, cli->reporter, &s, err);

	if (rc == 0 && args_has(args, "read"))
		rc = verify_share(s, 1, 0, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		json_open(&j, NULL, '[');
	rc = station_drift(s, each_drift, &p, &n, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0 && n == 0) {
		puts("nothing differs from what was applied");
	}
	if (rc == 0 && n > 0)
		return err_set(err, RC_CONFLICT, "%llu %s on disk from what was applied",
			       (unsigned long long)n, plural(n, "entry differs", "entries differ"));
	return rc;
}
