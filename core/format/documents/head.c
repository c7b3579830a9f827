/* SPDX-License-Identifier: ISC */
/*
 * head/1 and head/2: a generation of a channel and the bundles that lead to it.  A head/2 contains
 * the signed release of the generation; what that says is not looked at here.
 */
#include <stdlib.h>
#include <string.h>

#include "core/format/documents/member.h"

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

static int head_release(const struct node *n, struct head *h, struct err *err)
{
	const char *text = node_text(n, "");
	size_t len = strlen(text), got = 0;
	int rc = buf_reserve(&h->release, len, err);

	if (rc == 0)
		rc = base64_decode(h->release.p, len, &got, text, len, err);
	if (rc < 0)
		return node_error(n, err, "it is not base64");
	h->release.n = got;
	return 0;
}

int head_decode(struct bytes in, struct head *ret, struct err *err)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	OWNED(head_clear) struct head h = {0};
	size_t path[LIMIT_HEAD_BUNDLES], n;
	bool second = signed_type(in, "head/2");
	int rc = document_read(in, LIMIT_DOCUMENT, second ? "head/2" : "head/1", NULL, &y, err);

	if (rc == 0)
		rc = members_decode(yaml_root(y), head_members, ARRAY_LEN(head_members), &h, err);
	if (rc == 0 && second)
		rc = head_release(node_get(yaml_root(y), "release"), &h, err);
	if (rc == 0)
		rc = head_bundles(node_get(yaml_root(y), "bundles"), &h, err);
	if (rc < 0)
		return rc;
	if (head_path(&h, 0, path, &n, err) < 0)
		return node_error(node_get(yaml_root(y), "bundles"), err,
				  "no bundles lead from generation 0 to the head's");
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

/* NULL without memory. */
static char *release_text(const struct buf *release)
{
	size_t n = BASE64_LEN(release->n) + 1;
	char *text = malloc(n);

	if (text != NULL)
		base64_encode(text, n, release->p, release->n);
	return text;
}

int head_encode(const struct head *h, struct buf *ret, struct err *err)
{
	struct head_bundle sorted[LIMIT_HEAD_BUNDLES];
	OWNED(freep) char *release = release_text(&h->release);
	struct yaml_writer *w = NULL;
	int rc = release == NULL ? err_memory(err) : head_check(h, err);

	if (rc == 0)
		rc = document_write(h->release.n > 0 ? "head/2" : "head/1", &w, err);
	if (rc < 0)
		return rc;
	memcpy(sorted, h->bundle, h->bundles * sizeof(sorted[0]));
	qsort(sorted, h->bundles, sizeof(sorted[0]), bundle_compare);
	members_encode(w, head_members, ARRAY_LEN(head_members), h);
	if (h->release.n > 0)
		yaml_text(w, "release", release);
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
	buf_clear(&h->release);
	*h = (struct head){0};
}
