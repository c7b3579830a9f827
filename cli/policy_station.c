/*
 * policy explain, on a workstation: what is in force, and where it comes from.
 */
#include "applier/policy.h"

#include "cli/station.h"
#include "cli/term.h"
#include "core/base/own.h"

struct explain {
	struct json *json; /* NULL: text */
	struct table table;
	const struct policy *policy;
};

static int line(struct explain *x, const char *path, const char *value, const char *origin,
		struct err *err)
{
	int rc;

	if (x->json != NULL) {
		json_open(x->json, NULL, '{');
		json_text(x->json, "path", path);
		json_raw(x->json, "value", value);
		json_text(x->json, "from", origin);
		json_close(x->json, '}');
		return 0;
	}
	rc = table_cell(&x->table, err, "%s", path);
	if (rc == 0)
		rc = table_cell(&x->table, err, "%s", value);
	return rc < 0 ? rc : table_cell(&x->table, err, "%s", origin);
}

static int each_item(void *arg, const struct policy_item *it, struct err *err)
{
	struct explain *x = arg;
	OWNED(buf_clear) struct buf value = BUF_INIT;
	int rc = policy_item_text(x->policy, it, &value, err);

	return rc < 0 ? rc : line(x, it->path, (const char *)value.p, it->origin, err);
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
			rc = line(x, path, (const char *)value.p,
				  i == POLICY_LOCAL_CHANGES ? "the owner of this workstation"
							    : "satchel by itself",
				  err);
	}
	return rc;
}

int station_policy_explain(struct cli *cli, struct err *err)
{
	static const char *const answers[] = {"replace", "keep", "fail"};
	OWNED(station_freep) struct station *s = NULL;
	OWNED(station_policy_clear) struct station_policy p = {0};
	struct json j = {stdout, false};
	struct explain x = {.json = cli->json ? &j : NULL, .policy = &p.effective.policy};
	int rc = station_open(cli->station, 0, cli->say, &s, err);

	if (rc == 0)
		rc = station_policy(s, &p, err);
	if (rc < 0)
		return rc;
	table_init(&x.table, 3, -1);
	if (cli->json)
		json_open(&j, NULL, '[');
	else if (table_cell(&x.table, err, "SETTING") < 0 ||
		 table_cell(&x.table, err, "VALUE") < 0 || table_cell(&x.table, err, "FROM") < 0)
		rc = err->rc;
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
		say_warning(cli->say,
			    "local changes: %s, because local-changes-allowed: in %s does not "
			    "allow what the policy chooses",
			    answers[p.local], s->config);
	return rc;
}
