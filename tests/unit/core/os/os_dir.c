/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/list.h"
#include "core/base/own.h"
#include "core/os/beneath.h"
#include "core/os/dir.h"
#include "tests/support/scratch.h"

static void setup(void)
{
	struct err err = {0};

	scratch_setup();
	cr_assert_eq(scratch_run(scratch, "mkdir -p full/sub none && touch full/b full/a full/.dot "
					  "\"full/$(printf 'odd\\377\\n.')\""),
		     0);
	scratch_fd = os_open_dir(scratch, &err);
	cr_assert_geq(scratch_fd, 0, "%s", err.text);
}

TestSuite(dir, .init = setup, .fini = scratch_teardown);

static int name_add(void *arg, const struct dir_entry *entry, struct err *err)
{
	struct stat st;

	cr_assert_eq(fstatat(entry->dirfd, entry->name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return strings_add(arg, entry->name, err);
}

Test(dir, visits_every_entry_once_but_itself_and_its_parent)
{
	OWNED(strings_clear) struct strings seen = {0};
	struct err err = {0};

	cr_assert_eq(dir_each(scratch_fd, "full", 0, name_add, &seen, &err), 0, "%s", err.text);
	strings_sort(&seen);
	cr_assert_eq(seen.n, 5);
	cr_assert_str_eq(seen.items[0], ".dot");
	cr_assert_str_eq(seen.items[1], "a");
	cr_assert_str_eq(seen.items[2], "b");
	cr_assert_str_eq(seen.items[3], "odd\377\n.", "names are bytes");
	cr_assert_str_eq(seen.items[4], "sub");
}

static int stop_with(void *arg, const struct dir_entry *entry, struct err *err)
{
	int *calls = arg;

	return ++*calls == 2 ? err_set(err, RC_POLICY, "the second entry") : 0;
}

Test(dir, ends_with_what_the_visitor_says)
{
	struct err err = {0};
	int calls = 0;

	cr_assert_eq(dir_each(scratch_fd, "full", 0, stop_with, &calls, &err), RC_POLICY);
	cr_assert_eq(calls, 2);
	cr_assert_str_eq(err.text, "the second entry");
}

static int remove_file(void *arg, const struct dir_entry *entry, struct err *err)
{
	unlinkat(entry->dirfd, entry->name, strcmp(entry->name, "sub") == 0 ? AT_REMOVEDIR : 0);
	return 0;
}

Test(dir, lets_the_visitor_remove_what_it_is_shown)
{
	struct err err = {0};

	cr_assert_eq(dir_empty(scratch_fd, "full", &err), 0);
	cr_assert_eq(dir_each_fd(beneath_dir(scratch_fd, "full", &err), remove_file, NULL, &err),
		     0);
	cr_assert_eq(dir_empty(scratch_fd, "full", &err), 1);
	cr_assert_eq(dir_empty(scratch_fd, "none", &err), 1);
}

Test(dir, says_when_there_is_none_unless_that_is_fine)
{
	OWNED(strings_clear) struct strings seen = {0};
	struct err err = {0};

	cr_assert_eq(dir_each(scratch_fd, "gone", 0, name_add, &seen, &err), RC_ABSENT);
	cr_assert_eq(dir_each(scratch_fd, "gone", DIR_MAY_BE_ABSENT, name_add, &seen, &err), 0);
	cr_assert_lt(dir_each(scratch_fd, "full/a", DIR_MAY_BE_ABSENT, name_add, &seen, &err), 0);
	cr_assert_eq(dir_empty(scratch_fd, "gone", &err), RC_ABSENT);
	cr_assert_eq(seen.n, 0);
}

/* Paths, as documents have them */

static void absolute_is(const char *path, const char *want)
{
	OWNED(freep) char *got = NULL;
	char full[2 * SCRATCH_PATH];
	struct err err = {0};

	snprintf(full, sizeof(full), "%s%s", scratch, want);
	cr_assert_eq(dir_absolute(path, &got, &err), 0, "%s", err.text);
	cr_expect_str_eq(got, full, "%s", path);
}

Test(dir, is_written_down_with_the_links_that_lead_to_it)
{
	cr_assert_eq(fchdir(scratch_fd), 0);
	cr_assert_eq(symlinkat("full/sub", scratch_fd, "current"), 0);
	absolute_is("current", "/current");
	absolute_is("./full//sub/", "/full/sub");
	absolute_is("full/../none", "/none");
	absolute_is("not/there/../yet", "/not/yet");
	absolute_is(".", "");
	absolute_is("current/..", "/full");
}

Test(dir, without_a_path_is_refused)
{
	char *got = NULL;

	cr_assert_eq(dir_absolute("", &got, ERR_IGNORED), RC_USAGE);
	cr_assert_null(got);
}
