/* SPDX-License-Identifier: ISC */
/*
 * The cheap half of a sync: is there anything for us?
 */
#include "tests/support/sync_fixture.h"

TestSuite(look, .timeout = 400);

static struct sync_news looked(struct fixture *f)
{
	struct station *s = fixture_station(f);
	struct sync_news n = {0};

	cr_assert_eq(sync_poll(s, &n, &f->err), 0, "%s", f->err.text);
	station_free(s);
	return n;
}

/* A workstation that holds everything, and whose receipt is acknowledged. */
static void settled(struct fixture *f)
{
	fixture_joined(f);
	FIXTURE_SYNC(f, 0);
	fixture_collect(f);
	fixture_publish(f);
	FIXTURE_SYNC(f, 0);
}

Test(look, finds_nothing_where_nothing_is_new)
{
	struct fixture f;
	struct sync_news n;

	settled(&f);
	n = looked(&f);
	cr_expect_gt(n.beat, 0);
	cr_expect_not(n.newer);
	cr_expect_not(n.ours);
	cr_expect_not(n.knocked);
	fixture_end(&f);
}

Test(look, finds_a_change_of_a_channel_and_applies_nothing)
{
	struct fixture f;
	struct sync_news n;

	settled(&f);
	FIXTURE_RUN(&f, "echo more > office/more");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "find ws/root depot | sort > before");
	n = looked(&f);
	cr_expect(n.newer);
	cr_expect(n.ours);
	FIXTURE_RUN(&f, "find ws/root depot | sort | diff before -");
	n = looked(&f);
	cr_expect_not(n.newer, "the beat is known now");
	FIXTURE_SYNC(&f, 0);
	cr_expect_eq(fixture_said(&f, "office")->after, 2, "and a sync applies it all the same");
	fixture_end(&f);
}

Test(look, is_not_for_a_change_for_others)
{
	struct fixture f;
	struct sync_news n;

	settled(&f);
	FIXTURE_RUN(&f, "mkdir elsewhere; echo x > elsewhere/x");
	{
		char source[SCRATCH_PATH + 64], where[] = "/opt/elsewhere", who[] = "nobody",
						*audience[] = {who};
		struct site_channel c = {.name = "elsewhere",
					 .source = source,
					 .target = where,
					 .audience = audience,
					 .audiences = 1,
					 .on_leave = "keep",
					 .keep = 10};
		struct site *s = fixture_site(&f);

		snprintf(source, sizeof(source), "%s/elsewhere", f.dir);
		cr_assert_eq(site_channel_write(s, &c, &f.err), 0, "%s", f.err.text);
		site_free(s);
	}
	fixture_publish(&f);
	n = looked(&f);
	cr_expect(n.newer);
	cr_expect_not(n.ours);
	fixture_end(&f);
}

Test(look, hears_a_knock)
{
	static const char *const names[] = {"alpha"}, *const all[] = {"all"};
	struct fixture f;
	struct sync_news n;
	struct site *s;

	settled(&f);
	s = fixture_site(&f);
	cr_assert_eq(publish_knock(s, names, 1, &f.err), 0, "%s", f.err.text);
	site_free(s);
	n = looked(&f);
	cr_expect(n.newer);
	cr_expect_not(n.ours);
	cr_expect(n.knocked);
	cr_expect_not(looked(&f).knocked, "once");
	s = fixture_site(&f);
	cr_assert_eq(publish_knock(s, all, 1, &f.err), 0, "%s", f.err.text);
	site_free(s);
	cr_expect(looked(&f).knocked);
	fixture_end(&f);
}

Test(look, takes_no_beat_that_is_not_whole)
{
	struct fixture f;

	settled(&f);
	FIXTURE_RUN(&f, "echo more > office/more");
	fixture_publish(&f);
	FIXTURE_RUN(
	    &f, "f=$(ls depot/beats/* | sort -V | tail -n 1); cp $f whole; head -c 100 whole > $f");
	cr_expect_not(looked(&f).newer);
	FIXTURE_RUN(&f, "cat whole > $(ls depot/beats/* | sort -V | tail -n 1)");
	cr_expect(looked(&f).ours, "when the rest has arrived");
	fixture_end(&f);
}

Test(look, without_any_depot_finds_nothing_out_and_is_no_failure)
{
	struct fixture f;

	settled(&f);
	FIXTURE_RUN(&f, "mv depot away");
	cr_expect_not(looked(&f).newer);
	fixture_end(&f);
}
