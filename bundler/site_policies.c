/*
 * policies/NAME.yaml: values for satchel itself, and for other software.
 */
#include <string.h>

#include "bundler/site_internal.h"
#include "core/base/own.h"

static void policy_clear(void *element)
{
	struct site_policy *p = element;

	yaml_freep(&p->document);
	memset(p, 0, sizeof(*p));
}

static int policy_name_check(const char *name, int rc, struct err *err)
{
	return site_word_check("policy", name, rc, err);
}

/* A window without length could be read as never and as always. */
static int windows_check(const struct node *windows, struct err *err)
{
	for (size_t i = 0; i < node_count(windows); i++) {
		const struct node *n = node_at(windows, i);
		const char *text = node_text(n, "");

		if (strncmp(text, text + 6, 5) == 0)
			return node_error(n, err, "%s ends when it begins; always is 00:00-24:00",
					  text);
	}
	return 0;
}

static int policy_decode(struct yaml **y, const char *name, void *ret, struct err *err)
{
	const struct node *settings = node_get(yaml_root(*y), "settings");
	struct site_policy *p = ret;
	int rc = windows_check(node_get(settings, "apply-windows"), err);

	(void)name;
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
	yaml_node(w, "more", node_get(root, "more"));
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
    .clear = policy_clear,
};
