/* SPDX-License-Identifier: ISC */
/*
 * Whoever may write to a target, or to what holds it, chooses names: for somebody else's directory,
 * for a link, for ours.  Nothing of theirs is entered or removed, and no update stays half done.
 */
#include "tests/support/apply_cut.h"

#include <sys/fsuid.h>

static int run(struct world *w, const char *command)
{
	return scratch_run(w->dir, command);
}

/** A world where Eve has made ${command} before anything is applied; ${path} is the target. */
static void world_eve(struct world *w, const char *path, const char *command)
{
	world_make(w);
	w->target.path = path;
	cr_assert_eq(run(w, "mkdir -p root/srv/office/bob/private root/top && "
			    "echo thesis > root/srv/office/bob/private/thesis && "
			    "cp -a root/srv/office/bob root/top && chmod 700 root/*/bob && "
			    "echo victim > root/victim && chmod 640 root/victim"),
		     0);
	cr_assert_eq(run(w, command), 0, "%s", command);
}

static int second(struct world *w, enum local_answer answer)
{
	struct maker m = {0};
	struct made_bundle b;
	int rc;

	make_second(&m);
	bundle_make(w, &m, 1, 2, &b);
	w->target.local = answer;
	rc = world_try(w, &b, 0);
	buf_clear(&b.blocks);
	return rc;
}

#define THESIS "test $(grep -r thesis root | wc -l) = 2 && grep -q victim root/victim"

Test(apply_area, what_is_not_ours_under_a_name_of_ours_is_left_alone)
{
	static const struct {
		const char *path, *command;
	} cases[] = {
	    {"srv/office", "mv root/srv/office/bob root/srv/office/.satchel-stage"},
	    {"srv/office", "mv root/srv/office/bob root/srv/.satchel-stage-office"},
	    {"srv/office", "mv root/srv/office/bob root/srv/.satchel-kept"},
	    {"srv/office", "ln -s office/bob root/srv/.satchel-stage-office"},
	    {"srv/office", "ln -s ../victim root/srv/.satchel-stage-office"},
	    {"srv/office", "ln root/victim root/srv/.satchel-stage-office"},
	    {"srv/office", "mkfifo root/srv/.satchel-stage-office"},
	    {"srv/office", "mv root/srv/office/bob root/srv/.satchel-stage-office && "
			   "chmod 700 root/srv/.satchel-stage-office"},
	    {"", "mv root/top/bob root/.satchel-stage && chmod 700 root/.satchel-stage"},
	    {"", "ln -s top/bob root/.satchel-stage"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct maker m = {0};
		struct world w;

		world_eve(&w, cases[i].path, cases[i].command);
		OK(&w, apply_recover(&w.s, &w.target, &w.err));
		make_first(&m);
		world_apply(&w, &m, 0, 1);
		OK(&w, apply_recover(&w.s, &w.target, &w.err));
		cr_expect_eq(second(&w, LOCAL_FAIL), 0, "%s", w.err.text);
		cr_expect_eq(run(&w, THESIS), 0, "%s", cases[i].command);
		cr_expect_eq(run(&w, "! find root -name '.satchel-stage*-*[0-9a-f]' "
				     "-newer root/victim ! -name .satchel-stage-office | grep ."),
			     0, "%s: an area was left", cases[i].command);
		world_clear(&w);
	}
}

Test(apply_area, a_local_change_is_kept_whatever_has_the_name_of_the_place)
{
	static const char *const commands[] = {
	    "ln -s /nowhere root/srv/.satchel-kept",
	    "ln -s ../victim root/srv/.satchel-kept",
	    "echo eve > root/srv/.satchel-kept",
	    "mkdir -m 777 root/srv/.satchel-kept",
	    "mv root/srv/office/bob root/srv/.satchel-kept",
	};

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		struct maker m = {0};
		struct applied now;
		struct world w;

		world_eve(&w, "srv/office", commands[i]);
		make_first(&m);
		world_apply(&w, &m, 0, 1);
		cr_assert_eq(run(&w, "echo mine > root/srv/office/alpha"), 0);
		cr_expect_eq(second(&w, LOCAL_REPLACE), 0, "%s: %s", commands[i], w.err.text);
		OK(&w, applied_load(&w.s, "office", &now, &w.err));
		cr_expect_eq(now.generation, 2);
		cr_expect_eq(run(&w, "grep -rq mine root/srv/.satchel-kept-*/office/2/alpha && "
				     "! grep -rq mine root/srv/.satchel-kept/ && "
				     "test $(stat -c %a root/srv/.satchel-kept-*) = 700 && "
				     "test \"$(grep -h changed root/srv/office/alpha)\""),
			     0, "%s", commands[i]);
		cr_expect_eq(run(&w, THESIS), 0, "%s", commands[i]);
		world_clear(&w);
	}
}

/* Somebody is faster than the run */

static struct {
	const char *name, *command, *dir;
} race;

static void race_now(const char *from, const char *to)
{
	if (race.command == NULL || (strcmp(from, race.name) != 0 && strcmp(to, race.name) != 0))
		return;
	cr_assert_eq(scratch_run(race.dir, race.command), 0);
	race.command = NULL;
}

static int raced(struct world *w, enum local_answer answer, const char *name, const char *command)
{
	int rc;

	race.name = name;
	race.command = command;
	race.dir = w->dir;
	fault.before = race_now;
	rc = second(w, answer);
	fault.before = NULL;
	cr_assert_null(race.command, "it never came to that");
	return rc;
}

Test(apply_area, a_kept_place_that_is_taken_during_the_commit_leaves_nothing_half_done)
{
	struct maker m = {0};
	struct world w;

	world_eve(&w, "srv/office", "true");
	make_first(&m);
	world_apply(&w, &m, 0, 1);
	cr_expect_eq(raced(&w, LOCAL_REPLACE, "alpha",
			   "echo mine > root/srv/office/alpha && ln -s x root/srv/.satchel-kept"),
		     0, "%s", w.err.text);
	cr_expect_eq(run(&w, "grep -rq mine root/srv/.satchel-kept-*/office/2/alpha && "
			     "! ls root/srv/.satchel-stage* 2> /dev/null | grep ."),
		     0);
	world_clear(&w);
}

Test(apply_area, an_area_that_was_renamed_away_takes_nobody_with_it)
{
	struct maker m = {0};
	struct world w;

	world_eve(&w, "srv/office", "true");
	make_first(&m);
	world_apply(&w, &m, 0, 1);
	cr_expect_eq(raced(&w, LOCAL_FAIL, "alpha",
			   "cd root/srv && mv .satchel-stage-office away && "
			   "mv office/bob .satchel-stage-office"),
		     0, "%s", w.err.text);
	cr_expect_eq(run(&w, THESIS " && cd root/srv && "
				    "grep -q thesis .satchel-stage-office/private/thesis && "
				    "! find away -type f | grep ."),
		     0);
	OK(&w, apply_recover(&w.s, &w.target, &w.err));
	cr_expect_eq(run(&w, THESIS), 0);
	world_clear(&w);
}

Test(apply_area, what_is_put_into_a_directory_while_it_is_removed_is_kept)
{
	struct maker m = {0};
	struct world w;
	char path[2 * LIMIT_PATH];

	world_eve(&w, "srv/office", "true");
	make_first(&m);
	world_apply(&w, &m, 0, 1);
	disk_path(&w, path, "goner");
	/* After "goner" was found to be empty, and moved out: before the next rename. */
	cr_expect_eq(raced(&w, LOCAL_REPLACE, "beta",
			   "mv root/srv/office/bob root/srv/.satchel-stage-office/o*/ "
			   "2> /dev/null; for d in root/srv/.satchel-stage-office/o*; do "
			   "test -d $d && test -d root/srv/office/bob && "
			   "mv root/srv/office/bob $d; done; true"),
		     0, "%s", w.err.text);
	cr_expect_eq(run(&w, THESIS), 0);
	world_clear(&w);
}

/* A run that was cut off */

static void recovered(struct world *w)
{
	struct applied now;

	cr_expect_eq(apply_recover(&w->s, &w->target, &w->err), 1, "%s", w->err.text);
	OK(w, applied_load(&w->s, "office", &now, &w->err));
	cr_expect_eq(now.generation, 2);
	cr_expect_eq(run(w, THESIS " && grep -q new root/srv/office/beta"), 0);
}

Test(apply_area, the_area_of_a_run_that_was_cut_off_is_found_by_its_mark_under_any_name)
{
	struct world w;

	world_eve(&w, "srv/office", "true");
	world_cut_off(&w, LOCAL_FAIL);
	cr_assert_eq(run(&w, "cd root/srv && mv .satchel-stage-office away && "
			     "mv office/bob .satchel-stage-office"),
		     0);
	recovered(&w);
	cr_expect_eq(run(&w, "cd root/srv && test ! -e away && "
			     "grep -q thesis .satchel-stage-office/private/thesis"),
		     0);
	world_clear(&w);
}

/* Litter of runs that died before their journal */

static void die_with_trial(const char *from, const char *to)
{
	(void)from;
	if (strncmp(to, ".satchel-trial-", 15) == 0)
		fault_arm(2, 0, 2); /* the rename is the first call, its removal the second */
}

static void first_cut_off(struct world *w, void (*before)(const char *from, const char *to))
{
	struct maker m = {0};
	struct made_bundle b;

	make_first(&m);
	bundle_make(w, &m, 0, 1, &b);
	bundle_cut_off(w, &b, before);
	buf_clear(&b.blocks);
}

Test(apply_area, a_trial_that_a_kill_left_behind_is_swept)
{
	struct world w;

	world_eve(&w, "srv/office", "true");
	first_cut_off(&w, die_with_trial);
	cr_assert_eq(run(&w, "test -d root/srv/office/.satchel-trial-*"), 0);
	OK(&w, apply_recover(&w.s, &w.target, &w.err));
	cr_expect_eq(run(&w, "! find root -name '.satchel-*' | grep ."), 0);
	/* A version before this one gave the mark as its name. */
	cr_assert_eq(run(&w, "mkdir -m 700 root/srv/office/$(sqlite3 state/state.db "
			     "'SELECT mark FROM apply_mark')"),
		     0);
	OK(&w, apply_recover(&w.s, &w.target, &w.err));
	cr_expect_eq(run(&w, "! find root -name '.satchel-*' | grep ."
			     " && " THESIS),
		     0);
	world_clear(&w);
}

Test(apply_area, an_area_under_another_name_is_swept_though_the_plain_one_is_free_again)
{
	struct world w;

	world_eve(&w, "srv/office", "mv root/srv/office/bob root/srv/.satchel-stage-office");
	first_cut_off(&w, die_with_trial);
	cr_assert_eq(run(&w, "test -d root/srv/.satchel-stage-office-*"), 0);
	cr_assert_eq(run(&w, "mv root/srv/.satchel-stage-office root/srv/bob"), 0);
	OK(&w, apply_recover(&w.s, &w.target, &w.err));
	cr_expect_eq(run(&w, "! find root -name '.satchel-*' | grep ."
			     " && " THESIS),
		     0);
	world_clear(&w);
}

/* As on a medium whose files all belong to one user: what root makes belongs to another. */
Test(apply_area, where_files_are_not_ours_no_directory_is_left_and_the_remedy_is_told)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;
	int rc;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	world_eve(&w, "srv/office", "chmod -R a+rwX .");
	make_first(&m);
	bundle_make(&w, &m, 0, 1, &b);
	setfsuid(65534);
	rc = world_try(&w, &b, 0);
	setfsuid(0);
	cr_expect_eq(rc, RC_POLICY, "%d: %s", rc, w.err.text);
	cr_expect_not_null(strstr(w.err.text, "belongs to user 65534"), "%s", w.err.text);
	cr_expect_eq(run(&w, "! find root -name '.satchel-*' | grep ."), 0);
	buf_clear(&b.blocks);
	world_clear(&w);
}

static void link_instead(const char *from, const char *to)
{
	(void)from;
	if (race.command == NULL || strncmp(to, ".satchel-trial-", 15) != 0)
		return;
	cr_assert_eq(scratch_run(race.dir, race.command), 0);
	race.command = NULL;
}

Test(apply_area, a_target_that_is_unmade_is_removed_only_where_it_was_made)
{
	struct maker m = {0};
	struct made_bundle b;
	struct world w;

	world_make(&w);
	make_put(&m, "alpha", "not what was signed");
	m.list[0]->c.digest.b[0] ^= 1;
	bundle_make(&w, &m, 0, 1, &b);
	race.command =
	    "mkdir -p victim/office && mv root/srv root/moved && ln -s ../victim root/srv";
	race.dir = w.dir;
	fault.before = link_instead;
	cr_expect_eq(world_try(&w, &b, 0), RC_MALFORMED, "%s", w.err.text);
	fault.before = NULL;
	cr_expect_null(race.command);
	cr_expect_eq(run(&w, "test -d victim/office"), 0);
	buf_clear(&b.blocks);
	world_clear(&w);
}
