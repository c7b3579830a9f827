/* SPDX-License-Identifier: ISC */
/*
 * What lies in one directory of both depots, as one sorted list.  Anybody can fill a depot, so
 * names that cannot be ours are dropped at once and the number of rows has a ceiling.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"

/* Both sides of a directory together: what an entry costs (name and row) times this is 250 MB. */
#define LISTING_ROWS 2000000u

void merged_listing_clear(struct merged_listing *l)
{
	buf_clear(&l->text);
	free(l->row);
	memset(l, 0, sizeof(*l));
}

const char *listed_name(const struct merged_listing *l, const struct listed *row)
{
	return (const char *)l->text.p + row->name;
}

struct merged_listing_run {
	struct carry_run *r;
	struct merged_listing *l;
	const char *dir;
	bool (*fits)(const char *name); /* NULL: of files */
	enum at at;
	unsigned dirs;
};

/* A listing that never ends must not cost what comes after it. */
static int listing_enough(struct merged_listing_run *run, struct err *err)
{
	return carry_enough(run->r, run->dir)
		   ? err_set(err, RC_AGAIN, "%s", run->r->unreadable.text)
		   : 0;
}

static int merged_listing_add(struct merged_listing *l, enum at at, const char *name, uint64_t size,
			      struct err *err)
{
	struct listed *row;
	int rc;

	if (l->rows == LISTING_ROWS)
		return err_set(err, RC_LIMIT,
			       "more than %u names in a directory; somebody is flooding it",
			       LISTING_ROWS);
	rc = items_reserve(l->row, l->rows, l->room, 1, err);
	if (rc < 0)
		return rc;
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
	struct merged_listing_run *run = arg;
	char path[DEPOT_NAME];
	struct name n;
	int rc = listing_enough(run, err);

	if (rc < 0)
		return rc;
	if ((size_t)snprintf(path, sizeof(path), "%s/%s", run->dir, name) >= sizeof(path) ||
	    name_parse(path, &n) == NAME_OTHER)
		return 0;
	return merged_listing_add(run->l, run->at, name, size, err);
}

static int each_dir(void *arg, const char *name, struct err *err)
{
	struct merged_listing_run *run = arg;

	int rc = listing_enough(run, err);

	if (rc < 0 || !run->fits(name))
		return rc;
	if (run->l->rows >= run->dirs && known_newest(&run->r->known, name) == NULL)
		return 0;
	return merged_listing_add(run->l, run->at, name, 0, err);
}

static int by_name(const void *va, const void *vb, void *text)
{
	const struct listed *a = va, *b = vb;

	return strcmp((const char *)text + a->name, (const char *)text + b->name);
}

/* The same name on both sides is one row. */
static void merged_listing_merge(struct merged_listing *l)
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
static int merged_listing_unreadable(struct carry_run *r, struct merged_listing *l,
				     const struct err *why, struct err *err)
{
	if (carry_fatal(why->rc)) {
		*err = *why;
		return err->rc;
	}
	if (r->unreadable.rc == 0)
		r->unreadable = *why;
	reporter_warning(r->c->reporter, "%s; what lies there is left as it is", why->text);
	merged_listing_clear(l);
	return 0;
}

static int list_merged(struct carry_run *r, const char *dir, bool (*fits)(const char *name),
		       struct merged_listing *ret, struct err *err)
{
	struct merged_listing_run run = {r, ret, dir, fits, AT_FROM, candidates_tries(CARRY_DIRS)};

	for (; run.at < ATS; run.at++) {
		struct err bad = {0};
		int rc = 0;

		if (r->depot[run.at] == NULL)
			continue;
		rc = fits != NULL ? depot_dirs(r->depot[run.at], dir, each_dir, &run, &bad)
				  : depot_list(r->depot[run.at], dir, each_file, &run, &bad);
		if (rc < 0)
			return merged_listing_unreadable(r, ret, &bad, err);
	}
	merged_listing_merge(ret);
	return 0;
}

int carry_list(struct carry_run *r, const char *dir, struct merged_listing *ret, struct err *err)
{
	return list_merged(r, dir, NULL, ret, err);
}

int carry_dirs(struct carry_run *r, const char *dir, bool (*fits)(const char *name),
	       struct merged_listing *ret, struct err *err)
{
	return list_merged(r, dir, fits, ret, err);
}

void document_clear(struct document *d)
{
	buf_clear(&d->content);
	memset(d, 0, sizeof(*d));
}

/* WHOLE fills ${ret}; what cannot be read is as good as torn. */
static int signed_document_read(struct carry_run *r, enum at at, const char *path, uint64_t size,
				size_t max, struct buf *ret, enum state *ret_state, struct err *err)
{
	struct err bad = {0};
	int rc;

	*ret_state = INCOMPLETE;
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

int carry_document(struct carry_run *r, const char *path, const struct listed *row, size_t max,
		   struct document *ret, struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	int rc = 0;

	snprintf(d.path, sizeof(d.path), "%s", path);
	name_parse(path, &d.name);
	for (enum at at = 0; at < ATS && rc == 0; at++)
		if (row->there[at])
			rc = signed_document_read(r, at, path, row->size[at], max, &d.content,
						  &d.state[at], err);
	if (rc < 0)
		return rc;
	rc = d.state[AT_FROM] == WHOLE || d.state[AT_TO] == WHOLE;
	*ret = d;
	memset(&d, 0, sizeof(d));
	return rc;
}
