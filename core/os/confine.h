/* SPDX-License-Identifier: ISC */
/*
 * Confinement of processes that touch what strangers wrote.  Each kind of process has a row in one
 * table (confine.c): no_new_privs, Landlock, a seccomp allow-list, no core dump, bounded memory and
 * descriptors.  No row may execute, make a process, a thread or a socket, look into or signal
 * another process, or map memory that can run.
 * Source: landlock(7), seccomp(2), prctl(2).
 */
#ifndef SATCHEL_CORE_OS_CONFINE_H
#define SATCHEL_CORE_OS_CONFINE_H

#include "core/base/err.h"

/** What the kernel gave; for doctor and for the commentary. */
enum confine_given { CONFINE_LANDLOCK = 1 << 0, CONFINE_SECCOMP = 1 << 1 };

/** The exit status (child_end) of a child that tried what nothing of ours ever does. */
#define CONFINE_VIOLATED (128 + 31 /* SIGSYS */)

enum confine_profile {
	CONFINE_READER,       /* unpacks a bundle: descriptors it holds, and nothing else */
	CONFINE_UNSEALER,     /* opens what was sealed: the same */
	CONFINE_PARSER,       /* reads documents of others: the same */
	CONFINE_INSPECTOR,    /* reads a file that a person names: the same */
	CONFINE_DEPOT_READER, /* reads what lies below one directory, takes and passes descriptors
			       */
	CONFINE_DEPOT_WRITER, /* also makes, names and removes files and directories there */
	CONFINE_POLLER,       /* lists what lies below one directory, and opens no file */
	CONFINE_HINT,         /* the same, and has changes told by inotify */
	CONFINE_PROFILES
};

/**
 * confine_self(profile, dirfd, err): from here on this process may only compute, use the
 * descriptors it holds (read, pread, write, sendto without an address, lseek, fstat, poll, close),
 * take and give back memory that is not executable, signal itself and exit; with a directory, what
 * the profile says below it as well.  ${dirfd} is that directory, or -1.  What an attacker alone
 * does kills it (CONFINE_VIOLATED); everything else is EPERM, so that a library that asks for more
 * gets on without, and EACCES outside of the directory.
 * frame_send and frame_receive work; without a directory handing descriptors over does not, nor
 * does stat by name and glibc's fstat (ask before).  Looking at names (stat, readlink, O_PATH) is
 * not bound to the directory, because Landlock does not bind it.
 * Call it while the process has one thread.  Seccomp is required.  A kernel without Landlock is
 * tolerated: then seccomp alone forbids opening, and with a directory what binds a process to it
 * is missing, as before there was this wall.  Returns enum confine_given, or RC_POLICY when
 * seccomp cannot be had.
 */
int confine_self(enum confine_profile profile, int dirfd, struct err *err);
/** confine_name(profile): as the documentation calls it: "depot-writer". */
const char *confine_name(enum confine_profile profile);

#endif
