/*
 * Three lists in ascending order of name are walked side by side: the documents, what is enrolled
 * (with its private channel and its newest receipt, one row each), and the open invitations; and
 * the channels of the receipts beside the second one.  So the cost is that of reading each row
 * once.
 */
#include <stdio.h>
#include <string.h>

#include "bundler/status_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

/* The newest machine of a name; one that was revoked is shown as long as nobody took its place. */
static const char enrolled_sql[] =
    "SELECT w.name, w.id, w.state, w.enrolled, w.inputs,"
    " p.epoch, p.generation, p.tree, o.posted,"
    " r.sequence, r.recorded, r.private_epoch, r.private_generation, r.private_tree, r.version"
    " FROM workstation w LEFT JOIN private p ON p.id = w.id"
    " LEFT JOIN outbox o ON o.path = p.path LEFT JOIN receipt r ON r.id = w.id"
    " WHERE w.state = 'enrolled' OR (w.state = 'revoked' AND NOT EXISTS (SELECT 1 FROM workstation"
    " x WHERE x.name = w.name AND x.id <> w.id AND (x.state = 'enrolled' OR"
    " (x.state = 'revoked' AND (x.enrolled, x.id) > (w.enrolled, w.id)))))"
    " ORDER BY w.name";
static const char held_sql[] =
    "SELECT w.name, c.channel, c.epoch, c.generation, c.tree, c.result, c.reason, c.deviations,"
    " c.drift FROM workstation w JOIN receipt_channel c ON c.id = w.id"
    " WHERE w.state = 'enrolled' ORDER BY w.name, c.channel";
static const char invited_sql[] = "SELECT name, max(expires) FROM invitation"
				  " WHERE used_by IS NULL AND expires > ?1 GROUP BY name"
				  " ORDER BY name";
static const char wanted_sql[] = "SELECT g.epoch, g.generation, g.tree, o.posted FROM generation g"
				 " LEFT JOIN outbox o ON o.path = g.path WHERE g.channel = ?1"
				 " ORDER BY g.epoch DESC, g.generation DESC LIMIT 1";

/* A statement with a row in hand, or at its end. */
struct cursor {
	sqlite3_stmt *st; /* owned */
	const char *name; /* of the row in hand, NULL at the end; valid until the next step */
};

struct reading {
	struct site *s;
	int64_t now;
	int64_t beat_posted; /* when the newest beat that is out was posted */
	struct subscriptions subs;
	struct wanted *latest; /* owned; parallel to s->channel */
	struct cursor enrolled, held, invited;
	size_t document; /* next of s->workstation */
	/* Scratch of the workstation in hand, owned. */
	struct held *helds;
	size_t helds_n, helds_cap;
	const struct site_channel **channel;
	const struct wanted **wanted;
	struct status_channel *out;
};

static void reading_clear(struct reading *r)
{
	db_done(&r->enrolled.st);
	db_done(&r->held.st);
	db_done(&r->invited.st);
	subscriptions_clear(&r->subs);
	free(r->latest);
	free(r->helds);
	free(r->channel);
	free(r->wanted);
	free(r->out);
}

static int cursor_step(struct reading *r, struct cursor *c, struct err *err)
{
	int rc = db_step(r->s->db, c->st, err);

	if (rc >= 0)
		c->name = rc == 1 ? db_text(c->st, 0) : NULL;
	return rc < 0 ? rc : 0;
}

static int cursor_open(struct reading *r, struct cursor *c, const char *sql, struct err *err)
{
	int rc = db_query(r->s->db, sql, &c->st, err);

	if (rc == 0 && sql == invited_sql)
		rc = db_bind(c->st, err, "i", r->now);
	return rc < 0 ? rc : cursor_step(r, c, err);
}

/*
 * posted(r, at): a document can be found only by a beat that was posted after it.
 */
static int64_t posted(const struct reading *r, int64_t at)
{
	return r->beat_posted >= at ? at : 0;
}

static int latest_load(struct reading *r, size_t i, struct err *err)
{
	struct wanted *w = &r->latest[i];
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(r->s->db, wanted_sql, &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", r->s->channel[i].name);
	if (rc == 0)
		rc = db_step(r->s->db, st, err);
	if (rc <= 0)
		return rc;
	w->epoch = (uint64_t)db_i64(st, 0);
	w->generation = (uint64_t)db_i64(st, 1);
	w->posted = posted(r, db_i64(st, 3));
	if (!db_digest(st, 2, &w->tree))
		return err_set(err, RC_STATE, "the registry is damaged: generations of channel %s",
			       r->s->channel[i].name);
	return 0;
}

static int reading_open(struct reading *r, struct err *err)
{
	size_t n = r->s->channels;
	int rc;

	r->latest = calloc(n + 1, sizeof(*r->latest));
	r->channel = calloc(n + 1, sizeof(*r->channel));
	r->wanted = calloc(n + 1, sizeof(*r->wanted));
	r->out = calloc(n + 1, sizeof(*r->out));
	if (r->latest == NULL || r->channel == NULL || r->wanted == NULL || r->out == NULL)
		return err_memory(err);
	rc = subscriptions_make(r->s, &r->subs, err);
	if (rc == 0)
		rc = db_int(r->s->db, err, &r->beat_posted,
			    "SELECT ifnull(max(o.posted), 0) FROM beat b"
			    " JOIN outbox o ON o.path = b.path",
			    "");
	for (size_t i = 0; rc >= 0 && i < n; i++)
		rc = latest_load(r, i, err);
	if (rc >= 0)
		rc = cursor_open(r, &r->enrolled, enrolled_sql, err);
	if (rc == 0)
		rc = cursor_open(r, &r->held, held_sql, err);
	if (rc == 0)
		rc = cursor_open(r, &r->invited, invited_sql, err);
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

static bool cursor_at(const struct cursor *c, const char *name)
{
	return c->name != NULL && strcmp(c->name, name) == 0;
}

static int held_add(struct reading *r, struct err *err)
{
	sqlite3_stmt *st = r->held.st;
	struct held *h;

	if (r->helds_n == r->helds_cap) {
		size_t cap = r->helds_cap == 0 ? 16 : r->helds_cap * 2;
		struct held *more = reallocarray(r->helds, cap, sizeof(*more));

		if (more == NULL)
			return err_memory(err);
		r->helds = more;
		r->helds_cap = cap;
	}
	h = &r->helds[r->helds_n++];
	memset(h, 0, sizeof(*h));
	snprintf(h->name, sizeof(h->name), "%s", db_text(st, 1));
	h->epoch = (uint64_t)db_i64(st, 2);
	h->generation = (uint64_t)db_i64(st, 3);
	snprintf(h->result, sizeof(h->result), "%s", db_text(st, 5));
	snprintf(h->reason, sizeof(h->reason), "%s", db_text(st, 6));
	h->deviations = (uint64_t)db_i64(st, 7);
	h->drift = (uint64_t)db_i64(st, 8);
	if (!db_digest(st, 4, &h->tree))
		return err_set(err, RC_STATE, "the registry is damaged: receipt of %s",
			       r->held.name);
	return 0;
}

static int helds_read(struct reading *r, struct standing *in, struct err *err)
{
	int rc = 0;

	r->helds_n = 0;
	while (rc == 0 && cursor_at(&r->held, in->name)) {
		rc = held_add(r, err);
		if (rc == 0)
			rc = cursor_step(r, &r->held, err);
	}
	in->held = r->helds;
	in->helds = r->helds_n;
	return rc;
}

static int enrolled_read(struct reading *r, struct standing *in, struct err *err)
{
	sqlite3_stmt *st = r->enrolled.st;
	struct wanted *p = &in->private_wanted;
	struct site_workstation spare;
	struct digest had, now;

	snprintf(in->id, sizeof(in->id), "%s", db_text(st, 1));
	in->revoked = strcmp(db_text(st, 2), "revoked") == 0;
	in->enrolled = db_i64(st, 3);
	now = subscriptions_inputs(&r->subs, site_workstation_or(r->s, in->name, &spare), in->id);
	in->compiled = db_digest(st, 4, &had) && digest_equal(&had, &now);
	p->epoch = (uint64_t)db_i64(st, 5);
	p->generation = (uint64_t)db_i64(st, 6);
	p->posted = posted(r, db_i64(st, 8));
	in->receipt = (uint64_t)db_i64(st, 9);
	in->heard = db_i64(st, 10);
	in->private_epoch = (uint64_t)db_i64(st, 11);
	in->private_generation = (uint64_t)db_i64(st, 12);
	snprintf(in->version, sizeof(in->version), "%s", db_text(st, 14));
	if ((p->generation > 0 && !db_digest(st, 7, &p->tree)) ||
	    (in->receipt > 0 && !db_digest(st, 13, &in->private_tree)))
		return err_set(err, RC_STATE, "the registry is damaged: workstation %s", in->name);
	return helds_read(r, in, err);
}

static void subscribed_read(struct reading *r, struct standing *in)
{
	struct site_workstation spare;
	const struct site_workstation *w = site_workstation_or(r->s, in->name, &spare);

	for (size_t i = 0; i < r->s->channels; i++) {
		if (!site_subscribes(w, &r->s->channel[i]))
			continue;
		r->channel[in->channels] = &r->s->channel[i];
		r->wanted[in->channels++] = &r->latest[i];
	}
	in->channel = r->channel;
	in->wanted = r->wanted;
}

/* standing_read(r, in, err): all that the lists have under the name in hand; steps past it. */
static int standing_read(struct reading *r, struct standing *in, struct err *err)
{
	int rc = 0;

	if (r->document < r->s->workstations &&
	    strcmp(r->s->workstation[r->document].name, in->name) == 0)
		r->document++;
	if (cursor_at(&r->enrolled, in->name)) {
		rc = enrolled_read(r, in, err);
		if (rc == 0)
			rc = cursor_step(r, &r->enrolled, err);
	}
	if (rc == 0 && cursor_at(&r->invited, in->name)) {
		in->invited = db_i64(r->invited.st, 1);
		rc = cursor_step(r, &r->invited, err);
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
		struct standing in = {.receipt = 0};
		struct status_workstation w = {.channel = r.out};

		snprintf(in.name, sizeof(in.name), "%s", name);
		rc = standing_read(&r, &in, err);
		if (rc < 0)
			return rc;
		status_judge(&in, r.now, (int64_t)s->silent_hours * 3600, &w);
		rc = each(arg, &w, err);
	}
	return rc;
}
