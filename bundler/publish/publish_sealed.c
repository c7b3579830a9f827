/* SPDX-License-Identifier: ISC */
/*
 * Sealed channels: with which content key a channel is published now, what becomes of bundles that
 * are not sealed with it, and for whom it is.
 *
 * The key is changed by publish_rekey.c.  Only when the content store has lost what that needs it
 * changes here, and a full bundle under the new key takes the place of all bundles under the old
 * one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/private/compile.h"
#include "bundler/publish/publish_internal.h"
#include "bundler/receipts/receipts.h"
#include "bundler/sealed/sealed.h"
#include "core/base/list.h"
#include "core/base/own.h"

static int stale_check(void *arg, const struct published_bundle *b, struct err *err)
{
	struct publishing *p = arg;

	(void)err;
	p->rekey = p->rekey || (b->generation == p->last && b->key != p->key);
	return 0;
}

/* Who cannot read it would be left behind with what they have. */
static int audience_check(struct publishing *p, struct err *err)
{
	OWNED(strings_clear) struct strings names = {0};
	char text[PUBLISH_NAMES];
	int rc = publish_unready(p->s, p->c->name, false, &names, err);

	if (rc < 0 || names.n == 0)
		return rc;
	publish_names(&names, text);
	return err_set(err, RC_POLICY,
		       "channel %s is to be sealed, and %s cannot read sealed channels: update "
		       "satchel there, or take the channel from %s",
		       p->c->name, text, names.n == 1 ? "it" : "them");
}

int publish_key(struct publishing *p, struct err *err)
{
	int rc = 0;

	if (!p->c->sealed || (p->flags & PUBLISH_DRY_RUN))
		return 0;
	if (digest_is_zero(&p->last_salt))
		rc = audience_check(p, err);
	if (rc == 0)
		rc = keystore_new(p->s, &p->keys, err);
	if (rc == 0)
		rc = sealed_key(p->keys, p->c, &p->key, err);
	if (rc < 0 || p->last == 0 || digest_is_zero(&p->last_salt))
		return rc;
	rc = published_bundles(p->s->db, p->c->name, EPOCH_ONLY(p->epoch), stale_check, p, err);
	/* Without the full bundle nobody who comes could read anything. */
	if (p->rekey)
		p->flags |= PUBLISH_FULL;
	return rc;
}

/* Bundles that are not sealed as they should be. */
struct unfit {
	uint64_t key;   /* with which they should be */
	uint64_t above; /* those up to this generation stay, because a head in force names them */
	uint64_t until; /* later ones wait for signatures, and stay too */
	LIST(struct published_bundle) bundle;
};

static void unfit_clear(struct unfit *u)
{
	list_clear(&u->bundle);
}

static int unfit_add(void *arg, const struct published_bundle *b, struct err *err)
{
	struct unfit *u = arg;

	if (b->key == u->key || b->generation <= u->above || b->generation > u->until)
		return 0;
	return list_push(&u->bundle, *b, err);
}

static int unfit_drop(struct publishing *p, struct unfit *u, struct err *err)
{
	int rc = published_bundles(p->s->db, p->c->name, EPOCH_ONLY(p->epoch), unfit_add, u, err);

	for (size_t i = 0; rc == 0 && i < u->bundle.n; i++) {
		struct published_bundle *b = &u->bundle.items[i];
		char path[DEPOT_NAME];

		b->channel = p->c->name;
		name_bundle(path, b->channel, b->epoch, b->base, b->generation, &b->prefix_digest);
		rc = site_post_retire(p->s, path, err);
		if (rc == 0)
			rc = published_bundle_drop(p->s->db, b, err);
	}
	return rc;
}

int publish_outdated(struct publishing *p, struct err *err)
{
	OWNED(unfit_clear) struct unfit u = {.key = p->key, .until = p->last};
	struct published_generation g;
	int rc = published_latest(p->s->db, p->c->name, &g, err);

	if (rc > 0 && g.epoch == p->epoch && g.generation < p->last)
		u.above = g.generation;
	return rc < 0 ? rc : unfit_drop(p, &u, err);
}

/* The key of the newest full bundle that the head can name. */
static int newest_key(void *arg, const struct published_bundle *b, struct err *err)
{
	struct unfit *u = arg;

	(void)err;
	if (b->base == 0 && b->generation <= u->until)
		u->key = b->key;
	return 0;
}

static int lowest_key(void *arg, uint64_t key, struct err *err)
{
	uint64_t *lowest = arg;

	(void)err;
	if (key > 0 && (*lowest == 0 || key < *lowest))
		*lowest = key;
	return 0;
}

int publish_head_keys(struct publishing *p, struct err *err)
{
	OWNED(unfit_clear) struct unfit u = {.until = p->generation};
	uint64_t lowest = 0;
	int rc = published_bundles(p->s->db, p->c->name, EPOCH_ONLY(p->epoch), newest_key, &u, err);

	if (rc == 0)
		rc = unfit_drop(p, &u, err);
	if (rc == 0)
		rc = published_keys(p->s->db, p->c->name, p->epoch, lowest_key, &lowest, err);
	if (rc == 0 && lowest > 0)
		rc = sealed_drop(p->s->db, p->c->name, lowest, err);
	if (rc == 0 && (p->rekey || u.bundle.n > 0))
		rc = sealed_unsettle(p->s->db, p->c->name, err);
	return rc;
}

/* Who cannot read it */

struct unready {
	const char *channel;   /* NULL: any */
	struct strings behind; /* owned; names, ascending */
	struct strings *ret;   /* borrowed */
};

static void unready_clear(struct unready *u)
{
	strings_clear(&u->behind);
}

static int behind_add(void *arg, const char *name, struct err *err)
{
	return strings_add(arg, name, err);
}

static int unready_add(void *arg, const struct compile_reader *r, struct err *err)
{
	struct unready *u = arg;

	if (strcmp(r->channel, u->channel) != 0 || !strings_has_sorted(&u->behind, r->name))
		return 0;
	return strings_add(u->ret, r->name, err);
}

int publish_unready(struct site *s, const char *channel, bool silent, struct strings *ret,
		    struct err *err)
{
	OWNED(unready_clear) struct unready u = {.channel = channel, .ret = ret};
	int rc = receipts_behind(s->db, FORMAT_SEALED, silent, behind_add, &u.behind, err);

	return rc < 0 || u.behind.n == 0 ? rc : compile_readers(s, unready_add, &u, err);
}

void publish_names(const struct strings *names, char dst[PUBLISH_NAMES])
{
	size_t used = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < names->n && i < 3; i++)
		used += (size_t)snprintf(dst + used, PUBLISH_NAMES - used, "%s%.60s",
					 i > 0 ? ", " : "", names->items[i]);
	if (names->n > 3)
		snprintf(dst + used, PUBLISH_NAMES - used, " and %zu more", names->n - 3);
}

/* Who has left */

struct reader {
	char channel[CHANNEL_NAME], id[WORKSTATION_ID + 1];
	bool stays;
};

struct readers {
	LIST(struct reader) list; /* ascending by channel and id */
};

static void readers_clear(struct readers *r)
{
	list_clear(&r->list);
}

static int reader_order(const void *a, const void *b)
{
	const struct reader *x = a, *y = b;
	int order = strcmp(x->channel, y->channel);

	return order != 0 ? order : strcmp(x->id, y->id);
}

static struct reader reader_make(const char *channel, const char *id)
{
	struct reader r = {.stays = false};

	snprintf(r.channel, sizeof(r.channel), "%s", channel);
	snprintf(r.id, sizeof(r.id), "%s", id);
	return r;
}

static int reader_add(void *arg, const char *channel, const char *id, struct err *err)
{
	struct readers *r = arg;

	return list_push(&r->list, reader_make(channel, id), err);
}

static int reader_stays(void *arg, const struct compile_reader *who, struct err *err)
{
	struct readers *r = arg;
	struct reader key = reader_make(who->channel, who->id), *at;

	(void)err;
	at = r->list.n == 0 ? NULL
			    : bsearch(&key, r->list.items, r->list.n, sizeof(key), reader_order);
	if (at != NULL)
		at->stays = true;
	return 0;
}

int publish_readers(struct site *s, struct err *err)
{
	OWNED(readers_clear) struct readers r = {0};
	int rc = sealed_readers(s->db, reader_add, &r, err);

	if (rc == 0 && r.list.n > 0)
		rc = compile_readers(s, reader_stays, &r, err);
	for (size_t i = 0; rc == 0 && i < r.list.n; i++)
		if (!r.list.items[i].stays)
			rc = sealed_left(s->db, r.list.items[i].channel, r.list.items[i].id, err);
	return rc;
}
