/* SPDX-License-Identifier: ISC */
/*
 * Words to the service manager, over the socket that it names in NOTIFY_SOCKET.
 * Source: sd_notify(3), sd_watchdog_enabled(3).
 */
#ifndef SATCHEL_WATCHER_NOTIFY_H
#define SATCHEL_WATCHER_NOTIFY_H

#include <stdint.h>

#include "core/base/err.h"

struct notify {
	int fd;              /* owned; -1: nobody listens */
	int64_t watchdog_ms; /* a sign of life at least this often; 0: none is wanted */
};

/** notify_open(ret): from the environment; nobody listening is no error.  A socket that begins
 * with '@' is in the abstract namespace. */
void notify_open(struct notify *ret);
/** notify_close(n): let go of the socket. */
void notify_close(struct notify *n);

/** notify_send(n, fmt, ...): lines like "READY=1\nSTATUS=text".  A manager that does not listen is
 * not waited for. */
void notify_send(const struct notify *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/** notify_status(n, text): one line for people, bytes that could end it are left out. */
void notify_status(const struct notify *n, const char *text);
/** notify_reloading(n): until the next READY=1. */
void notify_reloading(const struct notify *n);

#endif
