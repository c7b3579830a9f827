/* SPDX-License-Identifier: ISC */
/*
 * Messages between a process and its child.  Either side may have been taken over or killed in the
 * middle, so a length is checked before memory is found for it, no wait is without end, and no
 * write raises SIGPIPE.
 */
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/child.h"
#include "core/os/child_internal.h"

#define HEAD_BYTES 5
/* Bodies up to this go out in one call with their head. */
#define SMALL_BODY 4096

int wait_readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t until = clock_monotonic_ms() + ms;
	int left = ms;

	for (;;) {
		int n = poll(&p, 1, left);

		if (n >= 0 || errno != EINTR)
			return n;
		if (ms >= 0) {
			int64_t rest = until - clock_monotonic_ms();

			left = rest > 0 ? (int)rest : 0;
		}
	}
}

static int send_fail(struct err *err)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return err_set(err, RC_TIMEOUT, "a helper process takes nothing");
	if (errno == EPIPE || errno == ECONNRESET)
		return err_set(err, RC_INCOMPLETE, "the process at the other end is gone");
	return err_sys(err, RC_IO, "cannot talk to a helper process");
}

/* sendto and not sendmsg: a confined process may do this and no more. */
static int send_all(int fd, const uint8_t *p, size_t n, struct err *err)
{
	while (n > 0) {
		ssize_t done = sendto(fd, p, n, MSG_NOSIGNAL, NULL, 0);

		if (done < 0) {
			if (errno == EINTR)
				continue;
			return send_fail(err);
		}
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

static int head_make(uint8_t head[HEAD_BYTES], uint8_t type, size_t n, struct err *err)
{
	if (n > UINT32_MAX)
		return err_set(err, RC_LIMIT, "a message of %zu bytes is too long", n);
	put_u32(head, (uint32_t)n);
	head[4] = type;
	return 0;
}

/*
 * Small bodies are copied behind their head: two writes would wake the reader twice, and most
 * frames are small.
 */
int frame_send(int fd, uint8_t type, struct bytes body, struct err *err)
{
	uint8_t small[HEAD_BYTES + SMALL_BODY];
	int rc = head_make(small, type, body.n, err);

	if (rc < 0)
		return rc;
	if (body.n <= SMALL_BODY) {
		if (body.n > 0)
			memcpy(small + HEAD_BYTES, body.p, body.n);
		rc = send_all(fd, small, HEAD_BYTES + body.n, err);
		/* It may be a key, and the next child would inherit this stack. */
		sodium_memzero(small, HEAD_BYTES + body.n);
		return rc;
	}
	rc = send_all(fd, small, HEAD_BYTES, err);
	return rc < 0 ? rc : send_all(fd, body.p, body.n, err);
}

int frame_send_fd(int fd, uint8_t type, struct bytes body, int pass, struct err *err)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	uint8_t head[HEAD_BYTES];
	struct iovec iov = {head, sizeof(head)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t done;
	int rc = head_make(head, type, body.n, err);

	if (rc < 0)
		return rc;
	if (pass < 0)
		return frame_send(fd, type, body, err);
	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &pass, sizeof(int));
	do
		done = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	if (done < 0)
		return send_fail(err);
	/* The descriptor travels with the first byte; the rest of the head may follow by itself. */
	rc = send_all(fd, head + done, sizeof(head) - (size_t)done, err);
	return rc < 0 ? rc : send_all(fd, body.p, body.n, err);
}

/* One read after a wait: bytes, 0 at the end, RC_TIMEOUT, RC_INCOMPLETE, RC_IO. */
static ssize_t receive_some(int fd, uint8_t *dst, size_t n, int silence_ms, struct err *err)
{
	for (;;) {
		int ready = wait_readable(fd, silence_ms);
		ssize_t got;

		if (ready == 0)
			return err_set(err, RC_TIMEOUT, "a helper process gave no answer in time");
		got = ready < 0 ? -1 : read(fd, dst, n);
		if (got >= 0)
			return got;
		if (errno == ECONNRESET)
			return err_set(err, RC_INCOMPLETE, "the process at the other end is gone");
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(err, RC_IO, "cannot listen to a helper process");
	}
}

/*
 * The other end has the whole message in memory before it begins: one that trickles is not waited
 * for longer than one that is silent.
 */
static int receive_all(int fd, uint8_t *dst, size_t n, int silence_ms, struct err *err)
{
	int64_t until = clock_monotonic_ms() + silence_ms;

	while (n > 0) {
		int64_t left = silence_ms < 0 ? -1 : until - clock_monotonic_ms();
		ssize_t got =
		    receive_some(fd, dst, n, silence_ms >= 0 && left < 0 ? 0 : (int)left, err);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return err_set(err, RC_INCOMPLETE,
				       "the process at the other end ended within a message");
		dst += got;
		n -= (size_t)got;
	}
	return 0;
}

/* The rest of a head of which ${got} bytes are there. */
static int head_finish(int fd, uint8_t head[HEAD_BYTES], size_t got, size_t max, int silence_ms,
		       uint8_t *ret_type, size_t *ret_n, struct err *err)
{
	int rc = receive_all(fd, head + got, HEAD_BYTES - got, silence_ms, err);

	if (rc < 0)
		return rc;
	if (get_u32(head) > max)
		return err_set(err, RC_LIMIT, "a message of %u bytes; at most %zu are allowed",
			       (unsigned int)get_u32(head), max);
	*ret_type = head[4];
	*ret_n = get_u32(head);
	return 1;
}

int frame_head(int fd, size_t max, int silence_ms, uint8_t *ret_type, size_t *ret_n,
	       struct err *err)
{
	uint8_t head[HEAD_BYTES];
	ssize_t got = receive_some(fd, head, sizeof(head), silence_ms, err);

	if (got <= 0)
		return (int)got;
	return head_finish(fd, head, (size_t)got, max, silence_ms, ret_type, ret_n, err);
}

/*
 * Only one descriptor in exactly the form that we send: anything else is left to the kernel to
 * close.
 */
static int passed_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int frame_head_fd(int fd, size_t max, int silence_ms, uint8_t *ret_type, size_t *ret_n, int *ret_fd,
		  struct err *err)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	uint8_t head[HEAD_BYTES];
	struct iovec iov = {head, sizeof(head)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	OWNED(fd_closep) int passed = -1;
	int ready = wait_readable(fd, silence_ms);
	ssize_t got = -1;
	int rc;

	if (ready == 0)
		return err_set(err, RC_TIMEOUT, "a helper process gave no answer in time");
	do
		got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == ECONNRESET)
		return err_set(err, RC_INCOMPLETE, "the process at the other end is gone");
	if (got < 0)
		return err_sys(err, RC_IO, "cannot listen to a helper process");
	passed = passed_fd(&msg);
	if (got == 0)
		return 0;
	rc = head_finish(fd, head, (size_t)got, max, silence_ms, ret_type, ret_n, err);
	if (rc > 0)
		*ret_fd = TAKE_FD(passed);
	return rc;
}

int frame_body(int fd, uint8_t *dst, size_t n, int silence_ms, struct err *err)
{
	return receive_all(fd, dst, n, silence_ms, err);
}

int frame_receive(int fd, size_t max, int silence_ms, uint8_t *ret_type, struct buf *ret,
		  struct err *err)
{
	size_t n;
	int rc = frame_head(fd, max, silence_ms, ret_type, &n, err);

	buf_reset(ret);
	if (rc <= 0)
		return rc;
	rc = buf_reserve(ret, n, err);
	if (rc == 0)
		rc = frame_body(fd, ret->p, n, silence_ms, err);
	if (rc < 0)
		return rc;
	ret->n = n;
	ret->p[n] = '\0';
	return 1;
}
