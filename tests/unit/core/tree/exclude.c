/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/base/own.h"
#include "core/tree/exclude.h"

static enum exclude_fit fits(const char *glob, const char *path)
{
	return exclude_fits(&glob, 1, path);
}

Test(exclude, means_what_it_means_in_ignore_files)
{
	static const struct {
		const char *glob, *path;
		enum exclude_fit fit;
	} rows[] = {
	    {"private", "private", EXCLUDE_YES},
	    {"private", "a/b/private", EXCLUDE_YES},
	    {"private", "a/private.txt", EXCLUDE_NO},
	    {"*.o", "a/x.o", EXCLUDE_YES},
	    {"private/", "a/private", EXCLUDE_DIRECTORY},
	    {"/private", "private", EXCLUDE_YES},
	    {"/private", "a/private", EXCLUDE_NO},
	    {"/private/", "private", EXCLUDE_DIRECTORY},
	    {"./private", "private", EXCLUDE_YES},
	    {"./private", "a/private", EXCLUDE_NO},
	    {"a/private", "a/private", EXCLUDE_YES},
	    {"a/private", "b/a/private", EXCLUDE_NO},
	    {"a/*/tmp", "a/b/tmp", EXCLUDE_YES},
	    {"a/*/tmp", "a/b/c/tmp", EXCLUDE_NO},
	    {"**/private", "private", EXCLUDE_YES},
	    {"**/private", "a/b/private", EXCLUDE_YES},
	    {"**/private/", "a/b/private", EXCLUDE_DIRECTORY},
	    {"a/**/private", "a/private", EXCLUDE_YES},
	    {"a/**/private", "a/b/c/private", EXCLUDE_YES},
	    {"a/**/private", "b/private", EXCLUDE_NO},
	    {"a/**", "a", EXCLUDE_NO},
	    {"a/**", "a/b/c", EXCLUDE_YES},
	    {"**/a/*.log", "x/a/a/1.log", EXCLUDE_YES},
	    {"**/a/*.log", "x/a/b/1.log", EXCLUDE_NO},
	    {"**/x/**/y", "x/a/x/b/y", EXCLUDE_YES},
	    {"**", "a/b", EXCLUDE_YES},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(fits(rows[i].glob, rows[i].path), rows[i].fit, "%s, %s", rows[i].glob,
			     rows[i].path);
}

Test(exclude, the_strictest_of_several_counts)
{
	static const char *const globs[] = {"a/", "b", "a"};

	cr_expect_eq(exclude_fits(globs, 3, "a"), EXCLUDE_YES);
	cr_expect_eq(exclude_fits(globs, 2, "a"), EXCLUDE_DIRECTORY);
	cr_expect_eq(exclude_fits(globs, 3, "c"), EXCLUDE_NO);
	cr_expect_eq(exclude_fits(NULL, 0, "c"), EXCLUDE_NO);
}

/* Backtracking over every star would take longer than anybody waits. */
Test(exclude, ends_soon_whatever_the_pattern, .timeout = 10)
{
	char glob[LIMIT_PATH + 1] = "", path[LIMIT_PATH + 1] = "";

	for (int i = 0; i < 200; i++) {
		strcat(glob, "**/a/");
		strcat(path, "a/");
	}
	strcat(glob, "b");
	strcat(path, "c");
	cr_expect_eq(fits(glob, path), EXCLUDE_NO);
}

Test(exclude, a_pattern_that_nothing_can_match_is_known)
{
	static const char *const bad[] = {"/", "./", "a//b", "../a", "a/../b", "a/./b", "//a"};
	static const char *const good[] = {"a", "/a", "./a", "a/", "**/a", "a/**", ".a", "..a"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_not(exclude_good(bad[i]), "%s", bad[i]);
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect(exclude_good(good[i]), "%s", good[i]);
}

Test(exclude, the_pattern_of_one_path_matches_it_and_nothing_else)
{
	static const struct {
		const char *path, *glob, *other;
	} rows[] = {
	    {"a/b", "/a/b", "x/a/b"},
	    {"a[1]", "/a[[]1]", "a1"},
	    {"*", "/[*]", "b"},
	    {"a?/**", "/a[?]/[*][*]", "ab/c"},
	    {"a\\b \"c\"\n", "/a?b ?c??", "a"},
	};
	char glob[EXCLUDE_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		exclude_only(rows[i].path, glob);
		cr_expect_str_eq(glob, rows[i].glob);
		cr_expect_eq(fits(glob, rows[i].path), EXCLUDE_YES, "%s", rows[i].path);
		cr_expect_eq(fits(glob, rows[i].other), EXCLUDE_NO, "%s", rows[i].other);
	}
}
