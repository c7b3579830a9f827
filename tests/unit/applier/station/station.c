/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "applier/open/open.h"
#include "applier/station/station_config.h"
#include "applier/station/station_state.h"
#include "core/base/clock.h"
#include "core/base/own.h"
#include "core/os/durable.h"
#include "tests/support/station.h"

struct fixture {
	char dir[SCRATCH_PATH];
	char ws[SCRATCH_PATH + 8];
	struct station *s;
	struct err err;
};

static void fixture_open(struct fixture *f)
{
	f->s = station_free(f->s);
	f->s = station_at(f->ws);
}

static struct fixture fixture_make(void)
{
	struct fixture f = {0};

	station_clock(1800000000);
	scratch_make(f.dir);
	snprintf(f.ws, sizeof(f.ws), "%s/ws", f.dir);
	fixture_open(&f);
	return f;
}

static void fixture_end(struct fixture *f)
{
	station_free(f->s);
	scratch_remove(f->dir);
}

static void config_write(struct fixture *f, const char *text)
{
	char path[512];
	FILE *to;

	snprintf(path, sizeof(path), "%s/workstation.yaml", f->ws);
	to = fopen(path, "w");
	cr_assert_not_null(to);
	fputs("satchel: workstation-config/1\n", to);
	fputs(text, to);
	fclose(to);
}

static int reopen(struct fixture *f, enum station_flags flags)
{
	f->s = station_free(f->s);
	f->err = (struct err){0};
	return station_open(f->ws, flags, NULL, &f->s, &f->err);
}

static void config_read(struct fixture *f, char dst[4096])
{
	char path[512];
	size_t n;
	FILE *from;

	snprintf(path, sizeof(path), "%s/workstation.yaml", f->ws);
	from = fopen(path, "r");
	cr_assert_not_null(from);
	n = fread(dst, 1, 4095, from);
	dst[n] = '\0';
	fclose(from);
}

Test(station, a_new_one_has_a_root_of_its_own_and_a_closed_state_directory)
{
	struct fixture f = fixture_make();
	char text[4096];
	struct stat st;

	config_read(&f, text);
	cr_assert_not_null(strstr(text, "# Without a list: everything below root:"));
	cr_assert(strncmp(f.s->root + strlen(f.s->root) - 8, "/ws/root", 8) == 0, "%s", f.s->root);
	cr_assert_eq(stat(f.s->root, &st), 0);
	cr_assert_eq(fstat(f.s->statefd, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	cr_assert_not(f.s->enrolled);
	cr_assert_eq(f.s->local, LOCAL_REPLACE);
	cr_assert_eq(f.s->depots.n, 0);
	fixture_end(&f);
}

Test(station, is_not_made_by_looking)
{
	struct station *s = NULL;
	struct err err = {0};
	char dir[SCRATCH_PATH];

	scratch_make(dir);
	cr_assert_eq(station_open(dir, 0, NULL, &s, &err), RC_STATE);
	cr_assert_not_null(strstr(err.text, "satchel enrol"), "%s", err.text);
	cr_assert_eq(scratch_run(dir, "test -z \"$(ls)\""), 0);
	scratch_remove(dir);
}

Test(station, two_runs_at_once_are_refused)
{
	struct fixture f = fixture_make();
	struct station *other = NULL;

	cr_assert_eq(station_open(f.ws, STATION_LOCK, NULL, &other, &f.err), RC_BUSY);
	cr_assert_eq(station_open(f.ws, 0, NULL, &other, &f.err), 0, "%s", f.err.text);
	station_free(other);
	fixture_end(&f);
}

Test(station, a_state_directory_open_to_others_is_refused)
{
	struct fixture f = fixture_make();

	f.s = station_free(f.s);
	cr_assert_eq(scratch_run(f.ws, "chmod 750 state"), 0);
	cr_assert_eq(reopen(&f, 0), RC_POLICY);
	cr_assert_not_null(strstr(f.err.text, "chmod 700"));
	fixture_end(&f);
}

Test(station, a_configuration_that_others_may_write_is_refused)
{
	struct fixture f = fixture_make();

	cr_assert_eq(scratch_run(f.ws, "chmod 664 workstation.yaml"), 0);
	cr_assert_eq(reopen(&f, 0), RC_POLICY);
	fixture_end(&f);
}

/* Exchanges the owner's file with one that anybody may write, without pause, until it is killed. */
static pid_t exchanges(const char *dir)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || chdir(dir) < 0)
		_exit(1);
	for (;;)
		renameat2(AT_FDCWD, "workstation.yaml", AT_FDCWD, "evil.yaml", RENAME_EXCHANGE);
}

Test(station, a_configuration_that_is_exchanged_while_it_is_judged_is_never_believed)
{
	struct fixture f = fixture_make();
	unsigned good = 0, refused = 0;
	pid_t pid;

	config_write(&f, "root: /srv/good\n");
	cr_assert_eq(scratch_run(f.ws, "sed s,/srv/good,/srv/evil, workstation.yaml > evil.yaml;"
				       "chmod 666 evil.yaml"),
		     0);
	pid = exchanges(f.ws);
	for (unsigned i = 0; i < 20000; i++) {
		struct station s = {.config = f.s->config, .state = f.s->state};
		struct err err = {0};
		int rc;

		s.handout = strdup("/srv/handout");
		rc = station_config_read(&s, &err);
		good += rc == 0;
		refused += rc == RC_POLICY;
		if (rc == 0 && strcmp(s.root, "/srv/good") != 0) {
			cr_expect_fail("the file of others was believed at try %u", i);
			i = UINT_MAX - 1;
		}
		free(s.root);
		free(s.handout);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cr_expect_gt(good, 0);
	cr_expect_gt(refused, 0, "nothing was exchanged");
	fixture_end(&f);
}

Test(station, a_link_is_no_configuration)
{
	struct fixture f = fixture_make();

	cr_assert_eq(scratch_run(f.ws, "mv workstation.yaml real; ln -s real workstation.yaml"), 0);
	cr_assert_eq(reopen(&f, 0), RC_TYPE, "%s", f.err.text);
	fixture_end(&f);
}

Test(station, a_lost_database_is_no_fresh_start)
{
	static const char *const traces[] = {"mkdir state/keys", "mkdir state/private",
					     "echo 1 1 1 > state/floor"};

	for (size_t i = 0; i < ARRAY_LEN(traces); i++) {
		struct fixture f = fixture_make();

		f.s = station_free(f.s);
		cr_assert_eq(scratch_run(f.ws, "rm state/state.db*"), 0);
		cr_assert_eq(scratch_run(f.ws, traces[i]), 0);
		cr_assert_eq(reopen(&f, STATION_CREATE | STATION_LOCK), RC_STATE);
		cr_assert_not_null(strstr(f.err.text, "state.db is missing"), "%s", f.err.text);
		cr_assert_neq(scratch_run(f.ws, "test -e state/state.db"), 0);
		fixture_end(&f);
	}
}

Test(station, a_database_older_than_what_was_done_is_told)
{
	struct fixture f = fixture_make();
	uint64_t n;

	cr_assert_eq(station_next(f.s, COUNTER_RECEIPT, &n, &f.err), 0);
	cr_assert_eq(station_floor_write(f.s, &f.err), 0, "%s", f.err.text);
	cr_assert_eq(reopen(&f, STATION_LOCK), 0, "%s", f.err.text);
	cr_assert_eq(db_exec(f.s->db, "UPDATE counter SET value = 0", &f.err), 0);
	cr_assert_eq(reopen(&f, STATION_LOCK), RC_STATE);
	cr_assert_not_null(strstr(f.err.text, "older than"), "%s", f.err.text);
	fixture_end(&f);
}

Test(station, a_depot_is_remembered_and_the_rest_of_the_text_stays)
{
	struct fixture f = fixture_make();
	char text[4096];

	config_write(&f, "# mine\nroot: /srv/ws   # where it goes\ndepots: \n# first\n    - /a\n"
			 "local-changes: keep\n");
	cr_assert_eq(reopen(&f, STATION_LOCK), 0, "%s", f.err.text);
	cr_assert_eq(f.s->local, LOCAL_KEEP);
	cr_assert_eq(station_config_depot(f.s, "/mnt/my \"stick\"\\x", &f.err), 0, "%s",
		     f.err.text);
	cr_assert_eq(station_config_depot(f.s, "/a", &f.err), 0);
	cr_assert_eq(reopen(&f, STATION_LOCK), 0, "%s", f.err.text);
	cr_assert_eq(f.s->depots.n, 2);
	config_read(&f, text);
	cr_assert_not_null(strstr(text, "# mine\nroot: /srv/ws   # where it goes\n"));
	cr_assert_not_null(strstr(text, "# first\n    - /a\nlocal-changes: keep\n"));
	fixture_end(&f);
}

Test(station, a_depot_is_remembered_in_a_list_of_any_shape)
{
	static const struct {
		const char *config, *after;
		size_t depots;
	} rows[] = {
	    {"depots: [/a, /b]\nroot: /srv/ws\n", "depots: [\"/new\", /a, /b]\nroot", 3},
	    {"depots: [ ]\n", "depots: [\"/new\" ]\n", 1},
	    {"depots: # mine\n- /a\nroot: /x\n", "depots: # mine\n- \"/new\"\n- /a\nroot", 2},
	    {"root: /x\ndepots:\n  - /a", "depots:\n  - \"/new\"\n  - /a", 2},
	};
	struct fixture f = fixture_make();
	char text[4096];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		config_write(&f, rows[i].config);
		cr_assert_eq(reopen(&f, STATION_LOCK), 0, "%s", f.err.text);
		cr_assert_eq(station_config_depot(f.s, "/new", &f.err), 0, "%s", f.err.text);
		cr_assert_eq(reopen(&f, STATION_LOCK), 0, "%s", f.err.text);
		cr_assert_eq(f.s->depots.n, rows[i].depots, "row %zu", i);
		config_read(&f, text);
		cr_assert_not_null(strstr(text, rows[i].after), "%s", text);
	}
	fixture_end(&f);
}

Test(station, a_depot_is_remembered_where_no_list_is)
{
	struct fixture f = fixture_make();

	config_write(&f, "root: /srv/ws");
	cr_assert_eq(reopen(&f, STATION_LOCK), 0, "%s", f.err.text);
	cr_assert_eq(station_config_depot(f.s, "/one", &f.err), 0, "%s", f.err.text);
	cr_assert_eq(station_config_depot(f.s, "/two", &f.err), 0, "%s", f.err.text);
	cr_assert_eq(station_config_depot(f.s, "/a\nallow: /", &f.err), RC_PATH);
	cr_assert_eq(reopen(&f, STATION_LOCK), 0, "%s", f.err.text);
	cr_assert_eq(f.s->depots.n, 2);
	fixture_end(&f);
}

Test(station, an_allow_that_is_not_below_root_is_an_error_with_its_line)
{
	struct fixture f = fixture_make();

	config_write(&f, "root: /srv/ws\nallow:\n  - /srv/ws/opt\n  - /srv/wsx\n");
	cr_assert_eq(reopen(&f, 0), RC_MALFORMED);
	cr_assert_not_null(strstr(f.err.text, "workstation.yaml:5"), "%s", f.err.text);
	fixture_end(&f);
}

static int target(struct fixture *f, const char *config, const char *path, const char *want)
{
	char *ret = NULL;
	int rc;

	config_write(f, config);
	cr_assert_eq(reopen(f, 0), 0, "%s", f->err.text);
	rc = station_target(f->s, path, &ret, &f->err);
	if (rc == 0)
		cr_assert_str_eq(ret, want);
	else
		cr_assert_null(ret);
	free(ret);
	return rc;
}

Test(station, targets_lie_below_the_root_and_only_where_allowed)
{
	struct fixture f = fixture_make();
	static const struct {
		const char *config, *path, *want;
		int rc;
	} rows[] = {
	    {"root: /srv/ws\n", "/opt/a", "/srv/ws/opt/a", 0},
	    {"root: /srv/ws\n", "/", "/srv/ws", 0},
	    {"", "/opt/a", NULL, RC_POLICY},
	    {"allow:\n  - /opt\n", "/opt/a", "/opt/a", 0},
	    {"allow:\n  - /opt/a\n", "/opt/a", "/opt/a", 0},
	    {"allow:\n  - /opt/a\n", "/opt/ab", NULL, RC_POLICY},
	    {"allow:\n  - /opt/a\n", "/opt", NULL, RC_POLICY},
	    {"allow:\n  - /opt\n", "/etc", NULL, RC_POLICY},
	    {"allow:\n  - /\n", "/etc/x", "/etc/x", 0},
	    {"root: /srv/ws\nallow:\n  - /srv/ws/opt\n", "/opt/x", "/srv/ws/opt/x", 0},
	    {"root: /srv/ws\nallow:\n  - /srv/ws/opt\n", "/srv/ws/opt/x", NULL, RC_POLICY},
	    {"root: /srv/ws\n", "/a/../../x", NULL, RC_PATH},
	    {"root: /srv/ws\n", "/a/./x", NULL, RC_PATH},
	    {"root: /srv/ws\n", "/a//x", NULL, RC_PATH},
	    {"root: /srv/ws\n", "a/x", NULL, RC_PATH},
	    {"root: /srv/ws\n", "", NULL, RC_PATH},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_assert_eq(target(&f, rows[i].config, rows[i].path, rows[i].want), rows[i].rc,
			     "row %zu: %s", i, f.err.text);
	fixture_end(&f);
}

Test(station, no_channel_gets_at_the_state_or_the_configuration)
{
	static const char *const paths[] = {
	    "/ws",       "/ws/state",    "/ws/state/private/x", "/", "/ws/workstation.yaml",
	    "/ws/hooks", "/ws/hooks/lib"};
	struct fixture f = fixture_make();
	char config[256];

	cr_assert_eq(scratch_run(f.dir, "ln -s . link"), 0);
	snprintf(config, sizeof(config), "root: %s/link\n", f.dir);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		cr_assert_eq(target(&f, config, paths[i], NULL), RC_POLICY, "%s", paths[i]);
	fixture_end(&f);
}

Test(station, keys_are_made_once)
{
	struct fixture f = fixture_make();
	struct key_secret *a = NULL, *b = NULL, *seal = NULL;
	struct key_public pa, pb;

	cr_assert_eq(station_keys(f.s, 0, &a, NULL, &f.err), RC_STATE);
	cr_assert_eq(station_keys(f.s, STATION_KEYS_CREATE, &a, &seal, &f.err), 0, "%s",
		     f.err.text);
	cr_assert_eq(station_keys(f.s, STATION_KEYS_CREATE, &b, NULL, &f.err), 0, "%s", f.err.text);
	pa = key_public_of(a);
	pb = key_public_of(b);
	cr_assert(key_same(&pa, &pb));
	cr_assert_eq(scratch_run(f.ws, "test $(stat -c %a state/keys/sign.key) = 600"), 0);
	key_free(a);
	key_free(b);
	key_free(seal);
	fixture_end(&f);
}

Test(station, paths_are_spelt_in_one_way)
{
	static const struct {
		const char *in, *out;
	} rows[] = {{"/a/./b//c/", "/a/b/c"}, {"/", "/"}, {"//a", "/a"}, {"/tmp/..", "/"}};
	struct err err = {0};
	char *ret = NULL, *here = getcwd(NULL, 0);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		cr_assert_eq(station_absolute(rows[i].in, &ret, &err), 0);
		cr_assert_str_eq(ret, rows[i].out);
		free(ret);
	}
	cr_assert_eq(station_absolute("x/./y", &ret, &err), 0);
	cr_assert(strncmp(ret, here, strlen(here)) == 0 &&
		  strcmp(ret + strlen(ret) - 4, "/x/y") == 0);
	free(ret);
	free(here);
	cr_assert_eq(station_absolute("", &ret, &err), RC_USAGE);
}
