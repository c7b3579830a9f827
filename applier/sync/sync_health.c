/* SPDX-License-Identifier: ISC */
/*
 * The owner's say in what is applied: hooks before and after, and a check of health, without which
 * nobody knows whether what is published works on this very machine.  A generation that fails it is
 * left again at once for the one before the way, and the receipt says so.
 *
 *   pre-apply    before the first bundle of a way; when it fails, nothing is applied
 *   post-apply   when the way is done
 *   health       after that; when one of the two fails, the way back is taken
 *
 * A run that dies between the last bundle and the verdict is asked for it again by the next one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "applier/apply/applied.h"
#include "applier/station/hook.h"
#include "applier/sync/sync_internal.h"
#include "core/base/own.h"

/* What a hook is told, besides what every hook is. */
struct told {
	char *text[5]; /* owned */
	const char *env[6];
};

static void told_clear(struct told *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->text); i++)
		free(t->text[i]);
}

static int told_make(const struct sync_update *w, struct told *ret, struct err *err)
{
	int rc = asprintf(&ret->text[0], "SATCHEL_CHANNEL=%s", w->tree);

	if (rc >= 0)
		rc = asprintf(&ret->text[1], "SATCHEL_TARGET=%s", w->target);
	if (rc >= 0)
		rc = asprintf(&ret->text[2], "SATCHEL_FROM=%" PRIu64, w->from);
	if (rc >= 0)
		rc = asprintf(&ret->text[3], "SATCHEL_GENERATION=%" PRIu64, w->to);
	if (rc < 0)
		return err_memory(err);
	for (size_t i = 0; ret->text[i] != NULL; i++)
		ret->env[i] = ret->text[i];
	return 0;
}

static int update_hook(struct sync *y, const struct sync_update *w, const char *name,
		       struct err *err)
{
	OWNED(told_clear) struct told t = {{NULL}, {NULL}};
	struct hook h = {.name = name, .env = t.env, .seconds = HOOK_SECONDS};
	int rc = told_make(w, &t, err);

	return rc < 0 ? rc : hook_run(y->s, &h, NULL, err);
}

int sync_update_begin(struct sync *y, const struct sync_update *w, const struct applied *from,
		      struct err *err)
{
	const struct undo_generation rest = {from->epoch, from->generation, from->tree};
	int rc;

	if (y->flags & SYNC_DRY_RUN)
		return 0;
	rc = update_hook(y, w, "pre-apply", err);
	if (rc < 0)
		return err_prefix(err, "not applied");
	return undo_health_put(y->s, w->tree, &rest, err);
}

/* Back to where the way began, or the sentence that says why not. */
static int update_back(struct sync *y, const struct sync_update *w,
		       const struct undo_generation *rest, const char *why, struct err *err)
{
	struct rollback_result back;
	struct err bad = {0};
	char text[512];

	snprintf(text, sizeof(text),
		 "generation %" PRIu64 " is back in place of %" PRIu64 ", which failed: %.380s",
		 rest->generation, w->to, why);
	if (rest->generation > 0 &&
	    rollback_tree(y->s, w->tree, rest->generation, text, &back, &bad) == 0)
		return err_set(err, RC_ROLLED_BACK, "%s", text);
	/* It is asked again by every run, until it says yes. */
	if (rest->generation == 0)
		return err_set(err, RC_UNHEALTHY,
			       "%s; there is no earlier generation to go back to", why);
	return err_set(err, RC_UNHEALTHY, "%.380s; %.380s", why, bad.text);
}

int sync_update_end(struct sync *y, const struct sync_update *w, struct err *err)
{
	struct undo_generation rest;
	struct err why = {0};
	int rc = undo_health_load(y->s, w->tree, &rest, err);

	if (rc <= 0 || (y->flags & SYNC_DRY_RUN))
		return rc < 0 ? rc : 0;
	rc = update_hook(y, w, "post-apply", &why);
	if (rc >= 0)
		rc = update_hook(y, w, "health", &why);
	return rc < 0 ? update_back(y, w, &rest, why.text, err)
		      : undo_health_drop(y->s, w->tree, err);
}
