#include "bundler/registry.h"

#include <stdarg.h>
#include <stdio.h>

#include "bundler/carried.h"
#include "bundler/consignment.h"
#include "bundler/keystore.h"
#include "bundler/publish.h"
#include "bundler/site_internal.h"
#include "bundler/store.h"
#include "core/base/clock.h"
#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/tree/index.h"

/*
 * Events older than the newest so many are dropped: what nobody looked at for that long is in the
 * journal or lost, and a flood must not fill the server's disk.
 */
#define EVENTS_KEPT 20000
/* Seconds within which a flood joins the event that reported it first. */
#define EVENT_JOINS 86400

static const char registry_schema_sql[] =
    /* every trust document, as signed; verified again from version 1 whenever it is loaded */
    "CREATE TABLE trust(version INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;"
    /* the next one while it lacks signatures of offline root keys */
    "CREATE TABLE trust_pending(one INTEGER PRIMARY KEY CHECK(one = 1), content BLOB NOT NULL,"
    " layers INTEGER NOT NULL) STRICT;"
    "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    /* posted: seconds since 1970 UTC, 0 while it was not */
    "CREATE TABLE outbox(path TEXT PRIMARY KEY, content BLOB, posted INTEGER NOT NULL DEFAULT 0)"
    " STRICT;"
    "CREATE INDEX outbox_unposted ON outbox(path) WHERE posted = 0;"
    "CREATE TABLE event(number INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
    " first INTEGER NOT NULL, kind TEXT NOT NULL, about TEXT NOT NULL, text TEXT NOT NULL,"
    " count INTEGER NOT NULL) STRICT;"
    "CREATE INDEX event_at ON event(at);"
    "CREATE INDEX event_same ON event(kind, about, number);"
    /* state: leaving: asked to end, still listed and believed, until its last receipt says wiped;
     * inputs: digest of what the private channel was compiled from; policy: of the policy in it;
     * both NULL before the first time */
    "CREATE TABLE workstation(id TEXT PRIMARY KEY, name TEXT NOT NULL, sign BLOB NOT NULL,"
    " sign_number INTEGER NOT NULL, seal BLOB NOT NULL, seal_number INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK(state IN ('enrolled', 'leaving', 'decommissioned', 'replaced',"
    " 'revoked', 'removed')), enrolled INTEGER NOT NULL, inputs BLOB, policy BLOB) STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX workstation_enrolled ON workstation(name)"
    " WHERE state IN ('enrolled', 'leaving');"
    "CREATE INDEX workstation_name ON workstation(name, enrolled);"
    "CREATE TABLE invitation(id TEXT PRIMARY KEY, name TEXT NOT NULL, secret INTEGER NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, used_by TEXT, used INTEGER) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX invitation_name ON invitation(name);"
    "CREATE TABLE held_request(id TEXT PRIMARY KEY, name TEXT NOT NULL, sign BLOB NOT NULL,"
    " sign_number INTEGER NOT NULL, seal BLOB NOT NULL, seal_number INTEGER NOT NULL,"
    " at INTEGER NOT NULL, why TEXT NOT NULL) STRICT, WITHOUT ROWID;"
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
    /* files of the inbox that need no look, or none before `again` */
    "CREATE TABLE inbox(path TEXT PRIMARY KEY, done INTEGER NOT NULL, first INTEGER NOT NULL,"
    " again INTEGER NOT NULL, size INTEGER NOT NULL, reported INTEGER NOT NULL) STRICT,"
    " WITHOUT ROWID;";

/* What is exchanged with workstations and the people at them. */
static const char exchange_schema_sql[] =
    /* id: of a workstation; code: the activation code that was used last */
    "CREATE TABLE activation(id TEXT NOT NULL, email TEXT NOT NULL, account TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK(state IN ('active', 'deactivated')), at INTEGER NOT NULL,"
    " code TEXT NOT NULL, PRIMARY KEY(id, email)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX activation_email ON activation(email, id);"
    /* uses: how often it may be used; used: how often it was; revoked: when, or 0 */
    "CREATE TABLE activation_code(id TEXT PRIMARY KEY, email TEXT NOT NULL, secret INTEGER NOT NULL,"
    " created INTEGER NOT NULL, expires INTEGER NOT NULL, uses INTEGER NOT NULL,"
    " used INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
    "CREATE INDEX activation_code_email ON activation_code(email);"
    /* each code is good once for a workstation, however often a request comes again */
    "CREATE TABLE activation_use(code TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL,"
    " at INTEGER NOT NULL, PRIMARY KEY(code, id)) STRICT, WITHOUT ROWID;"
    /* addressed: as it was typed: a workstation, an e-mail address, group:NAME, all; withdrawn:
     * when, or 0; ended: expired or withdrawn, and its copies know */
    "CREATE TABLE message(id TEXT PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,"
    " subject TEXT NOT NULL, text TEXT NOT NULL, command TEXT NOT NULL, argument TEXT NOT NULL,"
    " activation TEXT NOT NULL, addressed TEXT NOT NULL, expires INTEGER NOT NULL,"
    " withdrawn INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0) STRICT,"
    " WITHOUT ROWID;"
    "CREATE INDEX message_at ON message(at);"
    /* email: '' for the workstation; copy: the id that the message has there, for two users of one
     * workstation get a copy each; epoch, generation: the private generation that carried it
     * first, 0 before; read, answered: when, or 0; gone: it is to be in no private channel any
     * more */
    "CREATE TABLE message_to(message TEXT NOT NULL, id TEXT NOT NULL, email TEXT NOT NULL,"
    " copy TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 0, generation INTEGER NOT NULL DEFAULT 0,"
    " read INTEGER NOT NULL DEFAULT 0, answered INTEGER NOT NULL DEFAULT 0,"
    " answer_kind TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '',"
    " gone INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(message, id, email)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX message_to_id ON message_to(id, copy);"
    "CREATE INDEX message_to_there ON message_to(id, copy) WHERE gone = 0;"
    "CREATE INDEX message_to_read ON message_to(read) WHERE gone = 0 AND read > 0;"
    "CREATE TABLE message_in(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,"
    " event INTEGER NOT NULL, at INTEGER NOT NULL, recorded INTEGER NOT NULL, kind TEXT NOT NULL,"
    " about TEXT NOT NULL, email TEXT NOT NULL, text TEXT NOT NULL,"
    " read INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX message_in_id ON message_in(id, number);"
    /* the newest confirmation code of a workstation that was accepted; sequence: of the receipt
     * that it stands for */
    "CREATE TABLE confirmation(id TEXT PRIMARY KEY, sequence INTEGER NOT NULL,"
    " recorded INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    /* wrong confirmation codes of late */
    "CREATE TABLE confirm_try(at INTEGER NOT NULL) STRICT;"
    /* what private generations held, for codes that confirm them; beat: the first that names it;
     * channels, people: a line each */
    "CREATE TABLE private_past(id TEXT NOT NULL, beat INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, tree BLOB NOT NULL, channels TEXT NOT NULL, people TEXT NOT NULL,"
    " PRIMARY KEY(id, epoch, generation)) STRICT, WITHOUT ROWID;";

int registry_open(const char *path, struct db **ret, struct err *err)
{
	const char *const migrations[] = {
	    registry_schema_sql, index_schema_sql,    store_schema_sql,
	    publish_schema_sql,  exchange_schema_sql, consignment_schema_sql,
	    document_schema_sql, keystore_schema_sql, carried_schema_sql};

	if (db_open(path, REGISTRY_APPLICATION_ID, migrations, (int)ARRAY_LEN(migrations), ret,
		    err) < 0)
		return err_prefix(err, "registry %s", path);
	return 0;
}

int registry_document(struct db *db, const char *path, struct bytes content, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO outbox(path, content, posted) VALUES(?1, ?2, 0)"
		      " ON CONFLICT(path) DO UPDATE SET content = excluded.content, posted = 0"
		      " WHERE content IS NOT excluded.content",
		      "tB", path, content);
}

static int event_insert(struct db *db, const char *kind, const char *about, const char *text,
			uint64_t count, struct err *err)
{
	int rc;

	rc = db_run(db, err,
		    "INSERT INTO event(at, first, kind, about, text, count)"
		    " VALUES(?1, ?1, ?2, ?3, ?4, ?5)",
		    "ittti", clock_now(), kind, about, text, (int64_t)count);
	if (rc < 0)
		return rc;
	return db_run(db, err,
		      "DELETE FROM event WHERE number <= (SELECT max(number) FROM event) - ?1", "i",
		      (int64_t)EVENTS_KEPT);
}

/* event_join(...): add ${count} to event ${number}; its text becomes the newest one. */
static int event_join(struct db *db, int64_t number, const char *text, uint64_t count,
		      struct err *err)
{
	return db_run(db, err,
		      "UPDATE event SET at = ?1, text = ?2, count = count + ?3 WHERE number = ?4",
		      "itii", clock_now(), text, (int64_t)count, number);
}

int registry_event(struct db *db, const char *kind, const char *about, const char *text,
		   struct err *err)
{
	int64_t number = 0;
	int rc;

	rc = db_int(db, err, &number,
		    "SELECT number FROM event WHERE text = ?3 AND number ="
		    " (SELECT max(number) FROM event WHERE kind = ?1 AND about = ?2)",
		    "ttt", kind, about, text);
	if (rc < 0)
		return rc;
	if (rc == 1)
		return event_join(db, number, text, 1, err);
	return event_insert(db, kind, about, text, 1, err);
}

int registry_event_many(struct db *db, const char *kind, const char *about, const char *text,
			uint64_t count, struct err *err)
{
	int64_t number = 0;
	int rc;

	rc = db_int(db, err, &number,
		    "SELECT number FROM event WHERE first > ?3 AND number ="
		    " (SELECT max(number) FROM event WHERE kind = ?1 AND about = ?2)",
		    "tti", kind, about, clock_now() - EVENT_JOINS);
	if (rc < 0)
		return rc;
	if (rc == 1)
		return event_join(db, number, text, count, err);
	return event_insert(db, kind, about, text, count, err);
}

int registry_eventf(struct db *db, struct err *err, const char *kind, const char *about,
		    const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return registry_event(db, kind, about, text, err);
}

int registry_eventf_many(struct db *db, struct err *err, const char *kind, const char *about,
			 const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return registry_event_many(db, kind, about, text, 1, err);
}

int registry_last(struct db *db, const char *counter, uint64_t *ret, struct err *err)
{
	int64_t value = 0;
	int rc;

	rc = db_int(db, err, &value, "SELECT value FROM counter WHERE name = ?1", "t", counter);
	if (rc < 0)
		return rc;
	*ret = (uint64_t)value;
	return 0;
}

int registry_next(struct db *db, const char *counter, uint64_t *ret, struct err *err)
{
	uint64_t last = 0;
	int rc;

	rc = registry_last(db, counter, &last, err);
	if (rc < 0)
		return rc;
	if (last >= LIMIT_NUMBER)
		return err_set(
		    err, RC_LIMIT,
		    "the count %s has reached its end: raise the epoch of the role, which "
		    "starts it again",
		    counter);
	rc = db_run(db, err,
		    "INSERT INTO counter(name, value) VALUES(?1, ?2)"
		    " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
		    "ti", counter, (int64_t)(last + 1));
	if (rc < 0)
		return rc;
	*ret = last + 1;
	return 0;
}
