#include "bundler/decommission.h"

#include <stdio.h>
#include <string.h>

#include "bundler/activation.h"
#include "bundler/enrolment.h"
#include "bundler/publish_internal.h"
#include "bundler/registry.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define DAY_SECONDS 86400

/* state_of(s, name, dst, err): of the machine that has the name now; "" when none has. */
static int state_of(struct site *s, const char *name, char dst[16], struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT state FROM workstation WHERE name = ?1 AND state <> 'removed'"
		      " ORDER BY state IN ('enrolled', 'leaving') DESC, enrolled DESC LIMIT 1",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "t", name);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc < 0)
		return rc;
	snprintf(dst, 16, "%s", rc == 1 ? db_text(st, 0) : "");
	return 0;
}

static int begin_now(struct site *s, const char *name, struct err *err)
{
	int rc;

	rc = db_run(s->db, err,
		    "UPDATE workstation SET state = 'leaving', inputs = NULL WHERE name = ?1"
		    " AND state = 'enrolled'",
		    "t", name);
	if (rc == 0)
		rc =
		    db_run(s->db, err, "DELETE FROM invitation WHERE name = ?1 AND used_by IS NULL",
			   "t", name);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "leaving", name,
					"%s is to be decommissioned: it wipes itself with its next "
					"sync",
					name);
}

int decommission_begin(struct site *s, const char *name, struct err *err)
{
	char state[16];
	int rc = state_of(s, name, state, err);

	if (rc < 0 || strcmp(state, "leaving") == 0)
		return rc;
	if (strcmp(state, "enrolled") != 0)
		return err_set(err, RC_USAGE,
			       "no workstation called %s is enrolled: satchel workstation list "
			       "shows them",
			       name);
	rc = db_begin(s->db, err);
	if (rc == 0)
		rc = begin_now(s, name, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

int decommission_lost(struct site *s, const char *name, struct err *err)
{
	char state[16];
	int rc = state_of(s, name, state, err);

	if (rc == 0 && strcmp(state, "enrolled") != 0 && strcmp(state, "leaving") != 0)
		rc = err_set(err, RC_USAGE,
			     "no workstation called %s is enrolled: satchel workstation list shows "
			     "them",
			     name);
	return rc < 0 ? rc : enrolment_revoke(s, name, err);
}

int decommission_wiped(struct site *s, const char *id, const char *name, struct err *err)
{
	int rc;

	rc = db_run(s->db, err, "UPDATE workstation SET state = 'decommissioned' WHERE id = ?1",
		    "t", id);
	if (rc == 0)
		rc = activation_end(s, id, err);
	if (rc == 0) /* it has said so: nothing is held there any more */
		rc = db_run(s->db, err, "DELETE FROM holding WHERE id = ?1", "t", id);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "decommissioned", name,
					"%s has wiped what it was entrusted with, and is "
					"decommissioned",
					name);
}

/* Removal */

/*
 * What is known of a machine.  Its row stays, with the numbers of its newest receipt and private
 * generation: should the same keys ever be enrolled again, old copies of either are still old.
 */
#define OF_NAME " WHERE id IN (SELECT id FROM workstation WHERE name = ?1)"
static const char *const forget_sql[] = {
    "DELETE FROM receipt_channel" OF_NAME,
    "DELETE FROM receipt_user" OF_NAME,
    "DELETE FROM receipt_event" OF_NAME,
    "DELETE FROM activation" OF_NAME,
    "DELETE FROM activation_use" OF_NAME,
    "DELETE FROM message_to" OF_NAME,
    "DELETE FROM message_in" OF_NAME,
    "DELETE FROM private_past" OF_NAME,
    "DELETE FROM holding" OF_NAME,
    "DELETE FROM carried" OF_NAME,
    "DELETE FROM invitation WHERE name = ?1",
    "UPDATE workstation SET state = 'removed' WHERE name = ?1",
};

static int forget_now(struct site *s, const char *name, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(forget_sql); i++)
		rc = db_run(s->db, err, forget_sql[i], "t", name);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "removed", name, "%s was removed from the site",
					name);
}

int decommission_remove(struct site *s, const char *name, struct err *err)
{
	bool document = site_workstation(s, name) != NULL;
	char state[16];
	int64_t invited = 0;
	int rc = state_of(s, name, state, err);

	if (rc == 0)
		rc = db_int(s->db, err, &invited, "SELECT count(*) FROM invitation WHERE name = ?1",
			    "t", name);
	if (rc < 0)
		return rc;
	if (strcmp(state, "enrolled") == 0 || strcmp(state, "leaving") == 0)
		return err_set(err, RC_CONFLICT,
			       "%s is %s: satchel workstation decommission %s%s first", name, state,
			       name, state[0] == 'l' ? " --lost, or its last receipt," : "");
	if (!document && state[0] == '\0' && invited == 0)
		return err_set(err, RC_USAGE,
			       "there is no workstation %s: satchel workstation list shows them",
			       name);
	/* The document first: should the run end here, the next one finds the rows. */
	if (document)
		rc = site_workstation_remove(s, name, err);
	if (rc == 0)
		rc = db_begin(s->db, err);
	if (rc == 0)
		rc = forget_now(s, name, err);
	if (rc == 0)
		rc = db_commit(s->db, err);
	if (rc < 0)
		db_rollback(s->db);
	return rc;
}

int decommission_sweep(struct site *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(
	    s->db,
	    "SELECT p.path FROM workstation w JOIN private p ON p.id = w.id"
	    " JOIN outbox o ON o.path = p.path LEFT JOIN receipt r ON r.id = w.id"
	    " WHERE w.state IN ('revoked', 'replaced', 'removed') OR (w.state = 'decommissioned'"
	    " AND ifnull(r.recorded, 0) <= ?1)",
	    &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "i",
			     clock_now() - (int64_t)DECOMMISSION_LISTED_DAYS * DAY_SECONDS);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = publish_retire(s, db_text(st, 0), err);
	return rc;
}
