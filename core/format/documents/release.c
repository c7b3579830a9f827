/* SPDX-License-Identifier: ISC */
/*
 * release/1: what a channel is at a generation, in the words of those who answer for its content.
 * It is small and changes only when content does, so the keys that sign it need not be on the
 * server.
 */
#include <stdlib.h>
#include <string.h>

#include "core/format/documents/member.h"

static const struct member release_members[] = {
    MEMBER(release, site, "site", DIGEST), MEMBER(release, channel, "channel", TEXT),
    MEMBER(release, epoch, "epoch", U64),  MEMBER(release, generation, "generation", U64),
    MEMBER(release, tree, "tree", DIGEST), MEMBER(release, created, "created", TIME),
};

static const struct member before_members[] = {
    MEMBER(release_tree, generation, "generation", U64),
    MEMBER(release_tree, tree, "tree", DIGEST),
};

static int release_before(const struct node *list, struct release *r, struct err *err)
{
	int rc = items_new(node_count(list), sizeof(*r->before), (void **)&r->before, err);

	for (size_t i = 0; rc == 0 && i < node_count(list); i++) {
		struct release_tree *b = &r->before[r->befores++];
		const struct node *n = node_at(list, i);

		rc = members_decode(n, before_members, ARRAY_LEN(before_members), b, err);
		if (rc == 0 && b->generation >= r->generation)
			rc = node_error(n, err, "it is not before this generation");
		if (rc == 0 && i > 0 && b->generation <= b[-1].generation)
			rc = node_error(n, err, "generations must be in ascending order");
	}
	return rc;
}

int release_decode(struct bytes in, struct release *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(release_clear) struct release r = {0};
	int rc = document_read(in, LIMIT_DOCUMENT, "release/1", NULL, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), release_members, ARRAY_LEN(release_members), &r,
				    err);
	if (rc == 0)
		rc = release_before(node_get(yaml_root(y), "before"), &r, err);
	if (rc < 0)
		return rc;
	*ret = r;
	r = (struct release){0};
	return 0;
}

static int release_again(struct bytes text, struct err *err)
{
	OWNED(release_clear) struct release same = {0};

	return release_decode(text, &same, err);
}

int release_encode(const struct release *r, struct buf *ret, struct err *err)
{
	struct yaml_writer *w = NULL;
	int rc = document_write("release/1", &w, err);

	if (rc < 0)
		return rc;
	members_encode(w, release_members, ARRAY_LEN(release_members), r);
	if (r->befores > 0) {
		yaml_list(w, "before");
		for (size_t i = 0; i < r->befores; i++) {
			yaml_map(w, NULL);
			members_encode(w, before_members, ARRAY_LEN(before_members), &r->before[i]);
			yaml_close(w);
		}
		yaml_close(w);
	}
	return document_end(w, release_again, ret, err);
}

const struct digest *release_tree(const struct release *r, uint64_t generation)
{
	if (generation == r->generation)
		return &r->tree;
	for (size_t i = 0; i < r->befores; i++)
		if (r->before[i].generation == generation)
			return &r->before[i].tree;
	return NULL;
}

void release_clear(struct release *r)
{
	free(r->before);
	*r = (struct release){0};
}
