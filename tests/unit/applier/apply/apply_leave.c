/* SPDX-License-Identifier: ISC */
/*
 * A tree is left: what it brought goes, what people wrote stays, also when they are faster than the
 * run, and a run that is killed is taken up again.
 */
#include "tests/support/apply_cut.h"

TestSuite(apply_leave, .timeout = 300);

static int run(struct world *w, const char *command)
{
	return scratch_run(w->dir, command);
}

static void world_first(struct world *w)
{
	struct maker m = {0};

	world_make(w);
	make_first(&m);
	world_apply(w, &m, 0, 1);
	cr_assert_eq(run(w, "echo victim > root/victim"), 0);
}

static struct {
	const char *from, *to, *command, *dir;
} race;

static void race_now(const char *from, const char *to)
{
	if (race.command == NULL || strcmp(from, race.from) != 0 || strcmp(to, race.to) != 0)
		return;
	cr_assert_eq(scratch_run(race.dir, race.command), 0);
	race.command = NULL;
}

Test(apply_leave, removes_what_the_tree_brought_and_nothing_else)
{
	uint64_t kept = 9;
	struct world w;

	world_first(&w);
	cr_assert_eq(run(&w, "cd root/srv/office && echo mine > dir/mine && echo more >> alpha && "
			     "rm empty && mkdir empty && ln -sfn ../victim dir/link"),
		     0);
	OK(&w, apply_leave(&w.s, &w.target, &kept, &w.err));
	cr_expect_eq(kept, 3);
	cr_expect_eq(run(&w, "test \"$(find root/srv -mindepth 1 | sort | tr '\\n' ' ')\" = "
			     "'root/srv/office root/srv/office/alpha root/srv/office/dir "
			     "root/srv/office/dir/link root/srv/office/dir/mine "
			     "root/srv/office/empty '"),
		     0);
	cr_assert_eq(run(&w, "rm -r root/srv/office"), 0);
	OK(&w, apply_leave(&w.s, &w.target, &kept, &w.err));
	cr_expect_eq(kept, 0);
	cr_expect_eq(run(&w, "test -z \"$(ls -A root/srv)\""), 0);
	world_clear(&w);
}

Test(apply_leave, what_is_put_under_a_name_while_it_is_removed_stays)
{
	static const char *const commands[] = {
	    "mv root/victim root/srv/office/alpha",
	    "ln -f root/victim root/srv/office/alpha",
	    "echo victim >> root/srv/office/alpha",
	    ("rm root/srv/office/alpha && mkdir root/srv/office/alpha && "
	     "mv root/victim root/srv/office/alpha"),
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		uint64_t kept = 0;
		struct world w;

		world_first(&w);
		race.from = "alpha";
		race.to = "o1";
		race.command = commands[i];
		race.dir = w.dir;
		fault.before = race_now;
		OK(&w, apply_leave(&w.s, &w.target, &kept, &w.err));
		fault.before = NULL;
		cr_expect_null(race.command, "it never came to that");
		cr_expect_eq(kept, 1);
		cr_expect_eq(run(&w, "grep -rq victim root/srv/office/alpha && "
				     "test \"$(ls -A root/srv/office)\" = alpha && "
				     "test \"$(ls -A root/srv)\" = office"),
			     0, "%s", commands[i]);
		world_clear(&w);
	}
}

static void twice(const char *from, const char *to)
{
	if (strcmp(from, "alpha") == 0)
		cr_assert_eq(scratch_run(race.dir, "echo one >> root/srv/office/alpha"), 0);
	if (strcmp(to, "alpha") == 0 && strcmp(from, "o1") == 0 && race.command != NULL) {
		race.command = NULL;
		cr_assert_eq(scratch_run(race.dir, "echo two > root/srv/office/alpha"), 0);
	}
}

Test(apply_leave, a_change_whose_place_is_taken_again_is_kept)
{
	uint64_t kept = 0;
	struct world w;

	world_first(&w);
	race.command = "";
	race.dir = w.dir;
	fault.before = twice;
	OK(&w, apply_leave(&w.s, &w.target, &kept, &w.err));
	fault.before = NULL;
	cr_expect_null(race.command);
	cr_expect_eq(run(&w, "grep -qx two root/srv/office/alpha && "
			     "grep -qx one root/srv/.satchel-kept/office/1/alpha"),
		     0);
	world_clear(&w);
}

/** In a child, killed before its call ${at}; false when it came to its end. */
static bool leave_killed(struct world *w, long at)
{
	uint64_t kept;
	int status;
	pid_t pid;

	w->s.db = db_free(w->s.db);
	pid = fork();
	if (pid == 0) {
		world_reopen(w);
		fault_arm(at, 0, at);
		_exit(apply_leave(&w->s, &w->target, &kept, &w->err) < 0 ? 1 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	world_reopen(w);
	cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "status %x", status);
	return WIFSIGNALED(status);
}

Test(apply_leave, a_leaving_that_is_killed_is_taken_up_again)
{
	unsigned killed = 0;
	bool more = true;

	for (long at = 1; more; at += 4) {
		uint64_t kept = 9;
		struct world w;

		world_first(&w);
		cr_assert_eq(run(&w, "echo more >> root/srv/office/gone"), 0);
		more = leave_killed(&w, at);
		killed += more;
		OK(&w, apply_leave(&w.s, &w.target, &kept, &w.err));
		cr_expect_eq(kept, 1);
		OK(&w, apply_recover(&w.s, &w.target, &w.err));
		cr_assert_eq(run(&w, "test \"$(ls -A root/srv/office)\" = gone && "
				     "test \"$(ls -A root/srv)\" = office"),
			     0, "call %ld", at);
		world_clear(&w);
	}
	cr_expect_geq(killed, 5);
}
