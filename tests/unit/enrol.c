#include <unistd.h>

#include "bundler/trustops.h"
#include "core/base/own.h"
#include "tests/unit/sync_fixture.h"

TestSuite(enrol, .timeout = 120);

static void site_with_code(struct fixture *f, char code[INVITE_TEXT + 1])
{
	fixture_init(f);
	FIXTURE_RUN(f, "mkdir office; touch office/a");
	fixture_channel(f, "office", "/opt/office", "keep");
	fixture_invite(f, code);
	fixture_publish(f);
}

#define REQUESTS(f, n) FIXTURE_RUN(f, "test $(ls depot/inbox/*/*.request 2>/dev/null | wc -l) = " n)

static bool enrolled(struct fixture *f)
{
	struct station *s = fixture_station(f);
	bool ret = s->enrolled;

	station_free(s);
	return ret;
}

Test(enrol, by_a_code_leaves_one_request_that_the_server_takes)
{
	char code[INVITE_TEXT + 1];
	struct collect_counts counts;
	struct fixture f;
	struct station *s;

	site_with_code(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	REQUESTS(&f, "1");
	s = fixture_station(&f);
	cr_assert(s->enrolled);
	cr_assert_eq(s->trust.version, 1);
	cr_assert_str_eq(s->trust.name, "Acme");
	cr_assert_eq(s->depots, 1);
	station_free(s);
	counts = fixture_collect(&f);
	cr_assert_eq(counts.requests, 1);
	cr_assert_eq(counts.enrolled, 1);
	fixture_end(&f);
}

Test(enrol, the_same_code_again_sends_the_same_bytes)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "ls depot/inbox/* > before; rm depot/inbox/*/*.request");
	fixture_clock(FIXTURE_NOW + 60);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "ls depot/inbox/* | diff before -");
	fixture_end(&f);
}

Test(enrol, another_code_of_the_same_site_keeps_the_keys)
{
	char code[INVITE_TEXT + 1], second[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "cat ws/state/keys/* | cksum > before");
	fixture_invite(&f, second);
	cr_assert_eq(fixture_enrol(&f, second, "depot"), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "cat ws/state/keys/* | cksum | diff before -");
	REQUESTS(&f, "2");
	fixture_end(&f);
}

Test(enrol, a_mistyped_code_is_a_usage_error_and_nothing_happens)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	code[3] = code[3] == '0' ? '1' : '0';
	cr_assert_eq(fixture_enrol(&f, code, "depot"), RC_USAGE);
	cr_assert_not(enrolled(&f));
	FIXTURE_RUN(&f, "test ! -e ws/state/keys");
	REQUESTS(&f, "0");
	fixture_end(&f);
}

Test(enrol, the_code_of_another_site_is_refused)
{
	char code[INVITE_TEXT + 1], foreign[INVITE_TEXT + 1];
	struct fixture f, other;

	site_with_code(&f, code);
	site_with_code(&other, foreign);
	cr_assert_eq(fixture_enrol(&f, foreign, "depot"), RC_ADDRESSEE, "%s", f.err.text);
	cr_assert_not(enrolled(&f));
	REQUESTS(&f, "0");
	fixture_end(&other);
	fixture_end(&f);
}

Test(enrol, a_machine_of_one_site_does_not_join_another)
{
	char code[INVITE_TEXT + 1], foreign[INVITE_TEXT + 1];
	struct fixture f, other;
	struct station *s;

	site_with_code(&f, code);
	site_with_code(&other, foreign);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0);
	s = fixture_station(&f);
	cr_assert_eq(station_enrol(s, foreign, fixture_path(&other, "depot"), "alpha", &f.err),
		     RC_CONFLICT, "%s", f.err.text);
	station_free(s);
	REQUESTS(&other, "0");
	fixture_end(&other);
	fixture_end(&f);
}

Test(enrol, an_empty_depot_is_incomplete_and_gets_nothing)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	FIXTURE_RUN(&f, "mkdir empty");
	cr_assert_eq(fixture_enrol(&f, code, "empty"), RC_INCOMPLETE, "%s", f.err.text);
	FIXTURE_RUN(&f, "test -z \"$(ls empty)\"");
	fixture_end(&f);
}

Test(enrol, a_depot_below_the_trust_floor_of_the_code_is_behind)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;
	struct site *s;

	fixture_init(&f);
	FIXTURE_RUN(&f, "mkdir office; touch office/a");
	fixture_channel(&f, "office", "/opt/office", "keep");
	s = fixture_site(&f);
	cr_assert_eq(trustops_renew(s, 1000, NULL, &f.err), 1, "%s", f.err.text);
	site_free(s);
	fixture_publish(&f);
	fixture_invite(&f, code);
	FIXTURE_RUN(&f, "mkdir away; mv depot/trust/2-* away");
	cr_assert_eq(fixture_enrol(&f, code, "depot"), RC_INCOMPLETE, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "holds trust version 1, the code asks for 2"), "%s",
			   f.err.text);
	cr_assert_not(enrolled(&f));
	FIXTURE_RUN(&f, "mv away/* depot/trust");
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	fixture_end(&f);
}

Test(enrol, an_expired_code_is_refused_while_the_clock_can_be_right)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	fixture_clock(FIXTURE_NOW + 20 * 86400);
	FIXTURE_RUN(&f, "echo x > office/a");
	fixture_publish(&f); /* a beat of that day */
	cr_assert_eq(fixture_enrol(&f, code, "depot"), RC_EXPIRED, "%s", f.err.text);
	cr_assert_not_null(strstr(f.err.text, "satchel invite"));
	cr_assert_not(enrolled(&f));
	REQUESTS(&f, "0");
	fixture_end(&f);
}

Test(enrol, a_clock_far_ahead_of_the_site_does_not_refuse_the_code)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	site_with_code(&f, code);
	fixture_clock(FIXTURE_NOW + 4000ll * 86400);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 0, "%s", f.err.text);
	REQUESTS(&f, "1");
	fixture_end(&f);
}

Test(enrol, uninvited_by_the_site_id_waits_for_a_person)
{
	char code[INVITE_TEXT + 1], site[DIGEST_HEX + 1];
	struct fixture f;
	struct site *s;

	site_with_code(&f, code);
	s = fixture_site(&f);
	digest_hex(site, &s->id);
	site_free(s);
	cr_assert_eq(fixture_enrol(&f, site, "depot"), 0, "%s", f.err.text);
	cr_assert_eq(fixture_collect(&f).enrolled, 0);
	site[0] = site[0] == '0' ? '1' : '0';
	cr_assert_eq(fixture_enrol(&f, site, "depot"), RC_ADDRESSEE);
	fixture_end(&f);
}

Test(enrol, once_approved_there_is_nothing_to_do)
{
	char code[INVITE_TEXT + 1];
	struct fixture f;

	fixture_joined(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	fixture_invite(&f, code);
	cr_assert_eq(fixture_enrol(&f, code, "depot"), 1, "%s", f.err.text);
	REQUESTS(&f, "0");
	fixture_end(&f);
}

Test(enrol, trust_changed_in_the_database_is_noticed_when_it_is_loaded)
{
	struct fixture f;
	struct station *s;

	fixture_joined(&f);
	s = fixture_station(&f);
	cr_assert_eq(
	    db_exec(s->db,
		    "UPDATE trust SET document = CAST(replace(document, 'Acme', 'Evil') AS BLOB)",
		    &f.err),
	    0);
	station_free(s);
	s = NULL;
	cr_assert_eq(station_open(fixture_path(&f, "ws"), 0, NULL, &s, &f.err), RC_STATE, "%s",
		     f.err.text);
	cr_assert_null(s);
	fixture_end(&f);
}

/* Rotation */

Test(follow_trust, a_machine_that_slept_walks_through_every_version)
{
	struct fixture f;
	struct station *st;

	fixture_joined(&f);
	for (int i = 0; i < 5; i++) {
		struct site *s = fixture_site(&f);

		cr_assert_eq(
		    trustops_rotate(s, i % 2 ? ROLE_ROOT : ROLE_BEAT, KEY_REVOKED, NULL, &f.err), 1,
		    "%s", f.err.text);
		site_free(s);
		FIXTURE_RUN(&f, "date +%N >> office/a");
		fixture_publish(&f);
	}
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	st = fixture_station(&f);
	cr_assert_eq(st->trust.version, 6);
	station_free(st);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

Test(follow_trust, a_version_that_is_missing_is_waited_for)
{
	struct fixture f;
	struct site *s;

	fixture_joined(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	s = fixture_site(&f);
	cr_assert_eq(trustops_rotate(s, ROLE_BEAT, KEY_REVOKED, NULL, &f.err), 1);
	site_free(s);
	FIXTURE_RUN(&f, "echo x >> office/a");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "mkdir away; mv depot/trust/2-* away");
	fixture_sync(&f);
	FIXTURE_RUN(&f, "test ! -s ws/root/opt/office/a || ! grep -q x ws/root/opt/office/a");
	FIXTURE_RUN(&f, "mv away/* depot/trust");
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}

Test(follow_trust, a_raised_epoch_restarts_the_count)
{
	struct fixture f;
	struct site *s;

	fixture_joined(&f);
	for (int i = 0; i < 3; i++) {
		FIXTURE_RUN(&f, "date +%N >> office/a");
		fixture_publish(&f);
	}
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	s = fixture_site(&f);
	cr_assert_eq(trustops_epoch(s, ROLE_PUBLISH, NULL, &f.err), 1, "%s", f.err.text);
	site_free(s);
	s = fixture_site(&f);
	cr_assert_eq(trustops_epoch(s, ROLE_BEAT, NULL, &f.err), 1, "%s", f.err.text);
	site_free(s);
	FIXTURE_RUN(&f, "date +%N >> office/a; rm office/l");
	fixture_publish(&f);
	cr_assert_eq(fixture_sync(&f), 0, "%s", f.err.text);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
	fixture_end(&f);
}
