/* SPDX-License-Identifier: ISC */
/*
 * A workstation that renews its sealing key dies, or a call fails, anywhere: what comes can be
 * opened.
 */
#include <sys/wait.h>

#include "core/base/own.h"
#include "tests/support/fault.h"
#include "tests/support/seal.h"

TestSuite(sync_seal_kill, .timeout = 600);

/* In a child: a run with the fault armed. */
static int run_with_fault(struct fixture *f, long at, int error)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct station *s = fixture_station(f);
		struct err err = {0};
		int rc;

		fault_arm(at, error, at);
		rc = sync_station(s, NULL, 0, NULL, NULL, &err);
		fault.pid = 0;
		_exit(atomic_load(&fault.calls) < at ? 42 : rc < 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* What is there is one of two keys, and whatever was sealed to either still opens: the server goes
 * on as it would have. */
static void goes_on(struct fixture *f, long at)
{
	fixture_collect(f);
	fixture_publish(f);
	cr_assert_eq(fixture_sync(f), 0, "call %ld: %s", at, f->err.text);
	fixture_collect(f);
	fixture_publish(f);
	cr_assert_eq(fixture_sync(f), 0, "call %ld: %s", at, f->err.text);
	cr_assert_str_eq(seal_digits(f, "seal-next.key").text, "", "call %ld", at);
	cr_assert_str_eq(seal_digits(f, "seal-old.key").text, "", "call %ld", at);
	FIXTURE_RUN(f, "diff -r tools ws/root/opt/tools");
}

/* ${settles}: the run in which the server has answered; else the one in which the key is made. */
static void cut_everywhere(int error, bool settles)
{
	struct seal_digits first;
	struct fixture f;
	long at = 1;

	seal_due(&f);
	first = seal_digits(&f, "seal.key");
	FIXTURE_RUN(&f, "mkdir -p tools; echo t > tools/t");
	if (settles) {
		FIXTURE_SYNC(&f, 0);
		fixture_collect(&f);
	}
	fixture_tools(&f, "/opt/tools");
	FIXTURE_RUN(&f, "mkdir before; cp -a ws depot site site.state before");
	for (;; at += fault_stride()) {
		int status;

		FIXTURE_RUN(&f, "rm -rf ws depot site site.state; cp -a before/. .");
		status = run_with_fault(&f, at, error);
		cr_assert(status == 0 || status == 1 || status == 42 || status == 128 + SIGKILL,
			  "call %ld: %d", at, status);
		goes_on(&f, at);
		cr_assert_str_neq(seal_digits(&f, "seal.key").text, first.text, "call %ld", at);
		if (status == 42)
			break;
	}
	cr_assert_gt(at, 30);
	fixture_end(&f);
}

Test(sync_seal_kill, while_the_next_key_is_made)
{
	cut_everywhere(0, false);
}

Test(sync_seal_kill, while_the_next_key_takes_the_place_of_the_old_one)
{
	cut_everywhere(0, true);
}

Test(sync_seal_kill, an_error_anywhere_in_it)
{
	cut_everywhere(EIO, true);
}
