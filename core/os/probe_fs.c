/* SPDX-License-Identifier: ISC */
/*
 * File systems: their names, what inotify is worth on them, and what they can do when it is tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "core/os/probe.h"
#include "core/os/random.h"

/* Numbers of linux/magic.h and of the kernel's sources: headers are often older than kernels. */
static const struct {
	uint32_t magic;
	bool polled; /* others may write it from elsewhere, and the kernel here does not hear of it
		      */
	const char *name;
} file_systems[] = {
    {0xef53, false, "ext4"},         {0x58465342, false, "xfs"},     {0x9123683e, false, "btrfs"},
    {0x01021994, false, "tmpfs"},    {0xf2f52010, false, "f2fs"},    {0x2fc12fc1, false, "zfs"},
    {0xca451a4e, false, "bcachefs"}, {0x794c7630, false, "overlay"}, {0x4d44, false, "fat"},
    {0x2011bab0, false, "exfat"},    {0x7366746e, false, "ntfs"},    {0x5346544e, false, "ntfs"},
    {0x9660, false, "iso9660"},      {0x15013346, false, "udf"},     {0x3153464a, false, "jfs"},
    {0x52654973, false, "reiserfs"}, {0x482b, false, "hfsplus"},     {0x4244, false, "hfs"},
    {0x73717368, false, "squashfs"}, {0xe0f5e1e2, false, "erofs"},   {0x858458f6, false, "ramfs"},
    {0xf15f, false, "ecryptfs"},     {0x6969, true, "nfs"},          {0xff534d42, true, "smb"},
    {0xfe534d42, true, "smb"},       {0x517b, true, "smb"},          {0x65735546, true, "fuse"},
    {0x01021997, true, "9p"},        {0x786f4256, true, "vboxsf"},   {0xbacbacbc, true, "vmhgfs"},
    {0x00c36400, true, "ceph"},      {0x6b414653, true, "afs"},      {0x5346414f, true, "afs"},
    {0x73757245, true, "coda"},      {0x7461636f, true, "ocfs2"},    {0x01161970, true, "gfs2"},
    {0x0bd00bd0, true, "lustre"},    {0x47504653, true, "gpfs"},
};

static void fs_name(uint32_t magic, struct probe_fs *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(file_systems); i++)
		if (file_systems[i].magic == magic) {
			ret->polled = file_systems[i].polled;
			snprintf(ret->name, sizeof(ret->name), "%s", file_systems[i].name);
			return;
		}
	ret->polled = true;
	snprintf(ret->name, sizeof(ret->name), "type %#x", magic);
}

int probe_fs(int fd, struct probe_fs *ret, struct err *err)
{
	struct probe_fs fs = {.bytes = UINT64_MAX, .inodes = UINT64_MAX, .inodes_free = UINT64_MAX};
	struct statfs s;
	struct statvfs v;

	if (fstatfs(fd, &s) < 0 || fstatvfs(fd, &v) < 0)
		return err_sys(err, RC_IO, "cannot ask what file system this is");
	fs_name((uint32_t)s.f_type, &fs);
	fs.read_only = (v.f_flag & ST_RDONLY) != 0;
	fs.bytes_free = space_free(&v);
	if (v.f_blocks > 0 && fs.bytes_free != UINT64_MAX)
		fs.bytes = (uint64_t)v.f_blocks * v.f_frsize;
	fs.inodes_free = inodes_free(&v);
	if (fs.inodes_free != UINT64_MAX)
		fs.inodes = v.f_files;
	*ret = fs;
	return 0;
}

/* Two files, tried on each other. */
static unsigned renames_try(int fd)
{
	unsigned can = 0;

	if (renameat2(fd, "a", fd, "b", RENAME_EXCHANGE) == 0)
		can |= PROBE_EXCHANGE;
	if (renameat2(fd, "a", fd, "c", RENAME_NOREPLACE) == 0)
		can |= PROBE_NOREPLACE;
	if (symlinkat("b", fd, "d") == 0)
		can |= PROBE_SYMLINK;
	return can;
}

static int files_try(int fd, unsigned *ret, struct err *err)
{
	OWNED(fd_closep) int nameless = openat(fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	OWNED(fd_closep) int a = beneath_open(fd, "a", O_CREAT | O_EXCL | O_WRONLY, 0600, err);
	OWNED(fd_closep)
	int b = a < 0 ? a : beneath_open(fd, "b", O_CREAT | O_EXCL | O_WRONLY, 0600, err);

	if (b < 0)
		return b;
	*ret = renames_try(fd) | (nameless >= 0 ? PROBE_TMPFILE : 0u);
	return 0;
}

/* Of the directory that is tried in: a name of its own each time, for whoever may write there could
 * put somebody's directory under one that is known, to have it removed. */
#define TRIAL ".satchel-doctor-"

static int trial_name(char dst[sizeof(TRIAL) + 16], struct err *err)
{
	char hex[RANDOM_HEX];

	if (random_hex(hex, 8, err) < 0)
		return err->rc;
	snprintf(dst, sizeof(TRIAL) + 16, TRIAL "%.16s", hex);
	return 0;
}

int probe_can(int dirfd, unsigned *ret, struct err *err)
{
	static const char *const files[] = {"a", "b", "c", "d"};
	OWNED(fd_closep) int fd = -1;
	char name[sizeof(TRIAL) + 16];
	unsigned can = 0;
	int rc = trial_name(name, err);

	if (rc < 0)
		return rc;
	if (mkdirat(dirfd, name, 0700) < 0)
		return err_sys(err, RC_IO, "nothing can be written there");
	fd = beneath_dir(dirfd, name, err);
	rc = fd < 0 ? fd : files_try(fd, &can, err);
	for (size_t i = 0; fd >= 0 && i < ARRAY_LEN(files); i++)
		unlinkat(fd, files[i], 0);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && rc == 0)
		rc = err_sys(err, RC_IO, "cannot remove %s", name);
	if (rc == 0)
		*ret = can;
	return rc;
}

int probe_write(int dirfd, int64_t *ret_time, struct err *err)
{
	struct durable d = DURABLE_INIT;
	struct stat st;
	int rc = durable_begin(dirfd, "doctor", 0600, &d, err);

	if (rc == 0)
		rc = fd_write(d.fd, "doctor\n", 7, err);
	if (rc == 0)
		rc = file_sync(d.fd, err);
	if (rc == 0 && fstat(d.fd, &st) < 0)
		rc = err_sys(err, RC_IO, "cannot stat what was written");
	/* Some file systems send a file when it is closed, and say only then that they may not. */
	if (rc == 0)
		rc = fd_close(&d.fd, err);
	durable_abort(&d);
	if (rc == 0 && ret_time != NULL)
		*ret_time = st.st_mtime;
	return rc;
}
