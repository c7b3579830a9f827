/*
 * head/1: a generation of a channel and the bundles that lead to it.
 */
#include <string.h>

#include "core/format/member.h"

static const struct member head_members[] = {
    MEMBER(head, site, "site", DIGEST), MEMBER(head, channel, "channel", TEXT),
    MEMBER(head, epoch, "epoch", U64),  MEMBER(head, generation, "generation", U64),
    MEMBER(head, tree, "tree", DIGEST), MEMBER(head, created, "created", TIME),
};

static const struct member bundle_members[] = {
    MEMBER(head_bundle, base, "base", U64),
    MEMBER(head_bundle, generation, "generation", U64),
    MEMBER(head_bundle, size, "size", U64),
    MEMBER(head_bundle, prefix, "prefix", DIGEST),
    MEMBER(head_bundle, manifest, "manifest", DIGEST),
};

static int bundle_compare(const void *a, const void *b)
{
	const struct head_bundle *x = a, *y = b;

	if (x->base != y->base)
		return x->base < y->base ? -1 : 1;
	return (x->generation > y->generation) - (x->generation < y->generation);
}

static int head_bundles(const struct node *list, struct head *h, struct err *err)
{
	int rc = items_new(node_count(list), sizeof(*h->bundle), (void **)&h->bundle, err);

	for (size_t i = 0; rc == 0 && i < node_count(list); i++) {
		struct head_bundle *b = &h->bundle[h->bundles++];
		const struct node *n = node_at(list, i);

		rc = members_decode(n, bundle_members, ARRAY_LEN(bundle_members), b, err);
		if (rc == 0 && b->base >= b->generation)
			rc = node_error(n, err, "it does not lead upwards");
		if (rc == 0 && b->generation > h->generation)
			rc = node_error(n, err, "it leads above the head's generation");
		if (rc == 0 && i > 0 && bundle_compare(b - 1, b) >= 0)
			rc = node_error(n, err, "bundles must be in ascending order");
	}
	return rc;
}

int head_decode(struct bytes in, struct head *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(head_clear) struct head h = {0};
	size_t path[LIMIT_HEAD_BUNDLES], n;
	int rc = document_read(in, LIMIT_DOCUMENT, "head/1", NULL, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), head_members, ARRAY_LEN(head_members), &h, err);
	if (rc == 0)
		rc = head_bundles(node_get(yaml_root(y), "bundles"), &h, err);
	if (rc < 0)
		return rc;
	if (head_path(&h, 0, path, &n, err) < 0)
		return node_error(node_get(yaml_root(y), "bundles"), err,
				  "no way leads from generation 0 to the head's");
	*ret = h;
	h = (struct head){0};
	return 0;
}

static int head_check(const struct head *h, struct err *err)
{
	size_t path[LIMIT_HEAD_BUNDLES], n;

	if (h->bundles > LIMIT_HEAD_BUNDLES)
		return err_set(err, RC_LIMIT, "head of channel %s: more than %u bundles",
			       h->channel, LIMIT_HEAD_BUNDLES);
	return head_path(h, 0, path, &n, err);
}

static int head_again(struct bytes text, struct err *err)
{
	OWNED(head_clear) struct head same = {0};

	return head_decode(text, &same, err);
}

int head_encode(const struct head *h, struct buf *ret, struct err *err)
{
	struct head_bundle sorted[LIMIT_HEAD_BUNDLES];
	struct yaml_writer *w = NULL;
	int rc = head_check(h, err);

	if (rc == 0)
		rc = document_write("head/1", &w, err);
	if (rc < 0)
		return rc;
	memcpy(sorted, h->bundle, h->bundles * sizeof(sorted[0]));
	qsort(sorted, h->bundles, sizeof(sorted[0]), bundle_compare);
	members_encode(w, head_members, ARRAY_LEN(head_members), h);
	yaml_list(w, "bundles");
	for (size_t i = 0; i < h->bundles; i++) {
		yaml_map(w, NULL);
		members_encode(w, bundle_members, ARRAY_LEN(bundle_members), &sorted[i]);
		yaml_close(w);
	}
	yaml_close(w);
	return document_end(w, head_again, ret, err);
}

void head_clear(struct head *h)
{
	free(h->bundle);
	*h = (struct head){0};
}
