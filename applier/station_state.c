#include "applier/station_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"

/* An event that is said again within this time is the same event. */
#define EVENT_REPEAT (7 * 86400)
/* Events that are kept at most; the oldest go first. */
#define EVENTS_KEPT "256"

const char station_schema_sql[] =
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
    "CREATE TABLE counter (" /* numbers that only grow */
    " name TEXT PRIMARY KEY,"
    " value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE fact ("
    " name TEXT PRIMARY KEY,"
    " value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE event ("
    " number INTEGER PRIMARY KEY,"
    " at INTEGER NOT NULL,"   /* seconds since 1970 */
    " last INTEGER NOT NULL," /* when it was last seen */
    " kind TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " receipt INTEGER NOT NULL DEFAULT 0,"      /* first receipt that carried it; 0: none */
    " done INTEGER NOT NULL DEFAULT 0) STRICT;" /* acknowledged */
    "CREATE TABLE target (" /* where each tree lies, so that recovery and leaving find it */
    " tree TEXT PRIMARY KEY,"
    " path TEXT NOT NULL," /* on this machine */
    " owners INTEGER NOT NULL,"
    " special_modes INTEGER NOT NULL,"
    " on_leave TEXT NOT NULL,"
    " head BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE outcome (" /* of the last try, for the receipt */
    " tree TEXT PRIMARY KEY,"
    " result TEXT NOT NULL,"
    " reason TEXT NOT NULL,"
    " wanted INTEGER NOT NULL,"
    " deviations INTEGER NOT NULL,"
    " adaptations INTEGER NOT NULL,"
    " drift INTEGER NOT NULL,"
    " at INTEGER NOT NULL,"
    " milliseconds INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE torn (" /* what is waited for, and since when */
    " what TEXT PRIMARY KEY,"
    " first INTEGER NOT NULL,"
    " last INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE outbox ("   /* receipts and requests not known to be read */
    " path TEXT PRIMARY KEY," /* in every depot */
    " kind TEXT NOT NULL,"    /* 'receipt' or 'request' */
    " sequence INTEGER NOT NULL,"
    " content BLOB NOT NULL,"
    " posted INTEGER NOT NULL DEFAULT 0) STRICT;"; /* 1: at least one depot has it */

int station_membership_load(struct station *s, struct err *err)
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

int station_beat_keep(struct station *s, const struct beat *b, const struct digest *identity,
		      struct bytes raw, struct err *err)
{
	int rc = db_run(s->db, err,
			"INSERT OR REPLACE INTO beat (one, epoch, sequence, identity, document) "
			"VALUES (1, ?, ?, ?, ?)",
			"iidb", (int64_t)b->epoch, (int64_t)b->sequence, identity, raw);
	uint8_t arrived[8];

	s->beat_arrived = clock_now() < b->issued ? b->issued : clock_now();
	put_u64(arrived, (uint64_t)s->beat_arrived);
	if (rc == 0)
		rc = station_fact_put(s, "beat-arrived", (struct bytes){arrived, sizeof(arrived)},
				      err);
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

	if (signed_split(raw, 1, &doc, NULL) < 0 || !signed_type(doc.inner, "beat/1") ||
	    trust_role(&s->trust, ROLE_BEAT, &doc, "beat", NULL) < 0 ||
	    beat_decode(doc.inner, ret, NULL) < 0)
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

/* The numbers are the floor whatever became of the beat's signer; its times count only while the
 * document verifies. */
int station_beat_load(struct station *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	OWNED(buf_clear) struct buf arrived = BUF_INIT;
	struct digest identity;
	struct beat beat;
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
	rc = station_fact_get(s, "beat-arrived", &arrived, err);
	if (rc == 1 && arrived.n == 8)
		s->beat_arrived = (int64_t)get_u64(arrived.p);
	return rc < 0 ? rc : 0;
}

int64_t station_now(const struct station *s)
{
	int64_t now = clock_now();

	return now < s->beat_issued ? s->beat_issued : now;
}

int station_next(struct station *s, const char *counter, uint64_t *ret, struct err *err)
{
	int64_t value = 0;
	int rc = db_int(s->db, err, &value,
			"INSERT INTO counter (name, value) VALUES (?, 1) "
			"ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
			"t", counter);

	if (rc < 0)
		return rc;
	*ret = (uint64_t)value;
	return 0;
}

int station_fact_get(struct station *s, const char *name, struct buf *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct bytes value;
	int rc = db_query(s->db, "SELECT value FROM fact WHERE name = ?", &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", name);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	value = db_bytes(st, 0);
	rc = buf_add(ret, value.p, value.n, err);
	return rc < 0 ? rc : 1;
}

/* The same again writes nothing, so that a run which changes nothing flushes nothing. */
int station_fact_put(struct station *s, const char *name, struct bytes value, struct err *err)
{
	return db_run(s->db, err,
		      "INSERT INTO fact (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
		      "SET value = excluded.value WHERE value <> excluded.value",
		      "tb", name, value);
}

int station_fact_drop(struct station *s, const char *name, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM fact WHERE name = ?", "t", name);
}

int station_event(struct station *s, const char *kind, const char *text, struct err *err)
{
	char clean[512];
	int64_t now = clock_now(), number = 0;
	uint64_t next;
	int rc;

	err_escape(clean, sizeof(clean), text);
	rc = db_int(s->db, err, &number,
		    "UPDATE event SET last = ?1 WHERE kind = ?2 AND text = ?3 AND "
		    "kept = 0 AND (done = 0 OR abs(?1 - last) < ?4) RETURNING number",
		    "itti", now, kind, clean, (int64_t)EVENT_REPEAT);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = station_next(s, "event", &next, err);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "INSERT INTO event (number, at, last, kind, text) "
			    "VALUES (?1, ?2, ?2, ?3, ?4)",
			    "iitt", (int64_t)next, now, kind, clean);
	if (rc == 0)
		rc = db_run(s->db, err,
			    "DELETE FROM event WHERE (kept = 0 OR done = 1) AND number NOT IN "
			    "(SELECT number FROM event "
			    "ORDER BY number DESC LIMIT " EVENTS_KEPT ")",
			    "");
	return rc;
}

int station_events(struct station *s, bool all,
		   int (*each)(void *arg, const struct receipt_event *e, struct err *err),
		   void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc =
	    db_query(s->db,
		     "SELECT number, at, kind, text, about, user FROM event WHERE done = 0 OR ? "
		     "ORDER BY number",
		     &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "i", (int64_t)all);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct receipt_event e = {.number = (uint64_t)db_i64(st, 0), .at = db_i64(st, 1)};

		snprintf(e.kind, sizeof(e.kind), "%s", db_text(st, 2));
		snprintf(e.text, sizeof(e.text), "%s", db_text(st, 3));
		snprintf(e.about, sizeof(e.about), "%s", db_text(st, 4));
		snprintf(e.user, sizeof(e.user), "%s", db_text(st, 5));
		rc = each(arg, &e, err);
	}
	return rc;
}

static int channel_row(struct station *s, sqlite3_stmt *st, struct station_channel *ret,
		       struct err *err)
{
	const char *tree = db_text(st, 0);

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", strcmp(tree, TREE_PRIVATE) == 0 ? "" : tree);
	if (ret->name[0] != '\0')
		snprintf(ret->target, sizeof(ret->target), "%s", db_text(st, 1));
	snprintf(ret->result, sizeof(ret->result), "%s", db_text(st, 2));
	snprintf(ret->reason, sizeof(ret->reason), "%s", db_text(st, 3));
	ret->wanted = (uint64_t)db_i64(st, 4);
	ret->deviations = (uint64_t)db_i64(st, 5);
	ret->adaptations = (uint64_t)db_i64(st, 6);
	ret->drift = (uint64_t)db_i64(st, 7);
	ret->at = db_i64(st, 8);
	ret->milliseconds = (uint64_t)db_i64(st, 9);
	return apply_held(s, tree, &ret->epoch, &ret->generation, &ret->tree, err);
}

int station_channels(struct station *s,
		     int (*each)(void *arg, const struct station_channel *c, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(freep) struct station_channel *c = malloc(sizeof(*c));
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = c == NULL ? err_memory(err) : 0;

	if (rc == 0) /* '@' sorts below every channel's name */
		rc = db_query(s->db,
			      "SELECT tree, path, result, reason, wanted, deviations, "
			      "adaptations, drift, at, milliseconds "
			      "FROM outcome LEFT JOIN target USING (tree) ORDER BY tree",
			      &st, err);
	while (rc >= 0 && (rc = db_step(s->db, st, err)) == 1) {
		rc = channel_row(s, st, c, err);
		if (rc == 0)
			rc = each(arg, c, err);
	}
	return rc;
}

int station_keys(struct station *s, enum station_keys_flags flags, struct key_secret **ret_sign,
		 struct key_secret **ret_seal, struct err *err)
{
	static const struct {
		const char *name;
		enum key_kind kind;
	} files[] = {{"sign.key", KEY_SIGN}, {"seal.key", KEY_SEAL}};
	struct key_secret **ret[] = {ret_sign, ret_seal};
	OWNED(fd_closep) int dir = -1;

	if ((flags & STATION_KEYS_CREATE) && mkdirat(s->statefd, "keys", 0700) < 0 &&
	    errno != EEXIST)
		return err_sys(err, RC_IO, "cannot make %s/keys", s->state);
	dir = beneath_dir(s->statefd, "keys", err);
	if (dir < 0)
		return err_set(err, RC_STATE,
			       "the keys in %s/keys are missing: restore them, or move %s away "
			       "and enrol anew",
			       s->state, s->state);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct stat st;
		int rc = 0;

		if (ret[i] == NULL)
			continue;
		if ((flags & STATION_KEYS_CREATE) &&
		    fstatat(dir, files[i].name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
			OWNED(key_freep) struct key_secret *fresh = NULL;

			rc = key_generate(files[i].kind, &fresh, err);
			if (rc == 0)
				rc = key_write(dir, files[i].name, fresh, err);
		}
		if (rc == 0)
			rc = key_read(dir, files[i].name, NULL, ret[i], err);
		if (rc < 0)
			return err_prefix(err, "%s/keys/%s", s->state, files[i].name);
	}
	return 0;
}

/* FLOOR: "<beat epoch> <beat sequence> <receipt sequence>\n" */
static int floor_now(struct station *s, uint64_t ret[3], struct err *err)
{
	int64_t receipt = 0;
	int rc =
	    db_int(s->db, err, &receipt, "SELECT value FROM counter WHERE name = 'receipt'", "");

	ret[0] = s->beat_epoch;
	ret[1] = s->beat;
	ret[2] = (uint64_t)receipt;
	return rc < 0 ? rc : 0;
}

int station_floor_check(struct station *s, struct err *err)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	uint64_t now[3], was[3] = {0};
	int rc = floor_now(s, now, err);

	if (rc < 0)
		return rc;
	rc = file_read(s->statefd, "floor", 128, &text, err);
	if (rc < 0)
		return errno == ENOENT ? 0 : rc;
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
