/* SPDX-License-Identifier: ISC */
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
#include "tests/support/scratch.h"

static struct control c;

static void setup(void)
{
	struct err err = {0};

	scratch_setup();
	control_init(&c);
	cr_assert_eq(control_open(scratch, &c, &err), 0, "%s", err.text);
}

static void teardown(void)
{
	control_close(&c);
	scratch_teardown();
}

/* A client that has said ${n} bytes. */
static int client(const char *text, size_t n)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_lt(
	    (size_t)snprintf(at.sun_path, sizeof(at.sun_path), "%.90s/" CONTROL_SOCKET, scratch),
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

	snprintf(path, sizeof(path), "%s/" CONTROL_SOCKET, scratch);
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
		cr_expect_str_eq(answer(fd), "2 expected sync, status or messages\n", "%zu", i);
	}
}

Test(control, sends_away_who_says_nothing_in_time)
{
	OWNED(fd_closep) int fd = client("syn", 3);

	cr_assert_geq(fd, 0);
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

	cr_assert_geq(fd, 0);
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

/* Clients of another user, who say ${text}. */
static void clients_of(uid_t uid, int *fd, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		cr_assert_eq(seteuid(uid), 0);
		fd[i] = client(text, strlen(text));
		cr_assert_eq(seteuid(0), 0);
		control_accept(&c, 0);
	}
}

static size_t places(uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		n += c.client[i].fd >= 0 && c.client[i].uid == uid;
	return n;
}

static void open_to_others(void)
{
	if (geteuid() != 0)
		cr_skip("only root can be several users");
	cr_assert_eq(scratch_run(scratch, "chmod 755 . .. 2> /dev/null || chmod 755 ."), 0);
}

static void all_hear(void)
{
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (c.client[i].fd >= 0 && !c.client[i].asked)
			control_hear(&c.client[i]);
}

#define USERS     40
#define OF_EACH   8
#define FIRST_UID 20000

Test(control, users_with_many_connections_keep_out_neither_root_nor_another_user)
{
	static int fd[USERS][OF_EACH], late[USERS], roots[CONTROL_CLIENTS_KEPT];
	size_t others = CONTROL_CLIENTS - CONTROL_CLIENTS_KEPT;

	open_to_others();
	for (size_t i = 0; i < USERS; i++)
		clients_of(FIRST_UID + (uid_t)i, fd[i], OF_EACH, i % 2 == 0 ? "sync\n" : "");
	all_hear();
	for (size_t i = 0; i < USERS; i++) {
		cr_expect_geq(places(FIRST_UID + (uid_t)i), 1, "user %zu is kept out", i);
		cr_expect_leq(places(FIRST_UID + (uid_t)i), CONTROL_CLIENTS_OF_ONE);
	}
	cr_expect_eq(clients(), others, "root has places");
	clients_of(0, roots, ARRAY_LEN(roots), "sync\n");
	cr_expect_eq(places(0), CONTROL_CLIENTS_KEPT);
	cr_expect_eq(clients(), CONTROL_CLIENTS);
	/* With all taken, who comes for the first time gets one of those who have several. */
	clients_of(FIRST_UID + USERS, late, 1, "sync\n");
	cr_expect_eq(places(FIRST_UID + USERS), 1);
	clients_of(0, late + 1, 1, "sync\n");
	cr_expect_eq(places(0), CONTROL_CLIENTS_KEPT + 1);
	for (size_t i = 0; i < USERS; i++)
		cr_expect_geq(places(FIRST_UID + (uid_t)i), 1, "user %zu lost all", i);
}

Test(control, one_who_says_nothing_gives_way_before_one_who_waits_for_an_answer)
{
	size_t others = CONTROL_CLIENTS - CONTROL_CLIENTS_KEPT, users = others / 4;
	static int fd[CONTROL_CLIENTS][4], late[1];
	size_t asked = 0;

	open_to_others();
	for (size_t i = 0; i < users; i++) {
		clients_of(FIRST_UID + (uid_t)i, fd[i], 2, "sync\n");
		clients_of(FIRST_UID + (uid_t)i, fd[i] + 2, 2, "");
	}
	all_hear();
	cr_assert_eq(clients(), others);
	clients_of(FIRST_UID + 1000, late, 1, "");
	cr_expect_eq(places(FIRST_UID + 1000), 1);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		asked += c.client[i].fd >= 0 && c.client[i].asked;
	cr_expect_eq(asked, 2 * users);
}

Test(control, serves_who_came_first_whatever_place_they_sit_in)
{
	int early[2], late[2];

	open_to_others();
	clients_of(FIRST_UID, early, 2, "messages\n");
	clients_of(FIRST_UID + 1, late, 1, "messages\n");
	all_hear();
	cr_assert_eq(control_next(&c, CONTROL_MESSAGES)->uid, FIRST_UID);
	control_answer(control_next(&c, CONTROL_MESSAGES), bytes_of("0 none\n"));
	/* The same user again, into the place that has become free. */
	clients_of(FIRST_UID, early, 1, "messages\n");
	all_hear();
	control_answer(control_next(&c, CONTROL_MESSAGES), bytes_of("0 none\n"));
	cr_expect_eq(control_next(&c, CONTROL_MESSAGES)->uid, FIRST_UID + 1);
	cr_expect_null(control_next(&c, CONTROL_STATUS));
}

Test(control, one_who_drips_has_no_more_time_than_one_who_is_silent)
{
	OWNED(fd_closep) int fd = client("s", 1);

	control_accept(&c, 0);
	cr_expect_eq(control_hear(first()), 0);
	cr_assert_eq(send(fd, "y", 1, 0), 1);
	cr_expect_eq(control_hear(first()), 0);
	control_expire(&c, CONTROL_LINE_MS);
	cr_expect_eq(clients(), 0);
}

Test(control, does_not_wait_for_who_does_not_read)
{
	OWNED(fd_closep) int fd = client("status\n", 7);
	OWNED(buf_clear) struct buf large = BUF_INIT;
	struct err err;

	cr_assert_geq(fd, 0);
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
	cr_expect_eq(control_ask(scratch, CONTROL_SYNC, 100000, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq((const char *)got.p, "0 well\n");
	pthread_join(thread, NULL);
}

Test(asking, says_so_when_nobody_is_there_or_answers, .init = setup, .fini = teardown)
{
	OWNED(buf_clear) struct buf got = BUF_INIT;
	struct err err = {0};

	cr_expect_eq(control_ask(scratch, CONTROL_SYNC, 100, &got, &err), RC_TIMEOUT);
	control_close(&c);
	cr_expect_eq(control_ask(scratch, CONTROL_SYNC, 100, &got, &err), RC_AGAIN);
	cr_expect_eq(control_ask("/nowhere/at/all", CONTROL_SYNC, 100, &got, &err), RC_AGAIN);
}

/* Whoever waits in the queue of a watcher that hangs keeps others from even connecting. */
Test(control, one_that_hangs_with_a_full_queue_is_not_waited_for)
{
	OWNED(buf_clear) struct buf got = BUF_INIT;
	struct err err = {0};

	alarm(30);
	for (int i = 0; i < 3 * CONTROL_CLIENTS; i++)
		cr_assert_eq(control_ask(scratch, CONTROL_STATUS, 20, &got, &err), RC_TIMEOUT, "%s",
			     err.text);
	alarm(0);
}
