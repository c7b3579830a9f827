/* SPDX-License-Identifier: ISC */
/*
 * Facts of probe.h turned into findings: where each limit between good, worth a word and wrong
 * lies, and what a person can do about it.  Both doctors call these, so the same fault has the
 * same words.
 */
#include "core/os/examine.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/confine.h"
#include "core/os/dir.h"
#include "core/os/lock.h"

/* Below this nothing can be relied on: a receipt and a database's journal still fit. */
#define SPACE_WRONG (16ull << 20)
/* Worth a word: less than a twentieth, and less than this. */
#define SPACE_LOW  (1ull << 30)
#define INODES_LOW 10000u
/* Clocks that nobody sets drift by seconds; a wrong one is wrong by more than this. */
#define CLOCK_SKEW 600
/* A run that takes longer deserves a look. */
#define LOCK_LONG 3600

void time_words(char dst[EXAMINE_WORDS], int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *one, *many;
	} units[] = {{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "minute", "minutes"}};
	int64_t s = seconds < 0 ? -seconds : seconds;

	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (s >= units[i].seconds) {
			int64_t n = s / units[i].seconds;

			snprintf(dst, EXAMINE_WORDS, "%lld %s", (long long)n,
				 n == 1 ? units[i].one : units[i].many);
			return;
		}
	snprintf(dst, EXAMINE_WORDS, "%lld %s", (long long)s, s == 1 ? "second" : "seconds");
}

void examine_kernel(struct findings *f)
{
	struct probe_kernel k;
	struct err err = {0};
	int given = 0;

	probe_kernel(&k);
	if (!k.openat2) {
		found_wrong(f, RC_POLICY, "Linux %s has no openat2, which satchel needs",
			    k.release);
		found_remedy(f, "use Linux 5.6 or later");
		return;
	}
	if (probe_confine(&given, &err) < 0) {
		found_err(f, &err);
		found_remedy(
		    f, "use a kernel (or a container) that allows seccomp filters: without them "
		       "nothing that strangers wrote is unpacked");
		return;
	}
	if ((given & CONFINE_LANDLOCK) == 0) {
		found_warning(
		    f,
		    "Linux %s has openat2 and seccomp but no Landlock: readers are "
		    "confined by seccomp alone, and nothing binds the helper of a depot to "
		    "that depot",
		    k.release);
		found_remedy(f, "boot with lsm=landlock,... (Linux 5.13 or later)");
		return;
	}
	found_ok(f, "Linux %s: openat2, no_new_privs, seccomp, Landlock %d", k.release, k.landlock);
}

void examine_libraries(struct findings *f)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct err err = {0};
	int rc = probe_libraries(&text, &err);

	if (rc < 0)
		found_err(f, &err);
	else if (rc == 0)
		found_ok(f, "%s", (const char *)text.p);
	else {
		found_warning(f, "older than what satchel was built with: %s",
			      (const char *)text.p);
		found_remedy(f, "install the libraries of the release that satchel was built for");
	}
}

/*
 * Many small files exhaust inodes long before bytes, and the message of the system is the same for
 * both.
 */
static void examine_inodes(struct findings *f, const char *what, const struct probe_fs *fs)
{
	if (fs->inodes_free > INODES_LOW || fs->inodes_free > fs->inodes / 20)
		return;
	if (fs->inodes_free == 0)
		found_wrong(f, RC_SPACE, "%s: no more files can be made (no inode is free)", what);
	else
		found_warning(f, "%s: only %llu more files can be made (free inodes)", what,
			      (unsigned long long)fs->inodes_free);
	found_remedy(f, "remove files that nobody needs, or use a larger file system");
}

void examine_space(struct findings *f, const char *what, const struct probe_fs *fs)
{
	char free_bytes[EXAMINE_WORDS], all[EXAMINE_WORDS];

	examine_inodes(f, what, fs);
	if (fs->bytes_free == UINT64_MAX) {
		found_ok(f, "%s: on %s, which does not say how much is free", what, fs->name);
		return;
	}
	size_text(free_bytes, fs->bytes_free);
	size_text(all, fs->bytes);
	if (fs->bytes_free > SPACE_LOW || fs->bytes_free > fs->bytes / 20) {
		found_ok(f, "%s: %s of %s free (%s)", what, free_bytes, all, fs->name);
		return;
	}
	if (fs->bytes_free < SPACE_WRONG)
		found_wrong(f, RC_SPACE, "%s: only %s of %s free", what, free_bytes, all);
	else
		found_warning(f, "%s: only %s of %s free", what, free_bytes, all);
	found_remedy(f, "make room there, or use a larger medium");
}

void examine_space_at(struct findings *f, const char *what, int fd)
{
	struct probe_fs fs;
	struct err err = {0};

	if (probe_fs(fd, &fs, &err) < 0) {
		err_prefix(&err, "%s", what);
		found_err(f, &err);
		return;
	}
	if (fs.read_only) {
		found_wrong(f, RC_IO, "%s: mounted read-only", what);
		found_remedy(f,
			     "mount it read-write; when the kernel did it by itself, look at dmesg "
			     "and check the disk first");
	}
	examine_space(f, what, &fs);
}

bool examine_clock(struct findings *f, int64_t now, int64_t at, const char *witness)
{
	char here[CLOCK_TEXT + 1], there[CLOCK_TEXT + 1];

	if (at == 0 || now >= at - CLOCK_SKEW)
		return false;
	clock_format(here, now);
	clock_format(there, at);
	found_warning(f, "this machine's clock says %s, but %s is from %s", here, witness, there);
	found_remedy(f,
		     "set the clock (timedatectl, chrony): nothing breaks, but ages and expiry are "
		     "judged by it");
	return true;
}

bool examine_clock_file(struct findings *f, int64_t now, int dirfd, const char *name,
			const char *shown)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       examine_clock(f, now, st.st_mtime, shown);
}

void examine_expiry(struct findings *f, int64_t now, int64_t issued, int64_t expires, int64_t near,
		    const char *what, const char *remedy)
{
	char until[CLOCK_TEXT + 1], left[EXAMINE_WORDS];
	int64_t quarter = (expires - issued) / 4;

	clock_format(until, expires);
	time_words(left, expires - now);
	if (now >= expires)
		found_wrong(f, RC_EXPIRED, "%s was good until %s, %s ago", what, until, left);
	else if (expires - now < (quarter < near ? quarter : near))
		found_warning(f, "%s is good until %s: %s are left", what, until, left);
	else {
		found_ok(f, "%s is good until %s", what, until);
		return;
	}
	found_remedy(f, "%s", remedy);
}

void examine_watches(struct findings *f, uint64_t directories, uint64_t most)
{
	if (most == UINT64_MAX) {
		found_warning(f, "this kernel has no inotify: changes are found by timer only");
		return;
	}
	if (directories <= most / 2) {
		found_ok(f, "%llu %s to watch, inotify allows %llu",
			 (unsigned long long)directories,
			 directories == 1 ? "directory" : "directories", (unsigned long long)most);
		return;
	}
	found_warning(
	    f,
	    "%llu directories to watch, and inotify allows %llu for all programs of a user "
	    "together: changes in the rest are found by timer only",
	    (unsigned long long)directories, (unsigned long long)most);
	found_remedy(f, "sysctl fs.inotify.max_user_watches=%llu, and the same in /etc/sysctl.d",
		     (unsigned long long)directories * 4);
}

void examine_lock(struct findings *f, int dirfd, int64_t now)
{
	struct lock_holder holder;
	char since[EXAMINE_WORDS];
	struct err err = {0};
	int rc = lock_holder(dirfd, "lock", &holder, &err);

	if (rc < 0)
		found_err(f, &err);
	if (rc == 0)
		found_ok(f, "no satchel command is running");
	if (rc <= 0)
		return;
	time_words(since, now - holder.since);
	if (now - holder.since < LOCK_LONG) {
		found_ok(f, "process %d is running, for %s", holder.pid, since);
		return;
	}
	found_warning(f, "process %d has been running for %s, and holds up everything else",
		      holder.pid, since);
	found_remedy(f,
		     "see what it does (ps -fp %d); if it hangs, end it: the next run finishes or "
		     "undoes its work",
		     holder.pid);
}

static bool name_ends(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

/*
 * One key file; true when nothing is wrong with it.  A key that others could replace is as bad as
 * one that they could read.
 */
static bool examine_key(struct findings *f, int dirfd, const char *shown, const char *name)
{
	bool secret = name_ends(name, ".key");
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	if (!S_ISREG(st.st_mode)) {
		found_wrong(f, RC_POLICY, "%s/%s is not a regular file", shown, name);
		found_remedy(f, "put the key itself there");
		return false;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		found_wrong(f, RC_POLICY, "%s/%s belongs to user %u", shown, name, st.st_uid);
		found_remedy(f, "chown %u %s/%s", geteuid(), shown, name);
		return false;
	}
	if (st.st_mode & (secret ? 077u : 022u)) {
		found_wrong(f, RC_POLICY,
			    secret ? "%s/%s can be read or written by others"
				   : "%s/%s can be written by others",
			    shown, name);
		found_remedy(f,
			     secret
				 ? "chmod 400 %s/%s, and think about who may have read it: trust "
				   "rotate, or a new enrolment, makes another"
				 : "chmod 444 %s/%s",
			     shown, name);
		return false;
	}
	return true;
}

struct key_examination {
	struct findings *f;
	const char *shown;
	unsigned n, good;
};

static int key_entry(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct key_examination *k = arg;

	if (!name_ends(entry->name, ".key") && !name_ends(entry->name, ".pub"))
		return 0;
	k->n++;
	k->good += examine_key(k->f, entry->dirfd, k->shown, entry->name);
	return 0;
}

void examine_keys(struct findings *f, int dirfd, const char *shown)
{
	struct key_examination k = {.f = f, .shown = shown};

	if (dir_each(dirfd, ".", 0, key_entry, &k, ERR_IGNORED) < 0)
		found_wrong(f, RC_STATE, "%s cannot be read", shown);
	else if (k.n == k.good)
		found_ok(f, "%u key %s in %s, closed to others", k.n, k.n == 1 ? "file" : "files",
			 shown);
}

/* What systemctl says of one of two ways; true when that one looks after everything. */
static bool unit_good(struct findings *f, const char *name, struct probe_unit *u)
{
	struct err err = {0};

	if (probe_unit(name, u, &err) < 0)
		*u = (struct probe_unit){0};
	if (!u->enabled || !u->active)
		return false;
	found_ok(f, "%s is enabled and active", name);
	return true;
}

void examine_unit(struct findings *f, const char *unit, const char *timer)
{
	struct probe_unit a = {0}, b = {0};

	if (unit_good(f, unit, &a) || unit_good(f, timer, &b))
		return;
	if (!a.systemd) {
		found_ok(f, "no systemd here: something else has to run satchel watch, or satchel "
			    "sync from time to time");
		return;
	}
	if (a.failed || b.failed) {
		found_wrong(f, RC_AGAIN, "%s has failed", a.failed ? unit : timer);
		found_remedy(f, "journalctl -u %s says why", a.failed ? unit : timer);
		return;
	}
	if (!a.present && !b.present)
		found_warning(f, "%s is not installed: nothing syncs by itself", unit);
	else if (!a.enabled && !b.enabled)
		found_warning(f, "%s is not enabled: nothing syncs by itself after the next start",
			      unit);
	else
		found_warning(f, "%s is enabled but does not run", a.enabled ? unit : timer);
	found_remedy(f, "systemctl enable --now %s (or %s)", unit, timer);
}
