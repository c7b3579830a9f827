/* SPDX-License-Identifier: ISC */
/*
 * Examinations that both sides share: what probes find, in plain words and with the remedy.
 */
#ifndef SATCHEL_CORE_OS_EXAMINE_H
#define SATCHEL_CORE_OS_EXAMINE_H

#include "core/base/finding.h"
#include "core/os/probe.h"

/**
 * examine_kernel(f): openat2 (without it nothing works), seccomp, Landlock (a warning without it).
 * examine_libraries(f): their versions; a warning when one is older than at build time.
 */
void examine_kernel(struct findings *f);
void examine_libraries(struct findings *f);

/** examine_space(f, what, fs): free bytes and inodes; ${what} begins the sentence. */
void examine_space(struct findings *f, const char *what, const struct probe_fs *fs);
/** examine_space_at(f, what, fd): the same, where ${fd} lies. */
void examine_space_at(struct findings *f, const char *what, int fd);

/** examine_clock(f, now, at, witness): ${now} cannot be before what ${witness} was made at; 0: it
 * says nothing.  Returns true when it found fault. */
bool examine_clock(struct findings *f, int64_t now, int64_t at, const char *witness);
/**
 * examine_clock_file(f, now, dirfd, name, shown): as examine_clock, against the mtime of an own
 * file ${name} in ${dirfd}; ${shown} is what the sentence calls it.  Absent: false.
 */
bool examine_clock_file(struct findings *f, int64_t now, int dirfd, const char *name,
			const char *shown);

/**
 * examine_expiry(f, now, issued, expires, near, what, remedy): ${what} holds from ${issued} to
 * ${expires}, seconds since 1970.  Wrong (RC_EXPIRED) when that is past; a warning in the last
 * quarter of the time, at most ${near} seconds.  ${remedy} goes with both.
 */
void examine_expiry(struct findings *f, int64_t now, int64_t issued, int64_t expires, int64_t near,
		    const char *what, const char *remedy);

/** examine_watches(f, directories, most): is there room for so many inotify watches? */
void examine_watches(struct findings *f, uint64_t directories, uint64_t most);

/** examine_lock(f, dirfd, now): who is at work, and whether for too long. */
void examine_lock(struct findings *f, int dirfd, int64_t now);

/** examine_keys(f, dirfd, shown): every *.key and *.pub in a directory: a file, ours or root's,
 * secret keys closed to others, public ones writable by nobody else. */
void examine_keys(struct findings *f, int dirfd, const char *shown);

/** examine_unit(f, unit, timer): is one of the two enabled, and does it run? */
void examine_unit(struct findings *f, const char *unit, const char *timer);

/** time_words(dst, seconds): "3 days". */
#define EXAMINE_WORDS 32
void time_words(char dst[EXAMINE_WORDS], int64_t seconds);

#endif
