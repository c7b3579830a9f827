/* SPDX-License-Identifier: ISC */
/*
 * activate: make a user active on this workstation.
 */
#include "applier/sync/activate.h"
#include "applier/open/open.h"

#include "cli/frame/cli.h"
#include "cli/frame/term.h"
#include "core/base/own.h"

static void activated_json(const struct activated *a)
{
	struct json j = {stdout, false};

	json_open(&j, NULL, '{');
	json_text(&j, "account", a->account);
	json_bool(&j, "again", a->again);
	json_u64(&j, "depots", a->depots);
	json_close(&j, '}');
	putchar('\n');
}

int cmd_activate(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	OWNED(freep) struct activated *a = calloc(1, sizeof(*a));
	OWNED(buf_wipe) struct buf code = BUF_SECRET;
	int rc = a == NULL ? err_memory(err) : args_secret(args, 0, &code, err);

	if (rc == 0)
		rc = station_open(cli->station, STATION_LOCK, cli->reporter, &s, err);
	if (rc == 0)
		rc = station_activate(s, (const char *)code.p, args_text(args, "account", NULL), a,
				      err);
	if (rc < 0)
		return rc;
	if (cli->json)
		activated_json(a);
	else
		printf("account     %s\n", a->account);
	if (a->again)
		reporter_info(cli->reporter, "this request is waiting for the server already");
	if (a->why.rc < 0)
		reporter_warning(cli->reporter, "%s", a->why.text);
	if (a->depots == 0)
		reporter_info(
		    cli->reporter,
		    "no depot is at hand; satchel sync writes the request into the next one");
	else
		reporter_info(
		    cli->reporter,
		    "when the server has collected the request and published, run satchel apply");
	return 0;
}
