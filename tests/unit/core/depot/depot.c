/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/depot/depot_internal.h"
#include "core/depot/helper/helper.h"
#include "core/depot/marker.h"
#include "tests/support/scratch.h"

#define ABC   "bddd813c634239723171ef3fee98579b" /* of "abc" */
#define BEAT  "beats/1-" ABC ".beat"
#define MEGA  ((size_t)1 << 20)
#define WAITS 20 /* seconds of silence that no test here should need */

static void run(const char *command)
{
	cr_assert_eq(scratch_run(scratch, command), 0, "%s", command);
}

TestSuite(depot, .init = scratch_setup, .fini = scratch_teardown, .timeout = 60);

static struct depot *opened(enum depot_flags flags)
{
	struct depot *d = NULL;
	struct err err = {0};

	cr_assert_eq(depot_open(scratch, flags, WAITS, &d, &err), 0, "%s", err.text);
	return d;
}

/* A line of /proc/PID/status; "" when it has none. */
static void status_line(pid_t pid, const char *what, char dst[80])
{
	char path[40];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	while (fgets(dst, 80, f) != NULL && strncmp(dst, what, strlen(what)) != 0)
		*dst = '\0';
	fclose(f);
}

static void expect_content(const char *path, struct bytes want)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(depot_read(d, path, 64 * MEGA, &b, &err), 0, "%s", err.text);
	cr_assert(bytes_equal(bytes_in(&b), want));
}

/* tests/unit/core/os/os_confine_depot.c says what that keeps it from. */
Test(depot, is_touched_by_a_confined_process_only)
{
	for (int write = 0; write < 2; write++) {
		OWNED(depot_freep) struct depot *d = opened(write ? DEPOT_WRITE : 0);
		char line[80];

		status_line(d->child.pid, "Seccomp:", line);
		cr_expect_str_eq(line, "Seccomp:\t2\n");
		status_line(d->child.pid, "NoNewPrivs:", line);
		cr_expect_str_eq(line, "NoNewPrivs:\t1\n");
	}
}

/* As if the check on this side had a hole. */
Test(depot, opened_for_reading_is_not_written_by_a_helper_that_is_asked_to)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct err err = {0};

	run("mkdir beats && printf abc >" BEAT);
	d->flags |= DEPOT_WRITE;
	cr_expect_lt(depot_post(d, "beats/2-" ABC ".beat", bytes_of("abc"), &err), 0);
	cr_expect_lt(depot_post(d, "new/2-" ABC ".beat", bytes_of("abc"), &err), 0);
	cr_expect_lt(depot_remove(d, BEAT, &err), 0);
	run("test \"$(ls -A . beats | tr '\\n' ' ')\" = '.: beats  beats: 1-" ABC ".beat '");
}

static void marked(const char *command, int want)
{
	OWNED(depot_freep) struct depot *d = NULL;
	struct digest site = {{0}};
	struct err err = {0};
	int rc;

	run(command);
	d = opened(0);
	rc = marker_read(d, &site, &err);
	cr_expect_eq(rc, want, "%s: %d %s", command, rc, err.text);
	cr_expect(rc >= 0 || strstr(err.text, "the marker satchel.yaml") != NULL, "%s", err.text);
	cr_expect_eq(site.b[0], want == MARKER_SITE ? 0xab : 0, "%s", command);
}

Test(depot, says_whose_it_is)
{
	marked(":", MARKER_NONE);
	marked(": >satchel.yaml", MARKER_EMPTY);
	marked(
	    "{ printf 'satchel: depot/1\\nformat: 1\\nsite: '; printf 'ab%.0s' $(seq 32); echo; }"
	    " >satchel.yaml",
	    MARKER_SITE);
	marked("echo 'site: [' >satchel.yaml", RC_MALFORMED);
	marked("head -c 5000 /dev/zero >satchel.yaml", RC_LIMIT);
	marked("rm satchel.yaml; mkfifo satchel.yaml", RC_TYPE);
}

static uint8_t *pattern(size_t n)
{
	uint8_t *p = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	return p;
}

/* Opening */

Test(depot, is_opened_made_and_refused)
{
	struct depot *d = NULL;
	struct err err = {0};
	char path[SCRATCH_PATH + 16];

	snprintf(path, sizeof(path), "%s/new/", scratch);
	cr_assert_eq(depot_open(path, 0, WAITS, &d, &err), RC_ABSENT);
	cr_assert_eq(errno, ENOENT);
	cr_assert_null(d);
	cr_assert_not_null(strstr(err.text, path), "%s", err.text);
	cr_assert_eq(depot_open(path, DEPOT_WRITE | DEPOT_CREATE, WAITS, &d, &err), 0, "%s",
		     err.text);
	cr_assert_str_eq(depot_path(d), path);
	d = depot_free(d);
	cr_assert_eq(depot_open(path, DEPOT_WRITE | DEPOT_CREATE, WAITS, &d, &err), 0);
	d = depot_free(d);
	snprintf(path, sizeof(path), "%s/no/new", scratch);
	cr_assert_eq(depot_open(path, DEPOT_CREATE, WAITS, &d, &err), RC_IO);
	run("echo x >file");
	snprintf(path, sizeof(path), "%s/file", scratch);
	cr_assert_eq(depot_open(path, 0, WAITS, &d, &err), RC_IO);
	cr_assert_eq(errno, ENOTDIR);
	depot_freep(&d);
}

Test(depot, is_no_link_where_none_is_followed)
{
	struct depot *d = NULL;
	struct err err = {0};
	char path[2 * SCRATCH_PATH];

	run("mkdir real; ln -s real link; ln -s nowhere dangling");
	snprintf(path, sizeof(path), "%s/link", scratch);
	cr_expect_eq(depot_open(path, DEPOT_WRITE | DEPOT_NO_LINK, WAITS, &d, &err), RC_PATH);
	cr_expect_not_null(strstr(err.text, "symbolic link"), "%s", err.text);
	snprintf(path, sizeof(path), "%s/dangling", scratch);
	cr_expect_eq(depot_open(path, DEPOT_WRITE | DEPOT_NO_LINK, WAITS, &d, &err), RC_PATH);
	run("test -z \"$(ls -A real)\" && test ! -e nowhere");
	snprintf(path, sizeof(path), "%s/real", scratch);
	cr_assert_eq(depot_open(path, DEPOT_WRITE | DEPOT_NO_LINK, WAITS, &d, &err), 0, "%s",
		     err.text);
	cr_expect_eq(depot_post(d, BEAT, bytes_of("abc"), &err), 0, "%s", err.text);
	d = depot_free(d);
	snprintf(path, sizeof(path), "%s/link", scratch);
	cr_expect_eq(depot_open(path, 0, WAITS, &d, &err), 0, "a person may have links");
	depot_free(d);
}

Test(depot, leaves_no_helper_behind)
{
	struct depot *d = opened(0);
	pid_t pid = d->child.pid;

	d = depot_free(d);
	cr_assert_eq(kill(pid, 0), -1);
	cr_assert_eq(errno, ESRCH);
}

/* Listing */

struct seen {
	struct depot *d;
	unsigned int count, read, stop_at;
	uint64_t bytes;
	bool wrong;
};

static int count(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct seen *s = arg;

	s->count++;
	s->bytes += size;
	s->wrong = s->wrong || name[0] == '.' || strcspn(name, "/ABC~ \n") != strlen(name);
	if (s->count == s->stop_at)
		return err_set(err, RC_POLICY, "enough");
	return 0;
}

static int count_dir(void *arg, const char *name, struct err *err)
{
	return count(arg, name, 0, err);
}

Test(depot, lists_what_could_be_ours_and_no_litter)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct seen files = {0}, dirs = {0}, none = {0}, top = {0};
	struct err err = {0};

	run("mkdir -p b/sub b/.hidden b/Upper && cd b && printf 12345 >good-1.x_y && : >2 && "
	    ": >.DS_Store && : >._good && : >Thumbs.db && : >'a b' && : >\"$(printf 'a\\nb')\" && "
	    ": >copy~ && mkfifo fifo && ln -s good-1.x_y link && ln -s sub linkdir");
	cr_assert_eq(depot_list(d, "b", count, &files, &err), 0, "%s", err.text);
	cr_assert_eq(files.count, 2);
	cr_assert_eq(files.bytes, 5);
	cr_assert_not(files.wrong);
	cr_assert_eq(depot_dirs(d, "b", count_dir, &dirs, &err), 0, "%s", err.text);
	cr_assert_eq(dirs.count, 1);
	cr_assert_eq(depot_list(d, "absent/er", count, &none, &err), 0, "absent is empty");
	cr_assert_eq(none.count, 0);
	cr_assert_eq(depot_dirs(d, ".", count_dir, &top, &err), 0);
	cr_assert_eq(top.count, 1);
	cr_assert_eq(depot_list(d, "b/2", count, &none, &err), RC_TYPE);
	cr_assert_eq(depot_list(d, "b/linkdir", count, &none, &err), RC_PATH);
	cr_assert_eq(depot_list(d, "../x", count, &none, &err), RC_PATH);
	cr_assert_eq(none.count, 0);
}

static int read_each(void *arg, const char *name, uint64_t size, struct err *err)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct seen *s = arg;
	char path[300];
	int rc;

	snprintf(path, sizeof(path), "many/%s", name);
	rc = depot_read(s->d, path, 99, &b, err);
	s->read += rc == 0 && b.n == size;
	s->count++;
	return rc;
}

static int list_each(void *arg, const char *name, struct err *err)
{
	struct seen *s = arg;

	return depot_list(s->d, "many", read_each, s, err);
}

/* More than one batch of 64 KiB, so that questions come between batches. */
Test(depot, answers_other_questions_while_it_lists)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct seen s = {.d = d};
	struct err err = {0};

	run("mkdir -p many two/a two/b && cd many && for i in $(seq 3000); do echo $i >file-$i; done");
	cr_assert_eq(depot_list(d, "many", read_each, &s, &err), 0, "%s", err.text);
	cr_assert_eq(s.count, 3000);
	cr_assert_eq(s.read, 3000);
	cr_assert_eq(depot_dirs(d, "two", list_each, &s, &err), 0, "%s", err.text);
	cr_assert_eq(s.read, 9000);
}

Test(depot, stops_a_listing_when_it_is_told_to)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct err err = {0};

	run("mkdir many && cd many && for i in $(seq 3000); do : >file-$i; done");
	for (int i = 0; i < 2 * LISTINGS; i++) {
		struct seen s = {.stop_at = 10};

		cr_assert_eq(depot_list(d, "many", count, &s, &err), RC_POLICY);
		cr_assert_str_eq(err.text, "enough");
		cr_assert_eq(s.count, 10);
	}
}

Test(depot, ends_a_flooded_listing_at_the_limit)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct seen at = {0}, over = {0};
	struct err err = {0};

	run("mkdir many && cd many && for i in $(seq 60); do : >file-$i; done && "
	    "for i in $(seq 40); do : >.litter-$i; done");
	cr_assert_eq(depot_list_most(d, "many", 100, count, &at, &err), 0);
	cr_assert_eq(at.count, 60);
	cr_assert_eq(depot_list_most(d, "many", 99, count, &over, &err), RC_LIMIT);
	cr_assert_eq(depot_list_most(d, "many", 100, count, &at, &err), 0, "it goes on");
}

static int nest(void *arg, const char *name, struct err *err)
{
	struct seen *s = arg;

	s->count++;
	return depot_dirs(s->d, "deep", nest, s, err);
}

Test(depot, lists_within_listings_to_a_depth)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct seen s = {.d = d};
	struct err err = {0};

	/* Two batches, else a listing is over before the next one begins. */
	run("mkdir deep && cd deep && seq -f 'directory-with-a-long-name-%g' 2000 | xargs mkdir");
	cr_assert_eq(depot_dirs(d, "deep", nest, &s, &err), RC_IO);
	cr_assert_eq(s.count, LISTINGS);
	s.count = 0;
	cr_assert_eq(depot_dirs(d, "deep", nest, &s, &err), RC_IO, "all were given back");
	cr_assert_eq(s.count, LISTINGS);
}

/* Reading */

Test(depot, reads_a_file_whose_bytes_fit_its_name)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	run("mkdir -p beats && printf abc >" BEAT);
	cr_assert_eq(depot_read(d, BEAT, 3, &b, &err), 0, "%s", err.text);
	cr_assert(bytes_equal(bytes_in(&b), bytes_of("abc")));
	cr_assert_eq(depot_read(d, BEAT, 2, &b, &err), RC_LIMIT);
	cr_assert_eq(depot_read(d, "beats/2-" ABC ".beat", 3, &b, &err), RC_ABSENT);
	cr_assert_eq(errno, ENOENT);
	cr_assert(bytes_equal(bytes_in(&b), bytes_of("abc")), "untouched on failure");
}

Test(depot, says_incomplete_for_a_torn_copy)
{
	static const char *const incomplete[] = {"", "ab", "abcd", "abd", "\\0\\0\\0"};
	OWNED(depot_freep) struct depot *d = opened(0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	char command[100];

	run("mkdir beats");
	for (size_t i = 0; i < ARRAY_LEN(incomplete); i++) {
		snprintf(command, sizeof(command), "printf '%s' >" BEAT, incomplete[i]);
		run(command);
		cr_assert_eq(depot_read(d, BEAT, 99, &b, &err), RC_INCOMPLETE, "%s", incomplete[i]);
	}
}

Test(depot, does_not_ask_a_bundle_for_a_digest_of_all_of_it)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	run("mkdir -p channels/x && printf other >channels/x/1.0-1-" ABC ".bundle && "
	    "printf 'any' >satchel.yaml");
	cr_assert_eq(depot_read(d, "channels/x/1.0-1-" ABC ".bundle", 99, &b, &err), 0);
	cr_assert_eq(depot_read(d, "satchel.yaml", 99, &b, &err), 0);
}

static void expect_refusal(struct depot *d, const char *path, int want)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t byte = 0;
	uint64_t size;

	cr_expect_eq(depot_read(d, path, 99999, &b, &err), want, "%s: %s", path, err.text);
	cr_expect_null(strstr(err.text, "root:"), "no content is shown");
	cr_expect_eq(depot_size(d, path, &size, &err), want, "%s", path);
	cr_expect_eq(depot_fetch(d, path, 0, &byte, 1, &err), want, "%s", path);
	cr_expect_eq(depot_fd(d, path, &err), want, "%s", path);
	cr_expect_eq(byte, 0);
}

Test(depot, takes_regular_files_only_and_says_so_at_once)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct sockaddr_un sun = {.sun_family = AF_UNIX, .sun_path = "b/socket"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	run("mkdir b b/directory && mkfifo b/fifo && ln -s /etc/passwd b/link && ln -s b c");
	cr_assert_eq(chdir(scratch), 0);
	cr_assert_eq(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	expect_refusal(d, "b/socket", RC_TYPE);
	close(s);
	alarm(5);
	expect_refusal(d, "b/fifo", RC_TYPE);
	expect_refusal(d, "b/directory", RC_TYPE);
	expect_refusal(d, "b/link", RC_TYPE);
	expect_refusal(d, "c/fifo", RC_PATH);
	expect_refusal(d, "b/absent", RC_ABSENT);
	if (geteuid() == 0 && scratch_run(scratch, "mknod b/device c 1 3") == 0)
		expect_refusal(d, "b/device", RC_TYPE);
	alarm(0);
}

Test(depot, has_no_paths_but_those_of_its_names)
{
	static const char *const bad[] = {"",     ".",   "..",   "/etc/passwd", "a/../b",
					  "a//b", "a/",  "a/.b", ".a/b",        "A",
					  "a b",  "a\n", "a\\b", "a/..",        "\xc3\xa4"};
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		expect_refusal(d, bad[i], RC_PATH);
		cr_expect_eq(depot_post(d, bad[i], bytes_of("x"), &err), RC_PATH, "%s", bad[i]);
		cr_expect_eq(depot_remove(d, bad[i], &err), RC_PATH, "%s", bad[i]);
	}
	run("test -z \"$(ls -A)\"");
}

Test(depot, fetches_any_part_of_a_large_file)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	OWNED(freep) uint8_t *want = pattern(5 * MEGA + 7);
	OWNED(freep) uint8_t *got = malloc(5 * MEGA + 7);
	struct err err = {0};
	uint64_t size = 0;

	cr_assert_eq(depot_post(d, "big", (struct bytes){want, 5 * MEGA + 7}, &err), 0, "%s",
		     err.text);
	cr_assert_eq(depot_size(d, "big", &size, &err), 0);
	cr_assert_eq(size, 5 * MEGA + 7);
	cr_assert_eq(depot_fetch(d, "big", 0, got, 5 * MEGA + 7, &err), 0, "%s", err.text);
	cr_assert_eq(memcmp(got, want, 5 * MEGA + 7), 0);
	cr_assert_eq(depot_fetch(d, "big", 3 * MEGA - 1, got, MEGA + 2, &err), 0);
	cr_assert_eq(memcmp(got, want + 3 * MEGA - 1, MEGA + 2), 0);
	cr_assert_eq(depot_fetch(d, "big", 5 * MEGA, got, 7, &err), 0);
	cr_assert_eq(depot_fetch(d, "big", 5 * MEGA, got, 8, &err), RC_INCOMPLETE);
	cr_assert_eq(depot_fetch(d, "big", 4 * MEGA, got, 2 * MEGA, &err), RC_INCOMPLETE);
	cr_assert_eq(depot_fetch(d, "big", UINT64_MAX - 3, got, 8, &err), RC_LIMIT);
	cr_assert_eq(depot_fetch(d, "absent", 0, got, 0, &err), 0, "nothing is easily had");
	cr_assert_eq(depot_fetch(d, "big", 0, got, 1, &err), 0, "and all of it goes on");
	cr_assert_eq(got[0], want[0]);
}

Test(depot, sees_a_file_that_was_put_in_place_of_a_torn_one)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	uint8_t got[3];

	run("printf xyz >file");
	cr_assert_eq(depot_fetch(d, "file", 0, got, 3, &err), 0);
	cr_assert_eq(depot_post(d, "file", bytes_of("abc"), &err), 0);
	cr_assert_eq(depot_fetch(d, "file", 0, got, 3, &err), 0);
	cr_assert_eq(memcmp(got, "abc", 3), 0);
}

Test(depot, hands_over_a_descriptor_for_reading)
{
	OWNED(depot_freep) struct depot *d = opened(0);
	struct err err = {0};
	char got[4] = "";
	int fd;

	run("printf abc >file");
	fd = depot_fd(d, "file", &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	d = depot_free(d);
	cr_assert_eq(pread(fd, got, 3, 0), 3);
	cr_assert_str_eq(got, "abc");
	cr_assert_eq(write(fd, "x", 1), -1);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	cr_assert_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
}

/* Posting */

Test(depot, posts_into_directories_that_it_makes_and_leaves_no_litter)
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

Test(depot, makes_directories_as_open_as_the_depot_is)
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

Test(depot, posts_nothing_when_it_is_there_already)
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

Test(depot, replaces_what_is_torn_and_follows_no_link)
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

Test(depot, posts_through_no_link)
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

Test(depot, opened_for_reading_changes_nothing)
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

Test(depot, posts_a_bundle_from_pieces)
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

Test(depot, a_source_that_ends_early_leaves_nothing)
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

Test(depot, sweeps_what_a_killed_writer_of_the_bundle_left)
{
	struct depot_piece piece = {0, 3};
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	int fd = store((const uint8_t *)"abc", 3);

	run(": >.x.bundle-0123456789abcdef && : >.y.bundle-0123456789abcdef");
	cr_assert_eq(depot_post_file(d, "x.bundle", bytes_of(""), fd, &piece, 1, 0, NULL, &err), 0);
	run("test \"$(ls -A | tr '\\n' ' ')\" = '.y.bundle-0123456789abcdef x.bundle '");
}

/* Limits of media */

static void mount_tmpfs(const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", scratch, "tmpfs", 0, options) < 0)
		cr_skip_test("mounting needs root");
}

Test(depot, says_how_much_space_is_needed_and_free)
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

Test(depot, a_medium_without_inodes_is_full_too)
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

Test(depot, a_medium_for_reading_only_is_said)
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

Test(depot, works_where_the_kernel_has_no_landlock)
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
Test(depot, hands_a_set_group_id_bit_down_without_setting_it)
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

Test(depot, posts_where_the_file_system_has_few_gifts)
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

Test(depot, an_error_of_the_medium_leaves_nothing_and_is_told)
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

/* Silence */

static void expect_dead(struct depot *d, int want)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	struct seen s = {0};
	uint64_t n;
	uint8_t byte;

	cr_assert_eq(d->child.pid, 0);
	cr_assert_eq(depot_read(d, BEAT, 99, &b, &err), want);
	cr_assert_eq(depot_size(d, BEAT, &n, &err), want);
	cr_assert_eq(depot_fetch(d, BEAT, 0, &byte, 1, &err), want);
	cr_assert_eq(depot_fd(d, BEAT, &err), want);
	cr_assert_eq(depot_list(d, "beats", count, &s, &err), want);
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), want);
	cr_assert_eq(depot_remove(d, BEAT, &err), want);
	cr_assert_eq(depot_free_bytes(d, &n, &err), want);
}

/* A depot whose helper hangs, as it does in the stat of a dead share. */
static struct depot *hung(void)
{
	struct depot *d = NULL;

	run("mkdir -p beats && printf abc >" BEAT);
	cr_assert_eq(depot_open(scratch, DEPOT_WRITE, 1, &d, ERR_IGNORED), 0);
	cr_assert_eq(kill(d->child.pid, SIGSTOP), 0);
	return d;
}

Test(depot, that_is_silent_is_given_up_and_stays_so)
{
	OWNED(depot_freep) struct depot *d = hung();
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	pid_t pid = d->child.pid;

	cr_assert_eq(depot_read(d, BEAT, 99, &b, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, scratch), "%s", err.text);
	cr_assert_eq(kill(pid, 0), -1, "it was killed and waited for");
	alarm(1);
	expect_dead(d, RC_TIMEOUT);
	alarm(0);
}

Test(depot, that_takes_nothing_is_given_up)
{
	OWNED(depot_freep) struct depot *d = hung();
	OWNED(freep) uint8_t *big = pattern(16 * MEGA);
	struct err err = {0};

	cr_assert_eq(depot_post(d, "file", (struct bytes){big, 16 * MEGA}, &err), RC_TIMEOUT);
	expect_dead(d, RC_TIMEOUT);
	run("test ! -e file");
}

static int stop_helper(void *arg, const char *name, uint64_t size, struct err *err)
{
	struct seen *s = arg;

	s->count++;
	if (s->count == 1)
		kill(s->d->child.pid, SIGSTOP);
	return 0;
}

Test(depot, that_falls_silent_within_a_listing_is_given_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct seen s = {.d = d};
	struct err err = {0};

	run("mkdir many && cd many && seq -f 'file-with-a-long-name-%g' 2000 | xargs touch");
	d->silence_ms = 300;
	cr_assert_eq(depot_list(d, "many", stop_helper, &s, &err), RC_TIMEOUT);
	cr_assert_lt(s.count, 2000);
	expect_dead(d, RC_TIMEOUT);
}

Test(depot, whose_helper_dies_says_so_once_and_for_all)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};

	cr_assert_eq(kill(d->child.pid, SIGKILL), 0);
	cr_assert_eq(depot_read(d, BEAT, 99, &b, &err), RC_IO);
	expect_dead(d, RC_IO);
}

Test(depot, freed_while_its_helper_hangs_does_not_wait_for_ever)
{
	struct depot *d = hung();
	pid_t pid = d->child.pid;

	d = depot_free(d);
	cr_assert_eq(kill(pid, 0), -1);
}

/* A child that answers what no helper of ours answers. */
static int liar(void *arg, int fd)
{
	OWNED(buf_clear) struct buf b = BUF_INIT;
	const struct bytes *answer = arg;
	struct err err = {0};
	uint8_t type;

	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0)
		if (frame_send(fd, answer->p[0], (struct bytes){answer->p + 1, answer->n - 1},
			       &err) < 0)
			return 1;
	return 0;
}

Test(depot, whose_helper_talks_nonsense_is_given_up)
{
	static const struct bytes answers[] = {
	    {(const uint8_t *)"\x09", 1}, /* no such answer */
	    {(const uint8_t *)"\x03", 1}, /* data of no bytes */
	    {(const uint8_t *)"\x01"
			      "abc",
	     4}, /* half a failure */
	    {(const uint8_t *)"\x01"
			      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
	     17}, /* of code 0 */
	    {(const uint8_t *)"\x00"
			      "abc",
	     4}, /* too short for a number or a listing */
	};

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
		struct bytes answer = answers[i];
		struct err err = {0};
		struct seen s = {0};
		uint64_t n;

		child_kill(&d->child);
		cr_assert_eq(child_start(liar, &answer, NULL, 0, &d->child, &err), 0);
		if (i % 2 == 0)
			cr_assert_eq(depot_size(d, BEAT, &n, &err), RC_IO, "%zu", i);
		else
			cr_assert_eq(depot_list(d, "beats", count, &s, &err), RC_IO, "%zu", i);
		expect_dead(d, RC_IO);
	}
}

/* Budget */

/* One junk name now and then, and always more to come: it is never silent. */
static int trickler(void *arg, int fd)
{
	struct timespec pause = {.tv_nsec = 20000000};
	OWNED(buf_clear) struct buf b = BUF_INIT, answer = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	if (pack_number(&answer, 0, &err) < 0 || pack_number(&answer, 1, &err) < 0 ||
	    pack_number(&answer, 1, &err) < 0 || pack_number(&answer, 3, &err) < 0 ||
	    pack_text(&answer, "junk", &err) < 0)
		return 1;
	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0) {
		nanosleep(&pause, NULL);
		if (frame_send(fd, TELL_DONE, bytes_in(&answer), &err) < 0)
			return 1;
	}
	return 0;
}

Test(depot, that_trickles_is_given_up_however_often_it_answers)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct seen s = {0};
	struct err err = {0};

	child_kill(&d->child);
	cr_assert_eq(child_start(trickler, NULL, NULL, 0, &d->child, &err), 0);
	d->budget.wait_ms = d->budget.wait_most = 400;
	cr_assert_eq(depot_list(d, "beats", count, &s, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "too slow or too full"), "%s", err.text);
	cr_assert_not_null(strstr(err.text, scratch), "%s", err.text);
	cr_assert(s.count >= 2 && s.count <= 20, "%u", s.count);
	cr_assert(depot_over(d, &err));
	alarm(1);
	expect_dead(d, RC_TIMEOUT);
	alarm(0);
	cr_assert_eq(depot_size(d, BEAT, &s.bytes, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "too slow or too full"), "%s", err.text);
}

Test(depot, that_is_full_of_anything_is_given_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct seen s = {0};
	struct err err = {0};

	run("mkdir b && cd b && seq -f '.junk-%g' 100 | xargs touch && mkdir ours && touch ours/x");
	d->budget.entries = 150;
	cr_assert_eq(depot_list(d, "b", count, &s, &err), 0, "%s", err.text);
	cr_assert_eq(depot_list(d, "b/ours", count, &s, &err), 0, "%s", err.text);
	cr_assert_eq(s.count, 1);
	depot_credit(d, 1000, 0);
	d->budget.entries -= LIMIT_DEPOT_ENTRIES > d->budget.entries ? 950 : 0;
	cr_assert_eq(d->budget.entries, 150 - 101 - 1 + 1000 - 950,
		     "files that prove good win back");
	cr_assert_eq(depot_list(d, "b", count, &s, &err), RC_TIMEOUT, "nothing of it is ours");
	cr_assert_not_null(strstr(err.text, "were listed"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

Test(depot, whose_bytes_bring_nothing_is_given_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t piece[1000];

	run("head -c 1000 /dev/zero >a");
	d->budget.bytes = 2500;
	cr_assert_eq(depot_read(d, "a", 1000, &b, &err), 0, "%s", err.text);
	cr_assert_eq(depot_fetch(d, "a", 0, piece, sizeof(piece), &err), 0, "%s", err.text);
	depot_credit(d, 0, 1000);
	cr_assert_eq(depot_read(d, "a", 1000, &b, &err), 0, "what proved good is not counted");
	cr_assert_eq(depot_fetch(d, "a", 0, piece, sizeof(piece), &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "bytes were read"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

Test(depot, wins_time_back_with_what_proves_good_and_saves_nothing_up)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct depot_budget *b = &d->budget;
	struct err err = {0};

	b->wait_ms = 1000;
	depot_credit(d, 0, 10 * LIMIT_DEPOT_RATE);
	cr_assert(b->wait_ms >= 11000 && b->wait_ms < 11200, "%jd", (intmax_t)b->wait_ms);
	depot_credit(d, 4, 0);
	cr_assert(b->wait_ms >= 12000 && b->wait_ms < 12200, "%jd", (intmax_t)b->wait_ms);
	depot_credit(d, 0, LIMIT_PAYLOAD);
	cr_assert_eq(b->wait_ms, b->wait_most);
	cr_assert_eq(b->bytes, LIMIT_DEPOT_BYTES);
	b->wait_ms = 1000;
	cr_assert_eq(depot_post(d, BEAT, bytes_of("abc"), &err), 0, "%s", err.text);
	cr_assert_gt(b->wait_ms, 1000, "what is written counts by itself");
	depot_hurry(d, 3);
	depot_credit(d, 0, LIMIT_PAYLOAD);
	cr_assert_eq(b->wait_ms, 3000);
	depot_hurry(d, 300);
	cr_assert_eq(b->wait_most, 3000, "never more");
}

Test(depot, counts_what_its_caller_waits_for_by_itself)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};

	cr_assert_eq(depot_waiting(d), d->silence_ms);
	d->budget.wait_ms = 500;
	cr_assert_eq(depot_waiting(d), 500);
	cr_assert_eq(depot_waited(d, clock_monotonic_ms() - 300, &err), 0);
	cr_assert_eq(depot_waited(d, clock_monotonic_ms() - 300, &err), RC_TIMEOUT);
	cr_assert_not_null(strstr(err.text, "it was waited for"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

/* A helper that was taken over: the head of an answer at once, its body after a while. */
static int dawdler(void *arg, int fd)
{
	static const uint8_t head[5] = {1, 0, 0, 0, TELL_DATA};
	struct timespec pause = {.tv_nsec = 100000000};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type;

	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0)
		for (;;) {
			if (send(fd, head, sizeof(head), MSG_NOSIGNAL) < 0)
				return 1;
			nanosleep(&pause, NULL);
			if (send(fd, "x", 1, MSG_NOSIGNAL) < 0)
				return 1;
		}
	return 0;
}

Test(depot, counts_the_wait_for_the_body_of_an_answer)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	uint8_t piece[40];
	int64_t since;

	child_kill(&d->child);
	cr_assert_eq(child_start(dawdler, NULL, NULL, 0, &d->child, &err), 0);
	d->budget.wait_ms = d->budget.wait_most = 500;
	since = clock_monotonic_ms();
	cr_assert_eq(depot_fetch(d, "a", 0, piece, sizeof(piece), &err), RC_TIMEOUT);
	cr_assert_lt(clock_monotonic_ms() - since, 2000);
	cr_assert_not_null(strstr(err.text, "it was waited for"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

/* Another one, which says for ever how far it is. */
static int boaster(void *arg, int fd)
{
	struct timespec pause = {.tv_nsec = 20000000};
	OWNED(buf_clear) struct buf b = BUF_INIT;
	struct err err = {0};
	uint8_t type, raw[16];

	while (frame_receive(fd, ASK_MAX, -1, &type, &b, &err) > 0)
		for (unsigned i = 0;; i++) {
			put_u64(raw, type == ASK_POST ? PHASE_POST : PHASE_VERIFY);
			put_u64(raw + 8, i % 2 == 0 ? LIMIT_PAYLOAD : 0);
			nanosleep(&pause, NULL);
			if (frame_send(fd, TELL_ALIVE, (struct bytes){raw, sizeof(raw)}, &err) < 0)
				return 1;
		}
	return 0;
}

static void boasted(int (*ask)(struct depot *d, struct err *err))
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE);
	struct err err = {0};
	int64_t since;

	child_kill(&d->child);
	cr_assert_eq(child_start(boaster, NULL, NULL, 0, &d->child, &err), 0);
	d->budget.wait_ms = d->budget.wait_most = 500;
	since = clock_monotonic_ms();
	cr_assert_eq(ask(d, &err), RC_TIMEOUT);
	cr_assert_lt(clock_monotonic_ms() - since, 4000);
	cr_assert_not_null(strstr(err.text, "it was waited for"), "%s", err.text);
	expect_dead(d, RC_TIMEOUT);
}

static int ask_post(struct depot *d, struct err *err)
{
	return depot_post(d, BEAT, bytes_of("abc"), err);
}

static int ask_commit(struct depot *d, struct err *err)
{
	return depot_stream_commit(d, err);
}

static int ask_list(struct depot *d, struct err *err)
{
	struct seen s = {0};

	return depot_list(d, "beats", count, &s, err);
}

Test(depot, wins_nothing_back_by_saying_that_it_works)
{
	boasted(ask_post);
	boasted(ask_commit);
	boasted(ask_list);
}

Test(depot, wins_back_no_more_than_the_bytes_that_are_written)
{
	OWNED(depot_freep) struct depot *d = opened(DEPOT_WRITE | DEPOT_VERIFY);
	OWNED(freep) uint8_t *big = pattern(4 * MEGA);
	struct err err = {0};

	d->budget.wait_most = 1000000;
	d->budget.wait_ms = 100000;
	cr_assert_eq(depot_post(d, "big", (struct bytes){big, 4 * MEGA}, &err), 0, "%s", err.text);
	cr_assert_gt(d->budget.wait_ms, 100000 + 50000, "a large file on a slow stick may come");
	cr_assert_leq(d->budget.wait_ms, 100000 + 65000);
	d->budget.wait_ms = 100000;
	cr_assert_eq(depot_post(d, "big", (struct bytes){big, 4 * MEGA}, &err), 0, "%s", err.text);
	cr_assert_gt(d->budget.wait_ms, 100000 + 50000, "and be compared when it is there");
	d->budget.wait_ms = 100000;
	cr_assert_eq(depot_stream_begin(d, "more", 4 * MEGA, false, &err), 0, "%s", err.text);
	cr_assert_eq(depot_stream_more(d, (struct bytes){big, 4 * MEGA}, &err), 0);
	cr_assert_eq(depot_stream_commit(d, &err), 0, "%s", err.text);
	cr_assert_gt(d->budget.wait_ms, 100000 + 100000, "in pieces: written and read back");
}

/* In pieces */

static void more(struct depot *d, const char *text)
{
	struct err err = {0};

	cr_assert_eq(depot_stream_more(d, bytes_of(text), &err), 0, "%s", err.text);
}

Test(depot, takes_a_file_in_pieces_and_names_it_when_it_is_whole)
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

Test(depot, leaves_nothing_of_a_file_that_was_not_finished)
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
