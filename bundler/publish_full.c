/*
 * A new full bundle: when the steps since the last one cost more than half of it, newcomers (and
 * machines far behind) are better served by the whole tree.  Its content comes from the store; the
 * source is read only where the store lacks something.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"

struct walk {
	struct publishing *p;
	struct pack_from last; /* the frame that the last content came from */
};

int publish_full_wanted(struct publishing *p, struct err *err)
{
	int64_t full = 0, from = 0, steps = 0;
	int rc;

	if (p->delta.base == 0 && p->delta.number > 0)
		return 0; /* the bundle just made is one */
	rc = db_int(p->s->db, err, &from,
		    "SELECT coalesce(max(generation), 0) FROM bundle WHERE channel = ?1"
		    " AND epoch = ?2 AND base = 0",
		    "ti", p->c->name, (int64_t)p->epoch);
	if (rc < 0 || (uint64_t)from == p->generation)
		return rc < 0 ? rc : 0;
	if (p->flags & PUBLISH_FULL)
		return 1;
	rc = db_int(p->s->db, err, &full,
		    "SELECT coalesce(max(payload), 0) FROM bundle WHERE channel = ?1 AND epoch = ?2"
		    " AND base = 0 AND generation = ?3",
		    "tii", p->c->name, (int64_t)p->epoch, from);
	if (rc >= 0)
		rc = db_int(p->s->db, err, &steps,
			    "SELECT coalesce(sum(payload), 0) FROM bundle WHERE channel = ?1"
			    " AND epoch = ?2 AND base >= ?3 AND base > 0",
			    "tii", p->c->name, (int64_t)p->epoch, from);
	return rc < 0 ? rc : steps > full / 2;
}

static int find_frame(void *arg, uint64_t pack, uint64_t at, uint64_t *ret_length,
		      uint64_t *ret_unpacked, struct err *err)
{
	struct publishing *p = arg;

	return store_frame(p->s->db, pack, at, ret_length, ret_unpacked, err);
}

/* Where the content lies; without it the source must still have it. */
static int content_from(struct walk *w, const struct digest *digest, struct pack_from *ret,
			struct err *err)
{
	struct db *db = w->p->s->db;
	int rc = store_find(db, digest, &ret->where, err);

	if (rc <= 0)
		return rc;
	if (ret->where.pack == w->last.where.pack && ret->where.frame == w->last.where.frame) {
		ret->length = w->last.length;
		ret->unpacked = w->last.unpacked;
		return 0;
	}
	rc = store_frame(db, ret->where.pack, ret->where.frame, &ret->length, &ret->unpacked, err);
	if (rc == 0)
		*ret = (struct pack_from){{0}, 0, 0};
	w->last = *ret;
	return rc < 0 ? rc : 0;
}

static int entry_add(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct walk *w = arg;
	struct pack_item it = {
	    .op = e->kind == ENTRY_FILE   ? (unsigned)PACK_CONTENT
		  : e->kind == ENTRY_LINK ? CHANGE_LINK
					  : CHANGE_DIRECTORY,
	    .known = e->kind == ENTRY_FILE,
	    .now = {e->kind, e->mode, e->size, e->mtime, e->digest, e->owner},
	    .old.owner = "",
	    .path = path,
	    .target = e->target,
	};
	int rc = 0;

	if (it.known)
		rc = content_from(w, &e->digest, &it.from, err);
	return rc < 0 ? rc : pack_add(w->p->full.pack, &it, err);
}

static int tree_pack(struct publishing *p, struct err *err)
{
	struct pack_options o = {.find_frame = find_frame};
	struct walk w = {.p = p};
	int rc = index_counts(p->index, &o.files, &o.bytes, err);

	if (rc == 0)
		rc = publish_pack_open(p, &p->full, &o, err);
	if (rc == 0)
		rc = index_walk(p->index, entry_add, &w, err);
	if (rc == 0)
		rc = pack_finish(p->full.pack, &p->full.packed, err);
	if (rc == 0)
		rc = publish_pack_seal(p, &p->full, err);
	return rc;
}

int publish_full(struct publishing *p, struct err *err)
{
	int rc;

	p->full.base = 0;
	p->full.base_tree = publish_empty_tree();
	rc = tree_pack(p, err);
	if (rc == 0)
		rc = publish_pack_bundle(p, &p->full, err);
	return rc < 0 ? err_prefix(err, "full bundle of channel %s", p->c->name) : 0;
}
