/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "bundler/collect/collect.h"
#include "bundler/collect/confirm.h"
#include "bundler/documents/documents.h"
#include "bundler/documents/site_model.h"
#include "bundler/enrolment/enrolment.h"
#include "bundler/private/compile.h"
#include "bundler/publish/publish.h"
#include "bundler/site/site.h"
#include "bundler/status/status.h"
#include "bundler/trust/trust_change.h"
#include "core/format/documents/confirm.h"
#include "tests/support/machine.h"

static void channel(struct site *s, const char *name)
{
	char source[SCRATCH_PATH + 64], target[64], command[256];
	struct site_channel c = {.source = source, .target = target, .on_leave = "keep"};
	char all[] = "all", *audience[] = {all};
	struct err err = {0};

	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(source, sizeof(source), "%s/%s", dir, name);
	snprintf(target, sizeof(target), "/srv/%s", name);
	snprintf(command, sizeof(command), "mkdir %s && echo one > %s/file", name, name);
	cr_assert_eq(scratch_run(dir, command), 0);
	c.audience = audience;
	c.audiences = 1;
	must(site_channel_write(s, &c, &err));
}

static void setup(void)
{
	OWNED(site_freep) struct site *s = NULL;

	server_make();
	s = server_open(SITE_LOCK);
	channel(s, "office");
	channel(s, "tools");
}

TestSuite(confirm, .init = setup, .fini = server_teardown);

static void publish(struct site *s)
{
	struct err err = {0};

	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
}

static void changed(const char *name, const char *what)
{
	char command[256];

	snprintf(command, sizeof(command), "echo %s > %s/%s", what, name, what);
	cr_assert_eq(scratch_run(dir, command), 0);
}

/* What a machine holds: a receipt's worth of it. */
struct holding {
	struct receipt r;
	struct receipt_channel channel[2];
};

static void channel_read(struct site *s, const char *name, struct receipt_channel *ret)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct err err = {0};

	must(db_query(s->db,
		      "SELECT epoch, generation, tree FROM generation WHERE channel = ?1"
		      " ORDER BY epoch DESC, generation DESC LIMIT 1",
		      &st, &err));
	must(db_bind(st, &err, "t", name));
	*ret = (struct receipt_channel){.result = "applied"};
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (db_step(s->db, st, &err) == 1) {
		ret->epoch = (uint64_t)db_i64(st, 0);
		ret->generation = (uint64_t)db_i64(st, 1);
		cr_assert(db_digest(st, 2, &ret->tree));
	}
}

/* applied(s, m, ret): everything that is published now. */
static void applied(struct site *s, const struct machine *m, struct holding *ret)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	struct err err = {0};

	*ret = (struct holding){.r = machine_receipt(s, m, 1)};
	must(db_query(s->db, "SELECT epoch, generation, tree FROM private WHERE id = ?1", &st,
		      &err));
	must(db_bind(st, &err, "t", m->id));
	cr_assert_eq(db_step(s->db, st, &err), 1);
	ret->r.private_epoch = (uint64_t)db_i64(st, 0);
	ret->r.private_generation = (uint64_t)db_i64(st, 1);
	cr_assert(db_digest(st, 2, &ret->r.private_tree));
	channel_read(s, "office", &ret->channel[0]);
	channel_read(s, "tools", &ret->channel[1]);
	ret->r.channel = ret->channel;
	ret->r.channels = 2;
}

/* code_of(s, m, h, number, dst): as the workstation would show it. */
static void code_by(const struct site *s, const struct machine *m, const struct key_public *collect,
		    struct holding *h, uint64_t number, char dst[CONFIRM_TEXT + 1])
{
	OWNED(buf_clear) struct buf statement = BUF_INIT;
	struct key_public station = key_public_of(m->seal);
	struct confirm c;
	struct err err = {0};

	(void)s;
	h->r.channel = h->channel;
	h->r.sequence = number;
	must(confirm_statement(&h->r, &statement, &err));
	must(confirm_make(m->seal, &station, collect, m->id, number, bytes_in(&statement), &c,
			  &err));
	confirm_text(dst, &c);
}

static int typed(struct site *s, const char *code)
{
	OWNED(confirmed_clear) struct confirmed c = {.channel = NULL};
	struct err err = {0};
	int rc = confirm_code(s, code, &c, &err);

	return rc < 0 ? rc : c.again ? 1 : 0;
}

/* told(s, m, h, number): what becomes of the code; 1: known already. */
static int told(struct site *s, const struct machine *m, struct holding *h, uint64_t number)
{
	char code[CONFIRM_TEXT + 1];

	code_by(s, m, trust_collect(&s->trust), h, number, code);
	return typed(s, code);
}

static void posted(struct site *s, const struct machine *m, struct holding *h, uint64_t number)
{
	struct collect_counts n;
	char path[DEPOT_NAME];
	struct err err = {0};

	h->r.channel = h->channel;
	h->r.sequence = number;
	receipt_post(s, m, &h->r, path);
	must(collect_site(s, &n, &err));
	cr_assert_eq(n.receipts, 1);
}

static int64_t held(struct site *s, const char *name)
{
	struct err err = {0};
	int64_t n = -1;

	must(db_int(s->db, &err, &n, "SELECT generation FROM receipt_channel WHERE channel = ?1",
		    "t", name));
	return n;
}

static int64_t tries(struct site *s)
{
	return server_number(s, "SELECT count(*) FROM confirm_try");
}

static int colour_take(void *arg, const struct status_workstation *w, struct err *err)
{
	if (strcmp(w->name, "kiosk") == 0)
		*(enum colour *)arg = w->colour;
	return 0;
}

static enum colour colour(struct site *s)
{
	enum colour c = COLOUR_GREY;
	struct err err = {0};

	must(status_workstations(s, colour_take, &c, &err));
	return c;
}

Test(confirm, counts_as_the_receipt_of_exactly_what_is_held)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), other = machine_new();
	struct holding h;

	machine_enrol(s, &m, "kiosk");
	machine_enrol(s, &other, "till");
	publish(s);
	applied(s, &m, &h);
	clock_set(SERVER_NOW + 50);
	cr_assert_eq(colour(s), COLOUR_BLUE);
	cr_assert_eq(told(s, &m, &h, 3), 0);
	cr_assert_eq(colour(s), COLOUR_GREEN);
	cr_assert_eq(held(s, "office"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt"), 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt r JOIN private p ON p.id = r.id"
				      " AND p.tree = r.private_tree AND p.generation ="
				      " r.private_generation WHERE r.recorded = 1800000050"),
		     1);
	cr_assert_eq(server_number(s, "SELECT sequence FROM confirmation"), 3);
	cr_assert_eq(server_number(s, "SELECT sequence FROM receipt"), 0,
		     "no receipt was had, so none is acknowledged");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_channel WHERE result <>"
				      " 'current'"),
		     0);
	cr_assert_eq(server_events(s, "confirmed"), 1);
	cr_assert_eq(told(s, &m, &h, 3), 1, "the same again changes nothing");
	cr_assert_eq(server_events(s, "confirmed"), 1);
	cr_assert_eq(tries(s), 0);
}

Test(confirm, cannot_be_made_without_the_key_nor_for_what_was_not_published)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new(), thief = machine_new();
	struct machine forger = {.sign = m.sign, .seal = thief.seal};
	struct holding h, lie;

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &h);
	memcpy(forger.id, m.id, sizeof(m.id));
	cr_assert_eq(told(s, &forger, &h, 3), RC_UNTRUSTED, "another key");
	memcpy(forger.id, thief.id, sizeof(m.id));
	cr_assert_eq(told(s, &thief, &h, 3), RC_UNTRUSTED, "nobody of ours");
	lie = h;
	lie.channel[0].tree.b[31] ^= 1;
	cr_assert_eq(told(s, &m, &lie, 3), RC_UNTRUSTED, "another tree");
	lie = h;
	lie.channel[1].generation = 2;
	cr_assert_eq(told(s, &m, &lie, 3), RC_UNTRUSTED, "a generation that is none");
	lie = h;
	lie.r.private_generation++;
	cr_assert_eq(told(s, &m, &lie, 3), RC_UNTRUSTED);
	lie = h;
	lie.r.site.b[0] ^= 1;
	cr_assert_eq(told(s, &m, &lie, 3), RC_UNTRUSTED, "another site");
	lie = h;
	lie.r.channels = 1;
	cr_assert_eq(told(s, &m, &lie, 3), RC_UNTRUSTED, "less than all of it");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt"), 0, "nothing was believed");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM confirmation"), 0);
	cr_assert_eq(tries(s), 7);
	cr_assert_eq(server_events(s, "confirm-wrong"), 7);
	cr_assert_eq(server_number(s, "SELECT count FROM event WHERE kind = 'confirm-wrong' AND"
				      " about = 'kiosk'"),
		     6);
	cr_assert_eq(told(s, &m, &h, 3), 0);
}

Test(confirm, says_what_is_mistyped_and_does_not_count_it)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct holding h;
	char code[CONFIRM_TEXT + 1];

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &h);
	code_by(s, &m, trust_collect(&s->trust), &h, 3, code);
	code[2] = code[2] == '0' ? '1' : '0';
	for (int i = 0; i < 20; i++)
		cr_assert_eq(typed(s, code), RC_USAGE);
	cr_assert_eq(typed(s, "c4yvr"), RC_USAGE);
	cr_assert_eq(tries(s), 0);
	cr_assert_eq(told(s, &m, &h, 3), 0);
}

Test(confirm, takes_a_code_of_what_was_published_before_for_just_that)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct holding first, second, third, mixed;

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &first);
	changed("office", "two");
	publish(s);
	applied(s, &m, &second);
	changed("tools", "two");
	channel(s, "extra");
	publish(s);
	applied(s, &m, &third);
	cr_assert_eq(third.r.private_generation, 2);
	mixed = second;
	mixed.channel[1] = third.channel[1];
	cr_assert_eq(told(s, &m, &mixed, 1), RC_UNTRUSTED, "what no beat ever led to together");
	cr_assert_eq(told(s, &m, &first, 1), 0);
	cr_assert_eq(held(s, "office"), 1, "as it is, not as it should be");
	cr_assert_eq(colour(s), COLOUR_ORANGE);
	cr_assert_eq(told(s, &m, &second, 2), 0);
	cr_assert_eq(held(s, "office"), 2);
	cr_assert_eq(held(s, "tools"), 1);
	cr_assert_eq(told(s, &m, &first, 1), RC_REPLAY);
	cr_assert_eq(held(s, "office"), 2);
	cr_assert_eq(server_events(s, "confirm-replay"), 1);
	cr_assert_eq(tries(s), 1, "an old code is nobody's guess");
}

Test(confirm, takes_nothing_that_no_beat_led_to)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct holding never, h;
	uint64_t n;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	publish(s);
	must(db_exec(s->db, "UPDATE private SET inputs = NULL", &err));
	must(compile_site(s, 0, &n, &err));
	applied(s, &m, &never);
	must(db_exec(s->db, "UPDATE private SET inputs = NULL", &err));
	publish(s);
	applied(s, &m, &h);
	cr_assert_eq(never.r.private_generation + 1, h.r.private_generation);
	cr_assert_eq(told(s, &m, &never, 1), RC_UNTRUSTED);
	cr_assert_eq(told(s, &m, &h, 1), 0);
}

Test(confirm, holds_nothing_of_a_channel_that_was_never_published)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	const char *only[] = {"office"};
	struct holding h;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	must(publish_site(s, only, 1, 0, NULL, NULL, &err));
	applied(s, &m, &h);
	cr_assert_eq(h.channel[1].generation, 0);
	cr_assert_eq(told(s, &m, &h, 1), 0);
	cr_assert_eq(held(s, "tools"), 0);
}

Test(confirm, yields_to_the_receipt_and_outlasts_the_older_one)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct receipt_event e = {.number = 1, .at = SERVER_NOW, .kind = "clock", .text = "late"};
	struct holding first, second;

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &first);
	changed("office", "two");
	publish(s);
	applied(s, &m, &second);
	cr_assert_eq(told(s, &m, &second, 7), 0);
	first.r.event = &e;
	first.r.events = 1;
	posted(s, &m, &first, 6);
	cr_assert_eq(held(s, "office"), 2, "an older receipt does not undo it");
	cr_assert_eq(server_number(s, "SELECT sequence FROM receipt"), 6, "and is acknowledged");
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt_event"), 1,
		     "what it tells counts");
	posted(s, &m, &second, 7);
	cr_assert_eq(server_number(s, "SELECT sequence FROM receipt"), 7);
	cr_assert_eq(told(s, &m, &second, 7), 1, "the receipt itself is known by then");
	second.channel[0].drift = 2;
	posted(s, &m, &second, 8);
	cr_assert_eq(told(s, &m, &second, 7), RC_REPLAY);
	cr_assert_eq(server_number(s, "SELECT sum(drift) FROM receipt_channel"), 2,
		     "a code never overrides a later receipt");
}

Test(confirm, knows_the_number_of_a_receipt_by_some_of_its_bits)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct holding h;

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &h);
	cr_assert_eq(told(s, &m, &h, 4096), 0);
	cr_assert_eq(server_number(s, "SELECT sequence FROM confirmation"), 4096);
	cr_assert_eq(told(s, &m, &h, 4095), RC_REPLAY);
	cr_assert_eq(told(s, &m, &h, 4097), 0);
	cr_assert_eq(told(s, &m, &h, 4097 + 4 * 4096), 0, "four rounds ahead");
	cr_assert_eq(server_number(s, "SELECT sequence FROM confirmation"), 4097 + 4 * 4096);
	cr_assert_eq(told(s, &m, &h, 4097 + 9 * 4096), RC_UNTRUSTED, "five");
	cr_assert_eq(server_number(s, "SELECT sequence FROM confirmation"), 4097 + 4 * 4096);
}

Test(confirm, works_with_the_collect_key_that_the_workstation_knows)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct key_public old = *trust_collect(&s->trust);
	struct holding h;
	char code[CONFIRM_TEXT + 1];
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &h);
	must(trust_change_rotate(s, ROLE_COLLECT, KEY_RETIRED, NULL, &err));
	cr_assert_not(key_same(&old, trust_collect(&s->trust)));
	code_by(s, &m, &old, &h, 1, code);
	cr_assert_eq(typed(s, code), 0);
	code_by(s, &m, trust_collect(&s->trust), &h, 2, code);
	cr_assert_eq(typed(s, code), 0);
}

Test(confirm, lets_nobody_try_for_long_and_locks_nobody_out_for_good)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct holding h, lie;

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &h);
	lie = h;
	lie.r.private_tree.b[0] ^= 1;
	for (int i = 0; i < 10; i++) {
		clock_set(SERVER_NOW + i * 60);
		cr_assert_eq(told(s, &m, &lie, 1), RC_UNTRUSTED);
	}
	cr_assert_eq(told(s, &m, &lie, 1), RC_AGAIN);
	cr_assert_eq(told(s, &m, &h, 1), RC_AGAIN, "nor the right one");
	cr_assert_eq(tries(s), 10, "what was not looked at is no try");
	clock_set(SERVER_NOW + 3599);
	cr_assert_eq(told(s, &m, &h, 1), RC_AGAIN);
	clock_set(SERVER_NOW + 3600);
	cr_assert_eq(told(s, &m, &lie, 1), RC_UNTRUSTED);
	cr_assert_eq(told(s, &m, &h, 1), RC_AGAIN);
	clock_set(SERVER_NOW - 365 * 86400);
	cr_assert_eq(told(s, &m, &h, 1), RC_AGAIN, "a clock set back does not help");
	clock_set(SERVER_NOW - 365 * 86400 + 3600);
	cr_assert_eq(told(s, &m, &h, 1), 0, "and is no year of waiting");
}

Test(confirm, forgets_what_lies_far_behind_what_was_confirmed)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct holding h;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	for (int i = 0; i < 80; i++) {
		must(db_exec(s->db, "UPDATE private SET inputs = NULL", &err));
		publish(s);
	}
	cr_assert_eq(server_number(s, "SELECT count(*) FROM private_history"), 64);
	applied(s, &m, &h);
	posted(s, &m, &h, 1);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM private_history"), 9);
	cr_assert_eq(server_number(s, "SELECT min(generation) FROM private_history"), 72);
}

Test(confirm, is_not_for_a_workstation_that_was_revoked)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct holding h;
	struct err err = {0};

	machine_enrol(s, &m, "kiosk");
	publish(s);
	applied(s, &m, &h);
	must(enrolment_revoke(s, "kiosk", &err));
	cr_assert_eq(told(s, &m, &h, 1), RC_UNTRUSTED);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM receipt"), 0);
}
