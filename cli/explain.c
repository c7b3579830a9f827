/*
 * policy explain: every value that is in force on a workstation, and why.
 */
#include "bundler/policy.h"

#include "cli/documents.h"
#include "cli/server.h"
#include "cli/station.h"
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
	struct listing *l = arg;
	int rc;

	if (l->cli->json)
		return explain_json(&l->json, e);
	rc = listing_cells(l, err, e->path, e->said.text, e->said.origin);
	for (size_t i = 0; rc == 0 && i < e->others; i++)
		rc = listing_cells(l, err, "  instead of", e->other[i].text, e->other[i].origin);
	return rc;
}

static int server_explain(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"SETTING", "VALUE", "FROM"};
	OWNED(site_freep) struct site *s = NULL;
	struct listing l;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	rc = listing_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	if (rc == 0)
		rc = policies_explain_now(s, args->rest[0], args_text(args, "user", NULL),
					  explain_row, &l, err);
	return listing_end(&l, rc, "");
}

int cmd_policy_explain(struct cli *cli, const struct args *args, struct err *err)
{
	bool server;
	int rc = cli_on_server(cli, &server, err);

	if (rc < 0)
		return rc;
	if (server != (args->rest_n > 0) || (!server && args_has(args, "user")))
		return err_set(err, RC_USAGE,
			       "on a server satchel policy explain names a workstation; on a "
			       "workstation it explains what is in force there");
	return server ? server_explain(cli, args, err) : station_policy_explain(cli, err);
}
