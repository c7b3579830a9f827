/* SPDX-License-Identifier: ISC */
/*
 * Repair, cut off at any call that writes: the next one ends it, and nothing is lost.
 */
#include "applier/repair/repair.h"
#include "tests/support/fault.h"

#include <sys/wait.h>

#include "tests/support/apply_damaged.h"

/** One repair with a fault, and what comes after.  False: there was no such call any more. */
static bool survive(const struct pair *p, long at, int error, long until)
{
	struct world w;
	int status, rc, fd;
	pid_t pid;

	damaged_make(&w, p);
	fd = damaged_fetched(&w);
	w.s.db = db_free(w.s.db);
	pid = fork();
	if (pid == 0) {
		if (station_reopen(&w) < 0)
			_exit(99);
		fault_arm(at, error, until);
		rc = damaged_repair(&w, fd);
		fault.pid = 0;
		_exit(rc < 0 ? 1 : atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	station_open_again(&w);
	rc = apply_recover(&w.s, &w.target, &w.err);
	cr_assert_geq(rc, 0, "call %ld: %s", at, w.err.text);
	cr_assert_eq(damaged_repair(&w, fd), 0, "call %ld: %s", at, w.err.text);
	damaged_check(&w, p);
	close(fd);
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

Test(repair_kill, killed_before_any_write_is_finished_by_the_next_one)
{
	survive_all(0, false);
}

Test(repair_kill, a_write_that_fails_leaves_nothing_half_done)
{
	survive_all(EIO, false);
}

Test(repair_kill, a_full_disk_leaves_nothing_half_done)
{
	survive_all(ENOSPC, true);
}
