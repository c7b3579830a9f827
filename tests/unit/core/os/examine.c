/* SPDX-License-Identifier: ISC */
/*
 * What doctors say of what probes find: findings, judgements on both sides of each boundary, and a
 * depot under examination.
 */
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/base/own.h"
#include "core/depot/depot.h"
#include "core/os/confine.h"
#include "core/os/examine.h"
#include "core/os/lock.h"
#include "tests/support/scratch.h"

#define NOW 1800000000
#define DAY 86400
#define GB  1000000000ull

TestSuite(examine, .init = scratch_setup, .fini = scratch_teardown, .timeout = 60);

static void run(const char *command)
{
	cr_assert_eq(scratch_run(scratch, command), 0, "%s", command);
}

/* Everything that was found, a line for each. */
static char seen[16384];

static void see(void *arg, const struct finding *one)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%s %s %s: %s -> %s\n", one->check,
		 finding_levels[one->level], one->rc == 0 ? "-" : rc_slug(one->rc), one->text,
		 one->remedy);
}

static struct findings findings_new(void)
{
	seen[0] = '\0';
	return (struct findings){.each = see, .check = "it"};
}

/* The last finding waits for its remedy; the end of a table tells it. */
static void findings_end(struct findings *f)
{
	checks_run(&(struct check){"end", NULL}, 0, NULL, f);
	if (f->waits)
		see(NULL, &f->last);
	f->waits = false;
}

#define expect_seen(text) cr_assert_not_null(strstr(seen, text), "\"%s\" in\n%s", text, seen)
#define expect_level(f, level_) \
	cr_assert_eq((f)->count[level_], 1, "%s expected:\n%s", finding_levels[level_], seen)

static void two_faults(void *arg, struct findings *f)
{
	found_wrong(f, RC_IO, "first");
	found_remedy(f, "do %d", 1);
	found_wrong(f, RC_POLICY, "second");
}

static void one_warning(void *arg, struct findings *f)
{
	found_warning(f, "third");
}

Test(examine, tells_each_finding_with_its_check_and_its_remedy_and_the_highest_class)
{
	static const struct check rows[] = {{"a", two_faults}, {"b", one_warning}};
	struct findings f = findings_new();

	checks_run(rows, 2, NULL, &f);
	cr_assert_str_eq(seen, "a wrong io: first -> do 1\n"
			       "a wrong policy: second -> \n"
			       "b warning -: third -> \n");
	cr_assert_eq(f.worst, RC_IO); /* 7 is above 6 */
	cr_assert_eq(f.count[FINDING_WRONG], 2);
	cr_assert_eq(f.count[FINDING_WARNING], 1);
}

Test(examine, judges_space_on_both_sides_of_each_boundary)
{
	static const struct {
		uint64_t free_bytes, bytes, inodes_free, inodes;
		enum finding_level level;
	} cases[] = {
	    {100 * GB, 1000 * GB, UINT64_MAX, UINT64_MAX, FINDING_OK},
	    {40 * GB, 1000 * GB, UINT64_MAX, UINT64_MAX,
	     FINDING_OK}, /* much, if not a share of it */
	    {GB, 1000 * GB, UINT64_MAX, UINT64_MAX, FINDING_WARNING},
	    {GB / 2, 2 * GB, UINT64_MAX, UINT64_MAX,
	     FINDING_OK}, /* a small stick, a quarter free */
	    {16ull << 20, 1000 * GB, UINT64_MAX, UINT64_MAX, FINDING_WARNING},
	    {(16ull << 20) - 1, 1000 * GB, UINT64_MAX, UINT64_MAX, FINDING_WRONG},
	    {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, FINDING_OK},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct findings f = findings_new();
		struct probe_fs fs = {.name = "ext4",
				      .bytes = cases[i].bytes,
				      .bytes_free = cases[i].free_bytes,
				      .inodes = cases[i].inodes,
				      .inodes_free = cases[i].inodes_free};

		examine_space(&f, "it", &fs);
		findings_end(&f);
		expect_level(&f, cases[i].level);
		cr_assert_eq(f.worst, cases[i].level == FINDING_WRONG ? RC_SPACE : 0);
	}
}

Test(examine, says_that_no_inode_is_free_however_many_bytes_are)
{
	struct findings f = findings_new();
	struct probe_fs fs = {.name = "ext4",
			      .bytes = 100 * GB,
			      .bytes_free = 90 * GB,
			      .inodes = 65536,
			      .inodes_free = 0};

	examine_space(&f, "it", &fs);
	findings_end(&f);
	expect_seen("no more files can be made");
	cr_assert_eq(f.worst, RC_SPACE);
	f = findings_new();
	fs.inodes_free = 3000;
	examine_space(&f, "it", &fs);
	findings_end(&f);
	expect_seen("only 3000 more files");
	cr_assert_eq(f.worst, 0);
}

Test(examine, judges_expiry_by_what_is_left_of_the_time)
{
	static const struct {
		int64_t left;
		enum finding_level level;
	} cases[] = {{0, FINDING_WRONG},
		     {-DAY, FINDING_WRONG},
		     {1, FINDING_WARNING},
		     {DAY - 1, FINDING_WARNING},
		     {DAY, FINDING_OK}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct findings f = findings_new();
		int64_t expires = NOW + cases[i].left;

		examine_expiry(&f, NOW, expires - 4 * DAY, expires, 30 * DAY, "it", "renew it");
		findings_end(&f);
		expect_level(&f, cases[i].level);
		cr_assert_eq(f.worst, cases[i].level == FINDING_WRONG ? RC_EXPIRED : 0);
	}
}

Test(examine, warns_of_a_clock_that_is_behind_what_was_made_and_of_no_other)
{
	struct findings f = findings_new();

	cr_assert_not(examine_clock(&f, NOW, 0, "nothing"));
	cr_assert_not(examine_clock(&f, NOW, NOW - 1000 * DAY, "an old one"));
	cr_assert_not(examine_clock(&f, NOW, NOW + 599, "a second's drift"));
	cr_assert(examine_clock(&f, NOW, NOW + 601, "the beat"));
	findings_end(&f);
	expect_seen("but the beat is from 2027-01-15T08:10:01Z");
	run("touch -d @1900000000 file");
	f = findings_new();
	cr_assert(examine_clock_file(&f, NOW, scratch_fd, "file", "the file"));
	cr_assert_not(examine_clock_file(&f, NOW, scratch_fd, "absent", "nothing"));
	cr_assert_eq(f.worst, 0);
}

Test(examine, compares_directories_with_what_inotify_allows)
{
	static const struct {
		uint64_t directories, most;
		enum finding_level level;
		const char *says;
	} cases[] = {
	    {50, 100, FINDING_OK, "50 directories"},
	    {51, 100, FINDING_WARNING, "max_user_watches=204"},
	    {1, UINT64_MAX, FINDING_WARNING, "no inotify"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct findings f = findings_new();

		examine_watches(&f, cases[i].directories, cases[i].most);
		findings_end(&f);
		expect_level(&f, cases[i].level);
		expect_seen(cases[i].says);
	}
}

Test(examine, finds_keys_that_others_can_read_links_and_what_belongs_to_somebody_else)
{
	struct findings f = findings_new();

	run("touch good.key good.pub other && chmod 400 good.key && chmod 444 good.pub && chmod 666 "
	    "other");
	examine_keys(&f, scratch_fd, "keys");
	findings_end(&f);
	expect_seen("it ok -: 2 key files in keys");
	f = findings_new();
	run("touch open.key writable.pub && chmod 440 open.key && chmod 464 writable.pub && ln -s "
	    "good.key link.key");
	examine_keys(&f, scratch_fd, "keys");
	findings_end(&f);
	expect_seen("it wrong policy: keys/open.key can be read or written by others -> chmod 400 "
		    "keys/open.key");
	expect_seen("it wrong policy: keys/writable.pub can be written by others");
	expect_seen("it wrong policy: keys/link.key is not a regular file");
	cr_assert_eq(f.count[FINDING_WRONG], 3);
	if (geteuid() != 0)
		return;
	f = findings_new();
	run("rm -f open.key writable.pub link.key && chown 12345 good.key");
	examine_keys(&f, scratch_fd, "keys");
	findings_end(&f);
	expect_seen("belongs to user 12345 -> chown 0 keys/good.key");
}

Test(examine, names_who_holds_the_lock_and_since_when)
{
	struct findings f = findings_new();
	struct lock_holder holder = {0};
	struct err err = {0};
	char pid[64];
	struct stat st;
	int fd;

	examine_lock(&f, scratch_fd, NOW);
	findings_end(&f);
	expect_seen("no satchel command is running");
	cr_assert_neq(fstatat(scratch_fd, "lock", &st, 0), 0); /* looking makes nothing */
	fd = lock_take(scratch_fd, "lock", "test", &err);
	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(lock_holder(scratch_fd, "lock", &holder, &err), 1);
	cr_assert_eq(holder.pid, getpid());
	f = findings_new();
	examine_lock(&f, scratch_fd, holder.since + 60);
	findings_end(&f);
	snprintf(pid, sizeof(pid), "it ok -: process %d is running, for 1 minute", (int)getpid());
	expect_seen(pid);
	f = findings_new();
	examine_lock(&f, scratch_fd, holder.since + 7200);
	findings_end(&f);
	expect_seen("has been running for 2 hours");
	expect_level(&f, FINDING_WARNING);
	close(fd);
	cr_assert_eq(lock_holder(scratch_fd, "lock", &holder, &err), 0);
}

Test(examine, understands_systemctl)
{
	static const struct {
		const char *text;
		bool present, enabled, active, failed;
	} cases[] = {
	    {"LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n", true, true, true,
	     false},
	    {"LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n", true, false, false,
	     false},
	    {"LoadState=loaded\nActiveState=failed\nUnitFileState=enabled", true, true, false,
	     true},
	    {"LoadState=not-found\nActiveState=inactive\nUnitFileState=\n", false, false, false,
	     false},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct probe_unit u = {0};

		probe_unit_parse(cases[i].text, &u);
		cr_assert(u.systemd);
		cr_assert_eq(u.present, cases[i].present, "%s", cases[i].text);
		cr_assert_eq(u.enabled, cases[i].enabled, "%s", cases[i].text);
		cr_assert_eq(u.active, cases[i].active, "%s", cases[i].text);
		cr_assert_eq(u.failed, cases[i].failed, "%s", cases[i].text);
	}
}

Test(examine, knows_where_a_unit_may_write)
{
	struct probe_unit u = {.strict = true, .writable = "-/srv /opt -/run/media"};

	cr_assert(probe_unit_writes(&u, "/srv"));
	cr_assert(probe_unit_writes(&u, "/opt/tools"));
	cr_assert(probe_unit_writes(&u, "/run/media/x"));
	cr_assert_not(probe_unit_writes(&u, "/srvx"));
	cr_assert_not(probe_unit_writes(&u, "/run"));
	cr_assert_not(probe_unit_writes(&u, "/etc"));
	u.writable[0] = '\0';
	cr_assert_not(probe_unit_writes(&u, "/srv"));
	u.strict = false;
	cr_assert(probe_unit_writes(&u, "/etc"));
	u = (struct probe_unit){0};
	probe_unit_parse("LoadState=loaded\nProtectSystem=strict\nReadWritePaths=-/srv -/a\n"
			 "ActiveState=active\n",
			 &u);
	cr_assert(u.strict);
	cr_assert_str_eq(u.writable, "-/srv -/a");
}

/* A systemctl of our own, first in the path. */
static void systemctl(const char *says)
{
	char path[SCRATCH_PATH + 64], script[1024];

	snprintf(script, sizeof(script),
		 "printf '#!/bin/sh\\n%s\\n' > systemctl && chmod 755 systemctl", says);
	run(script);
	snprintf(path, sizeof(path), "%s:/usr/bin:/bin", scratch);
	setenv("PATH", path, 1);
}

Test(examine, says_whether_units_run_and_how_to_make_them)
{
	static const struct {
		const char *systemctl, *says;
	} cases[] = {
	    {"echo LoadState=loaded; echo ActiveState=active; echo UnitFileState=enabled",
	     "ok -: a.service is enabled and active"},
	    {"echo LoadState=not-found; echo ActiveState=inactive",
	     "warning -: a.service is not installed: nothing syncs by itself -> systemctl enable"},
	    {"echo LoadState=loaded; echo ActiveState=inactive; echo UnitFileState=disabled",
	     "warning -: a.service is not enabled"},
	    {"echo LoadState=loaded; echo ActiveState=failed; echo UnitFileState=enabled",
	     "wrong again: a.service has failed -> journalctl -u a.service"},
	    {"echo System has not been booted with systemd >&2; exit 1", "ok -: no systemd here"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct findings f = findings_new();

		systemctl(cases[i].systemctl);
		examine_unit(&f, "a.service", "a.timer");
		findings_end(&f);
		expect_seen(cases[i].says);
	}
}

Test(examine, takes_the_timer_for_the_service)
{
	struct findings f = findings_new();

	systemctl(
	    "case $* in *timer) echo LoadState=loaded; echo ActiveState=active; echo "
	    "UnitFileState=enabled;; *) echo LoadState=loaded; echo ActiveState=inactive; echo "
	    "UnitFileState=disabled;; esac");
	examine_unit(&f, "a.service", "a.timer");
	findings_end(&f);
	expect_seen("ok -: a.timer is enabled and active");
}

Test(examine, knows_kernel_and_libraries)
{
	OWNED(buf_clear) struct buf text = BUF_INIT;
	struct probe_kernel k = {.openat2 = false};
	struct err err = {0};
	int given = 0;

	probe_kernel(&k);
	cr_assert(k.openat2);
	cr_assert_eq(probe_confine(&given, &err), 0, "%s", err.text);
	cr_assert_neq(given & CONFINE_SECCOMP, 0);
	cr_assert_eq((given & CONFINE_LANDLOCK) != 0, k.landlock > 0);
	cr_assert_geq(probe_libraries(&text, &err), 0, "%s", err.text);
	cr_assert_not_null(strstr((const char *)text.p, "libsodium "));
	cr_assert_eq(probe_number("/proc/sys/fs/inotify/absent"), UINT64_MAX);
	cr_assert_neq(probe_number("/proc/sys/kernel/pid_max"), UINT64_MAX);
}

Test(examine, says_what_is_missing_where_the_kernel_has_no_landlock)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	struct findings f = findings_new();

	cr_assert_eq(seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SYS_landlock_create_ruleset, 0),
		     0);
	cr_assert_eq(seccomp_load(ctx), 0);
	seccomp_release(ctx);
	examine_kernel(&f);
	findings_end(&f);
	expect_seen("nothing binds the helper of a depot to that depot");
}

Test(examine, tries_renames_and_leaves_nothing_behind)
{
	unsigned can = 0;
	struct err err = {0};

	/* A name that could be known is a name that somebody's directory could have. */
	run("mkdir -p .satchel-doctor/some/bodys");
	cr_assert_eq(probe_can(scratch_fd, &can, &err), 0, "%s", err.text);
	run("rmdir -p .satchel-doctor/some/bodys");
	cr_assert_neq(can & PROBE_NOREPLACE, 0);
	cr_assert_neq(can & PROBE_SYMLINK, 0);
	run("test -z \"$(ls -A)\"");
}

Test(examine, tells_a_read_only_file_system)
{
	OWNED(fd_closep) int fd = -1;
	char path[SCRATCH_PATH + 8];
	struct probe_fs fs;
	unsigned can = 0;
	struct err err = {0};

	snprintf(path, sizeof(path), "%s/m", scratch);
	cr_assert_eq(mkdir(path, 0755), 0);
	if (mount("none", path, "tmpfs", MS_RDONLY, "size=1m") < 0)
		cr_skip("nothing can be mounted here");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(probe_fs(fd, &fs, &err), 0, "%s", err.text);
	cr_assert_str_eq(fs.name, "tmpfs");
	cr_assert(fs.read_only);
	cr_assert_not(fs.polled);
	cr_assert_eq(probe_can(fd, &can, &err), RC_IO);
	cr_assert_eq(probe_write(fd, NULL, &err), RC_IO);
	fd_closep(&fd);
	umount(path);
}

/* A depot under examination */

static const char *const dirs[] = {".", "inbox"};

static unsigned examined(struct findings *f, const struct digest *site, bool needed, int64_t now)
{
	struct depot_examined in = {.path = scratch,
				    .site = site,
				    .dirs = dirs,
				    .dirs_n = 2,
				    .needed = needed,
				    .silence_s = 2,
				    .now = now};
	unsigned got;

	*f = findings_new();
	got = depot_examine(&in, f);
	findings_end(f);
	return got;
}

static void marker(const struct digest *site)
{
	char hex[DIGEST_HEX + 1], command[256];

	digest_hex(hex, site);
	snprintf(command, sizeof(command),
		 "printf 'satchel: depot/1\\nformat: 1\\nsite: \"%s\"\\n' > satchel.yaml", hex);
	run(command);
}

Test(examine, finds_nothing_wrong_with_a_good_depot_and_changes_nothing)
{
	struct digest site = digest_of(bytes_of("a site"));
	struct findings f;

	marker(&site);
	run("mkdir inbox beats && ls -lAR > /dev/null");
	cr_assert_eq(examined(&f, &site, true, time(NULL)), EXAMINED_REACHED | EXAMINED_WRITABLE);
	cr_assert_eq(f.count[FINDING_OK], 2, "%s", seen);
	cr_assert_eq(f.count[FINDING_WARNING] + f.count[FINDING_WRONG], 0, "%s", seen);
	run("test \"$(ls -A | sort | tr '\\n' ' ')\" = 'beats inbox satchel.yaml ' && test -z \"$(ls -A "
	    "inbox)\"");
}

Test(examine, says_whose_a_depot_is)
{
	struct digest site = digest_of(bytes_of("a site")), other = digest_of(bytes_of("another"));
	struct findings f;

	examined(&f, &site, true, time(NULL));
	expect_seen("wrong again: the depot");
	expect_seen("holds no satchel.yaml -> mount what belongs there");
	marker(&other);
	examined(&f, &site, true, time(NULL));
	expect_seen("says that it is another site's");
	cr_assert_eq(f.worst, RC_CONFLICT);
	examined(&f, &site, false, time(NULL)); /* another depot may do */
	cr_assert_eq(f.worst, 0);
	cr_assert_eq(f.count[FINDING_WARNING], 1);
	run("printf 'satchel: nonsense' > satchel.yaml");
	examined(&f, &site, true, time(NULL));
	expect_seen("wrong malformed: the marker satchel.yaml");
	run(": > satchel.yaml");
	examined(&f, &site, true, time(NULL));
	expect_seen("is empty");
}

Test(examine, tells_apart_clocks_of_machine_and_depot)
{
	struct digest site = digest_of(bytes_of("a site"));
	struct findings f;

	marker(&site);
	examined(&f, &site, true, time(NULL) - 3 * DAY - 60);
	expect_seen("are 3 days apart");
	cr_assert_eq(f.count[FINDING_WARNING], 1);
}

Test(examine, says_that_a_depot_cannot_be_written)
{
	struct digest site = digest_of(bytes_of("a site"));
	struct findings f;

	if (geteuid() != 0)
		cr_skip("only root can become somebody else");
	marker(&site);
	run("mkdir inbox && chmod 755 . inbox");
	if (seteuid(12345) < 0)
		cr_skip("no other user");
	cr_assert_eq(examined(&f, &site, true, time(NULL)), EXAMINED_REACHED);
	cr_assert_eq(seteuid(0), 0);
	expect_seen("wrong io: depot");
	expect_seen("-> let this machine write in");
}

Test(examine, says_what_is_in_the_place_of_a_directory_of_the_depot)
{
	static const char *const in_place[] = {": > inbox", "mkfifo inbox", "ln -s /tmp inbox"};
	struct digest site = digest_of(bytes_of("a site"));
	struct findings f;

	marker(&site);
	for (size_t i = 0; i < ARRAY_LEN(in_place); i++) {
		run(in_place[i]);
		cr_expect_eq(examined(&f, &site, true, time(NULL)), EXAMINED_REACHED, "%s",
			     in_place[i]);
		expect_seen("-> move away what is in the place of the directory");
		cr_expect(strstr(seen, "let this machine write") == NULL, "%s", in_place[i]);
		run("rm inbox");
	}
}

Test(examine, says_what_to_do_about_a_depot_that_is_not_there)
{
	struct digest site = digest_of(bytes_of("a site"));
	struct depot_examined in = {
	    .path = "/nonexistent/depot", .site = &site, .needed = true, .silence_s = 1};
	struct findings f = findings_new();

	cr_assert_eq(depot_examine(&in, &f), 0);
	findings_end(&f);
	expect_seen("-> mount it, plug it in");
	cr_assert_eq(f.worst, RC_ABSENT);
}
