/* SPDX-License-Identifier: ISC */
/*
 * Modes, owners and times.  They are set on an open descriptor, or by a name that is never
 * followed; a file of mode 0000 can be opened by O_PATH only, and then /proc is the way to its
 * mode.
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply/apply_internal.h"
#include "applier/station/account.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

#define NS 1000000000ll
/* Times that every file system in use can hold: FAT begins in 1980, 32-bit seconds end in 2038. */
#define TIME_FIRST 315532800ll
#define TIME_LAST  2147483648ll

static int owner_find(const char *path, const char *owner, struct meta *m, struct err *err)
{
	const char *colon = strchr(owner, ':');
	char user[OWNER_MAX];
	int knows_user, knows_group;

	if (colon == NULL)
		return err_set(err, RC_MALFORMED, "%s: owner \"%s\" is not user:group", path,
			       owner);
	memcpy(user, owner, (size_t)(colon - owner));
	user[colon - owner] = '\0';
	knows_user = account_user(user, &m->uid, err);
	knows_group = knows_user < 0 ? knows_user : account_group(colon + 1, &m->gid, err);
	if (knows_group < 0)
		return err_prefix(err, "%s: belongs to %s", path, owner);
	if (knows_user == 0 || knows_group == 0)
		return err_set(err, RC_POLICY, "%s: belongs to %s, but this machine knows no %s %s",
			       path, owner, knows_user == 0 ? "user" : "group",
			       knows_user == 0 ? user : colon + 1);
	return 0;
}

int meta_of(struct apply *a, const char *path, uint16_t mode, const char *owner, int64_t mtime,
	    struct meta *ret, struct err *err)
{
	*ret = (struct meta){.mode = mode, .uid = geteuid(), .gid = getegid(), .mtime = mtime};
	if (strcmp(owner, "-") == 0)
		return 0;
	if (strcmp(owner, a->owner) != 0) {
		if (owner_find(path, owner, ret, err) < 0)
			return err->rc;
		snprintf(a->owner, sizeof(a->owner), "%s", owner);
		a->uid = ret->uid;
		a->gid = ret->gid;
	}
	if (geteuid() != 0 && (a->uid != geteuid() || a->gid != getegid())) {
		/* With set-id bits it would run as us instead of as its owner. */
		ret->mode &= 01777;
		a->no_owner = true;
		return 0;
	}
	ret->uid = a->uid;
	ret->gid = a->gid;
	return 0;
}

/** Only root gives files away; somebody else's group (a set-gid directory's) is left as it is. */
static bool owner_fits(uint32_t uid, uint32_t gid, const struct meta *m)
{
	return geteuid() != 0 ? uid == geteuid() : uid == m->uid && gid == m->gid;
}

bool meta_fits(uint8_t kind, const struct seen *s, const struct meta *m)
{
	return s->mtime == m->mtime && (kind == ENTRY_LINK || s->mode == m->mode) &&
	       owner_fits(s->uid, s->gid, m);
}

bool meta_time_held(int64_t want, int64_t is)
{
	int64_t off;

	/* Beyond these, file systems take the nearest time that they know. */
	if (want < TIME_FIRST * NS || want >= TIME_LAST * NS)
		return true;
	return !__builtin_sub_overflow(is, want, &off) && off <= COARSE_S * NS &&
	       off >= -COARSE_S * NS;
}

unsigned meta_differs(uint8_t kind, const struct seen *s, const struct meta *m)
{
	return (kind == ENTRY_LINK || s->mode == m->mode ? 0u : HOLDS_MODES) |
	       (owner_fits(s->uid, s->gid, m) ? 0u : HOLDS_OWNERS);
}

bool meta_off(struct apply *a, uint8_t kind, const struct seen *s, const struct meta *m)
{
	unsigned differs = meta_differs(kind, s, m);

	return differs != 0 && disk_holds(a, differs);
}

/*
 * Who has a file open for writing keeps that whatever becomes of its owner and mode, and a second
 * name makes two files of one.  So a new owner, set-id bits, and permission to write that is taken
 * away mean nothing on an old inode.
 */
bool meta_in_place(uint8_t kind, const struct seen *s, const struct meta *m)
{
	if (s->links != 1 || !owner_fits(s->uid, s->gid, m))
		return false;
	return kind == ENTRY_LINK ||
	       (s->known && ((s->mode | m->mode) & (S_ISUID | S_ISGID)) == 0 &&
		(s->mode & ~m->mode & (S_IWGRP | S_IWOTH)) == 0);
}

/** The mode of what an O_PATH descriptor stands for. */
static int mode_set_path(int fd, uint16_t mode)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return fchmodat(AT_FDCWD, self, mode, 0);
}

/** A file system without owners, modes or times refuses them even to its owner: an adaptation,
 * which is found when everything is in place.  Somebody else's file is another matter, and so is
 * one that was made immutable. */
static bool cannot_hold(int fd, const struct stat *st)
{
	int saved = errno;
	struct statx x = {0};
	bool fixed;

	fixed = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &x) == 0 &&
		(x.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0;
	errno = saved;
	return errno == ENOSYS || errno == EOPNOTSUPP ||
	       (errno == EPERM && !fixed && (geteuid() == 0 || st->st_uid == geteuid()));
}

/** Owner before mode, because giving a file away clears its set-id bits; times last.  Where the
 * owner is not the one that was asked for, set-id bits would make somebody else of who runs it. */
static int meta_apply(int fd, bool path_only, const struct stat *st, const struct meta *m)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, clock_timespec(m->mtime)};
	uint16_t mode = m->mode;

	if (geteuid() == 0 && !owner_fits(st->st_uid, st->st_gid, m) &&
	    fchownat(fd, "", m->uid, m->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
		if (!cannot_hold(fd, st))
			return -1;
		mode &= S_ISDIR(st->st_mode) ? 07777 : 01777;
	}
	if (!S_ISLNK(st->st_mode) &&
	    ((st->st_mode & 07777) != mode || (mode & (S_ISUID | S_ISGID)) != 0) &&
	    (path_only ? mode_set_path(fd, mode) : fchmod(fd, mode)) < 0 && !cannot_hold(fd, st))
		return -1;
	if ((path_only ? utimensat(fd, "", times, AT_EMPTY_PATH) : futimens(fd, times)) < 0 &&
	    !cannot_hold(fd, st))
		return -1;
	return 0;
}

int meta_set_new(int fd, const struct stat *st, const struct meta *m, struct err *err)
{
	if (meta_apply(fd, false, st, m) < 0)
		return err_sys(err, RC_IO, "cannot set owner, mode or time");
	return 0;
}

int meta_set_fd(int fd, const struct meta *m, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat it");
	return meta_set_new(fd, &st, m, err);
}

int meta_set_made(int dirfd, const char *name, const struct meta *m, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_open(dirfd, name, O_PATH, 0, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || meta_apply(fd, true, &st, m) < 0)
		return err_sys(err, RC_IO, "%s: cannot set owner, mode or time", name);
	return 0;
}

/** Is it what was judged, with nothing about it that somebody else could use? */
static bool still_same(struct apply *a, int fd, const struct stat *st, const struct seen *was)
{
	struct digest is;

	if (st->st_ino != was->ino || st->st_nlink != 1 || st->st_uid != was->uid ||
	    st->st_gid != was->gid)
		return false;
	if (was->kind == ENTRY_LINK)
		return S_ISLNK(st->st_mode);
	if (!S_ISREG(st->st_mode) || !was->known)
		return false;
	return clock_ns(st->st_ctim.tv_sec, st->st_ctim.tv_nsec) == was->ctime ||
	       (fd_digest(a, fd, was->size, &is) > 0 && digest_equal(&is, &was->digest));
}

/*
 * By O_PATH and what was judged: between plan and commit something else may have taken the name,
 * and setting owner and mode on that would give a stranger's file away.
 */
int meta_set(struct apply *a, int dirfd, const char *name, const struct seen *was,
	     const struct meta *m, struct err *err)
{
	OWNED(fd_closep) int fd = beneath_open(dirfd, name, O_PATH, 0, ERR_IGNORED);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !still_same(a, fd, &st, was) ||
	    ((st.st_mode | m->mode) & (S_ISUID | S_ISGID)) != 0)
		return 0;
	if (meta_apply(fd, true, &st, &(struct meta){m->mode, st.st_uid, st.st_gid, m->mtime}) < 0)
		return err_sys(err, RC_IO, "%s: cannot set mode or time", name);
	return 1;
}

/** Its owner or mode are as they were, or as they shall be already; that its owner may write was
 * perhaps added for the commit. */
static bool dir_between(const struct stat *st, const struct seen *was, const struct meta *m)
{
	mode_t mode = st->st_mode & 07777;

	return (st->st_uid == was->uid || st->st_uid == m->uid) &&
	       (st->st_gid == was->gid || st->st_gid == m->gid) &&
	       (mode == m->mode || (mode & ~0700u) == (was->mode & ~0700u));
}

int meta_set_dir(struct apply *a, int fd, const struct seen *was, const struct meta *m,
		 struct err *err)
{
	struct stat st;

	(void)a;
	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "cannot stat it");
	if (!S_ISDIR(st.st_mode) || st.st_ino != was->ino || !dir_between(&st, was, m))
		return 0;
	if (meta_apply(fd, true, &st, m) < 0)
		return err_sys(err, RC_IO, "cannot set owner, mode or time");
	return 1;
}
