/* SPDX-License-Identifier: ISC */
/*
 * The end of a workstation: what the site entrusted to it is wiped, and the last receipt says so.
 *
 *   begun    what was applied is remembered for the receipts that follow; from here on nothing is
 *            applied any more, whatever arrives
 *            hand-out, private channel, rows about people, channels: each can be done again
 *   wiped    the last receipt is signed and queued, in one transaction with this
 *            the keys go
 *
 * A run that is killed is finished by the next one.  After it only the outbox is posted.
 */
#include <stdio.h>
#include <string.h>

#include "applier/activation/activation.h"
#include "applier/apply/applied.h"
#include "applier/apply/apply.h"
#include "applier/handout/handout.h"
#include "applier/messages/messages.h"
#include "applier/report/outbox.h"
#include "applier/report/report.h"
#include "applier/station/station_state.h"
#include "applier/sync/sync_internal.h"
#include "applier/trees/tree.h"
#include "core/base/own.h"
#include "core/os/wipe.h"

static int begin(struct station *s, struct err *err)
{
	uint8_t packed[APPLIED_BYTES];
	struct applied now;
	int rc = applied_load(s, TREE_PRIVATE, &now, err);

	if (rc < 0)
		return rc;
	applied_pack(packed, &now);
	rc = station_property_put(s, PROPERTY_DECOMMISSION, (struct bytes){packed, sizeof(packed)},
				  err);
	if (rc == 0)
		s->end = STATION_ENDS;
	return rc;
}

static int private_wipe(struct station *s, struct err *err)
{
	int rc = wipe_tree(s->statefd, PRIVATE_DIR, err);

	if (rc == 0) /* what an interrupted run had staged, and taken out */
		rc = tree_recover(s, TREE_PRIVATE, err);
	/* A secret that somebody had changed is a secret still. */
	if (rc >= 0)
		rc = apply_kept_wipe(s->statefd, TREE_PRIVATE, err);
	return rc < 0 ? rc : tree_forget(s, TREE_PRIVATE, err);
}

/* What rooms know of people. */
static int rows_forget(struct station *s, struct err *err)
{
	int rc = handout_forget(s, err);

	if (rc == 0)
		rc = messages_forget(s, err);
	if (rc == 0)
		rc = activations_forget(s, err);
	return rc < 0 ? rc : outbox_drop(s, OUTBOX_REQUEST, err);
}

/* Until every channel is left the last word is not spoken: a target that is not mounted now may be
 * later. */
static int channels_leave(struct sync *y, bool *ret_all, struct err *err)
{
	static const struct sync_wanted none;
	OWNED(strings_clear) struct strings trees = {0};
	int rc = sync_leave_others(y, &none, err);

	if (rc == 0)
		rc = tree_list(y->s, &trees, err);
	*ret_all = trees.n == 0;
	return rc;
}

/* What was wiped from tables lies in free pages of the file still. */
static void database_shrink(struct station *s)
{
	db_exec(s->db, "VACUUM", ERR_IGNORED);
	db_exec(s->db, "PRAGMA wal_checkpoint(TRUNCATE)", ERR_IGNORED);
}

static int keys_wipe(struct station *s, struct err *err)
{
	int rc = wipe_tree(s->statefd, "keys", err);

	if (rc == 0)
		database_shrink(s);
	return rc;
}

static int secrets_wipe(struct sync *y, struct err *err)
{
	struct handout_counts counts;
	int rc = handout(y->s, NULL, NULL, HANDOUT_NOTHING, &counts, err);

	if (rc == 0)
		rc = sync_hooks(y, &counts, err);
	if (rc == 0)
		rc = private_wipe(y->s, err);
	return rc < 0 ? rc : rows_forget(y->s, err);
}

/* 1: all of it is gone. */
static int entrusted_wipe(struct sync *y, struct err *err)
{
	struct err bad = {0};
	bool all = false;
	int rc;

	if (secrets_wipe(y, &bad) < 0) {
		err_prefix(&bad, "wiping what the site entrusted");
		rc = sync_event(y, &bad, err);
		return rc < 0 ? rc : 0;
	}
	rc = channels_leave(y, &all, err);
	return rc < 0 ? rc : all;
}

int sync_decommission(struct sync *y, struct err *err)
{
	struct station *s = y->s;
	int rc = s->end == STATION_STAYS ? begin(s, err) : 0;

	if (rc == 0 && s->end == STATION_ENDS) {
		reporter_info(s->reporter,
			      "the site %s decommissions this workstation: its keys and private "
			      "data are wiped",
			      s->trust.name);
		rc = entrusted_wipe(y, err);
		if (rc <= 0)
			return rc < 0 ? rc : report_write(s, sync_policy_digest(y), err);
		rc = report_last(s, err);
	}
	return rc < 0 ? rc : keys_wipe(s, err);
}

int sync_last_post(struct sync *y, struct err *err)
{
	struct err bad = {0};
	uint64_t waiting = 0;
	int rc;

	for (size_t i = 0; i < y->depot.n; i++)
		if (outbox_post(y->s, y->depot.items[i].depot, &bad) < 0)
			reporter_warning(y->s->reporter, "%s", bad.text);
	rc = outbox_waiting(y->s, &waiting, err);
	if (rc < 0)
		return rc;
	if (y->s->end == STATION_WIPED)
		reporter_info(
		    y->s->reporter,
		    "this workstation was decommissioned by the site %s, and %s; with a new "
		    "invitation it can enrol again",
		    y->s->trust.name,
		    waiting > 0 ? "its last receipt waits for a depot"
				: "its last receipt is posted");
	if (waiting > 0) {
		if (bad.rc == 0)
			err_set(&bad, RC_AGAIN,
				"the last receipt of this workstation waits for a depot");
		sync_note(y, &bad);
	}
	return station_floor_write(y->s, err);
}

int sync_last(struct sync *y, struct err *err)
{
	int rc = sync_depots(y, err);

	if (rc == 0)
		rc = sync_decommission(y, err);
	return rc < 0 ? rc : sync_last_post(y, err);
}
