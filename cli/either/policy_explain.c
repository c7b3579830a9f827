/* SPDX-License-Identifier: ISC */
/*
 * policy explain: every value that is in force on a workstation, and why.
 */
#include "bundler/explain/policy_explain.h"
#include "bundler/entitlement/policy.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"

#include "cli/workstation/station.h"
#include "core/base/own.h"

static void said_json(struct json *j, const struct policy_said *said)
{
	json_raw(j, "value", said->text);
	json_text(j, "from", said->origin);
}

static int explain_json(struct json *j, const struct policy_explained *e)
{
	json_open(j, NULL, '{');
	json_text(j, "path", e->path);
	said_json(j, &e->said);
	json_open(j, "instead_of", '[');
	for (size_t i = 0; i < e->others; i++) {
		json_open(j, NULL, '{');
		said_json(j, &e->other[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
	return 0;
}

static int explain_row(void *arg, const struct policy_explained *e, struct err *err)
{
	struct output_list *l = arg;
	int rc;

	if (l->cli->json)
		return explain_json(&l->json, e);
	rc = output_list_cells(l, err, e->path, e->said.text, e->said.origin);
	for (size_t i = 0; rc == 0 && i < e->others; i++)
		rc =
		    output_list_cells(l, err, "  instead of", e->other[i].text, e->other[i].origin);
	return rc;
}

static int server_explain(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"SETTING", "VALUE", "FROM"};
	OWNED(site_freep) struct site *s = NULL;
	struct output_list l;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	if (rc == 0)
		rc = policies_explain_now(s, args->rest[0], args_text(args, "user", NULL),
					  explain_row, &l, err);
	return output_list_end(&l, rc, "");
}

int cmd_policy_explain(struct cli *cli, const struct args *args, struct err *err)
{
	bool server;
	int rc = cli_on_server(cli, &server, err);

	if (rc < 0)
		return rc;
	if (server != (args->rest_n > 0) || (!server && args_has(args, "user")))
		return err_set(
		    err, RC_USAGE,
		    "on a server, name a workstation: satchel policy explain WORKSTATION; on a "
		    "workstation, give no name");
	return server ? server_explain(cli, args, err) : station_policy_explain(cli, err);
}
