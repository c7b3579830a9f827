/* SPDX-License-Identifier: ISC */
/*
 * What stays behind of a workstation, and of a user, that was removed: every column of text or
 * bytes of every table is searched, so that a table that is new is looked at too.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/activation/activation.h"
#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/enrolment/decommission.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/messages/message.h"
#include "bundler/publish/publish.h"
#include "bundler/removal/removal.h"
#include "tests/support/machine.h"

#define ANNA "anna@acme.example"

TestSuite(removal, .init = server_make, .fini = server_teardown);

/* What may stay: a column, and why. */
struct stays {
	const char *column, *why;
};

static const struct stays of_workstation[] = {
    {"workstation.id", "its keys may be enrolled again"},
    {"receipt.id", "old copies of its receipts are still old then"},
    {"receipt_seen.id", "and are told from a clone's"},
    {"confirmation.id", "old codes are still old then"},
    {"private.id", "the next generation has a higher number then"},
    {"private.path", "its bundle leaves the depot by this path"},
    {"outbox.path", "its bundle leaves the depot with the last beat that leads to it"},
    {"outbox.content", "so do the shards that list it"},
    {"retired.path", "which is noted here"},
    {"event.text", "events are the record of what happened"},
};

static const struct stays of_user[] = {
    {"message.addressed", "a message that was sent is kept as it was addressed"},
    {"message_to.email", "with what became of it"},
    {"message_in.email", "and what was answered"},
    {"private_history.people", "codes of earlier generations may still be typed"},
    {"event.text", "events are the record of what happened"},
    {"event.about", "events are the record of what happened"},
};

/* found(s, column, what): how many rows have it. */
static int64_t found(struct site *s, const char *table, const char *column, const char *what)
{
	sqlite3_stmt *st = NULL;
	char sql[512];
	int64_t n;

	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM \"%s\" WHERE instr(CAST(\"%s\" AS BLOB), CAST(?1 AS BLOB))",
		 table, column);
	cr_assert_eq(sqlite3_prepare_v2(db_handle(s->db), sql, -1, &st, NULL), SQLITE_OK, "%s",
		     sql);
	sqlite3_bind_text(st, 1, what, -1, SQLITE_STATIC);
	cr_assert_eq(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static bool may_stay(const struct stays *list, size_t n, const char *column)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].column, column) == 0)
			return true;
	return false;
}

/* search(s, what, list, n): the columns that hold ${what}; each must be in ${list}, NULL: any. */
static unsigned search(struct site *s, const char *what, const struct stays *list, size_t n)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	unsigned columns = 0;
	struct err err = {0};

	must(db_query(s->db,
		      "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c"
		      " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'"
		      " AND c.type IN ('TEXT', 'BLOB') ORDER BY 1, 2",
		      &st, &err));
	while (db_step(s->db, st, &err) == 1) {
		char column[128];

		if (found(s, db_text(st, 0), db_text(st, 1), what) == 0)
			continue;
		columns++;
		snprintf(column, sizeof(column), "%s.%s", db_text(st, 0), db_text(st, 1));
		cr_expect(list == NULL || may_stay(list, n, column), "%s stays in %s", what,
			  column);
	}
	return columns;
}

static void published(struct site *s)
{
	struct err err = {0};

	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

static void sent(struct site *s, const char *who)
{
	const struct message_draft draft = {.who = who, .subject = "Hello", .days = 9};
	char id[MESSAGE_ID + 1];
	uint64_t to;
	struct err err = {0};

	must(message_send(s, &draft, id, &to, &err));
}

/* said(s, m, number, user): a receipt that holds the newest private generation, and has Anna when
 * ${user}; she, or the machine itself, says something. */
static void said(struct site *s, const struct machine *m, uint64_t number, bool user)
{
	struct receipt r = machine_receipt(s, m, number);
	struct receipt_channel channel = {.name = "office", .result = "applied", .generation = 1};
	struct receipt_user anna = {.email = ANNA, .account = "anna", .result = "handed-out"};
	struct receipt_event event = {
	    .number = number, .at = SERVER_NOW, .kind = "report", .text = "all is well"};
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct collect_counts n;
	char path[DEPOT_NAME];
	struct err err = {0};

	must(db_query(s->db, "SELECT epoch, generation, tree FROM private WHERE id = ?1", &st,
		      &err));
	must(db_bind(st, &err, "t", m->id));
	cr_assert_eq(db_step(s->db, st, &err), 1);
	r.private_epoch = (uint64_t)db_i64(st, 0);
	r.private_generation = (uint64_t)db_i64(st, 1);
	cr_assert(db_digest(st, 2, &r.private_tree));
	db_done(&st);
	r.channel = &channel;
	r.channels = 1;
	r.user = &anna;
	r.users = user;
	r.event = &event;
	r.events = 1;
	if (user)
		snprintf(event.user, sizeof(event.user), "%s", ANNA);
	receipt_post(s, m, &r, path);
	must(collect_site(s, &n, &err));
	cr_assert_eq(n.receipts, 1);
}

/* lived(s, m): a workstation with a user, a key, messages both ways and receipts. */
static void lived(struct site *s, const struct machine *m)
{
	char product[] = "Drawing";
	struct site_licence licence = {.name = "cad", .product = product, .seats = 9};
	struct site_user user = {.email = ANNA, .licence = "cad"};
	char code[INVITE_TEXT + 1], activation[ACTIVATION_TEXT + 1], path[DEPOT_NAME];
	struct activation_code ignored;
	struct collect_counts n;
	struct request r;
	struct err err = {0};

	licence.from = INT64_MIN;
	licence.to = INT64_MAX;
	must(site_licence_write(s, &licence, &err));
	must(site_users_write(s, &user, 1, 0, &err));
	must(enrolment_invite(s, "kiosk", 7, code, &err));
	r = machine_request(s, m, code);
	request_post(s, m, &r, path);
	must(activation_code_make(s, ANNA, 3, 7, activation, &ignored, &err));
	must(collect_site(s, &n, &err));
	cr_assert_eq(n.enrolled, 1);
	r = machine_activation(s, m, activation, "anna");
	request_post(s, m, &r, path);
	must(collect_site(s, &n, &err));
	cr_assert_eq(n.activated, 1);
	sent(s, "kiosk");
	sent(s, ANNA);
	published(s);
	said(s, m, 3, true);
}

/* also(s, m): what takes more than a test can play. */
static void also(struct site *s, const struct machine *m)
{
	static const char *const sql[] = {
	    "INSERT INTO holding(id, name, version, epoch, generation) VALUES(?1, 'mail', 1, 1, 1)",
	    "INSERT INTO confirmation(id, sequence, recorded) VALUES(?1, 1, 1)",
	    "INSERT INTO pending_request VALUES(?1, 'x', zeroblob(32), 1, zeroblob(32), 1, 1, '', NULL)",
	    "INSERT INTO consignment VALUES('/media/stick', 1, 1, 1, 'kiosk', 1)",
	    "INSERT INTO consigned VALUES('/media/stick', ?1)",
	    "INSERT INTO counter VALUES('knock:' || ?1, 1)",
	};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(sql); i++)
		must(db_run(s->db, &err, sql[i], strstr(sql[i], "?1") != NULL ? "t" : "", m->id));
}

Test(removal, of_a_workstation_leaves_nothing_behind_but_what_is_listed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct err err = {0};

	lived(s, &m);
	also(s, &m);
	cr_assert_geq(search(s, m.id, NULL, 0), 22, "else this test has nothing to look for");
	must(decommission_lost(s, "kiosk", &err));
	must(removal_workstation(s, "kiosk", &err));
	published(s);
	site_freep(&s);
	s = server_open(SITE_LOCK);
	search(s, m.id, of_workstation, ARRAY_LEN(of_workstation));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_event"), 0);
	cr_assert_eq(removal_workstation(s, "kiosk", &err), RC_USAGE);
}

Test(removal, of_a_user_leaves_nothing_behind_but_what_is_listed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct err err = {0};

	lived(s, &m);
	cr_assert_geq(search(s, ANNA, NULL, 0), 9, "else this test has nothing to look for");
	must(removal_user(s, ANNA, &err));
	published(s);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM private_users"), 1,
		     "until the workstation has said that it holds nothing of hers");
	said(s, &m, 4, false);
	published(s);
	site_freep(&s);
	s = server_open(SITE_LOCK);
	search(s, ANNA, of_user, ARRAY_LEN(of_user));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM private_users"), 0);
	cr_assert_eq(removal_user(s, ANNA, &err), RC_USAGE);
}

Test(removal, of_a_user_forgets_what_a_lost_workstation_said_of_them)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct err err = {0};

	lived(s, &m);
	must(decommission_lost(s, "kiosk", &err));
	must(removal_user(s, ANNA, &err));
	published(s);
	cr_assert_eq(server_number(s, "SELECT (SELECT count(*) FROM receipt_user) +"
				      " (SELECT count(*) FROM private_users)"),
		     0);
}
