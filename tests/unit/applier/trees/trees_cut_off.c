/* SPDX-License-Identifier: ISC */
/*
 * What a killed sync left of a channel is ended before the channel goes elsewhere, is left, or is
 * made again.
 */
#include "tests/support/fault.h"

#include <sys/wait.h>

#include "applier/trees/tree.h"
#include "tests/support/sync_fixture.h"

TestSuite(trees_cut_off, .timeout = 120);

static pid_t syncing;

/** In the run itself, when the changed file is about to be put in place. */
static void die_now(const char *from, const char *to)
{
	(void)from;
	if (getpid() == syncing && strcmp(to, "sub") == 0)
		kill(getpid(), SIGKILL);
}

/** The change takes "a" out, and the run dies before "sub" is in place. */
static void fixture_cut_off(struct fixture *f)
{
	int status;
	pid_t pid;

	fixture_synced(f);
	FIXTURE_RUN(f,
		    "rm -r office/a office/sub; echo now a file > office/sub; ln -sf sub office/l");
	fixture_publish(f);
	pid = fork();
	if (pid == 0) {
		syncing = getpid();
		fault.before = die_now;
		_exit(fixture_sync(f) < 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status), "%x", status);
	FIXTURE_RUN(f, "test -e ws/root/opt/.satchel-stage-office; test ! -e ws/root/opt/office/a");
}

static int interrupted(struct fixture *f)
{
	struct station *s = fixture_station(f);
	int rc = apply_interrupted(s, "office", &f->err);

	station_free(s);
	return rc;
}

Test(trees_cut_off, a_channel_that_moves_comes_to_its_new_place)
{
	static const char *const commands[] = {
	    "true",
	    "rm -r ws/root/opt/office",
	    "rm -r ws/root/opt/.satchel-stage-office",
	    "rm -r ws/root/opt",
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct fixture f;

		fixture_cut_off(&f);
		cr_assert_eq(interrupted(&f), 1);
		FIXTURE_RUN(&f, commands[i]);
		fixture_channel(&f, "office", "/opt/bureau", "remove");
		fixture_publish(&f);
		FIXTURE_SYNC(&f, 0);
		FIXTURE_RUN(&f, "diff -r office ws/root/opt/bureau");
		FIXTURE_RUN(&f, "test ! -e ws/root/opt/office/l; "
				"test ! -e ws/root/opt/.satchel-stage-office");
		cr_expect_eq(interrupted(&f), 0);
		fixture_end(&f);
	}
}

Test(trees_cut_off, a_channel_whose_disk_is_absent_moves_when_a_person_has_decided)
{
	struct fixture f;

	fixture_cut_off(&f);
	FIXTURE_RUN(&f, "mkdir away; mv ws/root/opt/office ws/root/opt/.satchel-stage-office away; "
			"mkdir ws/root/opt/office");
	fixture_channel(&f, "office", "/opt/bureau", "remove");
	fixture_publish(&f);
	fixture_sync(&f);
	cr_expect_eq(fixture_said(&f, "office")->rc, RC_IO);
	cr_expect_eq(interrupted(&f), 1);
	FIXTURE_RUN(&f, "test -z \"$(ls -A ws/root/opt/office)\"; test ! -e ws/root/opt/bureau");
	FIXTURE_RUN(&f, "rmdir ws/root/opt/office; mv away/office away/.satchel* ws/root/opt");
	FIXTURE_SYNC(&f, 0);
	FIXTURE_RUN(&f, "diff -r office ws/root/opt/bureau");
	FIXTURE_RUN(&f,
		    "test ! -e ws/root/opt/office/l; test ! -e ws/root/opt/.satchel-stage-office");
	fixture_end(&f);
}

Test(trees_cut_off, forgetting_a_tree_ends_its_run)
{
	struct fixture f;
	struct station *s;

	fixture_cut_off(&f);
	s = fixture_station(&f);
	cr_expect_eq(tree_forget(s, "office", &f.err), 0, "%s", f.err.text);
	station_free(s);
	cr_expect_eq(interrupted(&f), 0);
	fixture_end(&f);
}

Test(trees_cut_off, a_channel_is_made_again_whatever_was_removed)
{
	static const char *const commands[] = {
	    "rm -r ws/root/opt/office",
	    "rm -r ws/root/opt/.satchel-stage-office",
	    "rm -r ws/root/opt",
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct fixture f;

		fixture_cut_off(&f);
		FIXTURE_RUN(&f, commands[i]);
		FIXTURE_SYNC(&f, 0);
		FIXTURE_RUN(&f, "diff -r office ws/root/opt/office");
		cr_expect_eq(interrupted(&f), 0);
		fixture_end(&f);
	}
}

Test(trees_cut_off, a_channel_that_is_left_leaves_no_journal_and_nothing_of_its_own)
{
	struct fixture f;
	struct site *s;

	fixture_cut_off(&f);
	s = fixture_site(&f);
	cr_assert_eq(site_document_remove(s, SITE_DOCUMENT_CHANNEL, "office", &f.err), 0, "%s",
		     f.err.text);
	site_free(s);
	fixture_publish(&f);
	FIXTURE_SYNC(&f, 0);
	cr_expect_eq(interrupted(&f), 0);
	FIXTURE_RUN(&f, "! find ws/root/opt -mindepth 1 ! -path ws/root/opt/office | grep .");
	fixture_end(&f);
}
