/* SPDX-License-Identifier: ISC */
/*
 * Whose workstation this is, and the newest word of its site: read when a workstation is opened,
 * and forgotten when it joins a site anew.  Here are the tables of this room.
 */
#include "applier/station/station_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/durable.h"

static const char station_tables[] =
    "CREATE TABLE membership (" /* one row: whose this machine is */
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " site BLOB NOT NULL," /* pinned: digest of trust version 1 */
    " id TEXT NOT NULL,"
    " name TEXT NOT NULL) STRICT;"
    "CREATE TABLE trust (" /* every version, raw: verified again when loaded */
    " version INTEGER PRIMARY KEY,"
    " document BLOB NOT NULL) STRICT;"
    "CREATE TABLE beat (" /* one row: the newest accepted, and the floor */
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " epoch INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL,"
    " identity BLOB NOT NULL,"
    " document BLOB NOT NULL) STRICT;"
    "CREATE TABLE counter (" /* enum station_counter */
    " name TEXT PRIMARY KEY,"
    " value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE property (" /* enum station_property */
    " name TEXT PRIMARY KEY,"
    " value BLOB NOT NULL) STRICT, WITHOUT ROWID;";
static const char *const station_steps[] = {station_tables};
const struct db_schema station_schema = DB_SCHEMA("station", station_steps);

/*
 * The floor, outside of the database: a database that was restored from a backup does not know how
 * far this machine came since, would believe older beats and give numbers of receipts out twice.
 *
 *   STATE/floor    "<beat epoch> <beat sequence> <receipt number>\n"
 */
/* What the database holds, not what this process took for kept: a commit may have failed, and a
 * floor above what is kept locks the machine out. */
static int floor_now(struct station *s, uint64_t ret[3], struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT epoch, sequence FROM beat", &st, err);

	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc < 0)
		return rc;
	ret[0] = rc == 1 ? (uint64_t)db_i64(st, 0) : 0;
	ret[1] = rc == 1 ? (uint64_t)db_i64(st, 1) : 0;
	return station_last(s, COUNTER_RECEIPT, &ret[2], err);
}

static int floor_check(struct station *s, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	uint64_t now[3], was[3] = {0};
	int rc = floor_now(s, now, err);

	if (rc < 0)
		return rc;
	rc = file_read(s->statefd, "floor", 128, &text, err);
	if (rc < 0)
		return rc == RC_ABSENT ? 0 : rc;
	if (sscanf((const char *)text.p, "%" SCNu64 " %" SCNu64 " %" SCNu64, &was[0], &was[1],
		   &was[2]) != 3)
		return err_set(err, RC_STATE, "%s/floor is damaged: remove it", s->state);
	if (was[0] > now[0] || (was[0] == now[0] && was[1] > now[1]) || was[2] > now[2])
		return err_set(err, RC_STATE,
			       "%s/state.db is older than what this machine did (beat %" PRIu64
			       ", receipt %" PRIu64 " were reached): restore the newer one, or "
			       "move %s away and enrol anew",
			       s->state, was[1], was[2], s->state);
	return 0;
}

int station_floor_write(struct station *s, struct err *err)
{
	char text[128];
	uint64_t now[3];
	int rc = floor_now(s, now, err);

	if (rc < 0)
		return rc;
	snprintf(text, sizeof(text), "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", now[0], now[1],
		 now[2]);
	return durable_write(s->statefd, "floor", bytes_of(text), 0600, DURABLE_REPLACE, err);
}

static int membership_load(struct station *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT site, id, name FROM membership", &st, err);

	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	if (!db_digest(st, 0, &s->site) || strlen(db_text(st, 1)) != WORKSTATION_ID)
		return err_set(err, RC_STATE, "the membership in %s/state.db is damaged", s->state);
	snprintf(s->id, sizeof(s->id), "%s", db_text(st, 1));
	snprintf(s->name, sizeof(s->name), "%s", db_text(st, 2));
	s->enrolled = true;
	return 0;
}

int station_membership_put(struct station *s, const struct digest *site, const char *id,
			   const char *name, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT OR REPLACE INTO membership (one, site, id, name) "
		      "VALUES (1, ?, ?, ?)",
		      "dtt", site, id, name);
}

int station_beat_put(struct station *s, const struct beat *b, const struct digest *identity,
		     struct bytes raw, struct err *err)
{
	int rc = db_run(s->db, err,
			"INSERT OR REPLACE INTO beat (one, epoch, sequence, identity, document) "
			"VALUES (1, ?, ?, ?, ?)",
			"iidb", (int64_t)b->epoch, (int64_t)b->sequence, identity, raw);

	s->beat_arrived = clock_now() < b->issued ? b->issued : clock_now();
	if (rc == 0)
		rc = station_property_put_number(s, PROPERTY_BEAT_ARRIVED,
						 (uint64_t)s->beat_arrived, err);
	if (rc == 0)
		rc = b->recovered > 0
			 ? station_property_put_number(s, PROPERTY_RECOVERED, b->recovered, err)
			 : station_property_drop(s, PROPERTY_RECOVERED, err);
	if (rc < 0)
		return rc;
	s->beat_epoch = b->epoch;
	s->beat = b->sequence;
	s->beat_issued = b->issued;
	s->beat_expires = b->expires;
	return 0;
}

static bool beat_verify(const struct station *s, struct bytes raw, struct beat *ret,
			struct digest *ret_identity)
{
	struct signed_doc doc;

	if (signed_split(raw, 1, &doc, ERR_IGNORED) < 0 || !signed_type(doc.inner, "beat/1") ||
	    trust_role(&s->trust, ROLE_BEAT, &doc, "beat", ERR_IGNORED) < 0 ||
	    beat_decode(doc.inner, ret, ERR_IGNORED) < 0)
		return false;
	*ret_identity = doc.identity;
	return digest_equal(&ret->site, &s->site) && ret->epoch == s->trust.epoch[ROLE_BEAT];
}

int station_beat_current(struct station *s, struct beat *ret, struct digest *ret_identity,
			 struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT document FROM beat", &st, err);

	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	return beat_verify(s, db_bytes(st, 0), ret, ret_identity);
}

int station_beat_file(struct station *s, struct digest *ret_file, struct digest *ret_identity,
		      struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT document, identity FROM beat", &st, err);

	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	*ret_file = digest_of(db_bytes(st, 0));
	return db_digest(st, 1, ret_identity);
}

/* The numbers are the floor whatever became of the beat's signer; its times count only while the
 * document verifies. */
static int beat_load(struct station *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct digest identity;
	struct beat beat;
	uint64_t arrived;
	int rc = db_query(s->db, "SELECT epoch, sequence, document FROM beat", &st, err);

	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	s->beat_epoch = (uint64_t)db_i64(st, 0);
	s->beat = (uint64_t)db_i64(st, 1);
	if (!beat_verify(s, db_bytes(st, 2), &beat, &identity))
		return 0;
	s->beat_issued = s->beat_arrived = beat.issued;
	s->beat_expires = beat.expires;
	rc = station_property_number(s, PROPERTY_BEAT_ARRIVED, &arrived, err);
	if (rc == 1)
		s->beat_arrived = (int64_t)arrived;
	return rc < 0 ? rc : 0;
}

static int end_load(struct station *s, struct err *err)
{
	int rc = station_property_set(s, PROPERTY_WIPED, err);

	s->end = rc == 1 ? STATION_WIPED : STATION_STAYS;
	if (rc == 0) {
		rc = station_property_set(s, PROPERTY_DECOMMISSION, err);
		s->end = rc == 1 ? STATION_ENDS : STATION_STAYS;
	}
	return rc < 0 ? rc : 0;
}

int station_state_load(struct station *s, struct err *err)
{
	int rc = membership_load(s, err);

	if (rc == 0 && s->enrolled)
		rc = station_trust_load(s, err);
	if (rc == 0 && s->enrolled)
		rc = beat_load(s, err);
	if (rc == 0)
		rc = end_load(s, err);
	return rc < 0 ? rc : floor_check(s, err);
}

int64_t station_now(const struct station *s)
{
	int64_t now = clock_now();

	return now < s->beat_issued ? s->beat_issued : now;
}

/* Of the same site these stay: what it said last is the floor under what it may say. */
static int site_forget(struct station *s, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM trust", "");

	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM beat", "");
	memset(&s->trust, 0, sizeof(s->trust));
	s->beat_epoch = s->beat = 0;
	s->beat_issued = s->beat_expires = s->beat_arrived = 0;
	/* Before the commit: a floor that is too low says nothing, one that is too high locks out.
	 */
	return rc < 0 ? rc : station_floor_write(s, err);
}

int station_forget(struct station *s, const struct digest *site, struct err *err)
{
	int rc = db_run(s->db, err, "DELETE FROM property", "");

	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM membership", "");
	s->end = STATION_STAYS;
	return rc < 0 || digest_equal(site, &s->site) ? rc : site_forget(s, err);
}
