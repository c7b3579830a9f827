/* SPDX-License-Identifier: ISC */
/*
 * Events: what satchel noticed is merged and bounded, what people said is neither.
 */
#include <criterion/criterion.h>

#include "applier/report/event.h"
#include "tests/support/station.h"

#define NOW 1800000000

static char path[SCRATCH_PATH + 8];
static struct station *s;
static struct err err;

static void setup(void)
{
	station_clock(NOW);
	scratch_setup();
	snprintf(path, sizeof(path), "%s/ws", scratch);
	s = station_at(path);
}

static void teardown(void)
{
	station_freep(&s);
	scratch_teardown();
}

TestSuite(event, .init = setup, .fini = teardown);

static int count_each(void *arg, const struct receipt_event *e, struct err *ret)
{
	(void)e;
	(void)ret;
	(*(size_t *)arg)++;
	return 0;
}

static size_t events(void)
{
	size_t n = 0;

	cr_assert_eq(station_events(s, false, count_each, &n, &err), 0, "%s", err.text);
	return n;
}

/* sent(sequence, number): the receipt ${sequence} carries the event ${number} alone. */
static void sent(uint64_t sequence, uint64_t number)
{
	struct receipt_event e = {.number = number};
	struct receipt r = {.sequence = sequence, .event = &e, .events = 1};

	cr_assert_eq(event_sent(s, &r, &err), 0, "%s", err.text);
}

Test(event, the_same_event_is_told_once_a_week)
{
	for (int i = 0; i < 3; i++)
		cr_assert_eq(station_event(s, "untrusted", "x", &err), 0, "%s", err.text);
	cr_assert_eq(station_event(s, "untrusted", "y", &err), 0);
	cr_assert_eq(events(), 2);
	sent(1, 1);
	cr_assert_eq(event_acknowledge(s, 1, &err), 0);
	cr_assert_eq(station_event(s, "untrusted", "x", &err), 0);
	cr_assert_eq(events(), 1, "x was acknowledged an instant ago");
	station_clock(NOW + 7 * 86400);
	cr_assert_eq(station_event(s, "untrusted", "x", &err), 0);
	cr_assert_eq(events(), 2, "a week later it is news again");
}

Test(event, what_satchel_noticed_is_bounded_and_clean)
{
	char text[600];

	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "%d\x1b[2J", i);
		cr_assert_eq(station_event(s, "untrusted", text, &err), 0);
	}
	cr_assert_eq(events(), 256);
}

Test(event, what_people_say_is_neither_merged_nor_dropped_but_its_number_is_bounded)
{
	char text[32];

	for (int i = 0; i < EVENTS_SAID; i++)
		cr_assert_eq(event_of_person(s, "report", "the same", "", "anna@example.org", &err),
			     0);
	cr_assert_eq(event_of_person(s, "report", "one more", "", "anna@example.org", &err),
		     RC_AGAIN);
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "%d", i);
		cr_assert_eq(station_event(s, "untrusted", text, &err), 0);
	}
	cr_assert_eq(events(), EVENTS_SAID + 256);
	sent(1, 1);
	cr_assert_eq(event_acknowledge(s, 1, &err), 0);
	cr_assert_eq(event_of_person(s, "report", "one more", "", "anna@example.org", &err), 0);
}

Test(event, one_that_a_receipt_left_out_waits_for_a_later_receipt)
{
	cr_assert_eq(station_event(s, "untrusted", "x", &err), 0);
	cr_assert_eq(station_event(s, "untrusted", "y", &err), 0);
	sent(1, 1);
	sent(2, 2); /* without x */
	cr_assert_eq(event_acknowledge(s, 1, &err), 0);
	cr_assert_eq(events(), 2, "what receipt 1 carried, receipt 2 did not");
	cr_assert_eq(event_acknowledge(s, 2, &err), 0);
	cr_assert_eq(events(), 1);
}
