#include <stdio.h>
#include <string.h>

#include "bundler/collect_internal.h"
#include "bundler/registry.h"

void tally_clear(struct tally *t)
{
	free(t->row);
	*t = (struct tally){0};
}

static struct tally_row *tally_find(struct tally *t, const char *kind, const char *about)
{
	/* Files of one sender come one after the other. */
	for (size_t i = t->n; i > 0; i--) {
		struct tally_row *r = &t->row[i - 1];

		if (strcmp(r->kind, kind) == 0 && strcmp(r->about, about) == 0)
			return r;
	}
	return NULL;
}

int tally_add(struct tally *t, const char *kind, const char *about, const char *text,
	      struct err *err)
{
	struct tally_row *r = tally_find(t, kind, about);

	if (r == NULL && t->n == t->cap) {
		size_t cap = t->cap == 0 ? 8 : t->cap * 2;
		struct tally_row *more = reallocarray(t->row, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		t->row = more;
		t->cap = cap;
	}
	if (r == NULL) {
		r = &t->row[t->n++];
		memset(r, 0, sizeof(*r));
		snprintf(r->kind, sizeof(r->kind), "%s", kind);
		snprintf(r->about, sizeof(r->about), "%s", about);
	}
	snprintf(r->text, sizeof(r->text), "%s", text);
	r->count++;
	return 0;
}

int tally_flush(struct tally *t, struct db *db, struct err *err)
{
	for (size_t i = 0; i < t->n; i++) {
		int rc = registry_event_many(db, t->row[i].kind, t->row[i].about, t->row[i].text,
					     t->row[i].count, err);

		if (rc < 0)
			return rc;
	}
	t->n = 0;
	return 0;
}
