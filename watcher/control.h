/* SPDX-License-Identifier: ISC */
/*
 * The control socket: whoever may connect may ask for a sync, the status, or the messages, and for
 * nothing more.  One line in, one answer out.  Who asks is what the kernel says (SO_PEERCRED).
 */
#ifndef SATCHEL_WATCHER_CONTROL_H
#define SATCHEL_WATCHER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/bytes.h"

#define CONTROL_SOCKET "watch.sock"
/* A verb, and room for a newline. */
#define CONTROL_LINE 32
/* Who may wait at the same time. */
#define CONTROL_CLIENTS 64
/* Of these, for root and our own user alone. */
#define CONTROL_CLIENTS_KEPT 8
/* Of any other user.  When all places are taken, whoever has fewer than another by two gets one of
 * theirs, so that nobody is kept out by few users with many connections. */
#define CONTROL_CLIENTS_OF_ONE 4
/* Who may stand at the door until they are looked at; with more, connecting waits. */
#define CONTROL_BACKLOG 1024
/* How many connections are looked at before the watcher does something else. */
#define CONTROL_ACCEPTS 64
/* How long somebody may take to say what they want. */
#define CONTROL_LINE_MS 5000
/* An answer that fits a socket, so that sending it never waits. */
#define CONTROL_TEXT (64u << 10)
/* What a client reads at most. */
#define CONTROL_ANSWER (4u << 20)

enum control_verb { CONTROL_SYNC, CONTROL_STATUS, CONTROL_MESSAGES, CONTROL_VERBS };
extern const char *const control_verbs[CONTROL_VERBS];

struct control_client {
	int fd;        /* owned; -1: free */
	uid_t uid;     /* of the peer */
	int64_t until; /* of the line; INT64_MAX once it is there */
	bool asked;    /* waits for its answer */
	bool joined;   /* a run that answers it goes on */
	enum control_verb verb;
	uint64_t turn; /* who came first has the smaller one */
	char line[CONTROL_LINE];
	size_t n;
};

struct control {
	int fd;    /* owned; listens; -1: there is none */
	int dirfd; /* owned; where the socket lies */
	uint64_t turns;
	struct control_client client[CONTROL_CLIENTS];
};

/** control_init(c): nothing is open.  control_open(dir, ret, err): the socket CONTROL_SOCKET in
 * ${dir}, open to every user who can reach that directory; one that was left there is replaced (the
 * caller holds the lock of the watcher). */
void control_init(struct control *c);
int control_open(const char *dir, struct control *ret, struct err *err);
/** control_close(c): also removes the socket. */
void control_close(struct control *c);

/** control_accept(c, now): take in who waits. */
void control_accept(struct control *c, int64_t now);
/** control_next(c, verb): of those who asked for ${verb}, the one who has waited longest; NULL:
 * nobody. */
struct control_client *control_next(struct control *c, enum control_verb verb);
/** control_hear(k): read from a client: 1 when its line is whole and good (verb), 0 when more is to
 * come; one who says anything else is told so and sent away. */
int control_hear(struct control_client *k);
/** control_answer(k, text): send and close.  Never waits: who does not read loses the rest. */
void control_answer(struct control_client *k, struct bytes text);
/** control_expire(c, now): who said nothing in time goes.  Returns when the next one is due. */
int64_t control_expire(struct control *c, int64_t now);

/** control_ask(dir, verb, wait_ms, ret, err): the other side: ask the watcher whose socket lies in
 * ${dir}.  RC_AGAIN when none listens, RC_POLICY when we may not, RC_TIMEOUT. */
int control_ask(const char *dir, enum control_verb verb, int wait_ms, struct buf *ret,
		struct err *err);

#endif
