/*
 * Confinement of a process that eats what strangers wrote: no_new_privs, Landlock with no rule (no
 * file can be opened, made or changed), a seccomp allow-list (no socket, fork, exec, open, ptrace),
 * no core dump, address space bounded.
 * Source: landlock(7), seccomp(2), prctl(2).
 */
#ifndef SATCHEL_OS_CONFINE_H
#define SATCHEL_OS_CONFINE_H

#include "core/base/err.h"

/** What the kernel gave; for doctor and for the commentary. */
enum confine_given { CONFINE_LANDLOCK = 1 << 0, CONFINE_SECCOMP = 1 << 1 };

/** The exit status (child_end) of a child that tried what nothing of ours ever does. */
#define CONFINE_VIOLATED (128 + 31 /* SIGSYS */)

/**
 * confine_self(err): from here on this process may only compute, use the descriptors it holds
 * (read, pread, write, sendto without an address, lseek, fstat, poll, close), take and give back
 * memory that is not executable, start threads, signal itself and exit.  To execute, to make a
 * process or a socket, or to look into another process kills it (CONFINE_VIOLATED); everything else
 * is EPERM, so that a library that asks for more gets on without.  frame_send and frame_receive
 * work; handing descriptors over does not; stat by name and glibc's fstat do not (ask before).
 * Call it while the process has one thread.  Seccomp is required; a kernel without Landlock is
 * tolerated (seccomp forbids opening as well).  Returns enum confine_given, or RC_POLICY when
 * seccomp cannot be had.
 */
int confine_self(struct err *err);

#endif
