/* SPDX-License-Identifier: ISC */
/* A depot that does not answer, or answers nonsense. */
#include "tests/support/depot.h"

TestSuite(depot_silent, .init = scratch_setup, .fini = scratch_teardown, .timeout = 60);

/* A depot whose helper hangs, as it does in the stat of a dead share. */
static struct depot *hung(void)
{
	struct depot *d = NULL;

	run("mkdir -p beats && printf abc >" BEAT);
	cr_assert_eq(depot_open(scratch, DEPOT_WRITE, 1, &d, ERR_IGNORED), 0);
	cr_assert_eq(kill(d->child.pid, SIGSTOP), 0);
	return d;
}

Test(depot_silent, that_is_silent_is_given_up_and_stays_so)
{
	OWNED(depot_freep) struct depot *d = hung();
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	pid_t pid = d->child.pid;

	cr_assert_eq(depot_read(d, BEAT, 99, &b, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, scratch), "%s", err.text);
	cr_assert_eq(kill(pid, 0), -1, "it was killed and waited for");
	alarm(1);
	expect_dead(d, RC_TIMEOUT);
	alarm(0);
}

Test(depot_silent, that_takes_nothing_is_given_up)
{
	OWNED(depot_freep) struct depot *d = hung();
	OWNED(freep) uint8_t *big = pattern(16 * MEGA);
	struct err err = {0};

	cr_assert_eq(depot_post(d, "file", (struct bytes){big, 16 * MEGA}, &err), RC_TIMEOUT);
	expect_dead(d, RC_TIMEOUT);
	run("test ! -e file");
}

static int stop_helper(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct seen *s = arg;

	s->count++;
	if (s->count == 1)
		kill(s->d->child.pid, SIGSTOP);
	return 0;
}

Test(depot_silent, that_falls_silent_within_a_listing_is_given_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct seen s = {.d = d};
	struct err err = {0};

	run("mkdir many && cd many && seq -f 'file-with-a-long-name-%g' 2000 | xargs touch");
	d->silence_ms = 300;
	cr_assert_eq(depot_list(d, "many", stop_helper, &s, &err), RC_TIMEOUT);
	cr_assert_lt(s.count, 2000);
	expect_dead(d, RC_TIMEOUT);
}

Test(depot_silent, whose_helper_dies_says_so_once_and_for_all)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(kill(d->child.pid, SIGKILL), 0);
	cr_assert_eq(depot_read(d, BEAT, 99, &b, &err), RC_IO);
	expect_dead(d, RC_IO);
}

Test(depot_silent, freed_while_its_helper_hangs_does_not_wait_for_ever)
{
	struct depot *d = hung();
	pid_t pid = d->child.pid;

	d = depot_free(d);
	cr_assert_eq(kill(pid, 0), -1);
}

/* A child that answers what no helper of ours answers. */
static int liar(void *arg, int fd)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	const struct bytes *answer = arg;
	struct err err = {0};
	uint8_t type;

	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0)
		if (frame_send(fd, answer->p[0], (struct bytes){answer->p + 1, answer->n - 1},
			       &err) < 0)
			return 1;
	return 0;
}

Test(depot_silent, whose_helper_talks_nonsense_is_given_up)
{
	static const struct bytes answers[] = {
	    {(const uint8_t *)"\x09", 1}, /* no such answer */
	    {(const uint8_t *)"\x03", 1}, /* data of no bytes */
	    {(const uint8_t *)"\x01"
			      "abc",
	     4}, /* half a failure */
	    {(const uint8_t *)"\x01"
			      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
	     17}, /* of code 0 */
	    {(const uint8_t *)"\x00"
			      "abc",
	     4}, /* too short for a number or a listing */
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
		struct bytes answer = answers[i];
		struct err err = {0};
		struct seen s = {0};
		uint64_t n;

		child_kill(&d->child);
		cr_assert_eq(child_start(liar, &answer, NULL, 0, &d->child, &err), 0);
		if (i % 2 == 0)
			cr_assert_eq(depot_size(d, BEAT, &n, &err), RC_IO, "%zu", i);
		else
			cr_assert_eq(depot_list(d, "beats", count, &s, &err), RC_IO, "%zu", i);
		expect_dead(d, RC_IO);
	}
}
