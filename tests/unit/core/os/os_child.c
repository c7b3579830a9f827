/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/child.h"

#define LONG 20000 /* milliseconds that no test here should need */

static struct child started(int (*main)(void *, int), void *arg, const int *keep, size_t n)
{
	struct child c = CHILD_INIT;
	struct err err = {0};

	cr_assert_eq(child_start(main, arg, keep, n, &c, &err), 0, "%s", err.text);
	return c;
}

static int echo(void *arg, int fd)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type;
	int rc;

	while ((rc = frame_receive(fd, 8 << 20, -1, &type, &b, &err)) > 0)
		if (frame_send(fd, type, bytes_in(&b), &err) < 0)
			return 2;
	return rc == 0 ? 7 : 1;
}

Test(child, talks_in_frames_of_every_size_and_ends_with_its_status)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 5 << 20};
	OWNED(child_killp) struct child c = started(echo, NULL, NULL, 0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	OWNED(freep) uint8_t *big = malloc(5 << 20);
	struct err err = {0};
	int status = -1;
	uint8_t type;

	for (size_t i = 0; i < 5 << 20; i++)
		big[i] = (uint8_t)(i * 13 >> 5);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct bytes body = {big, sizes[i]};
		pid_t sender = fork();

		/* Both ways are full at once otherwise. */
		if (sender == 0)
			_exit(frame_send(c.fd, (uint8_t)(i + 1), body, &err) == 0 ? 0 : 1);
		cr_assert_eq(frame_receive(c.fd, 5 << 20, LONG, &type, &b, &err), 1, "%s",
			     err.text);
		cr_assert_eq(type, i + 1);
		cr_assert(bytes_equal(bytes_in(&b), body));
		cr_assert_eq(waitpid(sender, NULL, 0), sender);
	}
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0, "%s", err.text);
	cr_assert_eq(status, 7);
	cr_assert_eq(c.pid, 0);
}

Test(child, a_frame_longer_than_allowed_is_refused_before_memory_is_taken)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_assert_eq(frame_send(pair[0], 1, bytes_of("12345"), &err), 0);
	cr_assert_eq(frame_receive(pair[1], 5, LONG, &type, &b, &err), 1);
	cr_assert_str_eq((char *)b.p, "12345");
	cr_assert_eq(frame_send(pair[0], 1, bytes_of("123456"), &err), 0);
	cr_assert_eq(frame_receive(pair[1], 5, LONG, &type, &b, &err), RC_LIMIT);
	cr_assert_eq(frame_send(pair[0], 1, (struct bytes){NULL, 1ull << 32}, &err), RC_LIMIT);
}

Test(child, an_end_between_frames_is_clean_and_one_within_is_not)
{
	static const uint8_t frame[] = {3, 0, 0, 0, 9, 'a', 'b', 'c'};

	for (size_t n = 0; n <= sizeof(frame); n++) {
		OWNED(buf_clear) struct buf b = BUF_INIT;
		struct err err = {0};
		int want = n == 0 ? 0 : n == sizeof(frame) ? 1 : RC_INCOMPLETE;
		uint8_t type;
		int pair[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		cr_assert_eq(write(pair[0], frame, n), (ssize_t)n);
		close(pair[0]);
		cr_assert_eq(frame_receive(pair[1], 9, LONG, &type, &b, &err), want);
		close(pair[1]);
	}
}

Test(child, a_frame_that_comes_byte_by_byte_is_read)
{
	static const uint8_t frame[] = {3, 0, 0, 0, 9, 'a', 'b', 'c'};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type = 0;
	int pair[2];
	pid_t pid;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < sizeof(frame); i++)
			if (write(pair[0], frame + i, 1) != 1)
				_exit(1);
		_exit(0);
	}
	cr_assert_eq(frame_receive(pair[1], 9, LONG, &type, &b, &err), 1, "%s", err.text);
	cr_assert_eq(type, 9);
	cr_assert_str_eq((char *)b.p, "abc");
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static int trickle(void *arg, int fd)
{
	struct timespec pause = {.tv_nsec = 50000000};
	static const uint8_t head[] = {200, 0, 0, 0, 9};

	if (write(fd, head, sizeof(head)) != sizeof(head))
		return 1;
	while (write(fd, head, 1) == 1)
		nanosleep(&pause, NULL);
	return 0;
}

Test(child, a_message_that_trickles_is_not_waited_for_longer_than_a_silent_one)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct child c = CHILD_INIT;
	struct err err = {0};
	uint8_t type;

	cr_assert_eq(child_start(trickle, NULL, NULL, 0, &c, &err), 0);
	cr_assert_eq(frame_receive(c.fd, 200, 1000, &type, &b, &err), RC_TIMEOUT);
	child_kill(&c);
}

static int hang(void *arg, int fd)
{
	for (;;)
		pause();
	return 0;
}

Test(child, silence_is_a_timeout_in_both_directions)
{
	OWNED(child_killp) struct child c = started(hang, NULL, NULL, 0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	OWNED(freep) uint8_t *big = calloc(1, 8 << 20);
	struct err err = {0};
	uint8_t type;

	cr_assert_eq(frame_receive(c.fd, 9, 20, &type, &b, &err), RC_TIMEOUT);
	cr_assert_eq(child_patience(&c, 20, &err), 0);
	cr_assert_eq(frame_send(c.fd, 1, (struct bytes){big, 8 << 20}, &err), RC_TIMEOUT);
}

static void nothing(int signal)
{
}

Test(child, signals_do_not_lengthen_the_wait)
{
	struct sigaction sa = {.sa_handler = nothing};
	struct itimerval often = {{0, 2000}, {0, 2000}};
	OWNED(child_killp) struct child c = started(hang, NULL, NULL, 0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	cr_assert_eq(frame_receive(c.fd, 9, 100, &type, &b, &err), RC_TIMEOUT);
}

Test(child, one_that_does_not_end_is_killed_and_let_go)
{
	struct child c = started(hang, NULL, NULL, 0);
	struct err err = {0};
	pid_t pid = c.pid;

	cr_assert_eq(child_end(&c, 20, NULL, &err), RC_TIMEOUT);
	cr_assert_eq(c.pid, 0);
	cr_assert_eq(c.fd, -1);
	cr_assert_eq(kill(pid, 0), -1);
	cr_assert_eq(errno, ESRCH, "it is gone and was waited for");
	child_kill(&c);
}

Test(child, a_stopped_one_can_be_killed)
{
	struct child c = started(echo, NULL, NULL, 0);
	pid_t pid = c.pid;

	cr_assert_eq(kill(pid, SIGSTOP), 0);
	child_kill(&c);
	cr_assert_eq(kill(pid, 0), -1);
}

static int suicide(void *arg, int fd)
{
	raise(SIGKILL);
	return 0;
}

Test(child, its_death_by_a_signal_is_told)
{
	struct child c = started(suicide, NULL, NULL, 0);
	struct err err = {0};
	int status = 0;

	cr_assert_eq(child_end(&c, LONG, &status, &err), 0);
	cr_assert_eq(status, 128 + SIGKILL);
	cr_assert_eq(child_end(&c, LONG, &status, &err), RC_INTERNAL, "there is none any more");
}

/* Tells which descriptors it has, and what is behind 0 to 2. */
static int list_descriptors(void *arg, int fd)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	for (int i = 0; i < 1024; i++)
		if (fcntl(i, F_GETFD) >= 0)
			buf_printf(&b, &err, "%s ", i == fd ? "own" : i > 2 ? "kept" : "std");
	return frame_send(fd, 1, bytes_in(&b), &err) == 0 ? 0 : 1;
}

Test(child, has_only_the_descriptors_that_it_was_given)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	int extra[40], keep[3];
	struct err err = {0};
	struct child c;
	uint8_t type;

	for (size_t i = 0; i < ARRAY_LEN(extra); i++)
		extra[i] = open("/dev/null", O_RDONLY);
	keep[0] = extra[30];
	keep[1] = -1;
	keep[2] = extra[3];
	c = started(list_descriptors, NULL, keep, 3);
	cr_assert_eq(frame_receive(c.fd, 999, LONG, &type, &b, &err), 1);
	cr_assert_not_null(strstr((char *)b.p, "std std std "));
	cr_assert_not_null(strstr((char *)b.p, "own "));
	/* The order depends on numbers; the count does not. */
	cr_assert_eq(b.n, strlen("std std std kept kept own "), "%s", (char *)b.p);
	child_kill(&c);
}

static int say_on_stdout(void *arg, int fd)
{
	return write(1, "x", 1) == 1 ? 0 : 1;
}

Test(child, does_not_hold_the_output_of_its_parent)
{
	struct err err = {0};
	struct child c;
	int pipes[2], status, saved = dup(1);
	char text[2];

	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
	dup2(pipes[1], 1);
	close(pipes[1]);
	c = started(say_on_stdout, NULL, NULL, 0);
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0);
	cr_assert_eq(status, 0);
	c = started(hang, NULL, NULL, 0);
	dup2(saved, 1);
	cr_assert_eq(read(pipes[0], text, 1), 0, "an end, though a child hangs");
	child_kill(&c);
}

/* The child of a child: started, then left behind by a parent that is killed. */
static int parent_of_one(void *arg, int fd)
{
	struct child c = started(hang, NULL, &fd, 1);
	struct err err = {0};
	uint8_t pid[4];

	put_u32(pid, (uint32_t)c.pid);
	frame_send(fd, 1, (struct bytes){pid, 4}, &err);
	for (;;)
		pause();
	return 0;
}

Test(child, dies_with_its_parent)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct child c = started(parent_of_one, NULL, NULL, 0);
	struct pollfd end = {.fd = c.fd, .events = POLLIN};
	struct err err = {0};
	uint8_t type;

	cr_assert_eq(frame_receive(c.fd, 4, LONG, &type, &b, &err), 1);
	cr_assert_eq(kill(c.pid, SIGKILL), 0);
	/* The grandchild holds the other end of our socket until it dies. */
	cr_assert_eq(poll(&end, 1, LONG), 1);
	cr_assert_eq(frame_receive(c.fd, 4, LONG, &type, &b, &err), 0);
	child_kill(&c);
}

static int default_signals(void *arg, int fd)
{
	struct sigaction sa;
	sigset_t set;

	sigaction(SIGUSR1, NULL, &sa);
	sigprocmask(SIG_BLOCK, NULL, &set);
	return sa.sa_handler == SIG_DFL && !sigismember(&set, SIGUSR2) && getpgrp() == getpid() ? 0
												: 1;
}

Test(child, starts_with_default_signals_and_outside_the_terminals_group)
{
	struct sigaction sa = {.sa_handler = nothing};
	struct err err = {0};
	struct child c;
	sigset_t set;
	int status;

	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	c = started(default_signals, NULL, NULL, 0);
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0);
	cr_assert_eq(status, 0);
	sigprocmask(SIG_BLOCK, NULL, &set);
	cr_assert(sigismember(&set, SIGUSR2) && !sigismember(&set, SIGUSR1), "ours is as before");
}

Test(child, talking_to_a_dead_one_is_an_error_and_no_signal)
{
	struct child c = started(suicide, NULL, NULL, 0);
	struct pollfd end = {.fd = c.fd, .events = POLLIN};
	struct err err = {0};

	cr_assert_eq(poll(&end, 1, LONG), 1);
	cr_assert_eq(frame_send(c.fd, 1, bytes_of("x"), &err), RC_INCOMPLETE);
	child_kill(&c);
}

Test(child, a_descriptor_travels_with_a_frame)
{
	struct err err = {0};
	int pair[2], pipes[2], got = -1;
	char text[4] = "";
	uint8_t type;
	size_t n;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(frame_send_fd(pair[0], 5, bytes_of("abc"), pipes[0], &err), 0);
	cr_assert_eq(frame_head_fd(pair[1], 3, LONG, &type, &n, &got, &err), 1, "%s", err.text);
	cr_assert_eq(n, 3);
	cr_assert_eq(frame_body(pair[1], (uint8_t *)text, 3, LONG, &err), 0);
	cr_assert_str_eq(text, "abc");
	cr_assert_eq(fcntl(got, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	cr_assert_eq(write(pipes[1], "xyz", 3), 3);
	cr_assert_eq(read(got, text, 3), 3);
	cr_assert_str_eq(text, "xyz");
	cr_assert_eq(frame_send_fd(pair[0], 6, bytes_of(""), -1, &err), 0);
	cr_assert_eq(frame_head_fd(pair[1], 3, LONG, &type, &n, &got, &err), 1);
	cr_assert_eq(got, -1);
	close(pair[0]);
	cr_assert_eq(frame_head_fd(pair[1], 3, LONG, &type, &n, &got, &err), 0);
}

static int open_descriptors(void)
{
	int n = 0;

	for (int i = 0; i < 1024; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

Test(child, a_descriptor_that_nobody_asked_for_is_closed)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	int pair[2], before, got = -1;
	uint8_t type;
	size_t n;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	before = open_descriptors();
	cr_assert_eq(frame_send_fd(pair[0], 5, bytes_of("abc"), 0, &err), 0);
	cr_assert_eq(frame_receive(pair[1], 3, LONG, &type, &b, &err), 1);
	cr_assert_eq(frame_send_fd(pair[0], 5, bytes_of("abcd"), 0, &err), 0);
	cr_assert_eq(frame_head_fd(pair[1], 3, LONG, &type, &n, &got, &err), RC_LIMIT);
	cr_assert_eq(open_descriptors(), before);
}
