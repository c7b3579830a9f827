/* SPDX-License-Identifier: ISC */
/*
 * Probes: what this kernel, this file system and this machine can do, for the doctor and for those
 * who must choose a way.  Facts only; who asks decides what they mean.
 */
#ifndef SATCHEL_CORE_OS_PROBE_H
#define SATCHEL_CORE_OS_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct probe_kernel {
	char release[72];
	bool openat2;
	int landlock; /* ABI; 0: none */
};
/**
 * probe_kernel(ret): its release and what it has.  Only ENOSYS counts as lacking openat2.  Source:
 * uname(2), landlock_create_ruleset(2).
 */
void probe_kernel(struct probe_kernel *ret);

/** probe_confine(ret, err): can a process confine itself?  Tried in a child; ${ret} is
 * enum confine_given.  RC_POLICY: no. */
int probe_confine(int *ret, struct err *err);

#define PROBE_FS_NAME 24
struct probe_fs {
	char name[PROBE_FS_NAME]; /* "ext4", "nfs"; a number in hexadecimal when nobody knows it */
	bool polled; /* inotify sees nothing here of what other machines do, or nobody knows */
	bool read_only;
	uint64_t bytes, bytes_free;   /* for us; UINT64_MAX: it does not say */
	uint64_t inodes, inodes_free; /* likewise */
};
/** probe_fs(fd, ret, err): of the file system that ${fd} lies on.  Source: statfs(2). */
int probe_fs(int fd, struct probe_fs *ret, struct err *err);

enum probe_can {
	PROBE_NOREPLACE = 1 << 0, /* renameat2(RENAME_NOREPLACE) */
	PROBE_EXCHANGE = 1 << 1,  /* renameat2(RENAME_EXCHANGE) */
	PROBE_TMPFILE = 1 << 2,   /* O_TMPFILE */
	PROBE_SYMLINK = 1 << 3,
};
/** probe_can(dirfd, ret, err): tried with files in a directory ".satchel-doctor-RANDOM" of
 * ${dirfd}, which is gone afterwards.  RC_IO, RC_SPACE: nothing can be written there. */
int probe_can(int dirfd, unsigned *ret, struct err *err);

/** probe_write(dirfd, ret_time, err): a file can be made, written, flushed and removed here: a
 * dot-name, so that no reader of a depot takes it for anything.  ${ret_time} (may be NULL) is when
 * the file system says that was. */
int probe_write(int dirfd, int64_t *ret_time, struct err *err);

/** probe_number(path): the number that a file of /proc or /sys holds; UINT64_MAX: none. */
uint64_t probe_number(const char *path);

/** probe_libraries(ret, err): "libarchive 3.6.2, ..."; 1 when one of them is older than the one
 * this program was built with. */
int probe_libraries(struct buf *ret, struct err *err);

struct probe_unit {
	bool systemd; /* systemctl is here and answers */
	bool present, enabled, active, failed;
	bool strict;         /* everything but ${writable} is read-only to it */
	char writable[1024]; /* as systemd says it: "-/srv /opt" */
};
/** probe_unit(name, ret, err): what systemctl says of a unit; waits some seconds at most. */
int probe_unit(const char *name, struct probe_unit *ret, struct err *err);
/** probe_unit_parse(text, ret): the answer of systemctl show. */
void probe_unit_parse(const char *text, struct probe_unit *ret);
/** probe_unit_writes(u, path): may it write in the absolute ${path}, as far as its unit goes? */
bool probe_unit_writes(const struct probe_unit *u, const char *path);

#endif
