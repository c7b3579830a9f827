/* SPDX-License-Identifier: ISC */
/*
 * One direction: whether there is room is known before the first byte; then move by move, in an
 * order in which nothing is named before it is there.  What is done stays done, so a carry that was
 * broken off goes on where it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry/carry_internal.h"

/* A file takes whole blocks of the file system. */
#define ALLOCATION 4096u
/* Writes that fail one after another before the direction is given up: one name may be in the way,
 * eight are a medium that takes nothing. */
#define FAILURES 8

/* What is posted first, by kind: receipts, which nobody else has, before gigabytes; beats last. */
static const uint8_t order[] = {
    [NAME_TRUST] = 1, [NAME_RECEIPT] = 2, [NAME_REQUEST] = 2, [NAME_PRIVATE] = 3, [NAME_BUNDLE] = 4,
    [NAME_PART] = 4,  [NAME_HEAD] = 5,    [NAME_SHARD] = 6,   [NAME_BEAT] = 7,
};

uint64_t carry_allocated(uint64_t size)
{
	return (size + ALLOCATION - 1) / ALLOCATION * ALLOCATION;
}

enum choice { ALL, NOT_INBOX, SMALL, INBOX, NOTHING };

struct direction {
	struct carry_run *r;
	enum choice choice; /* of the moves, by the space that there is */
	enum at to;
	struct depot *depot; /* that is written to */
	struct carry_direction *result;
	char dir[DEPOT_NAME]; /* last written to */
	unsigned failures;
	bool full; /* a bundle did not fit: only what is small is tried */
};

void carry_progress(struct carry_run *r, size_t n)
{
	r->done += n;
	reporter_progress(r->c->reporter, "carrying", r->done, r->total, r->items, r->items_total);
}

static const char *move_path(const struct carry_run *r, const struct move *m)
{
	return (const char *)r->paths.p + m->path;
}

/*
 * Removals come last within a plan that had room, since a file that is needed elsewhere may still
 * be read from here.
 */
static int by_order(const void *va, const void *vb, void *arg)
{
	const struct move *a = va, *b = vb;

	if (a->how != b->how)
		return a->how - b->how;
	if (order[a->kind] != order[b->kind])
		return order[a->kind] - order[b->kind];
	return strcmp(move_path(arg, a), move_path(arg, b));
}

void carry_sort(struct carry_run *r)
{
	if (r->moves > 0)
		qsort_r(r->move, r->moves, sizeof(*r->move), by_order, r);
}

static bool inbox(const struct move *m)
{
	return m->kind == NAME_RECEIPT || m->kind == NAME_REQUEST;
}

/* Of a channel, whole or in parts: everything else is a few KiB each. */
static bool large(const struct move *m)
{
	return m->kind == NAME_BUNDLE || m->kind == NAME_PART;
}

static bool chosen(const struct direction *w, const struct move *m)
{
	if (m->to != w->to)
		return false;
	if (w->choice == SMALL)
		return m->how != MOVE_COPY || !large(m);
	return w->choice == ALL || (w->choice == INBOX) == inbox(m);
}

static uint64_t needed(const struct direction *w)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w->r->moves; i++) {
		const struct move *m = &w->r->move[i];

		if (m->how == MOVE_COPY && chosen(w, m))
			n += carry_allocated(m->size);
	}
	return w->choice == NOTHING ? 0 : n;
}

/*
 * When there is no room for all: a flood of receipts must not keep the rest away, and a bundle that
 * does not fit must keep neither receipts from coming home, nor trust and beat from going out: who
 * gets these goes on believing what is there, and asks for what is missing by its name.
 */
static int space_check(struct direction *w, struct err *err)
{
	static const struct {
		enum choice choice;
		const char *words;
	} less[] = {{NOT_INBOX, "only receipts and requests were left"},
		    {SMALL, "all but bundles of channels was written"},
		    {INBOX, "only receipts and requests were written"},
		    {NOTHING, "nothing was written there"}};
	char needs[SIZE_TEXT], has[SIZE_TEXT];
	uint64_t all, bytes = 0;
	size_t i = 0;
	int rc;

	w->choice = ALL;
	all = needed(w);
	rc = all == 0 ? 0 : depot_free_bytes(w->depot, &bytes, err);
	if (rc < 0 || all == 0 || bytes >= all)
		return rc;
	do {
		w->choice = less[i].choice;
	} while ((needed(w) == 0 || needed(w) > bytes) && ++i + 1 < ARRAY_LEN(less));
	w->choice = less[i].choice;
	size_text(needs, all);
	size_text(has, bytes);
	return err_set(err, RC_SPACE, "not enough space in the depot \"%s\": needs %s, has %s; %s",
		       depot_path(w->depot), needs, has, less[i].words);
}

static int document_copy(struct direction *w, const char *path, const struct move *m,
			 struct err *err)
{
	OWNED(buf_clear) struct buf content = BUF_INIT;
	char dir[DEPOT_NAME];
	bool sweep;
	int rc = depot_read(w->r->depot[!w->to], path, LIMIT_DOCUMENT, &content, err);

	if (rc < 0)
		return carry_fatal(rc) ? rc : err_set(err, RC_INCOMPLETE, "%s is gone", path);
	/* The first in a directory: what was being written when the last carry was killed. */
	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	sweep = strcmp(dir, w->dir) != 0;
	strcpy(w->dir, dir);
	rc = depot_stream_begin(w->depot, path, content.n, sweep, err);
	if (rc == 0)
		rc = depot_stream_more(w->depot, bytes_in(&content), err);
	if (rc == 0)
		rc = depot_stream_commit(w->depot, err);
	if (rc < 0)
		depot_stream_abort(w->depot);
	else
		carry_progress(w->r, content.n);
	return rc;
}

static int move_make(struct direction *w, const struct move *m, struct err *err)
{
	const char *path = move_path(w->r, m);
	int rc;

	if (m->how == MOVE_REMOVE) {
		rc = depot_remove(w->depot, path, err);
		w->result->pruned += rc == 0;
		return rc;
	}
	if (m->kind == NAME_BUNDLE || m->kind == NAME_PRIVATE || m->kind == NAME_PART)
		rc = carry_bundle(w->r, w->to, path, err);
	else
		rc = document_copy(w, path, m, err);
	if (rc == 0) {
		w->result->files++;
		w->result->bytes += m->size;
	}
	return rc;
}

/* A file that could not be brought does not stop the others; a medium that takes nothing does. */
static int move_try(struct direction *w, const struct move *m, struct err *err)
{
	struct err bad = {0};
	int rc = move_make(w, m, &bad);

	w->r->items++;
	if (rc == 0) {
		w->failures = 0;
		return 0;
	}
	/* What it took before it did not fit is free again, and the beat is still to come. */
	if (rc == RC_SPACE && large(m)) {
		w->full = true;
		if (w->result->rc == 0) {
			w->result->rc = rc;
			*err = bad;
		}
		return 0;
	}
	if (rc == RC_INCOMPLETE || rc == RC_UNTRUSTED || rc == RC_REPLAY) {
		if (rc == RC_UNTRUSTED)
			return carry_refuse(w->r, &bad, err);
		carry_lack(w->r, "%s", bad.text);
		return 0;
	}
	if (w->result->rc == 0) {
		w->result->rc = rc;
		*err = bad;
	}
	return carry_fatal(rc) || rc == RC_SPACE || ++w->failures == FAILURES ? rc : 0;
}

/*
 * What is stale, before anything is written: for its space.  Parts stay until the end: a bundle
 * that is joined from them is read while it is written.
 */
static int prune_first(struct direction *w, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < w->r->moves; i++) {
		struct move *m = &w->r->move[i];

		if (m->to != w->to || m->how != MOVE_REMOVE || m->kind == NAME_PART)
			continue;
		rc = move_make(w, m, err);
		m->to = ATS;
	}
	return rc;
}

static void direction_count(struct direction *w)
{
	struct carry_run *r = w->r;

	r->done = r->total = r->items = r->items_total = 0;
	for (size_t i = 0; i < r->moves; i++)
		if (r->move[i].to == w->to && r->move[i].how == MOVE_COPY) {
			r->total += r->move[i].size;
			r->items_total++;
		}
	if (r->c->flags & CARRY_DRY_RUN) {
		w->result->files = r->items_total;
		w->result->bytes = r->total;
		for (size_t i = 0; i < r->moves; i++)
			w->result->pruned +=
			    r->move[i].to == w->to && r->move[i].how == MOVE_REMOVE;
	}
}

int carry_direction(struct carry_run *r, enum at to, struct err *err)
{
	struct direction w = {.r = r, .to = to, .depot = r->depot[to]};
	bool prune = (r->c->flags & CARRY_PRUNE) != 0;
	int rc;

	w.result = to == AT_TO ? &r->result->to : &r->result->from;
	carry_sort(r);
	direction_count(&w);
	if (w.depot == NULL)
		return 0;
	rc = space_check(&w, err);
	if (r->c->flags & CARRY_DRY_RUN)
		return w.result->rc = rc;
	if (rc == RC_SPACE && prune && prune_first(&w, err) == 0)
		rc = space_check(&w, err);
	if (rc < 0 && rc != RC_SPACE)
		return w.result->rc = rc;
	w.result->rc = rc;
	rc = 0;
	for (size_t i = 0; rc == 0 && w.choice != NOTHING && i < r->moves; i++)
		if (chosen(&w, &r->move[i]) &&
		    !(w.full && large(&r->move[i]) && r->move[i].how == MOVE_COPY))
			rc = move_try(&w, &r->move[i], err);
	if (w.result->rc == 0)
		w.result->rc = rc;
	return w.result->rc;
}
