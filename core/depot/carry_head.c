/*
 * The heads of one channel, and which of its bundles they lead to.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/own.h"
#include "core/depot/carry_internal.h"

void heads_clear(struct heads *c)
{
	both_clear(&c->l);
	free(c->needed);
}

void heads_path(const struct heads *c, const struct listed *row, char dst[DEPOT_NAME])
{
	snprintf(dst, DEPOT_NAME, "%.80s/%.170s", c->dir, listed_name(&c->l, row));
}

static int needed_add(struct heads *c, const struct head *h, struct err *err)
{
	for (size_t i = 0; i < h->bundles; i++) {
		if (c->n == c->room) {
			size_t room = c->room == 0 ? 64 : 2 * c->room;
			void *more = reallocarray(c->needed, room, sizeof(*c->needed));

			if (more == NULL)
				return err_memory(err);
			c->needed = more;
			c->room = room;
		}
		digest_name(c->needed[c->n++], &h->bundle[i].prefix);
	}
	return 0;
}

static int head_learn(struct heads *c, const struct document *d, struct err *err)
{
	struct run *r = c->r;
	struct head h;
	int rc;

	if (head_decode(d->doc.inner, &h, NULL) < 0) { /* a newer format */
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

/* Does the head say what its name says? */
static int head_check(const struct document *d, struct err *err)
{
	struct head h;
	int rc = head_decode(d->doc.inner, &h, NULL);

	if (rc < 0)
		return 0;
	if (strcmp(h.channel, d->name.channel) != 0 || h.epoch != d->name.epoch ||
	    h.generation != d->name.number)
		rc = err_set(err, RC_UNTRUSTED, "%s is not the head that its name says", d->path);
	head_clear(&h);
	return rc;
}

static int head_row(struct heads *c, const char *path, const struct listed *row, struct err *err)
{
	OWNED(document_clear) struct document d = {0};
	struct run *r = c->r;
	struct err bad = {0};
	struct name name;
	int rc;

	if (name_parse(path, &name) != NAME_HEAD)
		return 0;
	if (verdict_head(r, &name, NULL) == VERDICT_STALE)
		return carry_plan_stale(r, path, &name, row, err);
	if (r->tries == 0)
		return 0;
	r->tries--;
	rc = carry_document(r, path, row, LIMIT_DOCUMENT, &d, err);
	if (rc == 0)
		carry_lack(r, "%s is not whole", path);
	if (rc <= 0)
		return rc;
	if (!r->known.chain)
		return carry_plan_document(r, &d, err);
	rc = carry_signed(r, &d, "head", ROLE_PUBLISH, &bad);
	if (rc == 0)
		rc = head_check(&d, &bad);
	if (rc == RC_REPLAY ||
	    (rc == 0 && verdict_head(r, &name, &d.doc.identity) == VERDICT_STALE))
		return carry_plan_stale(r, path, &name, row, err);
	if (rc < 0) {
		carry_refuse(r, &bad);
		return 0;
	}
	rc = head_learn(c, &d, err);
	return rc < 0 ? rc : carry_plan_document(r, &d, err);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

int heads_read(struct heads *c, struct err *err)
{
	struct run *r = c->r;
	const char *name = strrchr(c->dir, '/') + 1;
	const struct known_channel *newest = known_newest(&r->known, name);
	int rc = 0;

	r->tries = CARRY_TRIES;
	for (size_t i = 0; rc == 0 && i < c->l.rows; i++) {
		char path[DEPOT_NAME];

		heads_path(c, &c->l.row[i], path);
		rc = head_row(c, path, &c->l.row[i], err);
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
