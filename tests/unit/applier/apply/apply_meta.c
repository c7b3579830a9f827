/* SPDX-License-Identifier: ISC */
/*
 * Owner, mode and set-id bits are for the content that was published: a person's own file at the
 * same path, the same file under another name, or a descriptor that was opened before gets none of
 * it.  Here a person is the account daemon, so root is needed.
 */
#include "applier/apply/applied.h"
#include "tests/support/fault.h"

#include <linux/capability.h>
#include <sys/wait.h>

#include "applier/apply/apply_internal.h"
#include "tests/support/apply_tree.h"

#define TARGET "cd root/srv/office && "

static void world_tool(struct world *w)
{
	struct maker m = {0};

	if (geteuid() != 0)
		cr_skip("needs root");
	world_make(w);
	w->target.owners = w->target.special_modes = true;
	make_put_bytes(&m, "tool", 0755, T0, bytes_of("the tool\n"));
	make_directory(&m, "dir");
	make_put(&m, "dir/file", "file\n");
	world_apply(w, &m, 0, 1);
}

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

/** The tool becomes root's and set-id: only its metadata is in the bundle. */
static int set_id(struct world *w, enum local_answer answer)
{
	struct maker m = {0};
	struct made_bundle b;
	int rc;

	w->target.local = answer;
	make_meta(&m, ENTRY_FILE, "tool", 04755, T0 + 5);
	bundle_make(w, &m, 1, 2, &b);
	rc = world_try(w, &b, 0);
	buf_clear(&b.blocks);
	return rc;
}

#define EVIL "printf 'evil tool' > tool && chown daemon:daemon tool && touch -d @9 tool"
#define SAME_SIZE \
	"rm tool && printf 'evl tool\n' > tool && chown daemon:daemon tool && touch -d @9 tool"
#define UNTOUCHED \
	TARGET "grep -q 'ev.*l tool' tool && test \"$(stat -c %U:%a:%Y tool)\" = daemon:755:9"

Test(apply_meta, a_persons_own_program_never_becomes_roots_or_set_id)
{
	static const char *const local[] = {TARGET EVIL " && chmod 755 tool",
					    TARGET SAME_SIZE " && chmod 755 tool"};
	static const enum local_answer answers[] = {LOCAL_FAIL, LOCAL_REPLACE, LOCAL_KEEP};

	for (size_t i = 0; i < ARRAY_LEN(local) * ARRAY_LEN(answers); i++) {
		enum local_answer answer = answers[i % ARRAY_LEN(answers)];
		struct world w;
		int rc;

		world_tool(&w);
		cr_assert_eq(run(&w, local[i / ARRAY_LEN(answers)]), 0);
		rc = set_id(&w, answer);
		cr_expect_eq(rc, answer == LOCAL_FAIL ? RC_CONFLICT : 0, "%s", w.err.text);
		cr_expect_eq(run(&w, UNTOUCHED), 0);
		cr_expect_eq(deviations(&w), answer == LOCAL_FAIL ? 0 : 1);
		world_clear(&w);
	}
}

Test(apply_meta, a_second_name_of_a_file_gets_no_owner_and_no_set_id_bits)
{
	struct world w;

	world_tool(&w);
	cr_assert_eq(run(&w, "cp root/srv/office/tool root/mine && rm root/srv/office/tool && "
			     "chown daemon:daemon root/mine && chmod 755 root/mine && "
			     "touch -d @9 root/mine && ln root/mine root/srv/office/tool"),
		     0);
	cr_expect_eq(set_id(&w, LOCAL_FAIL), 0, "%s", w.err.text);
	cr_expect_eq(run(&w, "test \"$(stat -c %U:%a:%h:%Y root/mine)\" = daemon:755:1:9 && "
			     "test \"$(stat -c %U:%a:%h root/srv/office/tool)\" = root:4755:1"),
		     0);
	world_check(&w);
	world_clear(&w);
}

/** Changes the metadata of the tool, of whose old inode somebody has a descriptor. */
static void with_descriptor(const char *before, unsigned mode, const char *owner)
{
	struct maker m = {0};
	struct world w;
	char path[2 * LIMIT_PATH];
	struct stat old, new;
	int fd;

	world_tool(&w);
	disk_path(&w, path, "tool");
	cr_assert_eq(run(&w, before), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	strcpy(make_meta(&m, ENTRY_FILE, "tool", mode, T0 + 5)->owner, owner);
	/* The model knows no owners: what was signed is the tree of one that does. */
	{
		struct made_bundle b;
		struct entry *e = calloc(1, sizeof(*e));
		struct index *x;
		struct digest tree;

		bundle_make(&w, &m, 1, 2, &b);
		OK(&w, db_begin(w.model, &w.err));
		OK(&w, index_open(w.model, "model", &x, &w.err));
		OK(&w, index_get(x, "tool", e, &w.err));
		strcpy(e->owner, owner);
		OK(&w, index_put(x, "tool", e, &w.err));
		OK(&w, index_seal(x, &tree, &w.err));
		index_free(x);
		OK(&w, db_commit(w.model, &w.err));
		w.tree = b.m.tree = tree;
		free(e);
		cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
		buf_clear(&b.blocks);
	}
	world_check(&w);
	cr_assert_eq(pwrite(fd, "evil", 4, 0), 4);
	cr_assert_eq(fstat(fd, &old), 0);
	cr_assert_eq(stat(path, &new), 0);
	cr_expect_neq(old.st_ino, new.st_ino);
	cr_expect_eq(new.st_mode & 07777, mode);
	cr_expect_eq(run(&w, TARGET "grep -q 'the tool' tool"), 0, "through an old descriptor");
	close(fd);
	world_clear(&w);
}

Test(apply_meta, who_had_a_file_open_before_its_owner_changed_cannot_write_to_it)
{
	with_descriptor(TARGET "true", 0755, "daemon:daemon");
	with_descriptor(TARGET "chown daemon:daemon tool", 0755, "-");
	with_descriptor(TARGET "chown daemon:daemon tool", 0700, "-");
	with_descriptor(TARGET "true", 04755, "-");
	with_descriptor(TARGET "chmod 775 tool", 0755, "-");
	with_descriptor(TARGET "chmod 757 tool", 0755, "-");
}

Test(apply_meta, content_that_is_equal_already_is_taken_from_the_bundle_when_it_is_a_persons)
{
	struct maker m = {0};
	struct world w;

	world_tool(&w);
	cr_assert_eq(run(&w, TARGET "cp tool ../../mine && chown daemon ../../mine && "
				    "chmod 755 ../../mine && ln -f ../../mine tool"),
		     0);
	make_put_bytes(&m, "tool", 04755, T0, bytes_of("the tool\n"));
	make_directory(&m, "dir");
	make_put(&m, "dir/file", "file\n");
	world_apply(&w, &m, 0, 2);
	world_check(&w);
	cr_expect_eq(run(&w, "test \"$(stat -c %U:%a:%h root/mine)\" = daemon:755:1 && "
			     "test \"$(stat -c %U:%a root/srv/office/tool)\" = root:4755"),
		     0);
	world_clear(&w);
}

Test(apply_meta, a_link_gets_another_owner_as_a_new_link)
{
	struct maker m = {0};
	struct world w;

	world_tool(&w);
	make_link(&m, "link", "tool");
	world_apply(&w, &m, 1, 2);
	cr_assert_eq(run(&w, TARGET "ln -P link ../../mine && chown -h daemon link"), 0);
	make_meta(&m, ENTRY_LINK, "link", 0, T0 + 9);
	world_apply(&w, &m, 2, 3);
	world_check(&w);
	cr_expect_eq(run(&w, "test \"$(stat -c %U:%h root/mine)\" = daemon:1 && "
			     "test \"$(stat -c %U:%h root/srv/office/link)\" = root:1"),
		     0);
	world_clear(&w);
}

/* Between the plan and the step */

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

static void raced(struct world *w, struct maker *m, const char *name, const char *command)
{
	struct made_bundle b;

	bundle_make(w, m, 1, 2, &b);
	race.name = name;
	race.command = command;
	race.dir = w->dir;
	fault.before = race_now;
	w->target.local = LOCAL_REPLACE;
	cr_assert_eq(world_try(w, &b, 0), 0, "%s", w->err.text);
	fault.before = NULL;
	cr_assert_null(race.command, "it never came to that");
	buf_clear(&b.blocks);
}

Test(apply_meta, what_is_edited_or_linked_after_the_plan_gets_no_mode_and_is_a_deviation)
{
	static const char *const commands[] = {
	    TARGET "printf 'evil\n' > dir/file",
	    TARGET "ln dir/file ../../mine",
	    TARGET "chown daemon dir/file",
	    TARGET "mv dir/file dir/old && printf 'evil\n' > dir/file",
	    TARGET "mv dir/file dir/old && ln -s ../../../victim dir/file",
	    TARGET "mv dir dir.old && ln -s ../../other dir",
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct maker m = {0};
		struct world w;

		world_tool(&w);
		cr_assert_eq(run(&w, "mkdir root/other && echo x > root/victim && "
				     "printf 'file\n' > root/other/file && "
				     "chmod 600 root/victim root/other/file"),
			     0);
		make_meta(&m, ENTRY_FILE, "dir/file", 0755, T0 + 5);
		make_put(&m, "new", "new\n");
		raced(&w, &m, "new", commands[i]);
		cr_expect_eq(run(&w,
				 "test \"$(stat -c %a root/victim root/other/file | uniq)\" = "
				 "600 && ! find root -type f -perm /111 -name file | grep -q ."),
			     0, "%s", commands[i]);
		cr_expect_geq(deviations(&w), 1, "%s", commands[i]);
		world_clear(&w);
	}
}

/* Directories */

#define BOB                                                                         \
	"mkdir root/srv/office/bob && echo thesis > root/srv/office/bob/thesis && " \
	"chmod 700 root/srv/office/bob"
#define BOBS "test \"$(stat -c %U:%a root/srv/office/dir)\" = "

Test(apply_meta, a_directory_that_is_somebody_elses_keeps_its_owner_and_mode)
{
	static const struct {
		const char *owner, *is;
	} cases[] = {{"daemon:daemon", BOBS "daemon:700"}, {"root:root", BOBS "root:700"}};

	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		struct maker m = {0};
		struct made_bundle b;
		struct world w;
		char command[512];

		world_tool(&w);
		snprintf(command, sizeof(command),
			 BOB " && chown -R %s root/srv/office/bob && "
			     "cd root/srv/office && mv dir dir.old && mv bob dir",
			 cases[i / 2].owner);
		cr_assert_eq(run(&w, command), 0);
		w.target.local = i % 2 ? LOCAL_FAIL : LOCAL_REPLACE;
		make_meta(&m, ENTRY_DIRECTORY, "dir", 0775, T0 + 5);
		bundle_make(&w, &m, 1, 2, &b);
		cr_expect_eq(world_try(&w, &b, 0), i % 2 ? RC_CONFLICT : 0, "%s", w.err.text);
		cr_expect_eq(run(&w, cases[i / 2].is), 0);
		cr_expect_eq(run(&w, "grep -q thesis root/srv/office/dir/thesis"), 0);
		cr_expect_eq(deviations(&w), i % 2 ? 0 : 1);
		buf_clear(&b.blocks);
		world_clear(&w);
	}
}

Test(apply_meta, a_directory_of_somebody_else_is_told_also_when_no_line_speaks_of_it)
{
	static const struct {
		const char *owner, *mode, *is;
		int64_t deviates;
	} cases[] = {{"daemon:daemon", "700", BOBS "daemon:700", 1},
		     {"daemon:daemon", "755", BOBS "daemon:755", 1},
		     {"root:root", "700", BOBS "root:700", 1},
		     {"root:root", "755", BOBS "root:755", 0}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct maker m = {0};
		struct world w;
		char command[512];

		world_tool(&w);
		snprintf(command, sizeof(command),
			 BOB " && chown -R %s root/srv/office/bob && "
			     "chmod %s root/srv/office/bob && "
			     "cd root/srv/office && mv dir dir.old && mv bob dir",
			 cases[i].owner, cases[i].mode);
		cr_assert_eq(run(&w, command), 0);
		make_put(&m, "dir/new", "new\n");
		world_apply(&w, &m, 1, 2);
		cr_expect_eq(run(&w, cases[i].is), 0);
		cr_expect_eq(run(&w, TARGET "grep -q new dir/new && grep -q thesis dir/thesis"), 0);
		cr_expect_eq(deviations(&w), cases[i].deviates, "case %zu", i);
		cr_expect_eq((int64_t)w.preview.deviations, cases[i].deviates, "case %zu", i);
		world_clear(&w);
	}
}

Test(apply_meta, a_directory_of_ours_follows_what_was_published)
{
	struct maker m = {0};
	struct world w;

	world_tool(&w);
	make_meta(&m, ENTRY_DIRECTORY, "dir", 0777, T0 + 5);
	world_apply(&w, &m, 1, 2);
	world_check(&w);
	cr_expect_eq(deviations(&w), 0);
	world_clear(&w);
}

Test(apply_meta, what_takes_the_place_of_a_new_directory_is_not_opened)
{
	struct maker m = {0};
	struct world w;

	world_tool(&w);
	cr_assert_eq(run(&w, BOB), 0);
	make_directory(&m, "fresh");
	make_put(&m, "fresh/file", "x\n");
	make_put(&m, "zz", "last\n");
	raced(&w, &m, "zz", TARGET "mv fresh fresh.old && mv bob fresh");
	cr_expect_eq(run(&w, TARGET "test $(stat -c %a fresh) = 700 && grep -q thesis fresh/*"), 0);
	cr_expect_geq(deviations(&w), 1);
	world_clear(&w);
}

/* What cannot be set */

static int without_chown(const char *path, unsigned mode)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	struct err err = {0};
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (syscall(SYS_capget, &header, data) < 0)
		return 1;
	data[0].effective &= ~(1u << CAP_CHOWN);
	if (syscall(SYS_capset, &header, data) < 0)
		return 2;
	if (meta_set_fd(fd, &(struct meta){(uint16_t)mode, 1, 1, T0}, &err) < 0 ||
	    fstat(fd, &st) < 0)
		return 3;
	return (st.st_mode & 07777) == (mode & 01777) ? 0 : 4;
}

Test(apply_meta, set_id_bits_are_left_out_where_the_owner_cannot_be_set)
{
	char dir[SCRATCH_PATH], path[SCRATCH_PATH + 16];
	int status;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip("needs root");
	scratch_make(dir);
	snprintf(path, sizeof(path), "%s/file", dir);
	pid = fork();
	if (pid == 0)
		_exit(without_chown(path, 06755));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
	scratch_remove(dir);
}

Test(apply_meta, an_immutable_file_is_a_local_change_and_not_a_file_system_without_modes)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;
	int64_t n = 0;
	int rc;

	world_tool(&w);
	make_meta(&m, ENTRY_FILE, "tool", 0700, T0 + 5);
	bundle_make(&w, &m, 1, 2, &b);
	if (run(&w, TARGET "chattr +i tool 2> /dev/null") != 0)
		cr_skip("this file system has no immutable files");
	w.target.local = LOCAL_REPLACE;
	rc = world_try(&w, &b, 0);
	cr_assert_eq(run(&w, TARGET "chattr -i tool"), 0);
	cr_expect_eq(rc, 0, "%s", w.err.text);
	cr_expect_eq(deviations(&w), 1);
	cr_expect_eq(db_int(w.s.db, &w.err, &n, "SELECT count(*) FROM apply_adaptation", ""), 1);
	cr_expect_eq(n, 0);
	buf_clear(&b.blocks);
	world_clear(&w);
}
