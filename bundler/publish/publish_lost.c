/* SPDX-License-Identifier: ISC */
/*
 * Bundles of which neither the depot nor the content store has the bytes any more.  The generation
 * stays, since workstations hold it; the ways to it are made anew: a full bundle from 0, of what
 * the store has and else of the source, and a head that does not name what is lost.
 */
#include <inttypes.h>
#include <string.h>

#include "bundler/pack/store.h"
#include "bundler/publish/publish_internal.h"
#include "core/base/list.h"
#include "core/base/own.h"

struct losing {
	struct publishing *p;
	struct strings path; /* of what is lost */
};

static int bundle_check(void *arg, const struct published_file *file, struct err *err)
{
	struct losing *l = arg;
	OWNED(fd_closep) int fd = site_pack_open(l->p->s, file, err);

	if (fd != RC_ABSENT)
		return fd < 0 ? fd : 0;
	l->p->lost++;
	return strings_add(&l->path, file->path, err);
}

/* When somebody asks for a full bundle, one whose pack the store has lost does not count, although
 * the depot has it still: the new one fills the store again. */
static int full_check(void *arg, const struct published_bundle *b, struct err *err)
{
	struct losing *l = arg;
	char path[DEPOT_NAME];
	int rc;

	if (b->base != 0 || b->generation != l->p->last)
		return 0;
	rc = store_knows(l->p->s->db, b->pack, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	return strings_has(&l->path, path) ? 0 : strings_add(&l->path, path, err);
}

/* In the transaction of the channel: when nothing new can be made, the rows stay. */
static int bundle_forget(struct publishing *p, const char *path, struct err *err)
{
	struct published_bundle row = {.channel = p->c->name};
	struct name name;
	int rc;

	if (name_parse(path, &name) != NAME_BUNDLE)
		return err_set(err, RC_STATE, "the registry is damaged: the path \"%.64s\"", path);
	row.epoch = name.epoch;
	row.base = name.base;
	row.generation = name.number;
	rc = site_post_retire(p->s, path, err);
	return rc < 0 ? rc : published_bundle_drop(p->s->db, &row, err);
}

int publish_lost(struct publishing *p, struct err *err)
{
	struct losing l = {.p = p};
	int rc = published_unposted_in(p->s->db, p->c->name, p->epoch, bundle_check, &l, err);

	if (rc == 0 && (p->flags & PUBLISH_FULL))
		rc = published_bundles(p->s->db, p->c->name, EPOCH_ONLY(p->epoch), full_check, &l,
				       err);
	for (size_t i = 0; rc == 0 && i < l.path.n; i++)
		rc = bundle_forget(p, l.path.items[i], err);
	if (rc == 0 && l.path.n > 0)
		p->flags |= PUBLISH_FULL;
	strings_clear(&l.path);
	return rc;
}

void publish_lost_tell(const struct publishing *p)
{
	if (p->lost == 0)
		return;
	reporter_warning(
	    p->s->reporter,
	    "%" PRIu64 " %s of channel %s %s neither in the depot nor in the content store: %s",
	    p->lost, p->lost == 1 ? "bundle" : "bundles", p->c->name, p->lost == 1 ? "was" : "were",
	    p->counts->bundle > 0 ? "a new full bundle was made"
				  : "the full bundle serves instead");
}
