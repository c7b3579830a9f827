/* SPDX-License-Identifier: ISC */
/*
 * The service manager's protocol is datagrams with lines of text, so it needs no library.
 */
#include "watcher/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/own.h"

/* The watchdog's time is only ours when it names this process or none. */
static int64_t watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t v, who;

	if (usec == NULL || number_u64(usec, strlen(usec), INT64_MAX, &v, ERR_IGNORED) < 0)
		return 0;
	if (pid != NULL && (number_u64(pid, strlen(pid), INT32_MAX, &who, ERR_IGNORED) < 0 ||
			    who != (uint64_t)getpid()))
		return 0;
	return (int64_t)(v / 2000) > 0 ? (int64_t)(v / 2000) : 1;
}

void notify_open(struct notify *ret)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = name == NULL ? 0 : strlen(name);

	*ret = (struct notify){-1, watchdog_ms()};
	if (n < 2 || n >= sizeof(to.sun_path) || (name[0] != '/' && name[0] != '@'))
		return;
	memcpy(to.sun_path, name, n);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	ret->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ret->fd >= 0 && connect(ret->fd, (struct sockaddr *)&to,
				    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		fd_closep(&ret->fd);
}

void notify_close(struct notify *n)
{
	fd_closep(&n->fd);
}

void notify_send(const struct notify *n, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int len;

	if (n->fd < 0)
		return;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (len > 0)
		(void)!send(n->fd, text, strlen(text), MSG_NOSIGNAL);
}

void notify_status(const struct notify *n, const char *text)
{
	char line[1024];

	snprintf(line, sizeof(line), "%s", text);
	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	notify_send(n, "STATUS=%s", line);
}

void notify_reloading(const struct notify *n)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%lld",
		    (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}
