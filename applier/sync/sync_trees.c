/* SPDX-License-Identifier: ISC */
/*
 * Trees as steps of a run: what was interrupted is finished, what is subscribed to no more is left.
 * One tree that cannot be does not stop the others.
 */
#include <stdio.h>
#include <string.h>

#include "applier/sync/sync_internal.h"
#include "applier/trees/tree.h"
#include "applier/verify/verify.h"
#include "core/base/own.h"

int sync_recover(struct sync *y, struct err *err)
{
	OWNED(strings_clear) struct strings trees = {0};
	int rc = strings_add(&trees, TREE_PRIVATE, err);

	if (rc == 0)
		rc = tree_list(y->s, &trees, err);
	for (size_t i = 0; rc == 0 && i < trees.n; i++) {
		struct err bad = {0};

		if (tree_recover(y->s, trees.items[i], &bad) < 0)
			rc = sync_event(y, &bad, err);
	}
	return rc < 0 ? rc : sync_seal_settle(y, err);
}

static bool subscribed(const struct sync_wanted *p, const char *tree)
{
	for (size_t i = 0; i < p->subs; i++)
		if (strcmp(p->sub[i].name, tree) == 0)
			return true;
	return false;
}

static int leave_one(struct sync *y, const char *tree, struct err *err)
{
	OWNED(tree_place_clear) struct tree_place p = TREE_PLACE_INIT;
	struct err bad = {0};
	int rc = tree_place_load(y->s, tree, &p, err);

	if (rc < 0)
		return rc;
	if (rc == 0) /* nothing of it was ever applied */
		return y->flags & SYNC_DRY_RUN ? 0 : tree_forget(y->s, tree, err);
	reporter_info(y->s->reporter,
		      "channel %s is not for this workstation any more: its files in %s %s", tree,
		      p.path, p.remove ? "are removed" : "stay");
	if (y->flags & SYNC_DRY_RUN)
		return 0;
	if (tree_leave(y->s, &p, &bad) == 0)
		return verify_forget(y->s, tree, err);
	err_prefix(&bad, "leaving channel %s", tree);
	return sync_event(y, &bad, err);
}

int sync_leave_others(struct sync *y, const struct sync_wanted *p, struct err *err)
{
	OWNED(strings_clear) struct strings trees = {0};
	int rc = tree_list_reported(y->s, &trees, err);

	for (size_t i = 0; rc == 0 && i < trees.n; i++)
		if (!subscribed(p, trees.items[i]))
			rc = leave_one(y, trees.items[i], err);
	return rc;
}
