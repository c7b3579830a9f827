#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry_internal.h"

/* Both sides of a directory together: what an entry costs (name and row) times this is 250 MB. */
#define LISTING_ROWS 2000000u

void both_clear(struct both *l)
{
	buf_clear(&l->text);
	free(l->row);
	memset(l, 0, sizeof(*l));
}

const char *listed_name(const struct both *l, const struct listed *row)
{
	return (const char *)l->text.p + row->name;
}

struct both_run {
	struct both *l;
	const char *dir; /* NULL: of directories */
	enum at at;
};

static int both_add(struct both *l, enum at at, const char *name, uint64_t size, struct err *err)
{
	struct listed *row;
	int rc;

	if (l->rows == LISTING_ROWS)
		return err_set(err, RC_LIMIT,
			       "more than %u names in a directory; somebody floods it",
			       LISTING_ROWS);
	if (l->rows == l->room) {
		size_t room = l->room == 0 ? 64 : 2 * l->room;

		row = reallocarray(l->row, room, sizeof(*row));
		if (row == NULL)
			return err_memory(err);
		l->row = row;
		l->room = room;
	}
	row = &l->row[l->rows];
	*row = (struct listed){.name = (uint32_t)l->text.n};
	row->there[at] = true;
	row->size[at] = size;
	rc = buf_add(&l->text, name, strlen(name) + 1, err);
	if (rc == 0)
		l->rows++;
	return rc;
}

static int each_file(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct both_run *run = arg;
	char path[DEPOT_NAME];
	struct name n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", run->dir, name) >= sizeof(path) ||
	    name_parse(path, &n) == NAME_OTHER)
		return 0;
	return both_add(run->l, run->at, name, size, err);
}

static int each_dir(void *arg, const char *name, struct err *err)
{
	struct both_run *run = arg;

	if (run->l->rows >= CARRY_DIRS)
		return err_set(err, RC_LIMIT, "more than %u directories; somebody floods it",
			       CARRY_DIRS);
	return both_add(run->l, run->at, name, 0, err);
}

static int by_name(const void *va, const void *vb, void *text)
{
	const struct listed *a = va, *b = vb;

	return strcmp((const char *)text + a->name, (const char *)text + b->name);
}

/* The same name on both sides is one row. */
static void both_merge(struct both *l)
{
	size_t n = 0;

	if (l->rows == 0)
		return;
	qsort_r(l->row, l->rows, sizeof(*l->row), by_name, l->text.p);
	for (size_t i = 1; i < l->rows; i++) {
		struct listed *last = &l->row[n], *row = &l->row[i];

		if (by_name(last, row, l->text.p) != 0) {
			l->row[++n] = *row;
			continue;
		}
		for (int at = 0; at < ATS; at++)
			if (row->there[at]) {
				last->there[at] = true;
				last->size[at] = row->size[at];
			}
	}
	l->rows = n + 1;
}

/* What is not to be seen on one side would count as missing there: then neither side is. */
static int both_blind(struct run *r, struct both *l, const struct err *why, struct err *err)
{
	if (carry_fatal(why->rc)) {
		*err = *why;
		return err->rc;
	}
	if (r->blind.rc == 0)
		r->blind = *why;
	say_warning(r->c->say, "%s; what lies there is left as it is", why->text);
	both_clear(l);
	return 0;
}

static int list_both(struct run *r, const char *dir, bool dirs, struct both *ret, struct err *err)
{
	struct both_run run = {ret, dir, AT_FROM};

	for (; run.at < ATS; run.at++) {
		struct err bad = {0};
		int rc = 0;

		if (r->depot[run.at] == NULL)
			continue;
		rc = dirs ? depot_dirs(r->depot[run.at], dir, each_dir, &run, &bad)
			  : depot_list(r->depot[run.at], dir, each_file, &run, &bad);
		if (rc < 0)
			return both_blind(r, ret, &bad, err);
	}
	both_merge(ret);
	return 0;
}

int carry_list(struct run *r, const char *dir, struct both *ret, struct err *err)
{
	return list_both(r, dir, false, ret, err);
}

int carry_dirs(struct run *r, const char *dir, struct both *ret, struct err *err)
{
	return list_both(r, dir, true, ret, err);
}

void document_clear(struct document *d)
{
	buf_clear(&d->content);
	memset(d, 0, sizeof(*d));
}

/* WHOLE fills ${ret}; what cannot be read is as good as torn. */
static int document_read(struct run *r, enum at at, const char *path, uint64_t size, size_t max,
			 struct buf *ret, enum state *ret_state, struct err *err)
{
	struct err bad = {0};
	int rc;

	*ret_state = TORN;
	if (size > max)
		return 0;
	rc = depot_read(r->depot[at], path, max, ret, &bad);
	if (carry_fatal(rc)) {
		*err = bad;
		return rc;
	}
	if (rc == 0)
		*ret_state = WHOLE;
	return 0;
}

int carry_document(struct run *r, const char *path, const struct listed *row, size_t max,
		   struct document *ret, struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	int rc = 0;

	snprintf(d.path, sizeof(d.path), "%s", path);
	name_parse(path, &d.name);
	for (enum at at = 0; at < ATS && rc == 0; at++)
		if (row->there[at])
			rc = document_read(r, at, path, row->size[at], max, &d.content,
					   &d.state[at], err);
	if (rc < 0)
		return rc;
	rc = d.state[AT_FROM] == WHOLE || d.state[AT_TO] == WHOLE;
	*ret = d;
	memset(&d, 0, sizeof(d));
	return rc;
}
