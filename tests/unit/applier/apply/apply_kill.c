/* SPDX-License-Identifier: ISC */
/*
 * A run that is cut off: by SIGKILL before each call that writes, and by each of these calls
 * failing.  Afterwards the tree is the old one or the new one, the index says the same as the disk,
 * and the next run gets there.
 */
#include "applier/apply/applied.h"
#include "tests/support/fault.h"

#include <sys/wait.h>

#include "tests/support/apply_pair.h"

/** In a child: the first bundle, then the second with the fault armed.  Its exit status. */
static int run_with_fault(struct world *w, const struct pair *p, long at, int error, long until)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int rc;

		if (station_reopen(w) < 0 || world_try(w, &p->b[0], 0) < 0)
			_exit(99);
		fault_arm(at, error, until);
		rc = world_try(w, &p->b[1], 0);
		fault.pid = 0;
		if (rc < 0 && getenv("FAULT_SHOW") != NULL)
			fprintf(stderr, "%ld: %s\n", at, w->err.text);
		_exit(rc < 0 ? 1 : atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/** One run with a fault, and what comes after.  False: there was no such call any more. */
static bool survive(const struct pair *p, long at, int error, long until)
{
	struct world w;
	int status, rc;

	station_make(&w, p);
	w.s.db = db_free(w.s.db); /* a connection does not cross a fork */
	status = run_with_fault(&w, p, at, error, until);
	cr_assert(status == 42 || status == 0 || status == 1 || status == 128 + SIGKILL,
		  "call %ld: status %d", at, status);
	station_open_again(&w);
	rc = apply_recover(&w.s, &w.target, &w.err);
	cr_assert_geq(rc, 0, "call %ld: %s", at, w.err.text);
	if (getenv("FAULT_SHOW") != NULL)
		fprintf(stderr, "%ld: status %d, recovered %d (%s)\n", at, status, rc, w.err.text);
	cr_assert_eq(apply_recover(&w.s, &w.target, &w.err), 0, "call %ld", at);
	if (status != 128 + SIGKILL || rc > 0)
		station_check(&w, p);
	rc = world_try(&w, &p->b[1], 0);
	cr_assert(rc == 0 || rc == RC_AGAIN, "call %ld: %s", at, w.err.text);
	station_check(&w, p);
	cr_assert_eq(w.generation, 2);
	world_clear(&w);
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

Test(apply_kill, a_run_killed_before_any_write_leaves_the_old_tree_or_the_new_one)
{
	survive_all(0, false);
}

Test(apply_kill, the_same_on_a_file_system_that_cannot_exchange)
{
	fault.no_exchange = true;
	survive_all(0, false);
}

Test(apply_kill, a_write_that_fails_leaves_the_old_tree_or_the_new_one)
{
	survive_all(EIO, false);
}

Test(apply_kill, a_disk_that_stays_full_leaves_the_old_tree_or_the_new_one)
{
	survive_all(ENOSPC, true);
}

Test(apply_kill, a_write_that_fails_without_exchange_leaves_the_old_tree_or_the_new_one)
{
	fault.no_exchange = true;
	survive_all(EIO, false);
}

/*
 * A power cut: of the renames of one run any subset is on the disk.  The run is stopped when its
 * journal is written, then operations are done by hand, in any order.
 */

/** Kill before call ${at}; is the journal written, and nothing renamed?  1 yes, 0 not yet. */
static bool stopped(const struct pair *p, struct world *w, long at)
{
	int64_t state = -1;

	station_make(w, p);
	w->s.db = db_free(w->s.db);
	cr_assert_eq(run_with_fault(w, p, at, 0, at), 128 + SIGKILL);
	station_open_again(w);
	db_int(w->s.db, &w->err, &state, "SELECT state FROM apply_run", "");
	return state == 1;
}

/** The first such call, looked for in steps and then back; the station is left as it is then. */
static long stop_first(const struct pair *p, struct world *w)
{
	long at = 20;

	for (; !stopped(p, w, at); at += 5)
		world_clear(w);
	for (bool more = true; more;) {
		world_clear(w);
		more = stopped(p, w, at - 1);
		if (more)
			at--;
	}
	world_clear(w);
	cr_assert(stopped(p, w, at));
	return at;
}

/* What lies at the path now is not what the journal speaks of: its mode is nobody's business. */
Test(apply_kill, the_mode_of_a_file_that_took_the_place_meanwhile_is_left_alone)
{
	struct pair p = {0};
	struct world w;

	pair_make(&p);
	stop_first(&p, &w);
	cr_assert_eq(scratch_run(w.dir, "echo secret > victim && chmod 600 victim && "
					"ln -f victim root/srv/office/dir/one"),
		     0);
	cr_assert_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
	cr_assert_eq(scratch_run(w.dir, "test \"$(stat -c %a victim)\" = 600 && "
					"test \"$(cat root/srv/office/beta)\" = new"),
		     0);
	world_clear(&w);
	pair_clear(&p);
}

struct hand_op {
	int64_t n, kind, now_kind, old_kind;
	char path[256];
};

static size_t hand_ops(struct world *w, struct hand_op *ret)
{
	OWNED(db_done) sqlite3_stmt *st = NULL;
	size_t n = 0;

	OK(w, db_query(w->s.db,
		       "SELECT n, kind, now_kind, old_kind, path FROM apply_op WHERE kind < 3", &st,
		       &w->err));
	while (db_step(w->s.db, st, &w->err) > 0) {
		ret[n] = (struct hand_op){.n = db_i64(st, 0),
					  .kind = db_i64(st, 1),
					  .now_kind = db_i64(st, 2),
					  .old_kind = db_i64(st, 3)};
		snprintf(ret[n++].path, sizeof(ret->path), "%s", db_text(st, 4));
	}
	return n;
}

/** By hand what the operation does; ${two} leaves it half done, as without exchange. */
static void hand_do(struct world *w, const struct hand_op *o, bool two)
{
	char from[2 * LIMIT_PATH], staged[512], aside[512];

	disk_path(w, from, o->path);
	snprintf(staged, sizeof(staged), "%s/root/srv/.satchel-stage-office/n%lld", w->dir,
		 (long long)o->n);
	snprintf(aside, sizeof(aside), "%s/root/srv/.satchel-stage-office/o%lld", w->dir,
		 (long long)o->n);
	if (o->kind == 1 || two)
		renameat(AT_FDCWD, from, AT_FDCWD, aside);
	else
		renameat2(AT_FDCWD, staged, AT_FDCWD, from,
			  o->old_kind != 0 ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

/** Some of the operations, in some order; returns one that was not done, or 0. */
static int64_t hand_some(struct world *w, unsigned *seed)
{
	struct hand_op op[64];
	int64_t left = 0;

	for (size_t k = hand_ops(w, op); k > 0; k--) {
		struct hand_op one;
		size_t pick;

		*seed = *seed * 1103515245 + 12345;
		pick = (*seed >> 8) % k;
		one = op[pick];
		op[pick] = op[k - 1];
		if ((*seed >> 16) % 3 != 0)
			hand_do(w, &one, (*seed >> 20) % 5 == 0);
		else if (one.kind == 2)
			left = one.n;
	}
	return left;
}

/** Sixty power cuts, a fifth of them under a sanitizer; ${lose}: something staged is lost as well,
 * so that there is no way forward. */
static void power_cuts(bool lose)
{
	struct pair p = {0};
	struct world w;
	unsigned seed = 1;
	long at;

	pair_make(&p);
	at = stop_first(&p, &w);
	world_clear(&w);
	for (int i = 0; i < 60 / fault_stride(); i++) {
		char command[256];
		int64_t left;

		cr_assert(stopped(&p, &w, at));
		left = hand_some(&w, &seed);
		snprintf(command, sizeof(command), "rm -r root/srv/.satchel-stage-office/n%lld",
			 (long long)left);
		if (lose && left != 0)
			cr_assert_eq(scratch_run(w.dir, command), 0);
		cr_assert_eq(apply_recover(&w.s, &w.target, &w.err), 1, "%s", w.err.text);
		station_check(&w, &p);
		cr_assert_eq(w.generation, lose && left != 0 ? 1 : 2, "%s", w.err.text);
		world_clear(&w);
	}
	pair_clear(&p);
}

Test(apply_kill, any_subset_of_the_renames_in_any_order_is_brought_to_the_new_tree)
{
	power_cuts(false);
}

Test(apply_kill, any_subset_of_the_renames_is_undone_when_there_is_no_way_forward)
{
	power_cuts(true);
}

/** Recovery in a child, killed before its call ${at}; false when it came to its end. */
static bool recovery_killed(struct world *w, long at)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (station_reopen(w) < 0)
			_exit(99);
		fault_arm(at, 0, at);
		_exit(apply_recover(&w->s, &w->target, &w->err) < 0 ? 1 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "status %x", status);
	return WIFSIGNALED(status);
}

static void kill_twice(bool lose)
{
	struct pair p = {0};
	struct world w;
	unsigned seed = 7;
	long first;
	bool more = true;

	pair_make(&p);
	first = stop_first(&p, &w);
	world_clear(&w);
	for (long at = 1; more; at += 2 * fault_stride()) {
		int64_t left;
		char command[256];

		cr_assert(stopped(&p, &w, first));
		left = hand_some(&w, &seed);
		snprintf(command, sizeof(command), "rm -rf root/srv/.satchel-stage-office/n%lld",
			 (long long)left);
		if (lose)
			cr_assert_eq(scratch_run(w.dir, command), 0);
		w.s.db = db_free(w.s.db);
		more = recovery_killed(&w, at);
		station_open_again(&w);
		cr_assert_geq(apply_recover(&w.s, &w.target, &w.err), 0, "%s", w.err.text);
		station_check(&w, &p);
		cr_assert_eq(w.generation, lose && left != 0 ? 1 : 2, "%s", w.err.text);
		world_clear(&w);
	}
	pair_clear(&p);
}

Test(apply_kill, a_recovery_that_is_killed_is_taken_up_again)
{
	kill_twice(false);
}

Test(apply_kill, an_undoing_that_is_killed_is_taken_up_again)
{
	kill_twice(true);
}
