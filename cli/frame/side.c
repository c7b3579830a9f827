/* SPDX-License-Identifier: ISC */
/*
 * Commands that both sides have: is this a server or a workstation?
 */
#include <sys/stat.h>

#include "cli/frame/cli.h"
#include "core/base/places.h"

int cli_on_server(struct cli *cli, bool *ret, struct err *err)
{
	struct stat st;

	if (cli->site != NULL && cli->station != NULL)
		return err_set(err, RC_USAGE, "give -s (a site) or -w (a workstation), not both");
	if (cli->site == NULL && cli->station == NULL &&
	    stat(PLACE_CONFIG "/server.yaml", &st) != 0 &&
	    stat(PLACE_CONFIG "/workstation.yaml", &st) != 0)
		return err_set(
		    err, RC_USAGE,
		    "this machine is neither a server nor a workstation yet: name a site with -s "
		    "DIR or "
		    "SATCHEL_SITE, or a workstation with -w DIR");
	*ret = cli->site != NULL ||
	       (cli->station == NULL && stat(PLACE_CONFIG "/server.yaml", &st) == 0);
	return 0;
}
