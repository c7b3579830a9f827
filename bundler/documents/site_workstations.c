/* SPDX-License-Identifier: ISC */
/*
 * workstations/NAME.yaml.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"

static void workstation_clear(void *element)
{
	struct site_workstation *w = element;

	site_list_clear(&w->label, &w->labels);
	memset(w, 0, sizeof(*w));
}

int site_workstation_name_check(const char *name, int rc, struct err *err)
{
	size_t n = strlen(name);

	if (n == 0 || n >= WORKSTATION_NAME || strchr("._-", name[0]) != NULL ||
	    strcmp(name, "all") == 0 ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			 "0123456789._-") != n)
		return err_set(
		    err, rc,
		    "\"%s\" cannot be a workstation's name: letters, digits, \".\", "
		    "\"_\" and \"-\", at most 127, beginning with a letter or digit, and "
		    "not \"all\", which means every workstation",
		    name);
	return 0;
}

static int workstation_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *root = yaml_root(*y), *inside = node_get(root, "name");
	struct site_workstation *w = ret;

	if (strcmp(node_text(inside, ""), name) != 0)
		return node_error(inside, err, "expected \"%s\", as the file is called, not \"%s\"",
				  name, node_text(inside, ""));
	site_word_copy(w->policy, node_get(root, "policy"));
	return site_list_keep(node_get(root, "labels"), &w->label, &w->labels, err);
}

static void workstation_encode(const void *element, struct yaml_writer *w)
{
	const struct site_workstation *ws = element;

	yaml_text(w, "name", ws->name);
	site_list_encode(w, "labels", ws->label, ws->labels);
	site_word_encode(w, "policy", ws->policy);
}

const struct site_kind site_workstation_kind = {
    .noun = "workstation",
    .directory = SITE_WORKSTATIONS,
    .schema = "workstation/1",
    .size = sizeof(struct site_workstation),
    SITE_KIND_LIST(workstation, workstations),
    .name_check = site_workstation_name_check,
    .decode = workstation_decode,
    .encode = workstation_encode,
    .clear = workstation_clear,
};

const struct site_workstation *site_workstation_or(const struct site *s, const char *name,
						   struct site_workstation *spare)
{
	const struct site_workstation *w = site_workstation(s, name);

	if (w != NULL)
		return w;
	memset(spare, 0, sizeof(*spare));
	snprintf(spare->name, sizeof(spare->name), "%s", name);
	return spare;
}
