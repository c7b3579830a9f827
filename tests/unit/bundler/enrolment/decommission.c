/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/carry/carry_select.h"
#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/decommission.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/publish/publish.h"
#include "bundler/removal/removal.h"
#include "bundler/site/site.h"
#include "tests/support/machine.h"

#define ANNA "anna@acme.example"
#define DAY  86400

static void setup(void)
{
	struct site_user user = {.email = ANNA};
	OWNED(site_freep) struct site *s = NULL;
	struct err err = {0};

	server_make();
	s = server_open(SITE_LOCK);
	must(site_users_write(s, &user, 1, 0, &err));
}

TestSuite(decommission, .init = setup, .fini = server_teardown);

static void publish(struct site *s)
{
	struct err err = {0};

	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

/* activated(s, m): Anna, and a key that she was handed there. */
static void activated(struct site *s, const struct machine *m)
{
	struct err err = {0};

	must(db_run(s->db, &err,
		    "INSERT INTO activation(id, email, account, state, at, code)"
		    " VALUES(?1, '" ANNA "', 'anna', 'active', 0, '')",
		    "t", m->id));
	must(db_run(s->db, &err,
		    "INSERT INTO holding(id, name, version, epoch, generation)"
		    " VALUES(?1, 'mail', 1, 1, 1)",
		    "t", m->id));
}

static void state_is(struct site *s, const struct machine *m, const char *state)
{
	struct err err = {0};
	int64_t n = 0;

	must(db_int(s->db, &err, &n,
		    "SELECT count(*) FROM workstation WHERE id = ?1 AND state = ?2", "tt", m->id,
		    state));
	cr_assert_eq(n, 1, "it is not %s", state);
}

static struct collect_counts said(struct site *s, const struct machine *m, uint64_t number,
				  bool wiped)
{
	struct receipt r = machine_receipt(s, m, number);
	struct collect_counts n;
	char path[DEPOT_NAME];
	struct err err = {0};

	r.wiped = wiped;
	receipt_post(s, m, &r, path);
	must(collect_site(s, &n, &err));
	return n;
}

/* listed(s, m, ret): the entry that the newest shard has for this machine. */
static bool listed(struct site *s, const struct machine *m, struct shard_workstation *ret)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	bool found = false;
	struct err err = {0};

	must(db_query(s->db, "SELECT o.content FROM shard x JOIN outbox o ON o.path = x.path", &st,
		      &err));
	while (db_step(s->db, st, &err) == 1) {
		struct signed_doc doc;
		struct shard sh = {0};

		must(signed_split(db_bytes(st, 0), 1, &doc, &err));
		must(shard_decode(doc.inner, &sh, &err));
		for (size_t i = 0; i < sh.workstations; i++) {
			if (strcmp(sh.workstation[i].id, m->id) == 0) {
				*ret = sh.workstation[i];
				found = true;
			}
		}
		shard_clear(&sh);
	}
	return found;
}

static bool bundle_there(const struct machine *m)
{
	char command[256];

	snprintf(command, sizeof(command), "ls depot/workstations/*/%s.* > found 2>&1", m->id);
	return scratch_run(dir, command) == 0;
}

Test(decommission, is_over_when_the_last_receipt_says_wiped)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct shard_workstation w;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	publish(s);
	activated(s, &m);
	cr_assert_eq(decommission_begin(s, "till", &err), RC_USAGE);
	must(decommission_begin(s, "kiosk", &err));
	must(decommission_begin(s, "kiosk", &err));
	state_is(s, &m, "leaving");
	cr_assert_eq(server_events(s, "leaving"), 1);
	publish(s);
	cr_assert(listed(s, &m, &w), "it has to learn of it");
	cr_assert_eq(said(s, &m, 4, false).receipts, 1, "it is still believed");
	state_is(s, &m, "leaving");
	cr_assert_eq(said(s, &m, 5, true).receipts, 1);
	state_is(s, &m, "decommissioned");
	cr_assert_eq(server_number(s, "SELECT wiped FROM receipt"), 1);
	cr_assert_eq(server_number(s, "SELECT (SELECT count(*) FROM activation) +"
				      " (SELECT count(*) FROM holding)"),
		     0, "nobody is active and nothing is held there");
	cr_assert_eq(server_events(s, "decommissioned"), 1);
	publish(s);
	cr_assert(listed(s, &m, &w));
	cr_assert_eq(w.receipt, 5, "the last receipt is acknowledged");
	cr_assert_eq(said(s, &m, 5, true).refused + said(s, &m, 5, true).refused, 0,
		     "which comes by every way that it was sent");
	cr_assert_eq(said(s, &m, 6, true).refused, 1, "and nothing after it");
	cr_assert_eq(server_number(s, "SELECT sequence FROM receipt"), 5);
	clock_set(SERVER_NOW + 90 * DAY - 1);
	publish(s);
	cr_assert(listed(s, &m, &w));
	clock_set(SERVER_NOW + 90 * DAY);
	publish(s);
	cr_assert_not(listed(s, &m, &w));
	cr_assert_eq(
	    server_number(s, "SELECT count(*) FROM outbox WHERE path GLOB 'workstations/*'"), 0);
}

Test(decommission, is_carried_to_the_workstation_like_anything_else)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	OWNED(selection_clear) struct selection sel = {0};
	char kiosk[] = "kiosk", *who[] = {kiosk};
	bool found = false;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	must(decommission_begin(s, "kiosk", &err));
	publish(s);
	must(selection_make(s, who, 1, &sel, &err));
	cr_assert_eq(sel.id.n, 1);
	for (size_t i = 0; i < sel.path.n; i++)
		found = found || strncmp(sel.path.items[i], "workstations/", 13) == 0;
	cr_assert(found, "its last private generation is on the stick");
}

Test(decommission, believes_nothing_of_what_nobody_asked_for_or_nobody_signed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	struct machine forger = {.sign = thief.sign, .seal = thief.seal};
	struct receipt r;
	struct collect_counts n;
	char path[DEPOT_NAME];
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	activated(s, &m);
	cr_assert_eq(said(s, &m, 1, true).receipts, 1);
	state_is(s, &m, "enrolled");
	cr_assert_eq(server_events(s, "wiped"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation"), 1);
	must(decommission_begin(s, "kiosk", &err));
	memcpy(forger.id, m.id, sizeof(m.id));
	r = machine_receipt(s, &m, 2);
	r.wiped = true;
	receipt_post(s, &forger, &r, path);
	must(collect_site(s, &n, &err));
	cr_assert_eq(n.refused, 1);
	state_is(s, &m, "leaving");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation"), 1);
	cr_assert_eq(said(s, &m, 1, true).known, 1, "the old one again");
	state_is(s, &m, "leaving");
}

Test(decommission, of_one_that_is_lost_marks_its_keys)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct shard_workstation w;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	publish(s);
	activated(s, &m);
	cr_assert(bundle_there(&m));
	cr_assert_eq(decommission_lost(s, "till", &err), RC_USAGE);
	must(decommission_begin(s, "kiosk", &err));
	must(decommission_lost(s, "kiosk", &err));
	state_is(s, &m, "revoked");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM activation"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM key_mark WHERE name = 'mail' AND"
				      " workstation = 'kiosk'"),
		     1);
	cr_assert_eq(said(s, &m, 1, true).refused, 1);
	state_is(s, &m, "revoked");
	cr_assert_eq(decommission_lost(s, "kiosk", &err), RC_USAGE);
	publish(s);
	cr_assert_not(listed(s, &m, &w));
	for (int i = 0; i < 12; i++) { /* until no beat that is kept leads to it */
		struct machine other = machine_new();
		char name[32];

		snprintf(name, sizeof(name), "other-%d", i);
		machine_enrol(s, &other, name);
		publish(s);
		machine_clear(&other);
	}
	cr_assert_not(bundle_there(&m), "its sealed bundle leaves the depot");
}

Test(decommission, removes_what_is_enrolled_no_more)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char code[INVITE_TEXT + 1];
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	publish(s);
	activated(s, &m);
	said(s, &m, 3, false);
	cr_assert_eq(removal_workstation(s, "kiosk", &err), RC_CONFLICT);
	must(decommission_begin(s, "kiosk", &err));
	cr_assert_eq(removal_workstation(s, "kiosk", &err), RC_CONFLICT);
	said(s, &m, 4, true);
	must(removal_workstation(s, "kiosk", &err));
	cr_assert_null(site_workstation(s, "kiosk"));
	cr_assert_eq(scratch_run(dir, "test ! -e site/workstations/kiosk.yaml"), 0);
	cr_assert_eq(server_number(s, "SELECT (SELECT count(*) FROM receipt_channel) +"
				      " (SELECT count(*) FROM message_to) +"
				      " (SELECT count(*) FROM private_history) +"
				      " (SELECT count(*) FROM invitation)"),
		     0);
	cr_assert_eq(removal_workstation(s, "kiosk", &err), RC_USAGE);
	must(enrolment_invite(s, "never", 7, code, &err));
	must(removal_workstation(s, "never", &err));
	cr_assert_null(site_workstation(s, "never"));
	cr_assert_eq(server_number(s, "SELECT count(*) FROM invitation"), 0);
}

Test(decommission, lets_a_machine_come_back_under_the_same_name)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), new = machine_new();
	struct shard_workstation w;
	uint64_t generation;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	publish(s);
	said(s, &m, 3, false);
	must(decommission_begin(s, "kiosk", &err));
	publish(s);
	said(s, &m, 4, true);
	machine_enrol(s, &new, "kiosk");
	publish(s);
	cr_assert(listed(s, &new, &w));
	cr_assert_eq(w.generation, 1);
	state_is(s, &m, "decommissioned");
	must(decommission_begin(s, "kiosk", &err));
	machine_enrol(s, &m, "kiosk");
	state_is(s, &new, "replaced");
	state_is(s, &m, "enrolled");
	publish(s);
	cr_assert(listed(s, &m, &w));
	cr_assert_gt(w.generation, 1, "its numbers go on");
	generation = w.generation;
	cr_assert_eq(w.receipt, 4);
	must(enrolment_revoke(s, "kiosk", &err));
	must(removal_workstation(s, "kiosk", &err));
	machine_enrol(s, &m, "kiosk");
	publish(s);
	cr_assert(listed(s, &m, &w));
	cr_assert_eq(w.generation, generation + 1, "also after it was removed");
	cr_assert_eq(said(s, &m, 2, false).refused, 1, "and an old receipt is still old");
}
