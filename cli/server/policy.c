/* SPDX-License-Identifier: ISC */
/*
 * policy add, set, list, show, remove.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/site/site.h"
#include "cli/frame/server_open.h"
#include "cli/frame/show.h"
#include "cli/server/documents.h"
#include "core/base/own.h"
#include "core/format/policy/policy.h"

static int policy_none(const struct site *s, const char *name, struct err *err)
{
	return document_none("policy", name, s->policy, s->policies, sizeof(*s->policy), err);
}

/* values_take(args, list, ret_n, err): those of --set KEY=VALUE, cut in place, and of --unset. */
static int values_take(const struct args *args, struct site_value list[ARGS_MAX], size_t *ret_n,
		       struct err *err)
{
	char *given[ARGS_MAX];
	size_t n = args_list(args, "set", given);

	for (size_t i = 0; i < n; i++) {
		char *equals = strchr(given[i], '=');

		if (equals == NULL)
			return err_set(err, RC_USAGE, "--set needs KEY=VALUE, not \"%s\"",
				       given[i]);
		*equals = '\0';
		list[i] = (struct site_value){given[i], equals + 1};
	}
	*ret_n = n;
	n = args_list(args, "unset", given);
	for (size_t i = 0; i < n; i++)
		list[(*ret_n)++] = (struct site_value){given[i], NULL};
	return 0;
}

/* policy_write(...): the whole text of a file, or single values over what is there. */
static int policy_write(struct site *s, const char *name, const struct args *args, const char *done,
			struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct site_value list[ARGS_MAX];
	const char *from = args_text(args, "from", NULL);
	size_t n = 0;
	int rc = values_take(args, list, &n, err);

	if (rc == 0 && from != NULL && n > 0)
		return err_set(err, RC_USAGE,
			       "--from gives the whole document and cannot be used with --%s",
			       args_has(args, "set") ? "set" : "unset");
	if (rc == 0 && from != NULL) {
		rc = cli_file_read(from, LIMIT_DOCUMENT, &text, err);
		if (rc == 0)
			rc = site_policy_write(s, name, bytes_in(&text), err);
	} else if (rc == 0) {
		rc = site_policy_set(s, name, list, n, err);
	}
	if (rc == 0)
		printf("policy %s %s\n", name, done);
	return rc;
}

int cmd_policy_add(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && site_policy(s, args->rest[0]) != NULL)
		rc = document_there("policy", args->rest[0], err);
	return rc < 0 ? rc : policy_write(s, args->rest[0], args, "added", err);
}

int cmd_policy_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc;

	if (args->given_n == 0)
		return err_set(err, RC_USAGE,
			       "policy set needs --set KEY=VALUE, --unset KEY or --from FILE");
	rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0 && site_policy(s, args->rest[0]) == NULL)
		rc = policy_none(s, args->rest[0], err);
	return rc < 0 ? rc : policy_write(s, args->rest[0], args, "changed", err);
}

int cmd_policy_remove(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	int rc = server_open(cli, SITE_LOCK, &s, err);

	if (rc == 0 && site_policy(s, args->rest[0]) == NULL)
		return policy_none(s, args->rest[0], err);
	if (rc == 0)
		rc = site_document_remove(s, SITE_DOCUMENT_POLICY, args->rest[0], err);
	if (rc == 0)
		printf("policy %s removed\n", args->rest[0]);
	return rc;
}

static int part_json(struct json *j, const struct site_policy *p, const char *key, struct err *err)
{
	const struct node *n = node_get(yaml_root(p->document), key);
	OWNED(buf_clear) struct buf text = BUF_INIT;
	int rc = n != NULL ? policy_node_json(n, &text, err) : buf_text(&text, "{}", err);

	if (rc == 0)
		json_raw(j, key, (const char *)text.p);
	return rc;
}

static int policy_json(struct json *j, const struct site_policy *p, struct err *err)
{
	int rc;

	json_open(j, NULL, '{');
	json_text(j, "name", p->name);
	rc = part_json(j, p, "settings", err);
	if (rc == 0)
		rc = part_json(j, p, "values", err);
	json_close(j, '}');
	return rc;
}

static uint64_t used_by(const struct site *s, const char *name)
{
	uint64_t n = strcmp(s->baseline, name) == 0;

	for (size_t i = 0; i < s->groups; i++)
		n += strcmp(s->group[i].policy, name) == 0;
	for (size_t i = 0; i < s->workstations; i++)
		n += strcmp(s->workstation[i].policy, name) == 0;
	return n;
}

static int policy_row(struct output_list *l, const struct site *s, const struct site_policy *p,
		      struct err *err)
{
	const struct node *root = yaml_root(p->document);
	char settings[TEXT_SIZE], values[TEXT_SIZE], used[TEXT_SIZE];

	if (l->cli->json)
		return policy_json(&l->json, p, err);
	count_text(settings, node_count(node_get(root, "settings")));
	count_text(values, node_count(node_get(root, "values")));
	count_text(used, used_by(s, p->name));
	return output_list_cells(l, err, p->name, settings, values, used);
}

int cmd_policy_list(struct cli *cli, const struct args *args, struct err *err)
{
	static const char *const heading[] = {"POLICY", "SETTINGS", "VALUES", "NAMED BY"};
	OWNED(site_freep) struct site *s = NULL;
	struct output_list l;
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	rc = output_list_begin(cli, heading, ARRAY_LEN(heading), &l, err);
	for (size_t i = 0; i < s->policies && rc == 0; i++)
		rc = policy_row(&l, s, &s->policy[i], err);
	return output_list_end(&l, rc, "no policies yet; add one with satchel policy add NAME");
}

/* The text of a policy is what a person wants to see; it was read and is checked. */
static int policy_text(const struct site_policy *p, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	const struct node *root = yaml_root(p->document);
	char shown[8192];
	struct yaml_writer *w;
	int rc = yaml_writer_new(&w, err);

	if (rc < 0)
		return rc;
	yaml_text(w, "policy", p->name);
	yaml_node(w, "settings", node_get(root, "settings"));
	yaml_node(w, "values", node_get(root, "values"));
	rc = yaml_writer_end(w, &text, err);
	if (rc < 0)
		return rc;
	for (char *at = (char *)text.p, *row; (row = strsep(&at, "\n")) != NULL && at != NULL;) {
		err_escape(shown, sizeof(shown), row);
		puts(shown);
	}
	return 0;
}

int cmd_policy_show(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	const struct site_policy *p = NULL;
	struct json j = {stdout, false};
	int rc = server_open(cli, 0, &s, err);

	if (rc < 0)
		return rc;
	p = site_policy(s, args->rest[0]);
	if (p == NULL)
		return policy_none(s, args->rest[0], err);
	if (!cli->json)
		return policy_text(p, err);
	rc = policy_json(&j, p, err);
	putchar('\n');
	return rc;
}
