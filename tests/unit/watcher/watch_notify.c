/* SPDX-License-Identifier: ISC */
/*
 * What the service manager hears.
 */
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/own.h"
#include "watcher/notify.h"

/* A manager that listens at ${name}; '@' is the abstract namespace. */
static int manager(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (struct sockaddr *)&at,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		     0, "%s", strerror(errno));
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *heard(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void speaks(const char *name)
{
	OWNED(fd_closep) int fd = manager(name);
	OWNED(notify_close) struct notify n;

	unsetenv("WATCHDOG_USEC");
	notify_open(&n);
	cr_assert_geq(n.fd, 0);
	cr_expect_eq(n.watchdog_ms, 0);
	notify_send(&n, "READY=1");
	cr_expect_str_eq(heard(fd), "READY=1");
	notify_status(&n, "a name with\nREADY=0 in it");
	cr_expect_str_eq(heard(fd), "STATUS=a name with READY=0 in it");
	notify_reloading(&n);
	cr_expect_eq(strncmp(heard(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
}

Test(notify, speaks_to_a_socket_in_a_directory)
{
	char name[64];

	snprintf(name, sizeof(name), "/tmp/satchel-notify-%d", getpid());
	unlink(name);
	speaks(name);
	unlink(name);
}

Test(notify, speaks_to_an_abstract_socket)
{
	char name[64];

	snprintf(name, sizeof(name), "@satchel-notify-%d", getpid());
	speaks(name);
}

Test(notify, is_silent_when_nobody_listens_and_when_the_name_is_none)
{
	static const char *const names[] = {NULL, "", "@", "relative/socket", "/nowhere/at/all"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct notify n;

		if (names[i] == NULL)
			unsetenv("NOTIFY_SOCKET");
		else
			setenv("NOTIFY_SOCKET", names[i], 1);
		notify_open(&n);
		cr_expect_eq(n.fd, -1);
		notify_send(&n, "READY=1");
		notify_close(&n);
	}
}

Test(notify, does_not_wait_for_a_manager_that_does_not_read)
{
	OWNED(fd_closep) int fd = manager("@satchel-notify-full");
	OWNED(notify_close) struct notify n;

	notify_open(&n);
	for (unsigned i = 0; i < 5000; i++)
		notify_send(&n, "WATCHDOG=1");
	cr_expect_str_eq(heard(fd), "WATCHDOG=1");
}

Test(watchdog, wants_a_sign_of_life_twice_as_often_as_it_says)
{
	char pid[24];
	struct notify n;

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "30000000", 1);
	notify_open(&n);
	cr_expect_eq(n.watchdog_ms, 15000);
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("WATCHDOG_PID", pid, 1);
	notify_open(&n);
	cr_expect_eq(n.watchdog_ms, 15000);
	setenv("WATCHDOG_PID", "1", 1);
	notify_open(&n);
	cr_expect_eq(n.watchdog_ms, 0, "somebody else's");
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	notify_open(&n);
	cr_expect_eq(n.watchdog_ms, 0);
}
