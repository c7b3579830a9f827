/* SPDX-License-Identifier: ISC */
/*
 * Another content key for a sealed channel.  Its bundles are sealed anew, out of the content store,
 * and the head that is in force names them under their new names; generations, trees and what
 * publish keys have signed stay.  So it needs no source and no signature from elsewhere, and
 * workstations fetch nothing that they have.
 *
 * When the store has lost what a bundle was made of, this does nothing, and publish_channel makes a
 * full bundle under the new key instead (publish_sealed.c).
 */
#include <stdio.h>
#include <string.h>

#include "bundler/outbox/bundle_seal.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/sealed/sealed.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/own.h"

struct rekeying {
	struct site *s;
	const struct site_channel *c;
	struct keystore *keys; /* borrowed */
	uint64_t key;          /* the new one */
	struct bytes secret;   /* of it; borrowed */
	LIST(struct published_bundle) bundle;
	struct published_generation g; /* whose head is in force */
	struct head head;              /* owned: it */
};

static void rekeying_clear(struct rekeying *r)
{
	list_clear(&r->bundle);
	head_clear(&r->head);
}

static int bundle_keep(void *arg, const struct published_bundle *b, struct err *err)
{
	struct rekeying *r = arg;

	if (b->key == 0)
		return 0;
	return list_push(&r->bundle, *b, err);
}

/* What its manifest says, but for the sealing. */
static int manifest_old(const struct rekeying *r, const struct published_bundle *b,
			struct manifest *ret, struct err *err)
{
	OWNED(buf_clear) struct buf prefix = BUF_INIT;
	struct bundle_form form;
	struct signed_doc doc = {0};
	size_t need;
	int rc = published_bundle_prefix(r->s->db, b, &prefix, err);

	if (rc == 0)
		rc = bundle_form(bytes_in(&prefix), &need, &form, err);
	if (rc == 0)
		rc = err_set(err, RC_STATE,
			     "the registry is damaged: the prefix of a bundle is cut");
	if (rc > 0)
		rc = signed_split(form.manifest, 1, &doc, err);
	return rc < 0 ? rc : manifest_decode(doc.inner, ret, err);
}

/* Another stream under the new key; the digests of its blocks. */
static int payload_reseal(struct rekeying *r, const struct published_bundle *b, struct manifest *m,
			  struct buf *ret, struct err *err)
{
	OWNED(content_key_freep) struct content_key *key = NULL;
	OWNED(fd_closep) int fd = -1;
	struct published_file file = {.pack = b->pack};
	struct published_tree tree;
	int rc = published_bundle_pieces(r->s->db, b, file.piece, err);

	if (rc == 0)
		rc = fd = site_pack_open(r->s, &file, err);
	if (rc >= 0)
		rc = published_tree(r->s->db, r->c->name, b->epoch, b->generation, &tree, err);
	if (rc == 0 || (rc > 0 && digest_is_zero(&tree.salt)))
		rc = err_set(err, RC_STATE,
			     "the registry is damaged: a sealed generation has no salt");
	if (rc > 0)
		rc = content_channel_new(r->secret, &tree.salt, m, &key, err);
	return rc < 0 ? rc : bundle_seal_digests(fd, file.piece, key, ret, err);
}

static void head_note(struct rekeying *r, const struct published_bundle *b)
{
	for (size_t i = 0; i < r->head.bundles; i++) {
		struct head_bundle *h = &r->head.bundle[i];

		if (h->base == b->base && h->generation == b->generation) {
			h->prefix = b->prefix_digest;
			h->manifest = b->manifest;
			h->size = b->size;
		}
	}
}

static int bundle_reseal(struct rekeying *r, struct published_bundle *b, struct err *err)
{
	OWNED(buf_clear) struct buf blocks = BUF_INIT, fresh = BUF_INIT;
	char path[DEPOT_NAME];
	struct manifest m;
	int rc = manifest_old(r, b, &m, err);

	b->channel = r->c->name;
	name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	m.key = r->key;
	if (rc == 0)
		rc = payload_reseal(r, b, &m, &blocks, err);
	if (rc == 0)
		rc = manifest_sign(r->s, &m, bytes_in(&blocks), &fresh, &b->manifest, err);
	if (rc == 0)
		rc = site_post_retire(r->s, path, err);
	if (rc < 0)
		return rc;
	b->key = r->key;
	b->prefix_digest = digest_of(bytes_in(&fresh));
	b->size = bundle_size(fresh.n, b->payload);
	head_note(r, b);
	return published_bundle_resign(r->s->db, b, bytes_in(&fresh), err);
}

/* The head in force: 1, or 0 while the first generation waits for signatures. */
static int head_load(struct rekeying *r, struct err *err)
{
	OWNED(buf_clear) struct buf content = BUF_INIT;
	struct signed_doc doc;
	int rc = published_latest(r->s->db, r->c->name, &r->g, err);

	if (rc <= 0 || r->g.path[0] == '\0' || r->g.epoch != r->s->trust.epoch[ROLE_PUBLISH])
		return rc < 0 ? rc : 0;
	rc = registry_document_get(r->s->db, r->g.path, &content, err);
	if (rc == 0)
		rc = err_set(err, RC_STATE, "the registry has lost the head of channel %s",
			     r->c->name);
	if (rc > 0)
		rc = signed_split(bytes_in(&content), 1, &doc, err);
	if (rc == 0)
		rc = head_decode(doc.inner, &r->head, err);
	return rc < 0 ? rc : 1;
}

static int head_again(struct rekeying *r, struct err *err)
{
	OWNED(buf_clear) struct buf inner = BUF_INIT, raw = BUF_INIT;
	struct digest file;
	int rc = head_encode(&r->head, &inner, err);

	if (rc == 0)
		rc = document_sign(r->s, ROLE_PRIVATE, bytes_in(&inner), r->c->name, &raw,
				   &r->g.head, err);
	if (rc == 0)
		rc = site_post_retire(r->s, r->g.path, err);
	if (rc < 0)
		return rc;
	file = digest_of(bytes_in(&raw));
	name_head(r->g.path, r->c->name, r->g.epoch, r->g.generation, &file);
	rc = site_post_document(r->s, r->g.path, bytes_in(&raw), err);
	return rc < 0 ? rc : published_head_set(r->s->db, r->c->name, &r->g, false, err);
}

/* RC_ABSENT: the store has not everything. */
static int channel_reseal(struct rekeying *r, struct err *err)
{
	struct db *db = r->s->db;
	uint64_t epoch = r->s->trust.epoch[ROLE_PUBLISH];
	int head, rc = head_load(r, err);

	head = rc;
	if (rc >= 0)
		rc = published_bundles(db, r->c->name, EPOCH_ONLY(epoch), bundle_keep, r, err);
	if (rc == 0)
		rc = sealed_key(r->keys, r->c, &r->key, err);
	if (rc == 0)
		rc = sealed_secret(r->keys, r->c->name, r->key, &r->secret, err);
	for (size_t i = 0; rc == 0 && i < r->bundle.n; i++)
		rc = bundle_reseal(r, &r->bundle.items[i], err);
	if (rc == 0 && head > 0)
		rc = head_again(r, err);
	if (rc == 0 && head > 0)
		rc = publish_heads_refresh(r->s, r->c->name, &r->g, err);
	if (rc == 0)
		rc = sealed_drop(db, r->c->name, r->key, err);
	return rc < 0 ? rc : sealed_unsettle(db, r->c->name, err);
}

/* A transaction for each: the key, its bundles and the head change together or not at all. */
static int channel_rekey(struct site *s, const struct site_channel *c, struct err *err)
{
	OWNED(keystore_freep) struct keystore *keys = NULL;
	OWNED(rekeying_clear) struct rekeying r = {.s = s, .c = c};
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = keystore_new(s, &keys, err);
	r.keys = keys;
	if (rc == 0)
		rc = channel_reseal(&r, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int publish_rekey(struct site *s, struct err *err)
{
	struct err first = {0};

	for (size_t i = 0; i < s->channels; i++) {
		const struct site_channel *c = &s->channel[i];
		struct sealed_state state;
		struct err e = {0};
		int rc = c->sealed ? sealed_describe(s->db, c->name, &state, &e) : 0;

		if (rc == 0 && c->sealed && sealed_due(c, &state, clock_now()))
			rc = channel_rekey(s, c, &e);
		if (rc < 0 && rc != RC_ABSENT && first.rc == 0) {
			err_prefix(&e, "another content key for channel %s", c->name);
			first = e;
		}
	}
	if (first.rc < 0)
		*err = first;
	return first.rc;
}
