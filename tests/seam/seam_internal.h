/* SPDX-License-Identifier: ISC */
/* Shared by the files of the seam only. */
#ifndef SATCHEL_TESTS_SEAM_SEAM_INTERNAL_H
#define SATCHEL_TESTS_SEAM_SEAM_INTERNAL_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "tests/seam/record.h"
#include "tests/seam/seam.h"

/* Enough for every command of a test; pages that nobody touches cost nothing. */
#define RECORD_MAX ((size_t)256 << 20)
#define INODES_MAX 16384

/* What all processes of a command see. */
struct seam_shared {
	atomic_long calls;
	atomic_int hit;
	atomic_int lock;                      /* one call at a time while the log is written */
	atomic_size_t log;                    /* bytes in use */
	struct inode_shown inode[INODES_MAX]; /* by the number, modulo the size */
	atomic_bool inodes;                   /* are there any? */
	uint8_t record[];
};

/* What a process knows; a copy goes to its children. */
struct seam {
	struct seam_shared *shared;
	struct seam_order order;
	bool active;   /* in a command, not in the process that runs it */
	uint64_t path; /* which child of which child this is */
	atomic_uint_fast64_t forks, draws;
};
extern struct seam seam;

/** seam_meets(kind): does this call fail?  errno is set then.  It may not come back at all. */
bool seam_meets(enum seam_kind kind);
/** seam_lock(), seam_unlock(): around a call and its record. */
void seam_lock(void);
void seam_unlock(void);
/** seam_stat(fd, path, flags, ret): fstatat(2) of the kernel. */
int seam_stat(int fd, const char *path, int flags, struct stat *ret);
/** time_ns(t): nanoseconds since 1970. */
int64_t time_ns(struct timespec t);
/** record_add(r, name, to, data): at the end of the log; lengths are filled in here, but for that
 * of the data. */
void record_add(struct record *r, const char *name, const char *to, const void *data);

#endif
