/*
 * The control socket, with friendly and with hostile clients.
 */
#include "watcher/control.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/own.h"
#include "scratch.h"

static char dir[SCRATCH_PATH];
static struct control c;

static void setup(void)
{
	struct err err = {0};

	scratch_make(dir);
	control_init(&c);
	cr_assert_eq(control_open(dir, &c, &err), 0, "%s", err.text);
}

static void teardown(void)
{
	control_close(&c);
	scratch_remove(dir);
}

/* A client that has said ${n} bytes. */
static int client(const char *text, size_t n)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_lt(
	    (size_t)snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/" CONTROL_SOCKET, dir),
	    sizeof(at.sun_path));
	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (n > 0)
		cr_assert_eq(send(fd, text, n, 0), (ssize_t)n);
	return fd;
}

static struct control_client *first(void)
{
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c.client[i].fd >= 0)
			return &c.client[i];
	return NULL;
}

static size_t clients(void)
{
	size_t n = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		n += c.client[i].fd >= 0;
	return n;
}

static const char *answer(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

TestSuite(control, .init = setup, .fini = teardown);

Test(control, is_open_to_everybody_who_reaches_the_directory)
{
	struct stat st;
	char path[SCRATCH_PATH + 32];

	snprintf(path, sizeof(path), "%s/" CONTROL_SOCKET, dir);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0666);
	control_close(&c);
	cr_expect_neq(stat(path, &st), 0, "it goes when the watcher goes");
}

Test(control, hears_each_verb_and_who_says_it_and_answers_once)
{
	for (size_t i = 0; i < CONTROL_VERBS; i++) {
		OWNED(fd_closep) int fd = -1;
		char line[CONTROL_LINE];
		struct control_client *k;

		snprintf(line, sizeof(line), "%s\n", control_verbs[i]);
		fd = client(line, strlen(line));
		control_accept(&c, 0);
		k = first();
		cr_assert_not_null(k);
		cr_expect_eq(k->uid, geteuid());
		cr_assert_eq(control_hear(k), 1);
		cr_expect_eq(k->verb, i);
		control_answer(k, bytes_of("0 done\n"));
		cr_expect_str_eq(answer(fd), "0 done\n");
		cr_expect_eq(clients(), 0);
	}
}

Test(control, takes_a_line_in_pieces)
{
	OWNED(fd_closep) int fd = client("st", 2);

	control_accept(&c, 0);
	cr_expect_eq(control_hear(first()), 0);
	cr_assert_eq(send(fd, "atus", 4, 0), 4);
	cr_expect_eq(control_hear(first()), 0);
	cr_assert_eq(send(fd, "\n", 1, 0), 1);
	cr_expect_eq(control_hear(first()), 1);
	cr_expect_eq(first()->verb, CONTROL_STATUS);
}

Test(control, refuses_everything_else_and_says_what_it_knows)
{
	static const struct bytes bad[] = {
	    {(const uint8_t *)"apply\n", 6},
	    {(const uint8_t *)"sync now\n", 9},
	    {(const uint8_t *)"SYNC\n", 5},
	    {(const uint8_t *)"\n", 1},
	    {(const uint8_t *)"status\0\n", 8},
	    {(const uint8_t *)"status\nsync\n", 12},
	    {(const uint8_t *)"sync\r\n", 6},
	    {(const uint8_t *)" sync\n", 6},
	    {(const uint8_t *)"01234567890123456789012345678901234567890", 40},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		OWNED(fd_closep) int fd = client((const char *)bad[i].p, bad[i].n);

		control_accept(&c, 0);
		cr_expect_eq(control_hear(first()), 0, "%zu", i);
		cr_expect_eq(clients(), 0, "%zu", i);
		cr_expect_str_eq(answer(fd), "2 say sync, status or messages\n", "%zu", i);
	}
}

Test(control, sends_away_who_says_nothing_in_time)
{
	OWNED(fd_closep) int fd = client("syn", 3);

	control_accept(&c, 1000);
	cr_expect_eq(control_hear(first()), 0);
	cr_expect_eq(control_expire(&c, 1000 + CONTROL_LINE_MS - 1), 1000 + CONTROL_LINE_MS);
	cr_expect_eq(clients(), 1);
	cr_expect_eq(control_expire(&c, 1000 + CONTROL_LINE_MS), INT64_MAX);
	cr_expect_eq(clients(), 0);
}

Test(control, keeps_who_waits_for_an_answer)
{
	OWNED(fd_closep) int fd = client("sync\n", 5);

	control_accept(&c, 0);
	cr_assert_eq(control_hear(first()), 1);
	control_expire(&c, INT64_MAX - 1);
	cr_expect_eq(clients(), 1);
}

Test(control, forgets_who_went_away_and_who_talks_on)
{
	int fd = client("", 0);
	OWNED(fd_closep) int other = -1;

	control_accept(&c, 0);
	close(fd);
	cr_expect_eq(control_hear(first()), 0);
	cr_expect_eq(clients(), 0);
	other = client("sync\n", 5);
	control_accept(&c, 0);
	cr_assert_eq(control_hear(first()), 1);
	cr_assert_eq(send(other, "more", 4, 0), 4);
	cr_expect_eq(control_hear(first()), 0);
	cr_expect_eq(clients(), 0);
}

Test(control, has_room_for_a_bounded_crowd)
{
	int fd[CONTROL_CLIENTS + 8];

	for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = client("", 0);
		control_accept(&c, 0);
	}
	cr_expect_eq(clients(), CONTROL_CLIENTS);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		close(fd[i]);
}

Test(control, does_not_wait_for_who_does_not_read)
{
	OWNED(fd_closep) int fd = client("status\n", 7);
	OWNED(buf_clear) struct buf large = BUF_INIT;
	struct err err;

	cr_assert_eq(buf_reserve(&large, 8u << 20, &err), 0);
	memset(large.p, 'x', 8u << 20);
	large.n = 8u << 20;
	control_accept(&c, 0);
	cr_assert_eq(control_hear(first()), 1);
	control_answer(first(), bytes_in(&large));
	cr_expect_eq(clients(), 0);
}

static void *serve(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 10000 && first() == NULL; i++) {
		control_accept(&c, 0);
		usleep(10000);
	}
	for (unsigned i = 0; i < 10000 && first() != NULL && control_hear(first()) == 0; i++)
		usleep(10000);
	if (first() != NULL)
		control_answer(first(), bytes_of("0 well\n"));
	return NULL;
}

Test(asking, brings_the_answer, .init = setup, .fini = teardown)
{
	OWNED(buf_clear) struct buf got = BUF_INIT;
	struct err err = {0};
	pthread_t thread;

	pthread_create(&thread, NULL, serve, NULL);
	cr_expect_eq(control_ask(dir, CONTROL_SYNC, 100000, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq((const char *)got.p, "0 well\n");
	pthread_join(thread, NULL);
}

Test(asking, says_so_when_nobody_is_there_or_answers, .init = setup, .fini = teardown)
{
	OWNED(buf_clear) struct buf got = BUF_INIT;
	struct err err = {0};

	cr_expect_eq(control_ask(dir, CONTROL_SYNC, 100, &got, &err), RC_TIMEOUT);
	control_close(&c);
	cr_expect_eq(control_ask(dir, CONTROL_SYNC, 100, &got, &err), RC_AGAIN);
	cr_expect_eq(control_ask("/nowhere/at/all", CONTROL_SYNC, 100, &got, &err), RC_AGAIN);
}
