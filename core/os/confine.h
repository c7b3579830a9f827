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

/**
 * confine_self(err): from here on this process may only compute, use the descriptors it holds
 * (read, pread, write, close), grow its heap and exit.  Seccomp is required; a kernel without
 * Landlock is tolerated (seccomp forbids opening as well).  Returns enum confine_given, or
 * RC_POLICY when seccomp cannot be had.
 */
int confine_self(struct err *err);

#endif
