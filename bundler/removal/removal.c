/* SPDX-License-Identifier: ISC */
/*
 * Only here do all rooms come together that know something of a workstation or of a user.
 */
#include "bundler/removal/removal.h"

#include "bundler/activation/activation.h"
#include "bundler/carry/consignment.h"
#include "bundler/documents/documents.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/enrolment/invitation.h"
#include "bundler/keystore/keystore.h"
#include "bundler/messages/message.h"
#include "bundler/private/private.h"
#include "bundler/receipts/receipts.h"
#include "bundler/registry/registry.h"
#include "bundler/resend/resend.h"
#include "bundler/sealed/sealed.h"
#include "bundler/workstations/workstations.h"
#include "core/base/own.h"

/* Every room that has rows of a workstation or of a user.  (The key store has a function of its
 * own, because a decommissioned machine loses its holdings before it is removed.) */
static const struct forget_sql *const forget[] = {
    &registry_forget, &receipts_forget,    &activation_forget, &message_forget, &enrolment_forget,
    &private_forget,  &consignment_forget, &sealed_forget,     &resend_forget,
};

static int all_run(struct db *db, const char *const *sql, const char *about, struct err *err)
{
	int rc = 0;

	for (; rc == 0 && sql != NULL && *sql != NULL; sql++)
		rc = db_run(db, err, *sql, "t", about);
	return rc;
}

static int machine_forget(void *arg, const struct workstation *w, struct err *err)
{
	struct db *db = arg;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(forget); i++)
		rc = all_run(db, forget[i]->workstation, w->id, err);
	if (rc == 0)
		rc = keystore_forget(db, w->id, err);
	return rc < 0 ? rc : workstation_state_set(db, w->id, WORKSTATION_REMOVED, err);
}

static int name_forget(struct site *s, const char *name, struct err *err)
{
	int rc = workstations_named(s->db, name, machine_forget, s->db, err);

	if (rc == 0)
		rc = enrolment_forget_name(s->db, name, err);
	return rc < 0 ? rc
		      : registry_eventf(s->db, err, "removed", name, "%s was removed from the site",
					name);
}

/* removable(s, name, err): 1 when it has a document, 0 when only rows are there. */
static int removable(struct site *s, const char *name, struct err *err)
{
	bool document = site_workstation(s, name) != NULL;
	struct workstation w;
	uint64_t invited = 0;
	int rc = workstation_newest(s->db, name, &w, err);

	if (rc >= 0)
		rc = invitations_named(s->db, name, &invited, err);
	if (rc < 0)
		return rc;
	if (workstation_is_member(w.state))
		return err_set(
		    err, RC_CONFLICT, "%s is %s: satchel workstation decommission %s%s first", name,
		    workstation_state_text(w.state), name,
		    w.state == WORKSTATION_LEAVING ? " --lost, or its last receipt," : "");
	if (!document && w.state == WORKSTATION_ABSENT && invited == 0)
		return err_set(err, RC_USAGE,
			       "there is no workstation %s: satchel workstation list shows them",
			       name);
	return document;
}

int removal_workstation(struct site *s, const char *name, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = removable(s, name, err);

	/* The document first: should the run end here, the next one finds the rows. */
	if (rc == 1)
		rc = site_document_remove(s, SITE_DOCUMENT_WORKSTATION, name, err);
	if (rc == 0)
		rc = db_tx_begin(&tx, s->db, err);
	if (rc == 0)
		rc = name_forget(s, name, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

/* user_forget(s, email, err): what no workstation has to confirm. */
static int user_forget(struct site *s, const char *email, struct err *err)
{
	OWNED(db_tx_end) struct db_tx tx = {0};
	int rc = db_tx_begin(&tx, s->db, err);

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(forget); i++)
		rc = all_run(s->db, forget[i]->user, email, err);
	return rc < 0 ? rc : db_tx_commit(&tx, err);
}

int removal_user(struct site *s, const char *email, struct err *err)
{
	int rc;

	if (site_user(s, email) == NULL)
		return err_set(err, RC_USAGE, "there is no user %s: satchel user list shows them",
			       email);
	/* In this order: a run that is cut off between can be done again. */
	rc = user_forget(s, email, err);
	return rc < 0 ? rc : site_document_remove(s, SITE_DOCUMENT_USER, email, err);
}
