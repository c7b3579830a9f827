/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/tree/scan.h"
#include "tests/support/scratch.h"

/* A directory "tree" to scan, a database beside it, and what the last scan said. */
struct box {
	char dir[SCRATCH_PATH];
	int rootfd;      /* owned; of "tree" */
	struct db *db;   /* owned */
	struct index *x; /* owned */
	struct buf said; /* "N path", "C path", "G path", "S path: why", one a line */
	struct buf news; /* paths of what is new or changed, with kinds, for the index */
	struct scan_counts counts;
};

static void box_open(struct box *b)
{
	static const struct db_schema *const rooms[] = {&index_schema};
	static const struct db_layout layout = {.application_id = 1, .room = rooms, .rooms = 1};
	struct err err = {0};
	char path[SCRATCH_PATH + 16];

	memset(b, 0, sizeof(*b));
	scratch_make(b->dir);
	snprintf(path, sizeof(path), "%s/tree", b->dir);
	cr_assert_eq(mkdir(path, 0755), 0);
	b->rootfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/db", b->dir);
	cr_assert_eq(db_open(path, &layout, &b->db, &err), 0, "%s", err.text);
	cr_assert_eq(index_open(b->db, "t", &b->x, &err), 0);
	cr_assert_eq(db_begin(b->db, &err), 0);
}

static void box_close(struct box *b)
{
	index_freep(&b->x);
	db_freep(&b->db);
	fd_closep(&b->rootfd);
	buf_clear(&b->said);
	buf_clear(&b->news);
	scratch_remove(b->dir);
}

static void run(struct box *b, const char *command)
{
	char path[SCRATCH_PATH + 16];

	snprintf(path, sizeof(path), "%s/tree", b->dir);
	cr_assert_eq(scratch_run(path, command), 0, "%s", command);
}

static int64_t nanoseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What the index keeps of a stat. */
static void entry_stat(struct entry *e, const struct stat *st)
{
	e->mode = (uint16_t)(st->st_mode & 07777);
	e->size = S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size;
	e->mtime = e->disk_mtime = nanoseconds(st->st_mtim);
	e->ctime = nanoseconds(st->st_ctim);
	e->dev = (uint64_t)st->st_dev;
	e->ino = (uint64_t)st->st_ino;
}

static int hear(void *arg, const struct scan_item *it, struct err *err)
{
	struct box *b = arg;
	int rc = buf_printf(&b->said, err, "%c %s%s%s\n", "NCGS"[it->what], it -> path,
			    it -> why != NULL ? ": " : "", it->why != NULL ? it->why : "");

	cr_assert_eq(it->st == NULL, it->what == SCAN_GONE);
	if (it->what != SCAN_SKIPPED)
		cr_assert_eq(it->old == NULL, it->what == SCAN_NEW);
	cr_assert_eq(it->why != NULL, it->what == SCAN_SKIPPED);
	return rc;
}

static int scan(struct box *b, const struct scan_options *o, struct err *err)
{
	static const struct scan_options usual = {.racy_after = INT64_MAX};

	buf_reset(&b->said);
	buf_reset(&b->news);
	cr_assert_eq(buf_text(&b->said, "", err), 0);
	return scan_tree(b->rootfd, b->x, o != NULL ? o : &usual, hear, b, &b->counts, err);
}

static void says(struct box *b, const struct scan_options *o, const char *want)
{
	struct err err = {0};

	cr_assert_eq(scan(b, o, &err), 0, "%s", err.text);
	cr_assert_str_eq((const char *)b->said.p, want);
}

/* Take what is on disk into the index, as a publisher does after reading everything. */
struct record {
	struct entry e;
	char path[LIMIT_PATH + 1];
};

static int keep(void *arg, const struct scan_item *it, struct err *err)
{
	struct box *b = arg;
	struct record r = {.path = ""};

	if (it->what == SCAN_SKIPPED)
		return 0;
	snprintf(r.path, sizeof(r.path), "%s", it->path);
	if (it->what != SCAN_GONE) {
		strcpy(r.e.owner, "-");
		r.e.kind = it->kind;
		entry_stat(&r.e, it->st);
		if (it->target != NULL)
			snprintf(r.e.target, sizeof(r.e.target), "%s", it->target);
	}
	return buf_add(&b->news, &r, sizeof(r), err);
}

/* Removals from below to above, then the rest from above to below. */
static void settle(struct box *b)
{
	static const struct scan_options o = {.racy_after = INT64_MAX};
	struct err err = {0};
	struct record *r;
	size_t n;

	buf_reset(&b->news);
	cr_assert_eq(scan_tree(b->rootfd, b->x, &o, keep, b, &b->counts, &err), 0, "%s", err.text);
	r = (struct record *)(void *)b->news.p;
	n = b->news.n / sizeof(*r);
	for (size_t i = n; i-- > 0;)
		if (r[i].e.kind == 0)
			cr_assert_eq(index_remove(b->x, r[i].path, &err), 0, "%s", err.text);
	for (size_t i = 0; i < n; i++)
		if (r[i].e.kind != 0)
			cr_assert_eq(index_put(b->x, r[i].path, &r[i].e, &err), 0, "%s", err.text);
}

/* Tests */

Test(scan, first_scan_finds_what_find_finds)
{
	OWNED(box_close) struct box b;
	OWNED(freep) char *want = NULL;
	char path[SCRATCH_PATH + 16];
	struct err err = {0};
	size_t room = 0;
	FILE *f;

	box_open(&b);
	run(&b, "mkdir -p a/b/c a-b 'a b' e; for i in 1 2 3 10 20; do echo $i >a/b/$i; done;"
		"touch a.x a/z 'a-b/new\nline' \"$(printf 'bad\\377utf')\"; ln -s /nowhere link;"
		"ln a.x a/hard; ln -s b a/dirlink; seq 300 | sed 's/^/e\\/many/' | xargs touch");
	/* C order on the path with / as the lowest byte; NUL between, so that any name works. */
	run(&b, "find . -mindepth 1 -printf 'N %P\\0' | LC_ALL=C tr '/' '\\001' |"
		"LC_ALL=C sort -z | LC_ALL=C tr '\\001\\000' '/\\n' >../want");
	snprintf(path, sizeof(path), "%s/want", b.dir);
	f = fopen(path, "r");
	cr_assert_neq(getdelim(&want, &room, 0, f), -1);
	fclose(f);
	says(&b, NULL, want);
	cr_assert_eq(b.counts.entries, 318);
	cr_assert_eq(b.counts.files, 310);
	settle(&b);
	says(&b, NULL, "");
	cr_assert_eq(b.counts.entries, 318);
	cr_assert_eq(err.rc, 0);
}

Test(scan, only_differences_are_reported_and_vanished_directories_in_full)
{
	OWNED(box_close) struct box b;

	box_open(&b);
	run(&b, "mkdir -p d/e/f k; echo 1 >d/e/f/x; echo 2 >d/y; echo 3 >k/z; ln -s a l");
	settle(&b);
	run(&b, "echo 22 >>d/y");
	says(&b, NULL, "C d/y\n");
	settle(&b);
	run(&b, "chmod 600 d/y; chmod 700 k");
	says(&b, NULL, "C d/y\nC k\n");
	settle(&b);
	run(&b, "ln -sfn bb l");
	says(&b, NULL, "C l\n");
	settle(&b);
	run(&b, "touch -d '2001-01-01 01:01:01.5' k k/z");
	says(&b, NULL, "C k\nC k/z\n");
	settle(&b);
	run(&b, "rm -r d/e");
	says(&b, NULL, "C d\nG d/e\nG d/e/f\nG d/e/f/x\n");
	settle(&b);
	run(&b, "mkdir -p a/n; touch a/n/1 zz");
	says(&b, NULL, "N a\nN a/n\nN a/n/1\nN zz\n");
	settle(&b);
	says(&b, NULL, "");
}

static int64_t ctime_of(struct box *b, const char *path)
{
	struct stat st;

	cr_assert_eq(fstatat(b->rootfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec;
}

Test(scan, content_that_changed_behind_an_equal_size_and_time_shows_in_ctime_or_inode)
{
	OWNED(box_close) struct box b;
	int64_t before;

	box_open(&b);
	run(&b, "echo one >a; echo one >b; touch -d @1000000000 a b");
	settle(&b);
	/* The kernel's clock ticks; wait until a change gets another ctime. */
	before = ctime_of(&b, "a");
	do
		run(&b, "echo two >a; touch -d @1000000000 a");
	while (ctime_of(&b, "a") == before);
	run(&b, "echo two >c; touch -d @1000000000 c; mv c b");
	says(&b, NULL, "C a\nC b\n");
}

Test(scan, racy_files_and_links_are_looked_at_again)
{
	OWNED(box_close) struct box b;
	struct scan_options o = {.racy_after = INT64_MIN};

	box_open(&b);
	run(&b, "mkdir d; echo x >d/f; ln -s d/f l; touch -d @2000000000 d/f");
	settle(&b);
	says(&b, &o, "C d/f\n"); /* a link is read at once, and is the same */
	o.racy_after = 2000000000 * 1000000000ll;
	says(&b, &o, "C d/f\n");
	o.racy_after++;
	says(&b, &o, "");
	run(&b, "touch -d @1000 d/f");
	settle(&b);
	o.racy_after = ctime_of(&b, "d/f");
	says(&b, &o, "C d/f\n"); /* by its ctime */
	o.racy_after++;
	says(&b, &o, "");
}

Test(scan, an_entry_that_became_another_kind_is_changed_and_what_it_held_is_gone)
{
	OWNED(box_close) struct box b;

	box_open(&b);
	run(&b, "mkdir -p d/sub; touch d/sub/1 d/2 f z; mkdir l");
	settle(&b);
	run(&b, "rm -r d; echo now a file >d; rm f; mkdir f; touch f/new; rmdir l; ln -s d l");
	says(&b, NULL, "C d\nG d/2\nG d/sub\nG d/sub/1\nC f\nN f/new\nC l\n");
	settle(&b);
	says(&b, NULL, "");
}

Test(scan, excluded_entries_are_not_there)
{
	static const char *const globs[] = {"*.o", "build", "a/*/tmp", "dir/keep", "log/"};
	struct scan_options o = {.racy_after = INT64_MAX, .exclude = globs, .excludes = 5};
	OWNED(box_close) struct box b;

	box_open(&b);
	run(&b, "mkdir -p build/x a/b/tmp a/b/c/tmp dir/keep dir/log src; touch src/x.o src/x.c;"
		"touch build/x/y a/b/tmp/1 dir/keep/1 dir/other dir/log/1 src/log");
	says(&b, &o,
	     "N a\nN a/b\nN a/b/c\nN a/b/c/tmp\nN dir\nN dir/other\nN src\nN src/log\n"
	     "N src/x.c\n");
	cr_assert_eq(b.counts.entries, 9);
	settle(&b); /* with them */
	says(&b, &o,
	     "G a/b/tmp\nG a/b/tmp/1\nG build\nG build/x\nG build/x/y\nG dir/keep\n"
	     "G dir/keep/1\nG dir/log\nG dir/log/1\nG src/x.o\n");
}

Test(scan, devices_sockets_and_fifos_are_skipped_and_never_opened)
{
	OWNED(box_close) struct box b;

	box_open(&b);
	run(&b, "echo x >pipe; mkdir d; touch d/1; mkdir sock; touch sock/1");
	settle(&b);
	run(&b,
	    "rm pipe; mkfifo pipe a; rm -r sock;"
	    "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'");
	says(&b, NULL,
	     "S a: it is a fifo\nS pipe: it is a fifo\nG pipe\n"
	     "S sock: it is a socket\nG sock\nG sock/1\n");
	cr_assert_eq(b.counts.entries, 2);
}

Test(scan, paths_beyond_the_limits_are_skipped)
{
	OWNED(box_close) struct box b;
	OWNED(buf_clear) struct buf want = BUF_INIT;
	struct err err = {0};
	char name[LIMIT_NAME + 1], path[LIMIT_PATH + 300] = "";
	int fd;

	box_open(&b);
	/* 15 names of 255 bytes, one of 254, then one more byte is allowed and two are not. */
	fd = dup(b.rootfd);
	for (int i = 0; i < 16; i++) {
		int next;

		memset(name, 'n', sizeof(name));
		name[i < 15 ? 255 : 254] = '\0';
		cr_assert_eq(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
		if (i > 0)
			strcat(path, "/");
		strcat(path, name);
		cr_assert_eq(buf_printf(&want, &err, "N %s\n", path), 0);
	}
	cr_assert_eq(strlen(path), LIMIT_PATH - 2);
	cr_assert_eq(symlinkat("x", fd, "a"), 0);
	cr_assert_eq(symlinkat("x", fd, "bb"), 0);
	cr_assert_eq(mkdirat(fd, "d", 0755), 0); /* nothing would fit into it */
	close(fd);
	cr_assert_eq(buf_printf(&want, &err,
				"N %s/a\nS %s/bb: its path is too long or too deep\n"
				"S %s/d: its path is too long or too deep\n",
				path, path, path),
		     0);
	says(&b, NULL, (const char *)want.p);
}

Test(scan, directories_beyond_the_limit_of_depth_are_skipped)
{
	OWNED(box_close) struct box b;
	struct err err = {0};

	box_open(&b);
	run(&b, "p=$(seq -s/ 258 | sed 's/[0-9][0-9]*/d/g'); mkdir -p \"$p\"");
	cr_assert_eq(scan(&b, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(b.counts.entries, LIMIT_DEPTH);
	cr_assert_not_null(
	    strstr((const char *)b.said.p, "/d: its path is too long or too deep\n"));
}

Test(scan, a_directory_that_cannot_be_read_is_an_error_and_not_empty)
{
	OWNED(box_close) struct box b;
	struct err err = {0};

	box_open(&b);
	if (geteuid() == 0)
		cr_skip_test("root reads everything");
	run(&b, "mkdir d; touch d/f");
	settle(&b);
	run(&b, "chmod 0 d");
	cr_assert_eq(scan(&b, NULL, &err), RC_IO);
	cr_assert_not_null(strstr(err.text, "\"d\""));
	run(&b, "chmod 700 d");
}

Test(scan, set_id_bits_count_only_where_they_are_part_of_the_tree)
{
	struct scan_options plain = {.racy_after = INT64_MAX, .flags = SCAN_PLAIN_MODES};
	OWNED(box_close) struct box b;

	box_open(&b);
	run(&b, "touch f; mkdir d; chmod 755 f d");
	settle(&b);
	run(&b, "chmod 3755 d");
	says(&b, &plain, "");
	says(&b, NULL, "C d\n");
}

Test(scan, owners_count_only_where_they_are_part_of_the_tree)
{
	struct scan_options owners = {.racy_after = INT64_MAX, .flags = SCAN_OWNERS};
	OWNED(box_close) struct box b;
	struct entry e;
	struct err err = {0};

	box_open(&b);
	run(&b, "touch f g");
	settle(&b);
	cr_assert_eq(index_get(b.x, "f", &e, &err), 1);
	strcpy(e.owner, "somebody:else");
	cr_assert_eq(index_put(b.x, "f", &e, &err), 0);
	says(&b, NULL, "");
	says(&b, &owners, "C f\n");
}

Test(scan, a_file_with_another_inode_device_or_size_is_changed)
{
	OWNED(box_close) struct box b;
	struct entry e;
	struct err err = {0};

	box_open(&b);
	run(&b, "echo x >f");
	settle(&b);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(index_get(b.x, "f", &e, &err), 1);
		*(i == 0 ? &e.ino : i == 1 ? &e.dev : &e.size) += 1;
		cr_assert_eq(index_put(b.x, "f", &e, &err), 0);
		says(&b, NULL, "C f\n");
		settle(&b);
		says(&b, NULL, "");
	}
}

Test(scan, times_that_a_target_cannot_hold_are_compared_with_what_it_held)
{
	struct scan_options disk = {.racy_after = INT64_MAX, .flags = SCAN_DISK_TIMES};
	OWNED(box_close) struct box b;
	struct entry e;
	struct err err = {0};

	box_open(&b);
	run(&b, "touch f; mkdir d");
	settle(&b);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(index_get(b.x, i == 0 ? "f" : "d", &e, &err), 1);
		e.mtime += 12345;
		cr_assert_eq(index_put(b.x, i == 0 ? "f" : "d", &e, &err), 0);
	}
	says(&b, &disk, "");
	says(&b, NULL, "C d\nC f\n");
}

static int refuse(void *arg, const struct scan_item *it, struct err *err)
{
	return err_set(err, RC_POLICY, "enough");
}

Test(scan, a_callback_ends_it)
{
	static const struct scan_options o = {.racy_after = INT64_MAX};
	OWNED(box_close) struct box b;
	struct err err = {0};

	box_open(&b);
	run(&b, "touch f");
	cr_assert_eq(scan_tree(b.rootfd, b.x, &o, refuse, NULL, &b.counts, &err), RC_POLICY);
	says(&b, NULL, "N f\n");
}

Test(scan, what_is_mounted_in_the_tree_is_skipped_and_never_entered)
{
	OWNED(box_close) struct box b;
	char from[SCRATCH_PATH + 32], to[SCRATCH_PATH + 32];

	box_open(&b);
	run(&b, "mkdir d m; touch d/1 m/1 f; echo x >d/g");
	settle(&b);
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		cr_skip_test("mount namespaces are not to be had here");
	cr_assert_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	/* A descriptor in the new namespace: the old one sees the mounts of the old. */
	fd_closep(&b.rootfd);
	snprintf(from, sizeof(from), "%s/tree", b.dir);
	b.rootfd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The same file system, so that its device number says nothing. */
	snprintf(from, sizeof(from), "%s/tree/d", b.dir);
	snprintf(to, sizeof(to), "%s/tree/m", b.dir);
	cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
	says(&b, NULL, "S m: another file system is mounted here\nG m\nG m/1\n");
	cr_assert_eq(umount(to), 0);
	says(&b, NULL, "");
	snprintf(from, sizeof(from), "%s/tree/d/g", b.dir);
	snprintf(to, sizeof(to), "%s/tree/f", b.dir);
	cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
	says(&b, NULL, "S f: another file system is mounted here\nG f\n");
	cr_assert_eq(umount(to), 0);
}

/* What every scan of a tree of many directories says, whoever read them. */
Test(scan, a_large_tree_is_read_ahead_in_the_right_order)
{
	OWNED(box_close) struct box b;
	const char *last = "";
	size_t lines = 0;

	box_open(&b);
	run(&b, "for i in $(seq 40); do mkdir -p d$i/e/f/g d$i/x$i; done;"
		"for i in $(seq 40); do seq -f d$i/e/f%.0f 20; seq -f d$i/e/f/g/%.0f 20;"
		"seq -f d$i/x$i/%.0f 7; done | xargs touch");
	for (int round = 0; round < 20; round++) {
		struct err err = {0};

		cr_assert_eq(scan(&b, NULL, &err), 0, "%s", err.text);
		cr_assert_eq(b.counts.entries, 40 * (5 + 20 + 20 + 7));
	}
	for (char *line = strtok((char *)b.said.p, "\n"); line; line = strtok(NULL, "\n")) {
		cr_assert_lt(path_compare(last, line + 2), 0, "%s before %s", last, line);
		last = line + 2;
		lines++;
	}
	cr_assert_eq(lines, b.counts.entries);
	settle(&b);
	says(&b, NULL, "");
	run(&b, "touch -d @5 d7/e/f/g/3; rm -r d9/x9");
	says(&b, NULL,
	     "C d7/e/f/g/3\nC d9\nG d9/x9\nG d9/x9/1\nG d9/x9/2\nG d9/x9/3\nG d9/x9/4\n"
	     "G d9/x9/5\nG d9/x9/6\nG d9/x9/7\n");
}

static int stop_soon(void *arg, const struct scan_item *it, struct err *err)
{
	return --*(int *)arg == 0 ? err_set(err, RC_POLICY, "enough") : 0;
}

Test(scan, a_scan_that_is_ended_leaves_nothing_running)
{
	static const struct scan_options o = {.racy_after = INT64_MAX};
	OWNED(box_close) struct box b;
	struct err err = {0};

	box_open(&b);
	run(&b, "for i in $(seq 60); do mkdir -p d$i/e; touch d$i/1 d$i/e/2; done");
	for (int n = 1; n < 240; n += 13) {
		int left = n;

		cr_assert_eq(scan_tree(b.rootfd, b.x, &o, stop_soon, &left, &b.counts, &err),
			     RC_POLICY);
	}
}

Test(scan, a_directory_of_more_entries_than_are_read_ahead_is_complete)
{
	OWNED(box_close) struct box b;
	struct err err = {0};

	box_open(&b);
	run(&b, "seq -f f%05.0f 9000 | xargs touch; mkdir zz; touch zz/1; ln -s a zzz; mkdir zzzz");
	cr_assert_eq(scan(&b, NULL, &err), 0, "%s", err.text);
	cr_assert_eq(b.counts.entries, 9004);
	cr_assert_str_eq((const char *)b.said.p + b.said.n - 25, "N zz\nN zz/1\nN zzz\nN zzzz\n");
	settle(&b);
	says(&b, NULL, "");
}

/* A guard that refuses one directory, or one file by its inode. */
struct warden {
	const char *folder;
	uint64_t ino;
};

static int warden_folder(void *arg, const char *path, int fd, const char *const *names, size_t n,
			 struct err *err)
{
	const struct warden *w = arg;

	(void)fd;
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i - 1], names[i]) >= 0)
			return err_set(err, RC_INTERNAL, "names out of order");
	return w->folder != NULL && strcmp(path, w->folder) == 0 ? err_set(err, RC_POLICY, "no")
								 : 0;
}

static int warden_file(void *arg, const char *path, uint64_t dev, uint64_t ino, struct err *err)
{
	const struct warden *w = arg;

	(void)dev;
	return ino == w->ino ? err_set(err, RC_POLICY, "not %s", path) : 0;
}

static int nothing_said(void *arg, const struct scan_item *item, struct err *err)
{
	(void)item;
	++*(size_t *)arg;
	return 0;
}

static int guarded(struct box *b, struct warden w, size_t *ret_said, struct err *err)
{
	const struct scan_guard guard = {warden_folder, warden_file, &w};
	const struct scan_options o = {.guard = &guard};

	*ret_said = 0;
	*err = (struct err){0};
	return scan_tree(b->rootfd, b->x, &o, nothing_said, ret_said, &b->counts, err);
}

Test(scan, a_guard_sees_every_directory_and_file_before_it_is_reported)
{
	OWNED(box_close) struct box b;
	struct err err;
	struct stat st;
	size_t said;

	box_open(&b);
	run(&b, "mkdir -p a/b/c; echo x > a/b/c/f; echo y > a/g");
	cr_assert_eq(guarded(&b, (struct warden){NULL, 0}, &said, &err), 0, "%s", err.text);
	cr_expect_eq(said, 5);
	cr_expect_eq(guarded(&b, (struct warden){"", 0}, &said, &err), RC_POLICY);
	cr_expect_eq(said, 0);
	cr_expect_eq(guarded(&b, (struct warden){"a/b/c", 0}, &said, &err), RC_POLICY);
	cr_expect_str_eq(err.text, "\"a/b/c\": no");
	cr_assert_eq(fstatat(b.rootfd, "a/b/c/f", &st, 0), 0);
	cr_expect_eq(guarded(&b, (struct warden){NULL, st.st_ino}, &said, &err), RC_POLICY);
	cr_expect_str_eq(err.text, "not a/b/c/f");
	cr_expect_eq(said, 3, "the directories, and no file");
}
