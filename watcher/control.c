/* SPDX-License-Identifier: ISC */
/*
 * Both ends of the control socket.  The server's end never blocks and never trusts: a client has a
 * time to ask in, one line to ask with, and an answer that fits the socket.
 */
#include "watcher/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

const char *const control_verbs[CONTROL_VERBS] = {"sync", "status", "messages"};

/* Through the descriptor of the directory: a path may be longer than an address has room for. */
static void address_of(int dirfd, struct sockaddr_un *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET, dirfd);
}

void control_init(struct control *c)
{
	memset(c, 0, sizeof(*c));
	c->fd = c->dirfd = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		c->client[i].fd = -1;
}

int control_open(const char *dir, struct control *ret, struct err *err)
{
	OWNED(fd_closep) int dirfd = os_open_dir(dir, err);
	OWNED(fd_closep) int fd = -1;
	struct sockaddr_un at;

	if (dirfd < 0)
		return dirfd;
	if (unlinkat(dirfd, CONTROL_SOCKET, 0) < 0 && errno != ENOENT)
		return err_sys(err, RC_IO, "cannot replace the control socket in %s", dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	address_of(dirfd, &at);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    fchmodat(dirfd, CONTROL_SOCKET, 0666, 0) < 0 || listen(fd, CONTROL_BACKLOG) < 0)
		return err_sys(err, RC_IO, "cannot make the control socket in %s", dir);
	ret->fd = TAKE_FD(fd);
	ret->dirfd = TAKE_FD(dirfd);
	return 0;
}

void control_close(struct control *c)
{
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		fd_closep(&c->client[i].fd);
	if (c->fd >= 0)
		unlinkat(c->dirfd, CONTROL_SOCKET, 0);
	fd_closep(&c->fd);
	fd_closep(&c->dirfd);
}

static bool is_ours(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

static size_t places_of(const struct control *c, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		n += c->client[i].fd >= 0 && c->client[i].uid == uid;
	return n;
}

/* NULL: all that this user may have are taken. */
static struct control_client *place_free(struct control *c, uid_t uid)
{
	struct control_client *place = NULL;
	size_t others = 0;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		if (c->client[i].fd < 0)
			place = &c->client[i];
		else
			others += !is_ours(c->client[i].uid);
	}
	return is_ours(uid) || others < CONTROL_CLIENTS - CONTROL_CLIENTS_KEPT ? place : NULL;
}

/* Rather one who has said nothing yet than one who waits, rather the last than the first. */
static bool is_rather(const struct control_client *k, const struct control_client *than)
{
	return k->asked != than->asked ? than->asked : k->turn > than->turn;
}

/* One place of the user who has the most, when that is two more than ${mine}. */
static struct control_client *place_taken(struct control *c, size_t mine)
{
	struct control_client *place = NULL;
	size_t most = mine + 1;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *k = &c->client[i];
		size_t n = k->fd < 0 || is_ours(k->uid) ? 0 : places_of(c, k->uid);

		if (n > most ||
		    (place != NULL && n == most && k->uid == place->uid && is_rather(k, place))) {
			most = n;
			place = k;
		}
	}
	if (place != NULL)
		fd_closep(&place->fd);
	return place;
}

static struct control_client *place_for(struct control *c, uid_t uid)
{
	size_t mine = places_of(c, uid);
	struct control_client *place;

	if (!is_ours(uid) && mine >= CONTROL_CLIENTS_OF_ONE)
		return NULL;
	place = place_free(c, uid);
	return place != NULL ? place : place_taken(c, is_ours(uid) ? 0 : mine);
}

void control_accept(struct control *c, int64_t now)
{
	for (size_t i = 0; i < CONTROL_ACCEPTS; i++) {
		int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct control_client *k;
		struct ucred who;
		socklen_t n = sizeof(who);

		if (fd < 0)
			return;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
			k = NULL;
		else
			k = place_for(c, who.uid);
		if (k == NULL) {
			close(fd);
			continue;
		}
		*k = (struct control_client){
		    .fd = fd, .uid = who.uid, .until = now + CONTROL_LINE_MS, .turn = c->turns++};
	}
}

struct control_client *control_next(struct control *c, enum control_verb verb)
{
	struct control_client *next = NULL;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *k = &c->client[i];

		if (k->fd >= 0 && k->asked && k->verb == verb &&
		    (next == NULL || k->turn < next->turn))
			next = k;
	}
	return next;
}

static int refuse(struct control_client *k)
{
	control_answer(k, bytes_of("2 expected sync, status or messages\n"));
	return 0;
}

int control_hear(struct control_client *k)
{
	ssize_t got = read(k->fd, k->line + k->n, sizeof(k->line) - k->n);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0 || k->asked) { /* gone, or talks on */
		fd_closep(&k->fd);
		return 0;
	}
	k->n += (size_t)got;
	if (k->line[k->n - 1] != '\n')
		return k->n == sizeof(k->line) ? refuse(k) : 0;
	k->line[k->n - 1] = '\0';
	if (strlen(k->line) != k->n - 1)
		return refuse(k);
	for (size_t i = 0; i < CONTROL_VERBS; i++)
		if (strcmp(k->line, control_verbs[i]) == 0) {
			k->verb = (enum control_verb)i;
			k->asked = true;
			k->until = INT64_MAX;
			return 1;
		}
	return refuse(k);
}

void control_answer(struct control_client *k, struct bytes text)
{
	while (text.n > 0) {
		ssize_t n = send(k->fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break;
		text.p += n;
		text.n -= (size_t)n;
	}
	fd_closep(&k->fd);
}

int64_t control_expire(struct control *c, int64_t now)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *k = &c->client[i];

		if (k->fd >= 0 && k->until <= now)
			fd_closep(&k->fd);
		else if (k->fd >= 0 && k->until < next)
			next = k->until;
	}
	return next;
}

/* The other side */

/* A watcher that hangs accepts nobody, and then connect(2) waits as well. */
static int ask_connect(const char *dir, int wait_ms, struct err *err)
{
	struct timeval most = {wait_ms / 1000, wait_ms % 1000 * 1000};
	OWNED(fd_closep) int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	OWNED(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un at;

	address_of(dirfd, &at);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
	if (dirfd >= 0 && fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return TAKE_FD(fd);
	if (errno == EAGAIN)
		return err_set(err, RC_TIMEOUT, "the watcher did not answer in time");
	if (errno == EACCES)
		return err_sys(err, RC_POLICY, "cannot connect to the watcher's socket in %s", dir);
	return err_set(
	    err, RC_AGAIN,
	    "no watcher is running (there is no socket in %s); start it with satchel watch", dir);
}

int control_ask(const char *dir, enum control_verb verb, int wait_ms, struct buf *ret,
		struct err *err)
{
	OWNED(fd_closep) int fd = ask_connect(dir, wait_ms, err);
	int64_t until = clock_monotonic_ms() + wait_ms;
	char line[CONTROL_LINE];
	int n;

	if (fd < 0)
		return fd;
	n = snprintf(line, sizeof(line), "%s\n", control_verbs[verb]);
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		return err_sys(err, RC_AGAIN, "cannot send to the watcher");
	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};
		int64_t left = until - clock_monotonic_ms();
		ssize_t got;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return err_set(err, RC_TIMEOUT, "the watcher did not answer in time");
		if (buf_reserve(ret, 65536, err) < 0)
			return err->rc;
		got = read(fd, ret->p + ret->n, 65536);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(err, RC_AGAIN, "the watcher closed the connection");
		if (got == 0)
			break;
		ret->n += (size_t)got;
		if (ret->n > CONTROL_ANSWER)
			return err_set(err, RC_LIMIT, "the watcher's answer is too long");
	}
	if (ret->n == 0)
		return err_set(err, RC_AGAIN, "the watcher is busy; try again later");
	ret->p[ret->n] = '\0';
	return 0;
}
