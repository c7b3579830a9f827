/* SPDX-License-Identifier: ISC */
/*
 * One machine or two: what receipts that name the one before them tell.
 */
#include "bundler/receipts/receipts.h"
#include "tests/support/machine.h"

TestSuite(receipts_line, .init = server_make, .timeout = 60);

#define DAY 86400

/* A line of receipts as one copy of a machine writes it. */
struct line {
	struct site *s;
	const struct machine *m;
	const char *instance;
	uint64_t sequence;       /* of the newest */
	struct digest previous;  /* its identity */
	uint64_t set_back, beat; /* what it says of them */
	uint64_t free;           /* what tells it from another copy */
};

static struct digest identity_of(const struct receipt *r)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};

	must(receipt_encode(r, NULL, &text, &err));
	return digest_of(bytes_in(&text));
}

static struct receipt next_of(const struct line *l, uint64_t number)
{
	struct receipt r = machine_receipt(l->s, l->m, number);

	snprintf(r.instance, sizeof(r.instance), "%s", l->instance);
	r.previous = l->previous;
	r.set_back = l->set_back;
	r.beat_epoch = l->beat > 0;
	r.beat = l->beat;
	r.free_bytes = l->free;
	return r;
}

/* It is written, and never arrives. */
static void writes(struct line *l, uint64_t number)
{
	struct receipt r = next_of(l, number);

	l->sequence = number;
	l->previous = identity_of(&r);
}

/* The next receipt of a line, collected. */
static void says(struct line *l, uint64_t number)
{
	struct receipt r = next_of(l, number);
	char path[DEPOT_NAME];

	receipt_post(l->s, l->m, &r, path);
	collected(l->s);
	l->sequence = number;
	l->previous = identity_of(&r);
}

static const char a_instance[] = "0a112233445566778899aabbccddeeff";
static const char b_instance[] = "0b112233445566778899aabbccddeeff";

static struct line line_new(struct site *s, struct machine *m)
{
	machine_joins(s, m, "kiosk");
	return (struct line){.s = s, .m = m, .instance = a_instance};
}

static bool state_is(struct site *s, const char *state)
{
	int64_t one;

	return db_int(s->db, ERR_IGNORED, &one, "SELECT 1 FROM receipt_fork WHERE state = ?1", "t",
		      state) == 1;
}

static bool clean(struct site *s)
{
	return server_number(s, "SELECT count(*) FROM receipt_forked") == 0;
}

Test(receipts_line, of_one_machine_goes_on_with_gaps_and_late_copies)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct line a = line_new(s, &m), lost;

	says(&a, 1);
	says(&a, 2);
	lost = a;
	writes(&a, 3);
	says(&a, 4);
	a.instance = b_instance; /* its disk was exchanged for a larger one */
	says(&a, 5);
	says(&a, 6);
	says(&lost, 3); /* on a stick that was found again */
	cr_expect(clean(s));
}

Test(receipts_line, two_of_one_number_and_two_children_of_one_are_a_fork_until_it_is_accepted)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct line a = line_new(s, &m), b;
	struct err err = {0};

	says(&a, 1);
	b = a;
	b.instance = b_instance;
	says(&a, 2);
	says(&b, 3); /* its parent is 1, as that of 2 */
	cr_expect(state_is(s, "open"));
	cr_expect_eq(server_events(s, "clone"), 1);
	clock_set(SERVER_NOW + 100 * DAY);
	says(&b, 4);
	cr_expect(state_is(s, "open"), "no time makes one machine of two");
	cr_expect_eq(receipts_accept(s->db, m.id, &err), 1, "%s", err.text);
	cr_expect_eq(receipts_accept(s->db, m.id, &err), 0, "%s", err.text);
	says(&b, 5);
	cr_expect(clean(s));
	b.sequence = 4;
	b.previous.b[0] ^= 1;
	says(&b, 5); /* another one of that number */
	cr_expect(state_is(s, "open"));
}

Test(receipts_line, two_instances_that_write_by_turns_are_a_fork_though_receipts_between_are_lost)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct line a = line_new(s, &m), b;

	says(&a, 1);
	b = a;
	b.instance = b_instance;
	b.previous.b[0] ^= 1;
	says(&b, 5);
	cr_expect(clean(s), "a machine whose disk was exchanged, so far");
	a.previous.b[1] ^= 1;
	says(&a, 7);
	cr_expect(state_is(s, "open"));
}

Test(receipts_line, a_machine_that_was_set_back_explains_itself_and_settles)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct line a = line_new(s, &m), old;

	says(&a, 1);
	old = a;
	for (uint64_t i = 2; i <= 6; i++)
		says(&a, i);
	old.free = 1;
	says(&old, 2);
	cr_expect(state_is(s, "open"), "it does not know it yet");
	old.instance = b_instance;
	old.set_back = 6;
	old.beat = 8;
	says(&old, 7);
	cr_expect(state_is(s, "declared"));
	cr_expect_eq(server_events(s, "set-back"), 1);
	says(&old, 8);
	cr_expect(state_is(s, "declared"), "the server had not acknowledged it there yet");
	old.set_back = 0;
	says(&old, 9);
	cr_expect(state_is(s, "settled"));
	cr_expect(clean(s));
	says(&a, 7);
	cr_expect(clean(s), "on a stick that was found again");
	a.beat = 9;
	says(&a, 8); /* the line of before goes on: somebody runs the copy as well */
	cr_expect(state_is(s, "open"));
}

Test(receipts_line, two_machines_that_both_say_they_were_set_back_are_two_machines)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct line a = line_new(s, &m), b;

	says(&a, 1);
	b = a;
	says(&a, 2);
	b.instance = b_instance;
	b.set_back = 2;
	says(&b, 3);
	b.set_back = 0;
	says(&b, 4);
	cr_expect(clean(s));
	a.instance = "0c112233445566778899aabbccddeeff";
	a.set_back = 4;
	says(&a, 5);
	cr_expect(state_is(s, "open"));
	a.set_back = 0;
	says(&a, 6);
	cr_expect(state_is(s, "open"), "and it explains nothing any more");
}

Test(receipts_line, that_was_set_back_by_more_than_is_remembered_is_seen_by_the_beat)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	OWNED(machine_clear) struct machine m = machine_new();
	struct line a = line_new(s, &m), old;
	struct err err = {0};

	a.beat = 4;
	says(&a, 1);
	old = a;
	says(&a, 2);
	a.beat = 700;
	a.previous.b[0] ^= 1;
	says(&a, 600);
	must(db_exec(s->db, "DELETE FROM receipt_seen WHERE sequence < 300", &err));
	says(&old, 3);
	cr_expect(clean(s), "an old copy from a stick");
	old.beat = 701;
	says(&old, 4);
	cr_expect(state_is(s, "open"), "who has seen a newer beat is no old copy");
}
