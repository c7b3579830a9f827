/* SPDX-License-Identifier: ISC */
/*
 * A channel goes back, by hand or because its owner's health check said no, and the server is told
 * of it by the next receipt.
 */
#include <inttypes.h>
#include <stdio.h>

#include "applier/sync/sync_internal.h"
#include "applier/trees/tree.h"

static int back_run(struct sync *y, const char *tree, uint64_t generation,
		    struct rollback_result *ret, struct err *err)
{
	struct applied now;
	struct undo_generation to;
	char why[256];
	int rc = sync_recover(y, err);

	if (rc == 0)
		rc = sync_policy_load(y, err);
	if (rc == 0)
		rc = applied_load(y->s, tree, &now, err);
	if (rc == 0)
		rc = rollback_where(y->s, tree, generation, &to, err);
	if (rc < 0)
		return rc;
	snprintf(why, sizeof(why), "by hand: generation %" PRIu64 " is back in place of %" PRIu64,
		 to.generation, now.generation);
	rc = rollback_tree(y->s, tree, to.generation, why, ret, err);
	if (rc == 0)
		rc = sync_depots(y, err);
	return rc < 0 ? rc : sync_report(y, err);
}

int sync_rollback(struct station *s, const char *tree, uint64_t generation,
		  struct rollback_result *ret, struct err *err)
{
	struct sync *y = NULL;
	int rc = sync_begin(s, 0, NULL, NULL, &y, err);

	return rc < 0 ? rc : sync_end(y, back_run(y, tree, generation, ret, err), err);
}
