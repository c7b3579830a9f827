/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>

#include "core/os/mounts.h"
#include "tests/support/scratch.h"

TestSuite(mounts, .init = scratch_setup, .fini = scratch_teardown);

static char fstab[SCRATCH_PATH + 16];

static void fstab_write(const char *lines)
{
	FILE *f;

	snprintf(fstab, sizeof(fstab), "%s/fstab", scratch);
	f = fopen(fstab, "w");
	cr_assert_not_null(f);
	fputs(lines, f);
	fclose(f);
}

static const char *missing(const char *path)
{
	static char where[256];

	return mount_missing(path, fstab, where, sizeof(where)) ? where : "";
}

Test(mounts, are_missing_at_and_below_what_fstab_names)
{
	fstab_write(
	    "# a comment\nUUID=1 / ext4 defaults 0 1\nfiles:/x /srv/not-mounted/ nfs noauto 0 0\n"
	    "/dev/x /a\\040stick vfat noauto 0 0\nnone none swap sw 0 0\nproc /proc proc defaults 0 0\n");
	cr_expect_str_eq(missing("/srv/not-mounted"), "/srv/not-mounted");
	cr_expect_str_eq(missing("/srv/not-mounted/depot"), "/srv/not-mounted");
	cr_expect_str_eq(missing("/a stick/depot"), "/a stick");
	cr_expect_str_eq(missing("/srv/not-mounted-either"), "");
	cr_expect_str_eq(missing("/srv"), "");
	cr_expect_str_eq(missing("/"), "");
	cr_expect_str_eq(missing("/proc/1"), "", "it is mounted");
}

Test(mounts, are_missing_where_desktops_mount_sticks)
{
	fstab_write("");
	cr_expect_str_eq(missing("/media/anna/stick-that-nobody-has/depot"), "/media");
	cr_expect_str_eq(missing("/run/media/anna/stick-that-nobody-has"), "/run/media");
	cr_expect_str_eq(missing("/media"), "");
	cr_expect_str_eq(missing("/mnt/x"), "");
	cr_expect_str_eq(missing("/mediathek/x"), "");
}

Test(mounts, without_a_table_none_is_missing)
{
	snprintf(fstab, sizeof(fstab), "%s/nothing", scratch);
	cr_expect_str_eq(missing("/srv/depot"), "");
}
