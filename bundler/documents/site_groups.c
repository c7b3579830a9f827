/* SPDX-License-Identifier: ISC */
/*
 * groups/NAME.yaml: people who get the same.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"

static void group_clear(void *element)
{
	struct site_group *g = element;

	site_list_clear(&g->channel, &g->channels);
	site_list_clear(&g->key, &g->keys);
	memset(g, 0, sizeof(*g));
}

static int group_name_check(const char *name, int rc, struct err *err)
{
	return site_word_check("group", name, rc, err);
}

static int group_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *root = yaml_root(*y);
	struct site_group *g = ret;
	int rc;

	(void)name;
	site_word_copy(g->parent, node_get(root, "parent"));
	site_word_copy(g->policy, node_get(root, "policy"));
	rc = site_list_keep(node_get(root, "channels"), &g->channel, &g->channels, err);
	if (rc == 0)
		rc = site_list_keep(node_get(root, "keys"), &g->key, &g->keys, err);
	return rc;
}

static void group_encode(const void *element, struct yaml_writer *w)
{
	const struct site_group *g = element;

	site_word_encode(w, "parent", g->parent);
	site_word_encode(w, "policy", g->policy);
	site_list_encode(w, "channels", g->channel, g->channels);
	site_list_encode(w, "keys", g->key, g->keys);
}

const struct site_kind site_group_kind = {
    .noun = "group",
    .directory = "groups",
    .schema = "group/1",
    .size = sizeof(struct site_group),
    SITE_KIND_LIST(group, groups),
    .name_check = group_name_check,
    .decode = group_decode,
    .encode = group_encode,
    .clear = group_clear,
};
