/* SPDX-License-Identifier: ISC */
/*
 * A hostile parent: another process exchanges directories and files of the target for links, and
 * somebody's directory for ours, without pause, while each kind of operation goes on.  Whatever
 * comes of the operations, nothing outside of the target is touched and no directory is lost.
 *
 *   SATCHEL_RACES=100000   so many calls, and a hundredth of it whole applies (make races); by
 *                          default enough to find a mistake and little enough for every day
 */
#include "applier/apply/applied.h"
#include "applier/trees/outcome.h"
#include "applier/trees/tree.h"
#include "tests/support/fault.h"

#include <ftw.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "applier/apply/apply_internal.h"
#include "core/os/beneath.h"
#include "core/os/wipe.h"
#include "tests/support/apply_tree.h"

#define RACES_SHORT 4000

static long races(void)
{
	const char *text = getenv("SATCHEL_RACES");

	return text != NULL ? atol(text) : RACES_SHORT;
}

/* The attacker */

struct pair {
	const char *a, *b; /* exchanged, below the world's directory */
	unsigned flags;
	bool back; /* at once */
};

struct attacker {
	pid_t pid;
	atomic_long *swaps; /* shared with it */
};

/** It does not go through its own links either: what is outside is for the program to touch. */
static bool swap(int dirfd, const char *a, const char *b, unsigned flags)
{
	const char *from, *to;
	OWNED(fd_closep) int afd = beneath_parent(dirfd, a, &from, ERR_IGNORED);
	OWNED(fd_closep) int bfd = beneath_parent(dirfd, b, &to, ERR_IGNORED);

	return afd >= 0 && bfd >= 0 && syscall(SYS_renameat2, afd, from, bfd, to, flags) == 0;
}

static void attack(int dirfd, const struct pair *pairs, size_t n, atomic_long *swaps)
{
	for (size_t i = 0;; i++) {
		const struct pair *p = &pairs[i % n];

		if (swap(dirfd, p->a, p->b, p->flags))
			atomic_fetch_add(swaps, 1);
		if (p->back)
			swap(dirfd, p->b, p->a, p->flags);
	}
}

static void attacker_start(struct attacker *a, const char *dir, const struct pair *pairs, size_t n)
{
	a->swaps = mmap(NULL, sizeof(*a->swaps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	cr_assert_neq(a->swaps, MAP_FAILED);
	a->pid = fork();
	if (a->pid == 0) {
		int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		attack(fd, pairs, n, a->swaps);
	}
}

static long attacker_stop(struct attacker *a)
{
	long n = atomic_load(a->swaps);

	kill(a->pid, SIGKILL);
	waitpid(a->pid, NULL, 0);
	munmap(a->swaps, sizeof(*a->swaps));
	return n;
}

/* The victims */

static struct digest_stream outside_hash; /* nftw has no argument */

static int outside_each(const char *path, const struct stat *st, int type, struct FTW *f)
{
	const uint64_t said[] = {st->st_ino,
				 st->st_mode,
				 st->st_uid,
				 st->st_gid,
				 (uint64_t)st->st_size,
				 (uint64_t)st->st_mtim.tv_sec,
				 (uint64_t)st->st_mtim.tv_nsec,
				 (uint64_t)st->st_ctim.tv_sec,
				 (uint64_t)st->st_ctim.tv_nsec};
	struct digest d = {0};

	(void)f;
	if (type == FTW_F)
		d = file_digest(path);
	digest_more(&outside_hash, path, strlen(path));
	digest_more(&outside_hash, said, sizeof(said));
	digest_more(&outside_hash, d.b, sizeof(d.b));
	return 0;
}

/** All that can be seen of what lies outside, change times included. */
static struct digest outside(const struct world *w)
{
	char path[SCRATCH_PATH + 16];

	snprintf(path, sizeof(path), "%s/out", w->dir);
	digest_start(&outside_hash);
	cr_assert_eq(nftw(path, outside_each, 16, FTW_PHYS), 0);
	return digest_end(&outside_hash);
}

static void outside_is(const struct world *w, const struct digest *was, const char *what)
{
	struct digest is = outside(w);

	cr_assert(digest_equal(&is, was), "%s: something outside was touched", what);
}

static void victims(struct world *w)
{
	cr_assert_eq(scratch_run(w->dir,
				 "mkdir -m 700 -p out/dir/deep/er out/x out/sub bob/private"
				 " && for f in one two file file2 new alpha dir/one dir/two "
				 "dir/link x/y sub/z; do echo victim > out/$f; done; chmod "
				 "-R go-rwx out; echo thesis > bob/private/thesis"),
		     0);
}

static void thesis_is(const struct world *w)
{
	cr_assert_eq(scratch_run(w->dir, "test $(grep -rl thesis . 2> /dev/null | wc -l) = 1"), 0,
		     "a directory was lost");
}

/* Calls */

struct ground {
	struct world *w;
	struct apply a;
	struct dirs dirs; /* of the world's root */
	int t;            /* "t", which is exchanged itself */
	long i;
};

/** The directory of ${path}, looked up anew. */
static int look(struct ground *g, const char *path, const char **ret_name)
{
	dirs_clear(&g->dirs);
	return dirs_parent(&g->dirs, path, ret_name, ERR_IGNORED);
}

static void make_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd >= 0)
		close(fd);
}

static void do_place(struct ground *g)
{
	const char *name;
	int fd = look(g, "t/d/new", &name);

	make_file(g->a.stage.fd, "n1");
	if (fd >= 0 && move_entry(g->a.stage.fd, "n1", fd, name, RENAME_NOREPLACE) == 0)
		unlinkat(fd, name, 0);
}

static void do_replace(struct ground *g)
{
	const char *name;
	int fd = look(g, "t/file", &name);

	make_file(g->a.stage.fd, "n1");
	if (fd >= 0 && move_entry(g->a.stage.fd, "n1", fd, name, RENAME_EXCHANGE) == 0)
		move_entry(g->a.stage.fd, "n1", fd, name, RENAME_EXCHANGE);
}

static void do_delete(struct ground *g)
{
	const char *name;
	int fd = look(g, "t/file", &name);

	if (fd < 0 || move_entry(fd, name, g->a.stage.fd, "o1", RENAME_NOREPLACE) < 0)
		return;
	if (move_entry(g->a.stage.fd, "o1", fd, name, RENAME_NOREPLACE) < 0)
		unlinkat(g->a.stage.fd, "o1", 0);
}

static void do_meta(struct ground *g)
{
	struct meta m = {.mode = g->i % 2 ? 0600 : 0644, .mtime = T0 + g->i};
	const char *name;
	struct seen s;
	int fd = look(g, g->i % 3 ? "t/file" : "t/d/one", &name);

	if (fd < 0 || seen_at(fd, name, &s, ERR_IGNORED) <= 0)
		return;
	if (s.kind == ENTRY_FILE)
		seen_digest(&g->a, fd, name, &s);
	m.uid = s.uid, m.gid = s.gid;
	meta_set(&g->a, fd, name, &s, &m, ERR_IGNORED);
}

static void do_meta_dir(struct ground *g)
{
	struct meta m = {.mode = g->i % 2 ? 0755 : 0711, .mtime = T0 + g->i};
	const char *name;
	struct seen s;
	int fd = look(g, "t/d", &name), own;

	if (fd < 0 || seen_at(fd, name, &s, ERR_IGNORED) <= 0)
		return;
	own = beneath_open(fd, name, O_PATH | O_DIRECTORY, 0, ERR_IGNORED);
	m.uid = s.uid, m.gid = s.gid;
	if (own >= 0)
		meta_set_dir(&g->a, own, &s, &m, ERR_IGNORED);
	fd_closep(&own);
}

static void do_mkdir(struct ground *g)
{
	const char *name;
	int fd;

	beneath_mkdirs(g->w->rootfd, "t/d/x/y", 0755, ERR_IGNORED);
	fd = look(g, "t/d/x", &name);
	if (fd >= 0)
		beneath_remove_tree(fd, name, ERR_IGNORED);
}

static void do_link(struct ground *g)
{
	const char *name;
	int fd = look(g, "t/d/l", &name);

	if (fd >= 0 && symlinkat("one", fd, name) == 0)
		unlinkat(fd, name, 0);
}

static void do_undo(struct ground *g)
{
	const char *name;
	int fd = look(g, "t/d/undone", &name);

	make_file(g->a.stage.fd, "o2");
	if (fd >= 0 && move_entry(g->a.stage.fd, "o2", fd, name, RENAME_NOREPLACE) == 0)
		move_entry(fd, name, g->a.stage.fd, "o2", RENAME_NOREPLACE);
}

static void do_keep(struct ground *g)
{
	fd_closep(&g->a.keptfd);
	make_file(g->a.stage.fd, "o3");
	g->a.run.generation = (uint64_t)g->i / 64;
	keep_slot(&g->a, "o3", "d/kept", ERR_IGNORED);
}

static void do_stage(struct ground *g)
{
	char name[AREA_NAME];
	int fd = area_make(&g->a, g->t, ".satchel-stage-x", name, ERR_IGNORED);

	if (fd < 0)
		return;
	make_file(fd, "n1");
	mkdirat(fd, "n2", 0700);
	area_remove(&g->a, g->t, name, fd, ERR_IGNORED);
	close(fd);
}

static void do_sweep(struct ground *g)
{
	int fd;

	mkdirat(g->t, ".satchel-stage-x", 0700);
	fd = area_open(&g->a, g->t, ".satchel-stage-x", false);
	if (fd >= 0) {
		area_remove(&g->a, g->t, ".satchel-stage-x", fd, ERR_IGNORED);
		close(fd);
	}
}

static void do_remove(struct ground *g)
{
	mkdirat(g->t, "junk", 0755);
	symlinkat("../../out", g->t, "junk.link");
	(g->i % 2 ? beneath_remove_tree : wipe_tree)(g->t, "junk", ERR_IGNORED);
}

static void do_wipe(struct ground *g)
{
	make_file(g->t, "file2");
	symlinkat("../../out/file2", g->t, "file2.link");
	wipe_file(g->t, "file2", ERR_IGNORED);
}

static const struct {
	const char *name;
	void (*run)(struct ground *g);
} calls[] = {
    {"place", do_place}, {"replace", do_replace},   {"delete", do_delete},
    {"meta", do_meta},   {"meta dir", do_meta_dir}, {"mkdir", do_mkdir},
    {"link", do_link},   {"undo", do_undo},         {"keep", do_keep},
    {"stage", do_stage}, {"sweep", do_sweep},       {"remove", do_remove},
    {"wipe", do_wipe},
};

static void ground_make(struct ground *g, struct world *w)
{
	world_make(w);
	victims(w);
	cr_assert_eq(scratch_run(w->dir,
				 "mkdir -p root/t/d root/srv/office && "
				 "ln -s ../../out root/t/d.link && echo x > root/t/d/one && "
				 "echo x > root/t/file && ln -s ../../out/file "
				 "root/t/file.link && ln -s out root/srv/klink && "
				 "mkdir -m 700 root/srv/.satchel-kept"),
		     0);
	g->w = w;
	g->dirs = (struct dirs){.rootfd = w->rootfd, .fd = -1};
	g->t = openat(w->rootfd, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	g->a.s = &w->s;
	g->a.t = &w->target;
	g->a.targetfd = g->a.dirs.rootfd = beneath_dir(w->rootfd, w->target.path, &w->err);
	g->a.stage.fd = g->a.stage.holderfd = g->a.dirs.fd = g->a.keptfd = -1;
	OK(w, area_mark(&g->a, true, &w->err));
	OK(w, stage_open(&g->a, &w->err));
}

/** What an operation took with it, for the next round. */
static void ground_mend(struct ground *g)
{
	make_file(g->t, "file");
	if (faccessat(g->t, "file.link", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		symlinkat("../../out/file", g->t, "file.link");
	if (faccessat(g->t, "d.link", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		symlinkat("../../out", g->t, "d.link");
}

Test(apply_hostile, no_call_leaves_the_target_or_loses_a_directory, .timeout = 1800)
{
	static const struct pair pairs[] = {
	    {"root/t/d", "root/t/d.link", RENAME_EXCHANGE, false},
	    {"root/t/file", "root/t/file.link", RENAME_EXCHANGE, false},
	    {"root/t/.satchel-stage-x", "bob", RENAME_EXCHANGE, false},
	    {"root/t/junk", "root/t/junk.link", RENAME_EXCHANGE, false},
	    {"root/t/file2", "root/t/file2.link", RENAME_EXCHANGE, false},
	    {"root/srv/.satchel-kept", "root/srv/klink", RENAME_EXCHANGE, false},
	    {"root/t", "root/t.away", RENAME_NOREPLACE, true},
	};
	struct ground g = {0};
	struct attacker attacker;
	struct world w;
	struct digest was;
	long n = races(), swaps;

	ground_make(&g, &w);
	was = outside(&w);
	attacker_start(&attacker, w.dir, pairs, ARRAY_LEN(pairs));
	for (g.i = 0; g.i < n; g.i++) {
		calls[g.i % (long)ARRAY_LEN(calls)].run(&g);
		if (g.i % 64 == 0)
			ground_mend(&g);
		if (g.i % 4096 == 0)
			outside_is(&w, &was, calls[g.i % (long)ARRAY_LEN(calls)].name);
	}
	swaps = attacker_stop(&attacker);
	outside_is(&w, &was, "calls");
	thesis_is(&w);
	fprintf(stderr, "races: %ld calls, %ld exchanges, 0 escapes, 0 lost directories\n", n,
		swaps);
	cr_expect_gt(swaps, n / 100, "the attacker did next to nothing: %ld", swaps);
	stage_remove(&g.a);
	dirs_clear(&g.dirs);
	fd_closep(&g.a.keptfd);
	fd_closep(&g.a.targetfd);
	close(g.t);
	world_clear(&w);
}

/* Whole applies */

struct round {
	struct world w;
	struct made_bundle first, second;
	struct digest tree[2];
	uint64_t at; /* the last generation that was offered */
	long good, bad;
};

static void round_make(struct round *r)
{
	struct maker m = {0};

	world_make(&r->w);
	victims(&r->w);
	make_first(&m);
	bundle_make(&r->w, &m, 0, 1, &r->first);
	r->tree[0] = r->w.tree;
	make_second(&m);
	bundle_make(&r->w, &m, 1, 2, &r->second);
	r->tree[1] = r->w.tree;
	cr_assert_eq(scratch_run(r->w.dir, "mkdir -p root/srv/office && cd root/srv/office && "
					   "for n in dir goner fresh alpha hollow; do "
					   "ln -s ../../../out/$n .$n.link; done; "
					   "ln -s ../../out ../klink; ln -s ../../out ../olink"),
		     0);
}

static void round_leave(struct round *r)
{
	char path[SCRATCH_PATH + 32], root[SCRATCH_PATH + 16];
	struct tree_place p = TREE_PLACE_INIT;

	snprintf(root, sizeof(root), "%s/root", r->w.dir);
	snprintf(path, sizeof(path), "%s/root/srv/office", r->w.dir);
	r->w.s.root = root;
	p.path = path;
	p.rootfd = r->w.rootfd;
	p.tree = "office";
	p.remove = true;
	if (tree_leave(&r->w.s, &p, &r->w.err) < 0)
		r->bad++;
	r->w.s.root = NULL;
}

static void round_try(struct round *r, const struct made_bundle *b)
{
	if (world_try(&r->w, b, 0) == 0) {
		r->good++;
		return;
	}
	r->bad++;
	if (getenv("SATCHEL_RACES_SAY") != NULL)
		fprintf(stderr, "%s\n", r->w.err.text);
}

/** A full bundle, and one on top of it when that was applied. */
static void round_run(struct round *r, long i)
{
	static const enum local_answer answers[] = {LOCAL_REPLACE, LOCAL_FAIL, LOCAL_KEEP};
	struct applied now;

	r->w.target.local = answers[i % (long)ARRAY_LEN(answers)];
	fault.no_exchange = i % 4 == 3; /* as on a file system that has none */
	r->first.m.generation = ++r->at;
	round_try(r, &r->first);
	OK(&r->w, applied_load(&r->w.s, "office", &now, &r->w.err));
	r->second.m.base = now.generation;
	r->second.m.base_tree = r->tree[0];
	r->second.m.generation = ++r->at;
	round_try(r, &r->second);
}

/** When the attacker is gone the next bundle puts everything right. */
static void round_heal(struct round *r)
{
	scratch_run(r->w.dir, "cd root/srv && if test -d office.away; then rm -rf office olink && "
			      "mv office.away office; fi; if test -L office; then mv office x && "
			      "mv olink office; fi");
	fault.no_exchange = false;
	r->w.target.local = LOCAL_REPLACE;
	r->first.m.generation = ++r->at;
	cr_expect_eq(world_try(&r->w, &r->first, 0), 0, "%s", r->w.err.text);
	/* What a channel left, it does not know any more, so more than its files may lie there. */
	cr_expect_eq(scratch_run(r->w.dir,
				 "cd root/srv/office && for f in dir/one dir/two alpha gone "
				 "dir/deep/er/sealed goner/below/file was/inside; do "
				 "test -f $f && test ! -L $f || echo $f >&2; "
				 "test -f $f && test ! -L $f || bad=1; done; "
				 "test -z \"$bad\""),
		     0);
}

Test(apply_hostile, no_apply_leaves_the_target_or_loses_a_directory, .timeout = 1800)
{
#define OFFICE "root/srv/office/"
	static const struct pair pairs[] = {
	    {OFFICE "dir", OFFICE ".dir.link", RENAME_EXCHANGE, false},
	    {OFFICE "alpha", OFFICE ".alpha.link", RENAME_EXCHANGE, false},
	    {OFFICE "hollow", "bob", RENAME_EXCHANGE, false},
	    {OFFICE "goner", OFFICE ".goner.link", RENAME_EXCHANGE, false},
	    {OFFICE "fresh", OFFICE ".fresh.link", RENAME_EXCHANGE, false},
	    {OFFICE "goner/below", "bob", RENAME_EXCHANGE, false},
	    {OFFICE "dir/deep", OFFICE ".hollow.link", RENAME_EXCHANGE, false},
	    {"root/srv/.satchel-stage-office", "bob", RENAME_EXCHANGE, false},
	    {"root/srv/.satchel-kept", "root/srv/klink", RENAME_EXCHANGE, false},
	    {"root/srv/office", "root/srv/olink", RENAME_EXCHANGE, true},
	    {"root/srv/office", "root/srv/office.away", RENAME_NOREPLACE, true},
	};
	struct round *r = calloc(1, sizeof(*r));
	struct attacker attacker;
	struct digest was;
	long n = races() / 100, swaps;

	round_make(r);
	was = outside(&r->w);
	attacker_start(&attacker, r->w.dir, pairs, ARRAY_LEN(pairs));
	for (long i = 0; 2 * i < n; i++) {
		round_run(r, i);
		if (i % 5 == 4)
			round_leave(r);
		outside_is(&r->w, &was, "an apply");
	}
	swaps = attacker_stop(&attacker);
	thesis_is(&r->w);
	round_heal(r);
	outside_is(&r->w, &was, "healing");
	thesis_is(&r->w);
	fprintf(stderr,
		"races: %ld applies (%ld of them to the end), %ld exchanges, 0 escapes, 0 "
		"lost directories\n",
		r->good + r->bad, r->good, swaps);
	cr_expect_gt(swaps, n);
	buf_clear(&r->first.blocks);
	buf_clear(&r->second.blocks);
	world_clear(&r->w);
	free(r);
}
