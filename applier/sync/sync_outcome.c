/* SPDX-License-Identifier: ISC */
/*
 * How one tree came out: told, noted as the worst of the run, and kept for the receipt.
 */
#include "applier/sync/sync_internal.h"

#include <stdio.h>
#include <string.h>

/* What waits, what was refused for what it is, what failed here. */
static enum tree_result result_of(const struct sync_outcome *o)
{
	switch (o->out.rc) {
	case 0:
		return o->applied ? TREE_APPLIED : TREE_CURRENT;
	case RC_AGAIN:
	case RC_INCOMPLETE:
	case RC_TIMEOUT:
	case RC_BUSY:
		return TREE_WAITING;
	default:
		break;
	}
	return rc_class(o->out.rc) >= EXIT_CLASS_MALFORMED &&
		       rc_class(o->out.rc) <= EXIT_CLASS_POLICY
		   ? TREE_REFUSED
		   : TREE_FAILED;
}

static void reason_text(const struct sync_outcome *o, char dst[512])
{
	char text[768];

	dst[0] = '\0';
	if (o->out.rc == 0)
		return;
	snprintf(text, sizeof(text), "%s: %s", rc_slug(o->out.rc), o->out.reason);
	err_escape(dst, 512, text);
}

static int result_put(struct station *s, const struct sync_outcome *o, struct err *err)
{
	struct outcome out = {.result = result_of(o),
			      .wanted = o->out.wanted,
			      .deviations = o->out.preview.deviations,
			      .adaptations = o->out.preview.adaptations,
			      .milliseconds = o->milliseconds};

	reason_text(o, out.reason);
	return outcome_put(s, o->tree, &out, err);
}

int sync_outcome(struct sync *y, const struct sync_outcome *o, struct err *err)
{
	bool keep = !(y->flags & SYNC_DRY_RUN) && (o->applied || !o->by_hand);
	int rc = keep ? result_put(y->s, o, err) : 0;

	if (rc < 0)
		return rc;
	if (y->each != NULL)
		y->each(y->arg, &o->out);
	if (o->out.rc < 0) {
		struct err bad = {0};

		err_set(&bad, o->out.rc, "%s%s: %s",
			o->out.name[0] == '\0' ? "the private channel" : "channel ", o->out.name,
			o->out.reason);
		rc = y->each == NULL ? sync_event(y, &bad, err) : sync_record(y, &bad, err);
	}
	y->applied = y->applied || o->applied;
	return rc;
}
