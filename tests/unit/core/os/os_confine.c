/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/base/sanitized.h"
#include "core/os/child.h"
#include "core/os/confine.h"
#include "tests/support/scratch.h"

#define LONG 20000

struct job {
	enum confine_profile profile;
	int (*run)(void *arg, int fd);
	void *arg;
};

/* Those that hold what they need, and those that have a directory: any will do. */
static bool has_directory(enum confine_profile p)
{
	return p >= CONFINE_DEPOT_READER;
}

static int confined(void *arg, int fd)
{
	struct job *job = arg;
	struct err err = {0};
	int dir = has_directory(job->profile) ? open("/var", O_RDONLY | O_DIRECTORY) : -1;

	return confine_self(job->profile, dir, &err) < 0 ? 125 : job->run(job->arg, fd);
}

/* The exit status of ${run} in a child that is confined by ${profile}. */
static int run_as(enum confine_profile profile, int (*run)(void *arg, int fd), void *arg,
		  const int *keep, size_t n)
{
	struct job job = {profile, run, arg};
	struct child c = CHILD_INIT;
	struct err err = {0};
	int status = -1;

	cr_assert_eq(child_start(confined, &job, keep, n, &c, &err), 0, "%s", err.text);
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0, "%s", err.text);
	return status;
}

static int run_confined(int (*run)(void *arg, int fd), void *arg, const int *keep, size_t n)
{
	return run_as(CONFINE_READER, run, arg, keep, n);
}

/* A system call that must fail with EPERM, or kill. */
struct attempt {
	const char *what;
	long call, a, b, c, d;
};

static int attempt(void *arg, int fd)
{
	const struct attempt *a = arg;

	errno = 0;
	if (syscall(a->call, a->a, a->b, a->c, a->d, 0, 0) != -1)
		return 1;
	return errno == EPERM ? 0 : 2;
}

#define TEXT(s)   ((long)(intptr_t)(s))
#define PASSWD    TEXT("/etc/passwd")
#define NEW       TEXT("/tmp/satchel-test-escaped")
#define READ_ONLY AT_FDCWD, PASSWD, O_RDONLY, 0
#define AN_EXEC   (PROT_READ | PROT_EXEC)
#define A_THREAD  (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

/* Each in a child of its own, under each profile from the first on. */
static void all_refused(enum confine_profile from, enum confine_profile end,
			struct attempt *attempts, size_t n, int status)
{
	for (int p = (int)from; p < (int)end; p++)
		for (size_t i = 0; i < n; i++)
			cr_expect_eq(
			    run_as((enum confine_profile)p, attempt, &attempts[i], NULL, 0), status,
			    "%s: %s", confine_name((enum confine_profile)p), attempts[i].what);
}

Test(confine, who_has_no_directory_reaches_no_file)
{
	struct attempt attempts[] = {
	    {"open a file", SYS_openat, READ_ONLY},
	    {"make a file", SYS_openat, AT_FDCWD, NEW, O_CREAT | O_WRONLY, 0600},
	    {"open a directory", SYS_openat, AT_FDCWD, TEXT("/"), O_DIRECTORY, 0},
	    {"open by the other call", SYS_openat2, AT_FDCWD, PASSWD, 0, 0},
	    {"look at a file", SYS_newfstatat, AT_FDCWD, PASSWD, TEXT(attempts), 0},
	    {"read a link", SYS_readlinkat, AT_FDCWD, TEXT("/proc/self/exe"), TEXT(attempts), 1},
	    {"make a directory", SYS_mkdirat, AT_FDCWD, NEW, 0700, 0},
	    {"make a hard link", SYS_linkat, AT_FDCWD, PASSWD, AT_FDCWD, NEW},
	    {"remove a file", SYS_unlinkat, AT_FDCWD, NEW, 0, 0},
	    {"rename a file", SYS_renameat2, AT_FDCWD, NEW, AT_FDCWD, NEW},
	    {"take descriptors", SYS_recvmsg, 0, 0, 0, 0},
	    {"hand descriptors over", SYS_sendmsg, 0, 0, 0, 0},
	    {"flush", SYS_fsync, 0, 0, 0, 0},
	};

	all_refused(CONFINE_READER, CONFINE_DEPOT_READER, attempts, ARRAY_LEN(attempts), 0);
	cr_assert_neq(access((const char *)NEW, F_OK), 0);
}

Test(confine, no_profile_reaches_processes_and_the_outside)
{
	struct attempt attempts[] = {
	    {"make a link", SYS_symlinkat, PASSWD, AT_FDCWD, NEW, 0},
	    {"make a device", SYS_mknodat, AT_FDCWD, NEW, S_IFCHR | 0600, 0x103},
	    {"change a mode", SYS_fchmodat, AT_FDCWD, NEW, 0600, 0},
	    {"change an owner", SYS_fchownat, AT_FDCWD, NEW, 1, 1},
	    {"change a time", SYS_utimensat, AT_FDCWD, PASSWD, 0, 0},
	    {"change an attribute", SYS_setxattr, PASSWD, TEXT("user.x"), NEW, 1},
	    {"have signals sent", SYS_fcntl, 0, F_SETOWN, getpid(), 0},
	    {"truncate", SYS_truncate, NEW, 0, 0, 0},
	    {"change directory", SYS_chdir, TEXT("/"), 0, 0, 0},
	    {"make a memory file", SYS_memfd_create, TEXT("x"), 0, 0, 0},
	    {"make a pipe", SYS_pipe2, TEXT(attempts), 0, 0, 0},
	    {"copy a descriptor", SYS_dup, 0, 0, 0, 0},
	    {"do strange things to a descriptor", SYS_ioctl, 0, 0, 0, 0},
	    {"signal its parent", SYS_kill, getpid(), 0, 0, 0},
	    {"signal a thread of its parent", SYS_tgkill, getpid(), getpid(), 0, 0},
	    {"open a descriptor of its parent", SYS_pidfd_open, getpid(), 0, 0, 0},
	    {"make a process", SYS_clone, SIGCHLD, 0, 0, 0},
	    {"make a process that shares its memory", SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0},
	    {"make a thread", SYS_clone, A_THREAD, 0, 0, 0},
	    {"become another user", SYS_setuid, 1, 0, 0, 0},
	    {"change limits", SYS_prlimit64, 0, 0, 0, 0},
	    {"accept a connection", SYS_accept4, 0, 0, 0, 0},
	    {"map a file", SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE},
	    {"map what can run", SYS_mmap, 0, 4096, AN_EXEC, MAP_PRIVATE | MAP_ANONYMOUS},
	    {"make memory runnable", SYS_mprotect, 0, 4096, AN_EXEC, 0},
	    {"protect memory by a key", SYS_pkey_mprotect, 0, 4096, PROT_READ, 0},
	    {"change its own confinement", SYS_prctl, 4, 1, 0, 0},
	};

	all_refused(CONFINE_READER, CONFINE_PROFILES, attempts, ARRAY_LEN(attempts), 0);
	cr_assert_neq(access((const char *)NEW, F_OK), 0);
}

Test(confine, kills_who_tries_what_nothing_of_ours_does)
{
	struct attempt attempts[] = {
	    {"run a program", SYS_execve, TEXT("/bin/true"), 0, 0, 0},
	    {"run a program by descriptor", SYS_execveat, AT_FDCWD, TEXT("/bin/true"), 0, 0},
#ifdef SYS_fork
	    {"fork", SYS_fork, 0, 0, 0, 0},
	    {"vfork", SYS_vfork, 0, 0, 0, 0},
#endif
	    {"trace its parent", SYS_ptrace, PTRACE_ATTACH, getpid(), 0, 0},
	    {"be traced", SYS_ptrace, PTRACE_TRACEME, 0, 0, 0},
	    {"read the memory of its parent", SYS_process_vm_readv, getpid(), 0, 0, 0},
	    {"make an internet socket", SYS_socket, AF_INET, SOCK_STREAM, 0, 0},
	    {"make a local socket", SYS_socket, AF_UNIX, SOCK_DGRAM, 0, 0},
	    {"make a pair of sockets", SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, TEXT(attempts)},
	    {"connect", SYS_connect, 0, 0, 0, 0},
	    {"do it all through io_uring", SYS_io_uring_setup, 1, 0, 0, 0},
	    {"leave its namespaces", SYS_unshare, CLONE_NEWNS, 0, 0, 0},
	};

	all_refused(CONFINE_READER, CONFINE_PROFILES, attempts, ARRAY_LEN(attempts),
		    CONFINE_VIOLATED);
}

static int libc_fork(void *arg, int fd)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? 0 : 1;
}

Test(confine, does_not_fork_by_the_way_that_libc_takes)
{
	for (int p = 0; p < CONFINE_PROFILES; p++)
		cr_expect_eq(run_as((enum confine_profile)p, libc_fork, NULL, NULL, 0), 0, "%s",
			     confine_name((enum confine_profile)p));
}

static int send_to_address(void *arg, int fd)
{
	struct sockaddr to = {.sa_family = AF_UNIX};

	return sendto(fd, "x", 1, 0, &to, sizeof(to)) < 0 && errno == EPERM ? 0 : 1;
}

Test(confine, sends_to_no_address)
{
	for (int p = 0; p < CONFINE_PROFILES; p++)
		cr_expect_eq(run_as((enum confine_profile)p, send_to_address, NULL, NULL, 0), 0,
			     "%s", confine_name((enum confine_profile)p));
}

/* All that a reader of bundles needs. */
static int work(void *arg, int fd)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	OWNED(freep) uint8_t *big = malloc(64 << 20);
	struct err err = {0};
	int file = *(int *)arg;
	char text[8] = "";
	uint8_t type;
	struct timespec ts;

	if (big == NULL)
		return 1;
	memset(big, 1, 64 << 20);
	if (pread(file, text, 4, 0) != 4 || read(file, text, 4) != 4 ||
	    lseek(file, 0, SEEK_END) < 4)
		return 2;
	if (strcmp(text, "held") != 0)
		return 3;
	if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
		return 4;
	/* Waits, then talks. */
	if (frame_receive(fd, 9, 1, &type, &b, &err) != RC_TIMEOUT)
		return 6;
	if (frame_send(fd, 1, (struct bytes){big, 1 << 20}, &err) < 0)
		return 7;
	if (frame_receive(fd, 9, LONG, &type, &b, &err) != 1 || b.n != 3)
		return 8;
	return close(file) == 0 ? 42 : 9;
}

Test(confine, leaves_what_a_reader_needs)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	char dir[SCRATCH_PATH], path[SCRATCH_PATH + 8];
	struct job job = {CONFINE_READER, work, NULL};
	struct child c = CHILD_INIT;
	struct err err = {0};
	int file, status = -1;
	uint8_t type;

	scratch_make(dir);
	cr_assert_eq(scratch_run(dir, "printf held >file"), 0);
	snprintf(path, sizeof(path), "%s/file", dir);
	file = open(path, O_RDONLY);
	scratch_remove(dir);
	job.arg = &file;
	cr_assert_eq(child_start(confined, &job, &file, 1, &c, &err), 0);
	cr_assert_eq(frame_receive(c.fd, 1 << 20, LONG, &type, &b, &err), 1, "%s", err.text);
	cr_assert_eq(b.n, 1 << 20);
	cr_assert_eq(frame_send(c.fd, 1, bytes_of("abc"), &err), 0);
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0);
	cr_assert_eq(status, 42);
}

static int write_held(void *arg, int fd)
{
	return write(*(int *)arg, "x", 1) == 1 ? 1 : 0;
}

Test(confine, a_held_file_cannot_grow)
{
	int file = memfd_create("held", MFD_CLOEXEC);
	struct stat st;

	cr_assert_eq(run_confined(write_held, &file, &file, 1), 128 + SIGXFSZ);
	cr_assert_eq(fstat(file, &st), 0);
	cr_assert_eq(st.st_size, 0);
}

static int take_much(void *arg, int fd)
{
	volatile char *much = malloc(3ull << 30);
	volatile char *some = malloc(1ull << 30);

	return much == NULL && some != NULL ? 0 : 1;
}

Test(confine, memory_is_bounded)
{
	if (SANITIZED)
		cr_skip_test("the sanitizer's shadow takes terabytes of addresses");
	for (int p = 0; p < CONFINE_PROFILES; p++)
		cr_expect_eq(run_as((enum confine_profile)p, take_much, NULL, NULL, 0), 0, "%s",
			     confine_name((enum confine_profile)p));
}

static int give_up(void *arg, int fd)
{
	abort();
}

Test(confine, a_crash_still_looks_like_one)
{
	int status = run_confined(give_up, NULL, NULL, 0);

	cr_assert(status == 128 + SIGABRT, "%d", status);
}

static int told(void *arg, int fd)
{
	struct err err = {0};
	int given = confine_self(CONFINE_READER, -1, &err);

	return given < 0 ? 125 : given;
}

Test(confine, tells_what_the_kernel_gave)
{
	bool landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
	struct child c = CHILD_INIT;
	struct err err = {0};
	int status = -1;

	cr_assert_eq(child_start(told, NULL, NULL, 0, &c, &err), 0);
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0);
	cr_assert_eq(status, CONFINE_SECCOMP | (landlock ? CONFINE_LANDLOCK : 0));
}

static int mismatched(void *arg, int fd)
{
	struct err err = {0};
	int dir = open("/var", O_RDONLY | O_DIRECTORY);

	return confine_self(CONFINE_READER, dir, &err) == RC_INTERNAL &&
		       confine_self(CONFINE_DEPOT_READER, -1, &err) == RC_INTERNAL
		   ? 0
		   : 1;
}

Test(confine, a_profile_and_a_directory_must_go_together)
{
	struct child c = CHILD_INIT;
	struct err err = {0};
	int status = -1;

	cr_assert_eq(child_start(mismatched, NULL, NULL, 0, &c, &err), 0);
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0);
	cr_assert_eq(status, 0);
}
