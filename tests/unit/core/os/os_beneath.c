/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "tests/support/scratch.h"

static char dir[SCRATCH_PATH + 4]; /* the only one that is ours; beside it lies what is not */
static int root = -1;

static void run(const char *command)
{
	cr_assert_eq(scratch_run(dir, command), 0, "%s", command);
}

static void setup(void)
{
	struct err err = {0};

	scratch_setup();
	cr_assert_eq(scratch_run(scratch, "mkdir -p in/a/b out && echo inside >in/a/b/file && "
					  "echo outside >out/file && ln -s ../out in/link && "
					  "ln -s b/file in/a/near && ln -s /etc in/far"),
		     0);
	snprintf(dir, sizeof(dir), "%s/in", scratch);
	root = os_open_dir(dir, &err);
	cr_assert_geq(root, 0, "%s", err.text);
}

static void teardown(void)
{
	close(root);
	scratch_teardown();
}

TestSuite(beneath, .init = setup, .fini = teardown);

Test(beneath, opens_what_is_below_and_nothing_else)
{
	static const char *const bad[] = {"link/file",   "a/near",      "far/passwd",      "..",
					  "../out/file", "/etc/passwd", "a/../../out/file"};
	struct err err = {0};
	int fd = beneath_open(root, "a/b/file", O_RDONLY, 0, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_assert_eq(beneath_open(root, bad[i], O_RDONLY, 0, &err), RC_PATH, "%s", bad[i]);
}

Test(beneath, keeps_errno_so_that_callers_can_tell_absent)
{
	struct err err = {0};

	errno = 0;
	cr_assert_eq(beneath_open(root, "absent", O_RDONLY, 0, &err), RC_ABSENT);
	cr_assert_eq(errno, ENOENT);
	cr_assert_eq(beneath_open(root, "a/b/file/x", O_RDONLY, 0, &err), RC_IO);
	cr_assert_eq(errno, ENOTDIR);
}

Test(beneath, makes_a_file_with_the_mode_that_was_asked_for)
{
	struct err err = {0};
	struct stat st;
	int fd = beneath_open(root, "a/new", O_WRONLY | O_CREAT | O_EXCL, 0640, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	close(fd);
	cr_assert_eq(beneath_stat(root, "a/new", &st, &err), 0);
	cr_assert_eq(st.st_mode & 0777, 0640);
	cr_assert_eq(beneath_open(root, "a/new", O_WRONLY | O_CREAT | O_EXCL, 0640, &err), RC_IO);
	cr_assert_eq(errno, EEXIST);
}

Test(beneath, a_file_is_regular_or_refused_at_once)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = "socket"};
	struct err err = {0};
	struct stat st;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd;

	run("mkfifo fifo");
	cr_assert_eq(fchdir(root), 0);
	cr_assert_eq(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(s);
	alarm(1);
	cr_assert_eq(beneath_file(root, "fifo", NULL, &err), RC_TYPE);
	cr_assert_not_null(strstr(err.text, "a FIFO"));
	cr_assert_eq(beneath_file(root, "socket", NULL, &err), RC_TYPE);
	cr_assert_eq(beneath_file(root, "a", NULL, &err), RC_TYPE);
	cr_assert_eq(beneath_file(root, "a/near", NULL, &err), RC_TYPE);
	cr_assert_not_null(strstr(err.text, "a symbolic link"));
	if (geteuid() == 0 && mknod("device", S_IFCHR | 0600, 0x103) == 0)
		cr_assert_eq(beneath_file(root, "device", NULL, &err), RC_TYPE);
	cr_assert_eq(beneath_file(root, "absent", NULL, &err), RC_ABSENT);
	cr_assert_eq(errno, ENOENT);
	fd = beneath_file(root, "a/b/file", &st, &err);
	alarm(0);
	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(st.st_size, 7);
	cr_assert_eq(write(fd, "x", 1), -1, "it is for reading only");
	close(fd);
}

Test(beneath, a_parent_comes_with_the_last_component)
{
	static const char *const bad[] = {"",   ".",  "..",   "a/..",  "a/.",
					  "a/", "/a", "../x", "link/x"};
	struct err err = {0};
	const char *name = NULL;
	struct stat st;
	int fd = beneath_parent(root, "a/b/file", &name, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_str_eq(name, "file");
	cr_assert_eq(fstatat(fd, name, &st, 0), 0);
	close(fd);
	fd = beneath_parent(root, "link", &name, &err);
	cr_assert_geq(fd, 0, "a link as the last component is an entry like others");
	cr_assert_str_eq(name, "link");
	close(fd);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		name = "untouched";
		cr_assert_eq(beneath_parent(root, bad[i], &name, &err), RC_PATH, "%s", bad[i]);
		cr_assert_str_eq(name, "untouched");
	}
}

Test(beneath, paths_at_the_limit_pass_and_longer_ones_are_refused)
{
	struct err err = {0};
	char path[LIMIT_PATH + 8];
	const char *name;

	memset(path, 'x', sizeof(path));
	path[LIMIT_PATH + 1] = '/';
	strcpy(path + LIMIT_PATH + 2, "n");
	cr_assert_eq(beneath_parent(root, path, &name, &err), RC_PATH);
	memset(path, '/', sizeof(path));
	for (size_t i = 0; i < LIMIT_PATH; i += 2)
		path[i] = '.';
	strcpy(path + LIMIT_PATH - 2, "/n");
	cr_assert_geq(beneath_parent(root, path, &name, &err), 0, "%s", err.text);
}

Test(beneath, makes_missing_directories_and_no_others)
{
	struct err err = {0};
	struct stat st;

	cr_assert_eq(beneath_mkdirs(root, "a/x/y/z", 0700, &err), 0, "%s", err.text);
	cr_assert_eq(beneath_mkdirs(root, "a/x/y/z", 0700, &err), 0);
	cr_assert_eq(beneath_mkdirs(root, ".", 0700, &err), 0);
	cr_assert_eq(beneath_stat(root, "a/x/y/z", &st, &err), 0);
	cr_assert_eq(st.st_mode, S_IFDIR | 0700);
	cr_assert_eq(beneath_mkdirs(root, "link/x", 0700, &err), RC_PATH);
	cr_assert_eq(beneath_mkdirs(root, "new/../../x", 0700, &err), RC_PATH);
	cr_assert_eq(beneath_mkdirs(root, "../x", 0700, &err), RC_PATH);
	cr_assert_eq(beneath_mkdirs(root, "a/b/file/x", 0700, &err), RC_IO);
	run("test ! -e ../out/x && test ! -e ../x");
}

Test(beneath, stat_is_of_the_link_and_not_of_where_it_leads)
{
	struct err err = {0};
	struct stat st;

	cr_assert_eq(beneath_stat(root, "link", &st, &err), 0);
	cr_assert(S_ISLNK(st.st_mode));
	cr_assert_eq(beneath_stat(root, "link/file", &st, &err), RC_PATH);
	cr_assert_eq(beneath_stat(root, "absent", &st, &err), RC_ABSENT);
	cr_assert_eq(errno, ENOENT);
}

Test(beneath, removes_a_tree_and_not_what_its_links_lead_to)
{
	struct err err = {0};

	run("mkdir -p t/d/e && ln -s ../../out t/d/out && ln -s /etc t/etc && mkfifo t/f && "
	    "for i in $(seq 300); do : >t/d/$i; done && ln ../out/file t/hard");
	cr_assert_eq(beneath_remove_tree(root, "t", &err), 0, "%s", err.text);
	run("test ! -e t && test -e ../out/file && test -e /etc/passwd");
	cr_assert_eq(beneath_remove_tree(root, "t", &err), 0, "absent is fine");
	cr_assert_eq(beneath_remove_tree(root, "link", &err), 0, "a link goes, not its target");
	run("test -e ../out/file");
	cr_assert_eq(beneath_remove_tree(root, "a/b", &err), RC_PATH);
	cr_assert_eq(beneath_remove_tree(root, "..", &err), RC_PATH);
	cr_assert_eq(beneath_remove_tree(root, ".", &err), RC_PATH);
	cr_assert_eq(beneath_remove_tree(root, "", &err), RC_PATH);
	run("test -e a/b/file");
}

/* In a child of its own, because the change of user is for good. */
static int as_nobody(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() == 0 &&
		    (fchown(root, 65534, 65534) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
			_exit(77);
		_exit(what());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int remove_sealed(void)
{
	struct err err = {0};

	if (mkdirat(root, "s", 0700) < 0 || mkdirat(root, "s/t", 0700) < 0 ||
	    mkdirat(root, "s/t/u", 0000) < 0 || fchmodat(root, "s/t", 0555, 0) < 0)
		return 1;
	return beneath_remove_tree(root, "s", &err) == 0 ? 0 : 2;
}

Test(beneath, removes_own_directories_that_are_sealed)
{
	cr_assert_eq(chmod(scratch, 0755), 0);
	cr_assert_eq(as_nobody(remove_sealed), 0);
	run("test ! -e s");
}

Test(beneath, removing_stops_at_the_depth_limit)
{
	struct err err = {0};
	int at = dup(root);

	for (int i = 0; i < LIMIT_DEPTH + 3; i++) {
		int below;

		cr_assert_eq(mkdirat(at, i == 0 ? "deep" : "d", 0700), 0);
		below = openat(at, i == 0 ? "deep" : "d", O_RDONLY | O_DIRECTORY);
		close(at);
		at = below;
	}
	close(at);
	cr_assert_eq(beneath_remove_tree(root, "deep", &err), RC_LIMIT);
}

/* Returns false when this process may not mount. */
static bool mount_tmpfs(const char *at)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", at, "tmpfs", 0, "size=1m") == 0;
}

Test(beneath, never_crosses_a_mount)
{
	struct err err = {0};
	struct stat st;
	char at[SCRATCH_PATH + 16];

	snprintf(at, sizeof(at), "%s/a/b", dir);
	if (!mount_tmpfs(at))
		cr_skip_test("mounting needs root");
	close(root); /* it belonged to the old mount namespace */
	root = os_open_dir(dir, &err);
	run("mkdir a/b/c && echo foreign >a/b/c/file");
	cr_assert_eq(beneath_open(root, "a/b/c/file", O_RDONLY, 0, &err), RC_PATH);
	cr_assert_eq(beneath_dir(root, "a/b", &err), RC_PATH);
	cr_assert_eq(beneath_stat(root, "a/b/c", &st, &err), RC_PATH);
	cr_assert_eq(beneath_mkdirs(root, "a/b/d", 0700, &err), RC_PATH);
	cr_assert_lt(beneath_remove_tree(root, "a", &err), 0);
	run("test -e a/b/c/file && test ! -e a/b/d");
	cr_assert_eq(umount(at), 0);
}
