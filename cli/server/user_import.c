/* SPDX-License-Identifier: ISC */
/*
 * user import: a table of users, told row by row before anything is written.
 */
#include "bundler/documents/user_import.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"

#include <string.h>

#include "core/base/own.h"
#include "core/format/csv/csv.h"

static const char *const words[] = {
    [IMPORT_ADDED] = "added",
    [IMPORT_CHANGED] = "changed",
    [IMPORT_SAME] = "same",
    [IMPORT_REFUSED] = "refused",
};

static void row_json(struct json *j, const struct import_row *r)
{
	json_open(j, NULL, '{');
	json_u64(j, "line", r->line);
	json_text(j, "email", r->email);
	json_text(j, "what", words[r->what]);
	json_open(j, "changes", '[');
	for (size_t i = 0; i < r->changes; i++) {
		json_open(j, NULL, '{');
		json_text(j, "field", r->change[i].field);
		json_text(j, "old", r->change[i].old);
		json_text(j, "new", r->change[i].now);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_word(j, "reason", r->why != NULL ? r->why : "");
	json_close(j, '}');
}

static void escaped(const char *text)
{
	char shown[4096];

	err_escape(shown, sizeof(shown), text);
	fputs(shown, stdout);
}

static void change_print(const struct import_change *c, bool added, bool first)
{
	printf("%s%s ", first ? "  " : ", ", c->field);
	if (!added) {
		escaped(c->old[0] != '\0' ? c->old : "(none)");
		fputs(" -> ", stdout);
	}
	escaped(c->now[0] != '\0' ? c->now : "(none)");
}

/* What stays as it is would bury what does not. */
static void row_print(const struct import_row *r)
{
	if (r->what == IMPORT_SAME)
		return;
	printf("%-8s ", words[r->what]);
	escaped(r->email);
	if (r->what == IMPORT_REFUSED) {
		printf("  line %u: ", r->line);
		escaped(r->why);
	}
	for (size_t i = 0; i < r->changes; i++)
		change_print(&r->change[i], r->what == IMPORT_ADDED, i == 0);
	putchar('\n');
}

static void row_told(void *arg, const struct import_row *r)
{
	struct json *j = arg;

	if (j != NULL)
		row_json(j, r);
	else
		row_print(r);
}

static void counts_told(struct cli *cli, const struct import_counts *n, bool dry_run)
{
	reporter_info(cli->reporter, "%llu added, %llu changed, %llu unchanged%s",
		      (unsigned long long)n->added, (unsigned long long)n->changed,
		      (unsigned long long)n->same, dry_run ? "; nothing was written" : "");
}

int cmd_user_import(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct import_counts counts;
	struct json j = {stdout, false};
	enum import_flags flags = 0;
	int rc = cli_file_read(args->rest[0], CSV_FILE, &text, err);

	if (args_has(args, "update"))
		flags |= IMPORT_UPDATE;
	if (args_has(args, "dry-run"))
		flags |= IMPORT_DRY_RUN;
	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc < 0)
		return rc;
	if (cli->json)
		json_open(&j, NULL, '[');
	rc = user_import(s, bytes_in(&text), flags, row_told, cli->json ? &j : NULL, &counts, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	}
	if (rc < 0)
		return err_prefix(err, "%s", args->rest[0]);
	counts_told(cli, &counts, (flags & IMPORT_DRY_RUN) != 0);
	return 0;
}
