/* SPDX-License-Identifier: ISC */
/*
 * What the target's file system can hold, and what is done about the rest: one table.  Each row is
 * tried in a directory of our own, once for each mount, and the answer is remembered in the state
 * database; receipts name what is missing.  Owners and modes alone are tried in every run, because
 * who is kept out of what is never believed.
 *
 * What cannot be held is either adapted (times are coarser, everything belongs to one user), or it
 * is refused by its name before anything is renamed (apply_names.c).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "applier/apply/apply_internal.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "core/os/durable.h"
#include "core/os/probe.h"
#include "core/os/random.h"

/* Trials: each in an empty directory, and away again. */

/* What they make, in an order in which it can be removed. */
static const char *const litter[] = {"b/l/l", "b/l", "a/l", "a", "b", "l"};

static int same_name(void *arg, const struct dir_entry *entry, struct err *err)
{
	(void)err;
	return strcmp(entry->name, arg) == 0;
}

bool name_held(int dirfd, const char *name)
{
	char copy[LIMIT_NAME + 1];
	bool held;

	snprintf(copy, sizeof(copy), "%s", name);
	if (mkdirat(dirfd, name, 0700) < 0)
		return false;
	/* Some leave out what they do not like. */
	held = dir_each(dirfd, ".", 0, same_name, copy, ERR_IGNORED) == 1;
	unlinkat(dirfd, name, AT_REMOVEDIR);
	return held;
}

static bool can_case(int dirfd)
{
	struct stat st;
	bool differs;

	if (mkdirat(dirfd, "a", 0700) < 0)
		return true;
	differs = fstatat(dirfd, "A", &st, AT_SYMLINK_NOFOLLOW) < 0;
	unlinkat(dirfd, "a", AT_REMOVEDIR);
	return differs;
}

static bool can_links(int dirfd)
{
	bool can = symlinkat("a", dirfd, "l") == 0;

	unlinkat(dirfd, "l", 0);
	return can;
}

static bool all_held(int dirfd, const char *const *names)
{
	for (; *names != NULL; names++)
		if (!name_held(dirfd, *names))
			return false;
	return true;
}

static bool can_signs(int dirfd)
{
	static const char *const names[] = {"a:", "a*",  "a?",    "a\"",   "a<", "a>",
					    "a|", "a\\", "a\x01", "a\x1f", NULL};

	return all_held(dirfd, names);
}

static bool can_ends(int dirfd)
{
	static const char *const names[] = {"a.", "a ", "aux", "nul.txt", NULL};

	return all_held(dirfd, names);
}

static bool can_bytes(int dirfd)
{
	static const char *const names[] = {"a\xff", "\xc3\xa9\xed\xa0\x80", NULL};

	return all_held(dirfd, names);
}

static bool can_long(int dirfd)
{
	char name[LIMIT_NAME + 1];

	memset(name, 'n', LIMIT_NAME);
	name[LIMIT_NAME] = '\0';
	return name_held(dirfd, name);
}

static bool can_exchange(int dirfd)
{
	bool can;

	if (mkdirat(dirfd, "a", 0700) < 0 || mkdirat(dirfd, "b", 0700) < 0)
		return false;
	can = renameat2(dirfd, "a", dirfd, "b", RENAME_EXCHANGE) == 0;
	unlinkat(dirfd, "a", AT_REMOVEDIR);
	unlinkat(dirfd, "b", AT_REMOVEDIR);
	return can;
}

/* FUSE gives numbers when it is asked for a name, and forgets them; FAT has none on the disk. */
static bool can_inodes(int dirfd)
{
	static const uint32_t passing[] = {0x65735546, 0x4d44, 0x2011bab0};
	struct statfs s;

	for (size_t i = 0; fstatfs(dirfd, &s) == 0 && i < ARRAY_LEN(passing); i++)
		if ((uint32_t)s.f_type == passing[i])
			return false;
	return true;
}

static bool can_times(int dirfd)
{
	const struct timespec asked = {.tv_sec = 1000000001, .tv_nsec = 123456789};
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, asked};
	struct stat st = {0};
	bool can;

	if (mkdirat(dirfd, "a", 0700) < 0)
		return true;
	can = utimensat(dirfd, "a", times, 0) == 0 &&
	      fstatat(dirfd, "a", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	      st.st_mtim.tv_sec == asked.tv_sec && st.st_mtim.tv_nsec == asked.tv_nsec;
	unlinkat(dirfd, "a", AT_REMOVEDIR);
	return can;
}

/* There are file systems that lose what is in a directory when it is moved. */
static bool can_moves(int dirfd)
{
	bool can;

	if (mkdirat(dirfd, "a", 0700) < 0 || mkdirat(dirfd, "b", 0700) < 0 ||
	    mkdirat(dirfd, "a/l", 0700) < 0)
		return false;
	can = renameat(dirfd, "a", dirfd, "b/l") == 0 &&
	      dir_empty(dirfd, "b/l", ERR_IGNORED) == 0; /* listed: names are remembered */
	for (size_t i = 0; i < ARRAY_LEN(litter); i++)
		unlinkat(dirfd, litter[i], AT_REMOVEDIR);
	return can;
}

static const struct {
	unsigned bit;
	const char *word; /* for receipts */
	bool (*can)(int dirfd);
	const char *otherwise; /* what is done without it */
} table[] = {
    {HOLDS_OWNERS, "owners", NULL, "adapted: everything belongs to one user"},
    {HOLDS_MODES, "modes", NULL, "adapted: everything has one mode"},
    {HOLDS_TIMES, "times", can_times, "adapted: times are coarser"},
    {HOLDS_INODES, "inodes", can_inodes, "adapted: told by where a file is, and by its content"},
    {HOLDS_EXCHANGE, "exchange", can_exchange, "adapted: the old one is moved aside first"},
    {HOLDS_MOVES, "moves", can_moves, "refused: an update would be lost on its way"},
    {HOLDS_CASE, "case", can_case, "two names that differ in case alone are refused"},
    {HOLDS_LINKS, "links", can_links, "symbolic links are refused"},
    {HOLDS_SIGNS, "signs", can_signs, "names with such signs are refused, each when it is tried"},
    {HOLDS_ENDS, "ends", can_ends, "names that end so, or mean a device, likewise"},
    {HOLDS_BYTES, "bytes", can_bytes, "names that are not UTF-8 likewise"},
    {HOLDS_LONG, "long", can_long, "long names likewise"},
};

/** Names that were tried are empty directories. */
static int sweep_each(void *arg, const struct dir_entry *entry, struct err *err)
{
	(void)arg;
	(void)err;
	unlinkat(entry->dirfd, entry->name, AT_REMOVEDIR);
	return 0;
}

void holds_sweep(int fd)
{
	for (size_t i = 0; i < ARRAY_LEN(litter); i++)
		if (unlinkat(fd, litter[i], AT_REMOVEDIR) < 0)
			unlinkat(fd, litter[i], 0);
	dir_each(fd, ".", 0, sweep_each, NULL, ERR_IGNORED);
}

/* Owners and modes, in every run */

static bool can_give(int fd)
{
	struct stat st;

	return geteuid() != 0 ||
	       (fchown(fd, 1, 1) == 0 && fstat(fd, &st) == 0 && st.st_uid == 1 && st.st_gid == 1);
}

/* Unless it is known that there are none, somebody's owner or mode is one. */
static unsigned trial_stat(int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return HOLDS_OWNERS | HOLDS_MODES;
	return HOLDS_ASKED | ((st.st_mode & 0777) == 0700 ? HOLDS_MODES : 0u) |
	       (st.st_uid == geteuid() && can_give(fd) ? HOLDS_OWNERS : 0u);
}

/** A directory under a name that nobody has; its descriptor. */
static int trial_make(int dirfd, char name[AREA_NAME])
{
	char hex[RANDOM_HEX];

	if (random_hex(hex, 8, ERR_IGNORED) < 0)
		return -1;
	snprintf(name, AREA_NAME, TRIAL_NAME "%s", hex);
	if (mkdirat(dirfd, name, 0700) < 0)
		return -1;
	return beneath_dir(dirfd, name, ERR_IGNORED);
}

/** Looked at while it has a name: FUSE file systems forget what was removed. */
static unsigned trial_named(int dirfd)
{
	char name[AREA_NAME] = "";
	OWNED(fd_closep) int fd = trial_make(dirfd, name);
	unsigned holds = trial_stat(fd);

	if (fd >= 0)
		unlinkat(dirfd, name, AT_REMOVEDIR);
	return holds;
}

/** A nameless file, or where there are none a directory. */
static unsigned trial(int dirfd, bool nameless)
{
	OWNED(fd_closep)
	int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);

	return fd >= 0 || nameless ? trial_stat(fd) : trial_named(dirfd);
}

/* The rest, once for each mount */

/** What the answers are for: this file system, as it is mounted since the machine was started. */
static void mount_key(int fd, char dst[HOLDS_KEY])
{
	OWNED(buf_clear) struct buf boot = BUF_INIT;
	OWNED(fd_closep) int proc = open("/proc/sys/kernel/random", O_PATH | O_CLOEXEC);
	struct statx x = {0};
	struct statfs s = {0};
	uint64_t id = 0;

	statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x);
	fstatfs(fd, &s);
	memcpy(&id, &s.f_fsid, sizeof(s.f_fsid) < sizeof(id) ? sizeof(s.f_fsid) : sizeof(id));
	if (proc < 0 || file_read(proc, "boot_id", 64, &boot, ERR_IGNORED) < 0)
		boot.n = 0;
	snprintf(dst, HOLDS_KEY, "%lx %llx %llu %.8s", (unsigned long)s.f_type,
		 (unsigned long long)id, (unsigned long long)x.stx_mnt_id,
		 boot.n > 0 ? (const char *)boot.p : "");
}

static int remembered(struct apply *a, const char *key, unsigned *ret, struct err *err)
{
	int64_t n = 0;
	int rc = db_int(a->s->db, err, &n, "SELECT holds FROM apply_holds WHERE mount = ? LIMIT 1",
			"t", key);

	*ret = (unsigned)n;
	return rc;
}

static int remember(struct apply *a, const char *key, struct err *err)
{
	struct probe_fs fs = {.name = ""};
	int64_t n = 0;
	int rc = db_int(a->s->db, err, &n,
			"SELECT 1 FROM apply_holds WHERE tree = ? AND mount = ? AND holds = ?",
			"tti", a->t->tree, key, (int64_t)a->holds);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (probe_fs(a->targetfd, &fs, err) < 0)
		return err->rc;
	return db_run(a->s->db, err,
		      "INSERT OR REPLACE INTO apply_holds (tree, mount, name, holds) "
		      "VALUES (?, ?, ?, ?)",
		      "ttti", a->t->tree, key, fs.name, (int64_t)a->holds);
}

static unsigned try_all(struct apply *a)
{
	char name[AREA_NAME] = "";
	OWNED(fd_closep) int fd = trial_make(a->targetfd, name);
	struct timespec times[2];
	unsigned holds = HOLDS_TRIED;
	struct stat st;

	if (fd < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].can != NULL && table[i].can(fd))
			holds |= table[i].bit;
	unlinkat(a->targetfd, name, AT_REMOVEDIR);
	/* Nobody is to think that something was done there. */
	if (fstat(a->targetfd, &st) == 0) {
		times[0] = st.st_atim;
		times[1] = a->target_time;
		futimens(a->targetfd, times);
	}
	return holds;
}

int holds_try(struct apply *a, struct err *err)
{
	char key[HOLDS_KEY];
	unsigned holds = 0;
	struct stat st;
	int rc;

	if (a->targetfd < 0 || (a->holds & HOLDS_TRIED) != 0)
		return 0;
	if (strcmp(a->t->tree, TREE_PRIVATE) == 0) {
		a->holds |= HOLDS_TRIED | HOLDS_TABLE; /* names of our own making */
		return 0;
	}
	mount_key(a->targetfd, key);
	rc = remembered(a, key, &holds, err);
	if (rc < 0)
		return rc;
	if (rc == 0 && (a->flags & APPLY_DRY_RUN) != 0)
		return 0;
	if (rc == 0 && fstat(a->targetfd, &st) == 0) {
		a->target_time = st.st_mtim;
		holds = try_all(a);
	}
	if ((holds & HOLDS_TRIED) == 0)
		return 0; /* nothing can be made there: that shows soon enough */
	disk_holds(a, HOLDS_OWNERS);
	a->holds |= holds & ~(HOLDS_ASKED | HOLDS_OWNERS | HOLDS_MODES);
	return (a->flags & APPLY_DRY_RUN) != 0 ? 0 : remember(a, key, err);
}

bool disk_holds(struct apply *a, unsigned what)
{
	if (a->targetfd < 0)
		return true;
	if ((a->holds & HOLDS_ASKED) == 0)
		a->holds |= trial(a->targetfd, (a->flags & APPLY_DRY_RUN) != 0);
	/* What was not tried is taken for held: it shows when it is done. */
	return (a->holds & what) != 0 || ((what & HOLDS_TABLE) != 0 && !(a->holds & HOLDS_TRIED));
}

int apply_lacks(struct station *s, const char *tree, char name[HOLDS_NAME], struct buf *ret_words,
		struct err *err)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	int rc = db_query(s->db, "SELECT name, holds FROM apply_holds WHERE tree = ?", &st, err);
	unsigned holds;

	if (rc == 0)
		rc = db_bind(st, err, "t", tree);
	if (rc == 0)
		rc = db_step(s->db, st, err);
	if (rc <= 0)
		return rc;
	snprintf(name, HOLDS_NAME, "%s", db_text(st, 0));
	holds = (unsigned)db_i64(st, 1);
	rc = buf_text(ret_words, "", err);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(table); i++)
		if ((holds & table[i].bit) == 0)
			rc = buf_printf(ret_words, err, "%s%s", ret_words->n > 0 ? " " : "",
					table[i].word);
	return rc < 0 ? rc : 1;
}
