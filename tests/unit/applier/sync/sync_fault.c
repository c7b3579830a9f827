/* SPDX-License-Identifier: ISC */
/*
 * One call that writes fails, anywhere in a sync that brings something new, a commit of the
 * database among them; the workstation dies there as well.  The next sync ends well.
 */
#include <sys/wait.h>

#include "core/base/own.h"
#include "tests/support/fault.h"
#include "tests/support/sync_fixture.h"

TestSuite(sync_fault, .timeout = 900);

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

static void cut_everywhere(int error)
{
	struct fixture f;
	long at = 1;

	fixture_synced(&f);
	FIXTURE_RUN(&f, "echo changed > office/a; rm office/l; mkdir office/new; echo n > "
			"office/new/n");
	fixture_publish(&f);
	FIXTURE_RUN(&f, "mkdir before; cp -a ws depot before");
	for (;; at += fault_stride()) {
		int status;

		FIXTURE_RUN(&f, "rm -rf ws depot; cp -a before/. .");
		status = run_with_fault(&f, at, error);
		cr_assert(status == 0 || status == 1 || status == 42 || status == 128 + SIGKILL,
			  "call %ld: %d", at, status);
		cr_assert_eq(fixture_sync(&f), 0, "call %ld: %s", at, f.err.text);
		cr_assert_eq(fixture_run(&f, "diff -r office ws/root/opt/office"), 0, "call %ld",
			     at);
		cr_assert_eq(fixture_run(&f, "! ls -A ws/root/opt ws/state | grep -E "
					     "'satchel-stage|changes-|trial'"),
			     0, "call %ld", at);
		if (status == 42)
			break;
	}
	cr_assert_gt(at, 30);
	fixture_end(&f);
}

Test(sync_fault, whatever_call_fails_the_next_sync_ends_well)
{
	static const int errors[] = {EIO, ENOSPC};

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		cut_everywhere(errors[i]);
}

Test(sync_fault, whatever_call_it_dies_at_the_next_sync_ends_well)
{
	cut_everywhere(0);
}

Test(sync_fault, a_beat_that_could_not_be_kept_is_no_floor)
{
	OWNED(station_freep) struct station *s = NULL;
	OWNED(db_tx_end) struct db_tx tx = {0};
	struct digest identity;
	struct beat beat;
	struct fixture f;

	fixture_synced(&f);
	s = fixture_station(&f);
	cr_assert_eq(station_beat_current(s, &beat, &identity, &f.err), 1);
	beat.sequence += 10;
	cr_assert_eq(db_tx_begin(&tx, s->db, &f.err), 0);
	cr_assert_eq(station_beat_put(s, &beat, &identity, bytes_of("beat"), &f.err), 0);
	db_tx_end(&tx);
	cr_assert_eq(station_floor_write(s, &f.err), 0, "%s", f.err.text);
	s = station_free(s);
	FIXTURE_SYNC(&f, 0);
	fixture_end(&f);
}
