#include "bundler/activation.h"

#include <stdio.h>
#include <string.h>

#include "bundler/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define ROW_SQL                                                               \
	"SELECT a.id, w.name, a.email, a.account, a.state, a.at, a.code"      \
	" FROM activation a JOIN workstation w ON w.id = a.id AND w.state IN" \
	" ('enrolled', 'leaving')"

static const char of_user_sql[] = ROW_SQL " WHERE a.email = ?1 ORDER BY w.name";
static const char of_workstation_sql[] = ROW_SQL " WHERE a.id = ?1 ORDER BY a.email";
static const char by_name_sql[] = ROW_SQL " WHERE a.email = ?1 AND w.name = ?2";

static void row_read(sqlite3_stmt *st, struct activation_row *ret)
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
		     int (*each)(void *arg, const struct activation_row *a, struct err *err),
		     void *arg, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, sql, &st, err);

	if (rc == 0)
		rc = db_bind(st, err, "t", of);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1) {
		struct activation_row a = {.active = false};

		row_read(st, &a);
		rc = each(arg, &a, err);
	}
	return rc;
}

int activations_of_user(struct site *s, const char *email,
			int (*each)(void *arg, const struct activation_row *a, struct err *err),
			void *arg, struct err *err)
{
	return rows_each(s, of_user_sql, email, each, arg, err);
}

int activations_of_workstation(struct site *s, const char *id,
			       int (*each)(void *arg, const struct activation_row *a,
					   struct err *err),
			       void *arg, struct err *err)
{
	return rows_each(s, of_workstation_sql, id, each, arg, err);
}

/* row_find(...): RC_USAGE when this user was never activated there. */
static int row_find(struct site *s, const char *email, const char *workstation,
		    struct activation_row *ret, struct err *err)
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
	row_read(st, ret);
	return 0;
}

static int state_set(struct site *s, const struct activation_row *a, bool active, struct err *err)
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
static int state_change(struct site *s, const struct activation_row *a, bool active,
			struct err *err)
{
	int rc;

	if (a->active == active)
		return 0;
	rc = db_begin(s->db, err);
	if (rc == 0)
		rc = state_set(s, a, active, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

int activation_deactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err)
{
	struct activation_row a = {.active = false};
	int rc = row_find(s, email, workstation, &a, err);

	return rc < 0 ? rc : state_change(s, &a, false, err);
}

int activation_reactivate(struct site *s, const char *email, const char *workstation,
			  struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct activation_row a = {.active = false};
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

int activation_end(struct site *s, const char *id, struct err *err)
{
	return db_run(s->db, err, "DELETE FROM activation WHERE id = ?1", "t", id);
}

int activation_forget(struct site *s, const char *email, struct err *err)
{
	int rc = db_exec(s->db, "SAVEPOINT forget", err);

	if (rc < 0)
		return rc;
	rc = db_run(s->db, err, "DELETE FROM activation WHERE email = ?1", "t", email);
	if (rc == 0)
		rc = db_run(
		    s->db, err,
		    "DELETE FROM activation_use WHERE code IN (SELECT id FROM activation_code"
		    " WHERE email = ?1)",
		    "t", email);
	if (rc == 0)
		rc = db_run(s->db, err, "DELETE FROM activation_code WHERE email = ?1", "t", email);
	if (rc < 0)
		db_exec(s->db, "ROLLBACK TO forget", NULL);
	return db_exec(s->db, "RELEASE forget", rc < 0 ? NULL : err) < 0 && rc == 0 ? err->rc : rc;
}
