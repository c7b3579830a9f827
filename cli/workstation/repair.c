/* SPDX-License-Identifier: ISC */
/*
 * The command repair: what differs on disk becomes again what was applied.
 */
#include <inttypes.h>
#include <string.h>

#include "applier/open/open.h"
#include "applier/sync/sync.h"
#include "cli/frame/show.h"
#include "cli/frame/term.h"
#include "core/base/own.h"

static void done_json(void *arg, const struct repair_done *done)
{
	struct json *j = arg;

	json_open(j, NULL, '{');
	json_text(j, "channel", done->channel);
	json_u64(j, "differed", done->entries);
	json_u64(j, "differs", done->rc < 0 ? done->entries : done->left);
	json_text(j, "result", rc_slug(done->rc));
	json_text(j, "reason", done->rc < 0 ? done->why : "");
	json_close(j, '}');
}

static void done_text(void *arg, const struct repair_done *done)
{
	struct cli *cli = arg;
	char why[4 * ERR_TEXT_MAX];

	term_line_end(cli->term);
	err_escape(why, sizeof(why), done->why);
	if (done->rc < 0)
		printf("%s: stays as it is: %s\n", done->channel, why);
	else if (done->entries == 0)
		printf("%s: nothing to repair\n", done->channel);
	else
		printf("%s: %" PRIu64 " %s repaired\n", done->channel, done->entries,
		       plural(done->entries, "entry", "entries"));
	if (done->rc == 0 && done->left > 0)
		printf("%s: %" PRIu64 " %s still\n", done->channel, done->left,
		       plural(done->left, "entry differs", "entries differ"));
}

int cmd_repair(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	struct json j = {stdout, false};
	struct repair_asked asked = {.each = done_text, .arg = cli};
	int rc;

	if (args->rest_n > 0)
		asked.channel = args->rest[0];
	if (args->rest_n > 1) {
		asked.path = (const char *const *)args->rest + 1;
		asked.paths = args->rest_n - 1;
	}
	rc = station_open(cli->station, STATION_LOCK, cli->reporter, &s, err);
	if (rc < 0)
		return rc;
	if (cli->json) {
		asked.each = done_json;
		asked.arg = &j;
		json_open(&j, NULL, '[');
	}
	rc = sync_repair(s, &asked, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	}
	return rc;
}
