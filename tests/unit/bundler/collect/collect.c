/* SPDX-License-Identifier: ISC */

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "tests/support/machine.h"

TestSuite(collect, .init = server_make, .fini = server_teardown);

static int64_t sequence(struct site *s)
{
	return server_number(s, "SELECT ifnull(max(sequence), 0) FROM receipt");
}

/* posted(s, m, sequence, path): a plain receipt of that number. */
static void posted(struct site *s, const struct machine *m, uint64_t number, char path[DEPOT_NAME])
{
	struct receipt r = machine_receipt(s, m, number);

	receipt_post(s, m, &r, path);
}

Test(collect, finds_nothing_in_an_empty_depot)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct collect_counts n = collected(s);

	cr_assert_eq(n.files + n.receipts + n.requests + n.refused + n.incomplete, 0);
}

Test(collect, enrols_by_the_inbox_and_records_receipts_in_order)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[3][DEPOT_NAME];
	struct collect_counts n;

	machine_joins(s, &m, "kiosk");
	posted(s, &m, 9, path[0]);
	posted(s, &m, 10, path[1]);
	posted(s, &m, 2, path[2]);
	n = collected(s);
	cr_assert_eq(n.files, 3);
	cr_assert_eq(n.receipts, 3, "by number, not by text: 2, 9, 10");
	cr_assert_eq(sequence(s), 10);
	for (size_t i = 0; i < 3; i++)
		cr_assert_not(inbox_has(path[i]));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM inbox"), 0, "nothing to remember");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE kind <> 'enrolled'"), 0);
}

Test(collect, keeps_every_field_of_the_state_and_each_event_once)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct receipt r;
	struct receipt_channel c = {.name = "office",
				    .epoch = 1,
				    .generation = 41,
				    .tree = {{7}},
				    .result = "refused",
				    .reason = "policy: no",
				    .wanted = 42,
				    .drift = 3,
				    .at = SERVER_NOW,
				    .milliseconds = 12};
	struct receipt_event e[] = {{1, SERVER_NOW, "clock", "one", "", ""},
				    {2, SERVER_NOW, "clock", "two", "", ""}};
	struct receipt_user u[] = {{"anna@acme.example", "anna", "handed-out", "", SERVER_NOW},
				   {"bob@acme.example", "bob", "failed", "account: none", 7}};
	char path[DEPOT_NAME];
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	r = machine_receipt(s, &m, 1);
	r.channel = &c;
	r.channels = 1;
	r.event = e;
	r.events = 1;
	r.private_epoch = r.private_generation = 1;
	r.private_tree.b[0] = 5;
	r.user = u;
	r.users = 2;
	r.policy.b[31] = 9;
	r.next_check = SERVER_NOW + 3600;
	receipt_post(s, &m, &r, path);
	cr_assert_eq(collected(s).receipts, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_user"), 2);
	r.sequence = 2;
	r.events = 2;
	r.user = &u[1];
	r.users = 1;
	c.generation = 42;
	receipt_post(s, &m, &r, path);
	cr_assert_eq(collected(s).receipts, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_event"), 2);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_channel"), 1);
	cr_assert_eq(server_number(s,
				   "SELECT generation FROM receipt_channel WHERE drift = 3 AND"
				   " wanted = 42 AND result = 'refused' AND reason = 'policy: no'"),
		     42);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt WHERE private_generation = 1"
				      " AND hex(policy) LIKE '00%09' AND wiped = 0"
				      " AND next_check = 1800003600"),
		     1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_user"), 1);
	cr_assert_eq(server_number(s, "SELECT at FROM receipt_user WHERE result = 'failed' AND"
				      " reason = 'account: none' AND account = 'bob' AND"
				      " email = 'bob@acme.example'"),
		     7);
	must(db_exec(s->db, "DELETE FROM receipt_event", &err)); /* as after many newer ones */
	r.sequence = 3;
	receipt_post(s, &m, &r, path);
	cr_assert_eq(collected(s).receipts, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_event"), 0,
		     "what was recorded once does not come back");
}

Test(collect, takes_the_same_file_again_for_nothing_new)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	char path[DEPOT_NAME], other[DEPOT_NAME];
	struct receipt r;
	struct collect_counts n;
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	r = machine_receipt(s, &m, 5);
	must(receipt_encode(&r, NULL, &inner, &err));
	sealed_by(s, m.sign, bytes_in(&inner), &sealed);
	inbox_put(m.id, 5, bytes_in(&sealed), "receipt", path);
	cr_assert_eq(collected(s).receipts, 1);
	inbox_put(m.id, 5, bytes_in(&sealed), "receipt", path);
	n = collected(s);
	cr_assert_eq(n.known, 1);
	cr_assert_eq(n.refused, 0);
	cr_assert_not(inbox_has(path));
	buf_reset(&sealed);
	sealed_by(s, m.sign, bytes_in(&inner), &sealed);
	inbox_put(m.id, 5, bytes_in(&sealed), "receipt", other);
	cr_assert_str_neq(path, other, "sealed anew, the file differs");
	n = collected(s);
	cr_assert_eq(n.known, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE kind <> 'enrolled'"), 0);
}

Test(collect, knows_a_recorded_receipt_by_its_name_without_reading_it)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	char path[DEPOT_NAME], command[1024];
	struct receipt r;
	struct collect_counts n;
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	r = machine_receipt(s, &m, 5);
	must(receipt_encode(&r, NULL, &inner, &err));
	sealed_by(s, m.sign, bytes_in(&inner), &sealed);
	inbox_put(m.id, 5, bytes_in(&sealed), "receipt", path);
	cr_assert_eq(collected(s).receipts, 1);
	inbox_put(m.id, 5, bytes_in(&sealed), "receipt", path);
	snprintf(command, sizeof(command), "truncate -s 10 depot/%s", path);
	cr_assert_eq(scratch_run(dir, command), 0);
	n = collected(s);
	cr_assert_eq(n.known, 1);
	cr_assert_eq(n.incomplete, 0);
	cr_assert_not(inbox_has(path));
}

Test(collect, refuses_a_request_that_its_own_key_did_not_sign)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	struct machine forger = {.sign = thief.sign, .seal = thief.seal};
	char code[INVITE_TEXT + 1], path[DEPOT_NAME];
	struct request r;
	struct err err = {0};

	must(enrolment_invite(s, "kiosk", 7, code, &err));
	memcpy(forger.id, m.id, sizeof(m.id));
	r = machine_request(s, &m, code);
	request_post(s, &forger, &r, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM workstation"), 0);
	cr_assert_eq(server_events(s, "forged"), 1);
	request_post(s, &m, &r, path);
	cr_assert_eq(collected(s).enrolled, 1);
}

Test(collect, keeps_an_older_receipt_out_of_the_status_and_says_replay)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME];
	struct receipt r;

	machine_joins(s, &m, "kiosk");
	posted(s, &m, 5, path);
	cr_assert_eq(collected(s).receipts, 1);
	r = machine_receipt(s, &m, 4);
	r.free_bytes = 77;
	receipt_post(s, &m, &r, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_not(inbox_has(path));
	cr_assert_eq(sequence(s), 5);
	cr_assert_eq(server_number(s, "SELECT free_bytes FROM receipt"), 0);
	cr_assert_eq(server_events(s, "replay"), 1);
}

Test(collect, suspects_a_clone_when_one_number_has_two_contents)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME];
	struct receipt r;

	machine_joins(s, &m, "kiosk");
	posted(s, &m, 5, path);
	cr_assert_eq(collected(s).receipts, 1);
	r = machine_receipt(s, &m, 5);
	r.free_bytes = 77;
	receipt_post(s, &m, &r, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(server_events(s, "clone"), 1);
	cr_assert_eq(server_number(s, "SELECT at FROM receipt_fork"), SERVER_NOW);
	cr_assert_eq(server_number(s, "SELECT free_bytes FROM receipt"), 0);
}

Test(collect, believes_nobody_but_the_registered_key)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	struct machine forger = {.sign = thief.sign, .seal = thief.seal};
	char path[DEPOT_NAME];
	struct receipt r;

	machine_joins(s, &m, "kiosk");
	memcpy(forger.id, m.id, sizeof(forger.id));
	r = machine_receipt(s, &m, 6);
	receipt_post(s, &forger, &r, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(server_events(s, "forged"), 1);
	r = machine_receipt(s, &thief, 1);
	receipt_post(s, &thief, &r, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(server_events(s, "unknown-sender"), 1);
	cr_assert_eq(sequence(s), 0);
	cr_assert_not(inbox_has(path), "what was refused is pruned as well");
}

Test(collect, refuses_authentic_words_about_another_site_or_machine)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	char path[DEPOT_NAME];
	struct receipt r;

	machine_joins(s, &m, "kiosk");
	machine_joins(s, &other, "till");
	r = machine_receipt(s, &m, 1);
	r.site.b[3] ^= 1;
	receipt_post(s, &m, &r, path);
	r = machine_receipt(s, &other, 2);
	receipt_post(s, &m, &r, path);
	cr_assert_eq(collected(s).refused, 2);
	cr_assert_eq(server_events(s, "foreign"), 2);
	cr_assert_eq(sequence(s), 0);
}

Test(collect, makes_events_of_what_a_revoked_workstation_sends)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME];
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	must(enrolment_revoke(s, "kiosk", &err));
	posted(s, &m, 1, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(sequence(s), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE kind = 'revoked' AND text"
				      " LIKE '%still sends%'"),
		     1);
}

Test(collect, does_not_let_a_name_decide_anything)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	char path[DEPOT_NAME];
	struct receipt r;
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	r = machine_receipt(s, &m, 3);
	must(receipt_encode(&r, NULL, &inner, &err));
	sealed_by(s, m.sign, bytes_in(&inner), &sealed);
	inbox_put(m.id, 999, bytes_in(&sealed), "receipt", path);
	cr_assert_eq(collected(s).receipts, 1);
	cr_assert_eq(sequence(s), 3);
}
