#include <criterion/criterion.h>
#include <string.h>

#include "bundler/collect.h"
#include "bundler/enrolment.h"
#include "bundler/registry.h"
#include "bundler/status_internal.h"
#include "tests/unit/machine.h"

#define SILENT 3600

/* The rules alone: a workstation that is green, and what each fault makes of it. */

static struct site_channel office = {.name = "office"};
static const struct site_channel *channels[] = {&office};
static struct wanted latest;
static const struct wanted *wanted[] = {&latest};
static struct held held;
static struct standing in;
static struct status_channel out[4];
static struct status_workstation w;

static void good(void)
{
	latest = (struct wanted){.epoch = 1, .generation = 42, .tree = {{4}}, .posted = 100};
	held = (struct held){
	    .name = "office", .epoch = 1, .generation = 42, .tree = {{4}}, .result = "applied"};
	in = (struct standing){.name = "kiosk",
			       .id = "00112233445566778899aabbccddeeff",
			       .enrolled = 1000,
			       .compiled = true,
			       .private_wanted = {.epoch = 1, .generation = 3, .posted = 90},
			       .receipt = 7,
			       .heard = 10000,
			       .private_epoch = 1,
			       .private_generation = 3,
			       .held = &held,
			       .helds = 1,
			       .channel = channels,
			       .wanted = wanted,
			       .channels = 1};
}

static enum colour judged_at(int64_t now)
{
	memset(&w, 0, sizeof(w));
	w.channel = out;
	status_judge(&in, now, SILENT, &w);
	return w.colour;
}

static enum colour judged(void)
{
	return judged_at(10000);
}

#define reason_has(text) cr_assert_not_null(strstr(w.reason, text), "reason: %s", w.reason)
#define also_has(text)   cr_assert_not_null(strstr(w.also, text), "also: %s", w.also)

TestSuite(status_judge, .init = good);

Test(status_judge, is_green_only_when_everything_is_confirmed)
{
	cr_assert_eq(judged(), COLOUR_GREEN);
	cr_assert_str_eq(w.reason, "");
	cr_assert_str_eq(w.also, "");
	cr_assert_eq(w.channels, 1);
	cr_assert_eq(w.channel[0].held, 42);
	cr_assert_eq(w.channel[0].wanted, 42);
	cr_assert(w.channel[0].tree_equal);
}

Test(status_judge, is_orange_until_the_posted_generation_is_confirmed)
{
	held.generation = 41;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "channel office: holds 41, wanted 42, posted "
				   "1970-01-01T00:01:40Z");
	cr_assert_not(w.channel[0].tree_equal);
	good();
	in.helds = 0;
	cr_assert_eq(judged(), COLOUR_ORANGE, "a receipt that does not speak of the channel");
	reason_has("holds 0, wanted 42");
	good();
	held.generation = 41;
	snprintf(held.result, sizeof(held.result), "waiting");
	snprintf(held.reason, sizeof(held.reason), "incomplete: half of it");
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "channel office: waiting: incomplete: half of it");
	also_has("holds 41");
	good();
	in.private_generation = 2;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("private channel: holds 2, wanted 3");
}

Test(status_judge, is_red_while_a_change_is_not_posted)
{
	held.generation = 41;
	latest.posted = 0;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("generation 42 is not posted yet");
	good();
	latest = (struct wanted){0};
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("not published yet");
	good();
	in.compiled = false;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("changed here and not published");
}

Test(status_judge, does_not_take_an_equal_number_for_an_equal_tree)
{
	held.tree.b[31] = 1;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("another tree under number 42");
	cr_assert_not(w.channel[0].tree_equal);
	good();
	in.private_tree.b[0] = 1;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("private channel: holds another tree");
}

Test(status_judge, is_red_when_more_is_held_than_was_ever_published)
{
	held.generation = 43;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("old backup");
	good();
	held.epoch = 2;
	held.generation = 1;
	cr_assert_eq(judged(), COLOUR_RED);
}

Test(status_judge, waits_for_the_new_epoch_whatever_the_old_numbers_were)
{
	latest.epoch = 2;
	latest.generation = 1;
	cr_assert_eq(judged(), COLOUR_ORANGE);
	reason_has("holds 0, wanted 1");
	cr_assert_eq(w.channel[0].held, 0);
}

Test(status_judge, is_red_for_what_was_refused_failed_or_changed_locally)
{
	snprintf(held.result, sizeof(held.result), "refused");
	snprintf(held.reason, sizeof(held.reason), "path: ../x");
	cr_assert_eq(judged(), COLOUR_RED);
	cr_assert_str_eq(w.reason, "channel office: refused: path: ../x");
	snprintf(held.result, sizeof(held.result), "failed");
	cr_assert_eq(judged(), COLOUR_RED);
	good();
	held.drift = 1;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("drift: 1 entry");
	good();
	held.deviations = 2;
	cr_assert_eq(judged(), COLOUR_RED);
	reason_has("2 local changes are kept");
}

Test(status_judge, is_grey_before_anybody_enrolled_and_after_revocation)
{
	in.id[0] = '\0';
	cr_assert_eq(judged(), COLOUR_GREY);
	reason_has("no invitation is open");
	in.invited = 100;
	cr_assert_eq(judged(), COLOUR_GREY);
	reason_has("good until 1970-01-01T00:01:40Z");
	good();
	in.revoked = true;
	held.drift = 1;
	cr_assert_eq(judged(), COLOUR_GREY);
	cr_assert_str_eq(w.reason, "was revoked");
	cr_assert_str_eq(w.also, "");
}

Test(status_judge, is_blue_until_the_first_sync_was_confirmed)
{
	in.receipt = 0;
	in.heard = 0;
	in.private_epoch = in.private_generation = 0;
	in.helds = 0;
	cr_assert_eq(judged_at(1000), COLOUR_BLUE);
	reason_has("first sync not confirmed");
	in.compiled = false;
	cr_assert_eq(judged_at(1000), COLOUR_BLUE, "blue comes before what is not posted");
	also_has("not published");
	good();
	in.private_epoch = in.private_generation = 0;
	cr_assert_eq(judged(), COLOUR_BLUE, "a receipt that holds nothing yet");
	snprintf(held.result, sizeof(held.result), "failed");
	cr_assert_eq(judged(), COLOUR_RED, "a first sync that failed is worse than one that waits");
}

Test(status_judge, is_orange_after_too_long_a_silence_and_not_a_second_before)
{
	cr_assert_eq(judged_at(10000 + SILENT), COLOUR_GREEN);
	cr_assert_eq(judged_at(10000 + SILENT + 1), COLOUR_ORANGE);
	cr_assert_str_eq(w.reason, "not heard from since 1970-01-01T02:46:40Z");
	cr_assert_eq(judged_at(0), COLOUR_GREEN, "a clock that went back is no silence");
}

Test(status_judge, wants_left_channels_to_be_left)
{
	snprintf(held.name, sizeof(held.name), "former");
	cr_assert_eq(judged(), COLOUR_ORANGE);
	also_has("channel former: is to leave it");
	snprintf(held.result, sizeof(held.result), "left");
	cr_assert_eq(judged(), COLOUR_ORANGE);
	cr_assert_null(strstr(w.also, "former"));
}

Test(status_judge, tells_the_first_reason_of_the_table_and_lists_the_others)
{
	held.generation = 41;
	held.drift = 5;
	snprintf(held.result, sizeof(held.result), "failed");
	cr_assert_eq(judged_at(10000 + SILENT + 1), COLOUR_RED);
	reason_has("failed");
	cr_assert(strstr(w.also, "drift") < strstr(w.also, "holds 41"));
	cr_assert(strstr(w.also, "holds 41") < strstr(w.also, "not heard from"));
}

Test(status_judge, keeps_the_worst_of_very_many_reasons)
{
	static struct site_channel many[40];
	static const struct site_channel *list[40];
	static const struct wanted *want[40];
	static struct held holds[40];
	static struct status_channel room[40];

	for (size_t i = 0; i < 40; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "c%02zu", i);
		list[i] = &many[i];
		want[i] = &latest;
		snprintf(holds[i].name, sizeof(holds[i].name), "c%02zu", i);
		snprintf(holds[i].result, sizeof(holds[i].result), i == 39 ? "refused" : "applied");
	}
	in.channel = list;
	in.wanted = want;
	in.channels = 40;
	in.held = holds;
	in.helds = 40;
	w = (struct status_workstation){.channel = room};
	status_judge(&in, 10000, SILENT, &w);
	cr_assert_eq(w.colour, COLOUR_RED);
	reason_has("c39: refused");
	cr_assert_eq(w.channels, 40);
	cr_assert_lt(strlen(w.also), sizeof(w.also));
}

/* With a registry */

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
	cr_assert_eq(g.workstations, 0);
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
	cr_assert_eq(g.workstations, 2);
	cr_assert_eq(g.held_requests, 1);
	cr_assert_eq(g.unposted, 1);
	cr_assert_eq(g.by_colour[COLOUR_BLUE], 1);
	cr_assert_eq(g.by_colour[COLOUR_GREY], 1);
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
