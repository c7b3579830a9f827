/*
 * sync: everything now, on either side; and knocking at workstations.
 */
#include "bundler/publish.h"
#include "cli/server.h"
#include "cli/station.h"
#include "cli/watch.h"
#include "core/base/own.h"
#include "watcher/control.h"

static int server_sync(struct cli *cli, const struct args *args, struct err *err)
{
	static const struct args all;
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = server_collect(cli, s, err);
	if (rc == 0)
		rc = server_publish(cli, s, &all, err);
	if (rc < 0 || !args_has(args, "knock"))
		return rc;
	rc = publish_knock(s, (const char *const *)args->rest, args->rest_n, err);
	if (rc == 0)
		say_info(
		    cli->say,
		    "knocked: workstations that see the depot look within seconds, on a share within "
		    "the poll-seconds of their policy");
	return rc;
}

int cmd_sync(struct cli *cli, const struct args *args, struct err *err)
{
	bool server, knock = args_has(args, "knock");
	int rc = cli_on_server(cli, &server, err);

	if (rc < 0)
		return rc;
	if (knock && !server)
		return err_set(err, RC_USAGE, "only a server knocks at workstations");
	if (knock != (args->rest_n > 0))
		return err_set(
		    err, RC_USAGE,
		    "satchel sync --knock WORKSTATION... names them (or all), and satchel "
		    "sync alone takes no name");
	rc = knock ? 0 : watch_ask(cli, server, CONTROL_SYNC, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return server ? server_sync(cli, args, err) : station_apply(cli, NULL, 0, false, err);
}
