/* SPDX-License-Identifier: ISC */
/*
 * Who is active where, and what an administrator changes about it.
 */
#include "bundler/activation/activation.h"

#include <stdio.h>
#include <string.h>

#include "bundler/registry/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

static const char tables[] =
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
    " at INTEGER NOT NULL, PRIMARY KEY(code, id)) STRICT, WITHOUT ROWID;";
static const char views[] =
    "CREATE VIEW activation_active AS SELECT id, email, account FROM activation"
    " WHERE state = 'active';"
    "CREATE VIEW activation_any AS SELECT id, email, account, state = 'active' AS active"
    " FROM activation;";
static const char *const steps[] = {tables};
const struct db_schema activation_schema = DB_SCHEMA_VIEWS("activation", steps, views);

static const char *const forget_workstation[] = {
    "DELETE FROM activation WHERE id = ?1",
    "DELETE FROM activation_use WHERE id = ?1",
    NULL,
};
static const char *const forget_user[] = {
    "DELETE FROM activation WHERE email = ?1",
    ("DELETE FROM activation_use WHERE code IN (SELECT id FROM activation_code"
     " WHERE email = ?1)"),
    "DELETE FROM activation_code WHERE email = ?1",
    NULL,
};
const struct forget_sql activation_forget = {forget_workstation, forget_user};

#define ROW_SQL                                                          \
	"SELECT a.id, w.name, a.email, a.account, a.state, a.at, a.code" \
	" FROM activation a JOIN workstation_member w ON w.id = a.id"

static const char of_user_sql[] = ROW_SQL " WHERE a.email = ?1 ORDER BY w.name";
static const char of_workstation_sql[] = ROW_SQL " WHERE a.id = ?1 ORDER BY a.email";
static const char by_name_sql[] = ROW_SQL " WHERE a.email = ?1 AND w.name = ?2";

static void activation_read(sqlite3_stmt *st, struct site_activation *ret)
{
	snprintf(ret->id, sizeof(ret->id), "%s", db_text(st, 0));
	snprintf(ret->workstation, sizeof(ret->workstation), "%s", db_text(st, 1));
	snprintf(ret->email, sizeof(ret->email), "%s", db_text(st, 2));
	snprintf(ret->account, sizeof(ret->account), "%s", db_text(st, 3));
	ret->active = strcmp(db_text(st, 4), "active") == 0;
	ret->at = db_i64(st, 5);
	snprintf(ret->code, sizeof(ret->code), "%s", db_text(st, 6));
}

static int rows_each(struct site *s, const char *sql, const char *of,
		     int (*each)(void *arg, const struct site_activation *a, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", of);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct site_activation a = {.active = false};

		activation_read(st, &a);
		rc = each(arg, &a, err);
	}
	return rc;
}

int activations_of_user(struct site *s, const char *email,
			int (*each)(void *arg, const struct site_activation *a, struct err *err),
			void *arg, struct err *err)
{
	return rows_each(s, of_user_sql, email, each, arg, err);
}

int activations_of_workstation(struct site *s, const char *id,
			       int (*each)(void *arg, const struct site_activation *a,
					   struct err *err),
			       void *arg, struct err *err)
{
	return rows_each(s, of_workstation_sql, id, each, arg, err);
}

/* row_find(...): RC_USAGE when this user was never activated there. */
static int row_find(struct site *s, const char *email, const char *workstation,
		    struct site_activation *ret, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, by_name_sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "tt", email, workstation);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, RC_USAGE,
			       "%s was not activated on a workstation called %s: satchel user show "
			       "%s says where they are",
			       email, workstation, email);
	activation_read(st, ret);
	return 0;
}

static int state_set(struct site *s, const struct site_activation *a, bool active, struct err *err)
{
	int rc;

	rc = db_run(s->db, err,
		    "UPDATE activation SET state = ?1, at = ?2 WHERE id = ?3 AND email = ?4",
		    "titt", active ? "active" : "deactivated", clock_now(), a->id, a->email);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, active ? "activated" : "deactivated",
					a->workstation, "%s was %s on %s by an administrator",
					a->email, active ? "reactivated" : "deactivated",
					a->workstation);
}

/* state_change(...): all of it or nothing. */
static int state_change(struct site *s, const struct site_activation *a, bool active,
			struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc;

	if (a->active == active)
		return 0;
	rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = state_set(s, a, active, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int activation_deactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err)
{
	struct site_activation a = {.active = false};
	int rc = row_find(s, email, workstation, &a, err);

	return rc < 0 ? rc : state_change(s, &a, false, err);
}

/* Two users in one account would be handed each other's keys, so the account must be free. */
int activation_reactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct site_activation a = {.active = false};
	int rc = row_find(s, email, workstation, &a, err);

	if (rc == 0)
		rc = db_query(s->db,
			      "SELECT email FROM activation WHERE id = ?1 AND account = ?2"
			      " AND email <> ?3 AND state = 'active'",
			      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "ttt", a.id, a.account, email);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc < 0)
		return rc;
	if (rc == 1)
		return err_set(err, RC_CONFLICT,
			       "%s has the account %s of %s by now: deactivate that user there "
			       "first",
			       db_text(st, 0), a.account, workstation);
	db_done(&st);
	return state_change(s, &a, true, err);
}

/* Uses of codes stay, as each code is good once for a workstation, also for one that ended. */
int activation_end(struct db *db, const char *id, struct err *err)
{
	return db_run(db, err, "DELETE FROM activation WHERE id = ?1", "t", id);
}
