/* SPDX-License-Identifier: ISC */
/*
 * The colour of a user.  Every workstation that they were ever made active on is a place: where
 * they are to be active, green needs the latest private channel confirmed and their keys handed
 * out; where they are not any more, it has to be confirmed that what was theirs is gone.  Places
 * come before what the documents say, so that nobody is grey on belief.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bundler/status/status_internal.h"
#include "core/base/clock.h"

/* A workstation that holds what this site never published cannot be up to date with it. */
static const struct private_rules user_rules = {RULE_U_FAILED, RULE_U_UNPOSTED, RULE_U_UNCONFIRMED};

static bool holds_latest(const struct private_snapshot *p)
{
	return p->compiled && p->wanted.generation > 0 && p->epoch == p->wanted.epoch &&
	       p->generation == p->wanted.generation && digest_equal(&p->tree, &p->wanted.tree);
}

static bool at_least(const struct private_snapshot *p, uint64_t epoch, uint64_t generation)
{
	return p->epoch > epoch || (p->epoch == epoch && p->generation >= generation);
}

static void judge_handed(const struct active_place *p, struct reasons *l)
{
	const struct status_handed *h = &p->handed;

	if (strcmp(h->result, "failed") == 0)
		because_said(l, RULE_U_FAILED, p->name, h->reason, "%s: failed", p->name);
	else if (strcmp(h->result, "withheld") == 0)
		because_said(l, RULE_U_WITHHELD, p->name, h->reason, "%s: keys are withheld",
			     p->name);
	else if (strcmp(h->result, "handed-out") != 0 && holds_latest(&p->private))
		because(l, RULE_U_UNCONFIRMED, p->name,
			"%s: has the latest, but has not confirmed that it handed anything out",
			p->name);
}

/* judge_active(...): where they are to be active. */
static const char *judge_active(const struct active_place *p, int64_t now, int64_t silent,
				struct reasons *l)
{
	const struct private_snapshot *q = &p->private;
	size_t before = l->n + l->dropped;
	char text[SILENCE_TEXT];
	bool pending;

	judge_handed(p, l);
	if (!q->compiled)
		because(l, RULE_U_UNPOSTED, p->name, "%s: changed here and not published yet",
			p->name);
	else
		status_judge_generation(p->name, p->name, q->epoch, q->generation, &q->tree,
					&q->wanted, &user_rules, l);
	pending = l->n + l->dropped > before;
	if (status_silence(text, p->heard, p->enrolled, now, silent))
		because(l, RULE_U_SILENT, p->name, "%s: %s", p->name, text);
	if (strcmp(p->handed.result, "failed") == 0 || strcmp(p->handed.result, "withheld") == 0)
		return "failed";
	return pending ? "pending" : "active";
}

static void judge_posted(const struct active_place *p, const char *what, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (p->private.wanted.posted == 0) {
		because(l, RULE_U_UNPOSTED, p->name, "%s: %s, and that is not posted yet", p->name,
			what);
		return;
	}
	clock_format(at, p->private.wanted.posted);
	because(l, RULE_U_UNCONFIRMED, p->name, "%s: %s, posted %s, and may still hold it", p->name,
		what, at);
}

/* judge_leaving(...): where they are active no more.  Once it is confirmed that what was theirs is
 * gone, what else changes there is no concern of theirs. */
static const char *judge_leaving(const struct active_place *p, struct reasons *l)
{
	static const char what[] = "is to give up what is theirs";

	if (p->carried) {
		because(l, RULE_U_UNPOSTED, p->name, "%s: %s, and that is not published yet",
			p->name, what);
		return "leaving";
	}
	if (p->generation == 0)
		return "gone";
	if (!at_least(&p->private, p->epoch, p->generation)) {
		judge_posted(p, what, l);
		return "leaving";
	}
	if (p->handed.result[0] == '\0')
		return "gone";
	because_said(l, RULE_U_FAILED, p->name, p->handed.reason,
		     "%s: has not given up what was theirs", p->name);
	return "failed";
}

/* judge_ending(...): a workstation that is to end, with all that it holds. */
static const char *judge_ending(const struct active_place *p, struct reasons *l)
{
	if (!p->carried && p->handed.result[0] == '\0' &&
	    (p->generation == 0 || at_least(&p->private, p->epoch, p->generation)))
		return "gone";
	if (!p->private.compiled)
		because(l, RULE_U_UNPOSTED, p->name,
			"%s: is to be decommissioned, and that is not published yet", p->name);
	else
		judge_posted(p, "is to be decommissioned", l);
	return "leaving";
}

static const char *judge_place(const struct active_place *p, int64_t now, int64_t silent,
			       struct reasons *l)
{
	switch (p->state) {
	case WORKSTATION_ENROLLED:
		return p->wanted ? judge_active(p, now, silent, l) : judge_leaving(p, l);
	case WORKSTATION_LEAVING:
		return judge_ending(p, l);
	case WORKSTATION_DECOMMISSIONED:
		return "gone";
	case WORKSTATION_ABSENT:
	case WORKSTATION_REMOVED:
	case WORKSTATION_REVOKED:
	case WORKSTATION_REPLACED:
		break;
	}
	return "lost";
}

static void judge_places(const struct user_snapshot *in, int64_t now, int64_t silent,
			 struct reasons *l, struct status_user *ret)
{
	for (size_t i = 0; i < in->places; i++) {
		const struct active_place *p = &in->place[i];

		ret->place[i] = (struct status_place){
		    .name = p->name,
		    .id = p->id,
		    .account = p->handed.account,
		    .state = judge_place(p, now, silent, l),
		    .to_be = p->wanted && p->state == WORKSTATION_ENROLLED,
		    .held = p->private.epoch == p->private.wanted.epoch ? p->private.generation : 0,
		    .wanted = p->private.wanted.generation,
		    .heard = p->heard,
		};
		ret->active += ret->place[i].to_be;
	}
	ret->places = in->places;
}

static void judge_document(const struct user_snapshot *in, const struct status_user *ret,
			   struct reasons *l)
{
	if (in->deleted)
		return;
	if (in->suspended)
		because(l, RULE_U_SUSPENDED, "", "is suspended");
	if (in->unlicensed[0] != '\0')
		because(l, in->unlicensed_by, in->licence, "%s", in->unlicensed);
	if (!in->suspended && in->unlicensed[0] == '\0' && ret->active == 0)
		because(l, RULE_U_NOWHERE, in->licence,
			"has licence %s, and is active on no workstation", in->licence);
	if (l->n == 0 && in->differs[0] != '\0')
		because(l, RULE_U_DIFFERS, in->group, "keys differ from group %s: %s", in->group,
			in->differs);
}

bool status_judge_user(const struct user_snapshot *in, int64_t now, int64_t silent,
		       struct reasons *l, struct status_user *ret)
{
	l->n = l->dropped = 0;
	ret->email = in->email;
	ret->name = in->name;
	ret->group = in->group;
	ret->licence = in->licence;
	ret->deleted = in->deleted;
	ret->active = 0;
	judge_places(in, now, silent, l, ret);
	judge_document(in, ret, l);
	ret->colour = rule_rows[l->n > 0 ? l->item[0].rule : RULE_U_GREEN].colour;
	ret->reasons = l;
	reasons_first(l, ret->reason);
	reasons_also(l, ret->also);
	return !in->deleted || l->n > 0;
}
