/* SPDX-License-Identifier: ISC */
/*
 * The heads of one channel, and which of its bundles they lead to.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/depot/candidates.h"
#include "core/depot/carry/carry_internal.h"
#include "core/format/documents/trusted.h"

void heads_clear(struct heads *c)
{
	merged_listing_clear(&c->l);
	free(c->needed);
}

void heads_path(const struct heads *c, const struct listed *row, char dst[DEPOT_NAME])
{
	snprintf(dst, DEPOT_NAME, "%.80s/%.170s", c->dir, listed_name(&c->l, row));
}

static int needed_add(struct heads *c, const struct head *h, struct err *err)
{
	int rc = items_reserve(c->needed, c->n, c->room, h->bundles, err);

	for (size_t i = 0; rc == 0 && i < h->bundles; i++)
		digest_name(c->needed[c->n++], &h->bundle[i].prefix);
	return rc;
}

/* A head of a newer format may lead to any bundle, so none counts as stale any more. */
static int head_learn(struct heads *c, const struct document *d, struct err *err)
{
	struct carry_run *r = c->r;
	struct head h;
	int rc;

	if (head_decode(d->doc.inner, &h, ERR_IGNORED) < 0) { /* a newer format */
		c->unknown = true;
		return 0;
	}
	rc = needed_add(c, &h, err);
	head_clear(&h);
	for (size_t i = 0; i < r->known.channels; i++)
		if (strcmp(r->known.channel[i].name, d->name.channel) == 0 &&
		    digest_equal(&r->known.channel[i].head, &d->doc.identity))
			r->known.channel[i].found = true;
	return rc;
}

/*
 * Does the head say what its name says?  Signed by the site, but copied under the name of another:
 * it would stand for a generation that it is not.
 */
static int head_check(const struct trust *t, const struct document *d, struct err *err)
{
	struct head h;
	int rc = head_decode(d->doc.inner, &h, ERR_IGNORED);

	if (rc < 0)
		return 0;
	if (strcmp(h.channel, d->name.channel) != 0 || h.epoch != d->name.epoch ||
	    h.generation != d->name.number)
		rc = err_set(err, RC_UNTRUSTED,
			     "%s is not the head that its name "
			     "promises",
			     d->path);
	else
		rc = h.release.n > 0 ? trusted_release(t, &h, d->path, NULL, err)
				     : trust_release(t, h.channel, &d->doc, d->path, err);
	if (rc == RC_UNTRUSTED && trusted_release_before(t, &h))
		rc = err_set(err, RC_REPLAY, "%s: released before the publish keys changed",
			     d->path);
	head_clear(&h);
	return rc;
}

static int head_row(struct heads *c, const char *path, const struct listed *row, struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	struct carry_run *r = c->r;
	struct err bad = {0};
	struct name name;
	int rc;

	if (name_parse(path, &name) != NAME_HEAD)
		return 0;
	if (verdict_head(r, &name, NULL) == VERDICT_STALE)
		return carry_plan_stale(r, path, &name, row, err);
	if (carry_enough(r, c->dir)) { /* what it leads to, nobody knows */
		c->unknown = true;
		return 0;
	}
	r->tries--;
	rc = carry_document(r, path, row, LIMIT_DOCUMENT, &d, err);
	if (rc == 0)
		carry_lack(r, "%s is not whole", path);
	if (rc <= 0)
		return rc;
	if (!r->known.chain)
		return carry_plan_document(r, &d, err);
	rc = carry_signed(r, &d, "head", ROLE_PRIVATE, &bad);
	if (rc == 0)
		rc = head_check(&r->known.trust, &d, &bad);
	if (rc == RC_REPLAY ||
	    (rc == 0 && verdict_head(r, &name, &d.doc.identity) == VERDICT_STALE))
		return carry_plan_stale(r, path, &name, row, err);
	if (rc < 0)
		return carry_refuse(r, &bad, err);
	rc = head_learn(c, &d, err);
	return rc < 0 ? rc : carry_plan_document(r, &d, err);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

int heads_read(struct heads *c, struct err *err)
{
	struct carry_run *r = c->r;
	const char *name = strrchr(c->dir, '/') + 1;
	const struct known_channel *newest = known_newest(&r->known, name);
	OWNED(freep) uint32_t *order = NULL;
	int rc = candidates_order(c->l.rows, &order, err);

	r->tries = candidates_tries(CARRY_TRIES);
	for (size_t i = 0; rc == 0 && i < c->l.rows; i++) {
		const struct listed *row = &c->l.row[order[i]];
		char path[DEPOT_NAME];

		heads_path(c, row, path);
		rc = head_row(c, path, row, err);
	}
	if (rc < 0)
		return rc;
	if (!r->known.beat || !r->known.seen[shard_of(name)])
		c->unknown = true;
	if (newest != NULL && !newest->found) {
		c->unknown = true;
		carry_lack(r, "head %" PRIu64 " of channel %s is not whole", newest->generation,
			   name);
	}
	if (c->n > 0)
		qsort(c->needed, c->n, sizeof(*c->needed), by_text);
	return 0;
}

bool heads_stale(const struct heads *c, const struct name *n)
{
	const struct known_channel *newest;

	if (c->unknown ||
	    (c->n > 0 && bsearch(n->digest, c->needed, c->n, sizeof(*c->needed), by_text) != NULL))
		return false;
	newest = known_newest(&c->r->known, n->channel);
	return newest == NULL || n->epoch < newest->epoch ||
	       (n->epoch == newest->epoch && n->number <= newest->generation);
}
