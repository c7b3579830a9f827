/*
 * Modes, owners and times.  They are set on an open descriptor, or by a name that is never
 * followed; a file of mode 0000 can be opened by O_PATH only, and then /proc is the way to its
 * mode.
 */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "applier/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"

#define NS 1000000000ll

static struct timespec time_of(int64_t ns)
{
	int64_t s = ns / NS, rest = ns % NS;

	if (rest < 0) {
		rest += NS;
		s--;
	}
	return (struct timespec){.tv_sec = s, .tv_nsec = rest};
}

static int owner_find(const char *path, const char *owner, struct meta *m, struct err *err)
{
	const char *colon = strchr(owner, ':');
	char user[OWNER_MAX], store[4096];
	struct passwd pw, *found_user = NULL;
	struct group gr, *found_group = NULL;

	if (colon == NULL)
		return err_set(err, RC_MALFORMED, "%s: owner \"%s\" is not user:group", path,
			       owner);
	memcpy(user, owner, (size_t)(colon - owner));
	user[colon - owner] = '\0';
	getpwnam_r(user, &pw, store, sizeof(store), &found_user);
	if (found_user != NULL)
		m->uid = found_user->pw_uid;
	getgrnam_r(colon + 1, &gr, store, sizeof(store), &found_group);
	if (found_group != NULL)
		m->gid = found_group->gr_gid;
	if (found_user == NULL || found_group == NULL)
		return err_set(err, RC_POLICY, "%s: belongs to %s, but this machine knows no %s %s",
			       path, owner, found_user == NULL ? "user" : "group",
			       found_user == NULL ? user : colon + 1);
	return 0;
}

int meta_of(struct apply *a, const char *path, uint16_t mode, const char *owner, int64_t mtime,
	    struct meta *ret, struct err *err)
{
	*ret = (struct meta){.mode = mode, .uid = geteuid(), .gid = getegid(), .mtime = mtime};
	if (strcmp(owner, "-") == 0)
		return 0;
	if (strcmp(owner, a->owner) == 0) {
		ret->uid = a->uid;
		ret->gid = a->gid;
		return 0;
	}
	if (owner_find(path, owner, ret, err) < 0)
		return err->rc;
	if (geteuid() != 0 && (ret->uid != geteuid() || ret->gid != getegid())) {
		ret->uid = geteuid();
		ret->gid = getegid();
		a->no_owner = true;
	}
	snprintf(a->owner, sizeof(a->owner), "%s", owner);
	a->uid = ret->uid;
	a->gid = ret->gid;
	return 0;
}

/** Only root gives files away; somebody else's group (a set-gid directory's) is left as it is. */
static bool owner_fits(uint32_t uid, uint32_t gid, const struct meta *m)
{
	return geteuid() != 0 || (uid == m->uid && gid == m->gid);
}

bool meta_fits(uint8_t kind, const struct seen *s, const struct meta *m)
{
	return s->mtime == m->mtime && (kind == ENTRY_LINK || s->mode == m->mode) &&
	       owner_fits(s->uid, s->gid, m);
}

/** The mode of what an O_PATH descriptor stands for. */
static int mode_set_path(int fd, uint16_t mode)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return fchmodat(AT_FDCWD, self, mode, 0);
}

/** A file system without owners, modes or times refuses them even to its owner: an adaptation,
 * which is found when everything is in place.  Somebody else's file is another matter. */
static bool cannot_hold(const struct stat *st)
{
	return errno == ENOSYS || errno == EOPNOTSUPP ||
	       (errno == EPERM && (geteuid() == 0 || st->st_uid == geteuid()));
}

/** Owner before mode, because giving a file away clears its set-id bits; times last. */
static int meta_apply(int fd, bool path_only, const struct stat *st, const struct meta *m)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, time_of(m->mtime)};

	if (!owner_fits(st->st_uid, st->st_gid, m) &&
	    fchownat(fd, "", m->uid, m->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 &&
	    !cannot_hold(st))
		return -1;
	if (!S_ISLNK(st->st_mode) &&
	    ((st->st_mode & 07777) != m->mode || (m->mode & (S_ISUID | S_ISGID)) != 0) &&
	    (path_only ? mode_set_path(fd, m->mode) : fchmod(fd, m->mode)) < 0 && !cannot_hold(st))
		return -1;
	if ((path_only ? utimensat(fd, "", times, AT_EMPTY_PATH) : futimens(fd, times)) < 0 &&
	    !cannot_hold(st))
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
		return err_sys(err, RC_IO, "cannot look at it");
	return meta_set_new(fd, &st, m, err);
}

int meta_set(int dirfd, const char *name, const struct seen *what, const struct meta *m,
	     struct err *err)
{
	OWNED(fd_closep) int fd = beneath_open(dirfd, name, O_PATH, 0, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, RC_IO, "%s: cannot look at it", name);
	if (st.st_ino != what->ino || (what->kind == ENTRY_DIRECTORY) != S_ISDIR(st.st_mode) ||
	    (what->kind == ENTRY_LINK) != S_ISLNK(st.st_mode))
		return err_set(err, RC_CONFLICT, "%s: it was replaced by something else", name);
	if (meta_apply(fd, true, &st, m) < 0)
		return err_sys(err, RC_IO, "%s: cannot set owner, mode or time", name);
	return 0;
}
