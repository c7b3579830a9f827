/* SPDX-License-Identifier: ISC */
/*
 * Versions of keys: made, rotated, withdrawn, opened.
 *
 * States of a version.  One is current at most (the index secret_current sees to it); what is
 * withdrawn stays in the table, sealed, so that it can be handed out again when data turns up that
 * needs it.
 *
 *   rotate:    current -> retiring, and a new current
 *   withdraw:  retiring -> withdrawn      restore:  withdrawn -> retiring
 */
#include "bundler/keystore/keystore.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "bundler/keystore/keystore_internal.h"
#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static const char keystore_tables[] =
    /* the master key: file: a name in keys/, or absolute; the rest as in struct vault_lock */
    "CREATE TABLE vault(one INTEGER PRIMARY KEY CHECK(one = 1),"
    " kind TEXT NOT NULL CHECK(kind IN ('file', 'passphrase')), file TEXT NOT NULL,"
    " salt BLOB NOT NULL, passes INTEGER NOT NULL, memory INTEGER NOT NULL, proof BLOB NOT NULL)"
    " STRICT;"
    "CREATE TABLE secret(name TEXT NOT NULL, version INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK(state IN ('current', 'retiring', 'withdrawn')),"
    " made INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY(name, version)) STRICT,"
    " WITHOUT ROWID;"
    "CREATE UNIQUE INDEX secret_current ON secret(name) WHERE state = 'current';"
    /* what a workstation was sent, and in which private generation first; gone: the first one
     * without it again, 0 while it is in; until that is confirmed, it may still be there */
    "CREATE TABLE holding(id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " gone_epoch INTEGER NOT NULL DEFAULT 0, gone_generation INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY(id, name, version)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX holding_name ON holding(name, id);"
    /* to be rotated: held by this lost workstation */
    "CREATE TABLE key_mark(name TEXT NOT NULL, workstation TEXT NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(name, workstation)) STRICT, WITHOUT ROWID;";
static const char *const keystore_steps[] = {keystore_tables};
const struct db_schema keystore_schema = DB_SCHEMA("keystore", keystore_steps);

static const char *const state_text[] = {
    [KEY_VERSION_CURRENT] = "current",
    [KEY_VERSION_RETIRING] = "retiring",
    [KEY_VERSION_WITHDRAWN] = "withdrawn",
};

const char *key_version_state_text(enum key_version_state state)
{
	return state_text[state];
}

enum key_version_state key_version_state_of(const char *text)
{
	enum key_version_state state = KEY_VERSION_CURRENT;

	while (state < KEY_VERSION_WITHDRAWN && strcmp(state_text[state], text) != 0)
		state++;
	return state;
}

int keystore_handed_out(struct site *s,
			int (*each)(void *arg, const struct key_version *v,
				    enum key_version_state state, struct err *err),
			void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db,
			  "SELECT name, version, state FROM secret WHERE state <> 'withdrawn'"
			  " ORDER BY name, version",
			  &st, err);

	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct key_version v = {.version = (uint64_t)db_i64(st, 1)};

		snprintf(v.name, sizeof(v.name), "%s", db_text(st, 0));
		rc = each(arg, &v, key_version_state_of(db_text(st, 2)), err);
	}
	return rc;
}

/* What is open */

int key_version_order(const struct key_version *a, const struct key_version *b)
{
	int order = strcmp(a->name, b->name);

	return order != 0 ? order : (a->version > b->version) - (a->version < b->version);
}

int keystore_new(struct site *s, struct keystore **ret, struct err *err)
{
	struct keystore *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return err_memory(err);
	k->s = s;
	*ret = k;
	return 0;
}

struct db *keystore_db(const struct keystore *k)
{
	return k->s->db;
}

int keystore_drop(struct db *db, const char *name, uint64_t below, struct err *err)
{
	return db_run(db, err,
		      "DELETE FROM secret WHERE name = ?1 AND version < ?2 AND state <> 'current'",
		      "ti", name, (int64_t)below);
}

/*
 * Secrets are wiped one by one as they are closed; the list keeps its memory, which holds only
 * names and pointers.
 */
static void opened_close(struct keystore *k)
{
	while (k->opened.n > 0)
		vault_secret_freep(&k->opened.items[--k->opened.n].secret);
}

/*
 * A run compiles thousands of workstations that share most keys, so what is open stays open between
 * them.  The ceiling bounds locked memory, of which a process may have little (RLIMIT_MEMLOCK).
 */
void keystore_rest(struct keystore *k)
{
	if (k->opened.n > KEYSTORE_OPENED)
		opened_close(k);
}

void keystore_freep(struct keystore **at)
{
	struct keystore *k = *at;

	if (k == NULL)
		return;
	opened_close(k);
	list_clear(&k->opened);
	vault_freep(&k->vault);
	free(k);
	*at = NULL;
}

static int opened_order(const void *key, const void *item)
{
	return key_version_order(key, &((const struct opened_secret *)item)->of);
}

/* The place of ${of} among what is open; ${*found} when it is there. */
static size_t opened_at(const struct keystore *k, const struct key_version *of, bool *found)
{
	return search_sorted(of, k->opened.items, k->opened.n, sizeof(*k->opened.items),
			     opened_order, found);
}

static int opened_add(struct keystore *k, size_t at, const struct key_version *of,
		      struct vault_secret **secret, struct err *err)
{
	struct opened_secret *o = list_add(&k->opened, err);

	if (o == NULL)
		return err->rc;
	o = &k->opened.items[at];
	memmove(o + 1, o, (k->opened.n - 1 - at) * sizeof(*o));
	*o = (struct opened_secret){*of, TAKE(*secret)};
	return 0;
}

static int secret_open(struct keystore *k, const struct key_version *of, struct vault_secret **ret,
		       struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = keystore_master(k, err);

	if (rc == 0)
		rc =
		    db_query(k->s->db, "SELECT sealed FROM secret WHERE name = ?1 AND version = ?2",
			     &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ti", of->name, (int64_t)of->version);
	if (rc == 0)
		rc = db_step(k->s->db, st, err);
	if (rc == 0)
		rc = err_set(err, RC_STATE, "the key store has no version %" PRIu64 " of key %s",
			     of->version, of->name);
	return rc < 0 ? rc : vault_open(k->vault, of->name, of->version, db_bytes(st, 0), ret, err);
}

int keystore_secret(struct keystore *k, const char *name, uint64_t version, struct bytes *ret,
		    struct err *err)
{
	OWNED(vault_secret_freep) struct vault_secret *secret = NULL;
	struct key_version of = {.version = version};
	bool found;
	size_t at;
	int rc = 0;

	snprintf(of.name, sizeof(of.name), "%s", name);
	at = opened_at(k, &of, &found);
	if (!found)
		rc = secret_open(k, &of, &secret, err);
	if (rc == 0 && !found)
		rc = opened_add(k, at, &of, &secret, err);
	if (rc == 0)
		*ret = vault_secret_bytes(k->opened.items[at].secret);
	return rc;
}

/* Making */

/* version_last(s, name, ret, err): the newest version of any state; 0: none. */
static int version_last(struct site *s, const char *name, uint64_t *ret, struct err *err)
{
	int64_t last = 0;
	int rc =
	    db_int(s->db, err, &last, "SELECT max(version) FROM secret WHERE name = ?1", "t", name);

	*ret = (uint64_t)last;
	return rc < 0 ? rc : 0;
}

/* Versions that may have been made, and were lost with a registry: "key-floor NAME". */
#define VERSIONS_LOST 1000u

static int version_floor(struct site *s, const char *name, uint64_t *ret, struct err *err)
{
	char counter[KEY_NAME + 16];
	uint64_t lowest = 0;
	int rc;

	snprintf(counter, sizeof(counter), "key-floor %s", name);
	rc = registry_last(s->db, counter, &lowest, err);
	if (rc == 0 && lowest == 0) /* of all, when the whole registry was lost */
		rc = registry_last(s->db, "key-floor", &lowest, err);
	if (rc == 0 && lowest > *ret)
		*ret = lowest;
	return rc;
}

/*
 * Name and version are sealed with the secret: a row that somebody with access to the database
 * moves to another name does not open.
 */
static int version_make(struct keystore *k, const char *name, uint64_t version, struct err *err)
{
	OWNED(vault_secret_freep) struct vault_secret *secret = NULL;
	uint8_t sealed[VAULT_SEALED_BYTES];
	int rc = keystore_master_or_new(k, err);

	if (rc == 0)
		rc = vault_secret_new(&secret, err);
	if (rc == 0)
		rc = vault_seal(k->vault, name, version, secret, sealed, err);
	if (rc < 0)
		return rc;
	return db_run(k->s->db, err,
		      "INSERT INTO secret(name, version, state, made, sealed)"
		      " VALUES(?1, ?2, 'current', ?3, ?4)",
		      "tiib", name, (int64_t)version, clock_now(),
		      (struct bytes){sealed, sizeof(sealed)});
}

/* A holder gets every version that is handed out, and its document has room for so many. */
static int retiring_check(struct site *s, const char *name, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(s->db, err, &n,
			"SELECT count(*) FROM secret WHERE name = ?1 AND state <> 'withdrawn'", "t",
			name);

	if (rc < 0)
		return rc;
	if (n >= KEYSTORE_VERSIONS)
		return err_set(err, RC_LIMIT,
			       "%" PRId64 " versions of key %s are handed out: withdraw old ones, "
			       "satchel key withdraw %s",
			       n, name, name);
	return 0;
}

static int floor_set(void *arg, const struct key_version *v, enum key_version_state state,
		     struct err *err)
{
	struct site *s = arg;
	char counter[KEY_NAME + 16];

	(void)state;
	snprintf(counter, sizeof(counter), "key-floor %s", v->name);
	return registry_counter_set(s->db, counter, (int64_t)(v->version + VERSIONS_LOST), err);
}

int keystore_lose(struct site *s, struct err *err)
{
	return keystore_handed_out(s, floor_set, s, err);
}

static int version_same(struct keystore *k, const char *name, uint64_t version, struct bytes secret,
			struct err *err)
{
	struct bytes known;
	int rc = keystore_secret(k, name, version, &known, err);

	if (rc < 0)
		return rc;
	if (known.n == secret.n && sodium_memcmp(known.p, secret.p, secret.n) == 0)
		return 0;
	return err_set(err, RC_CONFLICT,
		       "version %" PRIu64 " of key %s is another one there than here", version,
		       name);
}

static int version_put(struct keystore *k, const char *name, uint64_t version, struct bytes from,
		       bool newest, struct err *err)
{
	OWNED(vault_secret_freep) struct vault_secret *secret = NULL;
	uint8_t sealed[VAULT_SEALED_BYTES];
	int rc = keystore_master_or_new(k, err);

	if (rc == 0)
		rc = vault_secret_of(from, &secret, err);
	if (rc == 0)
		rc = vault_seal(k->vault, name, version, secret, sealed, err);
	if (rc == 0 && newest)
		rc = db_run(k->s->db, err,
			    "UPDATE secret SET state = 'retiring' WHERE name = ?1"
			    " AND state = 'current'",
			    "t", name);
	return rc < 0 ? rc
		      : db_run(k->s->db, err,
			       "INSERT INTO secret(name, version, state, made, sealed)"
			       " VALUES(?1, ?2, ?3, ?4, ?5)",
			       "titib", name, (int64_t)version, newest ? "current" : "retiring",
			       clock_now(), (struct bytes){sealed, sizeof(sealed)});
}

/* What was withdrawn here was withdrawn before the backup, and stays so. */
int keystore_take(struct keystore *k, const char *name, uint64_t version, struct bytes secret,
		  struct err *err)
{
	int64_t known = 0;
	uint64_t last = 0;
	int rc =
	    db_int(k->s->db, err, &known, "SELECT 1 FROM secret WHERE name = ?1 AND version = ?2",
		   "ti", name, (int64_t)version);

	if (rc != 0)
		return rc < 0 ? rc : version_same(k, name, version, secret, err);
	rc = version_last(k->s, name, &last, err);
	if (rc == 0)
		rc = retiring_check(k->s, name, err);
	if (rc == 0)
		rc = version_put(k, name, version, secret, version > last, err);
	return rc < 0 ? rc : 1;
}

/* Only where there was never a version: a key that has one is changed by rotating it. */
static int make(struct keystore *k, const char *name, struct err *err)
{
	uint64_t last;
	int rc = version_last(k->s, name, &last, err);

	if (rc < 0 || last > 0)
		return rc;
	rc = version_floor(k->s, name, &last, err);
	if (rc == 0)
		rc = version_make(k, name, last + 1, err);
	return rc < 0 ? rc : 1;
}

/* settle(k, tx, rc, err): a master key whose row was rolled back is not the store's. */
static int settle(struct keystore *k, struct db_tx *tx, int rc, struct err *err)
{
	int done = rc < 0 ? 0 : db_tx_commit(tx, err);

	rc = done < 0 ? done : rc;
	if (rc < 0)
		vault_freep(&k->vault);
	return rc;
}

int keystore_make(struct keystore *k, const char *name, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_join(&tx, k->s->db, err);

	return rc < 0 ? rc : settle(k, &tx, make(k, name, err), err);
}

/*
 * The current one retires before the new one is made, because the index allows one current.  Marks
 * are what a rotation answers: the lost machine does not get the new version.
 */
static int rotate(struct keystore *k, const char *name, uint64_t *ret_version, struct err *err)
{
	uint64_t last;
	int rc = version_last(k->s, name, &last, err);

	if (rc == 0)
		rc = version_floor(k->s, name, &last, err);
	if (rc == 0)
		rc = retiring_check(k->s, name, err);
	if (rc == 0 && last >= LIMIT_NUMBER)
		rc = err_set(err, RC_LIMIT, "key %s has no next version", name);
	if (rc == 0)
		rc = db_run(k->s->db, err,
			    "UPDATE secret SET state = 'retiring' WHERE name = ?1"
			    " AND state = 'current'",
			    "t", name);
	if (rc == 0)
		rc = version_make(k, name, last + 1, err);
	if (rc == 0)
		rc = db_run(k->s->db, err, "DELETE FROM key_mark WHERE name = ?1", "t", name);
	if (rc == 0)
		*ret_version = last + 1;
	return rc;
}

int keystore_rotate(struct keystore *k, const char *name, uint64_t *ret_version, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	uint64_t version = 0;
	int rc = db_tx_join(&tx, k->s->db, err);

	if (rc == 0)
		rc = settle(k, &tx, rotate(k, name, &version, err), err);
	if (rc == 0)
		*ret_version = version;
	return rc;
}
