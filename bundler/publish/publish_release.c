/* SPDX-License-Identifier: ISC */
/*
 * The release of a generation: what the channel is, signed by publish keys.  Those on the server
 * sign at once.  When they are not enough, because they are kept elsewhere, the generation waits:
 * its bundle is made and stays here, the head before it stays in force, and release_import brings
 * the signatures that are missing, or release_discard takes the generation back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/publish/publish_internal.h"
#include "bundler/registry/registry.h"
#include "bundler/trust/site_keys.h"
#include "core/base/list.h"
#include "core/base/own.h"
#include "core/format/documents/trusted.h"

#define BEFORE_MAX 256

/* Earlier generations that a bundle may begin with or pass through. */
struct befores {
	const struct publishing *p;
	LIST(struct release_tree) tree;
};

static void befores_clear(struct befores *b)
{
	list_clear(&b->tree);
}

static int before_add(struct befores *b, uint64_t generation, bool released, struct err *err)
{
	struct release_tree *t;
	struct published_tree was;
	int rc;

	if (generation == 0 || generation >= b->p->generation)
		return 0;
	for (size_t i = 0; i < b->tree.n; i++)
		if (b->tree.items[i].generation == generation)
			return 0;
	rc = published_tree(b->p->s->db, b->p->c->name, b->p->epoch, generation, &was, err);
	/* The digest of a tree from before the channel was sealed would tell what was in it. */
	if (rc <= 0 || (released && !was.released) ||
	    digest_is_zero(&was.salt) != digest_is_zero(&b->p->salt))
		return rc < 0 ? rc : 0;
	t = list_add(&b->tree, err);
	if (t == NULL)
		return err->rc;
	*t = (struct release_tree){generation, was.tree};
	return 0;
}

/* Also one that was never released: whoever signs this one vouches for the step through it, as
 * `trust sign` shows. */
static int before_bundle(void *arg, const struct published_bundle *b, struct err *err)
{
	int rc = before_add(arg, b->base, false, err);

	return rc < 0 ? rc : before_add(arg, b->generation, false, err);
}

/* What machines say that they hold, so that a bundle for one of them can be made later without
 * another release. */
static int before_held(struct befores *b, struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc =
	    db_query(b->p->s->db,
		     "SELECT DISTINCT r.generation FROM receipt_newest_channel r"
		     " WHERE r.channel = ?1 AND r.epoch = ?2 ORDER BY r.generation DESC LIMIT 64",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ti", b->p->c->name, (int64_t)b->p->epoch);
	while (rc == 0 && (rc = db_step(b->p->s->db, st, err)) > 0)
		rc = before_add(b, (uint64_t)db_i64(st, 0), true, err);
	return rc;
}

static int by_generation(const void *a, const void *b)
{
	const struct release_tree *x = a, *y = b;

	return (x->generation > y->generation) - (x->generation < y->generation);
}

/* The document; ascending, and the newest when there are too many. */
static int release_write(const struct publishing *p, struct buf *ret, struct err *err)
{
	OWNED(befores_clear) struct befores b = {.p = p};
	struct release r = {.site = p->s->id,
			    .epoch = p->epoch,
			    .generation = p->generation,
			    .tree = p->tree,
			    .created = p->created};
	int rc =
	    published_bundles(p->s->db, p->c->name, EPOCH_ONLY(p->epoch), before_bundle, &b, err);

	if (rc == 0)
		rc = before_held(&b, err);
	if (rc < 0)
		return rc;
	snprintf(r.channel, sizeof(r.channel), "%s", p->c->name);
	if (b.tree.n > 0) {
		qsort(b.tree.items, b.tree.n, sizeof(*b.tree.items), by_generation);
		r.befores = b.tree.n < BEFORE_MAX ? b.tree.n : BEFORE_MAX;
		r.before = b.tree.items + (b.tree.n - r.befores);
	}
	return release_encode(&r, ret, err);
}

/* The one of a channel that waits. */
struct waiting {
	const char *channel;
	struct published_release r; /* owned content; generation 0: there is none */
};

static void waiting_clear(struct waiting *w)
{
	buf_clear(&w->r.content);
}

static int waiting_take(void *arg, const struct published_release *r, struct err *err)
{
	struct waiting *w = arg;

	if (strcmp(r->channel, w->channel) != 0)
		return 0;
	w->r = *r;
	w->r.content = (struct buf)BUF_INIT;
	return buf_add(&w->r.content, r->content.p, r->content.n, err);
}

/* 1, or 0: none waits. */
static int waiting_load(struct site *s, struct waiting *w, struct err *err)
{
	int rc = published_releases(s->db, waiting_take, w, err);

	return rc < 0 ? rc : w->r.generation > 0;
}

/* 1: enough current publish keys have signed it. */
static int release_enough(const struct site *s, const char *channel, struct bytes raw,
			  struct err *err)
{
	struct signed_doc doc;
	int rc = signed_split(raw, LIMIT_LAYERS, &doc, err);

	if (rc < 0)
		return rc;
	return trust_release(&s->trust, channel, &doc, channel, ERR_IGNORED) == 0;
}

/* 1: the head that is in force is of this generation, and its release is still good: ${ret}. */
static int release_held(const struct publishing *p, struct buf *ret, struct err *err)
{
	OWNED(buf_clear) struct buf content = BUF_INIT;
	OWNED(head_clear) struct head h = {0};
	struct published_generation g;
	struct signed_doc doc;
	int rc = published_latest(p->s->db, p->c->name, &g, err);

	if (rc <= 0 || g.epoch != p->epoch || g.generation != p->generation || g.path[0] == '\0')
		return rc < 0 ? rc : 0;
	rc = registry_document_get(p->s->db, g.path, &content, err);
	if (rc <= 0)
		return rc;
	rc = signed_split(bytes_in(&content), 1, &doc, err);
	if (rc == 0)
		rc = head_decode(doc.inner, &h, err);
	if (rc < 0 || h.release.n == 0 ||
	    trusted_release(&p->s->trust, &h, p->c->name, NULL, ERR_IGNORED) < 0)
		return rc;
	rc = buf_add(ret, h.release.p, h.release.n, err);
	return rc < 0 ? rc : 1;
}

/* Signed with the keys that are here.  1: that is enough; 0: it waits, with what it has. */
static int release_settle(struct site *s, struct published_release *r, struct err *err)
{
	int rc = site_keys_release(s, r->channel, &r->content, &r->layers, err);

	if (rc == 0 && r->layers > 0)
		rc = release_enough(s, r->channel, bytes_in(&r->content), err);
	if (rc == 0)
		rc = published_release_set(s->db, r, err);
	else if (rc > 0 && published_release_drop(s->db, r->channel, err) < 0)
		rc = err->rc;
	return rc;
}

int publish_release(struct publishing *p, struct buf *ret, struct err *err)
{
	OWNED(waiting_clear) struct waiting w = {.channel = p->c->name};
	int rc = release_held(p, ret, err);

	if (rc != 0)
		return rc;
	rc = waiting_load(p->s, &w, err);
	if (rc < 0)
		return rc;
	/* The one that waits keeps the signatures that it has. */
	if (rc == 0 || w.r.epoch != p->epoch || w.r.generation != p->generation) {
		waiting_clear(&w);
		w.r = (struct published_release){.epoch = p->epoch, .generation = p->generation};
		snprintf(w.r.channel, sizeof(w.r.channel), "%s", p->c->name);
		rc = release_write(p, &w.r.content, err);
	}
	if (rc >= 0)
		rc = release_settle(p->s, &w.r, err);
	return rc <= 0 ? rc : buf_add(ret, w.r.content.p, w.r.content.n, err) < 0 ? err->rc : 1;
}

/* Signatures that come from elsewhere */

struct importing {
	struct site *s;
	struct bytes minisig;
	const struct key_public *pub;
	struct published_release found; /* owned content: with the new signature */
	bool is;
	struct err why; /* what the signature is not */
};

static int import_try(void *arg, const struct published_release *r, struct err *err)
{
	struct importing *m = arg;
	OWNED(buf_clear) struct buf raw = BUF_INIT;

	(void)err;
	if (m->is || signed_import(bytes_in(&r->content), m->minisig, m->pub, &raw, &m->why) < 0)
		return 0;
	m->found = *r;
	m->found.content = raw;
	m->found.layers++;
	m->is = true;
	raw = (struct buf)BUF_INIT;
	return 0;
}

/* Anything else would be a layer that nobody counts. */
static int importer_check(const struct importing *m, struct err *err)
{
	for (size_t i = 0; i < m->s->trust.keys; i++) {
		const struct trust_key *k = &m->s->trust.key[i];

		if (!key_same(&k->key, m->pub) || k->state != KEY_CURRENT ||
		    (k->roles & 1u << ROLE_PUBLISH) == 0)
			continue;
		if (!trust_only(k->only, m->found.channel))
			return err_set(err, RC_UNTRUSTED,
				       "this key may sign for %s only, not for channel %s", k->only,
				       m->found.channel);
		return 0;
	}
	return err_set(err, RC_UNTRUSTED, "this is not a current publish key of the site");
}

static int released_head(struct site *s, const struct published_release *r, struct err *err)
{
	OWNED(release_clear) struct release what = {0};
	struct publish_counts counts = {0};
	struct site_channel c = {0}; /* only its name: its document may be away */
	struct publishing p = {.s = s, .c = &c, .counts = &counts};
	struct signed_doc doc;
	int rc = signed_split(bytes_in(&r->content), LIMIT_LAYERS, &doc, err);

	if (rc == 0)
		rc = release_decode(doc.inner, &what, err);
	if (rc < 0)
		return rc;
	snprintf(c.name, sizeof(c.name), "%s", r->channel);
	if (what.epoch != s->trust.epoch[ROLE_PUBLISH])
		return err_set(
		    err, RC_STATE,
		    "what was signed is a generation of an epoch that is over: publish again");
	p.epoch = what.epoch;
	p.generation = what.generation;
	p.tree = what.tree;
	p.created = what.created;
	rc = publish_head_signed(&p, bytes_in(&r->content), err);
	return rc < 0 ? rc : published_release_drop(s->db, r->channel, err);
}

int release_import(struct site *s, struct bytes minisig, const struct key_public *pub,
		   struct release_state *ret, struct err *err)
{
	struct importing m = {.s = s, .minisig = minisig, .pub = pub};
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = published_releases(s->db, import_try, &m, err);

	if (rc == 0 && !m.is)
		rc = m.why.rc < 0 ? err_set(err, m.why.rc, "%s", m.why.text)
				  : err_set(err, RC_USAGE, "no release waits for a signature");
	if (rc == 0)
		rc = importer_check(&m, err);
	if (rc == 0 && m.found.layers > LIMIT_LAYERS)
		rc = err_set(err, RC_LIMIT, "a release takes at most %d signatures", LIMIT_LAYERS);
	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = release_enough(s, m.found.channel, bytes_in(&m.found.content), err);
	*ret = (struct release_state){.generation = m.found.generation, .released = rc > 0};
	snprintf(ret->channel, sizeof(ret->channel), "%s", m.found.channel);
	if (rc >= 0)
		rc = rc > 0 ? released_head(s, &m.found, err)
			    : published_release_set(s->db, &m.found, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	buf_clear(&m.found.content);
	return rc;
}

static int waiting_add(void *arg, const struct published_release *r, struct err *err)
{
	return strings_add(arg, r->channel, err);
}

static void waiting_warn(struct site *s, const struct published_release *r)
{
	uint32_t need = s->trust.threshold[ROLE_PUBLISH];
	uint32_t have = trust_release_keys(&s->trust, r->channel);

	if (have < need)
		reporter_warning(s->reporter,
				 "generation %" PRIu64 " of channel %s cannot be released: %" PRIu32
				 " publish keys must sign it, and only %" PRIu32
				 " may sign for this channel: satchel trust add-publish adds one",
				 r->generation, r->channel, need, have);
	else
		reporter_warning(
		    s->reporter,
		    "generation %" PRIu64
		    " of channel %s waits for signatures of publish keys, and workstations keep the "
		    "one before it: satchel release pending %s > next; satchel trust sign next --key "
		    "KEY; satchel release import next.sig --key KEY.pub",
		    r->generation, r->channel, r->channel);
}

/*
 * Keys, thresholds and trust may have changed since it began to wait.  Under another epoch the
 * channel begins anew from its source, and nothing leads to this one any more.
 */
static int waiting_try(struct site *s, struct waiting *w, struct err *err)
{
	int rc = waiting_load(s, w, err);

	if (rc > 0 && w->r.epoch != s->trust.epoch[ROLE_PUBLISH])
		return published_release_drop(s->db, w->channel, err);
	if (rc > 0)
		rc = release_settle(s, &w->r, err);
	if (rc > 0)
		return released_head(s, &w->r, err);
	if (rc == 0)
		waiting_warn(s, &w->r);
	return rc;
}

static int waiting_settle(struct site *s, const char *channel, struct err *err)
{
	OWNED(waiting_clear) struct waiting w = {.channel = channel};
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = waiting_try(s, &w, err);
	if (rc == 0)
		rc = db_tx_commit(&tx, err);
	return rc < 0 ? err_prefix(err, "channel %s", channel) : 0;
}

int publish_releases(struct site *s, struct err *err)
{
	OWNED(strings_clear) struct strings channels = {0};
	struct err first = {0};
	int rc = published_releases(s->db, waiting_add, &channels, err);

	for (size_t i = 0; rc == 0 && i < channels.n; i++) {
		struct err e = {0};

		if (waiting_settle(s, channels.items[i], &e) < 0 && first.rc == 0)
			first = e;
	}
	if (rc == 0 && first.rc < 0) {
		*err = first;
		rc = first.rc;
	}
	return rc;
}

int publish_waits(struct site *s, const char *channel, struct err *err)
{
	OWNED(waiting_clear) struct waiting w = {.channel = channel};

	return waiting_load(s, &w, err);
}

/* Taking one back */

struct discarding {
	uint64_t after; /* the newest generation that was released */
	LIST(struct published_bundle) bundle;
};

static void discarding_clear(struct discarding *d)
{
	list_clear(&d->bundle);
}

static int bundle_unreleased(void *arg, const struct published_bundle *b, struct err *err)
{
	struct discarding *d = arg;
	struct published_bundle *to = b->generation > d->after ? list_add(&d->bundle, err) : NULL;

	if (b->generation <= d->after)
		return 0;
	if (to == NULL)
		return err->rc;
	*to = *b;
	return 0;
}

static int bundle_discard(struct site *s, const char *channel, struct published_bundle *b,
			  struct err *err)
{
	char path[DEPOT_NAME];
	int rc;

	b->channel = channel;
	name_bundle(path, channel, b->epoch, b->base, b->generation, &b->prefix_digest);
	rc = site_post_retire(s, path, err);
	return rc < 0 ? rc : published_bundle_drop(s->db, b, err);
}

/*
 * Its bundles go, and what is known of its tree, so the next generation begins from nothing: a step
 * from this one would lead every workstation through what was refused.
 */
static int discard(struct site *s, const struct published_release *r, struct err *err)
{
	OWNED(discarding_clear) struct discarding d = {0};
	struct published_generation g;
	int rc = published_latest(s->db, r->channel, &g, err);

	if (rc > 0 && g.epoch == r->epoch)
		d.after = g.generation;
	if (rc >= 0)
		rc = published_bundles(s->db, r->channel, EPOCH_ONLY(r->epoch), bundle_unreleased,
				       &d, err);
	for (size_t i = 0; rc == 0 && i < d.bundle.n; i++)
		rc = bundle_discard(s, r->channel, &d.bundle.items[i], err);
	if (rc == 0)
		rc = index_drop(s->db, r->channel, err);
	return rc < 0 ? rc : published_release_drop(s->db, r->channel, err);
}

int release_discard(struct site *s, const char *channel, uint64_t *ret_generation, struct err *err)
{
	OWNED(waiting_clear) struct waiting w = {.channel = channel};
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	if (rc == 0)
		rc = waiting_load(s, &w, err);
	if (rc == 0)
		rc = err_set(err, RC_USAGE,
			     "no release of channel %s waits for signatures: satchel release list "
			     "shows those that do",
			     channel);
	if (rc > 0)
		rc = discard(s, &w.r, err);
	*ret_generation = w.r.generation;
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}
