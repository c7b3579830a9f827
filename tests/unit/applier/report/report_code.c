/* SPDX-License-Identifier: ISC */
/*
 * The confirmation code on the workstation: the newest receipt and nothing else.
 */
#include "applier/report/event.h"
#include "applier/report/report.h"
#include "core/format/documents/confirm.h"
#include "tests/support/people.h"

TestSuite(station_code, .timeout = 120);

static int code_of(struct fixture *f, char code[CONFIRM_TEXT + 1])
{
	struct station *s = fixture_station(f);
	int rc;

	f->err = (struct err){0};
	rc = report_code(s, code, &f->err);
	station_free(s);
	return rc;
}

/* As the server would make it, from the newest receipt. */
static void code_expected(struct fixture *f, char code[CONFIRM_TEXT + 1])
{
	OWNED(fd_closep) int keys = os_open_dir(fixture_path(f, "site.state/keys"), &f->err);
	OWNED(key_freep) struct key_secret *collect = NULL;
	OWNED(key_freep) struct key_secret *own = NULL;
	OWNED(receipt_clear) struct receipt r = {0};
	OWNED(buf_clear) struct buf statement = BUF_INIT;
	struct station *s = fixture_station(f);
	struct key_public station, site;
	struct confirm c;

	cr_assert_eq(station_codes_key(s, &own, &f->err), 1);
	station_free(s);
	cr_assert_eq(key_read(keys, "collect.key", NULL, &collect, &f->err), 0, "%s", f->err.text);
	newest_receipt(f, &r);
	cr_assert_eq(confirm_statement(&r, &statement, &f->err), 0);
	station = key_public_of(own);
	site = key_public_of(collect);
	cr_assert_eq(confirm_make(collect, &station, &site, r.workstation, r.sequence,
				  bytes_in(&statement), &c, &f->err),
		     0, "%s", f->err.text);
	confirm_text(code, &c);
}

Test(station_code,
     it_is_what_the_server_makes_of_the_newest_receipt_and_stays_until_something_changes)
{
	char code[CONFIRM_TEXT + 1], again[CONFIRM_TEXT + 1], want[CONFIRM_TEXT + 1];
	struct fixture f;

	fixture_joined(&f);
	cr_assert_eq(code_of(&f, code), RC_AGAIN, "%s", f.err.text);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(code_of(&f, code), 0, "%s", f.err.text);
	code_expected(&f, want);
	cr_assert_str_eq(code, want);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(code_of(&f, again), 0);
	cr_assert_str_eq(code, again);
	FIXTURE_RUN(&f, "echo more > office/more");
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(code_of(&f, again), 0, "%s", f.err.text);
	cr_assert_str_neq(code, again);
	code_expected(&f, want);
	cr_assert_str_eq(again, want);
	fixture_end(&f);
}

Test(station_code, without_a_depot_at_hand_the_receipt_that_waits_is_what_it_counts_as)
{
	char code[CONFIRM_TEXT + 1], want[CONFIRM_TEXT + 1];
	struct fixture f;
	struct station *s;

	fixture_joined(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "mv depot away");
	s = fixture_station(&f);
	cr_assert_eq(station_event(s, "noticed", "something", &f.err), 0);
	station_free(s);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN);
	cr_assert_eq(code_of(&f, code), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "mv away depot");
	FIXTURE_SYNC(&f, 0);
	code_expected(&f, want);
	cr_assert_str_eq(code, want);
	fixture_end(&f);
}

Test(station_code, there_is_none_while_anything_is_not_as_it_should_be)
{
	struct tree_files t = {0};
	char code[CONFIRM_TEXT + 1] = "untouched";
	struct fixture f;

	fixture_joined(&f);
	tree_sub(&t, "office", "/opt/office", "keep");
	tree_person(&t, "anna@example.org", "nobody-of-that-name", NULL, 0);
	tree_publish(&f, &t);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(code_of(&f, code), RC_CONFLICT);
	cr_assert_not_null(strstr(f.err.text, "anna@example.org"), "%s", f.err.text);
	tree_clear(&t);
	tree_sub(&t, "office", "/opt/office", "keep");
	tree_sub(&t, "tools", "/opt/office/below", "keep"); /* not apart: refused */
	tree_publish(&f, &t);
	cr_assert_eq(fixture_sync(&f), RC_POLICY, "%s", f.err.text);
	cr_assert_eq(code_of(&f, code), RC_CONFLICT);
	cr_assert_not_null(strstr(f.err.text, "refused"), "%s", f.err.text);
	cr_assert_str_eq(code, "untouched");
	tree_clear(&t);
	fixture_end(&f);
}
