/* SPDX-License-Identifier: ISC */
/*
 * The content key of a bundle of a sealed channel, for who has it anyway: the server, out of its
 * key store, and a workstation that subscribes.  Only when the manifest is signed by the site, so
 * that nobody else's file is ever opened with it.
 */
#include "applier/open/open.h"
#include "applier/private/private.h"
#include "bundler/sealed/sealed.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/inspect/inspect_child.h"
#include "core/base/own.h"
#include "core/trust/trust.h"

static int server_key(struct cli *cli, const struct manifest *m, struct content_key **ret,
		      struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(keystore_freep) struct keystore *k = NULL;
	struct bytes secret = {0};
	int rc = server_open(cli, 0, &s, err);

	if (rc == 0)
		rc = keystore_new(s, &k, err);
	if (rc == 0)
		rc = sealed_secret(k, m->channel, m->key, &secret, err);
	return rc < 0 ? rc : content_channel_open(secret, m, ret, err);
}

static int station_key(struct cli *cli, const struct manifest *m, struct content_key **ret,
		       struct err *err)
{
	OWNED(station_freep) struct station *s = NULL;
	int rc = station_open(cli->station, 0, cli->reporter, &s, err);

	return rc < 0 ? rc : private_channel_key(s, m, ret, err);
}

int inspect_key(struct cli *cli, const struct trust *trust, const struct signed_doc *doc,
		struct content_key **ret, struct err *err)
{
	struct manifest m;
	bool server = false;
	int rc = trust_manifest(trust, doc, "bundle", err);

	if (rc == 0)
		rc = manifest_decode(doc->inner, &m, err);
	if (rc == 0)
		rc = cli_on_server(cli, &server, err);
	if (rc < 0)
		return rc;
	return server ? server_key(cli, &m, ret, err) : station_key(cli, &m, ret, err);
}
