/* SPDX-License-Identifier: ISC */
/*
 * Somebody who edits while a bundle is applied: between the plan and the very rename.
 */
#include "applier/apply/applied.h"
#include "tests/support/fault.h"

#include "tests/support/apply_tree.h"

static struct {
	const char *name;    /* of the rename's target or source before which it happens */
	const char *command; /* what happens then, in the scratch directory */
	const char *dir;
} race;

static void race_now(const char *from, const char *to)
{
	if (race.command == NULL || (strcmp(from, race.name) != 0 && strcmp(to, race.name) != 0))
		return;
	cr_assert_eq(scratch_run(race.dir, race.command), 0);
	race.command = NULL;
}

/** The second bundle, with ${command} run right before the rename of ${name}. */
static int world_race(struct world *w, enum local_answer answer, const char *name,
		      const char *command)
{
	struct maker m = {0};
	struct made_bundle b;
	int rc;

	world_make(w);
	w->target.local = answer;
	make_first(&m);
	world_apply(w, &m, 0, 1);
	make_second(&m);
	bundle_make(w, &m, 1, 2, &b);
	race.name = name;
	race.command = command;
	race.dir = w->dir;
	fault.before = race_now;
	rc = world_try(w, &b, 0);
	fault.before = NULL;
	cr_assert_null(race.command, "it never came to that");
	buf_clear(&b.blocks);
	return rc;
}

static void applied_is(struct world *w, uint64_t want)
{
	struct applied now;

	OK(w, applied_load(&w->s, "office", &now, &w->err));
	cr_assert_eq(now.generation, want);
}

#define EDIT_ALPHA "cd root/srv/office && echo edited > alpha"
/* The same inode, the same size, the same time: only the content tells, and that it is worth a look
 * is told by the ctime, until the rename has changed that as well. */
#define EDIT_SLY                                                                     \
	"cd root/srv/office && t=$(stat -c %y alpha) && printf 'THE first file\\n' " \
	"| dd of=alpha conv=notrunc status=none && touch -d \"$t\" alpha"
#define REPLACE_ALPHA "cd root/srv/office && echo edited > alpha.new && mv alpha.new alpha"

static void fails_back(const char *name, const char *command, const char *look)
{
	struct world w;

	cr_assert_eq(world_race(&w, LOCAL_FAIL, name, command), RC_CONFLICT, "%s", w.err.text);
	applied_is(&w, 1);
	cr_assert_eq(scratch_run(w.dir, look), 0, "%s", look);
	cr_assert_eq(scratch_run(w.dir, "cd root/srv/office && test -f goner/below/file && "
					"test -d was && test ! -e copied && test ! -e fresh && "
					"test ! -e ../.satchel-stage-office"),
		     0);
	world_clear(&w);
}

Test(apply_race, an_edit_at_the_last_moment_undoes_everything_when_the_answer_is_fail)
{
	fails_back("alpha", EDIT_ALPHA, "grep -q edited root/srv/office/alpha");
	fails_back("gone", EDIT_SLY, "grep -q THE root/srv/office/alpha");
	fails_back("alpha", REPLACE_ALPHA, "grep -q edited root/srv/office/alpha");
	fails_back("beta", "echo edited > root/srv/office/beta",
		   "grep -q edited root/srv/office/beta");
	fails_back("gone", "echo edited > root/srv/office/gone",
		   "grep -q edited root/srv/office/gone");
	fails_back("below", "echo edited > root/srv/office/goner/below/mine",
		   "grep -q edited root/srv/office/goner/below/mine");
	fails_back("was", "echo edited > root/srv/office/was/mine",
		   "grep -q edited root/srv/office/was/mine");
}

Test(apply_race, the_same_without_exchange)
{
	fault.no_exchange = true;
	fails_back("alpha", EDIT_ALPHA, "grep -q edited root/srv/office/alpha");
	fails_back("was", "echo edited > root/srv/office/was/mine",
		   "grep -q edited root/srv/office/was/mine");
}

static void keeps_copy(const char *name, const char *command, const char *look)
{
	struct world w;

	cr_assert_eq(world_race(&w, LOCAL_REPLACE, name, command), 0, "%s", w.err.text);
	applied_is(&w, 2);
	world_check(&w);
	cr_assert_eq(scratch_run(w.dir, look), 0, "%s", look);
	world_clear(&w);
}

Test(apply_race, an_edit_at_the_last_moment_is_kept_as_a_copy_when_the_answer_is_replace)
{
#define KEPT "grep -q edited root/srv/.satchel-kept/office/2/"
	keeps_copy("alpha", EDIT_ALPHA, KEPT "alpha");
	keeps_copy("gone", EDIT_SLY, "grep -q THE root/srv/.satchel-kept/office/2/alpha");
	keeps_copy("alpha", REPLACE_ALPHA, KEPT "alpha");
	keeps_copy("beta", "echo edited > root/srv/office/beta", KEPT "beta");
	keeps_copy("gone", "echo edited > root/srv/office/gone", KEPT "gone");
	keeps_copy("below", "echo edited > root/srv/office/goner/below/mine",
		   KEPT "goner/below/mine");
	keeps_copy("was", "echo edited > root/srv/office/was/mine", KEPT "was/mine");
	fault.no_exchange = true;
	keeps_copy("alpha", EDIT_ALPHA, KEPT "alpha");
	keeps_copy("beta", "echo edited > root/srv/office/beta", KEPT "beta");
}

static void keeps_local(const char *name, const char *command, const char *look)
{
	struct world w;
	int64_t n = 0;

	cr_assert_eq(world_race(&w, LOCAL_KEEP, name, command), 0, "%s", w.err.text);
	applied_is(&w, 2);
	cr_assert_eq(scratch_run(w.dir, look), 0, "%s", look);
	cr_assert_eq(db_int(w.s.db, &w.err, &n, "SELECT count(*) FROM apply_deviation", ""), 1);
	cr_assert_geq(n, 1);
	cr_assert_eq(scratch_run(w.dir, "cd root/srv && test ! -e .satchel-stage-office && "
					"test ! -e .satchel-kept && test -d office/fresh"),
		     0);
	world_clear(&w);
}

Test(apply_race, an_edit_at_the_last_moment_stays_when_the_answer_is_keep)
{
	keeps_local("alpha", EDIT_ALPHA, "grep -q edited root/srv/office/alpha");
	keeps_local("gone", EDIT_SLY, "grep -q THE root/srv/office/alpha");
	keeps_local("alpha", REPLACE_ALPHA, "grep -q edited root/srv/office/alpha");
	keeps_local("beta", "echo edited > root/srv/office/beta",
		    "grep -q edited root/srv/office/beta");
	keeps_local("gone", "echo edited > root/srv/office/gone",
		    "grep -q edited root/srv/office/gone");
	fault.no_exchange = true;
	keeps_local("alpha", EDIT_ALPHA, "grep -q edited root/srv/office/alpha");
	keeps_local("beta", "echo edited > root/srv/office/beta",
		    "grep -q edited root/srv/office/beta");
}

Test(apply_race, what_somebody_else_deletes_at_the_last_moment_is_no_conflict)
{
	static const char *const gone[] = {"alpha", "gone", "goner", "was", "points", "becomes"};

	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		struct world w;
		char command[128];

		snprintf(command, sizeof(command), "rm -r root/srv/office/%s", gone[i]);
		cr_assert_eq(world_race(&w, LOCAL_FAIL, gone[i], command), 0, "%s: %s", gone[i],
			     w.err.text);
		world_check(&w);
		world_clear(&w);
	}
}

Test(apply_race, a_directory_that_becomes_a_link_at_the_last_moment_is_not_written_through)
{
	struct world w;

	cr_assert_eq(world_race(&w, LOCAL_FAIL, "alpha",
				"mkdir root/out && cp -a root/srv/office/dir/. root/out && "
				"mv root/srv/office/dir root/srv/office/dir.mine && "
				"ln -s ../../out root/srv/office/dir"),
		     RC_POLICY, "%s", w.err.text);
	applied_is(&w, 1);
	cr_assert_eq(scratch_run(w.dir, "test -f root/out/two && test ! -L root/out/two && "
					"grep -q first root/srv/office/alpha && "
					"! grep -q changed root/srv/office/alpha"),
		     0);
	world_clear(&w);
}
