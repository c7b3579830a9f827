/* SPDX-License-Identifier: ISC */
/*
 * After a change of trust: what an old publish key signed is signed anew.  Workstations believe a
 * head only by a current key, and a manifest by a retired key only because such a head names it; a
 * revoked key vouches for nothing.  After a retired key a head keeps its identity, because only its
 * signature changes, and the bundles stay.  The bundles of a revoked key are signed anew: that
 * gives them new names, so whoever has fetched or carried a part of one begins again.  Content
 * stays.
 *
 * Needs no source and no scan, so it also works while sources are unmounted, unless the epoch of
 * publish was raised: then a channel begins again from its source.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/outbox/bundle_sign.h"
#include "bundler/outbox/site_post.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/bundle/bundle.h"

/* The counter that says for which version of trust everything was reviewed. */
#define RESIGNED "signed-for-trust"

#define TAR_RECORD 512

struct resigning {
	struct site *s;
	const char *channel;
	struct published_generation g;
	struct head head; /* owned: what its head says today */
	LIST(struct published_bundle) bundle;
	bool changed; /* some bundle has another prefix now */
};

static void resigning_clear(struct resigning *r)
{
	head_clear(&r->head);
	list_clear(&r->bundle);
}

static int bundle_keep(void *arg, const struct published_bundle *b, struct err *err)
{
	struct resigning *r = arg;
	struct published_bundle *to = list_add(&r->bundle, err);

	if (to == NULL)
		return err->rc;
	*to = *b;
	return 0;
}

/* The head lists a bundle by the digest of its prefix, which contains the signature. */
static void head_note(struct resigning *r, const struct published_bundle *b)
{
	for (size_t i = 0; i < r->head.bundles; i++) {
		struct head_bundle *h = &r->head.bundle[i];

		if (h->base != b->base || h->generation != b->generation)
			continue;
		h->prefix = b->prefix_digest;
		h->size = b->size;
		r->changed = true;
	}
}

static int bundle_retire(struct resigning *r, const struct published_bundle *b, struct err *err)
{
	char path[DEPOT_NAME];

	name_bundle(path, r->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	return site_post_retire(r->s, path, err);
}

/* The same manifest and the same blocks under a signature of today. */
static int bundle_resign(struct resigning *r, struct published_bundle *b, struct bytes prefix,
			 size_t doc_size, const struct signed_doc *doc, struct err *err)
{
	OWNED(buf_clear) struct buf fresh = BUF_INIT;
	struct digest identity;
	struct manifest m;
	struct bytes blocks;
	int rc = manifest_decode(doc->inner, &m, err);

	if (rc == 0)
		rc = bundle_prefix_check(prefix, doc_size, &m, &blocks, err);
	if (rc == 0)
		rc = bundle_retire(r, b, err);
	if (rc == 0)
		rc = manifest_sign(r->s, &m, blocks, &fresh, &identity, err);
	if (rc < 0)
		return rc;
	if (!digest_equal(&identity, &b->manifest))
		return err_set(err, RC_INTERNAL, "a manifest changed while it was signed anew");
	b->prefix_digest = digest_of(bytes_in(&fresh));
	b->size = bundle_size(fresh.n, b->payload);
	rc = published_bundle_resign(r->s->db, b, bytes_in(&fresh), err);
	if (rc == 0)
		head_note(r, b);
	return rc;
}

static int bundle_review(struct resigning *r, struct published_bundle *b, struct err *err)
{
	OWNED(buf_clear) struct buf prefix = BUF_INIT;
	struct signed_doc doc;
	size_t size = 0;
	int rc = published_bundle_prefix(r->s->db, b, &prefix, err);

	if (rc == 0 && prefix.n < TAR_RECORD)
		rc = err_set(err, RC_STATE, "the registry is damaged: a bundle has no prefix");
	if (rc == 0)
		rc = bundle_manifest_size(prefix.p, &size, err);
	if (rc == 0 && prefix.n - TAR_RECORD < size)
		rc = err_set(err, RC_STATE,
			     "the registry is damaged: the prefix of a bundle is cut");
	if (rc == 0)
		rc = signed_split((struct bytes){prefix.p + TAR_RECORD, size}, 1, &doc, err);
	if (rc < 0 || trust_manifest(&r->s->trust, &doc, "bundle", ERR_IGNORED) == 0)
		return rc;
	return bundle_resign(r, b, bytes_in(&prefix), size, &doc, err);
}

static int head_post(struct resigning *r, struct bytes inner, struct err *err)
{
	OWNED(buf_clear) struct buf raw = BUF_INIT;
	struct digest file;
	int rc = document_sign(r->s, ROLE_PRIVATE, inner, r->channel, &raw, &r->g.head, err);

	if (rc == 0)
		rc = site_post_retire(r->s, r->g.path, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&raw));
	name_head(r->g.path, r->channel, r->g.epoch, r->g.generation, &file);
	rc = site_post_document(r->s, r->g.path, bytes_in(&raw), err);
	return rc < 0 ? rc : published_head_set(r->s->db, r->channel, &r->g, false, err);
}

/* Of a head/1, which publish keys signed, there is nothing left when there are two hands. */
static bool head_good(const struct resigning *r, const struct signed_doc *doc)
{
	return trust_role(&r->s->trust, ROLE_PRIVATE, doc, "head", ERR_IGNORED) == 0;
}

/*
 * 1: the head has a release by keys of today.  0: it waits for signatures of keys that are kept
 * elsewhere; release_import makes the head when they have come.
 */
static int release_review(struct resigning *r, struct err *err)
{
	OWNED(buf_clear) struct buf release = BUF_INIT;
	struct publish_counts counts = {0};
	struct site_channel c = {0}; /* only its name: its document may be away */
	struct publishing p = {.s = r->s,
			       .c = &c,
			       .counts = &counts,
			       .epoch = r->g.epoch,
			       .generation = r->g.generation,
			       .tree = r->g.tree,
			       .salt = r->g.salt,
			       .created = r->g.created};
	int rc;

	snprintf(c.name, sizeof(c.name), "%s", r->channel);
	rc = publish_release(&p, &release, err);
	if (rc <= 0 || bytes_equal(bytes_in(&release), bytes_in(&r->head.release)))
		return rc;
	buf_clear(&r->head.release);
	r->head.release = release;
	release = (struct buf)BUF_INIT;
	r->changed = true;
	return 1;
}

/* One head: ${content} is the signed document that was posted. */
static int head_review(struct resigning *r, struct bytes content, struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	struct signed_doc doc;
	int rc = signed_split(content, 1, &doc, err);

	if (rc == 0)
		rc = head_decode(doc.inner, &r->head, err);
	if (rc == 0)
		rc = published_bundles(r->s->db, r->channel, EPOCH_ONLY(r->g.epoch), bundle_keep, r,
				       err);
	for (size_t i = 0; rc == 0 && i < r->bundle.n; i++)
		rc = bundle_review(r, &r->bundle.items[i], err);
	if (rc < 0)
		return rc;
	if (r->s->trust.format >= 2) {
		/* A newer generation that waits takes this one's place when it is signed. */
		rc = publish_waits(r->s, r->channel, err);
		if (rc == 0 && (rc = release_review(r, err)) > 0)
			rc = 0;
		else
			return rc < 0 ? rc : 0;
	}
	if (!r->changed && head_good(r, &doc))
		return 0;
	rc = r->changed ? head_encode(&r->head, &inner, err)
			: buf_add(&inner, doc.inner.p, doc.inner.n, err);
	return rc < 0 ? rc : head_post(r, bytes_in(&inner), err);
}

static int channel_review(struct site *s, const char *channel, struct err *err)
{
	OWNED(resigning_clear) struct resigning r = {.s = s, .channel = channel};
	OWNED(buf_clear) struct buf content = BUF_INIT;
	int rc = published_latest(s->db, channel, &r.g, err);

	/* Under a new epoch the channel starts again with a full bundle anyway. */
	if (rc <= 0 || r.g.path[0] == '\0' || r.g.epoch != s->trust.epoch[ROLE_PUBLISH])
		return rc < 0 ? rc : 0;
	rc = registry_document_get(s->db, r.g.path, &content, err);
	if (rc == 0)
		rc = err_set(err, RC_STATE,
			     "the registry has lost its head: the next change of its source makes "
			     "a new one");
	else if (rc == 1)
		rc = head_review(&r, bytes_in(&content), err);
	if (rc == 0)
		rc = publish_heads_refresh(s, channel, &r.g, err);
	return rc < 0 ? err_prefix(err, "signing channel %s anew", channel) : 0;
}

/* A transaction for each: a head and the manifests that it lists change together or not at all. */
static int channel_resign(struct site *s, const char *channel, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = channel_review(s, channel, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

static int name_keep(void *arg, const char *channel, struct err *err)
{
	return strings_add(arg, channel, err);
}

/*
 * Every channel that has bundles, also one whose document is away for the moment: when that comes
 * back, nothing else would sign its head.  A channel that cannot be signed anew keeps neither the
 * others nor the beat back.  The version is noted only when none is left, so the next run tries
 * again.
 */
int publish_resign(struct site *s, struct err *err)
{
	OWNED(strings_clear) struct strings channels = {0};
	uint64_t version = 0;
	int rc = registry_last(s->db, RESIGNED, &version, err);

	if (rc < 0 || version == s->trust.version)
		return rc;
	rc = published_channels(s->db, name_keep, &channels, err);
	for (size_t i = 0; i < channels.n; i++) {
		struct err e = {0};

		if (channel_resign(s, channels.items[i], &e) == 0)
			continue;
		if (rc < 0)
			reporter_warning(s->reporter, "%s", e.text);
		else
			*err = e;
		rc = err->rc;
	}
	return rc < 0 ? rc : registry_counter_set(s->db, RESIGNED, (int64_t)s->trust.version, err);
}
