/*
 * What the private channel says of people, made true on this machine.  Not part of applying a
 * channel: it is looked at in every run, with or without a depot at hand, because what was handed
 * out may have been changed, and time passes.
 */
#include "applier/activate.h"
#include "applier/station_internal.h"
#include "applier/sync_internal.h"
#include "core/base/own.h"

static int people_load(struct station *s, struct people *ret, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	int rc = private_open(s, &t, err);

	return rc < 0 ? rc : people_read(&t, ret, err);
}

int sync_people(struct sync *y, struct err *err)
{
	OWNED(people_clear) struct people people = {0};
	struct err bad = {0};
	uint64_t generation;
	int rc = private_held(y->s, &generation, err);

	if (rc < 0 || generation == 0 || (y->flags & SYNC_DRY_RUN))
		return rc;
	if (people_load(y->s, &people, &bad) < 0)
		return sync_event(y, &bad, err);
	return activations_answered(y->s, &people, err);
}
