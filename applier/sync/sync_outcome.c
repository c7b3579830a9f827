/* SPDX-License-Identifier: ISC */
/*
 * How one tree came out: told, noted as the worst of the run, and kept for the receipt.
 */
#include "applier/sync/sync_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "applier/report/event.h"
#include "applier/trees/drift.h"

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

/* A directory that somebody removed or replaced is made again with what a bundle changes in it, and
 * the rest of it is missing: that is not "ok". */
static int holes_tell(struct sync *y, const struct sync_outcome *o, struct err *err)
{
	struct err bad = {0};
	uint64_t n = 0;

	if (o->out.preview.holes == 0)
		return 0;
	if (drift_check(y->s, o->tree, &n, &bad) == 0 && n > 0)
		err_set(&bad, RC_CONFLICT,
			"channel %s: a directory was removed or replaced here, and was made again "
			"with what the update brings; %" PRIu64 " %s missing or changed: satchel "
			"drift lists %s, satchel repair %s brings back what was published",
			o->out.name, n, n == 1 ? "entry is" : "entries are", n == 1 ? "it" : "them",
			o->out.name);
	return bad.rc < 0 ? sync_event(y, &bad, err) : 0;
}

static int stays_tell(struct sync *y, const struct sync_outcome *o, struct err *err)
{
	uint64_t n = o->out.preview.stays;
	char text[256];

	if (n == 0)
		return 0;
	snprintf(text, sizeof(text),
		 "channel %s: %" PRIu64 " %s published no more stay%s for the files in %s that no "
		 "channel manages",
		 o->out.name, n, n == 1 ? "directory that is" : "directories that are",
		 n == 1 ? "s" : "", n == 1 ? "it" : "them");
	return station_event(y->s, "stays", text, err);
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
	if (rc == 0 && keep && o->applied)
		rc = holes_tell(y, o, err);
	if (rc == 0 && keep && o->applied)
		rc = stays_tell(y, o, err);
	return rc;
}
