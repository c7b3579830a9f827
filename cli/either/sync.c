/* SPDX-License-Identifier: ISC */
/*
 * sync: everything now, on either side; and knocking at workstations.
 */
#include "bundler/publish/publish.h"
#include "bundler/site/site.h"
#include "cli/ask/ask.h"
#include "cli/frame/server_open.h"
#include "cli/server/server.h"
#include "cli/workstation/station.h"
#include "core/base/own.h"
#include "watcher/control.h"

static int server_sync(struct cli *cli, const struct args *args, struct err *err)
{
	static const struct args all;
	OWNED(site_freep) struct site *s = NULL;
	struct err bad = {0};
	int rc = server_open(cli, SITE_LOCK | SITE_UNREAD, &s, err), collected = 0;

	if (rc < 0)
		return rc;
	/* Whoever may write the inbox must not be able to keep the beat back.  That a document
	 * cannot be read is said by publish. */
	collected = server_collect(cli, s, &bad);
	if (s->unread.rc < 0 && collected == s->unread.rc)
		collected = 0;
	rc = server_publish(cli, s, &all, err);
	if (rc < 0 && collected < 0)
		reporter_warning(cli->reporter, "%s", bad.text);
	else if (collected < 0)
		rc = err_set(err, collected, "%s", bad.text);
	if (rc < 0 || !args_has(args, "knock"))
		return rc;
	rc = publish_knock(s, (const char *const *)args->rest, args->rest_n, err);
	if (rc == 0)
		reporter_info(
		    cli->reporter,
		    "knocked: workstations that watch the depot sync within seconds, on a share "
		    "within the poll-seconds of their policy");
	return rc;
}

int cmd_sync(struct cli *cli, const struct args *args, struct err *err)
{
	bool server, knock = args_has(args, "knock");
	int rc = cli_on_server(cli, &server, err);

	if (rc < 0)
		return rc;
	if (knock && !server)
		return err_set(err, RC_USAGE, "--knock works only on a server");
	if (knock != (args->rest_n > 0))
		return err_set(
		    err, RC_USAGE,
		    "--knock needs the names of workstations, or all; satchel sync alone takes no "
		    "name");
	rc = knock ? 0 : watch_ask(cli, server, CONTROL_SYNC, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return server ? server_sync(cli, args, err) : station_apply(cli, NULL, 0, false, err);
}
