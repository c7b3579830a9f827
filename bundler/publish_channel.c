/*
 * One channel: scan, pack, and one transaction that makes the new generation true.  Until it is
 * committed there is nothing but a pack file that nobody knows; afterwards the generation is whole.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"
#include "bundler/registry.h"
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
	pack_freep(&p->pack);
	free(p);
	*at = NULL;
}

/* The generation that is there, and when the files of its tree were hashed. */
static int state_load(struct publishing *p, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc;

	p->epoch = p->s->trust.epoch[ROLE_PUBLISH];
	p->tree = publish_empty_tree();
	p->hashed = INT64_MIN;
	rc = db_query(p->s->db,
		      "SELECT generation, tree FROM generation WHERE channel = ?1 AND epoch = ?2"
		      " ORDER BY generation DESC LIMIT 1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ti", p->c->name, (int64_t)p->epoch);
	if (rc == 0)
		rc = db_step(p->s->db, st, err);
	if (rc > 0) {
		p->base = (uint64_t)db_i64(st, 0);
		if (!db_digest(st, 1, &p->tree))
			return err_set(err, RC_STATE,
				       "the registry is damaged: generation %" PRIu64
				       " of channel %s has no tree digest",
				       p->base, p->c->name);
		rc = db_int(p->s->db, err, &p->hashed,
			    "SELECT hashed FROM scanned WHERE channel = ?1", "t", p->c->name);
	}
	p->base_tree = p->tree;
	return rc < 0 ? rc : 0;
}

/* A new epoch begins with an empty tree, whatever the index still knows of the one before. */
static int index_load(struct publishing *p, struct err *err)
{
	int rc = index_open(p->s->db, p->c->name, &p->index, err);

	if (rc == 0 && p->base == 0)
		rc = index_clear(p->index, err);
	return rc;
}

static int scanned_row(struct publishing *p, struct err *err)
{
	return db_run(p->s->db, err,
		      "INSERT INTO scanned(channel, hashed) VALUES(?1, ?2)"
		      " ON CONFLICT(channel) DO UPDATE SET hashed = excluded.hashed",
		      "ti", p->c->name, p->hashed_now);
}

/* Does the base hold this content?  A copy whose source is gone on disk is a rename. */
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

static int items_pack(struct publishing *p, struct err *err)
{
	struct item_reader reader = {.spool = p->diff};
	struct pack_item it;
	int rc;

	while ((rc = item_next(&reader, &it, err)) > 0) {
		rc = pack_add(p->pack, &it, err);
		if (rc < 0)
			break;
	}
	item_reader_clear(&reader);
	return rc < 0 ? rc : pack_finish(p->pack, &p->packed, err);
}

static int differences_pack(struct publishing *p, struct err *err)
{
	char name[STORE_NAME];
	struct pack_options o = {
	    .spoolfd = p->s->statefd,
	    .rootfd = p->rootfd,
	    .mode_mask = p->c->special_modes ? 07777 : 0777,
	    .files = p->files,
	    .bytes = p->bytes,
	    .channel = p->c->name,
	    .say = p->s->say,
	    .arg = p,
	    .find_old = p->base > 0 ? find_old : NULL,
	};
	int rc = store_sweep(p->s, err);

	if (rc == 0)
		rc = registry_next(p->s->db, "pack", &p->number, err);
	if (rc < 0)
		return rc;
	p->storefd = store_dir(p->s, err);
	if (p->storefd < 0)
		return p->storefd;
	store_name(name, p->number);
	o.dirfd = p->storefd;
	o.name = name;
	rc = pack_open(&o, &p->pack, err);
	return rc < 0 ? rc : items_pack(p, err);
}

static void manifest_fill(const struct publishing *p, const struct publish_bundle *b,
			  struct manifest *m)
{
	const struct pack_result *r = &p->packed;

	*m = (struct manifest){
	    .site = p->s->id,
	    .epoch = b->epoch,
	    .base = b->base,
	    .generation = b->generation,
	    .base_tree = p->base_tree,
	    .tree = p->tree,
	    .created = p->created,
	    .minimum = 1,
	    .content = r->content,
	    .unpacked = r->unpacked,
	    .payload = b->payload,
	    .changes = r->changes,
	    .changes_size = r->changes_size,
	};
	memcpy(m->channel, p->c->name, sizeof(m->channel));
	memcpy(m->count, r->count, sizeof(m->count));
}

/* The bundle of what was packed: its frames in the order of the payload. */
static int bundle_make(struct publishing *p, struct err *err)
{
	const struct pack_result *r = &p->packed;
	OWNED(buf_clear) struct buf blocks = BUF_INIT;
	struct manifest m;
	struct publish_bundle b = {
	    .channel = p->c->name,
	    .epoch = p->epoch,
	    .base = p->base,
	    .generation = p->base + 1,
	    .pack = p->number,
	    .piece = {{r->members, r->changes_end - r->members},
		      {0, r->members},
		      {r->changes_end, r->size - r->changes_end}},
	    .payload = r->size,
	};
	int rc = publish_blocks(pack_fd(p->pack), b.piece, PUBLISH_PIECES, &blocks, err);

	if (rc < 0)
		return rc;
	manifest_fill(p, &b, &m);
	rc = publish_manifest(p->s, &m, bytes_in(&blocks), &b.prefix, &b.manifest, err);
	if (rc == 0) {
		b.prefix_digest = digest_of(bytes_in(&b.prefix));
		b.size = bundle_size(b.prefix.n, b.payload);
		p->counts->bundle += b.size;
		rc = publish_bundle_row(p->s, &b, err);
	}
	buf_clear(&b.prefix);
	return rc;
}

static int generation_row(struct publishing *p, struct err *err)
{
	return db_run(p->s->db, err,
		      "INSERT INTO generation(channel, epoch, generation, tree, created, entries)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
		      "tiidii", p->c->name, (int64_t)p->epoch, (int64_t)p->base + 1, &p->tree,
		      p->created, (int64_t)p->seen.entries);
}

static int generation_make(struct publishing *p, struct err *err)
{
	int rc = pack_seal(p->pack, &p->packed, err);

	p->created = clock_now();
	if (rc == 0)
		rc = publish_apply(p, err);
	if (rc == 0)
		rc = index_seal(p->index, &p->tree, err);
	if (rc == 0)
		rc = publish_store(p, err);
	if (rc == 0)
		rc = bundle_make(p, err);
	if (rc == 0)
		rc = generation_row(p, err);
	if (rc == 0)
		rc = publish_head(p, p->base + 1, err);
	if (rc == 0)
		rc = scanned_row(p, err);
	if (rc < 0)
		return rc;
	p->counts->made = true;
	p->counts->generation = p->base + 1;
	p->counts->content = p->packed.read;
	return 0;
}

/* Files that stat could not vouch for were read and are the same: only their rows move on. */
static int rows_update(struct publishing *p, struct err *err)
{
	int rc = publish_apply(p, err);

	p->counts->content = p->packed.read;
	return rc < 0 ? rc : scanned_row(p, err);
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

/* Without reading any content: what stat calls changed may still turn out to be the same. */
static int differences_count(struct publishing *p, struct err *err)
{
	struct item_reader reader = {.spool = p->diff};
	struct publish_counts *c = p->counts;
	struct pack_item it;
	int rc;

	while ((rc = item_next(&reader, &it, err)) > 0) {
		if (it.op == CHANGE_DELETE)
			c->deleted++;
		else if (it.op == CHANGE_META)
			c->metadata++;
		else if (it.op != PACK_ROW && it.old.kind == 0)
			c->added++;
		else if (it.op != PACK_ROW)
			c->changed++;
		if (it.op == PACK_CONTENT)
			c->content += it.now.size;
	}
	item_reader_clear(&reader);
	return rc;
}

/* 1: there is something to commit. */
static int channel_run(struct publishing *p, struct err *err)
{
	int rc = state_load(p, err);

	if (rc == 0)
		rc = index_load(p, err);
	if (rc == 0)
		rc = publish_source_open(p, err);
	if (rc == 0)
		rc = publish_scan(p, err);
	if (rc < 0)
		return rc;
	p->counts->entries = p->seen.entries;
	p->counts->generation = p->base;
	if (p->flags & PUBLISH_DRY_RUN)
		return differences_count(p, err);
	if (p->rows == 0 && p->base > 0)
		return 0;
	rc = differences_pack(p, err);
	if (rc == 0)
		rc = p->packed.lines == 0 && p->base > 0 ? rows_update(p, err)
							 : generation_make(p, err);
	renames_count(p);
	return rc < 0 ? rc : 1;
}

/* What failed before the commit leaves no file either.  (After a kill, store_sweep finds it.) */
static void pack_discard(struct publishing *p)
{
	char name[STORE_NAME];

	p->pack = pack_free(p->pack);
	store_name(name, p->number);
	if (p->storefd >= 0)
		unlinkat(p->storefd, name, 0);
}

int publish_channel(struct site *s, const struct site_channel *c, enum publish_flags flags,
		    struct publish_counts *ret, struct err *err)
{
	OWNED(publishing_free) struct publishing *p = calloc(1, sizeof(*p));
	bool committed = false;
	int rc;

	if (p == NULL)
		return err_memory(err);
	*ret = (struct publish_counts){0};
	p->s = s;
	p->c = c;
	p->flags = flags;
	p->rootfd = p->storefd = -1;
	p->counts = ret;
	rc = db_begin(s->db, err);
	if (rc < 0)
		return rc;
	rc = channel_run(p, err);
	if (rc < 0)
		pack_discard(p);
	if (rc > 0) {
		rc = db_commit(s->db, err);
		committed = rc == 0;
	}
	if (!committed)
		db_rollback(s->db);
	return rc;
}
