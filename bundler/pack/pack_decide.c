/* SPDX-License-Identifier: ISC */
/*
 * The second stage, in path order: what does each item become?  The first of several equal contents
 * is packed, the others are copies; content that the base tree holds is a copy as well.
 */
#include <stdlib.h>
#include <string.h>

#include "bundler/pack/pack_internal.h"

/*
 * Which contents this pack holds already, so that each is stored once.  Kept small enough for
 * millions of files: the table holds hints, and the spool of items holds the truth.
 */
/*
 * The contents of this pack by digest, in 8 bytes each: 24 bits of the digest and 40 bits of where
 * its item lies in the spool (plus one, so that 0 is a free slot).  The slot comes from other bits
 * of the digest; what looks equal is compared with the whole digest in the spool.  A million
 * contents take 16 MiB, whatever their paths.
 */
#define SEEN_OFFSET_BITS 40
#define SEEN_OFFSET_MASK ((1ull << SEEN_OFFSET_BITS) - 1)

struct pack_seen {
	uint64_t *slot; /* owned */
	uint64_t mask;  /* slots - 1 */
	uint64_t used;
};

int pack_seen_new(uint64_t files, struct pack_seen **ret, struct err *err)
{
	struct pack_seen *s = calloc(1, sizeof(*s));
	uint64_t slots = 1024;

	if (s == NULL)
		return err_memory(err);
	while (slots < files + files / 2)
		slots *= 2;
	s->slot = calloc(slots, sizeof(*s->slot));
	s->mask = slots - 1;
	if (s->slot == NULL) {
		free(s);
		return err_memory(err);
	}
	*ret = s;
	return 0;
}

struct pack_seen *pack_seen_free(struct pack_seen *s)
{
	if (s != NULL)
		free(s->slot);
	free(s);
	return NULL;
}

static uint64_t seen_mark(const struct digest *digest)
{
	return (get_u64(digest->b + 8) << SEEN_OFFSET_BITS);
}

int pack_seen_find(struct pack_seen *s, const struct digest *digest, struct item_reader *reader,
		   struct pack_item *ret, struct err *err)
{
	uint64_t mark = seen_mark(digest);

	for (uint64_t i = get_u64(digest->b) & s->mask; s->slot[i] != 0; i = (i + 1) & s->mask) {
		int rc;

		if ((s->slot[i] & ~SEEN_OFFSET_MASK) != mark)
			continue;
		rc = item_at(reader, (s->slot[i] & SEEN_OFFSET_MASK) - 1, ret, err);
		if (rc < 0)
			return rc;
		if (digest_equal(&ret->now.digest, digest))
			return 1;
	}
	return 0;
}

/* Open addressing with a step of one; the table is never more than three quarters full. */
static void seen_place(struct pack_seen *s, const struct digest *digest, uint64_t value)
{
	uint64_t i = get_u64(digest->b) & s->mask;

	while (s->slot[i] != 0)
		i = (i + 1) & s->mask;
	s->slot[i] = value;
}

/* More files than were announced: their digests are read from the spool again. */
static int seen_grow(struct pack_seen *s, struct item_reader *reader, struct err *err)
{
	struct pack_seen bigger = {.mask = s->mask * 2 + 1, .used = s->used};

	bigger.slot = calloc(bigger.mask + 1, sizeof(*bigger.slot));
	if (bigger.slot == NULL)
		return err_memory(err);
	for (uint64_t i = 0; i <= s->mask; i++) {
		struct pack_item it;
		int rc;

		if (s->slot[i] == 0)
			continue;
		rc = item_at(reader, (s->slot[i] & SEEN_OFFSET_MASK) - 1, &it, err);
		if (rc < 0) {
			free(bigger.slot);
			return rc;
		}
		seen_place(&bigger, &it.now.digest, s->slot[i]);
	}
	free(s->slot);
	*s = bigger;
	return 0;
}

int pack_seen_add(struct pack_seen *s, const struct digest *digest, uint64_t offset,
		  struct item_reader *reader, struct err *err)
{
	int rc;

	if (offset >= SEEN_OFFSET_MASK)
		return err_set(err, RC_LIMIT, "more changes than one bundle can hold");
	if (s->used >= s->mask - s->mask / 4) {
		rc = seen_grow(s, reader, err);
		if (rc < 0)
			return rc;
	}
	seen_place(s, digest, seen_mark(digest) | (offset + 1));
	s->used++;
	return 0;
}

/* Deciding */

static void text_copy(char *dst, const char *src)
{
	memcpy(dst, src, strlen(src) + 1);
}

/* The line of ${it}; ${p->change} holds the source already when it is a copy. */
static int line_add(struct pack *p, const struct pack_item *it, struct err *err)
{
	struct change *c = p->change;
	int rc;

	c->op = (enum change_op)it->op;
	c->kind = it->op == CHANGE_DELETE ? it->old.kind : it->now.kind;
	c->mode = it->now.mode;
	c->size = it->now.size;
	c->mtime = it->now.mtime;
	c->digest = it->now.digest;
	text_copy(c->owner, it->now.owner);
	text_copy(c->target, it->target);
	text_copy(c->path, it->path);
	buf_reset(&p->line);
	rc = change_format(c, &p->line, err);
	if (rc < 0)
		return err_prefix(err, "%s of channel %s", it->path, p->o.channel);
	digest_more(&p->lines_hash, p->line.p, p->line.n);
	p->count[it->op]++;
	if (it->op == CHANGE_PUT || it->op == CHANGE_COPY)
		p->content += it->now.size;
	return spool_add(p->lines, p->line.p, p->line.n, err);
}

/* Does the bundle or the base hold the content?  Fills the source of a copy.  1 yes, 0 no. */
static int source_find(struct pack *p, const struct pack_item *it, bool *ret_first, struct err *err)
{
	struct pack_item first;
	int rc = pack_seen_find(p->seen, &it->now.digest, &p->seen_reader, &first, err);

	*ret_first = rc == 0;
	if (rc > 0) {
		p->change->source_new = true;
		text_copy(p->change->source, first.path);
	}
	if (rc != 0 || p->o.find_old == NULL)
		return rc;
	p->change->source_new = false;
	return p->o.find_old(p->o.arg, &it->now.digest, p->change->source, err);
}

static int item_done(struct pack *p, const struct pack_item *it, uint64_t *ret_offset,
		     struct err *err)
{
	int rc = item_add(p->items, it, ret_offset, err);

	if (rc == 0 && it->op != PACK_ROW)
		rc = line_add(p, it, err);
	if (rc == 0 && p->o.decided != NULL)
		rc = p->o.decided(p->o.arg, it, err);
	return rc;
}

/*
 * A file whose content is known now. ${*ret_put}: it is packed.  The first of equal contents is
 * packed and remembered by where its item lies; which one is first must not depend on which thread
 * was faster, hence the order of tickets.
 */
static int file_decide(struct pack *p, struct pack_item *it, bool *ret_put, struct err *err)
{
	bool first = false;
	uint64_t offset;
	int rc;

	*ret_put = false;
	if (it->old.kind == ENTRY_FILE && digest_equal(&it->now.digest, &it->old.digest)) {
		it->op = item_same_meta(it) ? (unsigned)PACK_ROW : (unsigned)CHANGE_META;
	} else {
		rc = source_find(p, it, &first, err);
		if (rc < 0)
			return rc;
		it->op = rc > 0 ? CHANGE_COPY : CHANGE_PUT;
		*ret_put = rc == 0;
	}
	rc = item_done(p, it, &offset, err);
	if (rc == 0 && first)
		rc = pack_seen_add(p->seen, &it->now.digest, offset, &p->seen_reader, err);
	return rc;
}

/*
 * It has no line, and no row moves on: so the next scan finds it again.  A directory that was in
 * its place is gone, whatever becomes of the file.
 */
static int held_decide(struct pack *p, struct pack_item *it, struct err *err)
{
	uint64_t offset;
	int rc = p->o.held(p->o.arg, it, err);

	if (rc < 0 || it->old.kind != ENTRY_DIRECTORY)
		return rc;
	it->op = CHANGE_DELETE;
	return item_done(p, it, &offset, err);
}

static int item_decide(struct pack *p, struct pack_job *j, size_t i, struct err *err)
{
	struct pack_item *it = &j->item[i];
	uint64_t offset;

	if (it->held)
		return held_decide(p, it, err);
	if (it->op == PACK_CONTENT)
		return file_decide(p, it, &j->member[i].put, err);
	return item_done(p, it, &offset, err);
}

/*
 * A piece of a large file: only after the last one is it known what to do with all of them.  Only
 * the last piece knows the digest.  Pieces before it are already on their way to the file, so
 * content that is not needed is cut off again; the alternative is to read large files twice.
 */
static int large_decide(struct pack *p, struct pack_job *j, struct err *err)
{
	struct pack_large *l = j->large;
	struct pack_item *it = &j->item[0];
	struct stat now;
	bool put = false;
	int rc;

	if (it->held) {
		j->unwanted = true;
		return held_decide(p, it, err);
	}
	if (!j->written) {
		size_t header = j->offset == 0 ? j->member[0].header : 0;

		l->incomplete = l->incomplete || j->incomplete;
		if (j->offset == 0)
			l->header = header;
		digest_more(&l->hash, j->tar.p + header, j->length);
		if (!j->last)
			return 0;
		rc = pack_large_changed(p, l, it->path, &now, err);
		if (rc < 0)
			return rc;
		j->redo = rc > 0 || l->incomplete;
		if (j->redo)
			return 0;
		l->digest = digest_end(&l->hash);
	}
	rc = pack_large_item(p, l, it, err);
	if (rc == 0)
		rc = file_decide(p, it, &put, err);
	j->unwanted = !put;
	return rc;
}

int pack_job_decide(struct pack *p, struct pack_job *j, struct err *err)
{
	if (j->large != NULL)
		return large_decide(p, j, err);
	for (size_t i = 0; i < j->items; i++) {
		int rc = item_decide(p, j, i, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}
