/* SPDX-License-Identifier: ISC */
/*
 * The policy in force on the workstation, as it is read from the private channel.
 */
#include "applier/private/policy.h"

#include <time.h>

#include "tests/support/people.h"

static void utc(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
}

TestSuite(station_policy, .init = utc, .timeout = 120);

#define HOUR 3600

Test(station_policy, what_nobody_says_is_what_satchel_does_by_itself)
{
	OWNED(station_policy_clear) struct station_policy p = {0};
	struct fixture f;
	struct station *s;

	fixture_joined(&f);
	s = fixture_station(&f);
	cr_assert_eq(station_policy(s, &p, &f.err), 0);
	cr_assert_eq(p.effective.policy.settings.sync_minutes, 60);
	cr_assert_eq(p.effective.policy.settings.expiry, POLICY_EXPIRY_WARN);
	cr_assert_eq(p.local, LOCAL_REPLACE);
	cr_assert(digest_is_zero(&p.digest));
	station_free(s);
	fixture_end(&f);
}

Test(station_policy, what_the_server_says_is_in_force_and_the_receipt_names_it)
{
	OWNED(station_policy_clear) struct station_policy p = {0};
	OWNED(receipt_clear) struct receipt r = {0};
	struct tree_files t;
	struct fixture f;
	struct station *s;
	struct digest d;

	tree_policy_synced(&f, &t, "sync-minutes", "5");
	s = fixture_station(&f);
	cr_assert_eq(station_policy(s, &p, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(p.effective.policy.settings.sync_minutes, 5);
	cr_assert_str_eq(p.effective.policy.origin[POLICY_SYNC_MINUTES], "site policy basic");
	station_free(s);
	newest_receipt(&f, &r);
	d = digest_of(bytes_in(&t.file[t.n - 1].content));
	cr_assert(digest_equal(&r.policy, &d));
	tree_clear(&t);
	fixture_end(&f);
}

Test(station_policy, whoever_watches_knows_when_the_next_window_opens)
{
	struct policy_settings p;

	policy_settings_init(&p);
	fixture_clock(FIXTURE_NOW + 30); /* 08:00:30 */
	cr_assert_eq(policy_opens(&p), 0);
	p.window[0] = (struct policy_window){22 * 60, 5 * 60};
	p.window[1] = (struct policy_window){8 * 60 + 10, 8 * 60 + 20};
	p.windows = 1;
	cr_assert_eq(policy_opens(&p), 14 * HOUR - 30);
	p.windows = 2;
	cr_assert_eq(policy_opens(&p), 600 - 30);
	fixture_clock(FIXTURE_NOW + 15 * HOUR);
	cr_assert_eq(policy_opens(&p), 0);
}
