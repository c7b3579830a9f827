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

	l->names = reallocarray(NULL, count + 1, sizeof(*l->names));
	if (l->names == NULL)
		return err_memory(err);
	for (l->n = 0; l->n < count; l->n++) {
		l->names[l->n] = p;
		p += strlen(p) + 1;
	}
	qsort(l->names, count, sizeof(*l->names), name_compare);
	return 0;
}

int scan_listing_read(struct listing *l, int fd, struct err *err)
{
	_Alignas(struct dirent64) char piece[READ_BYTES];
	size_t count = 0;
	ssize_t got;

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

static int64_t time_of(struct statx_timestamp t)
{
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

int disk_look(int fd, const char *name, struct seen *ret, struct err *err)
{
	struct statx x;

	*ret = (struct seen){.what = SEEN_ABSENT};
	if (statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &x) < 0)
		return errno == ENOENT ? 0 : err_sys(err, RC_IO, "cannot look at \"%s\"", name);
	/* Not by device number: a bind mount has the same, and a btrfs subvolume has another. */
	ret->what = x.stx_attributes & STATX_ATTR_MOUNT_ROOT ? SEEN_MOUNT : SEEN_THERE;
	ret->mode = x.stx_mode;
	ret->uid = x.stx_uid;
	ret->gid = x.stx_gid;
	ret->dev = makedev(x.stx_dev_major, x.stx_dev_minor);
	ret->ino = x.stx_ino;
	ret->size = x.stx_size;
	ret->mtime = time_of(x.stx_mtime);
	ret->ctime = time_of(x.stx_ctime);
	return 0;
}
