/* SPDX-License-Identifier: ISC */
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/apply_tree.h"

/** The first tree applied. */
static void world_first(struct world *w)
{
	struct maker m = {0};

	world_make(w);
	make_first(&m);
	world_apply(w, &m, 0, 1);
}

/** A command below the target. */
static int at_target(struct world *w, const char *command)
{
	char text[2048];

	snprintf(text, sizeof(text), "cd 'root/%s' && { %s\n}", w->target.path, command);
	return scratch_run(w->dir, text);
}

/** Everything that a person can see of station, target and depot, times included. */
static void snapshot(struct world *w, const char *file)
{
	char text[2048];

	snprintf(
	    text, sizeof(text),
	    /* The time of what holds the target is not the target's. */
	    "cd root && { find . -printf '%%p %%y %%m %%s %%T@ %%i %%l\\n' | sort | "
	    "sed 's,^\\(./srv d .*\\) [0-9.]* [0-9]* $,\\1,'; "
	    "find . -type f -exec cksum {} + | sort; } > ../%s; "
	    "sqlite3 ../state/state.db .dump | grep -v -e apply_mark -e apply_holds -e apply_conflict >> ../%s; "
	    "ls -A ../state >> ../%s",
	    file, file, file);
	cr_assert_eq(scratch_run(w->dir, text), 0);
}

/** The bundle is refused with this code, and nothing anywhere is different afterwards. */
static void refused(struct world *w, const struct made_bundle *b, int rc)
{
	snapshot(w, "before");
	cr_assert_eq(world_try(w, b, 0), rc, "%d: %s", w->err.rc, w->err.text);
	snapshot(w, "after");
	cr_assert_eq(scratch_run(w->dir, "cmp before after || diff before after >&2"), 0);
}

Test(apply, puts_a_full_bundle_onto_an_empty_target)
{
	struct world w;

	world_first(&w);
	world_check(&w);
	cr_assert_eq(w.preview.count[CHANGE_PUT], 11);
	cr_assert_eq(w.preview.conflicts, 0);
	world_clear(&w);
}

Test(apply, puts_a_small_bundle_on_top)
{
	struct maker m = {0};
	struct world w;

	world_first(&w);
	make_second(&m);
	world_apply(&w, &m, 1, 2);
	world_check(&w);
	cr_assert_eq(w.preview.deletions, 6);
	world_clear(&w);
}

Test(apply, works_on_the_root_itself_with_the_staging_area_inside)
{
	struct maker m = {0};
	struct world w;

	world_make(&w);
	w.target.path = "";
	cr_assert_eq(scratch_run(w.dir, "rmdir root/srv"), 0);
	make_first(&m);
	world_apply(&w, &m, 0, 1);
	world_check(&w);
	make_second(&m);
	world_apply(&w, &m, 1, 2);
	world_check(&w);
	world_clear(&w);
}

Test(apply, leaves_alone_what_no_channel_manages)
{
	struct comparison *look = malloc(sizeof(*look));
	struct maker m = {0};
	struct world w;

	world_make(&w);
	cr_assert_eq(scratch_run(w.dir, "mkdir -p root/srv/office/dir; echo mine > root/srv/office/"
					"dir/mine; echo mine > root/srv/office/mine"),
		     0);
	make_first(&m);
	world_apply(&w, &m, 0, 1);
	make_second(&m);
	world_apply(&w, &m, 1, 2);
	cr_assert_eq(at_target(&w, "grep -q mine mine dir/mine && rm mine dir/mine && "
				   "touch -d @1700000000.123456790 dir"),
		     0);
	cr_assert_null(world_differs(&w, look));
	free(look);
	world_clear(&w);
}

Test(apply, a_full_bundle_heals_whatever_is_held)
{
	struct maker m = {0};
	struct world w;
	struct stat before, after;
	char path[2 * LIMIT_PATH];

	world_first(&w);
	disk_path(&w, path, "dir/one");
	cr_assert_eq(stat(path, &before), 0);
	make_first(&m);
	make_put(&m, "only in seven", "seven\n");
	maker_drop(&m, "gone");
	world_apply(&w, &m, 0, 7);
	world_check(&w);
	cr_assert_eq(w.preview.deletions, 1);
	cr_assert_eq(w.preview.count[CHANGE_PUT], 1, "what is equal is not written again");
	cr_assert_eq(stat(path, &after), 0);
	cr_assert_eq(before.st_ino, after.st_ino);
	cr_assert_eq(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	world_clear(&w);
}

Test(apply, a_full_bundle_brings_back_what_was_deleted_here)
{
	struct maker m = {0};
	struct world w;

	world_first(&w);
	cr_assert_eq(at_target(&w, "rm -r dir alpha; chmod 600 gone; touch hollow"), 0);
	make_first(&m);
	world_apply(&w, &m, 0, 2);
	world_check(&w);
	world_clear(&w);
}

Test(apply, an_epoch_that_begins_anew_takes_over)
{
	struct maker m = {0};
	struct world w;

	world_first(&w);
	w.epoch = 2;
	make_put(&m, "alpha", "another age\n");
	world_apply(&w, &m, 0, 1);
	world_check(&w);
	world_clear(&w);
}

Test(apply, refuses_what_does_not_follow_and_names_what_is_missing)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_first(&w);
	make_put(&m, "alpha", "x");
	bundle_make(&w, &m, 1, 5, &b);
	b.m.base = 2;
	refused(&w, &b, RC_AGAIN);
	cr_assert_not_null(strstr(w.err.text, "from generation 2"));
	b.m.base = 1;
	b.m.epoch = 9;
	refused(&w, &b, RC_AGAIN);
	b.m.epoch = 0;
	refused(&w, &b, RC_REPLAY);
	b.m.epoch = 1;
	b.m.base_tree.b[0] ^= 1;
	refused(&w, &b, RC_FORK);
	b.m.base_tree.b[0] ^= 1;
	b.m.generation = 0;
	refused(&w, &b, RC_REPLAY);
	b.m.generation = 5;
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	buf_clear(&b.blocks);
	world_clear(&w);
}

/* Lies in a list of changes that is well signed. */

static void lie(void (*make)(struct maker *m), int rc, const char *said)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_first(&w);
	make(&m);
	/* The model cannot follow a lie: the tree is whatever was held. */
	bundle_make_as(&w, &m, 1, 2, &b, &w.tree);
	refused(&w, &b, rc);
	cr_assert_not_null(strstr(w.err.text, said), "%s", w.err.text);
	buf_clear(&b.blocks);
	world_clear(&w);
}

static void lie_tree(struct maker *m)
{
	make_put(m, "beta", "b");
}

static void lie_twice(struct maker *m)
{
	make_put(m, "beta", "b");
	make_put(m, "beta", "b");
}

static void lie_parent(struct maker *m)
{
	make_put(m, "nowhere/beta", "b");
}

static void lie_below_a_file(struct maker *m)
{
	make_put(m, "alpha/beta", "b");
}

static void lie_below_a_link(struct maker *m)
{
	make_link(m, "out", "/tmp");
	make_put(m, "out/beta", "b");
}

static void lie_deletes_nothing(struct maker *m)
{
	make_delete(m, ENTRY_FILE, "nowhere");
}

static void lie_deletes_kind(struct maker *m)
{
	make_delete(m, ENTRY_DIRECTORY, "alpha");
}

static void lie_deletes_full(struct maker *m)
{
	make_delete(m, ENTRY_DIRECTORY, "goner");
}

static void lie_meta(struct maker *m)
{
	make_meta(m, ENTRY_FILE, "nowhere", 0644, 0);
}

static void lie_reserved(struct maker *m)
{
	make_put(m, "dir/.satchel-stage", "x");
}

static void lie_special(struct maker *m)
{
	make_put_bytes(m, "beta", 04755, T0, bytes_of("x"));
}

static void lie_owner(struct maker *m)
{
	strcpy(make_put(m, "beta", "x")->owner, "daemon:daemon");
}

static void lie_copy(struct maker *m)
{
	make_copy(m, "beta", true, "nowhere", "the first file\n");
}

static void lie_digest(struct maker *m)
{
	make_put(m, "beta", "x")->digest.b[3] ^= 1;
}

Test(apply, refuses_lists_that_lie)
{
	lie(lie_tree, RC_MALFORMED, "would not be the tree that was signed");
	lie(lie_twice, RC_MALFORMED, "out of order at beta");
	lie(lie_parent, RC_MALFORMED, "no directory to put it in");
	lie(lie_below_a_file, RC_MALFORMED, "no directory to put it in");
	lie(lie_below_a_link, RC_MALFORMED, "no directory to put it in");
	lie(lie_deletes_nothing, RC_MALFORMED, "does not have");
	lie(lie_deletes_kind, RC_MALFORMED, "does not have");
	lie(lie_deletes_full, RC_MALFORMED, "not what is in it");
	lie(lie_meta, RC_MALFORMED, "does not have");
	lie(lie_reserved, RC_PATH, "reserved");
	lie(lie_special, RC_POLICY, "special bits");
	lie(lie_owner, RC_POLICY, "does not allow owners");
}

/** As lie(), with a tree digest that fits, so that only the content gives it away. */
static void lie_later(void (*make)(struct maker *m), int rc, const char *said)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_first(&w);
	make(&m);
	bundle_make(&w, &m, 1, 2, &b);
	refused(&w, &b, rc);
	cr_assert_not_null(strstr(w.err.text, said), "%s", w.err.text);
	buf_clear(&b.blocks);
	world_clear(&w);
}

Test(apply, refuses_contents_that_are_not_what_was_signed)
{
	lie_later(lie_digest, RC_MALFORMED, "beta: its content is not");
	lie_later(lie_copy, RC_MALFORMED, "does not bring");
}

Test(apply, refuses_counts_and_bytes_that_are_not_what_was_signed)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_first(&w);
	make_put(&m, "beta", "four");
	bundle_make(&w, &m, 1, 2, &b);
	b.m.count[CHANGE_PUT]++;
	refused(&w, &b, RC_MALFORMED);
	b.m.count[CHANGE_PUT] -= 2;
	refused(&w, &b, RC_MALFORMED);
	b.m.count[CHANGE_PUT]++;
	b.m.content++;
	refused(&w, &b, RC_MALFORMED);
	b.m.content--;
	b.m.changes.b[0] ^= 1;
	refused(&w, &b, RC_MALFORMED);
	b.m.changes.b[0] ^= 1;
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	buf_clear(&b.blocks);
	world_clear(&w);
}

Test(apply, refuses_a_file_with_any_byte_of_the_payload_flipped_or_cut_off)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;
	char command[256];

	world_first(&w);
	make_second(&m);
	bundle_make(&w, &m, 1, 2, &b);
	cr_assert_eq(scratch_run(w.dir, "cp depot/1-2.bundle good"), 0);
	for (uint64_t at = 0; at < b.m.payload; at += 37) {
		snprintf(command, sizeof(command),
			 "cp good depot/1-2.bundle; printf '\\377' | dd of=depot/1-2.bundle bs=1 "
			 "seek=%llu conv=notrunc status=none; cmp -s good depot/1-2.bundle",
			 (unsigned long long)(b.payload_offset + at));
		if (scratch_run(w.dir, command) != 0)
			cr_assert_eq(world_try(&w, &b, 0), RC_INCOMPLETE, "%s", w.err.text);
		snprintf(command, sizeof(command), "head -c %llu good > depot/1-2.bundle",
			 (unsigned long long)(b.payload_offset + at));
		scratch_run(w.dir, command);
		cr_assert_eq(world_try(&w, &b, 0), RC_INCOMPLETE, "%s", w.err.text);
	}
	scratch_run(w.dir, "cp good depot/1-2.bundle");
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	world_check(&w);
	buf_clear(&b.blocks);
	world_clear(&w);
}

Test(apply, a_preview_counts_and_changes_nothing_at_all)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_make(&w);
	make_first(&m);
	bundle_make(&w, &m, 0, 1, &b);
	snapshot(&w, "before");
	cr_assert_eq(world_try(&w, &b, APPLY_DRY_RUN), 0, "%s", w.err.text);
	snapshot(&w, "after");
	cr_assert_eq(scratch_run(w.dir, "cmp before after"), 0);
	cr_assert_eq(w.preview.count[CHANGE_PUT], 11);
	cr_assert_eq(w.preview.count[CHANGE_DIRECTORY], 8);
	cr_assert_eq(w.preview.inodes_needed, 21);
	cr_assert_eq(w.preview.space_needed, 19 * 4096);
	cr_assert_gt(w.preview.space_free, w.preview.space_needed);
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	buf_clear(&b.blocks);
	make_second(&m);
	bundle_make(&w, &m, 1, 2, &b);
	cr_assert_eq(at_target(&w, "echo local > alpha; echo local > beta"), 0);
	snapshot(&w, "before");
	cr_assert_eq(world_try(&w, &b, APPLY_DRY_RUN), 0, "%s", w.err.text);
	snapshot(&w, "after");
	cr_assert_eq(scratch_run(w.dir, "cmp before after"), 0);
	cr_assert_eq(w.preview.deletions, 6);
	cr_assert_eq(w.preview.conflicts, 2);
	buf_clear(&b.blocks);
	world_clear(&w);
}

/* Local changes */

/** What a second bundle meets: one conflict of each kind. */
static void make_local(struct world *w, struct maker *m)
{
	world_first(w);
	cr_assert_eq(
	    at_target(w,
		      "echo local > alpha;"       /* a file that is replaced */
		      "echo local > beta;"        /* a new one, in the way */
		      "echo local > gone;"        /* one that is deleted */
		      "echo local > goner/mine;"  /* in a directory that is deleted: no conflict */
		      "mkdir fresh.; rm becomes;" /* deleted here already */
		      "ln -s /tmp fresh;"         /* a link where a directory goes */
		      "echo local > was/mine"),   /* in a directory that becomes a file */
	    0);
	make_second(m);
}

Test(apply, fails_on_local_changes_and_names_one)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	make_local(&w, &m);
	bundle_make(&w, &m, 1, 2, &b);
	refused(&w, &b, RC_CONFLICT);
	cr_assert_not_null(strstr(w.err.text, "alpha: it was changed here"));
	cr_assert_eq(w.preview.conflicts, 5);
	buf_clear(&b.blocks);
	world_clear(&w);
}

Test(apply, replaces_local_changes_and_keeps_a_copy_of_each)
{
	struct maker m = {0};
	struct world w;

	make_local(&w, &m);
	w.target.local = LOCAL_REPLACE;
	world_apply(&w, &m, 1, 2);
	cr_assert_eq(at_target(&w, "rmdir fresh. && grep -q local goner/mine && rm -r goner"), 0);
	world_check(&w);
	cr_assert_eq(scratch_run(w.dir, "cd root/srv/.satchel-kept/office/2 && grep -q local alpha "
					"beta gone was/mine && test -L fresh && "
					"test $(find . -type f | wc -l) = 4"),
		     0);
	/* A second time the first copies stay. */
	cr_assert_eq(at_target(&w, "echo again > alpha"), 0);
	make_put(&m, "alpha", "third\n");
	world_apply(&w, &m, 2, 3);
	w.generation = 1; /* the model's base */
	cr_assert_eq(scratch_run(w.dir, "cd root/srv/.satchel-kept/office && grep -q again 3/alpha"
					" && grep -q local 2/alpha"),
		     0);
	world_clear(&w);
}

Test(apply, keeps_local_changes_and_says_so)
{
	struct maker m = {0};
	struct world w;
	int64_t n = 0;

	make_local(&w, &m);
	w.target.local = LOCAL_KEEP;
	world_apply(&w, &m, 1, 2);
	cr_assert_eq(at_target(&w, "grep -q local alpha beta gone goner/mine was/mine && "
				   "test -L fresh && test ! -e goner/below && test ! -e was/inside"
				   " && grep -q new twice && test -d becomes"),
		     0);
	cr_assert_eq(db_int(w.s.db, &w.err, &n, "SELECT count(*) FROM apply_deviation", ""), 1);
	cr_assert_eq(n, 7); /* three of them at the link and below */
	cr_assert_eq((uint64_t)n, w.preview.deviations);
	/* The index holds what was published: the next bundle fits. */
	cr_assert_eq(at_target(&w, "rm alpha"), 0);
	make_put(&m, "alpha", "third\n");
	world_apply(&w, &m, 2, 3);
	cr_assert_eq(at_target(&w, "grep -q third alpha"), 0);
	cr_assert_eq(db_int(w.s.db, &w.err, &n, "SELECT count(*) FROM apply_deviation", ""), 1);
	cr_assert_eq(n, 6);
	world_clear(&w);
}

Test(apply, a_local_change_to_what_is_wanted_is_no_conflict)
{
	struct maker m = {0};
	struct world w;

	world_first(&w);
	cr_assert_eq(at_target(&w, "printf 'the first file, changed\\n' > alpha; touch gone;"
				   "chmod 600 dir/two; rm -r goner"),
		     0);
	make_second(&m);
	world_apply(&w, &m, 1, 2);
	world_check(&w);
	world_clear(&w);
}

Test(apply, a_copy_finds_its_content_elsewhere_when_its_source_was_changed)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_first(&w);
	cr_assert_eq(at_target(&w, "echo local > dir/same"), 0);
	make_copy(&m, "copied", false, "dir/same", "the first file\n");
	world_apply(&w, &m, 1, 2);
	cr_assert_eq(at_target(&w, "cmp copied alpha"), 0);
	cr_assert_eq(at_target(&w, "echo local > dir/two"), 0);
	make_copy(&m, "again", false, "dir/two", "two\n");
	bundle_make(&w, &m, 2, 3, &b);
	refused(&w, &b, RC_AGAIN);
	cr_assert_not_null(strstr(w.err.text, "full bundle"));
	buf_clear(&b.blocks);
	world_clear(&w);
}

Test(apply, a_directory_of_the_tree_that_became_a_link_is_never_written_through)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_first(&w);
	cr_assert_eq(scratch_run(w.dir, "mkdir root/elsewhere; cp -a root/srv/office/dir/. "
					"root/elsewhere; rm -r root/srv/office/dir; "
					"ln -s ../../elsewhere root/srv/office/dir"),
		     0);
	make_put(&m, "dir/one", "changed\n");
	bundle_make(&w, &m, 1, 2, &b);
	refused(&w, &b, RC_CONFLICT);
	w.target.local = LOCAL_REPLACE;
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	cr_assert_eq(scratch_run(w.dir, "grep -q one root/elsewhere/one && "
					"grep -q changed root/srv/office/dir/one && "
					"test -L root/srv/.satchel-kept/office/2/dir"),
		     0);
	buf_clear(&b.blocks);
	world_clear(&w);
}

/* Sizes */

static void make_large(struct maker *m, const char *path, size_t size, unsigned seed)
{
	OWNED(freep) uint8_t *p = malloc(size);

	for (size_t i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		/* Every third 128 KiB is a hole. */
		p[i] = i / 131072 % 3 == 1 ? 0 : (uint8_t)(seed >> 16);
	}
	make_put_bytes(m, path, 0644, T0, (struct bytes){p, size});
}

Test(apply, contents_of_every_size_around_the_limits_of_pieces_arrive_whole)
{
	static const size_t size[] = {1,       65535,   65536,   65537,   262143,  262144,
				      262145,  524288,  1048575, 1048576, 1048577, 1572864,
				      2097152, 3145729, 8388607, 8388609};
	struct maker m = {0};
	struct world w;
	char path[64];

	world_make(&w);
	make_directory(&m, "d");
	for (unsigned i = 0; i < ARRAY_LEN(size); i++) {
		snprintf(path, sizeof(path), "%s%02u", i % 2 ? "d/" : "", i);
		make_large(&m, path, size[i], i + 1);
	}
	world_apply(&w, &m, 0, 1);
	world_check(&w);
	cr_assert_eq(at_target(&w, "test $(du -k d/15 | cut -f1) -lt 6500"), 0, "holes");
	for (unsigned i = 0; i < ARRAY_LEN(size); i++) {
		snprintf(path, sizeof(path), "%s%02u", i % 2 ? "d/" : "", i);
		make_large(&m, path, size[i], i + 100);
	}
	world_apply(&w, &m, 1, 2);
	world_check(&w);
	world_clear(&w);
}

Test(apply, many_small_files_in_many_directories_arrive_whole)
{
	struct maker m = {0};
	struct world w;
	char path[64], text[64];

	world_make(&w);
	for (unsigned i = 0; i < 3000; i++) {
		if (i % 100 == 0) {
			snprintf(path, sizeof(path), "d%02u", i / 100);
			make_directory(&m, path);
		}
		snprintf(path, sizeof(path), "d%02u/%u", i / 100, i);
		snprintf(text, sizeof(text), "content of %u", i % 2000);
		if (i < 2000)
			make_put(&m, path, text);
		else {
			char source[64];

			snprintf(source, sizeof(source), "d%02u/%u", (i - 2000) / 100, i - 2000);
			make_copy(&m, path, true, source, text);
		}
	}
	world_apply(&w, &m, 0, 1);
	world_check(&w);
	world_clear(&w);
}

Test(apply, hands_over_modes_that_forbid_their_owner)
{
	struct maker m = {0};
	struct world w;

	world_make(&w);
	make_directory(&m, "locked")->mode = 0555;
	make_directory(&m, "locked/deeper")->mode = geteuid() == 0 ? 0 : 0500;
	make_put(&m, "locked/deeper/file", "x")->mode = geteuid() == 0 ? 0 : 0400;
	make_put(&m, "locked/file", "x")->mode = 0444;
	world_apply(&w, &m, 0, 1);
	world_check(&w);
	make_put(&m, "locked/file", "y")->mode = 0444;
	make_delete(&m, ENTRY_FILE, "locked/deeper/file");
	make_delete(&m, ENTRY_DIRECTORY, "locked/deeper");
	make_directory(&m, "locked/more")->mode = 0555;
	make_put(&m, "locked/more/file", "z")->mode = 0400;
	world_apply(&w, &m, 1, 2);
	world_check(&w);
	world_clear(&w);
}

Test(apply, says_how_much_space_is_missing_before_a_byte_is_staged)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_make(&w);
	make_put(&m, "huge", "x")->size = 1ull << 50;
	bundle_make(&w, &m, 0, 1, &b);
	refused(&w, &b, RC_SPACE);
	cr_assert_not_null(strstr(w.err.text, "not enough space on srv/office: needs 1.1 PB, has "),
			   "%s", w.err.text);
	buf_clear(&b.blocks);
	world_clear(&w);
}

/* Needs root, or a kernel that lets everybody mount in a namespace of their own. */
static bool mount_over(struct world *w, const char *path)
{
	char over[2 * LIMIT_PATH], from[SCRATCH_PATH + 16];

	snprintf(from, sizeof(from), "%s/depot", w->dir);
	disk_path(w, over, path);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(from, over, NULL, MS_BIND, NULL) < 0)
		return false;
	/* A descriptor belongs to the namespace that it was opened in. */
	snprintf(from, sizeof(from), "%s/root", w->dir);
	close(w->rootfd);
	w->rootfd = w->target.rootfd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return true;
}

static void mounted(const char *at, void (*make)(struct maker *m))
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_first(&w);
	make(&m);
	bundle_make(&w, &m, 1, 2, &b);
	if (mount_over(&w, at)) {
		w.target.local = LOCAL_REPLACE;
		refused(&w, &b, RC_POLICY);
		cr_assert_not_null(strstr(w.err.text, "another file system"), "%s", w.err.text);
		scratch_run(w.dir, "umount -l root/srv/office/dir root/srv/office/goner/below "
				   "2> /dev/null");
	}
	buf_clear(&b.blocks);
	world_clear(&w);
}

static void change_below(struct maker *m)
{
	make_put(m, "dir/one", "changed\n");
}

static void delete_all(struct maker *m)
{
	make_delete(m, ENTRY_DIRECTORY, "goner");
	make_delete(m, ENTRY_DIRECTORY, "goner/below");
	make_delete(m, ENTRY_FILE, "goner/below/file");
}

static void replace_it(struct maker *m)
{
	make_put(m, "goner", "a file\n");
	make_delete(m, ENTRY_DIRECTORY, "goner/below");
	make_delete(m, ENTRY_FILE, "goner/below/file");
}

Test(apply, a_mount_below_the_target_is_refused_before_anything_changes)
{
	mounted("dir", change_below);
	mounted("goner/below", delete_all);
	mounted("goner/below", replace_it);
}

Test(apply, sets_owners_when_both_sides_allow_it)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_make(&w);
	w.target.owners = w.target.special_modes = true;
	make_directory(&m, "d");
	strcpy(make_put(&m, "d/file", "x")->owner, "daemon:daemon");
	strcpy(make_put_bytes(&m, "set", 04755, T0, bytes_of("x"))->owner, "daemon:root");
	strcpy(make_link(&m, "link", "d")->owner, "daemon:daemon");
	world_apply(&w, &m, 0, 1);
	world_check(&w);
	if (geteuid() == 0)
		cr_assert_eq(
		    at_target(&w, "test \"$(stat -c %U:%G:%a d/file set link | tr '\\n' ' ')\""
				  " = 'daemon:daemon:644 daemon:root:4755 daemon:daemon:777 '"),
		    0);
	else
		cr_assert_eq(w.preview.adaptations, 1);
	strcpy(make_put(&m, "other", "x")->owner, "nobody-knows:daemon");
	bundle_make(&w, &m, 1, 2, &b);
	refused(&w, &b, RC_POLICY);
	cr_assert_not_null(strstr(w.err.text, "knows no user nobody-knows"), "%s", w.err.text);
	buf_clear(&b.blocks);
	world_clear(&w);
}

Test(apply, takes_times_from_before_1970_to_after_2038)
{
	struct maker m = {0};
	struct world w;

	world_make(&w);
	make_put_bytes(&m, "old", 0644, -1, bytes_of("x"));
	make_put_bytes(&m, "older", 0644, -999999999999999999ll, bytes_of("x"));
	make_put_bytes(&m, "new", 0644, 4102444800123456789ll, bytes_of("x"));
	world_apply(&w, &m, 0, 1);
	world_check(&w);
	make_put_bytes(&m, "first", 0644, -INT64_MAX, bytes_of("x"));
	make_put_bytes(&m, "last", 0644, INT64_MAX, bytes_of("x"));
	world_apply(&w, &m, 1, 2);
	cr_assert_eq(w.preview.deviations, 0);
	world_clear(&w);
}
