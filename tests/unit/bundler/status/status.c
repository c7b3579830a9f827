/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/collect/collect.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/private/compile.h"
#include "bundler/registry/registry.h"
#include "bundler/site/site.h"
#include "bundler/status/status.h"
#include "tests/support/machine.h"

TestSuite(status, .init = server_make, .fini = server_teardown);

struct found {
	struct status_workstation w[8];
	struct status_channel channel[8][4];
	size_t n;
};

static int find(void *arg, const struct status_workstation *got, struct err *err)
{
	struct found *f = arg;

	cr_assert_lt(f->n, 8);
	f->w[f->n] = *got;
	for (size_t i = 0; i < got->channels && i < 4; i++)
		f->channel[f->n][i] = got->channel[i];
	f->n++;
	return 0;
}

static struct found all(struct site *s)
{
	struct found f = {.n = 0};
	struct err err = {0};

	must(status_workstations(s, find, &f, &err));
	return f;
}

Test(status, lists_everybody_once_in_the_order_of_names)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new(), c = machine_new();
	struct site_workstation document = {.name = "expected"};
	char code[INVITE_TEXT + 1];
	struct err err = {0};
	struct found f;

	must(site_workstation_write(s, &document, &err));
	machine_enrol(s, &b, "kiosk");
	clock_set(SERVER_NOW + 1);
	machine_enrol(s, &c, "kiosk");
	machine_enrol(s, &a, "ahead");
	must(enrolment_revoke(s, "ahead", &err));
	must(enrolment_invite(s, "late", 7, code, &err));
	cr_assert_eq(
	    scratch_run(dir, "rm site/workstations/kiosk.yaml site/workstations/late.yaml"), 0);
	s = site_free(s);
	s = server_open(0);
	f = all(s);
	cr_assert_eq(f.n, 4);
	cr_assert_str_eq(f.w[0].name, "ahead");
	cr_assert_eq(f.w[0].colour, COLOUR_GREY);
	cr_assert_str_eq(f.w[0].reason, "was revoked");
	cr_assert_str_eq(f.w[1].name, "expected");
	cr_assert_eq(f.w[1].colour, COLOUR_GREY);
	cr_assert_str_eq(f.w[2].name, "kiosk");
	cr_assert_eq(f.w[2].colour, COLOUR_BLUE);
	cr_assert_str_eq(f.w[2].id, c.id, "the one that holds the name now");
	cr_assert_str_eq(f.w[3].name, "late");
	cr_assert_eq(f.w[3].colour, COLOUR_GREY);
}

/* generation(...): a row as publish makes it, posted or not. */
static void generation(struct site *s, const char *channel, int64_t number, uint8_t tree,
		       int64_t posted)
{
	struct digest d = {{tree}};
	char path[64];
	struct err err = {0};

	snprintf(path, sizeof(path), "channels/%s/1.%lld", channel, (long long)number);
	must(db_run(s->db, &err,
		    "INSERT INTO generation(channel, epoch, generation, tree, created, entries,"
		    " head, path) VALUES(?1, 1, ?2, ?3, 0, 0, ?3, ?4)",
		    "tidt", channel, number, &d, path));
	must(db_run(s->db, &err, "INSERT INTO outbox(path, content, posted) VALUES(?1, x'', ?2)",
		    "ti", path, posted));
}

static void beat(struct site *s, int64_t posted)
{
	struct err err = {0};

	must(db_run(s->db, &err,
		    "INSERT OR REPLACE INTO beat(sequence, input, issued, expires, path)"
		    " VALUES(1, x'', 0, 0, 'beats/1')",
		    ""));
	must(db_run(
	    s->db, &err,
	    "INSERT OR REPLACE INTO outbox(path, content, posted) VALUES('beats/1', x'', ?1)", "i",
	    posted));
}

static void channel(struct site *s, const char *name, const char *who)
{
	char source[] = "/srv", target[64], whom[64];
	char *audience[] = {whom};
	struct site_channel c = {
	    .source = source, .target = target, .audience = audience, .audiences = 1};
	struct err err = {0};

	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(target, sizeof(target), "/opt/%s", name);
	snprintf(whom, sizeof(whom), "%s", who);
	must(site_channel_write(s, &c, &err));
}

/* holds(s, m, r): the receipt says that the private channel is the latest, and its policy followed.
 */
static void holds(struct site *s, const struct machine *m, struct receipt *r)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct err err = {0};

	must(db_query(s->db,
		      "SELECT p.generation, p.tree, p.policy FROM private p JOIN workstation w"
		      " ON w.id = p.id WHERE p.id = ?1",
		      &st, &err));
	must(db_bind(st, &err, "t", m->id));
	cr_assert_eq(db_step(s->db, st, &err), 1);
	r->private_epoch = 1;
	r->private_generation = (uint64_t)db_i64(st, 0);
	cr_assert(db_digest(st, 1, &r->private_tree));
	cr_assert(db_digest(st, 2, &r->policy));
}

Test(status, follows_a_change_from_red_over_orange_to_green)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	struct receipt_channel c = {
	    .name = "office", .epoch = 1, .generation = 1, .tree = {{9}}, .result = "applied"};
	char path[DEPOT_NAME];
	struct receipt r;
	struct collect_counts counts;
	struct err err = {0};
	struct found f;
	uint64_t n;

	machine_enrol(s, &m, "kiosk");
	machine_enrol(s, &other, "till");
	channel(s, "office", "kiosk");
	generation(s, "office", 1, 9, SERVER_NOW);
	beat(s, SERVER_NOW);
	must(compile_site(s, 0, &n, &err));
	must(db_exec(s->db, "UPDATE outbox SET posted = 1800000000", &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_BLUE);
	cr_assert_eq(f.w[0].channels, 1);
	cr_assert_eq(f.w[1].channels, 0, "till subscribes to nothing");

	r = machine_receipt(s, &m, 1);
	holds(s, &m, &r);
	r.channel = &c;
	r.channels = 1;
	receipt_post(s, &m, &r, path);
	must(collect_site(s, &counts, &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_GREEN, "%s", f.w[0].reason);
	cr_assert_not(f.w[0].by_code);
	cr_assert_eq(f.w[0].receipt, 1);
	cr_assert_eq(f.w[0].heard, SERVER_NOW);
	cr_assert_str_eq(f.w[0].version, "0.1.0");

	generation(s, "office", 2, 8, 0);
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_RED);
	must(db_exec(s->db, "UPDATE outbox SET posted = 1800000005 WHERE posted = 0", &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_RED, "no beat leads to it yet");
	beat(s, SERVER_NOW + 5);
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_ORANGE);
	cr_assert_eq(f.channel[0][0].held, 1);
	cr_assert_eq(f.channel[0][0].wanted, 2);
	c.generation = 2;
	c.tree.b[0] = 8;
	r.sequence = 2;
	receipt_post(s, &m, &r, path);
	must(collect_site(s, &counts, &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_GREEN, "%s", f.w[0].reason);

	channel(s, "more", "kiosk");
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_RED, "the document changed");
	cr_assert_eq(f.w[1].colour, COLOUR_BLUE);
	must(site_document_remove(s, SITE_DOCUMENT_CHANNEL, "more", &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_GREEN, "%s", f.w[0].reason);
}

/* Users: documents, activations and receipts as others write them, row by row. */

struct found_users {
	struct status_user u[8];
	char email[8][EMAIL_NAME];
	struct status_place place[8][4];
	size_t n;
};

static int find_user(void *arg, const struct status_user *got, struct err *err)
{
	struct found_users *f = arg;

	cr_assert_lt(f->n, 8);
	f->u[f->n] = *got;
	snprintf(f->email[f->n], sizeof(f->email[0]), "%s", got->email);
	for (size_t i = 0; i < got->places && i < 4; i++)
		f->place[f->n][i] = got->place[i];
	f->n++;
	return 0;
}

static struct found_users users(struct site *s)
{
	struct found_users f = {.n = 0};
	struct err err = {0};

	must(status_users(s, find_user, &f, &err));
	return f;
}

static void person(struct site *s, const char *email, const char *group, const char *licence)
{
	struct site_user u = {.email = ""};
	struct err err = {0};

	snprintf(u.email, sizeof(u.email), "%s", email);
	snprintf(u.group, sizeof(u.group), "%s", group);
	snprintf(u.licence, sizeof(u.licence), "%s", licence);
	must(site_users_write(s, &u, 1, 0, &err));
}

static void activate(struct site *s, const struct machine *m, const char *email)
{
	struct err err = {0};

	must(db_run(s->db, &err,
		    "INSERT INTO activation(id, email, account, state, at, code)"
		    " VALUES(?1, ?2, 'eva', 'active', 0, '')",
		    "tt", m->id, email));
}

/* people(...): the documents of two groups, a key and a licence. */
static void people(struct site *s)
{
	struct site_group g = {.name = "staff"}, inner = {.name = "desk", .parent = "staff"};
	struct site_licence l = {.name = "office",
				 .product = (char[]){"Office"},
				 .seats = 9,
				 .from = INT64_MIN,
				 .to = INT64_MAX};
	struct err err = {0};

	must(site_licence_write(s, &l, &err));
	must(site_group_write(s, &g, &err));
	must(site_group_write(s, &inner, &err));
}

/* compiled(s): private channels made, posted and named by a beat. */
static void compiled(struct site *s)
{
	uint64_t number = 0;
	struct err err = {0};

	must(compile_site(s, 0, &number, &err));
	must(db_exec(s->db, "UPDATE outbox SET posted = 1800000000 WHERE posted = 0", &err));
}

static void confirmed(struct site *s, const struct machine *m, uint64_t sequence,
		      struct receipt_user *user, size_t n)
{
	struct receipt r = machine_receipt(s, m, sequence);
	struct collect_counts counts;
	char path[DEPOT_NAME];
	struct err err = {0};

	holds(s, m, &r);
	r.user = user;
	r.users = n;
	receipt_post(s, m, &r, path);
	must(collect_site(s, &counts, &err));
	cr_assert_eq(counts.receipts, 1);
}

Test(status, follows_a_user_from_grey_over_blue_to_green_and_out_again)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	const char *eva = "eva@example.org";
	struct receipt_user there = {
	    .email = "eva@example.org", .account = "eva", .result = "handed-out", .at = SERVER_NOW};
	struct found_users f;
	struct err err = {0};

	people(s);
	machine_enrol(s, &m, "kiosk");
	beat(s, SERVER_NOW);
	person(s, eva, "desk", "");
	f = users(s);
	cr_assert_eq(f.n, 1);
	cr_assert_eq(f.u[0].colour, COLOUR_GREY);
	cr_assert_str_eq(f.u[0].reason, "no licence was issued");
	person(s, eva, "desk", "office");
	cr_assert_eq(users(s).u[0].colour, COLOUR_BLUE);
	activate(s, &m, eva);
	cr_assert_eq(users(s).u[0].colour, COLOUR_RED);
	compiled(s);
	f = users(s);
	cr_assert_eq(f.u[0].colour, COLOUR_ORANGE, "%s", f.u[0].reason);
	cr_assert_str_eq(f.place[0][0].state, "pending");
	confirmed(s, &m, 1, &there, 1);
	f = users(s);
	cr_assert_eq(f.u[0].colour, COLOUR_GREEN, "%s", f.u[0].reason);
	cr_assert_eq(f.u[0].active, 1);
	clock_set(SERVER_NOW + 3600 * (int64_t)s->silent_hours + 1);
	cr_assert_eq(users(s).u[0].colour, COLOUR_ORANGE, "not heard from");
	clock_set(SERVER_NOW);

	/* Deleted with its activations: what was carried is still known. */
	must(site_document_remove(s, SITE_DOCUMENT_USER, eva, &err));
	must(db_exec(s->db, "DELETE FROM activation", &err));
	f = users(s);
	cr_assert_eq(f.n, 1);
	cr_assert_eq(f.u[0].colour, COLOUR_RED);
	cr_assert(f.u[0].deleted);
	cr_assert_str_eq(f.email[0], eva);
	compiled(s);
	f = users(s);
	cr_assert_eq(f.u[0].colour, COLOUR_ORANGE, "%s", f.u[0].reason);
	confirmed(s, &m, 2, NULL, 0);
	cr_assert_eq(users(s).n, 0);
}

Test(status, shows_purple_for_keys_that_the_rest_of_the_group_has_not)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	char *extra[] = {(char[]){"atlas"}}, *withheld[] = {(char[]){"borealis"}};
	struct site_key atlas = {.name = "atlas"}, borealis = {.name = "borealis"};
	struct site_group g = {.name = "desk", .parent = "staff", .key = withheld, .keys = 1};
	struct site_user u = {.email = "eva@example.org",
			      .group = "desk",
			      .licence = "office",
			      .extra = extra,
			      .extras = 1,
			      .withheld = withheld,
			      .withhelds = 1};
	struct receipt_user there = {
	    .email = "eva@example.org", .account = "eva", .result = "handed-out", .at = SERVER_NOW};
	const char *eva = u.email;
	struct found_users f;
	struct err err = {0};

	people(s);
	must(site_key_write(s, &atlas, &err));
	must(site_key_write(s, &borealis, &err));
	must(site_group_write(s, &g, &err));
	must(site_users_write(s, &u, 1, 0, &err));
	machine_enrol(s, &m, "kiosk");
	beat(s, SERVER_NOW);
	activate(s, &m, eva);
	compiled(s);
	confirmed(s, &m, 1, &there, 1);
	f = users(s);
	cr_assert_eq(f.u[0].colour, COLOUR_PURPLE, "%s", f.u[0].reason);
	cr_assert_str_eq(f.u[0].reason, "keys differ from group desk: also atlas, not borealis");
	snprintf(extra[0], 6, "%s", "atlas");
	u.withhelds = 0;
	g.key = (char *[]){extra[0], withheld[0]};
	g.keys = 2;
	must(site_group_write(s, &g, &err));
	must(site_users_write(s, &u, 1, 0, &err));
	f = users(s);
	cr_assert_neq(f.u[0].colour, COLOUR_PURPLE, "an extra key that the group has as well");
}

struct lines {
	struct status_line l[8];
	size_t n;
};

static int find_line(void *arg, const struct status_line *l, struct err *err)
{
	struct lines *f = arg;

	cr_assert_lt(f->n, 8);
	f->l[f->n++] = *l;
	return 0;
}

Test(status, sums_up_groups_and_depots)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine a = machine_new(), b = machine_new();
	static struct lines f;
	struct err err = {0};

	people(s);
	person(s, "eva@example.org", "desk", "office");
	person(s, "max@example.org", "desk", "");
	person(s, "zoe@example.org", "", "office");
	machine_enrol(s, &a, "kiosk");
	machine_enrol(s, &b, "till");
	activate(s, &a, "eva@example.org");
	must(db_exec(s->db,
		     "INSERT INTO consignment(depot, at, epoch, beat, audience, some)"
		     " VALUES('/media/stick', 5, 1, 1, 'till', 1)",
		     &err));
	must(db_run(s->db, &err, "INSERT INTO consigned(depot, id) VALUES('/media/stick', ?1)", "t",
		    b.id));
	must(status_summary(s, find_line, &f, &err));
	cr_assert_eq(f.n, 5);
	cr_assert_str_eq(f.l[0].name, "desk");
	cr_assert_str_eq(f.l[0].parent, "staff");
	cr_assert_eq(f.l[0].users[COLOUR_GREY], 1);
	cr_assert_eq(f.l[0].users[COLOUR_RED], 1);
	cr_assert_eq(f.l[0].workstations[COLOUR_BLUE], 1);
	cr_assert_str_eq(f.l[0].oldest_name, "kiosk");
	cr_assert_eq(f.l[0].oldest, 0, "never heard from");
	cr_assert_str_eq(f.l[1].name, "staff");
	cr_assert_eq(f.l[1].enrolled, 0);
	cr_assert_str_eq(f.l[2].name, "");
	cr_assert_eq(f.l[2].users[COLOUR_BLUE], 1);
	cr_assert_str_eq(f.l[2].oldest_name, "till", "nobody is active on it");
	cr_assert_eq(f.l[3].kind, STATUS_HOME);
	cr_assert_eq(f.l[3].enrolled, 2);
	cr_assert_eq(
	    f.l[3].users[COLOUR_GREY] + f.l[3].users[COLOUR_RED] + f.l[3].users[COLOUR_BLUE], 3);
	cr_assert_eq(f.l[4].kind, STATUS_DEPOT);
	cr_assert_str_eq(f.l[4].name, "/media/stick");
	cr_assert_str_eq(f.l[4].parent, "till");
	cr_assert_eq(f.l[4].enrolled, 1);
	cr_assert_eq(f.l[4].users[COLOUR_RED], 0, "eva is active on another one");
}

Test(status, counts_the_site)
{
	OWNED(site_freep) struct site *s = server_open(0);
	OWNED(machine_clear) struct machine m = machine_new(), stranger = machine_new();
	struct request r = machine_request(s, &stranger, NULL);
	struct status_site g;
	char code[INVITE_TEXT + 1];
	struct err err = {0};

	must(status_site(s, &g, &err));
	cr_assert_eq(g.beat, 0);
	machine_enrol(s, &m, "kiosk");
	must(enrolment_invite(s, "late", 7, code, &err));
	cr_assert_eq(enrolment_request(s, &r, ENROLMENT_EXACT, &err), 0);
	channel(s, "office", "all");
	generation(s, "office", 1, 9, 0);
	beat(s, 5);
	must(status_site(s, &g, &err));
	cr_assert_str_eq(g.name, "Acme");
	cr_assert_eq(g.trust, 1);
	cr_assert_eq(g.beat, 1);
	cr_assert_eq(g.channels, 1);
	cr_assert_eq(g.pending_requests, 1);
	cr_assert_eq(g.unposted, 1);
	cr_assert_eq(g.events, 1);
}

struct told {
	char text[8][600];
	size_t n;
};

static int tell(void *arg, const struct status_event *e, struct err *err)
{
	struct told *t = arg;

	snprintf(t->text[t->n++], sizeof(t->text[0]), "%s%s/%s/%s%s%s", e->reported ? "claim/" : "",
		 e->kind, e->about, e->text, e->claim[0] != '\0' ? "/claims/" : "", e->claim);
	return 0;
}

Test(status, tells_events_of_both_sides_newest_first)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct receipt_event e = {.number = 1, .at = 12, .kind = "clock", .text = "an hour off"};
	struct told t = {.n = 0};
	struct collect_counts counts;
	char path[DEPOT_NAME];
	struct receipt r;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	clock_set(SERVER_NOW + 10);
	r = machine_receipt(s, &m, 1);
	r.event = &e;
	r.events = 1;
	receipt_post(s, &m, &r, path);
	must(collect_site(s, &counts, &err));
	clock_set(SERVER_NOW + 20);
	must(registry_event_many(s->db, "forged", "kiosk", "no", "x", 3, &err));
	must(status_events(s, 8, tell, &t, &err));
	cr_assert_eq(t.n, 3);
	cr_assert_str_eq(t.text[0], "forged/kiosk/no (3 times)/claims/x");
	cr_assert_str_eq(t.text[1], "claim/clock/kiosk/an hour off");
	cr_assert_eq(strncmp(t.text[2], "enrolled/kiosk/", 15), 0);
	t.n = 0;
	must(status_events(s, 1, tell, &t, &err));
	cr_assert_eq(t.n, 1);
}
