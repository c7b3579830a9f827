/* SPDX-License-Identifier: ISC */
/*
 * Several bundles as one.  A generation that cannot be had on this machine (too large for its disk,
 * in the way of a local change, not allowed here) must not keep it from a later one that can.  So
 * the lists of all bundles become one list, in which the last word about each path counts, and the
 * contents come from whichever bundle has them:
 *
 *   lists    read one after the other, each compared with its own manifest
 *   folded   from the first to the last: delete after put is nothing, metadata after put is that
 *            put with other metadata, ...
 *   settled  a content that any of the bundles brings is put where it is first wanted, and copied
 *            from there to where it is wanted as well; all others are copied from the base
 *
 * Nothing of this is believed: the tree that comes out is compared with the one that the last
 * manifest names, as it is for a single bundle.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "applier/apply/apply_fill.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/bundle/content.h"

/* Contents in all the bundles; 100 bytes each, and their paths. */
#define JOIN_CONTENTS 2000000u
#define OUT_BYTES     (64u << 10)

/* A content that one of the bundles brings. */
struct supply {
	struct digest digest;
	uint64_t size;
	char *path; /* owned; where it is wanted first; NULL: nowhere */
	bool done;
};

struct join {
	const struct apply_bundle *b; /* borrowed */
	size_t n;
	struct changelist *list; /* owned; of each */
	struct manifest whole;
	struct apply_bundle as; /* all of them together */
	LIST(struct supply) supply;
};

void join_free(struct join *j)
{
	if (j == NULL)
		return;
	for (size_t i = 0; j->list != NULL && i < j->n; i++)
		changelist_clear(&j->list[i]);
	for (size_t i = 0; i < j->supply.n; i++)
		free(j->supply.items[i].path);
	list_clear(&j->supply);
	free(j->list);
	free(j);
}

static int follows(const struct manifest *a, const struct manifest *b, struct err *err)
{
	if (a->epoch == b->epoch && a->generation == b->base &&
	    digest_equal(&a->tree, &b->base_tree))
		return 0;
	return err_set(err, RC_FORK, "bundle %llu-%llu does not begin where %llu-%llu ends",
		       (unsigned long long)b->base, (unsigned long long)b->generation,
		       (unsigned long long)a->base, (unsigned long long)a->generation);
}

int join_new(struct apply *a, const struct apply_bundle *b, size_t n, struct err *err)
{
	struct join *j = calloc(1, sizeof(*j));

	a->join = j;
	if (j == NULL)
		return err_memory(err);
	j->b = b;
	j->n = n;
	for (size_t i = 1; i < n; i++)
		if (follows(b[i - 1].manifest, b[i].manifest, err) < 0)
			return err->rc;
	j->list = calloc(n, sizeof(*j->list));
	if (j->list == NULL)
		return err_memory(err);
	for (size_t i = 0; i < n; i++)
		j->list[i] = (struct changelist)CHANGELIST_INIT;
	j->whole = *b[n - 1].manifest;
	j->whole.base = b[0].manifest->base;
	j->whole.base_tree = b[0].manifest->base_tree;
	j->as = b[n - 1];
	j->as.manifest = &j->whole;
	a->b = &j->as;
	return 0;
}

/* Read */

static int list_read(struct apply *a, const struct apply_bundle *b, struct changelist *ret,
		     struct err *err)
{
	struct reader r = READER_INIT;
	int rc = reader_start(b, &r, err);

	if (rc == 0)
		rc = changelist_new(a->s->statefd, ret, err);
	if (rc == 0)
		rc = reader_changes(&r, b, ret, err);
	reader_stop(&r);
	return rc;
}

int join_read(struct apply *a, struct err *err)
{
	const struct apply_bundle *whole = a->b;
	struct join *j = a->join;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < j->n; i++) {
		rc = list_read(a, &j->b[i], &j->list[i], err);
		a->b = &j->b[i];
		a->list = j->list[i];
		if (rc == 0)
			rc = check_lines(a, err);
	}
	a->list = (struct changelist)CHANGELIST_INIT;
	a->b = whole;
	return rc;
}

/* Fold */

/** Two ascending lists and the one that they become. */
struct fold {
	struct apply *a;
	struct line_reader from[2];
	struct change *c[2]; /* owned; the last line read of each */
	bool have[2];
	struct changelist to;
	struct buf out;
	struct entry row; /* of the base */
};

static int fold_flush(struct fold *f, size_t from, struct err *err)
{
	if (f->out.n < from)
		return 0;
	if (changelist_add(&f->to, bytes_in(&f->out), err) < 0)
		return err->rc;
	buf_reset(&f->out);
	return 0;
}

static int fold_read(struct fold *f, int side, struct err *err)
{
	int rc = line_reader_next(&f->from[side], f->c[side], err);

	f->have[side] = rc > 0;
	return rc < 0 ? rc : 0;
}

static int fold_write(struct fold *f, const struct change *c, struct err *err)
{
	return change_format(c, &f->out, err) < 0 ? err->rc : fold_flush(f, OUT_BYTES, err);
}

/** Made and deleted again: what the base has at the path goes, if it has something. */
static int fold_delete(struct fold *f, struct change *c, struct err *err)
{
	int rc = 0;

	if (f->a->b->manifest->base > 0)
		rc = index_get(f->a->index, c->path, &f->row, err);
	if (rc <= 0)
		return rc;
	c->kind = (enum entry_kind)f->row.kind;
	return fold_write(f, c, err);
}

/** Both speak of one path: what the second one makes of the first. */
static int fold_both(struct fold *f, struct err *err)
{
	struct change *was = f->c[0], *is = f->c[1];

	if (was->op == CHANGE_DELETE && (is->op == CHANGE_DELETE || is->op == CHANGE_META))
		return err_set(err, RC_MALFORMED, "%s: %s of something that was deleted before",
			       is->path, change_names[is->op]);
	if (is->op == CHANGE_DELETE)
		return fold_delete(f, is, err);
	if (is->op != CHANGE_META)
		return fold_write(f, is, err);
	if (was->kind != is->kind)
		return err_set(err, RC_MALFORMED,
			       "%s: changes the metadata of something else than what is there",
			       is->path);
	was->mode = is->mode;
	was->mtime = is->mtime;
	memcpy(was->owner, is->owner, sizeof(was->owner));
	return fold_write(f, was, err);
}

static int fold_step(struct fold *f, struct err *err)
{
	int order = !f->have[0] ? 1 : !f->have[1] ? -1 : path_compare(f->c[0]->path, f->c[1]->path);
	int rc = order == 0  ? fold_both(f, err)
		 : order < 0 ? fold_write(f, f->c[0], err)
			     : fold_write(f, f->c[1], err);

	if (rc == 0 && order <= 0)
		rc = fold_read(f, 0, err);
	if (rc == 0 && order >= 0)
		rc = fold_read(f, 1, err);
	return rc;
}

static int fold_run(struct fold *f, const struct changelist *one, const struct changelist *two,
		    struct err *err)
{
	if (line_reader_open(one, &f->from[0], err) < 0 ||
	    line_reader_open(two, &f->from[1], err) < 0 || fold_read(f, 0, err) < 0 ||
	    fold_read(f, 1, err) < 0)
		return err->rc;
	while (f->have[0] || f->have[1])
		if (fold_step(f, err) < 0)
			return err->rc;
	return fold_flush(f, 1, err);
}

static void fold_clear(struct fold *f)
{
	line_reader_clear(&f->from[0]);
	line_reader_clear(&f->from[1]);
	free(f->c[0]);
	free(f->c[1]);
	changelist_clear(&f->to);
	buf_clear(&f->out);
}

static int fold_begin(struct fold *f, struct apply *a, struct err *err)
{
	f->a = a;
	f->to = (struct changelist)CHANGELIST_INIT;
	f->out = (struct buf)BUF_INIT;
	f->c[0] = malloc(sizeof(*f->c[0]));
	f->c[1] = malloc(sizeof(*f->c[1]));
	if (f->c[0] == NULL || f->c[1] == NULL)
		return err_memory(err);
	return changelist_new(a->s->statefd, &f->to, err);
}

/** a->list becomes what it and the next list are together. */
static int fold_next(struct apply *a, const struct changelist *next, struct err *err)
{
	OWNED(freep) struct fold *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return err_memory(err);
	rc = fold_begin(f, a, err);
	if (rc == 0)
		rc = fold_run(f, &a->list, next, err);
	if (rc == 0) {
		changelist_clear(&a->list);
		a->list = f->to;
		f->to = (struct changelist)CHANGELIST_INIT;
	}
	fold_clear(f);
	return rc;
}

/* Settle */

static int supply_compare(const void *va, const void *vb)
{
	return memcmp(((const struct supply *)va)->digest.b, ((const struct supply *)vb)->digest.b,
		      DIGEST_BYTES);
}

static int supply_key(const void *key, const void *item)
{
	return memcmp(((const struct digest *)key)->b, ((const struct supply *)item)->digest.b,
		      DIGEST_BYTES);
}

static int supplies_of(struct join *j, const struct changelist *list, struct change *c,
		       struct err *err)
{
	static const char *const words[] = {"put ", NULL};
	OWNED(line_reader_clear) struct line_reader lines = {0};
	int rc = line_reader_open(list, &lines, err);

	while (rc == 0 && (rc = line_reader_next_of(&lines, words, c, err)) > 0) {
		if (j->supply.n == JOIN_CONTENTS)
			return err_set(err, RC_LIMIT,
				       "more than %u contents in bundles that would have to be "
				       "applied as one",
				       JOIN_CONTENTS);
		rc = list_push(&j->supply, ((struct supply){.digest = c->digest, .size = c->size}),
			       err);
	}
	return rc;
}

static void supplies_sort(struct join *j)
{
	size_t n = 0;

	list_sort(&j->supply, supply_compare);
	for (size_t i = 0; i < j->supply.n; i++)
		if (n == 0 || supply_compare(&j->supply.items[n - 1], &j->supply.items[i]) != 0)
			j->supply.items[n++] = j->supply.items[i];
	j->supply.n = n;
}

/** Where the content of a line comes from. */
static int settle_content(struct apply *a, struct change *c, struct err *err)
{
	struct supply *s = list_find(&a->join->supply, &c->digest, supply_key);
	int rc;

	if (s != NULL && s->size != c->size)
		return err_set(err, RC_MALFORMED, "%s: one content with two sizes", c->path);
	if (s != NULL && s->path == NULL) {
		c->op = CHANGE_PUT;
		s->path = strdup(c->path);
		return s->path == NULL ? err_memory(err) : 0;
	}
	c->op = CHANGE_COPY;
	c->source_new = s != NULL;
	if (s != NULL) {
		memcpy(c->source, s->path, strlen(s->path) + 1);
		return 0;
	}
	rc = a->b->manifest->base == 0 ? 0 : index_find(a->index, &c->digest, c->source, err);
	if (rc == 0)
		return err_set(err, RC_MALFORMED, "%s: copies what nothing brings", c->path);
	return rc < 0 ? rc : 0;
}

static int settle_line(struct fold *f, struct change *c, struct err *err)
{
	struct manifest *whole = &f->a->join->whole;

	if (c->op == CHANGE_PATCH)
		return err_set(err, RC_POLICY,
			       "%s: this version cannot apply patches; ask for a full bundle",
			       c->path);
	if ((c->op == CHANGE_PUT || c->op == CHANGE_COPY) && settle_content(f->a, c, err) < 0)
		return err->rc;
	whole->count[c->op]++;
	whole->content += c->op == CHANGE_PUT || c->op == CHANGE_COPY ? c->size : 0;
	return fold_write(f, c, err);
}

static int settle_run(struct fold *f, struct err *err)
{
	struct join *j = f->a->join;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < j->n; i++)
		rc = supplies_of(j, &j->list[i], f->c[0], err);
	supplies_sort(j);
	memset(j->whole.count, 0, sizeof(j->whole.count));
	j->whole.content = 0;
	if (rc == 0)
		rc = line_reader_open(&f->a->list, &f->from[0], err);
	while (rc == 0 && (rc = line_reader_next(&f->from[0], f->c[0], err)) > 0)
		rc = settle_line(f, f->c[0], err);
	return rc < 0 ? rc : fold_flush(f, 1, err);
}

static int settle(struct apply *a, struct err *err)
{
	OWNED(freep) struct fold *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return err_memory(err);
	rc = fold_begin(f, a, err);
	if (rc == 0)
		rc = settle_run(f, err);
	if (rc == 0) {
		changelist_clear(&a->list);
		a->list = f->to;
		f->to = (struct changelist)CHANGELIST_INIT;
	}
	fold_clear(f);
	return rc;
}

int join_lists(struct apply *a, struct err *err)
{
	struct join *j = a->join;
	int rc;

	changelist_clear(&a->list);
	rc = changelist_new(a->s->statefd, &a->list, err);
	for (size_t i = 0; rc == 0 && i < j->n; i++)
		rc = fold_next(a, &j->list[i], err);
	if (rc == 0)
		rc = settle(a, err);
	return rc < 0 ? rc : check_allowed(a, err);
}

/* Contents */

/** A content of one of the bundles: to where it is wanted first. */
static int content_take(struct fill *f, struct err *err)
{
	struct supply *s = list_find(&f->a->join->supply, &f->c->digest, supply_key);
	int rc;

	if (s == NULL || s->path == NULL || s->done)
		return fill_skip(f, err);
	s->done = true;
	rc = changelist_find(&f->a->list, s->path, f->c, &f->line, err);
	if (rc <= 0)
		return rc < 0 ? rc : err_set(err, RC_INTERNAL, "%s: no such line", s->path);
	if (fill_root(f, &f->a->line[f->line], err) < 0)
		return err->rc;
	return fill_content(f, err);
}

static int stream_take(struct fill *f, const struct changelist *list, struct err *err)
{
	static const char *const words[] = {"put ", NULL};
	OWNED(line_reader_clear) struct line_reader lines = {0};
	int rc = line_reader_open(list, &lines, err);

	while (rc == 0 && (rc = line_reader_next_of(&lines, words, f->c, err)) > 0) {
		rc = fill_header(f, err);
		if (rc == 0)
			rc = content_take(f, err);
	}
	return rc < 0 ? rc : fill_end(f, err);
}

static int bundle_take(struct fill *f, const struct apply_bundle *b, const struct changelist *list,
		       struct err *err)
{
	OWNED(changelist_clear) struct changelist again = CHANGELIST_INIT;
	struct reader *was = f->r;
	struct reader r = READER_INIT;
	int rc = reader_start(b, &r, err);

	if (rc == 0)
		rc = changelist_new(f->a->s->statefd, &again, err);
	if (rc == 0)
		rc = reader_changes(&r, b, &again, err);
	f->r = &r;
	if (rc == 0)
		rc = stream_take(f, list, err);
	f->r = was;
	reader_stop(&r);
	return rc;
}

/** Does any of its contents go anywhere? */
static int needed(struct join *j, const struct changelist *list, struct change *c, struct err *err)
{
	static const char *const words[] = {"put ", NULL};
	OWNED(line_reader_clear) struct line_reader lines = {0};
	int rc = line_reader_open(list, &lines, err);

	while (rc == 0 && (rc = line_reader_next_of(&lines, words, c, err)) > 0) {
		const struct supply *s = list_find(&j->supply, &c->digest, supply_key);

		if (s != NULL && s->path != NULL && !s->done)
			return 1;
		rc = 0;
	}
	return rc;
}

int join_fill(struct fill *f, struct err *err)
{
	struct join *j = f->a->join;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && i < j->n; i++) {
		rc = needed(j, &j->list[i], f->c, err);
		if (rc > 0)
			rc = bundle_take(f, &j->b[i], &j->list[i], err);
	}
	return rc < 0 ? rc : 0;
}
