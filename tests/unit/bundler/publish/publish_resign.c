/* SPDX-License-Identifier: ISC */
#include <unistd.h>

#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "tests/support/sync_fixture.h"

TestSuite(publish_resign, .timeout = 120);

static void rotated(struct fixture *f)
{
	struct site *s = fixture_site(f);

	cr_assert_eq(trust_change_rotate(s, ROLE_PUBLISH, KEY_RETIRED, NULL, &f->err), 1, "%s",
		     f->err.text);
	site_free(s);
}

static void registry_run(struct fixture *f, const char *sql)
{
	struct site *s = fixture_site(f);

	cr_assert_eq(db_exec(s->db, sql, &f->err), 0, "%s", f->err.text);
	site_free(s);
}

static int64_t registry_number(struct fixture *f, const char *sql)
{
	struct site *s = fixture_site(f);
	int64_t n = -1;

	cr_assert_eq(db_int(s->db, &f->err, &n, sql, ""), 1, "%s", f->err.text);
	site_free(s);
	return n;
}

/* Of two channels one has a head in the registry that cannot be read. */
Test(publish_resign, a_damaged_channel_keeps_neither_the_others_nor_the_beat_back)
{
	struct fixture f;
	int64_t before;

	fixture_joined(&f);
	fixture_tools(&f, "/opt/tools");
	FIXTURE_SYNC(&f, 0);
	registry_run(&f,
		     "UPDATE outbox SET content = x'00' WHERE path GLOB 'channels/office/*.head'");
	rotated(&f);
	before = registry_number(&f, "SELECT max(sequence) FROM beat");
	fixture_publish_fails(&f);
	cr_assert_gt(registry_number(&f, "SELECT max(sequence) FROM beat"), before);
	FIXTURE_RUN(&f, "rm -r ws/root/opt/tools");
	fixture_sync(&f);
	FIXTURE_RUN(&f, "diff -r tools ws/root/opt/tools");
	fixture_publish_fails(&f); /* and it is said again, until it is mended */
	FIXTURE_RUN(&f, "echo more >> office/a");
	fixture_publish(&f); /* as its sentence says */
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

/* An editor or a bad merge took the document away for a moment, while a group still names it. */
Test(publish_resign, a_channel_whose_document_is_away_is_signed_anew_all_the_same)
{
	struct fixture f;

	fixture_joined(&f);
	FIXTURE_RUN(
	    &f,
	    "mkdir -p site/groups; printf 'satchel: group/1\\nchannels:\\n- office\\n' > site/groups/g.yaml; "
	    "mv site/channels/office.yaml away.yaml");
	rotated(&f);
	fixture_publish_fails(&f);
	FIXTURE_RUN(&f, "mv away.yaml site/channels/office.yaml");
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}
