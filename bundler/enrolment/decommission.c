/* SPDX-License-Identifier: ISC */
/*
 * How workstations end: asked to wipe themselves, lost, wiped.  bundler/removal forgets them.
 */
#include "bundler/enrolment/decommission.h"

#include "bundler/activation/activation.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/enrolment/invitation.h"
#include "bundler/keystore/keystore.h"
#include "bundler/outbox/site_post.h"
#include "bundler/private/private.h"
#include "bundler/registry/registry.h"
#include "bundler/workstations/workstations.h"
#include "core/base/clock.h"
#include "core/base/own.h"

#define DAY_SECONDS 86400

static int not_enrolled(const char *name, struct err *err)
{
	return err_set(err, RC_USAGE,
		       "no workstation called %s is enrolled: satchel workstation list shows them",
		       name);
}

static int begin_now(struct site *s, const struct workstation *w, struct err *err)
{
	int rc = workstation_state_set(s->db, w->id, WORKSTATION_LEAVING, err);

	if (rc == 0)
		rc = private_stale(s->db, w->id, err);
	if (rc == 0)
		rc = invitations_void(s->db, w->name, err);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "leaving", w->name,
					"%s is to be decommissioned: it wipes itself with its next "
					"sync",
					w->name);
}

int decommission_begin(struct site *s, const char *name, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct workstation w;
	int rc = workstation_member_by_name(s->db, name, &w, err);

	if (rc == 0)
		return not_enrolled(name, err);
	if (rc < 0 || w.state == WORKSTATION_LEAVING)
		return rc < 0 ? rc : 0;
	rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = begin_now(s, &w, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int decommission_lost(struct site *s, const char *name, struct err *err)
{
	struct workstation w;
	int rc = workstation_member_by_name(s->db, name, &w, err);

	if (rc == 0)
		return not_enrolled(name, err);
	return rc < 0 ? rc : enrolment_revoke(s, name, err);
}

int decommission_wiped(struct site *s, const char *id, const char *name, struct err *err)
{
	int rc = workstation_state_set(s->db, id, WORKSTATION_DECOMMISSIONED, err);

	if (rc == 0)
		rc = activation_end(s->db, id, err);
	if (rc == 0) /* it has said so: nothing is held there any more */
		rc = keystore_forget(s->db, id, err);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "decommissioned", name,
					"%s has wiped what it was entrusted with, and is "
					"decommissioned",
					name);
}

int decommission_sweep(struct site *s, struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc;

	rc = db_query(s->db,
		      "SELECT p.path FROM workstation_known w JOIN private_newest p ON p.id = w.id"
		      " JOIN outbox_posted o ON o.path = p.path"
		      " LEFT JOIN receipt_newest r ON r.id = w.id"
		      " WHERE NOT w.member AND NOT (w.wiped AND ifnull(r.recorded, 0) > ?1)",
		      &st, err);
	if (rc == 0)
		rc = db_bind(st, err, "i",
			     clock_now() - (int64_t)DECOMMISSION_LISTED_DAYS * DAY_SECONDS);
	while (rc == 0 && (rc = db_step(s->db, st, err)) == 1)
		rc = site_post_retire(s, db_text(st, 0), err);
	return rc;
}
