/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/child.h"
#include "core/os/lock.h"
#include "tests/support/scratch.h"

TestSuite(lock, .init = scratch_setup, .fini = scratch_teardown);

Test(lock, is_held_once_and_says_by_whom)
{
	struct err err = {0};
	char want[40];
	int fd = lock_take(scratch_fd, "lock", "sync", &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(lock_take(scratch_fd, "lock", "sync", &err), RC_BUSY);
	snprintf(want, sizeof(want), "(process %d)", (int)getpid());
	cr_assert_not_null(strstr(err.text, want), "%s", err.text);
	cr_assert_not_null(strstr(err.text, "another sync"), "%s", err.text);
	cr_assert_geq(lock_take(scratch_fd, "other", "sync", &err), 0,
		      "another name is another lock");
	close(fd);
	fd = lock_take(scratch_fd, "lock", "sync", &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	close(fd);
}

/* Takes the lock, tells so, and holds it. */
static int holder(void *arg, int fd)
{
	struct err err = {0};
	int rc = lock_take(*(int *)arg, "lock", "sync", &err);

	frame_send(fd, rc < 0 ? 1 : 0, (struct bytes){NULL, 0}, &err);
	for (;;)
		pause();
	return 0;
}

Test(lock, of_a_killed_process_is_free_at_once)
{
	struct err err = {0};
	struct child c = CHILD_INIT;
	uint8_t type = 9;
	size_t n;
	int fd;

	cr_assert_eq(child_start(holder, &scratch_fd, &scratch_fd, 1, &c, &err), 0);
	cr_assert_eq(frame_head(c.fd, 0, 20000, &type, &n, &err), 1);
	cr_assert_eq(type, 0);
	cr_assert_eq(lock_take(scratch_fd, "lock", "sync", &err), RC_BUSY);
	child_kill(&c);
	fd = lock_take(scratch_fd, "lock", "sync", &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	close(fd);
}

static int idle(void *arg, int fd)
{
	for (;;)
		pause();
	return 0;
}

Test(lock, is_not_held_by_a_child_that_was_started_meanwhile)
{
	struct err err = {0};
	struct child c = CHILD_INIT;
	uint8_t byte;
	int fd = lock_take(scratch_fd, "lock", "sync", &err);

	cr_assert_geq(fd, 0);
	cr_assert_eq(child_start(idle, NULL, NULL, 0, &c, &err), 0);
	close(fd);
	/* The child closes what it inherited first of all; when that is done is not ours to know.
	 */
	while ((fd = lock_take(scratch_fd, "lock", "sync", &err)) == RC_BUSY)
		cr_assert_eq(recv(c.fd, &byte, 1, MSG_DONTWAIT), -1);
	cr_assert_geq(fd, 0);
	child_kill(&c);
}

Test(lock, strange_content_of_the_file_is_no_matter)
{
	struct err err = {0};
	int fd = lock_take(scratch_fd, "lock", "sync", &err);

	cr_assert_eq(scratch_run(scratch, "printf '\\033[2Jhello' >lock"), 0);
	cr_assert_eq(lock_take(scratch_fd, "lock", "sync", &err), RC_BUSY);
	cr_assert_str_eq(err.text, "another sync is running; try again when it is done");
	close(fd);
}

Test(lock, is_no_link_and_no_directory)
{
	struct err err = {0};

	cr_assert_eq(scratch_run(scratch, "ln -s /etc/passwd link && mkdir d"), 0);
	cr_assert_eq(lock_take(scratch_fd, "link", "sync", &err), RC_PATH);
	cr_assert_eq(lock_take(scratch_fd, "d", "sync", &err), RC_IO);
}

static int hold_a_moment(void *arg, int fd)
{
	int held = lock_take(*(int *)arg, "lock", "sync", ERR_IGNORED);
	char go;

	if (held < 0 || write(fd, "+", 1) != 1)
		return 1;
	return read(fd, &go, 1) == 1 ? 0 : 1; /* told to end */
}

/* Ends the holder after ${lock_wait} has begun: the first try finds it held. */
static void *end_holder(void *arg)
{
	const struct child *c = arg;

	return write(c->fd, "-", 1) == 1 ? NULL : arg;
}

Test(lock, a_run_that_is_about_to_end_is_waited_for)
{
	struct child c = CHILD_INIT;
	struct err err = {0};
	pthread_t thread;
	void *failed;
	char ready;
	int fd;

	cr_assert_eq(child_start(hold_a_moment, &scratch_fd, &scratch_fd, 1, &c, &err), 0);
	cr_assert_eq(read(c.fd, &ready, 1), 1);
	cr_assert_eq(lock_take(scratch_fd, "lock", "sync", &err), RC_BUSY);
	cr_assert_eq(pthread_create(&thread, NULL, end_holder, &c), 0);
	fd = lock_wait(scratch_fd, "lock", "sync", &err);
	cr_expect_geq(fd, 0, "%s", err.text);
	cr_assert_eq(pthread_join(thread, &failed), 0);
	cr_expect_null(failed);
	child_kill(&c);
	if (fd >= 0)
		close(fd);
}
