/* SPDX-License-Identifier: ISC */
/*
 * The tables of receipts.  A receipt is recorded as a whole: what it does not say any more is gone.
 */
#include "bundler/receipts/receipts.h"

#include <stdlib.h>
#include <string.h>

#include "bundler/registry/registry.h"
#include "core/base/own.h"

/* Events of one workstation that are kept. */
#define EVENTS_KEPT 200

static const char tables[] =
    /* the newest receipt of each workstation; recorded: when, by the server's clock.  Sequence 0:
     * none yet, what is held is known by a confirmation code alone. */
    "CREATE TABLE receipt(id TEXT PRIMARY KEY REFERENCES workstation(id), sequence INTEGER NOT NULL,"
    " recorded INTEGER NOT NULL, written INTEGER NOT NULL, beat_epoch INTEGER NOT NULL,"
    " beat INTEGER NOT NULL, trust INTEGER NOT NULL, private_epoch INTEGER NOT NULL,"
    " private_generation INTEGER NOT NULL, private_tree BLOB NOT NULL, free_bytes INTEGER NOT NULL,"
    " version TEXT NOT NULL, formats INTEGER NOT NULL, last_event INTEGER NOT NULL,"
    " policy BLOB, wiped INTEGER NOT NULL DEFAULT 0, next_check INTEGER NOT NULL DEFAULT 0) STRICT,"
    " WITHOUT ROWID;"
    "CREATE TABLE receipt_channel(id TEXT NOT NULL REFERENCES workstation(id),"
    " channel TEXT NOT NULL, epoch INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " tree BLOB NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL, wanted INTEGER NOT NULL,"
    " deviations INTEGER NOT NULL, adaptations INTEGER NOT NULL, drift INTEGER NOT NULL,"
    " at INTEGER NOT NULL, milliseconds INTEGER NOT NULL, PRIMARY KEY(id, channel)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE TABLE receipt_user(id TEXT NOT NULL REFERENCES workstation(id), email TEXT NOT NULL,"
    " account TEXT NOT NULL, result TEXT NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(id, email)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX receipt_user_email ON receipt_user(email);"
    "CREATE TABLE receipt_event(id TEXT NOT NULL REFERENCES workstation(id),"
    " number INTEGER NOT NULL, recorded INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY(id, number)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX receipt_event_recorded ON receipt_event(recorded);"
    /* file: the digits of its name; identity: of the signed document in it */
    "CREATE TABLE receipt_seen(id TEXT NOT NULL, sequence INTEGER NOT NULL, file TEXT NOT NULL,"
    " identity BLOB NOT NULL, PRIMARY KEY(id, sequence, file)) STRICT, WITHOUT ROWID;"
    /* the newest confirmation code of a workstation that was accepted; sequence: of the receipt
     * that it stands for */
    "CREATE TABLE confirmation(id TEXT PRIMARY KEY, sequence INTEGER NOT NULL,"
    " recorded INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
static const char views[] =
    "CREATE VIEW receipt_newest AS SELECT id, sequence, recorded, beat_epoch, beat, private_epoch,"
    " private_generation, private_tree, version, policy FROM receipt;"
    "CREATE VIEW receipt_newest_channel AS SELECT id, channel, epoch, generation, tree, result,"
    " reason, deviations, drift, verify_until FROM receipt_channel;"
    "CREATE VIEW receipt_newest_user AS SELECT id, email, account, result, reason FROM receipt_user;"
    "CREATE VIEW receipt_forked AS SELECT id, sequence, at, state FROM receipt_fork"
    " WHERE state <> 'settled';"
    "CREATE VIEW receipt_code AS SELECT id, sequence FROM confirmation;"
    "CREATE VIEW receipt_events AS SELECT id, number, recorded, kind, text FROM receipt_event;";
/* The last time that two different receipts had one number: two machines, or one that was set back.
 */
static const char twice_table[] =
    "CREATE TABLE receipt_twice(id TEXT PRIMARY KEY REFERENCES workstation(id),"
    " sequence INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
/* receipt_seen, previous and instance: as the receipt says them; line: 1: of a machine that has
 * said that it was set back.  receipt_fork: receipts_line.c; at: when it got into this state;
 * declared: number of the receipt that says so, instance: of the machine that says it. */
static const char line_tables[] =
    "ALTER TABLE receipt_seen ADD COLUMN previous BLOB NOT NULL DEFAULT x'';"
    "ALTER TABLE receipt_seen ADD COLUMN instance TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE receipt_seen ADD COLUMN line INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE receipt_fork(id TEXT PRIMARY KEY REFERENCES workstation(id),"
    " sequence INTEGER NOT NULL, at INTEGER NOT NULL, state TEXT NOT NULL,"
    " declared INTEGER NOT NULL, instance TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    /* The mark went a week after the last such receipt. */
    "INSERT INTO receipt_fork(id, sequence, at, state, declared, instance)"
    " SELECT id, sequence, at, 'open', 0, '' FROM receipt_twice"
    " WHERE at > CAST(strftime('%s', 'now') AS INTEGER) - 604800;"
    "DROP TABLE receipt_twice;";
/* Keys that a workstation gave back; content: sealed to the collect key. */
static const char returned_table[] =
    "CREATE TABLE receipt_returned(id TEXT PRIMARY KEY REFERENCES workstation(id),"
    " content BLOB NOT NULL) STRICT, WITHOUT ROWID;";
/* Until when the files of a channel count as compared with what was published; 0: it is not said.
 */
static const char verified_column[] =
    "ALTER TABLE receipt_channel ADD COLUMN verify_until INTEGER NOT NULL DEFAULT 0;";
static const char *const steps[] = {tables, twice_table, line_tables, returned_table,
				    verified_column};
const struct db_schema receipts_schema = DB_SCHEMA_VIEWS("receipts", steps, views);

static const char *const forget_workstation[] = {
    "DELETE FROM receipt_channel WHERE id = ?1",  "DELETE FROM receipt_fork WHERE id = ?1",
    "DELETE FROM receipt_returned WHERE id = ?1", "DELETE FROM receipt_user WHERE id = ?1",
    "DELETE FROM receipt_event WHERE id = ?1",    NULL,
};
static const char *const forget_user[] = {
    ("DELETE FROM receipt_user WHERE email = ?1"
     " AND id NOT IN (SELECT id FROM workstation_member)"),
    NULL,
};
const struct forget_sql receipts_forget = {forget_workstation, forget_user};

int receipts_known(struct db *db, const char *id, struct receipts_known *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(db,
		      "SELECT ifnull(max(sequence), 0), ifnull(max(last_event), 0),"
		      " ifnull((SELECT sequence FROM confirmation WHERE id = ?1), 0)"
		      " FROM receipt WHERE id = ?1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc < 0)
		return rc;
	ret->sequence = (uint64_t)db_i64(st, 0);
	ret->event = (uint64_t)db_i64(st, 1);
	ret->confirmed = (uint64_t)db_i64(st, 2);
	return 0;
}

/* What is held */

static int receipt_put(struct db *db, const struct receipt *r, uint64_t event, int64_t now,
		       struct err *err)
{
	struct bytes policy = {NULL, 0};

	if (!digest_is_zero(&r->policy))
		policy = (struct bytes){r->policy.b, DIGEST_BYTES};
	return db_run(db, err,
		      "INSERT OR REPLACE INTO receipt(id, sequence, recorded, written, beat_epoch,"
		      " beat, trust, private_epoch, private_generation, private_tree, free_bytes,"
		      " version, formats, last_event, policy, wiped, next_check)"
		      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,"
		      " ?16, ?17)",
		      "tiiiiiiiiditiibii", r->workstation, (int64_t)r->sequence, now, r->written,
		      (int64_t)r->beat_epoch, (int64_t)r->beat, (int64_t)r->trust,
		      (int64_t)r->private_epoch, (int64_t)r->private_generation, &r->private_tree,
		      (int64_t)r->free_bytes, r->version, (int64_t)r->formats, (int64_t)event,
		      policy, (int64_t)r->wiped, r->next_check);
}

int receipts_behind(struct db *db, uint64_t formats, bool silent,
		    int (*each)(void *arg, const char *name, struct err *err), void *arg,
		    struct err *err)
{
	sqlite3_stmt *st OWNED(db_done) = NULL;
	int rc =
	    db_query(db,
		     "SELECT w.name FROM workstation_member w LEFT JOIN receipt r ON r.id = w.id"
		     " WHERE w.leaving = 0 AND coalesce(r.formats, ?2) < ?1 ORDER BY w.name",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "ii", (int64_t)formats,
			     silent ? INT64_C(0) : (int64_t)formats);
	while (rc == 0 && (rc = db_step(db, st, err)) > 0)
		rc = each(arg, db_text(st, 0), err);
	return rc;
}

/* Twice the time within which all of it is read: what was not read by then, nobody vouches for. */
static int64_t verify_until(const struct receipt *r, const struct receipt_channel *c)
{
	int64_t since = c->verified > 0 && c->verified <= r->written ? c->verified : c->at;

	return r->verify_days == 0 || c->generation == 0
		   ? 0
		   : since + 2 * 86400 * (int64_t)r->verify_days;
}

static int channels_put(struct db *db, const struct receipt *r, struct err *err)
{
	int rc = db_run(db, err, "DELETE FROM receipt_channel WHERE id = ?1", "t", r->workstation);

	for (size_t i = 0; rc == 0 && i < r->channels; i++) {
		const struct receipt_channel *c = &r->channel[i];

		rc = db_run(
		    db, err,
		    "INSERT INTO receipt_channel(id, channel, epoch, generation, tree, result,"
		    " reason, wanted, deviations, adaptations, drift, at, milliseconds,"
		    " verify_until)"
		    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
		    "ttiidttiiiiiii", r->workstation, c->name, (int64_t)c->epoch,
		    (int64_t)c->generation, &c->tree, c->result, c->reason, (int64_t)c->wanted,
		    (int64_t)c->deviations, (int64_t)c->adaptations, (int64_t)c->drift, c->at,
		    (int64_t)c->milliseconds, verify_until(r, c));
	}
	return rc;
}

static int users_put(struct db *db, const struct receipt *r, struct err *err)
{
	int rc = db_run(db, err, "DELETE FROM receipt_user WHERE id = ?1", "t", r->workstation);

	for (size_t i = 0; rc == 0 && i < r->users; i++) {
		const struct receipt_user *u = &r->user[i];

		rc = db_run(db, err,
			    "INSERT INTO receipt_user(id, email, account, result, reason, at)"
			    " VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			    "ttttti", r->workstation, u->email, u->account, u->result, u->reason,
			    u->at);
	}
	return rc;
}

int receipts_put(struct db *db, const struct receipt *r, uint64_t event, int64_t now,
		 struct err *err)
{
	int rc = receipt_put(db, r, event, now, err);

	if (rc == 0)
		rc = channels_put(db, r, err);
	return rc < 0 ? rc : users_put(db, r, err);
}

int receipts_put_late(struct db *db, const struct receipt *r, uint64_t event, struct err *err)
{
	return db_run(db, err,
		      "UPDATE receipt SET sequence = ?2, written = ?3, beat_epoch = ?4, beat = ?5,"
		      " trust = ?6, free_bytes = ?7, version = ?8, formats = ?9, last_event = ?10,"
		      " next_check = ?11 WHERE id = ?1",
		      "tiiiiiitiii", r->workstation, (int64_t)r->sequence, r->written,
		      (int64_t)r->beat_epoch, (int64_t)r->beat, (int64_t)r->trust,
		      (int64_t)r->free_bytes, r->version, (int64_t)r->formats, (int64_t)event,
		      r->next_check);
}

/* code_put(...): the row of ${r}, whose number no receipt has brought. */
static int code_put(struct db *db, const struct receipt *r, int64_t now, struct err *err)
{
	int rc =
	    db_run(db, err,
		   "INSERT INTO receipt(id, sequence, recorded, written, beat_epoch, beat, trust,"
		   " private_epoch, private_generation, private_tree, free_bytes, version, formats,"
		   " last_event) VALUES(?1, 0, ?2, 0, 0, 0, 0, ?3, ?4, ?5, 0, '', 0, 0)"
		   " ON CONFLICT(id) DO UPDATE SET recorded = excluded.recorded,"
		   " private_epoch = excluded.private_epoch,"
		   " private_generation = excluded.private_generation,"
		   " private_tree = excluded.private_tree",
		   "tiiid", r->workstation, now, (int64_t)r->private_epoch,
		   (int64_t)r->private_generation, &r->private_tree);

	if (rc < 0)
		return rc;
	return db_run(db, err,
		      "INSERT OR REPLACE INTO confirmation(id, sequence, recorded)"
		      " VALUES(?1, ?2, ?3)",
		      "tii", r->workstation, (int64_t)r->sequence, now);
}

int receipts_put_code(struct db *db, const struct receipt *r, int64_t now, struct err *err)
{
	int rc = code_put(db, r, now, err);

	if (rc == 0)
		rc = channels_put(db, r, err);
	return rc < 0 ? rc : users_put(db, r, err);
}

/* Events */

int receipts_event_put(struct db *db, const char *id, const struct receipt_event *e, int64_t now,
		       struct err *err)
{
	int rc = db_run(db, err,
			"INSERT OR IGNORE INTO receipt_event(id, number, recorded, at, kind, text)"
			" VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
			"tiiitt", id, (int64_t)e->number, now, e->at, e->kind, e->text);

	if (rc < 0)
		return rc;
	return db_run(db, err, "DELETE FROM receipt_event WHERE id = ?1 AND number <= ?2", "ti", id,
		      (int64_t)e->number - EVENTS_KEPT);
}

int receipts_event_count(struct db *db, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n, "SELECT count(*) FROM receipt_event", "");

	*ret = (uint64_t)n;
	return rc < 0 ? rc : 0;
}

/* Which were recorded */

int receipts_seen(struct db *db, const char *id, uint64_t sequence, const char *file,
		  struct err *err)
{
	int64_t one;

	return db_int(db, err, &one,
		      "SELECT 1 FROM receipt_seen WHERE id = ?1 AND sequence = ?2 AND file = ?3",
		      "tit", id, (int64_t)sequence, file);
}

int receipts_compare(struct db *db, const struct receipt *r, const struct digest *identity,
		     enum receipts_compared *ret, struct err *err)
{
	int64_t same = 0;
	int rc =
	    db_int(db, err, &same,
		   "SELECT max(identity = ?3) FROM receipt_seen WHERE id = ?1 AND sequence = ?2"
		   " HAVING count(*) > 0",
		   "tid", r->workstation, (int64_t)r->sequence, identity);

	if (rc < 0)
		return rc;
	*ret = rc == 0 ? RECEIPTS_UNKNOWN : same == 1 ? RECEIPTS_SAME : RECEIPTS_OTHER;
	return 0;
}

/* Keys that were given back */

int receipts_returned(struct db *db, const char *id, struct buf *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes content;
	int rc = db_query(db, "SELECT content FROM receipt_returned WHERE id = ?1", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", id);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc <= 0)
		return rc;
	content = db_bytes(st, 0);
	rc = buf_add(ret, content.p, content.n, err);
	return rc < 0 ? rc : 1;
}

/* What is no base64 was not sealed by satchel. */
int receipts_returned_put(struct db *db, const struct receipt *r, struct err *err)
{
	size_t most = strlen(r->returned), n = 0;
	OWNED(freep) uint8_t *raw = malloc(most + 1);

	if (raw == NULL)
		return err_memory(err);
	if (base64_decode(raw, most, &n, r->returned, most, ERR_IGNORED) < 0 || n == 0)
		return 0;
	return db_run(db, err,
		      "INSERT OR REPLACE INTO receipt_returned(id, content) VALUES(?1, ?2)", "tb",
		      r->workstation, (struct bytes){raw, n});
}

int receipts_returned_drop(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "DELETE FROM receipt_returned WHERE id = ?1", "t", id);
}
