/* SPDX-License-Identifier: ISC */
/*
 * Notes on what went onto sticks, and how many of their workstations have confirmed it since.
 * Only for people who wait: nothing else reads them.
 */
#include "bundler/carry/consignment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bundler/outbox/site_depot.h"
#include "bundler/outbox/site_post.h"
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/marker.h"

static const char carry_tables[] =
    /* some: whether only the workstations of consigned; else all that are enrolled */
    "CREATE TABLE consignment(depot TEXT PRIMARY KEY, at INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " beat INTEGER NOT NULL, audience TEXT NOT NULL, some INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE consigned(depot TEXT NOT NULL REFERENCES consignment(depot) ON DELETE CASCADE,"
    " id TEXT NOT NULL, PRIMARY KEY(depot, id)) STRICT, WITHOUT ROWID;";
static const char *const carry_steps[] = {carry_tables};
const struct db_schema consignment_schema = DB_SCHEMA("carry", carry_steps);

static const char *const forget_workstation[] = {
    "DELETE FROM consigned WHERE id = ?1",
    NULL,
};
const struct forget_sql consignment_forget = {forget_workstation, NULL};

static int audience_text(char *const *who, size_t n, struct buf *ret, struct err *err)
{
	int rc = buf_text(ret, "", err);

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = buf_printf(ret, err, "%s%s", i > 0 ? ", " : "", who[i]);
	return rc;
}

static int note(struct site *s, const char *depot, const struct selection *sel,
		const char *audience, uint64_t beat, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM consignment WHERE depot = ?1", "t", depot);

	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT INTO consignment(depot, at, epoch, beat, audience, some)"
			    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			    "tiiiti", depot, clock_now(), (int64_t)s->trust.epoch[ROLE_BEAT],
			    (int64_t)beat, audience, (int64_t)(sel != NULL));
	for (size_t i = 0; rc == 0 && sel != NULL && i < sel->id.n; i++)
		rc = db_run(s->db, err, "INSERT INTO consigned(depot, id) VALUES(?1, ?2)", "tt",
			    depot, sel->id.items[i]);
	return rc;
}

int consignment_note(struct site *s, const char *depot, const struct selection *sel,
		     char *const *who, size_t n, uint64_t beat, struct err *err)
{
	OWNED(buf_clear) struct buf audience = BUF_INIT;
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = audience_text(who, n, &audience, err);

	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = note(s, depot, sel, (const char *)audience.p, beat, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int consignment_revert(struct site *s, const char *depot, struct err *err)
{
	int64_t n = 0;
	int rc =
	    db_int(s->db, err, &n, "SELECT count(*) FROM consignment WHERE depot = ?1", "t", depot);

	if (rc < 0)
		return rc;
	if (n == 0)
		return err_set(err, RC_USAGE,
			       "nothing was carried to %s; satchel depot list shows the depots",
			       depot);
	return db_run(s->db, err, "DELETE FROM consignment WHERE depot = ?1", "t", depot);
}

int consignment_ids(struct db *db, const char *depot,
		    int (*each)(void *arg, const char *id, struct err *err), void *arg,
		    struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, "SELECT id FROM consigned WHERE depot = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", depot);
	while (rc == 0 && (rc = db_step(db, st, err)) == 1)
		rc = each(arg, db_text(st, 0), err);
	return rc;
}

/* A receipt confirms with the beat that its writer knew. */
static const char list_sql[] =
    "SELECT c.depot, c.audience, c.at, c.beat,"
    " (SELECT count(*) FROM workstation_member w WHERE (c.some = 0"
    "  OR EXISTS(SELECT 1 FROM consigned x WHERE x.depot = c.depot AND x.id = w.id))),"
    " (SELECT count(*) FROM workstation_member w JOIN receipt_newest r ON r.id = w.id"
    "  WHERE (c.some = 0"
    "  OR EXISTS(SELECT 1 FROM consigned x WHERE x.depot = c.depot AND x.id = w.id))"
    "  AND (r.beat_epoch > c.epoch OR (r.beat_epoch = c.epoch AND r.beat >= c.beat)))"
    ", c.some FROM consignment c ORDER BY c.depot";

int consignments(struct site *s,
		 int (*each)(void *arg, const struct consignment *c, struct err *err), void *arg,
		 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	uint64_t last;
	int rc = registry_last(s->db, "beat", &last, err);

	if (rc == 0)
		rc = db_query(s->db, list_sql, &st, err);
	while (rc == 0 && (rc = db_step(s->db, st, err)) > 0) {
		struct consignment c = {.depot = db_text(st, 0),
					.audience = db_text(st, 1),
					.at = db_i64(st, 2),
					.beat = (uint64_t)db_i64(st, 3),
					.machines = (uint64_t)db_i64(st, 4),
					.confirmed = (uint64_t)db_i64(st, 5),
					.some = db_i64(st, 6) != 0};

		c.behind = last > c.beat ? last - c.beat : 0;
		rc = each(arg, &c, err);
	}
	return rc;
}

/* A carry with the site at hand */

/* Names in one note. */
#define AGAIN 64

/* For whom a depot was carried to last time. */
struct again {
	uint64_t beat; /* that went onto it then */
	bool holds;    /* it is there still, so it is that depot and not another at the same path */
	char *text;    /* owned */
	char *who[AGAIN];
	size_t n;
};

static void again_clear(struct again *a)
{
	free(a->text);
}

/* What was made and is not in the home depot cannot be taken from it. */
static int unposted_report(struct site *s, struct err *err)
{
	uint64_t n = 0;
	int rc = site_unposted(s, &n, err);

	if (rc == 0 && n > 0)
		reporter_warning(
		    s->reporter,
		    "%llu %s not in the home depot yet: run satchel publish, then carry again",
		    (unsigned long long)n, n == 1 ? "file is" : "files are");
	return rc;
}

/* The depot at the other end, when one of both is the home depot; NULL: none is. */
static const char *other_end(struct site *s, const struct carry_result *r)
{
	if (site_depot_where(s, ERR_IGNORED) < 0 || s->depot_real[0] == '\0')
		return NULL;
	if (strcmp(s->depot_real, r->from_where) == 0)
		return r->to_where;
	return strcmp(s->depot_real, r->to_where) == 0 ? r->from_where : NULL;
}

static int carry_note(struct site *s, const struct carry *c, const struct selection *sel,
		      char *const *who, size_t n, const struct carry_result *r, struct err *err)
{
	const char *other = other_end(s, r);
	bool reached = other == r->to_where ? r->to.rc == 0 : r->from.rc == 0;

	if (other == NULL || other[0] == '\0' || (c->flags & CARRY_DRY_RUN) || !reached ||
	    r->beat == 0)
		return 0;
	return consignment_note(s, other, sel, who, n, r->beat, err);
}

static bool is_home(struct site *s, const char *path, int silence_s)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf where = BUF_INIT;

	return site_depot_where(s, ERR_IGNORED) == 0 && s->depot_real[0] != '\0' &&
	       depot_open(path, 0, silence_s, &d, ERR_IGNORED) == 0 &&
	       depot_where(d, &where, ERR_IGNORED) == 0 &&
	       strcmp((const char *)where.p, s->depot_real) == 0;
}

/* The choice is for the depot that is not at home: what is carried is the same in either order.
 * But a FROM has to be a depot already. */
static int turn(struct site *s, struct carry *c, struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	const char *from = c->from;
	struct digest site;
	int rc;

	if (!is_home(s, c->to, c->silence_s))
		return 0;
	rc = depot_open(from, 0, c->silence_s, &d, err);
	if (rc == 0)
		rc = marker_read(d, &site, err);
	if (rc == MARKER_NONE)
		return err_set(err, RC_AGAIN, "\"%s\" holds no " MARKER ": is it mounted?", from);
	if (rc < 0)
		return rc;
	c->from = c->to;
	c->to = from;
	return 0;
}

static int beat_each(void *arg, const char *file, uint64_t size, struct err *err)
{
	struct again *a = arg;
	char path[DEPOT_NAME];
	struct name name;

	snprintf(path, sizeof(path), "beats/%.200s", file);
	if (name_parse(path, &name) == NAME_BEAT && name.number == a->beat)
		a->holds = true;
	return 0;
}

/* The note of the depot at this path, when it was for some and this is still that depot. */
static int again_read(struct site *s, const char *path, int silence_s, struct again *a,
		      struct err *err)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf where = BUF_INIT;
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	if (depot_open(path, 0, silence_s, &d, ERR_IGNORED) < 0 ||
	    depot_where(d, &where, ERR_IGNORED) < 0)
		return 0; /* the carry will say so */
	rc = db_query(s->db, "SELECT audience, beat FROM consignment WHERE depot = ?1 AND some = 1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", (const char *)where.p);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc != 1)
		return rc;
	a->beat = (uint64_t)db_i64(st, 1);
	a->text = strdup(db_text(st, 0));
	if (a->text == NULL)
		return err_memory(err);
	if (depot_list(d, "beats", beat_each, a, ERR_IGNORED) < 0 || !a->holds)
		return 0;
	for (char *rest = a->text, *word; (word = strsep(&rest, ",")) != NULL && a->n < AGAIN;)
		a->who[a->n++] = word + strspn(word, " ");
	return 0;
}

/* A stick that was made for some stays for them, so that bringing it home does not fill it up. */
static int again(struct site *s, struct carry *c, struct selection *sel, struct again *a,
		 struct err *err)
{
	const char *other = is_home(s, c->from, c->silence_s) ? c->to
			    : is_home(s, c->to, c->silence_s) ? c->from
							      : NULL;
	struct err bad = {0};
	int rc = other == NULL ? 0 : again_read(s, other, c->silence_s, a, err);

	if (rc < 0 || a->n == 0)
		return rc;
	rc = selection_make(s, a->who, a->n, sel, &bad);
	if (rc == RC_USAGE) { /* one of them is gone */
		reporter_warning(s->reporter, "%s: %s; everything is carried", other, bad.text);
		a->n = 0;
		return 0;
	}
	if (rc < 0)
		*err = bad;
	else
		reporter_info(s->reporter,
			      "%s is for %s%s, as last time; satchel revert forgets that", other,
			      a->who[0], a->n > 1 ? " and others" : "");
	return rc;
}

int site_carry(struct site *s, struct carry *c, char *const *who, size_t n,
	       struct carry_result *ret, struct err *err)
{
	OWNED(selection_clear) struct selection sel = {0};
	OWNED(again_clear) struct again a = {0};
	struct err bad = {0};
	int rc = n > 0 ? selection_make(s, who, n, &sel, err) : again(s, c, &sel, &a, err);

	if (a.n > 0) {
		who = a.who;
		n = a.n;
	}
	if (rc == 0 && n > 0)
		rc = turn(s, c, err);
	if (rc == 0)
		rc = unposted_report(s, err);
	if (rc < 0)
		return rc;
	if (n > 0) {
		c->site = &s->id;
		c->wants = selection_wants;
		c->arg = &sel;
		if (sel.strangers > 0)
			reporter_info(
			    s->reporter,
			    "%zu of them have not enrolled yet: the stick takes what enrolling "
			    "needs, and brings their requests back",
			    sel.strangers);
	}
	rc = carry(c, ret, err);
	c->wants = NULL;
	c->arg = NULL;
	if (carry_note(s, c, n > 0 ? &sel : NULL, who, n, ret, &bad) < 0 && rc == 0) {
		*err = bad;
		rc = bad.rc;
	}
	return rc;
}
