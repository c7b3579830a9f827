/* SPDX-License-Identifier: ISC */
/*
 * Mounts: what /proc/self/mountinfo lists, and a descriptor that tells when it changed.
 * Source: proc_pid_mountinfo(5): blank, tab, newline and backslash are written as octal escapes.
 */
#ifndef SATCHEL_WATCHER_MOUNT_H
#define SATCHEL_WATCHER_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct mount {
	uint64_t id;   /* unique while it is mounted */
	char *point;   /* owned; where it is mounted, as any bytes but NUL */
	char type[32]; /* of the file system: "ext4", "fuse.rclone" */
	char *source;  /* owned; "/dev/sdb1" */
	bool closed;   /* FUSE of another user, who lets nobody else in, root neither */
};

struct mounts {
	struct mount *mount; /* owned; in the kernel's order: later ones lie on top */
	size_t n;
};

/* Mounts that are looked at; a machine of containers has some thousands. */
#define MOUNTS_MAX 65536u
/* Bytes of the list: a long path and options each. */
#define MOUNTS_BYTES (64u << 20)

/** mounts_parse(text, ret, err): lines that are not understood are left out.  RC_LIMIT, RC_MEMORY.
 */
int mounts_parse(struct bytes text, struct mounts *ret, struct err *err);
/** mounts_clear(m): release the list. */
void mounts_clear(struct mounts *m);

/** mounts_open(err): a descriptor to poll for POLLPRI.  mounts_read(fd, ret, err): the list now;
 * also makes the descriptor quiet until the next change. */
int mounts_open(struct err *err);
int mounts_read(int fd, struct mounts *ret, struct err *err);

/** mounts_has(m, id, point): is it still there? */
bool mounts_has(const struct mounts *m, uint64_t id, const char *point);

/**
 * mount_may_be_removable(m, early): can it be a medium that a person plugs in?  Whatever lies below
 * /media, /run/media or /mnt, and what was mounted after the watcher began (${early} is false) from
 * a device or through FUSE; the kernel's own file systems and those of containers never, nor what a
 * user has mounted for themselves, who could have as many as there are places for.
 */
bool mount_may_be_removable(const struct mount *m, bool early);

#endif
