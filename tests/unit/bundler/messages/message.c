/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/messages/message.h"
#include "bundler/site/site.h"
#include "tests/support/machine.h"

#define ANNA "anna@acme.example"
#define BOB  "bob@acme.example"
#define DAY  86400

static void setup(void)
{
	struct site_group groups[] = {{.name = "all-of-it"},
				      {.name = "design", .parent = "all-of-it"}};
	struct site_user users[] = {{.email = ANNA, .group = "design"},
				    {.email = BOB, .group = "all-of-it"}};
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};

	server_make();
	s = server_open(SITE_LOCK);
	must(site_group_write(s, &groups[0], &err));
	must(site_group_write(s, &groups[1], &err));
	must(site_users_write(s, users, 2, 0, &err));
}

TestSuite(message, .init = setup, .fini = server_teardown);

static void active(struct site *s, const struct machine *m, const char *email, const char *account)
{
	struct err err = {0};

	must(db_run(s->db, &err,
		    "INSERT INTO activation(id, email, account, state, at, code)"
		    " VALUES(?1, ?2, ?3, 'active', 0, '')",
		    "ttt", m->id, email, account));
}

static char sent[MESSAGE_ID + 1]; /* the id of the last one */

/* to(s, who): how many copies a notice has. */
static uint64_t to(struct site *s, const char *who)
{
	struct message_draft draft = {
	    .who = who, .subject = "hello", .text = "first\n\nthird", .days = 30};
	struct err err = {0};
	uint64_t n = 0;

	must(message_send(s, &draft, sent, &n, &err));
	return n;
}

static uint64_t command(struct site *s, const char *who)
{
	struct message_draft draft = {
	    .who = who, .subject = "run", .command = "hook", .argument = "backup", .days = 30};
	struct err err = {0};
	uint64_t n = 0;

	must(message_send(s, &draft, sent, &n, &err));
	return n;
}

static int refused(struct site *s, struct message_draft draft)
{
	struct err err = {0};
	uint64_t n = 0;

	return message_send(s, &draft, sent, &n, &err);
}

struct carried {
	struct message m[16];
	size_t n;
};

static int carried_take(void *arg, const struct message *m, struct err *err)
{
	struct carried *c = arg;

	c->m[c->n] = *m;
	c->m[c->n++].text = NULL;
	return 0;
}

/* carried(s, m): what is to be in its private channel; each is a document that can be written. */
static struct carried carried(struct site *s, const struct machine *m)
{
	struct carried c = {.n = 0};
	struct err err = {0};

	must(message_each(s, m->id, carried_take, &c, &err));
	for (size_t i = 0; i < c.n; i++) {
		OWNED(buf_clear) struct buf text = BUF_INIT;

		must(message_encode(&c.m[i], &text, &err));
	}
	return c;
}

static int told_count(void *arg, const char *id, struct err *err)
{
	(*(int *)arg)++;
	return 0;
}

static int swept(struct site *s)
{
	struct err err = {0};
	int n = 0;

	must(message_sweep(s, told_count, &n, &err));
	return n;
}

/* said(s, m, number, e): one event in a receipt, through the inbox. */
static void said(struct site *s, const struct machine *m, uint64_t number, struct receipt_event e)
{
	struct receipt r = machine_receipt(s, m, number);
	struct collect_counts n;
	char path[DEPOT_NAME];
	struct err err = {0};

	e.number = number;
	e.at = SERVER_NOW - 5;
	r.event = &e;
	r.events = 1;
	r.private_epoch = 1;
	r.private_generation = number;
	receipt_post(s, m, &r, path);
	must(collect_site(s, &n, &err));
	cr_assert_eq(n.receipts, 1);
}

static struct receipt_event about(const char *kind, const char *id, const char *user)
{
	struct receipt_event e = {.text = "said so"};

	snprintf(e.kind, sizeof(e.kind), "%s", kind);
	snprintf(e.about, sizeof(e.about), "%s", id);
	snprintf(e.user, sizeof(e.user), "%s", user);
	return e;
}

Test(message, goes_to_whom_the_address_names_when_it_is_sent)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new();

	machine_enrol(s, &a, "a");
	machine_enrol(s, &b, "b");
	active(s, &a, ANNA, "anna");
	active(s, &b, ANNA, "anna");
	active(s, &b, BOB, "bob");
	cr_assert_eq(to(s, "a"), 1);
	cr_assert_eq(to(s, "all"), 2);
	cr_assert_eq(to(s, ANNA), 2);
	cr_assert_eq(to(s, BOB), 1);
	cr_assert_eq(to(s, "group:design"), 2, "Anna, on both");
	cr_assert_eq(to(s, "group:all-of-it"), 3, "the groups inside as well");
	cr_assert_eq(command(s, "group:all-of-it"), 2, "a command goes to each workstation once");
	cr_assert_eq(command(s, "b"), 1);
	cr_assert_eq(carried(s, &a).n, 6);
	cr_assert_eq(carried(s, &b).n, 8);
}

Test(message, is_refused_when_nobody_would_get_it_or_nothing_can_hold_it)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine a = machine_new();
	char line[600];
	struct message_draft good = {.who = "a", .subject = "hello", .days = 30}, bad;

	machine_enrol(s, &a, "a");
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	bad = good;
	bad.who = "b";
	cr_assert_eq(refused(s, bad), RC_USAGE, "no such workstation");
	bad.who = "group:nobody";
	cr_assert_eq(refused(s, bad), RC_USAGE);
	bad.who = "eve@acme.example";
	cr_assert_eq(refused(s, bad), RC_USAGE, "no such user");
	bad.who = ANNA;
	cr_assert_eq(refused(s, bad), RC_USAGE, "active nowhere");
	bad = good;
	bad.subject = line;
	cr_assert_eq(refused(s, bad), RC_USAGE);
	bad = good;
	bad.text = line;
	cr_assert_eq(refused(s, bad), RC_USAGE);
	bad = good;
	bad.days = 0;
	cr_assert_eq(refused(s, bad), RC_USAGE);
	bad.days = 3651;
	cr_assert_eq(refused(s, bad), RC_USAGE);
	bad = good;
	bad.command = "format-disk";
	cr_assert_eq(refused(s, bad), RC_USAGE);
	bad.command = "hook";
	cr_assert_eq(refused(s, bad), RC_USAGE, "which one?");
	bad.argument = "../x";
	cr_assert_eq(refused(s, bad), RC_USAGE);
	cr_assert_eq(server_number(s, "SELECT (SELECT count(*) FROM message) + (SELECT count(*)"
				      " FROM message_to)"),
		     0, "nothing of it is left");
	cr_assert_eq(refused(s, good), 0);
}

Test(message, gives_two_users_of_one_workstation_documents_of_their_own)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine a = machine_new();
	struct carried c;

	machine_enrol(s, &a, "a");
	active(s, &a, ANNA, "anna");
	active(s, &a, BOB, "bob");
	cr_assert_eq(to(s, "group:all-of-it"), 2);
	c = carried(s, &a);
	cr_assert_eq(c.n, 2);
	cr_assert_lt(strcmp(c.m[0].id, c.m[1].id), 0, "ascending by the name of the document");
	cr_assert_str_neq(c.m[0].user, c.m[1].user);
	cr_assert_str_neq(c.m[0].id, sent);
	cr_assert_eq(to(s, "a"), 1);
	c = carried(s, &a);
	for (size_t i = 0; i < c.n; i++) {
		if (c.m[i].user[0] == '\0')
			cr_assert_str_eq(c.m[i].id, sent);
	}
}

Test(message, waits_while_its_user_is_not_active_there)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine a = machine_new();
	struct err err = {0};

	machine_enrol(s, &a, "a");
	active(s, &a, ANNA, "anna");
	cr_assert_eq(to(s, ANNA), 1);
	must(db_exec(s->db, "UPDATE activation SET state = 'deactivated'", &err));
	cr_assert_eq(carried(s, &a).n, 0);
	must(message_carried(s, a.id, 1, 1, &err));
	cr_assert_eq(server_number(s, "SELECT max(generation) FROM message_to"), 0);
	must(db_exec(s->db, "UPDATE activation SET state = 'active'", &err));
	cr_assert_eq(carried(s, &a).n, 1);
}

Test(message, is_followed_until_it_is_delivered_read_and_answered)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine a = machine_new();
	struct err err = {0};
	char id[MESSAGE_ID + 1];

	machine_enrol(s, &a, "a");
	active(s, &a, ANNA, "anna");
	to(s, ANNA);
	snprintf(id, sizeof(id), "%s", carried(s, &a).m[0].id);
	must(message_carried(s, a.id, 1, 2, &err));
	said(s, &a, 1, about("clock", "", ""));
	said(s, &a, 2, about("read", id, ANNA));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_to WHERE read > 0 AND"
				      " answered = 0 AND epoch = 1 AND generation = 2"),
		     1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_in"), 0);
	said(s, &a, 3, about("answer", id, ANNA));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_to WHERE answered > 0 AND"
				      " answer_kind = 'answer' AND answer = 'said so'"),
		     1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_in i JOIN message m ON"
				      " m.id = i.about WHERE i.email = '" ANNA "' AND"
				      " i.kind = 'answer' AND i.at = 1799999995"),
		     1);
	said(s, &a, 4, about("report", "", ""));
	said(s, &a, 5, about("report", "", ANNA));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_in WHERE about = ''"), 2);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM event WHERE kind LIKE 'message%'"), 0);
}

Test(message, hears_only_those_whom_it_was_for)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new();
	struct err err = {0};
	char id[MESSAGE_ID + 1];

	machine_enrol(s, &a, "a");
	machine_enrol(s, &b, "b");
	active(s, &a, ANNA, "anna");
	active(s, &a, BOB, "bob");
	to(s, ANNA);
	snprintf(id, sizeof(id), "%s", carried(s, &a).m[0].id);
	must(message_carried(s, a.id, 1, 1, &err));
	said(s, &b, 1, about("read", id, ANNA));
	said(s, &b, 2, about("answer", id, ""));
	said(s, &a, 1, about("answer", id, BOB));
	said(s, &a, 2, about("read", id, ""));
	said(s, &a, 3, about("answer", "0123456789abcdef", ANNA));
	said(s, &a, 4, about("report", "", "eve@acme.example"));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_to WHERE read + answered > 0"),
		     0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_in"), 0);
	cr_assert_eq(server_events(s, "message-foreign"), 6);
	cr_assert_eq(server_number(s, "SELECT sum(sequence) FROM receipt"), 6,
		     "the receipts count all the same");
	to(s, "a");
	said(s, &a, 5, about("answer", sent, BOB));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_in WHERE email = '" BOB "'"), 1,
		     "what is for the workstation, anybody there may answer");
}

Test(message, keeps_what_one_workstation_says_within_bounds)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new();
	struct receipt_event e = about("report", "", "");
	struct err err = {0};

	machine_enrol(s, &a, "a");
	machine_enrol(s, &b, "b");
	e.number = 1;
	cr_assert_eq(message_receive(s, b.id, &e, &err), 1);
	for (e.number = 1; e.number <= 250; e.number++)
		cr_assert_eq(message_receive(s, a.id, &e, &err), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_in"), 201);
	cr_assert_eq(server_number(s, "SELECT min(event) FROM message_in WHERE number > 1"), 51);
}

Test(message, leaves_a_private_channel_when_it_was_withdrawn_expired_or_read)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine a = machine_new();
	struct err err = {0};
	char id[MESSAGE_ID + 1];

	machine_enrol(s, &a, "a");
	to(s, "a");
	to(s, "a");
	snprintf(id, sizeof(id), "%s", sent);
	to(s, "a");
	must(message_withdraw(s, sent, id, &err));
	cr_assert_eq(carried(s, &a).n, 3, "not before publish asks");
	cr_assert_eq(swept(s), 1);
	cr_assert_eq(carried(s, &a).n, 2);
	cr_assert_eq(swept(s), 0);
	said(s, &a, 1, about("read", carried(s, &a).m[0].id, ""));
	clock_set(SERVER_NOW + 7 * DAY - 1);
	cr_assert_eq(swept(s), 0);
	clock_set(SERVER_NOW + 7 * DAY);
	cr_assert_eq(swept(s), 1);
	cr_assert_eq(carried(s, &a).n, 1);
	clock_set(SERVER_NOW + 30 * DAY - 1);
	cr_assert_eq(swept(s), 0);
	clock_set(SERVER_NOW + 30 * DAY);
	cr_assert_eq(swept(s), 1);
	cr_assert_eq(carried(s, &a).n, 0);
	clock_set(SERVER_NOW);
	cr_assert_eq(swept(s), 0);
	cr_assert_eq(carried(s, &a).n, 0, "and does not come back with the clock");
	cr_assert_eq(message_withdraw(s, "0123", id, &err), RC_USAGE);
	cr_assert_eq(message_withdraw(s, "xyz", id, &err), RC_USAGE);
}

static int all_count(void *arg, const struct message *m, struct err *err)
{
	(*(int *)arg)++;
	return 0;
}

Test(message, takes_no_more_into_a_private_channel_than_a_workstation_reads)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine a = machine_new();
	struct err err = {0};
	int n = 0;

	machine_enrol(s, &a, "a");
	must(db_exec(
	    s->db,
	    "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 600)"
	    " INSERT INTO message(id, at, kind, subject, text, command, argument, activation,"
	    " addressed, expires) SELECT printf('%016x', i), i, 'notice', 's', '', '', '', '',"
	    " 'a', 1900000000 FROM n",
	    &err));
	must(db_run(s->db, &err,
		    "INSERT INTO message_to(message, id, email, copy) SELECT id, ?1, '', id"
		    " FROM message",
		    "t", a.id));
	must(message_each(s, a.id, all_count, &n, &err));
	cr_assert_eq(n, 500);
	must(message_carried(s, a.id, 1, 1, &err));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_to WHERE generation = 1"), 500);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM message_to WHERE generation = 1 AND"
				      " message > printf('%016x', 100)"),
		     500, "the newest");
}

/* The list */

struct listed {
	struct message_row row[8];
	size_t n;
};

static int listed_take(void *arg, const struct message_row *row, struct err *err)
{
	struct listed *l = arg;

	l->row[l->n++] = *row;
	return 0;
}

static struct listed listed(struct site *s, const char *which, unsigned max)
{
	struct listed l = {.n = 0};
	struct err err = {0};

	must(message_list(s, which, max, listed_take, &l, &err));
	return l;
}

static int copy_take(void *arg, const struct message_copy *c, struct err *err)
{
	cr_assert_str_eq(c->workstation, "a");
	cr_assert(c->published && c->delivered);
	cr_assert_neq(c->read, 0);
	cr_assert_str_eq(c->answer, "said so");
	(*(int *)arg)++;
	return 0;
}

Test(message, lists_both_directions_newest_first)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new();
	struct listed l;
	struct err err = {0};
	int copies = 0;

	machine_enrol(s, &a, "a");
	machine_enrol(s, &b, "b");
	to(s, "all");
	must(message_carried(s, a.id, 1, 2, &err));
	clock_set(SERVER_NOW + 10);
	said(s, &a, 1, about("report", "", ""));
	l = listed(s, NULL, 9);
	cr_assert_eq(l.row[1].to, 2);
	cr_assert_eq(l.row[1].delivered, 0, "it has confirmed an older private generation");
	clock_set(SERVER_NOW + 20);
	said(s, &a, 2, about("answer", sent, ""));
	clock_set(SERVER_NOW + 30);
	command(s, "b");
	l = listed(s, NULL, 9);
	cr_assert_eq(l.n, 4);
	cr_assert_str_eq(l.row[0].id, sent);
	cr_assert_str_eq(l.row[0].argument, "backup");
	cr_assert_str_eq(l.row[1].id, "r2");
	cr_assert(l.row[1].incoming);
	cr_assert_str_eq(l.row[1].about, l.row[3].id);
	cr_assert_str_eq(l.row[2].id, "r1");
	cr_assert_str_eq(l.row[3].subject, "hello");
	cr_assert_eq(l.row[3].delivered, 1);
	cr_assert_eq(l.row[3].read, 1);
	cr_assert_eq(l.row[3].answered, 1);
	cr_assert_eq(listed(s, NULL, 2).n, 2);
	cr_assert_eq(listed(s, "r1", 9).n, 1);
	l = listed(s, l.row[3].id, 9);
	cr_assert_eq(l.n, 1);
	must(db_run(s->db, &err, "DELETE FROM message_to WHERE id = ?1", "t", b.id));
	must(message_copies(s, l.row[0].id, 10, copy_take, &copies, &err));
	cr_assert_eq(copies, 1);
	must(message_seen(s, "r1", &err));
	cr_assert_neq(listed(s, "r1", 9).row[0].seen, 0);
	cr_assert_eq(listed(s, "r2", 9).row[0].seen, 0);
	cr_assert_eq(message_list(s, "r9", 9, listed_take, &l, &err), RC_USAGE);
	cr_assert_eq(message_list(s, "nonsense", 9, listed_take, &l, &err), RC_USAGE);
	cr_assert_eq(message_list(s, "0000", 9, listed_take, &l, &err), RC_USAGE);
}
