/* SPDX-License-Identifier: ISC */
/*
 * Running the owner's own programs.  A hook may hang, fork or talk without end, so it has a
 * deadline, a process group of its own and a limit on what is kept of its output; only files that
 * nobody but the owner can change are run, from the very directory that was judged: whoever may
 * rename that could put another in its place.
 */
#include "applier/station/hook.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

#define HOOK_ENV 16 /* variables */
#define HOOK_DIR 3  /* in a hook: the directory that it lies in; a script is read through it */

/* A hook that may be run. */
struct found {
	int dirfd; /* owned; the directory that was judged */
	const char *name;
	char *path; /* owned; as a person knows it */
};

static void found_clear(struct found *f)
{
	fd_closep(&f->dirfd);
	free(f->path);
}

struct running {
	pid_t pid;
	int pidfd;  /* owned */
	int output; /* owned; what it says */
	struct buf said;
};

static void running_clear(struct running *r)
{
	fd_closep(&r->pidfd);
	fd_closep(&r->output);
	buf_clear(&r->said);
}

static int owner_check(const struct stat *st, const char *what, const char *path, struct err *err)
{
	if ((st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & 022) == 0)
		return 0;
	return err_set(
	    err, RC_POLICY,
	    "%s %s could be written by others, and is not run: chown it and chmod 755 it", what,
	    path);
}

/* 1: it is there; 0: it is not. */
static int hook_find(const struct station *s, const char *name, struct found *ret, struct err *err)
{
	OWNED(freep) char *copy = strdup(s->config);
	OWNED(freep) char *dir = NULL;
	OWNED(fd_closep) int dirfd = -1;
	OWNED(fd_closep) int fd = -1;
	struct stat st;
	int rc;

	if (copy == NULL || asprintf(&dir, "%s/hooks", dirname(copy)) < 0)
		return err_memory(err);
	dirfd = os_open_dir(dir, err);
	if (dirfd < 0)
		return dirfd == RC_ABSENT ? 0 : dirfd;
	fd = beneath_file(dirfd, name, &st, err);
	if (fd < 0)
		return fd == RC_ABSENT ? 0 : fd;
	rc = owner_check(&st, "the hook", name, err);
	if (rc == 0 && (st.st_mode & 0100) == 0)
		rc = err_set(err, RC_POLICY, "the hook %s is not executable: chmod 755 it", name);
	if (rc == 0 && fstat(dirfd, &st) < 0)
		rc = err_sys(err, RC_IO, "cannot stat %s", dir);
	if (rc == 0)
		rc = owner_check(&st, "the hooks directory", dir, err);
	if (rc < 0)
		return rc;
	if (asprintf(&ret->path, "%s/%s", dir, name) < 0) {
		ret->path = NULL;
		return err_memory(err);
	}
	ret->dirfd = TAKE_FD(dirfd);
	ret->name = name;
	return 1;
}

/* An own descriptor for the directory, which its interpreter has still. */
static bool directory_keep(int dirfd)
{
	return dirfd == HOOK_DIR ? fcntl(dirfd, F_SETFD, 0) == 0 : dup2(dirfd, HOOK_DIR) >= 0;
}

static _Noreturn void hook_exec(const struct found *f, char *const *env, int output)
{
	struct sigaction standard = {.sa_handler = SIG_DFL};
	char *argv[2] = {NULL, NULL};
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	setpgid(0, 0);
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &standard, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
	    !directory_keep(f->dirfd) || close_range(HOOK_DIR + 1, UINT_MAX, 0) < 0 ||
	    chdir("/") < 0)
		_exit(126);
	argv[0] = strdup(f->path);
	syscall(SYS_execveat, HOOK_DIR, f->name, argv, env, AT_SYMLINK_NOFOLLOW);
	_exit(127);
}

static int hook_start(const struct found *f, char *const *env, struct running *r, struct err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, RC_IO, "cannot make a pipe for a hook");
	r->pid = fork();
	if (r->pid == 0)
		hook_exec(f, env, pair[1]);
	close(pair[1]);
	r->output = pair[0];
	if (r->pid < 0)
		return err_sys(err, RC_AGAIN, "cannot start a hook");
	setpgid(r->pid, r->pid); /* so that it can be killed before it has got there itself */
	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (r->pidfd >= 0)
		return 0;
	kill(-r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	return err_sys(err, RC_IO, "cannot wait for a hook");
}

/* What comes after the first bytes is read and dropped, so that nobody is stuck in a full pipe. */
static int hear(struct running *r, struct err *err)
{
	char room[1024];
	ssize_t n = read(r->output, room, sizeof(room));
	size_t keep;

	if (n <= 0) {
		fd_closep(&r->output);
		return 0;
	}
	keep = r->said.n >= HOOK_OUTPUT ? 0 : HOOK_OUTPUT - r->said.n;
	return buf_add(&r->said, room, (size_t)n < keep ? (size_t)n : keep, err);
}

/* 1: it has ended; 0: its time is over. */
static int hook_wait(struct running *r, int seconds, struct err *err)
{
	int64_t until = clock_monotonic_ms() + seconds * 1000;

	for (;;) {
		int64_t left = until - clock_monotonic_ms();
		struct pollfd p[2] = {{.fd = r->pidfd, .events = POLLIN},
				      {.fd = r->output, .events = POLLIN}};

		if (left <= 0)
			return 0;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return err_sys(err, RC_IO, "cannot wait for a hook");
		if (p[1].revents != 0 && hear(r, err) < 0)
			return err->rc;
		/* What it said before it ended is in the pipe still. */
		if (p[0].revents != 0 && (p[1].revents & POLLIN) == 0)
			return 1;
	}
}

/* On one line, and harmless on a terminal and in a document. */
static int said_text(const struct running *r, struct buf *ret, struct err *err)
{
	OWNED(freep) char *text = calloc(1, 4 * HOOK_OUTPUT + 1);
	OWNED(freep) char *line = calloc(1, r->said.n + 1);
	size_t n = r->said.n;

	if (text == NULL || line == NULL)
		return err_memory(err);
	while (n > 0 && (r->said.p[n - 1] == '\n' || r->said.p[n - 1] == ' '))
		n--;
	for (size_t i = 0; i < n; i++)
		line[i] = (char)(r->said.p[i] == '\n' || r->said.p[i] == '\0' ? ' ' : r->said.p[i]);
	err_escape(text, 4 * HOOK_OUTPUT, line);
	return buf_text(ret, text, err);
}

static int hook_end(struct running *r, const struct hook *h, struct buf *ret_output,
		    struct err *err)
{
	OWNED(buf_clear) struct buf said = BUF_INIT;
	int ended = hook_wait(r, h->seconds, err), status = 0, rc;

	if (ended != 1)
		kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ended < 0)
		return ended;
	if (ended == 0)
		return err_set(err, RC_TIMEOUT,
			       "the hook %s did not end within %d seconds, and was killed", h->name,
			       h->seconds);
	rc = said_text(r, &said, err);
	if (rc == 0 && ret_output != NULL)
		rc = buf_add(ret_output, said.p, said.n, err);
	if (rc < 0)
		return rc;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 1;
	return err_set(err, RC_CONFLICT, "the hook %s %s %d%s%.300s", h->name,
		       WIFEXITED(status) ? "ended with status" : "was ended by signal",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
		       said.n > 0 ? ": " : "", said.n > 0 ? (const char *)said.p : "");
}

/* The environment of a hook; what ${list} points at is the caller's. */
static void env_fill(const struct hook *h, char *own[3], char *list[HOOK_ENV])
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	size_t n = 0;

	list[n++] = path;
	for (size_t i = 0; i < 3; i++)
		list[n++] = own[i];
	for (size_t i = 0; h->env != NULL && h->env[i] != NULL && n < HOOK_ENV - 1; i++) {
		memcpy(&list[n++], &h->env[i], sizeof(list[0])); /* execve changes none of them */
	}
	list[n] = NULL;
}

int hook_run(struct station *s, const struct hook *h, struct buf *ret_output, struct err *err)
{
	OWNED(running_clear) struct running r = {.pidfd = -1, .output = -1};
	OWNED(found_clear) struct found f = {.dirfd = -1};
	OWNED(freep) char *name = NULL, *handout = NULL, *policy = NULL;
	char *own[3], *env[HOOK_ENV];
	int rc = hook_find(s, h->name, &f, err);

	if (rc <= 0)
		return rc;
	if (asprintf(&name, "SATCHEL_HOOK=%s", h->name) < 0 ||
	    asprintf(&handout, "SATCHEL_HANDOUT=%s", s->handout) < 0 ||
	    asprintf(&policy, "SATCHEL_POLICY=%s/policy.yaml", s->handout) < 0)
		return err_memory(err);
	own[0] = name;
	own[1] = handout;
	own[2] = policy;
	env_fill(h, own, env);
	rc = hook_start(&f, env, &r, err);
	return rc < 0 ? rc : hook_end(&r, h, ret_output, err);
}
