/* SPDX-License-Identifier: ISC */
/*
 * What workstations hold of one channel, as their newest receipts say it: the evidence by which a
 * generation goes on from one ring to the next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/receipts/receipts.h"
#include "core/base/own.h"

/* "unhealthy: the check ended with 1" */
static bool slug_is(const char *reason, const char *slug)
{
	size_t n = strlen(slug);

	return strncmp(reason, slug, n) == 0 && (reason[n] == ':' || reason[n] == '\0');
}

static bool said_bad(const char *result, const char *reason)
{
	return strcmp(result, "failed") == 0 || strcmp(result, "refused") == 0 ||
	       slug_is(reason, "rolled-back") || slug_is(reason, "unhealthy");
}

static int held_take(struct receipts_helds *l, sqlite3_stmt *st, struct err *err)
{
	struct receipts_held *h = list_add(l, err);

	if (h == NULL)
		return err->rc;
	snprintf(h->id, sizeof(h->id), "%s", db_text(st, 0));
	h->formats = (uint64_t)db_i64(st, 1);
	h->recorded = db_i64(st, 2);
	h->epoch = (uint64_t)db_i64(st, 3);
	h->generation = (uint64_t)db_i64(st, 4);
	h->wanted = (uint64_t)db_i64(st, 5);
	h->drift = (uint64_t)db_i64(st, 6);
	h->bad = said_bad(db_text(st, 7), db_text(st, 8));
	if (!db_digest(st, 9, &h->tree))
		h->tree = (struct digest){{0}};
	return 0;
}

int receipts_held(struct db *db, const char *channel, struct receipts_helds *ret, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc = db_query(db,
			  "SELECT r.id, r.formats, r.recorded, coalesce(c.epoch, 0),"
			  " coalesce(c.generation, 0), coalesce(c.wanted, 0), coalesce(c.drift, 0),"
			  " coalesce(c.result, ''), coalesce(c.reason, ''), c.tree FROM receipt r"
			  " LEFT JOIN receipt_channel c ON c.id = r.id AND c.channel = ?1"
			  " ORDER BY r.id",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", channel);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = held_take(ret, st, err);
	return rc;
}

static int held_order(const void *id, const void *held)
{
	return strcmp(id, ((const struct receipts_held *)held)->id);
}

const struct receipts_held *receipts_held_find(const struct receipts_helds *l, const char *id)
{
	return l->n == 0 ? NULL : bsearch(id, l->items, l->n, sizeof(*l->items), held_order);
}
