/* SPDX-License-Identifier: ISC */
/*
 * subscription/1: a channel that a workstation subscribes to.
 */
#include "core/format/documents/member.h"

static const struct member subscription_members[] = {
    MEMBER(subscription, name, "name", TEXT),
    MEMBER(subscription, target, "target", TEXT),
    MEMBER(subscription, owners, "owners", BOOL),
    MEMBER(subscription, special_modes, "special-modes", BOOL),
    MEMBER(subscription, on_leave, "on-leave", TEXT),
};

/* Below `more`: who passes over it gets what is released to all. */
static void subscription_more(const struct node *more, struct subscription *s)
{
	const struct node *ceiling = node_get(more, "ceiling");
	struct subscription_ceiling c = {.epoch = node_u64(node_get(ceiling, "epoch"), 0),
					 .generation =
					     node_u64(node_get(ceiling, "generation"), 0)};

	if (c.generation > 0 &&
	    hex_decode(c.head.b, sizeof(c.head.b), node_text(node_get(ceiling, "head"), ""),
		       ERR_IGNORED) == 0)
		s->ceiling = c;
}

int subscription_decode(struct bytes in, const char *file, struct subscription *ret,
			struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct subscription s = {0};
	int rc = document_read(in, LIMIT_DOCUMENT, "subscription/1", file, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), subscription_members,
				    ARRAY_LEN(subscription_members), &s, err);
	if (rc < 0)
		return rc;
	subscription_more(node_get(yaml_root(y), "more"), &s);
	*ret = s;
	return 0;
}

static int subscription_again(struct bytes text, struct err *err)
{
	struct subscription same;

	return subscription_decode(text, NULL, &same, err);
}

int subscription_encode(const struct subscription *s, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	int rc = document_write("subscription/1", &w, err);

	if (rc < 0)
		return rc;
	members_encode(w, subscription_members, ARRAY_LEN(subscription_members), s);
	yaml_map(w, "more");
	if (s->ceiling.generation > 0) {
		yaml_map(w, "ceiling");
		yaml_u64(w, "epoch", s->ceiling.epoch);
		yaml_u64(w, "generation", s->ceiling.generation);
		yaml_digest(w, "head", &s->ceiling.head);
		yaml_close(w);
	}
	yaml_close(w);
	return document_end(w, subscription_again, ret, err);
}
