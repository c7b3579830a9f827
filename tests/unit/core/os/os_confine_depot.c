/* SPDX-License-Identifier: ISC */
/*
 * The profiles that have a directory: each plays a helper that was taken over and tries its way
 * out, and then does the work that it is there for.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/child.h"
#include "core/os/confine.h"
#include "core/os/durable.h"
#include "tests/support/scratch.h"

#define LONG 20000
/* Stands for the descriptor of the directory. */
#define ROOT    (-4242)
#define TEXT(s) ((long)(intptr_t)(s))

struct job {
	enum confine_profile profile;
	const char *dir;
	int (*run)(void *arg, int root);
	void *arg;
};

static int confined(void *arg, int fd)
{
	const struct job *job = arg;
	struct err err = {0};
	int root = open(job->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || confine_self(job->profile, root, &err) < 0)
		return 125;
	return job->run(job->arg, root);
}

static int run_as(enum confine_profile profile, const char *dir, int (*run)(void *arg, int root),
		  void *arg)
{
	struct job job = {profile, dir, run, arg};
	struct child c = CHILD_INIT;
	struct err err = {0};
	int status = -1;

	cr_assert_eq(child_start(confined, &job, NULL, 0, &c, &err), 0, "%s", err.text);
	cr_assert_eq(child_end(&c, LONG, &status, &err), 0, "%s", err.text);
	return status;
}

struct attempt {
	const char *what;
	long call, a, b, c, d;
};

/* The error; 0 for none. */
static int attempt(void *arg, int root)
{
	const struct attempt *a = arg;
	long first = a->a == ROOT ? root : a->a;
	long third = a->c == ROOT ? root : a->c;

	errno = 0;
	return syscall(a->call, first, a->b, third, a->d, 0, 0) >= 0 ? 0 : errno;
}

/* An older kernel, or one that was booted without it. */
static void landlock_gone(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	cr_assert_eq(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_landlock_create_ruleset, 0),
		     0);
	cr_assert_eq(seccomp_load(ctx), 0);
	seccomp_release(ctx);
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

/* A depot with a file, a directory and links out of it, beside a file that is none of its business.
 */
static void scene_make(char dir[SCRATCH_PATH], char depot[SCRATCH_PATH + 8])
{
	scratch_make(dir);
	cr_assert_eq(scratch_run(dir, "mkdir -p depot/sub && printf held >depot/held &&"
				      " printf secret >secret && ln -s ../secret depot/link &&"
				      " ln -s /etc depot/out"),
		     0);
	snprintf(depot, SCRATCH_PATH + 8, "%s/depot", dir);
}

#define SAME "test \"$(cat secret)\" = secret && test ! -e new && test \"$(ls | wc -l)\" = 2"

static struct open_how how_read = {.flags = O_RDONLY};
static struct open_how how_write = {.flags = O_WRONLY};
static struct open_how how_make = {.flags = O_WRONLY | O_CREAT, .mode = 0600};

static bool refused(int error)
{
	return error == EACCES || error == EPERM || error == EXDEV;
}

static void all_refused(enum confine_profile profile, const char *depot, struct attempt *attempts,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int error = run_as(profile, depot, attempt, &attempts[i]);

		cr_expect(refused(error), "%s: %s: %s", confine_name(profile), attempts[i].what,
			  strerror(error));
	}
}

Test(confine_depot, nothing_outside_of_the_directory_is_opened_made_named_or_removed)
{
	char dir[SCRATCH_PATH], depot[SCRATCH_PATH + 8], memory[40];
	struct attempt attempts[] = {
	    {"open a file", SYS_openat, AT_FDCWD, TEXT("/etc/passwd"), O_RDONLY, 0},
	    {"open beside it", SYS_openat, ROOT, TEXT("../secret"), O_RDONLY, 0},
	    {"open what is above", SYS_openat, ROOT, TEXT(".."), O_RDONLY | O_DIRECTORY, 0},
	    {"open by a link", SYS_openat, ROOT, TEXT("link"), O_RDONLY, 0},
	    {"open through a link", SYS_openat, ROOT, TEXT("out/passwd"), O_RDONLY, 0},
	    {"open by the other call", SYS_openat2, ROOT, TEXT("../secret"), TEXT(&how_read),
	     sizeof(how_read)},
	    {"open memory of its parent", SYS_openat, AT_FDCWD, TEXT(memory), O_RDONLY, 0},
	    {"open a device", SYS_openat, AT_FDCWD, TEXT("/dev/null"), O_RDWR, 0},
	    {"write beside it", SYS_openat, ROOT, TEXT("../secret"), O_WRONLY, 0},
	    {"write by a link", SYS_openat, ROOT, TEXT("link"), O_WRONLY | O_TRUNC, 0},
	    {"make a file", SYS_openat, ROOT, TEXT("../new"), O_CREAT | O_WRONLY, 0600},
	    {"make one by the other call", SYS_openat2, ROOT, TEXT("../new"), TEXT(&how_make),
	     sizeof(how_make)},
	    {"make a nameless one", SYS_openat, ROOT, TEXT(".."), O_TMPFILE | O_WRONLY, 0600},
	    {"make a directory", SYS_mkdirat, ROOT, TEXT("../new"), 0700, 0},
	    {"remove", SYS_unlinkat, ROOT, TEXT("../secret"), 0, 0},
	    {"move out", SYS_renameat2, ROOT, TEXT("held"), ROOT, TEXT("../new")},
	    {"move in", SYS_renameat2, ROOT, TEXT("../secret"), ROOT, TEXT("mine")},
	    {"link out", SYS_linkat, ROOT, TEXT("held"), ROOT, TEXT("../new")},
	    {"link in", SYS_linkat, ROOT, TEXT("../secret"), ROOT, TEXT("mine")},
	};

	if (!has_landlock())
		cr_skip_test("this kernel has no Landlock");
	scene_make(dir, depot);
	snprintf(memory, sizeof(memory), "/proc/%d/mem", (int)getpid());
	all_refused(CONFINE_DEPOT_READER, depot, attempts, ARRAY_LEN(attempts));
	all_refused(CONFINE_DEPOT_WRITER, depot, attempts, ARRAY_LEN(attempts));
	all_refused(CONFINE_POLLER, depot, attempts, ARRAY_LEN(attempts));
	all_refused(CONFINE_HINT, depot, attempts, ARRAY_LEN(attempts));
	cr_assert_eq(scratch_run(dir, SAME " && test ! -e depot/mine && test -e depot/held"), 0);
	scratch_remove(dir);
}

static const enum confine_profile lookers[] = {CONFINE_DEPOT_READER, CONFINE_POLLER, CONFINE_HINT};

Test(confine_depot, who_only_looks_changes_nothing_in_it)
{
	char dir[SCRATCH_PATH], depot[SCRATCH_PATH + 8];
	struct attempt attempts[] = {
	    {"write", SYS_openat, ROOT, TEXT("held"), O_WRONLY, 0},
	    {"read and write", SYS_openat, ROOT, TEXT("held"), O_RDWR, 0},
	    {"cut", SYS_openat, ROOT, TEXT("held"), O_RDONLY | O_TRUNC, 0},
	    {"append", SYS_openat, ROOT, TEXT("held"), O_WRONLY | O_APPEND, 0},
	    {"make", SYS_openat, ROOT, TEXT("new"), O_CREAT | O_WRONLY, 0600},
	    {"make to read", SYS_openat, ROOT, TEXT("new"), O_CREAT | O_RDONLY, 0600},
	    {"make a nameless file", SYS_openat, ROOT, TEXT("."), O_TMPFILE | O_WRONLY, 0600},
	    {"make a directory", SYS_mkdirat, ROOT, TEXT("new"), 0700, 0},
	    {"remove", SYS_unlinkat, ROOT, TEXT("held"), 0, 0},
	    {"remove a directory", SYS_unlinkat, ROOT, TEXT("sub"), AT_REMOVEDIR, 0},
	    {"rename", SYS_renameat2, ROOT, TEXT("held"), ROOT, TEXT("new")},
	    {"link", SYS_linkat, ROOT, TEXT("held"), ROOT, TEXT("new")},
	    {"change its mode", SYS_fchmod, ROOT, 0700, 0, 0},
	    {"write by the other call", SYS_openat2, ROOT, TEXT("held"), TEXT(&how_write),
	     sizeof(how_write)},
	    {"make by the other call", SYS_openat2, ROOT, TEXT("new"), TEXT(&how_make),
	     sizeof(how_make)},
	};
	/* The last two are seen by Landlock alone. */
	size_t n = ARRAY_LEN(attempts) - (has_landlock() ? 0 : 2);

	scene_make(dir, depot);
	cr_assert_eq(scratch_run(dir, "stat -c '%n %a %s %Y' depot depot/* >before"), 0);
	for (size_t i = 0; i < ARRAY_LEN(lookers); i++)
		all_refused(lookers[i], depot, attempts, n);
	landlock_gone();
	for (size_t i = 0; i < ARRAY_LEN(lookers); i++)
		all_refused(lookers[i], depot, attempts, ARRAY_LEN(attempts) - 2);
	cr_assert_eq(scratch_run(dir, "stat -c '%n %a %s %Y' depot depot/* | cmp - before"), 0);
	scratch_remove(dir);
}

static int list(int root)
{
	OWNED(dir_closep) DIR *d = fdopendir(openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	return n;
}

static int each(void *arg, uint64_t done, struct err *err)
{
	return 0;
}

static int reads(void *arg, int root)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	OWNED(fd_closep) int sub = -1;
	struct err err = {0};
	struct statvfs v;
	struct stat st;

	if (file_read(root, "held", 100, &b, &err) < 0 || b.n != 4)
		return 1;
	sub = beneath_dir(root, "sub", &err);
	if (sub < 0 || list(root) != 6)
		return 2;
	if (fstat(root, &st) < 0 || fstatat(root, "held", &st, 0) < 0 || fstatvfs(root, &v) < 0)
		return 3;
	/* Past the page cache, as what was written is read back. */
	return durable_digest(root, "held", each, NULL, &(struct digest){{0}}, &err) == 0 ? 42 : 4;
}

static int writes(void *arg, int root)
{
	OWNED(fd_closep) int sub = -1;
	struct err err = {0};

	if (durable_write(root, "one", bytes_of("one"), 0644, DURABLE_VERIFY, &err) < 0)
		return 1;
	if (durable_write(root, "one", bytes_of("two"), 0644, DURABLE_REPLACE, &err) < 0)
		return 2;
	if (mkdirat(root, "made", 0755) < 0)
		return 3;
	sub = beneath_dir(root, "made", &err);
	if (sub < 0 || fchmod(sub, 02775) < 0 || dir_sync(root, &err) < 0)
		return 4;
	if (durable_write(sub, "deep", bytes_of("deep"), 0644, 0, &err) < 0)
		return 5;
	if (linkat(root, "one", root, "three", 0) < 0 || unlinkat(root, "three", 0) < 0)
		return 6;
	if (durable_sweep(root, "one", &err) < 0 || unlinkat(root, "held", 0) < 0)
		return 7;
	return 42;
}

Test(confine_depot, both_do_what_they_are_there_for)
{
	char dir[SCRATCH_PATH], depot[SCRATCH_PATH + 8];

	scene_make(dir, depot);
	cr_expect_eq(run_as(CONFINE_DEPOT_READER, depot, reads, NULL), 42);
	cr_expect_eq(run_as(CONFINE_DEPOT_WRITER, depot, reads, NULL), 42);
	cr_expect_eq(run_as(CONFINE_DEPOT_WRITER, depot, writes, NULL), 42);
	cr_expect_eq(scratch_run(dir, SAME " && cd depot && test \"$(cat one)\" = two &&"
					   " test \"$(cat made/deep)\" = deep && test ! -e held"),
		     0);
	scratch_remove(dir);
}

/* Names are all that a watcher wants: what a file holds is none of its business. */
Test(confine_depot, who_lists_reads_no_file)
{
	char dir[SCRATCH_PATH], depot[SCRATCH_PATH + 8];
	struct attempt attempts[] = {
	    {"read", SYS_openat, ROOT, TEXT("held"), O_RDONLY, 0},
	    {"read by the whole path", SYS_openat, AT_FDCWD, TEXT(depot), O_RDONLY, 0},
	    {"take descriptors", SYS_recvmsg, 0, 0, 0, 0},
	    {"read by the other call", SYS_openat2, ROOT, TEXT("held"), TEXT(&how_read),
	     sizeof(how_read)},
	};
	/* The last one is seen by Landlock alone. */
	size_t n = ARRAY_LEN(attempts) - (has_landlock() ? 0 : 1);

	scene_make(dir, depot);
	all_refused(CONFINE_POLLER, depot, attempts, n);
	all_refused(CONFINE_HINT, depot, attempts, n);
	landlock_gone();
	all_refused(CONFINE_POLLER, depot, attempts, ARRAY_LEN(attempts) - 1);
	all_refused(CONFINE_HINT, depot, attempts, ARRAY_LEN(attempts) - 1);
	scratch_remove(dir);
}

Test(confine_depot, a_poller_has_nothing_told)
{
	char dir[SCRATCH_PATH], depot[SCRATCH_PATH + 8];
	struct attempt attempts[] = {
	    {"begin", SYS_inotify_init1, 0, 0, 0, 0},
	    {"watch", SYS_inotify_add_watch, 0, TEXT("held"), 1, 0},
	};

	scene_make(dir, depot);
	all_refused(CONFINE_POLLER, depot, attempts, ARRAY_LEN(attempts));
	all_refused(CONFINE_DEPOT_READER, depot, attempts, ARRAY_LEN(attempts));
	scratch_remove(dir);
}

static int lists(void *arg, int root)
{
	OWNED(fd_closep) int sub = -1;
	struct err err = {0};
	struct stat st;

	sub = beneath_dir(root, "sub", &err);
	return sub >= 0 && list(root) == 6 && fstatat(root, "held", &st, 0) == 0 && st.st_size == 4
		   ? 42
		   : 1;
}

static int watches(void *arg, int root)
{
	const char *path = arg;
	int fd = inotify_init1(IN_CLOEXEC), n = 0;
	OWNED(dir_closep) DIR *d = opendir(path);

	if (fd < 0 || inotify_add_watch(fd, path, IN_CREATE | IN_ONLYDIR) < 0)
		return 1;
	return d != NULL && ioctl(fd, FIONREAD, &n) == 0 && lists(NULL, root) == 42 ? 42 : 2;
}

Test(confine_depot, watchers_do_what_they_are_there_for)
{
	char dir[SCRATCH_PATH], depot[SCRATCH_PATH + 8];

	scene_make(dir, depot);
	cr_expect_eq(run_as(CONFINE_POLLER, depot, lists, NULL), 42);
	cr_expect_eq(run_as(CONFINE_HINT, depot, watches, depot), 42);
	scratch_remove(dir);
}
