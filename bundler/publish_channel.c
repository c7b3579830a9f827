/*
 * One channel: scan, pack, and one transaction that makes the new generation true.  Until it is
 * committed there is nothing but a pack file that nobody knows; afterwards the generation is whole.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish_internal.h"
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
	free(p);
	*at = NULL;
}

/* The generation that is there. */
static int last_load(struct publishing *p, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc;

	p->epoch = p->s->trust.epoch[ROLE_PUBLISH];
	rc = db_query(p->s->db,
		      "SELECT generation, tree FROM generation WHERE channel = ?1 AND epoch = ?2"
		      " ORDER BY generation DESC LIMIT 1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ti", p->c->name, (int64_t)p->epoch);
	if (rc == 0)
		rc = db_step(p->s->db, st, err);
	if (rc <= 0)
		return rc;
	p->last = (uint64_t)db_i64(st, 0);
	return db_digest(st, 1, &p->last_tree)
		   ? 0
		   : err_set(err, RC_STATE,
			     "the registry is damaged: generation %" PRIu64
			     " of channel %s has no tree digest",
			     p->last, p->c->name);
}

/*
 * The index must hold exactly what was published last.  When it does not (a new epoch, a channel
 * that was removed and came back), the new generation begins with nothing instead of with a lie.
 */
static int base_load(struct publishing *p, struct err *err)
{
	struct digest held;
	int rc = index_open(p->s->db, p->c->name, &p->index, err);

	p->hashed = INT64_MIN;
	p->delta.base_tree = publish_empty_tree();
	if (rc == 0)
		rc = index_seal(p->index, &held, err);
	if (rc < 0)
		return rc;
	if (p->last == 0 || !digest_equal(&held, &p->last_tree))
		return index_clear(p->index, err);
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
	    /* Without a base nothing asks the index, so it can be filled at once. */
	    .decided = p->delta.base > 0 ? NULL : publish_apply_item,
	};
	int rc = publish_pack_open(p, &p->delta, &o, err);

	return rc < 0 ? rc : items_pack(p, err);
}

static int generation_row(struct publishing *p, struct err *err)
{
	return db_run(
	    p->s->db, err,
	    "INSERT INTO generation(channel, epoch, generation, tree, created, entries, beat)"
	    " VALUES(?1, ?2, ?3, ?4, ?5, ?6,"
	    " 1 + ifnull((SELECT value FROM counter WHERE name = 'beat'), 0))",
	    "tiidii", p->c->name, (int64_t)p->epoch, (int64_t)p->generation, &p->tree, p->created,
	    (int64_t)p->seen.entries);
}

/* The rows of the new tree, and its bundle. */
static int delta_make(struct publishing *p, struct err *err)
{
	int rc = publish_pack_seal(p, &p->delta, err);

	if (rc == 0 && p->delta.base > 0)
		rc = publish_apply(p, err);
	if (rc == 0)
		rc = index_seal(p->index, &p->tree, err);
	if (rc == 0)
		rc = publish_pack_bundle(p, &p->delta, err);
	p->counts->content = p->delta.packed.read;
	return rc;
}

/*
 * A full bundle when it is time for one, and the head that lists what there is.  A store that is
 * damaged keeps nobody from the new generation, as long as the path from 0 is complete without.
 */
static int head_make(struct publishing *p, struct err *err)
{
	struct err e = {0};
	int rc = publish_full_wanted(p, err);

	if (rc <= 0)
		return rc < 0 ? rc : publish_head(p, err);
	rc = db_exec(p->s->db, "SAVEPOINT full", err);
	if (rc == 0 && publish_full(p, &e) < 0) {
		rc = db_exec(p->s->db, "ROLLBACK TO full", err);
		publish_pack_discard(p, &p->full);
		if (rc == 0 && (p->flags & PUBLISH_FULL))
			return err_set(err, e.rc, "%s", e.text);
		say_warning(p->s->say, "%s", e.text);
	}
	if (rc == 0)
		rc = db_exec(p->s->db, "RELEASE full", err);
	return rc < 0 ? rc : publish_head(p, err);
}

static int generation_make(struct publishing *p, struct err *err)
{
	int rc;

	p->generation = p->last + 1;
	p->created = clock_now();
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
	int rc = publish_apply(p, err);

	p->counts->content = p->delta.packed.read;
	publish_pack_discard(p, &p->delta); /* a large file may have made it, and was taken back */
	if (rc == 0)
		rc = scanned_row(p, err);
	return rc < 0 ? rc : 1;
}

/* Another full bundle for the generation that is there, because somebody asked. */
static int full_again(struct publishing *p, struct err *err)
{
	int64_t created = 0;
	int rc;

	p->generation = p->last;
	p->tree = p->last_tree;
	rc = publish_full_wanted(p, err);
	if (rc <= 0)
		return rc;
	rc = db_int(p->s->db, err, &created,
		    "SELECT created FROM generation WHERE channel = ?1 AND epoch = ?2"
		    " AND generation = ?3",
		    "tii", p->c->name, (int64_t)p->epoch, (int64_t)p->last);
	p->created = created;
	if (rc >= 0)
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
		rc = base_load(p, err);
	if (rc == 0)
		rc = publish_source_open(p, err);
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
	if (rc < 0) {
		publish_pack_discard(p, &p->delta);
		publish_pack_discard(p, &p->full);
	}
	if (rc > 0) {
		rc = db_commit(s->db, err);
		committed = rc == 0;
	}
	if (!committed)
		db_rollback(s->db);
	return rc;
}
