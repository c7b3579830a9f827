/* SPDX-License-Identifier: ISC */
/*
 * One channel: scan, pack, and one transaction that makes the new generation true.  Until it is
 * committed there is nothing but a pack file that nobody knows; afterwards the generation is whole.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/documents/site_model.h"
#include "bundler/outbox/bundle_sign.h"
#include "bundler/publish/publish_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

static void publishing_free(struct publishing **at)
{
	struct publishing *p = *at;

	if (p == NULL)
		return;
	fd_closep(&p->rootfd);
	fd_closep(&p->storefd);
	index_freep(&p->index);
	spool_freep(&p->diff);
	publish_pack_close(&p->delta);
	publish_pack_close(&p->full);
	keystore_freep(&p->keys);
	free(p->held_first);
	free(p);
	*at = NULL;
}

/* The generation that is there. */
static int last_load(struct publishing *p, struct err *err)
{
	struct published_generation last;
	int rc;

	p->epoch = p->s->trust.epoch[ROLE_PUBLISH];
	rc = published_latest_in(p->s->db, p->c->name, p->epoch, &last, err);
	if (rc <= 0)
		return rc;
	p->last = last.generation;
	p->last_tree = last.tree;
	p->last_salt = last.salt;
	p->last_created = last.created;
	return 0;
}

/*
 * The index must hold exactly what was published last.  When it does not (a new epoch, a channel
 * that was removed and came back), the new generation begins with nothing instead of with a lie. So
 * does one that is sealed after one that was not: the step would name the old tree by a digest on
 * which everybody can try guesses.
 */
static int base_load(struct publishing *p, struct err *err)
{
	struct digest held;
	int rc = index_open(p->s->db, p->c->name, &p->index, err);

	p->hashed = INT64_MIN;
	p->delta.base_tree = empty_tree();
	if (rc == 0)
		rc = index_seal(p->index, &held, err);
	if (rc < 0)
		return rc;
	if (p->last == 0 || !digest_equal(&held, &p->last_tree) ||
	    p->c->sealed == digest_is_zero(&p->last_salt)) {
		/* To begin anew must not hide that what was published is gone. */
		rc = p->last == 0 ? 0 : publish_scan_loss(p, err);
		return rc < 0 ? rc : index_clear(p->index, err);
	}
	p->delta.base = p->last;
	p->delta.base_tree = p->last_tree;
	rc = db_int(p->s->db, err, &p->hashed, "SELECT hashed FROM scanned WHERE channel = ?1", "t",
		    p->c->name);
	return rc < 0 ? rc : 0;
}

static int scanned_row(struct publishing *p, struct err *err)
{
	return db_run(p->s->db, err,
		      "INSERT INTO scanned(channel, hashed) VALUES(?1, ?2)"
		      " ON CONFLICT(channel) DO UPDATE SET hashed = excluded.hashed",
		      "ti", p->c->name, p->hashed_now);
}

/*
 * Does the base hold this content?  A copy whose source is gone on disk is a rename.  Only
 * counted: what people call a rename travels as a copy and a deletion, and needs no content.
 */
static int find_old(void *arg, const struct digest *digest, char dst[LIMIT_PATH + 1],
		    struct err *err)
{
	struct publishing *p = arg;
	struct err ignored = {0};
	struct stat st;
	int rc = index_find(p->index, digest, dst, err);

	if (rc > 0 && beneath_stat(p->rootfd, dst, &st, &ignored) < 0)
		p->renamed++;
	return rc;
}

/* One that came and went in between is nobody's loss. */
static int file_held(void *arg, const struct pack_item *it, struct err *err)
{
	struct publishing *p = arg;
	struct publish_counts *c = p->counts;
	struct err ignored = {0};
	struct stat st;

	if (it->old.kind == 0 && beneath_stat(p->rootfd, it->path, &st, &ignored) < 0)
		return 0;
	if (c->held++ == 0)
		p->held_first = strdup(it->path);
	return p->held_first == NULL ? err_memory(err) : 0;
}

/* Shortened in the middle of nothing: a path is longer than a sentence may be. */
static void held_tell(struct publishing *p)
{
	struct publish_counts *c = p->counts;
	char more[32] = "";

	if (c->held == 0)
		return;
	if (c->held > 1)
		snprintf(more, sizeof(more), " and %" PRIu64 " more", c->held - 1);
	snprintf(c->held_why, sizeof(c->held_why),
		 "%.512s%s changed each time that it was read: what it last was stays published, "
		 "nothing of it when there was nothing, and all else is published",
		 p->held_first, more);
}

static int items_pack(struct publishing *p, struct err *err)
{
	struct item_reader reader = {.spool = p->diff};
	struct pack_item it;
	int rc;

	while ((rc = item_next(&reader, &it, err)) > 0) {
		rc = pack_add(p->delta.pack, &it, err);
		if (rc < 0)
			break;
	}
	item_reader_clear(&reader);
	return rc < 0 ? rc : pack_finish(p->delta.pack, &p->delta.packed, err);
}

static int differences_pack(struct publishing *p, struct err *err)
{
	struct pack_options o = {
	    .files = p->files,
	    .bytes = p->bytes,
	    .find_old = p->delta.base > 0 ? find_old : NULL,
	    .held = file_held,
	    /* Without a base nothing asks the index, so it can be filled at once. */
	    .decided = p->delta.base > 0 ? NULL : publish_index_update_item,
	};
	int rc = publish_pack_open(p, &p->delta, &o, err);

	return rc < 0 ? rc : items_pack(p, err);
}

static int generation_row(struct publishing *p, struct err *err)
{
	const struct published_generation g = {
	    .epoch = p->epoch,
	    .generation = p->generation,
	    .tree = p->tree,
	    .salt = p->salt,
	    .created = p->created,
	    .entries = p->seen.entries,
	};

	return published_generation_add(p->s->db, p->c->name, &g, err);
}

/* The rows of the new tree, and its bundle.  Other threads hash the blocks meanwhile. */
static int delta_make(struct publishing *p, struct err *err)
{
	int rc = publish_pack_seal(p, &p->delta, err);

	if (rc == 0 && p->delta.base > 0)
		rc = publish_index_update(p, err);
	if (rc == 0 && p->key > 0)
		rc = index_salt(p->index, &p->salt, err);
	if (rc == 0)
		rc = index_seal(p->index, &p->tree, err);
	if (rc == 0)
		rc = publish_pack_bundle(p, &p->delta, err);
	p->counts->content = p->delta.packed.read;
	return rc;
}

/*
 * A new full bundle: when the steps since the last one cost more than half of it, newcomers (and
 * machines far behind) are better served by the whole tree.  Its content comes from the store, and
 * from the source where the registry knows of no pack that has it.
 */
struct full_walk {
	struct publishing *p;
	struct pack_from last; /* the frame that the last content came from */
};

/* Before a head could not list the steps any more, with room for publishes that cannot make one. */
#define STEPS_MOST (LIMIT_HEAD_BUNDLES - 32)

static int full_wanted(struct publishing *p, struct err *err)
{
	struct published_chain chain;
	int rc;

	if (p->delta.base == 0 && p->delta.number > 0)
		return 0; /* the bundle just made is one */
	rc = published_chain(p->s->db, p->c->name, p->epoch, &chain, err);
	if (rc < 0 || chain.full == p->generation)
		return rc;
	return (p->flags & PUBLISH_FULL) != 0 || chain.steps > chain.payload / 2 ||
	       p->generation - chain.full >= STEPS_MOST;
}

static int find_frame(void *arg, uint64_t pack, uint64_t at, uint64_t *ret_length,
		      uint64_t *ret_unpacked, struct err *err)
{
	struct publishing *p = arg;

	return store_frame(p->s->db, pack, at, ret_length, ret_unpacked, err);
}

/*
 * Where the content lies, by the registry: nobody has looked whether the pack is there.  What it
 * does not know is read from the source again, which must still have it.
 */
static int content_from(struct full_walk *w, const struct digest *digest, struct pack_from *ret,
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
	struct full_walk *w = arg;
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
	struct full_walk w = {.p = p};
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

static int full_make(struct publishing *p, struct err *err)
{
	int rc;

	p->full.base = 0;
	p->full.base_tree = empty_tree();
	rc = tree_pack(p, err);
	if (rc == 0)
		rc = publish_pack_bundle(p, &p->full, err);
	return rc < 0 ? err_prefix(err, "full bundle of channel %s", p->c->name) : 0;
}

/* 1: it is made; 0: it is not, which leaves nothing, and ${ret_why} says why. */
static int full_try(struct publishing *p, struct err *ret_why, struct err *err)
{
	int made, rc = db_exec(p->s->db, "SAVEPOINT full", err);

	if (rc < 0)
		return rc;
	made = full_make(p, ret_why);
	if (made < 0) {
		rc = db_exec(p->s->db, "ROLLBACK TO full", err);
		publish_pack_discard(p, &p->full);
	}
	if (rc == 0)
		rc = db_exec(p->s->db, "RELEASE full", err);
	return rc < 0 ? rc : made == 0;
}

/*
 * A store that has lost packs does not know it before it is asked for them: they are forgotten
 * then, and what was in them is read from the source.  One that is damaged keeps nobody from the
 * new generation, as long as the path from 0 is complete without.
 */
static int full_add(struct publishing *p, struct err *err)
{
	struct err why = {0};
	uint64_t lost = 0;
	int rc = full_try(p, &why, err);

	if (rc == 0)
		rc = store_forget_lost(p->s, &lost, err);
	if (lost > 0 && rc == 0)
		rc = full_try(p, &why, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (p->flags & PUBLISH_FULL)
		return err_set(err, why.rc, "%s", why.text);
	reporter_warning(p->s->reporter, "%s", why.text);
	return 0;
}

/* A full bundle when it is time for one, and the head that lists what there is. */
static int head_make(struct publishing *p, struct err *err)
{
	int rc = full_wanted(p, err);

	if (rc > 0)
		rc = full_add(p, err);
	return rc < 0 ? rc : publish_head(p, err);
}

static int generation_make(struct publishing *p, struct err *err)
{
	int rc;

	p->generation = p->last + 1;
	p->created = clock_now();
	if (p->key > 0)
		randombytes_buf(p->salt.b, sizeof(p->salt.b));
	rc = delta_make(p, err);
	if (rc == 0)
		rc = generation_row(p, err);
	if (rc == 0)
		rc = head_make(p, err);
	if (rc == 0)
		rc = scanned_row(p, err);
	if (rc < 0)
		return rc;
	p->counts->made = true;
	p->counts->generation = p->generation;
	return 1;
}

/* Files that stat could not vouch for were read and are the same: only their rows move on. */
static int rows_update(struct publishing *p, struct err *err)
{
	int rc = publish_index_update(p, err);

	p->counts->content = p->delta.packed.read;
	publish_pack_discard(p, &p->delta); /* a large file may have made it, and was taken back */
	if (rc == 0)
		rc = scanned_row(p, err);
	return rc < 0 ? rc : 1;
}

/*
 * Another full bundle for the generation that is there, because somebody asked, or because bundles
 * were lost.  The generation stays as it is; only another way to it is made.
 */
static int full_again(struct publishing *p, struct err *err)
{
	int rc;

	p->generation = p->last;
	p->tree = p->last_tree;
	p->salt = p->last_salt;
	p->created = p->last_created;
	rc = p->rekey ? publish_outdated(p, err) : 0;
	if (rc == 0)
		rc = full_wanted(p, err);
	/* A head that names what is lost is signed anew even when no bundle is wanted. */
	if (rc < 0 || (rc == 0 && p->lost == 0))
		return rc;
	rc = head_make(p, err);
	return rc < 0 ? rc : 1;
}

static int differences_publish(struct publishing *p, struct err *err)
{
	bool same;
	int rc = 0;

	if (p->rows == 0 && p->delta.base > 0)
		return p->flags & PUBLISH_FULL ? full_again(p, err) : 0;
	rc = differences_pack(p, err);
	if (rc < 0)
		return rc;
	same = p->delta.packed.lines == 0 && p->delta.base > 0;
	if (!same && (p->flags & PUBLISH_PURGE))
		return err_set(err, RC_AGAIN,
			       "the source of channel %s changed meanwhile: run it again",
			       p->c->name);
	if (!same)
		return generation_make(p, err);
	rc = rows_update(p, err);
	if (rc >= 0 && (p->flags & PUBLISH_FULL) && full_again(p, err) < 0)
		rc = err->rc;
	return rc;
}

static void renames_count(struct publishing *p)
{
	struct publish_counts *c = p->counts;
	uint64_t n = p->renamed;

	n = n > c->added ? c->added : n;
	n = n > c->deleted ? c->deleted : n;
	c->renamed = n;
	c->added -= n;
	c->deleted -= n;
}

/* 1: there is something to commit. */
static int channel_run(struct publishing *p, struct err *err)
{
	int rc = last_load(p, err);

	if (rc == 0)
		rc = publish_key(p, err);
	if (rc == 0 && !(p->flags & PUBLISH_DRY_RUN))
		rc = publish_lost(p, err);
	if (rc == 0 && (p->flags & PUBLISH_PURGE))
		rc = publish_purge_drop(p, err);
	if (rc == 0)
		rc = publish_source_open(p, err);
	if (rc == 0)
		rc = base_load(p, err);
	if (rc == 0)
		rc = publish_scan(p, err);
	if (rc < 0)
		return rc;
	p->counts->entries = p->seen.entries;
	p->counts->generation = p->last;
	rc = p->flags & PUBLISH_DRY_RUN ? publish_preview(p, err) : differences_publish(p, err);
	renames_count(p);
	return rc;
}

/*
 * A dry run rolls back too.  What is left on failure is a pack file, which the next run sweeps
 * when this one was killed before it could discard it.
 */
int publish_channel(struct site *s, const struct site_channel *c, enum publish_flags flags,
		    struct publish_counts *ret, struct err *err)
{
	OWNED(publishing_free) struct publishing *p = calloc(1, sizeof(*p));
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc;

	if (p == NULL)
		return err_memory(err);
	*ret = (struct publish_counts){0};
	p->s = s;
	p->c = c;
	p->flags = flags;
	p->rootfd = p->storefd = -1;
	p->counts = ret;
	rc = db_tx_begin(&tx, s->db, err);
	if (rc < 0)
		return rc;
	rc = channel_run(p, err);
	if (rc < 0) {
		publish_pack_discard(p, &p->delta);
		publish_pack_discard(p, &p->full);
	}
	if (rc > 0)
		rc = db_tx_commit(&tx, err);
	if (rc == 0) {
		publish_lost_tell(p);
		held_tell(p);
	}
	return rc;
}
