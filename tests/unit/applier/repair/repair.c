/* SPDX-License-Identifier: ISC */
/*
 * Repair: what differs becomes what was applied, all of it or nothing, and what a person wrote is
 * there afterwards.
 */
#include "applier/repair/repair.h"

#include "tests/support/apply_damaged.h"

Test(repair, makes_again_what_differs_and_keeps_what_a_person_wrote)
{
	struct pair p = {0};
	struct world w;
	int fd;

	pair_make(&p);
	damaged_make(&w, &p);
	cr_assert_gt(damaged_entries(&w), 5);
	cr_assert_eq(damaged_repair(&w, -1), RC_ABSENT, "%s", w.err.text);
	cr_assert_eq(scratch_run(w.dir, "test \"$(cat root/srv/office/alpha)\" = mine && "
					"test ! -e root/srv/office/fresh && "
					"test ! -e root/srv/.satchel-kept"),
		     0, "a repair that could not be done changed something");
	fd = damaged_fetched(&w);
	cr_assert_eq(damaged_repair(&w, fd), 0, "%s", w.err.text);
	damaged_check(&w, &p);
	close(fd);
	kept_clear(&w);
	pair_clear(&p);
}

Test(repair, does_not_take_a_content_that_is_another_one)
{
	struct pair p = {0};
	struct world w;
	int fd;

	pair_make(&p);
	damaged_make(&w, &p);
	fd = damaged_fetched(&w);
	cr_assert_eq(scratch_run(w.dir, "for f in fetched/*; do echo other > $f; done"), 0);
	cr_assert_eq(damaged_repair(&w, fd), RC_ABSENT, "%s", w.err.text);
	cr_assert_eq(scratch_run(w.dir, "test \"$(cat root/srv/office/alpha)\" = mine"), 0);
	close(fd);
	kept_clear(&w);
	pair_clear(&p);
}
