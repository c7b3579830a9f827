/* SPDX-License-Identifier: ISC */
/*
 * Listing: in batches, so that neither side holds a flooded directory in memory, and so that other
 * questions can be asked between two batches.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/helper/helper.h"
#include "core/os/beneath.h"

/* A batch ends when it is this long, or has taken this long: the other side counts silence. */
#define BATCH_BYTES (64u << 10)
#define BATCH_MS    500

/* Could it be a name of ours?  Litter of desktops and copying programs (.DS_Store, ._x, Thumbs.db)
 * is not. */
static bool name_ours(const char *name)
{
	return name[0] != '.' && name[0] != '\0' &&
	       name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

/* An entry that vanished, or that cannot be looked at, is passed over: one bad sector must not hide
 * the rest. */
static int entry_add(struct helper_listing *l, const struct dirent *entry, struct buf *b,
		     struct err *err)
{
	unsigned char wanted = l->dirs ? DT_DIR : DT_REG;
	struct stat st;
	int rc;

	if (!name_ours(entry->d_name) || (entry->d_type != wanted && entry->d_type != DT_UNKNOWN))
		return 0;
	if (fstatat(dirfd(l->dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (l->dirs ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)))
		return 0;
	rc = pack_number(b, (uint64_t)st.st_size, err);
	return rc < 0 ? rc : pack_text(b, entry->d_name, err);
}

static void listing_end(struct helper_listing *l)
{
	dir_closep(&l->dir);
}

/* 1 when there may be more, 0 at the end. */
static int batch_fill(struct helper_listing *l, struct buf *b, struct err *err)
{
	int64_t until = clock_monotonic_ms() + BATCH_MS;

	while (b->n < BATCH_BYTES && clock_monotonic_ms() < until) {
		struct dirent *entry;
		int rc;

		errno = 0;
		entry = readdir(l->dir);
		if (entry == NULL)
			return errno == 0 ? 0 : err_sys(err, RC_IO, "cannot read a directory");
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (l->seen++ == l->most)
			return err_set(err, RC_LIMIT,
				       "a directory has more than %llu entries; somebody is "
				       "flooding it",
				       (unsigned long long)l->most);
		rc = entry_add(l, entry, b, err);
		if (rc < 0)
			return rc;
	}
	return 1;
}

static int batch_tell(struct helper *h, uint64_t i, struct err *err)
{
	struct helper_listing *l = &h->listings[i];
	OWNED(buf_clear) struct buf b = BUF_INIT;
	uint64_t before = l->seen;
	int rc = pack_number(&b, i, err);

	if (rc == 0)
		rc = pack_number(&b, 1, err);
	if (rc == 0) /* entries of any kind, which cost as much as those that are told */
		rc = pack_number(&b, 0, err);
	if (rc == 0)
		rc = batch_fill(l, &b, err);
	if (rc <= 0)
		listing_end(l);
	if (rc < 0)
		return rc;
	put_u64(b.p + 8, (uint64_t)rc);
	put_u64(b.p + 16, l->seen - before);
	return helper_done(h, &b, err);
}

static int tell_empty(struct helper *h, struct err *err)
{
	static const uint8_t none[24]; /* listing 0, no more, nothing seen */

	return frame_send(h->fd, TELL_DONE, (struct bytes){none, sizeof(none)}, err);
}

int helper_list(struct helper *h, struct bytes in, int passed, struct err *err)
{
	char path[LIMIT_PATH + 1];
	uint64_t dirs, most, i = 0;
	int fd;

	if (!field_number(&in, &dirs) || !field_number(&in, &most) || !field_text(&in, path))
		return helper_malformed(err);
	while (i < LISTINGS && h->listings[i].dir != NULL)
		i++;
	if (i == LISTINGS)
		return err_set(err, RC_INTERNAL, "too many directories are listed at once");
	fd = beneath_dir(h->root, path, err);
	if (fd == RC_ABSENT)
		return tell_empty(h, err);
	if (fd < 0 && errno == ENOTDIR)
		return err_set(err, RC_TYPE, "\"%s\" is not a directory", path);
	if (fd < 0)
		return fd;
	h->listings[i] = (struct helper_listing){fdopendir(fd), dirs != 0, 0, most};
	if (h->listings[i].dir == NULL) {
		close(fd);
		return err_sys(err, RC_IO, "cannot read the directory \"%s\"", path);
	}
	return batch_tell(h, i, err);
}

static bool field_listing(struct helper *h, struct bytes in, uint64_t *ret)
{
	return field_number(&in, ret) && *ret < LISTINGS && h->listings[*ret].dir != NULL;
}

int helper_next(struct helper *h, struct bytes in, int passed, struct err *err)
{
	uint64_t i;

	return field_listing(h, in, &i) ? batch_tell(h, i, err) : helper_malformed(err);
}

int helper_stop(struct helper *h, struct bytes in, int passed, struct err *err)
{
	uint64_t i;

	if (!field_listing(h, in, &i))
		return helper_malformed(err);
	listing_end(&h->listings[i]);
	return frame_send(h->fd, TELL_DONE, (struct bytes){NULL, 0}, err);
}
