/* SPDX-License-Identifier: ISC */
/*
 * The seam between the program and its machine: a whole command, run in a forked child of this
 * process, whose clock, randomness and writing calls are ours.  The shipped program knows nothing
 * of it: whoever links seam.c defines time(2), getrandom(2) and the calls that write once more, and
 * the program, SQLite and libsodium meet these.  No exec and no flush of a disk, so a command
 * costs some 20 milliseconds.
 */
#ifndef SATCHEL_TESTS_SEAM_SEAM_H
#define SATCHEL_TESTS_SEAM_SEAM_H

#include <stdbool.h>
#include <stdint.h>

/* What a call that writes does, for faults that meet only some. */
enum seam_kind {
	SEAM_ALLOCATE = 1, /* takes space: a full disk refuses it */
	SEAM_CHANGE = 2,   /* renames, removes, cuts, sets modes */
	SEAM_FLUSH = 4,
	SEAM_ALL = 7,
	SEAM_SHORT = 8,   /* a write, of which only the first half arrives */
	SEAM_MEMORY = 16, /* no call that writes, but an allocation */
};

/* What a command meets. */
struct seam_order {
	int64_t now;    /* what time(2) says, in seconds since 1970 */
	uint64_t seed;  /* of everything random */
	long at;        /* the writing call that meets the fault, of all its processes; 0: none */
	long until;     /* errors: the last one that fails */
	int error;      /* errno; 0: it is killed */
	bool one;       /* only the process that made the call is killed */
	unsigned kinds; /* enum seam_kind: what counts */
	bool record;    /* into the log (record.h) */
};

/* What came of it. */
struct seam_result {
	int status;  /* exit status, or 128 + signal */
	long calls;  /* that count */
	bool hit;    /* the fault happened */
	bool silent; /* it was ended because it never ended itself */
};

/** satchel_main(argc, argv): the program's own main, under another name. */
int satchel_main(int argc, char **argv);

/** seam_open(): shared memory for what follows; ends the process when there is none. */
void seam_open(void);
/** seam_run(o, out, argv, ret): the command ${argv}, ended by NULL, in a child; what it says on
 * either descriptor replaces the file ${out}.  Returns when it and all its children have ended. */
void seam_run(const struct seam_order *o, const char *out, const char *const *argv,
	      struct seam_result *ret);

#endif
