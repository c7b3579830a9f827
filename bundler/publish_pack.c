/*
 * A pack file and the bundle made of it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"
#include "bundler/registry.h"
#include "core/base/own.h"

int publish_pack_open(struct publishing *p, struct packing *k, struct pack_options *o,
		      struct err *err)
{
	char name[STORE_NAME];
	int rc = registry_next(p->s->db, "pack", &k->number, err);

	if (rc < 0)
		return rc;
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
	o->spoolfd = p->s->statefd;
	o->rootfd = p->rootfd;
	o->mode_mask = p->c->special_modes ? 07777 : 0777;
	o->channel = p->c->name;
	o->say = p->s->say;
	o->arg = p;
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
	    .minimum = 1,
	    .content = r->content,
	    .unpacked = r->unpacked,
	    .payload = r->size,
	    .changes = r->changes,
	    .changes_size = r->changes_size,
	};
	memcpy(m->channel, p->c->name, sizeof(m->channel));
	memcpy(m->count, r->count, sizeof(m->count));
}

/* The frames of the file in the order of the payload. */
static void pieces_fill(const struct pack_result *r, struct depot_piece piece[PUBLISH_PIECES])
{
	piece[0] = (struct depot_piece){r->members, r->changes_end - r->members};
	piece[1] = (struct depot_piece){0, r->members};
	piece[2] = (struct depot_piece){r->changes_end, r->size - r->changes_end};
}

int publish_pack_seal(struct publishing *p, struct packing *k, struct err *err)
{
	struct depot_piece piece[PUBLISH_PIECES];
	int rc = pack_seal(k->pack, &k->packed, err);

	if (rc < 0)
		return rc;
	pieces_fill(&k->packed, piece);
	return publish_blocks_start(pack_fd(k->pack), piece, &k->blocks, err);
}

static int bundle_sign(struct publishing *p, struct packing *k, struct publish_bundle *b,
		       struct err *err)
{
	struct bytes blocks;
	struct manifest m;
	int rc = publish_blocks_end(k->blocks, &blocks, err);

	if (rc < 0)
		return rc;
	manifest_fill(p, k, &m);
	rc = publish_manifest(p->s, &m, blocks, &b->prefix, &b->manifest, err);
	if (rc < 0)
		return rc;
	b->prefix_digest = digest_of(bytes_in(&b->prefix));
	b->size = bundle_size(b->prefix.n, b->payload);
	return 0;
}

int publish_pack_bundle(struct publishing *p, struct packing *k, struct err *err)
{
	struct publish_bundle b = {
	    .channel = p->c->name,
	    .epoch = p->epoch,
	    .base = k->base,
	    .generation = p->generation,
	    .pack = k->number,
	    .payload = k->packed.size,
	};
	int rc = publish_store(p, k, err);

	pieces_fill(&k->packed, b.piece);
	if (rc == 0)
		rc = bundle_sign(p, k, &b, err);
	if (rc == 0)
		rc = publish_bundle_row(p->s, &b, err);
	if (rc == 0)
		p->counts->bundle += b.size;
	buf_clear(&b.prefix);
	publish_pack_close(k);
	return rc;
}

void publish_pack_close(struct packing *k)
{
	publish_blocks_freep(&k->blocks);
	k->pack = pack_free(k->pack);
}

void publish_pack_discard(struct publishing *p, struct packing *k)
{
	char name[STORE_NAME];

	publish_pack_close(k);
	store_name(name, k->number);
	if (p->storefd >= 0 && k->number > 0)
		unlinkat(p->storefd, name, 0);
	k->number = 0;
}
