/* SPDX-License-Identifier: ISC */
/*
 * Is there one machine behind a name?  Each receipt names the one before it, so the receipts of a
 * workstation are a line.  Two of one number, two children of one receipt, or two instances that
 * write by turns are a fork: its disk was copied, or it was set back to an older copy of itself.
 *
 *        a fork                     it says that it was set back
 *   (none) ─────▶ open ◀────────── declared ─────▶ settled
 *                  │  ▲   a fork      ▲   its next receipt goes on from there
 *           accept │  └───────────────┴── another one says so, within a month
 *                  ▼
 *                (none)
 *
 * A machine that was set back explains itself: when it sees that the server knows more receipts
 * than it has written, it says so in the next one, and the one after that, which it writes when
 * the server has acknowledged it, settles it.  Two copies cannot: each is ahead of the other again.
 */
#include "bundler/receipts/receipts.h"

#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

/* A second one that says it was set back within this time is another machine. */
#define SETTLED_FOR (30 * 86400)
/* Receipts of one number that are kept, so that what is known cannot be made to grow. */
#define SIBLINGS_MOST 8

struct fork_row {
	char state[16]; /* "": no row */
	int64_t at;
	uint64_t declared;
	char instance[RECEIPT_INSTANCE + 1];
};

static int fork_get(struct db *db, const char *id, struct fork_row *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(
	    db, "SELECT state, at, declared, instance FROM receipt_fork WHERE id = ?1", &st, err);

	*ret = (struct fork_row){.at = 0};
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc <= 0)
		return rc;
	snprintf(ret->state, sizeof(ret->state), "%s", db_text(st, 0));
	ret->at = db_i64(st, 1);
	ret->declared = (uint64_t)db_i64(st, 2);
	snprintf(ret->instance, sizeof(ret->instance), "%s", db_text(st, 3));
	return 0;
}

static int fork_put(struct db *db, const struct receipt *r, const char *state, int64_t now,
		    uint64_t declared, const char *instance, struct err *err)
{
	return db_run(db, err,
		      "INSERT OR REPLACE INTO receipt_fork(id, sequence, at, state, declared,"
		      " instance) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
		      "tiitit", r->workstation, (int64_t)r->sequence, now, state, (int64_t)declared,
		      instance);
}

/* One question about what was seen; 1: yes. */
static int seen(struct db *db, const struct receipt *r, const struct digest *identity,
		const char *sql, struct err *err)
{
	int64_t one;

	return db_int(db, err, &one, sql, "tdidt", r->workstation, identity, (int64_t)r->sequence,
		      &r->previous, r->instance);
}

/* ?1: id, ?2: identity, ?3: sequence, ?4: previous, ?5: instance.  Rows with line 1 are those of a
 * machine that has said that it was set back: they do stand beside others. */
#define SEEN "SELECT 1 FROM receipt_seen WHERE id = ?1 AND "
/* So that every statement takes the same five. */
#define MENTION " AND coalesce(?2, ?3, ?4, ?5) IS NOT NULL LIMIT 1"
#define NEWEST  "(SELECT max(sequence) FROM receipt WHERE id = ?1)"
static const char sibling_sql[] = SEEN "line = 0 AND identity <> ?2 AND sequence = ?3" MENTION;
static const char child_sql[] =
    SEEN "line = 0 AND identity <> ?2 AND previous = ?4 AND previous <> zeroblob(32)" MENTION;
static const char orphan_sql[] = SEEN "line = 0 AND sequence = ?3 + 1 AND previous <> zeroblob(32)"
				      " AND previous <> ?2" MENTION;
static const char older_sql[] =
    SEEN "identity = ?4 AND sequence < " NEWEST " AND ?3 > " NEWEST MENTION;
static const char turns_sql[] =
    SEEN "instance = ?5 AND ?5 <> '' AND ?3 > " NEWEST " AND NOT EXISTS (SELECT 1 FROM"
	 " receipt_seen n WHERE n.id = ?1 AND n.sequence = " NEWEST
	 " AND n.instance IN (?5, ''))" MENTION;
static const char ancestor_sql[] = SEEN "line = 1 AND previous = ?2" MENTION;

static int is_forked(struct db *db, const struct receipt *r, const struct digest *identity,
		     struct err *err)
{
	static const char *const sql[] = {sibling_sql, child_sql, orphan_sql, older_sql, turns_sql};
	int rc = seen(db, r, identity, ancestor_sql, err);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sql); i++)
		rc = seen(db, r, identity, sql[i], err);
	return rc;
}

/* A number that was never seen, below the newest, by a machine that has followed a newer beat than
 * that one had: it was set back by more than is remembered. */
static int is_far_behind(struct db *db, const struct receipt *r, struct err *err)
{
	int64_t one;

	return db_int(db, err, &one,
		      "SELECT 1 FROM receipt WHERE id = ?1 AND sequence > ?2 AND beat_epoch = ?3"
		      " AND beat < ?4",
		      "tiii", r->workstation, (int64_t)r->sequence, (int64_t)r->beat_epoch,
		      (int64_t)r->beat);
}

static int declared(struct db *db, const struct receipt *r, const struct fork_row *f, int64_t now,
		    enum receipts_line *ret, struct err *err)
{
	bool again = strcmp(f->instance, r->instance) == 0;
	bool settled = strcmp(f->state, "settled") == 0 && now - f->at < SETTLED_FOR;
	bool open = strcmp(f->state, "open") == 0 && f->declared > 0;

	*ret = RECEIPTS_SET_BACK;
	if ((open || settled || strcmp(f->state, "declared") == 0) && !again) {
		*ret = RECEIPTS_FORKED;
		return fork_put(db, r, "open", now, r->sequence, r->instance, err);
	}
	if (settled || (open && again))
		return 0;
	return fork_put(db, r, "declared", now, r->sequence, r->instance, err);
}

int receipts_line(struct db *db, const struct receipt *r, const struct digest *identity,
		  int64_t now, enum receipts_line *ret, struct err *err)
{
	struct fork_row f;
	int rc = fork_get(db, r->workstation, &f, err);

	*ret = RECEIPTS_GOES_ON;
	if (rc < 0)
		return rc;
	if (r->set_back > 0)
		return declared(db, r, &f, now, ret, err);
	rc = is_forked(db, r, identity, err);
	if (rc == 0)
		rc = is_far_behind(db, r, err);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		*ret = RECEIPTS_FORKED;
		return fork_put(db, r, "open", now, f.declared, f.instance, err);
	}
	if (strcmp(f.state, "declared") == 0 && r->sequence > f.declared &&
	    strcmp(f.instance, r->instance) == 0)
		return fork_put(db, r, "settled", now, f.declared, f.instance, err);
	return 0;
}

int receipts_accept(struct db *db, const char *id, struct err *err)
{
	int64_t one;
	int rc = db_int(db, err, &one,
			"DELETE FROM receipt_fork WHERE id = ?1 AND state <> 'settled'"
			" RETURNING 1",
			"t", id);

	return rc;
}

int receipts_seen_put(struct db *db, const struct receipt *r, const char *file,
		      const struct digest *identity, struct err *err)
{
	int64_t line = 0, n = 0;
	int rc = r->set_back > 0 ? 1 : seen(db, r, identity, ancestor_sql, err);

	if (rc >= 0) {
		line = rc;
		rc = db_int(db, err, &n,
			    "SELECT count(*) FROM receipt_seen WHERE id = ?1 AND sequence = ?2",
			    "ti", r->workstation, (int64_t)r->sequence);
	}
	if (rc < 0 || n >= SIBLINGS_MOST)
		return rc < 0 ? rc : 0;
	rc = db_run(db, err,
		    "INSERT OR IGNORE INTO receipt_seen(id, sequence, file, identity, previous,"
		    " instance, line) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		    "titddti", r->workstation, (int64_t)r->sequence, file, identity, &r->previous,
		    r->instance, line);
	return rc;
}

int receipts_seen_prune(struct db *db, const struct receipt *r, struct err *err)
{
	return db_run(db, err, "DELETE FROM receipt_seen WHERE id = ?1 AND sequence <= ?2", "ti",
		      r->workstation, (int64_t)r->sequence - RECEIPTS_SEEN_KEPT);
}
