/* SPDX-License-Identifier: ISC */
/*
 * The colour of a workstation.  Every fault becomes a reason, and the first rule of the table that
 * has one gives the colour.  Green is what is left when there is none: the newest verified receipt
 * confirms, with equal tree digests, the latest generation of the private channel and of every
 * channel that it subscribes to.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/status/status_internal.h"
#include "core/base/clock.h"

static const struct private_rules workstation_rules = {RULE_W_STRANGE, RULE_W_UNPOSTED,
						       RULE_W_UNCONFIRMED};

static const char *date(char dst[CLOCK_TEXT + 1], int64_t at)
{
	clock_format(dst, at);
	return dst;
}

static void judge_absent(const struct snapshot *in, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (in->invited != 0)
		because(l, RULE_W_ABSENT, in->name,
			"never enrolled; its invitation is good until %.10s",
			date(at, in->invited - 1)); /* the last good day, as invite says it */
	else
		because(l, RULE_W_ABSENT, in->name, "never enrolled, and no invitation is open");
}

/*
 * A generation above the latest one, or another tree under the same number, was not made by this
 * registry.
 */
void status_judge_generation(const char *what, const char *about, uint64_t epoch,
			     uint64_t generation, const struct digest *tree,
			     const struct wanted_generation *w, const struct private_rules *r,
			     struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (w->generation == 0)
		because(l, r->unposted, about, "%s: not published yet", what);
	else if (epoch == w->epoch && generation == w->generation && !digest_equal(tree, &w->tree))
		because(l, r->strange, about,
			"%s: holds another tree under number %" PRIu64 " than this site published",
			what, generation);
	else if (epoch == w->epoch && generation == w->generation)
		return;
	else if (epoch > w->epoch || (epoch == w->epoch && generation > w->generation))
		because(l, r->strange, about,
			"%s: holds %" PRIu64 ", newest here is %" PRIu64
			": was the registry restored from an old backup?",
			what, generation, w->generation);
	else if (w->posted == 0)
		because(l, r->unposted, about, "%s: generation %" PRIu64 " is not posted yet", what,
			w->generation);
	else
		because(l, r->unconfirmed, about,
			"%s: holds %" PRIu64 ", wanted %" PRIu64 ", posted %s", what,
			epoch == w->epoch ? generation : 0, w->generation, date(at, w->posted));
}

/* The reason of a receipt begins with a slug, and a rollback has its own. */
static enum rule result_rule(const struct held *h)
{
	if (strncmp(h->reason, "rolled-back", 11) == 0)
		return RULE_W_ROLLED_BACK;
	return strcmp(h->result, "refused") == 0 ? RULE_W_REFUSED : RULE_W_FAILED;
}

static void judge_result(const char *what, const struct held *h, struct reasons *l)
{
	if (strcmp(h->result, "refused") == 0 || strcmp(h->result, "failed") == 0)
		because_said(l, result_rule(h), h->name, h->reason, "%s: %s", what, h->result);
	if (strcmp(h->result, "waiting") == 0 && h->reason[0] != '\0')
		because_said(l, RULE_W_UNCONFIRMED, h->name, h->reason, "%s: waiting", what);
	if (h->drift > 0)
		because(l, RULE_W_DRIFTED, h->name,
			"%s: drift: %" PRIu64 " %s changed without a bundle", what, h->drift,
			h->drift == 1 ? "entry was" : "entries were");
	if (h->deviations > 0)
		because(l, RULE_W_DEVIATING, h->name, "%s: %" PRIu64 " local %s kept", what,
			h->deviations, h->deviations == 1 ? "change is" : "changes are");
}

static const struct held *held_find(const struct snapshot *in, const char *channel)
{
	for (size_t i = 0; i < in->helds; i++) {
		if (strcmp(in->held[i].name, channel) == 0)
			return &in->held[i];
	}
	return NULL;
}

static void judge_verified(const char *what, const struct held *h, int64_t now, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (h->verify_until > 0 && now > h->verify_until)
		because(l, RULE_W_UNVERIFIED, h->name,
			"%s: its files were to be compared by %.10s, and were not all", what,
			date(at, h->verify_until));
}

static void judge_blocked(const char *what, const char *about, const struct wanted_generation *w,
			  struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (w->blocked != NULL)
		because(l, RULE_W_BLOCKED, about, "%s: %s since %s: %s", what,
			w->blocked->held > 0 ? "partly held back" : "not published",
			date(at, w->blocked->since), w->blocked->why);
}

static void judge_channel(const struct snapshot *in, size_t i, int64_t now, struct reasons *l,
			  struct status_channel *ret)
{
	static const struct held nothing;
	const char *name = in->channel[i]->name;
	const struct held *h = held_find(in, name);
	const struct wanted_generation *w = in->wanted[i];
	char what[CHANNEL_NAME + 16];

	if (h == NULL)
		h = &nothing;
	snprintf(what, sizeof(what), "channel %s", name);
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->wanted = w->generation;
	ret->held = h->epoch == w->epoch ? h->generation : 0;
	ret->tree_equal =
	    w->generation > 0 && ret->held == w->generation && digest_equal(&h->tree, &w->tree);
	if (in->heard > 0)
		judge_result(what, h, l);
	judge_verified(what, h, now, l);
	status_judge_generation(what, name, h->epoch, h->generation, &h->tree, w,
				&workstation_rules, l);
	judge_blocked(what, name, w, l);
	if (w->stalled != NULL)
		because(l, RULE_W_ROLLOUT, name, "%s: %s", what, w->stalled);
}

/* judge_left(...): a channel that it subscribes to no more, and that its receipt still holds. */
static void judge_left(const struct snapshot *in, struct reasons *l)
{
	for (size_t i = 0; i < in->helds; i++) {
		const struct held *h = &in->held[i];
		bool wanted = false;

		for (size_t k = 0; k < in->channels; k++)
			wanted = wanted || strcmp(in->channel[k]->name, h->name) == 0;
		if (!wanted && strcmp(h->result, "left") != 0)
			because(l, RULE_W_UNCONFIRMED, h->name,
				"channel %s: is to leave it, and has not yet", h->name);
	}
}

static void judge_private(const struct snapshot *in, struct reasons *l)
{
	const struct private_snapshot *p = &in->private;

	if (in->apart > 0)
		return; /* it is what it is, see judge_apart */
	if (!p->compiled)
		because(l, RULE_W_UNPOSTED, in->name,
			"private channel: changed here and not published yet");
	else
		status_judge_generation("private channel", in->name, p->epoch, p->generation,
					&p->tree, &p->wanted, &workstation_rules, l);
}

static void judge_users(const struct snapshot *in, struct reasons *l)
{
	for (size_t i = 0; i < in->handeds; i++) {
		const struct status_handed *h = &in->handed[i];

		if (strcmp(h->result, "failed") == 0)
			because_said(l, RULE_W_HAND_OUT, h->email, h->reason, "user %s: failed",
				     h->email);
		else if (strcmp(h->result, "withheld") == 0)
			because_said(l, RULE_W_WITHHELD, h->email, h->reason,
				     "user %s: keys are withheld", h->email);
	}
}

/* A receipt has the digest of the policy that is in force, or none when it is not followed, or not
 * as a whole.  It can be wrong only of the generation that is held; and a code says nothing of it.
 */
static void judge_policy(const struct snapshot *in, struct reasons *l)
{
	const struct private_snapshot *p = &in->private;

	if (in->heard > 0 && !in->by_code && p->compiled && p->epoch == p->wanted.epoch &&
	    p->generation == p->wanted.generation && !digest_is_zero(&in->policy_wanted) &&
	    !digest_equal(&in->policy, &in->policy_wanted))
		because(l, RULE_W_POLICY, in->name,
			digest_is_zero(&in->policy)
			    ? "has its policy, and does not follow all of it"
			    : "has its policy, and follows another one");
}

/* Marked until the machine has explained it, or somebody accepts it: no time makes two machines
 * one.
 */
static void judge_fork(const struct snapshot *in, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (in->fork > 0 && in->set_back)
		because(l, RULE_W_SET_BACK, in->name,
			"was set back to an older copy of itself, as it says in receipt %" PRIu64
			" (%s); its next receipt shows whether it goes on from there",
			in->fork, date(at, in->fork_at));
	else if (in->fork > 0)
		because(l, RULE_W_CLONE, in->name,
			"its receipt %" PRIu64
			", seen %s, does not follow what it sent before: two "
			"machines use its keys, or it was set back to an older copy",
			in->fork, date(at, in->fork_at));
}

/* Nobody knows what another private channel would take away. */
static void judge_apart(const struct snapshot *in, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (in->apart > 0)
		because(l, RULE_W_APART, in->name,
			"its private channel (%" PRIu64 ") is newer than this registry, which was "
			"restored on %.10s: it is held apart, and keeps what it has",
			in->private.wanted.generation, date(at, in->apart));
}

static void judge_first(const struct snapshot *in, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (in->heard == 0 || in->private.generation == 0)
		because(l, RULE_W_FIRST, in->name, "enrolled %s, first sync not confirmed yet",
			date(at, in->enrolled));
}

bool status_silence(char dst[SILENCE_TEXT], int64_t heard, int64_t enrolled, int64_t now,
		    int64_t silent)
{
	int64_t last = heard > 0 ? heard : enrolled;
	char at[CLOCK_TEXT + 1];

	if (now - last <= silent && last - now <= silent)
		return false;
	if (last > now)
		snprintf(dst, SILENCE_TEXT, "heard from on %.10s, which has not come yet",
			 date(at, last));
	else if (heard > 0)
		snprintf(dst, SILENCE_TEXT, "not heard from since %s", date(at, heard));
	else
		snprintf(dst, SILENCE_TEXT, "never heard from");
	return true;
}

static void judge_silent(const struct snapshot *in, int64_t now, int64_t silent, struct reasons *l)
{
	char text[SILENCE_TEXT];

	if (status_silence(text, in->heard, in->enrolled, now, silent))
		because(l, RULE_W_SILENT, in->name, "%s", text);
}

/* What a machine that is to end has in use is of no interest any more: only whether it has ended.
 */
static void judge_leaving(const struct snapshot *in, struct reasons *l)
{
	because(l, RULE_W_LEAVING, in->name,
		"is to be decommissioned, and has not said yet that everything is wiped");
}

static void judge_state(const struct snapshot *in, int64_t now, int64_t silent, struct reasons *l,
			struct status_workstation *ret)
{
	switch (in->state) {
	case WORKSTATION_ABSENT:
	case WORKSTATION_REMOVED:
		judge_absent(in, l);
		break;
	case WORKSTATION_DECOMMISSIONED:
		because(l, RULE_W_DECOMMISSIONED, in->name, "was decommissioned");
		break;
	case WORKSTATION_REVOKED:
	case WORKSTATION_REPLACED:
		because(l, RULE_W_REVOKED, in->name, "was revoked");
		break;
	case WORKSTATION_LEAVING:
		judge_private(in, l);
		judge_leaving(in, l);
		judge_silent(in, now, silent, l);
		break;
	case WORKSTATION_ENROLLED:
		judge_private(in, l);
		for (size_t i = 0; i < in->channels; i++)
			judge_channel(in, i, now, l, &ret->channel[i]);
		ret->channels = in->channels;
		ret->user = in->handed;
		ret->users = in->handeds;
		if (in->unread == NULL)
			judge_left(in, l);
		else
			because(l, RULE_W_DOCUMENTS, "", "the documents cannot be read: %s",
				in->unread);
		judge_users(in, l);
		judge_policy(in, l);
		judge_fork(in, l);
		judge_apart(in, l);
		judge_first(in, l);
		judge_silent(in, now, silent, l);
		break;
	}
}

void status_judge_workstation(const struct snapshot *in, int64_t now, int64_t silent,
			      struct reasons *l, struct status_workstation *ret)
{
	l->n = l->dropped = 0;
	snprintf(ret->name, sizeof(ret->name), "%s", in->name);
	snprintf(ret->id, sizeof(ret->id), "%s", in->id);
	snprintf(ret->version, sizeof(ret->version), "%s", in->version);
	ret->heard = in->heard;
	ret->receipt = in->receipt;
	ret->by_code = in->by_code;
	ret->channels = 0;
	judge_state(in, now, silent, l, ret);
	ret->colour = rule_rows[l->n > 0 ? l->item[0].rule : RULE_W_GREEN].colour;
	ret->reasons = l;
	reasons_first(l, ret->reason);
	reasons_also(l, ret->also);
}
