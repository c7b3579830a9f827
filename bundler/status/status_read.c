/* SPDX-License-Identifier: ISC */
/*
 * Workstations.  Three lists in ascending order of name are walked side by side: the documents,
 * what is enrolled (with its private channel and its newest receipt, one row each), and the open
 * invitations; and beside the second one the channels and the users of the receipts.  So the cost
 * is that of reading each row once.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/published/published.h"
#include "bundler/registry/registry.h"
#include "bundler/status/status_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* The newest machine of a name; one that has ended is shown as long as nobody took its place. */
static const char enrolled_sql[] =
    "SELECT w.name, w.id, w.state, w.enrolled, r.sequence, r.version, r.policy, p.policy,"
    " k.sequence, d.sequence, d.at, a.since, d.state, " PRIVATE_COLUMNS
    " FROM workstation_shown w LEFT JOIN private_newest p ON p.id = w.id"
    " LEFT JOIN outbox_posted o ON o.path = p.path LEFT JOIN receipt_newest r ON r.id = w.id"
    " LEFT JOIN receipt_code k ON k.id = w.id LEFT JOIN receipt_forked d ON d.id = w.id"
    " LEFT JOIN private_held_apart a ON a.id = w.id"
    " ORDER BY w.name";
static const char held_sql[] =
    "SELECT w.name, c.channel, c.epoch, c.generation, c.tree, c.result, c.reason, c.deviations,"
    " c.drift, c.verify_until FROM workstation_member w JOIN receipt_newest_channel c ON c.id = w.id"
    " WHERE w.leaving = 0 ORDER BY w.name, c.channel";
static const char handed_sql[] =
    "SELECT w.name, u.email, u.account, u.result, u.reason FROM workstation_member w"
    " JOIN receipt_newest_user u ON u.id = w.id WHERE w.leaving = 0 ORDER BY w.name, u.email";
static const char active_sql[] =
    "SELECT w.name, a.email FROM workstation_member w JOIN activation_active a ON a.id = w.id"
    " WHERE w.leaving = 0 ORDER BY w.name, a.email";
static const char invited_sql[] = "SELECT name, expires FROM invitation_open WHERE expires > ?1"
				  " ORDER BY name";

struct reading {
	struct site *s;
	int64_t now;
	int64_t beat_posted;
	struct changed changed;
	struct people *people;             /* owned */
	struct wanted_generation *latest;  /* owned; parallel to s->channel */
	struct published_blocked *blocked; /* owned; likewise */
	struct status_rings rings;         /* owned */
	struct status_rows enrolled, held, handed, active, invited;
	size_t document; /* next of s->workstation */
	/* Scratch of the workstation in hand, owned. */
	LIST(struct held) helds;
	LIST(struct status_handed) handeds;
	LIST(const struct site_user *) who; /* entitled users who are active there */
	struct reasons reasons;
	const struct site_channel **channel;
	const struct wanted_generation **wanted;
	struct status_channel *out;
};

static void reading_clear(struct reading *r)
{
	db_done(&r->enrolled.st);
	db_done(&r->held.st);
	db_done(&r->handed.st);
	db_done(&r->active.st);
	db_done(&r->invited.st);
	people_freep(&r->people);
	list_clear(&r->who);
	changed_clear(&r->changed);
	status_rings_clear(&r->rings);
	free(r->latest);
	free(r->blocked);
	list_clear(&r->helds);
	list_clear(&r->handeds);
	free(r->channel);
	free(r->wanted);
	free(r->out);
}

static int latest_load(struct reading *r, size_t i, struct err *err)
{
	struct wanted_generation *w = &r->latest[i];
	struct published_generation g;
	int64_t posted;
	int rc = published_blocked(r->s->db, r->s->channel[i].name, &r->blocked[i], err);

	if (rc > 0)
		w->blocked = &r->blocked[i];
	if (rc >= 0)
		rc = published_released(r->s->db, r->s->channel[i].name, &g, err);
	if (rc <= 0)
		return rc;
	rc = registry_posted_at(r->s->db, g.path, &posted, err);
	if (rc < 0)
		return rc;
	w->epoch = g.epoch;
	w->generation = g.generation;
	w->tree = g.tree;
	w->posted = status_posted(r->beat_posted, posted);
	return 0;
}

static int reading_open(struct reading *r, struct err *err)
{
	size_t n = r->s->channels;
	int rc;

	r->latest = calloc(n + 1, sizeof(*r->latest));
	r->blocked = calloc(n + 1, sizeof(*r->blocked));
	r->channel = calloc(n + 1, sizeof(*r->channel));
	r->wanted = calloc(n + 1, sizeof(*r->wanted));
	r->out = calloc(n + 1, sizeof(*r->out));
	if (r->latest == NULL || r->blocked == NULL || r->channel == NULL || r->wanted == NULL ||
	    r->out == NULL)
		return err_memory(err);
	rc = r->s->unread.rc < 0 ? 0 : changed_load(r->s, &r->changed, err);
	if (rc == 0)
		rc = status_beat_posted(r->s, &r->beat_posted, err);
	for (size_t i = 0; rc >= 0 && i < n; i++)
		rc = latest_load(r, i, err);
	if (rc >= 0)
		rc = status_rings_load(r->s, r->beat_posted, r->latest, &r->rings, err);
	if (rc >= 0)
		rc = rows_open(r->s->db, &r->enrolled, enrolled_sql, r->now, err);
	if (rc == 0)
		rc = rows_open(r->s->db, &r->held, held_sql, r->now, err);
	if (rc == 0)
		rc = rows_open(r->s->db, &r->handed, handed_sql, r->now, err);
	if (rc == 0)
		rc = people_new(r->s, &r->people, err);
	if (rc == 0)
		rc = rows_open(r->s->db, &r->active, active_sql, r->now, err);
	if (rc == 0)
		rc = rows_open(r->s->db, &r->invited, invited_sql, r->now, err);
	return rc;
}

/* next_name(r, dst): the least name that any of the lists has next; false at the end. */
static bool next_name(const struct reading *r, char dst[WORKSTATION_NAME])
{
	const char *document =
	    r->document < r->s->workstations ? r->s->workstation[r->document].name : NULL;
	const char *least = document;
	const char *others[] = {r->enrolled.name, r->invited.name};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (others[i] != NULL && (least == NULL || strcmp(others[i], least) < 0))
			least = others[i];
	}
	if (least == NULL)
		return false;
	snprintf(dst, WORKSTATION_NAME, "%s", least);
	return true;
}

static int held_add(struct reading *r, struct err *err)
{
	sqlite3_stmt *st = r->held.st;
	struct held *h = list_add(&r->helds, err);

	if (h == NULL)
		return err->rc;
	snprintf(h->name, sizeof(h->name), "%s", db_text(st, 1));
	h->epoch = (uint64_t)db_i64(st, 2);
	h->generation = (uint64_t)db_i64(st, 3);
	snprintf(h->result, sizeof(h->result), "%s", db_text(st, 5));
	snprintf(h->reason, sizeof(h->reason), "%s", db_text(st, 6));
	h->deviations = (uint64_t)db_i64(st, 7);
	h->drift = (uint64_t)db_i64(st, 8);
	h->verify_until = db_i64(st, 9);
	if (!db_digest(st, 4, &h->tree))
		return err_set(err, RC_STATE, "the registry is damaged: receipt of %s",
			       r->held.name);
	return 0;
}

static int helds_read(struct reading *r, struct snapshot *in, struct err *err)
{
	int rc = 0;

	r->helds.n = 0;
	while (rc == 0 && rows_at(&r->held, in->name)) {
		rc = held_add(r, err);
		if (rc == 0)
			rc = rows_step(r->s->db, &r->held, err);
	}
	in->held = r->helds.items;
	in->helds = r->helds.n;
	return rc;
}

static int handed_add(struct reading *r, struct err *err)
{
	sqlite3_stmt *st = r->handed.st;
	struct status_handed *h = list_add(&r->handeds, err);

	if (h == NULL)
		return err->rc;
	snprintf(h->email, sizeof(h->email), "%s", db_text(st, 1));
	snprintf(h->account, sizeof(h->account), "%s", db_text(st, 2));
	snprintf(h->result, sizeof(h->result), "%s", db_text(st, 3));
	snprintf(h->reason, sizeof(h->reason), "%s", db_text(st, 4));
	return 0;
}

static int handeds_read(struct reading *r, struct snapshot *in, struct err *err)
{
	int rc = 0;

	r->handeds.n = 0;
	while (rc == 0 && rows_at(&r->handed, in->name)) {
		rc = handed_add(r, err);
		if (rc == 0)
			rc = rows_step(r->s->db, &r->handed, err);
	}
	in->handed = r->handeds.items;
	in->handeds = r->handeds.n;
	return rc;
}

static int enrolled_read(struct reading *r, struct snapshot *in, struct err *err)
{
	sqlite3_stmt *st = r->enrolled.st;

	snprintf(in->id, sizeof(in->id), "%s", db_text(st, 1));
	in->state = workstation_state(db_text(st, 2));
	in->enrolled = db_i64(st, 3);
	in->receipt = (uint64_t)db_i64(st, 4);
	snprintf(in->version, sizeof(in->version), "%s", db_text(st, 5));
	in->private.compiled = !changed_has(&r->changed, in->id);
	in->fork = (uint64_t)db_i64(st, 9);
	in->fork_at = db_i64(st, 10);
	in->apart = db_i64(st, 11);
	in->set_back = strcmp(db_text(st, 12), "declared") == 0;
	if ((uint64_t)db_i64(st, 8) > in->receipt) {
		in->receipt = (uint64_t)db_i64(st, 8);
		in->by_code = true;
	}
	if ((db_bytes(st, 6).n > 0 && !db_digest(st, 6, &in->policy)) ||
	    (db_bytes(st, 7).n > 0 && !db_digest(st, 7, &in->policy_wanted)) ||
	    !private_snapshot_read(st, 13, r->beat_posted, &in->private, &in->heard))
		return err_set(err, RC_STATE, "the registry is damaged: workstation %s", in->name);
	return 0;
}

static int active_read(struct reading *r, const char *name, struct err *err)
{
	int rc = 0;

	r->who.n = 0;
	while (rc == 0 && rows_at(&r->active, name)) {
		const struct site_user *u = site_user(r->s, db_text(r->active.st, 1));

		if (u != NULL && people_entitled(r->s, u, r->now, NULL)) {
			rc = list_push(&r->who, u, err);
		}
		if (rc == 0)
			rc = rows_step(r->s->db, &r->active, err);
	}
	return rc;
}

/* subscribes(r, w, c): as compile_subscribes says it of the private channel. */
static bool subscribes(const struct reading *r, const struct site_workstation *w,
		       const struct site_channel *c)
{
	bool given = site_subscribes(w, c);

	for (size_t i = 0; !given && i < r->who.n; i++)
		given = people_gives(r->people, r->who.items[i], c);
	return given;
}

static void subscribed_read(struct reading *r, struct snapshot *in)
{
	struct site_workstation spare;
	const struct site_workstation *w = site_workstation_or(r->s, in->name, &spare);

	for (size_t i = 0; i < r->s->channels; i++) {
		if (!subscribes(r, w, &r->s->channel[i]))
			continue;
		r->channel[in->channels] = &r->s->channel[i];
		r->wanted[in->channels++] = status_rings_wanted(
		    r->s, &r->rings, i, in->id, w, r->who.items, r->who.n, &r->latest[i]);
	}
	in->channel = r->channel;
	in->wanted = r->wanted;
}

/* snapshot_read(r, in, err): all that the lists have under the name in hand; steps past it. */
static int snapshot_read(struct reading *r, struct snapshot *in, struct err *err)
{
	int rc = 0;

	r->who.n = 0;
	if (r->document < r->s->workstations &&
	    strcmp(r->s->workstation[r->document].name, in->name) == 0)
		r->document++;
	if (rows_at(&r->enrolled, in->name)) {
		rc = enrolled_read(r, in, err);
		if (rc == 0)
			rc = helds_read(r, in, err);
		if (rc == 0)
			rc = handeds_read(r, in, err);
		if (rc == 0)
			rc = active_read(r, in->name, err);
		if (rc == 0)
			rc = rows_step(r->s->db, &r->enrolled, err);
	}
	if (rc == 0 && rows_at(&r->invited, in->name)) {
		in->invited = db_i64(r->invited.st, 1);
		rc = rows_step(r->s->db, &r->invited, err);
	}
	subscribed_read(r, in);
	return rc;
}

int status_workstations(struct site *s,
			int (*each)(void *arg, const struct status_workstation *w, struct err *err),
			void *arg, struct err *err)
{
	OWNED(reading_clear) struct reading r = {.s = s, .now = clock_now()};
	char name[WORKSTATION_NAME];
	int rc = reading_open(&r, err);

	while (rc == 0 && next_name(&r, name)) {
		struct snapshot in = {.unread = s->unread.rc < 0 ? s->unread.text : NULL};
		struct status_workstation w = {.channel = r.out};

		snprintf(in.name, sizeof(in.name), "%s", name);
		rc = snapshot_read(&r, &in, err);
		if (rc < 0)
			return rc;
		status_judge_workstation(&in, r.now, (int64_t)s->silent_hours * 3600, &r.reasons,
					 &w);
		rc = each(arg, &w, err);
	}
	return rc;
}
