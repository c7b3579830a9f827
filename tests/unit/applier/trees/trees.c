/* SPDX-License-Identifier: ISC */
/*
 * Trees on this machine: where they lie, how they are left, and what differs from what was applied.
 */
#include "applier/trees/drift.h"
#include "tests/support/sync_fixture.h"

TestSuite(trees, .timeout = 120);
TestSuite(drift, .timeout = 120);

/* Leaving */

Test(trees, a_channel_that_is_left_removes_only_what_it_brought)
{
	struct fixture f;
	struct site *s;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "cd ws/root/opt/office; echo mine > mine; echo changed >> a");
	s = fixture_site(&f);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_CHANNEL, "office", &f.err), 0, "%s",
		     f.err.text);
	site_free(s);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f,
		    "cd ws/root/opt/office; test -e mine && grep -q changed a && test ! -e sub && "
		    "test ! -L l");
	FIXTURE_SYNC(&f, 0);
	fixture_end(&f);
}

Test(trees, a_channel_that_is_left_with_keep_leaves_its_files)
{
	struct fixture f;
	struct site *s;

	fixture_joined(&f);
	fixture_tools(&f, "/opt/tools");
	FIXTURE_SYNC(&f, 0);
	s = fixture_site(&f);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_CHANNEL, "tools", &f.err), 0, "%s",
		     f.err.text);
	site_free(s);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "test -e ws/root/opt/tools/t");
	fixture_end(&f);
}

Test(trees, a_channel_that_moves_is_left_in_the_old_place)
{
	struct fixture f;

	fixture_synced(&f);
	fixture_channel(&f, "office", "/opt/bureau", "remove");
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/bureau; test ! -e ws/root/opt/office/a");
	fixture_end(&f);
}

/* Drift */

static int drift_each(void *arg, const struct drift_item *item, struct err *err)
{
	char *text = arg;

	snprintf(text + strlen(text), 256 - strlen(text), "%s %s;", item->path, item->what);
	return 0;
}

Test(drift, finds_what_differs_and_nothing_else)
{
	struct fixture f;
	struct station *s;
	char text[256] = "";
	uint64_t n = 9;

	fixture_synced(&f);
	s = fixture_station(&f);
	cr_assert_eq(station_drift(s, drift_each, text, &n, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(n, 0, "%s", text);
	FIXTURE_RUN(&f, "cd ws/root/opt/office; touch mine; echo x >> a; rm sub/b; ln -sf b l");
	cr_assert_eq(station_drift(s, drift_each, text, &n, &f.err), 0, "%s", f.err.text);
	cr_assert_str_eq(text, "a changed;l changed;sub/b missing;");
	cr_assert_eq(n, 3);
	station_free(s);
	fixture_end(&f);
}
