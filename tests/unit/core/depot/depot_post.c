/* SPDX-License-Identifier: ISC */
/* Posting, whole and in pieces, on media of every kind. */
#include "tests/support/depot.h"

TestSuite(depot_post, .init = scratch_setup, .fini = scratch_teardown, .timeout = 60);

Test(depot_post, posts_into_directories_that_it_makes_and_leaves_no_litter)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	struct err err = {0};

	run("chmod 755 .");
	umask(022);
	cr_assert_eq(depot_post(d, "a/b/c/file", bytes_of("abc"), &err), 0, "%s", err.text);
	cr_assert_eq(depot_post(d, "empty", bytes_of(""), &err), 0, "%s", err.text);
	run("test \"$(cat a/b/c/file)\" = abc && test \"$(find . -type f | wc -l)\" = 2 && "
	    "test \"$(stat -c %a a/b/c/file)\" = 644 && test \"$(stat -c %a a/b)\" = 755");
	cr_assert_eq(depot_remove(d, "a/b/c/file", &err), 0);
	cr_assert_eq(depot_remove(d, "a/b/c/file", &err), 0, "absent is fine");
	cr_assert_eq(depot_remove(d, "x/y/z", &err), 0, "absent is fine");
	run("test ! -e a/b/c/file");
	cr_assert_eq(depot_remove(d, "a", &err), RC_IO, "a directory is not a file");
}

Test(depot_post, makes_directories_as_open_as_the_depot_is)
{
	static const char *const modes[] = {"2775", "1777", "700"};

	umask(022);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
		struct err err = {0};
		char command[128];

		snprintf(command, sizeof(command),
			 "rm -rf a b; chmod g-s .; chmod %s .; mkdir b; chmod g-s b; chmod 755 b",
			 modes[i]);
		run(command);
		cr_assert_eq(depot_post(d, "a/b/file", bytes_of("abc"), &err), 0, "%s", err.text);
		cr_assert_eq(depot_post(d, "b/file", bytes_of("abc"), &err), 0, "%s", err.text);
		snprintf(command, sizeof(command),
			 "test \"$(stat -c %%a a a/b | sort -u)\" = %s && "
			 "test \"$(stat -c %%a b)\" = 755",
			 modes[i]);
		run(command);
	}
}

Test(depot_post, posts_nothing_when_it_is_there_already)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct stat one, two;
	struct err err = {0};
	char path[SCRATCH_PATH + 8];

	snprintf(path, sizeof(path), "%s/file", scratch);
	cr_assert_eq(depot_post(d, "file", bytes_of("abc"), &err), 0);
	cr_assert_eq(stat(path, &one), 0);
	cr_assert_eq(depot_post(d, "file", bytes_of("abc"), &err), 0);
	cr_assert_eq(stat(path, &two), 0);
	cr_assert_eq(one.st_ino, two.st_ino);
	cr_assert_eq(one.st_ctim.tv_nsec, two.st_ctim.tv_nsec);
}

Test(depot_post, replaces_what_is_torn_and_follows_no_link)
{
	static const char *const incomplete[] = {
	    ": >file",           "printf ab >file", "printf xyz >file",
	    "printf abcd >file", "mkfifo file",     "printf keep >victim && ln -s victim file",
	};
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(incomplete); i++) {
		run("rm -f file");
		run(incomplete[i]);
		cr_assert_eq(depot_post(d, "file", bytes_of("abc"), &err), 0, "%s: %s",
			     incomplete[i], err.text);
		run("test -f file && test ! -L file && test \"$(cat file)\" = abc");
	}
	run("test \"$(cat victim)\" = keep && rm file && mkdir file");
	cr_assert_eq(depot_post(d, "file", bytes_of("abc"), &err), RC_TYPE);
	run("test \"$(ls -A | tr '\\n' ' ')\" = 'file victim '");
}

Test(depot_post, posts_through_no_link)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};

	run("mkdir outside && ln -s outside link && ln -s /tmp far");
	cr_assert_eq(depot_post(d, "link/file", bytes_of("abc"), &err), RC_PATH);
	cr_assert_eq(depot_post(d, "link/new/file", bytes_of("abc"), &err), RC_PATH);
	cr_assert_eq(depot_post(d, "far/file", bytes_of("abc"), &err), RC_PATH);
	cr_assert_eq(depot_remove(d, "link/file", &err), RC_PATH);
	run("test -z \"$(ls -A outside)\"");
}

Test(depot_post, opened_for_reading_changes_nothing)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct err err = {0};

	run("printf abc >file");
	cr_assert_eq(depot_post(d, "other", bytes_of("abc"), &err), RC_INTERNAL);
	cr_assert_eq(depot_remove(d, "file", &err), RC_INTERNAL);
	run("test \"$(ls -A)\" = file");
}

struct heard {
	struct reporter reporter;
	uint64_t done, total;
	unsigned int posts, others;
};

static void hear(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
		 uint64_t items, uint64_t items_total)
{
	struct heard *h = (struct heard *)reporter;

	h->done = done;
	h->total = total;
	if (strcmp(phase, "writing to the depot") == 0)
		h->posts++;
	else
		h->others++;
}

static int store(const uint8_t *p, size_t n)
{
	int fd = memfd_create("store", MFD_CLOEXEC);

	cr_assert_eq(write(fd, p, n), (ssize_t)n);
	return fd;
}

Test(depot_post, posts_a_bundle_from_pieces)
{
	enum { TAIL = 1024 };
	struct depot_piece pieces[] = {{MEGA, 2 * MEGA}, {0, 3}, {9 * MEGA, 0}, {10, 9 * MEGA}};
	size_t total = 5 + 2 * MEGA + 3 + 9 * MEGA + TAIL;
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	OWNED(freep) uint8_t *bytes = pattern(10 * MEGA), *want = calloc(1, total);
	struct heard h = {.reporter = {.progress = hear}};
	struct err err = {0};
	int fd = store(bytes, 10 * MEGA);

	memcpy(want, "start", 5);
	memcpy(want + 5, bytes + MEGA, 2 * MEGA);
	memcpy(want + 5 + 2 * MEGA, bytes, 3);
	memcpy(want + 8 + 2 * MEGA, bytes + 10, 9 * MEGA);
	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of("start"), fd, pieces, 4, TAIL,
				     &h.reporter, &err),
		     0, "%s", err.text);
	expect_content("x.bundle", (struct bytes){want, total});
	cr_assert_eq(h.total, total);
	cr_assert_eq(h.done, total);
	cr_assert_eq(h.posts, 12, "once for each MiB begun");
	cr_assert_eq(h.others, 12, "read back");
	/* Again: compared, not written.  Then torn in the last byte: written again. */
	h.posts = 0;
	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of("start"), fd, pieces, 4, TAIL,
				     &h.reporter, &err),
		     0);
	cr_assert_eq(h.posts, 0);
	run("printf x | dd of=x.bundle bs=1 seek=11535367 conv=notrunc status=none");
	cr_assert_eq(
	    depot_post_file(d, "x.bundle", bytes_of("start"), fd, pieces, 4, TAIL, NULL, &err), 0);
	expect_content("x.bundle", (struct bytes){want, total});
	run("test \"$(ls -A)\" = x.bundle");
}

Test(depot_post, a_source_that_ends_early_leaves_nothing)
{
	struct depot_piece piece = {0, 11};
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	int fd = store((const uint8_t *)"0123456789", 10);

	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of("a"), fd, &piece, 1, 0, NULL, &err),
		     RC_INCOMPLETE);
	piece.length = UINT64_MAX;
	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of("a"), fd, &piece, 1, 0, NULL, &err),
		     RC_LIMIT);
	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of("a"), -1, &piece, 1, 0, NULL, &err),
		     RC_LIMIT);
	piece.length = 10;
	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of("a"), fd, &piece, 1, 0, NULL, &err),
		     0);
	run("test \"$(ls -A)\" = x.bundle");
}

Test(depot_post, sweeps_what_a_killed_writer_of_the_bundle_left)
{
	struct depot_piece piece = {0, 3};
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	int fd = store((const uint8_t *)"abc", 3);

	run(": >.x.bundle-0123456789abcdef && : >.y.bundle-0123456789abcdef");
	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of(""), fd, &piece, 1, 0, NULL, &err), 0);
	run("test \"$(ls -A | tr '\\n' ' ')\" = '.y.bundle-0123456789abcdef x.bundle '");
}

Test(depot_post, sweeps_what_a_killed_writer_of_the_first_file_in_a_directory_left)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};

	run(": >.a-0123456789abcdef && : >.b-0123456789abcdef");
	cr_assert_eq(depot_post(d, "a", bytes_of("abc"), &err), 0);
	cr_assert_eq(depot_post(d, "b", bytes_of("abc"), &err), 0);
	run("test \"$(ls -A | tr '\\n' ' ')\" = '.b-0123456789abcdef a b '");
}

/* Limits of media */

static void mount_tmpfs(const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", scratch, "tmpfs", 0, options) < 0)
		cr_skip_test("mounting needs root");
}

Test(depot_post, says_how_much_space_is_needed_and_free)
{
	struct heard h = {.reporter = {.progress = hear}};
	OWNED(freep) uint8_t *big = pattern(3 * MEGA);
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};
	uint64_t bytes = 0;

	mount_tmpfs("size=2m");
	d = opened(DEPOT_WRITE);
	cr_assert_eq(depot_free_bytes(d, &bytes, &err), 0);
	cr_assert_eq(bytes, 2 * MEGA);
	cr_assert_eq(depot_post(d, "small", bytes_of("abc"), &err), 0);
	cr_assert_eq(depot_post(d, "big", (struct bytes){big, 3 * MEGA}, &err), RC_SPACE);
	cr_assert_not_null(strstr(err.text, "needs 3145728 bytes, 2093056 are free"), "%s",
			   err.text);
	cr_assert_eq(depot_post_file(d, "big", (struct bytes){big, 3 * MEGA}, -1, NULL, 0, 0,
				     &h.reporter, &err),
		     RC_SPACE);
	cr_assert_eq(h.posts, 0, "said before the first byte");
	run("test \"$(ls -A)\" = small");
	cr_assert_eq(umount2(scratch, MNT_DETACH), 0);
}

Test(depot_post, a_medium_without_inodes_is_full_too)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};
	char path[16];
	int rc = 0;

	mount_tmpfs("size=2m,nr_inodes=5");
	d = opened(DEPOT_WRITE);
	for (int i = 0; i < 6 && rc == 0; i++) {
		snprintf(path, sizeof(path), "file%d", i);
		rc = depot_post(d, path, bytes_of("abc"), &err);
	}
	cr_assert_eq(rc, RC_SPACE, "%s", err.text);
	run("test -z \"$(ls -A | grep '^\\.')\"");
	cr_assert_eq(umount2(scratch, MNT_DETACH), 0);
}

Test(depot_post, a_medium_for_reading_only_is_said)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	mount_tmpfs("size=2m");
	run("printf abc >file");
	cr_assert_eq(mount("none", scratch, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	d = opened(DEPOT_WRITE);
	cr_assert_eq(depot_post(d, "other", bytes_of("abc"), &err), RC_IO);
	cr_assert_eq(depot_post(d, "x/other", bytes_of("abc"), &err), RC_IO);
	cr_assert_eq(errno, EROFS);
	cr_assert_eq(depot_remove(d, "file", &err), RC_IO);
	cr_assert_eq(depot_read(d, "file", 9, &b, &err), 0);
	cr_assert_eq(umount2(scratch, MNT_DETACH), 0);
}

/* FUSE, FAT, SMB: seccomp makes this kernel answer as theirs does, in the helper too. */
static void forbid(int call, int error)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	cr_assert_eq(seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned int)error), call, 0), 0);
	cr_assert_eq(seccomp_load(ctx), 0);
	seccomp_release(ctx);
}

Test(depot_post, works_where_the_kernel_has_no_landlock)
{
	OWNED(depot_freep) struct depot *d = NULL;
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	forbid(SYS_landlock_create_ruleset, ENOSYS);
	d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), 0, "%s", err.text);
	cr_assert_eq(depot_read(d, BEAT, 3, &b, &err), 0, "%s", err.text);
	cr_assert_eq(depot_remove(d, BEAT, &err), 0, "%s", err.text);
}

/* A service with RestrictSUIDSGID= may not set the bit, and a group that shares a depot needs it.
 */
Test(depot_post, hands_a_set_group_id_bit_down_without_setting_it)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};
	struct stat st;
	char path[SCRATCH_PATH + 16];

	cr_assert_eq(chmod(scratch, 02770), 0);
	cr_assert_eq(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fchmod), 1,
				      SCMP_A1(SCMP_CMP_MASKED_EQ, S_ISGID, S_ISGID)),
		     0);
	cr_assert_eq(seccomp_load(ctx), 0);
	seccomp_release(ctx);
	umask(077);
	d = opened(DEPOT_WRITE);
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), 0, "%s", err.text);
	snprintf(path, sizeof(path), "%s/beats", scratch);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 02770, "%o", st.st_mode);
}

Test(depot_post, posts_where_the_file_system_has_few_gifts)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct depot_piece piece = {0, 3};
	struct err err = {0};
	int fd = store((const uint8_t *)"abc", 3);

	forbid(SCMP_SYS(renameat2), EINVAL);
	forbid(SCMP_SYS(linkat), EPERM);
	forbid(SCMP_SYS(sync_file_range), ESPIPE);
	forbid(SCMP_SYS(fadvise64), EINVAL);
	d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	cr_assert_eq(depot_post(d, "a/file", bytes_of("abc"), &err), 0, "%s", err.text);
	run("printf x >a/file");
	cr_assert_eq(depot_post(d, "a/file", bytes_of("abc"), &err), 0, "%s", err.text);
	cr_assert_eq(depot_post_file(d, "a/x.bundle", bytes_of(""), fd, &piece, 1, 0, NULL, &err),
		     0);
	run("test \"$(cd a && ls -A | tr '\\n' ' ')\" = 'file x.bundle ' && test $(cat a/file) = abc");
}

/* A share that remembers a name: the file opens, and is not there when it is read.  Only reading
 * back asks for a megabyte at once. */
static void forget_what_is_read_back(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	cr_assert_eq(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOENT), SCMP_SYS(read), 1,
				      SCMP_A2(SCMP_CMP_EQ, MEGA, 0)),
		     0);
	cr_assert_eq(seccomp_load(ctx), 0);
	seccomp_release(ctx);
}

Test(depot_post, replaces_what_a_share_only_remembers)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};

	run("mkdir beats && printf abc >" BEAT);
	forget_what_is_read_back();
	d = opened(DEPOT_WRITE);
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), 0, "%s", err.text);
	run("test $(cat " BEAT ") = abc");
}

Test(depot_post, what_was_taken_out_of_an_inbox_before_it_is_read_back_has_arrived)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};

	forget_what_is_read_back();
	d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	cr_assert_eq(depot_post(d, "inbox/ab/x.receipt", bytes_of("abc"), &err), 0, "%s", err.text);
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), RC_IO);
	cr_assert_eq(depot_stream_begin(d, "inbox/ab/y.receipt", 0, true, &err), 0);
	cr_assert_eq(depot_stream_commit(d, &err), 0, "%s", err.text);
	cr_assert_eq(depot_stream_begin(d, "new/file", 0, true, &err), 0);
	cr_assert_eq(depot_stream_commit(d, &err), RC_IO);
}

Test(depot_post, an_error_of_the_medium_leaves_nothing_and_is_told)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct err err = {0};

	forbid(SCMP_SYS(fsync), EIO);
	d = opened(DEPOT_WRITE);
	cr_assert_eq(depot_post(d, "file", bytes_of("abc"), &err), RC_IO);
	cr_assert_eq(errno, EIO);
	cr_assert_not_null(strstr(err.text, scratch), "%s", err.text);
	run("test -z \"$(ls -A)\"");
}

/* In pieces */

static void more(struct depot *d, const char *text)
{
	struct err err = {0};

	cr_assert_eq(depot_stream_more(d, bytes_of(text), &err), 0, "%s", err.text);
}

Test(depot_post, takes_a_file_in_pieces_and_names_it_when_it_is_whole)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	struct err err = {0};

	run("mkdir beats; echo torn >" BEAT "; : >beats/.1-" ABC ".beat-0123456789abcdef");
	cr_assert_eq(depot_stream_begin(d, BEAT, 3, true, &err), 0, "%s", err.text);
	more(d, "a");
	run("test \"$(cat " BEAT ")\" = torn");
	more(d, "bc");
	cr_assert_eq(depot_stream_commit(d, &err), 0, "%s", err.text);
	expect_content(BEAT, bytes_of("abc"));
	run("test $(ls -A beats | wc -l) -eq 1");
	cr_assert_eq(depot_stream_begin(d, "new/dir/" ABC, 0, false, &err), 0, "%s", err.text);
	cr_assert_eq(depot_stream_commit(d, &err), 0, "%s", err.text);
	expect_content("new/dir/" ABC, bytes_of(""));
}

Test(depot_post, leaves_nothing_of_a_file_that_was_not_finished)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	uint64_t size;

	cr_assert_eq(depot_stream_begin(d, BEAT, 3, false, &err), 0);
	more(d, "ab");
	cr_assert_eq(depot_stream_commit(d, &err), RC_IO, "too few bytes");
	depot_stream_abort(d);
	cr_assert_eq(depot_stream_begin(d, BEAT, 3, false, &err), 0);
	more(d, "abcd");
	cr_assert_eq(depot_stream_commit(d, &err), RC_IO, "too many bytes");
	depot_stream_abort(d);
	depot_stream_abort(d);
	cr_assert_eq(depot_size(d, BEAT, &size, &err), RC_ABSENT);
	run("test -z \"$(ls -A beats)\"");
	run("mkdir " BEAT);
	cr_assert_eq(depot_stream_begin(d, BEAT, 3, true, &err), RC_TYPE);
	cr_assert_eq(depot_stream_begin(d, "../x", 3, true, &err), RC_PATH);
	cr_assert_eq(depot_stream_begin(d, "beats/large", 1ull << 60, true, &err), RC_SPACE);
	cr_assert_not_null(strstr(err.text, "are free"), "%s", err.text);
	d = depot_free(d);
	d = opened(DEPOT_WRITE);
	cr_assert_eq(depot_stream_begin(d, "beats/x", 3, false, &err), 0);
	more(d, "ab");
	d = depot_free(d);
	run("test -z \"$(ls -A beats | grep -v " ABC ")\"");
}
