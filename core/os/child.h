/* SPDX-License-Identifier: ISC */
/*
 * Children that can be abandoned: a function run in a forked process, talking over one socket pair,
 * with a deadline of silence.  A child that hangs in a dead share is killed and left to the kernel;
 * it holds no lock and nothing waits for it.
 */
#ifndef SATCHEL_CORE_OS_CHILD_H
#define SATCHEL_CORE_OS_CHILD_H

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
 * Fork; the child closes every descriptor but its end and ${keep}[] (0-2 become /dev/null, so that
 * an abandoned child holds no pipeline or terminal open), resets signals, leaves the terminal's
 * process group, dies with its parent (PR_SET_PDEATHSIG), and exits with main(arg, fd).  What lies
 * in secret memory (core/base/secret.h) is zero there, keys among it: a child is told what it
 * needs.  ${keep} has at most 64 descriptors.  Fork only while the process has one thread.
 */
int child_start(int (*main)(void *arg, int fd), void *arg, const int *keep, size_t keep_n,
		struct child *ret, struct err *err);

/**
 * Messages: a frame is LE 32-bit length of the body, one type byte, the body.
 * frame_send(fd, type, body, err): all of it.  Errors: RC_INCOMPLETE: the other side is gone;
 * RC_TIMEOUT: it takes nothing for as long as the socket's SO_SNDTIMEO says (child_patience);
 * RC_LIMIT: a body above 4 GiB.
 * frame_receive(fd, max, silence_ms, ret_type, ret, err): into ${ret} (emptied first), at most
 * ${max} bytes of body; waits ${silence_ms} at most (-1: for ever) for its beginning, and for all
 * of the rest.  Returns 1 with a frame, 0 at a clean end.  Errors: RC_TIMEOUT; RC_LIMIT: the body
 * is larger; RC_INCOMPLETE: the other side ended within a frame.
 */
int frame_send(int fd, uint8_t type, struct bytes body, struct err *err);
int frame_receive(int fd, size_t max, int silence_ms, uint8_t *ret_type, struct buf *ret,
		  struct err *err);

/**
 * frame_receive in two steps, for a body that has its place already.
 * frame_head(fd, max, silence_ms, ret_type, ret_n, err): returns as frame_receive does, with the
 * length of the body in ${*ret_n}.
 * frame_body(fd, dst, n, silence_ms, err): exactly these ${n} bytes into ${dst}; returns 0 or a
 * negative code.
 */
int frame_head(int fd, size_t max, int silence_ms, uint8_t *ret_type, size_t *ret_n,
	       struct err *err);
int frame_body(int fd, uint8_t *dst, size_t n, int silence_ms, struct err *err);

/**
 * frame_send_fd(fd, type, body, pass, err), frame_head_fd(fd, max, silence_ms, ret_type, ret_n,
 * ret_fd, err): as frame_send and frame_head, with a descriptor handed over (SCM_RIGHTS,
 * unix(7)).  ${pass} stays the caller's and may be -1.  ${*ret_fd} is -1 when none came, else
 * O_CLOEXEC and owned by the caller.
 */
int frame_send_fd(int fd, uint8_t type, struct bytes body, int pass, struct err *err);
int frame_head_fd(int fd, size_t max, int silence_ms, uint8_t *ret_type, size_t *ret_n, int *ret_fd,
		  struct err *err);

/** child_patience(c, silence_ms, err): frame_send to this child gives up after so much silence. */
int child_patience(struct child *c, int silence_ms, struct err *err);

/** child_end(c, silence_ms, ret_status, err): close, wait; on time-out kill and abandon
 * (RC_TIMEOUT).  ${*ret_status} (may be NULL) is the exit status, or 128 + the signal that ended
 * it. */
int child_end(struct child *c, int silence_ms, int *ret_status, struct err *err);
/**
 * child_kill(c), child_killp(c): kill it at once and wait half a second at most; the kernel has
 * the rest.  Fine on an empty one.  errno stays.
 */
void child_kill(struct child *c);
void child_killp(struct child *c);

#endif
