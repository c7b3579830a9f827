/* SPDX-License-Identifier: ISC */
/*
 * workstation decommission and remove: the end of a workstation.
 */
#include "bundler/enrolment/decommission.h"
#include "bundler/removal/removal.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"

#include "cli/frame/cli.h"
#include "core/base/own.h"

int cmd_workstation_decommission(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	const char *name = args->rest[0];
	bool lost = args_has(args, "lost");
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = lost ? decommission_lost(s, name, err) : decommission_begin(s, name, err);
	if (rc < 0)
		return rc;
	if (lost) {
		printf("revoked %s\n", name);
		reporter_info(
		    cli->reporter,
		    "rotate the keys that its users held there; satchel doctor names them");
		return 0;
	}
	printf("decommissioning %s\n", name);
	reporter_info(
	    cli->reporter,
	    "run satchel publish to tell the workstation; when its last receipt says that "
	    "everything is wiped, satchel workstation remove %s forgets it",
	    name);
	return 0;
}

int cmd_workstation_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = removal_workstation(s, args->rest[0], err);
	if (rc == 0)
		printf("removed %s\n", args->rest[0]);
	return rc;
}
