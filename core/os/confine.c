#include "core/os/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/own.h"

/*
 * Address space beyond what is there already.  Readers need less than 100 MiB; every thread adds
 * 64 MiB of reserved arena and 8 MiB of stack, which count here though nobody touches them.
 */
#define MEMORY_MORE (2ull << 30)
/* 0, 1 and 2 are there, so that with this limit no new descriptor can be had; poll(2) refuses more
 * entries than it. */
#define DESCRIPTORS 3

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/*
 * Landlock, spelled out because headers are often older than kernels.  Each version (ABI) of the
 * kernel knows the rights of those before it; handling one that it does not know is EINVAL.
 */
struct landlock_attr {
	uint64_t fs, net, scope;
};

static const struct landlock_abi {
	int abi;
	struct landlock_attr handles; /* all of it up to this ABI */
} landlock_abis[] = {
    {1, {0x1fff, 0, 0}}, /* execute, read, write, list, remove, make */
    {2, {0x3fff, 0, 0}}, /* + refer */
    {3, {0x7fff, 0, 0}}, /* + truncate */
    {4, {0x7fff, 3, 0}}, /* + bind and connect, TCP */
    {5, {0xffff, 3, 0}}, /* + ioctl on devices */
    {6, {0xffff, 3, 3}}, /* + abstract sockets and signals outside */
};

#define LANDLOCK_VERSION 1u

static bool landlock_self(void)
{
	OWNED(fd_closep) int fd = -1;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	struct landlock_attr attr = {0, 0, 0};

	for (size_t i = 0; i < ARRAY_LEN(landlock_abis); i++)
		if (landlock_abis[i].abi <= abi)
			attr = landlock_abis[i].handles;
	if (abi < 1)
		return false;
	/* An older kernel takes a longer struct when what it does not know is zero. */
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	return fd >= 0 && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
}

/* What nothing of ours does, whatever the input: whoever tries it was taken over. */
static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(connect),
    SCMP_SYS(bind),
    SCMP_SYS(bpf),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(mount),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(keyctl),
};

/* Allowed with any argument: they reach held descriptors, own memory and own threads only. */
static const int harmless[] = {
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(close),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(fadvise64),
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
};

/* A sanitizer's runtime looks at its own stack limits and processors. */
static const int sanitizers[] = {
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getrlimit),
    SCMP_SYS(sysinfo),
};

static int add_list(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
	int rc = 0;

	/* A system call that an architecture or a libseccomp does not have is no loss. */
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (calls[i] != __NR_SCMP_ERROR)
			rc = seccomp_rule_add(ctx, action, calls[i], 0);
	return rc;
}

static int add_memory(scmp_filter_ctx ctx, int call)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 2,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
}

/* What is allowed for some arguments only. */
static int add_bounded(scmp_filter_ctx ctx)
{
	scmp_datum_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
	scmp_datum_t apart = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
			     CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
	int rc = add_memory(ctx, SCMP_SYS(mmap));

	if (rc == 0)
		rc = add_memory(ctx, SCMP_SYS(mmap2));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Threads, and nothing else that clone makes: a process would have none of these flags. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, thread | apart, thread));
	/* Its flags lie in memory, where no filter sees them; glibc falls back to clone. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* abort(3) signals itself; no other process may be reached. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	/* send(2) on what is connected; with an address it could reach others. */
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				      SCMP_A4(SCMP_CMP_EQ, 0, 0));
	return rc;
}

static int seccomp_self(struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (ctx == NULL)
		return err_set(err, RC_POLICY, "cannot confine this process: no seccomp filter");
	rc = add_list(ctx, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_LEN(deadly));
	if (rc == 0)
		rc = add_list(ctx, SCMP_ACT_ALLOW, harmless, ARRAY_LEN(harmless));
	if (rc == 0 && SANITIZED)
		rc = add_list(ctx, SCMP_ACT_ALLOW, sanitizers, ARRAY_LEN(sanitizers));
	if (rc == 0)
		rc = add_bounded(ctx);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	errno = -rc;
	return rc == 0 ? 0 : err_sys(err, RC_POLICY, "cannot confine this process with seccomp");
}

/* Bytes of address space in use; 0 when nobody says. */
static uint64_t memory_used(void)
{
	OWNED(fd_closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char text[64] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	return n <= 0 ? 0 : strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int limit(int what, rlim_t most, struct err *err)
{
	struct rlimit old, new = {most, most};

	if (getrlimit(what, &old) < 0)
		return err_sys(err, RC_POLICY, "cannot confine this process: its limits");
	if (old.rlim_max < most)
		new.rlim_cur = new.rlim_max = old.rlim_max;
	if (setrlimit(what, &new) < 0)
		return err_sys(err, RC_POLICY, "cannot confine this process: its limits");
	return 0;
}

int confine_self(struct err *err)
{
	uint64_t used = memory_used();
	int given = CONFINE_SECCOMP;
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_sys(err, RC_POLICY, "cannot confine this process");
	if (landlock_self())
		given |= CONFINE_LANDLOCK;
	rc = limit(RLIMIT_CORE, 0, err);
	if (rc == 0)
		rc = limit(RLIMIT_FSIZE, 0, err);
	if (rc == 0)
		rc = limit(RLIMIT_NOFILE, DESCRIPTORS, err);
	/* The sanitizer's shadow takes terabytes of addresses. */
	if (rc == 0 && used > 0 && !SANITIZED)
		rc = limit(RLIMIT_AS, (rlim_t)(used + MEMORY_MORE), err);
	if (rc == 0)
		rc = seccomp_self(err);
	return rc < 0 ? rc : given;
}
