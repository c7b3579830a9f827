/* SPDX-License-Identifier: ISC */
/*
 * Documents that wait for a depot, and depots that somebody else has a hand in.
 */
#include "applier/report/outbox.h"
#include "core/base/own.h"
#include "tests/support/sync_fixture.h"

TestSuite(outbox, .timeout = 120);

static void document_put(struct station *s, const struct key_secret *sign, uint64_t number,
			 char path[DEPOT_NAME])
{
	struct err err = {0};

	cr_assert_eq(outbox_put(s, OUTBOX_ACTIVATION, number, bytes_of("x"), sign, s->id,
				trust_collect(&s->trust), &err),
		     0, "%s", err.text);
	cr_assert_eq(outbox_path(s, OUTBOX_ACTIVATION, number, path, &err), 1);
}

static bool is_posted(struct station *s, const char *path)
{
	bool posted = false;

	cr_assert_eq(outbox_has(s, path, &posted, ERR_IGNORED), 1);
	return posted;
}

Test(outbox, what_lies_in_the_place_of_one_document_keeps_no_other_back)
{
	OWNED(key_freep) struct key_secret *sign = NULL;
	OWNED(depot_freep) struct depot *d = NULL;
	char path[2][DEPOT_NAME], command[4 * DEPOT_NAME];
	struct station *s;
	struct fixture f;

	fixture_joined(&f);
	FIXTURE_SYNC(&f, 0);
	s = fixture_station(&f);
	cr_assert_eq(station_keys(s, 0, &sign, NULL, &f.err), 0, "%s", f.err.text);
	document_put(s, sign, 71, path[0]);
	document_put(s, sign, 72, path[1]);
	snprintf(command, sizeof(command), "mkdir -p depot/%s", path[0]);
	FIXTURE_RUN(&f, command);
	cr_assert_eq(
	    depot_open(fixture_path(&f, "depot"), DEPOT_WRITE, LIMIT_DEPOT_SILENCE, &d, &f.err), 0);
	cr_expect_eq(outbox_post(s, d, &f.err), RC_TYPE, "%s", f.err.text);
	cr_expect_not_null(strstr(f.err.text, "remove it from the depot"), "%s", f.err.text);
	cr_expect_not(is_posted(s, path[0]));
	cr_expect(is_posted(s, path[1]));
	snprintf(command, sizeof(command), "test -f depot/%s && rmdir depot/%s", path[1], path[0]);
	FIXTURE_RUN(&f, command);
	cr_expect_gt(outbox_post(s, d, &f.err), 0, "%s", f.err.text);
	cr_expect(is_posted(s, path[0]));
	station_free(s);
	fixture_end(&f);
}
