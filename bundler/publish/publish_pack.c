/* SPDX-License-Identifier: ISC */
/*
 * A pack file and the bundle made of it.
 *
 * One pack on its way; all rows are of one transaction, that of the generation:
 *
 *   open     a number from the registry, the file
 *   seal     the file is complete and flushed; its blocks are hashed by threads meanwhile
 *   bundle   rows of store and bundle
 *
 * A kill leaves a file without rows at most: it belongs to nobody, and store_sweep removes it.  So
 * the file must be flushed before the transaction is committed, never after.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/outbox/bundle_seal.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/pack/store.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "core/base/own.h"

int publish_pack_open(struct publishing *p, struct packing *k, struct pack_options *o,
		      struct err *err)
{
	char name[STORE_NAME];
	int rc = registry_next(p->s->db, "pack", &k->number, err);

	if (rc < 0)
		return rc;
	/* Once in a run, and before its first file: afterwards one of our own would be swept. */
	if (p->storefd < 0) {
		rc = store_sweep(p->s, err);
		if (rc < 0)
			return rc;
		p->storefd = store_dir(p->s, err);
		if (p->storefd < 0)
			return p->storefd;
	}
	store_name(name, k->number);
	o->dirfd = p->storefd;
	o->name = name;
	/*
	 * In the state directory, which is private: spools hold the names of all files of the
	 * source.
	 */
	o->spoolfd = p->s->statefd;
	o->rootfd = p->rootfd;
	o->mode_mask = p->c->special_modes ? 07777 : 0777;
	o->channel = p->c->name;
	o->reporter = p->s->reporter;
	o->arg = p;
	o->reading = publish_reading;
	return pack_open(o, &k->pack, err);
}

static void manifest_fill(const struct publishing *p, const struct packing *k, struct manifest *m)
{
	const struct pack_result *r = &k->packed;

	*m = (struct manifest){
	    .site = p->s->id,
	    .epoch = p->epoch,
	    .base = k->base,
	    .generation = p->generation,
	    .base_tree = k->base_tree,
	    .tree = p->tree,
	    .created = p->created,
	    .minimum = p->key > 0 ? MANIFEST_NEWEST : 1,
	    .content = r->content,
	    .unpacked = r->unpacked,
	    .payload = p->key > 0 ? bundle_sealed(r->size) : r->size,
	    .changes = content_changes(&p->salt, &r->changes),
	    .changes_size = r->changes_size,
	    .key = p->key,
	};
	memcpy(m->channel, p->c->name, sizeof(m->channel));
	memcpy(m->count, r->count, sizeof(m->count));
}

/* The frames of the file in the order of the payload. */
static void pieces_fill(const struct pack_result *r, struct depot_piece piece[BUNDLE_PIECES])
{
	piece[0] = (struct depot_piece){r->members, r->changes_end - r->members};
	piece[1] = (struct depot_piece){0, r->members};
	piece[2] = (struct depot_piece){r->changes_end, r->size - r->changes_end};
}

int publish_pack_seal(struct publishing *p, struct packing *k, struct err *err)
{
	struct depot_piece piece[BUNDLE_PIECES];
	int rc = pack_seal(k->pack, &k->packed, err);

	if (rc < 0)
		return rc;
	pieces_fill(&k->packed, piece);
	if (p->key > 0) /* each sealed block follows from the one before */
		return 0;
	return block_digests_start(pack_fd(k->pack), piece, &k->blocks, err);
}

/* Another stream under the content key, and the digests of its blocks. */
static int payload_seal(struct publishing *p, struct packing *k, struct published_bundle *b,
			struct manifest *m, struct buf *ret, struct err *err)
{
	OWNED(content_key_freep) struct content_key *key = NULL;
	struct bytes secret;
	int rc = sealed_secret(p->keys, p->c->name, p->key, &secret, err);

	if (rc == 0)
		rc = content_channel_new(secret, &p->salt, m, &key, err);
	return rc < 0 ? rc : bundle_seal_digests(pack_fd(k->pack), b->piece, key, ret, err);
}

/*
 * Over the digests of blocks that threads made while the rows were written; a workstation verifies
 * a payload block by block, before it unpacks anything.
 */
static int bundle_sign(struct publishing *p, struct packing *k, struct published_bundle *b,
		       struct err *err)
{
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	struct bytes blocks = {NULL, 0};
	struct manifest m;
	int rc;

	manifest_fill(p, k, &m);
	if (p->key > 0) {
		rc = payload_seal(p, k, b, &m, &sealed, err);
		blocks = bytes_in(&sealed);
	} else {
		rc = block_digests_end(k->blocks, &blocks, err);
	}
	if (rc < 0)
		return rc;
	rc = manifest_sign(p->s, &m, blocks, &b->prefix, &b->manifest, err);
	if (rc < 0)
		return rc;
	b->prefix_digest = digest_of(bytes_in(&b->prefix));
	b->size = bundle_size(b->prefix.n, b->payload);
	return 0;
}

/* The same content under the same number has the same name, which may just have been retired. */
static int bundle_needed(struct publishing *p, const struct published_bundle *b, struct err *err)
{
	char path[DEPOT_NAME];

	name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	return site_post_needed(p->s, path, err);
}

int publish_pack_bundle(struct publishing *p, struct packing *k, struct err *err)
{
	struct published_bundle b = {
	    .channel = p->c->name,
	    .epoch = p->epoch,
	    .base = k->base,
	    .generation = p->generation,
	    .pack = k->number,
	    .payload = p->key > 0 ? bundle_sealed(k->packed.size) : k->packed.size,
	    .key = p->key,
	};
	const struct store_pack row = {
	    .number = k->number,
	    .channel = p->c->name,
	    .epoch = p->epoch,
	    .base = k->base,
	    .generation = p->generation,
	    .size = k->packed.size,
	};
	int rc = store_add(p->s->db, &row, k->pack, err);

	pieces_fill(&k->packed, b.piece);
	if (rc == 0)
		rc = bundle_sign(p, k, &b, err);
	if (rc == 0)
		rc = published_bundle_add(p->s->db, &b, err);
	if (rc == 0)
		rc = bundle_needed(p, &b, err);
	if (rc == 0)
		p->counts->bundle += b.size;
	buf_clear(&b.prefix);
	publish_pack_close(k);
	return rc;
}

void publish_pack_close(struct packing *k)
{
	block_digests_freep(&k->blocks);
	pack_freep(&k->pack);
}

/*
 * The transaction takes the number back; should removing the file fail, the sweep of the next run
 * does it before the name is needed again.
 */
void publish_pack_discard(struct publishing *p, struct packing *k)
{
	char name[STORE_NAME];

	publish_pack_close(k);
	store_name(name, k->number);
	if (p->storefd >= 0 && k->number > 0)
		unlinkat(p->storefd, name, 0);
	k->number = 0;
}
