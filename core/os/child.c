/* SPDX-License-Identifier: ISC */
/*
 * Processes that may hang for ever.  A dead network share blocks every system call on it, a signal
 * does not end that, and a thread could not be given up: so whatever touches a depot runs in a
 * child, which is killed and forgotten when it stays silent.
 */
#include "core/os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/base/sanitized.h"
#include "core/base/secret.h"
#include "core/os/child_internal.h"

#define KEEP_MAX 64
/* How long a killed child may take to vanish before it is left to the kernel. */
#define REAP_MS 500
/* Exit status of a child that could not be set up. */
#define EXIT_SETUP 126

static int by_number(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * Close everything from 3 up that is not in ${open}.  Whatever the parent has open (databases,
 * locks, sockets) would stay open in an abandoned child.
 */
static int close_others(const int *open, size_t n)
{
	unsigned int from = 3;

	for (size_t i = 0; i < n; i++) {
		unsigned int fd = (unsigned int)open[i];

		if (open[i] < (int)from)
			continue;
		if (fd > from && close_range(from, fd - 1, 0) < 0)
			return -1;
		from = fd + 1;
	}
	return close_range(from, UINT_MAX, 0);
}

/* A sanitizer's report must reach somebody, so its standard error stays. */
static void silence_stdio(const int *open, size_t n)
{
	int null = -1;

	for (int fd = 0; fd < 3 - SANITIZED; fd++) {
		bool taken = false;

		for (size_t i = 0; i < n; i++)
			taken = taken || open[i] == fd;
		if (null < 0)
			null = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
		if (!taken && null >= 0 && null != fd)
			dup2(null, fd);
	}
	if (null > 2)
		close(null);
}

/* Handlers of the parent have no meaning here, and a terminal's ^C is for the parent to answer. */
static void reset_signals(void)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		sigaction(i, &standard, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * The parent may have died before prctl(2) took effect; nobody would ever kill this child
 * then, so it looks who its parent is.
 */
static _Noreturn void child_run(int (*main)(void *arg, int fd), void *arg, int fd, const int *keep,
				size_t keep_n, pid_t parent)
{
	int open[KEEP_MAX + 1];

	memcpy(open, keep, keep_n * sizeof(*keep));
	open[keep_n] = fd;
	qsort(open, keep_n + 1, sizeof(*open), by_number);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
	    close_others(open, keep_n + 1) < 0)
		_exit(EXIT_SETUP);
	silence_stdio(open, keep_n + 1);
	secret_stack_wipe();
	setpgid(0, 0);
	reset_signals();
	_exit(main(arg, fd));
}

int child_start(int (*main)(void *arg, int fd), void *arg, const int *keep, size_t keep_n,
		struct child *ret, struct err *err)
{
	int none[1] = {-1};
	sigset_t all, before;
	pid_t parent = getpid(), pid;
	int pair[2], saved;

	if (keep_n > KEEP_MAX)
		return err_set(err, RC_INTERNAL, "a child may keep %d descriptors", KEEP_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, RC_IO, "cannot make a socket for a helper process");
	/* No handler of the parent may run in the child before its signals are reset. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		child_run(main, arg, pair[1], keep_n > 0 ? keep : none, keep_n, parent);
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	errno = saved;
	if (pid < 0) {
		fd_closep(&pair[0]);
		return err_sys(err, RC_AGAIN, "cannot start a helper process");
	}
	*ret = (struct child){pid, pair[0]};
	return 0;
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * True when the child has ended within the time, and is gone.  A pidfd (pidfd_open(2)) can be
 * waited for with a deadline; waitpid(2) cannot.  Without one, on old kernels, it is only asked.
 */
static bool child_wait(pid_t pid, int ms, int *ret_status)
{
	OWNED(fd_closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int status = 0;
	pid_t got;

	if (fd >= 0 && wait_readable(fd, ms) <= 0)
		return false;
	do
		got = waitpid(pid, &status, fd >= 0 ? 0 : WNOHANG);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return false;
	/* ECHILD: somebody waits for all children, or ignores SIGCHLD. */
	*ret_status = got == pid ? status_of(status) : 0;
	return true;
}

int child_end(struct child *c, int silence_ms, int *ret_status, struct err *err)
{
	int status;

	fd_closep(&c->fd);
	if (c->pid == 0)
		return err_set(err, RC_INTERNAL, "no helper process is there to be waited for");
	if (!child_wait(c->pid, silence_ms, &status)) {
		child_kill(c);
		return err_set(err, RC_TIMEOUT, "a helper process did not end in time");
	}
	c->pid = 0;
	if (ret_status != NULL)
		*ret_status = status;
	return 0;
}

void child_kill(struct child *c)
{
	int saved = errno;
	int status;

	fd_closep(&c->fd);
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		child_wait(c->pid, REAP_MS, &status);
	}
	*c = (struct child)CHILD_INIT;
	errno = saved;
}

void child_killp(struct child *c)
{
	child_kill(c);
}

int child_patience(struct child *c, int silence_ms, struct err *err)
{
	struct timeval tv = {silence_ms / 1000, silence_ms % 1000 * 1000};

	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return err_sys(err, RC_INTERNAL, "cannot set a deadline for a helper process");
	return 0;
}
