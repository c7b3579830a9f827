/* SPDX-License-Identifier: ISC */
/*
 * policy explain, on a workstation: what is in force, and where it comes from.
 */
#include "applier/open/open.h"
#include "applier/private/policy.h"

#include "cli/frame/term.h"
#include "cli/workstation/station.h"
#include "core/base/own.h"

struct explain {
	struct json *json; /* NULL: text */
	struct table table;
	const struct policy *policy;
};

static int explain_line(struct explain *x, const char *path, const char *value, const char *origin,
			struct err *err)
{
	if (x->json != NULL) {
		json_open(x->json, NULL, '{');
		json_text(x->json, "path", path);
		json_raw(x->json, "value", value);
		json_text(x->json, "from", origin);
		json_close(x->json, '}');
		return 0;
	}
	return table_row(&x->table, err, path, value, origin);
}

static int each_item(void *arg, const struct policy_item *it, struct err *err)
{
	struct explain *x = arg;
	OWNED(buf_clear) struct buf value = BUF_INIT;
	int rc = policy_item_text(x->policy, it, &value, err);

	return rc < 0 ? rc : explain_line(x, it->path, (const char *)value.p, it->origin, err);
}

/* What no policy says. */
static int settings_rest(struct explain *x, const struct policy_settings *p, struct err *err)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < POLICY_SETTINGS; i++) {
		OWNED(buf_clear) struct buf value = BUF_INIT;
		char path[64];

		if (p->said & (1u << i))
			continue;
		snprintf(path, sizeof(path), "settings.%s", policy_setting_name(i));
		rc = policy_setting_text(p, i, &value, err);
		if (rc == 0)
			rc = explain_line(x, path, (const char *)value.p,
					  i == POLICY_LOCAL_CHANGES ? "the workstation's owner"
								    : "satchel itself",
					  err);
	}
	return rc;
}

int station_policy_explain(struct cli *cli, struct err *err)
{
	static const char *const heading[] = {"SETTING", "VALUE", "FROM"};
	static const char *const answers[] = {"replace", "keep", "fail"};
	OWNED(station_freep) struct station *s = NULL;
	OWNED(station_policy_clear) struct station_policy p = {0};
	struct json j = {stdout, false};
	struct explain x = {.json = cli->json ? &j : NULL, .policy = &p.effective.policy};
	int rc = station_open(cli->station, 0, cli->reporter, &s, err);

	if (rc == 0)
		rc = station_policy(s, &p, err);
	if (rc < 0)
		return rc;
	rc = table_head(&x.table, heading, ARRAY_LEN(heading), -1, err);
	if (cli->json)
		json_open(&j, NULL, '[');
	if (rc == 0)
		rc = policy_each(x.policy, each_item, &x, err);
	if (rc == 0)
		rc = settings_rest(&x, &x.policy->settings, err);
	if (cli->json) {
		json_close(&j, ']');
		putchar('\n');
	} else if (rc == 0) {
		table_print(&x.table, cli->term, stdout);
	}
	table_clear(&x.table);
	if (rc == 0 && p.local_refused)
		reporter_warning(
		    cli->reporter,
		    "local changes: %s, because local-changes-allowed: in %s does not allow the "
		    "choice of the policy",
		    answers[p.local], s->config);
	return rc;
}
