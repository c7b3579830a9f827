/*
 * Children that can be abandoned: a function run in a forked process, talking over one socket pair,
 * with a deadline of silence.  A child that hangs in a dead share is killed and left to the kernel;
 * it holds no lock and nothing waits for it.
 */
#ifndef SATCHEL_OS_CHILD_H
#define SATCHEL_OS_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/bytes.h"

struct child {
	pid_t pid; /* 0 when none runs */
	int fd;    /* our end of the stream socket; owned */
};

#define CHILD_INIT    \
	{             \
		0, -1 \
	}

/**
 * child_start(main, arg, keep, keep_n, ret, err):
 * Fork; the child closes every descriptor but 0-2, its end, and ${keep}[], resets signals, dies
 * with its parent (PR_SET_PDEATHSIG), and exits with main(arg, fd).  Fork only while the process
 * has one thread.
 */
int child_start(int (*main)(void *arg, int fd), void *arg, const int *keep, size_t keep_n,
		struct child *ret, struct err *err);

/**
 * Messages: a frame is LE 32-bit length of the body, one type byte, the body.
 * frame_send: all of it.  frame_receive: into ${ret} (emptied first), at most ${max} bytes of body;
 * waits ${silence_ms} at most (-1: for ever) for each piece.  Returns 1 with a frame, 0 at a clean
 * end, RC_TIMEOUT, RC_LIMIT, RC_INCOMPLETE (the other side died within a frame).
 */
int frame_send(int fd, uint8_t type, struct bytes body, struct err *err);
int frame_receive(int fd, size_t max, int silence_ms, uint8_t *ret_type, struct buf *ret,
		  struct err *err);

/** child_end(c, silence_ms, ret_status, err): close, wait; on time-out kill and abandon
 * (RC_TIMEOUT). */
int child_end(struct child *c, int silence_ms, int *ret_status, struct err *err);
/** child_kill(c): at once, without waiting for ever.  Fine on an empty one. */
void child_kill(struct child *c);
void child_killp(struct child *c);

#endif
