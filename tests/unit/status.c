#include <criterion/criterion.h>
#include <string.h>

#include "bundler/collect.h"
#include "bundler/enrolment.h"
#include "bundler/registry.h"
#include "bundler/status.h"
#include "tests/unit/machine.h"

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

static void enrol(struct site *s, const struct machine *m, const char *name)
{
	char code[INVITE_TEXT + 1];
	struct request r;
	struct err err = {0};

	must(enrolment_invite(s, name, 7, code, &err));
	r = machine_request(s, m, code);
	cr_assert_eq(enrolment_request(s, &r, 0, &err), 1, "%s", err.text);
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
	enrol(s, &b, "kiosk");
	clock_set(SERVER_NOW + 1);
	enrol(s, &c, "kiosk");
	enrol(s, &a, "ahead");
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

static struct digest private_tree(struct site *s, const char *id)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct digest d;
	struct err err = {0};

	must(db_query(s->db, "SELECT tree FROM private WHERE id = ?1", &st, &err));
	must(db_bind(st, &err, "t", id));
	cr_assert_eq(db_step(s->db, st, &err), 1);
	cr_assert(db_digest(st, 0, &d));
	return d;
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

	enrol(s, &m, "kiosk");
	enrol(s, &other, "till");
	channel(s, "office", "kiosk");
	generation(s, "office", 1, 9, SERVER_NOW);
	beat(s, SERVER_NOW);
	must(enrolment_compile(s, false, &n, &err));
	must(db_exec(s->db, "UPDATE outbox SET posted = 1800000000", &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_BLUE);
	cr_assert_eq(f.w[0].channels, 1);
	cr_assert_eq(f.w[1].channels, 0, "till subscribes to nothing");

	r = machine_receipt(s, &m, 1);
	r.private_epoch = r.private_generation = 1;
	r.private_tree = private_tree(s, m.id);
	r.channel = &c;
	r.channels = 1;
	receipt_post(s, &m, &r, path);
	must(collect_site(s, &counts, &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_GREEN, "%s", f.w[0].reason);
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
	must(site_channel_remove(s, "more", &err));
	f = all(s);
	cr_assert_eq(f.w[0].colour, COLOUR_GREEN, "%s", f.w[0].reason);
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
	enrol(s, &m, "kiosk");
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
	cr_assert_eq(g.held_requests, 1);
	cr_assert_eq(g.unposted, 1);
	cr_assert_eq(g.events, 1);
}

struct told {
	char text[8][600];
	size_t n;
};

static int tell(void *arg, int64_t at, const char *kind, const char *about, const char *text,
		struct err *err)
{
	struct told *t = arg;

	snprintf(t->text[t->n++], sizeof(t->text[0]), "%s/%s/%s", kind, about, text);
	return 0;
}

Test(status, tells_events_of_both_sides_newest_first)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct receipt_event e = {1, 12, "clock", "an hour off"};
	struct told t = {.n = 0};
	struct collect_counts counts;
	char path[DEPOT_NAME];
	struct receipt r;
	struct err err = {0};

	enrol(s, &m, "kiosk");
	clock_set(SERVER_NOW + 10);
	r = machine_receipt(s, &m, 1);
	r.event = &e;
	r.events = 1;
	receipt_post(s, &m, &r, path);
	must(collect_site(s, &counts, &err));
	clock_set(SERVER_NOW + 20);
	must(registry_event_many(s->db, "forged", "kiosk", "no", 3, &err));
	must(status_events(s, 8, tell, &t, &err));
	cr_assert_eq(t.n, 3);
	cr_assert_str_eq(t.text[0], "forged/kiosk/no (3 times)");
	cr_assert_str_eq(t.text[1], "clock/kiosk/an hour off");
	cr_assert_eq(strncmp(t.text[2], "enrolled/kiosk/", 15), 0);
	t.n = 0;
	must(status_events(s, 1, tell, &t, &err));
	cr_assert_eq(t.n, 1);
}
