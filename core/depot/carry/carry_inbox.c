/* SPDX-License-Identifier: ISC */
/*
 * The inbox.  Anybody can write into one, and nobody but the server can open what lies there, so
 * quotas say how much of it is taken: of each workstation of the site, and of strangers.  Only what
 * has the form counts, or else junk would take the place of receipts; and the order is by chance,
 * or else whoever comes first by name would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"

/* One directory of it. */
struct inbox {
	struct carry_run *r;
	const char *dir;
	struct merged_listing l; /* owned */
	uint32_t *first;         /* owned; of each row, the first one of the same id */
	unsigned *own;           /* owned; taken of each id, at the place of its first row */
};

static void inbox_clear(struct inbox *in)
{
	merged_listing_clear(&in->l);
	free(in->first);
	free(in->own);
}

/* Names begin with the id and are sorted. */
static int inbox_ids(struct inbox *in, struct err *err)
{
	in->first = calloc(in->l.rows + 1, sizeof(*in->first));
	in->own = calloc(in->l.rows + 1, sizeof(*in->own));
	if (in->first == NULL || in->own == NULL)
		return err_memory(err);
	for (size_t i = 1; i < in->l.rows; i++) {
		const char *before = listed_name(&in->l, &in->l.row[i - 1]);
		bool same =
		    strncmp(before, listed_name(&in->l, &in->l.row[i]), WORKSTATION_ID) == 0;

		in->first[i] = same ? in->first[i - 1] : (uint32_t)i;
	}
	return 0;
}

/* What strangers sealed: nobody but the server can open it, so it has to look like one. */
static bool inbox_form(const struct document *d)
{
	char recipient[17];

	return sealed_recipient(bytes_in(&d->content), recipient);
}

/*
 * inbox_room(in, i, name): is there room for this file?  A receipt of a machine that the site does
 * not list is left: nobody would read it, and if the machine is listed by and by, it comes along
 * then.  What exceeds a quota is refused aloud.
 */
static bool inbox_room(struct inbox *in, size_t i, const struct name *name)
{
	struct carry_run *r = in->r;
	const char *depot = depot_path(r->depot[in->l.row[i].there[AT_FROM] ? AT_FROM : AT_TO]);
	bool listed = workstation_listed(r, name->id);
	struct err bad = {0};

	if (!listed && name->kind == NAME_RECEIPT) {
		r->result->unwanted++;
		return false;
	}
	if (!listed && r->strangers >= LIMIT_CARRY_STRANGERS)
		err_set(&bad, RC_LIMIT,
			"more than %u requests of machines that the site does not list wait in "
			"%s of the depot \"%s\" and beside it: the rest stays behind",
			LIMIT_CARRY_STRANGERS, in->dir, depot);
	else if (in->own[in->first[i]] >= LIMIT_CARRY_OWN)
		err_set(
		    &bad, RC_LIMIT,
		    "more than %u files of workstation %.8s wait in %s of the depot \"%s\": the "
		    "rest stays behind",
		    LIMIT_CARRY_OWN, name->id, in->dir, depot);
	if (bad.rc < 0)
		carry_refuse(r, &bad, ERR_IGNORED); /* never one of ours */
	return bad.rc == 0;
}

static int inbox_take(struct inbox *in, size_t i, const struct document *d, struct err *err)
{
	in->own[in->first[i]]++;
	in->r->strangers += !workstation_listed(in->r, d->name.id);
	carry_read(in->r, d);
	return carry_plan_document(in->r, d, err);
}

static int inbox_read(struct inbox *in, size_t i, const char *path, size_t max, struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	struct carry_run *r = in->r;
	struct err bad = {0};
	int rc;

	r->tries--;
	rc = carry_document(r, path, &in->l.row[i], max, &d, err);
	if (rc == 0)
		carry_lack(r, "%s is not whole", path);
	if (rc <= 0)
		return rc;
	if (inbox_form(&d))
		return inbox_take(in, i, &d, err);
	err_set(&bad, RC_MALFORMED, "%s is not sealed", path);
	return carry_refuse(r, &bad, err);
}

static int inbox_row(struct inbox *in, size_t i, struct err *err)
{
	const struct listed *row = &in->l.row[i];
	struct carry_run *r = in->r;
	char path[DEPOT_NAME];
	struct name name;

	snprintf(path, sizeof(path), "%.20s/%.200s", in->dir, listed_name(&in->l, row));
	if (name_parse(path, &name) != NAME_RECEIPT && name.kind != NAME_REQUEST)
		return 0;
	if (verdict_inbox(r, &name) == VERDICT_STALE)
		return carry_plan_stale(r, path, &name, row, err);
	if (row->there[AT_FROM] && row->there[AT_TO] && row->size[AT_FROM] == row->size[AT_TO] &&
	    (r->c->flags & CARRY_CHECK) == 0) {
		r->result->there++;
		return 0;
	}
	if (!inbox_room(in, i, &name) || carry_enough(r, in->dir))
		return 0;
	return inbox_read(in, i, path, name.kind == NAME_RECEIPT ? LIMIT_RECEIPT : LIMIT_REQUEST,
			  err);
}

int carry_inbox(struct carry_run *r, const char *dir, struct err *err)
{
	OWNED(inbox_clear) struct inbox in = {.r = r, .dir = dir};
	OWNED(freep) uint32_t *order = NULL;
	int rc = carry_list(r, dir, &in.l, err);

	if (rc == 0)
		rc = inbox_ids(&in, err);
	if (rc == 0)
		rc = candidates_order(in.l.rows, &order, err);
	for (size_t i = 0; rc == 0 && i < in.l.rows; i++) {
		rc = inbox_row(&in, order[i], err);
		reporter_progress(r->c->reporter, "comparing", 0, 0, i, in.l.rows);
	}
	return rc;
}
