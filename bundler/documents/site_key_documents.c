/* SPDX-License-Identifier: ISC */
/*
 * keys/NAME.yaml: what an encryption key is for.
 */
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"

static void key_clear(void *element)
{
	struct site_key *k = element;

	free(k->description);
	memset(k, 0, sizeof(*k));
}

static int key_name_check(const char *name, int rc, struct err *err)
{
	return site_word_check("key", name, rc, err);
}

static int key_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *root = yaml_root(*y);
	struct site_key *k = ret;

	(void)name;
	site_word_copy(k->group, node_get(root, "group"));
	return site_text_keep(&k->description, node_get(root, "description"), err);
}

static void key_encode(const void *element, struct yaml_writer *w)
{
	const struct site_key *k = element;

	site_word_encode(w, "group", k->group);
	if (k->description != NULL)
		yaml_text(w, "description", k->description);
}

const struct site_kind site_key_kind = {
    .noun = "key",
    .directory = "keys",
    .schema = "key/1",
    .size = sizeof(struct site_key),
    SITE_KIND_LIST(key, keys),
    .name_check = key_name_check,
    .decode = key_decode,
    .encode = key_encode,
    .clear = key_clear,
};
