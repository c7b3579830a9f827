/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/private/compile.h"
#include "bundler/site/site.h"
#include "tests/support/machine.h"

TestSuite(enrolment, .init = server_make, .fini = server_teardown);

static int64_t enrolled(struct site *s)
{
	return server_number(s, "SELECT count(*) FROM workstation WHERE state = 'enrolled'");
}

static int64_t held(struct site *s)
{
	return server_number(s, "SELECT count(*) FROM pending_request");
}

static void invite(struct site *s, const char *name, unsigned days, char code[INVITE_TEXT + 1])
{
	struct err err = {0};

	must(enrolment_invite(s, name, days, code, &err));
}

static int ask(struct site *s, const struct request *r)
{
	struct err err = {0};

	return enrolment_request(s, r, ENROLMENT_EXACT, &err);
}

Test(enrolment, approves_who_knows_the_code_under_the_invited_name)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[INVITE_TEXT + 1];
	struct request r;

	invite(s, "kiosk-01", 7, code);
	cr_assert_not_null(site_workstation(s, "kiosk-01"), "it is expected now");
	r = machine_request(s, &m, code);
	cr_assert_eq(ask(s, &r), 1);
	cr_assert_eq(enrolled(s), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM workstation WHERE name = 'kiosk-01'"),
		     1);
	cr_assert_eq(ask(s, &r), 0, "the same keys again change nothing");
	cr_assert_eq(enrolled(s), 1);
	cr_assert_eq(held(s), 0);
	cr_assert_eq(server_events(s, "enrolled"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event"), 1);
}

Test(enrolment, refuses_a_wrong_proof_or_keys_that_were_exchanged)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	char code[INVITE_TEXT + 1];
	struct request r;

	invite(s, "kiosk-01", 7, code);
	r = machine_request(s, &m, code);
	r.seal = key_public_of(other.seal);
	cr_assert_eq(ask(s, &r), RC_UNTRUSTED, "the proof covers the sealing key");
	r = machine_request(s, &m, code);
	r.sign = key_public_of(other.sign);
	memcpy(r.workstation, other.id, sizeof(other.id));
	cr_assert_eq(ask(s, &r), RC_UNTRUSTED, "and the signing key");
	r = machine_request(s, &m, code);
	r.proof.b[31] ^= 1;
	cr_assert_eq(ask(s, &r), RC_UNTRUSTED);
	cr_assert_eq(enrolled(s), 0);
	cr_assert_eq(held(s), 0);
	cr_assert_eq(server_events(s, "proof"), 3);
	r = machine_request(s, &m, code);
	cr_assert_eq(ask(s, &r), 1, "the code is not spent by those who do not know it");
}

Test(enrolment, refuses_what_is_for_another_site_or_names_another_id)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	struct request r = machine_request(s, &m, NULL);

	r.site.b[0] ^= 1;
	cr_assert_eq(ask(s, &r), RC_ADDRESSEE);
	r = machine_request(s, &m, NULL);
	memcpy(r.workstation, other.id, sizeof(other.id));
	cr_assert_eq(ask(s, &r), RC_UNTRUSTED);
	cr_assert_eq(held(s), 0);
	cr_assert_eq(server_events(s, "request"), 2);
}

Test(enrolment, is_single_use_and_holds_whoever_comes_second)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	char code[INVITE_TEXT + 1];
	struct request r;

	invite(s, "kiosk-01", 7, code);
	r = machine_request(s, &m, code);
	cr_assert_eq(ask(s, &r), 1);
	r = machine_request(s, &thief, code);
	cr_assert_eq(ask(s, &r), RC_REPLAY);
	cr_assert_eq(enrolled(s), 1);
	cr_assert_eq(held(s), 1);
	cr_assert_eq(server_events(s, "invitation-twice"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM workstation WHERE state = 'replaced'"),
		     0);
}

Test(enrolment, tells_of_a_machine_that_brings_the_code_of_another_name)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	char code[INVITE_TEXT + 1], second[INVITE_TEXT + 1];
	struct request r;

	invite(s, "kiosk-01", 7, code);
	invite(s, "kiosk-02", 7, second);
	r = machine_request(s, &m, code);
	cr_assert_eq(ask(s, &r), 1);
	r = machine_request(s, &m, second);
	cr_assert_eq(ask(s, &r), 0);
	cr_assert_eq(server_events(s, "invitation-other"), 1);
	r.proof.b[0] ^= 1;
	cr_assert_eq(ask(s, &r), RC_UNTRUSTED, "whoever does not know the code says nothing");
	cr_assert_eq(server_events(s, "invitation-other"), 1);
	cr_assert_eq(enrolled(s), 1);
	r = machine_request(s, &other, second);
	cr_assert_eq(ask(s, &r), 1, "the code is as good as before");
}

Test(enrolment, counts_the_last_day_of_a_code_and_not_a_second_more)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine early = machine_new(), late = machine_new();
	const int64_t end = (SERVER_NOW / 86400 + 2) * 86400; /* one more day after today */
	char code[INVITE_TEXT + 1], second[INVITE_TEXT + 1];
	struct request r;

	invite(s, "a", 1, code);
	invite(s, "b", 1, second);
	clock_set(end - 1);
	r = machine_request(s, &early, code);
	cr_assert_eq(ask(s, &r), 1);
	clock_set(end);
	r = machine_request(s, &late, second);
	cr_assert_eq(ask(s, &r), RC_EXPIRED);
	cr_assert_eq(enrolled(s), 1);
	cr_assert_eq(server_events(s, "invitation-expired"), 1);
}

Test(enrolment, replaces_a_reimaged_machine_under_its_name)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine old = machine_new(), new = machine_new();
	char code[INVITE_TEXT + 1];
	struct request r;

	invite(s, "kiosk-01", 7, code);
	r = machine_request(s, &old, code);
	cr_assert_eq(ask(s, &r), 1);
	clock_set(SERVER_NOW + 10);
	invite(s, "kiosk-01", 7, code);
	r = machine_request(s, &new, code);
	cr_assert_eq(ask(s, &r), 1);
	cr_assert_eq(enrolled(s), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM workstation WHERE state = 'replaced'"),
		     1);
	cr_assert_eq(server_events(s, "replaced"), 1);
}

Test(enrolment, voids_older_codes_of_a_name_when_one_is_used)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	char lost[INVITE_TEXT + 1], code[INVITE_TEXT + 1];
	struct request r;

	invite(s, "kiosk-01", 30, lost);
	invite(s, "kiosk-01", 7, code);
	r = machine_request(s, &m, code);
	cr_assert_eq(ask(s, &r), 1);
	r = machine_request(s, &thief, lost);
	cr_assert_eq(ask(s, &r), 0, "held: nothing is known of that code any more");
	cr_assert_eq(held(s), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM workstation"), 1);
}

Test(enrolment, holds_the_uninvited_until_a_person_compares_the_fingerprint)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new();
	struct request r = machine_request(s, &m, NULL);
	char prefix[40];
	struct err err = {0};

	cr_assert_eq(ask(s, &r), 0);
	cr_assert_eq(ask(s, &r), 0);
	cr_assert_eq(held(s), 1);
	cr_assert_eq(enrolled(s), 0);
	snprintf(prefix, sizeof(prefix), "%.24s", m.id);
	cr_assert_eq(enrolment_approve(s, prefix, "till", &err), RC_USAGE, "96 bits");
	cr_assert_eq(held(s), 1);
	snprintf(prefix, sizeof(prefix), "%.4s %.21s", m.id, m.id + 4);
	for (char *c = prefix; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	cr_assert_eq(enrolment_approve(s, prefix, NULL, &err), RC_USAGE,
		     "the name it gives itself cannot be one");
	cr_assert_eq(enrolment_approve(s, "0000000000", "till", &err), RC_USAGE);
	cr_assert_eq(enrolment_approve(s, "zzzzzzzz", "till", &err), RC_USAGE);
	must(enrolment_approve(s, prefix, "till", &err));
	cr_assert_eq(enrolled(s), 1);
	cr_assert_eq(held(s), 0);
	cr_assert_not_null(site_workstation(s, "till"));
}

Test(enrolment, does_not_hold_what_was_not_signed_in_exactly_these_bytes)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new();
	struct request r = machine_request(s, &m, NULL);
	struct err err = {0};

	cr_assert_eq(enrolment_request(s, &r, 0, &err), RC_MALFORMED);
	cr_assert_eq(held(s), 0);
}

Test(enrolment, asks_for_more_digits_when_two_fit)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new();
	struct request r = machine_request(s, &m, NULL);
	char twin[WORKSTATION_ID + 1], prefix[WORKSTATION_ID + 1];
	struct err err = {0};

	cr_assert_eq(ask(s, &r), 0);
	memcpy(twin, m.id, sizeof(twin));
	twin[31] = twin[31] == '0' ? '1' : '0';
	must(db_run(s->db, &err,
		    "INSERT INTO pending_request SELECT ?1, name, sign, sign_number, seal,"
		    " seal_number, at, why, codes FROM pending_request",
		    "t", twin));
	snprintf(prefix, sizeof(prefix), "%.28s", m.id);
	cr_assert_eq(enrolment_approve(s, prefix, "till", &err), RC_USAGE);
	must(enrolment_refuse(s, twin, &err));
	cr_assert_eq(held(s), 1);
	must(enrolment_approve(s, m.id, "till", &err));
}

Test(enrolment, keeps_those_that_wait_when_strangers_flood)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), late = machine_new();
	struct request r = machine_request(s, &m, NULL);
	struct err err = {0};

	cr_assert_eq(ask(s, &r), 0);
	must(db_exec(
	    s->db,
	    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 999)"
	    " INSERT INTO pending_request SELECT 'x' || i, '', x'', 0, x'', 0, 0, '', NULL FROM n",
	    &err));
	r = machine_request(s, &late, NULL);
	cr_assert_eq(ask(s, &r), RC_LIMIT);
	cr_assert_eq(held(s), 1000);
	must(enrolment_approve(s, m.id, "till", &err));
	cr_assert_eq(ask(s, &r), 0, "there is room again");
}

Test(enrolment, clears_a_flood_of_strangers_at_once)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new();
	struct request r = machine_request(s, &m, NULL);
	uint64_t n;
	struct err err = {0};

	must(db_exec(
	    s->db,
	    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
	    " INSERT INTO pending_request SELECT 'x' || i, '', x'', 0, x'', 0, 0, '', NULL FROM n",
	    &err));
	cr_assert_eq(ask(s, &r), RC_LIMIT);
	must(enrolment_refuse_all(s, &n, &err));
	cr_assert_eq(n, 1000);
	cr_assert_eq(held(s), 0);
	cr_assert_eq(ask(s, &r), 0);
	must(enrolment_approve(s, m.id, "till", &err));
}

/* A key whose id begins with 32 bits of another's is made in minutes. */
Test(enrolment, tells_of_a_request_that_looks_like_another)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	struct request r = machine_request(s, &other, NULL);
	char twin[WORKSTATION_ID + 1];
	struct err err = {0};

	cr_assert_eq(ask(s, &r), 0);
	snprintf(twin, sizeof(twin), "%.8s%s", m.id, "ffffffffffffffffffffffff");
	must(db_run(s->db, &err, "UPDATE pending_request SET id = ?1", "t", twin));
	r = machine_request(s, &m, NULL);
	cr_assert_eq(ask(s, &r), 0);
	cr_assert_eq(ask(s, &r), 0);
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM event WHERE kind = 'fingerprint-alike'"), 1);
}

Test(enrolment, revokes_and_lets_nobody_back_without_a_new_invitation)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[INVITE_TEXT + 1], open[INVITE_TEXT + 1];
	struct request r, again;
	struct err err = {0};

	cr_assert_eq(enrolment_revoke(s, "kiosk-01", &err), RC_USAGE);
	invite(s, "kiosk-01", 7, code);
	r = machine_request(s, &m, code);
	cr_assert_eq(ask(s, &r), 1);
	clock_set(SERVER_NOW + 10);
	invite(s, "kiosk-01", 7, open);
	must(enrolment_revoke(s, "kiosk-01", &err));
	cr_assert_eq(enrolled(s), 0);
	cr_assert_eq(ask(s, &r), RC_UNTRUSTED, "its old request");
	again = machine_request(s, &m, open);
	cr_assert_eq(ask(s, &again), RC_UNTRUSTED, "a code from before");
	cr_assert_eq(enrolled(s), 0);
	invite(s, "kiosk-01", 7, open);
	again = machine_request(s, &m, open);
	cr_assert_eq(ask(s, &again), 1, "invited anew by a person");
	cr_assert_eq(enrolled(s), 1);
}

Test(enrolment, refuses_names_and_days_that_cannot_be)
{
	OWNED(site_freep) struct site *s = server_open(0);
	char code[INVITE_TEXT + 1];
	struct err err = {0};

	cr_assert_eq(enrolment_invite(s, "../x", 7, code, &err), RC_USAGE);
	cr_assert_eq(enrolment_invite(s, "all", 7, code, &err), RC_USAGE);
	cr_assert_eq(enrolment_invite(s, "kiosk", 36500, code, &err), RC_USAGE);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM invitation"), 0);
	cr_assert_eq(s->workstations, 0);
}

/* Private channels */

static uint64_t compiled(struct site *s, bool dry_run)
{
	struct err err = {0};
	uint64_t n = 99;

	must(compile_site(s, dry_run ? COMPILE_DRY_RUN : 0, &n, &err));
	return n;
}

static void channel(struct site *s, const char *name, const char *who)
{
	char source[] = "/srv", target[64], whom[64];
	char *audience[] = {whom};
	struct site_channel c = {.source = source,
				 .target = target,
				 .audience = audience,
				 .audiences = 1,
				 .on_leave = "keep"};
	struct err err = {0};

	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(target, sizeof(target), "/opt/%s", name);
	snprintf(whom, sizeof(whom), "%s", who);
	must(site_channel_write(s, &c, &err));
}

Test(enrolment, compiles_a_private_channel_only_when_what_it_is_made_of_changed)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new();
	struct site_workstation w = {.name = "b"};
	char label[] = "till", *labels[] = {label};
	struct err err = {0};

	machine_enrol(s, &a, "a");
	machine_enrol(s, &b, "b");
	cr_assert_eq(compiled(s, true), 2);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM private"), 0,
		     "a dry run makes nothing");
	cr_assert_eq(compiled(s, false), 2);
	cr_assert_eq(server_number(s, "SELECT min(generation) FROM private"), 1);
	cr_assert_eq(compiled(s, false), 0);
	channel(s, "office", "all");
	channel(s, "office-b", "b");
	channel(s, "tills", "label:till");
	cr_assert_eq(compiled(s, false), 2);
	channel(s, "only-b", "b");
	cr_assert_eq(compiled(s, false), 1);
	w.label = labels;
	w.labels = 1;
	must(site_workstation_write(s, &w, &err));
	cr_assert_eq(compiled(s, false), 1);
	must(enrolment_revoke(s, "b", &err));
	channel(s, "more", "all");
	cr_assert_eq(compiled(s, false), 1, "a revoked one gets nothing new");
	s->trust.epoch[ROLE_PRIVATE]++;
	cr_assert_eq(compiled(s, true), 1, "a raised epoch starts it again");
}
