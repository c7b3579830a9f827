/* SPDX-License-Identifier: ISC */
/*
 * Faults of one run, counted before they are written.  Thousands of bad files of one sender are
 * one event with a number, and not a flood that hides everything else.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/registry/registry.h"

void event_counts_clear(struct event_counts *t)
{
	list_clear(&t->row);
	*t = (struct event_counts){0};
}

static struct event_counts_row *event_counts_find(struct event_counts *t, const char *kind,
						  const char *about)
{
	/* Files of one sender come one after the other. */
	for (size_t i = t->row.n; i > 0; i--) {
		struct event_counts_row *r = &t->row.items[i - 1];

		if (strcmp(r->kind, kind) == 0 && strcmp(r->about, about) == 0)
			return r;
	}
	return NULL;
}

int event_counts_add(struct event_counts *t, const char *kind, const char *about, const char *text,
		     const char *claim, struct err *err)
{
	struct event_counts_row *r = event_counts_find(t, kind, about);

	if (r == NULL) {
		r = list_add(&t->row, err);
		if (r == NULL)
			return err->rc;
		snprintf(r->kind, sizeof(r->kind), "%s", kind);
		snprintf(r->about, sizeof(r->about), "%s", about);
	}
	snprintf(r->text, sizeof(r->text), "%s", text);
	snprintf(r->claim, sizeof(r->claim), "%s", claim);
	r->count++;
	return 0;
}

int event_counts_flush(struct event_counts *t, struct db *db, struct err *err)
{
	for (size_t i = 0; i < t->row.n; i++) {
		int rc = registry_event_many(db, t->row.items[i].kind, t->row.items[i].about,
					     t->row.items[i].text, t->row.items[i].claim,
					     t->row.items[i].count, err);

		if (rc < 0)
			return rc;
	}
	t->row.n = 0;
	return 0;
}
