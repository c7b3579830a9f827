/*
 * What the private channel says of people, made true on this machine.  Not part of applying a
 * channel: it is looked at in every run, with or without a depot at hand, because what was handed
 * out may have been changed, and time passes.
 */
#include <stdio.h>
#include <string.h>

#include "applier/activate.h"
#include "applier/handout.h"
#include "applier/hook.h"
#include "applier/messages.h"
#include "applier/station_internal.h"
#include "applier/sync_internal.h"
#include "core/base/own.h"

/* Which hook is told of what.  What it was told last is remembered by its digest: a run that was
 * killed before it had told it is made good by the next one. */
static const struct told {
	const char *hook, *fact;
} told_policy = {"policy-changed", "told-policy"}, told_keys = {"keys-changed", "told-keys"};

static int fact_digest(struct station *s, const char *fact, struct digest *ret, struct err *err)
{
	OWNED(buf_clear) struct buf was = BUF_INIT;
	int rc = station_fact_get(s, fact, &was, err);

	memset(ret, 0, sizeof(*ret));
	if (rc == 1 && was.n == DIGEST_BYTES)
		memcpy(ret->b, was.p, DIGEST_BYTES);
	return rc < 0 ? rc : 0;
}

static int hook_tell(struct sync *y, const struct told *t, const struct digest *now,
		     struct err *err)
{
	struct hook h = {.name = t->hook, .seconds = HOOK_SECONDS};
	struct err bad = {0};
	struct digest was;
	int rc = fact_digest(y->s, t->fact, &was, err);

	if (rc < 0 || digest_equal(&was, now))
		return rc;
	/* First, so that a hook which brings the machine down is not run again and again. */
	rc = station_fact_put(y->s, t->fact, (struct bytes){now->b, DIGEST_BYTES}, err);
	if (rc < 0)
		return rc;
	if (hook_run(y->s, &h, NULL, &bad) >= 0)
		return 0;
	say_warning(y->s->say, "%s", bad.text);
	return station_event(y->s, "hook", bad.text, err);
}

int sync_hooks(struct sync *y, const struct handout_counts *counts, struct err *err)
{
	int rc = hook_tell(y, &told_policy, &counts->policy, err);

	return rc < 0 ? rc : hook_tell(y, &told_keys, &counts->keys, err);
}

static int people_handout(struct sync *y, struct private_tree *t, const struct people *people,
			  struct err *err)
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
		say_warning(y->s->say,
			    "the server has been silent for longer than its policy allows: "
			    "keys are withheld until something newer arrives");
	return sync_hooks(y, &counts, err);
}

static int people_do(struct sync *y, struct private_tree *t, const struct people *people,
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
		say_info(y->s->say, "%zu unread: satchel messages", unread);
	return rc;
}

int sync_people(struct sync *y, struct err *err)
{
	OWNED(private_close) struct private_tree t = PRIVATE_TREE_INIT;
	OWNED(people_clear) struct people people = {0};
	OWNED(sync_policy_clear) struct sync_policy policy = {0};
	struct err bad = {0};
	uint64_t generation;
	int rc = private_held(y->s, &generation, err);

	if (rc < 0 || generation == 0)
		return rc;
	rc = sync_policy_read(y->s, &policy, &bad);
	if (rc == 0 && policy.membership.decommission)
		return sync_decommission(y, err);
	if (rc == 0)
		rc = private_open(y->s, &t, &bad);
	if (rc == 0)
		rc = people_read(&t, &people, &bad);
	return rc < 0 ? sync_event(y, &bad, err) : people_do(y, &t, &people, err);
}
