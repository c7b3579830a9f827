/* SPDX-License-Identifier: ISC */
/*
 * The sealing key of a workstation is renewed: when, when not, and what becomes of the old one.
 */
#include "applier/doctor/doctor.h"
#include "bundler/collect/confirm.h"
#include "bundler/workstations/workstations.h"
#include "core/base/own.h"
#include "tests/support/seal.h"

TestSuite(sync_seal, .timeout = 120);

#define KEY_IS(f, name, digits) cr_expect_str_eq(seal_digits(f, name).text, digits)

Test(sync_seal, a_new_key_takes_the_place_of_the_old_one_which_is_overwritten)
{
	OWNED(fd_closep) int old = -1;
	struct seal_digits first, next;
	struct fixture f;
	char bytes[512];
	ssize_t n;

	seal_due(&f);
	old = open(fixture_path(&f, "ws/state/keys/seal.key"), O_RDONLY | O_CLOEXEC);
	first = seal_digits(&f, "seal.key");
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal.key", first.text);
	next = seal_digits(&f, "seal-next.key");
	cr_assert_str_neq(next.text, "");
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal.key", next.text);
	KEY_IS(&f, "seal-next.key", "");
	KEY_IS(&f, "seal-old.key", "");
	n = pread(old, bytes, sizeof(bytes), 0);
	cr_assert_gt(n, 100);
	for (ssize_t i = 0; i < n; i++)
		cr_assert_eq(bytes[i], 0, "byte %zd of the old key is there", i);
	/* And so on: what comes now is sealed to the new one, and a month later there is another.
	 */
	fixture_tools(&f, "/opt/tools");
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal-next.key", "");
	seal_later(&f, 31);
	FIXTURE_SYNC(&f, 0);
	cr_assert_str_neq(seal_digits(&f, "seal-next.key").text, "");
	fixture_end(&f);
}

Test(sync_seal, it_lasts_for_weeks_and_a_clock_that_was_ahead_does_not_make_it_last_for_years)
{
	struct fixture f;

	fixture_synced(&f);
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	seal_later(&f, 15);
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal-next.key", "");
	/* As if it had been made years from now. */
	seal_made(&f, FIXTURE_NOW + 10 * 365 * 86400LL);
	FIXTURE_SYNC(&f, 0);
	cr_expect_str_neq(seal_digits(&f, "seal-next.key").text, "");
	fixture_end(&f);
}

Test(sync_seal, where_nothing_comes_back_to_the_server_the_key_stays)
{
	char code[CONFIRM_TEXT + 1];
	struct seal_digits first;
	struct fixture f;

	fixture_synced(&f);
	first = seal_digits(&f, "seal.key");
	for (int i = 0; i < 3; i++) {
		seal_later(&f, 400);
		FIXTURE_SYNC(&f, 0);
	}
	KEY_IS(&f, "seal.key", first.text);
	KEY_IS(&f, "seal-next.key", "");
	cr_assert_eq(seal_code(&f, code), 0, "%s", f.err.text);
	cr_assert_eq(seal_typed(&f, code), 0, "%s", f.err.text);
	/* A code is no receipt: nothing but codes comes back still. */
	seal_later(&f, 31);
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal-next.key", "");
	fixture_end(&f);
}

static void ask(struct fixture *f, const char *name, uint64_t want)
{
	struct site *s = fixture_site(f);
	uint64_t n;

	cr_assert_eq(workstation_renew(s->db, name, &n, &f->err), 0, "%s", f->err.text);
	cr_assert_eq(n, want);
	site_free(s);
	fixture_publish(f);
}

Test(sync_seal, the_server_can_ask_for_a_new_one_at_once_and_each_time_once)
{
	struct seal_digits first;
	struct fixture f;

	fixture_synced(&f);
	ask(&f, "alpha", 1);
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal-next.key", ""); /* nothing has come back yet */
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	for (int i = 0; i < 2; i++) {
		first = seal_digits(&f, "seal.key");
		cr_assert_str_neq(seal_digits(&f, "seal-next.key").text, "");
		seal_answered(&f);
		FIXTURE_SYNC(&f, 0);
		seal_answered(&f);
		FIXTURE_SYNC(&f, 0);
		cr_assert_str_neq(seal_digits(&f, "seal.key").text, first.text);
		KEY_IS(&f, "seal-next.key", "");
		ask(&f, i == 0 ? NULL : "nobody", i == 0 ? 1 : 0);
		FIXTURE_SYNC(&f, 0);
	}
	KEY_IS(&f, "seal-next.key", "");
	fixture_end(&f);
}

Test(sync_seal, until_the_server_answers_both_keys_open)
{
	struct seal_digits first, next;
	struct fixture f;

	seal_due(&f);
	first = seal_digits(&f, "seal.key");
	FIXTURE_SYNC(&f, 0);
	next = seal_digits(&f, "seal-next.key");
	fixture_tools(&f, "/opt/tools"); /* nothing was collected: sealed to the old one */
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r tools ws/root/opt/tools");
	seal_later(&f, 90);
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal.key", first.text);
	KEY_IS(&f, "seal-next.key", next.text);
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	KEY_IS(&f, "seal.key", next.text);
	KEY_IS(&f, "seal-next.key", "");
	fixture_end(&f);
}

Test(sync_seal, confirmation_codes_go_on_before_during_and_after)
{
	char code[CONFIRM_TEXT + 1];
	struct fixture f;

	seal_due(&f);
	for (int i = 0; i < 3; i++) {
		FIXTURE_SYNC(&f, 0);
		cr_assert_eq(seal_code(&f, code), 0, "%d: %s", i, f.err.text);
		cr_assert_eq(seal_typed(&f, code), 0, "%d: %s", i, f.err.text);
		seal_answered(&f);
	}
	fixture_end(&f);
}

/* As version 0.1.0 enrolled: one key for both, and a request that names no other. */
Test(sync_seal, a_machine_that_enrolled_before_gets_a_key_for_codes_with_its_first_receipts)
{
	char code[CONFIRM_TEXT + 1];
	struct seal_digits first;
	struct fixture f;
	struct site *s;

	fixture_joined(&f);
	FIXTURE_RUN(&f, "rm ws/state/keys/codes.key");
	s = fixture_site(&f);
	cr_assert_eq(db_exec(s->db, "UPDATE workstation SET codes = NULL", &f.err), 0);
	site_free(s);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	first = seal_digits(&f, "seal.key");
	cr_assert_eq(seal_code(&f, code), 0, "%s", f.err.text);
	cr_assert_eq(seal_typed(&f, code), 0, "%s", f.err.text);
	KEY_IS(&f, "codes.key", "");
	seal_made(&f, 0);
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0); /* has something to tell, and is not answered yet */
	cr_assert_str_neq(seal_digits(&f, "codes.key").text, "");
	cr_assert_str_neq(seal_digits(&f, "seal-next.key").text, "");
	cr_assert_eq(seal_code(&f, code), 0, "%s", f.err.text);
	seal_answered(&f);
	cr_assert_eq(seal_typed(&f, code), 0, "a code from before the answer: %s", f.err.text);
	FIXTURE_SYNC(&f, 0);
	cr_assert_str_neq(seal_digits(&f, "seal.key").text, first.text);
	cr_assert_eq(seal_code(&f, code), 0, "%s", f.err.text);
	cr_assert_eq(seal_typed(&f, code), 0, "%s", f.err.text);
	fixture_end(&f);
}

Test(sync_seal, what_is_sealed_to_the_wiped_key_is_older_and_no_alarm)
{
	struct fixture f;

	seal_due(&f);
	FIXTURE_RUN(&f, "cp -a depot stick; ls depot/workstations/*/* > before");
	FIXTURE_SYNC(&f, 0);
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	cr_assert_eq(fixture_sync_with(&f, "stick", 0), RC_REPLAY, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "is behind"), "%s", f.err.text);
	cr_expect_eq(seal_events(&f, "sealing"), 0);
	FIXTURE_SYNC(&f, 0);
	fixture_end(&f);
}

static void finding_each(void *arg, const struct finding *one)
{
	bool *told = arg;

	if (strstr(one->text, "sealed to a key that is not here") != NULL)
		*told = strstr(one->remedy, "satchel invite alpha") != NULL;
}

/* Does the doctor name both ways out? */
static bool doctor_tells(struct fixture *f)
{
	bool told = false;
	struct findings findings = {.each = finding_each, .arg = &told};

	station_examine(fixture_path(f, "ws"), NULL, &findings);
	return told;
}

Test(sync_seal, a_server_that_was_restored_learns_the_key_from_the_next_receipt)
{
	static const char *const more[] = {"b", "c", "d", "e", "g"};
	char where[32];
	struct fixture f;

	seal_due(&f);
	/* The depot as well: what is newer there would be noticed. */
	FIXTURE_RUN(&f, "cp -a site.state backup.state; cp -a site backup; cp -a depot was");
	FIXTURE_SYNC(&f, 0);
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "rm -rf site site.state depot; mv backup.state site.state; "
			"mv backup site; mv was depot");
	/* It goes on above what it has forgotten; every one is sealed to the old key. */
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		FIXTURE_RUN(&f, "mkdir -p tools; echo t > tools/t");
		snprintf(where, sizeof(where), "mkdir %s; echo > %s/x", more[i], more[i]);
		FIXTURE_RUN(&f, where);
		snprintf(where, sizeof(where), "/opt/%s", more[i]);
		fixture_channel(&f, more[i], where, "keep");
		fixture_publish(&f);
	}
	cr_assert_eq(fixture_sync(&f), RC_AGAIN, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "sealed to a key that this machine does not have"),
			   "%s", f.err.text);
	cr_expect_eq(seal_events(&f, "sealing"), 1);
	cr_assert_eq(fixture_sync(&f), RC_AGAIN);
	cr_expect_eq(seal_events(&f, "sealing"), 1, "it is told once");
	cr_expect(doctor_tells(&f));
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office && test ! -e ws/root/opt/b");
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "test -e ws/root/opt/b/x && test -e ws/root/opt/g/x");
	cr_expect_not(doctor_tells(&f));
	fixture_end(&f);
}

Test(sync_seal, a_workstation_that_was_restored_tells_the_key_that_it_has)
{
	struct seal_digits first;
	struct fixture f;

	seal_due(&f);
	first = seal_digits(&f, "seal.key");
	FIXTURE_RUN(&f, "cp -a ws backup");
	FIXTURE_SYNC(&f, 0);
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	fixture_tools(&f, "/opt/tools");
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	seal_answered(&f);
	FIXTURE_RUN(&f, "rm -rf ws; mv backup ws");
	cr_assert_eq(fixture_sync(&f), RC_AGAIN, "%s", f.err.text);
	KEY_IS(&f, "seal.key", first.text);
	cr_expect_eq(fixture_collect(&f).refused, 0, "its receipts go on above what is known");
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r tools ws/root/opt/tools");
	fixture_end(&f);
}

Test(sync_seal, an_old_request_that_comes_again_asks_for_nothing)
{
	struct collect_counts counts;
	struct fixture f;

	seal_due(&f);
	FIXTURE_SYNC(&f, 0);
	seal_answered(&f);
	FIXTURE_SYNC(&f, 0);
	/* The inbox as it was at the beginning, as if the server had never seen it. */
	FIXTURE_RUN(&f, "cp -a requests/. depot/inbox/");
	seal_inbox_forget(&f);
	counts = fixture_collect(&f);
	cr_expect_eq(counts.enrolled, 0);
	cr_expect_eq(seal_pending(&f), 0);
	fixture_end(&f);
}
