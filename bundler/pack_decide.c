/*
 * The second stage, in path order: what does each item become?  The first of several equal contents
 * is packed, the others are copies; content that the base tree holds is a copy as well.
 */
#include <string.h>

#include "bundler/pack_internal.h"

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

/* A file whose content is known now.  ${*ret_put}: it is packed. */
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

static int item_decide(struct pack *p, struct pack_job *j, size_t i, struct err *err)
{
	struct pack_item *it = &j->item[i];
	uint64_t offset;

	if (it->op == PACK_CONTENT)
		return file_decide(p, it, &j->member[i].put, err);
	return item_done(p, it, &offset, err);
}

/* A piece of a large file: only after the last one is it known what to do with all of them. */
static int large_decide(struct pack *p, struct pack_job *j, struct err *err)
{
	struct pack_large *l = j->large;
	struct pack_item *it = &j->item[0];
	struct stat now;
	bool put = false;
	int rc;

	if (!j->written) {
		size_t header = j->offset == 0 ? j->member[0].header : 0;

		l->torn = l->torn || j->torn;
		if (j->offset == 0)
			l->header = header;
		digest_more(&l->hash, j->tar.p + header, j->length);
		if (!j->last)
			return 0;
		rc = pack_large_changed(p, l, it->path, &now, err);
		if (rc < 0)
			return rc;
		j->redo = rc > 0 || l->torn;
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
