/* SPDX-License-Identifier: ISC */
/*
 * What the commands of a workstation share.
 */
#ifndef SATCHEL_CLI_WORKSTATION_STATION_H
#define SATCHEL_CLI_WORKSTATION_STATION_H

#include "applier/sync/sync.h"
#include "cli/frame/cli.h"

/** station_messages(cli, args, err): print the messages of this workstation, newest first; one that
 * is shown in full counts as read.  Errors: as station_open and messages_find. */
int station_messages(struct cli *cli, const struct args *args, struct err *err);
/** station_status(cli, err): print what this workstation holds, who is active on it, and what it
 * waits for.  Errors: as station_open. */
int station_status(struct cli *cli, struct err *err);
/** station_apply(cli, what, flags, code, err): ${what} NULL: every depot; a directory: that depot;
 * a file: that bundle.  ${code}: the confirmation code is printed as well.  Errors: as sync_station
 * and sync_file. */
int station_apply(struct cli *cli, const char *what, enum sync_flags flags, bool code,
		  struct err *err);
/** station_policy_explain(cli, err): the policy in force, and where every value comes from. Errors:
 * as station_policy. */
int station_policy_explain(struct cli *cli, struct err *err);

#endif
