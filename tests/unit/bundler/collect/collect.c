/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "core/format/yaml/yaml_internal.h"
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

/* Files that are torn, junk, or not files */

Test(collect, leaves_a_torn_file_alone_until_it_is_complete)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME], command[1024];
	struct collect_counts n;

	machine_joins(s, &m, "kiosk");
	posted(s, &m, 1, path);
	snprintf(command, sizeof(command), "cp depot/%s whole; truncate -s -1 depot/%s", path,
		 path);
	cr_assert_eq(scratch_run(dir, command), 0);
	n = collected(s);
	cr_assert_eq(n.incomplete, 1);
	cr_assert_eq(n.refused, 0);
	cr_assert(inbox_has(path));
	clock_set(SERVER_NOW + 86400);
	cr_assert_eq(collected(s).incomplete, 1);
	cr_assert_eq(server_events(s, "incomplete"), 0, "a day is not more than a day");
	clock_set(SERVER_NOW + 2 * 86400);
	cr_assert_eq(collected(s).incomplete, 1);
	cr_assert_eq(collected(s).incomplete, 1);
	cr_assert_eq(server_events(s, "incomplete"), 1, "told once");
	snprintf(command, sizeof(command), "cp whole depot/%s", path);
	cr_assert_eq(scratch_run(dir, command), 0);
	cr_assert_eq(collected(s).receipts, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM inbox"), 0);
}

Test(collect, tries_an_incomplete_file_less_often_as_it_grows_old)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME], command[1024];

	machine_joins(s, &m, "kiosk");
	posted(s, &m, 1, path);
	snprintf(command, sizeof(command),
		 "cp depot/%s whole; printf X | dd of=depot/%s bs=1"
		 " conv=notrunc 2>/dev/null",
		 path, path);
	cr_assert_eq(scratch_run(dir, command), 0);
	cr_assert_eq(collected(s).incomplete, 1);
	clock_set(SERVER_NOW + 600);
	cr_assert_eq(collected(s).incomplete, 1);
	snprintf(command, sizeof(command), "cp whole depot/%s", path);
	cr_assert_eq(scratch_run(dir, command), 0);
	clock_set(SERVER_NOW + 1199);
	cr_assert_eq(collected(s).receipts, 0, "same size, so not looked at yet");
	clock_set(SERVER_NOW + 1200);
	cr_assert_eq(collected(s).receipts, 1);
}

Test(collect, ignores_litter_and_what_is_not_a_file)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char id[] = "00112233445566778899aabbccddeeff", command[1024];
	char good[] = "0123456789abcdef0123456789abcdef";
	struct collect_counts n;

	snprintf(command, sizeof(command),
		 "mkdir -p depot/inbox/%02x depot/inbox/zz depot/inbox/AA && cd depot/inbox/%02x &&"
		 " echo x > README.TXT; echo x > .%s-1-%s.receipt; echo x > ._a; mkdir sub;"
		 " echo x > %s-01-%s.receipt; ln -s /etc/passwd %s-1-%s.receipt;"
		 " mkfifo %s-2-%s.receipt; echo x > ../%s-3-%s.receipt; echo x > %s-4-%s.bundle",
		 shard_of(id), shard_of(id), id, good, id, good, id, good, id, good, id, good, id,
		 good);
	cr_assert_eq(scratch_run(dir, command), 0);
	n = collected(s);
	cr_assert_eq(n.files, 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event"), 0);
	cr_assert_eq(scratch_run(dir, "test -L depot/inbox/*/*-1-*.receipt"), 0);
}

static void junk(const char *id, uint64_t number, const char *text, const char *extension)
{
	char path[DEPOT_NAME];

	inbox_put(id, number, bytes_of(text), extension, path);
}

/* what_events_say(s, where): text and claim of the events that fit, "text|claim;" each. */
static void what_events_say(struct site *s, const char *sql, char *dst, size_t size)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct err err = {0};
	size_t n = 0;

	must(db_query(s->db, sql, &st, &err));
	dst[0] = '\0';
	while (db_step(s->db, st, &err) == 1)
		n += (size_t)snprintf(dst + n, size - n, "%s: %s|%s;", db_text(st, 0),
				      db_text(st, 1), db_text(st, 2));
}

#define SENTENCE "clone suspected: revoke kiosk now"

/* Anybody may name a file after a workstation, and seal what they like to the collect key. */
Test(collect, what_a_stranger_wrote_is_never_a_word_of_the_server_or_of_a_workstation)
{
	static const char request[] = "satchel: request/1\n\"" SENTENCE "\": x\n";
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	char path[DEPOT_NAME], said[1024], expected[1024];

	machine_joins(s, &m, "kiosk");
	sealed_by(s, thief.sign, bytes_of(request), &sealed);
	inbox_put(m.id, 9, bytes_in(&sealed), "request", path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE about = 'kiosk' AND kind"
				      " <> 'enrolled'"),
		     0);
	what_events_say(s, "SELECT about, text, claim FROM event WHERE kind = 'malformed'", said,
			sizeof(said));
	snprintf(expected, sizeof(expected),
		 "strangers: a request in the name of machine %.8s: %s|", m.id,
		 rc_text(RC_MALFORMED));
	cr_assert_eq(strncmp(said, expected, strlen(expected)), 0, "%s", said);
	cr_assert_not_null(strstr(said + strlen(expected), SENTENCE), "%s", said);
}

Test(collect, what_a_workstation_signed_and_nobody_can_read_is_its_own_word)
{
	static const char receipt[] = "satchel: receipt/1\n\"" SENTENCE "\": x\n";
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	char path[DEPOT_NAME], said[1024], expected[1024];

	machine_joins(s, &m, "kiosk");
	sealed_by(s, m.sign, bytes_of(receipt), &sealed);
	inbox_put(m.id, 9, bytes_in(&sealed), "receipt", path);
	cr_assert_eq(collected(s).refused, 1);
	what_events_say(s, "SELECT about, text, claim FROM event WHERE kind = 'malformed'", said,
			sizeof(said));
	snprintf(expected, sizeof(expected),
		 "kiosk: kiosk signed a receipt that cannot be read: %s|", rc_text(RC_MALFORMED));
	cr_assert_eq(strncmp(said, expected, strlen(expected)), 0, "%s", said);
	cr_assert_not_null(strstr(said + strlen(expected), SENTENCE), "%s", said);
}

Test(collect, turns_a_flood_of_junk_into_one_event)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME], text[64], id[WORKSTATION_ID + 1];
	struct collect_counts n;

	machine_joins(s, &m, "kiosk");
	for (uint64_t i = 1; i <= 300; i++) {
		snprintf(text, sizeof(text), "junk %d", (int)i);
		junk(m.id, i, text, i % 2 == 0 ? "receipt" : "request");
	}
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "%032x", i);
		junk(id, 1, "junk", "receipt");
	}
	posted(s, &m, 7, path);
	n = collected(s);
	cr_assert_eq(n.refused, 320);
	cr_assert_eq(n.receipts, 1, "the good one among them is found");
	cr_assert_eq(server_number(s, "SELECT count FROM event WHERE kind = 'malformed'"), 320);
	cr_assert_eq(server_number(s, "SELECT count FROM event WHERE about = 'strangers'"), 320,
		     "whoever the name names");
	cr_assert_eq(collected(s).files, 0);
}

/* A run with less of everything. */
static struct collect_counts small_run(struct site *s, uint64_t budget, uint32_t names_max)
{
	struct collect c = {.s = s,
			    .now = SERVER_NOW,
			    .budget = budget,
			    .names_max = names_max,
			    .unsealer = {.child = CHILD_INIT},
			    .parser = YAML_CHILD_INIT};
	struct err err = {0};

	must(unsealer_start(&c.unsealer, s, &err));
	must(depot_open(depot_dir, DEPOT_WRITE, 10, &c.depot, &err));
	must(collect_inbox(&c, &err));
	unsealer_end(&c.unsealer);
	yaml_child_end(&c.parser);
	depot_free(c.depot);
	event_counts_clear(&c.event_counts);
	return c.counts;
}

/* A run whose depot may list only so many entries. */
static int short_run(struct site *s, uint64_t entries, struct collect_counts *ret)
{
	struct collect c = {.s = s,
			    .now = SERVER_NOW,
			    .budget = 1000,
			    .names_max = 100,
			    .unsealer = {.child = CHILD_INIT},
			    .parser = YAML_CHILD_INIT};
	struct err err = {0};
	int rc;

	must(unsealer_start(&c.unsealer, s, &err));
	must(depot_open(depot_dir, DEPOT_WRITE, 10, &c.depot, &err));
	c.depot->budget.entries = entries;
	rc = collect_inbox(&c, &err);
	unsealer_end(&c.unsealer);
	yaml_child_end(&c.parser);
	depot_free(c.depot);
	event_counts_clear(&c.event_counts);
	*ret = c.counts;
	return rc;
}

/* Files that are not whole and stay, under names that anybody can make up. */
static void torn_files(const char *id, unsigned n)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "mkdir -p depot/inbox/%02x && cd depot/inbox/%02x && for i in $(seq %u); do"
		 " echo x > %s-$i-$(printf %%032d $i).receipt; done",
		 shard_of(id), shard_of(id), n, id);
	cr_assert_eq(scratch_run(dir, command), 0);
}

Test(collect, finds_receipts_behind_more_names_than_it_holds)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME];

	machine_joins(s, &m, "kiosk");
	for (uint64_t i = 1001; i <= 1008; i++)
		posted(s, &m, i, path);
	torn_files(m.id, 24);
	for (int run = 0; run < 200; run++)
		small_run(s, 1000, 8);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_seen WHERE sequence = 1008"),
		     1);
	cr_assert_eq(scratch_run(dir, "test $(find depot/inbox -name '*-100*' | wc -l) = 0"), 0,
		     "one of them was never looked at");
}

Test(collect, begins_the_next_run_where_the_last_one_ended)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), before = machine_new();
	char path[DEPOT_NAME];

	while (shard_of(before.id) >= shard_of(m.id)) {
		machine_clear(&before);
		machine_clear(&m);
		before = machine_new();
		m = machine_new();
	}
	machine_joins(s, &m, "kiosk");
	torn_files(before.id, 2);
	torn_files(m.id, 2);
	posted(s, &m, 7, path);
	cr_assert_eq(small_run(s, 3, 100).receipts, 0);
	cr_assert_eq(small_run(s, 3, 100).receipts, 1);
}

Test(collect, a_directory_that_costs_everything_does_not_keep_the_others_waiting)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), before = machine_new();
	struct collect_counts n;
	char path[DEPOT_NAME];

	while (shard_of(before.id) >= shard_of(m.id)) {
		machine_clear(&before);
		machine_clear(&m);
		before = machine_new();
		m = machine_new();
	}
	machine_joins(s, &m, "kiosk");
	torn_files(before.id, 60);
	posted(s, &m, 7, path);
	cr_assert_eq(short_run(s, 40, &n), RC_TIMEOUT);
	cr_assert_eq(n.receipts, 0);
	short_run(s, 40, &n);
	cr_assert_eq(n.receipts, 1);
}

Test(collect, refuses_oversized_files_without_reading_them)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	char id[] = "00112233445566778899aabbccddeeff", command[256];
	char digest[] = "0123456789abcdef0123456789abcdef";

	snprintf(command, sizeof(command),
		 "mkdir -p depot/inbox/%02x; truncate -s 65537 depot/inbox/%02x/%s-1-%s.receipt;"
		 " truncate -s 8193 depot/inbox/%02x/%s-1-%s.request",
		 shard_of(id), shard_of(id), id, digest, shard_of(id), id, digest);
	cr_assert_eq(scratch_run(dir, command), 0);
	cr_assert_eq(collected(s).refused, 2);
	cr_assert_eq(server_events(s, "limit"), 2);
	cr_assert_eq(scratch_run(dir, "test -z \"$(find depot/inbox -type f)\""), 0);
}

Test(collect, reads_what_was_sealed_to_a_retired_key)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME];
	struct err err = {0};

	machine_joins(s, &m, "kiosk");
	posted(s, &m, 1, path);
	cr_assert_eq(trust_change_rotate(s, ROLE_COLLECT, KEY_RETIRED, NULL, &err), 1, "%s",
		     err.text);
	posted(s, &m, 2, path);
	cr_assert_eq(collected(s).receipts, 2);
	cr_assert_eq(scratch_run(dir, "rm site.state/keys/collect.*"), 0);
	s = site_free(s);
	s = server_open(SITE_LOCK);
	posted(s, &m, 3, path);
	cr_assert_eq(collected(s).receipts, 1);
}

/* Root may do anything, so become somebody else; but only root may remove the directory of the test
 * where /dev/shm is not open to everybody. */
static struct site *as_nobody(struct site *s)
{
	if (geteuid() != 0)
		return s;
	s = site_free(s);
	cr_assert_eq(scratch_run(dir, "chown -R 65534:65534 ."), 0);
	cr_assert_eq(setresgid(65534, 65534, 65534), 0);
	cr_assert_eq(setresuid(65534, 65534, 0), 0);
	return server_open(SITE_LOCK);
}

static void root_again(void)
{
	cr_assert(seteuid(0) == 0 || getuid() == geteuid());
}

Test(collect, a_directory_that_cannot_be_read_does_not_keep_the_others_waiting, .fini = root_again)
{
	OWNED(site_freep) struct site *s = as_nobody(server_open(SITE_LOCK));
	OWNED(machine_clear) struct machine m = machine_new();
	struct collect_counts n = {0};
	char path[DEPOT_NAME], command[256];
	struct err err = {0};

	while (shard_of(m.id) == 0) {
		machine_clear(&m);
		m = machine_new();
	}
	machine_joins(s, &m, "kiosk");
	posted(s, &m, 1, path);
	snprintf(command, sizeof(command), "mkdir depot/inbox/00 && chmod 0 depot/inbox/00");
	cr_assert_eq(scratch_run(dir, command), 0);
	cr_assert_eq(collect_site(s, &n, &err), RC_IO, "that one is told: %s", err.text);
	cr_assert_eq(n.receipts, 1);
	cr_assert_eq(sequence(s), 1);
}

Test(collect, records_although_the_depot_cannot_be_cleaned_and_does_not_record_twice,
     .fini = root_again)
{
	OWNED(site_freep) struct site *s = as_nobody(server_open(SITE_LOCK));
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME], command[256];
	struct receipt r;
	struct collect_counts n;

	machine_joins(s, &m, "kiosk");
	r = machine_receipt(s, &m, 1);
	receipt_post(s, &m, &r, path);
	junk(m.id, 2, "junk", "receipt");
	snprintf(command, sizeof(command), "chmod 500 depot/inbox/%02x", shard_of(m.id));
	cr_assert_eq(scratch_run(dir, command), 0);
	n = collected(s);
	cr_assert_eq(n.receipts + n.refused, 2);
	cr_assert(inbox_has(path));
	n = collected(s);
	cr_assert_eq(n.known, 2);
	cr_assert_eq(n.receipts + n.refused, 0);
	snprintf(command, sizeof(command), "chmod 700 depot/inbox/%02x", shard_of(m.id));
	cr_assert_eq(scratch_run(dir, command), 0);
	cr_assert_eq(collected(s).known, 2);
	cr_assert_not(inbox_has(path));
}

Test(collect, knows_a_refused_file_that_stayed_behind_by_its_name)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME];
	struct err err = {0};
	struct collect_counts n;

	machine_joins(s, &m, "kiosk");
	inbox_put(m.id, 2, bytes_of("junk"), "receipt", path);
	/* What a run leaves that died after its commit. */
	must(db_run(s->db, &err,
		    "INSERT INTO inbox(path, done, first, again, size, reported)"
		    " VALUES(?1, 1, 0, 0, 4, 0)",
		    "t", path));
	n = collected(s);
	cr_assert_eq(n.known, 1);
	cr_assert_eq(n.refused, 0);
	cr_assert_not(inbox_has(path));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM inbox"), 0);
}

Test(collect, leaves_a_request_in_the_depot_while_too_many_wait)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct request r = machine_request(s, &m, NULL);
	char path[DEPOT_NAME];
	struct err err = {0};

	must(db_exec(
	    s->db,
	    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
	    " INSERT INTO pending_request SELECT 'x' || i, '', x'', 0, x'', 0, 0, '' FROM n",
	    &err));
	request_post(s, &m, &r, path);
	cr_assert_eq(collected(s).incomplete, 1);
	cr_assert(inbox_has(path));
	must(db_exec(s->db, "DELETE FROM pending_request", &err));
	cr_assert_eq(collected(s).known, 1);
	cr_assert_not(inbox_has(path));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM pending_request"), 1);
}

Test(collect, counts_a_request_to_have_a_channel_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	struct machine forger = {.sign = thief.sign, .seal = thief.seal};
	struct request r = {.site = s->id,
			    .kind = "resend",
			    .sequence = 2,
			    .written = SERVER_NOW,
			    .channel = "office",
			    .generation = 3};
	char path[DEPOT_NAME];

	machine_joins(s, &m, "kiosk");
	memcpy(forger.id, m.id, sizeof(m.id));
	memcpy(r.workstation, m.id, sizeof(m.id));
	request_post(s, &m, &r, path);
	cr_assert_eq(collected(s).requests, 1);
	request_post(s, &forger, &r, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(server_events(s, "resend"), 1);
	cr_assert_eq(server_events(s, "forged"), 1);
}

/* The child */

Test(collect, opens_files_in_a_process_that_is_started_again_when_it_dies)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(opened_clear) struct opened first = {0}, second = {0}, third = {0};
	OWNED(buf_clear) struct buf inner = BUF_INIT;
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	static uint8_t deadly[LIMIT_RECEIPT + 1]; /* more than it takes: it ends */
	struct unsealer o = {.child = CHILD_INIT};
	struct receipt r = machine_receipt(s, &m, 1);
	struct err err = {0};

	must(receipt_encode(&r, NULL, &inner, &err));
	sealed_by(s, m.sign, bytes_in(&inner), &sealed);
	must(unsealer_start(&o, s, &err));
	kill(o.child.pid, SIGKILL);
	must(unsealer_ask(&o, bytes_in(&sealed), &first, &err));
	cr_assert_eq(first.rc, 0, "killed by somebody else: %s", first.why);
	must(unsealer_ask(&o, (struct bytes){deadly, sizeof(deadly)}, &second, &err));
	cr_assert_eq(second.rc, RC_MALFORMED, "that file is refused");
	cr_assert_eq(o.deaths, 3);
	must(unsealer_ask(&o, bytes_in(&sealed), &third, &err));
	cr_assert_eq(third.rc, 0, "%s", third.why);
	cr_assert_gt(third.doc.n, inner.n);
	unsealer_end(&o);
}

Test(collect, opens_files_where_nothing_else_can_be_done)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct unsealer o = {.child = CHILD_INIT};
	char command[256];
	struct err err = {0};

	must(unsealer_start(&o, s, &err));
	snprintf(
	    command, sizeof(command),
	    "grep -q 'NoNewPrivs:.1' /proc/%d/status && grep -q 'Seccomp:.2' /proc/%d/status &&"
	    " test $(ls /proc/%d/fd | wc -l) -le 4",
	    o.child.pid, o.child.pid, o.child.pid);
	cr_assert_eq(scratch_run(dir, command), 0, "not confined, or with more than its socket");
	unsealer_end(&o);
}

/* A process that parses and was taken over by an earlier document: it says what it was told to. */
struct lie {
	uint8_t type;
	struct bytes body;
};

static int liar(void *arg, int fd)
{
	const struct lie *lie = arg;
	OWNED(buf_clear) struct buf in = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	while (frame_receive(fd, LIMIT_DOCUMENT, -1, &type, &in, &err) == 1)
		if (frame_send(fd, lie->type, lie->body, &err) < 0)
			return 1;
	return 0;
}

static struct yaml_child taken_over(struct lie *lie)
{
	struct yaml_child p = YAML_CHILD_INIT;
	struct err err = {0};

	must(child_start(liar, lie, NULL, 0, &p.child, &err));
	p.answered = 1;
	return p;
}

static void layout_of(const struct receipt *r, struct buf *inner, struct buf *layout)
{
	OWNED(yaml_freep) struct yaml *y = NULL;
	struct err err = {0};

	must(receipt_encode(r, NULL, inner, &err));
	must(yaml_decode(bytes_in(inner), LIMIT_RECEIPT, schema_find("receipt/1"), "", &y, &err));
	must(yaml_pack(y, layout, &err));
}

Test(collect, what_a_document_made_of_its_parser_is_not_said_of_another)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf inner = BUF_INIT, other = BUF_INIT;
	OWNED(buf_clear) struct buf truth = BUF_INIT, forged = BUF_INIT;
	struct receipt r = machine_receipt(s, &m, 7);
	struct lie lies[3];

	layout_of(&r, &inner, &truth);
	r.sequence = 1000;
	layout_of(&r, &other, &forged);
	lies[0] = (struct lie){'y', bytes_in(&forged)};
	lies[1] = (struct lie){'-', bytes_of("\1\0\0\0it is bad")};
	lies[2] = (struct lie){'y', bytes_of("nonsense")};
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		OWNED(receipt_clear) struct receipt got = {0};
		struct yaml_child p = taken_over(&lies[i]);
		struct err why = {0}, err = {0};

		cr_expect_eq(parse_receipt(&p, bytes_in(&inner), &got, &why, &err), 1, "%s%s",
			     why.text, err.text);
		cr_expect_eq(got.sequence, 7);
		yaml_child_end(&p);
	}
}

Test(collect, what_is_exactly_the_text_costs_no_new_process)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf inner = BUF_INIT, layout = BUF_INIT;
	struct receipt r = machine_receipt(s, &m, 7);
	struct yaml_child p = YAML_CHILD_INIT;
	struct receipt again;
	struct err why = {0}, err = {0};

	layout_of(&r, &inner, &layout);
	for (int i = 0; i < 3; i++) {
		OWNED(receipt_clear) struct receipt got = {0};

		cr_assert_eq(parse_receipt(&p, bytes_in(&inner), &got, &why, &err), 1);
	}
	cr_assert_eq(p.answered, 3);
	must(buf_text(&inner, "# another form\n", &err));
	again = (struct receipt){0};
	cr_assert_eq(parse_receipt(&p, bytes_in(&inner), &again, &why, &err), 1, "%s", why.text);
	cr_assert_eq(again.sequence, 7);
	cr_assert_eq(p.answered, 1, "read by one that has read nothing else");
	receipt_clear(&again);
	yaml_child_end(&p);
}

Test(collect, gives_up_when_the_process_ends_again_and_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	static uint8_t deadly[LIMIT_RECEIPT + 1];
	struct unsealer o = {.child = CHILD_INIT};
	struct err err = {0};
	int rc = 0;

	must(unsealer_start(&o, s, &err));
	for (int i = 0; rc == 0 && i < 100; i++) {
		OWNED(opened_clear) struct opened got = {0};

		rc = unsealer_ask(&o, (struct bytes){deadly, sizeof(deadly)}, &got, &err);
	}
	cr_assert_eq(rc, RC_INTERNAL, "so many crashes are not the fault of one file");
	unsealer_end(&o);
}

Test(collect, opens_nothing_that_is_sealed_to_somebody_else_or_altered)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(buf_clear) struct buf sealed = BUF_INIT;
	struct key_public to = key_public_of(m.seal);
	struct unsealer o = {.child = CHILD_INIT};
	struct err err = {0};

	must(sealed_make(&to, bytes_of("x"), &sealed, &err));
	must(unsealer_start(&o, s, &err));
	for (size_t i = 0; i < 2; i++) {
		OWNED(opened_clear) struct opened got = {0};

		must(unsealer_ask(&o, bytes_in(&sealed), &got, &err));
		cr_assert_eq(got.rc, i == 0 ? RC_ADDRESSEE : RC_UNTRUSTED, "%s", got.why);
		cr_assert_eq(got.doc.n, 0);
		buf_reset(&sealed);
		must(sealed_make(trust_collect(&s->trust), bytes_of("x"), &sealed, &err));
		sealed.p[sealed.n - 1] ^= 1;
	}
	unsealer_end(&o);
}
