/* SPDX-License-Identifier: ISC */
/*
 * The lines against what was signed about them: order, counts, bytes, what this target allows.
 * And, for a bundle that starts from nothing, the deletions that it implies.
 */
#include <inttypes.h>
#include <string.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"

struct counts_check {
	uint64_t count[CHANGE_OPS];
	uint64_t content;
};

/** What a line may ask for here. */
static int line_allowed(const struct apply *a, const struct change *c, struct err *err)
{
	if (path_reserved(c->path))
		return err_set(err, RC_PATH, "%s: names that begin with %s are reserved", c->path,
			       PATH_RESERVED);
	if (c->op == CHANGE_DELETE)
		return 0;
	if (c->kind != ENTRY_LINK && c->mode > 0777 && !a->t->special_modes)
		return err_set(err, RC_POLICY,
			       "%s: mode %04o sets special bits, which this target does not allow",
			       c->path, c->mode);
	if (strcmp(c->owner, "-") != 0 && !a->t->owners)
		return err_set(err, RC_POLICY,
			       "%s: belongs to %s, but this target does not allow owners", c->path,
			       c->owner);
	if (c->op == CHANGE_PATCH)
		return err_set(err, RC_POLICY,
			       "%s: this version cannot apply patches; ask for a full bundle",
			       c->path);
	return 0;
}

static int check_totals(const struct apply *a, const struct counts_check *t, struct err *err)
{
	const struct manifest *m = a->b->manifest;

	for (size_t i = 0; i < CHANGE_OPS; i++)
		if (t->count[i] != m->count[i])
			return err_set(err, RC_MALFORMED,
				       "the list of changes has %" PRIu64
				       " lines of %s, but %" PRIu64 " were signed",
				       t->count[i], change_names[i], m->count[i]);
	if (t->content != m->content)
		return err_set(err, RC_MALFORMED,
			       "the list of changes adds up to %" PRIu64 " bytes, but %" PRIu64
			       " were signed",
			       t->content, m->content);
	return 0;
}

static int line_form(const struct apply *a, const struct change *c, struct counts_check *t,
		     struct err *err)
{
	bool from_base = c->op == CHANGE_META || c->op == CHANGE_DELETE || c->op == CHANGE_PATCH ||
			 (c->op == CHANGE_COPY && !c->source_new);

	if (a->b->manifest->base == 0 && from_base)
		return err_set(err, RC_MALFORMED,
			       "%s: %s of something that does not exist before generation 1",
			       c->path, change_names[c->op]);
	t->count[c->op]++;
	if ((c->op == CHANGE_PUT || c->op == CHANGE_PATCH || c->op == CHANGE_COPY) &&
	    __builtin_add_overflow(t->content, c->size, &t->content))
		return err_set(err, RC_LIMIT, "the contents add up to more than 2^64 bytes");
	return 0;
}

int check_allowed(struct apply *a, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader line_reader = {0};
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	int rc;

	if (c == NULL)
		return err_memory(err);
	if (line_reader_open(&a->list, &line_reader, err) < 0)
		return err->rc;
	while ((rc = line_reader_next(&line_reader, c, err)) > 0)
		if (line_allowed(a, c, err) < 0)
			return err->rc;
	return rc;
}

int check_lines(struct apply *a, struct err *err)
{
	OWNED(line_reader_clear) struct line_reader line_reader = {0};
	OWNED(freep) struct change *c = malloc(sizeof(*c));
	OWNED(freep) char *last = calloc(1, LIMIT_PATH + 1);
	struct counts_check counts_check = {0};
	int rc;

	if (c == NULL || last == NULL)
		return err_memory(err);
	if (line_reader_open(&a->list, &line_reader, err) < 0)
		return err->rc;
	while ((rc = line_reader_next(&line_reader, c, err)) > 0) {
		if (last[0] != '\0' && path_compare(last, c->path) >= 0)
			return err_set(err, RC_MALFORMED,
				       "the list of changes is out of order at %s", c->path);
		if (line_reader.line > LIMIT_ENTRIES)
			return err_set(err, RC_LIMIT, "more than %u changes", LIMIT_ENTRIES);
		if (line_form(a, c, &counts_check, err) < 0 ||
		    (a->join == NULL && line_allowed(a, c, err) < 0))
			return err->rc;
		memcpy(last, c->path, strlen(c->path) + 1);
	}
	return rc < 0 ? rc : check_totals(a, &counts_check, err);
}

/* Merge: two ascending lists, the index and the bundle's lines, become one. */

struct merge {
	struct line_reader line_reader;
	struct changelist to;
	struct buf out;
	struct change *change; /* owned; the last line read */
	struct bytes raw;      /* its text */
	bool have;
};

static int merge_flush(struct merge *m, size_t from, struct err *err)
{
	if (m->out.n < from)
		return 0;
	if (changelist_add(&m->to, bytes_in(&m->out), err) < 0)
		return err->rc;
	buf_reset(&m->out);
	return 0;
}

static int merge_read(struct merge *m, struct err *err)
{
	int rc = line_reader_raw(&m->line_reader, &m->raw, err);

	m->have = rc > 0;
	if (rc > 0)
		rc = change_parse(m->raw, m->change, err);
	return rc;
}

/** Write the line that was read, and read the next one. */
static int merge_take(struct merge *m, struct err *err)
{
	if (buf_add(&m->out, m->raw.p, m->raw.n, err) < 0 || buf_add(&m->out, "\n", 1, err) < 0 ||
	    merge_flush(m, 1u << 16, err) < 0)
		return err->rc;
	return merge_read(m, err);
}

static int merge_entry(void *arg, const char *path, const struct entry *e, struct err *err)
{
	struct merge *m = arg;
	struct change gone = {.op = CHANGE_DELETE, .kind = e->kind};

	while (m->have && path_compare(m->change->path, path) < 0)
		if (merge_take(m, err) < 0)
			return err->rc;
	if (m->have && strcmp(m->change->path, path) == 0)
		return merge_take(m, err);
	memcpy(gone.path, path, strlen(path) + 1);
	if (change_format(&gone, &m->out, err) < 0)
		return err->rc;
	return merge_flush(m, 1u << 16, err);
}

static int merge_run(struct apply *a, struct merge *m, struct err *err)
{
	if (merge_read(m, err) < 0 || index_walk(a->index, merge_entry, m, err) < 0)
		return err->rc;
	while (m->have)
		if (merge_take(m, err) < 0)
			return err->rc;
	return merge_flush(m, 1, err);
}

int check_merge(struct apply *a, struct err *err)
{
	struct merge m = {.to = CHANGELIST_INIT, .out = BUF_INIT};
	int rc;

	m.change = malloc(sizeof(*m.change));
	rc = m.change == NULL ? err_memory(err) : 0;
	if (rc == 0)
		rc = changelist_new(a->s->statefd, &m.to, err);
	if (rc == 0)
		rc = line_reader_open(&a->list, &m.line_reader, err);
	if (rc == 0)
		rc = merge_run(a, &m, err);
	if (rc == 0) {
		changelist_clear(&a->list);
		a->list = m.to;
		m.to = (struct changelist)CHANGELIST_INIT;
	}
	line_reader_clear(&m.line_reader);
	changelist_clear(&m.to);
	buf_clear(&m.out);
	free(m.change);
	return rc;
}
