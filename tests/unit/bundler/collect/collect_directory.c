/* SPDX-License-Identifier: ISC */
/* Inboxes with files that are torn, junk, or not files, and too many of them. */

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "bundler/collect/collect_internal.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/registry/registry.h"
#include "bundler/trust/trust_change.h"
#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "tests/support/machine.h"

TestSuite(inbox, .init = server_make, .fini = server_teardown);

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

Test(inbox, leaves_a_torn_file_alone_until_it_is_complete)
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

Test(inbox, tries_an_incomplete_file_less_often_as_it_grows_old)
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

/* Preallocated, it keeps its size: nothing but the next try finds out that it is whole now. */
Test(inbox, tries_an_incomplete_file_again_that_a_clock_years_ahead_has_noted)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char path[DEPOT_NAME], command[1024];

	machine_joins(s, &m, "kiosk");
	posted(s, &m, 1, path);
	snprintf(command, sizeof(command),
		 "cp depot/%s whole; printf X | dd of=depot/%s bs=1 conv=notrunc 2>/dev/null", path,
		 path);
	cr_assert_eq(scratch_run(dir, command), 0);
	clock_set(3155760000); /* in 2070 */
	cr_assert_eq(collected(s).incomplete, 1);
	clock_set(3155760000 + 600);
	cr_assert_eq(collected(s).incomplete, 1);
	clock_set(SERVER_NOW);
	cr_assert_eq(collected(s).incomplete, 1);
	clock_set(SERVER_NOW + 86401);
	cr_assert_eq(collected(s).incomplete, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE kind = 'incomplete'"), 1,
		     "its age counts from the right clock on");
	snprintf(command, sizeof(command), "cp whole depot/%s", path);
	cr_assert_eq(scratch_run(dir, command), 0);
	clock_set(SERVER_NOW + 86401 + 3600);
	cr_assert_eq(collected(s).receipts, 1);
}

Test(inbox, ignores_litter_and_what_is_not_a_file)
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
Test(inbox, what_a_stranger_wrote_is_never_a_word_of_the_server_or_of_a_workstation)
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

Test(inbox, what_a_workstation_signed_and_nobody_can_read_is_its_own_word)
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

Test(inbox, turns_a_flood_of_junk_into_one_event)
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

Test(inbox, finds_receipts_behind_more_names_than_it_holds)
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

Test(inbox, begins_the_next_run_where_the_last_one_ended)
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

Test(inbox, a_directory_that_costs_everything_does_not_keep_the_others_waiting)
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

Test(inbox, refuses_oversized_files_without_reading_them)
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

Test(inbox, reads_what_was_sealed_to_a_retired_key)
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

Test(inbox, a_directory_that_cannot_be_read_does_not_keep_the_others_waiting, .fini = root_again)
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

Test(inbox, records_although_the_depot_cannot_be_cleaned_and_does_not_record_twice,
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

Test(inbox, knows_a_refused_file_that_stayed_behind_by_its_name)
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

Test(inbox, leaves_a_request_in_the_depot_while_too_many_wait)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct request r = machine_request(s, &m, NULL);
	char path[DEPOT_NAME];
	struct err err = {0};

	must(db_exec(
	    s->db,
	    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
	    " INSERT INTO pending_request SELECT 'x' || i, '', x'', 0, x'', 0, 0, '', NULL FROM n",
	    &err));
	request_post(s, &m, &r, path);
	cr_assert_eq(collected(s).incomplete, 1);
	cr_assert(inbox_has(path));
	must(db_exec(s->db, "DELETE FROM pending_request", &err));
	cr_assert_eq(collected(s).known, 1);
	cr_assert_not(inbox_has(path));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM pending_request"), 1);
}

Test(inbox, counts_a_request_to_have_a_channel_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	struct machine forger = {.sign = thief.sign, .seal = thief.seal};
	struct request r = {.site = s->id,
			    .kind = "resend",
			    .sequence = 2,
			    .written = SERVER_NOW,
			    .channel = "office",
			    .generation = 3,
			    .contents = 2};
	char path[DEPOT_NAME];

	machine_joins(s, &m, "kiosk");
	memcpy(forger.id, m.id, sizeof(m.id));
	memcpy(r.workstation, m.id, sizeof(m.id));
	request_post(s, &m, &r, path);
	cr_assert_eq(collected(s).requests, 1);
	request_post(s, &forger, &r, path);
	cr_assert_eq(collected(s).refused, 1);
	cr_assert_eq(server_events(s, "resend"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM resend WHERE channel = 'office'"
				      " AND length(contents) = 64"),
		     1);
	cr_assert_eq(server_events(s, "forged"), 1);
}
