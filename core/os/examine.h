/*
 * Examinations that both sides share: what probes find, in plain words and with the remedy.
 */
#ifndef SATCHEL_OS_EXAMINE_H
#define SATCHEL_OS_EXAMINE_H

#include "core/base/finding.h"
#include "core/os/probe.h"

/** examine_kernel, examine_libraries: what this machine has. */
void examine_kernel(struct findings *f);
void examine_libraries(struct findings *f);

/** examine_space(f, what, fs): free bytes and inodes; ${what} begins the sentence. */
void examine_space(struct findings *f, const char *what, const struct probe_fs *fs);
/** examine_space_at(f, what, fd): the same, where ${fd} lies. */
void examine_space_at(struct findings *f, const char *what, int fd);

/** examine_clock(f, now, at, witness): ${now} cannot be before what ${witness} was made at; 0: it
 * says nothing.  Returns true when it found fault. */
bool examine_clock(struct findings *f, int64_t now, int64_t at, const char *witness);
/** examine_clock_files(f, dirfd, name, now): against the time of an own file. */
bool examine_clock_file(struct findings *f, int64_t now, int dirfd, const char *name,
			const char *shown);

/** examine_expiry(f, now, issued, expires, what, remedy): wrong (RC_EXPIRED) when past, a warning
 * in the last quarter of the time, ${near} seconds at most. */
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

/** size_words(dst, bytes), time_words(dst, seconds): "1.2 GB"; "3 days". */
#define EXAMINE_WORDS 32
void size_words(char dst[EXAMINE_WORDS], uint64_t bytes);
void time_words(char dst[EXAMINE_WORDS], int64_t seconds);

#endif
