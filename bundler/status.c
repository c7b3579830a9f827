/*
 * Colours.  Every fault of a workstation becomes a reason; the first rule of the table that has one
 * gives the colour, and the other reasons are listed.  Green is what is left when there is none:
 * the newest verified receipt confirms, with equal tree digests, the latest generation of the
 * private channel and of every channel that it subscribes to.
 */
#include "bundler/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bundler/status_internal.h"
#include "core/base/clock.h"
#include "core/base/own.h"

const char *const colour_names[COLOURS] = {"grey", "blue", "red", "orange", "green", "purple"};

enum rule {
	RULE_ABSENT,
	RULE_REVOKED,
	RULE_FAILED,
	RULE_STRANGE,
	RULE_LOCAL,
	RULE_FIRST,
	RULE_UNPOSTED,
	RULE_UNCONFIRMED,
	RULE_SILENT,
	RULES
};

/* The order of precedence: the first rule that applies gives the colour. */
static const struct {
	enum rule rule;
	enum colour colour;
} colour_rules[RULES] = {
    {RULE_ABSENT, COLOUR_GREY},        /* expected, never enrolled */
    {RULE_REVOKED, COLOUR_GREY},       /* its receipts count no more */
    {RULE_FAILED, COLOUR_RED},         /* refused, failed, rolled back */
    {RULE_STRANGE, COLOUR_RED},        /* holds what this site never published */
    {RULE_LOCAL, COLOUR_RED},          /* drifted, deviating */
    {RULE_FIRST, COLOUR_BLUE},         /* enrolled, first sync not confirmed */
    {RULE_UNPOSTED, COLOUR_RED},       /* changed on the server, not yet posted */
    {RULE_UNCONFIRMED, COLOUR_ORANGE}, /* posted, not yet confirmed */
    {RULE_SILENT, COLOUR_ORANGE},      /* not heard from for too long */
};

/* Reasons in words.  The longest sentence that a receipt brings is 511 characters. */
struct reasons {
	struct reason {
		enum rule rule;
		char text[512];
	} item[16]; /* more than fit into the answer are only counted */
	size_t n, dropped;
};

static void because(struct reasons *l, enum rule rule, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* because(l, rule, fmt, ...): in the order of the rules; the last one falls out when there is no
 * room, so that the worst are kept. */
static void because(struct reasons *l, enum rule rule, const char *fmt, ...)
{
	size_t at = l->n;
	va_list args;

	while (at > 0 && l->item[at - 1].rule > rule)
		at--;
	if (l->n == ARRAY_LEN(l->item)) {
		l->dropped++;
		if (at == l->n)
			return;
		l->n--;
	}
	memmove(&l->item[at + 1], &l->item[at], (l->n - at) * sizeof(l->item[0]));
	l->n++;
	l->item[at].rule = rule;
	va_start(args, fmt);
	vsnprintf(l->item[at].text, sizeof(l->item[at].text), fmt, args);
	va_end(args);
}

static const char *date(char dst[CLOCK_TEXT + 1], int64_t at)
{
	clock_format(dst, at);
	return dst;
}

static void judge_absent(const struct standing *in, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (in->invited != 0)
		because(l, RULE_ABSENT, "never enrolled; its invitation is good until %s",
			date(at, in->invited));
	else
		because(l, RULE_ABSENT, "never enrolled, and no invitation is open");
}

/*
 * behind(...): what is held is not what is wanted.  ${what} is "channel NAME" or "private channel".
 * A generation above the latest one, or another tree under the same number, was not made by this
 * registry.
 */
static void judge_generation(const char *what, uint64_t epoch, uint64_t generation,
			     const struct digest *tree, const struct wanted *w, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (w->generation == 0) {
		because(l, RULE_UNPOSTED, "%s: not published yet", what);
		return;
	}
	if (epoch == w->epoch && generation == w->generation) {
		if (!digest_equal(tree, &w->tree))
			because(l, RULE_STRANGE,
				"%s: holds another tree under number %" PRIu64
				" than this site published",
				what, generation);
		return;
	}
	if (epoch > w->epoch || (epoch == w->epoch && generation > w->generation))
		because(l, RULE_STRANGE,
			"%s: holds %" PRIu64 ", newest here is %" PRIu64
			": was the registry restored from an old backup?",
			what, generation, w->generation);
	else if (w->posted == 0)
		because(l, RULE_UNPOSTED, "%s: generation %" PRIu64 " is not posted yet", what,
			w->generation);
	else
		because(l, RULE_UNCONFIRMED, "%s: holds %" PRIu64 ", wanted %" PRIu64 ", posted %s",
			what, epoch == w->epoch ? generation : 0, w->generation,
			date(at, w->posted));
}

static void judge_result(const char *what, const struct held *h, struct reasons *l)
{
	if (strcmp(h->result, "refused") == 0 || strcmp(h->result, "failed") == 0)
		because(l, RULE_FAILED, "%s: %s%s%.400s", what, h->result,
			h->reason[0] != '\0' ? ": " : "", h->reason);
	if (strcmp(h->result, "waiting") == 0 && h->reason[0] != '\0')
		because(l, RULE_UNCONFIRMED, "%s: waiting: %.400s", what, h->reason);
	if (h->drift > 0)
		because(l, RULE_LOCAL, "%s: drift: %" PRIu64 " %s changed without a bundle", what,
			h->drift, h->drift == 1 ? "entry was" : "entries were");
	if (h->deviations > 0)
		because(l, RULE_LOCAL, "%s: %" PRIu64 " local %s kept", what, h->deviations,
			h->deviations == 1 ? "change is" : "changes are");
}

static const struct held *held_find(const struct standing *in, const char *channel)
{
	for (size_t i = 0; i < in->helds; i++) {
		if (strcmp(in->held[i].name, channel) == 0)
			return &in->held[i];
	}
	return NULL;
}

static void judge_channel(const struct standing *in, size_t i, struct reasons *l,
			  struct status_channel *ret)
{
	static const struct held nothing;
	const struct held *h = held_find(in, in->channel[i]->name);
	const struct wanted *w = in->wanted[i];
	char what[CHANNEL_NAME + 16];

	if (h == NULL)
		h = &nothing;
	snprintf(what, sizeof(what), "channel %s", in->channel[i]->name);
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", in->channel[i]->name);
	ret->wanted = w->generation;
	ret->held = h->epoch == w->epoch ? h->generation : 0;
	ret->tree_equal =
	    w->generation > 0 && ret->held == w->generation && digest_equal(&h->tree, &w->tree);
	if (in->receipt > 0)
		judge_result(what, h, l);
	judge_generation(what, h->epoch, h->generation, &h->tree, w, l);
}

/* judge_left(...): a channel that it subscribes to no more, and that its receipt still holds. */
static void judge_left(const struct standing *in, struct reasons *l)
{
	for (size_t i = 0; i < in->helds; i++) {
		const struct held *h = &in->held[i];
		bool wanted = false;

		for (size_t k = 0; k < in->channels; k++)
			wanted = wanted || strcmp(in->channel[k]->name, h->name) == 0;
		if (!wanted && strcmp(h->result, "left") != 0)
			because(l, RULE_UNCONFIRMED, "channel %s: is to leave it, and has not yet",
				h->name);
	}
}

static void judge_private(const struct standing *in, struct reasons *l)
{
	if (!in->compiled)
		because(l, RULE_UNPOSTED, "private channel: changed here and not published yet");
	else
		judge_generation("private channel", in->private_epoch, in->private_generation,
				 &in->private_tree, &in->private_wanted, l);
}

static void judge_heard(const struct standing *in, int64_t now, int64_t silent, struct reasons *l)
{
	char at[CLOCK_TEXT + 1];

	if (in->receipt == 0 || in->private_generation == 0)
		because(l, RULE_FIRST, "enrolled %s, first sync not confirmed yet",
			date(at, in->enrolled));
	if (in->receipt > 0 && now - in->heard > silent)
		because(l, RULE_SILENT, "not heard from since %s", date(at, in->heard));
	if (in->receipt == 0 && now - in->enrolled > silent)
		because(l, RULE_SILENT, "never heard from");
}

static void also_add(char *dst, size_t size, const char *text)
{
	size_t used = strlen(dst);

	snprintf(dst + used, size - used, "%s%s", used > 0 ? "; " : "", text);
}

/* reasons_tell(l, ret): the first one, the others, and the colour. */
static void reasons_tell(const struct reasons *l, struct status_workstation *ret)
{
	char more[32];

	ret->colour = COLOUR_GREEN;
	ret->reason[0] = ret->also[0] = '\0';
	if (l->n == 0)
		return;
	for (size_t i = 0; i < RULES; i++) {
		if (colour_rules[i].rule == l->item[0].rule)
			ret->colour = colour_rules[i].colour;
	}
	snprintf(ret->reason, sizeof(ret->reason), "%s", l->item[0].text);
	for (size_t i = 1; i < l->n; i++)
		also_add(ret->also, sizeof(ret->also), l->item[i].text);
	if (l->dropped > 0) {
		snprintf(more, sizeof(more), "and %zu more", l->dropped);
		also_add(ret->also, sizeof(ret->also), more);
	}
}

void status_judge(const struct standing *in, int64_t now, int64_t silent,
		  struct status_workstation *ret)
{
	struct reasons l = {.n = 0};

	snprintf(ret->name, sizeof(ret->name), "%s", in->name);
	snprintf(ret->id, sizeof(ret->id), "%s", in->id);
	snprintf(ret->version, sizeof(ret->version), "%s", in->version);
	ret->heard = in->heard;
	ret->receipt = in->receipt;
	ret->channels = in->id[0] == '\0' || in->revoked ? 0 : in->channels;
	if (in->id[0] == '\0') {
		judge_absent(in, &l);
	} else if (in->revoked) {
		because(&l, RULE_REVOKED, "was revoked");
	} else {
		judge_private(in, &l);
		for (size_t i = 0; i < in->channels; i++)
			judge_channel(in, i, &l, &ret->channel[i]);
		judge_left(in, &l);
		judge_heard(in, now, silent, &l);
	}
	reasons_tell(&l, ret);
}
