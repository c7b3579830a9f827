/* SPDX-License-Identifier: ISC */
/*
 * The table of workstations.  What a state is called stands here and nowhere else: other rooms ask
 * whether a workstation is a member, and read that from a view.
 */
#include "bundler/workstations/workstations.h"

#include <stdio.h>
#include <string.h>

#include "core/base/own.h"

/* Whom shards list and whose receipts are believed. */
#define MEMBER "state IN ('enrolled', 'leaving')"
#define FORMER "state IN ('decommissioned', 'revoked')"

static const char tables[] =
    "CREATE TABLE workstation(id TEXT PRIMARY KEY, name TEXT NOT NULL, sign BLOB NOT NULL,"
    " sign_number INTEGER NOT NULL, seal BLOB NOT NULL, seal_number INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK(state IN ('enrolled', 'leaving', 'decommissioned', 'replaced',"
    " 'revoked', 'removed')), enrolled INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX workstation_enrolled ON workstation(name)"
    " WHERE " MEMBER ";"
    "CREATE INDEX workstation_name ON workstation(name, enrolled);";
static const char views[] =
    "CREATE VIEW workstation_member AS SELECT id, name, sign, sign_number, seal, seal_number,"
    " codes, enrolled_seal IS NOT NULL AS renewed, renew, state = 'leaving' AS leaving, enrolled FROM workstation WHERE " MEMBER
    ";"
    "CREATE VIEW workstation_known AS SELECT id, name, state, enrolled, " MEMBER " AS member,"
    " state = 'decommissioned' AS wiped FROM workstation;"
    /* Who has ended is shown as long as nobody took its place. */
    "CREATE VIEW workstation_shown AS SELECT id, name, state, enrolled FROM workstation w"
    " WHERE w." MEMBER " OR (w." FORMER " AND NOT EXISTS (SELECT 1 FROM workstation x"
    " WHERE x.name = w.name AND x.id <> w.id AND (x." MEMBER " OR (x." FORMER
    " AND (x.enrolled, x.id) > (w.enrolled, w.id)))));";
/* codes: the key of confirmation codes, when it was told.  enrolled_seal: the sealing key that it
 * enrolled with, since it has told another one. */
static const char keys[] = "ALTER TABLE workstation ADD COLUMN codes BLOB;"
			   "ALTER TABLE workstation ADD COLUMN enrolled_seal BLOB;";
/* How often it was asked to renew its sealing key. */
static const char asked[] = "ALTER TABLE workstation ADD COLUMN renew INTEGER NOT NULL DEFAULT 0;";
static const char *const steps[] = {tables, keys, asked};
const struct db_schema workstations_schema = DB_SCHEMA_VIEWS("workstations", steps, views);

static const char *const state_texts[] = {
    [WORKSTATION_ABSENT] = "",           [WORKSTATION_ENROLLED] = "enrolled",
    [WORKSTATION_LEAVING] = "leaving",   [WORKSTATION_DECOMMISSIONED] = "decommissioned",
    [WORKSTATION_REPLACED] = "replaced", [WORKSTATION_REVOKED] = "revoked",
    [WORKSTATION_REMOVED] = "removed",
};

enum workstation_state workstation_state(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(state_texts); i++)
		if (strcmp(text, state_texts[i]) == 0)
			return (enum workstation_state)i;
	return WORKSTATION_ABSENT;
}

const char *workstation_state_text(enum workstation_state state)
{
	return state_texts[state];
}

bool workstation_is_member(enum workstation_state state)
{
	return state == WORKSTATION_ENROLLED || state == WORKSTATION_LEAVING;
}

#define ROW                                                                              \
	"SELECT id, name, sign, sign_number, seal, seal_number, state, enrolled, codes," \
	" enrolled_seal FROM workstation"

/*
 * Lengths are checked here although the table is our own: a key that is cut would else be read
 * beyond its end.
 */
static bool key_maybe(sqlite3_stmt *st, int column, struct key_public *ret)
{
	struct bytes b = db_bytes(st, column);

	if (b.n == KEY_PUBLIC_BYTES) {
		ret->kind = KEY_SEAL;
		memcpy(ret->b, b.p, KEY_PUBLIC_BYTES);
	}
	return b.n == KEY_PUBLIC_BYTES || b.n == 0;
}

static int workstation_read(sqlite3_stmt *st, struct workstation *ret, struct err *err)
{
	struct bytes sign = db_bytes(st, 2), seal = db_bytes(st, 4);

	if (sign.n != KEY_PUBLIC_BYTES || seal.n != KEY_PUBLIC_BYTES ||
	    !key_maybe(st, 8, &ret->codes) || !key_maybe(st, 9, &ret->enrolled_seal))
		return err_set(err, RC_STATE, "the registry is damaged: keys of workstation %s",
			       db_text(st, 0));
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->name, sizeof(ret->name), "%s", db_text(st, 1));
	ret->sign = (struct key_public){.kind = KEY_SIGN, .number = (uint64_t)db_i64(st, 3)};
	ret->seal = (struct key_public){.kind = KEY_SEAL, .number = (uint64_t)db_i64(st, 5)};
	memcpy(ret->sign.b, sign.p, KEY_PUBLIC_BYTES);
	memcpy(ret->seal.b, seal.p, KEY_PUBLIC_BYTES);
	ret->state = workstation_state(db_text(st, 6));
	ret->enrolled = db_i64(st, 7);
	return 0;
}

/*
 * ${ret} is the absent workstation when there is none, so that callers can look at its state
 * without asking first.
 */
static int row_find(struct db *db, const char *sql, const char *which, struct workstation *ret,
		    struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct workstation w = {.id = ""};
	int rc = db_query(db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", which);
	if (rc == 0)
		rc = db_step(db, st, err);
	if (rc == 1)
		rc = workstation_read(st, &w, err) < 0 ? RC_STATE : 1;
	if (rc >= 0)
		*ret = w;
	return rc;
}

int workstation_by_id(struct db *db, const char *id, struct workstation *ret, struct err *err)
{
	return row_find(db, ROW " WHERE id = ?1", id, ret, err);
}

int workstation_member_by_name(struct db *db, const char *name, struct workstation *ret,
			       struct err *err)
{
	return row_find(db, ROW " WHERE name = ?1 AND " MEMBER, name, ret, err);
}

/*
 * A member before all others, then the one that came last: the name may have had several machines.
 */
int workstation_newest(struct db *db, const char *name, struct workstation *ret, struct err *err)
{
	return row_find(db,
			ROW " WHERE name = ?1 AND state <> 'removed' ORDER BY " MEMBER
			    " DESC, enrolled DESC LIMIT 1",
			name, ret, err);
}

int workstation_name_known(struct db *db, const char *name, struct err *err)
{
	int64_t one;

	return db_int(db, err, &one, "SELECT 1 FROM workstation WHERE name = ?1 LIMIT 1", "t",
		      name);
}

static int rows_each(struct db *db, const char *sql, const char *bound,
		     int (*each)(void *arg, const struct workstation *w, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", bound);
	while (rc == 0 && (rc = db_step(db, st, err)) == 1) {
		struct workstation w = {.id = ""};

		rc = workstation_read(st, &w, err);
		if (rc == 0)
			rc = each(arg, &w, err);
	}
	return rc;
}

int workstations_beginning(struct db *db, const char *begin,
			   int (*each)(void *arg, const struct workstation *w, struct err *err),
			   void *arg, struct err *err)
{
	/* 'g' stands above all hexadecimal digits. */
	return rows_each(db, ROW " WHERE id >= ?1 AND id < ?1 || 'g' AND " MEMBER " ORDER BY id",
			 begin, each, arg, err);
}

int workstations_each(struct db *db,
		      int (*each)(void *arg, const struct workstation *w, struct err *err),
		      void *arg, struct err *err)
{
	return workstations_beginning(db, "", each, arg, err);
}

int workstations_named(struct db *db, const char *name,
		       int (*each)(void *arg, const struct workstation *w, struct err *err),
		       void *arg, struct err *err)
{
	return rows_each(db, ROW " WHERE name = ?1 ORDER BY id", name, each, arg, err);
}

/* NULL in the table when it is absent. */
static struct bytes key_bytes(const struct key_public *k)
{
	return key_absent(k) ? (struct bytes){NULL, 0} : (struct bytes){k->b, KEY_PUBLIC_BYTES};
}

/*
 * An id is the digest of the signing key, so a row that is there has the same one; everything else
 * may have changed, because a machine enrols again with a new sealing key.
 */
int workstation_put(struct db *db, const struct workstation *w, struct err *err)
{
	return db_run(db, err,
		      "INSERT INTO workstation(id, name, sign, sign_number, seal, seal_number,"
		      " state, enrolled, codes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
		      " ON CONFLICT(id) DO UPDATE SET name = excluded.name, seal = excluded.seal,"
		      " seal_number = excluded.seal_number, state = excluded.state,"
		      " enrolled = excluded.enrolled, codes = excluded.codes,"
		      " enrolled_seal = NULL",
		      "ttbibitib", w->id, w->name, (struct bytes){w->sign.b, KEY_PUBLIC_BYTES},
		      (int64_t)w->sign.number, (struct bytes){w->seal.b, KEY_PUBLIC_BYTES},
		      (int64_t)w->seal.number, workstation_state_text(w->state), w->enrolled,
		      key_bytes(&w->codes));
}

/* The first of them stays known: old copies of the request to enrol name it, and codes that were
 * read aloud before are made with it. */
int workstation_keys_put(struct db *db, const struct workstation *w, const struct key_public *seal,
			 const struct key_public *codes, struct err *err)
{
	int rc = 0;

	if (!key_absent(seal) && !key_same(seal, &w->seal))
		rc = db_run(db, err,
			    "UPDATE workstation SET enrolled_seal = coalesce(enrolled_seal, seal),"
			    " seal = ?2, seal_number = ?3 WHERE id = ?1",
			    "tbi", w->id, key_bytes(seal), (int64_t)seal->number);
	if (rc == 0 && !key_absent(codes) && !key_same(codes, &w->codes))
		rc = db_run(db, err, "UPDATE workstation SET codes = ?2 WHERE id = ?1", "tb", w->id,
			    key_bytes(codes));
	return rc;
}

int workstation_renew(struct db *db, const char *name, uint64_t *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(db, err, &n,
			"SELECT count(*) FROM workstation WHERE state = 'enrolled'"
			" AND (?1 IS NULL OR name = ?1)",
			"t", name);

	if (rc >= 0)
		rc = db_run(db, err,
			    "UPDATE workstation SET renew = renew + 1 WHERE state = 'enrolled'"
			    " AND (?1 IS NULL OR name = ?1)",
			    "t", name);
	*ret = (uint64_t)n;
	return rc;
}

int workstation_state_set(struct db *db, const char *id, enum workstation_state state,
			  struct err *err)
{
	return db_run(db, err, "UPDATE workstation SET state = ?2 WHERE id = ?1", "tt", id,
		      workstation_state_text(state));
}
