/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/durable.h"
#include "tests/support/scratch.h"

static void run(const char *command)
{
	cr_assert_eq(scratch_run(scratch, command), 0, "%s", command);
}

TestSuite(durable, .init = scratch_setup, .fini = scratch_teardown);

static int write_text(const char *name, const char *text, enum durable_flags flags, struct err *err)
{
	return durable_write(scratch_fd, name, bytes_of(text), 0640, flags, err);
}

/* Only ${entries} are in the directory: no dot-name was left. */
static void expect_entries(const char *entries)
{
	char command[600];

	snprintf(command, sizeof(command), "test \"$(ls -A | tr '\\n' ' ')\" = '%s'", entries);
	run(command);
}

static void expect_content(const char *name, const char *text)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(file_read(scratch_fd, name, 1 << 20, &b, &err), 0, "%s", err.text);
	cr_assert(bytes_equal(bytes_in(&b), bytes_of(text)));
}

Test(durable, writes_a_new_file_with_its_mode_and_no_litter)
{
	struct err err = {0};
	struct stat st;

	umask(022);
	cr_assert_eq(write_text("f", "one", DURABLE_VERIFY, &err), 0, "%s", err.text);
	expect_content("f", "one");
	expect_entries("f ");
	cr_assert_eq(fstatat(scratch_fd, "f", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0640);
	cr_assert_eq(write_text("empty", "", DURABLE_VERIFY, &err), 0, "%s", err.text);
	expect_content("empty", "");
}

Test(durable, replaces_only_when_told_to)
{
	struct err err = {0};

	cr_assert_eq(write_text("f", "one", 0, &err), 0);
	cr_assert_eq(write_text("f", "two", 0, &err), RC_CONFLICT);
	expect_content("f", "one");
	cr_assert_eq(write_text("f", "three", DURABLE_REPLACE, &err), 0);
	expect_content("f", "three");
	expect_entries("f ");
}

Test(durable, takes_the_longest_name_and_refuses_what_is_no_name)
{
	struct err err = {0};
	char name[LIMIT_NAME + 2];

	memset(name, 'n', sizeof(name));
	name[LIMIT_NAME + 1] = '\0';
	cr_assert_eq(write_text(name, "x", 0, &err), RC_PATH);
	name[LIMIT_NAME] = '\0';
	cr_assert_eq(write_text(name, "x", 0, &err), 0, "%s", err.text);
	expect_content(name, "x");
	cr_assert_eq(write_text("a/b", "x", 0, &err), RC_PATH);
	cr_assert_eq(write_text("", "x", 0, &err), RC_PATH);
}

Test(durable, what_was_begun_and_not_committed_leaves_nothing)
{
	struct err err = {0};
	struct durable d = DURABLE_INIT;

	durable_abort(&d);
	cr_assert_eq(durable_begin(scratch_fd, "f", 0600, &d, &err), 0);
	cr_assert_eq(fd_write(d.fd, "x", 1, &err), 0);
	durable_abort(&d);
	durable_abort(&d);
	expect_entries("");
}

/* Let ${call} with third argument and flags fail with ${error}, as on FUSE, FAT or SMB. */
static void forbid(int call, int error, unsigned int args, struct scmp_arg_cmp cmp)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	cr_assert_not_null(ctx);
	cr_assert_eq(args == 0
			 ? seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned int)error), call, 0)
			 : seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned int)error), call, 1, cmp),
		     0);
	cr_assert_eq(seccomp_load(ctx), 0);
	seccomp_release(ctx);
}

static void without_noreplace(void)
{
	forbid(SCMP_SYS(renameat2), EINVAL, 1, SCMP_A4(SCMP_CMP_EQ, RENAME_NOREPLACE, 0));
}

static void rename_new_keeps_its_word(void)
{
	struct err err = {0};

	cr_assert_eq(write_text("f", "one", 0, &err), 0, "%s", err.text);
	cr_assert_eq(write_text("f", "two", 0, &err), RC_CONFLICT);
	expect_content("f", "one");
	expect_entries("f ");
}

Test(durable, renames_by_a_link_where_there_is_no_noreplace)
{
	without_noreplace();
	rename_new_keeps_its_word();
}

Test(durable, renames_by_looking_first_where_there_are_no_links_either)
{
	without_noreplace();
	forbid(SCMP_SYS(linkat), EPERM, 0, SCMP_A0(SCMP_CMP_EQ, 0, 0));
	rename_new_keeps_its_word();
}

Test(durable, tolerates_a_directory_that_cannot_be_flushed_but_no_failing_medium)
{
	struct err err = {0};

	forbid(SCMP_SYS(fsync), EINVAL, 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)scratch_fd, 0));
	cr_assert_eq(write_text("f", "one", 0, &err), 0, "%s", err.text);
	forbid(SCMP_SYS(fsync), EIO, 0, SCMP_A0(SCMP_CMP_EQ, 0, 0));
	cr_assert_eq(write_text("g", "one", 0, &err), RC_IO);
	expect_entries("f ");
}

Test(durable, a_file_that_cannot_be_flushed_is_not_named)
{
	struct err err = {0};

	cr_assert_eq(write_text("f", "one", 0, &err), 0);
	forbid(SCMP_SYS(fsync), ENOSPC, 0, SCMP_A0(SCMP_CMP_EQ, 0, 0));
	cr_assert_eq(write_text("f", "two", DURABLE_REPLACE, &err), RC_SPACE);
	expect_content("f", "one");
	expect_entries("f ");
}

Test(durable, a_full_disk_leaves_the_old_file_and_no_litter)
{
	OWNED(freep) uint8_t *big = calloc(1, 2 << 20);
	struct err err = {0};
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", scratch, "tmpfs", 0, "size=1m") < 0)
		cr_skip_test("mounting needs root");
	fd = os_open_dir(scratch, &err);
	cr_assert_eq(durable_write(fd, "f", bytes_of("old"), 0600, 0, &err), 0);
	cr_assert_eq(
	    durable_write(fd, "f", (struct bytes){big, 2 << 20}, 0600, DURABLE_REPLACE, &err),
	    RC_SPACE);
	cr_assert_eq(rc_class(err.rc), EXIT_CLASS_AGAIN);
	run("test \"$(cat f)\" = old && test \"$(ls -A)\" = f");
	close(fd);
	cr_assert_eq(umount2(scratch, MNT_DETACH), 0);
}

enum { BIG = 3000001 };

static uint8_t *pattern(size_t n)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 >> 3);
	return p;
}

/* A source that yields ${left}. */
static int yield(void *arg, uint8_t *dst, size_t n, size_t *ret_n, struct err *err)
{
	struct bytes *left = arg;

	*ret_n = n < left->n ? n : left->n;
	memcpy(dst, left->p, *ret_n);
	left->p += *ret_n;
	left->n -= *ret_n;
	return 0;
}

static int compare(const char *name, const uint8_t *p, size_t n)
{
	struct bytes content = {p, n};
	struct err err = {0};

	return durable_compare(scratch_fd, name, yield, &content, &err);
}

static void compares(void)
{
	OWNED(freep) uint8_t *big = pattern(BIG);
	struct err err = {0};

	cr_assert_eq(
	    durable_write(scratch_fd, "f", (struct bytes){big, BIG}, 0600, DURABLE_VERIFY, &err), 0,
	    "%s", err.text);
	cr_assert_eq(compare("f", big, BIG), 1);
	cr_assert_eq(compare("f", big, BIG - 1), 0);
	run("printf x | dd of=f bs=1 seek=3000000 conv=notrunc status=none");
	cr_assert_eq(compare("f", big, BIG), 0, "the last byte");
	run("truncate -s 2097152 f");
	cr_assert_eq(compare("f", big, 2097152), 1, "whole chunks");
	cr_assert_eq(compare("f", big, 2097153), 0);
	cr_assert_eq(compare("absent", big, 1), RC_ABSENT);
	cr_assert_eq(compare("link", big, 1), RC_ABSENT);
}

Test(durable, compares_with_what_the_medium_has)
{
	compares();
}

Test(durable, compares_where_there_is_no_direct_io)
{
	struct err err = {0};

	close(scratch_fd);
	scratch_fd = os_open_dir("/proc/sys/kernel", &err);
	cr_assert_eq(openat(scratch_fd, "ostype", O_RDONLY | O_DIRECT), -1);
	cr_assert_eq(compare("ostype", (const uint8_t *)"Linux\n", 6), 1);
	cr_assert_eq(compare("ostype", (const uint8_t *)"Linus\n", 6), 0);
}

Test(durable, compares_on_a_file_system_without_a_medium)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", scratch, "tmpfs", 0, "size=9m") < 0)
		cr_skip_test("mounting needs root");
	close(scratch_fd);
	scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY);
	compares();
	cr_assert_eq(umount2(scratch, MNT_DETACH), 0);
}

Test(durable, sweeps_what_killed_writers_left_and_nothing_else)
{
	struct durable left = DURABLE_INIT, other = DURABLE_INIT;
	struct err err = {0};

	cr_assert_eq(durable_begin(scratch_fd, "f", 0600, &left, &err), 0);
	cr_assert_eq(durable_begin(scratch_fd, "g", 0600, &other, &err), 0);
	run(": >.f-tooshort; : >.f-0123456789abcdeX; : >f-0123456789abcdef; : >f");
	cr_assert_eq(durable_sweep(scratch_fd, "f", &err), 0, "%s", err.text);
	run("test $(ls -A | wc -l) = 5 && test -e .f-tooshort && test -e f");
	cr_assert_eq(durable_commit(&left, "f", DURABLE_REPLACE, &err), RC_IO, "it was swept away");
	cr_assert_eq(durable_commit(&other, "g", 0, &err), 0);
}

Test(durable, file_read_is_bounded_on_both_sides)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(write_text("f", "12345", 0, &err), 0);
	cr_assert_eq(file_read(scratch_fd, "f", 5, &b, &err), 0);
	cr_assert_str_eq((char *)b.p, "12345");
	cr_assert_eq(file_read(scratch_fd, "f", 4, &b, &err), RC_LIMIT);
	cr_assert_str_eq((char *)b.p, "12345", "untouched on failure");
	cr_assert_eq(file_read(scratch_fd, "absent", 4, &b, &err), RC_ABSENT);
	cr_assert_eq(errno, ENOENT);
	cr_assert_eq(file_read(scratch_fd, ".", 4, &b, &err), RC_TYPE);
	run("ln -s f link");
	cr_assert_eq(file_read(scratch_fd, "link", 9, &b, &err), RC_TYPE);
}

Test(durable, file_read_trusts_no_size)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	int proc = os_open_dir("/proc/self", &err);

	cr_assert_eq(file_read(proc, "limits", 1 << 20, &b, &err), 0, "%s", err.text);
	cr_assert_gt(b.n, 100, "stat says that it has 0 bytes");
	cr_assert_eq(file_read(proc, "limits", 100, &b, &err), RC_LIMIT);
	close(proc);
}

Test(durable, pread_is_all_or_incomplete)
{
	struct err err = {0};
	char got[8] = "";
	int fd;

	cr_assert_eq(write_text("f", "12345", 0, &err), 0);
	fd = beneath_file(scratch_fd, "f", NULL, &err);
	cr_assert_eq(fd_pread(fd, got, 3, 2, &err), 0);
	cr_assert_str_eq(got, "345");
	cr_assert_eq(fd_pread(fd, got, 3, 3, &err), RC_INCOMPLETE);
	cr_assert_eq(fd_pread(fd, got, 0, 99, &err), 0);
	cr_assert_eq(fd_pread(fd, got, 1, UINT64_MAX, &err), RC_LIMIT);
	cr_assert_eq(fd_pread(fd, got, 2, INT64_MAX, &err), RC_LIMIT);
	close(fd);
}

static void nothing(int signal)
{
}

Test(durable, signals_and_short_counts_break_nothing)
{
	struct sigaction sa = {.sa_handler = nothing}; /* no SA_RESTART */
	struct itimerval often = {{0, 200}, {0, 200}};
	enum { N = 4 << 20 };
	OWNED(freep) uint8_t *out = malloc(N), *in = malloc(N);
	struct err err = {0};
	size_t got = 0;
	int pipes[2];
	pid_t pid;

	memset(out, 0x5a, N);
	cr_assert_eq(pipe(pipes), 0);
	pid = fork();
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	if (pid == 0) {
		close(pipes[0]);
		_exit(fd_write(pipes[1], out, N, &err) == 0 ? 0 : 1);
	}
	close(pipes[1]);
	cr_assert_eq(fd_read(pipes[0], in, N, &got, &err), 0, "%s", err.text);
	cr_assert_eq(got, N);
	cr_assert_eq(memcmp(in, out, N), 0);
	cr_assert_eq(fd_read(pipes[0], in, 1, &got, &err), 0);
	cr_assert_eq(got, 0);
}

Test(durable, close_reports_once_and_forgets)
{
	struct err err = {0};
	int fd = dup(scratch_fd);

	cr_assert_eq(fd_close(&fd, &err), 0);
	cr_assert_eq(fd, -1);
	cr_assert_eq(fd_close(&fd, &err), 0);
	fd = 987;
	cr_assert_eq(fd_close(&fd, &err), RC_IO);
	cr_assert_eq(fd, -1);
}

Test(durable, believes_only_file_systems_that_count_their_inodes)
{
	static const struct {
		fsblkcnt_t files, spare;
		uint64_t want;
	} cases[] = {
	    {1000, 10, 10},
	    {1000, 0, 0},
	    {0, 0, UINT64_MAX},          /* btrfs, FAT */
	    {1000000000, 0, UINT64_MAX}, /* rclone, whatever lies behind it */
	    {1000000000, 5, 5},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct statvfs v = {.f_files = cases[i].files,
				    .f_ffree = cases[i].spare,
				    .f_favail = cases[i].spare};

		cr_assert_eq(inodes_free(&v), cases[i].want, "case %zu", i);
	}
}

/* many_write(n, text, err): files "f000.yaml"... */
static int many_write(size_t n, const char *text, struct err *err)
{
	static char name[1100][16];
	static struct durable_file list[1100];

	for (size_t i = 0; i < n; i++) {
		snprintf(name[i], sizeof(name[i]), "f%03zu.yaml", i);
		list[i] = (struct durable_file){name[i], bytes_of(text)};
	}
	return durable_write_many(scratch_fd, list, n, 0644, err);
}

Test(durable, writes_many_files_and_replaces_what_was_there)
{
	static const size_t counts[] = {0, 1, 7, 8, 1024, 1025, 1100};
	char command[64];
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		cr_assert_eq(many_write(counts[i], i % 2 == 0 ? "even" : "odd", &err), 0, "%s",
			     err.text);
		snprintf(command, sizeof(command), "test $(ls -A | wc -l) = %zu", counts[i]);
		run(command);
		snprintf(command, sizeof(command), "test -z \"$(grep -L %s . -r)\"",
			 i % 2 == 0 ? "even" : "odd");
		run(command);
	}
}

Test(durable, many_files_that_cannot_all_be_written_leave_no_litter)
{
	struct err err = {0};

	run("mkdir f020.yaml");
	cr_assert_lt(many_write(30, "new", &err), 0);
	run("test -z \"$(ls -A | grep '^[.]')\"");
	cr_assert_not_null(strstr(err.text, "f020.yaml"), "%s", err.text);
}

Test(durable, sweeps_what_writers_of_such_names_left_and_nothing_else)
{
	struct err err = {0};

	run("touch .a.yaml-0123456789abcdef .b.yaml-0123456789abcdef .b.yml-0123456789abcdef"
	    " .a.yaml-0123456789abcdeg .a.yaml.swp a.yaml-0123456789abcdef"
	    " .a.yaml-x-0123456789abcdef");
	cr_assert_eq(durable_sweep(scratch_fd, "a.yaml", &err), 0);
	run("test ! -e .a.yaml-0123456789abcdef && test -e .a.yaml-x-0123456789abcdef");
	cr_assert_eq(durable_sweep_all(scratch_fd, ".yaml", &err), 0);
	run("test $(ls -A | wc -l) = 5 && test ! -e .b.yaml-0123456789abcdef");
}
