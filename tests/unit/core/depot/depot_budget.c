/* SPDX-License-Identifier: ISC */
/* What a depot may cost a run. */
#include "tests/support/depot.h"

TestSuite(depot_budget, .init = scratch_setup, .fini = scratch_teardown, .timeout = 60);

/* One junk name now and then, and always more to come: it is never silent. */
static int trickler(void *arg, int fd)
{
	struct timespec pause = {.tv_nsec = 20000000};
	OWNED(buf_clear) struct buf b = BUF_INIT, answer = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	if (pack_number(&answer, 0, &err) < 0 || pack_number(&answer, 1, &err) < 0 ||
	    pack_number(&answer, 1, &err) < 0 || pack_number(&answer, 3, &err) < 0 ||
	    pack_text(&answer, "junk", &err) < 0)
		return 1;
	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0) {
		nanosleep(&pause, NULL);
		if (frame_send(fd, TELL_DONE, bytes_in(&answer), &err) < 0)
			return 1;
	}
	return 0;
}

Test(depot_budget, that_trickles_is_given_up_however_often_it_answers)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct seen s = {0};
	struct err err = {0};

	child_kill(&d->child);
	cr_assert_eq(child_start(trickler, NULL, NULL, 0, &d->child, &err), 0);
	d->budget.wait_ms = d->budget.wait_most = 400;
	cr_assert_eq(depot_list(d, "beats", count, &s, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "too slow or too full"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, scratch), "%s", err.text);
	cr_assert(s.count >= 2 && s.count <= 20, "%u", s.count);
	cr_assert(depot_over(d, &err));
	alarm(1);
	expect_dead(d, RC_TIMEOUT);
	alarm(0);
	cr_assert_eq(depot_size(d, BEAT, &s.bytes, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "too slow or too full"), "%s", err.text);
}

Test(depot_budget, that_is_full_of_anything_is_given_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct seen s = {0};
	struct err err = {0};

	run("mkdir b && cd b && seq -f '.junk-%g' 100 | xargs touch && mkdir ours && touch ours/x");
	d->budget.entries = 150;
	cr_assert_eq(depot_list(d, "b", count, &s, &err), 0, "%s", err.text);
	cr_assert_eq(depot_list(d, "b/ours", count, &s, &err), 0, "%s", err.text);
	cr_assert_eq(s.count, 1);
	depot_credit(d, 1000, 0);
	d->budget.entries -= LIMIT_DEPOT_ENTRIES > d->budget.entries ? 950 : 0;
	cr_assert_eq(d->budget.entries, 150 - 101 - 1 + 1000 - 950,
		     "files that prove good win back");
	cr_assert_eq(depot_list(d, "b", count, &s, &err), RC_TIMEOUT, "nothing of it is ours");
	cr_assert_not_null(strstr(err.text, "were listed"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

Test(depot_budget, whose_bytes_bring_nothing_is_given_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t piece[1000];

	run("head -c 1000 /dev/zero >a");
	d->budget.bytes = 2500;
	cr_assert_eq(depot_read(d, "a", 1000, &b, &err), 0, "%s", err.text);
	cr_assert_eq(depot_fetch(d, "a", 0, piece, sizeof(piece), &err), 0, "%s", err.text);
	depot_credit(d, 0, 1000);
	cr_assert_eq(depot_read(d, "a", 1000, &b, &err), 0, "what proved good is not counted");
	cr_assert_eq(depot_fetch(d, "a", 0, piece, sizeof(piece), &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "bytes were read"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

Test(depot_budget, wins_time_back_with_what_proves_good_and_saves_nothing_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct depot_budget *b = &d->budget;
	struct err err = {0};

	b->wait_ms = 1000;
	depot_credit(d, 0, 10 * LIMIT_DEPOT_RATE);
	cr_assert(b->wait_ms >= 11000 && b->wait_ms < 11200, "%jd", (intmax_t)b->wait_ms);
	depot_credit(d, 4, 0);
	cr_assert(b->wait_ms >= 12000 && b->wait_ms < 12200, "%jd", (intmax_t)b->wait_ms);
	depot_credit(d, 0, LIMIT_PAYLOAD);
	cr_assert_eq(b->wait_ms, b->wait_most);
	cr_assert_eq(b->bytes, LIMIT_DEPOT_BYTES);
	b->wait_ms = 1000;
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), 0, "%s", err.text);
	cr_assert_gt(b->wait_ms, 1000, "what is written counts by itself");
	depot_hurry(d, 3);
	depot_credit(d, 0, LIMIT_PAYLOAD);
	cr_assert_eq(b->wait_ms, 3000);
	depot_hurry(d, 300);
	cr_assert_eq(b->wait_most, 3000, "never more");
}

Test(depot_budget, counts_what_its_caller_waits_for_by_itself)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};

	cr_assert_eq(depot_waiting(d), d->silence_ms);
	d->budget.wait_ms = 500;
	cr_assert_eq(depot_waiting(d), 500);
	cr_assert_eq(depot_waited(d, clock_monotonic_ms() - 300, &err), 0);
	cr_assert_eq(depot_waited(d, clock_monotonic_ms() - 300, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "it was waited for"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

/* A helper that was taken over: the head of an answer at once, its body after a while. */
static int dawdler(void *arg, int fd)
{
	static const uint8_t head[5] = {1, 0, 0, 0, TELL_DATA};
	struct timespec pause = {.tv_nsec = 100000000};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0)
		for (;;) {
			if (send(fd, head, sizeof(head), MSG_NOSIGNAL) < 0)
				return 1;
			nanosleep(&pause, NULL);
			if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
				return 1;
		}
	return 0;
}

Test(depot_budget, counts_the_wait_for_the_body_of_an_answer)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	uint8_t piece[40];
	int64_t since;

	child_kill(&d->child);
	cr_assert_eq(child_start(dawdler, NULL, NULL, 0, &d->child, &err), 0);
	d->budget.wait_ms = d->budget.wait_most = 500;
	since = clock_monotonic_ms();
	cr_assert_eq(depot_fetch(d, "a", 0, piece, sizeof(piece), &err), RC_TIMEOUT);
	cr_assert_lt(clock_monotonic_ms() - since, 2000);
	cr_assert_not_null(strstr(err.text, "it was waited for"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

/* Another one, which says for ever how far it is. */
static int boaster(void *arg, int fd)
{
	struct timespec pause = {.tv_nsec = 20000000};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type, raw[16];

	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0)
		for (unsigned i = 0;; i++) {
			put_u64(raw, type == ASK_POST ? PHASE_POST : PHASE_VERIFY);
			put_u64(raw + 8, i % 2 == 0 ? LIMIT_PAYLOAD : 0);
			nanosleep(&pause, NULL);
			if (frame_send(fd, TELL_ALIVE, (struct bytes){raw, sizeof(raw)}, &err) < 0)
				return 1;
		}
	return 0;
}

static void boasted(int (*ask)(struct depot *d, struct err *err))
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	int64_t since;

	child_kill(&d->child);
	cr_assert_eq(child_start(boaster, NULL, NULL, 0, &d->child, &err), 0);
	d->budget.wait_ms = d->budget.wait_most = 500;
	since = clock_monotonic_ms();
	cr_assert_eq(ask(d, &err), RC_TIMEOUT);
	cr_assert_lt(clock_monotonic_ms() - since, 4000);
	cr_assert_not_null(strstr(err.text, "it was waited for"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

static int ask_post(struct depot *d, struct err *err)
{
	return depot_post(d, BEAT, bytes_of("abc"), err);
}

static int ask_commit(struct depot *d, struct err *err)
{
	return depot_stream_commit(d, err);
}

static int ask_list(struct depot *d, struct err *err)
{
	struct seen s = {0};

	return depot_list(d, "beats", count, &s, err);
}

Test(depot_budget, wins_nothing_back_by_saying_that_it_works)
{
	boasted(ask_post);
	boasted(ask_commit);
	boasted(ask_list);
}

Test(depot_budget, wins_back_no_more_than_the_bytes_that_are_written)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	OWNED(freep) uint8_t *big = pattern(4 * MEGA);
	struct err err = {0};

	d->budget.wait_most = 1000000;
	d->budget.wait_ms = 100000;
	cr_assert_eq(depot_post(d, "big", (struct bytes){big, 4 * MEGA}, &err), 0, "%s", err.text);
	cr_assert_gt(d->budget.wait_ms, 100000 + 50000, "a large file on a slow stick may come");
	cr_assert_leq(d->budget.wait_ms, 100000 + 65000);
	d->budget.wait_ms = 100000;
	cr_assert_eq(depot_post(d, "big", (struct bytes){big, 4 * MEGA}, &err), 0, "%s", err.text);
	cr_assert_gt(d->budget.wait_ms, 100000 + 50000, "and be compared when it is there");
	d->budget.wait_ms = 100000;
	cr_assert_eq(depot_stream_begin(d, "more", 4 * MEGA, false, &err), 0, "%s", err.text);
	cr_assert_eq(depot_stream_more(d, (struct bytes){big, 4 * MEGA}, &err), 0);
	cr_assert_eq(depot_stream_commit(d, &err), 0, "%s", err.text);
	cr_assert_gt(d->budget.wait_ms, 100000 + 100000, "in pieces: written and read back");
}
