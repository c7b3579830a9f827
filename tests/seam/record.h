/* SPDX-License-Identifier: ISC */
/*
 * The log of what a command changed in file systems: every call, in the order in which it happened
 * over all processes, by inode.  It lies in memory that the processes share, because the confined
 * ones can write nowhere else.
 */
#ifndef SATCHEL_TESTS_SEAM_RECORD_H
#define SATCHEL_TESTS_SEAM_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum record_op {
	RECORD_CREATE,  /* ${name} in ${dir} is the new file ${ino} */
	RECORD_MKDIR,   /* likewise a directory */
	RECORD_SYMLINK, /* likewise a link; its target is the data */
	RECORD_LINK,    /* ${name} in ${dir} is one more name of ${ino} */
	RECORD_UNLINK,  /* ${name} in ${dir} was ${ino} */
	RECORD_RENAME, /* ${name} in ${dir} is now ${to} in ${dir2}, which was ${ino2} or nothing */
	RECORD_SWAP,   /* ${name} in ${dir} and ${to} in ${dir2} have changed places */
	RECORD_WRITE,  /* the data at ${at} of ${ino} */
	RECORD_CUT,    /* ${ino} has ${at} bytes */
	RECORD_META,   /* ${ino}: mode, times as they are afterwards */
	RECORD_FLUSH,  /* ${ino}, a file or a directory */
	RECORD_FLUSH_ALL,
};

/* One call.  The names and the data follow it. */
struct record {
	uint32_t size; /* of all, a multiple of 8 */
	uint32_t op;
	uint64_t dir, dir2; /* inodes */
	uint64_t ino, ino2;
	uint64_t at;
	uint32_t mode;
	uint16_t name, to;      /* lengths, with their NUL; 0: none */
	int64_t mtime, ctime;   /* of ${ino} afterwards; nanoseconds since 1970 */
	int64_t mtime2, ctime2; /* RECORD_SWAP: of ${ino2} */
	uint64_t data;          /* length */
};

/**
 * An inode that was written again, as a program that remembers inodes must see it: under the number
 * that it had, and with the ctime that it had while nobody has touched it since.
 */
struct inode_shown {
	uint64_t real, shown;
	int64_t real_ctime, shown_ctime;
};
/** inodes_clear(), inodes_add(i): what stat(2) and its like show to commands from now on. */
void inodes_clear(void);
void inodes_add(const struct inode_shown *i);

/** record_first(), record_next(r): the log of the last command; NULL at its end. */
const struct record *record_first(void);
const struct record *record_next(const struct record *r);
/** record_name(r), record_to(r), record_data(r): what follows ${r}. */
const char *record_name(const struct record *r);
const char *record_to(const struct record *r);
const uint8_t *record_data(const struct record *r);

#endif
