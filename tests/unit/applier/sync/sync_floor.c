/* SPDX-License-Identifier: ISC */
/*
 * What keeps old content from a machine that is new, or was restored: that a beat must list it, and
 * the epochs of the trust document, which are floors.
 */
#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "tests/support/sync_fixture.h"

TestSuite(sync_floor, .timeout = 120);

static void epoch_raise(struct fixture *f, enum role role)
{
	struct site *s = fixture_site(f);

	cr_assert_eq(trust_change_epoch(s, role, NULL, &f->err), 1, "%s", f->err.text);
	site_free(s);
	fixture_publish(f);
}

/* Generation 1 of office, and the machine enrolled; then generation 2, which mends a hole. */
static void mended(struct fixture *f)
{
	fixture_joined(f);
	FIXTURE_RUN(f, "cp -a ws young; cp -a depot old; echo mended > office/a");
	fixture_publish(f);
}

#define NOTHING "test ! -e ws/root/opt/office"

Test(sync_floor, a_newcomer_gets_nothing_by_a_beat_from_before_it_was_listed)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	fixture_init(&f);
	FIXTURE_RUN(&f, "mkdir office; echo one > office/a");
	fixture_channel(&f, "office", "/opt/office", "remove");
	fixture_invite(&f, code);
	fixture_publish(&f);
	FIXTURE_RUN(&f, "cp -a depot old; echo mended > office/a");
	fixture_publish(&f);
	/* All that it ever sees is the old depot, and its request is brought to the server. */
	cr_assert_eq(fixture_enrol(&f, code, "old"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "cp -a old/inbox/. depot/inbox/");
	cr_assert_eq(fixture_collect(&f).enrolled, 1);
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN, "%s", f.err.text);
	cr_expect_not_null(strstr(f.err.text, "has not approved"), "%s", f.err.text);
	FIXTURE_RUN(&f, NOTHING);
	cr_assert_eq(fixture_sync_with(&f, "depot", 0), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

Test(sync_floor, under_a_new_epoch_of_beats_an_old_depot_brings_nothing_of_before)
{
	struct fixture f;

	mended(&f);
	/* Without it a machine that knows nothing newer cannot tell that this is old. */
	FIXTURE_RUN(&f, "mv depot new; cp -a old depot");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "test $(cat ws/root/opt/office/a) = one; rm -rf ws; cp -a young ws;"
			" rm -rf depot; mv new depot");
	epoch_raise(&f, ROLE_BEAT);
	/* The same old depot, into which somebody let only the trust document. */
	FIXTURE_RUN(&f, "cp -a depot/trust/. old/trust/; mv depot new; cp -a old depot");
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	cr_expect_not_null(strstr(f.err.text, "has a beat of the site Acme yet"), "%s", f.err.text);
	FIXTURE_RUN(&f, NOTHING "; rm -rf depot; mv new depot");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

/* By hand no beat is asked, so the epoch of what a channel is has to be the floor. */
Test(sync_floor, by_hand_nothing_of_an_earlier_epoch_is_applied)
{
	OWNED(station_freep) struct station *s = NULL;
	struct fixture f;

	mended(&f);
	FIXTURE_RUN(&f, "mkdir hand; cp old/channels/office/1.0-1-*.bundle hand/x.bundle;"
			" cp old/channels/office/1.1-*.head hand");
	epoch_raise(&f, ROLE_PUBLISH);
	/* The private channel arrives, and of the channel itself only what somebody hands over. */
	FIXTURE_RUN(&f, "mkdir away; mv depot/channels/office/2.*bundle away/");
	cr_assert_eq(fixture_sync(&f), RC_INCOMPLETE, "%s", f.err.text);
	s = fixture_station(&f);
	cr_assert_eq(sync_file(s, fixture_path(&f, "hand/x.bundle"), 0, NULL, NULL, &f.err),
		     RC_REPLAY, "%s", f.err.text);
	cr_expect_not_null(strstr(f.err.text, "has begun epoch 2"), "%s", f.err.text);
	FIXTURE_RUN(&f, "test ! -e ws/root/opt/office/a");
	station_free(TAKE(s));
	FIXTURE_RUN(&f, "mv away/* depot/channels/office/");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}
