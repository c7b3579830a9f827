/* SPDX-License-Identifier: ISC */
/* Where an opened directory lies, whatever it is called. */
#include "core/os/dir_id.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/own.h"
#include "tests/support/scratch.h"

TestSuite(dir_id, .init = scratch_setup, .fini = scratch_teardown);

static struct dir_id id_of(const char *path)
{
	OWNED(fd_closep) int fd = openat(scratch_fd, path, O_RDONLY | O_CLOEXEC);
	struct dir_id id = {0, 0};
	struct err err = {0};

	cr_assert_eq(dir_id(fd, &id, &err), 0, "%s: %s", path, err.text);
	return id;
}

static void above(const char *path, struct dir_ids *ret)
{
	OWNED(fd_closep) int fd = openat(scratch_fd, path, O_RDONLY | O_CLOEXEC);
	struct err err = {0};

	cr_assert_eq(dir_above(fd, ret, &err), 0, "%s: %s", path, err.text);
}

static void same(const struct dir_id *a, struct dir_id b)
{
	cr_expect_eq(dir_id_compare(a, &b), 0);
}

Test(dir_id, the_way_up_is_that_of_the_directory_and_not_of_its_name)
{
	struct dir_ids ids = {0};

	cr_assert_eq(scratch_run(scratch, "mkdir -p a/b/c x; ln -s ../a/b/c x/link"), 0);
	above("x/link", &ids);
	cr_assert_gt(ids.n, 4);
	same(&ids.items[0], id_of("a/b/c"));
	same(&ids.items[1], id_of("a/b"));
	same(&ids.items[2], id_of("a"));
	same(&ids.items[3], id_of("."));
	same(&ids.items[ids.n - 1], id_of("/"));
	list_clear(&ids);
}

Test(dir_id, a_directory_that_moved_is_the_same_and_lies_elsewhere)
{
	struct dir_ids ids = {0};
	struct dir_id before;

	cr_assert_eq(scratch_run(scratch, "mkdir -p a/b x"), 0);
	before = id_of("a/b");
	cr_assert_eq(scratch_run(scratch, "mv a/b x/c; mkdir a/b"), 0);
	above("x/c", &ids);
	same(&ids.items[0], before);
	same(&ids.items[1], id_of("x"));
	cr_expect_neq(dir_id_compare(&before, &(struct dir_id){id_of("a/b").dev, id_of("a/b").ino}),
		      0);
	list_clear(&ids);
}

Test(dir_id, the_root_is_above_nothing)
{
	struct dir_ids ids = {0};

	above("/", &ids);
	cr_expect_eq(ids.n, 1);
	list_clear(&ids);
}
