/* SPDX-License-Identifier: ISC */
/*
 * A file that others may write is theirs at any time: between two looks of root's, while it is
 * copied, and after it was placed.  Their side is played by commands that run at such a moment.
 */
#include "tests/support/fault.h"

#include <grp.h>
#include <linux/fs.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "applier/apply/apply_internal.h"
#include "tests/support/apply_tree.h"

TestSuite(apply_exposed, .timeout = 120);

#define TARGET "cd root/srv/office && "

static int run(struct world *w, const char *command)
{
	return scratch_run(w->dir, command);
}

static int64_t deviations(struct world *w)
{
	int64_t n = 0;

	cr_assert_eq(db_int(w->s.db, &w->err, &n, "SELECT count(*) FROM apply_deviation", ""), 1);
	return n;
}

/** The row of a path, as the station has it now. */
static void row_of(struct world *w, const char *path, struct entry *ret)
{
	struct index *x;

	OK(w, index_open(w->s.db, "office", &x, &w->err));
	cr_assert_eq(index_get(x, path, ret, &w->err), 1);
	index_free(x);
}

/* Reading */

struct counter {
	struct reporter reporter;
	int n;
};

static void count(struct reporter *reporter, const char *phase, uint64_t done, uint64_t total,
		  uint64_t items, uint64_t items_total)
{
	struct counter *c = (struct counter *)reporter;

	c->n += strcmp(phase, "comparing") == 0;
}

struct looked {
	struct world w;
	struct apply *a;
	int dir, file; /* the target; "tool" for writing */
	struct counter counter;
	struct entry row;
};

static void look_make(struct looked *k, struct bytes content)
{
	struct maker m = {0};
	char path[2 * LIMIT_PATH];

	world_make(&k->w);
	k->counter.reporter = (struct reporter){.progress = count};
	make_put_bytes(&m, "tool", 0644, T0, content);
	world_apply(&k->w, &m, 0, 1);
	row_of(&k->w, "tool", &k->row);
	disk_path(&k->w, path, "");
	k->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	disk_path(&k->w, path, "tool");
	k->file = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(k->dir >= 0 && k->file >= 0);
	k->w.s.reporter = &k->counter.reporter;
	OK(&k->w, apply_judge_new(&k->w.s, k->dir, &k->a, &k->w.err));
}

static void look_clear(struct looked *k)
{
	apply_judge_freep(&k->a);
	close(k->dir);
	close(k->file);
	world_clear(&k->w);
}

Test(apply_exposed, no_more_is_read_than_the_signed_size)
{
	static struct looked k;
	struct digest d;
	int fd;

	look_make(&k, bytes_of("the tool\n"));
	cr_expect_eq(apply_judge_file(k.a, "tool", &k.row), 1);
	fd = openat(k.dir, "tool", O_PATH | O_CLOEXEC);
	cr_expect_eq(fd_digest(k.a, fd, 9, &d), 1);
	cr_expect(digest_equal(&d, &k.row.digest));
	/* Between the look and the reading. */
	cr_assert_eq(ftruncate(k.file, 1ll << 43), 0);
	cr_expect_eq(fd_digest(k.a, fd, 9, &d), 0);
	cr_expect_eq(apply_judge_file(k.a, "tool", &k.row), 0);
	cr_assert_eq(ftruncate(k.file, 3), 0);
	cr_expect_eq(fd_digest(k.a, fd, 9, &d), 0);
	cr_expect_leq(k.a->compared, 3 * ARENA_BYTES);
	close(fd);
	look_clear(&k);
}

Test(apply_exposed, who_waits_hears_of_it_while_a_large_file_is_compared)
{
	static struct looked k;
	struct digest d;
	int fd;

	look_make(&k, bytes_of("the tool\n"));
	cr_assert_eq(ftruncate(k.file, 100ll << 20), 0);
	fd = openat(k.dir, "tool", O_PATH | O_CLOEXEC);
	cr_expect_eq(fd_digest(k.a, fd, 100ull << 20, &d), 1);
	cr_expect_eq(k.counter.n, 100 / 16);
	close(fd);
	look_clear(&k);
}

/* Copying */

static struct {
	const char *command, *dir; /* before the blocks are shared */
} clone_race;

/** Where the file system of the tests shares no blocks: all that is there by now, as it would. */
static int clone_play(int out, int in)
{
	char b[4096];
	off_t at = 0;
	ssize_t n;

	if (clone_race.command == NULL || scratch_run(clone_race.dir, clone_race.command) != 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	while ((n = pread(in, b, sizeof(b), at)) > 0) {
		if (pwrite(out, b, (size_t)n, at) != n)
			return -1;
		at += n;
	}
	return n < 0 ? -1 : 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *argument;

	va_start(ap, request);
	argument = va_arg(ap, void *);
	va_end(ap);
	if (request == FICLONE)
		return clone_play(fd, (int)(intptr_t)argument);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}
#pragma GCC diagnostic pop

/** A bundle that makes the daemon's own copy of a tool of ${size} bytes root's and set-id. */
static void cloned(size_t size, const char *command, int expect)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;
	char *content = malloc(size), test[256];

	memset(content, 'x', size);
	world_make(&w);
	w.target.owners = w.target.special_modes = true;
	make_put_bytes(&m, "tool", 0755, T0, (struct bytes){(uint8_t *)content, size});
	world_apply(&w, &m, 0, 1);
	cr_assert_eq(run(&w, TARGET "chown daemon:daemon tool && chmod 755 tool"), 0);
	make_meta(&m, ENTRY_FILE, "tool", 04755, T0 + 5);
	bundle_make(&w, &m, 1, 2, &b);
	w.target.local = LOCAL_REPLACE; /* of the original, which is longer by now */
	clone_race.command = command;
	clone_race.dir = w.dir;
	cr_expect_eq(world_try(&w, &b, 0), expect, "%s", w.err.text);
	clone_race.command = NULL;
	snprintf(test, sizeof(test), TARGET "test \"$(stat -c %%U:%%a:%%s tool)\" = root:4755:%zu",
		 size);
	cr_expect_eq(run(&w, test) == 0, expect == 0, "%zu bytes: %s", size, command);
	buf_clear(&b.blocks);
	free(content);
	world_clear(&w);
}

Test(apply_exposed, a_copy_that_shares_blocks_has_no_more_than_what_was_signed)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	cloned(100000, "true", 0);
	cloned(100000, TARGET "printf evil >> tool", 0);
	cloned(300000, TARGET "printf evil >> tool", 0);
	cloned(100000, TARGET "truncate -s 70000 tool", RC_AGAIN);
	cloned(100000, TARGET "printf evil | dd of=tool conv=notrunc status=none", RC_AGAIN);
}

/* After it was placed */

static struct {
	const char *name, *command, *dir;
} race;

static void race_now(const char *from, const char *to)
{
	if (race.command == NULL || (strcmp(from, race.name) != 0 && strcmp(to, race.name) != 0))
		return;
	cr_assert_eq(scratch_run(race.dir, race.command), 0);
	race.command = NULL;
}

static int raced(struct world *w, struct maker *m, uint64_t base, const char *command)
{
	struct made_bundle b;
	int rc;

	make_put(m, "zz", "last\n");
	bundle_make(w, m, base, 2, &b);
	race.name = "zz";
	race.command = command;
	race.dir = w->dir;
	fault.before = race_now;
	rc = world_try(w, &b, 0);
	fault.before = NULL;
	cr_assert_null(race.command, "it never came to that");
	buf_clear(&b.blocks);
	return rc;
}

/* As long as before, and with the time that was published. */
#define EVIL                                                               \
	TARGET "printf 'evil tool' | head -c 8 > tool && echo >> tool && " \
	       "touch -d @1700000000.123456789 tool"

static void exposed(unsigned mode, const char *owner, uint64_t base, const char *command,
		    int64_t deviates)
{
	struct maker m = {0};
	struct world w;
	struct entry *e = calloc(1, sizeof(*e));

	world_make(&w);
	w.target.owners = true;
	make_put(&m, "other", "other\n");
	if (base == 0)
		strcpy(make_put_bytes(&m, "tool", mode, T0, bytes_of("the tool\n"))->owner, owner);
	world_apply(&w, &m, 0, 1);
	if (base == 0)
		make_put(&m, "other", "other\n");
	strcpy(make_put_bytes(&m, "tool", mode, T0, bytes_of("the tool\n"))->owner, owner);
	cr_expect_eq(raced(&w, &m, base, command), 0, "%s", w.err.text);
	cr_expect_eq(deviations(&w), deviates, "%o %s: %s", mode, owner, command);
	row_of(&w, "tool", e);
	cr_expect_eq(e->ino == 0, deviates > 0, "%o %s: %s", mode, owner, command);
	free(e);
	world_clear(&w);
}

Test(apply_exposed, what_its_owner_writes_after_it_was_placed_is_told)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	for (uint64_t base = 0; base < 2; base++) {
		exposed(0644, "daemon:daemon", base, EVIL, 1);
		exposed(0664, "-", base, EVIL, 1);
		exposed(0666, "-", base, EVIL, 1);
		exposed(0644, "daemon:daemon", base, "true", 0);
		exposed(0664, "-", base, "true", 0);
		exposed(0644, "-", base, "true", 0);
	}
}

Test(apply_exposed, what_its_owner_touched_and_left_as_it_was_is_certain)
{
	if (geteuid() != 0)
		cr_skip("needs root");
	exposed(0644, "daemon:daemon", 0, TARGET "chmod 600 tool && chmod 644 tool", 0);
	exposed(0644, "daemon:daemon", 1, TARGET "chmod 600 tool && chmod 644 tool", 0);
}

/* Looking */

/** Not root: the owner is not ours to give, so there are no set-id bits. */
static int adapted(struct looked *k)
{
	struct entry *e = &k->row;
	struct stat st;

	if (setgroups(0, NULL) < 0 || setgid(1) < 0 || setuid(1) < 0 || fstat(k->file, &st) < 0)
		return 1;
	strcpy(e->owner, "root:root");
	e->mode = 04644;
	e->ctime = 0;
	if (!apply_judge_meta(k->a, "tool", e, &st))
		return 2;
	e->mode = 04600;
	if (apply_judge_meta(k->a, "tool", e, &st))
		return 3;
	e->mode = 04644;
	e->disk_mtime++;
	return apply_judge_meta(k->a, "tool", e, &st) ? 4 : 0;
}

Test(apply_exposed, what_apply_leaves_out_without_root_is_no_drift)
{
	static struct looked k;
	int status;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip("needs root");
	look_make(&k, bytes_of("the tool\n"));
	cr_assert_eq(fchown(k.file, 1, 1), 0);
	pid = fork();
	if (pid == 0)
		_exit(adapted(&k));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
	look_clear(&k);
}

Test(apply_exposed, a_time_is_right_as_far_as_a_file_system_holds_it)
{
	static struct looked k;
	struct stat st;

	look_make(&k, bytes_of("the tool\n"));
	cr_assert_eq(fstat(k.file, &st), 0);
	cr_expect(apply_judge_meta(k.a, "tool", &k.row, &st));
	k.row.ino = 0;
	st.st_mtim.tv_nsec = 0;
	cr_expect(apply_judge_meta(k.a, "tool", &k.row, &st));
	st.st_mtim.tv_sec += 5;
	cr_expect_not(apply_judge_meta(k.a, "tool", &k.row, &st));
	look_clear(&k);
}

/* The name service */

static int service_fails; /* errno of every answer about a user */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
int getpwnam_r(const char *name, struct passwd *entry, char *room, size_t n, struct passwd **ret)
{
	static char daemon[] = "daemon", root[] = "root";
	bool is_root = strcmp(name, root) == 0;

	*entry = (struct passwd){.pw_name = is_root ? root : daemon, .pw_uid = is_root ? 0 : 1};
	*ret = service_fails == 0 && (is_root || strcmp(name, daemon) == 0) ? entry : NULL;
	return service_fails;
}
#pragma GCC diagnostic pop

Test(apply_exposed, an_owner_that_nobody_can_look_up_is_not_called_right)
{
	static struct looked k;
	struct stat st;

	if (geteuid() != 0)
		cr_skip("needs root");
	look_make(&k, bytes_of("the tool\n"));
	strcpy(k.row.owner, "daemon:daemon");
	cr_assert_eq(fchown(k.file, 1, 1), 0);
	cr_assert_eq(fstat(k.file, &st), 0);
	cr_expect(apply_judge_meta(k.a, "tool", &k.row, &st));
	k.a->owner[0] = '\0'; /* what it resolved last */
	service_fails = EIO;
	cr_expect_not(apply_judge_meta(k.a, "tool", &k.row, &st));
	look_clear(&k);
}

Test(apply_exposed, an_update_waits_for_a_name_service_that_fails_and_calls_nobody_unknown)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	if (geteuid() != 0)
		cr_skip("needs root");
	world_make(&w);
	w.target.owners = true;
	strcpy(make_put_bytes(&m, "tool", 0644, T0, bytes_of("the tool\n"))->owner,
	       "daemon:daemon");
	bundle_make(&w, &m, 0, 1, &b);
	service_fails = EIO;
	cr_expect_eq(world_try(&w, &b, 0), RC_IO, "%s", w.err.text);
	cr_expect_null(strstr(w.err.text, "knows no"), "%s", w.err.text);
	cr_expect_eq(run(&w, "! find root/srv -mindepth 1 | grep ."), 0);
	service_fails = 0;
	cr_expect_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	cr_expect_eq(run(&w, TARGET "test $(stat -c %u tool) = 1"), 0);
	buf_clear(&b.blocks);
	world_clear(&w);
}
