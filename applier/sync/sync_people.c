/* SPDX-License-Identifier: ISC */
/*
 * What the private channel says of people, made true on this machine.  Not part of applying a
 * channel: it is looked at in every run, with or without a depot at hand, because what was handed
 * out may have been changed, and time passes.
 */
#include <stdio.h>
#include <string.h>

#include "applier/activation/activation.h"
#include "applier/handout/handout.h"
#include "applier/messages/messages.h"
#include "applier/report/event.h"
#include "applier/station/hook.h"
#include "applier/station/station_state.h"
#include "applier/sync/sync_internal.h"
#include "core/base/own.h"

/* Which hook is told of what.  What it was told last is remembered by its digest: a run that was
 * killed before it had told it is made good by the next one. */
static const struct told {
	const char *hook;
	enum station_property told;
} told_policy = {"policy-changed", PROPERTY_TOLD_POLICY},
  told_keys = {"keys-changed", PROPERTY_TOLD_KEYS};

static int hook_tell(struct sync *y, const struct told *t, const struct digest *now,
		     struct err *err)
{
	struct hook h = {.name = t->hook, .seconds = HOOK_SECONDS};
	struct err bad = {0};
	struct digest was;
	int rc = station_property_digest(y->s, t->told, &was, err);

	if (rc < 0 || digest_equal(&was, now))
		return rc < 0 ? rc : 0;
	/* First, so that a hook which brings the machine down is not run again and again. */
	rc = station_property_put_digest(y->s, t->told, now, err);
	if (rc < 0)
		return rc;
	if (hook_run(y->s, &h, NULL, &bad) >= 0)
		return 0;
	reporter_warning(y->s->reporter, "%s", bad.text);
	return station_event(y->s, "hook", bad.text, err);
}

int sync_hooks(struct sync *y, const struct handout_counts *counts, struct err *err)
{
	int rc = hook_tell(y, &told_policy, &counts->policy, err);

	return rc < 0 ? rc : hook_tell(y, &told_keys, &counts->keys, err);
}

/* A clock that went back has not made time pass. */
static int64_t silence(const struct station *s)
{
	int64_t now = station_now(s);

	return s->beat_arrived == 0 || now < s->beat_arrived ? 0 : now - s->beat_arrived;
}

/* Has the server been silent for disable-hours? */
static bool policy_disabled(const struct station *s, const struct policy_settings *p)
{
	return p->disable_hours > 0 && silence(s) >= (int64_t)p->disable_hours * 3600;
}

static int people_handout(struct sync *y, struct private_tree *t,
			  const struct private_people *people, struct err *err)
{
	const struct policy_settings *p = &y->policy.effective.policy.settings;
	enum handout_flags flags = policy_disabled(y->s, p) ? HANDOUT_WITHHOLD : 0;
	struct handout_counts counts = {0};
	struct err bad = {0};
	int rc = handout(y->s, t, people, flags, &counts, &bad);

	if (rc < 0) {
		err_prefix(&bad, "handing out");
		return sync_event(y, &bad, err);
	}
	if (counts.withheld > 0)
		reporter_warning(y->s->reporter,
				 "the server has been silent for longer than its policy allows: "
				 "keys are withheld until something newer arrives");
	return sync_hooks(y, &counts, err);
}

static int people_do(struct sync *y, struct private_tree *t, const struct private_people *people,
		     struct err *err)
{
	size_t unread = 0;
	int rc = activations_answered(y->s, people, err);

	if (rc == 0)
		rc = people_handout(y, t, people, err);
	if (rc == 0)
		rc = messages_sweep(y->s, people, err);
	if (rc == 0)
		rc = messages_commands(y->s, people, err);
	if (rc == 0)
		rc = messages_unread(y->s, people, &unread, err);
	if (unread > 0)
		reporter_info(y->s->reporter, "%zu unread %s; see satchel messages", unread,
			      unread == 1 ? "message" : "messages");
	return rc;
}

int sync_people(struct sync *y, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(people_clear) struct private_people people = {0};
	struct err bad = {0};
	uint64_t generation;
	int rc = private_generation(y->s, &generation, err);

	if (rc < 0 || generation == 0)
		return rc;
	rc = sync_wanted_read(y, &bad);
	if (rc == 0 && y->wanted.membership.decommission)
		return sync_decommission(y, err);
	if (rc == 0)
		rc = private_open(y->s, &t, &bad);
	if (rc == 0)
		rc = people_read(&t, &people, &bad);
	return rc < 0 ? sync_event(y, &bad, err) : people_do(y, &t, &people, err);
}
