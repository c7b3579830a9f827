/* SPDX-License-Identifier: ISC */
/*
 * effective/1: the policy that is in force, with the origin of every value.  Machine-made, but
 * without x-style: block, because a list that is empty on purpose says something.
 */
#include <string.h>

#include "core/format/documents/member.h"
#include "core/format/policy/policy_internal.h"

void effective_clear(struct effective *e)
{
	policy_clear(&e->policy);
	yaml_freep(&e->document);
}

/* The origins in the order of what they belong to. */
struct origins {
	struct policy *p;
	const struct node *list;
	size_t at;
};

static int origin_take(void *arg, const struct policy_item *it, struct err *err)
{
	struct origins *o = arg;
	const struct node *n = node_at(o->list, o->at++);
	const char *from = node_text(node_get(n, "from"), "");

	if (n == NULL)
		return err_set(err, RC_MALFORMED, "%.200s has no origin", it->path);
	if (strcmp(node_text(node_get(n, "path"), ""), it->path) != 0)
		return node_error(n, err, "expected the origin of %.200s here", it->path);
	if (strlen(from) >= POLICY_ORIGIN)
		return node_error(n, err, "an origin of more than %u bytes", POLICY_ORIGIN - 1);
	if (it->value == NULL)
		o->p->origin[it->setting] = from;
	else
		((struct policy_value *)(uintptr_t)it->value)->origin = from;
	return 0;
}

/*
 * Settings that 0.2.0 does not know stand below more:, where it passes over them.  One that is no
 * good here counts as not said.
 */
static void later_take(const struct node *more, struct policy *p)
{
	const struct node *settings = node_get(more, "settings");
	const struct node *origins = node_get(more, "origins");

	for (size_t i = POLICY_LATER; i < POLICY_SETTINGS; i++) {
		const char *name = policy_setting_name((enum policy_setting)i);
		uint64_t n = node_u64(node_get(settings, name), UINT64_MAX);

		if (n < policy_rows[i].min || n > policy_rows[i].max)
			continue;
		*(uint64_t *)((uint8_t *)&p->settings + policy_rows[i].offset) = n;
		p->settings.said |= 1u << i;
		p->origin[i] = node_text(node_get(origins, name), "");
	}
}

static void later_write(struct yaml_writer *w, const struct policy *p)
{
	yaml_map(w, "more");
	yaml_map(w, "origins");
	for (size_t i = POLICY_LATER; i < POLICY_SETTINGS; i++)
		if ((p->settings.said & 1u << i) != 0)
			yaml_text(w, policy_setting_name((enum policy_setting)i), p->origin[i]);
	yaml_close(w);
	yaml_map(w, "settings");
	for (size_t i = POLICY_LATER; i < POLICY_SETTINGS; i++)
		if ((p->settings.said & 1u << i) != 0)
			yaml_u64(w, policy_setting_name((enum policy_setting)i),
				 *(const uint64_t *)((const uint8_t *)&p->settings +
						     policy_rows[i].offset));
	yaml_close(w);
	yaml_close(w);
}

int effective_decode(struct bytes in, const char *file, struct effective *ret, struct err *err)
{
	OWNED(effective_clear) struct effective e = {0};
	const struct node *root;
	struct origins o = {.p = &e.policy};
	int rc = document_read(in, LIMIT_DOCUMENT, "effective/1", file, &e.document, err);

	if (rc < 0)
		return rc;
	root = yaml_root(e.document);
	o.list = node_get(root, "origins");
	rc = policy_make(node_get(root, "settings"), node_get(root, "values"), "", &e.policy, err);
	if (rc == 0)
		rc = policy_values_sorted(node_get(root, "values"), err);
	if (rc == 0)
		rc = policy_each(&e.policy, origin_take, &o, err);
	if (rc == 0 && o.at != node_count(o.list))
		rc = node_error(node_at(o.list, o.at), err, "an origin of nothing");
	if (rc < 0)
		return rc;
	later_take(node_get(root, "more"), &e.policy);
	*ret = e;
	e = (struct effective){0};
	return 0;
}

static int origin_write(void *arg, const struct policy_item *it, struct err *err)
{
	struct yaml_writer *w = arg;

	yaml_map(w, NULL);
	yaml_text(w, "path", it->path);
	yaml_text(w, "from", it->origin);
	yaml_close(w);
	return 0;
}

static int effective_again(struct bytes text, struct err *err)
{
	OWNED(effective_clear) struct effective same = {0};

	return effective_decode(text, NULL, &same, err);
}

int effective_encode(const struct policy *p, struct buf *ret, struct err *err)
{
	OWNED(yaml_writer_freep) struct yaml_writer *w = NULL;
	struct policy known = *p; /* what 0.2.0 knows; its values are borrowed */
	int rc = document_write("effective/1", &w, err);

	if (rc < 0)
		return rc;
	known.settings.said &= (1u << POLICY_LATER) - 1;
	policy_settings_write(w, &known.settings);
	policy_values_write(w, &known.values);
	yaml_list(w, "origins");
	rc = policy_each(&known, origin_write, w, err);
	yaml_close(w);
	if ((p->settings.said & ~((1u << POLICY_LATER) - 1)) != 0)
		later_write(w, p);
	return rc < 0 ? rc : document_end(TAKE(w), effective_again, ret, err);
}
