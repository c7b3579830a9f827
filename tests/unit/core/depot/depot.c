/* SPDX-License-Identifier: ISC */
#include "tests/support/depot.h"

TestSuite(depot, .init = scratch_setup, .fini = scratch_teardown, .timeout = 60);

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
