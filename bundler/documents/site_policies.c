/* SPDX-License-Identifier: ISC */
/*
 * policies/NAME.yaml: values for satchel itself, and for other software.
 */
#include <string.h>

#include "bundler/documents/documents_internal.h"
#include "bundler/documents/site_model.h"
#include "core/base/own.h"
#include "core/format/policy/policy.h"

static void policy_document_clear(void *element)
{
	struct site_policy *p = element;

	policy_clear(&p->policy);
	yaml_freep(&p->document);
	memset(p, 0, sizeof(*p));
}

static int policy_name_check(const char *name, int rc, struct err *err)
{
	return site_word_check("policy", name, rc, err);
}

/* What no workstation could be given is refused where it is written. */
static int policy_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *root = yaml_root(*y);
	struct site_policy *p = ret;
	int rc;

	(void)name;
	rc = policy_make(node_get(root, "settings"), node_get(root, "values"), "", &p->policy, err);
	if (rc == 0)
		p->document = TAKE(*y);
	return rc;
}

static void policy_encode(const void *element, struct yaml_writer *w)
{
	const struct site_policy *p = element;
	const struct node *root = yaml_root(p->document);

	yaml_node(w, "settings", node_get(root, "settings"));
	yaml_node(w, "values", node_get(root, "values"));
}

const struct site_kind site_policy_kind = {
    .noun = "policy",
    .directory = "policies",
    .schema = "policy/1",
    .size = sizeof(struct site_policy),
    SITE_KIND_LIST(policy, policies),
    .name_check = policy_name_check,
    .decode = policy_decode,
    .encode = policy_encode,
    .clear = policy_document_clear,
};
