/* SPDX-License-Identifier: ISC */
/*
 * The site that a command of a server acts on, opened.
 */
#include "cli/frame/server_open.h"

#include "cli/frame/passphrase.h"

int server_open(struct cli *cli, enum site_flags flags, struct site **ret, struct err *err)
{
	const char *dir = cli_site_dir(cli, err);
	int rc;

	if (dir == NULL)
		return err->rc;
	rc = site_open(dir, flags, cli->reporter, ret, err);
	if (rc == 0)
		(*ret)->ask = &cli->passphrase->ask;
	return rc;
}
