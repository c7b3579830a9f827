/* SPDX-License-Identifier: ISC */
/*
 * Going back: the old tree to the last bit, and the floor above it.
 */
#include "applier/rollback/rollback.h"

#include "tests/support/apply_kept.h"

Test(rollback, brings_the_old_tree_back_and_leaves_the_floor_where_it_was)
{
	struct pair p = {0};
	struct world w;

	pair_make(&p);
	kept_make(&w, &p);
	cr_assert_eq(kept_back(&w), 0, "%s", w.err.text);
	kept_check(&w, &p);
	cr_assert_eq(w.generation, 1);
	cr_assert_eq(world_try(&w, &p.b[1], 0), RC_REPLAY, "what was left is applied again");
	kept_check(&w, &p);
	cr_assert_eq(kept_back(&w), RC_ABSENT);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0);
	kept_clear(&w);
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
	kept_make(&w, &p);
	cr_assert_eq(kept_back(&w), 0, "%s", w.err.text);
	make_put(&m, "only", "the third\n");
	w.generation = 1;
	w.tree = p.tree[0];
	bundle_make(&w, &m, 0, 3, &b);
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	world_check(&w);
	cr_assert_eq(undo_floor_load(&w.s, "office", &floor, &w.err), 0);
	buf_clear(&b.blocks);
	kept_clear(&w);
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
		kept_make(&w, &p);
		cr_assert_eq(scratch_run(w.dir, damage[i]), 0);
		cr_assert_eq(kept_back(&w), RC_ABSENT, "%s", w.err.text);
		kept_check(&w, &p);
		cr_assert_eq(w.generation, 2, "something changed");
		kept_clear(&w);
		pair_clear(&p);
	}
}

Test(rollback, keeps_aside_what_a_person_wrote_meanwhile)
{
	struct pair p = {0};
	struct world w;

	pair_make(&p);
	kept_make(&w, &p);
	cr_assert_eq(scratch_run(w.dir, "echo mine > root/srv/office/alpha"), 0);
	cr_assert_eq(kept_back(&w), 0, "%s", w.err.text);
	kept_check(&w, &p);
	cr_assert_eq(scratch_run(w.dir, "grep -rqx mine root/srv/.satchel-kept"), 0);
	kept_clear(&w);
	pair_clear(&p);
}

Test(rollback, keeps_no_more_than_the_budget)
{
	struct pair p = {0};
	struct made_bundle b;
	struct maker m = {0};
	struct world w;

	pair_make(&p);
	kept_make(&w, &p);
	w.s.undo_bytes = 1;
	make_put(&m, "only", "the third\n");
	bundle_make(&w, &m, 0, 3, &b);
	cr_assert_eq(world_try(&w, &b, 0), 0, "%s", w.err.text);
	cr_assert_eq(kept_back(&w), RC_ABSENT, "more is kept than is allowed");
	world_check(&w);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0);
	buf_clear(&b.blocks);
	kept_clear(&w);
	pair_clear(&p);
}

Test(rollback, keeps_nothing_where_the_owner_wants_none)
{
	struct pair p = {0};
	struct world w;

	pair_make(&p);
	kept_make(&w, &p);
	cr_assert_eq(apply_past_clear(&w.s, &w.target, &w.err), 0, "%s", w.err.text);
	cr_assert_eq(kept_back(&w), RC_ABSENT);
	kept_check(&w, &p);
	cr_assert_eq(scratch_run(w.dir, "! find root -name '.satchel-undo*' | grep -q ."), 0);
	kept_clear(&w);
	pair_clear(&p);
}
