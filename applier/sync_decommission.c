/*
 * The end of a workstation: what the site entrusted to it is wiped, and the last receipt says so.
 *
 *   begun    what was held is remembered for the receipts that follow; from here on nothing is
 *            applied any more, whatever arrives
 *            hand-out, private channel, rows about people, channels: each can be done again
 *   wiped    the last receipt is signed and queued, in one transaction with this
 *            the keys go
 *
 * A run that is killed is finished by the next one.  After it only the outbox is posted.
 */
#include <stdio.h>
#include <string.h>

#include "applier/apply.h"
#include "applier/handout.h"
#include "applier/outbox.h"
#include "applier/station_internal.h"
#include "applier/sync_internal.h"
#include "core/base/own.h"
#include "core/os/wipe.h"

static int begin(struct station *s, struct err *err)
{
	uint64_t epoch, generation;
	uint8_t held[STATION_HELD];
	struct digest tree;
	int rc = apply_held(s, TREE_PRIVATE, &epoch, &generation, &tree, err);

	if (rc < 0)
		return rc;
	put_u64(held, epoch);
	put_u64(held + 8, generation);
	memcpy(held + 16, tree.b, DIGEST_BYTES);
	rc = station_fact_put(s, "decommission", (struct bytes){held, sizeof(held)}, err);
	if (rc == 0)
		s->end = STATION_ENDS;
	return rc;
}

static int private_wipe(struct station *s, struct err *err)
{
	int rc = wipe_tree(s->statefd, PRIVATE_DIR, err);

	/* A secret that somebody had changed is a secret still. */
	if (rc == 0)
		rc = apply_kept_wipe(s->statefd, TREE_PRIVATE, err);
	return rc < 0 ? rc : sync_forget(s, TREE_PRIVATE, err);
}

static int rows_forget(struct station *s, struct err *err)
{
	static const char *const sql[] = {
	    "DELETE FROM handed", "DELETE FROM message", "DELETE FROM activation",
	    "DELETE FROM outbox WHERE kind IN ('activation', 'request')"};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(sql); i++)
		rc = db_run(s->db, err, sql[i], "");
	return rc;
}

/* Until every channel is left the last word is not spoken: a target that is not mounted now may be
 * later. */
static int channels_leave(struct sync *y, bool *ret_all, struct err *err)
{
	static const struct sync_policy none;
	char **tree = NULL;
	size_t trees = 0;
	int rc = sync_leave_others(y, &none, err);

	if (rc == 0)
		rc = sync_trees(y->s, &tree, &trees, err);
	*ret_all = trees == 0;
	station_list_free(&tree, &trees);
	return rc;
}

/* What was wiped from tables lies in free pages of the file still. */
static void database_shrink(struct station *s)
{
	db_exec(s->db, "VACUUM", NULL);
	db_exec(s->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL);
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
		say_info(s->say, "the site %s ends this workstation: what it entrusted is wiped",
			 s->trust.name);
		rc = entrusted_wipe(y, err);
		if (rc <= 0)
			return rc < 0 ? rc : report_write(s, err);
		rc = report_last(s, err);
	}
	return rc < 0 ? rc : keys_wipe(s, err);
}

int sync_last_post(struct sync *y, struct err *err)
{
	struct err bad = {0};
	uint64_t waiting = 0;
	int rc;

	for (size_t i = 0; i < y->depots; i++)
		if (outbox_post(y->s, y->depot[i].depot, &bad) < 0)
			say_warning(y->s->say, "%s", bad.text);
	rc = outbox_waiting(y->s, &waiting, err);
	if (rc < 0)
		return rc;
	if (y->s->end == STATION_WIPED)
		say_info(y->s->say,
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
