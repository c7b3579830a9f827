/* SPDX-License-Identifier: ISC */
/* When the content key of a channel changes, and who is known to have it. */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/sealed/sealed.h"
#include "bundler/site/site.h"
#include "core/base/clock.h"
#include "tests/support/server.h"

#define CHANNEL "vault"

TestSuite(sealed, .init = server_make, .fini = server_teardown);

static const struct site_channel channel = {.name = CHANNEL, .sealed = true, .rekey_hours = 24};

static uint64_t number_now(struct site *s)
{
	OWNED(keystore_freep) struct keystore *k = NULL;
	uint64_t number = 0;
	struct err err = {0};

	must(keystore_new(s, &k, &err));
	must(sealed_key(k, &channel, &number, &err));
	return number;
}

static struct sealed_state state_now(struct site *s)
{
	struct sealed_state state;
	struct err err = {0};

	must(sealed_describe(s->db, CHANNEL, &state, &err));
	return state;
}

Test(sealed, the_first_key_is_made_and_stays)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);

	cr_assert_eq(state_now(s).number, 0);
	cr_assert_eq(number_now(s), 1);
	cr_assert_eq(number_now(s), 1);
	cr_assert_eq(state_now(s).number, 1);
}

Test(sealed, is_due_when_the_delay_is_over_and_not_before)
{
	struct sealed_state state = {.number = 1};

	cr_expect_not(sealed_due(&channel, &state, 1000000));
	state.left = 1000000;
	cr_expect_not(sealed_due(&channel, &state, 1000000));
	cr_expect_not(sealed_due(&channel, &state, 1000000 + 86399));
	cr_expect(sealed_due(&channel, &state, 1000000 + 86400));
	cr_expect(sealed_due(&channel, &state, 999999), "the clock was ahead when somebody left");
	state.left = 0;
	state.asked = true;
	cr_expect(sealed_due(&channel, &state, 0));
}

Test(sealed, a_person_gets_another_key_at_once)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	cr_assert_eq(sealed_ask(s->db, CHANNEL, &err), RC_USAGE, "there is none yet");
	number_now(s);
	must(sealed_ask(s->db, CHANNEL, &err));
	cr_assert_eq(number_now(s), 2);
	cr_expect_not(state_now(s).asked);
	cr_assert_eq(number_now(s), 2);
}

Test(sealed, only_who_was_sent_the_newest_key_counts)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	number_now(s);
	must(sealed_sent(s->db, "a", CHANNEL, 1, &err));
	must(sealed_sent(s->db, "a", CHANNEL, 1, &err));
	must(sealed_sent(s->db, "b", CHANNEL, 2, &err));
	must(sealed_sent(s->db, "c", "other", 1, &err));
	cr_assert_eq(state_now(s).readers, 1);
	must(sealed_ask(s->db, CHANNEL, &err));
	number_now(s);
	cr_assert_eq(state_now(s).readers, 0, "nobody was sent the new one yet");
}

Test(sealed, who_left_first_starts_the_clock)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	int64_t left;

	number_now(s);
	must(sealed_sent(s->db, "a", CHANNEL, 1, &err));
	must(sealed_sent(s->db, "b", CHANNEL, 1, &err));
	must(sealed_left(s->db, CHANNEL, "a", &err));
	left = state_now(s).left;
	cr_assert_eq(left, clock_now());
	must(db_exec(s->db, "UPDATE channel_key SET left = left - 100", &err));
	must(sealed_left(s->db, CHANNEL, "b", &err));
	cr_assert_eq(state_now(s).left, left - 100);
	cr_assert_eq(state_now(s).readers, 0);
}

Test(sealed, a_machine_that_is_forgotten_has_left)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	number_now(s);
	must(sealed_sent(s->db, "a", CHANNEL, 1, &err));
	for (size_t i = 0; sealed_forget.workstation[i] != NULL; i++)
		must(db_run(s->db, &err, sealed_forget.workstation[i], "t", "stranger"));
	cr_assert_eq(state_now(s).left, 0);
	for (size_t i = 0; sealed_forget.workstation[i] != NULL; i++)
		must(db_run(s->db, &err, sealed_forget.workstation[i], "t", "a"));
	cr_assert_gt(state_now(s).left, 0);
	cr_assert_eq(state_now(s).readers, 0);
}

Test(sealed, old_keys_are_gone_for_good_and_the_newest_never_is)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(keystore_freep) struct keystore *k = NULL;
	struct bytes secret;
	struct err err = {0};

	number_now(s);
	must(sealed_ask(s->db, CHANNEL, &err));
	number_now(s);
	must(keystore_new(s, &k, &err));
	must(sealed_secret(k, CHANNEL, 1, &secret, &err));
	keystore_freep(&k);
	must(sealed_drop(s->db, CHANNEL, 100, &err));
	must(keystore_new(s, &k, &err));
	cr_assert_eq(sealed_secret(k, CHANNEL, 1, &secret, &err), RC_STATE);
	err = (struct err){0};
	must(sealed_secret(k, CHANNEL, 2, &secret, &err));
	cr_assert_eq(secret.n, 32);
}

Test(sealed, unsettled_once_after_a_change)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};

	number_now(s);
	cr_assert_eq(sealed_settle(s->db, &err), 0);
	must(sealed_unsettle(s->db, CHANNEL, &err));
	cr_assert_eq(sealed_settle(s->db, &err), 1);
	cr_assert_eq(sealed_settle(s->db, &err), 0);
}
