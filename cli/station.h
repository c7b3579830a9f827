/*
 * What the commands of a workstation share.
 */
#ifndef SATCHEL_CLI_STATION_H
#define SATCHEL_CLI_STATION_H

#include "applier/sync.h"
#include "cli/cli.h"

/** station_messages(cli, args, err): messages of this workstation, newest first. */
int station_messages(struct cli *cli, const struct args *args, struct err *err);
int station_status(struct cli *cli, struct err *err);
/** station_apply(cli, what, flags, code, err): ${what} NULL: every depot; a directory: that depot;
 * a file: that bundle.  ${code}: and the confirmation code is shown. */
int station_apply(struct cli *cli, const char *what, enum sync_flags flags, bool code,
		  struct err *err);
/** station_policy_explain(cli, err): the policy in force, and where every value comes from. */
int station_policy_explain(struct cli *cli, struct err *err);

/** fingerprint_text(dst, id): in groups of four, as people compare them. */
void fingerprint_text(char dst[WORKSTATION_ID + 8], const char *id);

#endif
