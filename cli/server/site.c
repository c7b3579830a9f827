/* SPDX-License-Identifier: ISC */
/*
 * site set; workstation set.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/site/site.h"
#include "bundler/workstations/workstations.h"
#include "cli/frame/server_open.h"
#include "cli/server/documents.h"
#include "core/base/own.h"

int cmd_site_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	struct site_value list[ARGS_MAX];
	int rc;

	if (args->given_n == 0)
		return err_set(err, RC_USAGE, "site set needs an option, such as --policy NAME");
	for (size_t i = 0; i < args->given_n; i++) {
		const char *text = args->given[i].value;

		list[i] =
		    (struct site_value){args->given[i].row->name, text[0] != '\0' ? text : NULL};
	}
	rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = site_set(s, list, args->given_n, err);
	if (rc == 0)
		puts("site.yaml changed");
	return rc;
}

/* One that is enrolled and has no document yet gets one. */
static int workstation_known(struct site *s, const char *name, struct err *err)
{
	int rc = workstation_name_known(s->db, name, err);

	if (rc != 0 || site_workstation(s, name) != NULL)
		return rc < 0 ? rc : 0;
	return document_none("workstation", name, s->workstation, s->workstations,
			     sizeof(*s->workstation), err);
}

int cmd_workstation_set(struct cli *cli, const struct args *args, struct err *err)
{
	OWNED(site_freep) struct site *s = NULL;
	OWNED(words_clear) struct words labels = {0};
	struct site_workstation w = {.name = ""};
	int rc = document_name("workstation", args->rest[0], w.name, sizeof(w.name), err);

	if (rc == 0)
		rc = server_open(cli, SITE_LOCK, &s, err);
	if (rc == 0)
		rc = workstation_known(s, w.name, err);
	if (rc < 0)
		return rc;
	if (site_workstation(s, w.name) != NULL)
		w = *site_workstation(s, w.name);
	rc = option_word(args, "policy", w.policy, err);
	if (rc == 0)
		rc = option_words(args, "label", w.label, w.labels, &labels, err);
	w.label = labels.item;
	w.labels = labels.n;
	if (rc == 0)
		rc = site_workstation_write(s, &w, err);
	if (rc == 0)
		printf("workstation %s changed\n", w.name);
	return rc;
}
