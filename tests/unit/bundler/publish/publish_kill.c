/* SPDX-License-Identifier: ISC */
/*
 * A publish that is cut off: by SIGKILL before each call that writes, and by each of these calls
 * failing.  Afterwards the registry has the old generation or the new one, whole, and the next run
 * gets there.  (Writes to the depot are done by another process: tests/unit/core/depot/depot.c.)
 */
#include "tests/support/fault.h"

#include <sys/wait.h>

#include "tests/support/published.h"

#define CHANNEL "office"

static void restore(const char *name)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "rm -rf site site.state depot && cp -a %s/site %s/site.state %s/depot .", name,
		 name, name);
	cr_assert_eq(scratch_run(dir, command), 0);
}

/* A site with generation 1 published, kept in ${dir}/was, and a source that has moved on. */
static void pair_make(void)
{
	struct err err = {0};
	struct site *s;

	server_make();
	s = server_open(SITE_LOCK);
	server_channel(s, CHANNEL, 1);
	cr_assert_eq(
	    scratch_run(dir,
			"mkdir -p source/a; for i in 1 2 3 4 5 6 7 8; do echo $i > source/a/$i;"
			"done; head -c 5000000 /dev/zero > source/large"),
	    0);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	site_free(s);
	cr_assert_eq(
	    scratch_run(dir, "mkdir was; cp -a site site.state depot was; cd source; mv a/1 a/one;"
			     "rm a/2; echo x >> a/3; head -c 5000001 /dev/zero > large;"
			     "mkdir b; mv a/4 b; rm a/5; mkdir a/5; ln -s 3 a/6l"),
	    0);
}

TestSuite(publish_kill, .init = pair_make, .fini = server_teardown, .timeout = 600);

/* 128 + SIGKILL, 42 when there was no such call, 0 or 1 as publish ended. */
static int run_with_fault(long at, int error)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct err err = {0};
		struct site *s = NULL;
		int rc = site_open(site_dir, SITE_LOCK, NULL, &s, &err);

		if (rc < 0)
			_exit(99);
		fault_arm(at, error, at);
		rc = publish_site(s, NULL, 0, PUBLISH_FULL, NULL, NULL, &err);
		fault.pid = 0;
		if (rc < 0 && getenv("FAULT_SHOW") != NULL)
			fprintf(stderr, "%ld: %s\n", at, err.text);
		_exit(rc < 0 ? 1 : atomic_load(&fault.calls) < at ? 42 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What must be true after any cut. */
static void check(long at)
{
	OWNED(site_freep) struct site *s = server_open(SITE_LOCK);
	struct err err = {0};
	int64_t generation = server_number(s, "SELECT max(generation) FROM generation");
	int64_t bundles;

	cr_assert(generation == 1 || generation == 2, "call %ld", at);
	bundles = server_number(s, "SELECT count(*) FROM bundle WHERE generation = 2");
	cr_assert_eq(bundles, generation == 1 ? 0 : 2, "call %ld", at);
	must(publish_site(s, NULL, 0, 0, NULL, NULL, &err));
	cr_assert_eq(server_number(s, "SELECT max(generation) FROM generation"), 2, "call %ld", at);
	published_check(s, CHANNEL);
	published_store_check(s, CHANNEL);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM bundle WHERE posted = 0"), 0);
	cr_assert_eq(server_number(s, "SELECT count(*) FROM outbox WHERE posted = 0"), 0);
	must(publish_site(s, NULL, 0, PUBLISH_REREAD, NULL, NULL, &err));
	cr_assert_eq(server_number(s, "SELECT max(generation) FROM generation"), 2, "call %ld", at);
	cr_assert_eq(
	    scratch_run(dir,
			"test -z \"$(ls -A site.state | grep -v -x -e keys -e lock -e registry.db"
			" -e registry.db-wal -e registry.db-shm -e store)\""),
	    0, "call %ld leaves something", at);
}

static void every_call(int error)
{
	for (long at = 1;; at += fault_stride()) {
		int status;

		restore("was");
		status = run_with_fault(at, error);
		cr_assert(status == 42 || status == 0 || status == 1 || status == 128 + SIGKILL,
			  "call %ld: status %d", at, status);
		check(at);
		if (status == 42)
			break;
		cr_assert_lt(at, 2000);
	}
}

Test(publish_kill, killed_before_any_call_that_writes_leaves_the_old_or_the_new_generation)
{
	every_call(0);
}

Test(publish_kill, a_call_that_fails_leaves_the_old_or_the_new_generation)
{
	every_call(ENOSPC);
}
