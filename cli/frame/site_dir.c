/* SPDX-License-Identifier: ISC */
/*
 * Which site a server's command is for: -s DIR, SATCHEL_SITE, or what /etc/satchel/server.yaml
 * names.
 */
#include <string.h>

#include "cli/frame/cli.h"
#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/base/places.h"
#include "core/format/yaml/yaml.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

const char *cli_site_dir(struct cli *cli, struct err *err)
{
	OWNED(fd_closep) int etc = -1;
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(buf_clear) struct buf text = BUF_INIT;

	if (cli->site != NULL)
		return cli->site;
	if (cli->station != NULL) {
		err_set(err, RC_USAGE,
			"this command acts on a site, but -w names a workstation: use -s DIR");
		return NULL;
	}
	etc = os_open_dir(PLACE_CONFIG, ERR_IGNORED);
	if (etc < 0 || file_read(etc, "server.yaml", LIMIT_DOCUMENT, &text, ERR_IGNORED) < 0) {
		err_set(err, RC_USAGE,
			"no site is given: name one with -s DIR, SATCHEL_SITE "
			"or " PLACE_CONFIG "/server.yaml");
		return NULL;
	}
	if (yaml_decode(bytes_in(&text), LIMIT_DOCUMENT, schema_find("server/1"),
			PLACE_CONFIG "/server.yaml", &y, err) < 0)
		return NULL;
	snprintf(cli->site_from_file, sizeof(cli->site_from_file), "%s",
		 node_text(node_get(yaml_root(y), "site"), ""));
	cli->site = cli->site_from_file;
	return cli->site;
}
