/* SPDX-License-Identifier: ISC */
/*
 * The site that a command of a server acts on.
 */
#ifndef SATCHEL_CLI_FRAME_SERVER_OPEN_H
#define SATCHEL_CLI_FRAME_SERVER_OPEN_H

#include "bundler/site/site.h"
#include "cli/frame/cli.h"

/** server_open(cli, flags, ret, err): the site of -s DIR, SATCHEL_SITE or /etc/satchel/server.yaml,
 * owned by the caller (site_freep).  Errors: as site_open; RC_USAGE when none is named. */
int server_open(struct cli *cli, enum site_flags flags, struct site **ret, struct err *err);

#endif
