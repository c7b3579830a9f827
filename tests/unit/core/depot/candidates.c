/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/base/own.h"
#include "core/depot/candidates.h"

static void took(struct candidates *c, size_t expected)
{
	size_t i = 0;

	cr_assert(candidates_next(c, &i));
	cr_assert_eq(i, expected);
}

Test(candidates, are_the_first_the_last_and_any_in_turn_and_each_once)
{
	OWNED(candidates_clear) struct candidates c = {0};
	bool seen[100] = {false};
	struct err err;
	size_t i = 0, n = 2;

	cr_assert_eq(candidates_begin(100, &c, &err), 0);
	took(&c, 0);
	took(&c, 99);
	seen[0] = seen[99] = true;
	for (; candidates_next(&c, &i); n++) {
		cr_assert_not(seen[i], "%zu", i);
		seen[i] = true;
	}
	cr_assert_eq(n, 100);
}

Test(candidates, end_where_the_rest_is_of_no_use)
{
	OWNED(candidates_clear) struct candidates c = {0};
	struct err err;
	size_t i = 0;

	cr_assert_eq(candidates_begin(10, &c, &err), 0);
	took(&c, 0);
	candidates_until(&c, 3);
	took(&c, 2);
	candidates_until(&c, 0);
	cr_assert_not(candidates_next(&c, &i));
}

Test(candidates, are_the_same_numbers_in_another_order)
{
	OWNED(freep) uint32_t *order = NULL;
	unsigned moved = 0, sum = 0;
	struct err err;

	cr_assert_eq(candidates_order(50, &order, &err), 0);
	for (uint32_t i = 0; i < 50; i++) {
		sum += order[i];
		moved += order[i] != i;
	}
	cr_assert_eq(sum, 49 * 50 / 2);
	cr_assert_gt(moved, 25);
}

Test(candidates, of_fewer_tries_only_when_they_are_taken_away)
{
	setenv("SATCHEL_SEARCH_TRIES", "7", 1);
	cr_assert_eq(candidates_tries(100), 7);
	cr_assert_eq(candidates_tries(5), 5);
	setenv("SATCHEL_SEARCH_TRIES", "x", 1);
	cr_assert_eq(candidates_tries(100), 100);
}
