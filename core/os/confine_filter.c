/* SPDX-License-Identifier: ISC */
/*
 * The system calls that each profile may make.  What satchel needs is listed; all other calls fail,
 * and those that only an attacker makes kill.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/confine_internal.h"

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

/* Allowed with any argument: they reach held descriptors and own memory only. */
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

/* By name, below a directory: where that is, Landlock says.  openat is in add_openat. */
static const int below[] = {
    SCMP_SYS(openat2),    SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(statx),
    SCMP_SYS(stat),       SCMP_SYS(lstat),      SCMP_SYS(fstatfs),   SCMP_SYS(fstatfs64),
    SCMP_SYS(getdents64), SCMP_SYS(readlinkat), SCMP_SYS(readlink),
};

/* No mode, owner, time or attribute by name; a mode by descriptor, for directories of a depot. */
static const int change[] = {
    SCMP_SYS(mkdirat),         SCMP_SYS(unlinkat),         SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(linkat),          SCMP_SYS(fchmod),           SCMP_SYS(fsync),    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range), SCMP_SYS(sync_file_range2), SCMP_SYS(umask),
};

/* A descriptor travels on a socket that is connected; there is no other to send on. */
static const int pass[] = {
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
};

/* Whose list of watches is dropped by the kernel begins with another one. */
static const int notify[] = {
    SCMP_SYS(inotify_init),     SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_rm_watch), SCMP_SYS(select),        SCMP_SYS(_newselect),
    SCMP_SYS(pselect6),
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

/*
 * Anonymous and never executable: code that an attacker brings along cannot be mapped, nor can a
 * file.
 */
static int add_memory(scmp_filter_ctx ctx, int call)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 2,
				SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
				SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS));
}

/* What is allowed for some arguments only. */
static int add_bounded(scmp_filter_ctx ctx)
{
	int rc = add_memory(ctx, SCMP_SYS(mmap));

	if (rc == 0)
		rc = add_memory(ctx, SCMP_SYS(mmap2));
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
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

/*
 * Who may only look opens for reading also where there is no Landlock.  The flags of openat2 lie in
 * memory, where no filter sees them.
 */
static int add_openat(scmp_filter_ctx ctx, unsigned may)
{
	scmp_datum_t writes = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY);

	if ((may & MAY_CHANGE) != 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 0);
	/* opendir(3) says so; a file that is opened as one is ENOTDIR. */
	if ((may & MAY_READ) == 0)
		return seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, writes | O_DIRECTORY, O_DIRECTORY));
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, writes, 0));
}

/* fdopendir(3) asks for flags, and who reads past the cache changes them; nothing else: fcntl can
 * have signals sent. */
static int add_fcntl(scmp_filter_ctx ctx)
{
	static const int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(commands); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				      SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i], 0));
	return rc;
}

static int add_directory(scmp_filter_ctx ctx, unsigned may)
{
	int rc = add_list(ctx, SCMP_ACT_ALLOW, below, ARRAY_LEN(below));

	if (rc == 0)
		rc = add_openat(ctx, may);
	if (rc == 0)
		rc = add_fcntl(ctx);
	if (rc == 0 && (may & MAY_CHANGE) != 0)
		rc = add_list(ctx, SCMP_ACT_ALLOW, change, ARRAY_LEN(change));
	return rc;
}

/* How much of inotify waits to be read; no other control of any descriptor. */
static int add_notify(scmp_filter_ctx ctx)
{
	int rc = add_list(ctx, SCMP_ACT_ALLOW, notify, ARRAY_LEN(notify));

	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0));
	return rc;
}

static int add_all(scmp_filter_ctx ctx, unsigned may)
{
	int rc = add_list(ctx, SCMP_ACT_KILL_PROCESS, deadly, ARRAY_LEN(deadly));

	if (rc == 0)
		rc = add_list(ctx, SCMP_ACT_ALLOW, harmless, ARRAY_LEN(harmless));
	if (rc == 0 && SANITIZED)
		rc = add_list(ctx, SCMP_ACT_ALLOW, sanitizers, ARRAY_LEN(sanitizers));
	if (rc == 0)
		rc = add_bounded(ctx);
	if (rc == 0 && (may & (MAY_READ | MAY_LIST)) != 0)
		rc = add_directory(ctx, may);
	if (rc == 0 && (may & MAY_NOTIFY) != 0)
		rc = add_notify(ctx);
	if (rc == 0 && (may & MAY_PASS) != 0)
		rc = add_list(ctx, SCMP_ACT_ALLOW, pass, ARRAY_LEN(pass));
	return rc;
}

int filter_self(unsigned may, struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc;

	if (ctx == NULL)
		return err_set(err, RC_POLICY, "cannot confine this process: no seccomp filter");
	rc = add_all(ctx, may);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	errno = -rc;
	return rc == 0 ? 0 : err_sys(err, RC_POLICY, "cannot confine this process with seccomp");
}
