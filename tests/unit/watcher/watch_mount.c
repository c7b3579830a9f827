/* SPDX-License-Identifier: ISC */
/*
 * Mounts as the kernel lists them.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "core/base/own.h"
#include "watcher/mount.h"

static struct mounts parsed(const char *text)
{
	struct mounts m = {NULL, 0};
	struct err err = {0};

	cr_assert_eq(mounts_parse(bytes_of(text), &m, &err), 0, "%s", err.text);
	return m;
}

Test(mounts, points_have_their_blanks_dashes_and_letters_back)
{
	OWNED(mounts_clear)
	struct mounts m = parsed(
	    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	    "90 22 8:17 / /media/ana/Ein\\040Stick\\040-\\040\\303\\244 rw - vfat /dev/sdb1 rw\n"
	    "91 22 8:18 / /mnt/a\\011b\\012c\\134d rw shared:5 master:2 propagate_from:9 - ext4 /dev/x y\n"
	    "92 22 8:19 / /mnt/-\\040-\\040- rw - fuse.exfat /dev/sd-c rw\n");

	cr_assert_eq(m.n, 4);
	cr_expect_str_eq(m.mount[0].point, "/");
	cr_expect_str_eq(m.mount[0].type, "ext4");
	cr_expect_str_eq(m.mount[0].source, "/dev/sda1");
	cr_expect_str_eq(m.mount[1].point, "/media/ana/Ein Stick - ä");
	cr_expect_str_eq(m.mount[1].type, "vfat");
	cr_expect_str_eq(m.mount[2].point, "/mnt/a\tb\nc\\d");
	cr_expect_str_eq(m.mount[3].point, "/mnt/- - -");
	cr_expect_str_eq(m.mount[3].type, "fuse.exfat");
	cr_expect_eq(m.mount[3].id, 92);
}

Test(mounts, what_is_not_understood_is_left_out_and_stops_nothing)
{
	OWNED(mounts_clear)
	struct mounts m = parsed("\n"
				 "x 1 8:1 / /a rw - ext4 /dev/a rw\n"
				 "5\n"
				 "6 1 8:1 / /no/dash rw shared:1 ext4 /dev/a rw\n"
				 "7 1 8:1 / /short rw -\n"
				 "8 1 8:1 / /odd\\9\\04 rw - tmpfs none rw\n"
				 "9 1 8:1 / /last rw - ext4 /dev/b rw");

	cr_assert_eq(m.n, 2);
	cr_expect_str_eq(m.mount[0].point, "/odd\\9\\04", "no escape, so as it is");
	cr_expect_str_eq(m.mount[1].point, "/last");
}

Test(mounts, an_escape_of_nothing_does_not_end_the_path)
{
	OWNED(mounts_clear) struct mounts m = parsed("8 1 8:1 / /a\\000b rw - tmpfs none rw\n");

	cr_assert_eq(m.n, 1);
	cr_expect_str_eq(m.mount[0].point, "/a\\000b");
}

Test(mounts, a_flood_is_refused)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct mounts m = {NULL, 0};
	struct err err = {0};

	for (unsigned i = 0; i <= MOUNTS_MAX; i++)
		buf_text(&text, "\n", &err);
	cr_expect_eq(mounts_parse(bytes_in(&text), &m, &err), RC_LIMIT);
	cr_expect_eq(m.n, 0);
}

Test(mounts, the_kernels_own_list_is_read_and_has_the_root)
{
	OWNED(mounts_clear) struct mounts m = {NULL, 0};
	struct err err = {0};
	OWNED(fd_closep) int fd = mounts_open(&err);
	bool root = false;

	cr_assert_eq(mounts_read(fd, &m, &err), 0, "%s", err.text);
	for (size_t i = 0; i < m.n; i++)
		root = root ||
		       (strcmp(m.mount[i].point, "/") == 0 && mounts_has(&m, m.mount[i].id, "/"));
	cr_expect(root);
	cr_expect_not(mounts_has(&m, 0, "/nowhere"));
}

Test(sticks, are_what_people_plug_in_and_not_what_the_machine_mounts_for_itself)
{
	static const struct {
		const char *point, *type, *source;
		bool early, late;
	} rows[] = {
	    {"/", "ext4", "/dev/sda1", false, true},
	    {"/media/ana/STICK", "vfat", "/dev/sdb1", true, true},
	    {"/run/media/ana/STICK", "fuseblk", "/dev/sdb1", true, true},
	    {"/mnt", "ext4", "/dev/sdb1", true, true},
	    {"/mnt/usb", "tmpfs", "none", true, true},
	    {"/mnted", "tmpfs", "none", false, false},
	    {"/backup", "ext4", "/dev/sdb1", false, true},
	    {"/home/ana/usb", "fuse.exfat", "exfat", false, true},
	    {"/home/ana/share", "nfs4", "server:/x", false, false},
	    {"/var/lib/containers/x", "overlay", "overlay", false, false},
	    {"/snap/core/1", "squashfs", "/dev/loop3", false, false},
	    {"/media/x", "overlay", "overlay", false, false},
	    {"/proc", "proc", "proc", false, false},
	    {"/run/user/1000/gvfs", "fuse.gvfsd-fuse", "gvfsd-fuse", false, false},
	    {"/run/user/1000", "tmpfs", "tmpfs", false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct mount m = {1, strdup(rows[i].point), "", strdup(rows[i].source), false};

		snprintf(m.type, sizeof(m.type), "%s", rows[i].type);
		cr_expect_eq(mount_may_be_removable(&m, true), rows[i].early, "%s at the start",
			     m.point);
		cr_expect_eq(mount_may_be_removable(&m, false), rows[i].late, "%s later", m.point);
		free(m.point);
		free(m.source);
	}
}

Test(mounts, what_a_user_mounted_for_themselves_is_no_stick)
{
	static const struct {
		const char *line;
		bool removable;
	} rows[] = {
	    {"8 1 0:50 / /media/stick rw - fuseblk /dev/sdb1 rw,user_id=0,group_id=0,allow_other\n",
	     true},
	    {"8 1 0:50 / /home/u/share rw - fuse.sshfs h: rw,user_id=4000000000,group_id=1000\n",
	     false},
	    {"8 1 0:50 / /media/u rw - fuse.rclone r: rw,user_id=4000000000,group_id=1000\n",
	     false},
	    {"8 1 0:50 / /mnt/u rw - fuse r rw,user_id=4000000000,group_id=1,allow_other\n", true},
	    {"8 1 0:50 / /mnt/u rw - fuse r rw,user_id=4000000000,allow_others,no,allow_othe\n",
	     false},
	    {"8 1 0:50 / /mnt/u rw - fuse r rw,user_id=,group_id=\n", true},
	    {"8 1 0:50 / /mnt/u rw - fuse r\n", true},
	    {"8 1 8:17 / /media/stick rw - vfat /dev/sdb1 rw,user_id=4000000000\n", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		OWNED(mounts_clear) struct mounts m = parsed(rows[i].line);

		cr_assert_eq(m.n, 1, "row %zu", i);
		cr_expect_eq(mount_may_be_removable(&m.mount[0], false), rows[i].removable,
			     "row %zu", i);
	}
}
