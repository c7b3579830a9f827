/* SPDX-License-Identifier: ISC */
/*
 * status: of the site, or of this workstation.
 */
#include "cli/status/status.h"
#include "cli/ask/ask.h"
#include "cli/workstation/station.h"
#include "watcher/control.h"

int cmd_status(struct cli *cli, const struct args *args, struct err *err)
{
	bool server;
	int rc = cli_on_server(cli, &server, err);

	if (rc == 0)
		rc = watch_ask(cli, server, CONTROL_STATUS, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	return server ? status_server(cli, args, err) : station_status(cli, err);
}
