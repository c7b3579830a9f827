#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/base/own.h"
#include "core/tree/scan_internal.h"

/* Directory entries that are read at a time. */
#define READ_BYTES 32768

void scan_listing_clear(struct listing *l)
{
	buf_clear(&l->text);
	free(l->names);
	*l = (struct listing){.text = BUF_INIT};
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Point at the ${count} names of the text, and sort them. */
static int listing_sort(struct listing *l, size_t count, struct err *err)
{
	const char *p = (const char *)l->text.p;

	if (count > l->room) {
		const char **names = reallocarray(l->names, count, sizeof(*names));

		if (names == NULL)
			return err_memory(err);
		l->names = names;
		l->room = count;
	}
	for (l->n = 0; l->n < count; l->n++) {
		l->names[l->n] = p;
		p += strlen(p) + 1;
	}
	if (count > 1)
		qsort(l->names, count, sizeof(*l->names), name_compare);
	return 0;
}

int scan_listing_read(struct listing *l, int fd, struct err *err)
{
	_Alignas(struct dirent64) char piece[READ_BYTES];
	size_t count = 0;
	ssize_t got;

	buf_reset(&l->text);
	while ((got = getdents64(fd, piece, sizeof(piece))) > 0)
		for (ssize_t at = 0; at < got;) {
			const struct dirent64 *d = (const void *)(piece + at);
			int rc;

			at += d->d_reclen;
			if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
				continue;
			rc = buf_add(&l->text, d->d_name, strlen(d->d_name) + 1, err);
			if (rc < 0)
				return rc;
			count++;
		}
	if (got < 0)
		return err_sys(err, RC_IO, "cannot read the directory");
	return listing_sort(l, count, err);
}

static struct timespec time_of(struct statx_timestamp t)
{
	return (struct timespec){.tv_sec = t.tv_sec, .tv_nsec = (long)t.tv_nsec};
}

int disk_stat(int dirfd, const char *name, struct stat *ret, bool *ret_mount, struct err *err)
{
	struct statx x;

	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x) < 0)
		return errno == ENOENT ? 0 : err_sys(err, RC_IO, "cannot look at it");
	*ret = (struct stat){.st_dev = makedev(x.stx_dev_major, x.stx_dev_minor),
			     .st_ino = x.stx_ino,
			     .st_nlink = x.stx_nlink,
			     .st_mode = x.stx_mode,
			     .st_uid = x.stx_uid,
			     .st_gid = x.stx_gid,
			     .st_rdev = makedev(x.stx_rdev_major, x.stx_rdev_minor),
			     .st_size = (off_t)x.stx_size,
			     .st_blksize = x.stx_blksize,
			     .st_blocks = (blkcnt_t)x.stx_blocks,
			     .st_atim = time_of(x.stx_atime),
			     .st_mtim = time_of(x.stx_mtime),
			     .st_ctim = time_of(x.stx_ctime)};
	*ret_mount = (x.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	return 1;
}
