/* SPDX-License-Identifier: ISC */
/* Random names: as long as was asked for, of digits only, and never the same twice. */
#include "core/os/random.h"

#include <criterion/criterion.h>
#include <string.h>

Test(os_random, a_name_has_two_digits_for_each_byte_and_is_another_each_time)
{
	char a[RANDOM_HEX], b[RANDOM_HEX];
	struct err err = {0};

	for (size_t n = 1; n <= RANDOM_MOST; n++) {
		cr_assert_eq(random_hex(a, n, &err), 0, "%s", err.text);
		cr_expect_eq(strlen(a), 2 * n);
		cr_expect_eq(strspn(a, "0123456789abcdef"), 2 * n, "%s", a);
	}
	cr_assert_eq(random_hex(b, RANDOM_MOST, &err), 0, "%s", err.text);
	cr_expect_str_neq(a, b);
}

Test(os_random, more_than_there_is_room_for_is_refused)
{
	char a[RANDOM_HEX] = "untouched";
	struct err err = {0};

	cr_expect_eq(random_hex(a, RANDOM_MOST + 1, &err), RC_INTERNAL);
	cr_expect_str_eq(a, "untouched");
}
