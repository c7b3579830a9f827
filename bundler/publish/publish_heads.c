/* SPDX-License-Identifier: ISC */
/*
 * With rings, several heads of a channel are in force at a time: the newest, what each ring is
 * offered, and what everybody is.  Each of them lists a whole way from nothing, so a bundle stays
 * as long as any of them names it.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_post.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "core/base/list.h"
#include "core/base/own.h"

struct head_set {
	struct site *s;
	const char *channel;
	LIST(struct published_generation) generation; /* owned: whose heads are in force */
	LIST(struct published_bundle) bundle;         /* owned: those that there are */
	bool *needed;                                 /* owned; parallel to ${bundle} */
};

static void head_set_clear(struct head_set *h)
{
	list_clear(&h->generation);
	list_clear(&h->bundle);
	free(h->needed);
}

static int generation_keep(void *arg, const struct published_generation *g, struct err *err)
{
	struct head_set *h = arg;

	return list_push(&h->generation, *g, err);
}

static int bundle_keep(void *arg, const struct published_bundle *b, struct err *err)
{
	struct head_set *h = arg;

	return list_push(&h->bundle, *b, err);
}

static int head_set_load(struct head_set *h, uint64_t epoch, struct err *err)
{
	int rc = published_heads_each(h->s->db, h->channel, epoch, generation_keep, h, err);

	if (rc == 0)
		rc =
		    published_bundles(h->s->db, h->channel, EPOCH_ONLY(epoch), bundle_keep, h, err);
	if (rc == 0 && (h->needed = calloc(h->bundle.n + 1, sizeof(*h->needed))) == NULL)
		rc = err_memory(err);
	return rc;
}

/* The document of a head: 1, or 0 when the registry has lost it. */
static int head_read(struct head_set *h, const struct published_generation *g, struct buf *content,
		     struct signed_doc *doc, struct head *ret, struct err *err)
{
	int rc = registry_document_get(h->s->db, g->path, content, err);

	if (rc <= 0)
		return rc;
	rc = signed_split(bytes_in(content), 1, doc, err);
	if (rc == 0)
		rc = head_decode(doc->inner, ret, err);
	return rc < 0 ? rc : 1;
}

static struct published_bundle *bundle_of(struct head_set *h, const struct head_bundle *b,
					  size_t *ret_at)
{
	for (size_t i = 0; i < h->bundle.n; i++)
		if (h->bundle.items[i].base == b->base &&
		    h->bundle.items[i].generation == b->generation) {
			*ret_at = i;
			return &h->bundle.items[i];
		}
	return NULL;
}

/* The bundles as they are now; true when something about them is new. */
static bool head_renew(struct head_set *h, struct head *head)
{
	bool changed = false;
	size_t at;

	for (size_t i = 0; i < head->bundles; i++) {
		struct head_bundle *to = &head->bundle[i];
		const struct published_bundle *b = bundle_of(h, to, &at);

		if (b == NULL || digest_equal(&b->prefix_digest, &to->prefix))
			continue;
		to->prefix = b->prefix_digest;
		to->manifest = b->manifest;
		to->size = b->size;
		changed = true;
	}
	return changed;
}

static int head_post(struct head_set *h, struct published_generation *g, const struct head *head,
		     struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT, raw = BUF_INIT;
	struct digest file;
	int rc = head_encode(head, &inner, err);

	if (rc == 0)
		rc = document_sign(h->s, ROLE_PRIVATE, bytes_in(&inner), h->channel, &raw, &g->head,
				   err);
	if (rc == 0)
		rc = site_post_retire(h->s, g->path, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&raw));
	name_head(g->path, h->channel, g->epoch, g->generation, &file);
	rc = site_post_document(h->s, g->path, bytes_in(&raw), err);
	return rc < 0 ? rc : published_head_set(h->s->db, h->channel, g, false, err);
}

static int head_refresh(struct head_set *h, struct published_generation *g, struct err *err)
{
	OWNED(buf_clear) struct buf content = BUF_INIT;
	OWNED(head_clear) struct head head = {0};
	struct signed_doc doc;
	int rc = head_read(h, g, &content, &doc, &head, err);

	if (rc <= 0)
		return rc;
	if (!head_renew(h, &head) &&
	    trust_role(&h->s->trust, ROLE_PRIVATE, &doc, "head", ERR_IGNORED) == 0)
		return 0;
	return head_post(h, g, &head, err);
}

int publish_heads_refresh(struct site *s, const char *channel, const struct published_generation *g,
			  struct err *err)
{
	OWNED(head_set_clear) struct head_set h = {.s = s, .channel = channel};
	int rc = head_set_load(&h, g->epoch, err);

	for (size_t i = 0; rc == 0 && i < h.generation.n; i++)
		if (h.generation.items[i].generation != g->generation)
			rc = head_refresh(&h, &h.generation.items[i], err);
	return rc;
}

static int head_needs(struct head_set *h, const struct published_generation *g, struct err *err)
{
	OWNED(buf_clear) struct buf content = BUF_INIT;
	OWNED(head_clear) struct head head = {0};
	struct signed_doc doc;
	size_t at;
	int rc = head_read(h, g, &content, &doc, &head, err);

	for (size_t i = 0; rc > 0 && i < head.bundles; i++)
		if (bundle_of(h, &head.bundle[i], &at) != NULL)
			h->needed[at] = true;
	return rc < 0 ? rc : 0;
}

static int bundle_idle_drop(struct head_set *h, struct published_bundle *b, struct err *err)
{
	char path[DEPOT_NAME];
	int rc;

	b->channel = h->channel;
	name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	rc = site_post_retire(h->s, path, err);
	return rc < 0 ? rc : published_bundle_drop(h->s->db, b, err);
}

int publish_heads_sweep(struct site *s, const char *channel, struct err *err)
{
	OWNED(head_set_clear) struct head_set h = {.s = s, .channel = channel};
	struct published_generation newest;
	int rc = published_latest(s->db, channel, &newest, err);

	if (rc <= 0)
		return rc;
	rc = published_heads_idle_take(s->db, channel, newest.epoch, publish_path_retire, s, err);
	if (rc == 0)
		rc = head_set_load(&h, newest.epoch, err);
	for (size_t i = 0; rc == 0 && i < h.generation.n; i++)
		rc = head_needs(&h, &h.generation.items[i], err);
	/* Later ones wait for signatures of publish keys. */
	for (size_t i = 0; rc == 0 && i < h.bundle.n; i++)
		if (!h.needed[i] && h.bundle.items[i].generation <= newest.generation)
			rc = bundle_idle_drop(&h, &h.bundle.items[i], err);
	return rc;
}
