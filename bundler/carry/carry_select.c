/* SPDX-License-Identifier: ISC */
/*
 * Choosing what goes onto a stick for some workstations.  Each gets the way from the generation
 * that its newest receipt confirms to the latest one, and everything that is needed to verify it;
 * what nobody has confirmed is taken along again, because a stick may be lost.
 */
#include "bundler/carry/carry_select.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/invitation.h"
#include "bundler/enrolment/pending_request.h"
#include "bundler/entitlement/people.h"
#include "bundler/private/compile_internal.h"
#include "bundler/published/published.h"
#include "bundler/resend/resend.h"
#include "bundler/workstations/workstations.h"
#include "core/base/own.h"

struct select {
	struct site *s;
	struct compile compile; /* owned: who is to have what, as private channels are made */
	struct wanted {
		bool subscribed;
		const struct published_offer *offer; /* borrowed; NULL: what everybody is */
	} * wanted;                                  /* owned: by id, then channel */
	struct selection *sel;
};

static void select_clear(struct select *x)
{
	compile_clear(&x->compile);
	free(x->wanted);
}

void selection_clear(struct selection *sel)
{
	strings_clear(&sel->path);
	strings_clear(&sel->id);
	memset(sel, 0, sizeof(*sel));
}

bool selection_wants(void *arg, const char *path, const struct name *name)
{
	const struct selection *sel = arg;
	char whole[DEPOT_NAME];
	const char *key = path;

	if (name->kind == NAME_PART && strlen(path) < sizeof(whole)) {
		strcpy(whole, path);
		*strrchr(whole, '.') = '\0';
		key = whole;
	}
	return strings_has_sorted(&sel->path, key);
}

static int path_add(struct select *x, const char *path, struct err *err)
{
	return path[0] == '\0' ? 0 : strings_add(&x->sel->path, path, err);
}

static int id_add(struct select *x, const char *id, struct err *err)
{
	return strings_add(&x->sel->id, id, err);
}

/* Enrolled under a name: 1, or 0. */
static int id_by_name(struct select *x, const char *name, struct err *err)
{
	struct workstation w;
	int rc = workstation_member_by_name(x->s->db, name, &w, err);

	return rc == 1 && id_add(x, w.id, err) < 0 ? RC_MEMORY : rc;
}

/*
 * Someone the site knows, though nothing of it has arrived: invited, or written down.  A machine
 * that has not enrolled yet needs trust and beat to do so, and nothing else exists for it.
 */
static int stranger(struct select *x, const char *name, struct err *err)
{
	uint64_t invited, asking = 0;
	int rc = invitations_named(x->s->db, name, &invited, err);

	if (rc == 0)
		rc = pending_requests_named(x->s->db, name, &asking, err);
	if (rc < 0)
		return rc;
	if (invited + asking == 0 && site_workstation(x->s, name) == NULL)
		return err_set(err, RC_USAGE,
			       "there is no workstation %s; satchel workstation list shows them "
			       "(others: label:NAME, group:NAME, all)",
			       name);
	x->sel->strangers++;
	return 0;
}

static int label_add(struct select *x, const char *label, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < x->s->workstations; i++) {
		const struct site_workstation *w = &x->s->workstation[i];

		for (size_t l = 0; l < w->labels; l++) {
			int rc = 0;

			if (label == NULL || strcmp(w->label[l], label) != 0)
				continue;
			any = true;
			rc = id_by_name(x, w->name, err);
			if (rc < 0)
				return rc;
			x->sel->strangers += rc == 0;
		}
	}
	return any ? 0 : err_set(err, RC_USAGE, "no workstation has the label %s", label);
}

static int member_add(void *arg, const struct workstation *w, struct err *err)
{
	return id_add(arg, w->id, err);
}

/* Where a user is active, but for workstations that are to be decommissioned. */
static int user_add(struct select *x, const char *email, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db,
			  "SELECT a.id FROM activation_active a JOIN workstation_member w"
			  " ON w.id = a.id WHERE a.email = ?1 AND w.leaving = 0",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", email);
	while (rc == 0 && (rc = db_step(x->s->db, st, err)) > 0)
		rc = id_add(x, db_text(st, 0), err);
	return rc;
}

static int group_add(struct select *x, const char *group, struct err *err)
{
	const struct site_group *wanted = site_group(x->s, group);
	int rc = 0;

	if (wanted == NULL)
		return err_set(err, RC_USAGE, "there is no group %s; satchel group list shows them",
			       group);
	for (size_t i = 0; rc == 0 && i < x->s->users; i++) {
		const struct site_group *of[PEOPLE_DEPTH];
		size_t n = people_groups(x->compile.people, &x->s->user[i], of);

		for (size_t k = 0; rc == 0 && k < n; k++)
			if (of[k] == wanted)
				rc = user_add(x, x->s->user[i].email, err);
	}
	return rc;
}

static int who_add(struct select *x, const char *who, struct err *err)
{
	int rc;

	if (strcmp(who, "all") == 0)
		return workstations_each(x->s->db, member_add, x, err);
	if (strncmp(who, "label:", 6) == 0)
		return label_add(x, who + 6, err);
	if (strncmp(who, "group:", 6) == 0)
		return group_add(x, who + 6, err);
	if (strchr(who, '/') != NULL)
		return err_set(err, RC_USAGE,
			       "--for %s: a carry takes to a depot only what it lacks already; "
			       "--for is for workstations, label:NAME, group:NAME and all",
			       who);
	rc = id_by_name(x, who, err);
	return rc == 0 ? stranger(x, who, err) : rc < 0 ? rc : 0;
}

struct carry_held {
	uint64_t epoch, generation;
	bool failed; /* it could not take the next step: the way from nothing may be needed */
};

/*
 * What a workstation holds of a channel; all zero when nothing is known.  All zero for a
 * workstation that never sent a receipt, which then gets the way from nothing.
 */
static int held_read(struct select *x, const char *id, const char *channel, struct carry_held *ret,
		     struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(x->s->db,
			  "SELECT epoch, generation, result = 'failed' FROM receipt_newest_channel"
			  " WHERE id = ?1 AND channel = ?2 AND result <> 'left'",
			  &st, err);

	*ret = (struct carry_held){0};
	if (rc == 0)
		rc = db_bind(st, err, "tt", id, channel);
	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	if (rc == 1) {
		ret->epoch = (uint64_t)db_i64(st, 0);
		ret->generation = (uint64_t)db_i64(st, 1);
		ret->failed = db_i64(st, 2) != 0;
	}
	return rc;
}

static void wanted_note(struct select *x, size_t i, const struct compile_member *m,
			const struct compile_channel *ch)
{
	size_t c = (size_t)(ch->channel - x->s->channel);
	uint64_t ring;

	if (compile_subscribes(&x->compile, m, ch->channel))
		x->wanted[i * x->s->channels + c] =
		    (struct wanted){true, compile_offer(&x->compile, m, ch, &ring)};
}

/*
 * By its document, or by somebody who is active there.  By the same functions that make private
 * channels, so that a stick holds exactly what they will ask for.
 */
static int subscriptions_read(struct select *x, struct err *err)
{
	size_t channels = x->s->channels;
	int rc = 0;

	x->wanted = calloc(x->sel->id.n * channels + 1, sizeof(*x->wanted));
	if (x->wanted == NULL)
		return err_memory(err);
	for (size_t i = 0; rc == 0 && i < x->sel->id.n; i++) {
		struct compile_member m = {0};

		rc = compile_member_read(&x->compile, x->sel->id.items[i], &m, err);
		for (size_t c = 0; rc == 0 && c < x->compile.channels; c++)
			wanted_note(x, i, &m, &x->compile.channel[c]);
		compile_member_clear(&m);
	}
	return rc;
}

static int head_bundle_add(void *arg, const struct published_bundle *from, struct err *err)
{
	struct head *h = arg;

	if (h->bundles < LIMIT_HEAD_BUNDLES)
		h->bundle[h->bundles++] = (struct head_bundle){
		    .base = from->base,
		    .generation = from->generation,
		    .size = from->size,
		    .prefix = from->prefix_digest,
		};
	return 0;
}

/* The head as the registry would list it, for the cheapest path. */
static int head_load(struct select *x, const char *channel, struct head *h, struct err *err)
{
	h->bundle = calloc(LIMIT_HEAD_BUNDLES, sizeof(*h->bundle));
	if (h->bundle == NULL)
		return err_memory(err);
	return published_bundles(x->s->db, channel, EPOCH_ONLY(h->epoch), head_bundle_add, h, err);
}

static int bundles_add(struct select *x, const struct head *h, uint64_t held, struct err *err)
{
	size_t step[LIMIT_HEAD_BUNDLES], n = 0;
	int rc = held > h->generation ? 0 : head_path(h, held, step, &n, err);

	/* From what it holds no bundle leads on any more: from nothing one always does. */
	if (rc == RC_INCOMPLETE && held > 0)
		rc = head_path(h, 0, step, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct head_bundle *b = &h->bundle[step[i]];
		char path[DEPOT_NAME];

		name_bundle(path, h->channel, h->epoch, b->base, b->generation, &b->prefix);
		x->sel->bytes += b->size;
		rc = path_add(x, path, err);
	}
	return rc;
}

static int shard_add(struct select *x, const char *name, struct err *err)
{
	struct published_shard shard;
	int rc = published_shard(x->s->db, shard_of(name), &shard, err);

	return rc == 1 ? path_add(x, shard.path, err) : rc;
}

/* Contents that it asked for, because something of them was changed there: the smallest bundle that
 * has each. */
struct wanted_again {
	struct select *x;
	const struct head *h;
};

static int again_add(void *arg, const struct digest *content, struct err *err)
{
	const struct wanted_again *w = arg;
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(w->x->s->db,
			  "SELECT b.path, b.size FROM bundle_out b JOIN content_pack c"
			  " ON c.pack = b.pack WHERE c.digest = ?1 AND b.channel = ?2"
			  " AND b.epoch = ?3 ORDER BY b.size LIMIT 1",
			  &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "dti", content, w->h->channel, (int64_t)w->h->epoch);
	if (rc == 0)
		rc = db_step(w->x->s->db, st, err);
	if (rc <= 0)
		return rc;
	w->x->sel->bytes += (uint64_t)db_i64(st, 1);
	return path_add(w->x, db_text(st, 0), err);
}

/*
 * After a failed apply the small step may never fit, so the way from nothing is taken along as
 * well.
 */
static int path_bundles_add(struct select *x, struct head *h, const char *id, struct err *err)
{
	struct carry_held held;
	int rc = held_read(x, id, h->channel, &held, err);

	if (rc >= 0)
		rc = bundles_add(x, h, held.epoch == h->epoch ? held.generation : 0, err);
	if (rc == 0 && held.failed)
		rc = bundles_add(x, h, 0, err);
	return rc;
}

/* In a ring, the head that it is offered is not the one that the shard names. */
static int wanted_add(struct select *x, struct head *h, size_t i, const struct wanted *w,
		      const struct published_generation *all, struct err *err)
{
	int rc = path_add(x, w->offer != NULL ? w->offer->path : all->path, err);

	h->generation = w->offer != NULL ? w->offer->generation : all->generation;
	return rc < 0 || h->generation == 0 ? rc : path_bundles_add(x, h, x->sel->id.items[i], err);
}

static int channel_add(struct select *x, const struct site_channel *c, struct err *err)
{
	struct head h = {0};
	struct published_generation newest, all = {.generation = 0};
	bool any = false;
	int rc = published_latest(x->s->db, c->name, &newest, err);

	if (rc > 0)
		rc = published_released(x->s->db, c->name, &all, err) < 0 ? err->rc : 1;
	if (rc <= 0)
		return rc;
	snprintf(h.channel, sizeof(h.channel), "%s", c->name);
	h.epoch = newest.epoch;
	rc = head_load(x, c->name, &h, err);
	for (size_t i = 0; rc == 0 && i < x->sel->id.n; i++) {
		const struct wanted *w =
		    &x->wanted[i * x->s->channels + (size_t)(c - x->s->channel)];

		if (!w->subscribed)
			continue;
		any = true;
		rc = wanted_add(x, &h, i, w, &all, err);
		if (rc == 0)
			rc = resend_each(x->s->db, x->sel->id.items[i], c->name, again_add,
					 &(struct wanted_again){x, &h}, err);
	}
	head_clear(&h);
	return rc < 0 || !any ? rc : shard_add(x, c->name, err);
}

/* The private bundle, unless the newest receipt says that it is held. */
static int private_add(struct select *x, const char *id, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(x->s->db,
		     "SELECT p.path FROM private_newest p LEFT JOIN receipt_newest r ON r.id = p.id"
		     " WHERE p.id = ?1 AND (r.private_epoch IS NOT p.epoch"
		     " OR r.private_generation IS NOT p.generation)",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(x->s->db, st, err);
	if (rc == 1)
		rc = path_add(x, db_text(st, 0), err);
	return rc < 0 ? rc : shard_add(x, id, err);
}

static int beat_add(struct select *x, struct err *err)
{
	struct published_beat beat;
	int rc = published_beat(x->s->db, &beat, err);

	if (rc != 1)
		return rc;
	x->sel->beat = beat.sequence;
	return path_add(x, beat.path, err);
}

int selection_make(struct site *s, char *const *who, size_t n, struct selection *ret,
		   struct err *err)
{
	OWNED(selection_clear) struct selection sel = {0};
	OWNED(select_clear) struct select x = {.s = s, .sel = &sel};
	int rc = compile_load(s, &x.compile, err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = who_add(&x, who[i], err);
	if (rc < 0)
		return rc;
	strings_sort_unique(&sel.id);
	rc = subscriptions_read(&x, err);
	if (rc == 0)
		rc = beat_add(&x, err);
	for (size_t i = 0; rc == 0 && i < sel.id.n; i++)
		rc = private_add(&x, sel.id.items[i], err);
	for (size_t i = 0; rc == 0 && i < s->channels; i++)
		rc = channel_add(&x, &s->channel[i], err);
	if (rc < 0)
		return rc;
	strings_sort(&sel.path);
	*ret = sel;
	memset(&sel, 0, sizeof(sel));
	return 0;
}
