/* SPDX-License-Identifier: ISC */
/* The rules of workstations alone: one that is green, and what each fault makes of it. */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/documents/site_model.h"
#include "bundler/status/status_internal.h"

#define SILENT 3600

static struct site_channel office = {.name = "office"};
static const struct site_channel *channels[] = {&office};
static struct wanted_generation latest;
static const struct wanted_generation *wanted[] = {&latest};
static struct held held;
static struct snapshot in;
static struct status_channel out[4];
static struct status_workstation w;
static struct reasons l;

static void good(void)
{
	latest =
	    (struct wanted_generation){.epoch = 1, .generation = 42, .tree = {{4}}, .posted = 100};
	held = (struct held){
	    .name = "office", .epoch = 1, .generation = 42, .tree = {{4}}, .result = "applied"};
	in = (struct snapshot){.name = "kiosk",
			       .id = "00112233445566778899aabbccddeeff",
			       .enrolled = 1000,
			       .state = WORKSTATION_ENROLLED,
			       .private = {.compiled = true,
					   .wanted = {.epoch = 1, .generation = 3, .posted = 90},
					   .epoch = 1,
					   .generation = 3},
			       .receipt = 7,
			       .heard = 10000,
			       .held = &held,
			       .helds = 1,
			       .channel = channels,
			       .wanted = wanted,
			       .channels = 1};
}

static enum colour judged_at(int64_t now)
{
	memset(&w, 0, sizeof(w));
	w.channel = out;
	status_judge_workstation(&in, now, SILENT, &l, &w);
	return w.colour;
}

static enum colour judged(void)
{
	return judged_at(10000);
}

/* The rule that gave the colour. */
static enum rule ruled(void)
{
	judged();
	return l.n > 0 ? l.item[0].rule : RULE_W_GREEN;
}

#define reason_has(text) cr_assert_not_null(strstr(w.reason, text), "reason: %s", w.reason)
#define also_has(text)   cr_assert_not_null(strstr(w.also, text), "also: %s", w.also)

TestSuite(status_workstation, .init = good);

Test(status_workstation, is_green_only_when_everything_is_confirmed)
{
	cr_assert_eq(judged(), COLOUR_GREEN);
	cr_assert_str_eq(w.reason, "");
	cr_assert_str_eq(w.also, "");
	cr_assert_eq(w.channels, 1);
	cr_assert_eq(w.channel[0].held, 42);
	cr_assert_eq(w.channel[0].wanted, 42);
	cr_assert(w.channel[0].tree_equal);
}

Test(status_workstation, is_orange_until_the_posted_generation_is_confirmed)
{
	held.generation = 41;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "channel office: holds 41, wanted 42, posted "
				   "1970-01-01T00:01:40Z");
	cr_assert_not(w.channel[0].tree_equal);
	good();
	in.helds = 0;
	cr_assert_eq(judged(), COLOUR_ORANGE, "a receipt that does not speak of the channel");
	reason_has("holds 0, wanted 42");
	good();
	held.generation = 41;
	snprintf(held.result, sizeof(held.result), "waiting");
	snprintf(held.reason, sizeof(held.reason), "incomplete: half of it");
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "channel office: waiting; it says: \"incomplete: half of it\"");
	also_has("holds 41");
	good();
	in.private.generation = 2;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("private channel: holds 2, wanted 3");
}

Test(status_workstation, is_red_while_two_machines_may_use_its_keys_and_orange_while_it_explains)
{
	in.fork = 7;
	in.fork_at = 10000 - 900 * 86400;
	cr_assert_eq(judged(), COLOUR_RED, "no time ends it");
	reason_has("its receipt 7");
	in.set_back = true;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("was set back");
	in.fork = 0;
	cr_assert_eq(judged(), COLOUR_GREEN);
}

Test(status_workstation, is_orange_while_it_is_held_apart_whatever_its_private_channel_holds)
{
	in.apart = 5000;
	in.private.generation = 1;
	in.private.compiled = false;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("newer than this registry");
	held.drift = 1;
	cr_assert_eq(judged(), COLOUR_RED, "what is worse comes first");
}

Test(status_workstation, is_orange_while_a_channel_of_it_cannot_be_published)
{
	struct published_blocked b = {.since = 100, .why = "log changed while it was read"};

	latest.blocked = &b;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "channel office: not published since 1970-01-01T00:01:40Z: log "
				   "changed while it was read");
	b.held = 1;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("partly held back since 1970-01-01T00:01:40Z: log changed");
	b.held = 0;
	held.drift = 1;
	cr_assert_eq(judged(), COLOUR_RED, "what is worse comes first");
	also_has("not published since");
	good();
	latest.blocked = NULL;
	cr_assert_eq(judged(), COLOUR_GREEN);
}

Test(status_workstation, is_red_while_a_change_is_not_posted)
{
	held.generation = 41;
	latest.posted = 0;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("generation 42 is not posted yet");
	good();
	latest = (struct wanted_generation){0};
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("not published yet");
	good();
	in.private.compiled = false;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("changed here and not published");
}

Test(status_workstation, does_not_take_an_equal_number_for_an_equal_tree)
{
	held.tree.b[31] = 1;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("another tree under number 42");
	cr_assert_not(w.channel[0].tree_equal);
	good();
	in.private.tree.b[0] = 1;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("private channel: holds another tree");
}

Test(status_workstation, is_red_when_more_is_held_than_was_ever_published)
{
	held.generation = 43;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("old backup");
	good();
	held.epoch = 2;
	held.generation = 1;
	cr_assert_eq(judged(), COLOUR_RED);
}

Test(status_workstation, waits_for_the_new_epoch_whatever_the_old_numbers_were)
{
	latest.epoch = 2;
	latest.generation = 1;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("holds 0, wanted 1");
	cr_assert_eq(w.channel[0].held, 0);
}

Test(status_workstation, is_red_for_what_was_refused_failed_or_changed_locally)
{
	snprintf(held.result, sizeof(held.result), "refused");
	snprintf(held.reason, sizeof(held.reason), "path: ../x");
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_str_eq(w.reason, "channel office: refused; it says: \"path: ../x\"");
	snprintf(held.result, sizeof(held.result), "failed");
	cr_assert_eq(judged(), COLOUR_RED);
	good();
	held.drift = 1;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("drift: 1 entry");
	good();
	held.deviations = 2;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("2 local changes are kept");
}

Test(status_workstation, is_grey_before_anybody_enrolled_and_after_revocation)
{
	in.state = WORKSTATION_ABSENT;
	cr_assert_eq(judged(), COLOUR_GREY);
	reason_has("no invitation is open");
	in.invited = 15 * 86400;
	cr_assert_eq(judged(), COLOUR_GREY);
	reason_has("good until 1970-01-15");
	good();
	in.state = WORKSTATION_REVOKED;
	held.drift = 1;
	cr_assert_eq(judged(), COLOUR_GREY);
	cr_assert_str_eq(w.reason, "was revoked");
	cr_assert_str_eq(w.also, "");
}

Test(status_workstation, is_blue_until_the_first_sync_was_confirmed)
{
	in.receipt = 0;
	in.heard = 0;
	in.private.epoch = in.private.generation = 0;
	in.helds = 0;
	cr_assert_eq(judged_at(1000), COLOUR_BLUE);
	reason_has("first sync not confirmed");
	in.private.compiled = false;
	cr_assert_eq(judged_at(1000), COLOUR_BLUE, "blue comes before what is not posted");
	also_has("not published");
	good();
	in.private.epoch = in.private.generation = 0;
	cr_assert_eq(judged(), COLOUR_BLUE, "a receipt that holds nothing yet");
	snprintf(held.result, sizeof(held.result), "failed");
	cr_assert_eq(judged(), COLOUR_RED, "a first sync that failed is worse than one that waits");
}

Test(status_workstation, is_orange_after_too_long_a_silence_and_not_a_second_before)
{
	cr_assert_eq(judged_at(10000 + SILENT), COLOUR_GREEN);
	cr_assert_eq(judged_at(10000 + SILENT + 1), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "not heard from since 1970-01-01T02:46:40Z");
}

/* Recorded by a clock that was years ahead: it would be green until that day. */
Test(status_workstation, is_orange_when_it_was_heard_from_long_after_now)
{
	cr_assert_eq(judged_at(10000 - SILENT), COLOUR_GREEN,
		     "a clock that went back is no silence");
	cr_assert_eq(judged_at(10000 - SILENT - 1), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "heard from on 1970-01-01, which has not come yet");
}

Test(status_workstation, wants_left_channels_to_be_left)
{
	snprintf(held.name, sizeof(held.name), "former");
	cr_assert_eq(judged(), COLOUR_ORANGE);
	also_has("channel former: is to leave it");
	snprintf(held.result, sizeof(held.result), "left");
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_null(strstr(w.also, "former"));
}

Test(status_workstation, tells_the_first_reason_of_the_table_and_lists_the_others)
{
	held.generation = 41;
	held.drift = 5;
	snprintf(held.result, sizeof(held.result), "failed");
	cr_assert_eq(judged_at(10000 + SILENT + 1), COLOUR_RED);
	reason_has("failed");
	cr_assert(strstr(w.also, "drift") < strstr(w.also, "holds 41"));
	cr_assert(strstr(w.also, "holds 41") < strstr(w.also, "not heard from"));
}

Test(status_workstation, keeps_the_worst_of_very_many_reasons)
{
	static struct site_channel many[40];
	static const struct site_channel *list[40];
	static const struct wanted_generation *want[40];
	static struct held holds[40];
	static struct status_channel room[40];

	for (size_t i = 0; i < 40; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "c%02zu", i);
		list[i] = &many[i];
		want[i] = &latest;
		snprintf(holds[i].name, sizeof(holds[i].name), "c%02zu", i);
		snprintf(holds[i].result, sizeof(holds[i].result), i == 39 ? "refused" : "applied");
	}
	in.channel = list;
	in.wanted = want;
	in.channels = 40;
	in.held = holds;
	in.helds = 40;
	w = (struct status_workstation){.channel = room};
	status_judge_workstation(&in, 10000, SILENT, &l, &w);
	cr_assert_eq(w.colour, COLOUR_RED);
	reason_has("c39: refused");
	cr_assert_eq(w.channels, 40);
	cr_assert_lt(strlen(w.also), sizeof(w.also));
}

Test(status_workstation, is_grey_when_it_was_decommissioned_and_orange_until_it_said_so)
{
	in.state = WORKSTATION_LEAVING;
	held.drift = 1;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_eq(l.n, 1, "what it has in use is of no interest any more");
	reason_has("has not said yet that everything is wiped");
	cr_assert_eq(w.channels, 0);
	in.private.wanted.posted = 0;
	in.private.generation = 2;
	cr_assert_eq(judged(), COLOUR_RED, "it cannot know yet");
	in.private.compiled = false;
	cr_assert_eq(judged(), COLOUR_RED);
	in.state = WORKSTATION_DECOMMISSIONED;
	cr_assert_eq(judged(), COLOUR_GREY);
	cr_assert_str_eq(w.reason, "was decommissioned");
	cr_assert_str_eq(w.also, "");
}

Test(status_workstation, is_red_when_a_user_on_it_has_not_got_what_is_theirs)
{
	struct status_handed handed = {.email = "eva@example.org",
				       .account = "eva",
				       .result = "failed",
				       .reason = "policy: there is no account eva"};

	in.handed = &handed;
	in.handeds = 1;
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_str_eq(
	    w.reason, "user eva@example.org: failed; it says: \"policy: there is no account eva\"");
	cr_assert_eq(l.item[0].rule, RULE_W_HAND_OUT);
	cr_assert_str_eq(l.item[0].about, "eva@example.org");
	snprintf(handed.result, sizeof(handed.result), "withheld");
	handed.reason[0] = '\0';
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_eq(l.item[0].rule, RULE_W_WITHHELD);
	cr_assert_str_eq(w.reason, "user eva@example.org: keys are withheld");
	snprintf(handed.result, sizeof(handed.result), "handed-out");
	cr_assert_eq(judged(), COLOUR_GREEN);
}

Test(status_workstation, is_red_when_it_follows_another_policy_than_it_holds)
{
	in.policy_wanted = (struct digest){{7}};
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("does not follow all of it");
	in.policy = (struct digest){{8}};
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("follows another one");
	in.private.generation = 2;
	cr_assert_eq(judged(), COLOUR_ORANGE, "the policy of a generation before is no fault");
	good();
	in.policy = in.policy_wanted = (struct digest){{7}};
	cr_assert_eq(judged(), COLOUR_GREEN);
	in.policy_wanted = (struct digest){{0}};
	cr_assert_eq(judged(), COLOUR_GREEN, "nothing is known of what it is to follow");
}

Test(status_workstation, tells_a_rollback_from_a_failure)
{
	snprintf(held.result, sizeof(held.result), "failed");
	snprintf(held.reason, sizeof(held.reason), "rolled-back: health said no");
	held.generation = 41;
	cr_assert_eq(ruled(), RULE_W_ROLLED_BACK);
	cr_assert_eq(w.colour, COLOUR_RED);
	snprintf(held.reason, sizeof(held.reason), "io: rolled-back");
	cr_assert_eq(ruled(), RULE_W_FAILED);
	snprintf(held.result, sizeof(held.result), "refused");
	cr_assert_eq(ruled(), RULE_W_REFUSED);
}

Test(status_workstation, believes_a_confirmation_code_as_a_receipt)
{
	in.by_code = true;
	in.policy_wanted = (struct digest){{7}};
	cr_assert_eq(judged(), COLOUR_GREEN, "which says nothing of the policy");
	cr_assert(w.by_code);
	in.heard = 0;
	cr_assert_eq(judged_at(1000), COLOUR_BLUE);
}

Test(status_workstation, puts_every_fault_in_the_order_of_the_table)
{
	/* Each is made to happen together with all that come behind it. */
	struct status_handed handed[] = {{.email = "eva@example.org", .result = "failed"},
					 {.email = "max@example.org", .result = "withheld"}};
	static const enum rule order[] = {RULE_W_REFUSED,   RULE_W_STRANGE,     RULE_W_DRIFTED,
					  RULE_W_DEVIATING, RULE_W_HAND_OUT,    RULE_W_WITHHELD,
					  RULE_W_POLICY,    RULE_W_UNCONFIRMED, RULE_W_SILENT};
	struct held two[2];

	two[0] = held;
	two[1] = held;
	snprintf(two[0].result, sizeof(two[0].result), "refused");
	two[0].tree.b[0] = 1;
	two[0].drift = two[0].deviations = 1;
	snprintf(two[1].name, sizeof(two[1].name), "former");
	in.held = two;
	in.helds = 2;
	in.handed = handed;
	in.handeds = 2;
	in.policy_wanted = (struct digest){{7}};
	judged_at(10000 + SILENT + 1);
	cr_assert_eq(l.n, sizeof(order) / sizeof(order[0]));
	for (size_t i = 0; i < l.n; i++)
		cr_assert_eq(l.item[i].rule, order[i], "reason %zu: %s", i, l.item[i].text);
}

/* The table of docs/MODEL.md, "What green means": a row that is not there is not green. */
static void not_heard(void)
{
	in.heard = 0;
}
static void silent_long(void)
{
	in.heard = 10000 - SILENT - 1;
}
static void not_compiled(void)
{
	in.private.compiled = false;
}
static void private_older(void)
{
	in.private.generation = 2;
}
static void private_other(void)
{
	in.private.tree.b[0] = 1;
}
static void channel_older(void)
{
	held.generation = 41;
}
static void channel_newer(void)
{
	held.generation = 43;
}
static void tree_other(void)
{
	held.tree.b[0] = 5;
}
static void channel_absent(void)
{
	in.helds = 0;
}
static void not_posted(void)
{
	latest.posted = 0;
	held.generation = 41;
}
static void never_published(void)
{
	latest.generation = 0;
}
static void refused_result(void)
{
	strcpy(held.result, "refused");
}
static void failed_result(void)
{
	strcpy(held.result, "failed");
}
static void rolled_back(void)
{
	strcpy(held.result, "failed");
	strcpy(held.reason, "rolled-back: the check said no");
}
static void unhealthy(void)
{
	strcpy(held.result, "failed");
	strcpy(held.reason, "unhealthy: the check said no");
}
static void drifted(void)
{
	held.drift = 1;
}
static void deviating(void)
{
	held.deviations = 1;
}
static void not_compared(void)
{
	held.verify_until = 9999;
}
static void other_policy(void)
{
	in.policy_wanted.b[0] = 1;
}
static void forked(void)
{
	in.fork = 6;
	in.fork_at = 9000;
}
static void held_apart(void)
{
	in.apart = 9000;
}
static void unread(void)
{
	in.unread = "a document is damaged";
}
static void blocked(void)
{
	static const struct published_blocked why = {.since = 9000, .why = "the source is gone"};

	latest.blocked = &why;
}

Test(status_workstation, is_not_green_without_any_row_of_the_table_of_green)
{
	static void (*const missing[])(void) = {
	    not_heard,      silent_long,   not_compiled,   private_older,  private_other,
	    channel_older,  tree_other,    channel_newer,  channel_absent, not_posted,
	    refused_result, failed_result, rolled_back,    unhealthy,      drifted,
	    deviating,      not_compared,  other_policy,   forked,         held_apart,
	    unread,         blocked,       never_published};

	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		good();
		cr_assert_eq(judged(), COLOUR_GREEN);
		missing[i]();
		cr_assert_neq(judged(), COLOUR_GREEN, "row %zu", i);
		cr_assert_str_neq(w.reason, "");
	}
}

Test(status_workstation, is_orange_when_its_files_were_not_compared_and_not_a_second_before)
{
	held.verify_until = 10000;
	cr_assert_eq(judged(), COLOUR_GREEN);
	held.verify_until = 9999;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_eq(ruled(), RULE_W_UNVERIFIED);
}
