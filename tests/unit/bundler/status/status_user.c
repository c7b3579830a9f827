/* SPDX-License-Identifier: ISC */
/* The rules of users alone: one who is green, and what each fault makes of them. */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/status/status_internal.h"

#define SILENT 3600

static struct active_place place[2];
static struct status_place out[4];
static struct user_snapshot in;
static struct status_user u;
static struct reasons l;
static bool told;

static struct active_place at(const char *name)
{
	struct active_place p = {.state = WORKSTATION_ENROLLED,
				 .wanted = true,
				 .carried = true,
				 .epoch = 1,
				 .generation = 2,
				 .private = {.compiled = true,
					     .wanted = {.epoch = 1, .generation = 3, .posted = 90},
					     .epoch = 1,
					     .generation = 3},
				 .enrolled = 1000,
				 .heard = 10000,
				 .handed = {.account = "eva", .result = "handed-out"}};

	snprintf(p.name, sizeof(p.name), "%s", name);
	return p;
}

static void good(void)
{
	place[0] = at("kiosk");
	place[1] = at("till");
	in = (struct user_snapshot){.email = "eva@example.org",
				    .name = "Eva",
				    .group = "desk",
				    .licence = "office",
				    .unlicensed = "",
				    .differs = "",
				    .place = place,
				    .places = 2};
}

static enum colour judged_at(int64_t now)
{
	memset(&u, 0, sizeof(u));
	u.place = out;
	told = status_judge_user(&in, now, SILENT, &l, &u);
	return u.colour;
}

static enum colour judged(void)
{
	return judged_at(10000);
}

/* gone(p, generation): not active there any more, and since which generation of the private
 * channel. */
static void gone(struct active_place *p, uint64_t generation)
{
	p->wanted = p->carried = false;
	p->generation = generation;
}

#define reason_has(text)  cr_assert_not_null(strstr(u.reason, text), "reason: %s", u.reason)
#define also_has(text)    cr_assert_not_null(strstr(u.also, text), "also: %s", u.also)
#define state_is(i, text) cr_assert_str_eq(u.place[i].state, text)

TestSuite(status_user, .init = good);

Test(status_user, is_green_when_every_workstation_of_theirs_has_confirmed_the_latest)
{
	cr_assert_eq(judged(), COLOUR_GREEN);
	cr_assert(told);
	cr_assert_str_eq(u.reason, "");
	cr_assert_str_eq(u.also, "");
	cr_assert_eq(u.active, 2);
	cr_assert_eq(u.places, 2);
	state_is(0, "active");
	cr_assert_eq(u.place[0].held, 3);
	cr_assert_str_eq(u.place[0].account, "eva");
}

Test(status_user, is_grey_without_a_licence_that_is_good)
{
	in.places = 0;
	in.unlicensed = "the licence office is suspended";
	for (enum rule rule = RULE_U_UNLICENSED; rule <= RULE_U_LICENCE_EXPIRED; rule++) {
		in.unlicensed_by = rule;
		cr_assert_eq(judged(), COLOUR_GREY);
		cr_assert_eq(l.n, 1);
		cr_assert_eq(l.item[0].rule, rule);
		cr_assert_str_eq(l.item[0].about, "office");
		cr_assert_str_eq(u.reason, in.unlicensed);
	}
}

Test(status_user, is_blue_with_a_licence_and_active_on_no_workstation)
{
	in.places = 0;
	cr_assert_eq(judged(), COLOUR_BLUE);
	reason_has("active on no workstation");
	good();
	gone(&place[0], 2);
	gone(&place[1], 3);
	place[0].handed.result[0] = place[1].handed.result[0] = '\0';
	cr_assert_eq(judged(), COLOUR_BLUE, "deactivated, and both have confirmed it");
	state_is(0, "gone");
	cr_assert_eq(u.active, 0);
	place[0].state = WORKSTATION_REVOKED;
	place[0].wanted = true;
	cr_assert_eq(judged(), COLOUR_BLUE, "a revoked machine is none");
	state_is(0, "lost");
}

Test(status_user, is_red_until_a_change_is_posted_and_orange_until_it_is_confirmed)
{
	place[1].private.compiled = false;
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_str_eq(u.reason, "till: changed here and not published yet");
	state_is(0, "active");
	state_is(1, "pending");
	place[1].private.compiled = true;
	place[1].private.wanted.generation = 4;
	place[1].private.wanted.posted = 0;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("till: generation 4 is not posted yet");
	place[1].private.wanted.posted = 95;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("till: holds 3, wanted 4, posted 1970-01-01T00:01:35Z");
	place[1].private.generation = 4;
	cr_assert_eq(judged(), COLOUR_GREEN);
}

Test(status_user, is_orange_when_the_latest_is_held_and_nothing_was_said_of_the_user)
{
	place[0].handed.result[0] = '\0';
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("kiosk: has the latest, but has not confirmed");
	state_is(0, "pending");
}

Test(status_user, is_red_when_it_failed_on_a_workstation_whatever_else_is_good)
{
	snprintf(place[1].handed.result, sizeof(place[1].handed.result), "failed");
	snprintf(place[1].handed.reason, sizeof(place[1].handed.reason), "policy: no account");
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_str_eq(u.reason, "till: failed; it says: \"policy: no account\"");
	cr_assert_str_eq(l.item[0].about, "till");
	state_is(1, "failed");
	snprintf(place[1].handed.result, sizeof(place[1].handed.result), "withheld");
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_eq(l.item[0].rule, RULE_U_WITHHELD);
	good();
	place[0].private.tree.b[0] = 1;
	cr_assert_eq(judged(), COLOUR_RED, "an equal number is no equal tree");
	reason_has("kiosk: holds another tree");
	place[0].handed.result[0] = '\0';
	judged();
	cr_assert_eq(l.n, 1, "what it says of another tree is no concern");
	good();
	place[0].private.generation = 9;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("kiosk: holds 9, newest here is 3");
}

Test(status_user, is_orange_when_one_of_their_workstations_is_silent_and_not_a_second_before)
{
	place[1].heard = 9000;
	cr_assert_eq(judged_at(9000 + SILENT), COLOUR_GREEN);
	cr_assert_eq(judged_at(9000 + SILENT + 1), COLOUR_ORANGE);
	cr_assert_str_eq(u.reason, "till: not heard from since 1970-01-01T02:30:00Z");
	gone(&place[1], 2);
	place[1].handed.result[0] = '\0';
	cr_assert_eq(judged_at(9000 + SILENT + 1), COLOUR_GREEN, "theirs no more");
}

Test(status_user, is_purple_only_when_all_else_is_green)
{
	in.differs = "also atlas";
	cr_assert_eq(judged(), COLOUR_PURPLE);
	cr_assert_str_eq(u.reason, "keys differ from group desk: also atlas");
	place[0].private.compiled = false;
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_null(strstr(u.also, "atlas"));
	good();
	in.differs = "also atlas";
	in.suspended = true;
	in.places = 0;
	cr_assert_eq(judged(), COLOUR_GREY);
}

Test(status_user, is_grey_after_suspension_only_when_what_is_theirs_is_confirmed_gone)
{
	in.suspended = true;
	place[0].wanted = place[1].wanted = false;
	cr_assert_eq(judged(), COLOUR_RED, "not published");
	reason_has("kiosk: is to give up what is theirs, and that is not published yet");
	also_has("is suspended");
	state_is(0, "leaving");
	gone(&place[0], 4);
	gone(&place[1], 4);
	place[0].private.wanted.generation = place[1].private.wanted.generation = 4;
	place[0].private.wanted.posted = 0;
	cr_assert_eq(judged(), COLOUR_RED, "published, not posted");
	reason_has("kiosk: is to give up what is theirs, and that is not posted yet");
	place[0].private.wanted.posted = 95;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("posted 1970-01-01T00:01:35Z, and may still hold it");
	place[0].private.generation = place[1].private.generation = 4;
	cr_assert_eq(judged(), COLOUR_RED, "it says itself that it still has it");
	reason_has("kiosk: has not given up");
	place[0].handed.result[0] = '\0';
	place[1].handed.result[0] = '\0';
	cr_assert_eq(judged(), COLOUR_GREY);
	cr_assert_str_eq(u.reason, "is suspended");
	state_is(0, "gone");
}

Test(status_user, stays_grey_when_something_else_changes_on_a_workstation_that_was_theirs)
{
	in.suspended = true;
	for (size_t i = 0; i < 2; i++) {
		gone(&place[i], 3);
		place[i].handed.result[0] = '\0';
		place[i].private.compiled = false;
		place[i].private.wanted.generation = 5;
	}
	cr_assert_eq(judged_at(10000 + SILENT + 1), COLOUR_GREY);
	cr_assert_eq(l.n, 1);
}

Test(status_user, never_was_where_no_generation_had_them)
{
	gone(&place[0], 0);
	place[0].handed.result[0] = '\0';
	place[0].private.compiled = false;
	cr_assert_eq(judged(), COLOUR_GREEN);
	state_is(0, "gone");
}

Test(status_user, waits_for_a_workstation_that_is_to_end)
{
	place[1].state = WORKSTATION_LEAVING;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("till: is to be decommissioned, posted");
	cr_assert_eq(u.active, 1);
	place[1].private.compiled = false;
	cr_assert_eq(judged(), COLOUR_RED);
	place[1].state = WORKSTATION_DECOMMISSIONED;
	cr_assert_eq(judged(), COLOUR_GREEN, "it said that everything is wiped");
	state_is(1, "gone");
	place[0].state = WORKSTATION_DECOMMISSIONED;
	cr_assert_eq(judged(), COLOUR_BLUE);
}

Test(status_user, is_listed_after_deletion_until_everything_is_confirmed_gone)
{
	in.deleted = true;
	in.unlicensed = "";
	place[0].wanted = place[1].wanted = false;
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert(told);
	gone(&place[0], 4);
	gone(&place[1], 3);
	place[0].private.wanted.generation = 4;
	place[1].handed.result[0] = '\0';
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_eq(l.n, 1, "the documents have nothing to say of them");
	place[0].private.generation = 4;
	place[0].handed.result[0] = '\0';
	judged();
	cr_assert_not(told);
}

Test(status_user, tells_the_first_reason_of_the_table_and_lists_the_others)
{
	in.unlicensed = "the licence office ended on 2027-01-01";
	in.unlicensed_by = RULE_U_LICENCE_EXPIRED;
	place[0].private.compiled = false;
	snprintf(place[1].handed.result, sizeof(place[1].handed.result), "failed");
	cr_assert_eq(judged_at(10000 + SILENT + 1), COLOUR_RED);
	cr_assert_eq(l.n, 5);
	cr_assert_eq(l.item[0].rule, RULE_U_FAILED);
	cr_assert_eq(l.item[1].rule, RULE_U_UNPOSTED);
	cr_assert_eq(l.item[2].rule, RULE_U_LICENCE_EXPIRED);
	cr_assert_eq(l.item[3].rule, RULE_U_SILENT);
	cr_assert_eq(l.item[4].rule, RULE_U_SILENT);
}
