/* SPDX-License-Identifier: ISC */
/*
 * Going back: the old tree to the last bit, the floor above it, and nothing in between whatever
 * call of it does not come back.
 */
#include "applier/rollback/rollback.h"
#include "tests/support/fault.h"

#include <sys/wait.h>

#include "tests/support/apply_pair.h"

/** A workstation that keeps what it was, at generation 2. */
static void at_second(struct world *w, const struct pair *p)
{
	struct tree_place place = {.tree = "office", .rootfd = -1};
	char root[SCRATCH_PATH + 16], path[SCRATCH_PATH + 32];

	station_make(w, p);
	snprintf(root, sizeof(root), "%s/root", w->dir);
	snprintf(path, sizeof(path), "%s/root/srv/office", w->dir);
	w->s.root = strdup(root);
	w->s.undo_keep = 2;
	w->s.undo_bytes = UNDO_BYTES;
	place.path = path;
	OK(w, tree_place_put(&w->s, &place, &w->err));
	OK(w, world_try(w, &p->b[0], 0));
	OK(w, world_try(w, &p->b[1], 0));
}

static void end(struct world *w)
{
	free(w->s.root);
	w->s.root = NULL;
	world_clear(w);
}

static int back(struct world *w)
{
	struct rollback_result r;

	w->err = (struct err){0};
	return rollback_tree(&w->s, "office", 0, "it was tried", &r, &w->err);
}

/** The tree is that of the generation that is held, and above an older one is the floor. */
static void check(struct world *w, const struct pair *p)
{
	struct undo_floor floor;
	int rc = undo_floor_load(&w->s, "office", &floor, &w->err);

	station_check(w, p);
	cr_assert_eq(rc, w->generation == 1, "%s", w->err.text);
	if (rc == 1)
		cr_assert_eq(floor.accepted.generation, 2);
}

Test(rollback, brings_the_old_tree_back_and_leaves_the_floor_where_it_was)
{
	struct pair p = {0};
	struct world w;

	pair_make(&p);
	at_second(&w, &p);
	cr_assert_eq(back(&w), 0, "%s", w.err.text);
	check(&w, &p);
	cr_assert_eq(w.generation, 1);
	cr_assert_eq(world_try(&w, &p.b[1], 0), RC_REPLAY, "what was left is applied again");
	check(&w, &p);
	cr_assert_eq(back(&w), RC_ABSENT);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0);
	end(&w);
	pair_clear(&p);
}

Test(rollback, goes_on_from_there_to_a_later_generation)
{
	struct pair p = {0};
	struct made_bundle b;
	struct maker m = {0};
	struct undo_floor floor;
	struct world w;

	pair_make(&p);
	at_second(&w, &p);
	cr_assert_eq(back(&w), 0, "%s", w.err.text);
	make_put(&m, "only", "the third\n");
	w.generation = 1;
	w.tree = p.tree[0];
	bundle_make(&w, &m, 0, 3, &b);
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	world_check(&w);
	cr_assert_eq(undo_floor_load(&w.s, "office", &floor, &w.err), 0);
	buf_clear(&b.blocks);
	end(&w);
	pair_clear(&p);
}

Test(rollback, an_old_content_that_was_changed_or_is_gone_does_not_come_back)
{
	static const char *const damage[] = {
	    "for f in root/srv/.satchel-undo-office-*/[no]*; do [ -f $f ] && echo other > $f; done; :",
	    "rm -r root/srv/.satchel-undo-office-*",
	};

	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		struct pair p = {0};
		struct world w;

		pair_make(&p);
		at_second(&w, &p);
		cr_assert_eq(scratch_run(w.dir, damage[i]), 0);
		cr_assert_eq(back(&w), RC_ABSENT, "%s", w.err.text);
		check(&w, &p);
		cr_assert_eq(w.generation, 2, "something changed");
		end(&w);
		pair_clear(&p);
	}
}

Test(rollback, keeps_aside_what_a_person_wrote_meanwhile)
{
	struct pair p = {0};
	struct world w;

	pair_make(&p);
	at_second(&w, &p);
	cr_assert_eq(scratch_run(w.dir, "echo mine > root/srv/office/alpha"), 0);
	cr_assert_eq(back(&w), 0, "%s", w.err.text);
	check(&w, &p);
	cr_assert_eq(scratch_run(w.dir, "grep -rqx mine root/srv/.satchel-kept"), 0);
	end(&w);
	pair_clear(&p);
}

Test(rollback, keeps_no_more_than_the_budget)
{
	struct pair p = {0};
	struct made_bundle b;
	struct maker m = {0};
	struct world w;

	pair_make(&p);
	at_second(&w, &p);
	w.s.undo_bytes = 1;
	make_put(&m, "only", "the third\n");
	bundle_make(&w, &m, 0, 3, &b);
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	cr_assert_eq(back(&w), RC_ABSENT, "more is kept than is allowed");
	world_check(&w);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0);
	buf_clear(&b.blocks);
	end(&w);
	pair_clear(&p);
}

Test(rollback, keeps_nothing_where_the_owner_wants_none)
{
	struct pair p = {0};
	struct world w;

	pair_make(&p);
	at_second(&w, &p);
	cr_assert_eq(apply_past_clear(&w.s, &w.target, &w.err), 0, "%s", w.err.text);
	cr_assert_eq(back(&w), RC_ABSENT);
	check(&w, &p);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0);
	end(&w);
	pair_clear(&p);
}

/* Cut off */

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
		rc = apply_too ? world_try(w, &p->b[1], 0) : back(w);
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

	at_second(&w, p);
	w.s.db = db_free(w.s.db);
	status = in_child(&w, p, at, error, until, false);
	cr_assert(status == 42 || status == 0 || status == 1 || status == 128 + SIGKILL,
		  "call %ld: status %d", at, status);
	station_open_again(&w);
	rc = apply_recover(&w.s, &w.target, &w.err);
	cr_assert_geq(rc, 0, "call %ld: %s", at, w.err.text);
	cr_assert_eq(apply_recover(&w.s, &w.target, &w.err), 0, "call %ld", at);
	if (status != 128 + SIGKILL || rc > 0)
		check(&w, p);
	rc = back(&w);
	cr_assert(rc == 0 || rc == RC_ABSENT, "call %ld: %s", at, w.err.text);
	check(&w, p);
	cr_assert_eq(w.generation, 1, "call %ld: %s", at, w.err.text);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0,
		     "call %ld: an area is left", at);
	end(&w);
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

Test(rollback, killed_before_any_write_leaves_the_one_tree_or_the_other)
{
	survive_all(0, false);
}

Test(rollback, killed_without_exchange_leaves_the_one_tree_or_the_other)
{
	fault.no_exchange = true;
	survive_all(0, false);
}

Test(rollback, a_write_that_fails_leaves_the_one_tree_or_the_other)
{
	survive_all(EIO, false);
}

Test(rollback, a_full_disk_leaves_the_one_tree_or_the_other)
{
	survive_all(ENOSPC, true);
}

/** The update that it is to undo, cut off: what it took out is kept, or it did not happen. */
static bool survive_apply(const struct pair *p, long at, int error, long until)
{
	struct world w;
	int status, rc;

	at_second(&w, p);
	cr_assert_eq(back(&w), 0, "%s", w.err.text);
	OK(&w, undo_floor_drop(&w.s, "office", &w.err));
	w.s.db = db_free(w.s.db);
	status = in_child(&w, p, at, error, until, true);
	station_open_again(&w);
	rc = apply_recover(&w.s, &w.target, &w.err);
	cr_assert_geq(rc, 0, "call %ld: %s", at, w.err.text);
	station_check(&w, p);
	if (w.generation == 2)
		cr_assert_eq(back(&w), 0, "call %ld: %s", at, w.err.text);
	station_check(&w, p);
	cr_assert_eq(w.generation, 1, "call %ld", at);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0,
		     "call %ld: an area is left", at);
	end(&w);
	return status != 42;
}

Test(rollback, an_update_killed_anywhere_can_be_undone_when_it_happened)
{
	struct pair p = {0};
	long at = 1;

	pair_make(&p);
	while (survive_apply(&p, at, 0, at))
		at += fault_stride();
	cr_log_info("%ld calls", at);
	pair_clear(&p);
}
