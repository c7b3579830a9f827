/* SPDX-License-Identifier: ISC */
/*
 * Landlock: what a filter of system calls cannot see is where a path leads.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/confine_internal.h"

/*
 * Spelled out because headers are often older than kernels.  Each version (ABI) of the kernel knows
 * the rights of those before it; handling one that it does not know is EINVAL.
 */
struct landlock_attr {
	uint64_t fs, net, scope;
};

struct landlock_beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

static const struct landlock_abi {
	int abi;
	struct landlock_attr handles; /* all of it up to this ABI */
} landlock_abis[] = {
    {1, {0x1fff, 0, 0}}, /* execute, read, write, list, remove, make */
    {2, {0x3fff, 0, 0}}, /* + refer */
    {3, {0x7fff, 0, 0}}, /* + truncate */
    {4, {0x7fff, 3, 0}}, /* + bind and connect, TCP */
    {5, {0xffff, 3, 0}}, /* + ioctl on devices */
    {6, {0xffff, 3, 3}}, /* + abstract sockets and signals outside */
};

#define LANDLOCK_VERSION 1u
#define LANDLOCK_BENEATH 1

/* Rights of the first ABI, which every later one has. */
#define FS_WRITE_FILE  (1ull << 1)
#define FS_READ_FILE   (1ull << 2)
#define FS_READ_DIR    (1ull << 3)
#define FS_REMOVE_DIR  (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR    (1ull << 7)
#define FS_MAKE_REG    (1ull << 8)
#define READ           (FS_READ_FILE | FS_READ_DIR)
/* No links, devices, sockets or pipes; no file is cut, and none changes its directory. */
#define CHANGE (FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG)

/* What is mounted below the directory, now or later, is below it for Landlock too. */
static bool rule_add(int ruleset, unsigned may, int dirfd)
{
	struct landlock_beneath rule = {READ, dirfd};

	if ((may & (MAY_READ | MAY_LIST | MAY_CHANGE)) == 0)
		return true;
	if ((may & MAY_READ) == 0)
		rule.allowed = FS_READ_DIR;
	if ((may & MAY_CHANGE) != 0)
		rule.allowed |= CHANGE;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_BENEATH, &rule, 0) == 0;
}

bool landlock_self(unsigned may, int dirfd)
{
	OWNED(fd_closep) int fd = -1;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	struct landlock_attr attr = {0, 0, 0};

	for (size_t i = 0; i < ARRAY_LEN(landlock_abis); i++)
		if (landlock_abis[i].abi <= abi)
			attr = landlock_abis[i].handles;
	if (abi < 1)
		return false;
	/* An older kernel takes a longer struct when what it does not know is zero. */
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	return fd >= 0 && rule_add(fd, may, dirfd) &&
	       syscall(SYS_landlock_restrict_self, fd, 0) == 0;
}
