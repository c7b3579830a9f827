/* SPDX-License-Identifier: ISC */
/*
 * Runs commands, and says when their calls fail.  A confined process may signal nobody, so whoever
 * meets the call that kills says so in shared memory and waits; the parent looks there and kills.
 */
#include "tests/seam/seam.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/own.h"
#include "tests/seam/seam_internal.h"

/* No command of a test takes so long, even on a busy machine. */
#define SILENCE_MS 120000

struct seam seam;

/* Parent and children must not draw the same numbers. */
static void before_fork(void)
{
	atomic_fetch_add(&seam.forks, 1);
}

static void in_child(void)
{
	seam.path = seam.path * 1000003 + atomic_load(&seam.forks);
	atomic_store(&seam.draws, 0);
}

void seam_open(void)
{
	seam.shared = mmap(NULL, sizeof(*seam.shared) + RECORD_MAX, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (seam.shared == MAP_FAILED || sodium_init() < 0 ||
	    pthread_atfork(before_fork, NULL, in_child) != 0) {
		perror("the seam cannot be made");
		exit(1);
	}
}

bool seam_meets(enum seam_kind kind)
{
	const struct seam_order *o = &seam.order;
	long n;

	if (!seam.active || (o->kinds & kind) == 0)
		return false;
	n = atomic_fetch_add(&seam.shared->calls, 1) + 1;
	if (o->at == 0 || n < o->at || (o->error != 0 && n > o->until) || (o->one && n > o->at))
		return false;
	if (o->error != 0) {
		atomic_store(&seam.shared->hit, 1);
		errno = o->error;
		return true;
	}
	atomic_store(&seam.shared->hit, (int)getpid());
	for (;;)
		sched_yield();
}

void seam_lock(void)
{
	while (seam.order.record && atomic_exchange(&seam.shared->lock, 1) != 0)
		sched_yield();
}

void seam_unlock(void)
{
	if (seam.order.record)
		atomic_store(&seam.shared->lock, 0);
}

static _Noreturn void child_run(const struct seam_order *o, const char *out,
				const char *const *argv)
{
	int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *copy[64];
	int n = 0;

	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(125);
	close(fd);
	/* The words may be wiped where they stand, so the program gets copies. */
	for (; argv[n] != NULL && n < 63; n++)
		copy[n] = strdup(argv[n]);
	copy[n] = NULL;
	seam.order = *o;
	seam.path = 1;
	atomic_store(&seam.forks, 0);
	atomic_store(&seam.draws, 0);
	seam.active = true;
	_exit(satchel_main(n, copy));
}

static int64_t now_ms(void)
{
	struct timespec t;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What the command left behind: killed with it, as PR_SET_PDEATHSIG promises, or waited for. */
static void reap_rest(void)
{
	int64_t end = now_ms() + 5000;
	pid_t got;

	while ((got = waitpid(-1, NULL, WNOHANG)) >= 0 && now_ms() < end)
		if (got == 0)
			usleep(200);
}

static void wait_killing(const struct seam_order *o, pid_t pid, struct seam_result *ret)
{
	int64_t end = now_ms() + SILENCE_MS;
	bool kills = o->at != 0 && o->error == 0, killed = false;
	int status = 0, hit;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0) {
		hit = kills && !killed ? atomic_load(&seam.shared->hit) : 0;
		if (hit != 0) {
			kill(o->one ? hit : pid, SIGKILL);
			killed = true;
		}
		if (now_ms() > end) {
			ret->silent = true;
			kill(pid, SIGKILL);
			end += SILENCE_MS;
		}
		usleep(kills ? 200 : 1000);
	}
	ret->status = got == pid ? status_of(status) : 127;
}

void seam_run(const struct seam_order *o, const char *out, const char *const *argv,
	      struct seam_result *ret)
{
	pid_t pid;

	memset(ret, 0, sizeof(*ret));
	atomic_store(&seam.shared->calls, 0);
	atomic_store(&seam.shared->hit, 0);
	atomic_store(&seam.shared->lock, 0);
	atomic_store(&seam.shared->log, 0);
	fflush(NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0)
		child_run(o, out, argv);
	wait_killing(o, pid, ret);
	reap_rest();
	ret->calls = atomic_load(&seam.shared->calls);
	ret->hit = atomic_load(&seam.shared->hit) != 0;
}

/* The clock of people.  Deadlines, and what is compared with the times of files, stay real. */
time_t time(time_t *t)
{
	struct timespec real;
	time_t now = (time_t)seam.order.now;

	if (!seam.active) {
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &real);
		now = real.tv_sec;
	}
	if (t != NULL)
		*t = now;
	return now;
}

ssize_t getrandom(void *p, size_t n, unsigned flags)
{
	uint8_t seed[randombytes_SEEDBYTES] = {0};
	uint64_t draw;

	if (!seam.active)
		return syscall(SYS_getrandom, p, n, flags);
	draw = atomic_fetch_add(&seam.draws, 1);
	memcpy(seed, &seam.order.seed, 8);
	memcpy(seed + 8, &seam.path, 8);
	memcpy(seed + 16, &draw, 8);
	randombytes_buf_deterministic(p, n, seed);
	return (ssize_t)n;
}

/* One core: how many threads share the work must not depend on the machine. */
int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	memset(set, 0, size);
	CPU_SET(0, set);
	return 0;
}
