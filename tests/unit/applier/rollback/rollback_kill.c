/* SPDX-License-Identifier: ISC */
/*
 * Going back, and the update before it, cut off at any call that writes: the one tree or the other,
 * and nothing left lying about.
 */
#include "applier/rollback/rollback.h"
#include "tests/support/fault.h"

#include <sys/wait.h>

#include "tests/support/apply_kept.h"

static int in_child(struct world *w, const struct pair *p, long at, int error, long until,
		    bool apply_too)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int rc = station_reopen(w);

		if (rc < 0)
			_exit(99);
		fault_arm(at, error, until);
		rc = apply_too ? world_try(w, &p->b[1], 0) : kept_back(w);
		fault.pid = 0;
		_exit(rc < 0 ? 1 : atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/** One rollback with a fault, and what comes after.  False: there was no such call any more. */
static bool survive(const struct pair *p, long at, int error, long until)
{
	struct world w;
	int status, rc;

	kept_make(&w, p);
	w.s.db = db_free(w.s.db);
	status = in_child(&w, p, at, error, until, false);
	cr_assert(status == 42 || status == 0 || status == 1 || status == 128 + SIGKILL,
		  "call %ld: status %d", at, status);
	station_open_again(&w);
	rc = apply_recover(&w.s, &w.target, &w.err);
	cr_assert_geq(rc, 0, "call %ld: %s", at, w.err.text);
	cr_assert_eq(apply_recover(&w.s, &w.target, &w.err), 0, "call %ld", at);
	if (status != 128 + SIGKILL || rc > 0)
		kept_check(&w, p);
	rc = kept_back(&w);
	cr_assert(rc == 0 || rc == RC_ABSENT, "call %ld: %s", at, w.err.text);
	kept_check(&w, p);
	cr_assert_eq(w.generation, 1, "call %ld: %s", at, w.err.text);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0,
		     "call %ld: an area is left", at);
	kept_clear(&w);
	return status != 42;
}

static void survive_all(int error, bool forever)
{
	struct pair p = {0};
	long at = 1;

	pair_make(&p);
	while (survive(&p, at, error, forever ? 1000000 : at))
		at += fault_stride();
	cr_assert_gt(at, 50, "only %ld calls were tried", at);
	cr_log_info("%ld calls", at);
	pair_clear(&p);
}

Test(rollback_kill, killed_before_any_write_leaves_the_one_tree_or_the_other)
{
	survive_all(0, false);
}

Test(rollback_kill, killed_without_exchange_leaves_the_one_tree_or_the_other)
{
	fault.no_exchange = true;
	survive_all(0, false);
}

Test(rollback_kill, a_write_that_fails_leaves_the_one_tree_or_the_other)
{
	survive_all(EIO, false);
}

Test(rollback_kill, a_full_disk_leaves_the_one_tree_or_the_other)
{
	survive_all(ENOSPC, true);
}

/** The update that it is to undo, cut off: what it took out is kept, or it did not happen. */
static bool survive_apply(const struct pair *p, long at, int error, long until)
{
	struct world w;
	int status, rc;

	kept_make(&w, p);
	cr_assert_eq(kept_back(&w), 0, "%s", w.err.text);
	OK(&w, undo_floor_drop(&w.s, "office", &w.err));
	w.s.db = db_free(w.s.db);
	status = in_child(&w, p, at, error, until, true);
	station_open_again(&w);
	rc = apply_recover(&w.s, &w.target, &w.err);
	cr_assert_geq(rc, 0, "call %ld: %s", at, w.err.text);
	station_check(&w, p);
	if (w.generation == 2)
		cr_assert_eq(kept_back(&w), 0, "call %ld: %s", at, w.err.text);
	station_check(&w, p);
	cr_assert_eq(w.generation, 1, "call %ld", at);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0,
		     "call %ld: an area is left", at);
	kept_clear(&w);
	return status != 42;
}

Test(rollback_kill, an_update_killed_anywhere_can_be_undone_when_it_happened)
{
	struct pair p = {0};
	long at = 1;

	pair_make(&p);
	while (survive_apply(&p, at, 0, at))
		at += fault_stride();
	cr_log_info("%ld calls", at);
	pair_clear(&p);
}
