/*
 * workstation decommission and remove: the end of a workstation.
 */
#include "bundler/decommission.h"

#include "cli/cli.h"
#include "cli/server.h"
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
		say_info(cli->say, "the keys that its users held there are to be rotated: satchel "
				   "key list shows them");
		return 0;
	}
	printf("decommissioning %s\n", name);
	say_info(cli->say,
		 "satchel publish tells it to wipe what it was entrusted with; when its last "
		 "receipt says so, satchel workstation remove %s forgets it",
		 name);
	return 0;
}

int cmd_workstation_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0)
		rc = decommission_remove(s, args->rest[0], err);
	if (rc == 0)
		printf("removed %s\n", args->rest[0]);
	return rc;
}
